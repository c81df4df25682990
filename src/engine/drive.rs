//! Drives one run from where its journal ends until it is over.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::turns::Held;
use super::{Engine, now_ms, words_of};
use crate::connector::Failure;
use crate::http::Take;
use crate::run::{
    Answer, Decision, Ending, Entry, Fact, Next, Outcome, RecordRef, Send, Start, State, WORKFLOW, decide,
};
use crate::store::{self, Commit, Intake};

/// Why a run is let go.
pub(super) enum Left {
    Over,
    /// It waits until an instant; nothing of it is kept in memory.
    Waiting {
        until_ms: i64,
    },
}

/// Why a run is let go before it is over.
enum Parked {
    /// The program stops, or the store takes no more writes: a restart takes it up again.
    Stopping,
    /// Its journal has grown without us: a person has ended it.
    Overtaken,
    /// It cannot go on, today or after a restart.
    Broken(String),
}

impl Engine {
    /// Why the next of its key may begin; None: the program stops.
    pub(super) async fn drive(&self, start: &Start) -> Option<Left> {
        let why = loop {
            let lived = tokio::select! {
                lived = AssertUnwindSafe(self.live_through(start)).catch_unwind() => lived,
                // What is under way is left: it is not known what came of it.
                () = self.inner.cancelled.wait(&start.id) => continue,
            };
            match lived {
                Ok(Ok(left)) => return Some(left),
                Ok(Err(Parked::Stopping)) => return None,
                Ok(Err(Parked::Overtaken)) => {}
                Ok(Err(Parked::Broken(why))) => break why,
                Err(panic) => {
                    let words = words_of(&*panic);
                    break format!("an error in Dovetail itself ended the run; please report it: {words}");
                }
            }
        };
        tracing::error!(run = start.id, workflow = start.workflow, why, "it cannot go on");
        self.bury(start, why).await.ok()
    }

    /// Makes a dead letter of a run that cannot go on, so that those behind it can. Its journal may be unreadable.
    async fn bury(&self, start: &Start, why: String) -> Result<Left, Parked> {
        let ending =
            Ending::Failed { address: WORKFLOW.into(), place: String::new(), failure: Failure::new("failed", why) };
        loop {
            let Some(run) = self.retrying(|| self.inner.store.run(&start.id)).await? else { return Ok(Left::Over) };
            if run.ending.is_some() {
                return Ok(Left::Over);
            }
            let entries = vec![Entry { at_ms: now_ms(), fact: Fact::Ended { ending: ending.clone() } }];
            let (length, ending) = (run.length, Some(ending.clone()));
            let commit = Commit { run: start.id.clone(), length, entries, ending, ..Commit::default() };
            if self.commit(commit).await? {
                return Ok(Left::Over);
            }
        }
    }

    async fn live_through(&self, start: &Start) -> Result<Left, Parked> {
        let mut held: Option<Held> = self.inner.turns.taken_again(&start.id);
        let mut permit = Some(self.permit().await?);
        let mut state = self.state(start).await?;
        let plan = self.retrying(|| self.plan_of(&start.plan)).await?;
        let Some(plan) = plan else {
            let version = start.plan.get(..8).unwrap_or(&start.plan);
            return Err(Parked::Broken(format!(
                "the project's documents of version {version}, with which the run began, cannot be read any more"
            )));
        };
        let mut learnt: Vec<Entry> = Vec::new();
        for fact in state.taken_up() {
            learn(&mut state, &mut learnt, fact);
        }
        loop {
            let heard = self.inner.heard.notified();
            tokio::pin!(heard);
            // What is told from here on is not missed.
            heard.as_mut().enable();
            let mut length = state.length - learnt.len();
            let decided_ms = now_ms();
            let Decision { entries, mut kept, next } = decide(&plan, start, &mut state, decided_ms);
            if let Next::Recall { of } = &next {
                learnt.extend(entries);
                state.recall(self.retrying(|| self.inner.store.known(&start.workflow, of)).await?);
                continue;
            }
            if let Next::Receive { address, subscription } = &next {
                learnt.extend(entries);
                let received = self.retrying(|| self.inner.store.message(&start.id, subscription)).await?;
                state.receive(address.clone(), received);
                continue;
            }
            state.ask_again();
            // Also of an action that failed: what stands in for it takes turns of its own.
            if held.as_ref().is_some_and(|held| state.is_given_up(&held.address)) {
                held = None;
            }
            let turns: &[String] = match &next {
                Next::Send(send) => &send.turns,
                Next::Look { turns, .. } => turns,
                _ => &[],
            };
            if held.is_none() && !turns.is_empty() {
                held = self.inner.turns.try_take(address_of(&next), turns);
                if held.is_none() {
                    length = self.keep(start, length, &mut learnt).await?;
                    drop(permit.take());
                    held = Some(self.turn(address_of(&next), turns).await?);
                    permit = Some(self.permit().await?);
                }
            }
            let ready = match &next {
                Next::Send(send) => Some(self.ready(&plan, send).await),
                _ => None,
            };
            if let (Next::Send(send), Some(Ok(_))) = (&next, &ready) {
                // The budget is taken before the entry is made durable: what is recorded as sent is sent at once.
                while let Take::Wait(pause) = self.take(&plan, send, true) {
                    length = self.keep(start, length, &mut learnt).await?;
                    drop(permit.take());
                    let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).min(60_000);
                    self.sleep_until(now_ms().saturating_add(pause.max(1))).await?;
                    permit = Some(self.permit().await?);
                }
            }
            if *self.inner.stopping.borrow() && ready.is_some() {
                self.keep(start, length, &mut learnt).await?;
                return Err(Parked::Stopping);
            }
            let entries: Vec<Entry> = learnt.drain(..).chain(entries).collect();
            let due_ms = if let Next::Wait { until_ms, .. } = next { until_ms } else { 0 };
            // Who runs one workflow by hand waits for it.
            let parked = self.inner.listens && matches!(next, Next::Wait { lets_go: true, .. });
            let ending = state.ending.clone();
            let intakes: Vec<Intake> = kept.emitted.drain(..).map(|event| self.heard_of_project(event)).collect();
            let further: Vec<Start> = intakes.iter().flat_map(|intake| intake.runs.clone()).collect();
            if let Some(Fact::Paused { why, .. }) = entries.last().map(|entry| &entry.fact) {
                let seconds = (due_ms - now_ms()) / 1_000;
                tracing::warn!(run = start.id, workflow = start.workflow, why, seconds, "waits, and tries again");
            }
            let run = start.id.clone();
            let subscriptions = if parked { state.subscriptions() } else { Vec::new() };
            let is_subscribed = !subscriptions.is_empty();
            let tells_ms = entries.last().map(|entry| entry.at_ms).filter(|_| !kept.messages.is_empty());
            let commit = Commit { run, length, entries, due_ms, parked, subscriptions, ending, kept, intakes };
            if (parked || !commit.entries.is_empty()) && !self.commit(commit).await? {
                state = self.state(start).await?;
                continue;
            }
            if let Some(at_ms) = tells_ms {
                self.inner.alarm.set(at_ms);
                self.inner.heard.notify_waiters();
            }
            if self.inner.listens {
                further.into_iter().for_each(|run| self.enqueue(run));
            }
            match next {
                // Answered above.
                Next::Recall { .. } | Next::Receive { .. } => {}
                Next::Over => {
                    let workflow = &start.workflow;
                    match &state.ending {
                        // Who runs one workflow by hand is told how it ended.
                        Some(Ending::Failed { place, failure, .. }) if self.inner.listens => {
                            tracing::warn!(run = start.id, workflow, place, %failure, "failed, and is a dead letter now");
                        }
                        ending => tracing::info!(run = start.id, workflow, ?ending, "over"),
                    }
                    return Ok(Left::Over);
                }
                // What it waits for may be there already.
                Next::Wait { .. } if parked && is_subscribed => return Ok(Left::Waiting { until_ms: decided_ms }),
                Next::Wait { until_ms, .. } if parked => return Ok(Left::Waiting { until_ms }),
                Next::Wait { until_ms, .. } => {
                    drop(permit.take());
                    tokio::select! {
                        slept = self.sleep_until(until_ms) => slept?,
                        () = heard, if state.is_subscribed() => {}
                    }
                    permit = Some(self.permit().await?);
                }
                Next::Look { address, of, connection, object, .. } => {
                    let found = self
                        .retrying(|| self.inner.store.linked_for(start.tenant.as_deref(), &of, &connection, &object))
                        .await?;
                    let fact = Fact::Looked { address, found: found.map(|found: RecordRef| found.id) };
                    learn(&mut state, &mut learnt, fact);
                }
                Next::Send(send) => {
                    let answer = match ready {
                        Some(Ok(ready)) => self.perform(&plan, &send, ready).await,
                        Some(Err(failure)) => Answer::Failed(failure),
                        None => Answer::Failed(Failure::new("unknown", "the request was not made")),
                    };
                    learn(&mut state, &mut learnt, answered(&send, answer));
                }
            }
        }
    }

    /// Makes what was learnt durable before a wait; gives the journal's length.
    async fn keep(&self, start: &Start, length: usize, learnt: &mut Vec<Entry>) -> Result<usize, Parked> {
        if learnt.is_empty() {
            return Ok(length);
        }
        let entries: Vec<Entry> = std::mem::take(learnt);
        let added = entries.len();
        let run = start.id.clone();
        let commit = Commit { run, length, entries, ..Commit::default() };
        if self.commit(commit).await? { Ok(length + added) } else { Err(Parked::Overtaken) }
    }

    /// Takes the turns of a run whose write was under way when the program ended, for when it is driven. Gives whether the
    /// run was at work then.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn take_turns_again(&self, run: &str) -> Result<bool, store::Error> {
        let journal = match self.inner.store.journal(run).await {
            // Whoever drives it will make a dead letter of it.
            Err(store::Error::Unreadable(_)) => return Ok(true),
            journal => journal?,
        };
        let state = State::fold(&journal);
        if let Some((address, turns)) = state.open_turns().filter(|_| !state.retried) {
            self.inner.turns.take_again(run, address, turns);
        }
        Ok(!state.retried)
    }

    async fn state(&self, start: &Start) -> Result<State, Parked> {
        let journal = self.retrying(|| self.inner.store.journal(&start.id)).await?;
        Ok(State::fold(&journal))
    }

    /// Makes a decision durable. False: the journal has moved on, decide again from what it says now.
    async fn commit(&self, commit: Commit) -> Result<bool, Parked> {
        loop {
            match self.inner.store.commit(commit.clone()).await {
                Ok(()) => return Ok(true),
                Err(store::Error::Conflict { .. }) => return Ok(false),
                // A person must decide; what the answers taught is kept.
                Err(error @ store::Error::Linked { .. }) => return self.give_up(commit, &error).await,
                Err(error) => self.bear(&error).await?,
            }
        }
    }

    /// Fails the action whose pair the store refuses for good; the run goes on from there, with its `on_error`.
    async fn give_up(&self, refused: Commit, error: &store::Error) -> Result<bool, Parked> {
        // One decision finishes at most one action by an answer, and that is the first.
        let address = refused.entries.iter().find_map(|entry| match &entry.fact {
            Fact::Finished { address, .. } => Some(address.clone()),
            _ => None,
        });
        let mut entries: Vec<Entry> = refused.entries;
        entries.retain(|entry| matches!(entry.fact, Fact::Answered { .. } | Fact::Looked { .. }));
        let failure = Failure::new("conflict", error.to_string());
        let fact = Fact::Finished {
            address: address.unwrap_or_default(),
            outcome: Outcome::Failed,
            result: serde_json::Value::Null,
            failure: Some(failure),
            warnings: Vec::new(),
        };
        entries.push(Entry { at_ms: now_ms(), fact });
        let commit = Commit { run: refused.run, length: refused.length, entries, ..Commit::default() };
        Box::pin(self.commit(commit)).await?;
        Ok(false)
    }

    /// Reads from the store until it answers.
    async fn retrying<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Parked>
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
        self.sleep_until(now_ms() + 1_000).await
    }

    async fn permit(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Parked> {
        tokio::select! {
            permit = self.inner.working.acquire() => permit.map_err(|_| Parked::Stopping),
            () = self.stopped() => Err(Parked::Stopping),
        }
    }

    async fn turn(&self, address: &str, turns: &[String]) -> Result<Held, Parked> {
        tokio::select! {
            held = self.inner.turns.take(address, turns) => Ok(held),
            () = self.stopped() => Err(Parked::Stopping),
        }
    }

    async fn sleep_until(&self, until_ms: i64) -> Result<(), Parked> {
        loop {
            let Ok(pause) = u64::try_from(until_ms - now_ms()) else { return Ok(()) };
            if pause == 0 {
                return Ok(());
            }
            // In pieces, since the wall clock may be set while we sleep.
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(pause.min(30_000))) => {}
                () = self.stopped() => return Err(Parked::Stopping),
            }
        }
    }
}

fn learn(state: &mut State, learnt: &mut Vec<Entry>, fact: Fact) {
    let entry = Entry { at_ms: now_ms(), fact };
    state.apply(&entry);
    learnt.push(entry);
}

fn answered(send: &Send, answer: Answer) -> Fact {
    Fact::Answered {
        address: send.address.clone(),
        exchange: send.exchange,
        attempt: send.attempt,
        look: send.look,
        answer,
    }
}

fn address_of(next: &Next) -> &str {
    match next {
        Next::Send(send) => &send.address,
        Next::Look { address, .. } => address,
        _ => "",
    }
}
