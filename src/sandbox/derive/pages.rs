//! Lists and their pages, mirrored from how the client asks for them.

use serde_json::{Map, Value, json};

pub fn list(object: &str, described: &Value, operation: &Value) -> Value {
    let items = operation["items"].as_str().or_else(|| operation["returns"].as_str()).unwrap_or("$");
    let mut body = wrapped(items, json!("$.records"));
    let mut route = json!({ "list": object, "where": {} });
    let asked = sent(operation);
    let parameter =
        |wanted: &str| asked.iter().find(|(_, value)| value.as_str() == Some(wanted)).map(|(name, _)| name.clone());
    let mut pages = Map::new();
    if let Some((name, size)) = asked.iter().find(|(_, value)| value.is_u64()) {
        pages.insert("size".into(), Value::from(name.clone()));
        pages.insert("size_default".into(), size.clone());
    }
    if let Some(name) = parameter("$.page.size") {
        pages.insert("size".into(), name.into());
    }
    let kind = &operation["pages"];
    if let Some(page) = kind.get("page") {
        pages.insert("number".into(), json!(parameter("$.page.number")));
        pages.insert("first".into(), page["first"].clone());
        if let Some(size) = page["size"].as_u64() {
            pages.entry("size_default").or_insert_with(|| json!(size));
        }
        for (key, made) in [("last", "$.page.last"), ("count", "$.page.pages")] {
            if let Some(path) = page[key].as_str() {
                put(&mut body, path, json!(made));
            }
        }
    } else if let Some(offset) = kind.get("offset") {
        let size = if offset.is_object() { &offset["size"] } else { offset };
        pages.insert("offset".into(), json!(parameter("$.page.offset")));
        pages.insert("first".into(), offset["first"].clone());
        pages.entry("size_default").or_insert_with(|| size.clone());
    } else if let Some(cursor) = kind["cursor"].as_str() {
        pages.insert("after".into(), json!(parameter("$.page.next")));
        pages.insert("opaque".into(), json!(true));
        pages.entry("size_default").or_insert_with(|| json!(100));
        put(&mut body, cursor, json!({ "$from": "$.page.next", "$otherwise": null }));
    } else if let Some(parts) = kind["cursor"].as_object().filter(|parts| parts.len() == 2) {
        // Where a record stands by its order, and its id.
        let asked: Vec<String> = parts.keys().filter_map(|name| parameter(&format!("$.page.next.{name}"))).collect();
        pages.insert("after".into(), json!(asked));
        pages.entry("size_default").or_insert_with(|| json!(100));
        for (index, path) in parts.values().filter_map(Value::as_str).enumerate() {
            put(&mut body, path, json!({ "$from": format!("$.page.next[{index}]"), "$otherwise": null }));
        }
    }
    if let Some(more) = kind["more"].as_str() {
        put(&mut body, more, json!("$.page.more"));
    }
    pages.retain(|_, value| !value.is_null());
    let order = asked.iter().find_map(|(name, value)| order(name, value.as_str()?));
    let changed = described["changed_at"].as_str().or_else(|| described["created_at"].as_str());
    let order =
        order.or_else(|| changed.filter(|_| pages.contains_key("after")).map(|changed| json!([changed, "asc"])));
    if let Some(order) = order {
        route["filter"] = json!({ "order": order });
    }
    route["pages"] = Value::Object(pages);
    route["answer"] = json!({ "body": body });
    route
}

/// Where each parameter stands in the request, and what the client puts there.
fn sent(operation: &Value) -> Vec<(String, Value)> {
    let of = |part: &str, root: &str| {
        let values = operation[part].as_object().cloned().unwrap_or_default();
        values.into_iter().map(move |(name, value)| (format!("$.{root}['{name}']"), value)).collect::<Vec<_>>()
    };
    [of("query", "query"), of("body", "body"), of("add", "body")].concat()
}

/// `sort: "-updated_at"`.
fn order(name: &str, value: &str) -> Option<Value> {
    if !name.contains("sort") && !name.contains("order") {
        return None;
    }
    let field = value.strip_prefix('-').unwrap_or(value);
    let plain = field.chars().all(|letter| letter.is_alphanumeric() || letter == '_' || letter == '.');
    plain.then(|| json!([field, if value.starts_with('-') { "desc" } else { "asc" }]))
}

/// The body in which a client's path finds a value: `$.data.contact` gives `{data: {contact: value}}`.
pub fn wrapped(path: &str, value: Value) -> Value {
    let path = path.split('[').next().unwrap_or(path);
    let names: Vec<&str> = path.split('.').skip(1).collect();
    names.iter().rev().fold(value, |inner, name| json!({ *name: inner }))
}

fn put(body: &mut Value, path: &str, value: Value) {
    let names: Vec<&str> = path.split('.').skip(1).collect();
    if path.contains('[') || names.is_empty() || !body.is_object() {
        return;
    }
    let mut place = body;
    for name in names {
        place = &mut place[name];
    }
    *place = value;
}
