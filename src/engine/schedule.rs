//! Schedules: starts runs at their instants; what was missed is made up as the recipe says.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::hands::Cursors;
use super::{Engine, now_ms};
use crate::clock;
use crate::project::Plan;
use crate::store::{self, Intake};
use crate::trigger::{DUE_MAX, Event, Missed, Schedule};
use crate::workflow::Starts;

/// Keeps the schedules of the present version: a task for each workflow that has one.
pub(super) fn follow(engine: &Engine) {
    let wanted = scheduled(&engine.plan());
    for name in engine.inner.schedules.follow(wanted.into_iter().map(|name| (name, ()))) {
        engine.spawn_for_ever(key(&name), move |engine| {
            let name = name.clone();
            async move { engine.fire_for_ever(&name).await }
        });
    }
}

fn scheduled(plan: &Plan) -> Vec<String> {
    let has = |workflow: &&crate::workflow::Workflow| matches!(workflow.trigger.starts, Starts::Schedule { .. });
    plan.workflows.iter().filter(has).map(|workflow| workflow.name.clone()).collect()
}

fn key(workflow: &str) -> String {
    format!("schedule:{workflow}")
}

/// Who keeps a schedule may have died.
const DUTY_LOOK: chrono::Duration = chrono::Duration::seconds(10);

impl Engine {
    async fn fire_for_ever(&self, name: &str) {
        let mut reloaded = self.inner.reloaded.subscribe();
        while self.inner.schedules.followed(name).is_some() {
            let pause = match self.fire_due(name).await {
                Ok(Some(next)) => u64::try_from(next.timestamp_millis() - now_ms()).unwrap_or(0),
                Ok(None) => u64::MAX,
                Err(error) => {
                    tracing::warn!(workflow = name, %error, "a schedule could not be kept");
                    1_000
                }
            };
            tokio::select! {
                () = tokio::time::sleep(clock::nap(pause.max(1))) => {}
                _ = reloaded.changed() => {}
                () = self.stopped() => return,
            }
        }
    }

    /// Starts what is due; gives the next instant, or None if there is none.
    async fn fire_due(&self, name: &str) -> Result<Option<DateTime<Utc>>, store::Error> {
        let plan = self.plan();
        let Some(workflow) = plan.workflow(name) else { return Ok(None) };
        let Starts::Schedule { text, timezone, missed } = &workflow.trigger.starts else { return Ok(None) };
        let timezone = timezone.unwrap_or(plan.locale.timezone);
        let Ok(schedule) = Schedule::compile(text, timezone) else { return Ok(None) };
        let now = clock::now();
        if !self.has_duty(&key(name)).await {
            return Ok(Some(now + DUTY_LOOK));
        }
        let of = format!("{text} {timezone}");
        let read = |read_to: DateTime<Utc>| (key(name), json!({ "of": of, "read_ms": read_to.timestamp_millis() }));
        let known = self.inner.hands.cursor(self, &key(name)).await?;
        let known = known.filter(|known| known["of"] == of.as_str()).and_then(|known| known["read_ms"].as_i64());
        let Some(last) = known.and_then(DateTime::from_timestamp_millis) else {
            // One that is new, or says other times now, begins now: nothing of it was missed.
            let (key, value) = read(now);
            self.inner.hands.set_cursor(self, &key, value).await?;
            return Ok(schedule.after(now));
        };
        let due = due(&schedule, last, now, *missed);
        // Of more firings than are due at once, the rest follows: reading goes on from the last one.
        let read_to = due.last().copied().filter(|_| due.len() >= DUE_MAX).unwrap_or(now);
        let intakes: Vec<Intake> = due
            .iter()
            .map(|instant| {
                let event = Event {
                    id: format!("schedule:{name}:{}", instant.timestamp()),
                    source: "schedule".into(),
                    kind: "schedule".into(),
                    time_ms: instant.timestamp_millis(),
                    ..Event::default()
                };
                let runs = self.runs_without_record(&plan, workflow, &event, Value::Null);
                Intake { event, runs }
            })
            .collect();
        if schedule.after(last).is_some_and(|next| next <= now) {
            self.take_in(intakes, Cursors::after(read(read_to))).await?;
        }
        Ok(schedule.after(read_to.max(last)))
    }
}

/// A firing that is not older than a minute is not missed, only a little late.
fn due(schedule: &Schedule, last: DateTime<Utc>, now: DateTime<Utc>, missed: Missed) -> Vec<DateTime<Utc>> {
    if missed == Missed::RunAll {
        return schedule.due(last, now, missed);
    }
    let late = now - chrono::Duration::minutes(1);
    let mut due = if last < late { schedule.due(last, late, missed) } else { Vec::new() };
    due.extend(schedule.due(last.max(late), now, Missed::RunAll));
    due
}
