//! `webhooks:` of a sandbox file: what is sent, when, and how it is signed.

use serde::Deserialize;

use crate::sandbox::made::{Made, Table, Test};

/// `webhooks:`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    #[serde(default)]
    pub sign: Vec<Sign>,
    /// Laid over every body, made anew per event; `$.event` is its name.
    #[serde(default)]
    pub envelope: Table<Made>,
    #[serde(default)]
    pub retry: Retry,
    #[serde(default)]
    pub events: Vec<HookEvent>,
}

/// A signature header, as a rule of `verify:` asks for it. Exactly one of `ed25519`, `hmac_sha256`, `standard_webhooks`,
/// `basic`, `token`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    pub header: String,
    #[serde(default)]
    pub ed25519: bool,
    #[serde(default)]
    pub hmac_sha256: bool,
    #[serde(default)]
    pub standard_webhooks: bool,
    #[serde(default)]
    pub basic: bool,
    #[serde(default)]
    pub token: bool,
    #[serde(default)]
    pub prefix: String,
    #[serde(default)]
    pub base64: bool,
    /// What is signed, if it is not the body alone.
    pub signed: Option<String>,
    /// The header that holds the time.
    pub timestamp: Option<String>,
    /// The header that holds the id.
    pub id: Option<String>,
    pub parts: Option<Parts>,
}

/// Names of the parts of a header's value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    pub timestamp: Option<String>,
    pub signature: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries after the first.
    pub times: u32,
    pub longest: String,
    /// Share of a wait that is random.
    pub jitter: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { times: 12, longest: "10m".to_owned(), jitter: 0.5 }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookEvent {
    pub name: String,
    /// What the body calls it, if not so: `$.event`.
    pub called: Option<String>,
    /// None: it is about no object, and is only sent by hand.
    pub object: Option<String>,
    /// `created`, `updated` or `deleted`.
    pub change: Option<String>,
    /// Sent when the control door is asked to, and else never.
    #[serde(default)]
    pub by_hand: bool,
    /// Over `$.record` as kept, `$.shown`, `$.previous` and `$.changed`.
    #[serde(default)]
    pub only_if: Option<Test>,
    #[serde(default)]
    pub show: Option<String>,
    #[serde(default)]
    pub body: Option<Made>,
    /// Laid over the body, before the envelope.
    #[serde(default)]
    pub over: Option<Made>,
}
