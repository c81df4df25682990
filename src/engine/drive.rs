//! Drives one run from where its journal ends until it is over, whatever happens to it on the way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::ledger::Ledger;
use super::life::Life;
use super::paused::{Again, Pausing};
use super::{Engine, now_ms, words_of};
use crate::clock;
use crate::connector::Failure;
use crate::run::{Ending, Entry, Fact, Outcome, Start, State, WORKFLOW};
use crate::store::{self, Commit};

/// Why a run is let go.
pub(super) enum Left {
    Over,
    /// It waits until an instant; nothing of it is kept in memory.
    Waiting {
        until_ms: i64,
    },
    /// It pauses until a connection may be asked again, and keeps its order key.
    Paused(Pausing),
}

/// Why a run is let go before it is over.
pub(super) enum Parked {
    /// The program stops, or the store takes no more writes: a restart takes it up again.
    Stopping,
    /// It cannot go on, today or after a restart.
    Broken(String),
}

impl Engine {
    /// Why the next of its key may begin; None: the program stops.
    pub(super) async fn drive(
        &self,
        start: &Start,
        is_new: bool,
        mut again: Option<Again>,
        permit: OwnedSemaphorePermit,
    ) -> Option<Left> {
        let (mut permit, mut state) = (Some(permit), is_new.then(|| State::fold(&[])));
        let why = loop {
            let ledger = &self.inner.store;
            // Some 10 KB: whoever holds it moves a pointer.
            let living = Box::pin(self.live_through(ledger, start, state.take(), again.take(), permit.take()));
            let lived = tokio::select! {
                lived = AssertUnwindSafe(living).catch_unwind() => lived,
                // What is under way is left: it is not known what came of it.
                () = self.inner.cancelled.wait(&start.id) => continue,
            };
            match lived {
                Ok(Ok(left)) => return Some(left),
                Ok(Err(Parked::Stopping)) => return None,
                Ok(Err(Parked::Broken(why))) => break why,
                Err(panic) => {
                    let words = words_of(&*panic);
                    break format!("an error in Dovetail itself ended the run; please report it: {words}");
                }
            }
        };
        tracing::error!(run = start.id, workflow = start.workflow, why, "it cannot go on");
        self.bury(&self.inner.store, start, why).await.ok()
    }

    /// Makes a dead letter of a run that cannot go on, so that those behind it can. Its journal may be unreadable.
    async fn bury(&self, ledger: &dyn Ledger, start: &Start, why: String) -> Result<Left, Parked> {
        let ending = Ending::failed(WORKFLOW, Failure::new("failed", why));
        loop {
            let Some(run) = self.retrying(|| ledger.run(&start.id)).await? else { return Ok(Left::Over) };
            if run.ending.is_some() {
                return Ok(Left::Over);
            }
            let entries = vec![Entry { at_ms: now_ms(), fact: Fact::Ended { ending: ending.clone() } }];
            let commit = Commit {
                run: start.id.clone(),
                length: run.length,
                entries,
                ending: Some(ending.clone()),
                ..Commit::default()
            };
            if self.commit(ledger, commit).await? {
                self.has_ended(start, &ending, None);
                return Ok(Left::Over);
            }
        }
    }

    pub(super) async fn live_through(
        &self,
        ledger: &dyn Ledger,
        start: &Start,
        state: Option<State>,
        again: Option<Again>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Left, Parked> {
        let held = self.inner.turns.taken_again(&start.id);
        let permit = match permit {
            Some(permit) => permit,
            None => self.permit().await?,
        };
        let state = match state {
            Some(state) => state,
            None => self.state(ledger, start).await?,
        };
        let Some(plan) = self.retrying(|| self.plan_of(&start.plan)).await? else {
            let version = start.plan.get(..8).unwrap_or(&start.plan);
            return Err(Parked::Broken(format!(
                "the project's documents of version {version}, with which the run began, cannot be read any more"
            )));
        };
        Life::new(self, ledger, start, plan, state, held, permit).live(again).await
    }

    pub(super) async fn state(&self, ledger: &dyn Ledger, start: &Start) -> Result<State, Parked> {
        let journal = self.retrying(|| ledger.journal(&start.id)).await?;
        Ok(State::fold(&journal))
    }

    /// Makes a decision durable. False: the journal has moved on, decide again from what it says now.
    pub(super) async fn commit(&self, ledger: &dyn Ledger, commit: Commit) -> Result<bool, Parked> {
        loop {
            match ledger.commit(&commit).await {
                Ok(()) => {
                    self.inner.outside.committed().await;
                    return Ok(true);
                }
                Err(store::Error::Conflict { .. }) => return Ok(false),
                // A person must decide; what the answers taught is kept.
                Err(error @ store::Error::Linked { .. }) => return self.give_up(ledger, commit, error).await,
                Err(error) => self.bear(&error).await?,
            }
        }
    }

    /// Fails the action whose pair the store refuses for good; the run goes on from there, with its `on_error`.
    async fn give_up(&self, ledger: &dyn Ledger, refused: Commit, error: store::Error) -> Result<bool, Parked> {
        let failure = Failure::new("conflict", error.to_string());
        let mut linked = refused.kept.link.into_iter();
        let linked = linked.find(|(_, pair)| matches!(&error, store::Error::Linked { link, .. } if **link == *pair));
        let Some((address, _)) = linked else { return Err(Parked::Broken(failure.message)) };
        let mut entries: Vec<Entry> = refused.entries;
        entries.retain(|entry| matches!(entry.fact, Fact::Answered { .. } | Fact::Looked { .. } | Fact::Forgot { .. }));
        let fact = Fact::Finished {
            address,
            outcome: Outcome::Failed,
            result: Arc::default(),
            failure: Some(failure),
            warnings: Vec::new(),
        };
        entries.push(Entry { at_ms: now_ms(), fact });
        let commit = Commit { run: refused.run, length: refused.length, entries, ..Commit::default() };
        Box::pin(self.commit(ledger, commit)).await?;
        Ok(false)
    }

    /// Reads from the store until it answers.
    pub(super) async fn retrying<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Parked>
    where
        F: Future<Output = Result<T, store::Error>>,
    {
        loop {
            match ask().await {
                Ok(value) => return Ok(value),
                Err(error) => self.bear(&error).await?,
            }
        }
    }

    /// A store that is full or busy may recover; one that has lost a write does not.
    async fn bear(&self, error: &store::Error) -> Result<(), Parked> {
        tracing::warn!(%error, "the store does not answer");
        match error {
            store::Error::Lost(_) => return Err(Parked::Stopping),
            store::Error::Unreadable(why) => {
                return Err(Parked::Broken(format!("what is stored of it cannot be read: {why}")));
            }
            _ => {}
        }
        tokio::select! {
            () = self.sleep(now_ms() + 1_000) => Ok(()),
            () = self.stopped() => Err(Parked::Stopping),
        }
    }

    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, Parked> {
        tokio::select! {
            permit = self.permit_to_end() => permit,
            () = self.stopped() => Err(Parked::Stopping),
        }
    }

    /// The same for what must be recorded before the program ends.
    pub(super) async fn permit_to_end(&self) -> Result<OwnedSemaphorePermit, Parked> {
        Arc::clone(&self.inner.working).acquire_owned().await.map_err(|_| Parked::Stopping)
    }

    /// Ends at this instant.
    pub(super) async fn sleep(&self, until_ms: i64) {
        while let Ok(pause @ 1..) = u64::try_from(until_ms - now_ms()) {
            tokio::time::sleep(clock::nap(pause)).await;
        }
    }
}
