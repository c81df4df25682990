//! One workflow: what it hears, and what it writes when it has heard it.

use std::collections::{HashMap, HashSet};

use super::needs::{Need, needs};
use super::reader;
use super::write::{Change, Write};
use crate::connector::{Connector, Object};
use crate::project::Plan;
use crate::source::File;
use crate::workflow::action::{Kind, PROJECT};
use crate::workflow::{Starts, Workflow};

/// A workflow that is started by records, by events of the project, or by being run.
pub(super) struct Part<'a> {
    pub workflow: &'a Workflow,
    pub file: &'a File,
    pub begins: Begins<'a>,
    pub hears: Vec<Hears<'a>>,
    pub writes: Vec<Write<'a>>,
    /// What its trigger asks for.
    pub needs: Vec<Need>,
}

/// What a workflow begins with.
#[derive(Clone, Copy)]
pub(super) enum Begins<'a> {
    /// A record of this object.
    Record(&'a Object),
    /// An event of the project.
    Event,
    /// The inputs that another workflow gives it.
    Inputs,
}

/// An event that starts it.
pub(super) struct Hears<'a> {
    pub alias: &'a str,
    /// The object; or the name of the project's event, or of the workflow itself where another one runs it.
    pub object: &'a str,
    pub changes: Vec<Change>,
    /// Pointer of what names the event.
    pub pointer: &'a str,
}

/// Who is run by others, and what may end the run that they are in.
pub(super) struct Runs<'a> {
    run: HashSet<&'a str>,
    failing: HashSet<&'a str>,
}

impl<'a> Runs<'a> {
    pub fn of(workflows: &[(&'a Workflow, &File)]) -> Self {
        let mut run_by: HashMap<&str, Vec<&'a str>> = HashMap::new();
        let mut failing = HashSet::new();
        let mut waiting = Vec::new();
        for (workflow, _) in workflows {
            for action in workflow.all_actions() {
                match &action.kind {
                    Kind::Run(run) => run_by.entry(&run.workflow).or_default().push(&workflow.name),
                    Kind::Fail(_) => waiting.push(workflow.name.as_str()),
                    _ => {}
                }
            }
        }
        while let Some(name) = waiting.pop() {
            if failing.insert(name) {
                waiting.extend(run_by.get(name).into_iter().flatten());
            }
        }
        Self { run: run_by.into_keys().collect(), failing }
    }

    /// Does it hold a `fail`, or one that it runs?
    pub fn may_fail(&self, workflow: &str) -> bool {
        self.failing.contains(workflow)
    }
}

impl<'a> Part<'a> {
    /// None: nothing that another workflow does starts it, so that it is in no loop.
    pub fn of(plan: &'a Plan, workflow: &'a Workflow, file: &'a File, runs: &Runs<'_>) -> Option<Self> {
        let hears = hears(plan, workflow, runs);
        let first = hears.first()?;
        let begins = match &workflow.trigger.starts {
            Starts::Manual { .. } => Begins::Inputs,
            _ if first.alias == PROJECT => Begins::Event,
            _ => Begins::Record(connector(plan, workflow, first.alias)?.object(first.object)?),
        };
        let mut part = Self { workflow, file, begins, hears, writes: Vec::new(), needs: Vec::new() };
        part.needs = part.asked("/trigger/only_if");
        part.writes = reader::writes(plan, &part, runs);
        Some(part)
    }

    /// The name under which its actions see what it begins with.
    pub fn record(&self) -> &'a str {
        match self.begins {
            Begins::Record(object) => self.workflow.trigger.record_name(&object.name),
            Begins::Event => "event",
            Begins::Inputs => "inputs",
        }
    }

    pub fn object(&self) -> Option<&'a Object> {
        match self.begins {
            Begins::Record(object) => Some(object),
            Begins::Event | Begins::Inputs => None,
        }
    }

    /// What the condition under a pointer asks for. Only a record can have changed.
    pub fn asked(&self, pointer: &str) -> Vec<Need> {
        let condition = self.object().and_then(|_| self.file.value.pointer(pointer));
        condition.map(|condition| needs(condition, self.record())).unwrap_or_default()
    }
}

pub(super) fn connector<'a>(plan: &'a Plan, workflow: &Workflow, alias: &str) -> Option<&'a Connector> {
    let name = workflow.connector_of(alias)?;
    plan.connector(name).or_else(|| plan.connector_of(name))
}

fn hears<'a>(plan: &'a Plan, workflow: &'a Workflow, runs: &Runs<'_>) -> Vec<Hears<'a>> {
    match &workflow.trigger.starts {
        Starts::Event(heard) => heard
            .iter()
            .filter_map(|event| {
                let pointer = event.pointer.as_str();
                if event.alias == PROJECT {
                    let changes = vec![Change::Started];
                    return Some(Hears { alias: PROJECT, object: event.kinds.first()?, changes, pointer });
                }
                let connector = connector(plan, workflow, &event.alias)?;
                let object = connector.object(event.object.as_deref()?)?;
                let kinds = event.kinds.iter().filter(|kind| is_noticed(connector, object, kind));
                let changes = kinds.filter_map(|kind| match kind.as_str() {
                    "created" => Some(Change::Created),
                    "updated" => Some(Change::Updated),
                    "deleted" => Some(Change::Deleted),
                    _ => None,
                });
                Some(Hears { alias: &event.alias, object: &object.name, changes: changes.collect(), pointer })
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
        Starts::Manual { .. } if runs.run.contains(workflow.name.as_str()) => {
            vec![Hears { alias: "", object: &workflow.name, changes: vec![Change::Started], pointer: "/trigger" }]
        }
        Starts::Webhook { .. } | Starts::Schedule { .. } | Starts::Manual { .. } => Vec::new(),
    }
}

/// Is there a way to notice such a change? A look at a list sees what is new and what is different.
fn is_noticed(connector: &Connector, object: &Object, kind: &str) -> bool {
    let looked_at = object.changes.feeds().any(|feed| match kind {
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
