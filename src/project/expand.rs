//! A document with everything written out that it leaves to us: what it really means.
//!
//! The result is a document of the same kind that means the same; written out once more, it stays as it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Loaded, Plan, Text};
use crate::connector;
use crate::expr::duration_text;
use crate::source::File;
use crate::workflow::action::{ForEach, Kind, Over};
use crate::workflow::{Action, Retry, Starts, Trigger, Workflow};

/// The longest that a request may take where an action says nothing.
const TIMEOUT: &str = "30s";

/// A workflow or a connector of a project without errors; None if there is none of that name.
pub fn expand(loaded: &Loaded, plan: &Plan, name: &str) -> Option<Value> {
    if let Some(workflow) = plan.workflow(name) {
        let file = loaded.files.iter().find(|file| file.path == workflow.place.path)?;
        return Some(of_workflow(plan, workflow, file));
    }
    written(loaded, plan, name)
}

/// What one file of a connector says, by itself.
pub fn alone(text: &Text) -> Option<Value> {
    let file = File::read(&text.path, &text.text).ok()?;
    connector::merged(&[&file])
}

/// What the files of a connector say together, its override included.
pub fn written(loaded: &Loaded, plan: &Plan, name: &str) -> Option<Value> {
    let is_used = |file: &&File| {
        let path = file.path.strip_suffix(connector::IMPORTED).unwrap_or(&file.path);
        plan.documents.iter().any(|text| text.path == path)
    };
    let is_named = |file: &&File| file.value.get("connector").and_then(Value::as_str) == Some(name);
    let files: Vec<&File> = loaded.files.iter().filter(is_used).filter(is_named).collect();
    let mut merged = connector::merged(&files)?;
    // It is written out.
    merged.as_object_mut().map(|map| map.shift_remove("import"));
    Some(merged)
}

/// What can be written out: workflows, then connectors, those that come with the program among them.
pub fn names<'p>(plan: &'p Plan, shipped: impl Iterator<Item = &'static str>) -> Vec<&'p str> {
    let workflows = plan.workflows.iter().map(|workflow| workflow.name.as_str());
    let connectors =
        plan.connectors.iter().map(|connector| connector.name.as_str()).chain(shipped.map(|name| -> &'p str { name }));
    workflows.chain(connectors.collect::<BTreeSet<_>>()).collect()
}

fn of_workflow(plan: &Plan, workflow: &Workflow, file: &File) -> Value {
    let mut value = file.value.clone();
    if let Some(trigger) = value.get_mut("trigger").and_then(Value::as_object_mut) {
        of_trigger(plan, &workflow.trigger, trigger);
    }
    for action in workflow.all_actions() {
        if let Some(map) = value.pointer_mut(&action.pointer).and_then(Value::as_object_mut) {
            of_action(plan, workflow, action, map);
        }
    }
    value
}

fn of_trigger(plan: &Plan, trigger: &Trigger, map: &mut Map<String, Value>) {
    match &trigger.starts {
        Starts::Event(heard) => {
            let full = heard.iter().flat_map(|event| {
                let object = event.object.as_ref().map(|object| format!("{object}.")).unwrap_or_default();
                event.kinds.iter().map(move |kind| format!("{}.{object}{kind}", event.alias))
            });
            let full: Vec<String> = full.collect();
            map["event"] = match full.as_slice() {
                [one] => json!(one),
                all => json!(all),
            };
            if let (None, Some(object)) = (&trigger.name, heard.first().and_then(|event| event.object.as_ref())) {
                map.insert("as".into(), json!(object));
            }
        }
        Starts::Schedule { timezone, missed, .. } => {
            let zone = timezone.map_or_else(|| plan.locale.timezone.name().to_string(), |zone| zone.name().to_string());
            map.insert("timezone".into(), json!(zone));
            map.insert("missed".into(), json!(missed));
        }
        Starts::Webhook { .. } | Starts::Poll { .. } | Starts::Manual { .. } => {}
    }
}

fn of_action(plan: &Plan, workflow: &Workflow, action: &Action, map: &mut Map<String, Value>) {
    let sends = match &action.kind {
        Kind::Call(_) => true,
        Kind::Upsert(upsert) => {
            let name = workflow.connector_of(&upsert.alias);
            let connector = name.and_then(|name| plan.connector(name).or_else(|| plan.connector_of(name)));
            let identity =
                connector.and_then(|connector| connector.object(&upsert.object)).map(|object| &object.identity);
            if let Some(fields) = upsert.fields.as_ref().or(identity).filter(|fields| !fields.is_empty()) {
                map.insert("match".into(), json!(fields));
            }
            true
        }
        Kind::ForEach(ForEach { over, name, at_once, .. }) => {
            map.insert("as".into(), json!(name));
            map.insert("at_once".into(), json!(at_once));
            matches!(over, Over::Operation { .. })
        }
        _ => false,
    };
    if sends {
        map.insert("retry".into(), of_retry(&action.retry.clone().unwrap_or_default()));
        map.entry("timeout").or_insert(TIMEOUT.into());
    }
}

fn of_retry(retry: &Retry) -> Value {
    let mut map = Map::new();
    map.extend(retry.times.map(|times| ("times".into(), json!(times))));
    map.extend(retry.lasting.map(|lasting| ("for".into(), json!(duration_text(lasting)))));
    let pauses = format!("{}..{}", duration_text(retry.wait_min), duration_text(retry.wait_max));
    map.insert("wait".into(), json!(pauses));
    map.insert("errors".into(), json!(retry.errors));
    Value::Object(map)
}
