//! Syncs are looked at as a whole: at their first run where that need not be planned, and then as often as `check_every` says.

use serde_json::{Value, json};

use super::survey::{Progress, SurveyError};
use super::{Engine, now_ms};
use crate::clock;
use crate::project::Plan;
use crate::store::{self, Store};
use crate::sync::{Mode, Sync, Which};
use crate::workflow::syncing;

/// What could not be read is tried again after this.
const ANEW_MS: i64 = 60_000;

/// Each sync with each tenant for which it acts.
fn each(plan: &Plan) -> Vec<(&Sync, Option<&str>)> {
    let tenants = |sync: &Sync| {
        let workflow = plan.workflow(&syncing::name(sync, 0, Which::First));
        workflow.map(|workflow| plan.tenants_of(workflow)).unwrap_or_default()
    };
    plan.syncs.iter().flat_map(|sync| tenants(sync).into_iter().map(move |tenant| (&**sync, tenant))).collect()
}

impl Engine {
    pub(super) async fn check_for_ever(&self) {
        let mut reloaded = self.inner.reloaded.subscribe();
        loop {
            let due_ms = match self.check_syncs().await {
                Ok(due_ms) => due_ms,
                Err(error) => {
                    tracing::warn!(%error, "the syncs could not be looked at");
                    now_ms() + ANEW_MS
                }
            };
            while let Ok(pause @ 1..) = u64::try_from(due_ms.saturating_sub(now_ms())) {
                tokio::select! {
                    () = tokio::time::sleep(clock::nap(pause)) => {}
                    _ = reloaded.changed() => break,
                    () = self.stopped() => return,
                }
            }
        }
    }

    /// The syncs that write nothing yet, since a person is to apply their first run; each with its tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn not_begun(&self) -> Result<Vec<(String, Option<String>)>, store::Error> {
        let plan = self.plan();
        let mut all = Vec::new();
        for (sync, tenant) in each(&plan) {
            let begun = self.inner.hands.cursor(self, &Store::begun(&sync.name, tenant)).await?;
            if begun.is_none() && sync.first_run.mode == Mode::Plan {
                all.push((sync.name.clone(), tenant.map(str::to_owned)));
            }
        }
        Ok(all)
    }

    /// Looks at every sync whose time has come; gives the next instant at which there is one.
    async fn check_syncs(&self) -> Result<i64, store::Error> {
        let plan = self.plan();
        let mut next_ms = i64::MAX;
        for (sync, tenant) in each(&plan) {
            let key = format!("checked:{}:{}", sync.name, tenant.unwrap_or_default());
            let begun = self.inner.hands.cursor(self, &Store::begun(&sync.name, tenant)).await?;
            let checked_ms = self.inner.hands.cursor(self, &key).await?.as_ref().and_then(Value::as_i64);
            let since_ms = begun.as_ref().and_then(|begun| begun["since_ms"].as_i64());
            let every_ms = sync.check_every.and_then(|every| i64::try_from(every.as_millis()).ok());
            let due_ms = match (since_ms, every_ms) {
                (None, _) if sync.first_run.mode == Mode::Apply => Some(i64::MIN),
                (None, _) => None,
                (Some(since_ms), every_ms) => {
                    every_ms.map(|every_ms| checked_ms.unwrap_or(since_ms).max(since_ms).saturating_add(every_ms))
                }
            };
            let Some(due_ms) = due_ms else { continue };
            if due_ms <= now_ms() && !self.has_duty(&key).await {
                next_ms = next_ms.min(now_ms() + ANEW_MS);
                continue;
            }
            if due_ms > now_ms() {
                next_ms = next_ms.min(due_ms);
                continue;
            }
            let deep = since_ms.is_some();
            match self.apply(&sync.name, tenant, deep, None, &Progress::default()).await {
                Ok((surveyed, runs)) => {
                    let in_line: usize = surveyed.pairs.iter().map(|pair| pair.survey.in_line).sum();
                    tracing::info!(sync = sync.name, tenant, in_line, runs, "all records were compared");
                    self.inner.hands.set_cursor(self, &key, json!(now_ms())).await?;
                    next_ms = next_ms.min(every_ms.map_or(i64::MAX, |every_ms| now_ms().saturating_add(every_ms)));
                }
                Err(SurveyError::Store(error)) => return Err(error),
                Err(why) => {
                    tracing::warn!(sync = sync.name, tenant, %why, "the two sides could not be compared");
                    next_ms = next_ms.min(now_ms() + ANEW_MS);
                }
            }
        }
        Ok(next_ms)
    }
}
