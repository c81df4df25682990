//! `$add`: a duration to a time, a number to a number.

use chrono::TimeDelta;
use serde_json::Value;

use super::Expr;
use crate::expr::convert::sum;
use crate::expr::locale::read_date;
use crate::expr::{Locale, Problem, kind_of, parse_duration, read_time, shown, write_time};

/// What is wrong with a constant that is to be added.
pub(super) fn check(more: &Expr) -> Option<Problem> {
    match more.constant()? {
        Value::String(text) if signed_duration(&text).is_none() => {
            let help = "one looks like `2d`, `-30m` or `1h30m`";
            Some(Problem::new("bad-duration", no_duration(&text)).help(help))
        }
        Value::String(_) | Value::Number(_) => None,
        other => {
            let message = format!("`$add` takes a duration or a number, not {}", shown(&other));
            Some(Problem::new("bad-add", message).help("write a duration such as `2d`, or a number"))
        }
    }
}

/// # Errors
/// The sentence on what cannot be added.
pub(super) fn add(value: &Value, more: Option<&Value>, locale: &Locale) -> Result<Value, String> {
    match (value, more) {
        (_, None | Some(Value::Null)) => Err("what `$add` adds is missing".to_owned()),
        (Value::Number(_), Some(more @ Value::Number(_))) => {
            sum(value, more).ok_or_else(|| "the sum is too large".to_owned())
        }
        (Value::String(time), Some(Value::String(text))) => {
            let duration = signed_duration(text).ok_or_else(|| no_duration(text))?;
            later(time, duration, locale).map(Value::String)
        }
        (_, Some(more)) => Err(format!(
            "`$add` adds a duration to a time or a number to a number, not {} ({}) to {} ({})",
            shown(more),
            kind_of(more),
            shown(value),
            kind_of(value)
        )),
    }
}

/// The time so much later. A plain date stays one when whole days are added.
fn later(time: &str, duration: TimeDelta, locale: &Locale) -> Result<String, String> {
    if let Some(date) = read_date(time.trim()).filter(|_| duration == TimeDelta::days(duration.num_days())) {
        let moved = date.checked_add_signed(duration);
        return moved.map(|date| date.to_string()).ok_or_else(|| "the time is out of range".to_owned());
    }
    let instant = read_time(time, locale)
        .ok_or_else(|| format!("`$add` adds a duration to a time, and {} is none", shown(&Value::from(time))))?;
    let moved = instant.checked_add_signed(duration);
    moved.map(write_time).ok_or_else(|| "the time is out of range".to_owned())
}

fn no_duration(text: &str) -> String {
    format!("`{text}` is no duration")
}

fn signed_duration(text: &str) -> Option<TimeDelta> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let duration = TimeDelta::from_std(parse_duration(text)?).ok()?;
    Some(if negative { -duration } else { duration })
}
