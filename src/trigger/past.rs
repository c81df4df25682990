//! From a list's answer to events about what was there before anybody listened, for a workflow that hears of it afterwards.

use std::collections::HashSet;

use serde_json::Value;

use super::event::BACKFILL;
use super::{Event, record};
use crate::connector::{Feed, Object};

/// Which records of an object are told of, and as what.
pub struct Past<'p> {
    pub object: &'p Object,
    /// `created` or `updated`. Only what has changed since it was made was ever `updated`.
    pub kind: &'p str,
    /// It happened at this instant or later, and before that one, in milliseconds.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
}

/// What a list says of the past.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// One for each record, oldest first. The ids are those of records.
    pub events: Vec<Event>,
    /// Records that say no time, where one is needed.
    pub undated: usize,
}

impl Past<'_> {
    /// The field that says when it happened.
    pub fn time(&self) -> Option<&str> {
        let Object { created_at, changed_at, .. } = self.object;
        let created = created_at.as_deref().filter(|_| self.kind == "created");
        created.or(changed_at.as_deref())
    }

    /// Does all of a page lie before what is meant? Then so do the pages behind it.
    pub fn is_before(&self, feed: &Feed, page: &[Value]) -> bool {
        // Nothing changes before it is made.
        let tells = feed.by.is_some() && (feed.by == self.object.changed_at || feed.by.as_deref() == self.time());
        let at = |record| record::time_ms(record::field(self.object, record, feed.by.as_deref()?)?);
        let before = |record| matches!((at(record), self.since_ms), (Some(at), Some(since)) if at < since);
        feed.newest_first && tells && !page.is_empty() && page.iter().all(before)
    }

    /// The events of the records that are meant, each once.
    pub fn events(&self, records: &[Value], now_ms: i64) -> Found {
        let mut found = Found::default();
        let mut ids = HashSet::new();
        for content in records {
            let id = record::field(self.object, content, &self.object.id).and_then(record::id_text);
            let Some(id) = id.filter(|id| ids.insert(id.clone())) else { continue };
            let at = self.time().and_then(|name| self.instant(content, name));
            if at.is_none() && self.needs_time() {
                found.undated += 1;
            } else if self.is_meant(content, at) {
                found.events.push(self.event(content, id, at, now_ms));
            }
        }
        found.events.sort_by_key(|event| event.time_ms);
        found
    }

    fn needs_time(&self) -> bool {
        self.since_ms.is_some() || self.until_ms.is_some() || self.kind == "updated"
    }

    fn is_meant(&self, content: &Value, at: Option<i64>) -> bool {
        let created = || self.instant(content, self.object.created_at.as_deref()?);
        let was_never =
            self.kind == "updated" && matches!((at, created()), (Some(changed), Some(made)) if changed <= made);
        let is_within = at.is_none_or(|at| {
            self.since_ms.is_none_or(|since| at >= since) && self.until_ms.is_none_or(|until| at < until)
        });
        is_within && !was_never
    }

    fn instant(&self, content: &Value, name: &str) -> Option<i64> {
        record::field(self.object, content, name).and_then(record::time_ms)
    }

    fn event(&self, content: &Value, id: String, at: Option<i64>, now_ms: i64) -> Event {
        Event {
            id: id.clone(),
            source: BACKFILL.into(),
            past: true,
            kind: self.kind.into(),
            time_ms: at.unwrap_or(now_ms),
            object: Some(self.object.name.clone()),
            record_id: Some(id),
            parent_id: record::parent_id(self.object, content).unwrap_or_default(),
            record: content.clone(),
            ..Event::default()
        }
    }
}
