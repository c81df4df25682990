//! The document `connector:` as written: its shape, its JSON Schema and its reference in one.
//!
//! Kinds are told apart by their key (`bearer:`, `cursor:`), each an optional field; that exactly one is given is judged
//! with the meaning (`read/`), where the finding can name the others.

mod import;
mod named;
mod object;
mod operation;
mod webhook;

pub(super) use import::{ImportWritten, ImportedWritten};
pub(super) use named::Named;
pub(super) use object::{
    KeyedListWritten, NamesWritten, ObjectWritten, ParentWritten, PollWritten, ReferenceWritten, ScanWritten,
};
pub(super) use operation::{IfUnsureWord, IfUnsureWritten, OperationWritten, SpellingWritten};
pub(super) use webhook::{
    EncodingWritten, TextsWritten, UserWritten, VerifyRuleWritten, VerifyWritten, WebhookEventWritten, WebhooksWritten,
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::auth::AuthWritten;
use super::spelling::Spelling;

/// A remote API as data: auth, limits, errors, objects, operations, webhooks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Connector")]
pub(super) struct Document {
    /// The connector's name in kebab-case, e.g. `gohighlevel`. Several files of one name add to each other.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), extend("x-name" = "a name of small letters, digits and `-`"))]
    pub connector: String,
    /// Version of this description, e.g. `1.0.0`.
    pub version: Option<String>,
    /// What the API is, in a sentence.
    pub description: Option<String>,
    /// Where the API lives, e.g. `https://api.example.com`. May hold `{setting}` of the connection, never data.
    pub base_url: Option<String>,
    /// How lists and maps are written in queries and forms, where an operation says nothing; `repeat` unless said otherwise.
    pub spelling: Option<Spelling>,
    /// Headers of every request. Values may read `$.connection`.
    #[serde(default)]
    pub headers: Named<Value>,
    /// The settings of an account, one by one; the connect form is made from them.
    #[serde(default)]
    pub connection: Named<SettingWritten>,
    /// Ways to prove who one is, by a name of your choice; a connection picks one.
    #[serde(default)]
    pub auth: Named<AuthWritten>,
    /// Windows of the budget that all workflows share per connection.
    #[serde(default)]
    pub limits: Vec<LimitWritten>,
    /// What answers mean, in order: the first rule that fits decides. Answers with status 200 are looked at too.
    #[serde(default)]
    pub errors: Vec<ErrorRuleWritten>,
    /// The kinds of records that the API keeps.
    #[serde(default)]
    pub objects: Named<ObjectWritten>,
    /// Calls that belong to no object.
    #[serde(default)]
    pub operations: Named<OperationWritten>,
    /// What the API sends by itself.
    pub webhooks: Option<WebhooksWritten>,
    /// An OpenAPI document to take operations from; what else is written here refines them.
    #[expect(dead_code, reason = "it is read before the files of a connector are put together")]
    pub import: Option<ImportWritten>,
}

/// One setting of a connection: a JSON Schema of its value, with `optional`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SettingWritten {
    /// `string`, `integer`, `number`, `boolean`, `object` or `array`; `string` unless said otherwise.
    pub r#type: Option<String>,
    /// The field's title in the connect form.
    pub title: Option<String>,
    /// Help under the field in the connect form.
    pub description: Option<String>,
    /// True: a connection may leave it out.
    #[serde(default)]
    pub optional: bool,
    /// The value of a connection that says nothing.
    pub default: Option<Value>,
    /// A well-known form such as `uri` or `email`.
    pub format: Option<String>,
    /// A regular expression that the text matches.
    pub pattern: Option<String>,
    /// The only values that are taken.
    pub r#enum: Option<Vec<Value>>,
    /// Values to show as examples.
    pub examples: Option<Vec<Value>>,
    /// JSON Schema of a map's known fields.
    pub properties: Option<Value>,
    /// JSON Schema of a map's other values.
    #[serde(rename = "additionalProperties")]
    pub additional_properties: Option<Value>,
    /// JSON Schema of a list's items.
    pub items: Option<Value>,
}

/// One window of a connection's budget.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitWritten {
    /// How many requests the window holds.
    pub requests: u64,
    /// How long the window is, e.g. `10s` or `1d`; it opens with its first call.
    #[schemars(extend("x-takes" = "a duration"))]
    pub per: String,
    /// The answer's header that says how many requests are left.
    pub remaining_header: Option<String>,
    /// The answer's header that says how long until the window ends.
    pub reset_header: Option<ResetHeaderWritten>,
    /// The share that polls and backfills leave to live events, e.g. `30%`.
    pub keep_for_live_events: Option<String>,
    /// Full names of the operations that this window counts, e.g. `[contact.find]`; all if it says nothing.
    #[serde(default)]
    pub r#for: Vec<String>,
    /// One window per value of this, e.g. `$.input.channel`.
    pub each: Option<String>,
}

/// A header with the time until a window ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`reset_header`")]
pub(super) struct ResetHeaderWritten {
    /// The header's name.
    pub name: String,
    /// The unit that it counts in: `s` or `ms`.
    pub unit: ResetUnit,
}

/// Units of a reset header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum ResetUnit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

/// One rule about answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorRuleWritten {
    /// The status: a number, a class such as `5xx`, or a list of these. Any if it says nothing.
    pub status: Option<StatusWritten>,
    /// A condition on the answer's body, which is `$`.
    pub only_if: Option<Value>,
    /// The name that workflows see: `auth`, `scope`, `forbidden`, `not_found`, `transient`, `conflict`, `rate_limited`,
    /// `invalid`, `duplicate`, `not_accepted` …
    pub is: String,
    /// Path to the id of the record that is there already, for `duplicate`.
    pub existing_id: Option<String>,
}

/// A status, a class of them, or several.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum StatusWritten {
    /// One status, e.g. `401`.
    One(u16),
    /// A class such as `5xx`, or a range such as `500-504`.
    Range(String),
    /// Several.
    Many(Vec<Value>),
}
