//! An object with its fields and its operations.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::literal;
use super::schema::{Made, Schemas, Side};
use super::yaml::{LINES, comment};

/// An object while its operations are gathered.
#[derive(Default)]
pub(super) struct Gathered {
    pub operations: Vec<(String, Map<String, Value>, Option<String>)>,
    /// The schemas of its records, by the operation that told them.
    pub records: Vec<(String, Value)>,
    pub parent: Option<(String, String)>,
    pub own_hole: Option<String>,
}

/// Headers that always say the same, by the operation that says them.
pub(super) type Headers = BTreeMap<String, Vec<(String, String)>>;

/// One object, and what is to be said about it.
pub(super) fn object(
    schemas: &mut Schemas<'_>,
    name: &str,
    gathered: Gathered,
    names: &[String],
    headers: &Headers,
) -> Map<String, Value> {
    let mut object = Map::from_iter([(LINES.to_owned(), Value::Null)]);
    let record = record(schemas, &gathered.records);
    let fields = record.schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    match fields.is_empty() {
        true => {
            comment(&mut object, "id", "Not known: the fields of its records (`schema`).");
            schemas.notes.add("not known: the fields of an object", name);
        }
        false => record.put(&mut object, "schema"),
    }
    id(schemas, &mut object, name, &fields, gathered.own_hole.as_deref());
    times(schemas, &mut object, name, &fields);
    identity(schemas, &mut object, name, &fields);
    if let Some((above, hole)) = gathered.parent.filter(|(above, _)| names.contains(above)) {
        parent(schemas, &mut object, name, &above, &hole, &gathered.operations);
    }
    object.insert("operations".into(), operations(name, gathered.operations, headers).into());
    object
}

/// What is added to an object that another file describes.
pub(super) fn addition(name: &str, gathered: Gathered, headers: &Headers) -> Map<String, Value> {
    let operations = operations(name, gathered.operations, headers);
    Map::from_iter([(LINES.to_owned(), Value::Null), ("operations".to_owned(), operations.into())])
}

fn operations(
    name: &str,
    gathered: Vec<(String, Map<String, Value>, Option<String>)>,
    headers: &Headers,
) -> Map<String, Value> {
    let mut operations = Map::from_iter([(LINES.to_owned(), Value::Null)]);
    let mut sorted = gathered;
    let order = ["get", "list", "find", "create", "update", "delete", "archive"];
    sorted.sort_by_key(|(verb, ..)| order.iter().position(|standard| standard == verb).unwrap_or(order.len()));
    for (verb, mut map, said) in sorted {
        put_headers(&mut map, headers.get(&format!("{name}.{verb}")));
        if let Some(said) = said {
            comment(&mut operations, &verb, said);
        }
        operations.insert(verb, map.into());
    }
    operations
}

/// The record as all operations together tell it; what `get` says goes first.
fn record(schemas: &mut Schemas<'_>, records: &[(String, Value)]) -> Made {
    let mut sorted: Vec<&(String, Value)> = records.iter().collect();
    let order = ["get", "list", "create", "update"];
    sorted.sort_by_key(|(verb, _)| order.iter().position(|known| known == verb).unwrap_or(order.len()));
    let mut whole: Option<Made> = None;
    let mut seen: Vec<&Value> = Vec::new();
    for (_, schema) in sorted {
        if seen.contains(&schema) {
            continue;
        }
        seen.push(schema);
        let made = schemas.make(schema, Side::Answered);
        let Some(Value::Object(more)) = made.schema.get("properties") else { continue };
        let Some(whole) = &mut whole else {
            whole = Some(made);
            continue;
        };
        if let Some(Value::Object(fields)) = whole.schema.get_mut("properties") {
            for (name, field) in more {
                fields.entry(name.clone()).or_insert_with(|| field.clone());
            }
        }
    }
    whole.unwrap_or_default()
}

fn id(
    schemas: &mut Schemas<'_>,
    object: &mut Map<String, Value>,
    name: &str,
    fields: &Map<String, Value>,
    hole: Option<&str>,
) {
    let camel = format!("{}Id", camel(name));
    let snake = format!("{name}_id");
    let candidates = ["id", "_id", hole.unwrap_or_default(), &camel, &snake, "uuid", "uid", "key", "ID", "Id"];
    let found = candidates.into_iter().find(|name| !name.is_empty() && fields.contains_key(*name));
    if found.is_none() && !fields.is_empty() {
        comment(object, "id", "Not known: which field holds the id.");
        schemas.notes.add("not known: which field holds the id", name);
    } else if found.is_some_and(|found| found != "id" && found != "_id") {
        comment(object, "id", "Guessed: which field holds the id.");
        schemas.notes.add("guessed: which field holds the id", name);
    }
    object.insert("id".into(), found.unwrap_or("id").into());
}

fn times(schemas: &mut Schemas<'_>, object: &mut Map<String, Value>, name: &str, fields: &Map<String, Value>) {
    let created =
        ["created_at", "createdAt", "created", "dateAdded", "date_created", "dateCreated", "createdOn", "created_on"];
    let changed = [
        "updated_at",
        "updatedAt",
        "updated",
        "dateUpdated",
        "date_updated",
        "modified_at",
        "modifiedAt",
        "modified",
        "lastModified",
        "last_modified",
        "updatedOn",
        "updated_on",
    ];
    for (key, candidates) in [("created_at", &created[..]), ("changed_at", &changed[..])] {
        if let Some(found) = candidates.iter().find(|name| fields.contains_key(**name)) {
            comment(object, key, "Guessed by its name.");
            object.insert(key.into(), (*found).into());
            schemas.notes.add("guessed: when records were made and changed", name);
        }
    }
}

fn identity(schemas: &mut Schemas<'_>, object: &mut Map<String, Value>, name: &str, fields: &Map<String, Value>) {
    let is_text =
        |field: &&str| fields.get(*field).and_then(|field| field.get("type")).is_some_and(|kind| kind == "string");
    let found: Vec<&str> = ["email", "phone"].into_iter().filter(is_text).collect();
    if found.is_empty() {
        return;
    }
    comment(object, "identity", "Guessed by their names. An upsert looks by them with an operation `find`.");
    object.insert("identity".into(), json!(found));
    let rules = found.iter().map(|field| (*field, if *field == "email" { "lowercase" } else { "e164" }));
    let rules: Map<String, Value> = rules.map(|(field, rule)| (field.to_owned(), rule.into())).collect();
    object.insert("normalize".into(), rules.into());
    schemas.notes.add("guessed: what tells whether two records are the same", name);
}

fn parent(
    schemas: &mut Schemas<'_>,
    object: &mut Map<String, Value>,
    name: &str,
    parent: &str,
    hole: &str,
    operations: &[(String, Map<String, Value>, Option<String>)],
) {
    let asks = |map: &Map<String, Value>, hole: &str| {
        map.get("request").and_then(Value::as_str).is_some_and(|line| line.contains(&format!("{{{hole}}}")))
    };
    let renamed = format!("{parent}_id");
    let used = [hole, &renamed].into_iter().find(|hole| operations.iter().any(|(_, map, _)| asks(map, hole)));
    if let Some(hole) = used.filter(|hole| *hole != "id") {
        comment(object, "parent", "Guessed: the path says under whose record these live.");
        object.insert("parent".into(), json!({ "object": parent, "id": hole }));
        schemas.notes.add("guessed: under whose records an object lives", name);
    }
}
/// `custom_field` as `customField`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    for (index, word) in name.split('_').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if index > 0 => out.push(first.to_ascii_uppercase()),
            Some(first) => out.push(first),
            None => {}
        }
        out.extend(letters);
    }
    out
}

pub(super) fn put_headers(operation: &mut Map<String, Value>, headers: Option<&Vec<(String, String)>>) {
    let Some(headers) = headers else { return };
    let mut all = Map::new();
    for (name, value) in headers {
        all.insert(name.clone(), literal(value));
    }
    if let Some(Value::Object(more)) = operation.shift_remove("headers") {
        all.extend(more);
    }
    let at = operation.keys().position(|key| key == "body" || key == "returns" || key == "items");
    operation.shift_insert(at.unwrap_or(operation.len()), "headers".into(), all.into());
}
