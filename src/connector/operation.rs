//! One call that an API offers: from an input to a request.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::address::{self, Piece};
use super::body::{self, Shape};
use super::drift::Expected;
use super::page::{Pages, linked_url};
use super::spelling::{Spelling, query, spell};
use super::{Body, Connector, Failure, Names, Request, field};
use crate::expr::{Expr, Fault, FieldType, Locale, Path, Root, Roots, Scope, converted};
use crate::source::{Place, nearest, under};

/// An operation, read and checked.
#[derive(Debug)]
pub struct Operation {
    /// Full name: `contact.create`; or `name` at the top level.
    pub name: String,
    /// The object that it belongs to.
    pub object: Option<String>,
    pub method: String,
    /// Path with `{name}` holes, relative to the base URL.
    pub path: String,
    pub scope: Option<String>,
    pub description: Option<String>,
    /// JSON Schema of the input, for `catalog` and checks (holes of the path included); Null if unknown.
    pub input: Value,
    /// What `input` says, once somebody asks.
    pub(super) takes: OnceLock<FieldType>,
    /// JSON Schema of what it returns (of a list: of each item) if that is no record of its object; Null if unknown.
    pub output: Value,
    /// Changes nothing at the remote side: GET, or `reads: true`.
    pub reads: bool,
    /// It answers with a list of records (`items:`).
    pub lists: bool,
    pub paging: Option<Paging>,
    pub if_unsure: IfUnsure,
    pub place: Place,
    pub(super) pieces: Vec<Piece>,
    /// Names of the holes that the connection's settings fill.
    pub(super) from_settings: Vec<String>,
    pub(super) query: Vec<(String, Expr)>,
    /// How lists and maps of the query and of a form are written: by name, and those that are not named.
    pub(super) spellings: Vec<(String, Spelling)>,
    pub(super) spelling: Option<Spelling>,
    pub(super) headers: Vec<(String, Expr)>,
    pub(super) body: Option<Expr>,
    pub(super) add: Option<Expr>,
    pub(super) shape: Shape,
    /// Names of the input that the query and the headers read.
    pub(super) sent_elsewhere: Vec<String>,
    pub(super) returns: Option<Path>,
    pub(super) items: Option<Path>,
    pub(super) pages: Option<Pages>,
    pub(super) rename: Vec<(String, String)>,
    pub(super) idempotency_header: Option<String>,
    /// What its records are expected to be; made when the first one comes. None inside: nothing is known of them.
    pub(super) expected: OnceLock<Option<Expected>>,
}

/// How to get the next page; see language-rulings.md.
#[derive(Clone, Debug)]
pub enum Paging {
    Cursor,
    Offset { size: u64 },
    Number,
    Link,
}

/// Where a list has got to: `None` for the first page. Opaque; travels through the journal.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Page {
    /// The value of `$.page.next` (cursor, link), `$.page.offset`, or `$.page.number`.
    pub next: Option<Value>,
    /// Tells what the page before held, where pages are counted: the same again would never end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

/// What to do when it is not known whether a write was carried out.
#[derive(Clone, Debug)]
pub struct IfUnsure {
    /// Failure names that leave it open; `timeout` and `transient` unless the file says otherwise.
    pub after: Vec<String>,
    pub then: Unsure,
    /// How long to wait before looking: the vendor's index may lag.
    pub wait: Duration,
}

#[derive(Clone, Debug)]
pub enum Unsure {
    /// Repeating is safe: GET, PUT, DELETE, `reads`, an idempotency header, or `send_again`.
    SendAgain,
    /// Look with this operation (full name); `same`: compare these fields in a list of young records.
    LookWith { operation: String, same: Vec<String> },
    /// A person decides.
    Ask,
}

impl Operation {
    /// Builds the request. `input` is what the recipe sends (already converted), `connection` the settings.
    ///
    /// # Errors
    /// `invalid`: a hole without value, an empty or dotted path segment, a header with control characters, … (permanent).
    pub fn request(
        &self,
        connector: &Connector,
        connection: &Value,
        input: &Value,
        page: &Page,
    ) -> Result<Request, Failure> {
        self.build(connector, connection, input, page).map_err(|mut failure| {
            failure.message = format!("`{}`: {}", self.name, failure.message);
            failure
        })
    }

    fn build(&self, connector: &Connector, connection: &Value, input: &Value, page: &Page) -> Result<Request, Failure> {
        let empty = Map::new();
        let fields = match input {
            Value::Object(fields) => fields,
            Value::Null => &empty,
            _ => return Err(invalid("the input must be a map of fields")),
        };
        let path = address::fill(&self.pieces, |hole| match self.fills_from_setting(hole) {
            true => connection.get(hole),
            false => fields.get(hole),
        });
        let path = path.map_err(|failure| match failure.at.clone() {
            Some(hole) if !self.fills_from_setting(&hole) => failure.at(under("/with", &hole)),
            _ => Failure { at: None, ..failure },
        })?;
        let rest = || {
            let mut rest = fields.clone();
            self.input_holes().for_each(|hole| drop(rest.shift_remove(hole)));
            Value::Object(rest)
        };
        let input = match input.is_object() && self.input_holes().next().is_none() {
            true => Root::Borrowed(input),
            false => Root::made(rest),
        };
        let page_root = || self.pages.as_ref().map_or_else(|| json!({}), |pages| pages.root(page));
        let roots = [("input", input), ("connection", Root::Borrowed(connection)), ("page", Root::made(page_root))];
        let (roots, locale) = (Roots::from_iter(roots), Locale::default());
        let scope = Scope::of(&roots, &locale);

        let mut url = format!("{}{path}", address::base_url(&connector.base_url, connection)?);
        let mut pairs = Vec::new();
        for (name, expr) in &self.query {
            if let Some(value) = made(expr, &scope, name)? {
                spell(name, &value, self.spelling_of(connector, name), &mut pairs)?;
            }
        }
        if !pairs.is_empty() {
            url = format!("{url}?{}", query(&pairs));
        }
        if self.pages.as_ref().is_some_and(Pages::is_link)
            && let Some(next) = page.next.as_ref().and_then(Value::as_str)
        {
            url = linked_url(&url, next).map_err(invalid)?;
        }
        Ok(Request {
            method: self.method.clone(),
            url,
            headers: self.request_headers(connector, &scope)?,
            body: self.request_body(connector, &scope)?,
        })
    }

    fn request_headers(&self, connector: &Connector, scope: &Scope<'_>) -> Result<Vec<(String, String)>, Failure> {
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, expr) in connector.header_values.iter().chain(&self.headers) {
            let Some(value) = made(expr, scope, name)?.filter(|value| !value.is_null()) else { continue };
            let value = address::header_value(name, &value)?;
            match headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some(known) => known.1 = value,
                None => headers.push((name.clone(), value)),
            }
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept")) {
            headers.push(("Accept".into(), "application/json".into()));
        }
        Ok(headers)
    }

    fn request_body(&self, connector: &Connector, scope: &Scope<'_>) -> Result<Option<Body>, Failure> {
        let mut body = match &self.body {
            Some(expr) => made(expr, scope, "body")?,
            None => self.own_body(scope),
        };
        if let Some(add) = &self.add
            && let Some(added) = made(add, scope, "add")?
        {
            let Value::Object(added) = added else { return Err(invalid("`add` must be a map of fields")) };
            match body.get_or_insert_with(|| json!({})) {
                Value::Object(fields) => fields.extend(added),
                _ => return Err(invalid("`add` needs a body that is a map")),
            }
        }
        let spelling = |name: &str| self.spelling_of(connector, name);
        body.map(|body| body::shaped(body, self.shape, &self.input, spelling)).transpose()
    }

    fn spelling_of(&self, connector: &Connector, name: &str) -> Spelling {
        let own = self.spellings.iter().find(|(known, _)| known == name).map(|(_, spelling)| *spelling);
        own.or(self.spelling).unwrap_or(connector.spelling)
    }

    /// What a method that has a body sends without being told: the input but for what stands elsewhere in the request.
    /// Nothing is left: there is no body.
    fn own_body(&self, scope: &Scope<'_>) -> Option<Value> {
        let has_body = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        let mut fields = scope.root("input").filter(|_| has_body)?.as_object()?.clone();
        fields.retain(|name, _| !self.sent_elsewhere.contains(name));
        Some(fields).filter(|fields| !fields.is_empty()).map(Value::Object)
    }

    pub(super) fn fills_from_setting(&self, hole: &str) -> bool {
        self.from_settings.iter().any(|known| known == hole)
    }

    /// Names of the holes that the input fills: they are sent in the path and no longer in `$.input`.
    pub fn input_holes(&self) -> impl Iterator<Item = &str> {
        address::holes(&self.pieces).filter(|hole| !self.fills_from_setting(hole))
    }

    /// Does it say where the record is in its answer?
    pub fn returns_record(&self) -> bool {
        self.returns.is_some()
    }

    /// The operation's own part of its name: `create` of `contact.create`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The header that lets the API recognise a repeated request; the caller sends the same value with each attempt.
    pub fn idempotency_header(&self) -> Option<&str> {
        self.idempotency_header.as_deref()
    }

    /// The fields that this operation takes, from its own schema or its object's: what a `with:` may name.
    pub fn takes(&self) -> &FieldType {
        self.takes.get_or_init(|| match &self.input {
            Value::Null => FieldType::Any,
            schema => FieldType::of_schema(schema),
        })
    }

    /// A record of this operation's answer as recipes see it: `rename` applied, then the object's form.
    pub fn shape(&self, connector: &Connector, record: &Value, names: &Names) -> Value {
        let object = self.object.as_deref().and_then(|name| connector.object(name));
        if let Some(object) = object.filter(|_| self.rename.is_empty()) {
            return object.shape(record, names);
        }
        let mut record = record.clone();
        if !self.rename.is_empty() {
            let inside = object.and_then(|object| object.fields_at.as_deref());
            let here = match inside {
                Some(at) if record.get(at).is_some_and(Value::is_object) => record.get_mut(at),
                _ => Some(&mut record),
            };
            if let Some(Value::Object(fields)) = here {
                for (theirs, ours) in &self.rename {
                    if let Some(value) = fields.shift_remove(theirs)
                        && fields.get(ours).is_none_or(Value::is_null)
                    {
                        fields.insert(ours.clone(), value);
                    }
                }
            }
        }
        match object {
            Some(object) => object.shape(&record, names),
            None => record,
        }
    }

    /// An input as this operation sends it: what fills the path is kept as it is, the object's fields of a create or
    /// update are put into the vendor's form, everything else is converted by the operation's own schema.
    ///
    /// # Errors
    /// One sentence with the field's name.
    pub fn unshape(&self, connector: &Connector, input: Value, names: &Names, locale: &Locale) -> Result<Value, Fault> {
        let (known, open) = match self.takes() {
            FieldType::Map { fields, open } => (fields.as_slice(), *open),
            _ => (&[][..], true),
        };
        let kind_of = |name: &str| known.iter().find(|(own, _)| own == name).map(|(_, kind)| kind);
        let object = self.object.as_deref().and_then(|name| connector.object(name));
        let object = object.filter(|_| !self.reads && matches!(self.short_name(), "create" | "update" | "upsert"));
        let mut fields = if let Value::Object(input) = input { input } else { Map::new() };
        let is_field = |name: &&String| {
            let hole = self.input_holes().any(|hole| hole == name.as_str());
            !hole && object.is_some_and(|object| object.knows(name) != Some(false) || kind_of(name).is_none())
        };
        let apart: Vec<String> = fields.keys().filter(|name| !is_field(name)).cloned().collect();
        let mut sent = Map::new();
        for name in apart {
            let value = fields.shift_remove(&name).unwrap_or_default();
            let value = match kind_of(&name) {
                Some(kind) => {
                    converted(value, kind, locale).map_err(|why| Fault::new(format!("`{name}`: {why}")).under(&name))?
                }
                None if open => value,
                None => return Err(Fault::new(self.takes_no(&name, known)).under(&name)),
            };
            sent.insert(name, value);
        }
        if let Some(object) = object {
            let first = |name: &String| field::names(name).into_iter().next().unwrap_or_default();
            let stray = fields.keys().filter(|_| !open).map(first).find(|name| kind_of(name).is_none());
            let written = object.unshape(fields, known, names, self.short_name() == "update", locale)?;
            if let Some(stray) = stray {
                return Err(Fault::new(self.takes_no(&stray, known)).under(&stray));
            }
            match sent.is_empty() {
                true => sent = written,
                false => sent.extend(written),
            }
        }
        Ok(Value::Object(sent))
    }

    /// Is there a value for every field that is required?
    ///
    /// # Errors
    /// The first field that has none.
    pub fn given(&self, input: &Map<String, Value>) -> Result<(), Fault> {
        let required = self.input.get("required").and_then(Value::as_array).into_iter().flatten();
        let holds =
            |key: &String, name: &str| key == name || field::names(key).first().is_some_and(|first| first == name);
        match required.filter_map(Value::as_str).find(|name| !input.keys().any(|key| holds(key, name))) {
            Some(name) => Err(Fault::new(format!("`{name}` is required, and there is no value for it")).under(name)),
            None => Ok(()),
        }
    }

    fn takes_no(&self, name: &str, known: &[(String, FieldType)]) -> String {
        let near = nearest(name, known.iter().map(|(own, _)| own.as_str()));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("`{}` takes no `{name}`{hint}", self.name)
    }
}

fn made(expr: &Expr, scope: &Scope<'_>, what: &str) -> Result<Option<Value>, Failure> {
    expr.eval(scope).map_err(|fault| invalid(format!("`{what}{}`: {fault}", fault.pointer)))
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new("invalid", message)
}
