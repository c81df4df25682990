//! The sandbox's own keys: made from a seed, published at the control door, never a vendor's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::document::Sign;
use super::random::Random;

/// DER of SubjectPublicKeyInfo before the 32 bytes of an Ed25519 key (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    pub secret: String,
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

    /// The signature headers of a body.
    pub fn headers(&self, rules: &[Sign], body: &[u8]) -> Vec<(String, String)> {
        let headers = rules.iter().map(|rule| {
            let value = if rule.ed25519 {
                STANDARD.encode(self.key.sign(body).to_bytes())
            } else if rule.hmac_sha256 {
                let code = self.code(body);
                format!("{}{}", rule.prefix, if rule.base64 { STANDARD.encode(code) } else { hex::encode(code) })
            } else if rule.token {
                self.secret.clone()
            } else {
                String::new()
            };
            (rule.header.clone(), value)
        });
        headers.collect()
    }

    fn code(&self, body: &[u8]) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(body);
        mac.finalize().into_bytes().to_vec()
    }
}
