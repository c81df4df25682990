//! `trim`: text without the spaces around it.

use serde_json::Value;

use super::{Call, Helper};

pub(super) const HELPER: Helper =
    Helper::new("trim", "{{trim contact.firstName}}", "Text without the spaces around it.", 1..=1, run);

fn run(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::String(call.text(0)?.trim().to_owned()))
}
