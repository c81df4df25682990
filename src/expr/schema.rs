//! A JSON Schema as people write it: words and types that there are not.
//!
//! What JSON Schema and OpenAPI know is taken as it is; the language itself reads types, fields, lists and `enum`.

use serde_json::Value;

use super::Problem;
use crate::source::nearest;

const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];

/// What people mistype.
const COMMON: [&str; 10] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "format",
    "additionalProperties",
    "description",
    "title",
    "readOnly",
];

/// What would otherwise be taken for a slip in one of them.
const FURTHER: [&str; 18] = [
    "allOf",
    "anyOf",
    "const",
    "contains",
    "default",
    "deprecated",
    "example",
    "examples",
    "maxProperties",
    "minProperties",
    "maxItems",
    "minItems",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// What is wrong with a schema, part by part.
pub fn schema_faults(schema: &Value) -> Vec<Problem> {
    let Value::Object(words) = schema else {
        let problem = Problem::new("wrong-type", "a schema is a map");
        return match schema {
            Value::Bool(_) => Vec::new(),
            _ => vec![problem.help("write `{ type: object, properties: { id: { type: string } } }`")],
        };
    };
    words
        .iter()
        .flat_map(|(word, value)| below(word, value).into_iter().map(|problem| problem.under(word)))
        .collect::<Vec<_>>()
        .into_iter()
        .chain(words.keys().filter_map(|word| unknown_word(word)))
        .collect()
}

fn below(word: &str, value: &Value) -> Vec<Problem> {
    match (word, value) {
        ("type", Value::String(name)) => unknown_type(name).into_iter().collect(),
        ("type", Value::Array(names)) => names
            .iter()
            .enumerate()
            .filter_map(|(at, name)| Some(unknown_type(name.as_str()?)?.under(&at.to_string())))
            .collect(),
        ("properties" | "$defs" | "patternProperties", Value::Object(fields)) => fields
            .iter()
            .flat_map(|(name, field)| schema_faults(field).into_iter().map(|problem| problem.under(name)))
            .collect(),
        ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => parts
            .iter()
            .enumerate()
            .flat_map(|(at, part)| schema_faults(part).into_iter().map(move |problem| problem.under(&at.to_string())))
            .collect(),
        ("items" | "additionalProperties", part) => schema_faults(part),
        ("properties", _) => {
            let problem = Problem::new("wrong-type", "`properties` is a map of fields");
            vec![problem.help("write one `name: { type: string }` for each field")]
        }
        _ => Vec::new(),
    }
}

fn unknown_type(name: &str) -> Option<Problem> {
    let problem = || Problem::new("bad-value", format!("JSON Schema has no type `{name}`"));
    (!TYPES.contains(&name)).then(|| problem().nearest(name, TYPES, format!("there are {}", TYPES.join(", "))))
}

fn unknown_word(word: &str) -> Option<Problem> {
    if COMMON.contains(&word) || FURTHER.contains(&word) {
        return None;
    }
    let near = nearest(word, COMMON)?;
    let problem = Problem::new("unknown-key", format!("JSON Schema has no word `{word}`"));
    Some(problem.help(format!("did you mean `{near}`?")).of_key(word))
}
