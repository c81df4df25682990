//! The document `workflow:`, as written and as meant.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::action::{self, Action, Kind, OnError};
use super::mend::mended;
use super::trigger;
use super::{Heard, Reading, Retry, Starts, Trigger, retry};
use crate::source::{File, Place, Report, Severity, check_shape};

/// A workflow as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a workflow")]
pub struct Document {
    /// The workflow's name, in kebab-case: `hot-quiz-lead`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), extend("x-name" = "a name of small letters, digits and `-`"))]
    pub workflow: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// Short names for connectors (or single connections): `{ ghl: gohighlevel }`.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": r"^[a-z][a-z0-9_]*$", "x-name": "a name of small letters, digits and `_`" }))]
    pub uses: BTreeMap<String, String>,
    /// What starts a run.
    pub trigger: trigger::Document,
    /// Constants, read as `$.vars.name`; a tenant may set its own.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": r"^[a-z][a-z0-9_]*$", "x-name": "a name of small letters, digits and `_`" }))]
    pub vars: serde_json::Map<String, Value>,
    /// What is done, one after the other.
    #[schemars(length(min = 1))]
    pub actions: Vec<action::Document>,
    /// When to try again, for actions that do not say it themselves.
    pub retry: Option<retry::Document>,
    /// The longest that one request may take, for actions that do not say it themselves, e.g. `20s`; at most 30 s.
    #[schemars(extend("x-takes" = "a duration"))]
    pub timeout: Option<String>,
    /// Actions for a run that has failed, after all retries; `$.error` says why. The run is kept as a dead letter either way.
    #[serde(default)]
    pub on_error: Vec<action::Document>,
    /// After so long without a run, such as `48h`, `on_error` is carried out, with the name `silent`; then again each time.
    #[schemars(extend("x-takes" = "a duration"))]
    pub alert_if_silent: Option<String>,
}

/// An alias and what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uses {
    pub alias: String,
    /// A connector, or one connection.
    pub name: String,
}

/// A workflow, read: everything compiled, nothing resolved.
#[derive(Debug)]
pub struct Workflow {
    pub name: String,
    pub description: Option<String>,
    pub uses: Vec<Uses>,
    pub trigger: Trigger,
    pub vars: Value,
    pub actions: Vec<Action>,
    /// For actions that do not say it themselves.
    pub retry: Option<Retry>,
    pub timeout: Option<Duration>,
    pub on_error: OnError,
    /// The longest time without a run that nobody need be told of.
    pub alert_if_silent: Option<Duration>,
    pub place: Place,
}

/// What came of reading a workflow.
#[derive(Debug)]
pub enum WorkflowRead {
    Whole(Workflow),
    /// What could be read of one with mistakes, to look for further ones. It never runs.
    Part(Workflow),
    Nothing,
}

/// The JSON Schema of the kind.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// To make it takes longer than to read a workflow.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Document).to_value());

impl Workflow {
    /// Reads a document: shape, then what can be judged from it alone. All findings at once.
    pub fn read(file: &File, report: &mut Report) -> WorkflowRead {
        let before = report.count(Severity::Error);
        let mut found = Report::default();
        check_shape(file, "", &SCHEMA, &mut found);
        let whole = !found.has_errors();
        let value = if whole { Some(file.value.clone()) } else { mended(file, &found) };
        report.extend(found);
        let Some(value) = value else { return WorkflowRead::Nothing };
        let document: Document = match serde_json::from_value(value) {
            Ok(document) => document,
            Err(error) => {
                if whole {
                    Reading::new(file, "", report).error("bad-value", error.to_string(), "");
                }
                return WorkflowRead::Nothing;
            }
        };
        let mut reading = Reading::new(file, "", report);
        let trigger = Trigger::read(&document.trigger, &mut reading.child("trigger"));
        let trigger = trigger.unwrap_or_else(|| Trigger::by_hand(reading.child("trigger").place()));
        let actions = action::read_list(&document.actions, &mut reading.child("actions"));
        let retry = document.retry.as_ref().map(|retry| Retry::read(retry, &mut reading.child("retry")));
        let timeout = document.timeout.as_ref().and_then(|text| reading.child("timeout").timeout(text));
        let on_error = action::read_list(&document.on_error, &mut reading.child("on_error"));
        let alert_if_silent = document.alert_if_silent.as_ref().and_then(|text| silence(text, &on_error, &mut reading));
        let workflow = Workflow {
            name: document.workflow,
            description: document.description,
            uses: document.uses.into_iter().map(|(alias, name)| Uses { alias, name }).collect(),
            trigger,
            vars: Value::Object(document.vars),
            actions,
            retry,
            timeout,
            on_error: if document.on_error.is_empty() { OnError::Fail } else { OnError::Actions(on_error) },
            alert_if_silent,
            place: file.place("/workflow"),
        };
        match report.count(Severity::Error) == before {
            true => WorkflowRead::Whole(workflow),
            false => WorkflowRead::Part(workflow),
        }
    }

    pub fn connector_of(&self, alias: &str) -> Option<&str> {
        self.uses.iter().find(|uses| uses.alias == alias).map(|uses| uses.name.as_str())
    }

    /// Every event that it hears: those that start it, and those that its actions wait for.
    pub fn events(&self) -> Vec<&Heard> {
        let started: &[Heard] = match &self.trigger.starts {
            Starts::Event(heard) => heard,
            _ => &[],
        };
        let waits = self.all_actions().into_iter().filter_map(|action| match &action.kind {
            Kind::Wait(wait) => wait.awaited(),
            _ => None,
        });
        started.iter().chain(waits.map(|awaited| &awaited.event)).collect()
    }

    /// Is it one side of a sync?
    pub fn reconciles(&self) -> bool {
        matches!(self.actions.first(), Some(Action { kind: Kind::Reconcile(_), .. }))
    }

    /// The action at an address of a run: `actions/4[3]/actions/0` is any turn of the loop `actions/4`.
    pub fn action_at(&self, address: &str) -> Option<&Action> {
        let address = format!("/{}", without_turns(address));
        self.all_actions().into_iter().find(|action| without_turns(&action.pointer) == address)
    }

    /// Every action, nested ones included, in the order of the file.
    pub fn all_actions(&self) -> Vec<&Action> {
        let mut all = Vec::new();
        for action in self.actions.iter().chain(self.on_error.actions()) {
            action.collect(&mut all);
        }
        all
    }
}

/// Reads `alert_if_silent`: there must be something to do then.
fn silence(text: &str, on_error: &[Action], reading: &mut Reading<'_>) -> Option<Duration> {
    let mut reading = reading.child("alert_if_silent");
    let span = reading.duration(text)?;
    if on_error.is_empty() {
        let found = reading.error("missing-key", "`alert_if_silent` needs an `on_error`, which tells people", "");
        found.help = Some("add `on_error:` to the workflow, with an action that sends a message".into());
    }
    if span < Duration::from_secs(1) {
        reading.error("wrong-value", "`alert_if_silent` is at least `1s`", "").help =
            Some("write how long it may be silent, such as `48h`".into());
    }
    Some(span)
}

fn without_turns(address: &str) -> String {
    address.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}
