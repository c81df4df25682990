//! Runs with one order key happen one after the other, in the order of acceptance; others in parallel.
//!
//! What is in line is little more than an id: a run is read from the store when its turn has come and a place is free.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::Engine;
use super::drive::{Left, Parked};
use super::paused::Again;
use crate::run::{Start, State};
use crate::store::{self, Pending};

/// Runs in line that are kept whole, at most.
const WHOLE_MAX: usize = 1_024;
/// Journals that are read at once when the program starts.
const STRIDE: usize = 256;

pub(super) type Key = (String, Option<String>, String);

#[derive(Default)]
pub(super) struct Queues {
    lines: Mutex<Lines>,
    ready: Notify,
}

#[derive(Default)]
struct Lines {
    waiting: HashMap<Arc<Key>, VecDeque<Ticket>>,
    /// Keys whose first run is to be taken up; again, if it has paused.
    ready: VecDeque<(Arc<Key>, Option<Again>)>,
    /// Runs that are kept whole.
    whole: usize,
    /// What came before those that were pending when the program started. None: they are in line.
    early: Option<Vec<(Key, Ticket)>>,
}

/// A run in line.
struct Ticket {
    id: String,
    /// None: it is read when its turn has come.
    whole: Option<Box<Whole>>,
}

/// A run that was just accepted, or called.
struct Whole {
    start: Start,
    /// Its journal is empty.
    is_new: bool,
}

/// The first run of a key, whose turn has come.
pub(super) struct Turn {
    key: Arc<Key>,
    ticket: Ticket,
    again: Option<Again>,
}

impl Queues {
    /// From now on what comes waits until those that are pending are in line.
    pub(super) fn close(&self) {
        self.lines.lock().early = Some(Vec::new());
    }

    fn open(&self, pending: Vec<Pending>) {
        let mut lines = self.lines.lock();
        for Pending { id, workflow, tenant, order_key, .. } in pending {
            lines.add((workflow, tenant, order_key), Ticket { id, whole: None });
        }
        let early = lines.early.take().into_iter().flatten();
        early.for_each(|(key, ticket)| lines.add(key, ticket));
        drop(lines);
        self.ready.notify_one();
    }

    fn add(&self, whole: Whole) {
        let mut lines = self.lines.lock();
        let (key, id) = (key(&whole.start), whole.start.id.clone());
        let has_room = lines.whole < WHOLE_MAX;
        lines.whole += usize::from(has_room);
        let ticket = Ticket { id, whole: has_room.then(|| Box::new(whole)) };
        match &mut lines.early {
            Some(early) => early.push((key, ticket)),
            None => lines.add(key, ticket),
        }
        drop(lines);
        self.ready.notify_one();
    }

    /// Is nobody in line or at work?
    pub(super) fn is_empty(&self) -> bool {
        let lines = self.lines.lock();
        lines.waiting.is_empty() && lines.early.is_none()
    }

    /// Is a run of this key in line, at work or pausing?
    pub(super) fn has(&self, key: &Key) -> bool {
        self.lines.lock().waiting.contains_key(key)
    }

    /// Is it this run's turn?
    pub(super) fn is_first(&self, start: &Start) -> bool {
        let lines = self.lines.lock();
        lines.waiting.get(&key(start)).and_then(VecDeque::front).is_some_and(|first| first.id == start.id)
    }

    /// Ends when a run can be taken.
    async fn is_ready(&self) {
        while self.lines.lock().ready.is_empty() {
            self.ready.notified().await;
        }
    }

    fn take(&self) -> Option<Turn> {
        let mut lines = self.lines.lock();
        let (key, again) = lines.ready.pop_front()?;
        let first = lines.waiting.get_mut(&key)?.front_mut()?;
        let ticket = Ticket { id: first.id.clone(), whole: first.whole.take() };
        lines.whole -= usize::from(ticket.whole.is_some());
        Some(Turn { key, ticket, again })
    }

    /// The first of a key is over, or lets the next one go.
    fn next(&self, key: Arc<Key>) {
        let mut lines = self.lines.lock();
        let Some(line) = lines.waiting.get_mut(&key) else { return };
        line.pop_front();
        if line.is_empty() {
            lines.waiting.remove(&key);
            return;
        }
        lines.ready.push_back((key, None));
        drop(lines);
        self.ready.notify_one();
    }

    /// Those that have paused go on.
    pub(super) fn call(&self, again: impl IntoIterator<Item = (Arc<Key>, Again)>) {
        let again = again.into_iter().map(|(key, again)| (key, Some(again)));
        self.lines.lock().ready.extend(again);
        self.ready.notify_one();
    }
}

impl Lines {
    fn add(&mut self, key: Key, ticket: Ticket) {
        let known = self.waiting.get_key_value(&key).map(|(key, _)| Arc::clone(key));
        let key = known.unwrap_or_else(|| Arc::new(key));
        let line = self.waiting.entry(Arc::clone(&key)).or_insert_with(|| VecDeque::with_capacity(1));
        // Ids are in the order of arrival; two deliveries at the same moment may come here the other way round. The first
        // may be at work already and stays.
        let before = line.iter().rposition(|other| other.id <= ticket.id);
        let is_there = |at: usize| line.get(at).is_some_and(|other| other.id == ticket.id);
        if is_there(0) || before.is_some_and(is_there) {
            self.whole -= usize::from(ticket.whole.is_some());
            return;
        }
        line.insert(before.map_or(line.len().min(1), |before| before + 1), ticket);
        if line.len() == 1 {
            self.ready.push_back((key, None));
        }
    }
}

pub(super) fn key(start: &Start) -> Key {
    (start.workflow.clone(), start.tenant.clone(), start.order_key.clone())
}

impl Engine {
    /// Takes up a run as soon as it is its turn.
    pub(super) fn enqueue(&self, start: Start) {
        self.inner.queues.add(Whole { start, is_new: false });
    }

    /// The same for one that was just accepted.
    pub(super) fn enqueue_new(&self, start: Start) {
        self.inner.queues.add(Whole { start, is_new: true });
    }

    /// Puts in line what was pending when the program started. Writes under way take their turns first: nobody may write
    /// what one of them is writing. What was at work goes before a dead letter of its order key that a person has had
    /// retried since.
    pub(super) async fn enqueue_pending(&self) {
        if let Ok(pending) = self.pending().await {
            self.inner.queues.open(pending);
        }
    }

    /// The same for some of them, where the others are left to another process.
    pub(super) async fn enqueue_left(&self, left: Vec<Pending>) {
        if let Ok(left) = self.in_line(left).await {
            self.inner.queues.open(left);
        }
    }

    async fn pending(&self) -> Result<Vec<Pending>, Parked> {
        let store = &self.inner.store;
        let pending = self.retrying(|| store.pending()).await?;
        self.in_line(pending).await
    }

    async fn in_line(&self, pending: Vec<Pending>) -> Result<Vec<Pending>, Parked> {
        let store = &self.inner.store;
        let (begun, mut others): (Vec<Pending>, Vec<Pending>) = pending.into_iter().partition(|run| run.has_begun);
        let mut at_work = Vec::new();
        for stride in begun.chunks(STRIDE) {
            let ids: Vec<String> = stride.iter().map(|run| run.id.clone()).collect();
            let journals = self.retrying(|| store.journals(ids.clone())).await?;
            for (run, journal) in stride.iter().zip(journals) {
                // Of one that cannot be read, whoever drives it makes a dead letter.
                let state = journal.map(|journal| State::fold(&journal)).unwrap_or_default();
                if state.retried {
                    others.push(run.clone());
                    continue;
                }
                let turns = &self.inner.turns;
                state.open_turns().for_each(|(address, identities)| turns.take_again(&run.id, address, identities));
                at_work.push(run.clone());
            }
        }
        others.sort_unstable_by_key(|run| run.seq);
        at_work.extend(others);
        Ok(at_work)
    }

    /// Begins what is first in line whenever a place is free.
    pub(super) async fn take_up_for_ever(&self) {
        loop {
            tokio::select! {
                () = self.inner.queues.is_ready() => {}
                () = self.stopped() => return,
            }
            let Ok(permit) = self.permit().await else { return };
            if let Some(turn) = self.inner.queues.take() {
                let engine = self.clone();
                self.spawn(async move { engine.take_up(turn, permit).await });
            }
        }
    }

    async fn take_up(&self, Turn { key, ticket: Ticket { id, whole }, again }: Turn, permit: OwnedSemaphorePermit) {
        let whole = match whole {
            Some(whole) => Ok(Some(*whole)),
            None => self.whole(&id).await,
        };
        let left = match whole {
            Ok(Some(Whole { start, is_new })) => self.drive(&start, is_new, again, permit).await,
            // Nothing is left of it.
            Ok(None) => Some(Left::Over),
            Err(Parked::Stopping) => None,
            Err(Parked::Broken(why)) => {
                tracing::error!(run = id, why, "it cannot go on");
                Some(Left::Over)
            }
        };
        let Some(left) = left else { return };
        let left = match left {
            Left::Paused(pausing) => return self.add_paused(key, &id, pausing),
            left => left,
        };
        self.inner.queues.next(key);
        self.inner.cancelled.forget(&id);
        self.inner.ended.notify_waiters();
        if let Left::Waiting { until_ms } = left {
            // Only now: as long as it stood in its queue, it could not be called.
            self.inner.alarm.set(until_ms);
        }
    }

    async fn whole(&self, id: &str) -> Result<Option<Whole>, Parked> {
        let run: Option<store::Run> = self.retrying(|| self.inner.store.run(id)).await?;
        Ok(run.map(|run| Whole { start: run.start, is_new: false }))
    }
}
