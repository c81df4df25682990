//! Where times and telephone numbers belong when they do not say it themselves.

mod phone;
mod time;

use chrono_tz::Tz;

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

impl Default for Locale {
    fn default() -> Self {
        Self { timezone: Tz::UTC, country: None }
    }
}
