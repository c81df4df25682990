//! Runs end on the version of the project that they began with: what they wait for is heard for them, also when the present
//! version waits for it no more.

use std::sync::Arc;

use super::Engine;
use crate::project::Plan;
use crate::store;
use crate::workflow::Workflow;

/// A listener of an older version.
pub(super) struct Older {
    pub plan: Arc<Plan>,
    name: String,
}

impl Older {
    pub fn listener(&self) -> Option<&Workflow> {
        self.plan.workflow(&self.name)
    }
}

impl Engine {
    /// The listeners that runs of older versions need and the present one has not.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn older(&self) -> Result<Vec<Older>, store::Error> {
        let present = self.plan();
        let mut older: Vec<Older> = Vec::new();
        for hash in self.inner.store.open_plans().await? {
            // What cannot be read any more makes dead letters of its runs.
            let Some(plan) = self.plan_of(&hash).await? else { continue };
            for listener in &plan.listeners {
                let known = older.iter().any(|other| other.name == listener.name);
                if !known && present.workflow(&listener.name).is_none() {
                    older.push(Older { plan: plan.clone(), name: listener.name.clone() });
                }
            }
        }
        Ok(older)
    }
}
