//! JSON Schemas in a connector's file: of the settings, of records, of inputs.

use serde_json::{Map, Value, json};

use super::reader::Reader;
use crate::connector::written::{Named, SettingWritten};
use crate::expr::schema_faults;
use crate::source::{File, TEXT_BYTES_MAX, VALUES_MAX};

/// Where a connector may name a file with a schema; `*` is any key.
const NAMING: [&str; 6] = [
    "objects/*/schema",
    "objects/*/operations/*/input",
    "objects/*/operations/*/output",
    "operations/*/input",
    "operations/*/output",
    "webhooks/events/*/schema",
];

/// The paths of the JSON files with schemas that a connector's file names and that lie in the same project.
pub fn schema_files(file: &File) -> Vec<String> {
    let mut names = Vec::new();
    for place in NAMING {
        named(&file.value, &place.split('/').collect::<Vec<_>>(), &mut names);
    }
    names.into_iter().filter_map(|name| beside(&file.path, name)).filter(|path| is_json(path)).collect()
}

fn named<'v>(value: &'v Value, steps: &[&str], names: &mut Vec<&'v str>) {
    match (steps, value) {
        ([], Value::String(name)) => names.push(name),
        (["*", rest @ ..], Value::Object(map)) => map.values().for_each(|part| named(part, rest, names)),
        ([key, rest @ ..], Value::Object(map)) => map.get(*key).into_iter().for_each(|part| named(part, rest, names)),
        _ => {}
    }
}

fn is_json(path: &str) -> bool {
    path.ends_with(".json")
}

/// `connection:` as a schema of a map.
pub(super) fn settings(written: &Named<SettingWritten>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, one) in written.iter() {
        if !one.optional && one.default.is_none() {
            required.push(Value::from(name));
        }
        properties.insert(name.to_owned(), setting(one));
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

pub(super) fn setting(setting: &SettingWritten) -> Value {
    let mut schema = Map::new();
    schema.insert("type".into(), Value::from(setting.r#type.as_deref().unwrap_or("string")));
    let parts = [
        ("title", setting.title.clone().map(Value::from)),
        ("description", setting.description.clone().map(Value::from)),
        ("default", setting.default.clone()),
        ("format", setting.format.clone().map(Value::from)),
        ("pattern", setting.pattern.clone().map(Value::from)),
        ("enum", setting.r#enum.clone().map(Value::from)),
        ("examples", setting.examples.clone().map(Value::from)),
        ("properties", setting.properties.clone()),
        ("additionalProperties", setting.additional_properties.clone()),
        ("items", setting.items.clone()),
    ];
    schema.extend(parts.into_iter().filter_map(|(key, part)| Some((key.to_owned(), part?))));
    Value::Object(schema)
}

/// A schema as written: a map, or the path of a file beside the one that names it.
///
/// A map that lists its fields has those and no others unless `additionalProperties` says so: an author's slip is to be
/// found, and vendors add fields to their answers without harm.
pub(super) fn schema(reader: &mut Reader<'_>, pointer: &str, written: Option<&Value>) -> Value {
    let mut schema = as_written(reader, pointer, written);
    close(&mut schema);
    schema
}

fn close(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if map.contains_key("properties") && !map.contains_key("additionalProperties") {
        map.insert("additionalProperties".into(), Value::Bool(false));
    }
    for (key, part) in map.iter_mut() {
        match (key.as_str(), part) {
            ("properties" | "$defs" | "patternProperties", Value::Object(parts)) => parts.values_mut().for_each(close),
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => parts.iter_mut().for_each(close),
            ("items" | "additionalProperties", part) => close(part),
            _ => {}
        }
    }
}

fn as_written(reader: &mut Reader<'_>, pointer: &str, written: Option<&Value>) -> Value {
    match written {
        None | Some(Value::Null) => Value::Null,
        Some(schema @ Value::Object(_)) => {
            for found in schema_faults(schema) {
                let file = reader.file(&format!("{pointer}{}", found.pointer));
                reader.report.push(found.told(file, pointer));
            }
            schema.clone()
        }
        Some(Value::String(name)) => of_file(reader, pointer, name).unwrap_or(Value::Null),
        Some(_) => {
            let help = "e.g. `{ type: object, properties: { id: { type: string } } }`";
            reader.error("wrong-type", pointer, "a schema is a map or the name of a file", help);
            Value::Null
        }
    }
}

/// The schema in a file; what is wrong with it is told where it is named.
fn of_file(reader: &mut Reader<'_>, pointer: &str, name: &str) -> Option<Value> {
    let Some(path) = beside(&reader.file(pointer).path, name) else {
        let help = "name a file beside this one; files outside of the project, and hidden ones, are not read";
        reader.error("unknown-schema", pointer, format!("`{name}` is not among the project's files"), help);
        return None;
    };
    if !is_json(&path) {
        let message = format!("`{path}` is no JSON file");
        reader.error("unknown-schema", pointer, message, "name a file that ends in `.json`, or write the schema here");
        return None;
    }
    let Some(file) = reader.merged.attached.iter().copied().find(|file| *file.path == path) else {
        let help = "name a file beside this one, or write the schema here";
        reader.error("unknown-schema", pointer, format!("there is no schema `{path}`"), help);
        return None;
    };
    // One that is named twice is kept twice.
    let (bytes, values) = reader.attached;
    let bytes = bytes + file.text.len();
    let schema = if bytes > TEXT_BYTES_MAX { Ok(Value::Null) } else { parsed(&file.text) };
    match schema {
        Ok(schema) => {
            let values = values + count(&schema);
            reader.attached = (bytes, values);
            if bytes > TEXT_BYTES_MAX || values > VALUES_MAX {
                let message =
                    format!("with `{path}` the connector's schema files hold more than 1 MiB or {VALUES_MAX} values");
                reader.error(
                    "too-big",
                    pointer,
                    message,
                    "keep the fields that workflows use, and leave out the others",
                );
                return None;
            }
            if !schema.is_object() {
                let help = "e.g. `{ \"type\": \"object\", \"properties\": { \"id\": { \"type\": \"string\" } } }`";
                reader.error("wrong-type", pointer, format!("`{path}` holds no schema: that is a map"), help);
                return None;
            }
            for found in schema_faults(&schema) {
                let message = format!("`{path}` at `{}`: {}", found.pointer, found.message);
                reader.error(found.code, pointer, message, found.help.unwrap_or_default());
            }
            Some(schema)
        }
        Err(error) => {
            let mut message = error.to_string();
            message.truncate(message.rfind(" at line ").unwrap_or(message.len()));
            let message = format!("`{path}` is no JSON, line {} column {}: {message}", error.line(), error.column());
            reader.error("bad-shape", pointer, message, "mend the file, or write the schema here");
            None
        }
    }
}

fn parsed(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// A relative path from a file's folder; None if it leads out, or to what is hidden.
pub(super) fn beside(file: &str, name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains('\\') {
        return None;
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            hidden if hidden.starts_with('.') => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Names of a schema's fields that it marks as read only.
pub(super) fn read_only(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let marked = |schema: &Value| schema.get("readOnly").and_then(Value::as_bool).unwrap_or(false);
    properties.into_iter().flatten().filter(|(_, schema)| marked(schema)).map(|(name, _)| name.clone()).collect()
}

/// The input of an operation that gives no schema of its own: the object's fields for a write, and what fills the path.
pub(super) fn input(object: Option<&Value>, leave_out: &[String], holes: &[&str]) -> Value {
    let mut schema = match object {
        Some(Value::Object(schema)) => schema.clone(),
        Some(_) => return Value::Null,
        None if holes.is_empty() => return Value::Null,
        None => Map::from_iter([
            ("type".to_owned(), Value::from("object")),
            ("additionalProperties".to_owned(), true.into()),
        ]),
    };
    schema.shift_remove("required");
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| !leave_out.iter().any(|field| field == name));
    }
    let mut schema = Value::Object(schema);
    add_holes(&mut schema, holes);
    schema
}

/// What a new record needs, as its object's schema says.
pub(super) fn require(schema: &mut Value, object: &Value, leave_out: &[String]) {
    let wanted = object.get("required").and_then(Value::as_array).into_iter().flatten();
    let wanted = wanted.filter(|name| !leave_out.iter().any(|field| *name == field));
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.extend(wanted.filter(|name| !required.contains(name)).cloned().collect::<Vec<_>>());
    }
}

/// What fills the path is part of the input, and required.
pub(super) fn add_holes(schema: &mut Value, holes: &[&str]) {
    let Value::Object(schema) = schema else { return };
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    for hole in holes {
        if let Value::Object(properties) = properties {
            properties.entry(*hole).or_insert_with(|| json!({ "type": "string" }));
        }
    }
    let required = schema.entry("required").or_insert_with(|| json!([]));
    for hole in holes {
        if let Value::Array(required) = required
            && !required.iter().any(|known| known == hole)
        {
            required.push(Value::from(*hole));
        }
    }
}
