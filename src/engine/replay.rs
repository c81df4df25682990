//! Replays: events that are kept start runs once more, of the project as it is now.
//!
//! Each is an event of its own that says of which it is a replay, so that nothing is taken for told already. Live work goes
//! first: a replay keeps to a rate, waits while the places for runs are taken or many of its own runs are not over, stands
//! behind what waits in its order, and lets live work go first where a limit is waited for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hands::Cursors;
use super::present::Present;
use super::{Engine, now_ms, queue};
use crate::run::Start;
use crate::store::{self, Intake, Run, Wanted};
use crate::trigger::Event;
use crate::workflow::Starts;

/// What to replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub wanted: Wanted,
    /// Only runs of this workflow.
    pub workflow: Option<String>,
    /// Events in a second, at most.
    pub per_second: u32,
}

/// What was replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Events that have started runs.
    pub events: u64,
    pub runs: u64,
    /// Events that start nothing as the project is now.
    pub idle: u64,
    /// The engine was told to stop before all were replayed.
    pub is_cut_short: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("another replay or backfill is under way")]
    UnderWay,
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Events that are read at once.
const STRIDE: usize = 64;
/// While live work takes the places, it is asked again after this.
const PATIENCE: Duration = Duration::from_millis(100);

impl Engine {
    /// # Errors
    /// Another replay is under way; the store's: what was replayed before stays so.
    pub async fn replay(&self, replay: &Replay) -> Result<Replayed, ReplayError> {
        let Ok(_one) = self.inner.replaying.try_lock() else { return Err(ReplayError::UnderWay) };
        let mut wanted = replay.wanted.clone();
        // What comes meanwhile is live.
        wanted.until_ms = Some(wanted.until_ms.unwrap_or(i64::MAX).min(now_ms()));
        let number = uuid::Uuid::now_v7();
        let pause = Duration::from_secs(1) / replay.per_second.max(1);
        let (mut replayed, mut after, mut started) = (Replayed::default(), 0, Vec::new());
        loop {
            let events = self.inner.store.kept_events(&wanted, after, STRIDE).await?;
            let Some((last, _)) = events.last() else { return Ok(replayed) };
            after = *last;
            for (_, event) in events {
                let intake = self.again(&self.present(), event, &number.to_string(), replay.workflow.as_deref());
                if intake.runs.is_empty() {
                    replayed.idle += 1;
                    continue;
                }
                if !self.has_room(pause, &mut started).await {
                    replayed.is_cut_short = true;
                    return Ok(replayed);
                }
                started.extend(intake.runs.iter().map(queue::key));
                let (events, runs) = self.take_in(vec![intake], Cursors::default()).await?;
                replayed.events += events as u64;
                replayed.runs += runs as u64;
            }
        }
    }

    /// Starts a workflow once more from the event of one of its runs; gives the id of the new run. None: it is an event of no account
    /// and no webhook, or it starts nothing as the project is now.
    ///
    /// # Errors
    /// The store's.
    pub async fn replay_run(&self, run: &Run) -> Result<Option<String>, store::Error> {
        let number = uuid::Uuid::now_v7().to_string();
        let start = &run.start;
        let intake = self.again(&self.present(), start.event.clone(), &number, Some(&start.workflow));
        let is_it = |other: &&Start| other.tenant == start.tenant;
        let Some(id) = intake.runs.iter().find(is_it).map(|run| run.id.clone()) else { return Ok(None) };
        let runs = intake.runs.into_iter().filter(|run| run.id == id).collect();
        self.take_in(vec![Intake { event: intake.event, runs }], Cursors::default()).await?;
        Ok(Some(id))
    }

    /// The event as one of its own, with the runs that it starts now.
    fn again(&self, present: &Present, event: Event, number: &str, workflow: Option<&str>) -> Intake {
        let (id, replay_of) = (format!("replay:{number}:{}", event.id), Some(event.id.clone()));
        // What its sender did then does not include what is done now.
        let event = Event { id, replay_of, past: true, traceparent: None, ..event };
        let plan = &present.plan;
        let mut intake = match event.connection.as_deref() {
            Some(name) => match plan.connection(name) {
                Some(connection) => self.intake(present, connection, event),
                None => Intake { event, runs: Vec::new() },
            },
            None => {
                let hears = plan.workflows.iter().find(
                    |known| matches!(&known.trigger.starts, Starts::Webhook { path, .. } if *path == event.source),
                );
                let runs = hears.map(|workflow| self.runs_without_record(plan, workflow, &event, Value::Null));
                Intake { runs: runs.unwrap_or_default(), event }
            }
        };
        // A listener of a run that waits has heard it the first time.
        intake.runs.retain(|run| {
            plan.workflows.iter().any(|known| known.name == run.workflow)
                && workflow.is_none_or(|name| name == run.workflow)
        });
        intake
    }

    /// Waits for the next turn, until half of the places for runs are free, and until fewer than that of those that were
    /// `started` are under way: one that waits for a limit takes no place. False: the engine is told to stop.
    pub(super) async fn has_room(&self, pause: Duration, started: &mut Vec<queue::Key>) -> bool {
        let (mut pause, half) = (pause, self.inner.at_once / 2);
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stopped() => return false,
            }
            started.retain(|key| self.inner.queues.has(key));
            if self.at_work() <= half && started.len() <= half {
                return true;
            }
            pause = PATIENCE;
        }
    }
}
