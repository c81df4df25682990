//! The project's document, resolved: environment, time zone, connections, and which workflows run.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use serde_json::Value;

use super::refused::Refused;
use super::test_document::Subject;
use super::{Connection, Document, Plan, Tenant, Text, check, connection, keep, plan, via};
use crate::connector::Connector;
use crate::expr::Locale;
use crate::source::{Diagnostic, File, Report, check_shape, lay_over, under};

/// The one project, with an environment laid over it.
pub(super) fn read_project<'f>(
    files: &[&'f File],
    environment: Option<&str>,
    refused: &Refused,
    report: &mut Report,
) -> Option<(Document, &'f File)> {
    let file = match files {
        [] if refused.project => return None,
        [] => {
            report.push(
                Diagnostic::error("missing-project", "there is no `project:` document")
                    .help("add a `dovetail.yaml` that begins with `project: my-name`, or run `dovetail init`"),
            );
            return None;
        }
        [file] => *file,
        [file, other, ..] => {
            report.push(
                Diagnostic::error("duplicate-name", "there are two `project:` documents")
                    .at_key(other, "/project", "")
                    .also_key(file, "/project", "the first")
                    .help("keep one of the two; what differs by surroundings goes under `environments:`"),
            );
            *file
        }
    };
    let mut found = Report::default();
    check_shape(file, "", &super::schema(), &mut found);
    let environments = file.value.get("environments").and_then(Value::as_object);
    let schema = environment_schema();
    for name in environments.into_iter().flatten().map(|(name, _)| name) {
        check_shape(file, &under("/environments", name), &schema, &mut found);
    }
    let broken = found.has_errors();
    report.extend(found);
    if broken {
        return None;
    }
    let mut value = file.value.clone();
    if let Some(name) = environment {
        match file.value.get("environments").and_then(|all| all.get(name)) {
            Some(over) => lay_over(&mut value, over),
            None => {
                let found = Diagnostic::error("unknown-environment", format!("no environment is called `{name}`"));
                let found = match environments {
                    Some(_) => found.at_key(file, "/environments", ""),
                    None => found.at_key(file, "/project", "").help(format!("add `environments: {{ {name}: … }}`")),
                };
                report.push(found.nearest(name, environments.into_iter().flatten().map(|(name, _)| name.as_str())));
            }
        }
    }
    match serde_json::from_value(value) {
        Ok(document) => Some((document, file)),
        Err(error) => {
            report.push(Diagnostic::error("bad-value", error.to_string()).at(file, "", ""));
            None
        }
    }
}

/// What an environment may say: the same as the project, each part of it or none.
fn environment_schema() -> Value {
    let mut schema = super::schema();
    for (path, key) in [("", "required"), ("/properties", "project"), ("/properties", "environments")] {
        schema.pointer_mut(path).and_then(Value::as_object_mut).map(|map| map.shift_remove(key));
    }
    schema["title"] = "an environment".into();
    schema.pointer_mut("/$defs/Connection").and_then(Value::as_object_mut).map(|map| map.shift_remove("required"));
    schema
}

/// The project's file, in which an environment may lie over the rest.
pub(super) struct Site<'f> {
    pub file: &'f File,
    environment: Option<String>,
}

impl<'f> Site<'f> {
    pub fn new(file: &'f File, environment: Option<&str>) -> Self {
        Self { file, environment: environment.map(|name| under("/environments", name)) }
    }

    /// Where what the project says under a pointer is written.
    pub fn at(&self, pointer: &str) -> String {
        let over = self.environment.as_ref().map(|environment| format!("{environment}{pointer}"));
        over.filter(|over| self.file.value.pointer(over).is_some()).unwrap_or_else(|| pointer.to_owned())
    }
}

pub(super) fn build(
    document: &Document,
    site: &Site<'_>,
    connectors: Vec<Connector>,
    environment: Option<&str>,
    documents: Vec<Text>,
    refused: &mut Refused,
    report: &mut Report,
) -> Plan {
    let timezone = match document.timezone.as_deref().map(|name| (name, name.parse::<Tz>())) {
        None => Tz::UTC,
        Some((_, Ok(timezone))) => timezone,
        Some((name, Err(_))) => {
            let found = Diagnostic::error("unknown-timezone", format!("no time zone is called `{name}`"));
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let found =
                found.at(site.file, &site.at("/timezone"), "").help("write an IANA name such as `Europe/London`");
            report.push(found.nearest(name, names));
            Tz::UTC
        }
    };
    let all = document.tenants.values().flat_map(|block| block.connections.values());
    let lending: BTreeSet<&str> =
        all.chain(document.connections.values()).filter_map(|written| written.via.as_deref()).collect();
    let mut connections: Vec<Connection> = Vec::new();
    let mut add = |name: &str, tenant: Option<&str>, written: &super::document::Connection, pointer: String| {
        let shared = (document.apps.get(&written.connector), lending.contains(name));
        let read = Connection::read((name, tenant), written, shared, &connectors, (site, &pointer), refused, report);
        if let Some(first) = read.as_ref().and_then(|read| connections.iter().find(|other| other.name == read.name)) {
            let message = format!("two connections are called `{name}`");
            let of = first.tenant.as_ref().map_or(String::new(), |tenant| format!("/tenants/{tenant}"));
            let found = Diagnostic::error("duplicate-name", message)
                .at_key(site.file, &site.at(&pointer), "")
                .also_key(site.file, &site.at(&format!("{of}/connections/{name}")), "the first");
            report.push(found.help("give one of them another name"));
        }
        connections.extend(read);
    };
    for (name, written) in &document.connections {
        add(name, None, written, format!("/connections/{name}"));
    }
    for (tenant, block) in &document.tenants {
        for (name, written) in &block.connections {
            add(name, Some(tenant), written, format!("/tenants/{tenant}/connections/{name}"));
        }
    }
    for (name, app) in &document.apps {
        if let Some(connector) = connectors.iter().find(|connector| connector.name == *name) {
            connection::check_app(connector, app, site, report);
        }
    }
    via::check(&connections, &connectors, site, refused, report);
    let unknown = |name: &&String| {
        !connectors.iter().any(|connector| connector.name == **name) && !refused.has("connector", name)
    };
    for name in document.apps.keys().filter(unknown) {
        let names = connectors.iter().map(|connector| connector.name.as_str());
        let found = Diagnostic::error("unknown-connector", format!("no connector is called `{name}`"));
        report.push(found.at_key(site.file, &site.at(&format!("/apps/{name}")), "").nearest(name, names));
    }
    let tenants = document.tenants.iter().map(|(name, block)| Tenant { name: name.clone(), vars: block.vars.clone() });
    Plan {
        hash: plan::hash(&documents, environment),
        documents,
        name: document.project.clone(),
        environment: environment.map(Into::into),
        locale: Locale { timezone, country: document.country.clone() },
        keep: keep::read(document.keep.as_ref(), site, report),
        connections,
        tenants: tenants.collect(),
        connectors,
        workflows: Vec::new(),
        listeners: Vec::new(),
        syncs: Vec::new(),
        syncing: Vec::new(),
        index: plan::Index::default(),
    }
}

/// Every name under `active:` is that of a workflow or sync.
pub(super) fn known_names(
    document: &Document,
    site: &Site<'_>,
    named: &[Subject],
    refused: &Refused,
    report: &mut Report,
) {
    for (index, name) in document.active.iter().flatten().enumerate() {
        let known = named.iter().any(|subject| subject.name == *name);
        if known || refused.has("workflow", name) || refused.has("sync", name) {
            continue;
        }
        let found = Diagnostic::error("unknown-document", format!("no workflow or sync is called `{name}`"));
        let found = found.at(site.file, &site.at(&format!("/active/{index}")), "");
        report.push(match named {
            [] => found.help("there are no workflows and syncs yet"),
            _ => found.nearest(name, named.iter().map(|subject| subject.name.as_str())),
        });
    }
}

/// The documents that run, and the draft at this path, with their files.
pub(super) fn choose<T>(
    document: &Document,
    draft: Option<&str>,
    documents: Vec<(T, &File)>,
    name: impl Fn(&T) -> &String,
) -> check::Active<T> {
    let is_active = |one: &T| document.active.as_ref().is_none_or(|active| active.contains(name(one)));
    let active = documents.into_iter().filter(|(one, file)| is_active(one) || draft == Some(&*file.path));
    active.map(|(one, file)| (one, file.path.clone())).collect()
}
