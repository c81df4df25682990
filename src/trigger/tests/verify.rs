//! Genuine deliveries and forged ones, of every kind of signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDate;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use super::super::{Arrival, Secrets, verify};
use crate::connector::{Algorithm, Encoding, Scheme, Signature, Signed, VerifyRule};
use crate::expr::Expr;

const BODY: &[u8] = br#"{"type":"ContactCreate"}"#;

/// As received.
type Headers<'a> = &'a [(&'a str, &'a str)];

/// Knows `hook` and an empty one, `blank`.
struct Known;

impl Secrets for Known {
    fn secret(&self, name: &str) -> Option<String> {
        match name {
            "hook" => Some("s3cret".to_owned()),
            "blank" => Some(String::new()),
            _ => None,
        }
    }
}

fn written(value: &str) -> Expr {
    Expr::compile(&json!(value)).unwrap()
}

fn rule(header: &str, scheme: Scheme) -> VerifyRule {
    VerifyRule { header: header.into(), absent_if: None, until: None, scheme }
}

fn signature(algorithm: Algorithm, key: &str, prefix: &str, encoding: Encoding) -> Scheme {
    Scheme::Signature(Signature {
        algorithm,
        keys: vec![written(key)],
        prefix: prefix.into(),
        encoding,
        part: None,
        signed: Signed::body(),
        timestamp: None,
        within: std::time::Duration::ZERO,
        id: None,
    })
}

fn hmac_rule(secret: &str, prefix: &str, base64: bool) -> VerifyRule {
    let encoding = if base64 { Encoding::Base64 } else { Encoding::Hex };
    rule("X-Signature", signature(Algorithm::HmacSha256, secret, prefix, encoding))
}

fn token_rule(value: &str) -> VerifyRule {
    rule("X-Token", Scheme::Token { values: vec![written(value)] })
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn accepts_with_key(rules: &[VerifyRule], headers: &[(&str, &str)], body: &[u8], key: Option<&str>) -> bool {
    let header = |name: &str| {
        let found = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| (*value).to_owned())
    };
    let now_ms = day("2026-11-24").and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
    verify(rules, Arrival { header: &header, body, path: "/hooks/crm" }, &Known, key, now_ms)
}

fn accepts(rules: &[VerifyRule], headers: &[(&str, &str)]) -> bool {
    accepts_with_key(rules, headers, BODY, None)
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// As vendors publish it: base64 of the SubjectPublicKeyInfo.
fn public_key() -> String {
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend_from_slice(signing_key().verifying_key().as_bytes());
    STANDARD.encode(der)
}

fn ed25519_rule(key: &str) -> VerifyRule {
    let scheme = signature(Algorithm::Ed25519, key, "", Encoding::Base64);
    VerifyRule { absent_if: Some("N/A".into()), ..rule("X-GHL-Signature", scheme) }
}

fn signed(body: &[u8]) -> String {
    STANDARD.encode(signing_key().sign(body).to_bytes())
}

fn hmac_of(secret: &str, body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn an_ed25519_signature_is_over_the_raw_body() {
    let raw_key = STANDARD.encode(signing_key().verifying_key().as_bytes());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", public_key());
    for key in [public_key(), raw_key, pem] {
        assert!(accepts(&[ed25519_rule(&key)], &[("x-ghl-signature", &signed(BODY))]), "{key}");
    }
    let good = signed(BODY);
    let other_body = signed(b"{\"type\": \"ContactCreate\"}");
    let mut bytes = STANDARD.decode(&good).unwrap();
    let truncated = STANDARD.encode(&bytes[..63]);
    bytes[0] ^= 1;
    let flipped = STANDARD.encode(&bytes);
    for forged in ["", " ", "N/A", "====", "AAAA", &truncated, &flipped, &other_body, &good[1..]] {
        assert!(!accepts(&[ed25519_rule(&public_key())], &[("X-GHL-Signature", forged)]), "`{forged}`");
    }
    let rotated = format!("{flipped}, {good}");
    assert!(accepts(&[ed25519_rule(&public_key())], &[("X-GHL-Signature", &rotated)]), "one of several is enough");
    for key in ["", "MCowBQYDK2Vw", "$.secrets.none", "$.secrets.blank", "not base64"] {
        assert!(!accepts(&[ed25519_rule(key)], &[("X-GHL-Signature", &good)]), "key `{key}`");
    }
    // The neutral element as a key would accept one signature for every body.
    let weak = STANDARD.encode([1_u8].iter().chain(&[0; 31]).copied().collect::<Vec<u8>>());
    let for_any = STANDARD.encode([1_u8].iter().chain(&[0; 63]).copied().collect::<Vec<u8>>());
    assert!(!accepts(&[ed25519_rule(&weak)], &[("X-GHL-Signature", &for_any)]));
}

#[test]
fn an_hmac_is_hex_or_base64_with_its_prefix() {
    let mac = hmac_of("s3cret", BODY);
    let (in_hex, in_base64) = (hex::encode(&mac), STANDARD.encode(&mac));
    let table = [
        ("sha256=", false, format!("sha256={in_hex}"), true),
        ("sha256=", false, format!("sha256={}", in_hex.to_uppercase()), true),
        ("", true, in_base64.clone(), true),
        ("", false, format!("{},{in_hex}", "0".repeat(64)), true),
        ("sha256=", false, in_hex.clone(), false),
        ("", false, format!("sha256={in_hex}"), false),
        ("", false, in_base64, false),
        ("", true, in_hex.clone(), false),
        ("", false, in_hex[..62].to_owned(), false),
        ("", false, format!("{in_hex}00"), false),
        ("", false, hex::encode(hmac_of("other", BODY)), false),
        ("", false, hex::encode(hmac_of("s3cret", b"{}")), false),
        ("", false, hex::encode(hmac_of("", BODY)), false),
        ("sha256=", false, "sha256=".to_owned(), false),
        ("", false, format!("{},{in_hex}", ["00"; 5].join(",")), false),
    ];
    for (prefix, base64, header, expected) in table {
        let rule = hmac_rule("$.secrets.hook", prefix, base64);
        assert_eq!(accepts(&[rule], &[("X-Signature", &header)]), expected, "{header} with prefix `{prefix}`");
    }
    let unkeyed = hex::encode(hmac_of("", BODY));
    for secret in ["$.secrets.none", "$.secrets.blank", ""] {
        assert!(!accepts(&[hmac_rule(secret, "", false)], &[("X-Signature", &unkeyed)]), "secret `{secret}`");
    }
}

#[test]
fn a_token_is_compared_whole() {
    let table =
        [("s3cret", true), (" s3cret ", true), ("s3cre", false), ("s3cretx", false), ("S3CRET", false), ("", false)];
    for (given, expected) in table {
        assert_eq!(accepts(&[token_rule("$.secrets.hook")], &[("X-Token", given)]), expected, "`{given}`");
    }
    assert!(accepts(&[token_rule("Bearer {{secrets.hook}}")], &[("X-Token", "Bearer s3cret")]));
    assert!(!accepts(&[token_rule("$.secrets.none")], &[("X-Token", "")]));
    assert!(!accepts(&[token_rule("$.connection.hook")], &[("X-Token", "s3cret")]), "only secrets are read");
}

#[test]
fn the_newest_rule_whose_header_is_present_decides_alone() {
    let legacy = |until: &str| VerifyRule { until: Some(day(until)), ..hmac_rule("$.secrets.hook", "", false) };
    let good_new = signed(BODY);
    let good_old = hex::encode(hmac_of("s3cret", BODY));
    let (new, old) = ("X-GHL-Signature", "X-Signature");
    let table: [(&str, &str, Headers, bool); 8] = [
        ("both good", "2027-01-01", &[(new, &good_new), (old, &good_old)], true),
        ("only the old one", "2027-01-01", &[(old, &good_old)], true),
        ("the new one is empty", "2027-01-01", &[(new, ""), (old, &good_old)], true),
        ("the new one says N/A", "2027-01-01", &[(new, "N/A"), (old, &good_old)], true),
        ("a forged new one is not saved by a good old one", "2027-01-01", &[(new, "forged"), (old, &good_old)], false),
        ("none", "2027-01-01", &[], false),
        ("on its last day", "2026-11-25", &[(old, &good_old)], true),
        ("from its end on", "2026-11-24", &[(old, &good_old)], false),
    ];
    for (what, until, headers, expected) in table {
        assert_eq!(accepts(&[ed25519_rule(&public_key()), legacy(until)], headers), expected, "{what}");
    }
    assert!(!accepts(&[], &[(new, &good_new)]), "no rule accepts nothing");
}

#[test]
fn an_own_key_takes_the_place_of_the_vendors() {
    let vendors = ed25519_rule("MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=");
    let header = signed(BODY);
    let with = |key: Option<&str>| {
        accepts_with_key(std::slice::from_ref(&vendors), &[("X-GHL-Signature", &header)], BODY, key)
    };
    assert!(!with(None));
    assert!(with(Some(&public_key())));
    assert!(!with(Some("")), "an empty key is none");
    // Anyone may know a public key, and could sign with it as a secret.
    let by_public_key = hex::encode(hmac_of(&public_key(), BODY));
    let own =
        |rule: VerifyRule, name, value: &str| accepts_with_key(&[rule], &[(name, value)], BODY, Some(&public_key()));
    assert!(!own(hmac_rule("$.secrets.hook", "", false), "X-Signature", &by_public_key));
    assert!(!own(token_rule("$.secrets.hook"), "X-Token", &public_key()));
    assert!(own(token_rule("$.secrets.hook"), "X-Token", "s3cret"), "a secret stays");
}
