//! From a list's answer to events: what is new or different since the last look.
//!
//! Nothing is concluded from absence: a record that is no longer listed makes no event.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Event, record};
use crate::connector::{Connector, Feed, Object};

/// What a poll remembers: per record id, a hash of its content; and the newest value of the `by` field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// False until a first pass has completed: the past makes no events.
    pub started: bool,
    /// When the list was first listened to: what is younger is no past, even on the first pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    pub newest: Option<String>,
    /// By id: the number of its last change, a colon, and the hash of its content.
    pub records: BTreeMap<String, String>,
    /// How many changes were noticed so far. Orders the records by age, and tells a content that comes back apart.
    #[serde(default)]
    pub changes: u64,
}

impl Seen {
    /// Does a record lie so near to the newest one seen that others may still turn up beside it?
    pub fn reaches(&self, object: &Object, feed: &Feed, content: &Value) -> bool {
        let by = feed.by.as_deref().and_then(|by| record::field(object, content, by)).and_then(record::time_ms);
        by.is_some_and(|instant| in_overlap(feed, self, instant))
    }
}

/// The result of one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Polled {
    pub events: Vec<Event>,
    pub seen: Seen,
}

/// Of lists read by a field only the newest records are remembered; of whole lists, what is in the list.
const RECORDS_MAX: usize = 100_000;
/// A time that is further ahead is a mistake of the record: it must not hide the changes to come.
const AHEAD_MAX_MS: i64 = 24 * 60 * 60 * 1000;

/// Compares a completed pass with what was seen; events come oldest first.
///
/// `records` are the pages as read, in the order of the list. Read `newest_first`, the past begins at the first record
/// that is known and unchanged and lies before the `overlap`. The same pass again, after a crash, gives the same ids.
pub fn changes(
    connector: &Connector,
    object: &Object,
    feed: &Feed,
    seen: &Seen,
    records: &[Value],
    now_ms: i64,
) -> Polled {
    let found = in_order(feed, seen, read(object, feed, records));
    if found.is_empty() && feed.by.is_none() && !seen.records.is_empty() {
        // A list that is suddenly empty is suspect: forgetting all would make everything new again.
        return Polled { events: Vec::new(), seen: seen.clone() };
    }
    let mut next = Seen { started: true, ..seen.clone() };
    if feed.by.is_none() {
        let listed: HashSet<&str> = found.iter().map(|record| record.id.as_str()).collect();
        next.records.retain(|id, _| listed.contains(id.as_str()));
    }
    let mut events = Vec::new();
    for record in found {
        let known = next.records.get(&record.id).map(|mark| hash_of(mark));
        if known == Some(record.hash.as_str()) {
            continue;
        }
        let is_new = known.is_none();
        next.changes += 1;
        next.records.insert(record.id.clone(), format!("{}:{}", next.changes, record.hash));
        next.newest = newer(next.newest.take(), &record, now_ms);
        if seen.started {
            events.push(event(connector, object, &record, is_new, next.changes, now_ms));
        } else if let Some(is_new) = younger(object, &record, seen.since_ms) {
            events.push(event(connector, object, &record, is_new, next.changes, now_ms));
        }
    }
    if feed.by.is_some() {
        forget_oldest(&mut next.records);
    }
    Polled { events, seen: next }
}

/// On a first pass: is a record younger than the listening? If so, was it made since, or only changed?
fn younger(object: &Object, found: &Found, since_ms: Option<i64>) -> Option<bool> {
    let since_ms = since_ms?;
    let (_, instant) = found.by.as_ref()?;
    if (*instant)? <= since_ms {
        return None;
    }
    let created = object.created_at.as_deref().and_then(|name| record::field(object, found.content, name));
    Some(created.and_then(record::time_ms).is_none_or(|created| created > since_ms))
}

/// A record of the list that has an id.
struct Found<'list> {
    id: String,
    hash: String,
    /// The `by` value: as text, and as an instant if it is one.
    by: Option<(String, Option<i64>)>,
    content: &'list Value,
}

fn read<'list>(object: &Object, feed: &Feed, records: &'list [Value]) -> Vec<Found<'list>> {
    let found = records.iter().filter_map(|content| {
        let id = record::field(object, content, &object.id).and_then(record::id_text)?;
        let by = feed.by.as_deref().and_then(|by| {
            let value = record::field(object, content, by)?;
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some((text, record::time_ms(value)))
        });
        Some(Found { id, hash: content_hash(content), by, content })
    });
    found.collect()
}

/// Without the past, oldest first.
fn in_order<'list>(feed: &Feed, seen: &Seen, mut found: Vec<Found<'list>>) -> Vec<Found<'list>> {
    if feed.newest_first {
        if seen.started && feed.by.is_some() {
            let reaches_back = |record: &Found| lies_in_overlap(feed, seen, record);
            let is_known =
                |record: &Found| seen.records.get(&record.id).is_some_and(|mark| hash_of(mark) == record.hash);
            if let Some(past) = found.iter().position(|record| is_known(record) && !reaches_back(record)) {
                found.truncate(past);
            }
        }
        found.reverse();
    }
    if feed.by.is_some() {
        found.sort_by(|one, other| order(one).cmp(&order(other)));
    }
    found
}

fn order<'record>(record: &'record Found) -> (Option<i64>, Option<&'record str>) {
    match &record.by {
        Some((_, Some(instant))) => (Some(*instant), None),
        Some((text, None)) => (None, Some(text)),
        None => (None, None),
    }
}

/// Records that were written late may still turn up here, among known ones.
fn lies_in_overlap(feed: &Feed, seen: &Seen, record: &Found) -> bool {
    matches!(&record.by, Some((_, Some(instant))) if in_overlap(feed, seen, *instant))
}

fn in_overlap(feed: &Feed, seen: &Seen, instant: i64) -> bool {
    let newest = seen.newest.as_ref().and_then(|newest| record::time_ms(&Value::String(newest.clone())));
    let overlap = i64::try_from(feed.overlap.as_millis()).unwrap_or(i64::MAX);
    newest.is_some_and(|newest| instant > newest.saturating_sub(overlap))
}

fn newer(newest: Option<String>, record: &Found, now_ms: i64) -> Option<String> {
    let Some((text, instant)) = &record.by else { return newest };
    if instant.is_some_and(|instant| instant > now_ms.saturating_add(AHEAD_MAX_MS)) {
        return newest;
    }
    let Some(old) = newest else { return Some(text.clone()) };
    let old_instant = record::time_ms(&Value::String(old.clone()));
    let is_newer = match (instant, old_instant) {
        (Some(instant), Some(old)) => *instant > old,
        _ => *text > old,
    };
    Some(if is_newer { text.clone() } else { old })
}

fn event(connector: &Connector, object: &Object, found: &Found, is_new: bool, change: u64, now_ms: i64) -> Event {
    let said = found.by.as_ref().and_then(|(_, instant)| *instant);
    let changed_at = || object.changed_at.as_deref().and_then(|name| record::field(object, found.content, name));
    let mut id = format!("poll:{}:{}:{}", object.name, found.id, found.hash);
    if !is_new {
        // A content that comes back (open, done, open again) is another event.
        let _ = write!(id, ":{change}");
    }
    Event {
        id,
        source: connector.name.clone(),
        kind: if is_new { "created" } else { "updated" }.to_owned(),
        time_ms: said.or_else(|| changed_at().and_then(record::time_ms)).unwrap_or(now_ms),
        object: Some(object.name.clone()),
        record_id: Some(found.id.clone()),
        parent_id: record::parent_id(object, found.content).unwrap_or_default(),
        record: found.content.clone(),
        ..Event::default()
    }
}

fn hash_of(mark: &str) -> &str {
    mark.split_once(':').map_or(mark, |(_, hash)| hash)
}

fn forget_oldest(records: &mut BTreeMap<String, String>) {
    let Some(surplus) = records.len().checked_sub(RECORDS_MAX).filter(|surplus| *surplus > 0) else { return };
    let number = |mark: &str| mark.split_once(':').and_then(|(number, _)| number.parse::<u64>().ok()).unwrap_or(0);
    let mut ages: Vec<u64> = records.values().map(|mark| number(mark)).collect();
    let (_, youngest_dropped, _) = ages.select_nth_unstable(surplus - 1);
    let youngest_dropped = *youngest_dropped;
    records.retain(|_, mark| number(mark) > youngest_dropped);
}

/// SHA-256 of the canonical JSON: keys sorted, no spaces.
fn content_hash(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    hex::encode(Sha256::digest(text))
}

fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (index, (name, value)) in entries.into_iter().enumerate() {
                let comma = if index > 0 { "," } else { "" };
                let _ = write!(text, "{comma}{}:", Value::String(name.clone()));
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                canonical(item, text);
            }
            text.push(']');
        }
        scalar => {
            let _ = write!(text, "{scalar}");
        }
    }
}
