//! What is over is forgotten by age and by size; what is not over, dead letters and ids are not.

use std::path::Path;
use std::time::{Duration, Instant};

use dovetail::connector::Failure;
use dovetail::engine::{Engine, Keeping, Settings};
use dovetail::http::Guard;
use dovetail::project::{Text, read};
use dovetail::run::{Ending, Entry, Fact, Start};
use dovetail::store::{Accepted, Commit, Filter, Intake, Pruned, Sought, Status, Store};
use dovetail::trigger::Event;
use dovetail::vault::SecretSource;
use serde_json::{Value, json};

use crate::stage;

struct NoSecrets;

impl SecretSource for NoSecrets {
    fn secret(&self, _: &str) -> Option<secrecy::SecretString> {
        None
    }
}

/// An engine that only does what it is asked to.
async fn engine(folder: &Path, keep: &str) -> Engine {
    let project = Text { path: "dovetail.yaml".into(), text: format!("project: kept\nkeep: {keep}\n") };
    let loaded = read(&[project], &[], None);
    let settings = Settings {
        plan: loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.report)),
        store: Store::open(folder).expect("a store"),
        guard: Guard::default(),
        secrets: std::sync::Arc::new(NoSecrets),
        vault: None,
        webhook_keys: Default::default(),
        at_once: 1,
        listens: false,
        hands: Keeping::Own,
    };
    Engine::start(settings).await.expect("it starts")
}

fn intake(number: usize) -> Intake {
    let id = format!("{number:06}");
    let record = json!({ "id": id, "text": "x".repeat(700) });
    let event = Event { id: id.clone(), source: "s".into(), kind: "created".into(), record, ..Event::default() };
    let start = Start {
        id: format!("run-{id}"),
        workflow: "w".into(),
        tenant: None,
        order_key: id,
        plan: "p".into(),
        connections: Default::default(),
        event: event.clone(),
        inputs: Value::Null,
        created_ms: 1,
    };
    Intake { event, runs: vec![start] }
}

async fn end(store: &Store, number: usize, at_ms: i64, ending: Ending) {
    let fact = Fact::Ended { ending: ending.clone() };
    let commit = Commit {
        run: format!("run-{number:06}"),
        entries: vec![Entry { at_ms, fact }],
        ending: Some(ending),
        ..Commit::default()
    };
    store.commit(commit).await.expect("ended");
}

fn completed() -> Ending {
    Ending::Completed { value: json!("y".repeat(700)) }
}

fn failed() -> Ending {
    Ending::failed("a", Failure::new("failed", "no"))
}

fn folder() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("dovetail-kept-{}", uuid::Uuid::now_v7()))
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

async fn of(store: &Store, status: Status) -> Vec<i64> {
    let filter = Filter { status: Some(status), limit: usize::MAX, ..Filter::default() };
    store.runs(filter).await.expect("runs").iter().map(|run| run.seq).rev().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_runs_stay_within_the_size() {
    let folder = folder();
    let engine = engine(&folder, "{ size: 8MB }").await;
    let store = engine.store();
    let (bound, batch) = (8_000_000, 250);
    let mut largest = 0;
    for first in (0..10_000).step_by(batch) {
        let numbers = first..first + batch;
        store.accept(numbers.clone().map(intake).collect::<Vec<_>>(), Vec::new()).await.expect("accepted");
        // One of each hundred is left alone, one fails.
        let ends = numbers.filter(|number| number % 100 != 0).map(|number| async move {
            let ending = if number % 100 == 1 { failed() } else { completed() };
            end(store, number, now_ms(), ending).await;
        });
        futures_util::future::join_all(ends).await;
        let forgotten = engine.forget().await.expect("forgotten");
        assert!(!forgotten.is_full, "after {first}: {forgotten:?}, {:?}", store.used_bytes().await);
        let sizes = ["", "-wal"].map(|end| std::fs::metadata(folder.join(format!("dovetail.sqlite3{end}"))));
        let [database, log] = sizes.map(|size| size.map_or(0, |file| file.len()));
        largest = largest.max(database);
        assert!(database <= bound, "after {first}: {database}");
        assert!(log <= 64 * 1024 * 1024, "after {first}: {log}");
    }
    assert!(largest > bound / 2, "the bound was met at all: {largest}");
    assert_eq!(of(store, Status::Pending).await.len(), 100);
    assert_eq!(of(store, Status::Failed).await.len(), 100);
    let left = of(store, Status::Completed).await;
    assert!((100..5_000).contains(&left.len()), "{}", left.len());
    assert!(left[0] > 5_000, "the oldest went first: {:?}", left[0]);
    // A copy of an event that has lost its body is refused all the same.
    assert_eq!(store.accept(vec![intake(7)], Vec::new()).await, Ok(vec![Accepted::Duplicate]));
    store.clone().close().await;
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_over_for_long_goes_by_age() {
    let folder = folder();
    let engine = engine(&folder, "{ runs: 10d, events: 0s }").await;
    let store = engine.store();
    store.accept((0..5).map(intake).collect::<Vec<_>>(), Vec::new()).await.expect("accepted");
    let days = |number: i64| now_ms() - number * 24 * 60 * 60 * 1_000;
    end(store, 0, days(11), completed()).await;
    end(store, 1, days(9), completed()).await;
    end(store, 2, days(400), failed()).await;
    end(store, 3, days(11), Ending::Dropped { by: "me".into() }).await;
    let mut pruned = Pruned::default();
    // The bodies are old only when a moment has passed.
    while pruned.bodies < 5 {
        let forgotten = engine.forget().await.expect("forgotten");
        assert!(!forgotten.is_full);
        pruned.add(forgotten.pruned);
    }
    assert_eq!(pruned, Pruned { runs: 2, bodies: 5, ..Pruned::default() });
    assert_eq!((of(store, Status::Completed).await, of(store, Status::Dropped).await), (vec![2], vec![]));
    assert_eq!((of(store, Status::Failed).await, of(store, Status::Pending).await), (vec![3], vec![5]));
    store.clone().close().await;
    std::fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_which_nothing_is_over_is_told_and_left() {
    let folder = folder();
    let engine = engine(&folder, "{ size: 1MB }").await;
    let store = engine.store();
    store.accept((0..800).map(intake).collect::<Vec<_>>(), Vec::new()).await.expect("accepted");
    let forgotten = engine.forget().await.expect("forgotten");
    assert!(forgotten.is_full && forgotten.pruned.bodies == 800, "{forgotten:?}");
    assert_eq!(of(store, Status::Pending).await.len(), 800);
    store.clone().close().await;
    std::fs::remove_dir_all(folder).expect("removed");
}

/// Bytes of the database.
fn size(folder: &Path) -> u64 {
    std::fs::metadata(folder.join("dovetail.sqlite3")).expect("the database").len()
}

/// Fills a store with runs that are over.
async fn fill(store: &Store, numbers: std::ops::Range<usize>) {
    for first in numbers.step_by(250) {
        let numbers = first..first + 250;
        store.accept(numbers.clone().map(intake).collect::<Vec<_>>(), Vec::new()).await.expect("accepted");
        futures_util::future::join_all(numbers.map(|number| end(store, number, 1, completed()))).await;
    }
}

/// Forgets what is over while copies of an event come; gives how long the slowest of them took.
async fn forget_beside_copies(engine: &Engine) -> Duration {
    let (store, mut slowest) = (engine.store(), Duration::ZERO);
    let forgetting = async { while engine.forget().await.expect("forgotten").pruned.runs > 0 {} };
    tokio::pin!(forgetting);
    loop {
        let begun = Instant::now();
        tokio::select! {
            accepted = store.accept(vec![intake(0)], Vec::new()) => assert_eq!(accepted, Ok(vec![Accepted::Duplicate])),
            () = &mut forgetting => return slowest,
        };
        slowest = slowest.max(begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_becomes_smaller_when_much_is_forgotten_and_events_come_meanwhile() {
    let count = if stage::is_long() { 60_000 } else { 6_000 };
    let folder = folder();
    let kept = engine(&folder, "{ runs: 1d, events: 0s }").await;
    fill(kept.store(), 0..count).await;
    let before = size(&folder);
    let begun = Instant::now();
    let slowest = forget_beside_copies(&kept).await;
    let took = begun.elapsed();
    kept.store().clone().close().await;
    let after = size(&folder);
    assert!(after < before / 2, "{before}, then {after} in {took:?}; the slowest copy took {slowest:?}");
    // It is whole: this is looked at when it is opened.
    let again = engine(&folder, "{ runs: 1d }").await;
    assert!(!again.store().shrink_some().await.expect("looked at"), "it is as small as it should be");
    again.store().clone().close().await;
    std::fs::remove_dir_all(folder).expect("removed");
}

/// As stores of earlier versions are.
fn keep_its_size(folder: &Path) {
    let connection = rusqlite::Connection::open(folder.join("dovetail.sqlite3")).expect("the store");
    connection.execute_batch("PRAGMA auto_vacuum = NONE; VACUUM;").expect("written anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_keeps_its_size_until_it_is_written_anew() {
    let folder = folder();
    Store::open(&folder).expect("a store").close().await;
    keep_its_size(&folder);
    let kept = engine(&folder, "{ runs: 1d, events: 0s }").await;
    let store = kept.store();
    fill(store, 0..6_000).await;
    kept.forget().await.expect("forgotten");
    assert!(!store.shrink_some().await.expect("looked at"));
    // Whoever is erased is sought everywhere, and the file is written anew, beside the store that is open.
    store.erase(&Sought::Text("nobody@example.com".into())).await.expect("erased");
    fill(store, 6_000..12_000).await;
    store.clone().close().await;
    let whole = engine(&folder, "{ runs: 1d, events: 0s }").await;
    let before = size(&folder);
    whole.forget().await.expect("forgotten");
    whole.store().clone().close().await;
    assert!(size(&folder) < before / 2, "{before}, then {}", size(&folder));
    Store::open(&folder).expect("it is whole").close().await;
    std::fs::remove_dir_all(folder).expect("removed");
}
