//! `if`: one way or the other.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Action;
use crate::expr::Condition;
use crate::workflow::Reading;

/// One way or the other.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// The condition: a map of `path: test` lines that must all hold, or `any:`, `all:`, `not:`.
    #[schemars(extend("x-takes" = "a condition"))]
    r#if: Value,
    /// Done when it holds.
    then: Vec<super::Document>,
    /// Done when it does not.
    #[serde(default)]
    r#else: Vec<super::Document>,
}

#[derive(Debug)]
pub struct If {
    pub condition: Condition,
    pub then: Vec<Action>,
    pub otherwise: Vec<Action>,
}

impl If {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let condition = reading.child("if").condition(&document.r#if);
        let then = super::read_list(&document.then, &mut reading.child("then"));
        let otherwise = super::read_list(&document.r#else, &mut reading.child("else"));
        Some(Self { condition, then, otherwise })
    }

    pub fn actions(&self, branch: &str) -> &[Action] {
        if branch == "then" { &self.then } else { &self.otherwise }
    }
}
