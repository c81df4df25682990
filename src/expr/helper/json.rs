//! `json`: any value as JSON, for people and logs.

use serde_json::Value;

use super::{Call, Helper};

pub(super) const HELPER: Helper = Helper::new("json", "{{json contact.tags}}", "Any value as JSON.", 1..=1, run);

fn run(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::String(call.present(0)?.to_string()))
}
