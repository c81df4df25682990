//! Where an answer has its record, or its list of records; guessed by the names that APIs use.

use serde_json::{Map, Value};

use super::name::{singular, words};
use super::schema::Schemas;
use crate::connector::field::under;

/// A place in an answer: `$`, `$.contacts`, `$.data.items`; and the schema of what stands there.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub path: String,
    /// Of a list: of each item.
    pub schema: Value,
    /// The document's only possibility, or called as the object is: no guess.
    pub sure: bool,
}

const LISTS: [&str; 14] = [
    "data",
    "items",
    "results",
    "records",
    "entries",
    "values",
    "list",
    "rows",
    "content",
    "elements",
    "hits",
    "objects",
    "resources",
    "value",
];
const WRAPS: [&str; 8] = ["data", "result", "results", "response", "payload", "_embedded", "body", "content"];

/// The list of records in an answer.
pub(super) fn list(schemas: &mut Schemas<'_>, answer: &Value, object: &str) -> Option<Found> {
    let top = schemas.seen(answer)?.into_owned();
    if let Some(items) = items_of(&top) {
        return Some(Found { path: "$".into(), schema: items, sure: true });
    }
    if let Some(found) = list_in(schemas, &top, "$", object) {
        return Some(found);
    }
    for wrap in WRAPS {
        let Some(inside) = field(&top, wrap).and_then(|inside| Some(schemas.seen(inside)?.into_owned())) else {
            continue;
        };
        if let Some(found) = list_in(schemas, &inside, &format!("$.{wrap}"), object) {
            return Some(Found { sure: false, ..found });
        }
    }
    None
}

fn list_in(schemas: &mut Schemas<'_>, map: &Map<String, Value>, at: &str, object: &str) -> Option<Found> {
    // What has an id is one record, whatever lists it holds.
    let fields = map.get("properties").filter(|_| !has_id(map))?.as_object()?;
    let mut lists: Vec<(&String, Value)> = Vec::new();
    for (name, field) in fields {
        if let Some(items) = schemas.seen(field).and_then(|field| items_of(&field)) {
            lists.push((name, items));
        }
    }
    let is_named = |name: &str| {
        let words: Vec<String> = words(name).iter().map(|word| singular(word)).collect();
        let own: Vec<String> = object.split('_').map(singular).collect();
        words == own || (own.ends_with(&words) && !words.is_empty())
    };
    let usual = |(name, _): &&(&String, Value)| LISTS.contains(&name.to_ascii_lowercase().as_str());
    let named = lists.iter().find(|(name, _)| is_named(name));
    let sure = named.is_some() || (lists.len() == 1 && fields.len() == 1);
    let (name, items) = match named.or_else(|| lists.iter().find(usual)) {
        Some(found) => found,
        None => {
            // Records are maps; the only list of such is likely theirs.
            let mut maps = lists.iter().filter(|(_, items)| schemas.seen(items).is_some_and(|items| is_map(&items)));
            match (maps.next(), maps.next()) {
                (Some(only), None) => only,
                _ => return None,
            }
        }
    };
    Some(Found { path: under(at, name), schema: items.clone(), sure })
}

/// The record in an answer.
pub(super) fn record(schemas: &mut Schemas<'_>, answer: &Value, object: &str) -> Option<Found> {
    let whole = || Found { path: "$".into(), schema: answer.clone(), sure: true };
    let top = schemas.seen(answer)?.into_owned();
    let Some(fields) = top.get("properties").and_then(Value::as_object) else { return Some(whole()) };
    if has_id(&top) {
        return Some(whole());
    }
    let mut maps = Vec::new();
    for (name, field) in fields {
        if schemas.seen(field).is_some_and(|field| is_map(&field)) {
            maps.push(name);
        }
    }
    let own: Vec<String> = object.split('_').map(singular).collect();
    let is_named = |name: &&&String| {
        let words: Vec<String> = words(name).iter().map(|word| singular(word)).collect();
        !words.is_empty() && own.ends_with(&words)
    };
    let usual =
        |name: &&&String| WRAPS.contains(&name.as_str()) || matches!(name.as_str(), "record" | "item" | "object");
    let named = maps.iter().find(is_named).or_else(|| maps.iter().find(usual));
    let only = (maps.len() == 1 && fields.len() == 1).then(|| &maps[0]);
    match named.or(only) {
        Some(name) => {
            let sure = is_named(&name) || fields.len() == 1;
            Some(Found { path: under("$", name), schema: fields[name.as_str()].clone(), sure })
        }
        None => Some(whole()),
    }
}

pub(super) fn field<'m>(map: &'m Map<String, Value>, name: &str) -> Option<&'m Value> {
    map.get("properties")?.get(name)
}

fn items_of(schema: &Map<String, Value>) -> Option<Value> {
    let is_list = match schema.get("type") {
        Some(Value::String(kind)) => kind == "array",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
        _ => schema.contains_key("items") && !schema.contains_key("properties"),
    };
    is_list.then(|| schema.get("items").cloned().unwrap_or_else(|| Value::Object(Map::new())))
}

fn is_map(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties") || schema.get("type").is_some_and(|kind| kind == "object")
}

fn has_id(map: &Map<String, Value>) -> bool {
    field(map, "id").is_some() || field(map, "_id").is_some()
}
