//! What a field of a destination takes, read from a JSON Schema.

use serde_json::Value;

/// How deep a schema is read; what lies below is taken as it is.
const DEPTH_MAX: usize = 32;

/// What a field of a destination takes, read from a JSON Schema.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldType {
    Text,
    Integer,
    Number,
    Boolean,
    /// RFC 3339 with a zone; `format: date-time`.
    DateTime,
    /// `2026-11-24`; `format: date`.
    Date,
    /// One of these values and no other; `enum` or `const`.
    OneOf(Vec<Value>),
    List(Box<FieldType>),
    /// Known fields by name; `open` says whether others are taken too.
    Map {
        fields: Vec<(String, FieldType)>,
        open: bool,
    },
    /// No schema: taken as it is.
    Any,
}

impl FieldType {
    /// Reads a JSON Schema; what it cannot express is `Any`. A map takes other fields unless the schema refuses them.
    pub fn of_schema(schema: &Value) -> FieldType {
        read(schema, true, 0)
    }

    /// The same of what is read: a map holds no other fields unless the schema says so.
    pub fn of_known(schema: &Value) -> FieldType {
        read(schema, false, 0)
    }

    /// As told to people: `text`, `an integer`, `a list of text`.
    pub fn describe(&self) -> String {
        match self {
            FieldType::Text => "text".to_owned(),
            FieldType::Integer => "an integer".to_owned(),
            FieldType::Number => "a number".to_owned(),
            FieldType::Boolean => "true or false".to_owned(),
            FieldType::DateTime => "a date and time".to_owned(),
            FieldType::Date => "a date".to_owned(),
            FieldType::OneOf(values) => {
                let named: Vec<String> = values.iter().map(super::shown).collect();
                format!("one of {}", named.join(", "))
            }
            FieldType::List(items) if **items == FieldType::Any => "a list".to_owned(),
            FieldType::List(items) => format!("a list of {}", items.describe_many()),
            FieldType::Map { .. } => "a map".to_owned(),
            FieldType::Any => "any value".to_owned(),
        }
    }

    fn describe_many(&self) -> String {
        match self {
            FieldType::Integer => "integers".to_owned(),
            FieldType::Number => "numbers".to_owned(),
            FieldType::Boolean => "true and false".to_owned(),
            FieldType::DateTime => "dates and times".to_owned(),
            FieldType::Date => "dates".to_owned(),
            FieldType::List(items) => format!("lists of {}", items.describe_many()),
            FieldType::Map { .. } => "maps".to_owned(),
            other => other.describe(),
        }
    }
}

/// `open`: whether a map may hold other fields where its schema does not say.
fn read(schema: &Value, open: bool, depth: usize) -> FieldType {
    if depth > DEPTH_MAX {
        return FieldType::Any;
    }
    if let Some(only) = schema.get("const").filter(|only| !only.is_null()) {
        return FieldType::OneOf(vec![only.clone()]);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return FieldType::OneOf(values.iter().filter(|value| !value.is_null()).cloned().collect());
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            return alternatives(branches, open, depth);
        }
    }
    match type_name(schema) {
        Some("string") => match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => FieldType::DateTime,
            Some("date") => FieldType::Date,
            // A file: text, or a map that says more of it.
            Some("binary") => FieldType::Any,
            _ => FieldType::Text,
        },
        Some("integer") => FieldType::Integer,
        Some("number") => FieldType::Number,
        Some("boolean") => FieldType::Boolean,
        Some("array") => {
            FieldType::List(Box::new(schema.get("items").map_or(FieldType::Any, |items| read(items, open, depth + 1))))
        }
        Some("object") => map(schema, open, depth),
        Some(_) => FieldType::Any,
        None if schema.get("properties").is_some() => map(schema, open, depth),
        None => FieldType::Any,
    }
}

/// Null among the alternatives says only that the field may be cleared; several others cannot be expressed.
fn alternatives(branches: &[Value], open: bool, depth: usize) -> FieldType {
    let mut others = branches.iter().filter(|branch| type_name(branch) != Some("null"));
    match (others.next(), others.next()) {
        (Some(only), None) => read(only, open, depth + 1),
        _ => FieldType::Any,
    }
}

/// The type beside null; None if there are several or none.
fn type_name(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => {
            let mut others = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            match (others.next(), others.next()) {
                (Some(only), None) => Some(only),
                (None, _) => Some("null"),
                _ => None,
            }
        }
        _ => None,
    }
}

fn map(schema: &Value, open: bool, depth: usize) -> FieldType {
    let fields = schema.get("properties").and_then(Value::as_object);
    let fields =
        fields.into_iter().flatten().map(|(name, field)| (name.clone(), read(field, open, depth + 1))).collect();
    let open = schema.get("additionalProperties").map_or(open, |others| *others != Value::Bool(false));
    FieldType::Map { fields, open }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_read() {
        let text_list = FieldType::List(Box::new(FieldType::Text));
        let table = [
            (json!({ "type": "string" }), FieldType::Text, "text"),
            (json!({ "type": "string", "format": "email" }), FieldType::Text, "text"),
            (json!({ "type": "string", "format": "date-time" }), FieldType::DateTime, "a date and time"),
            (json!({ "type": "string", "format": "date" }), FieldType::Date, "a date"),
            (json!({ "type": ["string", "null"] }), FieldType::Text, "text"),
            (json!({ "type": ["string", "integer"] }), FieldType::Any, "any value"),
            (json!({ "type": "integer", "nullable": true }), FieldType::Integer, "an integer"),
            (json!({ "anyOf": [{ "type": "null" }, { "type": "number" }] }), FieldType::Number, "a number"),
            (json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }), FieldType::Any, "any value"),
            (json!({ "enum": ["a", 2, null] }), FieldType::OneOf(vec![json!("a"), json!(2)]), "one of `a`, `2`"),
            (json!({ "type": "array", "items": { "type": "string" } }), text_list, "a list of text"),
            (json!({ "type": "array" }), FieldType::List(Box::new(FieldType::Any)), "a list"),
            (
                json!({ "type": "object", "properties": { "a": { "type": "boolean" } }, "additionalProperties": false }),
                FieldType::Map { fields: vec![("a".to_owned(), FieldType::Boolean)], open: false },
                "a map",
            ),
            (json!({}), FieldType::Any, "any value"),
            (json!(true), FieldType::Any, "any value"),
            (json!({ "$ref": "#/x" }), FieldType::Any, "any value"),
        ];
        for (schema, expected, described) in table {
            let read = FieldType::of_schema(&schema);
            assert_eq!(read, expected, "{schema}");
            assert_eq!(read.describe(), described);
        }
        let unsaid = json!({ "type": "object", "properties": {} });
        let open = |kind: FieldType| matches!(kind, FieldType::Map { open: true, .. });
        assert!(open(FieldType::of_schema(&unsaid)), "what a schema does not refuse is taken");
        assert!(!open(FieldType::of_known(&unsaid)), "and not expected");
        for told in [true, false] {
            let told_so = json!({ "type": "object", "additionalProperties": told });
            assert_eq!(open(FieldType::of_schema(&told_so)), told);
            assert_eq!(open(FieldType::of_known(&told_so)), told);
        }
    }
}
