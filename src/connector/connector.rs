//! The document `connector:`, and what it means once read and checked.

use std::time::Duration;

use serde_json::Value;

use super::outcome::ErrorRule;
use super::spelling::Spelling;
use super::{Auth, Failure, Object, Operation, Outcome, Page, Response, Webhooks, address, outcome, read};
use crate::expr::{Expr, Template};
use crate::source::{File, Report};

/// One remote API. Made from one or several files with the same `connector:` (and an override file merged over it).
#[derive(Debug)]
pub struct Connector {
    pub name: String,
    pub version: String,
    pub description: Option<String>,
    /// May hold `{setting}` of the connection; an origin (and perhaps a path prefix) once filled in.
    pub base_url: String,
    /// Those whose value is known before any connection.
    pub headers: Vec<(String, String)>,
    /// JSON Schema (`type: object`) of the settings that a connection must give; built from `connection:`.
    pub settings: Value,
    /// By name, as written: `oauth`, `token`. A connection picks one (the only one if there is one).
    pub auth: Vec<(String, Auth)>,
    pub limits: Vec<Limit>,
    pub objects: Vec<Object>,
    pub webhooks: Option<Webhooks>,
    pub(super) header_values: Vec<(String, Expr)>,
    pub(super) operations: Vec<Operation>,
    /// How lists and maps of queries and forms are written, where an operation says nothing.
    pub(super) spelling: Spelling,
    pub(super) errors: Vec<ErrorRule>,
}

/// One window of a connection's budget.
#[derive(Clone, Debug)]
pub struct Limit {
    pub requests: u64,
    pub per: Duration,
    pub remaining_header: Option<String>,
    /// (header, unit): the time until the window ends, in the unit's duration (`ms`, `s`).
    pub reset_header: Option<(String, Duration)>,
    /// Share of the window, 0 to 1, that only live events may use; polls and backfills stop above it.
    pub keep_for_live_events: f64,
    /// Operations that this window counts; empty: all.
    pub only_for: Vec<String>,
    /// One window per value of this template over `{ "input": … }`, e.g. a channel.
    pub each: Option<Template>,
}

impl Limit {
    /// What the reserve leaves of a window to polls, to backfills and to first runs: never nothing of what is not all kept.
    pub fn requests_of_the_past(&self) -> u64 {
        let share = self.keep_for_live_events.clamp(0.0, 1.0);
        let kept = (self.requests as f64 * share).ceil() as u64;
        let least = u64::from(share < 1.0).min(self.requests);
        self.requests.saturating_sub(kept).max(least)
    }
}

impl Connector {
    /// Reads all files of one connector: shape, then meaning; all findings at once.
    ///
    /// Returns the connector if there is no error. `files` holds at least one file; those named
    /// `NAME.override.yaml` are merged over the rest. Files without `connector:` are unread, and schemas that
    /// `schema: ./name.json` may name.
    pub fn read(files: &[&File], report: &mut Report) -> Option<Connector> {
        read::read(files, report)
    }

    /// The base URL for these settings of a connection; None where one is missing.
    pub fn url_of(&self, settings: &Value) -> Option<String> {
        address::base_url(&self.base_url, settings).ok()
    }

    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name == name)
    }

    /// What an upsert of an object needs and does not find; `by_fields`: it looks for the record by some.
    pub fn lacks_for_upsert(&self, object: &Object, by_fields: bool) -> Vec<&'static str> {
        let needed = ["get", "create", "update"].into_iter().chain(by_fields.then_some("find"));
        needed.filter(|standard| self.operation(&format!("{}.{standard}", object.name)).is_none()).collect()
    }

    /// By full name: `contact.create`, or a top-level operation's own name.
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.name == name)
    }

    /// Every operation with its full name, objects' first, in the order of the files.
    pub fn operations(&self) -> Vec<&Operation> {
        self.operations.iter().collect()
    }

    /// Why an answer that is no operation's is a refusal, by the same rules; None: it is none.
    pub fn refusal(&self, response: &Response) -> Option<Failure> {
        outcome::refusal(&self.errors, response)
    }

    /// What an answer means: error rules first (200 too), then the built-in table, then `returns`/`items`/`pages`.
    ///
    /// `page` is the page that was asked for. Error names are those of language.md section 5.
    pub fn outcome(
        &self,
        operation: &Operation,
        input: &Value,
        connection: &Value,
        page: &Page,
        response: Response,
    ) -> Outcome {
        let asked = || operation.request(self, connection, input, page).map(|request| request.url);
        outcome::outcome(&self.errors, operation, page, response, asked)
    }
}
