//! `length`: how many items a list has, fields a map, characters a text.

use serde_json::Value;

use super::{Call, Helper, not};

pub(super) const HELPER: Helper = Helper::new(
    "length",
    "{{length contact.tags}}",
    "How many items a list has, fields a map, or characters a text.",
    1..=1,
    run,
);

fn run(call: &Call<'_>) -> Result<Value, String> {
    match call.present(0)? {
        Value::Array(items) => Ok(Value::from(items.len())),
        Value::Object(fields) => Ok(Value::from(fields.len())),
        Value::String(text) => Ok(Value::from(text.chars().count())),
        other => Err(not(other, "a list, a map or text")),
    }
}
