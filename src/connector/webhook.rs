//! The webhook side of an API, as data: how to verify, name and route what it sends.

use std::time::Duration;

use chrono::NaiveDate;
use serde_json::Value;

use crate::expr::{Expr, Path};

/// `webhooks:` of a connector.
#[derive(Debug)]
pub struct Webhooks {
    /// Tried in order; the first whose header is present decides alone. None: `verify: none` was written.
    pub verify: Vec<VerifyRule>,
    /// The delivery's id.
    pub id: Option<Path>,
    /// The time that the sender signed, and how far it may be from now.
    pub time: Option<Path>,
    pub within: Duration,
    /// Setting → path in the body: finds the connection.
    pub connection: Vec<(String, Path)>,
    /// The status that this source retries.
    pub when_busy: u16,
    /// The event's name.
    pub event_name: Option<Path>,
    /// One delivery may hold a list of events.
    pub each: Option<Path>,
    /// Where in an event the record stands; None: the event is the record.
    pub record: Option<Path>,
    pub events: Vec<WebhookEvent>,
    pub body_max: usize,
}

/// One rule of `verify:`.
#[derive(Debug)]
pub struct VerifyRule {
    pub header: String,
    /// A value that counts as absent.
    pub absent_if: Option<String>,
    /// The rule is no rule from this day on.
    pub until: Option<NaiveDate>,
    pub scheme: Scheme,
}

#[derive(Debug)]
pub enum Scheme {
    /// Raw 32 bytes of the public key (given as base64 SubjectPublicKeyInfo or raw base64).
    Ed25519 { key: Expr },
    /// HMAC-SHA256 over the raw body; `prefix` such as `sha256=`; hex or base64.
    HmacSha256 { secret: Expr, prefix: String, base64: bool },
    /// A shared token, compared in constant time.
    Token { value: Expr },
}

/// An entry of `events:`.
#[derive(Clone, Debug)]
pub struct WebhookEvent {
    /// The vendor's name, `ContactCreate`.
    pub name: String,
    pub object: Option<String>,
    /// `created`, `updated` or `deleted`.
    pub change: Option<String>,
    /// The payload is the record: no `get` first.
    pub whole: bool,
    /// Full name of the operation that reads the record instead of `get`.
    pub read_with: Option<String>,
    /// JSON Schema of the body, if given.
    pub schema: Value,
}
