//! What can be recorded: the lines of a run's journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hear::{Correlation, Message, Subscription};
use super::known::{Compared, Told};
use crate::connector::{Failure, Page};
use crate::trigger::Event;
use crate::workflow::{Answer, Looked, Outcome, Purpose, RecordRef, Synced};

/// Where an action stands: `actions/2/then/0`, with `[3]` for an iteration: `actions/4[3]/actions/0`. What is read before
/// the first action stands at `event`, `include/item`, `names/ghl/contact/custom`.
pub type Address = String;

/// What a run starts from; stored once, beside its journal. The event may be in another form, such as its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start<E = Event> {
    /// UUID version 7.
    pub id: String,
    pub workflow: String,
    /// None: connections shared by all tenants, or a project without tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Runs with the same workflow, tenant and key happen one after the other, in the order of acceptance.
    pub order_key: String,
    /// Hash of the plan that this run finishes on.
    pub plan: String,
    /// Alias of `uses` → connection.
    pub connections: BTreeMap<String, String>,
    pub event: E,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub inputs: Value,
    pub created_ms: i64,
}

impl Start {
    /// The same with the event in another form.
    pub fn about<E>(&self, event: E) -> Start<E> {
        Start {
            id: self.id.clone(),
            workflow: self.workflow.clone(),
            tenant: self.tenant.clone(),
            order_key: self.order_key.clone(),
            plan: self.plan.clone(),
            connections: self.connections.clone(),
            event,
            inputs: self.inputs.clone(),
            created_ms: self.created_ms,
        }
    }
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at_ms: i64,
    #[serde(flatten)]
    pub fact: Fact,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The run was taken up for the first time; the instant is `$.run.started_at`.
    Started {},
    /// What the event tells, compared with what the workflow was last told of the record.
    Compared(Box<Compared>),
    /// An `if` went one way: `then` or `else`.
    Chose {
        address: Address,
        branch: String,
    },
    /// The list of a `for_each`, fixed.
    Listed {
        address: Address,
        items: Vec<Value>,
    },
    /// A request is about to be sent; committed before it is.
    Sent(Box<Sent>),
    /// What came of it. Without this line the attempt is unknown.
    Answered {
        address: Address,
        exchange: u32,
        attempt: u32,
        /// The answer to the look-up of the exchange, not to the exchange itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        look: bool,
        /// The HTTP status, if it was answered at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        answer: Answer,
    },
    /// The pair of a record, as the store knew it (None: not linked).
    Looked {
        address: Address,
        #[serde(flatten)]
        looked: Looked,
    },
    /// The run is taken up again, and what it had found may be otherwise by now: it searches anew.
    Forgot {
        address: Address,
    },
    /// Nothing before an instant, and why.
    Paused {
        address: Address,
        until_ms: i64,
        why: String,
    },
    /// What it paused for is there: the account is connected again, or the program was started anew.
    Resumed {
        address: Address,
    },
    /// A `wait` has begun, and ends at an instant.
    Waits {
        address: Address,
        until_ms: i64,
    },
    /// A `wait` for an event has begun, and is given up at an instant.
    Subscribed {
        address: Address,
        #[serde(flatten)]
        subscription: Subscription,
        until_ms: i64,
    },
    /// The event has come that a `wait` was for.
    Received {
        address: Address,
        number: i64,
        #[serde(flatten)]
        correlation: Correlation,
    },
    /// A workflow is run as a part of this run, with these inputs.
    Entered {
        address: Address,
        inputs: Value,
    },
    /// An action has failed, and its `on_error` actions stand in for it; for the address `workflow`: the run has failed,
    /// and the workflow's `on_error` deals with that.
    Rescued {
        address: Address,
        action: Address,
        failure: Failure,
    },
    /// An action is over.
    Finished {
        address: Address,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "is_null")]
        result: Arc<Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// A person wants the failed action tried again.
    Retried {
        by: String,
    },
    Ended {
        ending: Ending,
    },
}

impl Fact {
    /// The action that it says has failed, and why.
    pub fn failure(&self) -> Option<(&str, &Failure)> {
        match self {
            Fact::Answered { address, answer: Answer::Failed(failure), .. }
            | Fact::Rescued { action: address, failure, .. }
            | Fact::Finished { address, failure: Some(failure), .. } => Some((address, failure)),
            _ => None,
        }
    }
}

fn is_null(value: &Arc<Value>) -> bool {
    value.is_null()
}

/// See [`Fact::Sent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    pub address: Address,
    /// Which of the action's exchanges, from 0.
    pub exchange: u32,
    /// From 1.
    pub attempt: u32,
    pub purpose: Purpose,
    pub connection: String,
    pub operation: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Arc<Value>,
    #[serde(default)]
    pub page: Page,
    /// Identities that no other action may upsert meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<String>,
    /// How long it was held back: by a limit, or because its vendor was down.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All actions are done. `value`: what `stop` gave.
    Completed {
        #[serde(default, skip_serializing_if = "Value::is_null")]
        value: Value,
    },
    /// `only_if` of the trigger does not hold, or the record is gone: nothing to do.
    Skipped {
        why: String,
    },
    /// A dead letter: kept until a person retries or drops it. `place` is the action's line in its file.
    Failed {
        address: Address,
        place: String,
        failure: Failure,
        /// Further actions that have failed, in other branches: they are tried again with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<Address>,
    },
    Dropped {
        by: String,
    },
}

/// In the reasons of runs that brought nothing new to those who listen.
pub(super) const OLD_NEWS: [&str; 2] = ["told already", "is not listened to"];

impl Ending {
    /// It brought nothing that its workflow had not been told.
    pub fn is_old_news(&self) -> bool {
        matches!(self, Ending::Skipped { why } if OLD_NEWS.iter().any(|words| why.contains(words)))
    }

    /// What no line of a file has brought about.
    pub fn failed(address: &str, failure: Failure) -> Ending {
        Ending::Failed { address: address.into(), place: String::new(), failure, beside: Vec::new() }
    }
}

/// Two records known as one; at most one per record and other (connection, object).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    pub tenant: Option<String>,
    pub left: RecordRef,
    pub right: RecordRef,
}

/// What a commit keeps beside the entries. What begins with it, or is told by it, is not written with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Pairs from now on, each with the action that made it one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link: Vec<(Address, Link)>,
    /// Pairs that turned out to be gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unlink: Vec<Link>,
    /// What syncs have come to, each with the run's tenant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub synced: Vec<(Option<String>, Synced)>,
    /// Records that other workflows are to be about, by the workflow's name; their runs start in the same commit.
    #[serde(skip)]
    pub found: Vec<(String, Event)>,
    /// What the workflow is told of the record, for the next event to be compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// Events for the project's workflows; their runs start in the same commit.
    #[serde(skip)]
    pub emitted: Vec<Event>,
    /// What a listener tells those that wait; they are called in the same commit.
    #[serde(skip)]
    pub messages: Vec<Message>,
}

impl Kept {
    /// What a later decision keeps as well.
    pub fn append(&mut self, later: Kept) {
        self.link.extend(later.link);
        self.unlink.extend(later.unlink);
        self.synced.extend(later.synced);
        self.found.extend(later.found);
        self.told = later.told.or(self.told.take());
        self.emitted.extend(later.emitted);
        self.messages.extend(later.messages);
    }
}
