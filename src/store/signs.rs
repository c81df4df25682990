//! How what is sought is recognised in what is stored: by ids in quotes, by an e-mail address, by the digits of a number.
//!
//! Everything is looked through, so that each text costs little more than to be read: no copy is made of it.

use std::collections::BTreeSet;

use memchr::{memchr_iter, memchr2_iter};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::Error;
use crate::run::RecordRef;
use crate::trigger::Event;

/// Ids that are shorter may stand anywhere: only what says whose they are counts.
const TELLING: usize = 8;
/// Ids that are looked for at once.
const AT_ONCE: usize = 1_000;
/// What such a search may take, in bytes.
const SEARCH_MAX: usize = 256 * 1024 * 1024;

pub struct Signs {
    pub records: BTreeSet<RecordRef>,
    /// Where none of these is, no id is.
    ids: Vec<Regex>,
    text: Option<Text>,
}

pub enum Text {
    /// In small letters.
    Letters(String),
    /// A phone number: only its digits count.
    Digits(String),
}

impl Text {
    pub fn of(text: &str) -> Text {
        let is_number = text.chars().all(|character| character.is_ascii_digit() || is_between(character));
        if is_number { Text::Digits(digits(text)) } else { Text::Letters(text.to_lowercase()) }
    }

    pub fn is_in(&self, json: &[u8]) -> bool {
        match self {
            Text::Letters(letters) if json.is_ascii() => are_in(letters.as_bytes(), json),
            Text::Letters(letters) => String::from_utf8_lossy(json).to_lowercase().contains(letters),
            Text::Digits(number) => {
                let Some((first, rest)) = number.as_bytes().split_first() else { return true };
                memchr_iter(*first, json).any(|at| follow(rest, &json[at + 1..]))
            }
        }
    }

    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Text::Letters(letters), Value::String(text)) => text.to_lowercase() == *letters,
            (Text::Digits(number), Value::String(text)) => Text::of(text).is_digits() && digits(text) == *number,
            _ => false,
        }
    }

    fn is_digits(&self) -> bool {
        matches!(self, Text::Digits(_))
    }
}

/// Are these small letters in a text, whatever the case there? Looks where the rarest of them is.
fn are_in(letters: &[u8], text: &[u8]) -> bool {
    let anchor = letters.iter().position(|letter| *letter == b'@').unwrap_or(0);
    let Some(rare) = letters.get(anchor) else { return true };
    let is_at = |at: usize| {
        let from = at.checked_sub(anchor);
        let found = from.and_then(|from| text.get(from..from + letters.len()));
        found.is_some_and(|found| found.eq_ignore_ascii_case(letters))
    };
    memchr2_iter(*rare, rare.to_ascii_uppercase(), text).any(is_at)
}

/// Does a text go on with these digits, whatever stands between them?
fn follow(digits: &[u8], text: &[u8]) -> bool {
    let mut text = text.iter().filter(|byte| !is_between(char::from(**byte)));
    digits.iter().all(|digit| text.next() == Some(digit))
}

/// As JSON writes it.
fn quoted(id: &str) -> String {
    Value::from(id).to_string()
}

/// What people write between the digits of a number.
fn is_between(character: char) -> bool {
    " +-().".contains(character)
}

fn digits(text: &str) -> String {
    text.chars().filter(|character| !is_between(*character)).collect()
}

impl Signs {
    pub fn new(records: BTreeSet<RecordRef>, text: Option<Text>) -> Result<Signs, Error> {
        let ids: Vec<String> = records.iter().map(|record| regex::escape(&quoted(&record.id))).collect();
        let search = |some: &[String]| RegexBuilder::new(&some.join("|")).size_limit(SEARCH_MAX).build();
        let ids = ids.chunks(AT_ONCE).map(search).collect::<Result<_, _>>();
        let ids = ids.map_err(|error| Error::Failed(format!("the ids cannot be looked for: {error}")))?;
        Ok(Signs { records, ids, text })
    }

    pub fn are_in(&self, json: &[u8]) -> bool {
        let is_quoted = |id: &str| id.len() >= TELLING && memchr::memmem::find(json, quoted(id).as_bytes()).is_some();
        self.text.as_ref().is_some_and(|text| text.is_in(json))
            || (self.may_be_of(json) && self.records.iter().any(|record| is_quoted(&record.id)))
    }

    /// Is an id of the records anywhere in it?
    pub fn may_be_of(&self, json: &[u8]) -> bool {
        self.ids.iter().any(|ids| ids.is_match(json))
    }

    /// Is the event about one of the records, or about a child of one?
    pub fn are_of(&self, event: &Event) -> bool {
        let connection = event.connection.as_deref();
        self.records.iter().any(|record| {
            let is_it = event.object.as_deref() == Some(&record.object) && event.record_id.as_ref() == Some(&record.id);
            connection == Some(&record.connection) && (is_it || event.parent_id.as_ref() == Some(&record.id))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(ids: &[&str], text: Option<&str>) -> Signs {
        let record = |id: &&str| RecordRef { connection: "crm".into(), object: "contact".into(), id: (*id).into() };
        Signs::new(ids.iter().map(record).collect(), text.map(Text::of)).unwrap()
    }

    #[test]
    fn an_address_is_found_in_any_case_and_anywhere() {
        let ada = signs(&[], Some("Ada@Example.com"));
        for text in [
            "ada@example.com",
            "ADA@EXAMPLE.COM",
            "é <Ada@example.COM>",
            "@@ada@example.com@",
            "x.ada@example.community",
        ] {
            assert!(ada.are_in(format!("{{\"text\":\"{text}\"}}").as_bytes()), "{text}");
        }
        for text in ["ad@example.com", "ada@example.org", "ada @example.com", "da@example.com", "é", ""] {
            assert!(!ada.are_in(text.as_bytes()), "{text}");
        }
        assert!(signs(&[], Some("Éva@example.com")).are_in("éVA@EXAMPLE.com".as_bytes()));
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        let number = signs(&[], Some("+44 20 7946 0018"));
        for text in ["+442079460018", "(44) 20-7946.0018", "4444 20 7946 00189", "442079442079460018"] {
            assert!(number.are_in(text.as_bytes()), "{text}");
        }
        for text in ["44207946001", "442079/460018", "4 4 2 0"] {
            assert!(!number.are_in(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn ids_count_in_quotes_and_short_ones_only_where_it_is_said_whose_they_are() {
        let of = signs(&["4hTmBqk1Zx", "17", "a.c+d(efgh"], None);
        assert!(of.are_in(br#"{"id":"4hTmBqk1Zx"}"#) && of.are_in(br#"{"id":"a.c+d(efgh"}"#));
        assert!(
            !of.are_in(br#"{"id":"x4hTmBqk1Zx"}"#) && !of.are_in(br#"{"id":"17"}"#) && !of.are_in(b"\"abc+d(efgh\"")
        );
        assert!(of.may_be_of(br#"{"id":"17"}"#));
        let odd = signs(&["\"he said\"\n", "C:\\contacts"], None);
        for id in ["\"he said\"\n", "C:\\contacts"] {
            let json = serde_json::json!({ "id": id }).to_string();
            assert!(odd.are_in(json.as_bytes()) && odd.may_be_of(json.as_bytes()), "{json}");
        }
        let event = |id: &str| Event {
            connection: Some("crm".into()),
            object: Some("contact".into()),
            record_id: Some(id.into()),
            ..Event::default()
        };
        assert!(of.are_of(&event("17")) && !of.are_of(&event("18")));
        let many: Vec<String> = (0..2_500).map(|number| format!("record-{number:06}")).collect();
        let many = signs(&many.iter().map(String::as_str).collect::<Vec<_>>(), None);
        assert!(many.are_in(b"\"record-002499\"") && !many.are_in(b"\"record-002500\""));
        assert!(!signs(&[], None).are_in(b"anything"));
    }
}
