//! The walk: actions in order, each from where its record ends.
//!
//! Every decision walks from the top. What is finished is passed by, so that the names it made are known; the first thing
//! that is not finished decides what is next, in each branch for itself. Whatever is evaluated is recorded in the same
//! commit, so that a later walk never evaluates it again; but for a request that cannot be sent yet.

use std::sync::Arc;

use serde_json::Value;

use super::decide::{Asking, Deciding, Next, OUTCOME, error_value};
use super::entry::{Fact, Link};
use super::frame::Frame;
use crate::connector::Failure;
use crate::expr::{Root, Roots, Scope, as_text};
use crate::workflow::action::{Action, Kind, Wait, undecided};
use crate::workflow::{Accounts, Advance, Context, Finish, Look, OnError, Outcome, RecordRef, Retry};

/// How a list of actions, or one, came out.
#[derive(Debug)]
pub(super) enum Flow {
    /// Done; the last result.
    Done(Arc<Value>),
    /// Not done: what is wanted for that was said, or is on its way.
    Blocked,
    Failed {
        address: String,
        failure: Failure,
    },
    /// `stop`.
    Stopped(Value),
    /// Nothing to do at all.
    Skipped(String),
}

/// Names laid over the context: items of loops, `error`.
pub(super) type Overlay<'o> = [(&'o str, &'o Value)];

/// Where the walk is, and what is known there.
pub(super) struct Spot<'s, 'a> {
    pub address: &'s str,
    pub frame: &'s Frame<'a>,
    /// The roots of the context, with the results so far.
    pub roots: &'s mut Roots<'a>,
    pub over: &'s Overlay<'s>,
}

impl<'a> Spot<'_, 'a> {
    /// Another address with the same context.
    pub fn at<'b>(&'b mut self, address: &'b str) -> Spot<'b, 'a> {
        Spot { address, frame: self.frame, roots: self.roots, over: self.over }
    }

    pub fn scope<'b>(&'b self, deciding: &'b Deciding<'_>) -> Scope<'b> {
        let scope = Scope::of(self.roots, &deciding.plan.locale).without_null();
        self.over.iter().fold(scope, |scope, (name, value)| scope.with(name, value))
    }

    pub fn fail(&self, failure: Failure) -> Flow {
        fail(self.address, failure)
    }
}

impl<'a> Deciding<'a> {
    pub(super) fn list(&mut self, actions: &[Action], spot: &mut Spot<'_, 'a>) -> Flow {
        let mut last = Arc::default();
        for (index, action) in actions.iter().enumerate() {
            let address = format!("{}/{index}", spot.address);
            match self.action(action, &mut spot.at(&address)) {
                Flow::Done(value) => last = value,
                other => return other,
            }
        }
        Flow::Done(last)
    }

    pub(super) fn action(&mut self, action: &Action, spot: &mut Spot<'_, 'a>) -> Flow {
        let address = spot.address;
        if let Some(finished) = self.state.progress.get(address).and_then(|progress| progress.finished.clone()) {
            self.name_inner(action, address, spot.roots);
            name_result(action, spot.roots, finished.outcome, &finished.result);
            return match finished.failure {
                Some(failure)
                    if finished.outcome == Outcome::Failed && !matches!(action.on_error, OnError::Continue) =>
                {
                    Flow::Failed { address: address.into(), failure }
                }
                _ => Flow::Done(finished.result),
            };
        }
        let begun = self.state.progress.get(address).and_then(|progress| progress.begun_ms);
        spot.roots.set("run", self.running(begun.unwrap_or(self.now_ms)));
        if begun.is_none()
            && let Some(condition) = &action.only_if
        {
            match condition.holds(&spot.scope(self)) {
                Ok(true) => {}
                Ok(false) => return self.finish(action, spot, Outcome::Skipped, Value::Null, None),
                Err(fault) => {
                    return self.failed(action, spot, undecided(&fault, "only_if"));
                }
            }
        }
        let rescued = self.state.progress.get(address).and_then(|progress| progress.rescued.clone());
        if let Some((at, failure)) = rescued {
            return self.rescue(action, spot, (&at, &failure));
        }
        match self.perform(action, spot) {
            Flow::Failed { address: at, failure } if at == address => self.failed(action, spot, failure),
            Flow::Failed { address: inner, failure } => match &action.on_error {
                OnError::Fail => Flow::Failed { address: inner, failure },
                _ => self.failed(action, spot, failure),
            },
            flow => flow,
        }
    }

    fn perform(&mut self, action: &Action, spot: &mut Spot<'_, 'a>) -> Flow {
        let address = spot.address;
        match &action.kind {
            Kind::If(choice) => {
                let choose = |scope: &Scope<'_>| {
                    let holds = choice.condition.holds(scope).map_err(|fault| undecided(&fault, "if"))?;
                    Ok(if holds { "then".to_string() } else { "else".to_string() })
                };
                let actions = |branch: &str| choice.actions(branch);
                self.choice(action, spot, (&choose, &actions))
            }
            Kind::Switch(switch) => {
                let choose = |scope: &Scope<'_>| {
                    switch.choose(scope).map(String::from).map_err(|fault| undecided(&fault, "switch"))
                };
                let actions = |branch: &str| switch.actions(branch);
                self.choice(action, spot, (&choose, &actions))
            }
            Kind::Parallel(parallel) => self.parallel(action, parallel, spot),
            Kind::ForEach(each) => self.for_each(action, each, spot),
            Kind::Stop(stop) => match stop.value.eval(&spot.scope(self)) {
                Ok(value) => Flow::Stopped(value.unwrap_or(Value::Null)),
                Err(fault) => spot.fail(undecided(&fault, "stop")),
            },
            Kind::Wait(Wait::Event(awaited)) => self.awaits(action, awaited, spot),
            Kind::Hear(hear) => self.hear(action, hear, spot),
            Kind::Wait(wait) => {
                let begun = self.state.progress.get(address).and_then(|progress| progress.waits_until_ms);
                let until_ms = match begun.map_or_else(|| wait.ends_ms(&spot.scope(self), self.now_ms), Ok) {
                    Ok(until_ms) => until_ms,
                    Err(failure) => return spot.fail(failure),
                };
                if begun.is_none() {
                    self.record(Fact::Waits { address: address.into(), until_ms });
                }
                if until_ms > self.now_ms {
                    return self.wants(Next::Wait { until_ms, lets_go: true });
                }
                self.finish(action, spot, Outcome::Done, Value::Null, None)
            }
            Kind::Run(run) => self.run(action, run, spot),
            Kind::Emit(emit) => self.emit(action, emit, spot),
            Kind::Call(call) => self.advancing(action, spot, |context| call.advance(context)),
            Kind::Upsert(upsert) => self.advancing(action, spot, |context| upsert.advance(context)),
            Kind::Reconcile(reconcile) => self.advancing(action, spot, |context| reconcile.advance(context)),
            Kind::Cascade(cascade) => self.advancing(action, spot, |context| cascade.advance(context)),
            Kind::Set(set) => self.advancing(action, spot, |context| set.advance(context)),
            Kind::Fail(give_up) => self.advancing(action, spot, |context| give_up.advance(context)),
        }
    }

    /// An action that works by exchanges, until it is finished, failed or must wait.
    fn advancing(
        &mut self,
        action: &Action,
        spot: &mut Spot<'_, 'a>,
        advance: impl Fn(&Context<'_>) -> Advance,
    ) -> Flow {
        match self.exchanges(action, spot, advance) {
            Ok(finish) => {
                let tenant = self.start.tenant.clone();
                let pair = |(left, right)| Link { tenant: tenant.clone(), left, right };
                self.kept.unlink.extend(finish.unlink.map(pair));
                self.kept.synced.extend(finish.synced.into_iter().map(|synced| (tenant.clone(), synced)));
                self.kept.found.extend(finish.found);
                self.kept.link.extend(finish.link.map(|both| (spot.address.to_string(), pair(both))));
                let outcome = finish.outcome.unwrap_or(Outcome::Done);
                self.finish_with(action, spot, outcome, finish.result.into(), None, finish.warnings)
            }
            Err(flow) => flow,
        }
    }

    pub(super) fn exchanges(
        &mut self,
        action: &Action,
        spot: &Spot<'_, 'a>,
        advance: impl Fn(&Context<'_>) -> Advance,
    ) -> Result<Finish, Flow> {
        let (address, frame) = (spot.address, spot.frame);
        let workflow = frame.workflow;
        let retry = action.retry.as_ref().or(workflow.retry.as_ref()).unwrap_or_else(|| Retry::standard());
        let timeout = action.timeout.or(workflow.timeout);
        self.settled(address, retry, timeout)?;
        let looked = self.state.progress.get(address).map(|progress| progress.looked.as_slice());
        let records = if frame.is_outermost() { self.linkable(spot.roots) } else { Vec::new() };
        let context = Context {
            scope: spot.scope(self),
            exchanges: self.state.exchanges(address),
            looked: looked.unwrap_or_default(),
            event: &self.start.event,
            now_ms: self.now_ms,
            records: &records,
            accounts: frame,
            locale: &self.plan.locale,
        };
        match advance(&context) {
            Advance::Finish(finish) => Ok(*finish),
            Advance::Fail(failure) => Err(spot.fail(failure)),
            Advance::Look(Look { of, alias, object, turns, sync }) => {
                let connection = frame.connection(&alias).unwrap_or_default().to_string();
                let now_ms = self.now_ms;
                let asking = Asking { address: address.into(), of, connection, object, turns, sync, now_ms };
                Err(self.wants(Next::Look(Box::new(asking))))
            }
            Advance::Send(sending) => match frame.connection(&sending.alias) {
                Some(connection) => {
                    let exchanges = context.exchanges.len();
                    Err(self.send(address, exchanges, sending, timeout, connection))
                }
                None => {
                    let message = format!("no connection stands for `{}`", sending.alias);
                    Err(spot.fail(Failure::new("invalid", message)))
                }
            },
        }
    }

    /// The records that `link` may name: the one that the run is about, and those that it includes.
    fn linkable(&self, roots: &Roots<'_>) -> Vec<(String, RecordRef)> {
        let event = &self.start.event;
        let workflow = self.plan.workflow(&self.start.workflow);
        let (Some(workflow), Some(connection), Some(object)) = (workflow, &event.connection, &event.object) else {
            return Vec::new();
        };
        let Some(connector) = self.plan.connector_of(connection) else { return Vec::new() };
        let Some(object) = connector.object(object) else { return Vec::new() };
        let name = workflow.trigger.name.as_ref().unwrap_or(&object.name);
        let mut records = Vec::new();
        if let Some(id) = &event.record_id {
            let record = RecordRef { connection: connection.clone(), object: object.name.clone(), id: id.clone() };
            records.push((name.clone(), record));
        }
        for reference in object.parent.iter().chain(&object.references) {
            let included = roots.get(name).and_then(|record| record.get(&reference.name));
            let id_field = connector.object(&reference.object).map_or("id", |other| other.id.as_str());
            if let Some(id) = included.and_then(|other| other.get(id_field)).and_then(as_text) {
                let record = RecordRef { connection: connection.clone(), object: reference.object.clone(), id };
                records.push((format!("{name}.{}", reference.name), record));
            }
        }
        records
    }

    /// An action failed: `continue`, stand-ins, or the end of the run.
    fn failed(&mut self, action: &Action, spot: &mut Spot<'_, 'a>, failure: Failure) -> Flow {
        let address = spot.address;
        match &action.on_error {
            OnError::Fail => spot.fail(failure),
            OnError::Continue => self.finish(action, spot, Outcome::Failed, Value::Null, Some(failure)),
            OnError::Actions(_) => {
                let fact = Fact::Rescued { address: address.into(), action: address.into(), failure: failure.clone() };
                self.record(fact);
                self.rescue(action, spot, (address, &failure))
            }
        }
    }

    fn rescue(&mut self, action: &Action, spot: &mut Spot<'_, 'a>, (at, failure): (&str, &Failure)) -> Flow {
        let address = format!("{}/on_error", spot.address);
        let error = error_value(&spot.frame.called(at), failure);
        let mut over = spot.over.to_vec();
        over.push(("error", &error));
        match self.list(action.on_error.actions(), &mut Spot { over: &over, ..spot.at(&address) }) {
            Flow::Done(value) => self.finish(action, spot, Outcome::Done, value, None),
            other => other,
        }
    }

    pub(super) fn finish(
        &mut self,
        action: &Action,
        spot: &mut Spot<'_, 'a>,
        outcome: Outcome,
        result: impl Into<Arc<Value>>,
        failure: Option<Failure>,
    ) -> Flow {
        self.finish_with(action, spot, outcome, result.into(), failure, Vec::new())
    }

    fn finish_with(
        &mut self,
        action: &Action,
        spot: &mut Spot<'_, 'a>,
        outcome: Outcome,
        result: Arc<Value>,
        failure: Option<Failure>,
        warnings: Vec<String>,
    ) -> Flow {
        name_result(action, spot.roots, outcome, &result);
        let fact = Fact::Finished { address: spot.address.into(), outcome, result: result.clone(), failure, warnings };
        self.record(fact);
        Flow::Done(result)
    }
}

pub(super) fn name_result(action: &Action, roots: &mut Roots<'_>, outcome: Outcome, result: &Arc<Value>) {
    let Some(id) = &action.id else { return };
    roots.change(OUTCOME, |outcomes| outcomes[id] = Value::String(outcome.word().into()));
    if !matches!(outcome, Outcome::Skipped | Outcome::TimedOut | Outcome::Failed) {
        roots.set(id.clone(), Root::Shared(Arc::clone(result)));
    }
}

pub(super) fn fail(address: &str, failure: Failure) -> Flow {
    Flow::Failed { address: address.into(), failure }
}
