//! The destination's type decides: lossless conversions only.

use serde_json::{Number, Value};

use super::locale::read_date;
use super::{FieldType, Locale, kind_of, read_time, shown, write_time};

/// The digits that a floating-point number keeps whatever they are.
const DIGITS_MAX: usize = 15;

/// Converts a value to a destination's type. Null stays null.
///
/// # Errors
/// One sentence: what was given, what the field takes.
pub fn convert(value: &Value, to: &FieldType, locale: &Locale) -> Result<Value, String> {
    converted(value.clone(), to, locale)
}

/// The same with a value that nobody needs any more: what fits already is not copied.
///
/// # Errors
/// As [`convert`].
pub fn converted(value: Value, to: &FieldType, locale: &Locale) -> Result<Value, String> {
    let scalar = |made: Option<Value>| made.ok_or_else(|| refusal(&value, to, None));
    match (&value, to) {
        (Value::Null, _) | (_, FieldType::Any) | (Value::String(_), FieldType::Text) => Ok(value),
        (_, FieldType::List(items)) => list(value, items, locale),
        (_, FieldType::Map { fields, open }) => map(value, fields, *open, locale),
        (Value::Array(_) | Value::Object(_), _) => Err(refusal(&value, to, None)),
        (_, FieldType::Text) => Ok(Value::String(text_of(&value))),
        (_, FieldType::Integer) => scalar(integer(&value)),
        (_, FieldType::Number) => scalar(number(&value)),
        (_, FieldType::Boolean) => scalar(boolean(&value)),
        (_, FieldType::DateTime) => {
            let instant = value.as_str().and_then(|text| read_time(text, locale));
            scalar(instant.map(|instant| Value::String(write_time(instant))))
        }
        (_, FieldType::Date) => date(&value, locale).map_err(|hint| refusal(&value, to, hint)),
        (_, FieldType::OneOf(values)) => {
            let same = |one: &&Value| **one == value || text_of(one) == text_of(&value);
            scalar(values.iter().find(same).cloned())
        }
    }
}

fn refusal(value: &Value, to: &FieldType, hint: Option<&str>) -> String {
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    match value {
        Value::Array(_) | Value::Object(_) => format!("{} does not become {}{hint}", shown(value), to.describe()),
        _ => format!("{} ({}) does not become {}{hint}", shown(value), kind_of(value), to.describe()),
    }
}

fn list(mut value: Value, items: &FieldType, locale: &Locale) -> Result<Value, String> {
    let Value::Array(given) = &mut value else {
        let taken = FieldType::List(Box::new(items.clone()));
        return Err(refusal(&value, &taken, Some("write it in `[ ]` if it is the only item")));
    };
    for (index, item) in given.iter_mut().enumerate() {
        *item = converted(item.take(), items, locale).map_err(|message| format!("item {}: {message}", index + 1))?;
    }
    Ok(value)
}

fn map(mut value: Value, fields: &[(String, FieldType)], open: bool, locale: &Locale) -> Result<Value, String> {
    let Value::Object(given) = &mut value else {
        return Err(refusal(&value, &FieldType::Map { fields: Vec::new(), open }, None));
    };
    for (name, value) in given {
        match fields.iter().find(|(known, _)| known == name) {
            Some((_, to)) => {
                *value = converted(value.take(), to, locale).map_err(|message| format!("`{name}`: {message}"))?;
            }
            None if open => {}
            None => return Err(no_field(name, fields)),
        }
    }
    Ok(value)
}

fn no_field(name: &str, fields: &[(String, FieldType)]) -> String {
    match crate::source::nearest(name, fields.iter().map(|(known, _)| known.as_str())) {
        Some(near) => format!("there is no field `{name}`; did you mean `{near}`?"),
        None => format!("there is no field `{name}`"),
    }
}

/// Could a value of the one type become one of the other? False only where none of them does; an empty list aside.
pub(super) fn may_become(from: &FieldType, to: &FieldType) -> bool {
    let locale = Locale::default();
    match (from, to) {
        (FieldType::Any, _) | (_, FieldType::Any) => true,
        (FieldType::OneOf(values), _) => values.iter().any(|value| convert(value, to, &locale).is_ok()),
        (FieldType::List(from), FieldType::List(to)) => may_become(from, to),
        (FieldType::Map { .. }, FieldType::Map { .. }) => true,
        (FieldType::List(_) | FieldType::Map { .. }, _) | (_, FieldType::List(_) | FieldType::Map { .. }) => false,
        (FieldType::Text, _) | (_, FieldType::Text) => true,
        (_, FieldType::OneOf(values)) => {
            values.iter().any(|value| convert(&Value::String(text_of(value)), from, &locale).is_ok())
        }
        (FieldType::Integer | FieldType::Number, FieldType::Integer | FieldType::Number) => true,
        (FieldType::DateTime | FieldType::Date, FieldType::DateTime | FieldType::Date) => true,
        _ => from == to,
    }
}

/// One value as text; for lists and maps their JSON.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number_text(number),
        other => other.to_string(),
    }
}

/// A number as people write it: `42` also for 42.0, since JSON does not tell them apart.
pub(super) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        _ => number.to_string(),
    }
}

/// The sum of two numbers: an integer if both are and it fits. None if either is no number or the sum is none.
pub(super) fn sum(left: &Value, right: &Value) -> Option<Value> {
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return left.checked_add(right).map(Value::from);
    }
    Number::from_f64(left.as_f64()? + right.as_f64()?).map(Value::Number)
}

fn integer(value: &Value) -> Option<Value> {
    match value {
        Value::Number(number) if !number.is_f64() => Some(value.clone()),
        Value::Number(number) => {
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() < 9e15)
                .then(|| format!("{float:.0}").parse::<i64>().ok())
                .flatten()
                .map(Value::from)
        }
        Value::String(text) => {
            let text = text.trim();
            let whole = plain_number(text)?.split('.').next()?;
            let zero = text.split_once('.').is_none_or(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'));
            let parsed =
                || whole.parse::<i64>().map(Value::from).or_else(|_| whole.parse::<u64>().map(Value::from)).ok();
            zero.then(parsed).flatten()
        }
        _ => None,
    }
}

pub(super) fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => integer(value).or_else(|| {
            let plain = plain_number(text.trim())?;
            let digits = plain.bytes().filter(u8::is_ascii_digit).count();
            (digits <= DIGITS_MAX).then(|| plain.parse().ok()).flatten().and_then(Number::from_f64).map(Value::Number)
        }),
        _ => None,
    }
}

/// Digits, perhaps a sign and a fraction; no leading zeros, since `007` as a number would not be `007` again.
fn plain_number(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits(whole) && all_digits(fraction) && (whole == "0" || !whole.starts_with('0'))).then_some(text)
}

pub(super) fn boolean(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(_) => Some(value.clone()),
        Value::String(text) => match text.trim() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

/// A date, or a time that is midnight in the locale's zone: any other would lose its hours.
fn date(value: &Value, locale: &Locale) -> Result<Value, Option<&'static str>> {
    let text = value.as_str().ok_or(None)?.trim();
    if let Some(date) = read_date(text) {
        return Ok(Value::String(date.to_string()));
    }
    let local = read_time(text, locale).ok_or(None)?.with_timezone(&locale.timezone);
    if local.time() == chrono::NaiveTime::MIN {
        return Ok(Value::String(local.date_naive().to_string()));
    }
    Err(Some("the hours would be lost, write `$as: date` if that is meant"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A cell of the table: `Err` with a part of the sentence.
    type Cell = Result<Value, &'static str>;

    #[test]
    fn only_what_loses_nothing_is_converted() {
        let text_list = FieldType::List(Box::new(FieldType::Text));
        let one_of = FieldType::OneOf(vec![json!("hot"), json!(1)]);
        let address = FieldType::Map {
            fields: vec![("city".to_owned(), FieldType::Text), ("zip".to_owned(), FieldType::Integer)],
            open: false,
        };
        let table: Vec<(Value, &FieldType, Cell)> = vec![
            (json!("x"), &FieldType::Text, Ok(json!("x"))),
            (json!(42), &FieldType::Text, Ok(json!("42"))),
            (json!(42.0), &FieldType::Text, Ok(json!("42"))),
            (json!(4.5), &FieldType::Text, Ok(json!("4.5"))),
            (json!(true), &FieldType::Text, Ok(json!("true"))),
            (json!(["x"]), &FieldType::Text, Err("a list of 1 does not become text")),
            (json!({ "a": 1 }), &FieldType::Text, Err("a map of 1 fields does not become text")),
            (json!(7), &FieldType::Integer, Ok(json!(7))),
            (json!(42.0), &FieldType::Integer, Ok(json!(42))),
            (json!(42.5), &FieldType::Integer, Err("`42.5` (number) does not become an integer")),
            (json!("42"), &FieldType::Integer, Ok(json!(42))),
            (json!("-42"), &FieldType::Integer, Ok(json!(-42))),
            (json!("42.0"), &FieldType::Integer, Ok(json!(42))),
            (json!("18446744073709551615"), &FieldType::Integer, Ok(json!(u64::MAX))),
            (json!("18446744073709551616"), &FieldType::Integer, Err("an integer")),
            (json!("42.5"), &FieldType::Integer, Err("an integer")),
            (json!("007"), &FieldType::Integer, Err("an integer")),
            (json!("1e3"), &FieldType::Integer, Err("an integer")),
            (json!("abc"), &FieldType::Integer, Err("`abc` (text) does not become an integer")),
            (json!(""), &FieldType::Integer, Err("an integer")),
            (json!(true), &FieldType::Integer, Err("`true` (boolean) does not become an integer")),
            (json!([42]), &FieldType::Integer, Err("an integer")),
            (json!("4.25"), &FieldType::Number, Ok(json!(4.25))),
            (json!("4"), &FieldType::Number, Ok(json!(4))),
            (json!("0.12345678901234567890"), &FieldType::Number, Err("a number")),
            (json!("NaN"), &FieldType::Number, Err("a number")),
            (json!("true"), &FieldType::Boolean, Ok(json!(true))),
            (json!("false"), &FieldType::Boolean, Ok(json!(false))),
            (json!("yes"), &FieldType::Boolean, Err("`yes` (text) does not become true or false")),
            (json!(1), &FieldType::Boolean, Err("true or false")),
            (json!("2026-07-20T10:00:00+02:00"), &FieldType::DateTime, Ok(json!("2026-07-20T08:00:00.000Z"))),
            (json!("2026-07-20 10:00"), &FieldType::DateTime, Ok(json!("2026-07-20T09:00:00.000Z"))),
            (json!("2026-07-20"), &FieldType::DateTime, Ok(json!("2026-07-19T23:00:00.000Z"))),
            (json!("soon"), &FieldType::DateTime, Err("a date and time")),
            (json!(1784541600), &FieldType::DateTime, Err("a date and time")),
            (json!("2026-07-20"), &FieldType::Date, Ok(json!("2026-07-20"))),
            (json!("2026-07-19T23:00:00Z"), &FieldType::Date, Ok(json!("2026-07-20"))),
            (json!("2026-07-20T10:00:00Z"), &FieldType::Date, Err("the hours would be lost")),
            (json!(["x", 5]), &text_list, Ok(json!(["x", "5"]))),
            (json!("x"), &text_list, Err("write it in `[ ]`")),
            (json!([["x"]]), &text_list, Err("item 1: a list of 1 does not become text")),
            (json!("hot"), &one_of, Ok(json!("hot"))),
            (json!("1"), &one_of, Ok(json!(1))),
            (json!("cold"), &one_of, Err("`cold` (text) does not become one of `hot`, `1`")),
            (json!({ "city": 5, "zip": "80331" }), &address, Ok(json!({ "city": "5", "zip": 80331 }))),
            (json!({ "zip": "x" }), &address, Err("`zip`: `x` (text) does not become an integer")),
            (json!({ "street": "x" }), &address, Err("there is no field `street`")),
            (json!({ "citi": "x" }), &address, Err("did you mean `city`?")),
            (json!([]), &address, Err("does not become a map")),
            (json!([1, "x"]), &FieldType::Any, Ok(json!([1, "x"]))),
            (json!(null), &FieldType::Integer, Ok(json!(null))),
        ];
        let london = Locale { timezone: chrono_tz::Tz::Europe__London, country: None };
        for (value, to, expected) in table {
            let converted = convert(&value, to, &london);
            match (&converted, expected) {
                (Ok(converted), Ok(expected)) => assert_eq!(*converted, expected, "{value} to {to:?}"),
                (Err(message), Err(part)) => assert!(message.contains(part), "{value} to {to:?}: {message}"),
                (_, expected) => panic!("{value} to {to:?}: {converted:?}, not {expected:?}"),
            }
        }
    }

    proptest! {
        /// What becomes a number stays the same number when it is written and read again.
        #[test]
        fn numbers_survive_the_way_there_and_back(text in "-?[0-9]{1,18}(\\.[0-9]{1,4})?") {
            let locale = Locale::default();
            let plain = text.trim_start_matches('-');
            let written = match plain.split_once('.') {
                Some((whole, fraction)) if fraction.trim_end_matches('0').is_empty() => whole.to_owned(),
                Some((whole, fraction)) => format!("{whole}.{}", fraction.trim_end_matches('0')),
                None => plain.to_owned(),
            };
            if let Ok(number) = convert(&json!(text), &FieldType::Number, &locale) {
                let back = convert(&number, &FieldType::Text, &locale).unwrap();
                prop_assert_eq!(back.as_str().unwrap().trim_start_matches('-'), written);
            }
        }
    }
}
