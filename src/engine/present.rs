//! The version of the project that events start now, and how another takes its place.
//!
//! ```text
//!  changed documents ─ checked whole ─▶ Plan ─ kept in the store ─▶ Present ─▶ lists and schedules begin and end by difference
//!                                                                     └─ runs that have begun end on their own version
//! ```
//! Runs end on the version that they began with: what they wait for is heard for them, also when the present version
//! waits for it no more.

use std::collections::HashSet;
use std::sync::Arc;

use super::{ENVIRONMENT, Engine, filled, now_ms, poll, schedule};
use crate::project::Plan;
use crate::store;
use crate::workflow::Workflow;

/// So long a version is kept with which no run began: one may be about to.
const UNUSED_MS: i64 = 60 * 60 * 1_000;

/// What events start: one look at it says all that belongs together.
pub(super) struct Present {
    pub plan: Arc<Plan>,
    older: Vec<Older>,
}

/// A listener of an older version.
struct Older {
    plan: Arc<Plan>,
    name: String,
}

impl Present {
    pub fn new(plan: Arc<Plan>) -> Present {
        Present { plan, older: Vec::new() }
    }

    /// The listeners of older versions, each with its version.
    pub fn older(&self) -> impl Iterator<Item = (&Arc<Plan>, &Workflow)> {
        self.older.iter().filter_map(|older| Some((&older.plan, older.plan.workflow(&older.name)?)))
    }

    /// All that events may start, each with its version.
    pub fn hearing(&self) -> impl Iterator<Item = (&Arc<Plan>, &Workflow)> {
        self.plan.hearing().map(|workflow| (&self.plan, workflow)).chain(self.older())
    }
}

impl Engine {
    /// Takes up changed documents, at once and as a whole; gives false if they are those of the present version. Nothing that
    /// was accepted is lost or done twice: runs that have begun end on their version, and lists are read on from where they
    /// were.
    ///
    /// # Errors
    /// The store's; the present version stays then.
    pub async fn reload(&self, plan: Plan) -> Result<bool, store::Error> {
        let one_at_a_time = self.inner.reloading.lock().await;
        let former = self.plan();
        if plan.hash == former.hash {
            return Ok(false);
        }
        self.keep(&plan).await?;
        // Its hour begins when it is replaced.
        self.keep(&former).await?;
        self.make_present(Arc::new(filled(plan, self.inner.vault.as_deref()))).await?;
        self.follow();
        drop(one_at_a_time);
        self.note_editions().await;
        self.ask_again();
        Ok(true)
    }

    /// Keeps the documents for runs that end after a restart.
    pub(super) async fn keep(&self, plan: &Plan) -> Result<(), store::Error> {
        let documents = plan.documents.iter().map(|text| (text.path.clone(), text.text.clone()));
        let environment = plan.environment.clone().unwrap_or_default();
        let documents: Vec<(String, String)> = documents.chain([(ENVIRONMENT.to_string(), environment)]).collect();
        self.inner.hands.keep(self, &plan.hash, documents).await
    }

    /// Keeps the recipes that have changed, as they are written now: for people who look what was before.
    pub(super) async fn note_editions(&self) {
        let plan = self.plan();
        let recipes: HashSet<&str> = plan.recipes().map(|(_, place)| &*place.path).collect();
        let written = plan.documents.iter().filter(|text| recipes.contains(text.path.as_str()));
        let written = written.map(|text| (text.path.clone(), text.text.clone())).collect();
        if let Err(error) = self.inner.store.note_editions(written).await {
            tracing::warn!(%error, "how the recipes are written now is not kept");
        }
    }

    /// Makes a version the present one, and forgets those that no run needs.
    ///
    /// # Errors
    /// The store's; the present version stays then.
    pub(super) async fn make_present(&self, plan: Arc<Plan>) -> Result<(), store::Error> {
        let former = self.plan();
        let mut needed = Vec::new();
        if self.inner.listens {
            needed = self.inner.store.open_plans().await?;
            // A delivery that is just being accepted still starts runs of it.
            if former.hash != plan.hash && !needed.contains(&former.hash) {
                needed.push(former.hash.clone());
            }
        }
        let mut older: Vec<Older> = Vec::new();
        for hash in needed.iter().filter(|hash| **hash != plan.hash) {
            // What cannot be read any more makes dead letters of its runs.
            let Some(kept) = self.plan_of(hash).await? else { continue };
            for listener in &kept.listeners {
                let known = older.iter().any(|other| other.name == listener.name);
                if !known && plan.workflow(&listener.name).is_none() {
                    older.push(Older { plan: kept.clone(), name: listener.name.clone() });
                }
            }
        }
        let present = Present { plan: plan.clone(), older };
        if self.inner.listens {
            poll::begin(self, &present).await?;
        }
        needed.push(plan.hash.clone());
        self.inner.plans.lock().retain(|hash, _| needed.contains(hash));
        self.inner.plans.lock().insert(plan.hash.clone(), plan);
        *self.inner.present.write() = Arc::new(present);
        // Whoever saves a file each minute must not fill the disk.
        if let Err(error) = self.inner.store.forget_plans(now_ms() - UNUSED_MS, &needed).await {
            tracing::warn!(%error, "former versions of the project are still kept");
        }
        Ok(())
    }

    /// Reads the lists and keeps the schedules of the present version, and no others.
    pub(super) fn follow(&self) {
        poll::follow(self);
        schedule::follow(self);
        self.inner.reloaded.send_replace(());
    }
}
