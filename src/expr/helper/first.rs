//! `first`: the first item of a list.

use serde_json::Value;

use super::{Call, Helper, not};

pub(super) const HELPER: Helper =
    Helper::new("first", "{{first contact.tags}}", "The first item of a list.", 1..=1, run);

fn run(call: &Call<'_>) -> Result<Value, String> {
    match call.present(0)? {
        Value::Array(items) => Ok(items.first().cloned().unwrap_or(Value::Null)),
        other => Err(not(other, "a list")),
    }
}
