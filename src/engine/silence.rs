//! Silence: a workflow that has not run for too long tells people, by its own `on_error`.

use serde_json::{Value, json};

use super::hands::Cursors;
use super::{Engine, now_ms};
use crate::clock;
use crate::project::Plan;
use crate::store::{self, Filter, Intake};
use crate::trigger::{Event, SILENCE};
use crate::workflow::Workflow;

/// Workflows that tell people, for each tenant for which they run.
fn watched(plan: &Plan) -> impl Iterator<Item = (&Workflow, i64, Option<&str>)> {
    plan.workflows.iter().flat_map(|workflow| {
        let span_ms = workflow.alert_if_silent.and_then(|span| i64::try_from(span.as_millis()).ok());
        let tenants = span_ms.map(|_| plan.tenants_of(workflow)).unwrap_or_default();
        tenants.into_iter().map(move |tenant| (workflow, span_ms.unwrap_or(i64::MAX), tenant))
    })
}

/// A workflow that tells people when it has not run for too long.
#[derive(Clone, Debug)]
pub struct Watched {
    pub workflow: String,
    pub tenant: Option<String>,
    /// How long it may be silent, in milliseconds.
    pub span_ms: i64,
    /// When it ran last, and whether that was to tell of its silence; None: not yet.
    pub last: Option<(i64, bool)>,
}

/// Who tells of silence may have died.
const DUTY_LOOK_MS: i64 = 10_000;

impl Engine {
    /// Who is watched for silence, at most so many.
    ///
    /// # Errors
    /// The store's.
    pub async fn watched_for_silence(&self, limit: usize) -> Result<Vec<Watched>, store::Error> {
        let plan = self.plan();
        let mut all = Vec::new();
        for (workflow, span_ms, tenant) in watched(&plan).take(limit) {
            let (name, tenant) = (workflow.name.clone(), tenant.map(String::from));
            let filter = Filter { workflow: Some(name.clone()), tenant: tenant.clone(), limit: 1, ..Filter::default() };
            let last = self.inner.store.runs(filter).await?.pop();
            let last = last.map(|run| (run.start.created_ms, run.start.event.source == SILENCE));
            all.push(Watched { workflow: name, tenant, span_ms, last });
        }
        Ok(all)
    }

    pub(super) async fn listen_for_ever(&self) {
        let mut reloaded = self.inner.reloaded.subscribe();
        loop {
            let due_ms = match self.tell_of_silence().await {
                Ok(due_ms) => due_ms.unwrap_or(i64::MAX),
                Err(error) => {
                    tracing::warn!(%error, "it could not be told who is silent");
                    now_ms() + 1_000
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

    /// Starts a run for each that has been silent for too long; gives the next instant at which one may be, or None if
    /// nobody is watched. An alert counts as a run: the next one follows after as much silence again.
    async fn tell_of_silence(&self) -> Result<Option<i64>, store::Error> {
        let plan = self.plan();
        let mut next: Option<i64> = None;
        for (workflow, span_ms, tenant) in watched(&plan) {
            let key = format!("silence:{}:{}", workflow.name, tenant.unwrap_or_default());
            // From now on, where it is served for the first time.
            let begun = self.inner.hands.begin_cursor(self, &key, json!(now_ms())).await?;
            let begun_ms = begun.as_i64().unwrap_or_else(now_ms);
            let last_ms = self.inner.store.last_run_ms(&workflow.name, tenant).await?.unwrap_or(begun_ms).max(begun_ms);
            let mut due_ms = last_ms.saturating_add(span_ms);
            let now = now_ms();
            if due_ms <= now && !self.has_duty("silence").await {
                due_ms = now + DUTY_LOOK_MS;
            } else if due_ms <= now {
                let intake = self.silent(&plan, workflow, tenant, last_ms);
                self.take_in(vec![intake], Cursors::after((key, json!(now)))).await?;
                due_ms = now.saturating_add(span_ms);
            }
            next = Some(next.map_or(due_ms, |next| next.min(due_ms)));
        }
        Ok(next)
    }

    fn silent(&self, plan: &Plan, workflow: &Workflow, tenant: Option<&str>, last_ms: i64) -> Intake {
        let event = Event {
            id: format!("{}:{}:{last_ms}", workflow.name, tenant.unwrap_or_default()),
            source: SILENCE.into(),
            kind: "silent".into(),
            time_ms: last_ms,
            tenant: tenant.map(Into::into),
            ..Event::default()
        };
        let runs = self.runs_without_record(plan, workflow, &event, Value::Null);
        Intake { runs: runs.into_iter().filter(|run| run.tenant.as_deref() == tenant).collect(), event }
    }
}
