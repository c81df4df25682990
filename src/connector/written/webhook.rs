//! `webhooks:` as written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Named;

/// What the API sends by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`webhooks`")]
pub(in crate::connector) struct WebhooksWritten {
    /// How a delivery proves where it is from: a list of rules, of which the first whose header is present decides alone;
    /// or `none`, and the URL itself is the secret.
    pub verify: VerifyWritten,
    /// What tells a delivery from a repeated or an old one.
    pub replay: Option<ReplayWritten>,
    /// Setting → path in the body, or several of which the first counts that finds something: which connection the delivery
    /// is for.
    #[serde(default)]
    pub connection: Named<TextsWritten>,
    /// The status to answer when there is no room, one that this source retries; 503 unless said otherwise.
    pub when_busy: Option<u16>,
    /// Path to the event's name.
    pub name: Option<String>,
    /// Path to the list of events, if one delivery may hold several, e.g. `$[*]`.
    pub each: Option<String>,
    /// Path to the record inside an event; without it the event is the record.
    pub record: Option<String>,
    /// The events by the API's own names.
    #[serde(default)]
    pub events: Named<WebhookEventWritten>,
    /// How long an event waits before its record is read, so that what else is told of the record meanwhile is the same
    /// event, e.g. `2s`. Deletes, and events that hold the record itself (`whole`), do not wait.
    #[schemars(extend("x-takes" = "a duration"))]
    pub coalesce: Option<String>,
    /// The biggest body in bytes; 1048576 unless said otherwise.
    pub body_max: Option<usize>,
}

/// Rules, or the word `none`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum VerifyWritten {
    /// `none`: the deliveries carry no proof.
    Word(VerifyWord),
    /// The first rule whose header is present decides.
    Rules(Vec<VerifyRuleWritten>),
}

/// The word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::connector) enum VerifyWord {
    /// No proof.
    None,
}

/// One rule of `verify:`. Exactly one of the kinds is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct VerifyRuleWritten {
    /// The header that holds the proof; `webhook-signature` for `standard_webhooks` and `Authorization` for `basic` unless
    /// said otherwise.
    pub header: Option<String>,
    /// A value of the header that counts as absent.
    pub absent_if: Option<String>,
    /// The rule is no rule from this day on, e.g. `2026-09-01`.
    pub until: Option<String>,
    /// An Ed25519 signature: the public key in base64, or a list of which one must fit.
    pub ed25519: Option<Value>,
    /// An RSA signature (PKCS#1 v1.5 with SHA-256): the public key in base64, or a list of which one must fit.
    pub rsa_sha256: Option<Value>,
    /// HMAC with SHA-256: the secret, or a list of which one must fit.
    pub hmac_sha256: Option<Value>,
    /// The scheme of standardwebhooks.com: the secret (`whsec_…`) or public key (`whpk_…`), or a list of which one must fit.
    pub standard_webhooks: Option<Value>,
    /// HTTP Basic: user and password.
    pub basic: Option<UserWritten>,
    /// A shared token: its value, or a list of which one must fit.
    pub token: Option<Value>,
    /// What a signature begins with, e.g. `sha256=`.
    pub prefix: Option<String>,
    /// How a signature is written, `hex` or `base64`; unless said otherwise, hex for `hmac_sha256` and base64 for the others.
    pub encoding: Option<EncodingWritten>,
    /// What is signed, if it is not the body alone: a text with `{body}`, and `{timestamp}`, `{id}`, `{host}` or `{path}`
    /// (with the query), e.g. `"{timestamp}.{body}"`.
    pub signed: Option<String>,
    /// The header that holds the time that is signed: seconds or milliseconds since 1970, or as `2026-09-01T10:00:00Z`.
    pub timestamp: Option<String>,
    /// The header that holds the id that is signed.
    pub id: Option<String>,
    /// The header's value is a list such as `t=1788300000,v1=6b57…`: which names the parts have.
    pub parts: Option<PartsWritten>,
    /// How far the signed time may be from now; `5m` unless said otherwise, at most `24h`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub within: Option<String>,
}

/// User and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`basic`")]
pub(in crate::connector) struct UserWritten {
    /// The user's name.
    pub user: Value,
    /// The password, a secret.
    pub password: Value,
}

/// Names of the parts of a header's value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`parts`")]
pub(in crate::connector) struct PartsWritten {
    /// The part that holds the time that is signed, e.g. `t`.
    pub timestamp: Option<String>,
    /// The parts that hold signatures, e.g. `v1`.
    pub signature: String,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::connector) enum EncodingWritten {
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
}

/// What tells a delivery from a repeated or an old one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`replay`")]
pub(in crate::connector) struct ReplayWritten {
    /// Path to the delivery's id; the same id makes no second run.
    pub id: Option<String>,
    /// Path to the time that the sender signed.
    pub time: Option<String>,
    /// How far that time may be from now; `5m` unless said otherwise, at most `24h`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub within: Option<String>,
}

/// One event by the API's own name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct WebhookEventWritten {
    /// The object that it is about; without it the event is heard by its own name.
    pub object: Option<String>,
    /// What happened to the record.
    pub change: Option<ChangeWritten>,
    /// True: the payload is the record, so that it need not be read first.
    #[serde(default)]
    pub whole: bool,
    /// The operation that reads the record instead of `get`.
    pub read_with: Option<String>,
    /// JSON Schema of the payload.
    pub schema: Option<Value>,
    /// What the body calls the event, if that is not its name here; one word or several.
    pub named: Option<TextsWritten>,
    /// Path to the record, if not where `record` of `webhooks` says.
    pub record: Option<String>,
    /// Which connection it is for, if not as `connection` of `webhooks` says.
    pub connection: Option<Named<TextsWritten>>,
}

/// One text, or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum TextsWritten {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl TextsWritten {
    /// Each text with where it stands below.
    pub fn each(&self) -> Vec<(String, &str)> {
        match self {
            TextsWritten::One(path) => vec![(String::new(), path)],
            TextsWritten::Several(paths) => {
                paths.iter().enumerate().map(|(index, path)| (format!("/{index}"), path.as_str())).collect()
            }
        }
    }
}

/// What happened to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::connector) enum ChangeWritten {
    /// It is new.
    Created,
    /// Some of its fields differ.
    Updated,
    /// It is gone.
    Deleted,
}

impl ChangeWritten {
    pub fn word(self) -> &'static str {
        match self {
            ChangeWritten::Created => "created",
            ChangeWritten::Updated => "updated",
            ChangeWritten::Deleted => "deleted",
        }
    }
}
