//! `replace`: text with one part put in place of another.

use serde_json::Value;

use super::{Call, Helper, fits};

pub(super) const HELPER: Helper = Helper {
    check,
    ..Helper::new(
        "replace",
        "{{replace contact.phone \" \" \"\"}}",
        "Text with one part put in place of another, everywhere. Takes the text, the part, and what comes in its place.",
        3..=3,
        run,
    )
};

fn check(constants: &[Option<&Value>]) -> Result<(), String> {
    match constants.get(1) {
        Some(Some(Value::String(part))) if part.is_empty() => Err("`replace` cannot look for nothing".to_owned()),
        _ => Ok(()),
    }
}

fn run(call: &Call<'_>) -> Result<Value, String> {
    let (text, part, by) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if part.is_empty() {
        return Err("`replace` cannot look for nothing".to_owned());
    }
    let added = text.matches(part.as_ref()).count().saturating_mul(by.len());
    fits(text.len().saturating_add(added))?;
    Ok(Value::String(text.replace(part.as_ref(), &by)))
}
