//! The rules of a played vendor: its document, its routes in order, and what both are asked for.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use super::derive;
use super::document::{Document, ObjectRules, Route, Tokens};
use super::field::KINDS;
use super::path::Line;
use super::random::IdForm;
use super::turn::{Call, plain};
use crate::connector::{Hmac, Signer};
use crate::expr::parse_duration;
use crate::source::under;

/// A route that can be asked for.
#[derive(Debug)]
pub struct Played {
    pub line: Line,
    /// The request line as written.
    pub text: String,
    /// The operation's full name, else the request line.
    pub name: String,
    pub route: Route,
}

/// What is wrong with a sandbox file, and where, if that is known.
#[derive(Debug)]
pub struct Wrong {
    pub message: String,
    pub pointer: Option<String>,
}

impl From<String> for Wrong {
    fn from(message: String) -> Wrong {
        Wrong { message, pointer: None }
    }
}

#[derive(Debug)]
pub struct Rules {
    pub document: Document,
    routes: Vec<Played>,
    nothing: ObjectRules,
    /// By object: fields that say whether two records are the same thing.
    pub identity: Vec<(String, Vec<String>)>,
    /// Where requests are signed: who may.
    signers: Vec<(String, Signer)>,
}

impl Rules {
    /// # Errors
    /// What is wrong with the sandbox file.
    pub fn new(connector: &Value, sandbox: Option<Value>) -> Result<Rules, Wrong> {
        let merged = derive::merged(connector, sandbox)?;
        let mut document: Document = serde_path_to_error::deserialize(merged)
            .map_err(|error| Wrong { message: error.inner().to_string(), pointer: Some(pointer(error.path())) })?;
        let names = derive::operation_lines(connector)?;
        let mut routes = Vec::new();
        for (text, route) in std::mem::take(&mut document.routes).0 {
            let line = Line::read(&text)?;
            let known = names.iter().find(|(_, known)| known.same_as(&line)).map(|(name, _)| name.clone());
            let name = route.name.clone().or(known).unwrap_or_else(|| text.clone());
            routes.push(Played { line, text, name, route });
        }
        routes.sort_by_key(|played| played.line.rank());
        let (nothing, identity) = (ObjectRules::default(), derive::identity(connector));
        let signers = signers(connector, &document.tokens)?;
        let rules = Rules { document, routes, nothing, identity, signers };
        rules.judge()?;
        Ok(rules)
    }

    /// Says what would otherwise come to light only when it is asked for.
    fn judge(&self) -> Result<(), String> {
        let document = &self.document;
        for (name, object) in document.objects.iter() {
            if let Some(kind) = object.fields.iter().map(|(_, kind)| kind).find(|kind| !KINDS.contains(&kind.as_str()))
            {
                return Err(format!("object `{name}`: `{kind}` is no kind of field; there are {}", KINDS.join(", ")));
            }
            if let Some(form) = object.ids.as_ref().filter(|form| IdForm::read(form).is_none()) {
                return Err(format!(
                    "object `{name}`: `{form}` is no form of ids, such as `alphanumeric-20` or `uuid`"
                ));
            }
        }
        let windows = document.limits.profiles.iter().flat_map(|(_, windows)| windows);
        for per in windows.map(|window| &window.per).chain([&document.webhooks.retry.longest]) {
            parse_duration(per).ok_or_else(|| format!("`{per}` is no duration, such as `10s`"))?;
        }
        let checks = self.routes.iter().flat_map(|played| &played.route.checks);
        let checks = checks.chain(document.objects.iter().flat_map(|(_, object)| &object.checks));
        for check in checks.chain(&document.checks).chain(&document.tokens.access) {
            if let Some(name) = check.with.as_ref().filter(|name| document.refusals.get(name).is_none()) {
                return Err(format!("there is no refusal `{name}`"));
            }
        }
        for event in &document.webhooks.events {
            let Some(object) = &event.object else { continue };
            self.judge_view(object, event.show.as_deref()).map_err(|wrong| format!("{}: {wrong}", event.name))?;
        }
        for played in &self.routes {
            let route = &played.route;
            let objects = [
                &route.create,
                &route.get,
                &route.update,
                &route.delete,
                &route.upsert,
                &route.list,
                &route.find,
                &route.search,
            ];
            let lists = [&route.list_add, &route.list_remove].into_iter().flatten().count();
            let others = usize::from(route.action.is_some())
                + usize::from(route.each.is_some())
                + usize::from(route.grant.is_some())
                + usize::from(route.authorize.is_some())
                + usize::from(route.mint.is_some());
            let named: Vec<&String> = objects.into_iter().flatten().collect();
            if named.len() + lists + others != 1 {
                return Err(format!("route `{}` needs exactly one behaviour", played.text));
            }
            if let Some(object) = named.first() {
                let judged = self.judge_view(object, route.show.as_deref());
                judged.map_err(|wrong| format!("route `{}`: {wrong}", played.text))?;
            }
        }
        Ok(())
    }

    fn judge_view(&self, object: &str, view: Option<&str>) -> Result<(), String> {
        let described = self.document.objects.get(object).ok_or_else(|| format!("there is no object `{object}`"))?;
        match view {
            Some(view) if described.views.get(view).is_none() => Err(format!("object `{object}` has no view `{view}`")),
            _ => Ok(()),
        }
    }

    pub fn find(&self, method: &str, path: &str) -> Option<(&Played, Map<String, Value>)> {
        self.routes.iter().find_map(|played| Some((played, played.line.matches(method, path)?)))
    }

    pub fn routes(&self) -> &[Played] {
        &self.routes
    }

    pub fn object(&self, name: &str) -> &ObjectRules {
        self.document.objects.get(name).unwrap_or(&self.nothing)
    }

    pub fn id_field(&self, object: &str) -> &str {
        self.object(object).id_field.as_deref().unwrap_or("id")
    }

    pub fn id_form(&self, object: &str) -> IdForm {
        self.object(object).ids.as_deref().and_then(IdForm::read).unwrap_or(IdForm::Alphanumeric(20))
    }

    pub fn id_of(&self, object: &str, record: &Value) -> String {
        record.get(self.id_field(object)).map(plain).unwrap_or_default()
    }

    /// What the request gives as its token.
    pub fn token_of(&self, call: &Call) -> Option<String> {
        use base64::Engine as _;
        let header = |name: &str| call.headers.get(name).and_then(Value::as_str);
        let scheme = |name: &str| {
            let (given, rest) = header("authorization")?.split_once(' ')?;
            given.eq_ignore_ascii_case(name).then(|| rest.trim().to_owned())
        };
        match self.document.tokens.sent_in.as_deref().unwrap_or("bearer") {
            "bearer" => scheme("bearer"),
            "basic" => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(scheme("basic")?).ok()?;
                Some(String::from_utf8(decoded).ok()?.split(':').next()?.to_owned())
            }
            "signed" => {
                let letter = call.letter();
                self.signers.iter().find(|(_, signer)| signer.proves(&letter)).map(|(account, _)| account.clone())
            }
            "none" => None,
            name => header(&name.to_lowercase()).map(str::to_owned),
        }
    }
}

/// Who may sign, as the connector says how.
fn signers(connector: &Value, tokens: &Tokens) -> Result<Vec<(String, Signer)>, String> {
    if tokens.sent_in.as_deref() != Some("signed") {
        return Ok(Vec::new());
    }
    let mut kinds = connector["auth"].as_object().into_iter().flat_map(Map::values);
    let hmac = kinds.find_map(|kind| Hmac::of(kind.get("hmac")?)).map(Arc::new);
    let hmac = hmac.ok_or("requests are `signed`, and the connector has no `hmac`")?;
    let signer = |(account, values): (&str, &Map<String, Value>)| {
        let part = |name: &str| values.get(name).cloned().unwrap_or_else(|| json!({}));
        let given = json!({ "secrets": part("secrets"), "connection": part("connection") });
        let signer = Signer::new(hmac.clone(), given).map_err(|why| format!("account `{account}`: {why}"))?;
        Ok((account.to_owned(), signer))
    };
    tokens.known.iter().map(signer).collect()
}

/// The JSON pointer of a place that serde names.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let names = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => under("", key),
        Segment::Unknown => String::new(),
    });
    names.collect()
}
