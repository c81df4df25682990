//! `for_each`: the same for every item of a list.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Action, is_constant, split_alias};
use crate::expr::Expr;
use crate::workflow::Reading;

/// The same for every item of a list.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// A list (`$.contact.tags`), or a list operation (`ghl.contact.list`) whose records are read first.
    for_each: Value,
    /// What the list operation is given.
    #[schemars(extend("x-takes" = "a map"))]
    with: Option<Value>,
    /// The name of the item in its actions. Default: `item`.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), extend("x-name" = "a name of small letters, digits and `_`"))]
    r#as: Option<String>,
    /// How many items may be under way at once, each with a request of its own. Default: 1.
    #[schemars(range(min = 1, max = 50))]
    at_once: Option<usize>,
    /// Done for each item.
    actions: Vec<super::Document>,
}

#[derive(Debug)]
pub struct ForEach {
    pub over: Over,
    pub name: String,
    pub at_once: usize,
    pub actions: Vec<Action>,
}

/// What is gone through.
#[derive(Debug)]
pub enum Over {
    List(Expr),
    Operation { alias: String, operation: String, with: Option<Expr> },
}

/// More items than this in one list are refused: a run's journal is bounded.
pub const ITEMS_MAX: usize = 1_000;

impl ForEach {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let with = document.with.as_ref().map(|value| reading.child("with").expr(value));
        let over = match &document.for_each {
            Value::String(text) if is_constant(text) => {
                let mut child = reading.child("for_each");
                let (alias, operation) = split_alias(text, "operation", "crm.contact.list", &mut child)?;
                Over::Operation { alias, operation, with }
            }
            value => Over::List(reading.child("for_each").expr(value)),
        };
        let actions = super::read_list(&document.actions, &mut reading.child("actions"));
        let name = document.r#as.unwrap_or_else(|| "item".into());
        Some(Self { over, name, at_once: document.at_once.unwrap_or(1), actions })
    }
}
