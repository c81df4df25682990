//! The checked form of all documents.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Connection, Keep, Text};
use crate::connector::Connector;
use crate::expr::Locale;
use crate::source::{File, Place};
use crate::sync::Sync;
use crate::workflow::action::{Action, Kind, Reconcile};
use crate::workflow::{Heard, RecordRef, Starts, Workflow};

/// What runs. Made by [`super::read`] only, from documents without errors.
#[derive(Debug)]
pub struct Plan {
    /// SHA-256 of the documents, in hex: runs carry it.
    pub hash: String,
    pub documents: Vec<Text>,
    pub name: String,
    pub environment: Option<String>,
    pub locale: Locale,
    pub keep: Keep,
    pub connectors: Vec<Connector>,
    pub connections: Vec<Connection>,
    pub tenants: Vec<Tenant>,
    /// The active ones.
    pub workflows: Vec<Workflow>,
    /// Who hears what their actions wait for.
    pub listeners: Vec<Workflow>,
    /// The active ones.
    pub syncs: Vec<Arc<Sync>>,
    /// What they do.
    pub syncing: Vec<Workflow>,
    pub(super) index: Index,
}

/// Where a workflow stands among all that events may start.
#[derive(Debug, Default)]
pub(super) struct Index {
    names: HashMap<String, usize>,
    /// By the path of its own webhook.
    paths: HashMap<String, usize>,
}

impl Index {
    pub(super) fn new(plan: &Plan) -> Index {
        let mut index = Index::default();
        for (at, workflow) in plan.hearing().enumerate() {
            index.names.entry(workflow.name.clone()).or_insert(at);
            if let Starts::Webhook { path, .. } = &workflow.trigger.starts {
                index.paths.entry(path.clone()).or_insert(at);
            }
        }
        index
    }
}

/// One customer.
#[derive(Clone, Debug)]
pub struct Tenant {
    pub name: String,
    pub vars: Map<String, Value>,
}

impl Plan {
    pub fn connector(&self, name: &str) -> Option<&Connector> {
        self.connectors.iter().find(|connector| connector.name == name)
    }

    /// The connections whose token comes from this one's credential.
    pub fn borrowers<'p>(&'p self, lender: &'p str) -> impl Iterator<Item = &'p Connection> {
        self.connections.iter().filter(move |connection| connection.via.as_deref() == Some(lender))
    }

    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.name == name)
    }

    /// The connector of a connection.
    pub fn connector_of(&self, connection: &str) -> Option<&Connector> {
        self.connector(&self.connection(connection)?.connector)
    }

    /// Where in its document a value stands; the place around it if it cannot be found. The document is read for that: this
    /// is for what is told to people, not for what happens often.
    fn place(&self, around: &Place, pointer: &str) -> Place {
        let text = self.documents.iter().find(|document| *document.path == *around.path);
        text.and_then(|text| File::read(&text.path, &text.text).ok()).map_or(around.clone(), |file| file.place(pointer))
    }

    /// The project's time zone and country; a connection's own country goes before that.
    pub fn locale_of(&self, connection: &str) -> Cow<'_, Locale> {
        self.locale.of_country(self.connection(connection).and_then(|connection| connection.settings.get("country")))
    }

    /// Where a run failed: at an address of a run of this workflow, and there at the value under a pointer, if one is named.
    /// What is read before the first action is the trigger's doing.
    pub fn place_of(&self, workflow: &Workflow, address: &str, at: Option<&str>) -> Place {
        match (self.action_at(workflow, address), at) {
            (Some(action), None) => action.place.clone(),
            (Some(action), Some(at)) => self.place(&action.place, &format!("{}{at}", action.pointer)),
            (None, Some(at)) => self.place(&workflow.trigger.place, &format!("/trigger{at}")),
            (None, None) => workflow.trigger.place.clone(),
        }
    }

    pub fn workflow(&self, name: &str) -> Option<&Workflow> {
        self.hearing().nth(*self.index.names.get(name)?)
    }

    /// The workflow that has this path of its own.
    pub fn at_path(&self, path: &str) -> Option<&Workflow> {
        self.hearing().nth(*self.index.paths.get(path)?)
    }

    /// What people have written that runs, workflows and syncs: each by its name, with where it stands.
    pub fn recipes(&self) -> impl Iterator<Item = (&str, &Place)> {
        let workflows = self.workflows.iter().map(|workflow| (workflow.name.as_str(), &workflow.place));
        workflows.chain(self.syncs.iter().map(|sync| (sync.name.as_str(), &sync.place)))
    }

    /// All that events may start.
    pub fn hearing(&self) -> impl Iterator<Item = &Workflow> {
        self.workflows.iter().chain(&self.listeners).chain(&self.syncing)
    }

    /// Of the workflows of syncs those that are about a record, each with what it does.
    pub fn syncing_of(&self, of: &RecordRef) -> impl Iterator<Item = (&Workflow, &Reconcile)> {
        let connection = self.connection(&of.connection);
        self.syncing.iter().filter_map(move |workflow| {
            let Starts::Event(heard) = &workflow.trigger.starts else { return None };
            let Kind::Reconcile(reconcile) = &workflow.actions.first()?.kind else { return None };
            let is_about = |heard: &Heard| {
                let named = workflow.connector_of(&heard.alias);
                heard.object.as_deref() == Some(&of.object)
                    && connection.zip(named).is_some_and(|(connection, name)| connection.stands_for(name))
            };
            heard.iter().any(is_about).then_some((workflow, reconcile))
        })
    }

    /// The action at an address of a run of this workflow; `actions/2/run/actions/0` is one of the workflow that it runs.
    pub fn action_at<'p>(&'p self, workflow: &'p Workflow, address: &str) -> Option<&'p Action> {
        for (at, _) in address.match_indices("/run/") {
            if let Some(Action { kind: Kind::Run(run), .. }) = workflow.action_at(&address[..at]) {
                return self.action_at(self.workflow(&run.workflow)?, &address[at + "/run/".len()..]);
            }
        }
        workflow.action_at(address)
    }

    /// A workflow's constants, with a tenant's own over them.
    pub fn vars(&self, workflow: &Workflow, tenant: Option<&str>) -> Value {
        let mut vars = workflow.vars.as_object().cloned().unwrap_or_default();
        let tenant = self.tenants.iter().find(|known| Some(known.name.as_str()) == tenant);
        for (name, value) in tenant.into_iter().flat_map(|tenant| &tenant.vars) {
            if let Some(own) = vars.get_mut(name) {
                own.clone_from(value);
            }
        }
        Value::Object(vars)
    }
}

/// The hash of a set of documents, whatever their order.
pub(super) fn hash(documents: &[Text], environment: Option<&str>) -> String {
    let mut sorted: Vec<&Text> = documents.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    add(environment.unwrap_or_default());
    for document in sorted {
        add(&document.path);
        add(&document.text);
    }
    hex::encode(hash.finalize())
}
