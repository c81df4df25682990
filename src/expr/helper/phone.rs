//! `phone`: a telephone number in E.164; what cannot be read stays as it is.

use serde_json::Value;

use super::{Call, Helper};
use crate::expr::e164;

pub(super) const HELPER: Helper = Helper {
    reads_locale: true,
    ..Helper::new(
        "phone",
        "{{phone contact.phone contact.country}}",
        "A telephone number in the form that all countries understand. Takes the number and its country, by default the project's. What cannot be read stays as it is.",
        1..=2,
        run,
    )
};

fn run(call: &Call<'_>) -> Result<Value, String> {
    let number = call.text(0)?;
    let country = call.optional_text(1)?;
    let country = country.as_deref().filter(|name| !name.is_empty()).or(call.locale.country.as_deref());
    Ok(Value::String(e164(&number, country).unwrap_or_else(|| number.into_owned())))
}
