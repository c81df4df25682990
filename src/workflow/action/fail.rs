//! `fail`: gives up, with words for the person who finds the dead letter.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::connector::Failure;
use crate::expr::Expr;
use crate::workflow::{Advance, Context, Reading};

/// Gives up: the run fails with this text.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// What went wrong, for people.
    fail: String,
}

#[derive(Debug)]
pub struct Fail {
    pub text: Expr,
}

impl Fail {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        Some(Self { text: reading.child("fail").expr(&Value::String(document.fail)) })
    }

    pub fn advance(&self, context: &Context<'_>) -> Advance {
        let failure = match self.text.eval(&context.scope) {
            Ok(Some(Value::String(text))) => Failure::new("failed", text),
            Ok(Some(value)) => Failure::new("failed", value.to_string()),
            Ok(None) => Failure::new("failed", "the workflow gave up"),
            Err(fault) => super::invalid(&fault, "fail"),
        };
        Advance::Fail(failure)
    }
}
