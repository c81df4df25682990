//! What is counted since the start: by atomics, so that counting delays nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::standing::Pace;
use super::{Engine, count, now_ms};
use crate::connector::FAILURE_NAMES;
use crate::project::Plan;
use crate::run::{Answer, Ending, Start};
use crate::store::{Accepted, Status};

/// Counted since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub refused: AtomicU64,
    pub unknown_connection: AtomicU64,
    pub unknown_event: AtomicU64,
    pub requests: AtomicU64,
    /// Events that were new, and those that were there already.
    pub accepted: AtomicU64,
    pub duplicates: AtomicU64,
    /// What senders of webhooks were answered, by the word of the answer.
    pub deliveries: Family<1>,
    /// Runs that have ended, by workflow.
    pub(super) ended: Family<{ ENDINGS.len() }>,
    /// Requests that were answered or failed, by connection.
    pub(super) answered: Family<{ FAILURE_NAMES.len() + 1 }>,
    pub(super) pace: Pace,
}

/// The states in which a run can end.
pub(super) const ENDINGS: [Status; 4] = [Status::Completed, Status::Skipped, Status::Failed, Status::Dropped];
/// What an answer is called that is no failure.
pub(super) const DONE: &str = "done";
/// Names that have a series of their own; further ones share one.
const NAMES_MAX: usize = 2_000;
/// No workflow and no connection can be called so.
const OTHERS: &str = "(others)";

impl Counters {
    pub(super) fn taken_in(&self, accepted: Accepted) {
        count(match accepted {
            Accepted::New => &self.accepted,
            Accepted::Duplicate => &self.duplicates,
        });
    }

    pub(super) fn ended(&self, workflow: &str, ending: &Ending) {
        let status = Status::of(ending);
        let index = ENDINGS.iter().position(|known| *known == status).unwrap_or_default();
        self.ended.count(workflow, index);
        self.pace.ended(status, now_ms());
    }

    /// What an answer means; a name that no recipe knows is `failed`.
    pub(super) fn answered(&self, connection: &str, answer: &Answer) {
        let index = |name: &str| FAILURE_NAMES.iter().position(|known| *known == name);
        let index = match answer {
            Answer::Failed(failure) => index(&failure.name).or_else(|| index("failed")).unwrap_or_default(),
            Answer::Done { .. } => FAILURE_NAMES.len(),
        };
        self.answered.count(connection, index);
    }
}

impl Engine {
    /// A run has ended: counted, and told to whoever follows.
    pub(super) fn has_ended(&self, start: &Start, ending: &Ending, plan: Option<&Arc<Plan>>) {
        self.inner.counters.ended(&start.workflow, ending);
        self.inner.tap.ended(start, ending);
        self.traced(start, plan);
    }
}

/// Some counters for each of several names.
#[derive(Debug)]
pub struct Family<const N: usize> {
    series: RwLock<BTreeMap<String, Arc<[AtomicU64; N]>>>,
}

impl<const N: usize> Default for Family<N> {
    fn default() -> Self {
        Self { series: RwLock::default() }
    }
}

impl<const N: usize> Family<N> {
    pub fn count(&self, name: &str, index: usize) {
        // A name that is known is only read: nobody waits.
        let known = self.series.read().get(name).cloned();
        let counters = known.unwrap_or_else(|| {
            let mut series = self.series.write();
            let has_room = series.len() < NAMES_MAX || series.contains_key(name);
            let name = if has_room { name } else { OTHERS };
            series
                .entry(name.to_owned())
                .or_insert_with(|| Arc::new(std::array::from_fn(|_| AtomicU64::new(0))))
                .clone()
        });
        if let Some(counter) = counters.get(index) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every name with what was counted.
    pub fn read(&self) -> Vec<(String, [u64; N])> {
        let read = |counters: &[AtomicU64; N]| std::array::from_fn(|index| counters[index].load(Ordering::Relaxed));
        self.series.read().iter().map(|(name, counters)| (name.clone(), read(counters))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_share_one_series() {
        let family = Family::<2>::default();
        (0..NAMES_MAX + 50).for_each(|number| family.count(&number.to_string(), 1));
        let read = family.read();
        assert_eq!(read.len(), NAMES_MAX + 1);
        assert!(read.contains(&(OTHERS.to_owned(), [0, 50])));
        assert!(read.contains(&("7".to_owned(), [0, 1])));
    }
}
