//! Actions that upsert one identity take turns.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// One lock per identity that somebody is at or waits for.
#[derive(Default)]
pub(super) struct Turns {
    by_identity: Mutex<HashMap<String, Arc<Turn<()>>>>,
    /// Taken when the program started, until the run is driven.
    again: Mutex<HashMap<String, Vec<Held>>>,
}

/// Held until dropped.
pub(super) struct Held {
    pub address: String,
    pub identities: Vec<String>,
    _guards: Vec<OwnedMutexGuard<()>>,
}

impl Held {
    /// Those that are taken elsewhere.
    pub fn elsewhere(address: &str, identities: &[String]) -> Held {
        Held { address: address.into(), identities: identities.to_vec(), _guards: Vec::new() }
    }
}

impl Turns {
    /// All turns at once if they are free.
    pub fn try_take(&self, address: &str, identities: &[String]) -> Option<Held> {
        let locks = self.locks(identities);
        let guards: Result<Vec<_>, _> = locks.into_iter().map(Turn::try_lock_owned).collect();
        Some(Held { address: address.into(), identities: identities.to_vec(), _guards: guards.ok()? })
    }

    /// Waits for all turns. Identities come sorted, so that two that wait for each other cannot be.
    pub async fn take(&self, address: &str, identities: &[String]) -> Held {
        let mut guards = Vec::with_capacity(identities.len());
        for lock in self.locks(identities) {
            guards.push(lock.lock_owned().await);
        }
        Held { address: address.into(), identities: identities.to_vec(), _guards: guards }
    }

    /// Takes turns for a run that will be driven. One that is taken already is left to be waited for.
    pub fn take_again(&self, run: &str, address: &str, identities: &[String]) {
        if let Some(held) = self.try_take(address, identities) {
            self.again.lock().entry(run.to_string()).or_default().push(held);
        }
    }

    /// Keeps turns of a run that is let go, and will be driven again.
    pub fn keep(&self, run: &str, held: Vec<Held>) {
        if !held.is_empty() {
            self.again.lock().entry(run.to_string()).or_default().extend(held);
        }
    }

    pub fn taken_again(&self, run: &str) -> Vec<Held> {
        self.again.lock().remove(run).unwrap_or_default()
    }

    fn locks(&self, identities: &[String]) -> Vec<Arc<Turn<()>>> {
        let mut known = self.by_identity.lock();
        if known.len() > 10_000 {
            known.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        identities.iter().map(|identity| known.entry(identity.clone()).or_default().clone()).collect()
    }
}
