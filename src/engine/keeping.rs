//! Forgets what is over: by age, and what has been over for longest before the store grows too large.
//!
//! A little at a time, so that live work is not held up. What is free again is written anew, so that the file stops growing;
//! where that is much, the file becomes smaller.

use std::time::Duration;

use super::{Engine, now_ms};
use crate::project::Keep;
use crate::store::{self, Old, Pruned};

/// How often it is looked whether something is to go.
const LOOK: Duration = Duration::from_secs(10);
/// Between two small writes.
const PAUSE: Duration = Duration::from_millis(20);
/// The same while others wait for the store.
const PAUSE_BUSY: Duration = Duration::from_millis(500);
/// What may be written between two looks, in bytes.
const GROWTH: u64 = 200_000_000;
/// How often the file is made smaller between two looks, by a MiB each.
const STEPS: usize = 1_000;
/// A queue of writes that is this full is busy.
const BUSY: f64 = 0.25;

/// What is not kept any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    pub pruned: Pruned,
    /// The store is nearly too large, and nothing in it is over.
    pub is_full: bool,
}

impl Engine {
    pub(super) async fn forget_for_ever(&self) {
        let mut was_full = false;
        loop {
            match self.forget().await {
                Ok(forgotten) => {
                    if forgotten.pruned.runs + forgotten.pruned.bodies > 0 {
                        tracing::info!(pruned = ?forgotten.pruned, "what has been over for long is forgotten");
                    }
                    if forgotten.is_full && !was_full {
                        tracing::error!(
                            "the store is nearly as large as the project allows, and nothing in it is over: look at `dovetail \
                             dead list`, or allow more with `keep: {{ size: … }}` in dovetail.yaml"
                        );
                    }
                    was_full = forgotten.is_full;
                }
                Err(error) => tracing::warn!(%error, "what has been over for long is still kept"),
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.stopped() => return,
            }
        }
    }

    /// Forgets what the present version of the project does not keep.
    ///
    /// # Errors
    /// The store's; what was forgotten before stays so.
    pub async fn forget(&self) -> Result<Forgotten, store::Error> {
        let mut forgotten = Forgotten::default();
        loop {
            let stride = self.inner.store.prune_some(too_old(&self.plan().keep)).await?;
            forgotten.pruned.add(stride);
            if stride.is_last() || !self.pause().await {
                break;
            }
        }
        while self.inner.store.used_bytes().await? > limit(self.plan().keep.bytes) {
            let Some(oldest) = self.inner.store.oldest().await? else {
                forgotten.is_full = true;
                break;
            };
            forgotten.pruned.add(self.inner.store.prune_some(oldest).await?);
            if !self.pause().await {
                break;
            }
        }
        for _ in 0..STEPS {
            if !self.inner.store.shrink_some().await? || !self.pause().await {
                break;
            }
        }
        Ok(forgotten)
    }

    /// Lets others write. False: the engine is told to stop.
    async fn pause(&self) -> bool {
        let pause = if self.inner.store.load() > BUSY { PAUSE_BUSY } else { PAUSE };
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.stopped() => false,
        }
    }
}

/// What is used at most, since it grows a little until the next look.
fn limit(bytes: u64) -> u64 {
    bytes - (bytes / 10).max(GROWTH).min(bytes / 2)
}

fn too_old(keep: &Keep) -> Old {
    let before = |span: Duration| now_ms().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
    Old { runs_ms: before(keep.runs), events_ms: before(keep.events) }
}
