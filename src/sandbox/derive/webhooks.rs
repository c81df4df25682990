//! Webhooks in the form in which the connector file expects them.

use serde_json::{Map, Value, json};

use super::pages::wrapped;

pub fn derived(connector: &Value) -> Value {
    let hooks = &connector["webhooks"];
    let mut sign = Vec::new();
    for rule in hooks["verify"].as_array().into_iter().flatten() {
        let kind = ["ed25519", "hmac_sha256", "token"].into_iter().find(|kind| rule.get(*kind).is_some());
        let Some(kind) = kind.filter(|_| rule.get("until").is_none()) else { continue };
        let base64 = rule["encoding"] == "base64";
        let prefix = rule["prefix"].as_str().unwrap_or("");
        sign.push(json!({ "header": rule["header"], kind: true, "prefix": prefix, "base64": base64 }));
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
