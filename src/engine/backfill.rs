//! Backfills: a workflow hears of what an account had before the workflow was first served.
//!
//! ```text
//!  list ─▶ records that are meant ─▶ events, known by workflow and record ─▶ one by one, behind live work ─▶ runs
//! ```
//! An event is accepted once, so a backfill that was cut short is asked for again, and does what is left.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hands::Cursors;
use super::intake::unknown;
use super::poll::{self, RECORDS_MAX};
use super::survey::list_of;
use super::{Engine, now_ms, queue};
use crate::connector::{Connector, Failure, Object};
use crate::project::{Connection, Plan};
use crate::source::nearest;
use crate::store::{self, Intake};
use crate::trigger::{self, BACKFILL, Event};
use crate::workflow::action::PROJECT;
use crate::workflow::{Heard, Starts, Workflow};

/// What of the past to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    pub workflow: String,
    pub tenant: Option<String>,
    /// Only what happened at this instant or later, and before that one, in milliseconds.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    /// Once more, also what was told before: a name that tells this time from others.
    pub again: Option<String>,
}

/// What one list shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub connection: String,
    pub object: String,
    /// `created` or `updated`.
    pub kind: String,
    /// The field that says when, if there is one.
    pub time: Option<String>,
    pub records: usize,
    /// Records that say no time where one is needed: they are left out.
    pub undated: usize,
    /// Records that the workflow is to hear of.
    pub meant: usize,
    /// Those of them that were backfilled before.
    pub before: usize,
}

/// What there is to tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    pub listed: Vec<Listed>,
    /// Runs that were started before, are not over, and that nobody else takes up.
    pub left: usize,
    workflow: String,
    events: Vec<Event>,
}

impl Past {
    /// How many runs would be started.
    pub fn to_start(&self) -> usize {
        self.events.len()
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfilled {
    /// Runs that were started.
    pub runs: u64,
    /// Records for which nothing was started: the workflow has changed, or another was quicker.
    pub idle: u64,
    /// The engine was told to stop before all were told.
    pub is_cut_short: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// In words that say what now.
    #[error("{0}")]
    Refused(String),
    #[error("a list cannot be read: {0}")]
    Failed(Failure),
    #[error("another backfill or replay is under way")]
    UnderWay,
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Backfill {
    /// # Errors
    /// Why the workflow cannot hear of the past, in words that say what now.
    pub fn check(&self, plan: &Plan) -> Result<(), String> {
        sources(plan, self).map(drop)
    }
}

impl Engine {
    /// Reads what there is to tell; nothing is started.
    ///
    /// # Errors
    /// The workflow cannot hear of the past, or a list cannot be read.
    pub async fn past(&self, wish: &Backfill) -> Result<Past, BackfillError> {
        let plan = self.plan();
        let mut past = Past { workflow: wish.workflow.clone(), ..Past::default() };
        for source in sources(&plan, wish).map_err(BackfillError::Refused)? {
            let (listed, events) = self.past_of(&plan, wish, &source).await?;
            past.listed.push(listed);
            past.events.extend(events);
        }
        if !self.inner.listens {
            past.left = self.inner.store.left(&wish.workflow, BACKFILL).await?.len();
        }
        Ok(past)
    }

    async fn past_of(
        &self,
        plan: &Plan,
        wish: &Backfill,
        source: &Source<'_>,
    ) -> Result<(Listed, Vec<Event>), BackfillError> {
        let Source { connection, connector, object, .. } = source;
        let told = source.told(wish);
        let feed = object.changes.feeds().find(|feed| feed.operation == source.operation);
        let is_last = |page: &[Value]| feed.is_some_and(|feed| told.is_before(feed, page));
        let list = (source.operation.as_str(), source.input(plan).map_err(BackfillError::Failed)?);
        let records = self.records(plan, connector, connection, object, list, &is_last).await;
        let records = records.map_err(BackfillError::Failed)?;
        if records.len() >= RECORDS_MAX {
            let less = if feed.is_some_and(|feed| feed.newest_first) { ": take fewer with `--since`" } else { "" };
            let (object, connection) = (&object.name, &connection.name);
            let message = format!("{connection} lists {RECORDS_MAX} records of `{object}` or more at once{less}");
            return Err(BackfillError::Refused(message));
        }
        let trigger::Found { mut events, undated } = told.events(&records, now_ms());
        for event in &mut events {
            source.complete(event, wish);
        }
        let ids = events.iter().map(|event| event.id.clone()).collect();
        let known = self.inner.store.accepted(BACKFILL, &source.connection.name, ids).await?;
        let listed = Listed {
            connection: connection.name.clone(),
            object: object.name.clone(),
            kind: source.kind.into(),
            time: told.time().map(str::to_owned),
            records: records.len(),
            undated,
            meant: events.len(),
            before: known.len(),
        };
        events.retain(|event| !known.contains(&event.id));
        Ok((listed, events))
    }

    /// Starts the workflow once for each record, in the order of time and at most so often in a second; `tell` is told how far
    /// it is. Live work goes first, as with a replay.
    ///
    /// # Errors
    /// Another one is under way; the store's: what was started before stays so.
    pub async fn backfill(
        &self,
        past: Past,
        per_second: u32,
        mut tell: impl FnMut(Backfilled),
    ) -> Result<Backfilled, BackfillError> {
        let Ok(_one) = self.inner.replaying.try_lock() else { return Err(BackfillError::UnderWay) };
        if past.left > 0 {
            let left = self.inner.store.left(&past.workflow, BACKFILL).await?;
            self.enqueue_left(left).await;
        }
        let pause = Duration::from_secs(1) / per_second.max(1);
        let (mut backfilled, mut started) = (Backfilled::default(), Vec::new());
        for event in past.events {
            if !self.has_room(pause, &mut started).await {
                backfilled.is_cut_short = true;
                return Ok(backfilled);
            }
            let intake = self.heard_afterwards(&past.workflow, event).filter(|intake| !intake.runs.is_empty());
            started.extend(intake.iter().flat_map(|intake| &intake.runs).map(queue::key));
            let (_, runs) = self.take_in(intake.into_iter().collect(), Cursors::default()).await?;
            backfilled.runs += runs as u64;
            backfilled.idle += u64::from(runs == 0);
            tell(backfilled);
        }
        Ok(backfilled)
    }

    /// The run of one workflow, as it is now.
    fn heard_afterwards(&self, workflow: &str, event: Event) -> Option<Intake> {
        let present = self.present();
        let found = present.plan.workflow(workflow)?;
        if !matches!(found.trigger.starts, Starts::Poll { .. }) {
            return self.found(workflow, event);
        }
        let connection = present.plan.connection(event.connection.as_deref()?)?;
        Some(self.intake_of(&present.plan, found, connection, event))
    }
}

/// A list of an account that shows the past.
struct Source<'p> {
    workflow: &'p Workflow,
    connection: &'p Connection,
    connector: &'p Connector,
    object: &'p Object,
    kind: &'static str,
    operation: String,
}

impl<'p> Source<'p> {
    fn told(&self, wish: &Backfill) -> trigger::Past<'p> {
        let (since_ms, until_ms) = (wish.since_ms, wish.until_ms);
        trigger::Past { object: self.object, kind: self.kind, since_ms, until_ms }
    }

    fn input(&self, plan: &Plan) -> Result<Value, Failure> {
        match &self.workflow.trigger.starts {
            Starts::Poll { .. } => poll::input_of(plan, self.workflow, self.connector, self.connection),
            _ => Ok(json!({})),
        }
    }

    /// Names the event, and says how its record is read: anew, since a backfill may take hours. What a `poll:` trigger lists is
    /// told as it is listed.
    fn complete(&self, event: &mut Event, wish: &Backfill) {
        let get = self.connector.operation(&format!("{}.get", self.object.name));
        let get = get.filter(|_| !matches!(self.workflow.trigger.starts, Starts::Poll { .. }));
        event.read_with = get.map(|get| get.name.clone());
        event.from_operation = Some(self.operation.clone());
        event.connection = Some(self.connection.name.clone());
        event.tenant.clone_from(&self.connection.tenant);
        let of = format!("{}:{}:{}", self.connection.name, self.object.name, event.id);
        event.id = format!("{}:{of}", wish.workflow);
        if let Some(again) = &wish.again {
            // What was told already is to happen nevertheless.
            event.replay_of = Some(std::mem::take(&mut event.id));
            event.id = format!("{}@{again}:{of}", wish.workflow);
        }
    }
}

/// The lists that show what a workflow has not heard of, or why there are none.
fn sources<'p>(plan: &'p Plan, wish: &Backfill) -> Result<Vec<Source<'p>>, String> {
    let name = &wish.workflow;
    if let Some(sync) = plan.syncs.iter().find(|sync| name.split('/').next() == Some(&sync.name)) {
        let sync = &sync.name;
        return Err(format!(
            "`{sync}` is a sync, which compares all records of both sides: `dovetail plan {sync}` shows what that would do, \
             `dovetail apply {sync}` does it"
        ));
    }
    let workflow = plan.workflows.iter().find(|known| known.name == *name).ok_or_else(|| unknown(plan, name))?;
    let heard = heard(workflow)?;
    let connections = connections(plan, workflow, &heard, wish.tenant.as_deref())?;
    connections.into_iter().map(|(connection, heard)| source(plan, wish, workflow, connection, heard)).collect()
}

fn source<'p>(
    plan: &'p Plan,
    wish: &Backfill,
    workflow: &'p Workflow,
    connection: &'p Connection,
    heard: HeardOf<'p>,
) -> Result<Source<'p>, String> {
    let name = &workflow.name;
    let connector = plan.connector(&connection.connector).ok_or("its connector is missing")?;
    let polled = match &workflow.trigger.starts {
        Starts::Poll { operation, .. } => connector.operation(operation),
        _ => None,
    };
    let object = heard.object.or_else(|| polled?.object.as_deref());
    let object = object.and_then(|object| connector.object(object)).ok_or("its object is missing")?;
    let operation = polled.map_or_else(|| list_of(connector, object), |polled| Ok(polled.name.clone()))?;
    let source = Source { workflow, connection, connector, object, kind: heard.kind, operation };
    let of = format!("`{}` does not say when a `{}` was", connector.name, object.name);
    match (source.told(wish).time(), heard.kind) {
        (None, "updated") => Err(format!(
            "`{name}` hears only what is updated, and {of} changed: add `changed_at:` to it in the connector, or have the \
             workflow hear `changed`"
        )),
        (None, _) if wish.since_ms.is_some() || wish.until_ms.is_some() => Err(format!(
            "{of} made: add `created_at:` or `changed_at:` to it in the connector, or leave `--since` and `--until` out"
        )),
        _ => Ok(source),
    }
}

/// What a workflow hears of under an alias, and as what its past is told.
#[derive(Clone, Copy)]
struct HeardOf<'p> {
    alias: &'p str,
    /// None: whatever the list of a `poll:` trigger is of.
    object: Option<&'p str>,
    kind: &'static str,
}

fn heard(workflow: &Workflow) -> Result<Vec<HeardOf<'_>>, String> {
    let name = &workflow.name;
    let heard: &[Heard] = match &workflow.trigger.starts {
        Starts::Event(heard) => heard,
        Starts::Poll { alias, .. } => return Ok(vec![HeardOf { alias, object: None, kind: "created" }]),
        Starts::Schedule { .. } => {
            return Err(format!(
                "`{name}` is started by its schedule, not by records: `dovetail run {name}` starts it once"
            ));
        }
        Starts::Manual { .. } => {
            return Err(format!("`{name}` is started by hand, not by records: `dovetail run {name}` starts it once"));
        }
        Starts::Webhook { path, .. } => {
            return Err(format!(
                "`{name}` is started by what is sent to {path}, which nobody lists: have it sent again, or start it from what \
                 is kept with `dovetail replay --since WHEN --workflow {name}`"
            ));
        }
    };
    if heard.iter().any(|heard| heard.alias == PROJECT) {
        return Err(format!("`{name}` hears what other workflows tell with `emit`: backfill those"));
    }
    if let Some(heard) = heard.iter().find(|heard| heard.object.is_none()) {
        let text = &heard.text;
        return Err(format!(
            "`{name}` hears `{text}`, which is about no record that could be listed: start it from what is kept with \
             `dovetail replay --since WHEN --workflow {name}`"
        ));
    }
    let hears = |alias: &str, kind: &str| {
        heard.iter().any(|heard| heard.alias == alias && heard.kinds.iter().any(|known| known == kind))
    };
    let told = |one: &&Heard| ["created", "updated"].into_iter().find(|kind| hears(&one.alias, kind));
    let of: Vec<HeardOf<'_>> = heard
        .iter()
        .filter_map(|one| Some(HeardOf { alias: &one.alias, object: one.object.as_deref(), kind: told(&one)? }))
        .collect();
    if of.is_empty() {
        return Err(format!(
            "`{name}` hears only what is deleted, and what is gone is in no list: there is no past that could be told"
        ));
    }
    Ok(of)
}

/// The accounts whose past it is, all of one tenant.
fn connections<'p>(
    plan: &'p Plan,
    workflow: &'p Workflow,
    heard: &[HeardOf<'p>],
    tenant: Option<&str>,
) -> Result<Vec<(&'p Connection, HeardOf<'p>)>, String> {
    let starts = |one: &Connection, heard: &HeardOf<'_>| {
        workflow.connector_of(heard.alias).is_some_and(|name| one.stands_for(name))
            && plan.bind(workflow, one.tenant.as_deref(), Some((heard.alias, &one.name))).is_some()
    };
    let of = |one: &'p Connection| Some((one, *heard.iter().find(|heard| starts(one, heard))?));
    let mut all: Vec<(&Connection, HeardOf<'_>)> = plan.connections.iter().filter_map(of).collect();
    let tenants: BTreeSet<Option<&str>> = all.iter().map(|(one, _)| one.tenant.as_deref()).collect();
    let known: Vec<&str> = tenants.iter().copied().flatten().collect();
    let name = &workflow.name;
    match tenant {
        None if tenants.len() > 1 => {
            return Err(format!("say for which tenant with `--tenant`: `{name}` acts for {}", known.join(", ")));
        }
        None => {}
        Some(tenant) => all.retain(|(one, _)| one.tenant.as_deref() == Some(tenant)),
    }
    match (all.is_empty(), tenant) {
        (false, _) => Ok(all),
        (true, Some(tenant)) => {
            let near = match (nearest(tenant, known.iter().copied()), known.as_slice()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, []) => format!("leave `--tenant {tenant}` out"),
                (None, _) => format!("there are {}", known.join(", ")),
            };
            Err(format!("no account of a tenant `{tenant}` starts `{name}`; {near}"))
        }
        (true, None) => Err(format!("no account starts `{name}`: it needs one of each that it names under `uses`")),
    }
}
