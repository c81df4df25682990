//! The names that a value may read at one place, and what is known of each.

use serde_json::{Map, Value, json};

use crate::expr::{FieldType, Path, Read};
use crate::source::{Diagnostic, File};
use crate::workflow::Outcome;

/// Roots in scope; each with the JSON Schema of what it holds (Null: unknown, anything may be read).
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    roots: Vec<(String, Value)>,
    /// Ids of all actions, also of those that come later.
    pub ids: Vec<String>,
    /// Ids in the other branches of a `parallel` around.
    pub beside: Vec<String>,
    /// Something before could not be resolved, so that a root may be missing here without anyone's fault.
    pub unsure: bool,
}

/// A root of the context, as the reference tells it.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    pub name: &'static str,
    pub what: &'static str,
    /// What it always holds; empty if the documents say that.
    pub fields: &'static [(&'static str, &'static str)],
}

/// Roots that no document may take for itself.
pub(super) const RESERVED: [Root; 7] = [
    EVENT,
    Root { name: "inputs", what: "What a workflow that begins by hand was given, by name.", fields: &[] },
    Root {
        name: "outcome",
        what: "How each action with an `id` ended: `created`, `updated`, `unchanged`, `done`, `skipped`, `timed_out` or `failed`.",
        fields: &[],
    },
    Root { name: "vars", what: "The workflow's own constants, from `vars`; a tenant may set its own.", fields: &[] },
    Root {
        name: "connection",
        what: "The settings of the accounts, by alias, such as `$.connection.crm.account`; never their secrets.",
        fields: &[],
    },
    RUN,
    Root {
        name: "secrets",
        what: "Secrets by name. They can be read only in dovetail.yaml, never in a workflow.",
        fields: &[],
    },
];

const EVENT: Root = Root {
    name: "event",
    what: "What has happened.",
    fields: &[
        ("id", "A name of its own, by which an event that comes twice is known."),
        ("type", "`created`, `updated`, `deleted`, or a webhook's own name."),
        ("time", "When it happened."),
        (
            "source",
            "Where it was noticed: a connector's name, a webhook's path, `schedule`, `manual`, `project` (by `emit`), or `silence` (by `alert_if_silent`).",
        ),
        ("connection", "The name of the account that it came from."),
        ("changed", "The names of the fields that changed."),
        ("previous", "The values that these fields had before."),
        ("body", "What a webhook or `emit` has brought, as it came."),
    ],
};

/// Fields of an event that only one of a record has.
const OF_A_RECORD: [&str; 2] = ["changed", "previous"];

const RUN: Root = Root {
    name: "run",
    what: "The run itself.",
    fields: &[
        ("id", "Its name."),
        ("tenant", "The tenant that it is for; absent if the project has none."),
        ("started_at", "When it began."),
        ("now", "The time."),
        ("attempt", "Which try it is, from 1."),
    ],
};

/// Only inside `on_error`, so that an object may have this name.
const ERROR: Root = Root {
    name: "error",
    what: "What went wrong; only inside `on_error`.",
    fields: &[
        ("name", "The kind of error, such as `timeout` or `invalid`."),
        ("action", "Which action failed: its `id`, else its place, such as `actions/2`."),
        ("message", "What happened, in a sentence."),
        ("existing_id", "Of a `duplicate`: the id of the record that is there already."),
    ],
};

/// All roots whose names are fixed.
pub fn roots() -> impl Iterator<Item = Root> {
    RESERVED.into_iter().chain([ERROR])
}

/// Is it the name of a root that no document may take for itself?
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|root| root.name == name)
}

impl Names {
    pub fn add(&mut self, name: &str, schema: Value) {
        self.roots.push((name.into(), schema));
    }

    /// Adds what a branch has named.
    pub fn join(&mut self, branch: Names) {
        let new: Vec<_> = branch.roots.into_iter().filter(|(name, _)| !self.has(name)).collect();
        self.roots.extend(new);
        self.unsure |= branch.unsure;
    }

    pub fn without(mut self, name: &str) -> Names {
        self.roots.retain(|(known, _)| known != name);
        self
    }

    pub fn has(&self, name: &str) -> bool {
        self.roots.iter().any(|(known, _)| known == name)
    }

    /// What is known of the value at a path of plain names.
    pub fn schema_of(&self, path: &[String]) -> Option<&Value> {
        let (root, rest) = path.split_first()?;
        rest.iter().try_fold(self.root(root)?, |schema, name| schema.get("properties")?.get(name))
    }

    fn is_list(&self, path: &str) -> bool {
        let names: Vec<String> = path.split('.').map(str::to_owned).collect();
        self.schema_of(&names).is_some_and(|schema| schema.get("type").is_some_and(|kind| kind == "array"))
    }

    /// The type of what a path finds here, as far as it is known.
    pub fn type_of(&self, path: &Path) -> FieldType {
        path.type_in(|root| self.root(root))
    }

    /// What is known of each item of the list that a path finds.
    pub fn items_of(&self, path: &Path) -> Option<&Value> {
        let found = path.schema_in(|root| self.root(root))?;
        if path.is_singular() { found.get("items") } else { Some(found) }
    }

    fn root(&self, name: &str) -> Option<&Value> {
        self.roots.iter().rev().find(|(known, _)| known == name).map(|(_, schema)| schema)
    }

    /// Where a name that is unknown here is known.
    fn elsewhere(&self, root: &str) -> Option<String> {
        Some(match root {
            "error" => "`$.error` is known only inside `on_error`".into(),
            "inputs" => "only a workflow with a `manual` trigger has inputs".into(),
            "item" => "`$.item` is known only inside `for_each`".into(),
            _ if self.beside.iter().any(|id| id == root) => {
                format!(
                    "a branch of `parallel` does not see the others: read `{root}` after the `parallel`, or put both into one branch"
                )
            }
            _ if self.ids.iter().any(|id| id == root) => {
                format!("`{root}` is known only after its action: move this below it")
            }
            _ => return None,
        })
    }

    pub fn extend_field(&mut self, root: &str, field: &str, schema: Value) {
        if let Some((_, known)) = self.roots.iter_mut().rev().find(|(known, _)| known == root) {
            known["properties"][field] = schema;
        }
    }

    /// Nothing can have changed where there is no record.
    pub fn about_nothing(&mut self) {
        let event = self.roots.iter_mut().find(|(known, _)| known == "event");
        if let Some(Value::Object(fields)) = event.and_then(|(_, schema)| schema.get_mut("properties")) {
            fields.retain(|name, _| !OF_A_RECORD.contains(&name.as_str()));
        }
    }

    /// What is wrong with reading a path here, at the scalar under `pointer`.
    pub fn check(&self, read: &Read, file: &File, pointer: &str) -> Option<Diagnostic> {
        let (root, rest) = read.names.split_first()?;
        if root == "secrets" {
            let found = Diagnostic::error("secret-out-of-place", "a secret can only stand in a connection");
            return Some(at_read(found, read, file, pointer).help("use it under `connections:` in dovetail.yaml"));
        }
        let Some(schema) = self.root(root) else {
            if self.unsure {
                return None;
            }
            let found = Diagnostic::error("unknown-root", format!("nothing is called `{root}` here"));
            let found = at_read(found, read, file, pointer);
            return Some(match self.elsewhere(root) {
                Some(help) => found.help(help),
                None => found.nearest(root, self.roots.iter().map(|(name, _)| name.as_str())),
            });
        };
        let (at, known) = follow(schema, rest)?;
        let name = &rest[at];
        let owner = std::iter::once(root).chain(&rest[..at]).cloned().collect::<Vec<_>>().join(".");
        let found = Diagnostic::error("unknown-field", format!("`{owner}` has no field `{name}`"));
        let found = at_read(found, read, file, pointer);
        let found = match owner.as_str() {
            "event" if OF_A_RECORD.contains(&name.as_str()) => {
                found.help("only the event of a record has it: `event: alias.object.changed`")
            }
            "vars" => found.help(format!("add `{name}:` under `vars`")),
            "inputs" => found.help(format!("add `{name}:` under `inputs` of the trigger")),
            "connection" => found.help(format!("add `{name}:` under `uses`")),
            _ if known.is_empty() && self.is_list(&owner) => {
                let rest = format!("{name}`; `$.{owner}[*].{name}` is a list of all of them");
                found.help(format!("it is a list: of its first item write `$.{owner}[0].{rest}"))
            }
            _ if known.is_empty() => found.help("it has no fields"),
            _ => found,
        };
        Some(found.nearest(name, known.iter().map(String::as_str)))
    }
}

/// Where a path is read: a condition's own stands in a key, a template's and a script's in a part of the text.
fn at_read(found: Diagnostic, read: &Read, file: &File, pointer: &str) -> Diagnostic {
    if let Some(part) = &read.part {
        return found.at_within(file, pointer, part.clone());
    }
    let key = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
    if key == read.text { found.at_key(file, pointer, "") } else { found.at_part(file, pointer, &read.text) }
}

/// Follows names through a schema: the first one that it does not have, and those that it has there.
fn follow(schema: &Value, names: &[String]) -> Option<(usize, Vec<String>)> {
    let mut schema = schema;
    for (at, name) in names.iter().enumerate() {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return has_no_fields(schema, name).then(|| (at, Vec::new()));
        };
        match properties.get(name) {
            Some(next) => schema = next,
            None if schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false)) => return None,
            None => return Some((at, properties.keys().cloned().collect())),
        }
    }
    None
}

/// One value has no fields, and a list only items.
fn has_no_fields(schema: &Value, name: &str) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "number" | "boolean") => true,
        Some("array") => name.parse::<usize>().is_err(),
        _ => false,
    }
}

pub(super) fn event_schema() -> Value {
    of_root(&EVENT)
}

pub(super) fn run_schema() -> Value {
    of_root(&RUN)
}

pub(super) fn error_schema() -> Value {
    of_root(&ERROR)
}

pub(super) fn outcome_schema(ids: &[&str]) -> Value {
    let outcomes = Outcome::ALL.map(Outcome::word);
    let properties: Map<String, Value> = ids.iter().map(|id| ((*id).to_owned(), json!({ "enum": outcomes }))).collect();
    json!({ "properties": properties })
}

fn of_root(root: &Root) -> Value {
    let properties: Map<String, Value> =
        root.fields.iter().map(|(name, _)| ((*name).to_owned(), of_root_field(name))).collect();
    json!({ "properties": properties })
}

fn of_root_field(name: &str) -> Value {
    match name {
        "previous" | "body" => Value::Null,
        "changed" => json!({ "type": "array", "items": { "type": "string" } }),
        "time" | "started_at" | "now" => json!({ "type": "string", "format": "date-time" }),
        "attempt" => json!({ "type": "integer" }),
        _ => json!({ "type": "string" }),
    }
}

/// A map of exactly these fields.
pub(super) fn closed<S: AsRef<str>>(fields: &[S]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.as_ref().to_string(), Value::Null)).collect();
    json!({ "properties": properties })
}
