//! Actions: one file per kind; the key names the kind.
//!
//! To add a kind: its file here, its line in `kinds!`. Schema, reading, checks and `catalog` follow from that.

pub mod call;
mod emit;
mod fail;
pub mod for_each;
mod hear;
mod r#if;
mod parallel;
mod reconcile;
mod remote;
mod run;
mod set;
mod stop;
mod switch;
mod upsert;
mod wait;

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reading, Retry, retry};
use crate::connector::Failure;
use crate::expr::{Condition, Expr, Fault, Read};
use crate::source::{Diagnostic, Place};

pub use call::Call;
pub use emit::{Emit, PROJECT};
pub use fail::Fail;
pub use for_each::{ForEach, Over};
pub use hear::Hear;
pub use r#if::If;
pub use parallel::Parallel;
pub use reconcile::{Cascade, Reconcile};
pub use run::{DEPTH_MAX, Run};
pub use set::Set;
pub use stop::Stop;
pub use switch::Switch;
pub use upsert::Upsert;
pub use wait::{Awaited, Wait};

/// One thing that a workflow does, read.
#[derive(Debug)]
pub struct Action {
    pub id: Option<String>,
    pub only_if: Option<Condition>,
    pub retry: Option<Retry>,
    /// The longest that one request may take.
    pub timeout: Option<Duration>,
    pub on_error: OnError,
    pub kind: Kind,
    pub place: Place,
    /// JSON pointer in the document.
    pub pointer: String,
}

/// What happens when an action has failed.
#[derive(Debug)]
pub enum OnError {
    /// The run fails.
    Fail,
    /// The action counts as `failed`; the run goes on.
    Continue,
    /// These stand in for it.
    Actions(Vec<Action>),
}

impl OnError {
    pub fn actions(&self) -> &[Action] {
        match self {
            OnError::Actions(actions) => actions,
            _ => &[],
        }
    }
}

/// An action as written: one verb, and what goes with it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Document(serde_json::Map<String, Value>);

/// Keys of every action.
#[derive(Debug, Deserialize, JsonSchema)]
struct Common {
    /// The name under which later values find this action's result: `$.person.id`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), extend("x-name" = "a name of small letters, digits and `_`"))]
    id: Option<String>,
    /// Done only when this condition holds; else `skipped`.
    #[schemars(extend("x-takes" = "a condition"))]
    only_if: Option<Value>,
    /// When to try again.
    retry: Option<retry::Document>,
    /// The longest that one request may take, e.g. `20s`; at most 30 s.
    #[schemars(extend("x-takes" = "a duration"))]
    timeout: Option<String>,
    /// `continue`, or actions that stand in for this one when it has failed.
    on_error: Option<OnErrorDocument>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OnErrorDocument {
    Word(OnErrorWord),
    Actions(Vec<Document>),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnErrorWord {
    Continue,
}

/// Makes the enum of kinds, its schema and its reader from one list.
macro_rules! kinds {
    ($($verb:literal => $kind:ident in $module:ident),+ $(,)?) => {
        /// What an action does.
        #[derive(Debug)]
        pub enum Kind {
            $($kind($kind),)+
            /// Of a listener, which nobody writes: see [`super::listeners`].
            Hear(Hear),
            /// Of a sync's workflows, which nobody writes: see [`super::syncing`].
            Reconcile(Reconcile),
            Cascade(Cascade),
        }

        /// Every verb, in the order of the documentation.
        pub const VERBS: &[&str] = &[$($verb),+];

        fn read_kind(verb: &str, value: &Value, reading: &mut Reading<'_>) -> Option<Kind> {
            match verb {
                $($verb => $kind::read(reading.parse(value)?, reading).map(Kind::$kind),)+
                _ => None,
            }
        }

        impl JsonSchema for Document {
            fn schema_name() -> std::borrow::Cow<'static, str> { "Action".into() }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let verbs = json!({ $($verb: generator.subschema_for::<$module::Document>()),+ });
                verb_schema("an action", generator.subschema_for::<Common>(), verbs)
            }
        }
    };
}

kinds! {
    "call" => Call in call,
    "upsert" => Upsert in upsert,
    "set" => Set in set,
    "if" => If in r#if,
    "switch" => Switch in switch,
    "for_each" => ForEach in for_each,
    "parallel" => Parallel in parallel,
    "wait" => Wait in wait,
    "run" => Run in run,
    "emit" => Emit in emit,
    "stop" => Stop in stop,
    "fail" => Fail in fail,
}

/// A map with exactly one verb and no key that neither it nor `common` knows.
///
/// Said twice: in standard words for editors, which propose what goes with a verb under its title, and as `x-verbs` for
/// [`crate::source::check_shape`], which tells findings at the verb's own keys.
pub(crate) fn verb_schema(title: &str, common: Schema, verbs: Value) -> Schema {
    let verbs = verbs.as_object().cloned().unwrap_or_default();
    let one: Vec<Value> = verbs.keys().map(|verb| json!({ "required": [verb] })).collect();
    let mut all = vec![common.to_value()];
    all.extend(verbs.iter().map(|(verb, schema)| {
        let mut then = schema.clone();
        then["title"] = format!("`{verb}`").into();
        json!({ "if": { "required": [verb] }, "then": then })
    }));
    let schema = json!({
        "title": title,
        "type": "object",
        "allOf": all,
        "oneOf": one,
        "unevaluatedProperties": false,
        "x-verbs": verbs,
    });
    Schema::try_from(schema).expect("an object is a schema")
}

/// Reads a list of actions; those that cannot be read are left out, with findings.
pub(super) fn read_list(documents: &[Document], reading: &mut Reading<'_>) -> Vec<Action> {
    let read = |(index, document): (usize, &Document)| Action::read(document, &mut reading.child(&index.to_string()));
    documents.iter().enumerate().filter_map(read).collect()
}

impl Kind {
    /// If the action makes no request of its own: what to do about a `retry` or `timeout`.
    fn without_requests(&self) -> Option<&'static str> {
        match self {
            Kind::Call(_) | Kind::Upsert(_) | Kind::ForEach(ForEach { over: Over::Operation { .. }, .. }) => None,
            Kind::If(_) | Kind::Switch(_) | Kind::ForEach(_) | Kind::Parallel(_) => {
                Some("write it at the actions inside that send something")
            }
            Kind::Run(_) => Some("write it at the actions of the other workflow that send something"),
            Kind::Reconcile(_) | Kind::Cascade(_) => None,
            Kind::Set(_) | Kind::Wait(_) | Kind::Hear(_) | Kind::Emit(_) | Kind::Stop(_) | Kind::Fail(_) => {
                Some("remove it")
            }
        }
    }
}

impl Action {
    fn read(document: &Document, reading: &mut Reading<'_>) -> Option<Action> {
        let value = Value::Object(document.0.clone());
        let common: Common = reading.parse(&value)?;
        let verb = VERBS.iter().find(|verb| document.0.contains_key(**verb))?;
        let kind = read_kind(verb, &value, reading);
        let on_error = match &common.on_error {
            None => OnError::Fail,
            Some(OnErrorDocument::Word(OnErrorWord::Continue)) => OnError::Continue,
            Some(OnErrorDocument::Actions(actions)) => {
                OnError::Actions(read_list(actions, &mut reading.child("on_error")))
            }
        };
        let only_if = reading.guard(common.only_if.as_ref());
        let retry = common.retry.as_ref().map(|retry| Retry::read(retry, &mut reading.child("retry")));
        let timeout = common.timeout.as_ref().and_then(|text| reading.child("timeout").timeout(text));
        if let Some(help) = kind.as_ref().and_then(Kind::without_requests) {
            for key in ["retry", "timeout"].into_iter().filter(|key| document.0.contains_key(*key)) {
                let message = format!("`{key}` is for requests, and this `{verb}` makes none itself");
                let at = format!("{}/{key}", reading.pointer);
                reading.push(Diagnostic::error("no-effect", message).at_key(reading.file, &at, "").help(help));
            }
        }
        let place = reading.file.place(&format!("{}/{verb}", reading.pointer));
        let pointer = reading.pointer.clone();
        Some(Action { id: common.id, only_if, retry, timeout, on_error, kind: kind?, place, pointer })
    }

    /// The actions inside, list by list.
    pub fn lists(&self) -> Vec<&[Action]> {
        let mut lists: Vec<&[Action]> = match &self.kind {
            Kind::If(choice) => vec![&choice.then, &choice.otherwise],
            Kind::Switch(switch) => {
                let cases = switch.cases.iter().map(|case| case.actions.as_slice());
                cases.chain([switch.default.as_slice()]).collect()
            }
            Kind::ForEach(each) => vec![&each.actions],
            Kind::Parallel(parallel) => parallel.branches.iter().map(|branch| branch.actions.as_slice()).collect(),
            _ => Vec::new(),
        };
        lists.push(self.on_error.actions());
        lists
    }

    pub(super) fn collect<'a>(&'a self, all: &mut Vec<&'a Action>) {
        all.push(self);
        self.lists().into_iter().flatten().for_each(|action| action.collect(all));
    }

    /// What it does, and with what: `upsert os.contact`.
    pub fn title(&self) -> String {
        match &self.kind {
            Kind::Call(call) => format!("call {}.{}", call.alias, call.operation),
            Kind::Upsert(upsert) => format!("upsert {}.{}", upsert.alias, upsert.object),
            Kind::ForEach(each) => match &each.over {
                Over::Operation { alias, operation, .. } => format!("for_each {alias}.{operation}"),
                Over::List(_) => format!("for_each {}", each.name),
            },
            Kind::Set(_) => "set".into(),
            Kind::If(_) => "if".into(),
            Kind::Switch(_) => "switch".into(),
            Kind::Parallel(_) => "parallel".into(),
            Kind::Wait(wait) => wait.awaited().map_or("wait".into(), |awaited| format!("wait {}", awaited.event.text)),
            Kind::Hear(_) => "tell those that wait".into(),
            Kind::Reconcile(one) => {
                let [first, second] = &one.pair().sides;
                format!("reconcile {}.{} and {}.{}", first.alias, first.object, second.alias, second.object)
            }
            Kind::Cascade(_) => "look at what is under them".into(),
            Kind::Run(run) => format!("run {}", run.workflow),
            Kind::Emit(emit) => format!("emit {}", emit.name),
            Kind::Stop(_) => "stop".into(),
            Kind::Fail(_) => "fail".into(),
        }
    }

    /// The alias and the full name of the operation or object that it uses.
    pub fn uses(&self) -> Option<(&str, &str)> {
        match &self.kind {
            Kind::Call(call) => Some((&call.alias, &call.operation)),
            Kind::Upsert(upsert) => Some((&upsert.alias, &upsert.object)),
            Kind::ForEach(ForEach { over: Over::Operation { alias, operation, .. }, .. }) => Some((alias, operation)),
            _ => None,
        }
    }

    /// Every path that its own values read, those of nested actions not included.
    pub fn reads(&self) -> Vec<Read> {
        let mut reads = self.only_if.as_ref().map(Condition::reads).unwrap_or_default();
        reads.extend(self.with().map(Expr::reads).unwrap_or_default());
        match &self.kind {
            Kind::Set(set) => reads.extend(set.values.reads()),
            Kind::If(choice) => reads.extend(choice.condition.reads()),
            Kind::Switch(switch) => reads.extend(switch.value.reads()),
            Kind::ForEach(ForEach { over: Over::List(list), .. }) => reads.extend(list.reads()),
            Kind::Wait(wait) => reads.extend(wait.reads()),
            Kind::Stop(stop) => reads.extend(stop.value.reads()),
            Kind::Fail(fail) => reads.extend(fail.text.reads()),
            Kind::Reconcile(reconcile) => {
                for side in &reconcile.pair().sides {
                    reads.extend(side.only_if.iter().flat_map(Condition::reads));
                    reads.extend(side.on_create.iter().flat_map(Expr::reads));
                }
            }
            Kind::Upsert(upsert) => reads.extend(upsert.link.as_ref().map(Expr::reads).unwrap_or_default()),
            Kind::ForEach(_)
            | Kind::Parallel(_)
            | Kind::Call(_)
            | Kind::Run(_)
            | Kind::Emit(_)
            | Kind::Hear(_)
            | Kind::Cascade(_) => {}
        }
        reads
    }

    /// What is sent.
    pub fn with(&self) -> Option<&Expr> {
        match &self.kind {
            Kind::Call(call) => call.with.as_ref(),
            Kind::Upsert(upsert) => upsert.with.as_ref(),
            Kind::Run(run) => run.with.as_ref(),
            Kind::Emit(emit) => emit.with.as_ref(),
            Kind::ForEach(ForEach { over: Over::Operation { with, .. }, .. }) => with.as_ref(),
            _ => None,
        }
    }
}

/// Is a text itself, and neither a path nor a template?
fn is_constant(text: &str) -> bool {
    !text.starts_with('$') && !text.contains("{{")
}

/// Splits `alias.rest`; a name without a dot is a finding.
fn split_alias(text: &str, what: &str, example: &str, reading: &mut Reading<'_>) -> Option<(String, String)> {
    let split = text.split_once('.').filter(|(alias, rest)| !alias.is_empty() && !rest.is_empty());
    if split.is_none() {
        let code = if what == "object" { "unknown-object" } else { "unknown-operation" };
        let found = reading.error(code, format!("`{text}` names no {what}"), "");
        found.help = Some(format!("write the alias from `uses` first, such as `{example}`"));
    }
    split.map(|(alias, rest)| (alias.to_string(), rest.to_string()))
}

/// A value that could not be made, as the run tells it.
pub fn invalid(fault: &Fault, key: &str) -> Failure {
    let field = fault.pointer.trim_start_matches('/').replace('/', ".");
    let place = if field.is_empty() { format!("`{key}`") } else { format!("`{key}` at `{field}`") };
    Failure::new("invalid", format!("{place}: {}", fault.message)).at(pointer(key, fault))
}

/// As [`invalid`], where the message says itself which part it is about.
pub fn undecided(fault: &Fault, key: &str) -> Failure {
    Failure::new("invalid", format!("`{key}`: {}", fault.message)).at(pointer(key, fault))
}

/// Where that stands below the action; a key may lie in another: `wait.until`.
fn pointer(key: &str, fault: &Fault) -> String {
    format!("/{}{}", key.replace('.', "/"), fault.pointer)
}
