//! Records of live accounts that are not as their connector promises: noted once, told once, and nothing fails by it.
//!
//! What was noted is kept in the store under the connection's name, so that a restart tells nothing twice and `doctor` can
//! list it. It holds names of fields and kinds of values.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Engine, now_ms};
use crate::connector::{Connector, Drift, Operation};
use crate::store::{self, Store};

/// Differences that are kept of one connection.
const NOTED_MAX: usize = 100;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// What was not seen for so long is over.
const FORGOTTEN_MS: i64 = 14 * DAY_MS;

/// A difference, where it was seen, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The object, or an operation of none.
    pub object: String,
    /// The operation whose answer showed it first.
    pub operation: String,
    #[serde(flatten)]
    pub drift: Drift,
    pub first_ms: i64,
    /// To the day.
    pub last_ms: i64,
}

/// What was noted, by connection.
#[derive(Default)]
pub(super) struct Drifts {
    noted: Mutex<HashMap<String, Vec<Noted>>>,
    noting: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Compares what a read gave with what is promised. What differs is noted on the side: no answer waits for it.
    pub(super) fn compare(&self, connector: &Connector, connection: &str, operation: &Operation, value: &Value) {
        if !operation.reads {
            return;
        }
        let drifts = connector.drifts(operation, value);
        let object = operation.object.clone();
        if drifts.is_empty()
            || self.inner.drifts.knows(connection, object.as_deref().unwrap_or(&operation.name), &drifts)
        {
            return;
        }
        let (engine, connector) = (self.clone(), connector.name.clone());
        let (connection, operation) = (connection.to_owned(), operation.name.clone());
        self.spawn(async move { engine.note(&connector, &connection, (object.as_deref(), &operation), drifts).await });
    }

    async fn note(
        &self,
        connector: &str,
        connection: &str,
        (object, operation): (Option<&str>, &str),
        drifts: Vec<Drift>,
    ) {
        let all = &self.inner.drifts;
        // One after the other, so that the last one written is the last one noted.
        let _turn = all.noting.lock().await;
        if !all.noted.lock().contains_key(connection) {
            let plan = self.plan();
            let Some(connector) = plan.connector(connector) else { return };
            // Without the store's answer some are told once more.
            let kept = noted(&self.inner.store, connector, connection).await.unwrap_or_default();
            all.noted.lock().insert(connection.to_owned(), kept);
        }
        let (fresh, changed) = all.note(connection, object.unwrap_or(operation), operation, drifts);
        if !fresh.is_empty() {
            let differs = told(&fresh);
            let next = next_step(connection, object);
            tracing::warn!(connection, operation, differs, "records are not as the connector says: {next}");
        }
        if changed {
            let kept = json!(all.noted.lock().get(connection));
            if let Err(error) = self.inner.store.set_cursor(&key(connection), kept).await {
                tracing::debug!(connection, %error, "what differs is not kept");
            }
        }
    }
}

impl Drifts {
    /// Is there nothing to note?
    fn knows(&self, connection: &str, object: &str, drifts: &[Drift]) -> bool {
        let all = self.noted.lock();
        let Some(noted) = all.get(connection) else { return false };
        let (now, is_full) = (now_ms(), noted.len() >= NOTED_MAX);
        drifts.iter().all(|drift| match noted.iter().find(|known| known.object == object && known.drift == *drift) {
            Some(known) => now - known.last_ms <= DAY_MS,
            None => is_full,
        })
    }

    /// Gives what was not noted yet, and whether there is something to keep.
    fn note(&self, connection: &str, object: &str, operation: &str, drifts: Vec<Drift>) -> (Vec<Drift>, bool) {
        let (mut fresh, mut changed) = (Vec::new(), false);
        let now = now_ms();
        let mut all = self.noted.lock();
        let Some(noted) = all.get_mut(connection) else { return (fresh, changed) };
        for drift in drifts {
            if let Some(known) = noted.iter_mut().find(|known| known.object == object && known.drift == drift) {
                changed |= now - known.last_ms > DAY_MS;
                known.last_ms = if now - known.last_ms > DAY_MS { now } else { known.last_ms };
            } else if noted.len() < NOTED_MAX {
                let (object, operation) = (object.to_owned(), operation.to_owned());
                noted.push(Noted { object, operation, drift: drift.clone(), first_ms: now, last_ms: now });
                fresh.push(drift);
                changed = true;
            }
        }
        (fresh, changed)
    }
}

/// What was noted of a connection, and is so still: the connector may have been mended, or the vendor.
///
/// # Errors
/// The store's.
pub async fn noted(store: &Store, connector: &Connector, connection: &str) -> Result<Vec<Noted>, store::Error> {
    let kept = store.cursor(&key(connection)).await?;
    let mut noted: Vec<Noted> = kept.and_then(|kept| serde_json::from_value(kept).ok()).unwrap_or_default();
    let now = now_ms();
    noted.retain(|noted| {
        let operation = connector.operation(&noted.operation);
        let still = operation.is_some_and(|operation| connector.differs_still(operation, &noted.drift));
        still && now - noted.last_ms < FORGOTTEN_MS
    });
    Ok(noted)
}

fn key(connection: &str) -> String {
    format!("drift:{connection}")
}

/// Differences in one line.
pub(super) fn told<'d>(drifts: impl IntoIterator<Item = &'d Drift>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<String> = drifts.into_iter().map(Drift::told).collect();
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The command that says more, and what to do.
pub(super) fn next_step(connection: &str, object: Option<&str>) -> String {
    let object = object.map(|object| format!(" --object {object}")).unwrap_or_default();
    format!("`dovetail connector probe {connection}{object}` says what to lay over it")
}
