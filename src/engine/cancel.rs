//! Runs that a person ends before they are over.

use std::collections::HashSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Engine;
use super::queue::key;
use crate::run::Start;
use crate::store::{self, Sought};

/// Those that are being driven, and are to be left.
#[derive(Default)]
pub(super) struct Cancelled {
    runs: Mutex<HashSet<String>>,
    more: Notify,
}

impl Cancelled {
    /// Ends when the run is cancelled.
    pub(super) async fn wait(&self, run: &str) {
        loop {
            let more = self.more.notified();
            if self.runs.lock().remove(run) {
                return;
            }
            more.await;
        }
    }

    /// Is the run to be left, and is not yet?
    pub(super) fn contains(&self, run: &str) -> bool {
        self.runs.lock().contains(run)
    }

    /// The run has left its queue, so that nobody asks for it any more.
    pub(super) fn forget(&self, run: &str) {
        self.runs.lock().remove(run);
    }
}

impl Engine {
    /// Ends runs that are not over, as dropped; what is over is left alone. A request that is under way may still be
    /// carried out.
    ///
    /// # Errors
    /// The store's; those before it are ended.
    pub async fn cancel(&self, runs: &[String], by: &str) -> Result<(), store::Error> {
        for id in runs {
            if let Some(run) = self.inner.hands.cancel(self, id, by).await?
                && let Some(ending) = &run.ending
            {
                self.has_ended(&run.start, ending, None);
            }
        }
        Ok(())
    }

    /// Forgets a person: see [`store::Store::erase`].
    ///
    /// # Errors
    /// The store's, or the cluster's.
    pub async fn erase(&self, sought: &Sought) -> Result<(), store::Error> {
        self.inner.hands.erase(self, sought).await
    }

    /// Whoever drives a run that has ended leaves it.
    pub(super) fn leave(&self, run: &Start) {
        self.inner.cancelled.runs.lock().insert(run.id.clone());
        match self.inner.queues.is_first(run) {
            true => {
                self.inner.cancelled.more.notify_waiters();
                // Nobody drives one that pauses.
                self.call_paused(&key(run));
            }
            // Nobody drives it: when its turn comes, its journal says that it is over.
            false => self.inner.cancelled.forget(&run.id),
        }
    }
}
