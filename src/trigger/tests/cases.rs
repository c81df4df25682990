//! Plays the case files: deliveries and list answers on one side, events on the other.

use std::path::Path;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use super::super::{Event, Past, Seen, changes, read_delivery};
use crate::connector::Connector;
use crate::source::{File, Report};

/// A file of `tests/cases/trigger`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// When the list was first listened to; the past before it makes no events.
    listening_since: Option<String>,
    why: String,
    /// A connector document.
    connector: String,
    #[serde(default)]
    deliveries: Vec<Posted>,
    /// The object that the passes are over.
    object: Option<String>,
    #[serde(default)]
    passes: Vec<Pass>,
    #[serde(default)]
    past: Vec<Before>,
}

/// One webhook body, and what it is understood as.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    name: String,
    now: String,
    body: Value,
    /// Each with at least these fields; null for one that is absent.
    #[serde(default)]
    events: Vec<Value>,
    settings: Option<Value>,
    /// Status and word.
    refused: Option<String>,
}

/// One look at a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pass {
    name: String,
    now: String,
    list: Vec<Value>,
    #[serde(default)]
    events: Vec<Value>,
    newest: Option<String>,
}

/// One look at what was there before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    name: String,
    kind: String,
    since: Option<String>,
    until: Option<String>,
    list: Vec<Value>,
    #[serde(default)]
    events: Vec<Value>,
    #[serde(default)]
    undated: usize,
    /// Nothing behind this page is looked at.
    #[serde(default)]
    is_last: bool,
}

pub(super) fn connector(text: &str) -> Connector {
    let file = File::read("connector.yaml", text).unwrap_or_else(|report| panic!("{report:?}"));
    let mut report = Report::default();
    Connector::read(&[&file], &mut report).unwrap_or_else(|| panic!("{report:?}"))
}

#[test]
fn cases_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/trigger");
    let mut played = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Case = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!case.why.trim().is_empty(), "{}", path.display());
        play(&case);
        played += 1;
    }
    assert!(played >= 4, "{played} cases in {}", folder.display());
}

fn play(case: &Case) {
    let connector = connector(&case.connector);
    for posted in &case.deliveries {
        let result = read_delivery(&connector, &posted.body, ms(&posted.now));
        match (&posted.refused, result) {
            (Some(expected), Err(refusal)) => {
                assert_eq!(format!("{} {}", refusal.status, refusal.word), *expected, "{}", posted.name);
            }
            (None, Ok(delivery)) => {
                compare(&posted.name, &delivery.events, &posted.events);
                if let Some(settings) = &posted.settings {
                    let found: Value = delivery.settings.into_iter().collect();
                    assert_eq!(found, *settings, "{}", posted.name);
                }
            }
            (expected, found) => panic!("{}: expected {expected:?}, found {found:?}", posted.name),
        }
    }
    let Some(object) = &case.object else { return };
    let object = connector.object(object).unwrap();
    let feed = object.changes.poll.as_ref().unwrap();
    for before in &case.past {
        let (since_ms, until_ms) = (before.since.as_deref().map(ms), before.until.as_deref().map(ms));
        let past = Past { object, kind: &before.kind, since_ms, until_ms };
        let found = past.events(&before.list, ms("2026-11-24T10:00:00Z"));
        compare(&before.name, &found.events, &before.events);
        assert_eq!(found.undated, before.undated, "{}", before.name);
        assert_eq!(past.is_before(feed, &before.list), before.is_last, "{}", before.name);
    }
    let mut seen = Seen { since_ms: case.listening_since.as_deref().map(ms), ..Seen::default() };
    for pass in &case.passes {
        let polled = changes(&connector, object, feed, &seen, &pass.list, ms(&pass.now));
        let again = changes(&connector, object, feed, &seen, &pass.list, ms(&pass.now) + 60_000);
        let ids = |events: &[Event]| events.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&polled.events), ids(&again.events), "{}: played again, it gives the same ids", pass.name);
        compare(&pass.name, &polled.events, &pass.events);
        if let Some(newest) = &pass.newest {
            assert_eq!(polled.seen.newest.as_ref(), Some(newest), "{}", pass.name);
        }
        seen = polled.seen;
    }
}

fn ms(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

/// The same number of events, each with at least the fields that are expected of it.
fn compare(name: &str, events: &[Event], expected: &[Value]) {
    let found: Vec<Value> = events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(found.get(field).unwrap_or(&Value::Null), value, "{name}: {field} of {found:#}");
        }
    }
}
