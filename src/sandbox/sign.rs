//! The sandbox's own keys: made from a seed, published at the control door, never a vendor's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::document::{Parts, Sign};
use super::random::Random;
use crate::connector::{Encoding, Hole, Scheme, Signed, VerifyRule};

/// DER of SubjectPublicKeyInfo before the 32 bytes of an Ed25519 key (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The user of HTTP Basic.
const USER: &str = "sandbox";

#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    secret: String,
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    pub body: &'a [u8],
    /// Where it goes.
    pub url: &'a str,
    pub time: DateTime<Utc>,
}

impl Signer {
    pub fn new(seed: u64, secret: Option<String>) -> Signer {
        let key = SigningKey::from_bytes(&Random::key(seed, "webhooks"));
        Signer { key, secret: secret.unwrap_or_else(|| "sandbox-webhook-secret".to_owned()) }
    }

    /// Base64 of the SubjectPublicKeyInfo.
    pub fn public_key(&self) -> String {
        STANDARD.encode([&SPKI[..], self.key.verifying_key().as_bytes()].concat())
    }

    /// The secret that both sides know, as the first of the rules writes it.
    pub fn secret(&self, rules: &[Sign]) -> String {
        match rules.first() {
            Some(rule) if rule.standard_webhooks => {
                format!("{}{}", Scheme::SECRET, STANDARD.encode(self.standard_secret()))
            }
            _ => self.secret.clone(),
        }
    }

    /// The signature headers of a letter.
    pub fn headers(&self, rules: &[Sign], letter: Letter<'_>) -> Vec<(String, String)> {
        rules.iter().flat_map(|rule| self.signed(rule, letter).unwrap_or_default()).collect()
    }

    /// None if a rule cannot be followed: then the letter goes without.
    fn signed(&self, rule: &Sign, letter: Letter<'_>) -> Option<Vec<(String, String)>> {
        let header = |value: String| vec![(rule.header.clone(), value)];
        if rule.token {
            return Some(header(self.secret.clone()));
        }
        if rule.basic {
            return Some(header(format!("Basic {}", STANDARD.encode(format!("{USER}:{}", self.secret)))));
        }
        let (id, timestamp) = (letter.id(), letter.time.timestamp().to_string());
        if rule.standard_webhooks {
            let (in_id, in_timestamp) = VerifyRule::companions(&rule.header)?;
            let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", letter.body].concat();
            let signature = STANDARD.encode(code(&self.standard_secret(), &signed));
            let companions = [(in_id, id), (in_timestamp, timestamp)];
            return Some(header(format!("v1,{signature}")).into_iter().chain(companions).collect());
        }
        let signed = rule.signed.as_deref().map_or_else(|| Some(Signed::body()), |text| Signed::parse(text).ok())?;
        let signed = letter.fill(&signed, &id, &timestamp)?;
        let bytes = match (rule.ed25519, rule.hmac_sha256) {
            (true, _) => self.key.sign(&signed).to_bytes().to_vec(),
            (_, true) => code(self.secret.as_bytes(), &signed),
            _ => return None,
        };
        let encoding = if rule.base64 { Encoding::Base64 } else { Encoding::Hex };
        let signature = format!("{}{}", rule.prefix, encoding.encode(&bytes));
        let value = match &rule.parts {
            None => signature,
            Some(Parts { timestamp: None, signature: name }) => format!("{name}={signature}"),
            Some(Parts { timestamp: Some(time), signature: name }) => format!("{time}={timestamp},{name}={signature}"),
        };
        let companions = [(&rule.id, id), (&rule.timestamp, timestamp)];
        let companions = companions.into_iter().filter_map(|(name, value)| Some((name.clone()?, value)));
        Some(header(value).into_iter().chain(companions).collect())
    }

    /// The bytes of a `whsec_` secret, or those of any other.
    fn standard_secret(&self) -> Vec<u8> {
        let written = self.secret.strip_prefix(Scheme::SECRET).and_then(|text| STANDARD.decode(text).ok());
        written.unwrap_or_else(|| self.secret.as_bytes().to_vec())
    }
}

impl Letter<'_> {
    /// The same for each try.
    fn id(&self) -> String {
        format!("msg_{}", &hex::encode(Sha256::digest(self.body))[..24])
    }

    fn fill(&self, signed: &Signed, id: &str, timestamp: &str) -> Option<Vec<u8>> {
        let url: hyper::Uri = self.url.parse().ok()?;
        signed.bytes(|hole, bytes| {
            bytes.extend_from_slice(match hole {
                Hole::Body => self.body,
                Hole::Timestamp => timestamp.as_bytes(),
                Hole::Id => id.as_bytes(),
                Hole::Host => url.authority()?.as_str().as_bytes(),
                Hole::Path => url.path_and_query()?.as_str().as_bytes(),
            });
            Some(())
        })
    }
}

fn code(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(signed);
    mac.finalize().into_bytes().to_vec()
}
