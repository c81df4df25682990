//! What the program promises to be fast at, measured: `cargo bench`. Each line is the median of many turns, and the goal.
//!
//! A release build is made for it. Numbers of another machine, or of a busy one, say little: compare before and after.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

mod api;
mod many;

use std::hint::black_box;
use std::time::{Duration, Instant};

use dovetail::connector::{Outcome, Page, Response};
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

/// The way through a connector alone: no network, no store.
fn call() {
    let connector = api::connector();
    let connection = json!({ "account": "a" });
    let create = connector.operation("contact.create").expect("an operation");
    let mut input = api::contact(1);
    input["account_id"] = "a/1".into();
    let request = || create.request(&connector, &connection, &input, &Page::default()).expect("a request");
    assert!(request().body.is_some());
    let found = median(101, 1_000, || {
        drop(black_box(request().body.map(|body| body.encoded())));
    });
    tell("an operation and its input to a request's bytes", Duration::from_micros(50), found);
    // An answer is used up: the copy counts too.
    let outcome = |operation, response: &Response| {
        connector.outcome(operation, &Value::Null, &connection, &Page::default(), response.clone())
    };
    let created = api::answer(json!({ "contact": api::contact(1) }));
    assert!(matches!(outcome(create, &created), Outcome::Done { .. }));
    let found = median(101, 1_000, || drop(black_box(outcome(create, black_box(&created)))));
    tell("an answer with a record to its outcome", Duration::from_micros(50), found);
    let (list, page) = (connector.operation("contact.list").expect("an operation"), api::answered_page());
    let found = median(101, 10, || drop(black_box(outcome(list, black_box(&page)))));
    tell("an answer with 100 records to its outcome", Duration::from_millis(1), found);
}

/// 10,000 records over 100 pages, beside the plain client; by turns, so that both meet the same computer.
fn read_list() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let address = runtime.block_on(api::serve());
    let (connector, client) = (api::connector(), api::client(address));
    let connection = json!({ "account": "a", "base_url": format!("http://{address}") });
    // Ours goes first, since it sets up what encrypts for both.
    runtime.block_on(api::read_all(&client, &connector, &connection));
    let plain_client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut times: [Vec<Duration>; 2] = Default::default();
    for _ in 0..11 {
        let start = Instant::now();
        let count = runtime.block_on(api::read_all(&client, &connector, &connection));
        times[0].push(start.elapsed());
        assert_eq!(count, api::PAGES * api::PER_PAGE);
        let start = Instant::now();
        let count = runtime.block_on(api::read_plainly(&plain_client, address));
        times[1].push(start.elapsed());
        assert_eq!(count, api::PAGES * api::PER_PAGE);
    }
    times.iter_mut().for_each(|times| times.sort_unstable());
    let rate = |times: &[Duration]| (api::PAGES * api::PER_PAGE) as f64 / times[times.len() / 2].as_secs_f64();
    let (ours, plain) = (rate(&times[0]), rate(&times[1]));
    let verdict = if ours / plain >= 0.7 { "" } else { ", missed" };
    println!(
        "a list of 10,000 records: {ours:.0} records/s, {plain:.0} by the plain client, ratio {:.2} (goal 0.70{verdict})",
        ours / plain
    );
}

fn main() {
    // `cargo bench --bench goals connector`: those that a word names.
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    if only.as_deref().is_none_or(|word| word == "connector") {
        call();
        read_list();
    }
    if only.is_some() {
        return;
    }
    evaluate();
    load();
}
