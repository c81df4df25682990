//! How a connection proves who it is; one kind, one file.
//!
//! Expressions read `secrets` and `connection` only; they are evaluated by the hands that send, after the request is made.

mod api_key;
mod basic;
mod bearer;
mod exchange;
mod hmac;
mod oauth2;
mod signer;

pub use exchange::Exchange;
pub use hmac::Hmac;
pub use oauth2::{CLIENT_ID, CLIENT_SECRET, ClientProof, OAuth2, Refresh, URLS};
pub use signer::{Letter, Moment, Signer};

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::address::header_name_fault;
use super::read::{Reader, Side, under};
use super::written::Named;
use crate::expr::Expr;
use crate::source::File;

/// How a connection proves who it is. Expressions read `secrets` and `connection` only.
#[derive(Debug)]
pub enum Auth {
    Bearer {
        token: Expr,
    },
    Basic {
        user: Expr,
        password: Expr,
    },
    /// Sent in a header or a query parameter.
    ApiKey {
        header: Option<String>,
        query: Option<String>,
        value: Expr,
    },
    /// Kept as data: the vault acts on it.
    OAuth2(Box<OAuth2>),
    /// Each request is signed when it is sent.
    Hmac(Arc<Hmac>),
    /// Kept as data, as OAuth is.
    Exchange(Box<Exchange>),
    None,
}

/// One way to prove who one is. Exactly one of the kinds is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a way of auth")]
pub(super) struct AuthWritten {
    /// `Authorization: Bearer …`: the token, e.g. `$.secrets.token`.
    pub bearer: Option<Value>,
    /// HTTP Basic.
    pub basic: Option<basic::BasicWritten>,
    /// A key in a header or a query parameter.
    pub api_key: Option<api_key::ApiKeyWritten>,
    /// OAuth 2.0.
    pub oauth2: Option<oauth2::OAuth2Written>,
    /// Requests signed with a shared secret.
    pub hmac: Option<hmac::HmacWritten>,
    /// A token that another account's credential is exchanged for, such as an agency's for one of its locations.
    pub exchange: Option<exchange::ExchangeWritten>,
    /// No proof: `none: {}`.
    #[expect(dead_code, reason = "kinds are told apart by the keys of the raw map; this is its shape and reference")]
    pub none: Option<Value>,
}

const KINDS: [&str; 7] = ["bearer", "basic", "api_key", "oauth2", "hmac", "exchange", "none"];

/// Kinds that stand where an entry's name belongs.
pub(super) fn nameless(file: &File) -> Vec<&str> {
    let is_way = |value: &Value| KINDS.iter().any(|kind| value.get(kind).is_some());
    let entries = file.value.get("auth").and_then(Value::as_object).into_iter().flatten();
    entries
        .filter(|(name, way)| KINDS.contains(&name.as_str()) && !is_way(way))
        .map(|(name, _)| name.as_str())
        .collect()
}

/// The settings that a vendor's answer fills in, so that they need not be declared twice.
pub(super) fn saved_settings(written: &AuthWritten) -> Vec<String> {
    let saves = [written.oauth2.as_ref().map(|oauth2| &oauth2.save), written.exchange.as_ref().map(|one| &one.save)];
    saves.into_iter().flatten().flat_map(|save| save.iter().map(|(name, _)| name.to_owned())).collect()
}

pub(super) fn read(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &AuthWritten,
    ways: &Named<AuthWritten>,
) -> Option<Auth> {
    let given: Vec<&str> = reader
        .raw(pointer)
        .and_then(Value::as_object)
        .map(|map| KINDS.iter().copied().filter(|kind| map.contains_key(*kind)).collect())
        .unwrap_or_default();
    let [kind] = given.as_slice() else {
        let message = match given.is_empty() {
            true => "the entry says no kind of auth".to_owned(),
            false => format!("the entry says several kinds of auth: `{}`", given.join("`, `")),
        };
        reader.key_error("one-kind", pointer, message, format!("give exactly one of `{}`", KINDS.join("`, `")));
        return None;
    };
    let at = under(pointer, kind);
    if *kind != "none" && reader.raw(&at).is_none_or(Value::is_null) {
        reader.error(
            "missing-value",
            &at,
            format!("`{kind}` is empty"),
            "write a value after it, e.g. `$.secrets.token`",
        );
        return None;
    }
    match *kind {
        "bearer" => bearer::read(reader, &at, written.bearer.as_ref()),
        "basic" => written.basic.as_ref().and_then(|basic| basic::read(reader, &at, basic)),
        "api_key" => written.api_key.as_ref().and_then(|key| api_key::read(reader, &at, key)),
        "oauth2" => written.oauth2.as_ref().and_then(|oauth2| oauth2::read(reader, &at, oauth2)),
        "hmac" => written.hmac.as_ref().and_then(|hmac| hmac::read(reader, &at, hmac)),
        "exchange" => written.exchange.as_ref().and_then(|one| exchange::read(reader, &at, one, ways)),
        _ => Some(Auth::None),
    }
}

/// A value that is a secret: usually `$.secrets.name`. A literal in its place is said aloud, and never shown.
fn secret(reader: &mut Reader<'_>, pointer: &str, value: &Value) -> Option<Expr> {
    let expr = reader.expr(pointer, value, Side::Secret)?;
    if let Some(constant) = expr.constant()
        && !crate::expr::is_blank(Some(&constant))
    {
        reader.open_secret(pointer);
    }
    Some(expr)
}

/// How long before its end a token is renewed.
fn refresh_before(reader: &mut Reader<'_>, pointer: &str, written: Option<&str>) -> Duration {
    written.map_or(Duration::from_secs(60), |text| reader.duration(pointer, text))
}

/// A header may well be `Authorization`: only here, where it is attached for the connection's origin alone.
fn check_header(reader: &mut Reader<'_>, pointer: &str, name: &str) {
    if !name.eq_ignore_ascii_case("authorization")
        && let Some(fault) = header_name_fault(name)
    {
        reader.error("bad-header", pointer, fault, "a header is called like `X-Api-Key`");
    }
}
