//! What the answers of a live account show beside what its connector says, and the override that would fit them.
//!
//! ```text
//!  answers of one object ─┬─ envelope: where the records are ─▶ records ─ fields, identity ─┐
//!                         └─ paging, limits ────────────────────────────────────────────────┴─▶ notes, override
//! ```
//! Names of fields, kinds of values and counts are told, and no value of a record. What is suggested is what the answers
//! show; what is guessed says so.

mod envelope;
mod fields;
mod identity;
mod limits;
mod observed;
mod overriding;
mod paging;

use serde::Serialize;
use serde_json::Value;

use super::{Connector, Object, Operation, Page, Response};

pub use fields::{Absent, New, Other};
pub use limits::limits;
pub use overriding::Override;

/// An operation that was asked, and what it answered, page by page.
#[derive(Debug)]
pub struct Heard<'c> {
    pub operation: &'c Operation,
    pub pages: Vec<(Page, Response)>,
    /// Why the list cannot go on, if it is at fault.
    pub ended: Option<String>,
}

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// `answer`, `paging`, `fields`, `identity` or `limits`.
    pub what: &'static str,
    /// It is as the connector says.
    pub good: bool,
    pub told: String,
}

impl Note {
    fn good(what: &'static str, told: impl Into<String>) -> Note {
        Note { what, good: true, told: told.into() }
    }

    fn look(what: &'static str, told: impl Into<String>) -> Note {
        Note { what, good: false, told: told.into() }
    }
}

/// What came of comparing one object.
#[derive(Debug, Default, Serialize)]
pub struct Compared {
    pub notes: Vec<Note>,
    /// Declared, and in no record that was seen; with `required` those that the schema promises.
    pub absent: Vec<fields::Absent>,
    /// In the records, and not in the schema.
    pub new: Vec<fields::New>,
    /// Of another type than the schema says.
    pub other: Vec<fields::Other>,
}

/// Compares what was heard of one object, and adds to the override what would fit. `written`: the connector's document.
pub fn compare(
    connector: &Connector,
    object: &Object,
    heard: &[Heard<'_>],
    written: &Value,
    over: &mut Override,
) -> Compared {
    let mut compared = Compared::default();
    let mut records: Vec<(&Operation, Vec<Value>)> = Vec::new();
    for one in heard {
        let operation = one.operation;
        let found = envelope::records(object, one, &mut compared.notes, over);
        if operation.lists {
            paging::compare(object, one, &found, written, &mut compared.notes, over);
        }
        records.push((operation, found.into_iter().flatten().filter(Value::is_object).collect()));
    }
    fields::compare(connector, object, &records, written, &mut compared, over);
    identity::compare(connector, object, &records, written, &mut compared.notes, over);
    compared
}

/// The id of a record that was seen: to ask for it alone, or for what lies under it.
pub fn id_of(connector: &Connector, object: &Object, heard: &Heard<'_>) -> Option<Value> {
    let found = envelope::records(object, heard, &mut Vec::new(), &mut Override::default());
    let record = found.into_iter().flatten().next()?;
    let record = heard.operation.shape(connector, &record, &Default::default());
    super::value_of(&record, &object.id).filter(|id| id.is_string() || id.is_number()).cloned()
}

/// `3 records`, `1 page`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Names in backticks, some of many.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const SHOWN: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `page_size`, `pageSize` and `page[size]` are one name.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}
