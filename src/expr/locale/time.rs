//! Times as they are found in the wild, read into instants.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;

use super::Locale;

/// Longer texts are no times.
const LENGTH_MAX: usize = 40;

/// Reads an instant: RFC 3339, or a local date-time or date in the locale's zone (its midnight).
///
/// Where a zone's clock jumps, a local time can have two readings (in autumn it comes twice) or none (in spring it is
/// skipped; the offsets before and after the jump then give two). The earlier instant counts.
pub fn read_time(text: &str, locale: &Locale) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if !looks_like_time(text) {
        return None;
    }
    if let Some(date) = read_date(text) {
        return in_zone(date.and_time(NaiveTime::MIN), locale.timezone);
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(instant.with_timezone(&Utc));
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(instant) = DateTime::parse_from_str(text, format) {
            return Some(instant.with_timezone(&Utc));
        }
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .and_then(|local| in_zone(local, locale.timezone))
}

/// A plain date, `2026-07-20`, and nothing more.
pub fn read_date(text: &str) -> Option<NaiveDate> {
    (text.len() == 10 && looks_like_time(text)).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// An instant as it is written to others: RFC 3339 in UTC with milliseconds, `2026-07-20T10:00:00.000Z`.
pub fn write_time(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Begins as `2026-07-20` does: cheap, and keeps texts such as `7` or `10:00` from being taken for times.
pub fn looks_like_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    (10..=LENGTH_MAX).contains(&bytes.len())
        && digits(0..4)
        && bytes[4] == b'-'
        && digits(5..7)
        && bytes[7] == b'-'
        && digits(8..10)
}

/// The instant at which a clock in the zone shows the local time: the first, if it does twice. A time that the clock skips is
/// read by the offset before the jump, so that it comes as much later as the clock jumps (RFC 5545 section 3.3.5).
fn in_zone(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    if let Some(instant) = zone.from_local_datetime(&local).earliest() {
        return Some(instant.with_timezone(&Utc));
    }
    // A gap: no jump is longer than a day, so the offsets a day before and after are those on both sides of it.
    let around = [local.checked_sub_days(Days::new(1))?, local.checked_add_days(Days::new(1))?];
    around
        .iter()
        .filter_map(|near| local.checked_sub_offset(zone.offset_from_utc_datetime(near).fix()))
        .max()
        .map(|instant| instant.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_zone_of_the_project() {
        let london = Locale { timezone: Tz::Europe__London, country: None };
        let table: &[(&str, Option<&str>)] = &[
            ("2026-07-20T10:00:00Z", Some("2026-07-20T10:00:00.000Z")),
            ("2026-07-20T10:00:00.123+02:00", Some("2026-07-20T08:00:00.123Z")),
            ("2026-07-20T10:00:00+0200", Some("2026-07-20T08:00:00.000Z")),
            ("2026-07-20 10:00:00 +0200", Some("2026-07-20T08:00:00.000Z")),
            ("2026-07-20 10:00", Some("2026-07-20T09:00:00.000Z")),
            ("2026-07-20T10:00:00", Some("2026-07-20T09:00:00.000Z")),
            ("2026-01-20T10:00:00", Some("2026-01-20T10:00:00.000Z")),
            (" 2026-07-20 ", Some("2026-07-19T23:00:00.000Z")),
            // Skipped on 29 March 2026, when the clock goes from 01:00 to 02:00.
            ("2026-03-29 01:30", Some("2026-03-29T01:30:00.000Z")),
            // Twice on 25 October 2026: first in summer time.
            ("2026-10-25 01:30", Some("2026-10-25T00:30:00.000Z")),
            ("2026-02-30", None),
            ("2026-07-20T25:00:00Z", None),
            ("20.07.2026", None),
            ("10:00", None),
            ("1784541600", None),
            ("tomorrow", None),
            ("", None),
            ("2026-07-20é", None),
        ];
        for (text, expected) in table {
            assert_eq!(read_time(text, &london).map(write_time).as_deref(), *expected, "{text}");
        }
    }

    #[test]
    fn a_whole_day_that_a_zone_skipped_is_read_too() {
        let apia = Locale { timezone: Tz::Pacific__Apia, country: None };
        assert_eq!(read_time("2011-12-30 12:00", &apia).map(write_time).as_deref(), Some("2011-12-30T22:00:00.000Z"));
    }
}
