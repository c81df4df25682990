//! What a poll remembers, and for how long.

use serde_json::{Value, json};

use super::super::{Seen, changes};
use super::cases::connector;
use crate::connector::Connector;

const NOW: i64 = 1_795_514_400_000;

fn crm(poll: &str) -> Connector {
    connector(&format!(
        "connector: crm\nversion: 1.0.0\nbase_url: https://api.example.com\nauth: {{ token: {{ bearer: $.secrets.token }} }}\n\
         objects:\n  task:\n    id: id\n    operations:\n      list: {{ request: GET /tasks, items: $.tasks }}\n    \
         changes: {{ poll: {{ with: list, every: 10m{poll} }} }}\n"
    ))
}

fn pass(connector: &Connector, seen: &Seen, records: &[Value]) -> super::super::Polled {
    let task = connector.object("task").unwrap();
    changes(connector, task, task.changes.poll.as_ref().unwrap(), seen, records, NOW)
}

#[test]
fn ids_tell_every_change_apart() {
    let crm = crm("");
    let mut seen = pass(&crm, &Seen::default(), &[]).seen;
    let mut ids = Vec::new();
    for content in ["a", "b", "a", "b", "b"] {
        let polled = pass(&crm, &seen, &[json!({ "id": 1, "content": content })]);
        ids.extend(polled.events.into_iter().map(|event| event.id));
        seen = polled.seen;
    }
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("poll:task:1:")), "{ids:?}");
}

#[test]
fn only_the_newest_records_are_remembered_of_a_list_read_by_a_field() {
    let crm = crm(", by: at");
    let records: Vec<Value> = (0..100_010).map(|number| json!({ "id": number, "at": NOW + number })).collect();
    let seen = pass(&crm, &Seen::default(), &records).seen;
    assert_eq!(seen.records.len(), 100_000);
    assert!(!seen.records.contains_key("9") && seen.records.contains_key("10"), "the oldest are forgotten");
    let touched = json!({ "id": 10, "at": NOW + 200_000 });
    let seen = pass(&crm, &seen, &[touched, json!({ "id": "new", "at": NOW + 200_001 })]).seen;
    assert!(seen.records.contains_key("10") && !seen.records.contains_key("11"), "a change makes a record young");
}

#[test]
fn whole_lists_are_remembered_as_they_are() {
    let crm = crm("");
    let seen = pass(&crm, &Seen::default(), &[json!({ "id": 1 }), json!({ "id": 2 })]).seen;
    let seen = pass(&crm, &seen, &[json!({ "id": 2 }), json!({ "id": 3 })]).seen;
    assert_eq!(seen.records.keys().collect::<Vec<_>>(), ["2", "3"]);
    let written = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Seen>(&written).unwrap(), seen);
}
