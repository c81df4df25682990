//! `upper`: text in capital letters.

use serde_json::Value;

use super::{Call, Helper};

pub(super) const HELPER: Helper =
    Helper::new("upper", "{{upper contact.city}}", "Text in capital letters.", 1..=1, run);

fn run(call: &Call<'_>) -> Result<Value, String> {
    Ok(Value::String(call.text(0)?.to_uppercase()))
}
