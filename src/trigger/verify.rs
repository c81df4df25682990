//! Is this delivery genuine? Over the raw bytes, before parsing, in constant time; anything unclear is a no.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use ed25519_dalek::VerifyingKey;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::record;
use crate::connector::{Algorithm, Hole, Scheme, Signature, Stands, VerifyRule, ed25519_key, rsa_key};
use crate::expr::{Expr, Locale, Scope};

/// Looks a secret up by name; values never appear in messages.
pub trait Secrets {
    fn secret(&self, name: &str) -> Option<String>;
}

/// What has come in, before anything of it is believed.
#[derive(Clone, Copy)]
pub struct Arrival<'a> {
    /// A header's value; none if it comes twice.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The raw bytes.
    pub body: &'a [u8],
    /// Path and query, as the sender called them.
    pub path: &'a str,
}

/// While a key is changed, a vendor may send several signatures. More than these is no vendor's way.
const SIGNATURES_MAX: usize = 5;

/// How far the signed time of `standard_webhooks` may be from now.
const STANDARD_WITHIN_MS: u64 = 5 * 60 * 1000;

/// True if the delivery is accepted by a rule of the first header that is present, of rules not past their end date.
///
/// `own_key` replaces the public keys of the rules (an operator's own, e.g. a pretend vendor's); it never stands in for a
/// secret, since anyone may know it.
pub fn verify(
    rules: &[VerifyRule],
    arrival: Arrival<'_>,
    secrets: &dyn Secrets,
    own_key: Option<&str>,
    now_ms: i64,
) -> bool {
    let Some(today) = DateTime::from_timestamp_millis(now_ms).map(|now| now.date_naive()) else { return false };
    let present: Vec<(&VerifyRule, String)> = rules
        .iter()
        .filter(|rule| rule.until.is_none_or(|until| today < until))
        .filter_map(|rule| Some((rule, present(rule, arrival)?)))
        .collect();
    let Some((first, _)) = present.first() else { return false };
    let deciding = present.iter().filter(|(rule, _)| rule.header.eq_ignore_ascii_case(&first.header));
    deciding.into_iter().any(|(rule, value)| {
        let proof = Proof { value, arrival, now_ms };
        let keys = |keys: &[Expr]| keys.iter().filter_map(|key| evaluate(key, secrets)).collect::<Vec<String>>();
        match &rule.scheme {
            Scheme::Signature(signature) => match own_key.filter(|_| signature.algorithm.is_public()) {
                Some(own) => proof.is_signed(signature, &[own.to_owned()]),
                None => proof.is_signed(signature, &keys(&signature.keys)),
            },
            Scheme::StandardWebhooks { keys: written } => proof.is_standard(&rule.header, &keys(written)),
            Scheme::Basic { user, password } => {
                evaluate(user, secrets).zip(evaluate(password, secrets)).is_some_and(|known| proof.is_basic(&known))
            }
            Scheme::Token { values } => keys(values).iter().any(|token| same(token, value)),
        }
    })
}

/// The header's value, if it says anything.
fn present(rule: &VerifyRule, arrival: Arrival<'_>) -> Option<String> {
    let value = (arrival.header)(&rule.header)?.trim().to_owned();
    let absent = value.is_empty() || rule.absent_if.as_deref().is_some_and(|absent| absent.trim() == value);
    (!absent).then_some(value)
}

/// A key as written or read from the secrets that it names. None if one of them is missing, or if it is empty: that would
/// accept what anyone can sign.
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
        Ok(Some(Value::String(key))) => Some(key).filter(|key| !key.trim().is_empty()),
        _ => None,
    }
}

/// The value of the deciding header, with what it is a proof of.
#[derive(Clone, Copy)]
struct Proof<'a> {
    value: &'a str,
    arrival: Arrival<'a>,
    now_ms: i64,
}

impl Proof<'_> {
    fn is_signed(self, signature: &Signature, keys: &[String]) -> bool {
        let Some(signed) = self.signed(signature) else { return false };
        let given: Vec<Vec<u8>> = self
            .values(signature.part.as_deref())
            .filter_map(|value| signature.encoding.decode(value.strip_prefix(signature.prefix.as_str())?))
            .collect();
        keys.iter().any(|key| match signature.algorithm {
            Algorithm::Ed25519 => ed25519_key(key).is_some_and(|key| ed25519(&key, &given, &signed)),
            Algorithm::RsaSha256 => rsa_key(key).is_some_and(|key| rsa_sha256(&key, &given, &signed)),
            Algorithm::HmacSha256 => hmac_sha256(key.as_bytes(), &given, &signed),
        })
    }

    /// The signed bytes; none if a part of them is not there, or if their time is too far from now.
    fn signed(self, signature: &Signature) -> Option<Vec<u8>> {
        let header = |name: &str| (self.arrival.header)(name).filter(|value| !value.is_empty());
        let timestamp = match &signature.timestamp {
            None => None,
            Some(stands) => {
                let timestamp = match stands {
                    Stands::Header(name) => header(name)?,
                    Stands::Part(name) => self.only(name)?.to_owned(),
                };
                let within = u64::try_from(signature.within.as_millis()).ok()?;
                self.is_near(&timestamp, within).then_some(())?;
                Some(timestamp)
            }
        };
        signature.signed.bytes(|hole, bytes| {
            match hole {
                Hole::Body => bytes.extend_from_slice(self.arrival.body),
                Hole::Timestamp => bytes.extend_from_slice(timestamp.as_deref()?.as_bytes()),
                Hole::Id => bytes.extend_from_slice(header(signature.id.as_deref()?)?.as_bytes()),
                Hole::Host => bytes.extend_from_slice(header("host")?.as_bytes()),
                Hole::Path => bytes.extend_from_slice(self.arrival.path.as_bytes()),
            }
            Some(())
        })
    }

    /// The values of a list; with a name, those of `name=value`.
    fn values<'n>(&'n self, name: Option<&'n str>) -> impl Iterator<Item = &'n str> {
        let values = self.value.split(',').map(str::trim);
        let named = move |value: &'n str| match name {
            None => Some(value),
            Some(name) => value.split_once('=').filter(|(own, _)| *own == name).map(|(_, value)| value),
        };
        values.filter_map(named).take(SIGNATURES_MAX)
    }

    /// The one value of this name; none if there are several, since it is not clear which one is meant.
    fn only<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        let mut values = self.values(Some(name));
        let value = values.next().filter(|value| !value.is_empty())?;
        values.next().is_none().then_some(value)
    }

    fn is_near(&self, timestamp: &str, within_ms: u64) -> bool {
        let time_ms = record::time_ms(&Value::from(timestamp));
        time_ms.is_some_and(|time_ms| time_ms.abs_diff(self.now_ms) <= within_ms)
    }

    /// standardwebhooks.com: `v1,` and an HMAC or `v1a,` and an Ed25519 signature, over `id.timestamp.body`.
    fn is_standard(self, header: &str, keys: &[String]) -> bool {
        let Some((id, timestamp)) = VerifyRule::companions(header) else { return false };
        let header = |name: &str| (self.arrival.header)(name).filter(|value| !value.is_empty());
        let (Some(id), Some(timestamp)) = (header(&id), header(&timestamp)) else { return false };
        // With a point in the id, another id and time would be signed alike.
        if id.contains('.') || !self.is_near(&timestamp, STANDARD_WITHIN_MS) {
            return false;
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", self.arrival.body].concat();
        let of = |version: &str| -> Vec<Vec<u8>> {
            let signatures = self.value.split_ascii_whitespace().take(SIGNATURES_MAX);
            let signatures = signatures.filter_map(|one| one.split_once(',').filter(|(own, _)| *own == version));
            signatures.filter_map(|(_, signature)| STANDARD.decode(signature).ok()).collect()
        };
        keys.iter().any(|key| match key.trim().strip_prefix(Scheme::PUBLIC) {
            Some(key) => ed25519_key(key).is_some_and(|key| ed25519(&key, &of("v1a"), &signed)),
            None => standard_secret(key).is_some_and(|key| hmac_sha256(&key, &of("v1"), &signed)),
        })
    }

    /// RFC 7617. Both are always compared.
    fn is_basic(self, (user, password): &(String, String)) -> bool {
        let Some((scheme, given)) = self.value.split_once(' ') else { return false };
        let given = STANDARD.decode(given.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((given_user, given_password)) = given.as_deref().and_then(|given| given.split_once(':')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("basic") & same(user, given_user) & same(password, given_password)
    }
}

/// Can a text be the public key of these rules?
pub fn is_public_key(rules: &[VerifyRule], text: &str) -> bool {
    let algorithms = rules.iter().filter_map(|rule| match &rule.scheme {
        Scheme::Signature(signature) => Some(signature.algorithm),
        _ => None,
    });
    let mut fits = algorithms.map(|algorithm| match algorithm {
        Algorithm::Ed25519 => ed25519_key(text).is_some(),
        Algorithm::RsaSha256 => rsa_key(text).is_some(),
        Algorithm::HmacSha256 => false,
    });
    fits.any(|fits| fits)
}

fn ed25519(key: &VerifyingKey, given: &[Vec<u8>], signed: &[u8]) -> bool {
    let mut signatures = given.iter().filter_map(|bytes| ed25519_dalek::Signature::from_slice(bytes).ok());
    signatures.any(|signature| key.verify_strict(signed, &signature).is_ok())
}

fn rsa_sha256(key: &[u8], given: &[Vec<u8>], signed: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    given.iter().any(|signature| key.verify(signed, signature).is_ok())
}

fn hmac_sha256(secret: &[u8], given: &[Vec<u8>], signed: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(signed);
    // Constant in time, and false for any other length: a truncated signature is none.
    given.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
}

/// The bytes of `whsec_` and base64; none if it is something else, or empty.
fn standard_secret(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let text = text.strip_prefix(Scheme::SECRET).unwrap_or(text);
    STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())
}

/// Compares hashes, so that not even the length can be measured.
fn same(expected: &str, given: &str) -> bool {
    Sha256::digest(expected).ct_eq(&Sha256::digest(given)).into()
}
