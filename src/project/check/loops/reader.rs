//! The actions of one workflow in their order: what each writes, from where, and what stands before it.

use std::collections::HashMap;

use serde_json::Value;

use super::carry::{Carry, carry};
use super::needs::Need;
use super::part::{Hears, Part, Runs, connector};
use super::write::{Change, Effect, Field, Named, Step, Target, Write};
use crate::connector::Object;
use crate::expr::{Expr, Read};
use crate::project::Plan;
use crate::workflow::Action;
use crate::workflow::action::{Call, Kind, Upsert};

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
    part: &'r Part<'a>,
    runs: &'r Runs<'r>,
    results: HashMap<&'a str, Held<'a>>,
    writes: Vec<Write<'a>>,
}

/// The second time a record is there, so that an update is looked at first.
const UPSERTED: [Change; 2] = [Change::Updated, Change::Created];
/// Values that go through more `set` actions than this are not followed further.
const SETS_MAX: usize = 8;

/// All that a workflow writes, and whom it starts.
pub(super) fn writes<'a>(plan: &'a Plan, part: &Part<'a>, runs: &Runs<'_>) -> Vec<Write<'a>> {
    let workflow = part.workflow;
    let mut reader = Reader { plan, part, runs, results: HashMap::new(), writes: Vec::new() };
    let before = Before { is_guarded: workflow.trigger.only_if.is_some(), needs: Vec::new() };
    reader.actions(&workflow.actions, &before);
    reader.actions(workflow.on_error.actions(), &Before { is_guarded: true, ..before });
    reader.writes
}

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
            before.is_guarded |= self.may_stop(action);
        }
    }

    /// Also by a workflow that it runs: its `stop` ends only itself, its `fail` both.
    fn may_stop(&self, action: &Action) -> bool {
        match &action.kind {
            Kind::Stop(_) | Kind::Fail(_) => return true,
            Kind::Run(run) if self.runs.may_fail(&run.workflow) => return true,
            _ => {}
        }
        action.lists().into_iter().flatten().any(|action| self.may_stop(action))
    }

    fn with_condition(&self, before: &Before, action: &Action, key: &str, is_there: bool) -> Before {
        let mut before = before.clone();
        if is_there {
            before.is_guarded = true;
            before.needs.extend(self.part.asked(&format!("{}/{key}", action.pointer)));
        }
        before
    }

    fn action(&mut self, action: &'a Action, before: &Before) {
        let write = match &action.kind {
            Kind::Call(call) => self.call(action, call, before),
            Kind::Upsert(upsert) => self.upsert(action, upsert, before),
            Kind::Emit(emit) => {
                Some(self.starts(action, Target::Event(&emit.name), ("body", emit.with.as_ref()), before))
            }
            Kind::Run(run) => {
                Some(self.starts(action, Target::Workflow(&run.workflow), ("", run.with.as_ref()), before))
            }
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
        if let (Some(write), Some(id)) = (&write, &action.id)
            && let Target::Record { alias, object } = write.target
        {
            let (object, steps) = (object.name.as_str(), write.steps.clone());
            self.results.insert(id, Held::Record { alias, object, steps });
        }
        self.writes.extend(write);
    }

    fn written(&self, action: &Action, key: &str) -> Option<&'a Value> {
        self.part.file.value.pointer(&format!("{}/{key}", action.pointer))
    }

    /// An operation of an object writes that object, unless it only reads. What is written under a record, such as its
    /// notes, is written by operations of their own object, and counts as theirs.
    fn call(&mut self, action: &'a Action, call: &'a Call, before: &Before) -> Option<Write<'a>> {
        let connector = connector(self.plan, self.part.workflow, &call.alias)?;
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
        let mut fields = self.fields("", action, call.with.as_ref());
        let holes: Vec<&str> = operation.input_holes().collect();
        let identity: Vec<&str> = holes.iter().copied().chain([object.id.as_str()]).collect();
        // A create's input does not name the record that it writes.
        let is_named = operation.short_name() != "create";
        let named = if is_named { self.named(&fields, &identity) } else { Named::default() };
        fields.retain(|(name, ..)| !holes.contains(&name.as_str()));
        let steps = self.steps(&fields);
        // What another operation than the standard ones changes is told by what it is given, as well as that can be told.
        let is_known = call.with.as_ref().is_none_or(|with| with.fields().is_some());
        Some(Write {
            action,
            target: Target::Record { alias: &call.alias, object },
            changes,
            effect,
            is_guarded: before.is_guarded,
            is_elsewhere: self.hears(&call.alias, object) && named.is_elsewhere(),
            named,
            needs: before.needs.clone(),
            fields: is_known.then(|| told(fields)),
            matched: Vec::new(),
            steps,
        })
    }

    fn upsert(&mut self, action: &'a Action, upsert: &'a Upsert, before: &Before) -> Option<Write<'a>> {
        let connector = connector(self.plan, self.part.workflow, &upsert.alias)?;
        let object = connector.object(&upsert.object)?;
        let mut fields = self.fields("", action, upsert.with.as_ref());
        let matched: Vec<&str> =
            upsert.fields.as_ref().unwrap_or(&object.identity).iter().map(String::as_str).collect();
        let named = self.named(&fields, &matched);
        fields.retain(|(name, ..)| object.writable_on_update(name) || matched.contains(&name.as_str()));
        // What was deleted is created once more; what nothing finds is created each time.
        let only_deleted = |hears: &Hears<'_>| {
            hears.alias == upsert.alias && hears.object == upsert.object && hears.changes == [Change::Deleted]
        };
        let creates = (matched.is_empty() && upsert.link.is_none()) || self.part.hears.iter().all(only_deleted);
        let target = Target::Record { alias: &upsert.alias, object };
        let new = fields.iter().find(|(name, value, written)| self.is_new(name, value, written, target));
        let effect = match new {
            _ if creates => Effect::Repeats,
            Some((field, ..)) => Effect::New { field: field.clone() },
            None => Effect::Settles,
        };
        Some(Write {
            action,
            target,
            changes: UPSERTED.to_vec(),
            effect,
            is_guarded: before.is_guarded,
            is_elsewhere: self.hears(&upsert.alias, object) && named.is_elsewhere(),
            named,
            needs: before.needs.clone(),
            steps: self.steps(&fields),
            fields: Some(told(fields)),
            matched,
        })
    }

    /// An `emit` or a `run`, and what it hands on: under `within`, as the other workflow sees it.
    fn starts(
        &self,
        action: &'a Action,
        target: Target<'a>,
        (within, with): (&str, Option<&'a Expr>),
        before: &Before,
    ) -> Write<'a> {
        let fields = self.fields(within, action, with);
        let is_new = |(name, value, written): &&(String, &Expr, &Value)| self.is_new(name, value, written, target);
        let new = fields.iter().filter(is_new).map(|(name, ..)| name.clone()).collect();
        Write {
            action,
            target,
            changes: vec![Change::Started],
            effect: Effect::Starts { new },
            is_guarded: before.is_guarded,
            is_elsewhere: false,
            named: Named::default(),
            needs: before.needs.clone(),
            steps: self.steps(&fields),
            fields: Some(told(fields)),
            matched: Vec::new(),
        }
    }

    fn fields(&self, within: &str, action: &Action, with: Option<&'a Expr>) -> Vec<(String, &'a Expr, &'a Value)> {
        let mut fields = Vec::new();
        if let (Some(with), Some(written)) = (with, self.written(action, "with")) {
            flatten(within, with, written, &mut fields);
        }
        fields
    }

    /// Is a record of this object what starts it?
    fn hears(&self, alias: &str, object: &Object) -> bool {
        self.part.hears.iter().any(|hears| hears.alias == alias && hears.object == object.name)
    }

    /// Where that comes from by which a record is found. What is looked up, such as the record's owner, comes from no
    /// field of the record that was heard; a constant is the same each time.
    fn named(&self, fields: &[(String, &'a Expr, &'a Value)], identity: &[&str]) -> Named {
        let mut named = Named::default();
        for (name, value, written) in fields.iter().filter(|(name, ..)| identity.contains(&name.as_str())) {
            named.is_read |= !value.reads().is_empty();
            let sources = self.sources(value, written, SETS_MAX);
            named.from.extend(sources.into_iter().map(|(from, _)| (name.clone(), from)));
        }
        named
    }

    /// The field of the event's record that is read.
    fn of_record(&self, read: &Read) -> Option<String> {
        match read.names.as_slice() {
            [name, rest @ ..] if name == self.part.record() && !rest.is_empty() => Some(rest.join(".")),
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
    fn is_new(&self, field: &str, value: &Expr, written: &Value, target: Target<'_>) -> bool {
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
                [name, rest @ ..] if *name == self.part.record() => {
                    let changed_at = self.part.object().and_then(|object| object.changed_at.as_deref());
                    changed_at.is_some_and(|field| field == rest.join("."))
                }
                // A field that is read, added to and written back.
                [id, rest @ ..] => match self.results.get(id) {
                    Some(Held::Record { alias: of, object: read, .. }) => match target {
                        Target::Record { alias, object } => {
                            grows && *of == alias && *read == object.name && rest.join(".") == field
                        }
                        Target::Event(_) | Target::Workflow(_) => false,
                    },
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
