//! The document `sandbox:`: what a client's view of an API cannot know about the vendor behind it.
//!
//! Everything here may be left out; derive.rs makes a plain default of it from the connector file.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::made::{Made, Table, Test, Words};

mod object;
mod route;
mod webhook;

pub use object::{KeyedListRule, ObjectRules, View};
pub use route::{Each, Filter, Pages, Route};
pub use webhook::{HookEvent, Hooks, Parts, Retry, Sign};

/// `connectors/NAME.sandbox.yaml`, laid over what the connector file gives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The connector's name.
    pub sandbox: String,
    /// Told at the control door and by the command.
    #[serde(default)]
    pub about: Option<String>,
    /// Constants, `$.vars.x`.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// What the control door may change while the vendor runs, `$.settings.x`; `index_lag` (a duration) and `limits`
    /// (a profile) also mean something to the mechanism.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// Values made once per request, `$.let.x`.
    #[serde(default)]
    pub r#let: Table<Made>,
    #[serde(default)]
    pub every_answer: EveryAnswer,
    /// Answers that say no, by name; see refusal.rs for the names that the mechanism uses itself.
    #[serde(default)]
    pub refusals: Table<Refusal>,
    /// How kinds of fields are called in refusals.
    #[serde(default)]
    pub kinds: Table<String>,
    /// Asked in order before a token is looked at.
    #[serde(default)]
    pub checks: Vec<Check>,
    #[serde(default)]
    pub tokens: Tokens,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub objects: Table<ObjectRules>,
    /// By request line, `GET /contacts/{id}`; a fixed segment goes before a hole.
    #[serde(default)]
    pub routes: Table<Route>,
    #[serde(default)]
    pub webhooks: Hooks,
    /// What is there at the start, by object.
    #[serde(default)]
    pub records: Table<Vec<Value>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EveryAnswer {
    #[serde(default)]
    pub headers: Table<Made>,
    /// Fields of every body that is a map.
    #[serde(default)]
    pub add: Table<Made>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub status: u16,
    #[serde(default)]
    pub headers: Table<Made>,
    #[serde(default)]
    pub body: Option<Made>,
    /// Sent as it is instead of a JSON body.
    #[serde(default)]
    pub text: Option<Words>,
    /// `invalid` only: one text per problem (`unknown`, `missing`, `wrong_kind`), over `field` and `kind`.
    #[serde(default)]
    pub each: Table<Words>,
}

/// `refuse_if` a condition holds, with a named refusal or one written here.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub refuse_if: Test,
    #[serde(default)]
    pub with: Option<String>,
    #[serde(default)]
    pub status: u16,
    #[serde(default)]
    pub body: Option<Made>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// `bearer`, `basic` (the user name), `signed`, `none`, or a header's name; default: as the connector's first auth.
    #[serde(default)]
    pub sent_in: Option<String>,
    /// Token → what it is, `$.token`: class, scopes, location …; `life` (a duration) lets it expire. Where requests are
    /// signed: account → `secrets`, and `connection` where a signature reads settings.
    #[serde(default)]
    pub known: Table<Map<String, Value>>,
    /// Asked in order of every route that is not `open`.
    #[serde(default)]
    pub access: Vec<Check>,
    /// OAuth client id → `secret` and what else its tokens hold.
    #[serde(default)]
    pub clients: Table<Map<String, Value>>,
    /// Authorization codes that are valid at the start → what their tokens hold.
    #[serde(default)]
    pub codes: Table<Map<String, Value>>,
    /// Life of a minted access token, default 1d.
    #[serde(default)]
    pub life: Option<String>,
    /// How long a used refresh token gives the same answer once more.
    #[serde(default)]
    pub refresh_grace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// One bucket per value; default one for all.
    #[serde(default)]
    pub by: Option<Made>,
    /// Windows by profile; the setting `limits` picks one, `none` switches all off.
    #[serde(default)]
    pub profiles: Table<Vec<Window>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub requests: u64,
    pub per: String,
    /// Header → `limit`, `remaining`, `per_ms`, `reset_ms` or `reset_s`.
    #[serde(default)]
    pub headers: Table<String>,
}
