//! `join`: the items of a list as one text.

use serde_json::Value;

use super::{Argument, Call, Helper, fits, not};

pub(super) const HELPER: Helper = Helper::new(
    "join",
    "{{join contact.tags \", \"}}",
    "The items of a list as one text. Takes the list, and what stands between two items, by default a comma and a space.",
    1..=2,
    run,
);

fn run(call: &Call<'_>) -> Result<Value, String> {
    let list = call.present(0)?;
    let Value::Array(items) = list else { return Err(not(list, "a list")) };
    let separator = call.optional_text(1)?.unwrap_or(", ".into());
    let mut joined = String::new();
    for (index, item) in items.iter().filter(|item| !item.is_null()).enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&Argument { value: Some(item), name: None }.text()?);
        fits(joined.len())?;
    }
    Ok(Value::String(joined))
}
