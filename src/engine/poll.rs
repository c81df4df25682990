//! Polls: asks lists at their pace, and accepts what is new together with how far it has read.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::hands::Cursors;
use super::present::Present;
use super::{Engine, now_ms};
use crate::connector::{Connector, Failure, Feed, Names, Object, Operation, Page};
use crate::expr::{Scope, as_text};
use crate::project::{Connection, Plan};
use crate::run::Answer;
use crate::store;
use crate::trigger::{Event, Seen, changes};
use crate::workflow::{Starts, Workflow};

/// Records that one pass reads at most.
pub(super) const RECORDS_MAX: usize = 100_000;

/// Is a page the last one that is needed?
type IsLast<'a> = dyn Fn(&[Value]) -> bool + Sync + 'a;

/// Every page is needed.
pub(super) fn to_the_end(_: &[Value]) -> bool {
    false
}

/// One list of one connection that somebody listens to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Polling {
    connection: String,
    object: String,
    feed: Feed,
    /// The workflow whose `poll:` trigger this is, with what it gives the operation; None: the object's own feed.
    of: Option<String>,
}

/// A list that is new is read from now on.
pub(super) async fn begin(engine: &Engine, present: &Present) -> Result<(), store::Error> {
    for polling in wanted(present) {
        let key = key(&polling);
        let seen = Seen { since_ms: Some(now_ms()), ..Seen::default() };
        engine.inner.hands.begin_cursor(engine, &key, json!(seen)).await?;
    }
    Ok(())
}

/// Reads the lists to which the present version listens: a task for each.
pub(super) fn follow(engine: &Engine) {
    let wanted = wanted(&engine.present()).into_iter().map(|polling| (key(&polling), polling));
    for key in engine.inner.polls.follow(wanted) {
        engine.spawn_for_ever(key.clone(), move |engine| {
            let key = key.clone();
            async move { engine.poll_for_ever(&key).await }
        });
    }
}

fn wanted(present: &Present) -> Vec<Polling> {
    let plan = &present.plan;
    let mut all = pollings(plan, plan.hearing());
    for (older, listener) in present.older() {
        for polling in pollings(older, [listener].into_iter()) {
            // A list has one reader, at the pace of the present version.
            if plan.connection(&polling.connection).is_some() && !all.iter().any(|known| key(known) == key(&polling)) {
                all.push(polling);
            }
        }
    }
    all
}

fn pollings<'p>(plan: &Plan, workflows: impl Iterator<Item = &'p Workflow>) -> Vec<Polling> {
    let mut all: Vec<Polling> = Vec::new();
    for workflow in workflows {
        let wanted: Vec<(&str, Option<String>, Option<Feed>)> = match &workflow.trigger.starts {
            Starts::Event(heard) => {
                heard.iter().map(|heard| (heard.alias.as_str(), heard.object.clone(), None)).collect()
            }
            Starts::Poll { alias, operation, every, .. } => {
                let feed = Feed {
                    operation: operation.clone(),
                    by: None,
                    newest_first: false,
                    full: false,
                    every: *every,
                    overlap: Duration::ZERO,
                };
                vec![(alias, None, Some(feed))]
            }
            _ => Vec::new(),
        };
        for (alias, object, feed) in wanted {
            let Some(name) = workflow.connector_of(alias) else { continue };
            for connection in &plan.connections {
                if !connection.stands_for(name) {
                    continue;
                }
                let Some(connector) = plan.connector(&connection.connector) else { continue };
                let listed = || connector.operation(&feed.as_ref()?.operation)?.object.clone();
                let Some(object) = object.clone().or_else(listed) else { continue };
                let own = || connector.object(&object).map(|object| object.changes.feeds().cloned().collect());
                let feeds = feed.clone().map(|feed| vec![feed]).or_else(own).unwrap_or_default();
                let of = matches!(workflow.trigger.starts, Starts::Poll { .. }).then(|| workflow.name.clone());
                for feed in feeds {
                    let (connection, object) = (connection.name.clone(), object.clone());
                    let polling = Polling { connection, object, feed, of: of.clone() };
                    // Several workflows that hear one object's events share its feeds.
                    if !all.contains(&polling) {
                        all.push(polling);
                    }
                }
            }
        }
    }
    all
}

fn key(polling: &Polling) -> String {
    let of = polling.of.as_ref().map(|workflow| format!(":{workflow}")).unwrap_or_default();
    let kind = if polling.feed.full { "scan" } else { "poll" };
    format!("{kind}:{}:{}{of}", polling.connection, polling.feed.operation)
}

impl Engine {
    /// Has every list been read once, so that only what is new makes events from here on?
    pub async fn watches(&self) -> Result<bool, store::Error> {
        let plan = self.plan();
        for polling in pollings(&plan, plan.hearing()) {
            let seen = self.inner.hands.cursor(self, &key(&polling)).await?;
            let seen: Option<Seen> = seen.and_then(|value| serde_json::from_value(value).ok());
            if !seen.is_some_and(|seen| seen.started) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn poll_for_ever(&self, key: &str) {
        let mut failures = 0u32;
        let mut connected = self.inner.accounts.subscribe();
        let mut reloaded = self.inner.reloaded.subscribe();
        while let Some(polling) = self.inner.polls.followed(key) {
            let polled = match self.has_duty(key).await {
                true => self.poll_once(&polling).await,
                false => Ok(()),
            };
            let pause = match polled {
                Ok(()) => {
                    failures = 0;
                    polling.feed.every
                }
                Err(failure) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(connection = polling.connection, list = polling.feed.operation, %failure, "a poll failed");
                    let longer = polling.feed.every.saturating_mul(2u32.saturating_pow(failures.min(6)));
                    let told = Duration::from_millis(failure.retry_after_ms.unwrap_or(0));
                    longer.min(Duration::from_secs(3600).max(polling.feed.every)).max(told)
                }
            };
            let other = async {
                // A list that is read as before goes on as before.
                while reloaded.changed().await.is_ok() {
                    if failures > 0 || !self.inner.polls.is(key, &polling) {
                        return;
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = connected_again(&mut connected, &polling.connection), if failures > 0 => {}
                () = other => {}
                () = self.stopped() => return,
            }
        }
    }

    /// One pass: reads the list, and commits what is new with the cursor.
    async fn poll_once(&self, polling: &Polling) -> Result<(), Failure> {
        let plan = self.plan();
        let (connector, connection, object) = find(&plan, polling)?;
        let key = key(polling);
        let unavailable = |error: store::Error| Failure::new("transient", error.to_string());
        let seen = self.inner.hands.cursor(self, &key).await.map_err(unavailable)?;
        let seen: Seen = seen.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
        let input = input(&plan, connector, connection, polling)?;
        let list = (polling.feed.operation.as_str(), input);
        let is_past = |page: &[Value]| is_past(object, &polling.feed, &seen, page);
        let records = self.records(&plan, connector, connection, object, list, &is_past).await?;
        let polled = changes(connector, object, &polling.feed, &seen, &records, now_ms());
        if polled.events.is_empty() && polled.seen == seen {
            return Ok(());
        }
        // Reading may have taken long: what is found starts the version of now, if that still reads the list.
        let present = self.present();
        let plan = &*present.plan;
        let Some(connection) = plan.connection(&polling.connection) else { return Ok(()) };
        let of = polling.of.as_deref().map(|name| plan.workflow(name));
        if matches!(of, Some(None)) {
            return Ok(());
        }
        let from_operation = Some(polling.feed.operation.clone());
        // What a workflow lists by itself are things to do: that one is gone is none.
        let is_told = |event: &Event| polling.of.is_none() || event.kind != "deleted";
        let intakes = polled.events.into_iter().filter(is_told).map(|event| {
            // Two accounts may hold the same record under the same id, and two lists show it: each is an event of its own.
            let id = format!("{key}:{}", event.id);
            let event = Event { id, from_operation: from_operation.clone(), ..event };
            match of.flatten() {
                None => self.intake(&present, connection, event),
                Some(workflow) => self.intake_of(plan, workflow, connection, event),
            }
        });
        let intakes: Vec<store::Intake> = intakes.collect();
        let cursor = (key, serde_json::to_value(&polled.seen).unwrap_or(Value::Null));
        self.take_in(intakes, Cursors::after(cursor)).await.map_err(unavailable)?;
        Ok(())
    }

    /// An event of a list that one workflow's `poll:` trigger reads: it starts that workflow alone.
    pub(super) fn intake_of(
        &self,
        plan: &Plan,
        workflow: &Workflow,
        connection: &Connection,
        mut event: Event,
    ) -> store::Intake {
        event.connection = Some(connection.name.clone());
        event.tenant.clone_from(&connection.tenant);
        let alias = if let Starts::Poll { alias, .. } = &workflow.trigger.starts { alias } else { "" };
        let runs = self.runs_of(plan, workflow, alias, connection, &event).into_iter().collect();
        store::Intake { event, runs }
    }

    /// All records of the list, up to the page that is the last one needed; of a child's list, one pass per parent.
    pub(super) async fn records(
        &self,
        plan: &Plan,
        connector: &Connector,
        connection: &Connection,
        object: &Object,
        (list, input): (&str, Value),
        is_last: &IsLast<'_>,
    ) -> Result<Vec<Value>, Failure> {
        let operation = known(connector, list)?;
        let needed = operation.input_holes().find(|hole| input.get(hole).is_none());
        let parent = object.parent.as_ref().filter(|parent| Some(parent.id.as_str()) == needed);
        let Some(parent) = parent else {
            return self.pages(plan, connection, operation, input, is_last).await;
        };
        let parents = known(connector, &format!("{}.list", parent.object))?;
        let parent_object =
            connector.object(&parent.object).ok_or_else(|| Failure::new("invalid", "its parent is unknown"))?;
        let parents = self.pages(plan, connection, parents, json!({}), &to_the_end).await?;
        let mut records = Vec::new();
        for found in parents {
            let Some(id) = found.get(&parent_object.id).cloned() else { continue };
            let Some(parent_id) = as_text(&id) else { continue };
            let mut input = input.clone();
            input[&parent.id] = id;
            for mut record in self.pages(plan, connection, operation, input, is_last).await? {
                object.put_parent(&mut record, &parent_id);
                records.push(record);
            }
        }
        Ok(records)
    }

    async fn pages(
        &self,
        plan: &Plan,
        connection: &Connection,
        operation: &Operation,
        input: Value,
        is_last: &IsLast<'_>,
    ) -> Result<Vec<Value>, Failure> {
        let mut records: Vec<Value> = Vec::new();
        let mut page = Page::default();
        loop {
            let answer = self.page(plan, &connection.name, &operation.name, input.clone(), page).await;
            let (items, next) = match answer {
                Answer::Done { value: Value::Array(items), next } => (items, next),
                Answer::Done { value, .. } => (vec![value], None),
                Answer::Failed(failure) => return Err(failure),
            };
            let is_last = is_last(&items);
            records.extend(items);
            match next {
                Some(next) if !is_last && records.len() < RECORDS_MAX => page = next,
                _ => return Ok(records),
            }
        }
    }
}

/// A list that is newest first ends where all of a page was seen and lies before the overlap.
fn is_past(object: &Object, feed: &Feed, seen: &Seen, page: &[Value]) -> bool {
    let known =
        |item: &Value| item.get(&object.id).and_then(Value::as_str).is_some_and(|id| seen.records.contains_key(id));
    let past = |item: &Value| known(item) && !seen.reaches(object, feed, item);
    feed.newest_first && seen.started && !page.is_empty() && page.iter().all(past)
}

/// What the list operation is given.
fn input(plan: &Plan, connector: &Connector, connection: &Connection, polling: &Polling) -> Result<Value, Failure> {
    let workflow = polling.of.as_ref().and_then(|workflow| plan.workflow(workflow));
    workflow.map_or_else(|| Ok(json!({})), |workflow| input_of(plan, workflow, connector, connection))
}

/// The `with` of a `poll:` trigger, in the operation's types.
pub(super) fn input_of(
    plan: &Plan,
    workflow: &Workflow,
    connector: &Connector,
    connection: &Connection,
) -> Result<Value, Failure> {
    let Starts::Poll { alias, operation, with: Some(with), .. } = &workflow.trigger.starts else {
        return Ok(json!({}));
    };
    let root = json!({
        "vars": plan.vars(workflow, connection.tenant.as_deref()),
        "connection": { alias.clone(): connection.settings },
    });
    let invalid = |message: String| Failure::new("invalid", format!("`with` of `{}`: {message}", workflow.name));
    let value = with.eval(&Scope::new(&root, &plan.locale)).map_err(|fault| invalid(fault.message))?;
    let operation = known(connector, operation)?;
    let value = value.unwrap_or_else(|| json!({}));
    operation.unshape(connector, value, &Names::default(), &plan.locale).map_err(|fault| invalid(fault.message))
}

fn find<'p>(plan: &'p Plan, polling: &Polling) -> Result<(&'p Connector, &'p Connection, &'p Object), Failure> {
    let connection = plan.connection(&polling.connection);
    let connector = connection.and_then(|connection| plan.connector(&connection.connector));
    let object = connector.and_then(|connector| connector.object(&polling.object));
    match (connector, connection, object) {
        (Some(connector), Some(connection), Some(object)) => Ok((connector, connection, object)),
        _ => Err(Failure::new("invalid", format!("the list of `{}` is not known any more", polling.object))),
    }
}

/// Ends when the account is connected.
async fn connected_again(connected: &mut broadcast::Receiver<String>, connection: &str) {
    while connected.recv().await.is_ok_and(|name| name != connection) {}
}

fn known<'c>(connector: &'c Connector, name: &str) -> Result<&'c Operation, Failure> {
    let operation = connector.operation(name);
    operation
        .ok_or_else(|| Failure::new("invalid", format!("connector `{}` has no operation `{name}`", connector.name)))
}
