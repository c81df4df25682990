//! What a payload or a list's item says about itself: ids, its parent, the time of its change.

use chrono::DateTime;
use serde_json::Value;

use crate::connector::Object;

/// Ids are keys in the store, and come from outside.
const ID_MAX: usize = 200;

/// A text or a whole number, not blank, of at most 200 characters; anything else is no id.
pub(super) fn id_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    let good = !text.trim().is_empty() && text.chars().count() <= ID_MAX && !text.contains(char::is_control);
    good.then_some(text)
}

/// A field by its dotted name, in the record or where its object keeps its fields (`fields_at`). Null is nothing.
pub(super) fn field<'record>(object: &Object, record: &'record Value, name: &str) -> Option<&'record Value> {
    let lifted = || descend(descend(record, object.fields_at.as_deref()?)?, name);
    descend(record, name).or_else(lifted)
}

fn descend<'record>(record: &'record Value, dotted: &str) -> Option<&'record Value> {
    let found = match record.get(dotted) {
        Some(found) => found,
        None => dotted.split('.').try_fold(record, |inside, name| inside.get(name))?,
    };
    (!found.is_null()).then_some(found)
}

/// The id of the record's parent. `Err` if something stands there that is no id.
pub(super) fn parent_id(object: &Object, record: &Value) -> Result<Option<String>, ()> {
    let Some(parent) = &object.parent else { return Ok(None) };
    let Some(value) = field(object, record, &parent.id) else { return Ok(None) };
    id_text(value).map(Some).ok_or(())
}

/// An instant as APIs write it: RFC 3339, or seconds or milliseconds since 1970, also as text.
pub(super) fn time_ms(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => epoch_ms(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            let rfc = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
            rfc().or_else(|| epoch_ms(text.parse().ok()?))
        }
        _ => None,
    }
}

/// Seconds reach this number in the year 5138, milliseconds reached it in 1973.
const MILLISECONDS_FROM: f64 = 1e11;

fn epoch_ms(number: f64) -> Option<i64> {
    let milliseconds = if number.abs() < MILLISECONDS_FROM { number * 1000.0 } else { number };
    // Beyond the year 9999 it is no time.
    (milliseconds.abs() < 2.54e14).then_some(milliseconds.round() as i64)
}
