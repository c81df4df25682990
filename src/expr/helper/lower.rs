//! `lower`: text in small letters.

use serde_json::Value;

use super::{Call, Helper};

pub(super) const HELPER: Helper = Helper::new("lower", "{{lower contact.email}}", "Text in small letters.", 1..=1, run);

fn run(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::String(call.text(0)?.to_lowercase()))
}
