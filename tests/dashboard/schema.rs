//! Is a value what a schema of the API's description says? Only the words that it uses.

use serde_json::Value;

/// What is wrong, each with where.
pub fn wrong(value: &Value, schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(value, schema, document, "", &mut found);
    found
}

fn look(value: &Value, schema: &Value, document: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let path = name.strip_prefix('#').expect("of this document");
        let of = document.pointer(path).unwrap_or_else(|| panic!("there is no {name}"));
        return look(value, of, document, at, found);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type that is used"),
    };
    if !types.iter().any(is) {
        return found.push(format!("{at}: {value} is not {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        found.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str())
        && chrono::DateTime::parse_from_rfc3339(text).is_err()
    {
        found.push(format!("{at}: {text} is no instant"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            found.push(format!("{at}/{name} is missing"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => look(inner, schema, document, &format!("{at}/{name}"), found),
            None if schema["additionalProperties"] == false => found.push(format!("{at}/{name} is not described")),
            None => {}
        }
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        look(item, &schema["items"], document, &format!("{at}/{number}"), found);
    }
}
