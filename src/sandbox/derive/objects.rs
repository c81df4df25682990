//! Fields, times, uniqueness and parents of objects, from their schemas.

use serde_json::{Map, Value, json};

pub fn derived(connector: &Value) -> Value {
    let mut objects = Map::new();
    for (name, described) in connector["objects"].as_object().into_iter().flatten() {
        objects.insert(name.clone(), object(described));
    }
    Value::Object(objects)
}

pub fn object(described: &Value) -> Value {
    let id = described["id"].as_str().unwrap_or("id");
    let nested = described.get("fields_at").is_some();
    let mut fields = Map::new();
    let keyed: Vec<&str> =
        described["keyed_lists"].as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
    for (name, schema) in described["schema"]["properties"].as_object().into_iter().flatten() {
        let only_read = described["read_only"].as_array().is_some_and(|names| names.iter().any(|other| other == name));
        if !only_read && schema["readOnly"] != true && name != id && !nested && !keyed.contains(&name.as_str()) {
            fields.insert(name.clone(), Value::from(kind(schema)));
        }
    }
    let mut lists = Map::new();
    for (_, list) in described["keyed_lists"].as_object().into_iter().flatten() {
        let (Some(at), Some(key), Some(value)) = (list["at"].as_str(), list["key"].as_str(), list["value"].as_str())
        else {
            continue;
        };
        if list.get("only_if").is_none() {
            fields.insert(at.to_owned(), Value::from("list"));
            let written = list["write_value"].as_str().unwrap_or(value);
            lists.insert(at.to_owned(), json!({ "key": key, "value": value, "written_as": [written] }));
        }
    }
    let time = |key: &str| described[key].as_str().filter(|field| !field.contains('.'));
    let now = |field: Option<&str>| field.map(|field| json!({ field: "$.now" })).unwrap_or_else(|| json!({}));
    let mut rules = json!({
        "id_field": id, "fields": fields, "keyed_lists": lists,
        "new": now(time("created_at")), "touch": now(time("changed_at")),
    });
    if let Some(identity) = described["identity"].as_array().filter(|identity| !identity.is_empty()) {
        rules["unique"] = json!(identity);
    }
    if let Some((object, field)) = parent(described) {
        rules["parent"] = json!({ "object": object, "field": field });
    }
    rules
}

/// The parent object, and the field that holds its id.
pub fn parent(described: &Value) -> Option<(String, String)> {
    let parent = &described["parent"];
    if let (Some(object), Some(field)) = (parent["object"].as_str(), parent["id"].as_str()) {
        return Some((object.to_owned(), field.to_owned()));
    }
    let parent = parent.as_str()?;
    let mut references = described["references"].as_object().into_iter().flat_map(Map::values);
    let field =
        references.find(|reference| reference["object"] == parent).and_then(|reference| reference["id"].as_str());
    Some((parent.to_owned(), field.map_or_else(|| format!("{parent}_id"), str::to_owned)))
}

pub fn kind(schema: &Value) -> &'static str {
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => "time",
        // A file, with its name and kind.
        (Some("string"), Some("binary")) => "any",
        (Some("string"), _) => "text",
        (Some("integer" | "number"), _) => "number",
        (Some("boolean"), _) => "boolean",
        (Some("array"), _) => "list",
        (Some("object"), _) => "map",
        _ => "any",
    }
}
