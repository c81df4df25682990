//! How values compare: numbers with numbers, times with times, and different types never quietly.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde_json::{Number, Value};

use crate::expr::locale::looks_like_time;
use crate::expr::{Locale, kind_of, read_time, shown};

/// Are they the same? Lists and maps are compared part by part, and there a different type is just different.
///
/// # Errors
/// The sentence on two values of different types.
pub(super) fn equal(left: &Value, right: &Value, locale: &Locale) -> Result<bool, String> {
    if kind_of(left) != kind_of(right) {
        let hint = match (left, right) {
            (Value::Array(_), _) => "; whether it holds a value says `contains`",
            (_, Value::Array(_)) => "; whether it is one of several says `in`",
            _ => "",
        };
        return Err(format!("{} is compared with {}{hint}", told(left), told(right)));
    }
    Ok(same(left, right, locale))
}

/// Which is less? Numbers and times have an order; text has none that people would agree on (`"10"` and `"9"`).
///
/// # Errors
/// The sentence on two values that have no order.
pub(super) fn order(left: &Value, right: &Value, locale: &Locale) -> Result<Ordering, String> {
    if let (Value::Number(left), Value::Number(right)) = (left, right) {
        return Ok(order_of_numbers(left, right));
    }
    if let (Some(left), Some(right)) = (time_of(left, locale), time_of(right, locale)) {
        return Ok(left.cmp(&right));
    }
    let hint = if left.is_string() && right.is_string() { "; only numbers and times have an order" } else { "" };
    Err(format!("{} is compared with {}{hint}", told(left), told(right)))
}

/// The instant, if the value reads as a time or a date.
pub(super) fn time_of(value: &Value, locale: &Locale) -> Option<DateTime<Utc>> {
    value.as_str().filter(|text| looks_like_time(text.trim())).and_then(|text| read_time(text, locale))
}

/// A value with its type, for messages.
pub(super) fn told(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => shown(value),
        _ => format!("{} ({})", shown(value), kind_of(value)),
    }
}

fn same(left: &Value, right: &Value, locale: &Locale) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => order_of_numbers(left, right).is_eq(),
        (Value::String(left_text), Value::String(right_text)) => {
            let instants = || Some(time_of(left, locale)? == time_of(right, locale)?);
            left_text == right_text || instants().unwrap_or(false)
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right, locale))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other, locale)))
        }
        _ => left == right,
    }
}

/// Integers exactly, all others as floating-point numbers; JSON knows neither infinity nor NaN.
fn order_of_numbers(left: &Number, right: &Number) -> Ordering {
    let integer = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
    }
}
