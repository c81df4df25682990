//! `hmac`: requests signed with a secret that both sides know (RFC 2104), as data.
//!
//! APIs differ in what is signed, in how it is written, and in where it goes; `signer.rs` follows what is said here.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Auth, check_header, secret};
use crate::connector::Encoding;
use crate::connector::address::scalar;
use crate::connector::read::{Reader, Side, under};
use crate::connector::written::{EncodingWritten, Named};
use crate::expr::Expr;

/// Requests signed with a shared secret, each when it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`hmac`")]
pub(in crate::connector) struct HmacWritten {
    /// What signs, e.g. `$.secrets.secret`.
    pub secret: Value,
    /// How the secret is written: as `text`, or its bytes in `base64` or `hex`.
    #[serde(default)]
    pub secret_in: SecretForm,
    /// The hash function.
    #[serde(default)]
    pub algorithm: Digest,
    /// What is signed, e.g. `"{{timestamp}}{{method}}{{target}}{{body}}"`. Beside `secrets` and `connection` it reads `method`,
    /// `host`, `path`, `query`, `target` (path and query), `headers` (by small letters), `body`, `body_hash` (of the body, by
    /// `algorithm` and `encoding`), `timestamp` and `nonce`.
    pub over: Value,
    /// How the signature is written; hex unless said otherwise.
    pub encoding: Option<EncodingWritten>,
    /// How `timestamp` is written.
    #[serde(default)]
    pub timestamp: TimeForm,
    /// Headers that are sent beside: they read `signature`, `timestamp`, `nonce` (a new one for each request), `body_hash`,
    /// `secrets` and `connection`.
    #[serde(default)]
    pub headers: Named<Value>,
    /// Query parameters that are sent beside, likewise. They are signed, too, unless they read `signature`.
    #[serde(default)]
    pub query: Named<Value>,
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretForm {
    #[default]
    Text,
    Base64,
    Hex,
}

/// The hash function of an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    #[default]
    Sha256,
    Sha512,
    Sha1,
}

/// How a time is written: seconds or milliseconds since 1970, as in HTTP's `Date`, or like `2026-07-20T10:00:00.000Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    #[default]
    S,
    Ms,
    HttpDate,
    Iso,
}

/// How requests are signed.
#[derive(Debug)]
pub struct Hmac {
    pub secret: Expr,
    pub(super) secret_in: SecretForm,
    pub(super) algorithm: Digest,
    pub(super) over: Expr,
    pub(super) encoding: Encoding,
    pub(super) timestamp: TimeForm,
    pub(super) headers: Vec<(String, Expr)>,
    pub(super) query: Vec<(String, Expr)>,
}

impl Hmac {
    /// Everything that may read a secret.
    pub fn exprs(&self) -> Vec<&Expr> {
        let beside = self.headers.iter().chain(&self.query).map(|(_, expr)| expr);
        [&self.secret, &self.over].into_iter().chain(beside).collect()
    }

    /// As it stands in a connector that was read and checked.
    pub fn of(written: &Value) -> Option<Hmac> {
        let written: HmacWritten = serde_json::from_value(written.clone()).ok()?;
        let compiled = |named: &Named<Value>| {
            let each = named.iter().map(|(name, value)| Some((name.to_owned(), Expr::compile(value).ok()?)));
            each.collect::<Option<Vec<_>>>()
        };
        let (secret, over) = (Expr::compile(&written.secret).ok()?, Expr::compile(&written.over).ok()?);
        Some(Hmac::new(&written, (secret, over), compiled(&written.headers)?, compiled(&written.query)?))
    }

    fn new(
        written: &HmacWritten,
        (secret, over): (Expr, Expr),
        headers: Vec<(String, Expr)>,
        query: Vec<(String, Expr)>,
    ) -> Hmac {
        let encoding = match written.encoding {
            Some(EncodingWritten::Base64) => Encoding::Base64,
            Some(EncodingWritten::Hex) | None => Encoding::Hex,
        };
        let (secret_in, algorithm, timestamp) = (written.secret_in, written.algorithm, written.timestamp);
        Hmac { secret, secret_in, algorithm, over, encoding, timestamp, headers, query }
    }
}

/// Does an expression read this root?
pub(super) fn reads(expr: &Expr, root: &str) -> bool {
    expr.reads().iter().any(|read| read.names.first().is_some_and(|name| name == root))
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &HmacWritten) -> Option<Auth> {
    let at = under(pointer, "secret");
    if matches!(&written.secret, Value::String(text) if text.trim().is_empty()) {
        reader.error("missing-value", &at, "an empty secret proves nothing", "e.g. `$.secrets.secret`");
    }
    let secret = secret(reader, &at, &written.secret);
    let over = over(reader, &under(pointer, "over"), &written.over);
    let headers = beside(reader, &under(pointer, "headers"), &written.headers);
    let query = beside(reader, &under(pointer, "query"), &written.query);
    for (index, (name, _)) in headers.iter().enumerate() {
        let at = under(&under(pointer, "headers"), name);
        check_header(reader, &at, name);
        if headers[..index].iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            let help = "keep one of the two: small and capital letters make no difference";
            reader.key_error("given-twice", &at, format!("the header `{name}` is given twice"), help);
        }
    }
    let is_sent = |root: &str| headers.iter().chain(&query).any(|(_, expr)| reads(expr, root));
    let (signature, over) = (is_sent("signature"), over?);
    if !signature {
        let help = "say where it goes: `headers: { X-Signature: $.signature }`";
        reader.key_error("missing-key", pointer, "the signature is sent nowhere", help);
    }
    for (root, header) in [("timestamp", "X-Timestamp"), ("nonce", "X-Nonce")] {
        if reads(&over, root) && !is_sent(root) {
            let help = format!("send it as well: `headers: {{ {header}: $.{root} }}`");
            let message = format!("`{root}` is signed and sent nowhere: nobody could prove the signature");
            reader.error("missing-key", &under(pointer, "over"), message, help);
        }
    }
    Some(Auth::Hmac(Arc::new(Hmac::new(written, (secret?, over), headers, query))))
}

fn over(reader: &mut Reader<'_>, pointer: &str, written: &Value) -> Option<Expr> {
    let over = reader.expr(pointer, written, Side::Signing)?;
    if over.constant().is_some() {
        let help = "name what is signed: `\"{{timestamp}}{{method}}{{target}}{{body}}\"`";
        reader.error("wrong-value", pointer, "the same text would be signed each time", help);
        return None;
    }
    Some(over)
}

/// What is sent beside a request.
fn beside(reader: &mut Reader<'_>, pointer: &str, written: &Named<Value>) -> Vec<(String, Expr)> {
    let mut beside = Vec::new();
    for (name, value) in written.iter() {
        let at = under(pointer, name);
        let Some(expr) = reader.expr(&at, value, Side::Signed) else { continue };
        if expr.constant().is_some_and(|constant| scalar(&constant).is_none()) {
            reader.error("wrong-type", &at, "it must be a text", "write one text, number, `true` or `false`");
        }
        beside.push((name.to_owned(), expr));
    }
    beside
}
