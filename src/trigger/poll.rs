//! From a list's answer to events: what is new or different since the last look.
//!
//! That a record is missing in a whole list proves nothing: it makes a hint, which counts once reading the record says that it
//! is gone.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
    /// By id, see [`Mark`].
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
/// Records that are missing at once; the others are missed the next time.
const MISSING_MAX: usize = 500;
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
    let mut next = Seen { started: true, ..seen.clone() };
    let mut events = Vec::new();
    if feed.by.is_none() && records.len() < RECORDS_MAX {
        events = missing(connector, object, &found, &mut next, now_ms);
    }
    for record in found {
        let known = next.records.get(&record.id).map(|mark| Mark::read(mark));
        if known.as_ref().is_some_and(|known| known.hash == record.hash && !known.is_missing) {
            continue;
        }
        let is_new = known.is_none();
        let is_back = known.is_some_and(|known| known.hash == record.hash);
        next.changes += 1;
        let parent = record::parent_id(object, record.content).unwrap_or_default();
        let mark = Mark { number: next.changes, hash: &record.hash, is_missing: false, parent: parent.as_deref() };
        next.records.insert(record.id.clone(), mark.to_string());
        if is_back {
            continue;
        }
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

/// What was listed and is not any more. It is remembered once more: what is only left out now and then is nothing new when it
/// is listed again.
fn missing(connector: &Connector, object: &Object, found: &[Found], next: &mut Seen, now_ms: i64) -> Vec<Event> {
    let listed: HashSet<&str> = found.iter().map(|record| record.id.as_str()).collect();
    let get = connector.operation(&format!("{}.get", object.name));
    let parent = object.parent.as_ref().map(|parent| parent.id.as_str());
    let needs_parent = get.is_some_and(|get| get.input_holes().any(|hole| Some(hole) == parent));
    let (mut events, mut marks) = (Vec::new(), Vec::new());
    // A list that is suddenly empty is suspect: to forget all would make everything new again.
    let is_suspect = found.is_empty();
    next.records.retain(|id, mark| {
        let known = Mark::read(mark);
        if listed.contains(id.as_str()) || known.is_missing && is_suspect || events.len() >= MISSING_MAX {
            return true;
        }
        if known.is_missing {
            return false;
        }
        let Some(get) = get.filter(|_| !needs_parent || known.parent.is_some()) else { return is_suspect };
        let mut record = Map::from_iter([(object.id.clone(), Value::from(id.as_str()))]);
        if let (Some(parent), Some(id)) = (&object.parent, known.parent) {
            record.insert(parent.id.clone(), id.into());
        }
        events.push(Event {
            id: format!("poll:{}:{id}:missing:{}", object.name, known.number),
            source: connector.name.clone(),
            kind: "deleted".into(),
            time_ms: now_ms,
            object: Some(object.name.clone()),
            record_id: Some(id.clone()),
            parent_id: known.parent.map(str::to_owned),
            record: Value::Object(record),
            read_with: Some(get.name.clone()),
            ..Event::default()
        });
        marks.push((id.clone(), Mark { is_missing: true, ..known }.to_string()));
        true
    });
    next.records.extend(marks);
    events
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
                |record: &Found| seen.records.get(&record.id).is_some_and(|mark| Mark::read(mark).hash == record.hash);
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

/// What is remembered of a record: `7:2c26b4`, `7:2c26b4:-` of one that is missing, `7:2c26b4::c1` of one that lives under
/// another.
struct Mark<'m> {
    /// Of its last change.
    number: u64,
    /// Of its content.
    hash: &'m str,
    is_missing: bool,
    parent: Option<&'m str>,
}

impl<'m> Mark<'m> {
    fn read(text: &'m str) -> Self {
        let mut parts = text.splitn(4, ':');
        let number = parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let hash = parts.next().unwrap_or_default();
        let is_missing = parts.next() == Some("-");
        Self { number, hash, is_missing, parent: parts.next() }
    }
}

impl fmt::Display for Mark<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.number, self.hash)?;
        if self.is_missing || self.parent.is_some() {
            formatter.write_str(if self.is_missing { ":-" } else { ":" })?;
        }
        self.parent.map_or(Ok(()), |parent| write!(formatter, ":{parent}"))
    }
}

fn forget_oldest(records: &mut BTreeMap<String, String>) {
    let Some(surplus) = records.len().checked_sub(RECORDS_MAX).filter(|surplus| *surplus > 0) else { return };
    let number = |mark: &str| Mark::read(mark).number;
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
