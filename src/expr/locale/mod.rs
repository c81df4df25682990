//! Where times and telephone numbers belong when they do not say it themselves.

mod phone;
mod time;

use std::borrow::Cow;

use chrono_tz::Tz;
use serde_json::Value;

pub use phone::e164;
pub(super) use time::{looks_like_time, read_date};
pub use time::{read_time, write_time};

/// The project's time zone and country; a record's own country goes before it.
#[derive(Clone, Debug)]
pub struct Locale {
    pub timezone: Tz,
    /// ISO 3166 alpha-2, for numbers without `+`.
    pub country: Option<String>,
}

impl Locale {
    /// The same with the country that a record or an account names in its field `country`, if that is one.
    pub fn of_country(&self, named: Option<&Value>) -> Cow<'_, Locale> {
        let code = named.and_then(Value::as_str).map(str::trim);
        match code.filter(|code| code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_alphabetic())) {
            Some(code) => Cow::Owned(Locale { country: Some(code.to_ascii_uppercase()), ..*self }),
            None => Cow::Borrowed(self),
        }
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self { timezone: Tz::UTC, country: None }
    }
}
