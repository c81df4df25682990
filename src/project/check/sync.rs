//! Syncs against everything else: do their objects and fields exist, and is each pair of objects served once?

use std::sync::Arc;

use super::fields::{field_names, has_field};
use crate::connector::{Connector, Object};
use crate::expr::Expr;
use crate::project::Plan;
use crate::project::refused::Refused;
use crate::source::{Diagnostic, File, Report, under};
use crate::sync::{Delete, NoneFound, Pair, Side, Sync};
use crate::workflow::action::Kind;
use crate::workflow::{Action, Starts, Workflow};

/// Checks one active sync. False if names of its `uses` are not known.
pub(super) fn check(plan: &Plan, sync: &Sync, file: &File, refused: &Refused, report: &mut Report) -> bool {
    let mut known = true;
    for (alias, name) in &sync.uses {
        if connector(plan, name).is_none() {
            super::unknown_connector(plan, name, (file, &format!("/uses/{alias}")), refused, report);
            known = false;
        }
    }
    if !known {
        return false;
    }
    for pair in sync.pairs() {
        let objects: Vec<Option<&Object>> =
            pair.sides.iter().map(|side| object(plan, sync, pair, side, file, report)).collect();
        for (place, object) in objects.iter().enumerate() {
            let Some(object) = object else { continue };
            fields(object, pair, place, file, report);
            operations(object, pair, place, file, report);
            created(object, pair, place, file, report);
            if pair.needs_times() && object.changed_at.is_none() {
                let message = format!("`newest` cannot be told: `{}` does not say when it was changed", object.name);
                let found = Diagnostic::error("no-changed-at", message);
                let help = "add `changed_at:` to the object in the connector, or write `ask` or a side";
                report.push(found.at(file, &format!("{}/conflicts", pair.pointer), "").help(help));
            }
        }
    }
    true
}

/// The operations without which a side cannot be kept alike.
fn operations(object: &Object, pair: &Pair, place: usize, file: &File, report: &mut Report) {
    let (side, other) = (&pair.sides[place], &pair.sides[1 - place]);
    let is_written = pair.fields.iter().any(|field| field.owner.is_none_or(|owner| owner.index() != place));
    let wanted = [
        ("get", true),
        ("find", !pair.match_by.is_empty()),
        ("update", is_written),
        ("create", side.none_found == NoneFound::Create),
    ];
    let lacks: Vec<&str> = wanted
        .into_iter()
        .filter(|(name, wanted)| *wanted && object.operation(name).is_none())
        .map(|(name, _)| name)
        .collect();
    if !lacks.is_empty() {
        let message =
            format!("`{}` cannot be kept alike: its connector has no `{}` for it", object.name, lacks.join("`, `"));
        let pointer = format!("{}/between/{}", pair.pointer, side.alias);
        let found = Diagnostic::error("cannot-sync", message).at(file, &pointer, "");
        report.push(found.help("describe the operations in the connector, or let the other side own the fields"));
    }
    let wanted = match other.delete {
        Delete::Delete => "delete",
        Delete::Archive => "archive",
        Delete::Unlink | Delete::Ask => return,
    };
    let pointer = format!("{}/deletes/{}", pair.pointer, other.alias);
    if file.value.pointer(&pointer).is_some() && object.operation(wanted).is_none() {
        let message = format!("`{}` of `{}` has no `{wanted}`", object.name, side.alias);
        let found = Diagnostic::error("cannot-sync", message).at(file, &pointer, "");
        report.push(found.help("write `unlink` or `ask`, or describe the operation in the connector"));
    }
}

/// What a create needs beside the fields.
fn created(object: &Object, pair: &Pair, place: usize, file: &File, report: &mut Report) {
    let side = &pair.sides[place];
    for (name, _) in side.on_create.as_ref().and_then(Expr::fields).unwrap_or_default() {
        let head = name.split(['.', '[']).next().unwrap_or(name);
        if !has_field(object, name) && !has_field(object, head) {
            let message = format!("`{}` has no field `{name}`", object.name);
            let pointer = under(&format!("{}/on_create/{}", pair.pointer, side.alias), name);
            let found = Diagnostic::error("unknown-field", message).at_key(file, &pointer, "");
            report.push(found.nearest(name, field_names(object)));
        }
    }
}

fn object<'p>(
    plan: &'p Plan,
    sync: &Sync,
    pair: &Pair,
    side: &Side,
    file: &File,
    report: &mut Report,
) -> Option<&'p Object> {
    let connector = connector(plan, sync.uses.get(&side.alias)?)?;
    let object = connector.object(&side.object);
    if object.is_none() {
        let objects = connector.objects.iter().map(|object| object.name.as_str());
        let message = format!("connector `{}` has no object `{}`", connector.name, side.object);
        let pointer = format!("{}/between/{}", pair.pointer, side.alias);
        report.push(Diagnostic::error("unknown-object", message).at(file, &pointer, "").nearest(&side.object, objects));
    }
    object
}

fn fields(object: &Object, pair: &Pair, place: usize, file: &File, report: &mut Report) {
    for field in &pair.fields {
        let name = &field.names[place];
        let pointer = format!("{}/{}", field.pointer, pair.sides[place].alias);
        let head = name.split(['.', '[']).next().unwrap_or(name);
        if !has_field(object, name) && !has_field(object, head) {
            let message = format!("`{}` has no field `{name}`", object.name);
            let found = Diagnostic::error("unknown-field", message).at(file, &pointer, "");
            report.push(found.nearest(name, field_names(object)));
        }
        // A side that only the other one writes must be writable.
        let written = field.owner.is_none_or(|owner| owner.index() != place);
        if written && object.read_only.iter().any(|known| known == name) {
            let message = format!("`{name}` of `{}` can only be read", object.name);
            let found = Diagnostic::error("read-only", message).at(file, &pointer, "");
            report.push(found.help(format!("say that this side owns it: `owner: {}`", pair.sides[place].alias)));
        }
    }
}

/// An object of an account: the connector, the connection if one is named, the object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    connector: &'a str,
    connection: Option<&'a str>,
    pub(super) object: &'a str,
}

impl Place<'_> {
    /// The same, or possibly the same: a connector may stand for any of its connections.
    pub(super) fn meets(&self, other: &Place<'_>) -> bool {
        let connections = self.connection.zip(other.connection);
        self.connector == other.connector
            && self.object == other.object
            && connections.is_none_or(|(one, other)| one == other)
    }
}

/// Two places between which values are carried, and where that is written.
struct Service<'a> {
    from: Place<'a>,
    to: Place<'a>,
    document: &'a str,
    file: &'a File,
    pointer: String,
}

impl Service<'_> {
    fn is_between(&self, other: &Service<'_>) -> bool {
        (self.from.meets(&other.from) && self.to.meets(&other.to))
            || (self.from.meets(&other.to) && self.to.meets(&other.from))
    }
}

/// A pair of objects is served by workflows or by one sync: two that carry values between the same two objects would
/// answer each other for ever.
pub(super) fn served_once(
    plan: &Plan,
    workflows: &[(&Workflow, &File)],
    syncs: &[(&Arc<Sync>, &File)],
    report: &mut Report,
) {
    let mut served: Vec<Service<'_>> = Vec::new();
    for (sync, file) in syncs {
        for pair in sync.pairs() {
            let [first, second] = &pair.sides;
            let place = |side: &'_ Side| place(plan, sync.uses.get(&side.alias)?, None);
            let (Some(mut from), Some(mut to)) = (place(first), place(second)) else { continue };
            (from.object, to.object) = (&first.object, &second.object);
            let pointer = format!("{}/between", pair.pointer);
            let service = Service { from, to, document: &sync.name, file, pointer };
            match served.iter().find(|other| other.is_between(&service)) {
                Some(other) => report.push(twice(&service, other, "sync")),
                None => served.push(service),
            }
        }
    }
    for (workflow, file) in workflows {
        let sources = sources(plan, workflow);
        for action in workflow.all_actions() {
            let Some(to) = written(plan, workflow, action) else { continue };
            let pointer = action.pointer.clone();
            for from in &sources {
                let service = Service { from: *from, to, document: &workflow.name, file, pointer: pointer.clone() };
                if let Some(other) = served.iter().find(|other| other.is_between(&service)) {
                    report.push(twice(&service, other, "workflow"));
                }
            }
        }
    }
}

fn twice(service: &Service<'_>, other: &Service<'_>, kind: &str) -> Diagnostic {
    let (one, two) = (service.from.object, service.to.object);
    let message = format!("{kind} `{}` and sync `{}` both serve `{one}` and `{two}`", service.document, other.document);
    Diagnostic::error("served-twice", message)
        .at(service.file, &service.pointer, "written here")
        .also(other.file, &other.pointer, "kept alike here")
        .help(format!("leave one of the two out of `active:` in dovetail.yaml, or take this part out of the {kind}"))
}

fn place<'a>(plan: &'a Plan, name: &str, object: Option<&'a str>) -> Option<Place<'a>> {
    let connection = plan.connection(name).map(|connection| connection.name.as_str());
    Some(Place { connector: &connector(plan, name)?.name, connection, object: object.unwrap_or_default() })
}

/// The objects whose records start a workflow.
pub(super) fn sources<'a>(plan: &'a Plan, workflow: &'a Workflow) -> Vec<Place<'a>> {
    let of = |alias: &str, object: &'a str| place(plan, workflow.connector_of(alias)?, Some(object));
    match &workflow.trigger.starts {
        Starts::Event(heard) => heard.iter().filter_map(|event| of(&event.alias, event.object.as_deref()?)).collect(),
        Starts::Poll { alias, operation, .. } => {
            operation.split_once('.').and_then(|(object, _)| of(alias, object)).into_iter().collect()
        }
        Starts::Webhook { .. } | Starts::Schedule { .. } | Starts::Manual { .. } => Vec::new(),
    }
}

/// The object that an action creates, changes or deletes.
pub(super) fn written<'a>(plan: &'a Plan, workflow: &'a Workflow, action: &'a Action) -> Option<Place<'a>> {
    let of = |alias: &str, object: &'a str| place(plan, workflow.connector_of(alias)?, Some(object));
    match &action.kind {
        Kind::Upsert(upsert) => of(&upsert.alias, &upsert.object),
        Kind::Call(call) => {
            let (object, standard) = call.operation.split_once('.')?;
            let writes = ["create", "update", "delete", "archive"].contains(&standard);
            writes.then(|| of(&call.alias, object))?
        }
        _ => None,
    }
}

/// The connector that a name of `uses` leads to.
fn connector<'p>(plan: &'p Plan, name: &str) -> Option<&'p Connector> {
    plan.connector(name).or_else(|| plan.connector_of(name))
}
