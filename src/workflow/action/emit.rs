//! `emit`: tells the project's other workflows that something happened. They hear it as `project.<name>`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::expr::Expr;
use crate::workflow::Reading;

/// Tells other workflows that something happened; they hear it as `event: project.<name>`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// The event's name, in kebab-case: `vip-found`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"), extend("x-name" = "a name of small letters, digits and `-`"))]
    emit: String,
    /// What it tells: read as `$.event.body.…`.
    #[schemars(extend("x-takes" = "a map"))]
    with: Option<Value>,
}

#[derive(Debug)]
pub struct Emit {
    pub name: String,
    pub with: Option<Expr>,
}

/// The alias under which a project hears its own events.
pub const PROJECT: &str = "project";

impl Emit {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let with = document.with.as_ref().map(|value| reading.child("with").expr(value));
        Some(Self { name: document.emit, with })
    }
}
