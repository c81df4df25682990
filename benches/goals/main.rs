//! What the program promises to be fast at, measured: `cargo bench`. Each line is the median of many turns, and the goal.
//!
//! A release build is made for it. Numbers of another machine, or of a busy one, say little: compare before and after.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

mod many;

use std::hint::black_box;
use std::time::{Duration, Instant};

use dovetail::expr::{Condition, Expr, FieldType, Locale, Scope, convert};
use dovetail::project::read;
use serde_json::{Value, json};

/// The median time of one call: of `turns` measurements of `calls` calls each.
fn median(turns: usize, calls: u32, mut call: impl FnMut()) -> Duration {
    let measure = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed() / calls
    };
    let mut times: Vec<Duration> = (0..turns).map(measure).collect();
    times.sort_unstable();
    times[turns / 2]
}

fn tell(what: &str, goal: Duration, found: Duration) {
    let verdict = if found <= goal { "" } else { ", missed" };
    println!("{what}: {found:.2?} (goal {goal:?}{verdict})");
}

fn load() {
    let shipped = many::shipped();
    for count in [500, 1_000, 2_000] {
        let texts = many::project(count, 2);
        let loaded = read(&texts, &shipped, None);
        assert!(loaded.plan.is_some(), "{:#?}", loaded.report.diagnostics.first());
        let found = median(5, 1, || drop(black_box(read(black_box(&texts), &shipped, None))));
        tell(&format!("read and check {count} workflows of 20 actions"), Duration::from_millis(count as u64), found);
    }
}

fn evaluate() {
    let contact = json!({
        "id": "c1", "email": "ada@example.com", "firstName": "Ada", "lastName": "Byron", "phone": "+15550100001",
        "tags": ["quiz", "hot", "vip"], "country": "GB", "source": "quiz", "dateAdded": "2026-03-01T10:00:00Z",
        "score": "42", "address": { "city": "London", "postalCode": "N1" },
    });
    let root = json!({ "contact": contact, "vars": { "follow_up": "1d", "cities": ["London", "Leeds"] },
        "run": { "started_at": "2026-11-24T10:00:00Z" } });
    let locale = Locale::default();
    let scope = Scope::new(&root, &locale);
    let condition = json!({
        "$.contact.email": { "blank": false },
        "$.contact.country": { "in": ["GB", "IE"] },
        "$.contact.tags": { "contains": "hot" },
    });
    let condition = Condition::compile(&condition).expect("a condition");
    assert_eq!(condition.holds(&scope), Ok(true));
    let found = median(101, 1_000, || drop(black_box(condition.holds(black_box(&scope)))));
    tell("a condition of three lines", Duration::from_micros(2), found);

    let mapping = json!({
        "email": "$.contact.email", "first_name": "$.contact.firstName", "last_name": "$.contact.lastName",
        "phone": "$.contact.phone", "segments": "$.contact.tags", "city": "$.contact.address.city",
        "score": "$.contact.score", "added": "$.contact.dateAdded", "source": "crm",
        "name": { "$first": ["$.contact.fullName", "$.contact.firstName"] },
    });
    let schema = json!({ "type": "object", "properties": {
        "email": { "type": "string" }, "first_name": { "type": "string" }, "last_name": { "type": "string" },
        "phone": { "type": "string" }, "segments": { "type": "array", "items": { "type": "string" } },
        "city": { "type": "string" }, "score": { "type": "integer" },
        "added": { "type": "string", "format": "date-time" }, "source": { "type": "string" }, "name": { "type": "string" },
    } });
    map("mapping ten fields", &mapping, &schema, &scope);
    let mut templates = mapping.clone();
    templates["name"] = "{{contact.firstName}} {{contact.lastName}}".into();
    templates["source"] = "crm: {{contact.source}}".into();
    map("mapping ten fields, two of them templates", &templates, &schema, &scope);
}

/// From what is written to what is sent: evaluated, and made what the destination takes.
fn map(what: &str, mapping: &Value, schema: &Value, scope: &Scope<'_>) {
    let mapping = Expr::compile(mapping).expect("a mapping");
    let takes = FieldType::of_schema(schema);
    let call = || {
        let value = mapping.eval(scope).expect("values").expect("a map");
        convert(&value, &takes, scope.locale()).expect("what is taken")
    };
    assert_eq!(call().as_object().map(|fields| fields.len()), Some(10));
    let found = median(101, 1_000, || drop(black_box(call())));
    tell(what, Duration::from_micros(10), found);
}

fn main() {
    evaluate();
    load();
}
