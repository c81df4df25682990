//! What an unquoted word means: YAML 1.2 core schema, narrowed where a number would lose what the author wrote.
//!
//! `yes`, `no`, `on`, `off` are text. So are `012`, `1_000`, `+44 …` and whole numbers beyond 64 bits: as numbers they
//! would lose a zero, a sign or digits, and a text can still become a number where the destination wants one.

use serde_json::{Number, Value};

/// An unquoted scalar's value, or `None` for a number that is not finite.
pub(super) fn plain(word: &str) -> Option<Value> {
    Some(match word {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        // No number begins with a letter.
        _ if word.starts_with(|first: char| first.is_ascii_alphabetic()) => Value::String(word.to_owned()),
        _ if is_not_finite(word) => return None,
        _ => match whole(word) {
            Some(number) => Value::Number(number),
            None if is_decimal(word) => Value::Number(Number::from_f64(word.parse().ok()?)?),
            None => Value::String(word.to_owned()),
        },
    })
}

fn is_not_finite(word: &str) -> bool {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(word, ".nan" | ".NaN" | ".NAN")
}

fn whole(word: &str) -> Option<Number> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = word.strip_prefix(prefix) {
            let digits = digits.bytes().all(|digit| digit.is_ascii_alphanumeric()).then_some(digits)?;
            return u64::from_str_radix(digits, radix).ok().map(Number::from);
        }
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !is_digits(digits) || (digits.starts_with('0') && digits.len() > 1) {
        return None;
    }
    word.parse::<u64>().map(Number::from).or_else(|_| word.parse::<i64>().map(Number::from)).ok()
}

/// `-? ( . [0-9]+ | [0-9]+ ( . [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, with no needless zero in front, and a `.` or an
/// exponent: without either it is a whole number, or no number.
fn is_decimal(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (front, back) = match mantissa.split_once('.') {
        Some((front, back)) => (front, Some(back)),
        None => (mantissa, None),
    };
    let front_fits = if front.is_empty() {
        back.is_some_and(is_digits)
    } else {
        is_digits(front) && (front == "0" || !front.starts_with('0'))
    };
    let back_fits = back.is_none_or(|back| back.is_empty() || is_digits(back));
    front_fits && back_fits && exponent.is_none_or(is_digits) && (back.is_some() || exponent.is_some())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_core_schema() {
        for (word, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("NULL", json!(null)),
            ("True", json!(true)),
            ("false", json!(false)),
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("1.5", json!(1.5)),
            ("-.5", json!(-0.5)),
            ("2.", json!(2.0)),
            ("1e3", json!(1000.0)),
            ("-1.5E-2", json!(-0.015)),
        ] {
            assert_eq!(plain(word), Some(value), "{word}");
        }
    }

    #[test]
    fn leaves_as_text_what_a_number_would_spoil() {
        for word in [
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "nULL",
            "tRUE",
            "012",
            "00",
            "-01",
            "01.5",
            "1_000",
            "+44123",
            "0b1",
            "0x",
            "0xZZ",
            "0o8",
            "0x-1",
            "0x+1",
            "1.2.3",
            "1e",
            "e1",
            ".",
            "-",
            "1:30",
            "2026-01-31",
            "12ab",
            "1 2",
            "٣",
            "18446744073709551616",
            "-9223372036854775809",
            "0x10000000000000000",
            "inf",
            "NaN",
            "-.nan",
            "infinity",
        ] {
            assert_eq!(plain(word), Some(json!(word)), "{word}");
        }
    }

    #[test]
    fn refuses_numbers_without_a_value() {
        for word in [".inf", "-.Inf", "+.INF", ".nan", ".NaN", "1e999", "-1e999"] {
            assert_eq!(plain(word), None, "{word}");
        }
    }
}
