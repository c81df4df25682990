//! What an operation's `with` may hold, for an editor: the checker's own rule, said as JSON Schema.
//!
//! A field takes what converts to its type, and besides everything that only gives a value when the workflow runs: a
//! path, a template, an instruction. Where the two cannot be told apart, nothing is marked: `dovetail check` decides.

use serde_json::{Map, Value, json};

use super::words::{about, any_of};
use crate::connector::{Connector, Object, Operation};
use crate::expr::FieldType;

/// How deep fields within fields are described; below, anything may stand.
const DEPTH_MAX: usize = 4;

/// A map with one of these keys is made when the workflow runs.
const INSTRUCTION_KEY: &str = r"^\$[^$]";

/// The definitions to which all fields refer.
pub(super) fn definitions() -> Map<String, Value> {
    let reads = json!({ "$ref": "#/$defs/reads" });
    let one = |title: &str, own: &Value| json!({ "title": title, "anyOf": [own, reads] });
    let written = |title: &str, own: &str, pattern: &str| json!({ "title": title, "anyOf": [{ "type": own }, { "type": "string", "pattern": pattern }, reads] });
    let all = json!({
        "reads": {
            "title": "a value that is read",
            "anyOf": [
                { "type": "null", "description": "Clears the field." },
                { "type": "string", "pattern": r"^\$(\.|\[|$)|\{\{", "description": "A path (`$.contact.email`) or a template." },
                { "$ref": "#/$defs/instruction" },
            ],
        },
        "instruction": {
            "title": "an instruction",
            "type": "object",
            "minProperties": 1,
            "propertyNames": { "pattern": r"^\$" },
            "properties": {
                "$from": { "description": "The value to begin with." },
                "$first": { "description": "A list: the first value that is present." },
                "$each": { "description": "A list; `$to` is made for each of its items." },
                "$to": { "description": "With `$each`: what is made for each `$.item`." },
                "$literal": { "description": "Left as it stands." },
                "$as": { "description": "A conversion: `lowercase`, `e164`, `date` …" },
                "$map": { "description": "What stands for which value: `{ Lead: prospect }`.", "type": "object" },
                "$add": { "description": "What is added: a duration (`2d`) or a number." },
                "$otherwise": { "description": "Taken when there is no value." },
            },
        },
        "text": one("text", &json!({ "type": ["string", "number", "boolean"] })),
        "time": one("a time", &json!({ "type": "string" })),
        "integer": written("a whole number", "integer", r"^\s*-?[0-9]+(\.0+)?\s*$"),
        "number": written("a number", "number", r"^\s*-?[0-9]+(\.[0-9]+)?\s*$"),
        "boolean": written("true or false", "boolean", r"^\s*(true|false)\s*$"),
    });
    all.as_object().cloned().unwrap_or_default()
}

/// What `with` may hold for an operation; None if that is not known, so that anything may stand there.
pub(super) fn with(connector: &Connector, operation: &Operation) -> Option<Value> {
    let FieldType::Map { open, .. } = *operation.takes() else { return None };
    let object = operation.object.as_deref().and_then(|name| connector.object(name));
    let field_of_object = |name: &str| object?.schema.get("properties")?.get(name)?.get("description")?.as_str();
    let mut properties = Map::new();
    for (name, schema) in operation.input.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let described = schema.get("description").and_then(Value::as_str).or_else(|| field_of_object(name));
        properties.insert(name.clone(), field(schema, described, DEPTH_MAX));
    }
    for list in object.iter().flat_map(|object| &object.keyed_lists) {
        properties.entry(list.name.clone()).or_insert_with(|| json!({ "type": ["object", "string", "null"] }));
    }
    let heads = any_of(properties.keys());
    for name in object.iter().flat_map(|object| &object.read_only) {
        // It cannot be written, also where fields that nobody described may be.
        properties.entry(name.clone()).or_insert(Value::Bool(false));
    }
    let mut schema = map(properties, open);
    if !heads.is_empty() {
        schema["patternProperties"][format!(r"^(?:{heads})[.\[]")] = true.into();
    }
    let required: Vec<&str> = required(operation).collect();
    if !required.is_empty() {
        schema["if"] = json!({ "type": "object", "propertyNames": { "not": { "pattern": INSTRUCTION_KEY } } });
        // A map can also be given field by field: `address.city`.
        let whole = |name: &&&str| {
            !matches!(FieldType::of_schema(&operation.input["properties"][**name]), FieldType::Map { .. })
        };
        schema["then"] = json!({ "required": required.iter().filter(whole).collect::<Vec<_>>() });
    }
    Some(schema)
}

/// What `match` may hold for a wait for an event of an object's record.
pub(super) fn compared(object: &Object) -> Value {
    let known = object.schema.get("properties").and_then(Value::as_object);
    let Some(known) = known else { return json!({}) };
    let described = |schema: &Value| schema.get("description").and_then(Value::as_str).map(String::from);
    let properties: Map<String, Value> =
        known.iter().map(|(name, schema)| (name.clone(), field(schema, described(schema).as_deref(), 0))).collect();
    let heads = any_of(properties.keys());
    let open = object.schema.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false));
    let mut schema = map(properties, open);
    schema["patternProperties"][format!(r"^(?:{heads})[.\[]")] = true.into();
    schema
}

/// What `with` may hold for a workflow that is run; `inputs` are as its trigger writes them.
pub(super) fn inputs(inputs: &Value) -> Value {
    let wanted = inputs.as_object().into_iter().flatten();
    let described = |schema: &Value| {
        let texts = ["title", "description"].iter().filter_map(|key| schema.get(*key)?.as_str());
        texts.map(|text| format!("{text}.")).collect::<Vec<_>>().join(" ")
    };
    let properties = wanted.map(|(name, schema)| (name.clone(), field(schema, Some(&described(schema)), DEPTH_MAX)));
    map(properties.collect(), false)
}

/// The inputs that must be given.
pub(super) fn required_inputs(inputs: &Value) -> Vec<&str> {
    let wanted = inputs.as_object().into_iter().flatten();
    wanted.filter(|(_, schema)| schema.get("default").is_none()).map(|(name, _)| name.as_str()).collect()
}

/// The fields that must be given.
pub(super) fn required(operation: &Operation) -> impl Iterator<Item = &str> {
    operation.input.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What a field takes.
fn field(schema: &Value, described: Option<&str>, depth: usize) -> Value {
    let kind = FieldType::of_schema(schema);
    let mut field = loosened(schema, &kind, depth);
    let described = described.map(|text| format!("{text} ")).unwrap_or_default();
    field["description"] = about(&format!("{described}Takes {}.", kind.describe())).into();
    field
}

fn loosened(schema: &Value, kind: &FieldType, depth: usize) -> Value {
    let reads = json!({ "$ref": "#/$defs/reads" });
    match kind {
        FieldType::Any => json!({}),
        FieldType::Text => json!({ "$ref": "#/$defs/text" }),
        FieldType::Integer => json!({ "$ref": "#/$defs/integer" }),
        FieldType::Number => json!({ "$ref": "#/$defs/number" }),
        FieldType::Boolean => json!({ "$ref": "#/$defs/boolean" }),
        FieldType::DateTime | FieldType::Date => json!({ "$ref": "#/$defs/time" }),
        FieldType::OneOf(values) => json!({ "anyOf": [{ "enum": as_written(values) }, reads] }),
        FieldType::List(items) => {
            let item = schema.get("items").filter(|_| depth > 0);
            let items = item.map_or_else(|| json!({}), |item| loosened(item, items, depth.saturating_sub(1)));
            json!({ "anyOf": [{ "type": "array", "items": items }, reads] })
        }
        FieldType::Map { open, .. } => {
            let inside = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
            let below = |(name, schema): (&String, &Value)| {
                let described = schema.get("description").and_then(Value::as_str);
                (name.clone(), field(schema, described, depth - 1))
            };
            if depth == 0 { json!({}) } else { map(inside.map(below).collect(), *open) }
        }
    }
}

/// A map of these fields, or what gives one.
fn map(properties: Map<String, Value>, open: bool) -> Value {
    json!({
        "type": ["object", "string", "null"],
        "properties": properties,
        "patternProperties": { r"^\$": true },
        "additionalProperties": open,
    })
}

/// The values of a choice, each also as the text or the number that converts to it.
fn as_written(values: &[Value]) -> Vec<Value> {
    let mut all = values.to_vec();
    for value in values {
        let other = match value {
            Value::String(text) => {
                serde_json::from_str(text).ok().filter(|value: &Value| value.is_number() || value.is_boolean())
            }
            other => Some(Value::from(other.to_string())),
        };
        all.extend(other.filter(|other| !values.contains(other)));
    }
    all
}
