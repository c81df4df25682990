//! `run`: another workflow, as a part of this run. It must begin with `manual`; its `stop` value is the result.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::expr::Expr;
use crate::workflow::Reading;

/// Runs another workflow as a part of this one.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// The name of a workflow with a `manual` trigger.
    run: String,
    /// Its inputs.
    #[schemars(extend("x-takes" = "a map"))]
    with: Option<Value>,
}

#[derive(Debug)]
pub struct Run {
    pub workflow: String,
    pub with: Option<Expr>,
}

/// Workflows that run each other, one inside the other, at most.
pub const DEPTH_MAX: usize = 10;

impl Run {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let with = document.with.as_ref().map(|value| reading.child("with").expr(value));
        Some(Self { workflow: document.run, with })
    }
}
