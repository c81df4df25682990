//! Two workflows that write one field of one object for the same event: the later one wins, and which that is is chance.

use serde_json::Value;

use super::sync::{Place, sources, written};
use crate::project::Plan;
use crate::source::{Diagnostic, File, Report, under};
use crate::workflow::action::{Action, Kind};
use crate::workflow::{Starts, Workflow};

/// A field that is written for every event, whatever it holds.
struct Writing<'a> {
    workflow: &'a Workflow,
    file: &'a File,
    from: Place<'a>,
    kinds: Vec<&'a str>,
    to: Place<'a>,
    /// The id of the record as it is written; an upsert finds it by itself.
    id: Option<&'a Value>,
    field: &'a str,
    pointer: String,
}

impl Writing<'_> {
    fn meets(&self, other: &Writing<'_>) -> bool {
        self.workflow.name != other.workflow.name
            && self.field == other.field
            && self.id == other.id
            && self.to.meets(&other.to)
            && self.from.meets(&other.from)
            && self.kinds.iter().any(|kind| other.kinds.contains(kind))
            && self.value() != other.value()
    }

    fn value(&self) -> Option<&Value> {
        self.file.value.pointer(&self.pointer)
    }
}

pub(super) fn check(plan: &Plan, workflows: &[(&Workflow, &File)], report: &mut Report) {
    let mut all: Vec<Writing<'_>> = Vec::new();
    for (workflow, file) in workflows {
        for writing in writings(plan, workflow, file) {
            if let Some(other) = all.iter().find(|other| other.meets(&writing)) {
                let (field, object) = (writing.field, writing.to.object);
                let message = format!(
                    "`{}` and `{}` both write `{field}` of `{object}` for the same event",
                    other.workflow.name, workflow.name
                );
                let found = Diagnostic::warning("written-twice", message)
                    .at_key(file, &writing.pointer, "written here")
                    .also_key(other.file, &other.pointer, "and here");
                report.push(found.help("let one of them write it, or give each a condition that the other has not"));
            }
            all.push(writing);
        }
    }
}

fn writings<'a>(plan: &'a Plan, workflow: &'a Workflow, file: &'a File) -> Vec<Writing<'a>> {
    let Starts::Event(heard) = &workflow.trigger.starts else { return Vec::new() };
    if workflow.trigger.only_if.is_some() {
        return Vec::new();
    }
    let kinds: Vec<&str> = heard.iter().flat_map(|event| &event.kinds).map(String::as_str).collect();
    let mut all = Vec::new();
    for action in workflow.actions.iter().filter(|action| action.only_if.is_none() && sets(action)) {
        let (Some(to), Some(fields)) = (written(plan, workflow, action), action.with().and_then(|with| with.fields()))
        else {
            continue;
        };
        let id = match action.kind {
            Kind::Upsert(_) => None,
            _ => file.value.pointer(&format!("{}/with/id", action.pointer)),
        };
        // What the record is found by is the same in both, or it is another record.
        let finds: &[String] = match &action.kind {
            Kind::Upsert(upsert) => match &upsert.fields {
                Some(fields) => fields,
                None => identity(plan, workflow, action).unwrap_or_default(),
            },
            _ => &[],
        };
        for from in sources(plan, workflow) {
            for (field, _) in
                fields.iter().filter(|(field, _)| *field != "id" && !finds.iter().any(|find| find == field))
            {
                let pointer = under(&format!("{}/with", action.pointer), field);
                all.push(Writing { workflow, file, from, kinds: kinds.clone(), to, id, field, pointer });
            }
        }
    }
    all
}

/// Does it set fields of a record that may be there already?
fn sets(action: &Action) -> bool {
    match &action.kind {
        Kind::Upsert(_) => true,
        Kind::Call(call) => call.operation.ends_with(".update"),
        _ => false,
    }
}

fn identity<'p>(plan: &'p Plan, workflow: &Workflow, action: &Action) -> Option<&'p [String]> {
    let (alias, object) = action.uses()?;
    let name = workflow.connector_of(alias)?;
    let connector = plan.connector(name).or_else(|| plan.connector_of(name))?;
    Some(&connector.object(object)?.identity)
}
