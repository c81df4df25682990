//! The document `project:`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A project as written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a project")]
pub struct Document {
    /// The project's name, in kebab-case.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), extend("x-name" = "a name of small letters, digits and `-`"))]
    pub project: String,
    pub description: Option<String>,
    /// Where times without a zone belong, an IANA name. Default: `UTC`.
    pub timezone: Option<String>,
    /// For phone numbers without `+`: ISO 3166 alpha-2, `GB`.
    #[schemars(regex(pattern = r"^[A-Z]{2}$"), extend("x-name" = "a country of two capital letters, such as `GB`"))]
    pub country: Option<String>,
    /// Settings that all connections of a connector share, by connector.
    #[serde(default)]
    pub apps: BTreeMap<String, Map<String, Value>>,
    /// Connections that all tenants share, by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$", "x-name": "a name of small letters, digits and `-`" }))]
    pub connections: BTreeMap<String, Connection>,
    /// One block per customer, by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$", "x-name": "a name of small letters, digits and `-`" }))]
    pub tenants: BTreeMap<String, Tenant>,
    /// The workflows and syncs that run. Default: all.
    pub active: Option<Vec<String>>,
    /// What differs by environment; merged over the rest by `--env NAME`.
    #[serde(default)]
    pub environments: BTreeMap<String, Value>,
    /// How long what is over is kept, and how much of it.
    pub keep: Option<super::keep::Written>,
    /// `refused`: no document may hold a script.
    pub scripts: Option<Scripts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scripts {
    Allowed,
    Refused,
}

/// A connector with an account's settings and secrets; further keys are those that the connector asks for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "a connection")]
pub struct Connection {
    /// The connector's name.
    pub connector: String,
    /// Which of the connector's ways to prove who it is, when there are several.
    pub auth: Option<String>,
    /// The connection whose credential is exchanged for the token of this one, where its way of auth is an `exchange`.
    pub via: Option<String>,
    /// `true`: its requests carry a `traceparent`, so that what its vendor does stands in the trace of the run. For services of
    /// your own.
    pub traced: Option<bool>,
    /// Settings as values, secrets as `$.secrets.name`.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Value>,
}

/// One customer.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a tenant")]
pub struct Tenant {
    /// Sets the `vars` of that name in every workflow.
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// Its own connections, by name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$", "x-name": "a name of small letters, digits and `-`" }))]
    pub connections: BTreeMap<String, Connection>,
}

/// The JSON Schema of the kind.
pub fn schema() -> Value {
    schemars::schema_for!(Document).to_value()
}
