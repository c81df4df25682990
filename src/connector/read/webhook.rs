//! `webhooks:`: proof, replay, routing, events.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::merge::{Merged, Role};
use super::operation::named;
use super::reader::{Reader, Side, under};
use super::schema;
use crate::connector::written::{
    HmacEncoding, Named, VerifyRuleWritten, VerifyWritten, WebhookEventWritten, WebhooksWritten,
};
use crate::connector::{Connector, Scheme, VerifyRule, WebhookEvent, Webhooks};
use crate::expr::{Expr, Path, is_blank};
use crate::source::{File, Report, check_shape};

const KINDS: [&str; 6] = ["ed25519", "hmac_sha256", "token", "rsa_sha256", "standard_webhooks", "basic"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn read(reader: &mut Reader<'_>, written: &WebhooksWritten, connector: &Connector) -> Webhooks {
    let pointer = "/webhooks";
    let verify = match &written.verify {
        VerifyWritten::Word(_) => Vec::new(),
        VerifyWritten::Rules(rules) => {
            let read: Vec<VerifyRule> = rules
                .iter()
                .enumerate()
                .filter_map(|(index, rule)| verify_rule(reader, &format!("{pointer}/verify/{index}"), rule))
                .collect();
            if read.is_empty() && !reader.report.has_errors() {
                let help = "give a rule that acts, or say `verify: none`";
                reader.key_error("unverified", "/webhooks/verify", "no rule is left to prove a delivery", help);
            }
            read
        }
    };
    let replay = written.replay.as_ref();
    let id = optional_path(reader, "/webhooks/replay/id", replay.and_then(|replay| replay.id.as_deref()));
    let time = optional_path(reader, "/webhooks/replay/time", replay.and_then(|replay| replay.time.as_deref()));
    let within = match replay.and_then(|replay| replay.within.as_deref()) {
        Some(text) => reader.duration("/webhooks/replay/within", text),
        None => Duration::from_secs(5 * 60),
    };
    if within > DAY {
        let message = "a signed time may be a day from now at most";
        reader.error("wrong-value", "/webhooks/replay/within", message, "write `24h` or less; the id does the rest");
    }
    let mut connection = Vec::new();
    for (setting, path) in written.connection.iter() {
        let at = under("/webhooks/connection", setting);
        reader.check_setting(&at, setting);
        if let Some(path) = reader.path(&at, path) {
            connection.push((setting.to_owned(), path));
        }
    }
    let when_busy = written.when_busy.unwrap_or(503);
    if !(400..600).contains(&when_busy) {
        let message = format!("{when_busy} does not say that it did not work");
        reader.error(
            "wrong-value",
            "/webhooks/when_busy",
            message,
            "a status that this source retries, e.g. 429 or 503",
        );
    }
    if let Some(text) = &written.coalesce {
        reader.duration("/webhooks/coalesce", text);
        reader.not_yet("/webhooks/coalesce", "`coalesce`");
    }
    let body_max = written.body_max.unwrap_or(1_048_576);
    if body_max == 0 || body_max > 64 * 1_048_576 {
        let message = "a body has between 1 byte and 64 MiB";
        reader.error("wrong-value", "/webhooks/body_max", message, "leave it out for 1 MiB");
    }
    let events = events(reader, &written.events, connector);
    if written.name.is_none() && events.len() > 1 {
        let help = "say where a delivery names its event: `name: $.type`";
        reader.key_error("missing-key", "/webhooks/events", "nothing tells one event from another", help);
    }
    Webhooks {
        verify,
        id,
        time,
        within,
        connection,
        when_busy,
        event_name: optional_path(reader, "/webhooks/name", written.name.as_deref()),
        each: optional_path(reader, "/webhooks/each", written.each.as_deref()),
        record: optional_path(reader, "/webhooks/record", written.record.as_deref()),
        events,
        body_max,
    }
}

/// Reads rules that stand outside a connector: `verify:` of a workflow's own webhook, under `pointer`.
pub fn read_verify(file: &File, pointer: &str, report: &mut Report) -> Option<Vec<VerifyRule>> {
    let mut found = Report::default();
    check_shape(file, pointer, &schemars::schema_for!(VerifyWritten).to_value(), &mut found);
    let broken = found.has_errors();
    report.extend(found);
    let value = file.value.pointer(pointer).filter(|_| !broken)?;
    let written: VerifyWritten = serde_json::from_value(value.clone()).ok()?;
    let rules = match &written {
        VerifyWritten::Word(_) => return Some(Vec::new()),
        VerifyWritten::Rules(rules) => rules,
    };
    let mut found = Report::default();
    let merged = Merged::new(&[file], &[(file, Role::Main)], &mut found);
    let mut reader = Reader { merged: &merged, report: &mut found, settings: Vec::new(), attached: (0, 0) };
    let read = |(index, rule)| verify_rule(&mut reader, &format!("{pointer}/{index}"), rule);
    let rules: Vec<VerifyRule> = rules.iter().enumerate().filter_map(read).collect();
    let broken = found.has_errors() || rules.is_empty();
    report.extend(found);
    (!broken).then_some(rules)
}

fn optional_path(reader: &mut Reader<'_>, pointer: &str, text: Option<&str>) -> Option<Path> {
    text.and_then(|text| reader.path(pointer, text))
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
    for (key, given) in [("prefix", written.prefix.is_some()), ("encoding", written.encoding.is_some())] {
        if given && *kind != "hmac_sha256" {
            reader.key_error(
                "no-effect",
                &under(pointer, key),
                format!("`{key}` is for `hmac_sha256`"),
                "leave it out",
            );
        }
    }
    if written.signed.is_some() {
        // Without it a signature over something else than the body would be compared with the wrong thing.
        reader.error(
            "not-yet",
            &under(pointer, "signed"),
            "`signed` is not built yet",
            "only the body itself can be verified",
        );
    }
    let until = written.until.as_deref().and_then(|text| {
        let day = text.parse().ok();
        if day.is_none() {
            let message = format!("`{text}` is no day");
            reader.error("wrong-value", &under(pointer, "until"), message, "write year, month and day: `2026-09-01`");
        }
        day
    });
    let scheme = match *kind {
        "ed25519" => {
            let key = proof(reader, &at, written.ed25519.as_ref())?;
            if let Some(constant) = key.constant()
                && !is_ed25519_key(&constant)
            {
                reader.error(
                    "bad-public-key",
                    &at,
                    "this is no Ed25519 public key",
                    "32 bytes in base64, or its PEM without head and foot",
                );
            }
            Scheme::Ed25519 { key }
        }
        "hmac_sha256" => Scheme::HmacSha256 {
            secret: secret(reader, &at, written.hmac_sha256.as_ref())?,
            prefix: written.prefix.clone().unwrap_or_default(),
            base64: written.encoding == Some(HmacEncoding::Base64),
        },
        "token" => Scheme::Token { value: secret(reader, &at, written.token.as_ref())? },
        _ => {
            // The rule is left out. Deliveries that only it could prove are refused, which is the safe side.
            reader.not_yet(&at, &format!("the proof `{kind}`"));
            return None;
        }
    };
    Some(VerifyRule { header: written.header.clone(), absent_if: written.absent_if.clone(), until, scheme })
}

fn proof(reader: &mut Reader<'_>, pointer: &str, value: Option<&Value>) -> Option<Expr> {
    let empty = |expr: &Expr| expr.constant().is_some_and(|constant| is_blank(Some(&constant)));
    let expr = match value {
        Some(value) => Some(reader.expr(pointer, value, Side::Secret)?),
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

/// Raw 32 bytes, or SubjectPublicKeyInfo (RFC 8410), in base64.
fn is_ed25519_key(value: &Value) -> bool {
    const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let Some(text) = value.as_str() else { return false };
    let text: String = text.split_whitespace().collect();
    match STANDARD.decode(text) {
        Ok(bytes) => bytes.len() == 32 || (bytes.len() == 44 && bytes.starts_with(&HEAD)),
        Err(_) => false,
    }
}

fn events(reader: &mut Reader<'_>, written: &Named<WebhookEventWritten>, connector: &Connector) -> Vec<WebhookEvent> {
    let mut events = Vec::new();
    for (name, event) in written.iter() {
        let pointer = under("/webhooks/events", name);
        let mut read_with = None;
        if let Some(object) = &event.object {
            match connector.object(object) {
                None => {
                    let names = connector.objects.iter().map(|object| object.name.as_str());
                    let message = format!("there is no object `{object}`");
                    reader.unknown("unknown-object", &under(&pointer, "object"), message, object, names);
                }
                Some(_) => {
                    if event.change.is_none() {
                        let help = "say what happened: `change: created`, `updated` or `deleted`";
                        reader.key_error(
                            "missing-key",
                            &pointer,
                            format!("what does `{name}` say about `{object}`?"),
                            help,
                        );
                    }
                    if let Some(with) = &event.read_with {
                        read_with = named(reader, &under(&pointer, "read_with"), with, Some(object), connector);
                        let full = read_with.as_deref().and_then(|full| connector.operation(full));
                        if full.is_some_and(|operation| !operation.reads) {
                            let message = format!("`{with}` changes something: it cannot be used to look");
                            reader.error(
                                "wrong-operation",
                                &under(&pointer, "read_with"),
                                message,
                                "name an operation that reads",
                            );
                        }
                    }
                    let deleted = event.change.is_some_and(|change| change.word() == "deleted");
                    let can_read = connector.operation(&format!("{object}.get")).is_some();
                    if !event.whole && !deleted && event.read_with.is_none() && !can_read {
                        let message = format!("`{object}` has no `get` to read the record that `{name}` hints at");
                        let help = "add `get`, or say `whole: true` or `read_with: list`";
                        reader.key_error("unreadable-event", &pointer, message, help);
                    }
                }
            }
        } else {
            for (key, given) in
                [("change", event.change.is_some()), ("whole", event.whole), ("read_with", event.read_with.is_some())]
            {
                if given {
                    let message = format!("`{key}` is about an object, and `{name}` names none");
                    reader.key_error("missing-key", &under(&pointer, key), message, "add `object:`");
                }
            }
        }
        if event.whole && event.read_with.is_some() {
            let help = "give either `whole` or `read_with`";
            reader.key_error("one-kind", &under(&pointer, "whole"), "the payload is the record, or it is read", help);
        }
        events.push(WebhookEvent {
            name: name.to_owned(),
            object: event.object.clone(),
            change: event.change.map(|change| change.word().to_owned()),
            whole: event.whole,
            read_with,
            schema: schema::schema(reader, &under(&pointer, "schema"), event.schema.as_ref()),
        });
    }
    events
}
