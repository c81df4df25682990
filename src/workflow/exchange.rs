//! What an action asks for, and what it has learnt so far.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connector::{Connector, Failure, Names, Object, Operation, Page};
use crate::expr::{Locale, Scope};
use crate::sync::{Answered, Pact, Question, Which};
use crate::trigger::Event;

/// A record at one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordRef {
    pub connection: String,
    pub object: String,
    pub id: String,
}

/// As commands take it.
impl fmt::Display for RecordRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.connection, self.object, self.id)
    }
}

/// What a request is for, in an action that may need several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The action's own operation.
    Call,
    /// Reading the record that an event only hints at, or that `include` names.
    Read,
    /// Looking for a record by one match field.
    Find {
        field: String,
    },
    Get,
    Create,
    Update,
    /// Was the write of an exchange carried out after all?
    LookUp {
        exchange: u32,
    },
    /// Names of a keyed list.
    Names {
        list: String,
        /// One of them was missing before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fresh: bool,
    },
    /// Reading back what was written.
    Confirm,
}

/// What an attempt taught.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// `value` in the vendor's form, as `connector::Outcome::Done`.
    Done {
        value: Value,
        next: Option<Page>,
    },
    Failed(Failure),
}

/// One request of an action, with all its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    pub purpose: Purpose,
    pub connection: String,
    pub operation: String,
    pub input: Arc<Value>,
    pub page: Page,
    /// From 1.
    pub attempt: u32,
    /// Attempts that count against `retry`: those that failed, `rate_limited` apart.
    pub tries: u32,
    pub first_sent_ms: i64,
    /// Where the time of `retry` begins: as `first_sent_ms`, or when it was sent again by hand.
    pub since_ms: i64,
    /// An attempt before the last may have been carried out.
    pub maybe_done: bool,
    /// Identities that no other action may upsert meanwhile.
    pub turns: Vec<String>,
    /// None: sent, and nothing is known yet.
    pub answer: Option<Answer>,
    /// Was it carried out after all? The request that finds out.
    pub look: Option<Box<Exchange>>,
    /// A person wants it tried again, whatever its failure.
    pub again: bool,
}

impl Exchange {
    pub fn value(&self) -> Option<&Value> {
        match &self.answer {
            Some(Answer::Done { value, .. }) => Some(value),
            _ => None,
        }
    }

    pub fn answered(&mut self, answer: &Answer) {
        if matches!(answer, Answer::Failed(failure) if failure.name != "rate_limited") {
            self.tries += 1;
        }
        self.answer = Some(answer.clone());
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.answer {
            Some(Answer::Failed(failure)) => Some(failure),
            _ => None,
        }
    }
}

/// How an action ended; what `$.outcome.<id>` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Created,
    Updated,
    Unchanged,
    Done,
    Skipped,
    /// What was waited for did not come in time.
    TimedOut,
    Failed,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Created,
        Outcome::Updated,
        Outcome::Unchanged,
        Outcome::Done,
        Outcome::Skipped,
        Outcome::TimedOut,
        Outcome::Failed,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Unchanged => "unchanged",
            Outcome::Done => "done",
            Outcome::Skipped => "skipped",
            Outcome::TimedOut => "timed_out",
            Outcome::Failed => "failed",
        }
    }
}

/// The request that an action wants next.
#[derive(Clone, Debug, PartialEq)]
pub struct Sending {
    pub purpose: Purpose,
    pub alias: String,
    pub operation: String,
    pub input: Arc<Value>,
    pub page: Page,
    /// Identities that no other action may upsert meanwhile, sorted.
    pub turns: Vec<String>,
}

/// A question to the store: which record is a pair with this one?
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub of: RecordRef,
    pub alias: String,
    pub object: String,
    /// Identities that no other action may write meanwhile, sorted.
    pub turns: Vec<String>,
    /// The sync that asks, and the side on which the record is: it is told what the pair has agreed on, too.
    pub sync: Option<(String, Which)>,
}

/// What the store has said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<RecordRef>,
    /// None: it is in no pair there.
    pub found: Option<String>,
    /// Held since before it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pact: Option<Box<Pact>>,
    /// Pairs of the sync that were parted within the last hour, since one half was gone, of so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parted: Option<(u64, u64)>,
    /// The sync's first run was applied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// What a person has said about the record or its pair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answered>,
}

/// What a sync has come to about one record, to be kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Synced {
    pub sync: String,
    pub about: RecordRef,
    /// The id of the record under which it lives.
    pub parent: Option<String>,
    /// By side; None: it is in no pair, or not any more.
    pub pair: Option<[RecordRef; 2]>,
    pub pact: Pact,
    /// All that is open about the record and its pair.
    pub questions: Vec<Question>,
}

/// How an action that is over ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Finish {
    pub outcome: Option<Outcome>,
    /// What `$.<id>` holds.
    pub result: Value,
    /// Fields that the other side did not take, in words.
    pub warnings: Vec<String>,
    /// Two records that are a pair from now on.
    pub link: Option<(RecordRef, RecordRef)>,
    /// A pair that turned out to be gone.
    pub unlink: Option<(RecordRef, RecordRef)>,
    pub synced: Vec<Synced>,
    /// Records for other workflows to be about, each with the workflow's name.
    pub found: Vec<(String, Event)>,
}

/// What an action does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Advance {
    Send(Sending),
    /// Asks the store for the pair of a record at another connection's object.
    Look(Look),
    Finish(Box<Finish>),
    Fail(Failure),
}

/// What an action sees while it advances.
pub struct Context<'a> {
    pub scope: Scope<'a>,
    /// All settled: the run repeats, looks up or gives up before an action sees a failure.
    pub exchanges: &'a [Exchange],
    /// What the store has answered to `Look`s.
    pub looked: &'a [Looked],
    /// What the run is about.
    pub event: &'a Event,
    pub now_ms: i64,
    /// What `link` may name, by path: the record that the run is about (`task`), and those that it includes
    /// (`task.contact`).
    pub records: &'a [(String, RecordRef)],
    pub accounts: &'a dyn Accounts,
    pub locale: &'a Locale,
}

/// The connections of a run, by alias.
pub trait Accounts {
    fn connector(&self, alias: &str) -> Option<&Connector>;
    fn connection(&self, alias: &str) -> Option<&str>;
    fn settings(&self, alias: &str) -> &Value;
    /// Names of keyed lists, as far as they were needed and read.
    fn names(&self, alias: &str, object: &str) -> Names;
}

impl<'a> Context<'a> {
    pub fn operation(&self, alias: &str, name: &str) -> Result<(&'a Connector, &'a Operation), Failure> {
        let connector = self.accounts.connector(alias).ok_or_else(|| missing(alias))?;
        let operation = connector.operation(name).ok_or_else(|| {
            Failure::new("invalid", format!("connector `{}` has no operation `{name}`", connector.name))
        })?;
        Ok((connector, operation))
    }

    pub fn object(&self, alias: &str, name: &str) -> Result<(&'a Connector, &'a Object), Failure> {
        let connector = self.accounts.connector(alias).ok_or_else(|| missing(alias))?;
        let object = connector
            .object(name)
            .ok_or_else(|| Failure::new("invalid", format!("connector `{}` has no object `{name}`", connector.name)))?;
        Ok((connector, object))
    }

    pub fn reference(&self, alias: &str, object: &str, id: &str) -> Result<RecordRef, Failure> {
        let connection = self.accounts.connection(alias).ok_or_else(|| missing(alias))?;
        Ok(RecordRef { connection: connection.into(), object: object.into(), id: id.into() })
    }
}

fn missing(alias: &str) -> Failure {
    Failure::new("invalid", format!("no connection stands for `{alias}`"))
}
