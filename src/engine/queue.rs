//! Runs with one order key happen one after the other, in the order of acceptance; others in parallel.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

use super::Engine;
use super::drive::Left;
use crate::run::Start;

type Key = (String, Option<String>, String);

#[derive(Default)]
pub(super) struct Queues {
    waiting: Mutex<HashMap<Key, VecDeque<Start>>>,
}

impl Queues {
    /// Adds a run; true if it is the first of its key, so that it is its turn.
    fn add(&self, start: &Start) -> bool {
        let mut waiting = self.waiting.lock();
        let queue = waiting.entry(key(start)).or_default();
        if queue.iter().any(|other| other.id == start.id) {
            return false;
        }
        // Ids are in the order of arrival; two deliveries at the same moment may come here the other way round. The first
        // is at work already and stays.
        let place = queue.iter().rposition(|other| other.id < start.id).map_or(queue.len().min(1), |before| before + 1);
        queue.insert(place, start.clone());
        queue.len() == 1
    }

    /// Is it this run's turn?
    pub(super) fn is_first(&self, start: &Start) -> bool {
        self.waiting.lock().get(&key(start)).and_then(VecDeque::front).is_some_and(|first| first.id == start.id)
    }

    /// Takes the first of a key away, since it is over; gives the next one.
    fn next(&self, start: &Start) -> Option<Start> {
        let mut waiting = self.waiting.lock();
        let queue = waiting.get_mut(&key(start))?;
        queue.pop_front();
        let next = queue.front().cloned();
        if next.is_none() {
            waiting.remove(&key(start));
        }
        next
    }
}

fn key(start: &Start) -> Key {
    (start.workflow.clone(), start.tenant.clone(), start.order_key.clone())
}

impl Engine {
    /// Takes up a run as soon as it is its turn.
    pub(super) fn enqueue(&self, start: Start) {
        if self.inner.queues.add(&start) {
            self.take_up(start);
        }
    }

    fn take_up(&self, start: Start) {
        let engine = self.clone();
        self.spawn(async move {
            let Some(left) = engine.drive(&start).await else { return };
            let next = engine.inner.queues.next(&start);
            engine.inner.cancelled.forget(&start.id);
            engine.inner.ended.notify_waiters();
            if let Left::Waiting { until_ms } = left {
                // Only now: as long as it stood in its queue, it could not be called.
                engine.inner.alarm.set(until_ms);
            }
            if let Some(next) = next {
                engine.take_up(next);
            }
        });
    }
}
