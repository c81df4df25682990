//! Accounts that the vendor refuses: their runs wait, and only one of them asks now and then.
//!
//! ```text
//!  refused ─▶ nothing is sent for a while ─▶ one request goes ─┬─ refused again ─▶ …
//!     ▲                                                        └─ accepted ─┐
//!     └── `connect` ────────────────────────────────────────────────────────┴─▶ all that wait go on
//! ```

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::{Engine, now_ms};
use crate::connector::Failure;
use crate::store;

/// So long nothing is sent for an account that was refused, until one request asks again.
const SILENT_MS: i64 = 5 * 60_000;
/// So long the one that asks has for it.
const ASKS_MS: i64 = 60_000;

/// Which accounts are refused.
pub(super) struct Accounts {
    /// By connection: why, and when the next request may go.
    refused: Mutex<HashMap<String, (String, i64)>>,
    /// Says which connection is connected, or accepted again.
    connected: broadcast::Sender<String>,
}

impl Default for Accounts {
    fn default() -> Self {
        Accounts { refused: Mutex::default(), connected: broadcast::channel(64).0 }
    }
}

impl Accounts {
    pub fn subscribe(&self) -> broadcast::Receiver<String> {
        self.connected.subscribe()
    }

    /// # Errors
    /// `auth`: it was refused a moment ago, and nothing is sent.
    pub fn may_send(&self, connection: &str) -> Result<(), Failure> {
        let now_ms = now_ms();
        match self.refused.lock().get_mut(connection) {
            Some((why, next_ms)) if *next_ms > now_ms => Err(Failure::new("auth", why.clone())),
            Some((_, next_ms)) => {
                *next_ms = now_ms.saturating_add(ASKS_MS);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub fn refused(&self, connection: &str, why: &str) {
        let until = (why.to_owned(), now_ms().saturating_add(SILENT_MS));
        if self.refused.lock().insert(connection.to_owned(), until).is_none() {
            tracing::error!(connection, why, "the account is refused: what needs it waits until it is connected again");
        }
    }

    pub fn accepted(&self, connection: &str) {
        if self.refused.lock().remove(connection).is_some() {
            tracing::info!(connection, "the account is accepted again");
            // Nobody may be waiting.
            let _ = self.connected.send(connection.to_owned());
        }
    }

    /// What waits for these asks again: a person has changed what they may have been refused for.
    pub fn ask_again<'n>(&self, connections: impl IntoIterator<Item = &'n str>) {
        for connection in connections {
            self.refused.lock().remove(connection);
            // Nobody may be waiting.
            let _ = self.connected.send(connection.to_owned());
        }
    }

    /// Which accounts are refused just now.
    pub fn names(&self) -> HashSet<String> {
        self.refused.lock().keys().cloned().collect()
    }

    /// Which accounts are refused just now, and why.
    pub fn whys(&self) -> HashMap<String, String> {
        self.refused.lock().iter().map(|(connection, (why, _))| (connection.clone(), why.clone())).collect()
    }

    /// Why accounts are refused just now.
    pub fn told(&self) -> Vec<String> {
        self.refused.lock().iter().map(|(connection, (why, _))| format!("`{connection}`: {why}")).collect()
    }
}

impl Engine {
    /// An account was connected: what waits for it, or for one that it lends its credential, goes on, with the settings that the vendor filled in.
    ///
    /// # Errors
    /// The store's.
    pub async fn connected(&self, connection: &str) -> Result<(), store::Error> {
        let one_at_a_time = self.inner.reloading.lock().await;
        let hash = self.plan().hash.clone();
        self.inner.plans.lock().clear();
        if let Some(plan) = self.plan_of(&hash).await? {
            self.make_present(plan).await?;
        }
        drop(one_at_a_time);
        let accounts = &self.inner.accounts;
        tracing::info!(connection, "the account is connected");
        let plan = self.plan();
        let borrowers: Vec<&str> = plan.borrowers(connection).map(|borrower| borrower.name.as_str()).collect();
        for name in borrowers.iter().copied() {
            // What was exchanged for the former credential has ended with it.
            if let Some(Err(error)) = self.inner.vault.as_ref().map(|vault| vault.forget(name)) {
                tracing::warn!(connection = name, %error, "its former token is still kept");
            }
        }
        accounts.ask_again(borrowers.into_iter().chain([connection]));
        Ok(())
    }

    /// What waits for accounts that are refused asks again.
    pub fn ask_again(&self) {
        let accounts = &self.inner.accounts;
        let refused: Vec<String> = accounts.refused.lock().keys().cloned().collect();
        accounts.ask_again(refused.iter().map(String::as_str));
    }

    /// Accounts that are refused or down just now, each with why.
    pub fn refused(&self) -> Vec<String> {
        let mut told = self.inner.accounts.told();
        told.extend(self.inner.circuits.told());
        told
    }
}
