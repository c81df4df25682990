//! Telephone numbers in E.164, from what people type.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Calling codes, trunk prefixes and lengths: data, one country a line.
static COUNTRIES: LazyLock<HashMap<&'static str, Country>> =
    LazyLock::new(|| include_str!("calling-codes.txt").lines().filter_map(Country::read).collect());

/// Calling codes of no country: freephone, satellites, networks.
const WORLDWIDE: &[&str] = &["800", "808", "870", "878", "881", "882", "883", "888", "979"];

/// Longer texts are no numbers.
const LENGTH_MAX: usize = 40;

struct Country {
    code: &'static str,
    plan: Option<Plan>,
}

/// How numbers are dialled inside a country.
struct Plan {
    trunk: &'static str,
    trunk_required: bool,
    digits: std::ops::RangeInclusive<usize>,
}

impl Country {
    fn read(line: &'static str) -> Option<(&'static str, Country)> {
        let words: Vec<&'static str> = line.split(' ').collect();
        let [name, code, trunk, digits] = words[..] else { return None };
        if name.starts_with('#') {
            return None;
        }
        let plan = digits.split_once('-').and_then(|(least, most)| {
            Some(Plan {
                trunk: trunk.trim_end_matches('?').trim_start_matches('-'),
                trunk_required: !trunk.ends_with('?') && trunk != "-",
                digits: least.parse().ok()?..=most.parse().ok()?,
            })
        });
        Some((name, Country { code, plan }))
    }

    /// A number as dialled at home, with the calling code before it.
    fn dialled_at_home(&self, digits: &str) -> Option<String> {
        let plan = self.plan.as_ref()?;
        let national = match digits.strip_prefix(plan.trunk) {
            Some(rest) if !plan.trunk.is_empty() && plan.digits.contains(&rest.len()) => rest,
            _ if plan.trunk_required => return None,
            _ => digits,
        };
        let fits = plan.digits.contains(&national.len()) && (self.code != "1" || is_north_american(national));
        fits.then(|| format!("+{}{national}", self.code))
    }
}

/// A telephone number in E.164 (`+447700900123`): separators dropped, `00` and the national trunk prefix understood by the
/// country's calling code. None if it cannot be read with certainty.
pub fn e164(text: &str, country: Option<&str>) -> Option<String> {
    let number = Typed::read(text)?;
    let country = country.map(str::to_ascii_uppercase).and_then(|name| COUNTRIES.get(name.as_str()));
    let international = match country {
        _ if number.plus => Some(number.digits.as_str()),
        Some(at_home) if at_home.code == "1" => number.digits.strip_prefix("011"),
        _ => number.digits.strip_prefix("00"),
    };
    let whole = match international {
        Some(digits) => from_abroad(digits)?,
        None => country?.dialled_at_home(&number.digits)?,
    };
    // E.164 allows 15 digits; below 8 a typing error is likelier than one of the few such short numbers.
    (8..=15).contains(&(whole.len() - 1)).then_some(whole)
}

/// A number that begins with a calling code. A trunk prefix after it (`+44 0…`) is dropped where it must be dialled at
/// home, since no number of such a country begins with it.
fn from_abroad(digits: &str) -> Option<String> {
    let known = |length: usize| {
        let code = digits.get(..length)?;
        let country = COUNTRIES.values().find(|country| country.code == code);
        (country.is_some() || WORLDWIDE.contains(&code)).then_some((code, country))
    };
    let (code, country) = (1..=3).find_map(known)?;
    let national = &digits[code.len()..];
    if code == "1" && !is_north_american(national) {
        return None;
    }
    let plan = country.and_then(|country| country.plan.as_ref());
    let drops_zero = plan.is_some_and(|plan| plan.trunk == "0" && plan.trunk_required);
    let national = national.strip_prefix('0').filter(|_| drops_zero).unwrap_or(national);
    // What still begins with 0 is no number, save in Italy, where the 0 belongs to it.
    (code == "39" || !national.starts_with('0')).then(|| format!("+{code}{national}"))
}

/// Ten digits; area and exchange begin with 2 to 9 (North American Numbering Plan).
fn is_north_american(national: &str) -> bool {
    let bytes = national.as_bytes();
    bytes.len() == 10 && (b'2'..=b'9').contains(&bytes[0]) && (b'2'..=b'9').contains(&bytes[3])
}

/// A number as typed, without its separators.
struct Typed {
    plus: bool,
    digits: String,
}

impl Typed {
    fn read(text: &str) -> Option<Typed> {
        let text = text.trim();
        if text.len() > LENGTH_MAX {
            return None;
        }
        let (plus, rest) = match text.strip_prefix('+') {
            // `+44 (0)20 …`: the 0 in brackets is for callers at home.
            Some(rest) => (true, rest.replacen("(0)", "", 1)),
            None => (false, text.to_owned()),
        };
        let mut digits = String::with_capacity(rest.len());
        for character in rest.chars() {
            match character {
                '0'..='9' => digits.push(character),
                ' ' | '\u{a0}' | '\u{202f}' | '-' | '\u{2010}' | '\u{2011}' | '\u{2013}' | '.' | '/' | '(' | ')' => {}
                _ => return None,
            }
        }
        Some(Typed { plus, digits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_certainty_or_not_at_all() {
        let table: &[(&str, Option<&str>, Option<&str>)] = &[
            ("+44 7700 900123", None, Some("+447700900123")),
            ("+44 (0)7700 900-123", None, Some("+447700900123")),
            ("+44 07700 900123", None, Some("+447700900123")),
            ("0044 7700 900123", None, Some("+447700900123")),
            ("07700 900123", Some("GB"), Some("+447700900123")),
            ("07700 900123", Some("gb"), Some("+447700900123")),
            ("07700 900123", None, None),
            ("7700 900123", Some("GB"), None),
            ("(020) 7946.0018", Some("GB"), Some("+442079460018")),
            ("030 1234567", Some("DE"), Some("+49301234567")),
            ("06 1234 5678", Some("IT"), Some("+390612345678")),
            ("+39 06 1234 5678", None, Some("+390612345678")),
            ("912 345 678", Some("ES"), Some("+34912345678")),
            ("8 (912) 345-67-89", Some("RU"), Some("+79123456789")),
            ("06 20 123 4567", Some("HU"), Some("+36201234567")),
            ("(415) 555-2671", Some("US"), Some("+14155552671")),
            ("1 415 555 2671", Some("US"), Some("+14155552671")),
            ("011 44 7700 900123", Some("US"), Some("+447700900123")),
            ("555-2671", Some("US"), None),
            ("115 555 2671", Some("US"), None),
            ("+1 415 555 26711", None, None),
            ("098765 43210", Some("IN"), Some("+919876543210")),
            ("98765 43210", Some("IN"), Some("+919876543210")),
            ("(11) 91234-5678", Some("BR"), Some("+5511912345678")),
            ("011 4123 4567", Some("AR"), None),
            ("+54 9 11 4123 4567", None, Some("+5491141234567")),
            ("+800 1234 5678", None, Some("+80012345678")),
            ("+999 1234 5678", None, None),
            ("+49 1", None, None),
            ("+4912345678901234", None, None),
            ("07700 900123 ext 4", Some("GB"), None),
            ("07700 900123", Some("XX"), None),
            ("+", None, None),
            ("", Some("GB"), None),
            ("٠٧٧٠٠", Some("GB"), None),
        ];
        for (text, country, expected) in table {
            assert_eq!(e164(text, *country).as_deref(), *expected, "{text} in {country:?}");
        }
    }

    #[test]
    fn every_country_has_a_line() {
        assert!(COUNTRIES.len() > 240, "{}", COUNTRIES.len());
        for (name, country) in COUNTRIES.iter() {
            assert_eq!(name.len(), 2, "{name}");
            assert!(country.code.bytes().all(|digit| digit.is_ascii_digit()), "{name}");
        }
        let lines = include_str!("calling-codes.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(COUNTRIES.len(), lines, "a line that cannot be read, or a country twice");
    }

    #[test]
    fn a_read_number_is_read_again_as_itself() {
        for text in ["+447700900123", "+390612345678", "+14155552671", "+79123456789"] {
            assert_eq!(e164(text, Some("DE")).as_deref(), Some(text));
        }
    }
}
