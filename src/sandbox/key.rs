//! What records are sorted by, and what a cursor says.

use std::cmp::Ordering;

use chrono::DateTime;
use serde_json::Value;

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    None,
    Number(f64),
    Text(String),
}

impl Key {
    /// Times weigh as instants, so that a cursor is a number.
    pub fn of(value: Option<&Value>) -> Key {
        match value {
            Some(Value::Number(number)) => Key::Number(number.as_f64().unwrap_or_default()),
            Some(Value::String(text)) => match DateTime::parse_from_rfc3339(text) {
                Ok(time) => Key::Number(time.timestamp_millis() as f64),
                Err(_) => Key::Text(text.to_lowercase()),
            },
            Some(Value::Bool(truth)) => Key::Number(f64::from(u8::from(*truth))),
            _ => Key::None,
        }
    }

    /// What is not there comes first, numbers before texts.
    pub fn compare(&self, other: &Key) -> Ordering {
        match (self, other) {
            (Key::Number(one), Key::Number(two)) => one.total_cmp(two),
            (Key::Text(one), Key::Text(two)) => one.cmp(two),
            (one, two) => one.rank().cmp(&two.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Key::None => 0,
            Key::Number(_) => 1,
            Key::Text(_) => 2,
        }
    }
}

/// By the order's fields, each in its direction; the id decides between equals, ascending.
pub fn compare(one: &[Key], two: &[Key], order: &[(String, bool)]) -> Ordering {
    for (place, (one, two)) in one.iter().zip(two).enumerate() {
        let descending = order.get(place).is_some_and(|(_, descending)| *descending);
        let ordering = one.compare(two);
        let ordering = if descending { ordering.reverse() } else { ordering };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// As a cursor writes them.
pub fn written(keys: &[Key]) -> Value {
    let keys = keys.iter().map(|key| match key {
        Key::Number(number) if number.fract() == 0.0 => Value::from(*number as i64),
        Key::Number(number) => Value::from(*number),
        Key::Text(text) => Value::from(text.clone()),
        Key::None => Value::Null,
    });
    Value::from(keys.collect::<Vec<Value>>())
}
