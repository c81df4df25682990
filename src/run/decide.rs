//! One decision: from a plan, a run's start and its state to what is recorded and what is done next.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::entry::{Address, Ending, Entry, Fact, Kept, Sent, Start};
use super::frame::Frame;
use super::hear::Subscription;
use super::state::{State, WORKFLOW};
use super::walk::{Flow, Spot};
use crate::connector::{Failure, Page};
use crate::project::Plan;
use crate::trigger::SILENCE;
use crate::workflow::{RecordRef, Workflow};

/// What was decided. The entries must be durable before anything else happens.
#[derive(Debug)]
pub struct Decision {
    pub entries: Vec<Entry>,
    pub kept: Kept,
    pub next: Next,
}

/// What the hands are asked to do, after the commit.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// Send one request; record `Answered`.
    Send(Box<Send>),
    /// Ask the store for the copy that this workflow was last told, and give it to [`State::recall`]; nothing need be
    /// durable before.
    Recall {
        of: RecordRef,
    },
    /// Ask the store for a pair; record `Looked`.
    Look {
        address: Address,
        of: RecordRef,
        connection: String,
        object: String,
        turns: Vec<String>,
    },
    /// Ask the store for the first message that a wait may receive, and give it to [`State::receive`]; nothing need be
    /// durable before.
    Receive {
        address: Address,
        subscription: Subscription,
    },
    /// Decide again at this instant.
    Wait {
        until_ms: i64,
        /// A `wait`, not a pause: the run lets go of its order key, and need not be kept in memory.
        lets_go: bool,
    },
    Over,
}

impl Next {
    /// Of two waits the one that ends first. The order key is let go only when both let go of it.
    pub(super) fn or_sooner(self, other: Option<Next>) -> Next {
        match (&self, other) {
            (Next::Wait { until_ms: one, lets_go }, Some(Next::Wait { until_ms: other, lets_go: also })) => {
                Next::Wait { until_ms: (*one).min(other), lets_go: *lets_go && also }
            }
            _ => self,
        }
    }
}

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    pub address: Address,
    pub exchange: u32,
    pub attempt: u32,
    pub look: bool,
    pub connection: String,
    pub operation: String,
    pub input: Value,
    pub page: Page,
    pub timeout: Option<Duration>,
    /// To be held until the action at `address` is finished.
    pub turns: Vec<String>,
    /// The same for all attempts of one exchange of one run.
    pub idempotency_key: String,
}

/// Decides. `state` is brought up to the new entries.
pub fn decide(plan: &Plan, start: &Start, state: &mut State, now_ms: i64) -> Decision {
    let mut run = Deciding { plan, start, state, now_ms, entries: Vec::new(), kept: Kept::default() };
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
}

impl Deciding<'_> {
    fn decide(&mut self) -> Next {
        if self.state.ending.is_some() {
            return Next::Over;
        }
        if self.state.started_ms.is_none() {
            self.record(Fact::Started {});
        }
        let Some(workflow) = self.plan.workflow(&self.start.workflow) else {
            let failure = Failure::new("invalid", format!("no active workflow is called `{}`", self.start.workflow));
            return self.end(Ending::Failed { address: WORKFLOW.into(), place: String::new(), failure });
        };
        let mut frame = Frame {
            plan: self.plan,
            workflow,
            prefix: String::new(),
            connections: self.start.connections.clone(),
            inputs: self.start.inputs.clone(),
            names: Default::default(),
        };
        if self.start.event.source == SILENCE {
            let flow = self.silent(&mut frame);
            return self.over(workflow, flow);
        }
        let (record, hindered) = match self.prepare(&mut frame) {
            Ok(record) => (record, None),
            Err(flow) => (None, Some(flow)),
        };
        let mut root = self.root(&frame, record);
        let flow = self.workflow(&frame, &mut root, hindered);
        self.over(workflow, flow)
    }

    /// Nothing has happened for too long: only the workflow's `on_error` is carried out, about no record.
    fn silent(&mut self, frame: &mut Frame<'_>) -> Flow {
        if let Err(flow) = self.names(frame) {
            return flow;
        }
        let mut root = self.root(frame, None);
        let since = instant(self.start.event.time_ms);
        let failure = Failure::new("silent", format!("`{}` has not run since {since}", frame.workflow.name));
        let over = [("error".into(), error_value("trigger", &failure))];
        let mut spot = Spot { address: "on_error", frame, root: &mut root, over: &over };
        self.list(frame.workflow.on_error.actions(), &mut spot)
    }

    fn over(&mut self, workflow: &Workflow, flow: Flow) -> Next {
        match flow {
            Flow::Blocked(next) => next,
            Flow::Done(_) => self.end(Ending::Completed { value: Value::Null }),
            Flow::Stopped(value) => self.end(Ending::Completed { value }),
            Flow::Skipped(why) => self.end(Ending::Skipped { why }),
            Flow::Failed { address, failure } => {
                let action = self.plan.action_at(workflow, &address);
                // What is read before the first action is the trigger's doing.
                let place = action.map_or(&workflow.trigger.place, |action| &action.place).to_string();
                self.end(Ending::Failed { address, place, failure })
            }
        }
    }

    /// The actions of a workflow; when they have failed, its own `on_error`, which tells people and changes nothing about
    /// that. `hindered`: what came of it before the first action.
    pub(super) fn workflow(&mut self, frame: &Frame<'_>, root: &mut Value, hindered: Option<Flow>) -> Flow {
        let rescued = self.state.progress.get(frame.address()).and_then(|progress| progress.rescued.clone());
        let (failed, failure) = match rescued {
            Some(rescued) => rescued,
            None => {
                let flow = hindered.unwrap_or_else(|| {
                    let mut spot = Spot { address: &frame.at("actions"), frame, root, over: &[] };
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
        let over = [("error".into(), error_value(&failed, &failure))];
        let mut spot = Spot { address: &frame.at("on_error"), frame, root, over: &over };
        let told = self.list(frame.workflow.on_error.actions(), &mut spot);
        match told {
            Flow::Blocked(_) => told,
            _ => Flow::Failed { address: failed, failure },
        }
    }

    pub(super) fn record(&mut self, fact: Fact) {
        let entry = Entry { at_ms: self.now_ms, fact };
        self.state.apply(&entry);
        self.entries.push(entry);
    }

    fn end(&mut self, ending: Ending) -> Next {
        self.record(Fact::Ended { ending });
        Next::Over
    }

    /// The roots of the context.
    pub(super) fn root(&self, frame: &Frame<'_>, record: Option<(String, Value)>) -> Value {
        let event = &self.start.event;
        let mut root = Map::new();
        if let Some((name, record)) = record {
            root.insert(name, record);
        }
        let compared = self.state.compared.as_ref();
        root.insert(
            "event".into(),
            json!({
                "id": event.id, "type": compared.map_or(&event.kind, |compared| &compared.kind),
                "time": instant(event.time_ms), "source": event.source,
                "connection": event.connection, "body": event.body,
                "changed": compared.map(|compared| &compared.changed),
                "previous": compared.map(|compared| &compared.previous),
            }),
        );
        root.insert("inputs".into(), frame.inputs.clone());
        root.insert("outcome".into(), Value::Object(Map::new()));
        root.insert("vars".into(), self.plan.vars(frame.workflow, self.start.tenant.as_deref()));
        let settings = frame.workflow.uses.iter().map(|uses| {
            let settings = crate::workflow::Accounts::settings(frame, &uses.alias);
            (uses.alias.clone(), settings.clone())
        });
        root.insert("connection".into(), Value::Object(settings.collect()));
        let started = self.state.started_ms.unwrap_or(self.now_ms);
        root.insert(
            "run".into(),
            json!({
                "id": self.start.id, "tenant": self.start.tenant, "started_at": instant(started),
                "now": instant(self.now_ms), "attempt": self.state.attempt,
            }),
        );
        Value::Object(root)
    }
}

/// `$.error` inside `on_error`.
pub(super) fn error_value(address: &str, failure: &Failure) -> Value {
    json!({ "name": failure.name, "action": address, "message": failure.message, "existing_id": failure.existing_id })
}

pub(super) fn instant(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The journal's line about a request.
pub(super) fn sent(send: &Send, purpose: crate::workflow::Purpose) -> Fact {
    Fact::Sent(Box::new(Sent {
        address: send.address.clone(),
        exchange: send.exchange,
        attempt: send.attempt,
        purpose,
        connection: send.connection.clone(),
        operation: send.operation.clone(),
        input: send.input.clone(),
        page: send.page.clone(),
        turns: send.turns.clone(),
    }))
}
