//! One operation as the language says it.

use serde_json::{Map, Value, json};

use super::answer;
use super::call::{At, Call, Kind, Parameter};
use super::document::sentence;
use super::name::{Named, free, singular, snake, words};
use super::pages::{self, Paging};
use super::schema::{Schemas, Side};
use super::yaml::{LINES, comment, is_data, is_key, is_shown};
use crate::connector::address::{header_name_fault, request_line};
use crate::connector::field::under;

/// An operation, and what its object and its connector learn from it.
#[derive(Debug)]
pub(super) struct Written {
    pub map: Map<String, Value>,
    pub comment: Option<String>,
    /// The schema of its object's records, as the document says it.
    pub record: Option<Value>,
    /// Headers that always say the same.
    pub headers: Vec<(String, String)>,
}

/// What an operation takes.
#[derive(Default)]
struct Input {
    fields: Map<String, Value>,
    required: Vec<String>,
    open: bool,
}

impl Input {
    fn is_taken(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    fn add(&mut self, name: &str, made: super::schema::Made, required: bool) {
        made.put(&mut self.fields, name);
        if required {
            self.required.push(name.to_owned());
        }
    }

    fn schema(self) -> Option<Map<String, Value>> {
        if self.fields.is_empty() && !self.open {
            return None;
        }
        let mut schema = Map::from_iter([("type".to_owned(), Value::from("object"))]);
        if !self.required.is_empty() {
            schema.insert("required".into(), json!(self.required));
        }
        if !self.fields.is_empty() {
            schema.insert("properties".into(), self.fields.into());
        }
        if self.open {
            schema.insert("additionalProperties".into(), true.into());
        }
        Some(schema)
    }
}

/// The operation; or why the language cannot say it.
pub(super) fn write(schemas: &mut Schemas<'_>, call: &Call<'_>, named: &Named) -> Result<Written, String> {
    if let Some(why) = &call.refused {
        return Err(why.clone());
    }
    let (path, constants) = split_query(call.path);
    let (path, holes) = fill(path, named, call)?;
    let request = format!("{} {path}", call.method);
    if let Err((why, _)) = request_line(&request) {
        return Err(why);
    }
    let mut out =
        Out { schemas, call, map: Map::new(), said: Vec::new(), input: Input::default(), headers: Vec::new() };
    out.map.insert(LINES.into(), Value::Null);
    out.map.insert("request".into(), request.into());
    let scope = call.scopes.join(" ");
    if !scope.is_empty() {
        out.map.insert("scope".into(), scope.into());
    }
    let told_words = [call.deprecated.then(|| "Deprecated.".to_owned()), call.told.and_then(sentence)];
    let told_words = told_words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if !told_words.is_empty() {
        out.map.insert("description".into(), told_words.into());
    }
    let lists = out.lists(named);
    let reads = out.reads(named, lists.is_some());
    for (hole, own) in &holes {
        let parameter = call.parameters.iter().find(|parameter| parameter.at == At::Path && parameter.name == *hole);
        let mut made = match parameter {
            Some(parameter) => out.schemas.make(&parameter.schema, Side::Sent),
            None => super::schema::Made::default(),
        };
        // A path holds text.
        if !matches!(made.schema.get("type").and_then(Value::as_str), Some("string" | "integer" | "number")) {
            made.schema = Map::from_iter([("type".to_owned(), Value::from("string"))]);
        }
        out.schemas.told(&mut made, parameter.and_then(|parameter| parameter.told));
        out.input.add(own, made, true);
    }
    let paging = match &lists {
        Some(_) => pages::guess(out.schemas, call, call.answer.as_ref().and_then(|answer| answer.schema)),
        None => Paging::None,
    };
    out.query(&constants, &paging);
    out.header_parameters();
    out.body();
    let record = out.answer(named, reads, lists, paging);
    if call.method == "POST" && !reads {
        out.map.insert("if_unsure".into(), "ask".into());
    }
    let comment = Some(out.said.join("\n")).filter(|said| !said.is_empty());
    Ok(Written { map: out.map, comment, record, headers: out.headers })
}

/// An operation that is being written.
struct Out<'a, 'd> {
    schemas: &'a mut Schemas<'d>,
    call: &'a Call<'a>,
    map: Map<String, Value>,
    said: Vec<String>,
    input: Input,
    headers: Vec<(String, String)>,
}

impl Out<'_, '_> {
    /// The list that the answer holds, where this looks like an operation that lists.
    fn lists(&mut self, named: &Named) -> Option<answer::Found> {
        let answer = self.call.answer.as_ref()?.schema?;
        let is_standard = matches!(named.verb.as_str(), "get" | "create" | "update" | "delete" | "replace");
        let looks = matches!(self.call.method.as_str(), "GET" | "POST") && !is_standard;
        let object = named.object.clone().unwrap_or_else(|| named.verb.clone());
        let may = looks && (self.call.method == "GET" || searches(self.call));
        may.then(|| answer::list(self.schemas, answer, &object)).flatten()
    }

    fn reads(&mut self, named: &Named, lists: bool) -> bool {
        if matches!(self.call.method.as_str(), "GET" | "HEAD") {
            return true;
        }
        let silent = self.call.answer.as_ref().is_none_or(|answer| answer.schema.is_none());
        let guessed = self.call.method == "POST"
            && (lists || (silent && last_words(self.call) == ["search"]))
            && searches(self.call)
            && named.verb != "create";
        if guessed {
            comment(&mut self.map, "reads", "Guessed: a search changes nothing.");
            self.map.insert("reads".into(), true.into());
            self.schemas.notes.add("guessed: a POST that only reads", place(named));
        }
        guessed
    }

    fn query(&mut self, constants: &[(String, String)], paging: &Paging) {
        let (mut query, mut spelling) = (Map::new(), Map::new());
        for (name, value) in constants {
            query.insert(name.clone(), literal(value));
        }
        let filled = match paging {
            Paging::Guessed(guess) => guess.filled.as_slice(),
            _ => &[],
        };
        for parameter in self.call.parameters.iter().filter(|parameter| parameter.at == At::Query) {
            let name = parameter.name;
            if !is_key(name) || query.contains_key(name) {
                continue;
            }
            if let Some(filling) = self.call.filling(name) {
                query.insert(name.to_owned(), filling.value());
                continue;
            }
            if let Some((_, value)) = filled.iter().find(|(filled, _)| filled == name) {
                query.insert(name.to_owned(), value.as_str().into());
                continue;
            }
            let mut made = self.schemas.make(&parameter.schema, Side::Sent);
            if let Some(only) = constant(&made.schema).filter(|_| parameter.required) {
                query.insert(name.to_owned(), literal(&only));
                continue;
            }
            if made.is_map() && !matches!(parameter.spelling, Some("json")) {
                self.nested(parameter, made.schema, &mut query, &mut spelling);
                continue;
            }
            let is_list = kind_of(&made.schema) == Some("array");
            if let Some(word) = parameter.spelling.filter(|_| is_list || made.is_map()) {
                spelling.insert(name.to_owned(), word.into());
            }
            if let Some(between) = parameter.joined.filter(|_| is_list) {
                self.schemas.notes.add("given as text: lists that are joined in a query", self.call.line());
                made = super::schema::Made::default();
                made.schema.insert("type".into(), "string".into());
                made.comment = Some(format!("Several values, with {between} between them."));
            }
            self.schemas.told(&mut made, parameter.told);
            let own = self.own_name(name, "query");
            query.insert(name.to_owned(), under("$.input", &own).into());
            self.input.add(&own, made, parameter.required);
        }
        if !query.is_empty() {
            self.map.insert("query".into(), query.into());
        }
        if !spelling.is_empty() {
            self.map.insert("spelling".into(), spelling.into());
        }
    }

    /// A map in a query: each field is a parameter of its own where all are plain, else the map is one.
    fn nested(
        &mut self,
        parameter: &Parameter<'_>,
        schema: Map<String, Value>,
        query: &mut Map<String, Value>,
        spelling: &mut Map<String, Value>,
    ) {
        let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let plain = |field: &Value| field.as_object().is_some_and(|field| !matches!(kind_of(field), Some("object")));
        let deep = parameter.spelling == Some("brackets");
        if deep && (fields.is_empty() || !fields.iter().all(|(name, field)| !is_data(name) || plain(field))) {
            let own = self.own_name(parameter.name, "query");
            query.insert(parameter.name.to_owned(), under("$.input", &own).into());
            spelling.insert(parameter.name.to_owned(), "brackets".into());
            self.input.add(&own, super::schema::Made { schema, comment: None }, parameter.required);
            return;
        }
        if !deep {
            self.schemas.notes.add("left out: maps in a query", format!("{} of {}", parameter.name, self.call.line()));
            self.said.push(format!(
                "Left out: the query parameter {}, which is a map.",
                super::document::short(parameter.name)
            ));
            return;
        }
        for (name, field) in fields.iter().filter(|(name, _)| is_data(name)) {
            let full = format!("{}[{name}]", parameter.name);
            let own = self.own_name(&full, "query");
            query.insert(full, under("$.input", &own).into());
            let schema = field.as_object().cloned().unwrap_or_default();
            self.input.add(&own, super::schema::Made { schema, comment: None }, false);
        }
    }

    /// A name in the input that nothing has yet.
    fn own_name(&self, name: &str, place: &str) -> String {
        let good = !name.is_empty()
            && name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let base = if good { name.to_owned() } else { snake(&words(name)).unwrap_or_else(|| place.to_owned()) };
        if !self.input.is_taken(&base) {
            return base;
        }
        let placed = format!("{base}_in_{place}");
        free(&placed, |name| self.input.is_taken(name)).unwrap_or(placed)
    }

    fn header_parameters(&mut self) {
        let mut headers = Map::new();
        for parameter in self.call.parameters.iter().filter(|parameter| parameter.at == At::Header) {
            let name = parameter.name.trim();
            let lower = name.to_ascii_lowercase();
            // The credential is attached by `auth`, the kinds by us.
            let ours = matches!(lower.as_str(), "authorization" | "accept" | "content-type" | "content-length");
            if ours || self.schemas.document.key_headers().any(|key| key.eq_ignore_ascii_case(name)) {
                continue;
            }
            if header_name_fault(name).is_some() || !is_key(name) {
                self.schemas.notes.add("left out: headers that are not a file's to set", self.call.line());
                continue;
            }
            if lower == "idempotency-key" {
                self.map.insert("idempotency".into(), json!({ "header": name }));
                continue;
            }
            let mut made = self.schemas.make(&parameter.schema, Side::Sent);
            if let Some(only) =
                constant(&made.schema).filter(|only| only.chars().all(|letter| (' '..='~').contains(&letter)))
            {
                self.headers.push((name.to_owned(), only));
                continue;
            }
            if made.is_map() || kind_of(&made.schema) == Some("array") {
                made.schema = Map::from_iter([("type".to_owned(), Value::from("string"))]);
            }
            self.schemas.told(&mut made, parameter.told);
            let own = self.own_name(&lower, "header");
            headers.insert(name.to_owned(), under("$.input", &own).into());
            self.input.add(&own, made, parameter.required);
        }
        if let Some(body) = &self.call.body
            && let Kind::JsonAs(kind) = &body.kind
        {
            headers.insert("Content-Type".into(), kind.as_str().into());
        }
        if !headers.is_empty() {
            self.map.insert("headers".into(), headers.into());
        }
    }

    fn body(&mut self) {
        let Some(body) = &self.call.body else { return };
        if matches!(self.call.method.as_str(), "GET" | "HEAD") {
            self.schemas.notes.add("left out: bodies of a GET", self.call.line());
            self.said.push("Left out: its body, since a GET has none.".into());
            return;
        }
        match body.kind {
            Kind::Form => drop(self.map.insert("form".into(), true.into())),
            Kind::Multipart => drop(self.map.insert("multipart".into(), true.into())),
            Kind::Json | Kind::JsonAs(_) => {}
        }
        if !body.others.is_empty() {
            let others = body.others.iter().map(|kind| super::document::short(kind)).collect::<Vec<_>>().join(", ");
            self.said.push(format!("The body may also be {others}."));
        }
        let made = self.schemas.make(&body.schema, Side::Sent);
        let fields = made.schema.get("properties").and_then(Value::as_object).cloned();
        let required = made.schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_open = made.schema.get("additionalProperties").is_some();
        // Everything but what fills the path is in `$.input`.
        let holes = self.call.parts.iter().filter(|part| matches!(part, super::name::Part::Hole(_))).count();
        let more =
            self.map.get("query").or_else(|| self.map.get("headers")).is_some() && self.input.fields.len() > holes;
        match fields {
            Some(fields) => {
                if let Some(said) = &made.comment {
                    comment(&mut self.map, "input", said.clone());
                }
                let clash = fields.keys().any(|name| is_data(name) && self.input.is_taken(name));
                let whole = !clash && !more;
                let (mut parts, mut added) = (Map::new(), Map::new());
                for (name, field) in fields.iter().filter(|(name, _)| is_data(name)) {
                    if let Some(filling) = self.call.filling(name) {
                        parts.insert(name.clone(), filling.value());
                        added.insert(name.clone(), filling.value());
                        continue;
                    }
                    let own = if self.input.is_taken(name) { self.own_name(name, "body") } else { name.clone() };
                    let key = if name.starts_with('$') { format!("${name}") } else { name.clone() };
                    parts.insert(key, under("$.input", &own).into());
                    let said =
                        fields.get(&format!("{}{name}", super::yaml::MARK)).and_then(Value::as_str).map(str::to_owned);
                    let schema = field.as_object().cloned().unwrap_or_default();
                    let needed = body.required && required.iter().any(|needed| needed == name);
                    self.input.add(&own, super::schema::Made { schema, comment: said }, needed);
                }
                self.input.open = is_open && whole;
                self.map.insert("body".into(), if whole { "$.input".into() } else { parts.into() });
                if whole && !added.is_empty() {
                    self.map.insert("add".into(), added.into());
                }
            }
            None if made.is_map() && !more => {
                self.input.open = true;
                self.map.insert("body".into(), "$.input".into());
            }
            None => {
                let own = self.own_name("body", "request");
                self.map.insert("body".into(), under("$.input", &own).into());
                self.input.add(&own, made, body.required);
            }
        }
    }

    /// What comes back; gives the record's schema where it is one of the object.
    fn answer(&mut self, named: &Named, reads: bool, lists: Option<answer::Found>, paging: Paging) -> Option<Value> {
        let input = std::mem::take(&mut self.input).schema();
        if let Some(input) = input {
            let at = self
                .map
                .keys()
                .position(|key| matches!(key.as_str(), "query" | "headers" | "form" | "multipart" | "body"));
            let at = at.unwrap_or(self.map.len());
            self.map.shift_insert(at, "input".into(), input.into());
        }
        if let Some(other) = self.call.answer.as_ref().and_then(|answer| answer.other) {
            let other = super::document::short(other);
            self.schemas.notes.add("not known: answers that are no JSON", format!("{} ({other})", place(named)));
            self.said.push(format!("Not known: its answer is {other}, of which nothing is kept."));
            return None;
        }
        if named.verb == "delete" {
            return None;
        }
        let Some(schema) = self.call.answer.as_ref().and_then(|answer| answer.schema) else {
            // A write may well answer with nothing.
            if reads {
                comment(&mut self.map, "returns", "Not known: what it answers.");
                self.schemas.notes.add("not known: what an operation answers", place(named));
                self.map.insert("returns".into(), "$".into());
            }
            return None;
        };
        let object = named.object.as_deref();
        if let Some(found) = lists {
            if !found.sure {
                comment(&mut self.map, "items", "Guessed: where the records stand.");
                self.schemas.notes.add("guessed: where an answer has its records", place(named));
            }
            self.map.insert("items".into(), found.path.as_str().into());
            self.pages(named, paging);
            if named.verb == "list" && object.is_some() {
                return Some(found.schema);
            }
            self.output(&found.schema);
            return None;
        }
        if named.verb == "list" {
            let said = "Not known: where the records stand in the answer. Say `items: $.…` in place of `returns`.";
            comment(&mut self.map, "returns", said);
            self.schemas.notes.add("not known: where an answer has its records", place(named));
        }
        let is_record =
            matches!(named.verb.as_str(), "get" | "create" | "update" | "replace" | "upsert") && object.is_some();
        if !is_record {
            self.map.insert("returns".into(), "$".into());
            self.output(schema);
            return None;
        }
        let found = answer::record(self.schemas, schema, object.unwrap_or_default())?;
        if !found.sure {
            comment(&mut self.map, "returns", "Guessed: where the record stands.");
            self.schemas.notes.add("guessed: where an answer has its record", place(named));
        }
        self.map.insert("returns".into(), found.path.as_str().into());
        Some(found.schema)
    }

    fn pages(&mut self, named: &Named, paging: Paging) {
        match paging {
            Paging::Guessed(guess) => {
                comment(&mut self.map, "pages", format!("Guessed: {}.", guess.because));
                self.schemas.notes.add("guessed: how a list goes on", place(named));
                self.map.insert("pages".into(), guess.pages);
            }
            Paging::Unknown => {
                self.said.push("Not known: how the list goes on. Only one page is read until `pages` says it.".into());
                self.schemas.notes.add("not known: how a list goes on", place(named));
            }
            Paging::None => {}
        }
    }

    fn output(&mut self, schema: &Value) {
        let made = self.schemas.make(schema, Side::Answered);
        if !made.schema.is_empty() {
            made.put(&mut self.map, "output");
        }
    }
}

/// `contact.list`, as messages say it.
pub(super) fn place(named: &Named) -> String {
    match &named.object {
        Some(object) => format!("{object}.{}", named.verb),
        None => named.verb.clone(),
    }
}

/// Does the last part of the path say that something is looked for?
fn searches(call: &Call<'_>) -> bool {
    let last = last_words(call);
    let first = last.first().map(String::as_str);
    matches!(first, Some("search" | "query" | "filter" | "lookup" | "find"))
        || (first == Some("list") && last.len() == 1)
}

fn last_words(call: &Call<'_>) -> Vec<String> {
    let path = call.path.split('?').next().unwrap_or_default();
    words(path.trim_end_matches('/').rsplit('/').next().unwrap_or_default())
}

fn kind_of(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.first()?.as_str(),
        _ => None,
    }
}

/// The only value that is taken, as text.
fn constant(schema: &Map<String, Value>) -> Option<String> {
    match schema.get("enum")?.as_array()?.as_slice() {
        [Value::String(only)] => Some(only.clone()),
        [only @ (Value::Number(_) | Value::Bool(_))] => Some(only.to_string()),
        _ => None,
    }
}

/// A text that stands for itself.
pub(super) fn literal(text: &str) -> Value {
    match text.starts_with('$') || text.contains("{{") {
        true => json!({ "$literal": text }),
        false => text.into(),
    }
}

/// Some documents write a query into the path: `/people?kind=new`.
fn split_query(path: &str) -> (&str, Vec<(String, String)>) {
    let Some((path, query)) = path.split_once('?') else { return (path, Vec::new()) };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let plain = |text: &str| !text.is_empty() && !text.contains(['{', '}']) && text.chars().all(is_shown);
    let pairs = pairs.filter(|(name, value)| plain(name) && plain(value));
    (path, pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The path with holes as the language calls them, and which is which.
fn fill(path: &str, named: &Named, call: &Call<'_>) -> Result<(String, Vec<(String, String)>), String> {
    let mut out = String::new();
    if !path.starts_with('/') {
        out.push('/');
    }
    let mut holes: Vec<(String, String)> = Vec::new();
    let mut rest = path;
    let mut own = named.own_hole.as_deref();
    while let Some(start) = rest.find('{') {
        let length = rest[start..].find('}').ok_or("a brace of its path is not closed")?;
        let hole = &rest[start + 1..start + length];
        out.push_str(&rest[..start]);
        if let Some(filling) = call.filling(hole) {
            out.push_str(&filling.segment());
            rest = &rest[start + length + 1..];
            continue;
        }
        // The object's own id is always `id`; a parent's is not.
        let name = if own == Some(hole) && holes.iter().all(|(_, known)| known != "id") && is_last(rest, start, hole) {
            own = None;
            "id".to_owned()
        } else {
            let given = Some(hole).filter(|hole| *hole != "id" || named.own_hole.is_none());
            let good = |hole: &&str| {
                is_key(hole) && hole.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
            };
            let name = given.filter(good).map(str::to_owned).or_else(|| snake(&words(hole)));
            let parent = named.parent.as_ref().map(|(parent, _)| format!("{}_id", singular(parent)));
            match name {
                Some(name) if name != "id" || named.own_hole.is_none() => name,
                _ => parent.unwrap_or_else(|| "other_id".into()),
            }
        };
        let taken = |name: &str| holes.iter().any(|(_, known)| known == name) || call.fills_with_setting(name);
        let name = free(&name, taken).unwrap_or(name);
        out.push_str(&format!("{{{name}}}"));
        holes.push((hole.to_owned(), name));
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    Ok((out, holes))
}

/// No later hole of the same name.
fn is_last(rest: &str, start: usize, hole: &str) -> bool {
    !rest[start + 1..].contains(&format!("{{{hole}}}"))
}
