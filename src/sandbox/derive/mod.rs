//! The plain default: a sandbox document made of a connector file, so that most vendors need no word of their own.
//!
//! Made as a value, not as types: whatever is derived could have been written, and what is written lies over it.

mod example;
mod objects;
mod pages;
mod routes;
mod webhooks;

use serde_json::{Map, Value, json};

pub use example::example;

use super::path::Line;
use crate::connector::Hmac;
use crate::source::File;

const PLAIN: &str = include_str!("../plain.yaml");

/// plain.yaml, over it what the connector gives, over it the sandbox file.
///
/// # Errors
/// One sentence.
pub fn merged(connector: &Value, sandbox: Option<Value>) -> Result<Value, String> {
    let plain = File::read("plain.yaml", PLAIN).map_err(|report| format!("{report:?}"))?;
    let mut document = plain.value;
    lay(&mut document, derived(connector)?);
    lay(&mut document, sandbox.unwrap_or_else(|| json!({})));
    Ok(document)
}

fn derived(connector: &Value) -> Result<Value, String> {
    let mut vars = Map::new();
    for name in connector["connection"].as_object().into_iter().flat_map(Map::keys) {
        vars.insert(name.clone(), Value::from("sandbox"));
    }
    let mut windows = Vec::new();
    for limit in connector["limits"].as_array().into_iter().flatten() {
        if limit.get("for").is_some() || limit.get("each").is_some() {
            continue;
        }
        let mut headers = Map::new();
        if let Some(name) = limit["remaining_header"].as_str() {
            headers.insert(name.to_owned(), Value::from("remaining"));
        }
        if let Some(name) = limit["reset_header"]["name"].as_str() {
            let unit = if limit["reset_header"]["unit"] == "ms" { "reset_ms" } else { "reset_s" };
            headers.insert(name.to_owned(), Value::from(unit));
        }
        windows.push(json!({ "requests": limit["requests"], "per": limit["per"], "headers": headers }));
    }
    Ok(json!({
        "sandbox": connector["connector"],
        "vars": vars,
        "tokens": tokens(connector),
        "limits": { "profiles": { "normal": windows } },
        "objects": objects::derived(connector),
        "routes": routes::derived(connector)?,
        "webhooks": webhooks::derived(connector),
    }))
}

/// As the first kind of auth says.
fn tokens(connector: &Value) -> Value {
    let kinds = connector["auth"].as_object();
    match kinds.and_then(|kinds| kinds.values().next()) {
        Some(first) if first.get("basic").is_some() => json!({ "sent_in": "basic" }),
        Some(first) if first.get("hmac").is_some() => {
            let names = Hmac::of(&first["hmac"]).map(|hmac| hmac.secrets()).unwrap_or_default();
            let secrets: Map<String, Value> =
                names.into_iter().map(|name| (name.clone(), Value::from(format!("{name}-sandbox")))).collect();
            json!({ "sent_in": "signed", "known": { "sandbox": { "secrets": secrets } } })
        }
        Some(first) if first["api_key"]["header"].is_string() => json!({ "sent_in": first["api_key"]["header"] }),
        Some(first) if first != "none" && first.get("none").is_none() => json!({ "sent_in": "bearer" }),
        _ => json!({ "sent_in": "none", "access": [] }),
    }
}

/// Lays one document over another. Maps of names join; what a name holds is replaced key by key, and no deeper. A route
/// that names a behaviour stands for itself.
fn lay(below: &mut Value, above: Value) {
    let (Some(below), Value::Object(above)) = (below.as_object_mut(), above) else { return };
    for (section, value) in above {
        match section.as_str() {
            "routes" => {
                let lines = below.entry(section).or_insert_with(|| json!({}));
                lay_routes(lines, value);
            }
            "objects" => {
                let objects = below.entry(section).or_insert_with(|| json!({}));
                for (name, rules) in value.as_object().cloned().unwrap_or_default() {
                    join(objects.as_object_mut().map(|map| map.entry(name).or_insert_with(|| json!({}))), rules);
                }
            }
            "webhooks" => {
                let mut above = value;
                keep_events(below.get("webhooks"), &mut above);
                join(Some(below.entry(section).or_insert_with(|| json!({}))), above);
            }
            "vars" | "settings" | "refusals" | "kinds" | "tokens" | "limits" | "records" => {
                join(Some(below.entry(section).or_insert_with(|| json!({}))), value);
            }
            _ => drop(below.insert(section, value)),
        }
    }
}

/// Events that the document above does not name stay as they are below.
fn keep_events(below: Option<&Value>, above: &mut Value) {
    let Some(Value::Array(events)) = above.get_mut("events") else { return };
    let named: Vec<Value> = events.iter().map(|event| event["name"].clone()).collect();
    let below = below.and_then(|below| below["events"].as_array()).into_iter().flatten();
    events.extend(below.filter(|event| !named.contains(&event["name"])).cloned());
}

fn join(below: Option<&mut Value>, above: Value) {
    let (Some(Value::Object(below)), Value::Object(above)) = (below, above) else { return };
    below.extend(above);
}

fn lay_routes(below: &mut Value, above: Value) {
    let (Some(below), Value::Object(above)) = (below.as_object_mut(), above) else { return };
    for (text, route) in above {
        let line = Line::read(&text).ok();
        let same = below.keys().find(|key| match (&line, Line::read(key)) {
            (Some(line), Ok(other)) => other.same_as(line),
            _ => false,
        });
        let derived = same.cloned().and_then(|key| below.shift_remove(&key));
        let stands_alone = route.as_object().is_some_and(|route| route.keys().any(|key| is_behaviour(key)));
        match derived {
            Some(mut derived) if !stands_alone => {
                join(Some(&mut derived), route);
                below.insert(text, derived);
            }
            _ => drop(below.insert(text, route)),
        }
    }
}

fn is_behaviour(key: &str) -> bool {
    matches!(
        key,
        "create"
            | "get"
            | "update"
            | "delete"
            | "upsert"
            | "list"
            | "find"
            | "search"
            | "list_add"
            | "list_remove"
            | "action"
            | "each"
            | "grant"
            | "authorize"
            | "mint"
    )
}

/// Every operation's full name and request line; standard names before others, since `archive` may be an `update`.
///
/// # Errors
/// A request line that cannot be read.
pub fn operation_lines(connector: &Value) -> Result<Vec<(String, Line)>, String> {
    let mut lines = Vec::new();
    for (object, name, operation) in operations(connector) {
        let full = object.map_or_else(|| name.to_owned(), |object| format!("{object}.{name}"));
        lines.push((full, Line::read(operation["request"].as_str().unwrap_or_default())?));
    }
    Ok(lines)
}

/// (object, name, operation) in the order of the file.
pub fn operations(connector: &Value) -> Vec<(Option<&str>, &str, &Value)> {
    let mut all = Vec::new();
    for (object, described) in connector["objects"].as_object().into_iter().flatten() {
        for (name, operation) in described["operations"].as_object().into_iter().flatten() {
            all.push((Some(object.as_str()), name.as_str(), operation));
        }
    }
    for (name, operation) in connector["operations"].as_object().into_iter().flatten() {
        all.push((None, name.as_str(), operation));
    }
    all
}

pub fn identity(connector: &Value) -> Vec<(String, Vec<String>)> {
    let objects = connector["objects"].as_object().into_iter().flatten();
    let identity = objects.map(|(object, described)| {
        let fields = described["identity"].as_array().into_iter().flatten().filter_map(Value::as_str);
        (object.clone(), fields.map(str::to_owned).collect())
    });
    identity.collect()
}
