//! Schemas of a document as the connector language writes them: without references, merged, bounded.
//!
//! The language keeps each schema where it is used and knows no references, so that a schema is written out at each
//! place. Depth and size are bounded; what lies deeper is left open.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::document::{Document, Lost, last_name, sentence, short};
use super::note::Notes;
use super::yaml::{comment, is_data, is_key, is_shown};

/// Schemas within schemas, whatever the depth of fields.
const NESTING_MAX: usize = 20;
const ENUM_MAX: usize = 100;
const PARTS_MAX: usize = 100;

/// Which way a schema's values travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Sent,
    Answered,
}

/// A schema as written, and what is to be said about it.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    pub schema: Map<String, Value>,
    pub comment: Option<String>,
}

impl Made {
    fn of(schema: Value) -> Made {
        let Value::Object(schema) = schema else { return Made::default() };
        Made { schema, comment: None }
    }

    fn open(comment: impl Into<String>) -> Made {
        Made { schema: Map::new(), comment: Some(comment.into()) }
    }

    fn say(mut self, text: impl Into<String>) -> Made {
        let text: String = text.into();
        self.comment = Some(match self.comment {
            Some(there) => format!("{text} {there}"),
            None => text,
        });
        self
    }

    /// Puts the schema under a key, its comment above.
    pub fn put(self, map: &mut Map<String, Value>, key: &str) {
        if let Some(text) = self.comment {
            comment(map, key, text);
        }
        map.insert(key.to_owned(), self.schema.into());
    }

    pub fn is_map(&self) -> bool {
        match self.schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            kind => kind.is_some_and(|kind| kind == "object"),
        }
    }
}

/// Writes schemas out.
pub(super) struct Schemas<'d> {
    pub document: &'d Document<'d>,
    pub notes: Notes,
    /// How many levels of fields are written.
    depth: usize,
    descriptions: bool,
    /// Values that may still be written; 0: too many were.
    left: usize,
    side: Side,
    /// References on the way here.
    way: Vec<String>,
    nesting: usize,
}

impl<'d> Schemas<'d> {
    pub fn new(document: &'d Document<'d>, depth: usize, descriptions: bool, left: usize) -> Self {
        let (notes, way) = (Notes::default(), Vec::new());
        Schemas { document, notes, depth, descriptions, left, side: Side::Sent, way, nesting: 0 }
    }

    /// More was asked for than may be written.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }

    /// What a parameter says of itself, where its schema says nothing.
    pub fn told(&self, made: &mut Made, told: Option<&str>) {
        if !made.schema.contains_key("description")
            && let Some(told) = told.filter(|_| self.descriptions).and_then(sentence)
        {
            made.schema.insert("description".into(), told.into());
        }
    }

    pub fn make(&mut self, written: &Value, side: Side) -> Made {
        self.side = side;
        self.made(written, 0)
    }

    /// A schema itself, its reference followed and its parts merged; none if it is no map.
    pub fn seen<'v>(&mut self, written: &'v Value) -> Option<Cow<'v, Map<String, Value>>>
    where
        'd: 'v,
    {
        let (followed, _) = self.document.follow(written).ok()?;
        let before = self.way.len();
        let flat = self.flat(followed.as_object()?, 0);
        self.way.truncate(before);
        Some(flat)
    }

    fn made(&mut self, written: &Value, level: usize) -> Made {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 || self.nesting >= NESTING_MAX {
            return Made::default();
        }
        let (followed, reference) = match self.document.follow(written) {
            Ok(found) => found,
            Err(lost) => return self.lost(written, lost),
        };
        if let Some(reference) = reference.filter(|reference| self.way.iter().any(|passed| passed == reference)) {
            let name = short(last_name(reference));
            self.notes.add("left open: schemas inside themselves", name.clone());
            return Made::open(format!("Left open: {name} inside itself."));
        }
        let Value::Object(schema) = followed else {
            return match followed {
                Value::Bool(_) | Value::Null => Made::default(),
                _ => {
                    self.notes.add("not known: what stands where a schema is expected", String::new());
                    Made::open("Not known: what stands here in the document is no schema.")
                }
            };
        };
        let before = self.way.len();
        self.way.extend(reference.map(str::to_owned));
        self.nesting += 1;
        let flat = self.flat(schema, 0);
        let mut made = self.kind(&flat, level);
        self.nesting -= 1;
        self.way.truncate(before);
        // Beside a reference may stand a description of its own.
        let told = [written.get("description"), flat.get("description")];
        let told = told.into_iter().flatten().find_map(Value::as_str).and_then(sentence);
        if let Some(told) = told.filter(|_| self.descriptions) {
            let parts = ["properties", "items"];
            let at = made.schema.keys().position(|key| parts.contains(&key.as_str())).unwrap_or(made.schema.len());
            made.schema.shift_insert(at, "description".into(), told.into());
        }
        made
    }

    fn lost(&mut self, written: &Value, lost: Lost) -> Made {
        let reference = written.get("$ref").and_then(Value::as_str).map(short).unwrap_or_default();
        let (what, why) = match lost {
            Lost::Elsewhere => ("not known: schemas of other files, which are not read", "stands in another file"),
            Lost::Nowhere => ("not known: schemas that the document names and does not hold", "is not in the document"),
            Lost::Circle => ("not known: references that lead back to themselves", "leads back to itself"),
        };
        self.notes.add(what, reference.clone());
        Made::open(format!("Not known: {reference} {why}."))
    }

    /// A schema with its `allOf` merged in; of what is said twice, what stands nearer counts.
    fn flat<'s>(&mut self, schema: &'s Map<String, Value>, depth: usize) -> Cow<'s, Map<String, Value>> {
        let Some(Value::Array(parts)) = schema.get("allOf") else { return Cow::Borrowed(schema) };
        let mut whole = schema.clone();
        whole.shift_remove("allOf");
        for part in parts.iter().take(PARTS_MAX) {
            self.left = self.left.saturating_sub(1);
            if depth >= NESTING_MAX || self.left == 0 {
                break;
            }
            match self.document.follow(part) {
                Ok((Value::Object(found), reference)) => {
                    if reference.is_some_and(|reference| self.way.iter().any(|passed| passed == reference)) {
                        continue;
                    }
                    self.way.extend(reference.map(str::to_owned));
                    let found = self.flat(found, depth + 1);
                    merge(&mut whole, &found);
                }
                Ok(_) => {}
                Err(lost) => drop(self.lost(part, lost)),
            }
        }
        Cow::Owned(whole)
    }

    fn kind(&mut self, schema: &Map<String, Value>, level: usize) -> Made {
        let (kinds, mut nullable) = kinds(schema);
        for key in ["oneOf", "anyOf"] {
            let Some(Value::Array(branches)) = schema.get(key) else { continue };
            let is_null = |branch: &&Value| branch.get("type").is_some_and(|kind| kind == "null");
            nullable |= branches.iter().any(|branch| is_null(&branch));
            let branches: Vec<&Value> = branches.iter().filter(|branch| !is_null(branch)).take(PARTS_MAX).collect();
            if let Some(made) = self.branches(schema, &branches, level) {
                return self.nullable(made, nullable);
            }
        }
        let made = match kinds.as_slice() {
            [] | [_] => self.simple(kinds.first().copied(), schema, level),
            kinds => Made::of(json!({ "type": kinds })),
        };
        self.nullable(made, nullable)
    }

    /// In an answer null and absent are the same; only what is sent can say that it clears.
    fn nullable(&self, mut made: Made, nullable: bool) -> Made {
        if nullable && self.side == Side::Sent {
            let kinds = match made.schema.get("type") {
                Some(Value::String(kind)) => json!([kind, "null"]),
                Some(Value::Array(kinds)) => kinds.iter().cloned().chain([Value::from("null")]).collect(),
                _ => return made,
            };
            made.schema.insert("type".into(), kinds);
        }
        made
    }

    /// Several forms. Maps are written as one map with the fields of all, since the language knows no alternatives of
    /// maps; values of one kind as that kind; others are left open.
    fn branches(&mut self, schema: &Map<String, Value>, branches: &[&Value], level: usize) -> Option<Made> {
        match branches {
            [] => return None,
            // What stands around the only form holds as well.
            [only] if !schema.contains_key("properties") => return Some(self.made(only, level)),
            _ => {}
        }
        let mut forms = Vec::new();
        if schema.contains_key("properties") {
            forms.push(self.simple(Some("object"), schema, level));
        }
        let own = forms.len();
        forms.extend(branches.iter().map(|branch| self.made(branch, level)));
        // A form may only say which of the fields it needs.
        forms.retain(|form| own == 0 || !form.schema.is_empty());
        let kind = forms.first()?.schema.get("type").cloned();
        if forms.iter().all(Made::is_map) {
            let count = branches.len();
            let mut whole = forms.remove(0);
            let base = own == 1;
            for form in &forms {
                union(&mut whole.schema, &form.schema, base);
            }
            return Some(if count > 1 {
                whole.say(format!("One of {count} forms; these are the fields of all."))
            } else {
                whole
            });
        }
        if kind.is_some() && forms.iter().all(|form| form.schema.get("type") == kind.as_ref()) {
            let mut one = forms.swap_remove(0);
            // The values of one form are not those of another.
            let same = forms.iter().all(|form| form.schema == one.schema);
            if !same {
                one.schema.retain(|key, _| key == "type");
            }
            return Some(one);
        }
        self.notes.add("left open: values of several kinds", String::new());
        Some(Made::open("Left open: one of several kinds of values."))
    }

    fn simple(&mut self, kind: Option<&str>, schema: &Map<String, Value>, level: usize) -> Made {
        let has = |key: &str| schema.get(key).is_some_and(|part| !part.is_null());
        match kind {
            Some("object") => self.map(schema, level),
            Some("array") => self.list(schema, level),
            None if has("properties") => self.map(schema, level),
            None if has("items") => self.list(schema, level),
            None if has("additionalProperties") && !has("enum") => self.map(schema, level),
            kind => self.value(kind, schema),
        }
    }

    fn value(&mut self, kind: Option<&str>, schema: &Map<String, Value>) -> Made {
        let mut made = Made::default();
        let given = schema.get("format").and_then(Value::as_str);
        // 3.1 says a file's kind of content, and no format.
        let is_file = schema.contains_key("contentMediaType") && !schema.contains_key("contentEncoding");
        let given = given.or(is_file.then_some("binary"));
        let (kind, format) = match kind {
            Some("string" | "integer" | "number" | "boolean") => (kind, given),
            Some("int" | "int32" | "int64" | "long") => (Some("integer"), None),
            Some("float" | "double" | "decimal") => (Some("number"), None),
            Some("bool") => (Some("boolean"), None),
            Some("text" | "str" | "uuid") => (Some("string"), given),
            Some("file") => (Some("string"), Some("binary")),
            Some("date") => (Some("string"), Some("date")),
            Some("datetime" | "date-time" | "timestamp") => (Some("string"), Some("date-time")),
            _ => (None, None),
        };
        if let Some(kind) = kind {
            made.schema.insert("type".into(), kind.into());
        }
        const FORMATS: [&str; 8] = ["date-time", "date", "time", "email", "uri", "uuid", "hostname", "binary"];
        if let Some(format) = format.filter(|format| kind == Some("string") && FORMATS.contains(format)) {
            made.schema.insert("format".into(), format.into());
        }
        self.only(schema, &mut made);
        made
    }

    /// `enum` and `const`, where they are lists of plain values.
    fn only(&mut self, schema: &Map<String, Value>, made: &mut Made) {
        let plain = |value: &Value| match value {
            Value::String(text) => text.chars().all(is_shown),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        if let Some(only) = schema.get("const").filter(|only| plain(only)) {
            made.schema.insert("enum".into(), json!([only]));
            return;
        }
        let Some(Value::Array(values)) = schema.get("enum") else { return };
        let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
        if values.len() > ENUM_MAX {
            made.comment = Some(format!("One of {} values, which are left out here.", values.len()));
        } else if !values.is_empty() && values.iter().all(|value| plain(value)) {
            let mut once: Vec<&Value> = Vec::new();
            for value in values {
                if !once.contains(&value) {
                    once.push(value);
                }
            }
            self.left = self.left.saturating_sub(once.len());
            made.schema.insert("enum".into(), json!(once));
        }
    }

    fn list(&mut self, schema: &Map<String, Value>, level: usize) -> Made {
        let mut list = Made::of(json!({ "type": "array" }));
        // Some write what the items may be beside the list.
        let mut values = Made::default();
        self.only(schema, &mut values);
        match schema.get("items") {
            Some(items @ Value::Object(_)) => {
                let mut items = self.made(items, level);
                if !items.is_map() && !items.schema.contains_key("enum") {
                    items.schema.extend(values.schema);
                }
                if !items.schema.is_empty() || items.comment.is_some() {
                    items.put(&mut list.schema, "items");
                }
            }
            _ if !values.schema.is_empty() => values.put(&mut list.schema, "items"),
            _ => {}
        }
        list
    }

    fn map(&mut self, schema: &Map<String, Value>, level: usize) -> Made {
        let open = || Made::of(json!({ "type": "object", "additionalProperties": true }));
        let fields = schema.get("properties").and_then(Value::as_object).filter(|fields| !fields.is_empty());
        let others = schema.get("additionalProperties");
        let more = match others {
            Some(Value::Object(values)) if !values.is_empty() && level < self.depth => {
                Some(self.made(&Value::Object(values.clone()), level + 1))
            }
            Some(Value::Object(_) | Value::Bool(true)) => Some(Made::default()),
            _ => schema.get("patternProperties").map(|_| Made::default()),
        };
        let Some(fields) = fields.filter(|_| level < self.depth) else {
            let mut map = open();
            if let Some(more) = more.filter(|more| !more.schema.is_empty()) {
                more.put(&mut map.schema, "additionalProperties");
            }
            return map;
        };
        let mut written = Map::new();
        for (name, field) in fields {
            let refused = match self.side {
                Side::Sent => "readOnly",
                Side::Answered => "writeOnly",
            };
            let marked = |key: &str| self.seen_flag(field, key);
            if !is_key(name) {
                self.notes.add("left out: fields whose names cannot be written", String::new());
                continue;
            }
            if marked(refused) {
                continue;
            }
            let read_only = self.side == Side::Answered && marked("readOnly");
            let mut made = self.made(field, level + 1);
            if read_only {
                made.schema.insert("readOnly".into(), true.into());
            }
            made.put(&mut written, name);
        }
        let mut map = Map::from_iter([("type".to_owned(), Value::from("object"))]);
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut needed: Vec<&str> = Vec::new();
        for name in required.filter_map(Value::as_str).filter(|name| written.contains_key(*name)) {
            if !needed.contains(&name) {
                needed.push(name);
            }
        }
        // Of an answer nothing is demanded.
        if !needed.is_empty() && self.side == Side::Sent {
            self.left = self.left.saturating_sub(needed.len());
            map.insert("required".into(), json!(needed));
        }
        map.insert("properties".into(), written.into());
        match more {
            Some(more) if more.schema.is_empty() => drop(map.insert("additionalProperties".into(), true.into())),
            Some(more) => more.put(&mut map, "additionalProperties"),
            None => {}
        }
        Made { schema: map, comment: None }
    }

    fn seen_flag(&self, field: &Value, key: &str) -> bool {
        let marked = |value: &Value| value.get(key) == Some(&Value::Bool(true));
        marked(field) || self.document.follow(field).is_ok_and(|(field, _)| marked(field))
    }
}

/// The kinds of a schema beside null, and whether null is one.
fn kinds(schema: &Map<String, Value>) -> (Vec<&str>, bool) {
    let mut nullable = schema.get("nullable") == Some(&Value::Bool(true));
    nullable |= schema.get("x-nullable") == Some(&Value::Bool(true));
    let known = ["string", "integer", "number", "boolean", "object", "array"];
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "null" => (Vec::new(), true),
        Some(Value::String(kind)) => (vec![kind.as_str()], nullable),
        Some(Value::Array(several)) => {
            nullable |= several.iter().any(|kind| kind == "null");
            let mut kinds = Vec::new();
            for kind in several.iter().filter_map(Value::as_str).filter(|kind| known.contains(kind)) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            (kinds, nullable)
        }
        _ => (Vec::new(), nullable),
    }
}

/// Adds a part of `allOf`.
fn merge(whole: &mut Map<String, Value>, part: &Map<String, Value>) {
    for (key, value) in part {
        match (whole.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(more)) if key == "properties" => {
                for (name, field) in more {
                    known.entry(name.clone()).or_insert_with(|| field.clone());
                }
            }
            (Some(Value::Array(known)), Value::Array(more)) if key == "required" => {
                let new: Vec<Value> = more.iter().filter(|name| !known.contains(name)).cloned().collect();
                known.extend(new);
            }
            (Some(_), _) => {}
            (None, value) => drop(whole.insert(key.clone(), value.clone())),
        }
    }
}

/// Adds another form of a map: a field that forms write differently is left open, and only what all need is needed, or,
/// where the first is no form but what all have, what that needs.
fn union(whole: &mut Map<String, Value>, form: &Map<String, Value>, base: bool) {
    if let Some(more) = form.get("additionalProperties") {
        whole.entry("additionalProperties").or_insert_with(|| more.clone());
    }
    if let Some(Value::Object(fields)) = form.get("properties") {
        let known = whole.entry("properties").or_insert_with(|| json!({}));
        let Value::Object(known) = known else { return };
        for (name, field) in fields {
            match known.get_mut(name).filter(|_| is_data(name)) {
                None => drop(known.insert(name.clone(), field.clone())),
                Some(there) if there != field => {
                    let kind = there.get("type").filter(|kind| field.get("type") == Some(kind)).cloned();
                    let plain = |kind: &Value| kind != "object" && kind != "array";
                    *there = kind.filter(plain).map_or_else(|| json!({}), |kind| json!({ "type": kind }));
                }
                Some(_) => {}
            }
        }
    }
    if !base {
        let needed =
            |name: &Value| form.get("required").and_then(Value::as_array).is_some_and(|all| all.contains(name));
        if let Some(Value::Array(required)) = whole.get_mut("required") {
            required.retain(needed);
        }
        if whole.get("required").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            whole.shift_remove("required");
        }
    }
}
