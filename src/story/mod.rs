//! What happened, in words: of runs, of syncs and of values; secrets never.
//!
//! The command line and whoever else speaks to people tell the same.

mod run;
pub mod shown;
pub mod survey;
mod sync;

use std::fmt::Display;

use serde_json::{Value, json};

use crate::store::{self, Deed, Filter, Run, Store};

pub use run::{Asked, Line, Story};
pub use sync::{answers, asks, choice, difference};

/// A run by its number, its id, or a beginning of its id that no other run has.
///
/// # Errors
/// The store's; `Ambiguous` when several ids begin so.
pub async fn called(store: &Store, name: &str) -> Result<Option<Run>, store::Error> {
    if !is_number(name) {
        return store.run(name).await;
    }
    let Ok(number) = name.parse::<i64>() else { return Ok(None) };
    let filter = Filter { before: number.checked_add(1), limit: 1, ..Filter::default() };
    Ok(store.runs(filter).await?.pop().filter(|run| run.seq == number))
}

/// Is it a run's number? An id never reads like one, since ids begin with `0`.
pub fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) && !name.starts_with('0')
}

/// An instant in milliseconds: so long ago, a date, or as RFC 3339 has it.
///
/// # Errors
/// How to write it.
pub fn when(text: &str) -> Result<i64, String> {
    let now = chrono::Utc::now();
    let ago = crate::expr::parse_duration(text)
        .and_then(|ago| now.checked_sub_signed(chrono::TimeDelta::from_std(ago).ok()?));
    let date = || Some(chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    let instant = || Some(chrono::DateTime::parse_from_rfc3339(text).ok()?.to_utc());
    let found = ago.or_else(date).or_else(instant).map(|found| found.timestamp_millis());
    found.ok_or_else(|| "write `2h` for two hours ago, a date, or an instant such as `2026-11-24T12:00:00Z`".into())
}

/// What somebody has done from outside, as JSON.
pub fn deed(deed: &Deed) -> Value {
    json!({
        "number": deed.number, "at": shown::instant(deed.at_ms), "who": deed.who, "from": deed.origin, "what": deed.what,
        "about": deed.about,
    })
}

pub fn count(number: impl Display + PartialEq + From<u8>, what: &str) -> String {
    let ending = if number == 1.into() { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// A text in one line of so many characters at most.
pub fn shortened(text: &str, width: usize) -> String {
    let line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    if line.chars().count() <= width {
        return line;
    }
    let cut: String = line.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}
