//! Webhooks in the form in which the connector file expects them.

use serde_json::{Value, json};

use super::example::example;
use super::pages::wrapped;
use crate::source::lay_over;

pub fn derived(connector: &Value) -> Value {
    let hooks = &connector["webhooks"];
    let mut sign: Vec<Value> = Vec::new();
    for rule in hooks["verify"].as_array().into_iter().flatten() {
        let Some(rule) = signature(rule) else { continue };
        // A header is sent once.
        if sign.iter().all(|other| other["header"] != rule["header"]) {
            sign.push(rule);
        }
    }
    let mut events: Vec<Value> = Vec::new();
    for (name, event) in hooks["events"].as_object().into_iter().flatten() {
        let called = event["named"].as_str().or(event["named"][0].as_str());
        let over = over(hooks, event, called.unwrap_or(name));
        let mut made = json!({ "name": name, "called": called, "over": over, "by_hand": true });
        match (&event["object"], &event["change"]) {
            (object @ Value::String(_), change @ Value::String(_)) => {
                // Of several that tell the same, the first is told unasked.
                let told = |other: &Value| other["object"] == *object && other["change"] == *change;
                made["by_hand"] = events.iter().any(told).into();
                made["object"] = object.clone();
                made["change"] = change.clone();
                if let Some(path) = event["record"].as_str().or(hooks["record"].as_str()) {
                    made["body"] = wrapped(path, json!("$.shown"));
                }
            }
            _ => made["body"] = json!({ "$literal": example(&event["schema"]) }),
        }
        events.push(made);
    }
    json!({ "sign": sign, "events": events })
}

/// How a rule wants to be signed; none if it ends, or if the sandbox has no key of its kind.
fn signature(rule: &Value) -> Option<Value> {
    let (kind, header) = [
        ("ed25519", ""),
        ("hmac_sha256", ""),
        ("token", ""),
        ("standard_webhooks", "webhook-signature"),
        ("basic", "Authorization"),
    ]
    .into_iter()
    .find(|(kind, _)| rule.get(*kind).is_some())
    .filter(|_| rule.get("until").is_none())?;
    let base64 = match rule["encoding"].as_str() {
        Some(encoding) => encoding == "base64",
        None => kind == "ed25519",
    };
    let prefix = rule["prefix"].as_str().unwrap_or("");
    let header = rule["header"].as_str().unwrap_or(header);
    let mut sign = json!({ "header": header, kind: true, "prefix": prefix, "base64": base64 });
    for key in ["signed", "timestamp", "id", "parts"] {
        if let Some(value) = rule.get(key) {
            sign[key] = value.clone();
        }
    }
    Some(sign)
}

/// What every delivery says beside the record: its id, name and time, and for whom it is.
fn over(hooks: &Value, event: &Value, called: &str) -> Value {
    let mut over = json!({});
    let mut put = |path: Option<&str>, value: Value| {
        if let Some(path) = path {
            lay_over(&mut over, &wrapped(path, value));
        }
    };
    put(hooks["replay"]["id"].as_str(), json!("$.new.uuid"));
    put(hooks["name"].as_str(), json!({ "$literal": called }));
    put(hooks["replay"]["time"].as_str(), json!("$.now"));
    let signs = event["connection"].as_object().or(hooks["connection"].as_object());
    for (setting, paths) in signs.into_iter().flatten() {
        put(paths.as_str().or(paths[0].as_str()), json!(format!("$.vars['{setting}']")));
    }
    over
}
