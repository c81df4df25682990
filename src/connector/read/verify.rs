//! `verify:`: how a delivery proves where it is from.

use std::time::Duration;

use serde_json::Value;

use super::merge::{Merged, Role};
use super::reader::{Reader, Side, under};
use crate::connector::written::{EncodingWritten, UserWritten, VerifyRuleWritten, VerifyWritten};
use crate::connector::{
    Algorithm, Encoding, Hole, Scheme, Signature, Signed, Stands, VerifyRule, ed25519_key, rsa_key,
};
use crate::expr::{Expr, is_blank};
use crate::source::{File, Report, check_shape, nearest};

const KINDS: [&str; 6] = ["ed25519", "rsa_sha256", "hmac_sha256", "standard_webhooks", "basic", "token"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// While a key is changed there are two.
const KEYS_MAX: usize = 5;

/// Reads rules that stand outside a connector: `verify:` of a workflow's own webhook, under `pointer`.
pub fn read_verify(file: &File, pointer: &str, report: &mut Report) -> Option<Vec<VerifyRule>> {
    let mut found = Report::default();
    check_shape(file, pointer, &schemars::schema_for!(VerifyWritten).to_value(), &mut found);
    let broken = found.has_errors();
    report.extend(found);
    let value = file.value.pointer(pointer).filter(|_| !broken)?;
    let written: VerifyWritten = serde_json::from_value(value.clone()).ok()?;
    let mut found = Report::default();
    let merged = Merged::new(&[file], &[(file, Role::Main)], &mut found);
    let mut reader = Reader { merged: &merged, report: &mut found, settings: Vec::new(), attached: (0, 0) };
    let rules = rules(&mut reader, pointer, &written);
    let broken = found.has_errors();
    report.extend(found);
    (!broken).then_some(rules)
}

/// The rules under `pointer`; none where `none` is written.
pub(super) fn rules(reader: &mut Reader<'_>, pointer: &str, written: &VerifyWritten) -> Vec<VerifyRule> {
    let VerifyWritten::Rules(written) = written else { return Vec::new() };
    let read = |(index, rule)| verify_rule(reader, &format!("{pointer}/{index}"), rule);
    let rules: Vec<VerifyRule> = written.iter().enumerate().filter_map(read).collect();
    if rules.is_empty() && (written.is_empty() || !reader.report.has_errors()) {
        let help = "give a rule, or say `verify: none`";
        reader.key_error("unverified", pointer, "no rule proves a delivery", help);
    }
    rules
}

fn verify_rule(reader: &mut Reader<'_>, pointer: &str, written: &VerifyRuleWritten) -> Option<VerifyRule> {
    let given: Vec<&str> = reader
        .raw(pointer)
        .and_then(Value::as_object)
        .map(|map| KINDS.iter().copied().filter(|kind| map.contains_key(*kind)).collect())
        .unwrap_or_default();
    let [kind] = given.as_slice() else {
        let message =
            if given.is_empty() { "the rule says no kind of proof" } else { "the rule says several kinds of proof" };
        reader.error("one-kind", pointer, message, format!("give exactly one of `{}`", KINDS.join("`, `")));
        return None;
    };
    let at = under(pointer, kind);
    let until = written.until.as_deref().and_then(|text| {
        let day = text.parse().ok();
        if day.is_none() {
            let message = format!("`{text}` is no day");
            reader.error("wrong-value", &under(pointer, "until"), message, "write year, month and day: `2026-09-01`");
        }
        day
    });
    let algorithm = match *kind {
        "ed25519" => Some((Algorithm::Ed25519, written.ed25519.as_ref())),
        "rsa_sha256" => Some((Algorithm::RsaSha256, written.rsa_sha256.as_ref())),
        "hmac_sha256" => Some((Algorithm::HmacSha256, written.hmac_sha256.as_ref())),
        _ => {
            not_for_others(reader, pointer, written);
            None
        }
    };
    let scheme = match (algorithm, *kind) {
        (Some((algorithm, keys)), _) => {
            let keys = list(reader, &at, keys, |reader, at, value| key(reader, at, value, algorithm));
            Scheme::Signature(signature(reader, pointer, written, algorithm, keys?)?)
        }
        (None, "standard_webhooks") => {
            let keys = list(reader, &at, written.standard_webhooks.as_ref(), standard_key)?;
            Scheme::StandardWebhooks { keys }
        }
        (None, "basic") => basic(reader, &at, written.basic.as_ref())?,
        _ => Scheme::Token { values: list(reader, &at, written.token.as_ref(), secret)? },
    };
    let header = header(reader, pointer, written, &scheme)?;
    Some(VerifyRule { header, absent_if: written.absent_if.clone(), until, scheme })
}

/// How far a signed time may be from now.
pub(super) fn within(reader: &mut Reader<'_>, pointer: &str, written: Option<&str>) -> Duration {
    let Some(text) = written else { return Duration::from_secs(5 * 60) };
    let within = reader.duration(pointer, text);
    if within > DAY {
        let message = "a signed time may be a day from now at most";
        reader.error("wrong-value", pointer, message, "write `24h` or less; the id does the rest");
    }
    within
}

/// The header that holds the proof.
fn header(reader: &mut Reader<'_>, pointer: &str, written: &VerifyRuleWritten, scheme: &Scheme) -> Option<String> {
    let standard = match scheme {
        Scheme::StandardWebhooks { .. } => Some("webhook-signature"),
        Scheme::Basic { .. } => Some("Authorization"),
        Scheme::Signature(_) | Scheme::Token { .. } => None,
    };
    let Some(header) = written.header.as_deref().or(standard) else {
        let help = "say which header holds the proof: `header: X-Signature`";
        reader.error("missing-key", pointer, "missing key `header`", help);
        return None;
    };
    if matches!(scheme, Scheme::StandardWebhooks { .. }) && VerifyRule::companions(header).is_none() {
        let message = format!("`{header}` does not end with `-signature`");
        let help = "name one such as `webhook-signature`, beside which `webhook-id` and `webhook-timestamp` are sent";
        reader.error("wrong-value", &under(pointer, "header"), message, help);
        return None;
    }
    Some(header.to_owned())
}

/// What is said of signatures has no meaning for other kinds of proof.
fn not_for_others(reader: &mut Reader<'_>, pointer: &str, written: &VerifyRuleWritten) {
    for (key, given) in [
        ("prefix", written.prefix.is_some()),
        ("encoding", written.encoding.is_some()),
        ("signed", written.signed.is_some()),
        ("timestamp", written.timestamp.is_some()),
        ("id", written.id.is_some()),
        ("parts", written.parts.is_some()),
        ("within", written.within.is_some()),
    ] {
        if given {
            let message = format!("`{key}` is for `ed25519`, `rsa_sha256` and `hmac_sha256`");
            reader.key_error("no-effect", &under(pointer, key), message, "leave it out");
        }
    }
}

fn signature(
    reader: &mut Reader<'_>,
    pointer: &str,
    written: &VerifyRuleWritten,
    algorithm: Algorithm,
    keys: Vec<Expr>,
) -> Option<Signature> {
    let signed = signed(reader, &under(pointer, "signed"), written.signed.as_deref())?;
    let part = written.parts.as_ref().and_then(|parts| parts.timestamp.clone());
    if part.is_some() && written.timestamp.is_some() {
        let message = "the timestamp stands in a header of its own, or in a part";
        let help = "give either `timestamp` or `parts: { timestamp: … }`";
        reader.key_error("one-kind", &under(pointer, "timestamp"), message, help);
    }
    let in_header = || written.timestamp.clone().map(Stands::Header);
    let timestamp = part.map(Stands::Part).or_else(in_header);
    let at = match &timestamp {
        Some(Stands::Part(_)) => under(&under(pointer, "parts"), "timestamp"),
        _ => under(pointer, "timestamp"),
    };
    let source = "`timestamp: X-Timestamp`";
    fills(reader, pointer, (&signed, Hole::Timestamp), "timestamp", (timestamp.is_some(), &at), source);
    fills(reader, pointer, (&signed, Hole::Id), "id", (written.id.is_some(), &under(pointer, "id")), "`id: X-Id`");
    let at = under(pointer, "within");
    if written.within.is_some() && timestamp.is_none() {
        reader.key_error("no-effect", &at, "no time is signed", "leave it out, or say where the `timestamp` stands");
    }
    let encoding = match (written.encoding, algorithm) {
        (Some(EncodingWritten::Hex), _) | (None, Algorithm::HmacSha256) => Encoding::Hex,
        (Some(EncodingWritten::Base64), _) | (None, _) => Encoding::Base64,
    };
    Some(Signature {
        algorithm,
        keys,
        prefix: written.prefix.clone().unwrap_or_default(),
        encoding,
        part: written.parts.as_ref().map(|parts| parts.signature.clone()),
        signed,
        timestamp,
        within: within(reader, &at, written.within.as_deref()),
        id: written.id.clone(),
    })
}

fn signed(reader: &mut Reader<'_>, pointer: &str, text: Option<&str>) -> Option<Signed> {
    let Some(text) = text else { return Some(Signed::body()) };
    match Signed::parse(text) {
        Ok(signed) if signed.has(Hole::Body) => Some(signed),
        Ok(_) => {
            let message = "the signature says nothing of the body";
            reader.error("unverified", pointer, message, "put `{body}` where the sender puts it");
            None
        }
        Err(unknown) => {
            for hole in unknown {
                let word = hole.trim_matches(['{', '}']);
                let near = nearest(word, Hole::WORDS).map(|near| format!("did you mean `{{{near}}}`?"));
                let help = near.unwrap_or_else(|| format!("write one of `{{{}}}`", Hole::WORDS.join("}`, `{")));
                reader.error("unfilled-hole", pointer, format!("nothing fills `{hole}`"), help);
            }
            None
        }
    }
}

/// A hole is filled from a header, and a header fills a hole.
fn fills(
    reader: &mut Reader<'_>,
    pointer: &str,
    (signed, hole): (&Signed, Hole),
    word: &str,
    (given, at): (bool, &str),
    source: &str,
) {
    match (signed.has(hole), given) {
        (true, false) => {
            let help = format!("say which header holds it: {source}");
            reader.error("unfilled-hole", &under(pointer, "signed"), format!("nothing fills `{{{word}}}`"), help);
        }
        (false, true) => {
            let help = format!("put `{{{word}}}` into `signed`, as the sender does, or leave it out");
            reader.key_error("no-effect", at, format!("the {word} is not signed, and could be anyone's"), help);
        }
        _ => {}
    }
}

/// One value, or a list of which one must fit. None if one of them is wrong.
fn list(
    reader: &mut Reader<'_>,
    pointer: &str,
    value: Option<&Value>,
    mut read: impl FnMut(&mut Reader<'_>, &str, Option<&Value>) -> Option<Expr>,
) -> Option<Vec<Expr>> {
    let Some(Value::Array(values)) = value else { return Some(vec![read(reader, pointer, value)?]) };
    if values.len() > KEYS_MAX {
        let message = format!("{} keys are too many", values.len());
        reader.error("wrong-value", pointer, message, format!("{KEYS_MAX} at most; leave out those that have ended"));
        return None;
    }
    if values.is_empty() {
        return Some(vec![read(reader, pointer, None)?]);
    }
    let values = values.iter().enumerate();
    let read: Vec<Option<Expr>> =
        values.map(|(index, value)| read(reader, &format!("{pointer}/{index}"), Some(value))).collect();
    read.into_iter().collect()
}

fn key(reader: &mut Reader<'_>, pointer: &str, value: Option<&Value>, algorithm: Algorithm) -> Option<Expr> {
    match algorithm {
        Algorithm::Ed25519 => {
            let help = "32 bytes in base64, or the PEM that the sender publishes";
            let good = |text: &str| ed25519_key(text).is_some();
            public(reader, pointer, value, good, ("this is no Ed25519 public key", help))
        }
        Algorithm::RsaSha256 => {
            let help = "the PEM that the sender publishes, or the base64 inside; 2048 to 8192 bits";
            let good = |text: &str| rsa_key(text).is_some();
            public(reader, pointer, value, good, ("this is no RSA public key", help))
        }
        Algorithm::HmacSha256 => secret(reader, pointer, value),
    }
}

fn standard_key(reader: &mut Reader<'_>, pointer: &str, value: Option<&Value>) -> Option<Expr> {
    match value.and_then(Value::as_str) {
        Some(text) if text.starts_with(Scheme::PUBLIC) => {
            let good = |text: &str| text.strip_prefix(Scheme::PUBLIC).and_then(ed25519_key).is_some();
            let help = "`whpk_` and 32 bytes in base64";
            public(reader, pointer, value, good, ("this is no Ed25519 public key", help))
        }
        _ => secret(reader, pointer, value),
    }
}

fn public(
    reader: &mut Reader<'_>,
    pointer: &str,
    value: Option<&Value>,
    good: impl Fn(&str) -> bool,
    (message, help): (&str, &str),
) -> Option<Expr> {
    let key = proof(reader, pointer, value)?;
    if key.constant().is_some_and(|constant| !constant.as_str().is_some_and(good)) {
        reader.error("bad-public-key", pointer, message, help);
        return None;
    }
    Some(key)
}

fn basic(reader: &mut Reader<'_>, pointer: &str, written: Option<&UserWritten>) -> Option<Scheme> {
    let Some(written) = written else {
        reader.error("missing-value", pointer, "`basic` is empty", "say `user` and `password`");
        return None;
    };
    // A user name is no secret; a password is.
    let user = proof(reader, &under(pointer, "user"), Some(&written.user));
    let password = secret(reader, &under(pointer, "password"), Some(&written.password));
    Some(Scheme::Basic { user: user?, password: password? })
}

fn proof(reader: &mut Reader<'_>, pointer: &str, value: Option<&Value>) -> Option<Expr> {
    let empty = |expr: &Expr| expr.constant().is_some_and(|constant| is_blank(Some(&constant)));
    let expr = match value {
        Some(value) => Some(reader.expr(pointer, value, Side::Proof)?),
        None => None,
    };
    if expr.as_ref().is_none_or(empty) {
        reader.error("missing-value", pointer, "an empty key proves nothing", "e.g. `$.secrets.webhook_secret`");
        return None;
    }
    expr
}

fn secret(reader: &mut Reader<'_>, pointer: &str, value: Option<&Value>) -> Option<Expr> {
    let expr = proof(reader, pointer, value)?;
    if expr.constant().is_some() {
        reader.open_secret(pointer);
    }
    Some(expr)
}
