//! Twice the project takes twice the time: nothing that is done for each document looks at all others.
//!
//! How long it takes is measured by `cargo bench`; here only ratios count, since tests run unoptimised and side by side.

#[path = "../benches/goals/many.rs"]
mod many;

use std::time::{Duration, Instant};

use dovetail::connector::Connector;
use dovetail::project::{Text, read};
use dovetail::source::{File, Report};
use serde_json::{Value, json};

/// The fastest of three: whatever else runs only ever makes it slower.
fn fastest(texts: &[Text]) -> Duration {
    let measure = |_| {
        let start = Instant::now();
        let loaded = read(texts, &many::shipped(), None);
        let took = start.elapsed();
        assert!(loaded.plan.is_some(), "{:#?}", loaded.report.diagnostics.first());
        took
    };
    (0..3).map(measure).min().expect("three times")
}

#[test]
fn twice_the_workflows_take_twice_the_time() {
    // Small ones, so that what is done for each pair of them is seen.
    let [some, more] = [250, 1_000].map(|count| fastest(&many::project(count, 0)));
    assert!(more < 6 * some, "250 workflows: {some:?}, four times as many: {more:?}");
}

#[test]
fn to_compare_records_costs_less_than_to_read_them() {
    let names: Vec<String> = (0..40).map(|number| format!("field_{number}")).collect();
    let properties: Value =
        names.iter().map(|name| (name.clone(), json!({ "type": "string" }))).collect::<serde_json::Map<_, _>>().into();
    let connector = json!({
        "connector": "crm", "base_url": "https://crm.example.com",
        "objects": { "contact": { "schema": { "type": "object", "properties": properties }, "operations": {
            "list": { "request": "GET /contacts", "items": "$.contacts" },
        } } },
    });
    let file = File::read("connectors/crm.yaml", &connector.to_string()).expect("a document");
    let connector = Connector::read(&[&file], &mut Report::default()).expect("a connector");
    let operation = connector.operation("contact.list").expect("an operation");
    let record: Value = names
        .iter()
        .map(|name| (name.clone(), json!("a text of some length")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let records = Value::Array(vec![record; 100]);
    let text = records.to_string();
    let fastest = |work: &dyn Fn()| {
        let measure = |_| {
            let start = Instant::now();
            work();
            start.elapsed()
        };
        (0..10).map(measure).min().expect("ten times")
    };
    let reads = fastest(&|| assert!(serde_json::from_str::<Value>(&text).is_ok()));
    let compares = fastest(&|| assert!(connector.drifts(operation, &records).is_empty()));
    // A vendor that has another half of the fields: each of the records differs, and each difference is told once.
    let other: serde_json::Map<String, Value> =
        (20..60).map(|number| (format!("field_{number}"), json!("a text of some length"))).collect();
    let others = Value::Array(vec![other.into(); 100]);
    let differs = fastest(&|| assert_eq!(connector.drifts(operation, &others).len(), 20));
    assert!(differs < reads, "to read: {reads:?}, to tell what differs: {differs:?}");
    assert!(compares < reads, "to read: {reads:?}, to compare: {compares:?}");
}
