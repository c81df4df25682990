//! The schema of sync documents, with what a project offers: aliases, the objects of both sides, and their fields.
//!
//! What an alias stands for is said where it is used: which object it has here decides which fields may stand beside it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::known::Known;
use super::words::{Name, about, any_of, listed, one_of, proposal};
use super::workflow::names;
use crate::connector::{Connector, Object};
use crate::expr::FieldType;

/// The schema of syncs that knows a project.
pub(super) fn schema(known: &Known) -> Value {
    let mut schema = crate::sync::schema();
    schema["properties"]["uses"]["additionalProperties"] = names(known);
    let aliases = known.aliases();
    let between = aliases.iter().map(|(alias, connectors)| (alias.clone(), objects(connectors))).collect::<Value>();
    let rules = rules(known, &aliases);
    for at in ["", "/$defs/Child"] {
        let part = schema.pointer_mut(at).expect("the schema describes syncs and children");
        part["properties"]["between"]["properties"] = between.clone();
        part["allOf"] = rules.clone().into();
    }
    let definitions = schema["$defs"].as_object_mut().expect("the schema has definitions");
    for connector in aliases.values().flatten() {
        for object in connector.objects.iter().filter(|object| known.has_near(connector, object)) {
            definitions.insert(definition(connector, object), field(object));
            definitions.insert(definition(connector, object) + ".fields", fields(object));
        }
    }
    schema
}

/// The objects of which one may stand beside an alias.
fn objects(connectors: &[&Connector]) -> Value {
    let mut names: Vec<Name> = Vec::new();
    for object in connectors.iter().flat_map(|connector| &connector.objects) {
        if !names.iter().any(|known| known.name == object.name) {
            let record = object.name.replace('_', " ");
            names.push(Name { name: object.name.clone(), about: format!("Records that are a {record}.") });
        }
    }
    let owners: Vec<&str> = connectors.iter().map(|connector| connector.name.as_str()).collect();
    let known: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    one_of(&names, &format!("{} has no object of this name; it has {}", listed(&owners), listed(&known)))
}

/// For each object beside an alias: what else may stand beside this alias. One that stands for two connectors has no rules.
fn rules(known: &Known, aliases: &BTreeMap<String, Vec<&Connector>>) -> Vec<Value> {
    let certain = aliases.iter().filter_map(|(alias, connectors)| match connectors.as_slice() {
        [only] => Some((alias, *only)),
        _ => None,
    });
    let of = |(alias, connector): (&String, &Connector)| {
        let rule = |object: &Object| rule(alias, connector, object);
        let near = connector.objects.iter().filter(|object| known.has_near(connector, object));
        near.map(rule).collect::<Vec<_>>()
    };
    certain.flat_map(of).collect()
}

fn rule(alias: &str, connector: &Connector, object: &Object) -> Value {
    let field = json!({ "$ref": format!("#/$defs/{}", definition(connector, object)) });
    let beside = |what: Value| json!({ "properties": { alias: what } });
    let given = json!({ "$ref": format!("#/$defs/{}.fields", definition(connector, object)) });
    let proposed = field_names(object).iter().map(proposal).chain([json!({ "type": "string" })]).collect::<Value>();
    let record = json!({ "description": format!("A field of `{}`.", object.name), "allOf": [field] });
    // No `enum`: editors would list its values as all that are allowed.
    let chosen = json!({ "required": [alias], "properties": { alias: { "const": object.name } } });
    json!({
        "if": { "required": ["between"], "properties": { "between": chosen } },
        "then": { "properties": {
            "fields": { "items": beside(record) },
            "match": { "properties": { "by": { "items": { "anyOf": proposed } }, "none_found": beside(json!({})) } },
            "only_if": beside(json!({})),
            "on_create": beside(given),
            "deletes": beside(json!({})),
        } },
    })
}

fn definition(connector: &Connector, object: &Object) -> String {
    format!("{}.{}", connector.name, object.name)
}

/// The name of a field, or what lies below one; anything where fields may be that nobody described.
fn field(object: &Object) -> Value {
    let mut field = one_of(&field_names(object), &format!("`{}` has no field of this name", object.name));
    match field.get_mut("pattern") {
        Some(pattern) if is_open(object) => *pattern = "".into(),
        Some(Value::String(pattern)) => pattern.push_str(&format!("|{}", below(object))),
        _ => {}
    }
    field
}

/// A map of fields, or what gives one.
fn fields(object: &Object) -> Value {
    let names = field_names(object).into_iter();
    let properties = names.map(|name| (name.name, json!({ "description": name.about }))).collect::<Value>();
    json!({
        "properties": properties,
        "patternProperties": { r"^\$": true, below(object): true },
        "additionalProperties": is_open(object),
    })
}

/// What lies below a field.
fn below(object: &Object) -> String {
    let keyed = object.keyed_lists.iter().map(|list| list.name.clone());
    let heads = field_names(object).into_iter().map(|name| name.name).chain(keyed);
    format!(r"^(?:{})[.\[]", any_of(heads))
}

fn is_open(object: &Object) -> bool {
    !matches!(FieldType::of_schema(&object.schema), FieldType::Map { open: false, .. })
}

fn field_names(object: &Object) -> Vec<Name> {
    let described = object.schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let name = |(name, schema): (&String, &Value)| Name {
        name: name.clone(),
        about: about(schema.get("description").and_then(Value::as_str).unwrap_or_default()),
    };
    described.map(name).collect()
}
