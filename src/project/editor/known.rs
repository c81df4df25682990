//! What a project offers to its workflows: connectors, accounts, and the aliases by which they are called.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::connector::{Connector, Object, Operation};
use crate::project::Text;
use crate::project::parts;
use crate::project::read::{parted, read_connectors, read_files};
use crate::source::{File, Report};

/// What can be named in a project, read without regard to mistakes in workflows: they are about to be mended.
#[derive(Debug, Default)]
pub struct Known {
    /// All of them, used or not.
    pub connectors: Vec<Connector>,
    /// Every connection of the project and its tenants, with its connector's name.
    pub connections: Vec<(String, String)>,
    /// Alias and what it stands for, as `uses` says; in the order of the files.
    pub uses: Vec<(String, String)>,
    /// The names of all workflows and syncs, each with its description.
    pub documents: Vec<(String, Option<String>)>,
    /// Workflows that others can run.
    pub runnable: Vec<Runnable>,
    /// The names of the project's own events.
    pub emitted: BTreeSet<String>,
    /// Files of connectors of which the documents name nothing: what they give is proposed, and not described further.
    far: BTreeSet<String>,
}

/// A workflow with a `manual` trigger.
#[derive(Debug)]
pub struct Runnable {
    pub name: String,
    pub description: Option<String>,
    /// As written: a map of schemas.
    pub inputs: Value,
}

/// More aliases of one connector are not looked at: an agency has a connection for each of hundreds of tenants. What
/// begins with another alias is neither completed nor marked.
pub(super) const ALIASES_MAX: usize = 8;

impl Known {
    /// Reads a project's documents, or any others. None if a connector has errors.
    pub fn read(own: &[Text], shipped: &[Text]) -> Option<Known> {
        let (schemas, documents) = parted(own);
        let read = read_files(&documents, &shipped.iter().collect::<Vec<_>>());
        let files: Vec<File> = read.into_iter().filter_map(|(_, file)| file.ok()).collect();
        let of = |kind: &str| files.iter().filter(|file| file.first_key() == Some(kind)).collect::<Vec<_>>();
        let mut report = Report::default();
        let (connectors, ..) = read_connectors(of("connector"), &schemas, own, &mut report);
        if report.has_errors() {
            return None;
        }
        let mut known = Known { connectors, far: parts::far(own, shipped), ..Known::default() };
        known.connections = of("project").into_iter().flat_map(connections).collect();
        for file in of("workflow").into_iter().chain(of("sync")) {
            let kind = file.first_key().unwrap_or_default();
            let text = |key: &str| file.value.get(key).and_then(Value::as_str).map(String::from);
            known.documents.extend(text(kind).map(|name| (name, text("description"))));
            let trigger = file.value.get("trigger");
            if let (Some(name), Some(manual)) = (text("workflow"), trigger.and_then(|trigger| trigger.get("manual"))) {
                let inputs = manual.get("inputs").cloned().unwrap_or_default();
                known.runnable.push(Runnable { name, description: text("description"), inputs });
            }
            for actions in ["actions", "on_error"] {
                emitted(file.value.get(actions).unwrap_or(&Value::Null), &mut known.emitted);
            }
            let uses = file.value.get("uses").and_then(Value::as_object).into_iter().flatten();
            known.uses.extend(uses.filter_map(|(alias, name)| Some((alias.clone(), name.as_str()?.to_string()))));
        }
        known.documents.sort();
        known.runnable.sort_by(|one, other| one.name.cmp(&other.name));
        Some(known)
    }

    /// Is it described, and not only proposed?
    pub(super) fn is_near(&self, operation: &Operation) -> bool {
        !self.far.contains(&*operation.place.path)
    }

    /// Is one of its operations?
    pub(super) fn has_near(&self, connector: &Connector, object: &Object) -> bool {
        let mut own = connector.operations().into_iter();
        self.far.is_empty()
            || own.any(|operation| operation.object.as_ref() == Some(&object.name) && self.is_near(operation))
    }

    /// The connectors that a connection names; all if there is none such.
    pub fn used(&self) -> Vec<&Connector> {
        let is_used = |connector: &&Connector| self.connections.iter().any(|(_, name)| *name == connector.name);
        let used: Vec<&Connector> = self.connectors.iter().filter(is_used).collect();
        if used.is_empty() { self.connectors.iter().collect() } else { used }
    }

    /// Those same connectors, and nothing else.
    pub fn into_used(mut self) -> Vec<Connector> {
        let names: Vec<String> = self.used().into_iter().map(|connector| connector.name.clone()).collect();
        self.connectors.retain(|connector| names.contains(&connector.name));
        self.connectors
    }

    /// The connector of a name of `uses`: its own name, or a connection's.
    fn connector(&self, name: &str) -> Option<&Connector> {
        let of_connection = self.connections.iter().find(|(known, _)| known == name).map(|(_, connector)| connector);
        let name = of_connection.map_or(name, String::as_str);
        self.connectors.iter().find(|connector| connector.name == name)
    }

    /// Each alias, with the connectors that it stands for in one document or another. First come those that documents
    /// use, then the connectors' own names, then those of connections, as `uses` could have them.
    pub(super) fn aliases(&self) -> BTreeMap<String, Vec<&Connector>> {
        let mut aliases: BTreeMap<String, Vec<&Connector>> = BTreeMap::new();
        for (alias, name) in &self.uses {
            if let Some(connector) = self.connector(name)
                && !aliases.get(alias).is_some_and(|all| has(all, connector))
            {
                add(&mut aliases, alias.clone(), connector);
            }
        }
        let own = self.used().into_iter().map(|connector| (&connector.name, connector));
        let accounts = self.connections.iter().filter_map(|(name, _)| Some((name, self.connector(name)?)));
        for (name, connector) in own.chain(accounts) {
            let alias = name.replace('-', "_");
            // What documents use for something else is theirs, and no alias begins with a digit.
            if !aliases.contains_key(&alias) && alias.starts_with(|first: char| first.is_ascii_lowercase()) {
                add(&mut aliases, alias, connector);
            }
        }
        aliases
    }
}

fn add<'k>(aliases: &mut BTreeMap<String, Vec<&'k Connector>>, alias: String, connector: &'k Connector) {
    if aliases.values().filter(|all| has(all, connector)).count() < ALIASES_MAX {
        aliases.entry(alias).or_default().push(connector);
    }
}

fn has(connectors: &[&Connector], connector: &Connector) -> bool {
    connectors.iter().any(|other| std::ptr::eq(*other, connector))
}

/// The connections of a project's document, and those of its tenants.
fn connections(file: &File) -> Vec<(String, String)> {
    let tenants = file.value.get("tenants").and_then(Value::as_object).into_iter().flatten().map(|(_, tenant)| tenant);
    let blocks = std::iter::once(&file.value).chain(tenants);
    let all = blocks.filter_map(|block| block.get("connections")?.as_object()).flatten();
    all.filter_map(|(name, connection)| Some((name.clone(), connection.get("connector")?.as_str()?.to_string())))
        .collect()
}

/// The events that actions make, at whatever depth they stand. What is sent may look like an action, and does no harm.
fn emitted(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| emitted(item, names)),
        Value::Object(map) => {
            names.extend(map.get("emit").and_then(Value::as_str).map(String::from));
            map.values().for_each(|value| emitted(value, names));
        }
        _ => {}
    }
}
