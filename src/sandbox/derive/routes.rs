//! Routes of operations: what a client asks for says what the vendor must do.

use serde_json::{Map, Value, json};

use super::example::example;
use super::pages::{self, wrapped};
use super::{objects, operations};
use crate::sandbox::path::Line;

/// # Errors
/// A request line that cannot be read.
pub fn derived(connector: &Value) -> Result<Value, String> {
    let mut routes: Vec<(String, Line, Value)> = Vec::new();
    for (object, name, operation) in operations(connector) {
        let text = operation["request"].as_str().unwrap_or_default().to_owned();
        let line = Line::read(&text)?;
        let route = match object {
            Some(object) => of_object(connector, object, name, operation, &line),
            None => action(operation, &Value::Null),
        };
        match routes.iter_mut().find(|(_, known, _)| known.same_as(&line)) {
            // `find` is often a list with a filter: both are asked for by one line.
            Some((_, _, known)) => {
                let (mut kept, mut other) = (std::mem::take(known), route);
                if name == "list" {
                    std::mem::swap(&mut kept, &mut other);
                }
                if let (Some(Value::Object(wheres)), Some(Value::Object(more))) =
                    (kept.get_mut("where"), other.get("where"))
                {
                    wheres.extend(more.clone());
                }
                *known = kept;
            }
            None => routes.push((text, line, route)),
        }
    }
    let routes: Map<String, Value> = routes.into_iter().map(|(text, _, route)| (text, route)).collect();
    Ok(Value::Object(routes))
}

fn of_object(connector: &Value, object: &str, name: &str, operation: &Value, line: &Line) -> Value {
    let described = &connector["objects"][object];
    let answers = operation["returns"].as_str().unwrap_or("$");
    let record = json!({ "body": wrapped(answers, json!("$.record")) });
    let names_one = names_one(connector, operation, name);
    let behaviour = match (name, line.method.as_str()) {
        // Without an id it is about no record that is kept here.
        ("get" | "update" | "delete", _) if !names_one => "action",
        // So is a body that is no record.
        ("create" | "update", _) if operation["body"].as_str().is_some_and(|body| body != "$.input") => "action",
        ("list" | "get" | "find" | "create" | "update" | "delete", _) => name,
        (_, _) if operation.get("items").is_some() => "list",
        (_, "GET" | "PUT" | "PATCH") if !names_one => "action",
        (_, "PUT" | "PATCH") if takes_nothing(operation) => "action",
        (_, "GET") => "get",
        ("archive", "DELETE") => "delete",
        (_, "PUT" | "PATCH") => "update",
        _ => "action",
    };
    let mut route = match behaviour {
        "action" => action(operation, &described["schema"]),
        "delete" => json!({ "delete": object, "answer": { "status": 204 } }),
        "create" => json!({ "create": object, "answer": { "status": 201, "body": record["body"] } }),
        "list" => pages::list(object, described, operation),
        "find" if answers.ends_with(']') => pages::list(object, described, operation),
        "find" => json!({ "find": object, "by": asked(operation), "answer": record }),
        other => json!({ other: object, "answer": record }),
    };
    let line = operation["request"].as_str().unwrap_or_default();
    if matches!(behaviour, "get" | "update" | "delete") && line.contains("{id}") {
        route["id"] = json!("$.path.id");
    }
    if route.get("list").is_some() {
        route["where"] = Value::Object(asked(operation));
    }
    if let Some(scope) = operation.get("scope") {
        route["scope"] = scope.clone();
    }
    if let Some(header) = operation["idempotency"].get("header") {
        route["idempotency"] = header.clone();
    }
    if let Some((parent, field)) = objects::parent(described) {
        let text = operation["request"].as_str().unwrap_or_default();
        if text.contains(&format!("{{{field}}}")) {
            let hole = format!("$.path['{field}']");
            route["within"] = json!({ parent: hole });
            if behaviour == "create" {
                route["set"] = json!({ field.clone(): hole });
                route["takes"] = json!({ "without": [field] });
            } else if behaviour != "action" {
                let mut wanted = route["where"].as_object().cloned().unwrap_or_default();
                wanted.insert(field.clone(), Value::from(hole));
                route["where"] = Value::Object(wanted);
            }
        }
    }
    if matches!(behaviour, "create" | "update")
        && let Some(also) = also(described, operation)
    {
        let takes = route.as_object_mut().map(|route| route.entry("takes").or_insert_with(|| json!({})));
        if let Some(takes) = takes {
            takes["also"] = also;
        }
    }
    if behaviour == "create" {
        let required = operation["input"]["required"].as_array().cloned().unwrap_or_default();
        let text = operation["request"].as_str().unwrap_or_default();
        let in_body = |name: &&Value| !text.contains(&format!("{{{}}}", name.as_str().unwrap_or_default()));
        route["requires"] = required.iter().filter(in_body).cloned().collect();
    }
    route
}

/// Nothing that is kept changes; the answer is as its schema says.
fn action(operation: &Value, record: &Value) -> Value {
    let output = operation.get("output").unwrap_or(record);
    let answer = match operation["returns"].as_str().or(operation["items"].as_str()) {
        Some(path) if operation.get("items").is_some() => wrapped(path, json!([])),
        Some(path) => wrapped(path, json!({ "$literal": example(output) })),
        None => json!({}),
    };
    json!({ "action": true, "answer": { "body": answer }, "takes": { "anything": true } })
}

/// Has it nothing to say but which record is meant?
fn takes_nothing(operation: &Value) -> bool {
    let line = operation["request"].as_str().unwrap_or_default();
    let mut fields = operation["input"]["properties"].as_object().into_iter().flatten();
    operation.get("body").is_none() && fields.all(|(name, _)| line.contains(&format!("{{{name}}}")))
}

/// Does the path name a record? A standard operation may call its hole as it likes.
fn names_one(connector: &Value, operation: &Value, name: &str) -> bool {
    let line = operation["request"].as_str().unwrap_or_default();
    let mut holes = line.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let standard = matches!(name, "get" | "update" | "delete");
    let is_last = |hole: &str| line.ends_with(&format!("{{{hole}}}"));
    holes.any(|hole| hole == "id" || (standard && (is_last(hole) || connector["connection"].get(hole).is_none())))
}

/// What the operation takes and its object's records do not hold, each with its kind.
fn also(described: &Value, operation: &Value) -> Option<Value> {
    let line = operation["request"].as_str().unwrap_or_default();
    let kept = &objects::object(described)["fields"];
    let is_other = |known: &str, kind: &str| {
        let is_text = |kind: &str| matches!(kind, "text" | "time" | "date");
        known != kind && ![known, kind].contains(&"any") && !(is_text(known) && is_text(kind))
    };
    let is_new = |name: &str, kind: &str| {
        kept[name].as_str().is_none_or(|known| is_other(known, kind)) && !line.contains(&format!("{{{name}}}"))
    };
    let given = |key: &str| operation[key].as_object().into_iter().flatten().map(|(name, _)| (name, "any"));
    let fields = operation["input"]["properties"].as_object().into_iter().flatten();
    let fields = fields.map(|(name, schema)| (name, objects::kind(schema)));
    let all = given("body").chain(given("add")).chain(fields).filter(|(name, kind)| is_new(name, kind));
    let also: Map<String, Value> = all.map(|(name, kind)| (name.clone(), kind.into())).collect();
    (!also.is_empty()).then(|| also.into())
}

/// Query parameters that carry an input: field → where the vendor finds it.
fn asked(operation: &Value) -> Map<String, Value> {
    let mut asked = Map::new();
    for (parameter, value) in operation["query"].as_object().into_iter().flatten() {
        if let Some(field) = value.as_str().and_then(|path| path.strip_prefix("$.input.")) {
            asked.insert(field.to_owned(), Value::from(format!("$.query['{parameter}']")));
        }
    }
    asked
}
