//! The webhook side of an API, as data: how to verify, name and route what it sends.

use std::time::Duration;

use chrono::NaiveDate;
use serde_json::Value;

use super::Signature;
use crate::expr::{Expr, Path};

/// `webhooks:` of a connector.
#[derive(Debug)]
pub struct Webhooks {
    /// The first whose header is present decides, with the others of that header. None: `verify: none` was written.
    pub verify: Vec<VerifyRule>,
    /// The delivery's id.
    pub id: Option<Path>,
    /// The time that the sender signed, and how far it may be from now.
    pub time: Option<Path>,
    pub within: Duration,
    /// What finds the connection.
    pub connection: Vec<Sign>,
    /// The status that this source retries.
    pub when_busy: u16,
    /// The event's name.
    pub event_name: Option<Path>,
    /// One delivery may hold a list of events.
    pub each: Option<Path>,
    /// Where in an event the record stands; None: the event is the record.
    pub record: Option<Path>,
    pub events: Vec<WebhookEvent>,
    /// Hints of one record inside this time are one event.
    pub coalesce: Option<Duration>,
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
    Signature(Signature),
    /// As standardwebhooks.com says: `whsec_` and a secret, or `whpk_` and a public key.
    StandardWebhooks {
        keys: Vec<Expr>,
    },
    /// HTTP Basic.
    Basic {
        user: Expr,
        password: Expr,
    },
    /// A shared token: one of these.
    Token {
        values: Vec<Expr>,
    },
}

impl Scheme {
    /// What a public key of `standard_webhooks` begins with.
    pub const PUBLIC: &str = "whpk_";
    /// What a secret of `standard_webhooks` begins with.
    pub const SECRET: &str = "whsec_";
}

impl VerifyRule {
    /// The headers of id and timestamp that stand beside the one of a signature of `standard_webhooks`.
    pub fn companions(header: &str) -> Option<(String, String)> {
        const END: &str = "-signature";
        let (start, end) = header.split_at_checked(header.len().checked_sub(END.len())?)?;
        end.eq_ignore_ascii_case(END).then(|| (format!("{start}-id"), format!("{start}-timestamp")))
    }

    /// Is it verified with a public key?
    pub fn is_public(&self) -> bool {
        matches!(&self.scheme, Scheme::Signature(signature) if signature.algorithm.is_public())
    }
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
    /// What bodies call it besides.
    pub named: Vec<String>,
    /// Where its record stands, if not where that of the others does.
    pub record: Option<Path>,
    /// What finds the connection, if not what finds that of the others.
    pub connection: Option<Vec<Sign>>,
}

/// Where a delivery says a setting of its connection: the first path that finds something.
#[derive(Clone, Debug)]
pub struct Sign {
    pub setting: String,
    pub paths: Vec<Path>,
}

impl Webhooks {
    /// What finds the connection of an event.
    pub fn connection_of<'w>(&'w self, event: &'w WebhookEvent) -> &'w [Sign] {
        event.connection.as_deref().unwrap_or(&self.connection)
    }

    /// Each way in which a delivery may say which account it is for: the names of settings.
    pub fn ways(&self) -> Vec<Vec<&str>> {
        let own = self.events.iter().filter_map(|event| event.connection.as_deref());
        let mut ways: Vec<Vec<&str>> = Vec::new();
        for signs in own.chain([self.connection.as_slice()]) {
            let way = signs.iter().map(|sign| sign.setting.as_str()).collect();
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }
}
