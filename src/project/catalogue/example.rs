//! Examples to copy: short YAML that the checker accepts.

use serde_json::{Map, Value, json};

use super::item::inputs;
use crate::connector::{Object, Operation};
use crate::expr::FieldType;

/// Fields that an example shows, beside the required ones.
const SHOWN: usize = 3;

/// What an operation takes: its input, and what stands in its path, which is needed also where the input leaves it out.
pub fn input(operation: &Operation) -> Value {
    let mut schema = if operation.input.is_object() { operation.input.clone() } else { json!({}) };
    for hole in operation.input_holes() {
        match schema["properties"].get_mut(hole).and_then(Value::as_object_mut) {
            // A record's id cannot be written, yet says which record is meant.
            Some(property) => {
                property.shift_remove("readOnly");
            }
            None => schema["properties"][hole] = json!({ "type": "string" }),
        }
        let known = schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == hole));
        match schema["required"].as_array_mut() {
            _ if known => {}
            Some(names) => names.push(json!(hole)),
            None => schema["required"] = json!([hole]),
        }
    }
    schema
}

pub fn call(name: &str, operation: &Operation) -> String {
    let input = input(operation);
    let required = inputs(&input).iter().filter(|input| input.required).count();
    let more = match (operation.lists, operation.reads) {
        (true, _) => 0,
        (false, true) => usize::from(required == 0),
        (false, false) => SHOWN.saturating_sub(required),
    };
    action("call", name, None, &with(&input, &[], more))
}

pub fn upsert(name: &str, object: &Object, schema: &Value) -> String {
    let mut fields = with(schema, &object.identity, 0);
    // A field inside another one is given by its dotted name, in place of the whole.
    for field in &object.identity {
        if let Some((head, _)) = field.split_once('.') {
            fields.shift_remove(head);
            let last = field.rsplit('.').next().unwrap_or(field);
            fields.insert(field.clone(), placeholder(last, &Value::Null));
        }
    }
    action("upsert", name, Some(&json!(object.identity)), &fields)
}

pub fn event(name: &str) -> String {
    format!("trigger:\n  event: {name}\n")
}

pub fn poll(alias: &str, operation: &Operation) -> String {
    let with = with(&input(operation), &[], 0);
    let with = if with.is_empty() { String::new() } else { format!("  with: {}\n", flow(&Value::Object(with))) };
    format!("trigger:\n  poll: {alias}.{}\n  every: 10m\n{with}", operation.name)
}

fn action(verb: &str, name: &str, fields: Option<&Value>, with: &Map<String, Value>) -> String {
    let mut text = format!("- {verb}: {name}\n");
    if let Some(fields) = fields {
        text.push_str(&format!("  match: {}\n", flow(fields)));
    }
    if !with.is_empty() {
        text.push_str("  with:\n");
    }
    for (field, value) in with {
        text.push_str(&format!("    {field}: {}\n", flow(value)));
    }
    text
}

/// The required fields, these, and so many more.
fn with(schema: &Value, also: &[String], more: usize) -> Map<String, Value> {
    let all = inputs(schema);
    let (chosen, rest): (Vec<_>, Vec<_>) = all.iter().partition(|input| input.required || also.contains(&input.name));
    let value = |name: &str| (name.to_string(), placeholder(name, &schema["properties"][name]));
    chosen.iter().chain(rest.iter().take(more)).map(|input| value(&input.name)).collect()
}

/// A value of the right kind that a person will see must be replaced.
fn placeholder(name: &str, schema: &Value) -> Value {
    of_type(name, &FieldType::of_schema(schema))
}

fn of_type(name: &str, kind: &FieldType) -> Value {
    match kind {
        FieldType::Integer | FieldType::Number => json!(1),
        FieldType::Boolean => json!(true),
        FieldType::DateTime => json!("2026-12-01T09:00:00Z"),
        FieldType::Date => json!("2026-12-01"),
        FieldType::OneOf(values) => values.first().cloned().unwrap_or(Value::Null),
        FieldType::List(items) => json!([of_type(name, items)]),
        FieldType::Map { fields, .. } => {
            Value::Object(fields.iter().take(SHOWN).map(|(name, kind)| (name.clone(), of_type(name, kind))).collect())
        }
        FieldType::Text | FieldType::Any => Value::String(match (name, words(name)) {
            ("email", _) => "ada@example.com".into(),
            ("phone", _) => "+15550100001".into(),
            (_, words) if words.last().is_some_and(|word| matches!(word.as_str(), "time" | "date" | "at")) => {
                "2026-12-01T09:00:00Z".into()
            }
            (_, words) if words.last().is_some_and(|word| word == "id") => words.join("-").to_uppercase(),
            (_, words) => format!("the {}", words.join(" ")),
        }),
    }
}

/// `firstName`, `first_name` → `first`, `name`
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in name.chars() {
        if (character.is_uppercase() || !character.is_alphanumeric())
            && words.last().is_some_and(|word| !word.is_empty())
        {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
    }
    words
}

/// A value in YAML's flow style.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "{}".into(),
        Value::Object(map) => {
            let fields: Vec<String> = map.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        // JSON's texts and numbers are YAML's as well.
        other => other.to_string(),
    }
}

/// A text that means itself without quotes.
fn is_plain(text: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || " -_.@".contains(character);
    let word = ["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_lowercase().as_str());
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.ends_with(' ')
        && !word
}
