//! `parallel`: several things at once; none waits for another.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Action;
use crate::workflow::Reading;

/// Several things at once; none waits for another.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// Actions, or lists of actions that are done one after the other.
    #[schemars(length(min = 1, max = 50))]
    parallel: Vec<OneOrMany>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<super::Document>),
    One(super::Document),
}

#[derive(Debug)]
pub struct Parallel {
    pub branches: Vec<Branch>,
}

/// What is done one after the other, beside the other branches.
#[derive(Debug)]
pub struct Branch {
    pub actions: Vec<Action>,
    /// Written as a list, and not as one action.
    pub is_list: bool,
}

impl Parallel {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let mut branches = Vec::new();
        for (index, branch) in document.parallel.iter().enumerate() {
            let mut reading = reading.child("parallel");
            let mut reading = reading.child(&index.to_string());
            branches.push(match branch {
                OneOrMany::Many(actions) => Branch { actions: super::read_list(actions, &mut reading), is_list: true },
                OneOrMany::One(action) => {
                    Branch { actions: Action::read(action, &mut reading).into_iter().collect(), is_list: false }
                }
            });
        }
        Some(Self { branches })
    }
}
