//! Signs requests as `hmac` says, and proves them: one reading of the data for both sides.
//!
//! ```text
//!  Letter ─ parameters and headers beside ─▶ over ─ HMAC ─▶ signature ─▶ parameters and headers that read it
//! ```

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::digest::Digest as _;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::hmac::{Digest, Hmac, SecretForm, TimeForm, reads};
use crate::connector::Encoding;
use crate::connector::address;
use crate::connector::spelling::{Pair, query};
use crate::expr::{Expr, Locale, Scope};

/// Stand for what a proof looks for; no header holds such letters.
const MARKS: [(&str, &str); 3] = [("signature", "\u{1}"), ("timestamp", "\u{2}"), ("nonce", "\u{3}")];

/// Signs the requests of one connection.
#[derive(Clone)]
pub struct Signer {
    hmac: Arc<Hmac>,
    key: Zeroizing<Vec<u8>>,
    /// `secrets` and `connection`.
    given: Value,
}

/// A request, as far as a signature may be over it: exactly what is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    pub method: String,
    /// With the port, where it is not the usual one.
    pub host: String,
    pub path: String,
    /// Encoded, without `?`.
    pub query: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What differs from request to request.
#[derive(Clone, Debug)]
pub struct Moment {
    pub timestamp: String,
    pub nonce: String,
}

impl Signer {
    /// `given` holds the roots `secrets` and `connection`.
    ///
    /// # Errors
    /// The secret is empty or not written as it should be; in words that do not tell it.
    pub fn new(hmac: Arc<Hmac>, given: Value) -> Result<Signer, &'static str> {
        let secret = Zeroizing::new(text(&hmac.secret, &given).unwrap_or_default());
        let key = match hmac.secret_in {
            SecretForm::Text => Some(secret.as_bytes().to_vec()),
            SecretForm::Base64 => Encoding::Base64.decode(secret.trim()),
            SecretForm::Hex => Encoding::Hex.decode(secret.trim()),
        };
        let key = key.map(Zeroizing::new).ok_or("the secret is not written as `secret_in` says")?;
        if key.is_empty() {
            return Err("the secret is empty");
        }
        Ok(Signer { hmac, key, given })
    }

    /// What it signs with, and what else it attaches that nobody may see.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.given.get("secrets").and_then(Value::as_object);
        secrets.into_iter().flat_map(|secrets| secrets.values().filter_map(Value::as_str))
    }

    pub fn moment(&self, now: DateTime<Utc>, nonce: String) -> Moment {
        let timestamp = match self.hmac.timestamp {
            TimeForm::S => now.timestamp().to_string(),
            TimeForm::Ms => now.timestamp_millis().to_string(),
            TimeForm::HttpDate => now.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            TimeForm::Iso => now.to_rfc3339_opts(SecondsFormat::Millis, true),
        };
        Moment { timestamp, nonce }
    }

    /// Adds what proves the letter.
    ///
    /// # Errors
    /// A value cannot be made, such as that of a header which the letter does not have; in words that tell no secret.
    pub fn sign(&self, letter: &mut Letter, moment: &Moment) -> Result<(), String> {
        let roots = self.roots(letter, moment, "");
        self.add(letter, &roots, false)?;
        let signature = self.signature(letter, moment)?;
        let roots = self.roots(letter, moment, &self.hmac.encoding.encode(&signature));
        self.add(letter, &roots, true)
    }

    /// Does a letter that came in hold what this connection would have added?
    pub fn proves(&self, letter: &Letter) -> bool {
        self.found(letter).is_some_and(|(moment, given)| {
            let mut letter = letter.clone();
            let ours: Vec<&str> = self
                .hmac
                .query
                .iter()
                .filter(|(_, expr)| reads(expr, "signature"))
                .map(|(name, _)| name.as_str())
                .collect();
            let kept =
                letter.query.split('&').filter(|pair| !ours.contains(&pair.split('=').next().unwrap_or_default()));
            letter.query = kept.collect::<Vec<_>>().join("&");
            let expected = self.signature(&letter, &moment).ok();
            let given = self.hmac.encoding.decode(&given);
            expected.zip(given).is_some_and(|(expected, given)| expected.ct_eq(&given).into())
        })
    }

    fn add(&self, letter: &mut Letter, roots: &Value, signed: bool) -> Result<(), String> {
        for (name, expr) in self.hmac.query.iter().filter(|(_, expr)| reads(expr, "signature") == signed) {
            let pair = query(&[Pair::one(name, made(name, expr, roots)?)]);
            letter.query = if letter.query.is_empty() { pair } else { format!("{}&{pair}", letter.query) };
        }
        for (name, expr) in self.hmac.headers.iter().filter(|(_, expr)| reads(expr, "signature") == signed) {
            let value = made(name, expr, roots)?;
            let name = name.to_ascii_lowercase();
            letter.headers.retain(|(known, _)| *known != name);
            letter.headers.push((name, value));
        }
        Ok(())
    }

    fn signature(&self, letter: &Letter, moment: &Moment) -> Result<Vec<u8>, String> {
        let over = made("over", &self.hmac.over, &self.roots(letter, moment, ""))?;
        Ok(self.hmac.algorithm.code(&self.key, over.as_bytes()))
    }

    fn roots(&self, letter: &Letter, moment: &Moment, signature: &str) -> Value {
        let target = match letter.query.as_str() {
            "" => letter.path.clone(),
            query => format!("{}?{query}", letter.path),
        };
        let mut headers = Map::new();
        for (name, value) in &letter.headers {
            headers.insert(name.clone(), value.as_str().into());
        }
        let body_hash = self.hmac.encoding.encode(&self.hmac.algorithm.hash(letter.body.as_bytes()));
        json!({
            "method": letter.method, "host": letter.host, "path": letter.path, "query": letter.query, "target": target,
            "headers": headers, "body": letter.body, "body_hash": body_hash,
            "timestamp": moment.timestamp, "nonce": moment.nonce, "signature": signature,
            "secrets": self.given["secrets"], "connection": self.given["connection"],
        })
    }

    /// The signature of a letter, and when it was made. None if something else stands beside it than should.
    fn found(&self, letter: &Letter) -> Option<(Moment, String)> {
        let [(_, signature), (_, timestamp), (_, nonce)] = MARKS;
        let marked = Moment { timestamp: timestamp.into(), nonce: nonce.into() };
        let roots = self.roots(letter, &marked, signature);
        let mut found: [Option<String>; 3] = [None, None, None];
        let headers = self.hmac.headers.iter().map(|(name, expr)| (letter.header(name), expr));
        let query = self.hmac.query.iter().map(|(name, expr)| (letter.parameter(name), expr));
        for (value, expr) in headers.chain(query) {
            let form = text(expr, &roots)?;
            for (slot, part) in found.iter_mut().zip(parts(&form, &value?)?) {
                match (&slot, part) {
                    (Some(known), Some(part)) if *known != part => return None,
                    (_, Some(part)) => *slot = Some(part),
                    (_, None) => {}
                }
            }
        }
        let [signature, timestamp, nonce] = found;
        Some((Moment { timestamp: timestamp.unwrap_or_default(), nonce: nonce.unwrap_or_default() }, signature?))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Letter {
    fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

impl Digest {
    fn code(self, key: &[u8], bytes: &[u8]) -> Vec<u8> {
        match self {
            Digest::Sha256 => code::<hmac::Hmac<sha2::Sha256>>(key, bytes),
            Digest::Sha512 => code::<hmac::Hmac<sha2::Sha512>>(key, bytes),
            Digest::Sha1 => code::<hmac::Hmac<sha1::Sha1>>(key, bytes),
        }
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Digest::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Digest::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            Digest::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
        }
    }
}

fn code<M: Mac + KeyInit>(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

/// What stands in a value at the marks of its form. None if the rest differs.
fn parts(form: &str, value: &str) -> Option<[Option<String>; 3]> {
    let mut found = [None, None, None];
    let mut rest = value;
    let mut pieces =
        form.split_inclusive(|letter: char| MARKS.iter().any(|(_, mark)| mark.starts_with(letter))).peekable();
    while let Some(piece) = pieces.next() {
        let mark = MARKS.iter().position(|(_, mark)| piece.ends_with(mark));
        let before = mark.map_or(piece, |_| &piece[..piece.len() - 1]);
        rest = rest.strip_prefix(before)?;
        let Some(mark) = mark else { break };
        let next = pieces
            .peek()
            .map(|next| next.trim_end_matches(|letter| MARKS.iter().any(|(_, mark)| mark.starts_with(letter))));
        let end = next.map_or(Some(rest.len()), |next| rest.find(next))?;
        found[mark] = Some(rest[..end].to_owned());
        rest = &rest[end..];
    }
    rest.is_empty().then_some(found)
}

fn made(name: &str, expr: &Expr, roots: &Value) -> Result<String, String> {
    // The fault's words could hold a secret.
    text(expr, roots).ok_or_else(|| format!("`{name}` of the signature cannot be made"))
}

fn text(expr: &Expr, roots: &Value) -> Option<String> {
    let locale = Locale::default();
    let value = expr.eval(&Scope::new(roots, &locale)).ok()?;
    value.as_ref().and_then(address::scalar)
}
