//! Is this delivery genuine? Over the raw bytes, before parsing, in constant time; anything unclear is a no.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::connector::{Scheme, VerifyRule};
use crate::expr::{Expr, Locale, Scope};

/// Looks a secret up by name; values never appear in messages.
pub trait Secrets {
    fn secret(&self, name: &str) -> Option<String>;
}

/// While a key is changed, a vendor may send several signatures, separated by commas. More than these is no vendor's way.
const SIGNATURES_MAX: usize = 5;

/// The DER that stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// True if the newest rule whose header is present, and not past its end date, accepts the signature.
///
/// `override_key` replaces the rule's key (a connection's or operator's own, e.g. a pretend vendor's).
pub fn verify(
    rules: &[VerifyRule],
    headers: &dyn Fn(&str) -> Option<String>,
    body: &[u8],
    secrets: &dyn Secrets,
    override_key: Option<&str>,
    today: NaiveDate,
) -> bool {
    let deciding = rules
        .iter()
        .filter(|rule| rule.until.is_none_or(|until| today < until))
        .find_map(|rule| Some((rule, present(rule, headers)?)));
    let Some((rule, header)) = deciding else { return false };
    let (Scheme::Ed25519 { key } | Scheme::HmacSha256 { secret: key, .. } | Scheme::Token { value: key }) =
        &rule.scheme;
    let key = match override_key {
        Some(key) => Some(key.to_owned()),
        None => evaluate(key, secrets),
    };
    // An empty key would accept what anyone can sign.
    let Some(key) = key.filter(|key| !key.trim().is_empty()) else { return false };
    match &rule.scheme {
        Scheme::Ed25519 { .. } => signatures(&header).any(|signature| ed25519(&key, signature, body)),
        Scheme::HmacSha256 { prefix, base64, .. } => signatures(&header).any(|signature| {
            signature.strip_prefix(prefix.as_str()).is_some_and(|signature| hmac_sha256(&key, signature, *base64, body))
        }),
        Scheme::Token { .. } => same_token(&key, &header),
    }
}

/// The header's value, if it says anything.
fn present(rule: &VerifyRule, headers: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let value = headers(&rule.header)?.trim().to_owned();
    let absent = value.is_empty() || rule.absent_if.as_deref().is_some_and(|absent| absent.trim() == value);
    (!absent).then_some(value)
}

fn signatures(header: &str) -> impl Iterator<Item = &str> {
    header.split(',').map(str::trim).take(SIGNATURES_MAX)
}

/// A key as written or read from the secrets that it names. None if one of them is missing.
fn evaluate(key: &Expr, secrets: &dyn Secrets) -> Option<String> {
    let mut known = Map::new();
    for read in key.reads() {
        let [root, name, ..] = read.names.as_slice() else { return None };
        if root != "secrets" {
            return None;
        }
        known.insert(name.clone(), Value::String(secrets.secret(name)?));
    }
    let root = json!({ "secrets": known });
    match key.eval(&Scope::new(&root, &Locale::default())) {
        Ok(Some(Value::String(key))) => Some(key),
        _ => None,
    }
}

fn ed25519(key: &str, signature: &str, body: &[u8]) -> bool {
    let signature = STANDARD.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    match (ed25519_key(key), signature) {
        (Some(key), Some(signature)) => key.verify_strict(body, &signature).is_ok(),
        _ => false,
    }
}

/// Can a text be the public key of a connector's webhooks?
pub fn is_public_key(text: &str) -> bool {
    ed25519_key(text).is_some()
}

/// Base64 of a SubjectPublicKeyInfo or of the 32 bytes themselves; the lines of a PEM around it do no harm.
fn ed25519_key(text: &str) -> Option<VerifyingKey> {
    let bare: String = text.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(bare).ok()?;
    let raw = bytes.strip_prefix(&ED25519_PREFIX).unwrap_or(&bytes);
    VerifyingKey::from_bytes(raw.try_into().ok()?).ok()
}

fn hmac_sha256(secret: &str, signature: &str, base64: bool, body: &[u8]) -> bool {
    let expected = if base64 { STANDARD.decode(signature).ok() } else { hex::decode(signature).ok() };
    let (Some(expected), Ok(mut mac)) = (expected, Hmac::<Sha256>::new_from_slice(secret.as_bytes())) else {
        return false;
    };
    mac.update(body);
    // Constant in time, and false for any other length: a truncated signature is none.
    mac.verify_slice(&expected).is_ok()
}

/// Compares hashes, so that not even the length can be measured.
fn same_token(expected: &str, given: &str) -> bool {
    Sha256::digest(expected).ct_eq(&Sha256::digest(given)).into()
}
