//! The fold: what a journal says, ready to decide on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::decide::Send;
use super::entry::{Address, Ending, Entry, Fact, Sent};
use super::hear::{Correlation, Received, Subscription};
use super::known::{Compared, Known};
use crate::connector::Failure;
use crate::workflow::{Answer, Exchange, Looked, Outcome, Purpose};

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub started_ms: Option<i64>,
    pub ending: Option<Ending>,
    /// How often a person had it tried again, plus 1.
    pub attempt: u32,
    /// A person wants it tried again, and nothing was done about that yet.
    pub retried: bool,
    /// When a person wanted it the last time.
    pub retried_ms: Option<i64>,
    /// Number of entries folded.
    pub length: usize,
    pub(super) compared: Option<Arc<Compared>>,
    /// What the store knows of the event's record, once it was asked. No line of the journal: it is asked anew.
    pub(super) recalled: Option<Option<Known>>,
    /// What the store knows for waits, as far as it was asked for this decision. No line of the journal either.
    pub(super) inbox: HashMap<Address, Option<Received>>,
    /// Where a request of this very program is on its way. No line of the journal: a request that was recorded as sent and
    /// is not here has lost its answer.
    pub(super) on_its_way: HashSet<Address>,
    /// `stop` was met while others were on their way. No line of the journal: it is met anew.
    pub(super) stopped: Option<Value>,
    pub(super) progress: HashMap<Address, Progress>,
}

/// How far one action has got.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The instant of its first entry: what `$.run.now` says to it.
    pub begun_ms: Option<i64>,
    pub exchanges: Vec<Exchange>,
    pub looked: Vec<Looked>,
    pub paused_until_ms: Option<i64>,
    pub waits_until_ms: Option<i64>,
    /// The event that it waits for.
    pub subscription: Option<Subscription>,
    /// The message that has come, by its number.
    pub received: Option<(i64, Correlation)>,
    pub branch: Option<String>,
    pub items: Option<Arc<Vec<Value>>>,
    /// What a workflow that is run here was given.
    pub inputs: Option<Value>,
    /// The action that failed, and why; `on_error` is at work.
    pub rescued: Option<(Address, Failure)>,
    pub finished: Option<Finished>,
}

#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub outcome: Outcome,
    pub result: Arc<Value>,
    pub failure: Option<Failure>,
}

impl Progress {
    fn is_at_work(&self) -> bool {
        self.finished.is_none() && self.rescued.is_none()
    }

    /// It upserts an identity, or a pair.
    fn takes_turns(&self) -> bool {
        !self.looked.is_empty() || self.exchanges.iter().any(|exchange| !exchange.turns.is_empty())
    }

    /// Nothing was written yet.
    fn has_only_searched(&self) -> bool {
        self.exchanges.iter().all(|exchange| matches!(exchange.purpose, Purpose::Find { .. } | Purpose::Get))
    }

    /// The request for which it pauses.
    pub fn paused_for(&self) -> Option<&Exchange> {
        let last = self.exchanges.last().map(|exchange| exchange.look.as_deref().unwrap_or(exchange));
        last.filter(|_| self.finished.is_none() && self.paused_until_ms.is_some())
    }

    /// It pauses since the vendor refuses the account: only a person can help.
    fn is_refused(&self) -> bool {
        self.paused_for().and_then(Exchange::failure).is_some_and(|failure| failure.name == "auth")
    }

    /// What was found may be otherwise by now. When it may be asked again stays.
    fn forget(&mut self) {
        self.exchanges.clear();
        self.looked.clear();
    }
}

/// The address of the run as a whole, and of the workflow's own `on_error`.
pub const WORKFLOW: &str = "workflow";

impl State {
    pub fn fold(entries: &[Entry]) -> State {
        let mut state = State { attempt: 1, ..State::default() };
        for entry in entries {
            state.apply(entry);
        }
        state
    }

    /// What is to be recorded when a run is taken up again. Whoever searched held a turn that ended with the program:
    /// another run may have created meanwhile what was not there.
    pub fn taken_up(&self) -> Vec<Fact> {
        let stale =
            |progress: &Progress| progress.is_at_work() && progress.has_only_searched() && progress.takes_turns();
        let mut addresses: Vec<&Address> =
            self.progress.iter().filter(|(_, progress)| stale(progress)).map(|(address, _)| address).collect();
        addresses.sort();
        let forgotten = addresses.into_iter().map(|address| Fact::Forgot { address: address.clone() });
        // Its secret may have been mended meanwhile.
        forgotten.chain(self.resumed(Progress::is_refused)).collect()
    }

    /// What is to be recorded when pauses are over before their time.
    pub(super) fn resumed(&self, goes_on: impl Fn(&Progress) -> bool) -> Vec<Fact> {
        let paused = self.progress.iter().filter(|(_, progress)| goes_on(progress));
        let mut addresses: Vec<&Address> = paused.map(|(address, _)| address).collect();
        addresses.sort();
        addresses.into_iter().map(|address| Fact::Resumed { address: address.clone() }).collect()
    }

    /// The connection for which it pauses, if it waits for nothing else.
    pub fn paused_for(&self) -> Option<&str> {
        if self.progress.values().any(|progress| progress.waits_until_ms.is_some() && progress.finished.is_none()) {
            return None;
        }
        let mut all = self.progress.values().filter_map(Progress::paused_for).map(|exchange| &exchange.connection);
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    }

    /// The writes that are under way, and the identities that nobody else may write meanwhile.
    pub fn open_turns(&self) -> impl Iterator<Item = (&str, &[String])> {
        let at_work =
            self.progress.iter().filter(|(_, progress)| progress.is_at_work() && !progress.has_only_searched());
        at_work.filter_map(|(address, progress)| {
            let turns = progress.exchanges.last().map(|exchange| exchange.turns.as_slice())?;
            (!turns.is_empty()).then_some((address.as_str(), turns))
        })
    }

    /// Records that a request is about to be sent. The entry must be durable before it is.
    pub fn send(&mut self, send: &Send, at_ms: i64) -> Entry {
        let entry = Entry { at_ms, fact: send.fact() };
        self.apply(&entry);
        self.is_away(&send.address);
        entry
    }

    /// A request that was sent from this address is on its way, also if the journal was read anew meanwhile.
    pub fn is_away(&mut self, address: &str) {
        self.on_its_way.insert(address.to_string());
    }

    /// Is anything on its way?
    pub fn is_on_its_way(&self) -> bool {
        !self.on_its_way.is_empty()
    }

    /// What was exchanged at an address so far.
    pub(super) fn exchanges(&self, address: &str) -> &[Exchange] {
        self.progress.get(address).map(|progress| progress.exchanges.as_slice()).unwrap_or_default()
    }

    /// Takes in what the store knows of the record that [`super::Next::Recall`] asked for.
    pub fn recall(&mut self, known: Option<Known>) {
        self.recalled = Some(known);
    }

    /// Does the action at this address need its turns? Not any more when it is over, or something else is done about it;
    /// but a request of it that is on its way needs them until it is answered.
    pub fn holds_turns(&self, address: &str) -> bool {
        let at_work = |progress: &Progress| progress.is_at_work() && progress.takes_turns();
        self.on_its_way.contains(address)
            || (self.progress.get(address).is_some_and(at_work) && !self.is_given_up(address))
    }

    /// Is nothing more done at this address: is it over, or has it failed and something else is done about that?
    pub(super) fn is_given_up(&self, address: &str) -> bool {
        above(address).chain([address, WORKFLOW]).any(|at| {
            self.progress.get(at).is_some_and(|progress| {
                (progress.finished.is_some() && at != WORKFLOW)
                    || (progress.rescued.is_some() && is_failed(address, at))
            })
        })
    }

    /// What has failed, where nothing above it is over or stands in for it.
    pub(super) fn failed(&self) -> Vec<Address> {
        let is_workflow = |at: &str| at.ends_with("/run");
        let dealt_with = |address: &str| {
            above(address).any(|at| {
                self.progress.get(at).is_some_and(|progress| {
                    progress.finished.is_some()
                        || (progress.rescued.is_some() && !is_workflow(at) && is_failed(address, at))
                })
            })
        };
        let mut failed: Vec<Address> = self
            .progress
            .iter()
            .filter(|(_, progress)| progress.finished.as_ref().is_some_and(|finished| finished.failure.is_some()))
            .map(|(address, _)| address.clone())
            .filter(|address| !dealt_with(address))
            .collect();
        failed.sort();
        failed
    }

    /// Is the action at this address over?
    pub fn is_finished(&self, address: &str) -> bool {
        self.progress.get(address).is_some_and(|progress| progress.finished.is_some())
    }

    pub fn apply(&mut self, entry: &Entry) {
        self.length += 1;
        self.retried = matches!(entry.fact, Fact::Retried { .. });
        let at_ms = entry.at_ms;
        match &entry.fact {
            Fact::Started {} => self.started_ms = Some(at_ms),
            Fact::Compared(compared) => self.compared = Some(Arc::new((**compared).clone())),
            Fact::Chose { address, branch } => self.at(address, at_ms).branch = Some(branch.clone()),
            Fact::Listed { address, items } => self.at(address, at_ms).items = Some(Arc::new(items.clone())),
            Fact::Sent(sent) => self.sent(sent, at_ms),
            Fact::Answered { address, exchange, look, answer, .. } => {
                self.on_its_way.remove(address);
                let progress = self.at(address, at_ms);
                if let Some(exchange) = progress.exchanges.get_mut(*exchange as usize) {
                    let answered = if *look { exchange.look.as_deref_mut() } else { Some(exchange) };
                    if let Some(answered) = answered {
                        answered.answered(answer);
                    }
                }
            }
            Fact::Looked { address, looked } => self.at(address, at_ms).looked.push(looked.clone()),
            Fact::Forgot { address } => self.at(address, at_ms).forget(),
            Fact::Paused { address, until_ms, .. } => self.at(address, at_ms).paused_until_ms = Some(*until_ms),
            Fact::Resumed { address } => self.at(address, at_ms).paused_until_ms = Some(at_ms),
            Fact::Entered { address, inputs } => self.at(address, at_ms).inputs = Some(inputs.clone()),
            Fact::Waits { address, until_ms } => self.at(address, at_ms).waits_until_ms = Some(*until_ms),
            Fact::Subscribed { address, subscription, until_ms } => {
                let progress = self.at(address, at_ms);
                progress.waits_until_ms = Some(*until_ms);
                progress.subscription = Some(subscription.clone());
            }
            Fact::Received { address, number, correlation } => {
                self.at(address, at_ms).received = Some((*number, correlation.clone()));
            }
            Fact::Rescued { address, action, failure } => {
                self.at(address, at_ms).rescued = Some((action.clone(), failure.clone()));
            }
            Fact::Finished { address, outcome, result, failure, .. } => {
                let finished = Finished { outcome: *outcome, result: result.clone(), failure: failure.clone() };
                self.at(address, at_ms).finished = Some(finished);
            }
            Fact::Retried { .. } => {
                self.retried_ms = Some(at_ms);
                self.retried();
            }
            Fact::Ended { ending } => self.ending = Some(ending.clone()),
        }
    }

    fn at(&mut self, address: &str, at_ms: i64) -> &mut Progress {
        let progress = self.progress.entry(address.to_string()).or_default();
        progress.begun_ms.get_or_insert(at_ms);
        progress
    }

    fn sent(&mut self, sent: &Sent, at_ms: i64) {
        let progress = self.at(&sent.address, at_ms);
        progress.paused_until_ms = None;
        let exchange = Exchange {
            purpose: sent.purpose.clone(),
            connection: sent.connection.clone(),
            operation: sent.operation.clone(),
            input: sent.input.clone(),
            page: sent.page.clone(),
            turns: sent.turns.clone(),
            attempt: sent.attempt,
            tries: 0,
            first_sent_ms: at_ms,
            since_ms: at_ms,
            maybe_done: false,
            answer: None,
            look: None,
            again: false,
        };
        let known = progress.exchanges.get_mut(sent.exchange as usize);
        match (known, &sent.purpose) {
            (Some(known), Purpose::LookUp { .. }) => {
                let tries = known.look.as_ref().map_or(0, |look| look.tries);
                let first = known.look.as_ref().map_or(at_ms, |look| look.first_sent_ms);
                known.look = Some(Box::new(Exchange { tries, first_sent_ms: first, since_ms: first, ..exchange }));
            }
            (Some(known), _) => {
                known.attempt = sent.attempt;
                known.maybe_done |=
                    known.failure().is_none_or(|failure| matches!(failure.name.as_str(), "timeout" | "transient"));
                known.since_ms = if known.again { at_ms } else { known.since_ms };
                known.answer = None;
                known.look = None;
                known.again = false;
            }
            (None, _) => progress.exchanges.push(exchange),
        }
    }

    /// Forgets why the run failed, so that what has failed is tried again; what is done stays done.
    fn retried(&mut self) {
        self.attempt += 1;
        let Some(Ending::Failed { address, beside, .. }) = self.ending.take() else { return };
        // Names may have been added since: they are read anew.
        self.progress.retain(|at, _| !at.starts_with("names/") && !at.contains("/run/names/"));
        for address in std::iter::once(address).chain(beside) {
            self.forget_failure(&address);
        }
    }

    fn forget_failure(&mut self, address: &str) {
        let is_rescued = |(at, progress): &(&Address, &Progress)| progress.rescued.is_some() && is_failed(address, at);
        let rescued: Vec<Address> = self.progress.iter().filter(is_rescued).map(|(at, _)| at.clone()).collect();
        for at in rescued {
            let stand_ins = if at == WORKFLOW { "on_error".to_string() } else { format!("{at}/on_error") };
            self.progress.retain(|at, _| !is_under(at, &stand_ins));
            if let Some(progress) = self.progress.get_mut(&at) {
                progress.rescued = None;
            }
        }
        let Some(progress) = self.progress.get_mut(address) else { return };
        progress.finished = None;
        progress.paused_until_ms = None;
        if progress.has_only_searched() {
            progress.forget();
        }
        if let Some(last) = progress.exchanges.last_mut()
            && matches!(last.answer, Some(Answer::Failed(_)) | None)
        {
            last.tries = 0;
            last.again = true;
            // What was looked up then may be otherwise by now.
            last.look = None;
        }
    }
}

/// The addresses above this one.
fn above(address: &str) -> impl Iterator<Item = &str> {
    address.match_indices(['/', '[']).map(|(end, _)| &address[..end])
}

/// Is it this address, or one below it?
fn is_under(address: &str, at: &str) -> bool {
    address.strip_prefix(at).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
}

/// Does what failed at this address count as failed for the one above it? What stands in for that is at work below it, and
/// does not.
fn is_failed(address: &str, at: &str) -> bool {
    match at {
        WORKFLOW => !is_under(address, "on_error"),
        _ => is_under(address, at) && !is_under(address, &format!("{at}/on_error")),
    }
}
