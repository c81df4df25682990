//! Durations as people write them.

use std::time::Duration;

/// The units from long to short, with their milliseconds.
const UNITS: &[(&str, u64)] =
    &[("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// `90s`, `500ms`, `15m`, `2h`, `3d`, `2w`, and sums such as `1h30m`. Nothing else: a bare number has no unit.
/// In a sum each unit stands once, the longer before the shorter. A day is 24 hours.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total_ms: u64 = 0;
    let mut rest = text;
    let mut units = UNITS;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = rest.get(..letters)?;
        rest = rest.get(letters..)?;
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(count.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

/// A duration as recipes write it: `1h30m`. Of less than a millisecond nothing is left.
pub fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, ms) in UNITS.iter().filter(|(unit, _)| *unit != "w") {
        let count = rest / ms;
        rest %= ms;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let table: &[(&str, Option<u64>)] = &[
            ("90s", Some(90_000)),
            ("500ms", Some(500)),
            ("15m", Some(900_000)),
            ("2h", Some(7_200_000)),
            ("3d", Some(259_200_000)),
            ("2w", Some(1_209_600_000)),
            ("1h30m", Some(5_400_000)),
            ("1m500ms", Some(60_500)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("1.5h", None),
            ("30m1h", None),
            ("1h1h", None),
            ("1 h", None),
            ("1y", None),
            ("99999999999999999999s", None),
            ("18446744073709551615w", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (ms, text) in [(0, "0s"), (1, "1ms"), (90_000, "1m30s"), (3_600_000, "1h"), (259_200_000, "3d")] {
            let duration = Duration::from_millis(ms);
            assert_eq!(duration_text(duration), text);
            assert_eq!(parse_duration(text), Some(duration));
        }
    }
}
