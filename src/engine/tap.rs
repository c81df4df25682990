//! What happens, told to whoever follows it live. Nobody waits for a listener: one that is slow is told how much it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Engine, now_ms};
use crate::run::{Answer, Ending, Send, Start};
use crate::store::{Accepted, Intake, Status};
use crate::trigger::Event;

/// What a listener may be behind.
const BEHIND_MAX: usize = 1_024;
/// Listeners at the same time.
const LISTENERS_MAX: usize = 64;

/// What has happened. Names and ids, no data of records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Happened {
    /// From here on all is told.
    Listening,
    /// An event was stored, or was there already.
    Event {
        at_ms: i64,
        duplicate: bool,
        runs: usize,
        #[serde(flatten)]
        about: About,
    },
    /// A request was answered, or failed.
    Request {
        at_ms: i64,
        run: String,
        operation: String,
        to: String,
        attempt: u32,
        outcome: String,
        took_ms: u64,
        #[serde(flatten)]
        about: About,
    },
    Ended {
        at_ms: i64,
        run: String,
        status: Status,
        why: Option<String>,
        #[serde(flatten)]
        about: About,
    },
    /// So many were not told, since the listener was slow.
    Missed { number: u64 },
}

/// Whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub workflow: Option<String>,
    pub connection: Option<String>,
    pub object: Option<String>,
    pub record: Option<String>,
    pub event: String,
    pub source: String,
}

/// Of what a listener is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    pub workflow: Option<String>,
    pub connection: Option<String>,
    pub record: Option<String>,
}

pub(super) struct Tap {
    listeners: Arc<AtomicUsize>,
    told: broadcast::Sender<Arc<Happened>>,
}

impl Default for Tap {
    fn default() -> Self {
        Tap { listeners: Arc::default(), told: broadcast::channel(BEHIND_MAX).0 }
    }
}

/// A listener.
pub struct Tapping {
    of: Listening,
    told: broadcast::Receiver<Arc<Happened>>,
    listeners: Arc<AtomicUsize>,
}

impl Tap {
    pub fn is_heard(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) > 0
    }

    fn tell(&self, happened: Happened) {
        // Whoever listened may have left.
        let _ = self.told.send(Arc::new(happened));
    }

    fn listen(&self, of: Listening) -> Option<Tapping> {
        let before = self.listeners.fetch_add(1, Ordering::Relaxed);
        let tapping = Tapping { of, told: self.told.subscribe(), listeners: Arc::clone(&self.listeners) };
        (before < LISTENERS_MAX).then_some(tapping)
    }

    pub fn taken_in(&self, intake: &Intake, accepted: Accepted) {
        if self.is_heard() {
            let duplicate = accepted == Accepted::Duplicate;
            let runs = if duplicate { 0 } else { intake.runs.len() };
            self.tell(Happened::Event { at_ms: now_ms(), duplicate, runs, about: about(None, &intake.event) });
        }
    }

    pub fn answered(&self, (run, about): (String, About), send: &Send, answer: &Answer, took: Duration) {
        let outcome = match answer {
            Answer::Done { .. } => super::counters::DONE.to_owned(),
            Answer::Failed(failure) => failure.name.clone(),
        };
        self.tell(Happened::Request {
            at_ms: now_ms(),
            run,
            operation: send.operation.clone(),
            to: send.connection.clone(),
            attempt: send.attempt,
            outcome,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            about,
        });
    }

    /// Whose a request is, if anybody listens.
    pub fn whose(&self, start: &Start) -> Option<(String, About)> {
        self.is_heard().then(|| (start.id.clone(), about(Some(&start.workflow), &start.event)))
    }

    pub fn ended(&self, start: &Start, ending: &Ending) {
        if self.is_heard() {
            let why = match ending {
                Ending::Completed { .. } => None,
                Ending::Skipped { why } => Some(why.clone()),
                Ending::Failed { place, failure, .. } => Some(format!("{} at {place}", failure.name)),
                Ending::Dropped { by } => Some(by.clone()),
            };
            let (run, about) = (start.id.clone(), about(Some(&start.workflow), &start.event));
            self.tell(Happened::Ended { at_ms: now_ms(), run, status: Status::of(ending), why, about });
        }
    }
}

fn about(workflow: Option<&str>, event: &Event) -> About {
    About {
        workflow: workflow.map(str::to_owned),
        connection: event.connection.clone(),
        object: event.object.clone(),
        record: event.record_id.clone(),
        event: event.id.clone(),
        source: event.source.clone(),
    }
}

impl Listening {
    fn concerns(&self, happened: &Happened) -> bool {
        let (about, to) = match happened {
            Happened::Event { about, .. } | Happened::Ended { about, .. } => (about, None),
            Happened::Request { about, to, .. } => (about, Some(to)),
            Happened::Listening | Happened::Missed { .. } => return true,
        };
        // An event is of no workflow yet.
        let of_event = about.workflow.is_none();
        let workflow = of_event || self.workflow.is_none() || self.workflow == about.workflow;
        let connection =
            self.connection.is_none() || self.connection == about.connection || self.connection.as_ref() == to;
        workflow && connection && (self.record.is_none() || self.record == about.record)
    }
}

impl Tapping {
    /// What happens next; None: there will be nothing more.
    async fn next(&mut self) -> Option<Happened> {
        loop {
            match self.told.recv().await {
                Ok(happened) if self.of.concerns(&happened) => return Some(Happened::clone(&happened)),
                Ok(_) => {}
                Err(RecvError::Lagged(number)) => return Some(Happened::Missed { number }),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Drop for Tapping {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Engine {
    /// Listens from now on; None: too many listen already.
    pub fn listen(&self, of: Listening) -> Option<Tapping> {
        self.inner.tap.listen(of)
    }

    /// What a listener is told next; None: the engine is told to stop.
    pub async fn heard(&self, tapping: &mut Tapping) -> Option<Happened> {
        tokio::select! {
            happened = tapping.next() => happened,
            () = self.stopped() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Intake {
        let event = Event { id: number.to_string(), connection: Some("one".into()), ..Event::default() };
        Intake { event, runs: Vec::new() }
    }

    #[tokio::test]
    async fn a_slow_listener_is_told_how_much_it_missed_and_holds_up_nobody() {
        let tap = Tap::default();
        tap.taken_in(&event(0), Accepted::New);
        let mut slow = tap.listen(Listening::default()).unwrap();
        let mut other = tap.listen(Listening { connection: Some("two".into()), ..Listening::default() }).unwrap();
        (1..=BEHIND_MAX + 40).for_each(|number| tap.taken_in(&event(number), Accepted::New));
        assert_eq!(slow.next().await, Some(Happened::Missed { number: 40 }));
        let Some(Happened::Event { about, duplicate: false, .. }) = slow.next().await else { panic!("an event") };
        assert_eq!(about.event, "41");
        assert_eq!(other.next().await, Some(Happened::Missed { number: 40 }), "though none concerned it");
        drop((slow, other));
        assert!(!tap.is_heard());
    }

    #[test]
    fn only_some_may_listen() {
        let tap = Tap::default();
        let listening: Vec<_> = (0..LISTENERS_MAX).map(|_| tap.listen(Listening::default())).collect();
        assert!(listening.iter().all(Option::is_some));
        assert!(tap.listen(Listening::default()).is_none());
        drop(listening);
        assert!(tap.listen(Listening::default()).is_some());
    }
}
