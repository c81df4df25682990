//! `exchange`: the credential of another account becomes a token for this one, such as an agency's for one of its locations.
//!
//! Kept as data: the vault asks, with the credential of the connection that `via` names, and asks again when the token ends.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Auth, AuthWritten, refresh_before};
use crate::connector::address::{self, Piece};
use crate::connector::read::{Reader, Side, headers, under};
use crate::connector::spelling::{Pair, Spelling, query, spell};
use crate::connector::written::Named;
use crate::connector::{Body, Connector, Failure, Request};
use crate::expr::{Expr, Locale, Path, Scope};

/// A token that another account's credential is exchanged for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`exchange`")]
pub(in crate::connector) struct ExchangeWritten {
    /// The way of auth, of this connector, whose credential is exchanged. A connection names one that uses it: `via: NAME`.
    pub of: String,
    /// Method and path, e.g. `POST /oauth/locationToken`, below `base_url`; holes are settings of the connection.
    pub request: String,
    /// Query parameters. Values may read `$.connection`, and `$.via`: the settings of the account whose credential it is.
    #[serde(default)]
    pub query: Named<Value>,
    /// Headers of the request, over those of the connector. Values read as in `query`.
    #[serde(default)]
    pub headers: Named<Value>,
    /// The body. Values read as in `query`.
    pub body: Option<Value>,
    /// True: the body is sent as a form, not as JSON.
    #[serde(default)]
    pub form: bool,
    /// Where in the answer the token stands; `$.access_token` unless said otherwise.
    pub token: Option<String>,
    /// Where in the answer the token's life in seconds stands; `$.expires_in` unless said otherwise.
    pub expires_in: Option<String>,
    /// Where in the answer the time of its end stands, if that is said in place of a life.
    pub expires_at: Option<String>,
    /// How long before its end the token is renewed, e.g. `10m`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub before: Option<String>,
    /// Setting → path in the answer: what the answer says about the account.
    #[serde(default)]
    pub save: Named<String>,
}

/// How a token is exchanged for another, read.
#[derive(Debug)]
pub struct Exchange {
    /// The way of auth whose credential is exchanged.
    pub of: String,
    pub token: Path,
    pub expires_in: Path,
    pub expires_at: Option<Path>,
    pub before: Duration,
    /// Setting → path in the answer.
    pub save: Vec<(String, Path)>,
    method: String,
    pieces: Vec<Piece>,
    query: Vec<(String, Expr)>,
    headers: Vec<(String, Expr)>,
    body: Option<Expr>,
    form: bool,
}

impl Exchange {
    /// Builds the request; `via` are the settings of the account whose credential goes with it, and which says where to.
    ///
    /// # Errors
    /// `invalid`: a value that is missing, or that cannot stand where it should.
    pub fn request(&self, connector: &Connector, connection: &Value, via: &Value) -> Result<Request, Failure> {
        let roots = json!({ "connection": connection, "via": via });
        let locale = Locale::default();
        let scope = Scope::new(&roots, &locale);
        let made = |name: &str, expr: &Expr| {
            let value = expr.eval(&scope).map_err(|fault| invalid(format!("`{name}{}`: {fault}", fault.pointer)))?;
            Ok::<_, Failure>(value.filter(|value| !value.is_null()))
        };
        let path = address::fill(&self.pieces, |hole| connection.get(hole))
            .map_err(|failure| Failure { at: None, ..failure })?;
        let mut url = format!("{}{path}", address::base_url(&connector.base_url, via)?);
        let mut pairs = Vec::new();
        for (name, expr) in &self.query {
            spell(name, &made(name, expr)?.unwrap_or_default(), Spelling::default(), &mut pairs)?;
        }
        if !pairs.is_empty() {
            url = format!("{url}?{}", query(&pairs));
        }
        let mut headers: Vec<(String, String)> = vec![("Accept".into(), "application/json".into())];
        for (name, expr) in connector.header_values.iter().chain(&self.headers) {
            let Some(value) = made(name, expr)? else { continue };
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name.clone(), address::header_value(name, &value)?));
        }
        let body = self.body.as_ref().map(|body| made("body", body)).transpose()?.flatten();
        let body = match body {
            Some(Value::Object(fields)) if self.form => {
                let mut pairs = Vec::new();
                for (name, value) in &fields {
                    spell(name, value, Spelling::default(), &mut pairs)?;
                }
                Some(Body::Form(pairs.into_iter().map(Pair::plain).collect()))
            }
            body => body.map(Body::Json),
        };
        Ok(Request { method: self.method.clone(), url, headers, body })
    }

    /// The settings that the request reads of the connection itself.
    pub fn reads(&self) -> Vec<String> {
        let exprs = self.query.iter().chain(&self.headers).map(|(_, expr)| expr).chain(&self.body);
        let read = exprs.flat_map(Expr::reads).filter_map(|read| match read.names.as_slice() {
            [root, name, ..] if root == "connection" => Some(name.clone()),
            _ => None,
        });
        read.chain(address::holes(&self.pieces).map(str::to_owned)).collect()
    }
}

fn invalid(message: String) -> Failure {
    Failure::new("invalid", message)
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &ExchangeWritten,
    ways: &Named<AuthWritten>,
) -> Option<Auth> {
    let at = |key: &str| under(pointer, key);
    check_of(reader, &at("of"), &written.of, ways);
    let line = address::request_line(&written.request).map_err(|(message, help)| {
        reader.error("bad-request-line", &at("request"), message, help);
    });
    let mut query = Vec::new();
    for (name, value) in written.query.iter() {
        let expr = reader.expr(&under(&at("query"), name), value, Side::Exchange);
        query.extend(expr.map(|expr| (name.to_owned(), expr)));
    }
    let headers = headers(reader, &at("headers"), &written.headers, Side::Exchange);
    let body = written.body.as_ref().and_then(|body| reader.expr(&at("body"), body, Side::Exchange));
    if written.form && !written.body.as_ref().is_some_and(Value::is_object) {
        let help = "write one `field: value` per line below `body:`";
        reader.key_error("no-body", &at("form"), "a form needs a body that is a map", help);
    }
    let mut path = |key: &str, written: Option<&String>, standard: &str| match written {
        Some(text) => reader.path(&at(key), text),
        None => Path::compile(standard).ok(),
    };
    let token = path("token", written.token.as_ref(), "$.access_token");
    let expires_in = path("expires_in", written.expires_in.as_ref(), "$.expires_in");
    let expires_at = written.expires_at.as_ref().and_then(|text| reader.path(&at("expires_at"), text));
    let mut save = Vec::new();
    for (setting, text) in written.save.iter() {
        save.extend(reader.path(&under(&at("save"), setting), text).map(|path| (setting.to_owned(), path)));
    }
    let before = refresh_before(reader, &at("before"), written.before.as_deref());
    let (method, pieces) = line.ok()?;
    for hole in address::holes(&pieces) {
        reader.check_setting(&at("request"), hole);
    }
    Some(Auth::Exchange(Box::new(Exchange {
        of: written.of.clone(),
        token: token?,
        expires_in: expires_in?,
        expires_at,
        before,
        save,
        method,
        pieces,
        query,
        headers,
        body,
        form: written.form,
    })))
}

/// Another way of auth, and none that is got by an exchange itself: no chain, and no circle.
fn check_of(reader: &mut Reader<'_>, pointer: &str, of: &str, ways: &Named<AuthWritten>) {
    let lends = |written: &AuthWritten| written.exchange.is_none();
    match ways.iter().find(|(name, _)| *name == of) {
        Some((_, written)) if lends(written) => {}
        Some(_) => {
            let help = "name a way of auth whose credential somebody was given";
            reader.error("unknown-auth", pointer, format!("`{of}` is an exchange itself"), help);
        }
        None => {
            let candidates = ways.iter().filter(|(_, written)| lends(written)).map(|(name, _)| name);
            let candidates: Vec<&str> = candidates.collect();
            reader.unknown("unknown-auth", pointer, format!("no way of auth is called `{of}`"), of, candidates);
        }
    }
}
