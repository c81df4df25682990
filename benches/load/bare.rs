//! The job as a bare loop, written by hand and without an engine, but as durable: the event is committed before the
//! answer, what came of it after the POST, many commits share one sync, and a restart takes up what is not done.
//!
//! It runs as a process of its own: `load bare FOLDER VENDOR PORT`.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot};

use super::job::SECRET;

/// Requests at the same time, as many as the engine has runs at work.
const AT_ONCE: usize = 64;
const BATCH: usize = 1_024;

#[derive(Deserialize, Serialize)]
pub struct Event {
    pub id: String,
    customer: Customer,
    pub order: Order,
}

#[derive(Deserialize, Serialize)]
struct Customer {
    first_name: String,
    last_name: String,
    email: String,
    address: Address,
}

#[derive(Deserialize, Serialize)]
struct Address {
    city: String,
}

#[derive(Deserialize, Serialize)]
pub struct Order {
    number: String,
    currency: String,
    pub total: f64,
}

#[derive(Serialize)]
pub struct Sale<'e> {
    reference: &'e str,
    email: &'e str,
    name: String,
    city: &'e str,
    total: f64,
    currency: &'e str,
}

impl Sale<'_> {
    pub fn of(event: &Event) -> Sale<'_> {
        Sale {
            reference: &event.order.number,
            email: &event.customer.email,
            name: format!("{} {}", event.customer.first_name, event.customer.last_name),
            city: &event.customer.address.city,
            total: event.order.total,
            currency: &event.order.currency,
        }
    }
}

enum Write {
    Event { id: String, body: String },
    Outcome { id: String, outcome: String },
}

/// A write, and who waits for it: was anything new?
type Job = (Write, oneshot::Sender<bool>);

#[derive(Clone)]
struct Loop {
    writes: Sender<Job>,
    client: reqwest::Client,
    vendor: Arc<str>,
    at_once: Arc<Semaphore>,
}

fn database(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("bare.sqlite3")).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, body TEXT NOT NULL, outcome TEXT) STRICT;
             CREATE INDEX IF NOT EXISTS pending ON events (id) WHERE outcome IS NULL;",
        )
        .expect("its tables");
    connection
}

pub fn main(folder: &Path, vendor: &str, port: u16) {
    let connection = database(folder);
    let pending: Vec<String> = {
        let mut select = connection.prepare("SELECT body FROM events WHERE outcome IS NULL").expect("a query");
        let bodies = select.query_map([], |row| row.get(0)).expect("rows");
        bodies.map(|body| body.expect("a body")).collect()
    };
    let (writes, jobs) = channel();
    std::thread::spawn(move || write(&connection, &jobs));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let own = Loop { writes, client, vendor: vendor.into(), at_once: Arc::new(Semaphore::new(AT_ONCE)) };
        for body in pending {
            let event = serde_json::from_str(&body).expect("an event");
            tokio::spawn(carry_out(own.clone(), event));
        }
        let routes = axum::Router::new()
            .route("/hooks/orders", post(take))
            .route("/readyz", get(|| async { "ready" }))
            .with_state(own);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        axum::serve(listener, routes).await.expect("it serves");
    });
}

/// Gathers what waits into one transaction.
fn write(connection: &Connection, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(BATCH - 1));
        connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([])).expect("BEGIN");
        let apply = |(write, answer): Job| {
            let changed = match write {
                Write::Event { id, body } => connection
                    .prepare_cached("INSERT INTO events (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING")
                    .and_then(|mut insert| insert.execute(params![id, body])),
                Write::Outcome { id, outcome } => connection
                    .prepare_cached("UPDATE events SET outcome = ? WHERE id = ?")
                    .and_then(|mut update| update.execute(params![outcome, id])),
            };
            (answer, changed.expect("a write") > 0)
        };
        let answers: Vec<_> = batch.into_iter().map(apply).collect();
        connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).expect("COMMIT");
        for (answer, changed) in answers {
            let _ = answer.send(changed);
        }
    }
}

impl Loop {
    async fn write(&self, write: Write) -> bool {
        let (answer, answered) = oneshot::channel();
        self.writes.send((write, answer)).expect("the writer");
        answered.await.expect("an answer")
    }
}

async fn take(State(own): State<Loop>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers.get("x-hook").is_none_or(|value| value.as_bytes() != SECRET.as_bytes()) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Event>(&body) else { return StatusCode::BAD_REQUEST };
    let (id, body) = (event.id.clone(), String::from_utf8_lossy(&body).into_owned());
    if own.write(Write::Event { id, body }).await {
        tokio::spawn(carry_out(own, event));
    }
    StatusCode::ACCEPTED
}

async fn carry_out(own: Loop, event: Event) {
    let _permit = own.at_once.acquire().await.expect("it is open");
    let mut outcome = "skipped".to_owned();
    if event.order.total > 100.0 {
        let sale = Sale::of(&event);
        let request = own.client.post(format!("http://{}/sales", own.vendor)).bearer_auth("a-token");
        outcome = loop {
            // A vendor that does not answer is asked again.
            let sent = request.try_clone().expect("a body in memory").json(&sale).send().await;
            match sent {
                Ok(answer) if answer.status().is_success() => break answer.text().await.unwrap_or_default(),
                _ => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
            }
        };
    }
    own.write(Write::Outcome { id: event.id, outcome }).await;
}
