//! One run being driven: what is decided is made durable, then carried out, several requests at the same time.
//!
//! ```text
//!  decide ─▶ grant: what has its turn and room goes, the rest stays wanted ─▶ commit ─▶ on their way ─┐
//!    ▲         ▲                                                                                     │
//!    │         └──── a turn has come, a limit has room ──── news ──── an answer, a wait is over ─────┤
//!    └───────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Each upsert waits for its own turns, and one that has them waits for no other: so runs never wait for each other.

mod grant;

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::task::{JoinError, JoinSet};

use self::grant::Granted;
use super::circuit::HANGS;
use super::drive::{Left, Parked};
use super::ledger::Ledger;
use super::paused::{Again, Awaited, LONG_MS, Pausing};
use super::turns::Held;
use super::{Engine, now_ms};
use crate::clock;
use crate::http::Urgency;
use crate::project::Plan;
use crate::run::{Address, Answer, Decision, Ending, Entry, Fact, Kept, Next, Send, Start, State, decide, resumed};
use crate::store::{Commit, Intake};

/// Requests of one run that are on their way at the same time, at most.
const REQUESTS_MAX: usize = 50;
/// The same for all runs together, beside one of each.
pub(super) const FURTHER_MAX: usize = 256;

/// Who waits for turns that are taken elsewhere looks for them by itself after so long.
const CALLED_MS: i64 = 60_000;

/// A run in memory.
pub(super) struct Life<'e> {
    engine: &'e Engine,
    ledger: &'e dyn Ledger,
    start: &'e Start,
    plan: Arc<Plan>,
    state: State,
    /// In the state, and not durable yet.
    fresh: Vec<Entry>,
    /// What is kept together with that.
    kept: Kept,
    /// Something was learnt since the last decision.
    is_stale: bool,
    /// What was decided, and is not done yet.
    wanted: Vec<Next>,
    /// When a limit may have room for something that is wanted.
    room_ms: i64,
    /// Turns that are wanted are not free, and taken elsewhere: the run is called when they are.
    is_called: bool,
    /// A connection that is down, for which something is wanted.
    down: Option<String>,
    /// Since when requests of these addresses are held back, because there is no room.
    held_back: HashMap<Address, i64>,
    held: Vec<Held>,
    queued: Vec<Queued<'e>>,
    on_their_way: JoinSet<Landed>,
    /// Where those come from.
    addresses: HashSet<Address>,
    /// Changes when a listener has told something.
    heard: watch::Receiver<()>,
    /// Says which account was connected.
    connected: broadcast::Receiver<String>,
    /// None: the run only waits, or what it has sent hangs.
    permit: Option<OwnedSemaphorePermit>,
}

/// Turns of one action that are waited for.
struct Queued<'e> {
    address: Address,
    turns: Vec<String>,
    turn: Pin<Box<dyn Future<Output = Held> + std::marker::Send + 'e>>,
}

/// Who wants turns, and which.
type Turns = (Address, Vec<String>);

fn turns_of(next: &Next) -> Option<Turns> {
    next.turns().map(|(address, turns)| (address.to_owned(), turns.to_vec()))
}

/// A request, and what came of it.
type Landed = (Box<Send>, Answer, Option<u16>);

/// Why a run goes on.
enum News {
    Landed(Result<Landed, JoinError>),
    Turn(Held),
    Time,
    Heard,
    /// None: too much has happened to name one.
    Connected(Option<String>),
}

impl<'e> Life<'e> {
    pub fn new(
        engine: &'e Engine,
        ledger: &'e dyn Ledger,
        start: &'e Start,
        plan: Arc<Plan>,
        state: State,
        held: Vec<Held>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            engine,
            ledger,
            start,
            plan,
            state,
            fresh: Vec::new(),
            kept: Kept::default(),
            is_stale: true,
            wanted: Vec::new(),
            room_ms: i64::MAX,
            is_called: false,
            down: None,
            held_back: HashMap::new(),
            held,
            queued: Vec::new(),
            on_their_way: JoinSet::new(),
            addresses: HashSet::new(),
            heard: engine.inner.heard.subscribe(),
            connected: engine.inner.accounts.subscribe(),
            permit: Some(permit),
        }
    }

    /// `again`: it paused, and this program has not ended since.
    pub async fn live(mut self, mut again: Option<Again>) -> Result<Left, Parked> {
        self.held_back.extend(again.as_mut().and_then(|again| again.held_back.take()));
        let facts = match again {
            None => self.state.taken_up(),
            Some(again) if again.early => self.resumed(Some(&again.connection)),
            Some(_) => Vec::new(),
        };
        facts.into_iter().for_each(|fact| self.learn(fact));
        loop {
            let left = match std::mem::take(&mut self.is_stale) {
                true => self.decide().await?,
                false => self.go_on().await?,
            };
            if let Some(left) = left {
                return Ok(left);
            }
        }
    }

    fn resumed(&self, connection: Option<&str>) -> Vec<Fact> {
        resumed(&self.plan, &self.state, connection, now_ms())
    }

    /// Is nothing left to do but to wait long for one connection? Then the run is let go, with its turns.
    fn pauses(&mut self) -> Option<Left> {
        if !self.engine.inner.listens || !self.on_their_way.is_empty() || !self.queued.is_empty() || self.is_stale {
            return None;
        }
        if self.engine.is_stopping() {
            // Nothing is granted any more: it does not pause, it is left.
            return None;
        }
        if self.ledger.calls_again() {
            return self.is_called_again();
        }
        let (until_ms, connection, limited) = match self.wanted.as_slice() {
            [Next::Wait { until_ms, lets_go: false }] => (*until_ms, self.state.paused_for()?, None),
            [Next::Send(send)] => match self.down.as_deref() {
                // One that is well again by now has said so already, perhaps.
                Some(name) if self.engine.is_there(name) => return None,
                Some(name) => (self.room_ms, name, None),
                None => (self.room_ms, send.connection.as_str(), Some((send.operation.clone(), self.urgency()))),
            },
            _ => return None,
        };
        if until_ms.saturating_sub(now_ms()) < LONG_MS {
            return None;
        }
        let awaited = Awaited { connection: connection.into(), limited };
        let held_back = self.held_back.drain().next();
        self.engine.inner.turns.keep(&self.start.id, std::mem::take(&mut self.held));
        Some(Left::Paused(Pausing { until_ms, awaited, held_back }))
    }

    /// The same where a run is called again, whatever it waits for.
    fn is_called_again(&self) -> Option<Left> {
        let waits = self.wanted.iter().map(|next| match next {
            Next::Wait { until_ms, .. } => *until_ms,
            _ => self.room_ms,
        });
        let called_ms = if self.is_called { now_ms() + CALLED_MS } else { i64::MAX };
        let until_ms = waits.chain([called_ms]).min()?;
        let is_long = self.is_called || until_ms.saturating_sub(now_ms()) >= LONG_MS;
        let connection = self.state.paused_for().or(self.down.as_deref()).unwrap_or_default();
        let awaited = Awaited { connection: connection.into(), limited: None };
        (is_long && !self.wanted.is_empty()).then_some(Left::Paused(Pausing { until_ms, awaited, held_back: None }))
    }

    fn urgency(&self) -> Urgency {
        if self.start.event.past { Urgency::Past } else { Urgency::Live }
    }

    /// Decides, makes that durable, and begins what is granted. Gives why the run is let go, if it is.
    async fn decide(&mut self) -> Result<Option<Left>, Parked> {
        // What is told from here on is not missed.
        self.heard.mark_unchanged();
        let decided_ms = now_ms();
        let Decision { entries, kept, next } = decide(&self.plan, self.start, &mut self.state, decided_ms);
        for entry in &entries {
            if let Fact::Paused { until_ms, why, .. } = &entry.fact {
                let (run, workflow, seconds) = (&self.start.id, &self.start.workflow, (until_ms - now_ms()) / 1_000);
                tracing::warn!(run, workflow, why, seconds, "waits, and tries again");
            }
        }
        self.fresh.extend(entries);
        self.kept.append(kept);
        if next.iter().any(Next::is_question) {
            self.ask(&next).await?;
            return Ok(None);
        }
        self.state.ask_again();
        self.wanted = next;
        self.forget_queued();
        let turns: Vec<Turns> = self.wanted.iter().filter_map(turns_of).collect();
        let granted = self.grant().await;
        // Who runs one workflow by hand waits for it.
        let listens = self.engine.inner.listens;
        let parks = match self.wanted.as_slice() {
            [Next::Wait { until_ms, lets_go: true }] if listens => Some(*until_ms),
            _ => None,
        };
        let mut kept = std::mem::take(&mut self.kept);
        // What is found is a part of what is done here; what was emitted is not, where nobody listens.
        let takes_up = listens || !kept.found.is_empty();
        let emitted = kept.emitted.drain(..).map(|event| self.engine.heard_of_project(event));
        let found = kept.found.drain(..).filter_map(|(workflow, event)| self.engine.found(&workflow, event));
        let intakes: Vec<Intake> = emitted.chain(found).collect();
        let further: Vec<Start> = intakes.iter().flat_map(|intake| intake.runs.clone()).collect();
        let subscriptions = if parks.is_some() { self.state.subscriptions() } else { Vec::new() };
        let is_subscribed = !subscriptions.is_empty();
        let tells_ms = self.fresh.last().map(|entry| entry.at_ms).filter(|_| !kept.messages.is_empty());
        let parked = parks.is_some();
        if !self.commit(Commit { kept, intakes, parked, subscriptions, ..Commit::default() }).await? {
            return Ok(None);
        }
        // What others do with a turn must see what this commit keeps.
        self.let_go(&turns);
        if let Some(at_ms) = tells_ms {
            self.engine.inner.alarm.set(at_ms);
            self.engine.inner.heard.send_replace(());
        }
        if takes_up {
            self.engine.inner.hands.take_up(self.engine, further);
        }
        if self.wanted == [Next::Over] {
            self.tell_ending();
            return Ok(Some(Left::Over));
        }
        if let Some(until_ms) = parks {
            // What it waits for may be there already.
            return Ok(Some(Left::Waiting { until_ms: if is_subscribed { decided_ms } else { until_ms } }));
        }
        self.begin(granted).await?;
        Ok(self.pauses())
    }

    /// Puts questions to the store, for which nothing need be durable.
    async fn ask(&mut self, questions: &[Next]) -> Result<(), Parked> {
        let (engine, ledger, start) = (self.engine, self.ledger, self.start);
        for question in questions {
            match question {
                Next::Recall { of } => {
                    let known = engine.retrying(|| ledger.known(&start.workflow, of)).await?;
                    self.state.recall(known);
                }
                Next::Receive { address, subscription } => {
                    let received = engine.retrying(|| ledger.message(&start.id, subscription)).await?;
                    self.state.receive(address.clone(), received);
                }
                _ => {}
            }
        }
        self.is_stale = true;
        Ok(())
    }

    /// Waits for news, and begins what they make possible. Gives why the run is let go, if it is.
    async fn go_on(&mut self) -> Result<Option<Left>, Parked> {
        if self.wanted.is_empty() && self.on_their_way.is_empty() {
            return Err(Parked::Broken("it is not over, and nothing is left to do; please report it".into()));
        }
        let until_ms = self.wanted.iter().find_map(|next| match next {
            Next::Wait { until_ms, .. } => Some(*until_ms),
            _ => None,
        });
        match self.news(until_ms.unwrap_or(i64::MAX).min(self.room_ms)).await? {
            News::Landed(landed) => {
                let mut landed = Some(landed);
                while let Some(one) = landed {
                    self.land(one)?;
                    landed = self.on_their_way.try_join_next();
                }
                return Ok(None);
            }
            News::Heard => {
                self.is_stale = true;
                return Ok(None);
            }
            News::Connected(connection) => {
                if let Some(plan) = self.engine.retrying(|| self.engine.plan_of(&self.start.plan)).await? {
                    self.plan = plan;
                }
                self.resumed(connection.as_deref()).into_iter().for_each(|fact| self.learn(fact));
                if self.is_stale {
                    return Ok(None);
                }
            }
            News::Turn(held) => self.held.push(held),
            News::Time if until_ms.is_some_and(|until_ms| until_ms <= now_ms()) => {
                self.is_stale = true;
                return Ok(None);
            }
            News::Time => {}
        }
        let granted = self.grant().await;
        if self.commit(Commit::default()).await? {
            self.begin(granted).await?;
        }
        Ok(self.pauses())
    }

    /// Waits until something has happened. Meanwhile others may be at work: at once where nothing is on its way, else as soon
    /// as that hangs.
    async fn news(&mut self, until_ms: i64) -> Result<News, Parked> {
        let (engine, only_waits) = (self.engine, self.on_their_way.is_empty());
        if only_waits {
            self.permit = None;
        }
        let is_subscribed = self.state.is_subscribed();
        let news = loop {
            tokio::select! {
                Some(landed) = self.on_their_way.join_next() => break News::Landed(landed),
                held = turn(&mut self.queued) => break News::Turn(held),
                () = engine.sleep(until_ms) => break News::Time,
                Ok(()) = self.heard.changed(), if is_subscribed => break News::Heard,
                connected = self.connected.recv() => break News::Connected(connected.ok()),
                // What is on its way is answered first.
                () = engine.stopped(), if only_waits => return Err(Parked::Stopping),
                () = tokio::time::sleep(HANGS), if self.permit.is_some() => self.permit = None,
            }
        };
        if self.permit.is_none() {
            self.permit = Some(match news {
                // What was answered is recorded also when the program stops.
                News::Landed(_) => engine.permit_to_end().await?,
                _ => engine.permit().await?,
            });
        }
        Ok(news)
    }

    fn learn(&mut self, fact: Fact) {
        let entry = Entry { at_ms: now_ms(), fact };
        self.state.apply(&entry);
        self.fresh.push(entry);
        self.is_stale = true;
    }

    fn land(&mut self, landed: Result<Landed, JoinError>) -> Result<(), Parked> {
        match landed.map_err(JoinError::try_into_panic) {
            Ok((send, answer, status)) => {
                self.addresses.remove(&send.address);
                self.learn(send.answered(answer, status));
                Ok(())
            }
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // Only the end of the program aborts it.
            Err(Err(_)) => Err(Parked::Stopping),
        }
    }

    /// Begins what was granted, now that it is durable.
    async fn begin(&mut self, granted: Vec<Granted>) -> Result<(), Parked> {
        let mut looks = Vec::new();
        for granted in granted {
            match granted {
                Granted::Send { send, ready, pass, further } => {
                    self.addresses.insert(send.address.clone());
                    let (engine, plan) = (self.engine.clone(), Arc::clone(&self.plan));
                    let whose = engine.inner.tap.whose(self.start);
                    self.on_their_way.spawn(async move {
                        let begun = clock::instant();
                        if let Some(pass) = &pass {
                            engine.goes(&plan, &send, pass.begun);
                        }
                        let (answer, status) = match ready {
                            Ok(ready) => engine.perform(&plan, &send, ready).await,
                            Err(failure) => (Answer::Failed(failure), None),
                        };
                        if let Some(whose) = whose {
                            engine.inner.tap.answered(whose, &send, &answer, begun.elapsed());
                        }
                        engine.inner.names.keep(&plan.hash, &send, &answer, clock::instant());
                        if let Some(pass) = pass {
                            engine.learn_of(pass, &send.connection, &answer);
                        }
                        drop(further);
                        (send, answer, status)
                    });
                }
                Granted::Known { send, answer } => self.learn(send.answered(answer, None)),
                Granted::Look(asking) => looks.push(asking),
            }
        }
        let (engine, ledger, tenant) = (self.engine, self.ledger, self.start.tenant.as_deref());
        for asking in looks {
            let looked = engine.retrying(|| ledger.look(tenant, &asking)).await?;
            self.learn(Fact::Looked { address: asking.address, looked });
        }
        Ok(())
    }

    /// Makes what is fresh durable. False: the journal has moved on, decide again from what it says now.
    async fn commit(&mut self, commit: Commit) -> Result<bool, Parked> {
        let entries = std::mem::take(&mut self.fresh);
        if entries.is_empty() && !commit.parked {
            return Ok(true);
        }
        let due_ms = match self.wanted.as_slice() {
            [Next::Wait { until_ms, .. }] if !self.state.is_on_its_way() => *until_ms,
            _ => 0,
        };
        if let Some(Entry { at_ms, fact: Fact::Started {} }) = entries.first() {
            self.engine.inner.counters.pace.begun(at_ms - self.start.created_ms, *at_ms);
        }
        let (length, ending) = (self.state.length - entries.len(), self.state.ending.clone());
        let commit = Commit { run: self.start.id.clone(), length, entries, due_ms, ending, ..commit };
        if self.engine.commit(self.ledger, commit).await? {
            return Ok(true);
        }
        self.state = self.engine.state(self.ledger, self.start).await?;
        self.addresses.iter().for_each(|address| self.state.is_away(address));
        self.is_stale = true;
        Ok(false)
    }

    fn tell_ending(&self) {
        let (run, workflow) = (&self.start.id, &self.start.workflow);
        if let Some(ending) = &self.state.ending {
            self.engine.has_ended(self.start, ending, Some(&self.plan));
        }
        match &self.state.ending {
            // Who runs one workflow by hand is told how it ended.
            Some(Ending::Failed { place, failure, .. }) if self.engine.inner.listens => {
                tracing::warn!(run, workflow, place, %failure, "failed, and is a dead letter now");
            }
            ending => tracing::info!(run, workflow, ?ending, "over"),
        }
    }
}

/// Ends when turns have come; never if none are waited for.
async fn turn(queued: &mut Vec<Queued<'_>>) -> Held {
    std::future::poll_fn(|context| {
        for index in 0..queued.len() {
            if let Poll::Ready(held) = queued[index].turn.as_mut().poll(context) {
                queued.remove(index);
                return Poll::Ready(held);
            }
        }
        Poll::Pending
    })
    .await
}
