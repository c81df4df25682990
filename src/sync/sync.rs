//! A sync as meant: everything compiled, names of connectors and objects not yet resolved.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::expr::{Condition, Conversion, Expr};
use crate::source::Place;

/// Two objects kept alike, and those under them.
#[derive(Debug)]
pub struct Sync {
    pub name: String,
    pub description: Option<String>,
    /// Alias → a connector, or one connection.
    pub uses: BTreeMap<String, String>,
    pub pair: Pair,
    pub children: Vec<Pair>,
    pub delete_brake_records: Option<u64>,
    pub delete_brake_percent: Option<u8>,
    pub first_run: FirstRun,
    pub check_every: Option<Duration>,
    pub place: Place,
}

/// Two objects, and how they are kept alike.
#[derive(Debug)]
pub struct Pair {
    /// In the order of `between`: conversions lead from the first to the second.
    pub sides: [Side; 2],
    pub fields: Vec<Field>,
    /// Places in `fields` of those that find a record's other half.
    pub match_by: Vec<usize>,
    pub several_found: SeveralFound,
    pub conflict: Conflict,
    /// JSON pointer in the document.
    pub pointer: String,
}

/// One side of a pair.
#[derive(Debug)]
pub struct Side {
    pub alias: String,
    pub object: String,
    pub only_if: Option<Condition>,
    /// When this side has no such record.
    pub none_found: NoneFound,
    /// What a create on this side needs beside the fields.
    pub on_create: Option<Expr>,
    /// What a delete on this side does to the other.
    pub delete: Delete,
}

/// One field on both sides.
#[derive(Debug)]
pub struct Field {
    /// By side.
    pub names: [String; 2],
    pub conversion: Option<Conversion>,
    /// What one side has is added to the other and never taken away.
    pub union: bool,
    /// One way: only this side's changes are carried over.
    pub owner: Option<Which>,
    pub conflict: Conflict,
    pub pointer: String,
}

/// A side, by its place in `between`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    First,
    Second,
}

/// Who wins a field that was changed differently on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    Ask,
    /// The later change: both sides must say when a record was changed.
    Newest,
    Side(Which),
}

/// What is done on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delete {
    /// Deleted there too.
    Delete,
    /// Put away there, by the object's operation `archive`.
    Archive,
    /// Left there, and no pair any more.
    Unlink,
    /// A person decides.
    Ask,
}

/// What is done about a record without its other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoneFound {
    Create,
    Ask,
    Skip,
}

/// What is done about a record with several possible other halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeveralFound {
    Ask,
    Skip,
}

/// The first comparison of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstRun {
    pub mode: Mode,
    pub on_difference: Conflict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Shown first, and done when a person says so.
    Plan,
    Apply,
}

impl Sync {
    /// The pair by its number: 0 is the sync's own, from 1 its children.
    pub fn numbered(&self, number: usize) -> &Pair {
        match number.checked_sub(1) {
            Some(child) => &self.children[child],
            None => &self.pair,
        }
    }

    /// The pair and its children.
    pub fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.pair).chain(&self.children)
    }
}

impl Pair {
    /// The fields that find the other half, the first one first.
    pub fn matching(&self) -> impl Iterator<Item = &Field> {
        self.match_by.iter().filter_map(|place| self.fields.get(*place))
    }

    /// Somewhere the later change wins: both objects must say when a record was changed.
    pub fn needs_times(&self) -> bool {
        self.conflict == Conflict::Newest || self.fields.iter().any(|field| field.conflict == Conflict::Newest)
    }
}

impl Which {
    pub const BOTH: [Which; 2] = [Which::First, Which::Second];

    pub fn other(self) -> Which {
        match self {
            Which::First => Which::Second,
            Which::Second => Which::First,
        }
    }

    pub fn index(self) -> usize {
        match self {
            Which::First => 0,
            Which::Second => 1,
        }
    }
}
