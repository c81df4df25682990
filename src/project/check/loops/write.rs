//! One action: what it writes, or whom it starts.

use serde_json::Value;

use super::carry::Carry;
use super::needs::Need;
use crate::connector::Object;
use crate::workflow::Action;
use crate::workflow::action::Kind;

/// How a record changes: what an action makes of it and what a trigger hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Created,
    Updated,
    Deleted,
    /// Of no record: a workflow is started by `emit`, or entered by `run`.
    Started,
}

/// An action that writes, or that starts another workflow.
pub(super) struct Write<'a> {
    pub action: &'a Action,
    pub target: Target<'a>,
    pub changes: Vec<Change>,
    pub effect: Effect,
    /// A condition stands before it.
    pub is_guarded: bool,
    /// It names another record than the one that was heard, of the same kind.
    pub is_elsewhere: bool,
    pub named: Named,
    /// What must have changed for it to be done.
    pub needs: Vec<Need>,
    /// What it writes, field by field; None where that cannot be told from its `with`.
    pub fields: Option<Vec<Field<'a>>>,
    /// The fields by which an upsert finds its record.
    pub matched: Vec<&'a str>,
    pub steps: Vec<Step>,
}

/// What an action is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    Record {
        alias: &'a str,
        object: &'a Object,
    },
    /// `emit`: all that hear this event of the project.
    Event(&'a str),
    /// `run`: the workflow that happens inside this run.
    Workflow(&'a str),
}

/// Where that comes from which says of which record a write is.
#[derive(Default)]
pub(super) struct Named {
    pub is_read: bool,
    /// A field that names the record, and a field of what was heard that it is read from.
    pub from: Vec<(String, String)>,
}

/// A field and its value, as written.
pub(super) struct Field<'a> {
    pub name: String,
    pub written: &'a Value,
    pub is_constant: bool,
}

/// A value goes from a field of the record that was heard to one that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub from: String,
    pub to: String,
    pub carry: Carry,
}

/// What doing it again does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It writes each time, whatever is there.
    Repeats,
    /// An upsert of a value that is another in each run.
    New { field: String },
    /// An upsert writes nothing where nothing differs.
    Settles,
    /// A record is deleted once.
    Deletes,
    /// It writes nothing, and starts another workflow with what is in its `with`. `new`: the fields of that which are
    /// another in each run.
    Starts { new: Vec<String> },
}

impl Named {
    /// Is none of what names the record the same field of the record that was heard, but another one, such as its
    /// parent's id?
    pub fn is_elsewhere(&self) -> bool {
        self.is_read && !self.from.iter().any(|(name, from)| name == from)
    }
}

impl<'a> Write<'a> {
    /// None: it starts another workflow.
    pub fn object(&self) -> Option<&'a Object> {
        match self.target {
            Target::Record { object, .. } => Some(object),
            Target::Event(_) | Target::Workflow(_) => None,
        }
    }

    pub fn starts(&self) -> bool {
        matches!(self.effect, Effect::Starts { .. })
    }

    /// Does it make this change anew each time?
    pub fn repeats(&self, change: Change) -> bool {
        match (&self.effect, change) {
            (_, Change::Deleted) | (Effect::Settles | Effect::Deletes | Effect::Starts { .. }, _) => false,
            (Effect::Repeats, _) => true,
            // What is found by other fields is not created once more.
            (Effect::New { field }, Change::Created) => self.matched.contains(&field.as_str()),
            (Effect::New { .. }, _) => true,
        }
    }

    /// The steps that can make this change: an upsert creates another record only if it looks for another one.
    pub fn steps_to(&self, change: Change) -> impl Iterator<Item = &Step> {
        let only_matched = change == Change::Created && matches!(self.action.kind, Kind::Upsert(_));
        self.steps.iter().filter(move |step| !only_matched || self.matched.contains(&step.to.as_str()))
    }

    /// The field of the record that was heard which a field is a copy of.
    pub fn source(&self, field: &str) -> Option<&str> {
        let mut steps = self.steps.iter().filter(|step| step.to == field);
        let step = steps.next().filter(|step| step.carry == Carry::Same)?;
        steps.next().is_none().then_some(step.from.as_str())
    }

    /// Pointer of what names that which is written or started.
    pub fn pointer(&self) -> String {
        let verb = match self.action.kind {
            Kind::Upsert(_) => "upsert",
            Kind::Emit(_) => "emit",
            Kind::Run(_) => "run",
            _ => "call",
        };
        format!("{}/{verb}", self.action.pointer)
    }
}
