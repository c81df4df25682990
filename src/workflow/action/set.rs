//! `set`: names values for later actions. Needs an `id`: `$.<id>.name`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::expr::Expr;
use crate::workflow::{Advance, Context, Finish, Outcome, Reading};

/// Names values for later actions.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// Values by name; read later as `$.<id>.name`.
    set: serde_json::Map<String, Value>,
}

#[derive(Debug)]
pub struct Set {
    pub values: Expr,
}

impl Set {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        if reading.file.value.pointer(&reading.pointer).is_some_and(|action| action.get("id").is_none()) {
            let mut reading = reading.child("set");
            let found = reading.error("missing-id", "`set` needs an `id`", "");
            found.help = Some("add `id: name`, then read the values as `$.name.…`".into());
        }
        let values = reading.child("set").expr(&Value::Object(document.set));
        Some(Self { values })
    }

    pub fn advance(&self, context: &Context<'_>) -> Advance {
        match self.values.eval(&context.scope) {
            Ok(value) => {
                let result = value.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
                Advance::Finish(Box::new(Finish { outcome: Some(Outcome::Done), result, ..Finish::default() }))
            }
            Err(fault) => Advance::Fail(super::invalid(&fault, "set")),
        }
    }
}
