//! What the vendor keeps: records by object, in the order of their creation, and the lagging index over them.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::shelf::{Kept, Shelf};

/// More records of one object are refused.
pub const RECORDS_MAX: usize = 100_000;

/// One record's change: what webhooks are made of.
#[derive(Clone, Debug)]
pub struct Change {
    pub object: String,
    pub kind: Kind,
    pub before: Value,
    pub after: Value,
    /// Names of the fields that differ.
    pub changed: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Created,
    Updated,
    Deleted,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Created => "created",
            Kind::Updated => "updated",
            Kind::Deleted => "deleted",
        }
    }
}

#[derive(Debug, Default)]
pub struct Records {
    collections: BTreeMap<String, Collection>,
    /// How many changes there were, those made at the control door included.
    pub writes: u64,
}

#[derive(Debug, Default)]
struct Collection {
    records: Shelf,
    by_id: HashMap<String, u64>,
    next: u64,
    indexed: Shelf,
    /// Changes that the index has not seen: when they were made, which record, and the record unless it was deleted.
    pending: VecDeque<(DateTime<Utc>, u64, Option<Kept>)>,
}

impl Records {
    pub fn get(&self, object: &str, id: &str) -> Option<&Value> {
        let collection = self.collections.get(object)?;
        collection.records.get(*collection.by_id.get(id)?).map(|kept| &kept.value)
    }

    /// Oldest first.
    pub fn all(&self, object: &str) -> impl DoubleEndedIterator<Item = &Value> {
        let kept = self.collections.get(object).into_iter().flat_map(|collection| collection.records.all());
        kept.map(|kept| &kept.value)
    }

    /// Those with one of the values in each field, oldest first, and maybe others: see [`Shelf::like`]. `indexed`: as
    /// the index knows them.
    pub fn like<'r>(
        &'r mut self,
        object: &str,
        wanted: &[(String, Vec<String>)],
        indexed: bool,
    ) -> impl Iterator<Item = &'r Kept> + use<'r> {
        let shelf = self.collections.get_mut(object).map(|collection| {
            let shelf = if indexed { &mut collection.indexed } else { &mut collection.records };
            wanted.iter().for_each(|(field, _)| shelf.seek(field));
            &*shelf
        });
        shelf.map(|shelf| shelf.like(wanted)).into_iter().flatten()
    }

    /// The index learns of all that was made up to a moment.
    pub fn catch_up(&mut self, object: &str, until: DateTime<Utc>) {
        let Some(collection) = self.collections.get_mut(object) else { return };
        while collection.pending.front().is_some_and(|(made, _, _)| *made <= until) {
            collection.learn();
        }
    }

    pub fn counts(&self) -> Vec<(String, usize)> {
        self.collections.iter().map(|(object, collection)| (object.clone(), collection.records.len())).collect()
    }

    /// None: the object holds as many records as fit, or the id is taken.
    pub fn insert(&mut self, object: &str, id: &str, record: Value, now: DateTime<Utc>) -> Option<Change> {
        let collection = self.collections.entry(object.to_owned()).or_default();
        if collection.records.len() >= RECORDS_MAX || collection.by_id.contains_key(id) {
            return None;
        }
        let sequence = collection.next;
        collection.next += 1;
        collection.by_id.insert(id.to_owned(), sequence);
        self.writes += 1;
        let kept = Kept { sequence, version: self.writes, value: record.clone() };
        collection.note(now, sequence, Some(kept.clone()));
        collection.records.put(kept);
        let changed = record.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
        Some(Change { object: object.to_owned(), kind: Kind::Created, before: Value::Null, after: record, changed })
    }

    pub fn replace(&mut self, object: &str, id: &str, record: Value, now: DateTime<Utc>) -> Option<Change> {
        let collection = self.collections.get_mut(object)?;
        let sequence = *collection.by_id.get(id)?;
        self.writes += 1;
        let kept = Kept { sequence, version: self.writes, value: record.clone() };
        collection.note(now, sequence, Some(kept.clone()));
        let before = collection.records.put(kept)?.value;
        let changed = differing(&before, &record);
        Some(Change { object: object.to_owned(), kind: Kind::Updated, before, after: record, changed })
    }

    pub fn remove(&mut self, object: &str, id: &str, now: DateTime<Utc>) -> Option<Change> {
        let collection = self.collections.get_mut(object)?;
        let sequence = collection.by_id.remove(id)?;
        let before = collection.records.take(sequence)?.value;
        collection.note(now, sequence, None);
        self.writes += 1;
        Some(Change {
            object: object.to_owned(),
            kind: Kind::Deleted,
            before: before.clone(),
            after: before,
            changed: Vec::new(),
        })
    }
}

impl Collection {
    /// For the index, later; what waits is bounded.
    fn note(&mut self, now: DateTime<Utc>, sequence: u64, kept: Option<Kept>) {
        self.pending.push_back((now, sequence, kept));
        if self.pending.len() > RECORDS_MAX {
            self.learn();
        }
    }

    fn learn(&mut self) {
        match self.pending.pop_front() {
            Some((_, _, Some(kept))) => drop(self.indexed.put(kept)),
            Some((_, sequence, None)) => drop(self.indexed.take(sequence)),
            None => {}
        }
    }
}

fn differing(before: &Value, after: &Value) -> Vec<String> {
    let none = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&none), after.as_object().unwrap_or(&none));
    let mut names: Vec<&String> = before.keys().collect();
    names.extend(after.keys().filter(|name| !before.contains_key(*name)));
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
