//! `switch`: one of several ways, by a value.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Action;
use crate::expr::{Expr, Fault, Scope, text_of};
use crate::source::under;
use crate::workflow::Reading;

/// One of several ways, by a value.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// The value, such as `$.response.result.title`.
    switch: Value,
    /// What is done for each value; values compare as text.
    #[schemars(with = "std::collections::BTreeMap<String, Vec<super::Document>>", extend("minProperties" = 1))]
    cases: serde_json::Map<String, Value>,
    /// Done for every other value, also when there is none.
    #[serde(default)]
    default: Vec<super::Document>,
}

#[derive(Debug)]
pub struct Switch {
    pub value: Expr,
    pub cases: Vec<Case>,
    pub default: Vec<Action>,
}

#[derive(Debug)]
pub struct Case {
    pub key: String,
    /// Where its actions stand below the `switch`: `cases/Ready now`, escaped as in a JSON pointer.
    pub step: String,
    pub actions: Vec<Action>,
}

/// The step of the actions that no case has.
pub const DEFAULT: &str = "default";

impl Switch {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let value = reading.child("switch").expr(&document.switch);
        let mut cases = Vec::new();
        for (key, actions) in &document.cases {
            let mut reading = reading.child("cases");
            let mut reading = reading.child(key);
            let actions: Vec<super::Document> = reading.parse(actions)?;
            let actions = super::read_list(&actions, &mut reading);
            let step = under("cases", key);
            cases.push(Case { key: key.clone(), step, actions });
        }
        let default = super::read_list(&document.default, &mut reading.child(DEFAULT));
        Some(Self { value, cases, default })
    }

    /// The step of the case that a value chooses.
    ///
    /// # Errors
    /// The value cannot be made, or is a list or a map.
    pub fn choose(&self, scope: &Scope<'_>) -> Result<&str, Fault> {
        let text = match self.value.eval(scope)? {
            None | Some(Value::Null) => return Ok(DEFAULT),
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err(Fault::new("it takes one value, not a list or map"));
            }
            Some(value) => text_of(&value),
        };
        let case = self.cases.iter().find(|case| case.key == text);
        Ok(case.map_or(DEFAULT, |case| &case.step))
    }

    pub fn actions(&self, step: &str) -> &[Action] {
        self.cases.iter().find(|case| case.step == step).map_or(&self.default, |case| &case.actions)
    }
}
