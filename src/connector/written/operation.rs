//! An operation as written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Named;
use crate::connector::page::PagesWritten;
use crate::connector::spelling::Spelling;

/// One call that the API offers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::connector) struct OperationWritten {
    /// Method and path, e.g. `GET /contacts/{id}`. A hole is filled from the connection's setting of that name if there is
    /// one, else from the input.
    pub request: String,
    /// What it does, in a sentence.
    pub description: Option<String>,
    /// The scope that it needs.
    pub scope: Option<String>,
    /// JSON Schema of the input, the path's holes included; without it, a create or update takes its object's fields.
    pub input: Option<Value>,
    /// JSON Schema of what it returns, of a list: of each item; for operations that return no record of their object.
    pub output: Option<Value>,
    /// True: a POST that changes nothing.
    #[serde(default)]
    pub reads: bool,
    /// Query parameters. Values may read `$.input`, `$.connection` and `$.page`; absent ones are left out, lists repeat.
    #[serde(default)]
    pub query: Named<Value>,
    /// How lists and maps of the query, or of a form, are written: one word for all, or one per name.
    pub spelling: Option<SpellingWritten>,
    /// Headers of this request, over those of the connector.
    #[serde(default)]
    pub headers: Named<Value>,
    /// The body. POST, PUT and PATCH send `$.input` if it says nothing.
    pub body: Option<Value>,
    /// Fields added to the body.
    pub add: Option<Value>,
    /// True: the body is sent as a form, not as JSON.
    #[serde(default)]
    pub form: bool,
    /// True: the body is sent in parts, as a form with files is. A file is a map with `content` and, where it matters,
    /// `name`, `type` and `encoding: base64`; it may be plain text where the schema says `format: binary`.
    #[serde(default)]
    pub multipart: bool,
    /// Path to the record in the answer.
    pub returns: Option<String>,
    /// Path to the list of records in the answer.
    pub items: Option<String>,
    /// How to get the next page of a list.
    pub pages: Option<PagesWritten>,
    /// Fields that this operation calls otherwise: its name → the object's name.
    #[serde(default)]
    pub rename: Named<String>,
    /// What to do when it is not known whether the write was carried out.
    pub if_unsure: Option<IfUnsureWritten>,
    /// A header that lets the API recognise a repeated request.
    pub idempotency: Option<IdempotencyWritten>,
}

/// How lists and maps are written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum SpellingWritten {
    /// All alike.
    All(Spelling),
    /// By the parameter's or the field's name.
    Each(Named<Spelling>),
}

/// What to do when it is not known whether a write was carried out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::connector) enum IfUnsureWritten {
    /// `send_again`: repeating does no harm. `ask`: a person decides.
    Word(IfUnsureWord),
    /// Look first.
    Look(LookWritten),
}

/// What to do without looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::connector) enum IfUnsureWord {
    /// Repeating does no harm.
    SendAgain,
    /// A person decides.
    Ask,
}

/// Look before writing again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`if_unsure`")]
pub(in crate::connector) struct LookWritten {
    /// The failures that leave it open; `[timeout, transient]` unless said otherwise.
    pub after: Option<Vec<String>>,
    /// The operation to look with, e.g. `find`.
    pub look_with: String,
    /// For a list: the fields that are compared among records younger than the attempt.
    #[serde(default)]
    pub same: Vec<String>,
    /// How long to wait before looking, e.g. `10s`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub wait: Option<String>,
}

/// A header that lets the API recognise a repeated request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`idempotency`")]
pub(in crate::connector) struct IdempotencyWritten {
    /// The header's name, e.g. `Idempotency-Key`.
    pub header: String,
}
