//! One operation of a document, whatever its form: what is asked, with what, and what is answered.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::document::{Document, short};
use super::filled::{Filled, Filling, asked};
use super::name::Part;
use super::note::Notes;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

#[derive(Debug)]
pub(super) struct Call<'d> {
    pub method: String,
    pub path: &'d str,
    pub id: Option<&'d str>,
    pub tags: Vec<&'d str>,
    pub told: Option<&'d str>,
    pub deprecated: bool,
    pub parameters: Vec<Parameter<'d>>,
    pub body: Option<Body<'d>>,
    pub answer: Option<Answer<'d>>,
    pub scopes: Vec<&'d str>,
    /// What its path goes through, but for what is filled without asking.
    pub parts: Vec<Part>,
    pub filled: &'d [Filled],
    /// Why the language cannot say this operation.
    pub refused: Option<String>,
}

impl<'d> Call<'d> {
    /// `GET /contacts`, as messages say it.
    pub fn line(&self) -> String {
        short(&format!("{} {}", self.method, self.path))
    }

    pub fn fills_with_setting(&self, name: &str) -> bool {
        self.filled.iter().any(|filled| filled.with.setting() == Some(name))
    }

    /// With what a parameter or a field of the body is filled without asking.
    pub fn filling(&self, name: &str) -> Option<&'d Filling> {
        self.filled.iter().find(|filled| filled.name == name).map(|filled| &filled.with)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Path,
    Query,
    Header,
}

#[derive(Debug)]
pub(super) struct Parameter<'d> {
    pub name: &'d str,
    pub at: At,
    pub required: bool,
    pub schema: Cow<'d, Value>,
    pub told: Option<&'d str>,
    /// How a list or a map is written, as `spelling` says it; none: a list repeats its name.
    pub spelling: Option<&'static str>,
    /// The values are joined in a way that the language has no word for.
    pub joined: Option<&'static str>,
}

#[derive(Debug)]
pub(super) struct Body<'d> {
    pub kind: Kind,
    pub schema: Cow<'d, Value>,
    pub required: bool,
    /// Further kinds that the API takes.
    pub others: Vec<&'d str>,
}

/// How a body is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    /// JSON under another name, such as `application/vnd.api+json`.
    JsonAs(String),
    Form,
    /// Parts of a form, of which some are files.
    Multipart,
}

#[derive(Debug)]
pub(super) struct Answer<'d> {
    /// None: no JSON is promised.
    pub schema: Option<&'d Value>,
    /// The kind that is no JSON.
    pub other: Option<&'d str>,
    pub headers: Option<&'d Map<String, Value>>,
}

/// All operations in the order of the document.
pub(super) fn calls<'d>(document: &'d Document<'d>, filled: &'d [Filled], notes: &mut Notes) -> Vec<Call<'d>> {
    let mut calls = Vec::new();
    let paths = document.root.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten().filter(|(path, _)| !path.starts_with("x-")) {
        let Ok((Value::Object(item), _)) = document.follow(item) else {
            notes.add("left out: paths that cannot be read", short(path));
            continue;
        };
        let before = calls.len();
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let Some(operation) = operation.as_object() else {
                notes.add("left out: operations that are no map", short(&format!("{} {path}", method.to_uppercase())));
                continue;
            };
            let mut call = call(document, notes, path, method, item, operation);
            call.filled = filled;
            call.parts = asked(path, filled);
            calls.push(call);
        }
        if calls.len() == before {
            notes.add("left out: paths without operations", short(path));
        }
    }
    calls
}

fn call<'d>(
    document: &'d Document<'d>,
    notes: &mut Notes,
    path: &'d str,
    method: &str,
    item: &'d Map<String, Value>,
    operation: &'d Map<String, Value>,
) -> Call<'d> {
    let text = |key: &str| operation.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let tags = operation.get("tags").and_then(Value::as_array).into_iter().flatten();
    let mut call = Call {
        method: method.to_uppercase(),
        path,
        id: text("operationId"),
        tags: tags.filter_map(Value::as_str).collect(),
        told: text("summary").or_else(|| text("description")),
        deprecated: operation.get("deprecated") == Some(&Value::Bool(true)),
        parameters: Vec::new(),
        body: None,
        answer: None,
        scopes: scopes(document, operation),
        parts: Vec::new(),
        filled: &[],
        refused: None,
    };
    if method == "options" {
        call.refused = Some("the language has no OPTIONS".into());
    }
    if let Some(Value::Array(servers)) = operation.get("servers").or_else(|| item.get("servers"))
        && let Some(url) = servers.first().and_then(|server| server.get("url")?.as_str())
        && Some(url) != document.root.get("servers").and_then(|servers| servers.get(0)?.get("url")?.as_str())
    {
        call.refused = Some(format!("it is served elsewhere: {}", short(url)));
    }
    let mut form = Vec::new();
    let line = call.line();
    // What an operation says goes before what its path says.
    let own = operation.get("parameters").into_iter().chain(item.get("parameters"));
    for written in own.filter_map(Value::as_array).flatten() {
        let Ok((Value::Object(parameter), _)) = document.follow(written) else {
            notes.add("left out: parameters that cannot be read", line.clone());
            continue;
        };
        add_parameter(document, &mut call, &mut form, parameter, notes);
    }
    if !form.is_empty() {
        call.body = Some(form_body(document, operation, &form));
    } else if !document.is_two {
        let body = operation.get("requestBody").and_then(|body| document.follow(body).ok());
        if let Some(body) = body.and_then(|(body, _)| body.as_object()) {
            body_of_three(&mut call, body);
        }
    }
    call.answer = answer(document, operation);
    call
}

fn add_parameter<'d>(
    document: &'d Document<'d>,
    call: &mut Call<'d>,
    form: &mut Vec<&'d Map<String, Value>>,
    parameter: &'d Map<String, Value>,
    notes: &mut Notes,
) {
    let place = parameter.get("in").and_then(Value::as_str).unwrap_or_default();
    let required = parameter.get("required") == Some(&Value::Bool(true));
    if place == "body" && document.is_two {
        if call.body.is_none()
            && let Some(schema) = parameter.get("schema")
        {
            let kind = consumed(document, call);
            call.body = Some(Body { kind, schema: Cow::Borrowed(schema), required, others: Vec::new() });
        }
        return;
    }
    if place == "formData" && document.is_two {
        form.push(parameter);
        return;
    }
    let at = match place {
        "path" => At::Path,
        "query" => At::Query,
        "header" => At::Header,
        "cookie" => {
            notes.add("left out: cookies", call.line());
            return;
        }
        _ => {
            notes.add("left out: parameters that say no place that is known", call.line());
            return;
        }
    };
    let Some(name) = parameter.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty()) else {
        notes.add("left out: parameters without a name", call.line());
        return;
    };
    let known = |other: &Parameter<'_>| {
        other.at == at && if at == At::Header { other.name.eq_ignore_ascii_case(name) } else { other.name == name }
    };
    if call.parameters.iter().any(known) {
        return;
    }
    let content = || parameter.get("content").and_then(Value::as_object).and_then(|kinds| kinds.values().next());
    let schema = match parameter.get("schema").or_else(|| content()?.get("schema")) {
        Some(schema) => Cow::Borrowed(schema),
        // In 2.0, and in slips of later forms, the parameter is its own schema.
        None => Cow::Owned(Value::Object(inline(parameter))),
    };
    let text = |key: &str| parameter.get(key).and_then(Value::as_str);
    let exploded = parameter.get("explode").and_then(Value::as_bool);
    let spelling = match (text("style"), text("collectionFormat")) {
        (Some("spaceDelimited"), _) | (_, Some("ssv")) => Some("spaces"),
        (Some("pipeDelimited"), _) | (_, Some("pipes")) => Some("pipes"),
        (Some("deepObject"), _) => Some("brackets"),
        (_, Some("multi" | "tsv")) => None,
        _ if parameter.get("schema").is_none() && content().is_some() => Some("json"),
        _ if document.is_two || at != At::Query || exploded == Some(false) => Some("commas"),
        _ => None,
    };
    let joined = (text("collectionFormat") == Some("tsv")).then_some("tabs");
    call.parameters.push(Parameter { name, at, required, schema, told: text("description"), spelling, joined });
}

/// The parts of a parameter that are a schema.
fn inline(parameter: &Map<String, Value>) -> Map<String, Value> {
    let keys = ["type", "format", "items", "enum", "anyOf", "oneOf"];
    let parts = keys.iter().filter_map(|key| Some(((*key).to_owned(), parameter.get(*key)?.clone())));
    parts.collect()
}

/// 2.0: what kinds of bodies an operation takes.
fn consumes<'d>(document: &'d Document<'d>, operation: &'d Map<String, Value>) -> Vec<&'d str> {
    let kinds = operation.get("consumes").or_else(|| document.root.get("consumes")).and_then(Value::as_array);
    kinds.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn consumed<'d>(document: &'d Document<'d>, call: &mut Call<'d>) -> Kind {
    let operation = document.root.get("paths").and_then(|paths| paths.get(call.path)?.get(call.method.to_lowercase()));
    let kinds = operation.and_then(Value::as_object).map(|operation| consumes(document, operation)).unwrap_or_default();
    match kinds.iter().find_map(|kind| json_kind(kind)) {
        Some(kind) => kind,
        None if kinds.is_empty() => Kind::Json,
        None => {
            call.refused = Some(format!("its body is {}", short(kinds[0])));
            Kind::Json
        }
    }
}

fn form_body<'d>(
    document: &'d Document<'d>,
    operation: &'d Map<String, Value>,
    form: &[&'d Map<String, Value>],
) -> Body<'d> {
    let kinds = consumes(document, operation);
    let is_file = |field: &Map<String, Value>| field.get("type").is_some_and(|kind| kind == "file");
    let only_multipart = !kinds.is_empty() && kinds.iter().all(|kind| essence(kind) == MULTIPART);
    let multipart = form.iter().any(|field| is_file(field)) || only_multipart;
    let (mut fields, mut required) = (Map::new(), Vec::new());
    for field in form {
        let Some(name) = field.get("name").and_then(Value::as_str) else { continue };
        let mut schema = inline(field);
        if is_file(field) {
            schema.insert("format".into(), "binary".into());
        }
        if let Some(told) = field.get("description") {
            schema.insert("description".into(), told.clone());
        }
        fields.insert(name.to_owned(), schema.into());
        if field.get("required") == Some(&Value::Bool(true)) {
            required.push(name);
        }
    }
    let schema = json!({ "type": "object", "required": required, "properties": fields });
    let needed = !required.is_empty();
    let kind = if multipart { Kind::Multipart } else { Kind::Form };
    Body { kind, schema: Cow::Owned(schema), required: needed, others: Vec::new() }
}

fn body_of_three<'d>(call: &mut Call<'d>, body: &'d Map<String, Value>) {
    let Some(content) = body.get("content").and_then(Value::as_object).filter(|content| !content.is_empty()) else {
        return;
    };
    let json = content.iter().find_map(|(name, part)| Some((json_kind(name)?, name, part)));
    let form = |is: &str, kind| {
        let found = content.iter().find(|(name, _)| essence(name) == is);
        found.map(|(name, part)| (kind, name, part))
    };
    let required = body.get("required") == Some(&Value::Bool(true));
    let chosen = json.or_else(|| form(URL_ENCODED, Kind::Form)).or_else(|| form(MULTIPART, Kind::Multipart));
    match chosen {
        Some((kind, chosen, part)) => {
            let schema = part.get("schema").map_or(Cow::Owned(json!({})), Cow::Borrowed);
            let others = content.keys().filter(|name| *name != chosen).map(String::as_str).collect();
            call.body = Some(Body { kind, schema, required, others });
        }
        None => call.refused = content.keys().next().map(|kind| format!("its body is {}", short(kind))),
    }
}

const URL_ENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

/// `application/json` of `application/json; charset=utf-8`.
fn essence(kind: &str) -> String {
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn json_kind(name: &str) -> Option<Kind> {
    match essence(name).as_str() {
        "application/json" | "text/json" | "*/*" | "application/*" => Some(Kind::Json),
        essence if essence.ends_with("+json") && essence.chars().all(is_sign_of_a_kind) => {
            Some(Kind::JsonAs(essence.to_owned()))
        }
        essence if essence.ends_with("+json") => Some(Kind::Json),
        _ => None,
    }
}

/// RFC 6838 4.2, and the slash.
fn is_sign_of_a_kind(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(letter)
}

fn answer<'d>(document: &'d Document<'d>, operation: &'d Map<String, Value>) -> Option<Answer<'d>> {
    let answers = operation.get("responses")?.as_object()?;
    let good = ["200", "201", "202", "203", "204", "205", "206", "2XX", "2xx"];
    let found = good.iter().filter_map(|status| answers.get(*status)).collect::<Vec<_>>();
    let with_body = |answer: &&&Value| {
        let answer = document.follow(answer).map_or(&Value::Null, |(answer, _)| answer);
        answer.get("schema").is_some()
            || answer.get("content").and_then(Value::as_object).is_some_and(|kinds| !kinds.is_empty())
    };
    let chosen = found.iter().find(with_body).or(found.first()).copied().or_else(|| answers.get("default"))?;
    let (chosen, _) = document.follow(chosen).ok()?;
    let headers = chosen.get("headers").and_then(Value::as_object);
    if document.is_two {
        let kinds = operation.get("produces").or_else(|| document.root.get("produces")).and_then(Value::as_array);
        let kinds: Vec<&str> = kinds.into_iter().flatten().filter_map(Value::as_str).collect();
        let other = kinds.first().copied().filter(|_| !kinds.iter().any(|kind| json_kind(kind).is_some()));
        let schema = chosen.get("schema").filter(|schema| schema.get("type").is_none_or(|kind| kind != "file"));
        let is_file = chosen.get("schema").is_some() && schema.is_none();
        let other = other.or_else(|| is_file.then_some("a file"));
        return Some(Answer { schema: schema.filter(|_| other.is_none()), other, headers });
    }
    let content = chosen.get("content").and_then(Value::as_object);
    let json = content.and_then(|kinds| kinds.iter().find(|(name, _)| json_kind(name).is_some()));
    let other = content.and_then(|kinds| kinds.keys().next()).map(String::as_str).filter(|_| json.is_none());
    Some(Answer { schema: json.and_then(|(_, part)| part.get("schema")), other, headers })
}

/// The scopes of the first way of auth that names some.
fn scopes<'d>(document: &'d Document<'d>, operation: &'d Map<String, Value>) -> Vec<&'d str> {
    let ways = operation.get("security").or_else(|| document.root.get("security")).and_then(Value::as_array);
    let ways = ways.into_iter().flatten().filter_map(Value::as_object).flat_map(Map::values);
    let named = |way: &'d Value| {
        let scopes = way.as_array().into_iter().flatten().filter_map(Value::as_str);
        // RFC 6749 3.3: a scope has no spaces, and no letters beyond ASCII.
        scopes
            .filter(|scope| !scope.is_empty() && scope.chars().all(|letter| letter.is_ascii_graphic()))
            .collect::<Vec<_>>()
    };
    let mut once = Vec::new();
    for scope in ways.map(named).find(|scopes| !scopes.is_empty()).unwrap_or_default() {
        if !once.contains(&scope) {
            once.push(scope);
        }
    }
    once
}
