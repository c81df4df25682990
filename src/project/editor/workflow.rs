//! The schema of workflows, with what a project offers: operations, objects, events, and the fields of each.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields;
use super::known::{Known, Runnable};
use super::words::{Name, about, any_of, escaped, listed, one_of, proposal};
use crate::connector::{Connector, Object, Operation};
use crate::workflow;
use crate::workflow::action::PROJECT;

/// The schema of workflows that knows a project.
pub(super) fn schema(known: &Known) -> Value {
    let mut schema = workflow::schema();
    let offer = Offer { known, aliases: known.aliases() };
    offer.calls(&mut schema);
    offer.upserts(&mut schema);
    offer.lists(&mut schema, "Action", "for_each");
    offer.lists(&mut schema, "Trigger", "poll");
    offer.events(&mut schema);
    runs(known, &mut schema);
    own_events(known, &mut schema);
    offer.waits(&mut schema);
    schema["properties"]["uses"]["additionalProperties"] = names(known);
    let definitions = fields::definitions().into_iter().chain(offer.fields());
    schema["$defs"].as_object_mut().expect("the schema has definitions").extend(definitions);
    schema
}

/// What `run` may name, and what each of these takes.
fn runs(known: &Known, schema: &mut Value) {
    let name = |one: &Runnable| Name {
        name: one.name.clone(),
        about: about(one.description.as_deref().unwrap_or("A workflow that begins by hand.")),
    };
    let names: Vec<Name> = known.runnable.iter().map(name).collect();
    let rule = |one: &Runnable| {
        let mut then = json!({ "properties": { "with": fields::inputs(&one.inputs) } });
        if !fields::required_inputs(&one.inputs).is_empty() {
            then["required"] = json!(["with"]);
            then["properties"]["with"]["required"] = json!(fields::required_inputs(&one.inputs));
        }
        json!({ "if": { "properties": { "run": { "const": one.name } } }, "then": then })
    };
    let run = verb(schema, "Action", "run");
    if !known.runnable.is_empty() {
        run["allOf"] = known.runnable.iter().map(rule).collect();
    }
    let described = run["properties"]["run"]["description"].clone();
    run["properties"]["run"] = one_of(&names, "no workflow with a `manual` trigger has this name");
    run["properties"]["run"]["description"] = described;
}

/// Events that the project's workflows make, beside those of connectors. Others are not refused: an action that makes one
/// may be written next.
fn own_events(known: &Known, schema: &mut Value) {
    let proposals = schema["$defs"]["event"]["anyOf"].as_array_mut().expect("events are proposed");
    for name in &known.emitted {
        let about = "An event of this project; what it tells is `$.event.body`.".to_string();
        proposals.insert(0, proposal(&Name { name: format!("{PROJECT}.{name}"), about }));
    }
}

/// What `uses` may name.
pub(super) fn names(known: &Known) -> Value {
    let connector = |connector: &Connector| Name {
        name: connector.name.clone(),
        about: about(connector.description.as_deref().unwrap_or("A connector.")),
    };
    let connection = |(name, connector): &(String, String)| Name {
        name: name.clone(),
        about: format!("The connection of that name, and no other of `{connector}`."),
    };
    let names: Vec<Name> =
        known.connectors.iter().map(connector).chain(known.connections.iter().map(connection)).collect();
    one_of(&names, "no connector or connection has this name")
}

/// What can be said with which alias.
struct Offer<'k> {
    known: &'k Known,
    aliases: BTreeMap<String, Vec<&'k Connector>>,
}

impl<'k> Offer<'k> {
    fn calls(&self, schema: &mut Value) {
        let offered = |connector: &Connector| {
            connector.operations().into_iter().map(|operation| operation_name(self.known, operation)).collect()
        };
        let rules = self.with_of_operations("call", |_| true);
        let call = verb(schema, "Action", "call");
        self.offer(&mut call["properties"]["call"], "operation", offered);
        call["allOf"] = rules.into();
    }

    /// A verb that takes list operations.
    fn lists(&self, schema: &mut Value, of: &str, key: &str) {
        let lists = |operation: &Operation| operation.lists;
        let offered = |connector: &Connector| {
            let of = connector.operations().into_iter().filter(|operation| lists(operation));
            of.map(|operation| operation_name(self.known, operation)).collect()
        };
        let rules = self.with_of_operations(key, lists);
        let document = verb(schema, of, key);
        self.offer(&mut document["properties"][key], "list operation", offered);
        document["allOf"] = rules.into();
    }

    fn upserts(&self, schema: &mut Value) {
        let offered = |connector: &Connector| {
            let objects = connector.objects.iter().filter(|object| can_be_upserted(connector, object));
            objects.map(|object| Name { name: object.name.clone(), about: upsert_words(object) }).collect()
        };
        let rules = self.rules("upsert", |connector| {
            let near = |object: &&Object| can_be_upserted(connector, object) && self.known.has_near(connector, object);
            let objects = connector.objects.iter().filter(near);
            objects.map(|object| (vec![object.name.clone()], upsert_rule(self.known, connector, object))).collect()
        });
        let upsert = verb(schema, "Action", "upsert");
        self.offer(&mut upsert["properties"]["upsert"], "object to upsert", offered);
        upsert["allOf"] = rules.into();
    }

    fn events(&self, schema: &mut Value) {
        let mut one = json!({ "description": "`alias.object.changed`, or one of the vendor's own events." });
        self.offer(&mut one, "event", events_of);
        let rules: Vec<Value> = self
            .rules("event", |connector| {
                let noticed = connector.objects.iter().filter(|object| is_noticed(object));
                let rule = |object: &Object| {
                    let references = object.parent.iter().chain(&object.references);
                    let name = |reference: &crate::connector::Reference| Name {
                        name: reference.name.clone(),
                        about: format!("The `{}` that it belongs to.", reference.object),
                    };
                    let references: Vec<Name> = references.map(name).collect();
                    let otherwise = format!("`{}` has no reference of this name", object.name);
                    let names = KINDS.iter().map(|(kind, _)| format!("{}.{kind}", object.name)).collect();
                    (names, json!({ "properties": { "include": { "items": one_of(&references, &otherwise) } } }))
                };
                noticed.map(rule).collect()
            })
            .into_iter()
            .map(also_in_a_list)
            .collect();
        schema["$defs"]["event"] = one;
        let event = verb(schema, "Trigger", "event");
        let described = event["properties"]["event"]["description"].clone();
        let reference = json!({ "$ref": "#/$defs/event" });
        event["properties"]["event"] =
            json!({ "description": described, "anyOf": [reference, { "type": "array", "items": reference }] });
        event["allOf"] = rules.into();
    }

    /// What `wait` may name, and the fields that it may compare.
    fn waits(&self, schema: &mut Value) {
        let rules = self.rules("event", |connector| {
            let near = |object: &&Object| is_noticed(object) && self.known.has_near(connector, object);
            let noticed = connector.objects.iter().filter(near);
            let rule = |object: &Object| {
                let names = KINDS.iter().map(|(kind, _)| format!("{}.{kind}", object.name)).collect();
                (names, json!({ "properties": { "match": fields::compared(object) } }))
            };
            noticed.map(rule).collect()
        });
        let wait = &mut schema["$defs"]["WaitDocument"];
        let described = wait["properties"]["event"]["description"].clone();
        wait["properties"]["event"] = json!({ "description": described, "anyOf": [{ "$ref": "#/$defs/event" }] });
        wait["allOf"] = rules.into();
    }

    /// Says of a value what may stand there: proposals, and for each alias that is known what else is refused.
    fn offer(&self, value: &mut Value, what: &str, offered: impl Fn(&Connector) -> Vec<Name>) {
        let mut proposals = Vec::new();
        let mut rules = Vec::new();
        for (alias, connectors) in &self.aliases {
            let mut names: Vec<Name> = Vec::new();
            for name in connectors.iter().flat_map(|connector| offered(connector)) {
                if !names.iter().any(|known| known.name == name.name) {
                    names.push(name);
                }
            }
            let full = |name: &Name| Name { name: format!("{alias}.{}", name.name), about: name.about.clone() };
            proposals.extend(names.iter().map(|name| proposal(&full(name))));
            let owners: Vec<&str> = connectors.iter().map(|connector| connector.name.as_str()).collect();
            rules.extend(refusals(alias, &listed(&owners), what, &names));
        }
        // Whatever else there is passes here: an alias that is new, or a path of `for_each`.
        proposals.push(json!({}));
        value["anyOf"] = proposals.into();
        value["allOf"] = rules.into();
    }

    fn with_of_operations(&self, key: &str, which: impl Fn(&Operation) -> bool) -> Vec<Value> {
        self.rules(key, |connector| {
            let with = |operation: &&Operation| {
                let mut rule = json!({ "properties": { "with": with(connector, operation)? } });
                if fields::required(operation).next().is_some() {
                    rule["required"] = json!(["with"]);
                }
                Some((vec![operation.name.clone()], rule))
            };
            let near = |operation: &&&Operation| which(operation) && self.known.is_near(operation);
            connector.operations().iter().filter(near).filter_map(with).collect()
        })
    }

    /// What else holds for an action when its key has one of certain values. `made` gives these without their alias; an
    /// alias that stands for two connectors has no rules.
    fn rules(&self, key: &str, made: impl Fn(&'k Connector) -> Vec<(Vec<String>, Value)>) -> Vec<Value> {
        let mut connectors: Vec<&'k Connector> = Vec::new();
        for connector in self.aliases.values().flatten() {
            if !connectors.iter().any(|known| std::ptr::eq(*known, *connector)) {
                connectors.push(connector);
            }
        }
        connectors.sort_by(|one, other| one.name.cmp(&other.name));
        let mut rules = Vec::new();
        for connector in connectors {
            let certain = self
                .aliases
                .iter()
                .filter(|(_, all)| matches!(all.as_slice(), [only] if std::ptr::eq(*only, connector)));
            let certain: Vec<&String> = certain.map(|(alias, _)| alias).collect();
            for (names, then) in made(connector).into_iter().filter(|_| !certain.is_empty()) {
                // No `enum`: editors would list its values as all that are allowed.
                let full = format!(r"^(?:{})\.(?:{})$", any_of(certain.iter()), any_of(names.iter()));
                let fits = json!({ "type": "string", "pattern": full });
                rules.push(json!({ "if": { "required": [key], "properties": { key: fits } }, "then": then }));
            }
        }
        rules
    }

    /// The definitions of what operations take.
    fn fields(&self) -> Map<String, Value> {
        let mut all = Map::new();
        for connector in self.aliases.values().flatten() {
            for operation in connector.operations().into_iter().filter(|operation| self.known.is_near(operation)) {
                let name = format!("{}.{}", connector.name, operation.name);
                if let Some(with) = fields::with(connector, operation).filter(|_| !all.contains_key(&name)) {
                    all.insert(name, with);
                }
            }
        }
        all
    }
}

/// The kinds of an object's events, each with what it means.
const KINDS: [(&str, &str); 4] = [
    ("changed", "is created or changed"),
    ("created", "is created"),
    ("updated", "is changed"),
    ("deleted", "is deleted; the record is its last known copy"),
];

fn is_noticed(object: &Object) -> bool {
    !object.changes.webhook.is_empty() || object.changes.feeds().next().is_some()
}

fn events_of(connector: &Connector) -> Vec<Name> {
    let of_object = |object: &Object| {
        let record = object.name.replace('_', " ");
        KINDS.map(|(kind, words)| Name {
            name: format!("{}.{kind}", object.name),
            about: format!("A {record} {words}."),
        })
    };
    let objects = connector.objects.iter().filter(|object| is_noticed(object)).flat_map(of_object);
    let own = connector.webhooks.iter().flat_map(|webhooks| &webhooks.events);
    let own = own.map(|event| Name {
        name: event.name.clone(),
        about: "The vendor's own event; its data is `$.event.body`.".into(),
    });
    objects.chain(own).collect()
}

/// An event may stand alone or in a list.
fn also_in_a_list(mut rule: Value) -> Value {
    let one = rule["if"]["properties"]["event"].take();
    rule["if"]["properties"]["event"] = json!({ "anyOf": [one, { "type": "array", "contains": one }] });
    rule
}

fn operation_name(known: &Known, operation: &Operation) -> Name {
    if !known.is_near(operation) {
        return Name { name: operation.name.clone(), about: String::new() };
    }
    let scope = operation.scope.as_ref().map_or(String::new(), |scope| format!(", scope `{scope}`"));
    let request = format!("`{} {}`{scope}", operation.method, operation.path);
    let about = match &operation.description {
        Some(description) => about(&format!("{description} {request}")),
        None => about(&request),
    };
    Name { name: operation.name.clone(), about }
}

fn can_be_upserted(connector: &Connector, object: &Object) -> bool {
    connector.lacks_for_upsert(object, false).is_empty()
}

fn upsert_words(object: &Object) -> String {
    let record = object.name.replace('_', " ");
    match object.identity.as_slice() {
        [] => format!("Creates the {record}, or changes what differs if there is one."),
        identity => format!("Creates the {record}, or changes what differs: found by {}.", identity.join(", else by ")),
    }
}

fn upsert_rule(known: &Known, connector: &Connector, object: &Object) -> Value {
    let mut rule = json!({ "properties": {} });
    let create = connector.operation(&format!("{}.create", object.name)).filter(|create| known.is_near(create));
    if let Some(with) = create.and_then(|create| with(connector, create)) {
        rule["properties"]["with"] = with;
    }
    if let Some(fields) = object.schema.get("properties").and_then(Value::as_object) {
        let name = |(name, schema): (&String, &Value)| Name {
            name: name.clone(),
            about: about(schema.get("description").and_then(Value::as_str).unwrap_or_default()),
        };
        let names: Vec<Name> = fields.iter().map(name).collect();
        let mut field = one_of(&names, &format!("`{}` has no field of this name", object.name));
        let lists: String = object.keyed_lists.iter().map(|list| format!(r"|^{}\.", escaped(&list.name))).collect();
        if let Some(Value::String(pattern)) = field.get_mut("pattern") {
            pattern.push_str(&lists);
        }
        rule["properties"]["match"] = json!({ "items": field });
    }
    rule
}

/// What `with` is for an operation; None if anything may stand there.
fn with(connector: &Connector, operation: &Operation) -> Option<Value> {
    fields::with(connector, operation)?;
    Some(json!({ "$ref": format!("#/$defs/{}.{}", connector.name, operation.name) }))
}

/// What is refused behind an alias: names of nothing, told in two steps, so that the answer is short.
fn refusals(alias: &str, connector: &str, what: &str, names: &[Name]) -> Vec<Value> {
    let mut objects: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut alone: Vec<&str> = Vec::new();
    for name in names {
        match name.name.split_once('.') {
            Some((object, rest)) => objects.entry(object).or_default().push(rest),
            None => alone.push(&name.name),
        }
    }
    let alias = escaped(alias);
    let refusal = |before: String, after: String, message: String| {
        json!({
            "if": { "type": "string", "pattern": format!("^{before}") },
            "then": { "pattern": format!("^{before}(?:{after})"), "patternErrorMessage": message },
        })
    };
    let first: Vec<String> = objects
        .keys()
        .map(|object| format!(r"{}\.", escaped(object)))
        .chain(alone.iter().map(|name| format!("{}$", escaped(name))))
        // A connector may have none at all.
        .chain(names.is_empty().then(|| "$".to_string()))
        .collect();
    let known: Vec<&str> = objects.keys().chain(&alone).copied().collect();
    let message = match known.as_slice() {
        [] => format!("{connector} has no {what}"),
        known => format!("{connector} has no {what} of this name; it has {}", listed(known)),
    };
    let mut rules = vec![refusal(format!(r"{alias}\."), first.join("|"), message)];
    for (object, rest) in &objects {
        let message = format!("{connector} has no {what} of this name; `{object}` has {}", listed(rest));
        rules.push(refusal(
            format!(r"{alias}\.{}\.", escaped(object)),
            format!("(?:{})$", any_of(rest.iter())),
            message,
        ));
    }
    rules
}

/// The part of the schema that describes what goes with a verb of an action or a trigger.
fn verb<'s>(schema: &'s mut Value, of: &str, verb: &str) -> &'s mut Value {
    let at = schema["$defs"][of]["x-verbs"][verb]["$ref"].as_str().unwrap_or_default();
    let at = at.trim_start_matches('#').to_string();
    schema.pointer_mut(&at).expect("the schema describes each of its verbs")
}
