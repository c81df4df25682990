//! `stop`: ends the run well, with a value.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::expr::Expr;
use crate::workflow::Reading;

/// Ends the whole run well, also from inside `for_each` and `parallel`; its value is what a run of this workflow gives.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// Any value, also text that says why.
    stop: Value,
}

#[derive(Debug)]
pub struct Stop {
    pub value: Expr,
}

impl Stop {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        Some(Self { value: reading.child("stop").expr(&document.stop) })
    }
}
