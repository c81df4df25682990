//! One decision: from a plan, a run's start and its state to what is recorded and what is done next.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::entry::{Address, Ending, Entry, Fact, Kept, Sent, Start};
use super::frame::Frame;
use super::hear::Subscription;
use super::state::{State, WORKFLOW};
use super::walk::{Flow, Spot};
use crate::connector::{Failure, Page};
use crate::expr::{Root, Roots};
use crate::project::Plan;
use crate::sync::Which;
use crate::trigger::SILENCE;
use crate::workflow::action::OnError;
use crate::workflow::{Answer, Purpose, RecordRef, Workflow};

/// The root under which the outcomes of actions stand, by their ids.
pub(super) const OUTCOME: &str = "outcome";

/// What was decided. The entries must be durable before anything else happens.
#[derive(Debug)]
pub struct Decision {
    pub entries: Vec<Entry>,
    pub kept: Kept,
    /// What is wanted next, each for another branch, at most one of them a wait; or only questions, for which nothing need be
    /// durable. Nothing: what is on its way is waited for.
    ///
    /// Whatever of it is not done now, as there is no turn or no room for it, is wanted again by the next decision.
    pub next: Vec<Next>,
}

/// What the hands are asked to do, after the commit.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Send one request, once [`State::send`] is durable; record `Answered`, and decide again.
    Send(Box<Send>),
    /// Ask the store for the copy that this workflow was last told, and give it to [`State::recall`]; nothing need be
    /// durable before.
    Recall {
        of: RecordRef,
    },
    /// Ask the store for a pair; record `Looked`.
    Look(Box<Asking>),
    /// Ask the store for the first message that a wait may receive, and give it to [`State::receive`]; nothing need be
    /// durable before.
    Receive {
        address: Address,
        subscription: Subscription,
    },
    /// Decide again at this instant.
    Wait {
        until_ms: i64,
        /// Only `wait`s, no pause and no request: the run lets go of its order key, and need not be kept in memory.
        lets_go: bool,
    },
    Over,
}

/// A question to the store; what it answers is recorded as `Looked`.
#[derive(Clone, Debug, PartialEq)]
pub struct Asking {
    pub address: Address,
    pub of: RecordRef,
    /// Where the other record is.
    pub connection: String,
    pub object: String,
    /// To be held before it is asked.
    pub turns: Vec<String>,
    /// The sync that asks, and the side of `of`.
    pub sync: Option<(String, Which)>,
    pub now_ms: i64,
}

impl Next {
    /// Does it only ask the store, before anything is decided?
    pub fn is_question(&self) -> bool {
        matches!(self, Next::Recall { .. } | Next::Receive { .. })
    }

    /// Who wants turns, and which.
    pub fn turns(&self) -> Option<(&str, &[String])> {
        let (address, turns) = match self {
            Next::Send(send) => (&send.address, &send.turns),
            Next::Look(asking) => (&asking.address, &asking.turns),
            _ => return None,
        };
        (!turns.is_empty()).then_some((address, turns))
    }
}

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    pub address: Address,
    pub exchange: u32,
    pub attempt: u32,
    /// How often it has failed before, `rate_limited` apart.
    pub tries: u32,
    pub look: bool,
    pub purpose: Purpose,
    pub connection: String,
    pub operation: String,
    pub input: Arc<Value>,
    pub page: Page,
    pub timeout: Option<Duration>,
    /// To be held until the action at `address` is finished.
    pub turns: Vec<String>,
    /// The same for all attempts of one exchange of one run.
    pub idempotency_key: String,
}

impl Send {
    /// The journal's line about it.
    pub(super) fn fact(&self) -> Fact {
        Fact::Sent(Box::new(Sent {
            address: self.address.clone(),
            exchange: self.exchange,
            attempt: self.attempt,
            purpose: self.purpose.clone(),
            connection: self.connection.clone(),
            operation: self.operation.clone(),
            input: self.input.clone(),
            page: self.page.clone(),
            turns: self.turns.clone(),
            held_ms: 0,
        }))
    }

    /// What came of it; `status`: the HTTP status, if it was answered at all.
    pub fn answered(&self, answer: Answer, status: Option<u16>) -> Fact {
        Fact::Answered {
            address: self.address.clone(),
            exchange: self.exchange,
            attempt: self.attempt,
            look: self.look,
            status,
            answer,
        }
    }
}

/// Decides. `state` is brought up to the new entries.
pub fn decide(plan: &Plan, start: &Start, state: &mut State, now_ms: i64) -> Decision {
    let (entries, next) = (Vec::new(), Vec::new());
    let mut run = Deciding { plan, start, state, now_ms, entries, kept: Kept::default(), next };
    let next = run.decide();
    Decision { entries: run.entries, kept: run.kept, next }
}

/// A decision in the making.
pub(super) struct Deciding<'a> {
    pub plan: &'a Plan,
    pub start: &'a Start,
    pub state: &'a mut State,
    pub now_ms: i64,
    pub entries: Vec<Entry>,
    pub kept: Kept,
    pub next: Vec<Next>,
}

impl<'a> Deciding<'a> {
    fn decide(&mut self) -> Vec<Next> {
        if self.state.ending.is_some() {
            return vec![Next::Over];
        }
        if let Some(value) = self.state.stopped.clone() {
            return self.stop(value);
        }
        if self.state.started_ms.is_none() {
            self.record(Fact::Started {});
        }
        let Some(workflow) = self.plan.workflow(&self.start.workflow) else {
            let failure = Failure::new("invalid", format!("no active workflow is called `{}`", self.start.workflow));
            return self.end(Ending::failed(WORKFLOW, failure));
        };
        let mut frame = Frame {
            plan: self.plan,
            workflow,
            prefix: String::new(),
            connections: Cow::Borrowed(&self.start.connections),
            inputs: Cow::Borrowed(&self.start.inputs),
            names: Default::default(),
        };
        if self.start.event.source == SILENCE {
            let flow = self.silent(&mut frame);
            return self.over(workflow, flow);
        }
        let (mut roots, hindered) = match self.prepare(&mut frame) {
            Ok(roots) => (roots, None),
            Err(flow) => (self.roots(&frame, None), Some(flow)),
        };
        let flow = self.workflow(&frame, &mut roots, hindered);
        self.over(workflow, flow)
    }

    /// Nothing has happened for too long: only the workflow's `on_error` is carried out, about no record.
    fn silent(&mut self, frame: &mut Frame<'a>) -> Flow {
        if let Err(flow) = self.names(frame) {
            return flow;
        }
        let mut roots = self.roots(frame, None);
        let since = instant(self.start.event.time_ms);
        let failure = Failure::new("silent", format!("`{}` has not run since {since}", frame.workflow.name));
        let error = error_value("trigger", &failure);
        let mut spot = Spot { address: "on_error", frame, roots: &mut roots, over: &[("error", &error)] };
        self.list(frame.workflow.on_error.actions(), &mut spot)
    }

    fn over(&mut self, workflow: &Workflow, flow: Flow) -> Vec<Next> {
        match flow {
            Flow::Blocked => self.wanted(),
            Flow::Done(_) => self.end(Ending::Completed { value: Value::Null }),
            Flow::Stopped(value) => self.stop(value),
            Flow::Skipped(why) => self.end(Ending::Skipped { why }),
            Flow::Failed { address, failure } => {
                let place = self.plan.place_of(workflow, &address, failure.at.as_deref()).to_string();
                let beside = self.failed_beside(workflow, &address);
                self.end(Ending::Failed { address, place, failure, beside })
            }
        }
    }

    /// What has failed beside the first failure, and nobody has dealt with.
    fn failed_beside(&self, workflow: &Workflow, address: &str) -> Vec<Address> {
        let goes_on = |at: &str| {
            let action = self.plan.action_at(workflow, at);
            action.is_none_or(|action| matches!(action.on_error, OnError::Continue))
        };
        let mut beside = self.state.failed();
        beside.retain(|at| at != address && !goes_on(at));
        beside
    }

    /// `stop`: nothing more is begun. What is on its way is answered first, since nothing can be recorded afterwards.
    fn stop(&mut self, value: Value) -> Vec<Next> {
        if self.state.is_on_its_way() {
            self.state.stopped = Some(value);
            return Vec::new();
        }
        self.end(Ending::Completed { value })
    }

    /// What the branches want: of their waits the one that ends first, and before all their questions.
    fn wanted(&mut self) -> Vec<Next> {
        if self.next.iter().any(Next::is_question) {
            self.next.retain(Next::is_question);
            return std::mem::take(&mut self.next);
        }
        let (mut until_ms, mut lets_go) = (None, !self.state.is_on_its_way());
        let mut wanted = Vec::new();
        for next in std::mem::take(&mut self.next) {
            match next {
                Next::Wait { until_ms: end_ms, lets_go: also } => {
                    until_ms = Some(until_ms.unwrap_or(end_ms).min(end_ms));
                    lets_go &= also;
                }
                next => wanted.push(next),
            }
        }
        lets_go &= wanted.is_empty();
        wanted.extend(until_ms.map(|until_ms| Next::Wait { until_ms, lets_go }));
        wanted
    }

    /// This is wanted before it can go on here.
    pub(super) fn wants(&mut self, next: Next) -> Flow {
        self.next.push(next);
        Flow::Blocked
    }

    /// The actions of a workflow; when they have failed, its own `on_error`, which tells people and changes nothing about
    /// that. `hindered`: what came of it before the first action.
    pub(super) fn workflow(&mut self, frame: &Frame<'a>, roots: &mut Roots<'a>, hindered: Option<Flow>) -> Flow {
        let rescued = self.state.progress.get(frame.address()).and_then(|progress| progress.rescued.clone());
        let (failed, failure) = match rescued {
            Some(rescued) => rescued,
            None => {
                let flow = hindered.unwrap_or_else(|| {
                    let mut spot = Spot { address: &frame.at("actions"), frame, roots, over: &[] };
                    self.list(&frame.workflow.actions, &mut spot)
                });
                let Flow::Failed { address, failure } = flow else { return flow };
                if frame.workflow.on_error.actions().is_empty() {
                    return Flow::Failed { address, failure };
                }
                self.record(Fact::Rescued {
                    address: frame.address().into(),
                    action: address.clone(),
                    failure: failure.clone(),
                });
                (address, failure)
            }
        };
        let error = error_value(&frame.called(&failed), &failure);
        let mut spot = Spot { address: &frame.at("on_error"), frame, roots, over: &[("error", &error)] };
        let told = self.list(frame.workflow.on_error.actions(), &mut spot);
        match told {
            Flow::Blocked => told,
            _ => Flow::Failed { address: failed, failure },
        }
    }

    pub(super) fn record(&mut self, fact: Fact) {
        let entry = Entry { at_ms: self.now_ms, fact };
        self.state.apply(&entry);
        self.entries.push(entry);
    }

    fn end(&mut self, ending: Ending) -> Vec<Next> {
        self.record(Fact::Ended { ending });
        vec![Next::Over]
    }

    /// What is told of the event. Its body is not copied.
    fn event(&self) -> Root<'a> {
        let (event, compared) = (&self.start.event, self.state.compared.clone());
        Root::parts(("body", &event.body), move || {
            let compared = compared.as_deref();
            Value::from_iter([
                ("id", json!(event.id)),
                ("type", json!(compared.map_or(&event.kind, |compared| &compared.kind))),
                ("time", json!(instant(event.time_ms))),
                ("source", json!(event.source)),
                ("connection", json!(event.connection)),
                // In its place among the others.
                ("body", Value::Null),
                ("changed", json!(compared.map(|compared| &compared.changed))),
                ("previous", json!(compared.map(|compared| &compared.previous))),
            ])
        })
    }

    /// `$.run` for what has begun at an instant.
    pub(super) fn running(&self, begun_ms: i64) -> Root<'a> {
        let (start, started_ms) = (self.start, self.state.started_ms.unwrap_or(self.now_ms));
        let attempt = self.state.attempt;
        Root::made(move || {
            Value::from_iter([
                ("id", json!(start.id)),
                ("tenant", json!(start.tenant)),
                ("started_at", json!(instant(started_ms))),
                ("now", json!(instant(begun_ms))),
                ("attempt", json!(attempt)),
            ])
        })
    }

    /// The roots of the context.
    pub(super) fn roots(&self, frame: &Frame<'a>, record: Option<(String, Value)>) -> Roots<'a> {
        let record = record.map(|(name, record)| (Cow::Owned(name), Root::Shared(Arc::new(record))));
        let outcome = Root::Shared(Arc::new(Value::Object(Map::new())));
        let [inputs, vars, connection] = frame.roots(self.start.tenant.as_deref());
        let (event, run) = (("event", self.event()), ("run", self.running(self.now_ms)));
        let fixed = [event, inputs, (OUTCOME, outcome), vars, connection, run];
        record.into_iter().chain(fixed.map(|(name, root)| (Cow::Borrowed(name), root))).collect()
    }
}

/// `$.error` inside `on_error`.
pub(super) fn error_value(action: &str, failure: &Failure) -> Value {
    json!({ "name": failure.name, "action": action, "message": failure.message, "existing_id": failure.existing_id })
}

pub(super) fn instant(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
