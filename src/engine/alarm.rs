//! The alarm: calls runs when their `wait` is over. A wait costs a row of the store, not a task.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Engine, now_ms};
use crate::clock;
use crate::store;

/// Runs that are called at once; the others follow.
const STRIDE: usize = 256;

/// How far the store was asked.
#[derive(Default)]
pub(super) struct Alarm {
    /// Due (milliseconds) and number of the last run that was called.
    called: Mutex<(i64, i64)>,
    set: Notify,
}

impl Alarm {
    /// A run waits until then. One that was due while it still stood in its queue is called now.
    pub(super) fn set(&self, until_ms: i64) {
        let mut called = self.called.lock();
        *called = (*called).min((until_ms.saturating_sub(1), i64::MAX));
        drop(called);
        self.set.notify_one();
    }
}

impl Engine {
    pub(super) async fn wake_for_ever(&self) {
        loop {
            let pause = match self.wake_due().await {
                Ok(Some(due_ms)) => u64::try_from(due_ms - now_ms()).unwrap_or(0),
                Ok(None) => u64::MAX,
                Err(error) => {
                    tracing::warn!(%error, "who waits could not be read");
                    1_000
                }
            };
            tokio::select! {
                () = tokio::time::sleep(clock::nap(pause.max(1))) => {}
                () = self.inner.alarm.set.notified() => {}
                () = self.stopped() => return,
            }
        }
    }

    /// Calls who is due; gives the next instant, or None if nobody waits.
    async fn wake_due(&self) -> Result<Option<i64>, store::Error> {
        loop {
            let after = *self.inner.alarm.called.lock();
            let mut waiting = self.inner.store.waiting(after, STRIDE).await?;
            let now = now_ms();
            let due = waiting.partition_point(|run| run.due_ms <= now);
            let next = waiting.get(due).map(|run| run.due_ms);
            let Some(last) = due.checked_sub(1).and_then(|last| waiting.get(last)) else { return Ok(next) };
            let mut called = self.inner.alarm.called.lock();
            if *called != after {
                // Set meanwhile: somebody may be due earlier.
                continue;
            }
            *called = (last.due_ms, last.seq);
            drop(called);
            waiting.drain(..due).for_each(|run| self.enqueue(run.start));
        }
    }
}
