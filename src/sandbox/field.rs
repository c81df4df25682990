//! Kinds of fields: is a value of its kind, how is it kept, when are two values the same.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;

use super::clock::written;
use crate::expr::{Locale, e164, read_time};

/// The kinds that `fields:` may name.
pub const KINDS: [&str; 10] = ["text", "boolean", "number", "time", "date", "phone", "email", "list", "map", "any"];

/// The value as it is kept; None if it is not of the kind. Null is of every kind: it clears.
pub fn keep(kind: &str, value: &Value, country: Option<&str>) -> Option<Value> {
    let same = || Some(value.clone());
    match (kind, value) {
        (_, Value::Null) | ("any", _) => same(),
        ("text" | "email", Value::String(_)) => same(),
        ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => same(),
        ("list", Value::Array(_)) | ("map", Value::Object(_)) => same(),
        ("phone", Value::String(text)) => Some(Value::from(phone(text, country))),
        ("time", Value::String(text)) => read_time(text, &Locale::default()).map(|time| Value::from(written(time))),
        ("date", Value::String(text)) => date(text).map(|day| Value::from(written(day))),
        _ => None,
    }
}

/// The form in which two values are compared; None: blank, which equals nothing.
pub fn comparable(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.trim().to_lowercase()),
        Value::Null => None,
        other => Some(other.to_string()),
    }
}

/// The forms of what is asked for: of each value of a list, else of the one value. A blank has none.
pub fn forms(asked: &Value) -> Vec<String> {
    match asked {
        Value::Array(values) => values.iter().filter_map(|value| comparable(Some(value))).collect(),
        value => comparable(Some(value)).into_iter().collect(),
    }
}

/// Both are there and compare as equal; asked for a list, one of it.
pub fn same(kept: Option<&Value>, asked: &Value) -> bool {
    match asked {
        Value::Array(values) => values.iter().any(|value| same(kept, value)),
        value => comparable(kept).is_some_and(|kept| Some(kept) == comparable(Some(value))),
    }
}

/// As E.164; what is no number of its country but international keeps its digits; anything else stays as it is.
fn phone(text: &str, country: Option<&str>) -> String {
    let digits = || format!("+{}", text.chars().filter(char::is_ascii_digit).collect::<String>());
    let international = text.starts_with('+') && !text.contains(char::is_alphabetic);
    e164(text, country).or_else(|| international.then(digits)).unwrap_or_else(|| text.to_owned())
}

/// Year first or month first, between `/`, `-`, `.` or `_`; or a whole instant.
fn date(text: &str) -> Option<DateTime<Utc>> {
    let numbers: Vec<u32> = text.split(['/', '-', '.', '_']).map_while(|part| part.parse().ok()).collect();
    let day = match numbers[..] {
        [year, month, day] if year > 999 => NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day),
        [month, day, year] if year > 999 => NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day),
        _ => return read_time(text, &Locale::default()),
    };
    Some(day?.and_hms_opt(0, 0, 0)?.and_utc())
}
