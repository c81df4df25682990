//! `lookup`: the field of a map or the item of a list that another value names.

use serde_json::Value;

use super::{Call, Helper, not};

pub(super) const HELPER: Helper = Helper::new(
    "lookup",
    "{{lookup vars.owners contact.source}}",
    "The field of a map, or the item of a list (counted from 0), that another value names.",
    2..=2,
    run,
);

fn run(call: &Call<'_>) -> Result<Value, String> {
    let found = match call.present(0)? {
        Value::Object(fields) => fields.get(call.text(1)?.as_ref()),
        Value::Array(items) => {
            let index = call.present(1)?;
            let place = index.as_u64().ok_or_else(|| not(index, "a position in a list"))?;
            usize::try_from(place).ok().and_then(|place| items.get(place))
        }
        other => return Err(not(other, "a map or a list")),
    };
    Ok(found.cloned().unwrap_or(Value::Null))
}
