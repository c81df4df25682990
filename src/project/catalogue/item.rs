//! One action or trigger, as the catalog tells it.

use serde::Serialize;
use serde_json::Value;

use super::example;
use crate::connector::{Connector, Object, Operation};
use crate::expr::FieldType;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Action,
    Trigger,
}

#[derive(Debug, Serialize)]
pub struct Item {
    pub kind: Kind,
    /// None: in every project.
    pub connector: Option<String>,
    /// As recipes write it, with the alias.
    pub name: String,
    pub description: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub scope: Option<String>,
    /// How a trigger's event is noticed.
    pub noticed: Option<String>,
    pub inputs: Vec<Input>,
    /// YAML to copy.
    pub example: String,
}

#[derive(Debug, Serialize)]
pub struct Input {
    pub name: String,
    /// Its type, in words.
    pub takes: String,
    pub required: bool,
    pub description: Option<String>,
}

impl Item {
    pub fn new(
        kind: Kind,
        name: impl Into<String>,
        description: impl Into<String>,
        example: impl Into<String>,
    ) -> Item {
        Item {
            kind,
            connector: None,
            name: name.into(),
            description: Some(description.into()).filter(|text| !text.is_empty()),
            method: None,
            path: None,
            scope: None,
            noticed: None,
            inputs: Vec::new(),
            example: example.into(),
        }
    }

    /// Does it hold all these words, in small letters?
    pub fn holds(&self, words: &[String]) -> bool {
        let texts = [&self.connector, &self.description, &self.path, &self.scope, &self.noticed];
        let all = texts
            .into_iter()
            .flatten()
            .fold(self.name.to_lowercase(), |all, text| format!("{all} {}", text.to_lowercase()));
        words.iter().all(|word| all.contains(word.as_str()))
    }
}

/// Everything that a connector offers: actions, then triggers.
pub fn of(connector: &Connector, alias: &str) -> Vec<Item> {
    let mut items: Vec<Item> =
        connector.operations().into_iter().map(|operation| call(connector, operation, alias)).collect();
    items.extend(connector.objects.iter().filter_map(|object| upsert(connector, object, alias)));
    for object in &connector.objects {
        items.extend(events(connector, object, alias));
    }
    let own = connector.webhooks.iter().flat_map(|webhooks| &webhooks.events).filter(|event| event.object.is_none());
    for event in own {
        let name = format!("{alias}.{}", event.name);
        let mut item = Item::new(
            Kind::Trigger,
            &name,
            "The vendor's own event; its data is `$.event.body`.",
            example::event(&name),
        );
        item.noticed = Some(format!("noticed by webhook {}", event.name));
        items.push(item);
    }
    for operation in connector.operations().into_iter().filter(|operation| operation.lists) {
        let what =
            format!("Looks regularly; each record of `{}` that is new or different starts a run.", operation.name);
        let example = example::poll(alias, operation);
        let mut item = Item::new(Kind::Trigger, format!("poll: {alias}.{}", operation.name), what, example);
        item.inputs = inputs(&example::input(operation));
        items.push(item);
    }
    for item in &mut items {
        item.connector = Some(connector.name.clone());
    }
    items
}

fn call(connector: &Connector, operation: &Operation, alias: &str) -> Item {
    let name = format!("{alias}.{}", operation.name);
    let description = operation.description.clone().unwrap_or_default();
    let mut item = Item::new(Kind::Action, &name, description, example::call(&name, operation));
    item.method = Some(operation.method.clone());
    item.path = Some(operation.path.clone());
    item.scope.clone_from(&operation.scope);
    item.inputs = inputs(&example::input(operation));
    let object = operation.object.as_deref().and_then(|object| connector.object(object));
    describe(&mut item.inputs, object);
    item
}

/// `upsert` of an object whose records can be recognised.
fn upsert(connector: &Connector, object: &Object, alias: &str) -> Option<Item> {
    let create = connector.operation(&format!("{}.create", object.name))?;
    if object.identity.is_empty() || !connector.lacks_for_upsert(object, true).is_empty() {
        return None;
    }
    let name = format!("{alias}.{}", object.name);
    let by = object.identity.join(", else by ");
    let what = format!("Creates the {}, or changes what differs if it is there: found by {by}.", object.name);
    let mut item =
        Item::new(Kind::Action, format!("upsert: {name}"), what, example::upsert(&name, object, &create.input));
    item.inputs = inputs(&create.input);
    describe(&mut item.inputs, Some(object));
    Some(item)
}

/// The events of an object, by the ways in which its changes are noticed.
fn events(connector: &Connector, object: &Object, alias: &str) -> Vec<Item> {
    let hooks = connector.webhooks.iter().flat_map(|webhooks| &webhooks.events);
    let hooks: Vec<_> = hooks.filter(|event| event.object.as_deref() == Some(object.name.as_str())).collect();
    let noticed = |kinds: &[&str]| -> Option<String> {
        let names = hooks.iter().filter(|event| event.change.as_deref().is_some_and(|change| kinds.contains(&change)));
        let names: Vec<&str> = names.map(|event| event.name.as_str()).collect();
        let mut ways = Vec::new();
        if !names.is_empty() {
            ways.push(format!("webhook {}", names.join(", ")));
        }
        if let Some(poll) = object.changes.poll.as_ref().filter(|_| !kinds.contains(&"deleted")) {
            ways.push(format!("a look every {}", every(poll.every.as_secs())));
        }
        (!ways.is_empty()).then(|| format!("noticed by {}", ways.join(", and by ")))
    };
    let all: [(&str, &[&str], &str); 4] = [
        ("changed", &["created", "updated"], "created or changed"),
        ("created", &["created"], "created"),
        ("updated", &["updated"], "changed"),
        ("deleted", &["deleted"], "deleted; the record is its last known copy"),
    ];
    let item = |(word, kinds, words): (&str, &[&str], &str)| {
        let noticed = noticed(kinds)?;
        let name = format!("{alias}.{}.{word}", object.name);
        let record = object.name.replace('_', " ");
        let mut item = Item::new(Kind::Trigger, &name, format!("A {record} is {words}."), example::event(&name));
        item.noticed = Some(noticed);
        Some(item)
    };
    all.into_iter().filter_map(item).collect()
}

/// An input that does not say what it is is told as its object's field is.
fn describe(inputs: &mut [Input], object: Option<&Object>) {
    let field = |name: &str| object?.schema.get("properties")?.get(name)?.get("description")?.as_str();
    for input in inputs.iter_mut().filter(|input| input.description.is_none()) {
        input.description = field(&input.name).map(Into::into);
    }
}

fn every(seconds: u64) -> String {
    match seconds {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The fields that a schema lists, required ones first.
pub fn inputs(schema: &Value) -> Vec<Input> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut inputs: Vec<Input> = properties
        .filter(|(_, property)| property.get("readOnly") != Some(&Value::Bool(true)))
        .map(|(name, property)| Input {
            name: name.clone(),
            takes: FieldType::of_schema(property).describe(),
            required: required.contains(&name.as_str()),
            description: property.get("description").and_then(Value::as_str).map(Into::into),
        })
        .collect();
    inputs.sort_by_key(|input| !input.required);
    inputs
}
