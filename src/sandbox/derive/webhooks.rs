//! Webhooks in the form in which the connector file expects them.

use serde_json::{Map, Value, json};

use super::pages::wrapped;

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
    let mut events = Vec::new();
    for (name, event) in hooks["events"].as_object().into_iter().flatten() {
        if let (Some(object), Some(change)) = (event["object"].as_str(), event["change"].as_str()) {
            let body = body(hooks, name);
            events.push(json!({ "name": name, "object": object, "change": change, "body": body }));
        }
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

fn body(hooks: &Value, name: &str) -> Value {
    let mut body = json!({});
    let mut put = |path: Option<&str>, value: Value| {
        if let Some(path) = path {
            deepen(&mut body, wrapped(path, value));
        }
    };
    put(hooks["replay"]["id"].as_str(), json!("$.new.uuid"));
    put(hooks["name"].as_str(), json!({ "$literal": name }));
    put(hooks["replay"]["time"].as_str(), json!("$.now"));
    for (setting, path) in hooks["connection"].as_object().into_iter().flatten() {
        put(path.as_str(), json!(format!("$.vars['{setting}']")));
    }
    put(Some(hooks["record"].as_str().unwrap_or("$.data")), json!("$.shown"));
    body
}

fn deepen(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            let above: Map<String, Value> = above;
            for (name, value) in above {
                match below.get_mut(&name) {
                    Some(kept) if kept.is_object() && value.is_object() => deepen(kept, value),
                    _ => drop(below.insert(name, value)),
                }
            }
        }
        (below, above) => *below = above,
    }
}
