//! `truncate`: text of at most so many characters, with `…` where some are left out.

use serde_json::Value;

use super::{Call, Helper, not};

pub(super) const HELPER: Helper = Helper {
    check,
    ..Helper::new(
        "truncate",
        "{{truncate note.body 80}}",
        "Text of at most so many characters. Takes the text, the length, and what ends a text that was cut, by default `…`.",
        2..=3,
        run,
    )
};

fn check(constants: &[Option<&Value>]) -> Result<(), String> {
    match constants.get(1) {
        Some(Some(length)) if length.as_u64().is_none() => Err(not(length, "a number of characters")),
        _ => Ok(()),
    }
}

fn run(call: &Call<'_>) -> Result<Value, String> {
    let text = call.text(0)?;
    let wanted = call.present(1)?;
    let length = wanted.as_u64().and_then(|length| usize::try_from(length).ok());
    let length = length.ok_or_else(|| not(wanted, "a number of characters"))?;
    if text.chars().nth(length).is_none() {
        return Ok(Value::String(text.into_owned()));
    }
    let ending = call.optional_text(2)?.unwrap_or("…".into());
    let kept = length.saturating_sub(ending.chars().count());
    let short = text.chars().take(kept).chain(ending.chars()).take(length);
    Ok(Value::String(short.collect()))
}
