//! One workflow: what it hears, and what it writes when it has heard it.

use std::collections::HashMap;

use serde_json::Value;

use super::carry::{Carry, carry};
use super::needs::{Need, needs};
use crate::connector::{Connector, Object, Operation};
use crate::expr::{Expr, Read};
use crate::project::Plan;
use crate::source::File;
use crate::workflow::action::{Call, Kind, Upsert};
use crate::workflow::{Action, Starts, Workflow};

/// How a record changes: what an action makes of it and what a trigger hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Created,
    Updated,
    Deleted,
}

/// A workflow that is started by records.
pub(super) struct Part<'a> {
    pub workflow: &'a Workflow,
    pub file: &'a File,
    /// What its records are.
    pub object: &'a Object,
    pub hears: Vec<Hears<'a>>,
    pub writes: Vec<Write<'a>>,
    /// What its trigger asks for.
    pub needs: Vec<Need>,
}

/// An event that starts it.
pub(super) struct Hears<'a> {
    pub alias: &'a str,
    pub object: &'a str,
    pub changes: Vec<Change>,
    /// Pointer of what names the event.
    pub pointer: &'a str,
}

/// An action that writes.
pub(super) struct Write<'a> {
    pub action: &'a Action,
    pub alias: &'a str,
    pub object: &'a Object,
    pub changes: Vec<Change>,
    pub effect: Effect,
    /// A condition stands before it.
    pub is_guarded: bool,
    /// It names another record than the one that was heard, of the same kind.
    pub is_elsewhere: bool,
    /// What must have changed for it to be done.
    pub needs: Vec<Need>,
    /// What it writes, field by field; None where that cannot be told from its `with`.
    pub fields: Option<Vec<Field<'a>>>,
    /// The fields by which an upsert finds its record.
    pub matched: Vec<&'a str>,
    pub steps: Vec<Step>,
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
}

impl Write<'_> {
    /// Does it make this change anew each time?
    pub fn repeats(&self, change: Change) -> bool {
        match (&self.effect, change) {
            (_, Change::Deleted) | (Effect::Settles | Effect::Deletes, _) => false,
            (Effect::Repeats, _) => true,
            // What is found by other fields is not created once more.
            (Effect::New { field }, Change::Created) => self.matched.contains(&field.as_str()),
            (Effect::New { .. }, Change::Updated) => true,
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

    /// Pointer of what names the object that is written.
    pub fn pointer(&self) -> String {
        let verb = if matches!(self.action.kind, Kind::Upsert(_)) { "upsert" } else { "call" };
        format!("{}/{verb}", self.action.pointer)
    }
}

impl<'a> Part<'a> {
    /// None: nothing that another workflow writes starts it, so that it is in no loop.
    pub fn of(plan: &'a Plan, workflow: &'a Workflow, file: &'a File) -> Option<Self> {
        let hears = hears(plan, workflow);
        let first = hears.first()?;
        let object = connector(plan, workflow, first.alias)?.object(first.object)?;
        let record = workflow.trigger.name.as_deref().unwrap_or(&object.name);
        let asked = |pointer: &str| file.value.pointer(pointer).map(|asked| needs(asked, record)).unwrap_or_default();
        let needs = asked("/trigger/only_if");
        let mut reader = Reader {
            plan,
            workflow,
            file,
            hears: &hears,
            record,
            object,
            results: HashMap::new(),
            writes: Vec::new(),
            asked: &asked,
        };
        let before = Before { is_guarded: workflow.trigger.only_if.is_some(), needs: Vec::new() };
        reader.actions(&workflow.actions, &before);
        reader.actions(workflow.on_error.actions(), &Before { is_guarded: true, ..before });
        let writes = reader.writes;
        Some(Self { workflow, file, object, hears, writes, needs })
    }
}

pub(super) fn connector<'a>(plan: &'a Plan, workflow: &Workflow, alias: &str) -> Option<&'a Connector> {
    let name = workflow.connector_of(alias)?;
    plan.connector(name).or_else(|| plan.connector_of(name))
}

fn hears<'a>(plan: &'a Plan, workflow: &'a Workflow) -> Vec<Hears<'a>> {
    match &workflow.trigger.starts {
        Starts::Event(heard) => heard
            .iter()
            .filter_map(|event| {
                let connector = connector(plan, workflow, &event.alias)?;
                let object = connector.object(event.object.as_deref()?)?;
                let kinds = event.kinds.iter().filter(|kind| is_noticed(connector, object, kind));
                let changes = kinds.filter_map(|kind| match kind.as_str() {
                    "created" => Some(Change::Created),
                    "updated" => Some(Change::Updated),
                    "deleted" => Some(Change::Deleted),
                    _ => None,
                });
                let (changes, pointer) = (changes.collect(), event.pointer.as_str());
                Some(Hears { alias: &event.alias, object: &object.name, changes, pointer })
            })
            .collect(),
        Starts::Poll { alias, operation, .. } => {
            let operation = connector(plan, workflow, alias).and_then(|connector| connector.operation(operation));
            // A list with an `output` of its own gives other records than those of its object.
            let object = operation.filter(|operation| operation.output.is_null());
            let object = object.and_then(|operation| operation.object.as_deref());
            let changes = vec![Change::Created, Change::Updated];
            object.map(|object| Hears { alias, object, changes, pointer: "/trigger/poll" }).into_iter().collect()
        }
        Starts::Webhook { .. } | Starts::Schedule { .. } | Starts::Manual { .. } => Vec::new(),
    }
}

/// Is there a way to notice such a change? A look at a list sees what is new and what is different.
fn is_noticed(connector: &Connector, object: &Object, kind: &str) -> bool {
    let looked_at = object.changes.poll.as_ref().is_some_and(|feed| match kind {
        "created" => true,
        "updated" => feed.by.is_none() || feed.by != object.created_at,
        _ => false,
    });
    let told = |name: &String| {
        let events = connector.webhooks.iter().flat_map(|webhooks| &webhooks.events);
        let mut events = events.filter(|event| event.name == *name);
        events.any(|event| event.change.as_deref() == Some(kind))
    };
    looked_at || object.changes.webhook.iter().any(told)
}

/// What stands before an action.
#[derive(Clone)]
struct Before {
    is_guarded: bool,
    needs: Vec<Need>,
}

/// What `$.<id>` holds.
enum Held<'a> {
    /// The values of a `set`.
    Values(Vec<(String, &'a Expr, &'a Value)>),
    /// A record that was read or written.
    Record { alias: &'a str, object: &'a str, steps: Vec<Step> },
}

struct Reader<'a, 'r> {
    plan: &'a Plan,
    workflow: &'a Workflow,
    file: &'a File,
    hears: &'r [Hears<'a>],
    /// The name of the event's record, and its object.
    record: &'a str,
    object: &'a Object,
    results: HashMap<&'a str, Held<'a>>,
    writes: Vec<Write<'a>>,
    asked: &'r dyn Fn(&str) -> Vec<Need>,
}

/// The second time a record is there, so that an update is looked at first.
const UPSERTED: [Change; 2] = [Change::Updated, Change::Created];
/// Values that go through more `set` actions than this are not followed further.
const SETS_MAX: usize = 8;

impl<'a> Reader<'a, '_> {
    fn actions(&mut self, actions: &'a [Action], before: &Before) {
        let mut before = before.clone();
        for action in actions {
            let own = self.with_condition(&before, action, "only_if", action.only_if.is_some());
            self.action(action, &own);
            let guarded = Before { is_guarded: true, ..own.clone() };
            match &action.kind {
                Kind::If(choice) => {
                    let then = self.with_condition(&own, action, "if", true);
                    self.actions(&choice.then, &then);
                    self.actions(&choice.otherwise, &guarded);
                }
                Kind::Parallel(parallel) => {
                    parallel.branches.iter().for_each(|branch| self.actions(&branch.actions, &own));
                }
                // A list may be empty, a case may be another.
                Kind::ForEach(each) => self.actions(&each.actions, &guarded),
                Kind::Switch(switch) => {
                    switch.cases.iter().for_each(|case| self.actions(&case.actions, &guarded));
                    self.actions(&switch.default, &guarded);
                }
                _ => {}
            }
            self.actions(action.on_error.actions(), &guarded);
            before.is_guarded |= may_stop(action);
        }
    }

    fn with_condition(&self, before: &Before, action: &Action, key: &str, is_there: bool) -> Before {
        let mut before = before.clone();
        if is_there {
            before.is_guarded = true;
            before.needs.extend((self.asked)(&format!("{}/{key}", action.pointer)));
        }
        before
    }

    fn action(&mut self, action: &'a Action, before: &Before) {
        let write = match &action.kind {
            Kind::Call(call) => self.call(action, call, before),
            Kind::Upsert(upsert) => self.upsert(action, upsert, before),
            Kind::Set(set) => {
                if let (Some(id), Some(written)) = (&action.id, self.written(action, "set")) {
                    let mut values = Vec::new();
                    flatten("", &set.values, written, &mut values);
                    self.results.insert(id, Held::Values(values));
                }
                None
            }
            _ => None,
        };
        if let (Some(write), Some(id)) = (&write, &action.id) {
            let (alias, object, steps) = (write.alias, write.object.name.as_str(), write.steps.clone());
            self.results.insert(id, Held::Record { alias, object, steps });
        }
        self.writes.extend(write);
    }

    fn written(&self, action: &Action, key: &str) -> Option<&'a Value> {
        self.file.value.pointer(&format!("{}/{key}", action.pointer))
    }

    /// An operation of an object writes that object, unless it only reads. What is written under a record, such as its
    /// notes, is written by operations of their own object, and counts as theirs.
    fn call(&mut self, action: &'a Action, call: &'a Call, before: &Before) -> Option<Write<'a>> {
        let connector = connector(self.plan, self.workflow, &call.alias)?;
        let operation = connector.operation(&call.operation)?;
        let object = connector.object(operation.object.as_deref()?)?;
        if operation.reads || operation.lists {
            if let Some(id) = &action.id {
                let record = Held::Record { alias: &call.alias, object: &object.name, steps: Vec::new() };
                self.results.insert(id, record);
            }
            return None;
        }
        let (changes, effect) = match operation.short_name() {
            "create" => (vec![Change::Created], Effect::Repeats),
            "delete" => (vec![Change::Deleted], Effect::Deletes),
            "archive" => (vec![Change::Updated, Change::Deleted], Effect::Repeats),
            "upsert" => (UPSERTED.to_vec(), Effect::Repeats),
            _ => (vec![Change::Updated], Effect::Repeats),
        };
        let mut fields = self.fields(action, call.with.as_ref());
        let holes: Vec<&str> = operation.input_holes().collect();
        let identity: Vec<&str> = holes.iter().copied().chain([object.id.as_str()]).collect();
        let is_elsewhere = self.is_elsewhere(&call.alias, object, operation_identity(operation), &fields, &identity);
        fields.retain(|(name, ..)| !holes.contains(&name.as_str()));
        let steps = self.steps(&fields);
        // What another operation than the standard ones changes is told by what it is given, as well as that can be told.
        let is_known = call.with.as_ref().is_none_or(|with| with.fields().is_some());
        Some(Write {
            action,
            alias: &call.alias,
            object,
            changes,
            effect,
            is_guarded: before.is_guarded,
            is_elsewhere,
            needs: before.needs.clone(),
            fields: is_known.then(|| told(fields)),
            matched: Vec::new(),
            steps,
        })
    }

    fn upsert(&mut self, action: &'a Action, upsert: &'a Upsert, before: &Before) -> Option<Write<'a>> {
        let connector = connector(self.plan, self.workflow, &upsert.alias)?;
        let object = connector.object(&upsert.object)?;
        let all = self.fields(action, upsert.with.as_ref());
        let matched: Vec<&str> =
            upsert.fields.as_ref().unwrap_or(&object.identity).iter().map(String::as_str).collect();
        let is_elsewhere = self.is_elsewhere(&upsert.alias, object, true, &all, &matched);
        let mut fields = all;
        fields.retain(|(name, ..)| object.writable_on_update(name) || matched.contains(&name.as_str()));
        // What was deleted is created once more; what nothing finds is created each time.
        let only_deleted = |hears: &Hears<'_>| {
            hears.alias == upsert.alias && hears.object == upsert.object && hears.changes == [Change::Deleted]
        };
        let creates = (matched.is_empty() && upsert.link.is_none()) || self.hears.iter().all(only_deleted);
        let new = fields.iter().find(|(name, value, written)| self.is_new(name, value, written, &upsert.alias, object));
        let effect = match new {
            _ if creates => Effect::Repeats,
            Some((field, ..)) => Effect::New { field: field.clone() },
            None => Effect::Settles,
        };
        Some(Write {
            action,
            alias: &upsert.alias,
            object,
            changes: UPSERTED.to_vec(),
            effect,
            is_guarded: before.is_guarded,
            is_elsewhere,
            needs: before.needs.clone(),
            steps: self.steps(&fields),
            fields: Some(told(fields)),
            matched,
        })
    }

    fn fields(&self, action: &Action, with: Option<&'a Expr>) -> Vec<(String, &'a Expr, &'a Value)> {
        let mut fields = Vec::new();
        if let (Some(with), Some(written)) = (with, self.written(action, "with")) {
            flatten("", with, written, &mut fields);
        }
        fields
    }

    /// Does what names the record come from elsewhere than the same fields of the record that was heard, such as from
    /// its parent's id?
    fn is_elsewhere(
        &self,
        alias: &str,
        object: &Object,
        is_named: bool,
        fields: &[(String, &Expr, &Value)],
        identity: &[&str],
    ) -> bool {
        let heard = self.hears.iter().any(|hears| hears.alias == alias && hears.object == object.name);
        let mut reads = Vec::new();
        for (name, value, _) in fields.iter().filter(|(name, ..)| identity.contains(&name.as_str())) {
            // What is looked up, such as the record's owner, is another one; a constant is the same each time.
            let all = value.reads();
            reads.extend(all.iter().map(|read| self.of_record(read).as_deref() == Some(name)));
        }
        is_named && heard && !reads.is_empty() && !reads.contains(&true)
    }

    /// The field of the event's record that is read.
    fn of_record(&self, read: &Read) -> Option<String> {
        match read.names.as_slice() {
            [name, rest @ ..] if name == self.record && !rest.is_empty() => Some(rest.join(".")),
            _ => None,
        }
    }

    fn steps(&self, fields: &[(String, &'a Expr, &'a Value)]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (to, value, written) in fields {
            for (from, carry) in self.sources(value, written, SETS_MAX) {
                let step = Step { from, to: to.clone(), carry };
                if !steps.contains(&step) {
                    steps.push(step);
                }
            }
        }
        steps
    }

    /// The fields of the event's record that a value comes from, also by way of earlier actions.
    fn sources(&self, value: &Expr, written: &Value, depth: usize) -> Vec<(String, Carry)> {
        let own = carry(written);
        let mut sources = Vec::new();
        for read in value.reads() {
            if let Some(field) = self.of_record(&read) {
                sources.push((field, own));
                continue;
            }
            let [id, rest @ ..] = read.names.as_slice() else { continue };
            let field = rest.join(".");
            match self.results.get(id.as_str()) {
                Some(Held::Values(values)) if depth > 0 => {
                    for (_, value, written) in values.iter().filter(|(name, ..)| *name == field) {
                        let through = self.sources(value, written, depth - 1);
                        sources.extend(through.into_iter().map(|(from, carry)| (from, carry.max(own))));
                    }
                }
                Some(Held::Record { steps, .. }) => {
                    let through = steps.iter().filter(|step| step.to == field);
                    sources.extend(through.map(|step| (step.from.clone(), step.carry.max(own))));
                }
                _ => {}
            }
        }
        sources
    }

    /// Is a value another in each run about the same record?
    fn is_new(&self, field: &str, value: &Expr, written: &Value, alias: &str, object: &Object) -> bool {
        let carry = carry(written);
        // Of what a helper or a conversion makes, such as the day of an instant, it is not known.
        if carry == Carry::Changed {
            return false;
        }
        let grows = carry == Carry::Grown;
        value.reads().iter().any(|read| {
            let names: Vec<&str> = read.names.iter().map(String::as_str).collect();
            match names.as_slice() {
                _ if is_of_run(read) => true,
                [name, rest @ ..] if *name == self.record => self.object.changed_at.as_deref() == Some(&rest.join(".")),
                // A field that is read, added to and written back.
                [id, rest @ ..] => match self.results.get(id) {
                    Some(Held::Record { alias: of, object: read, .. }) => {
                        grows && *of == alias && *read == object.name && rest.join(".") == field
                    }
                    Some(Held::Values(values)) => {
                        let named = |(name, ..): &&(String, &Expr, &Value)| *name == rest.join(".");
                        values.iter().filter(named).any(|(_, value, _)| value.reads().iter().any(is_of_run))
                    }
                    None => false,
                },
                [] => false,
            }
        })
    }
}

fn is_of_run(read: &Read) -> bool {
    let names: Vec<&str> = read.names.iter().map(String::as_str).collect();
    matches!(names.as_slice(), ["run", "id" | "started_at" | "now"] | ["event", "id" | "time"])
}

/// Does the input of an operation name the record that it writes? A create's does not.
fn operation_identity(operation: &Operation) -> bool {
    operation.short_name() != "create"
}

fn told<'a>(fields: Vec<(String, &Expr, &'a Value)>) -> Vec<Field<'a>> {
    let field = |(name, value, written): (String, &Expr, &'a Value)| {
        let is_constant = value.constant().is_some() || value.reads().is_empty();
        Field { name, written, is_constant }
    };
    fields.into_iter().map(field).collect()
}

/// The fields of a map, those of maps inside it with dots.
fn flatten<'a>(prefix: &str, value: &'a Expr, written: &'a Value, all: &mut Vec<(String, &'a Expr, &'a Value)>) {
    for (key, field) in value.fields().unwrap_or_default() {
        let written = written.get(key).or_else(|| written.get(format!("${key}"))).unwrap_or(&Value::Null);
        let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        match field.fields() {
            Some(inside) if !inside.is_empty() => flatten(&name, field, written, all),
            _ => all.push((name, field, written)),
        }
    }
}

fn may_stop(action: &Action) -> bool {
    let inside = || action.lists().into_iter().flatten().any(may_stop);
    matches!(action.kind, Kind::Stop(_) | Kind::Fail(_)) || inside()
}
