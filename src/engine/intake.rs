//! From the outside to runs: verified, named, bound to accounts, stored; only then acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::hands::Cursors;
use super::present::Present;
use super::{Engine, count, now_ms};
use crate::clock;
use crate::connector::Connector;
use crate::expr::{Locale, Path, Scope, as_text, converted};
use crate::project::{Connection, Plan};
use crate::run::Start;
use crate::store::{self, Accepted, Intake};
use crate::trigger::{Arrival, Event, Traceparent, read_delivery, read_json, verify};
use crate::vault::{Plain, Secrets};
use crate::workflow::action::PROJECT;
use crate::workflow::{Starts, Workflow, inputs};

/// How a delivery was taken: the HTTP status and one fixed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub status: u16,
    pub word: &'static str,
    /// Runs that it started.
    pub runs: usize,
}

impl Taken {
    fn new(status: u16, word: &'static str) -> Self {
        Self { status, word, runs: 0 }
    }
}

impl Engine {
    /// Takes a delivery at `/hooks/<connector>`: signature first, over the raw bytes.
    ///
    /// A connector that says `verify: none` is reached at `/hooks/<connector>/<token>` only.
    pub async fn webhook(&self, name: &str, token: Option<&str>, arrival: Arrival<'_>) -> Taken {
        let present = self.present();
        let plan = &*present.plan;
        let Some(connector) = plan.connector(name).filter(|connector| connector.webhooks.is_some()) else {
            return Taken::new(404, "not_found");
        };
        let Some(webhooks) = &connector.webhooks else { return Taken::new(404, "not_found") };
        let all: Vec<&Connection> =
            plan.connections.iter().filter(|connection| connection.stands_for(&connector.name)).collect();
        let key = self.inner.webhook_keys.get(name).map(String::as_str);
        let genuine = |names: &BTreeMap<String, String>| {
            let secrets = Secrets { source: &*self.inner.secrets, names };
            verify(&webhooks.verify, arrival, &secrets, key, now_ms())
        };
        let unsigned = webhooks.verify.is_empty();
        if unsigned != token.is_some() || (unsigned && !self.is_token(&format!("/{name}"), token).await) {
            return Taken::new(404, "not_found");
        }
        // Where accounts have secrets of their own, the one that fits says whose delivery it may be.
        let verified: Vec<&Connection> = match connector.webhook_secrets().as_slice() {
            _ if unsigned => all,
            [] if genuine(&BTreeMap::new()) => all,
            [] => Vec::new(),
            _ => all.into_iter().filter(|connection| genuine(&connection.webhook_secrets)).collect(),
        };
        if verified.is_empty() && !unsigned && !genuine(&BTreeMap::new()) {
            count(&self.inner.counters.refused);
            return Taken::new(401, "unauthorized");
        }
        if !is_json(arrival.header) {
            return Taken::new(415, "unsupported_media_type");
        }
        let delivery = match read_json(arrival.body).and_then(|body| read_delivery(connector, &body, now_ms())) {
            Ok(delivery) => delivery,
            Err(refusal) => return Taken::new(refusal.status, refusal.word),
        };
        if delivery.events.is_empty() {
            count(&self.inner.counters.unknown_event);
            return Taken::new(200, "ignored");
        }
        let meant = |connection: &&&Connection| {
            let has =
                |(key, value): &(String, String)| connection.settings.get(key).and_then(Value::as_str) == Some(value);
            delivery.settings.iter().all(has)
        };
        let busy = webhooks.when_busy;
        let fitting: Vec<&Connection> = verified.iter().filter(meant).copied().collect();
        let Some(connection) = fitting.first().copied() else {
            let before = self.inner.counters.unknown_connection.fetch_add(1, Ordering::Relaxed);
            // One wrong setting may lose thousands.
            if before < 3 || (before + 1).is_multiple_of(1_000) {
                tracing::warn!(connector = name, settings = ?delivery.settings, in_all = before + 1, "a delivery is for no connection, and dropped");
            }
            return Taken::new(200, "unknown_account");
        };
        if fitting.iter().any(|other| other.tenant != connection.tenant) {
            // Nobody may guess whose data it is. The source sends it again, when the project tells the accounts apart.
            tracing::error!(connector = name, "a delivery could be for several tenants and is not taken");
            return Taken::new(busy, "busy");
        }
        let traceparent = traceparent(arrival);
        let events = delivery.events.into_iter().map(|event| Event { traceparent, ..event });
        let intakes = events.map(|event| self.intake(&present, connection, event));
        let mut intakes: Vec<Intake> = intakes.collect();
        let Some(time) = webhooks.coalesce else { return self.accept(intakes, busy).await };
        self.inner.gathering.join(&mut intakes, now_ms());
        let taken = self.accept(intakes.clone(), busy).await;
        if taken.runs == intakes.iter().map(|intake| intake.runs.len()).sum::<usize>() {
            self.inner.gathering.wait(&intakes, time, now_ms());
        }
        taken
    }

    /// The biggest body that the source of a path may send, in bytes.
    pub fn body_max(&self, name: &str) -> usize {
        let plan = self.plan();
        let webhooks = plan.connector(name).and_then(|connector| connector.webhooks.as_ref());
        webhooks.map_or(1024 * 1024, |webhooks| webhooks.body_max)
    }

    /// Takes a delivery at a workflow's own path. `token` is what follows the path.
    pub async fn own_webhook(&self, path: &str, token: Option<&str>, arrival: Arrival<'_>) -> Taken {
        let plan = self.plan();
        let Some(workflow) = plan.at_path(path) else { return Taken::new(404, "not_found") };
        let Starts::Webhook { verify: rules, fields, id, .. } = &workflow.trigger.starts else {
            return Taken::new(404, "not_found");
        };
        if rules.is_empty() {
            if !self.is_token(path, token).await {
                return Taken::new(404, "not_found");
            }
        } else {
            let secrets = Plain(&*self.inner.secrets);
            if token.is_some() || !verify(rules, arrival, &secrets, None, now_ms()) {
                count(&self.inner.counters.refused);
                return Taken::new(401, "unauthorized");
            }
        }
        if !is_json(arrival.header) {
            return Taken::new(415, "unsupported_media_type");
        }
        let body = match read_json(arrival.body) {
            Ok(body) => body,
            Err(refusal) => return Taken::new(refusal.status, refusal.word),
        };
        let Ok(body) = converted(body, fields, &plan.locale) else { return Taken::new(400, "bad_body") };
        let id = match delivery_id(id.as_ref(), &body) {
            Ok(id) => id,
            Err(taken) => return taken,
        };
        let event = Event {
            id,
            source: path.into(),
            kind: "webhook".into(),
            time_ms: now_ms(),
            body: body.into(),
            traceparent: traceparent(arrival),
            ..Event::default()
        };
        let runs = self.runs_without_record(&plan, workflow, &event, Value::Null);
        self.accept(vec![Intake { event, runs }], 503).await
    }

    /// Starts a workflow by hand. Gives the run's id.
    ///
    /// # Errors
    /// What is wrong with the inputs, in words; or the store's.
    pub async fn by_hand(&self, workflow: &str, inputs: Value, whose: &Whose) -> Result<String, ByHandError> {
        let tenant = whose.tenant.as_deref();
        let present = self.present();
        let plan = &*present.plan;
        let Some(found) = plan.workflows.iter().find(|known| known.name == workflow) else {
            return Err(ByHandError::Input(unknown(plan, workflow)));
        };
        let now = now_ms();
        let mut event = Event {
            id: clock::id().to_string(),
            source: "manual".into(),
            kind: "manual".into(),
            time_ms: now,
            ..Event::default()
        };
        if let Some(connection) = &whose.connection
            && !matches!(&found.trigger.starts, Starts::Event(heard) if heard.iter().all(|heard| heard.alias != PROJECT))
        {
            let why = format!("`{workflow}` is about no record of an account: leave `--connection {connection}` out");
            return Err(ByHandError::Nobody(why));
        }
        let runs = match &found.trigger.starts {
            Starts::Manual { inputs: wanted } => {
                let inputs = inputs::take(wanted, inputs, &plan.locale).map_err(ByHandError::Input)?;
                self.runs_without_record(plan, found, &event, inputs)
            }
            Starts::Event(heard) if heard.first().is_some_and(|heard| heard.alias == PROJECT) => {
                event.kind = heard.first().and_then(|heard| heard.kinds.first().cloned()).unwrap_or_default();
                event.body = inputs.into();
                self.runs_without_record(plan, found, &event, Value::Null)
            }
            Starts::Event(heard) => {
                let first = heard.first();
                let object = first.and_then(|heard| heard.object.clone());
                event.kind = first.and_then(|heard| heard.kinds.first().cloned()).unwrap_or_default();
                event.object.clone_from(&object);
                self.runs_about(&present, found, event.clone(), first.map(|heard| heard.alias.as_str()), inputs, whose)
                    .map_err(ByHandError::Input)?
            }
            Starts::Webhook { .. } => {
                event.body = inputs.into();
                self.runs_without_record(plan, found, &event, Value::Null)
            }
            Starts::Schedule { .. } | Starts::Poll { .. } => self.runs_without_record(plan, found, &event, inputs),
        };
        let runs: Vec<Start> =
            runs.into_iter().filter(|run| tenant.is_none() || run.tenant.as_deref() == tenant).collect();
        let Some(id) = runs.first().map(|run| run.id.clone()) else {
            return Err(ByHandError::Nobody(nobody(plan, found, tenant)));
        };
        self.take_in(vec![Intake { event, runs }], Cursors::default()).await?;
        Ok(id)
    }

    /// Takes an event that somebody has named already: of a connection, or one of the project. Gives how many runs it starts.
    ///
    /// # Errors
    /// The store's.
    pub async fn hear(&self, event: Event) -> Result<usize, store::Error> {
        let present = self.present();
        let connection = event.connection.as_deref().and_then(|name| present.plan.connection(name));
        let intake = match connection {
            Some(connection) => self.intake(&present, connection, event),
            None => self.heard_of_project(event),
        };
        self.take_in(vec![intake], Cursors::default()).await.map(|(_, runs)| runs)
    }

    /// Tries dead letters again; what is none any more is left alone.
    ///
    /// # Errors
    /// The store's; those before it are tried again.
    pub async fn retry(&self, runs: &[String], by: &str) -> Result<(), store::Error> {
        for id in runs {
            self.inner.hands.retry(self, id, by).await?;
        }
        Ok(())
    }

    /// Gives dead letters up.
    ///
    /// # Errors
    /// The store's; those before it are given up.
    pub async fn drop_dead(&self, runs: &[String], by: &str) -> Result<(), store::Error> {
        for id in runs {
            if let Some(run) = self.inner.hands.drop_dead(self, id, by).await?
                && let Some(ending) = &run.ending
            {
                self.has_ended(&run.start, ending, None);
            }
        }
        Ok(())
    }

    /// A run about a record that is given by hand: `{ "id": … }`, and its parent's id where one is needed.
    fn runs_about(
        &self,
        present: &Present,
        workflow: &Workflow,
        event: Event,
        alias: Option<&str>,
        record: Value,
        whose: &Whose,
    ) -> Result<Vec<Start>, String> {
        let plan = &present.plan;
        let name = alias.and_then(|alias| workflow.connector_of(alias)).unwrap_or_default();
        let connection = match &whose.connection {
            Some(wanted) => {
                let known: Vec<&str> = stand_for(plan, name, whose).map(|one| one.name.as_str()).collect();
                let near = crate::source::nearest(wanted, known.iter().copied());
                let near = near.map_or_else(
                    || format!("there are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                let none = || format!("no connection `{wanted}` stands for `{name}`; {near}");
                stand_for(plan, name, whose).find(|one| one.name == *wanted).ok_or_else(none)?
            }
            None => {
                let tenants = plan.tenants_of(workflow);
                let tenant = whose.tenant.as_deref().or_else(|| tenants.first().copied().flatten());
                let bound = plan.bind(workflow, tenant, None);
                let bound = bound.and_then(|bindings| bindings.get(alias.unwrap_or_default()).cloned());
                let several = || {
                    let known: Vec<&str> = stand_for(plan, name, whose).map(|one| one.name.as_str()).collect();
                    format!(
                        "no single connection stands for `{name}`: choose one with --connection, of {}",
                        known.join(", ")
                    )
                };
                bound.and_then(|name| plan.connection(&name)).ok_or_else(several)?
            }
        };
        let connector = plan.connector(&connection.connector).ok_or("its connector is missing")?;
        let object = event.object.as_deref().and_then(|object| connector.object(object));
        let Some(object) = object else {
            return Err("the workflow's event has no object that could be given by hand".into());
        };
        let Some(id) = record.get(&object.id).and_then(as_text) else {
            return Err(format!("the input must hold the {}'s id: {{ \"{}\": \"…\" }}", object.name, object.id));
        };
        let parent_id = object.parent.as_ref().and_then(|parent| record.get(&parent.id)).and_then(as_text);
        let whole = record.as_object().is_some_and(|map| map.len() > 1 + usize::from(parent_id.is_some()));
        let read_with =
            connector.operation(&format!("{}.get", object.name)).filter(|_| !whole).map(|get| get.name.clone());
        let event = Event { record_id: Some(id), parent_id, record, read_with, ..event };
        Ok(self
            .intake(present, connection, event)
            .runs
            .into_iter()
            .filter(|run| run.workflow == workflow.name)
            .collect())
    }

    /// The runs that an event of a connection starts.
    pub(super) fn intake(&self, present: &Present, connection: &Connection, mut event: Event) -> Intake {
        event.connection = Some(connection.name.clone());
        event.tenant.clone_from(&connection.tenant);
        let runs = present.hearing().filter_map(|(plan, workflow)| {
            let connection = plan.connection(&connection.name)?;
            let alias = hears(workflow, connection, &event)?;
            self.runs_of(plan, workflow, alias, connection, &event)
        });
        Intake { runs: runs.collect(), event }
    }

    /// The runs that an event of the project starts: only those of its own tenant.
    pub(super) fn heard_of_project(&self, event: Event) -> Intake {
        let present = self.present();
        let hears = |workflow: &Workflow| match &workflow.trigger.starts {
            Starts::Event(heard) => {
                heard.iter().any(|heard| heard.alias == PROJECT && heard.kinds.contains(&event.kind))
            }
            _ => false,
        };
        let runs = present.hearing().filter(|(_, workflow)| hears(workflow)).filter_map(|(plan, workflow)| {
            let connections = plan.bind(workflow, event.tenant.as_deref(), None)?;
            let order_key = order_key(workflow, None, &event, &plan.locale);
            Some(start(plan, workflow, event.clone(), connections, order_key, Value::Null))
        });
        Intake { runs: runs.collect(), event }
    }

    /// The run of one workflow about a record that another run has found.
    pub(super) fn found(&self, workflow: &str, event: Event) -> Option<Intake> {
        let plan = &self.present().plan;
        let workflow = plan.workflow(workflow)?;
        let connection = plan.connection(event.connection.as_deref()?)?;
        let alias = hears(workflow, connection, &event)?;
        let run = self.runs_of(plan, workflow, alias, connection, &event);
        Some(Intake { runs: run.into_iter().collect(), event })
    }

    /// The run of one workflow about an event of a connection; none if an alias stands for no single account.
    pub(super) fn runs_of(
        &self,
        plan: &Plan,
        workflow: &Workflow,
        alias: &str,
        connection: &Connection,
        event: &Event,
    ) -> Option<Start> {
        let tenant = connection.tenant.clone();
        let connections = plan.bind(workflow, tenant.as_deref(), Some((alias, connection.name.as_str())))?;
        let order_key = order_key(workflow, plan.connector(&connection.connector), event, &plan.locale);
        Some(start(plan, workflow, Event { tenant, ..event.clone() }, connections, order_key, Value::Null))
    }

    /// The runs of a workflow that is about no record: one per tenant that has all it uses.
    pub(super) fn runs_without_record(
        &self,
        plan: &Plan,
        workflow: &Workflow,
        event: &Event,
        inputs: Value,
    ) -> Vec<Start> {
        let tenants = plan.tenants_of(workflow);
        let runs = tenants.into_iter().filter_map(|tenant| {
            let connections = plan.bind(workflow, tenant, None)?;
            let mut event = event.clone();
            event.tenant = tenant.map(Into::into);
            let order_key = order_key(workflow, None, &event, &plan.locale);
            Some(start(plan, workflow, event, connections, order_key, inputs.clone()))
        });
        runs.collect()
    }

    /// Stores events and takes up their runs. `busy` is the status that the source retries.
    async fn accept(&self, intakes: Vec<Intake>, busy: u16) -> Taken {
        if self.is_stopping() {
            return Taken::new(busy, "stopping");
        }
        match self.take_in(intakes, Cursors::default()).await {
            Ok((0, 0)) => Taken::new(200, "duplicate"),
            Ok((_, runs)) => Taken { status: 200, word: "accepted", runs },
            Err(error) => {
                tracing::warn!(%error, "a delivery is not taken");
                Taken::new(busy, "busy")
            }
        }
    }

    /// Stores events with cursors, then takes up the runs of those that are new. Gives (new events, runs).
    ///
    /// Goes on when the caller is dropped: a sender that hangs up early must not leave runs behind that are stored and
    /// that nobody takes up.
    pub(super) async fn take_in(&self, intakes: Vec<Intake>, cursors: Cursors) -> Result<(usize, usize), store::Error> {
        let engine = self.clone();
        let taking = tokio::spawn(async move {
            let accepted = engine.inner.hands.accept(&engine, intakes.clone(), cursors).await?;
            let (mut events, mut runs) = (0, 0);
            for (intake, accepted) in intakes.into_iter().zip(accepted) {
                engine.inner.counters.taken_in(accepted);
                engine.inner.tap.taken_in(&intake, accepted);
                if accepted == Accepted::New {
                    events += 1;
                    runs += intake.runs.len();
                    engine.inner.hands.take_up(&engine, intake.runs);
                }
            }
            Ok((events, runs))
        });
        taking.await.unwrap_or_else(|error| Err(store::Error::Failed(error.to_string())))
    }
}

/// The alias under which a workflow hears an event of a connection.
fn hears<'w>(workflow: &'w Workflow, connection: &Connection, event: &Event) -> Option<&'w str> {
    let Starts::Event(heard) = &workflow.trigger.starts else { return None };
    heard.iter().find_map(|heard| {
        let name = workflow.connector_of(&heard.alias)?;
        let same = heard.object == event.object && heard.kinds.contains(&event.kind);
        (connection.stands_for(name) && same).then_some(heard.alias.as_str())
    })
}

/// The connections that a name of `uses` may stand for.
fn stand_for<'p>(plan: &'p Plan, name: &str, whose: &Whose) -> impl Iterator<Item = &'p Connection> {
    let all = plan.connections.iter().filter(move |connection| connection.stands_for(name));
    all.filter(|one| whose.tenant.is_none() || one.tenant.is_none() || one.tenant == whose.tenant)
}

/// That no workflow has this name, and which have one.
pub fn unknown(plan: &Plan, name: &str) -> String {
    let names: Vec<&str> = plan.workflows.iter().map(|workflow| workflow.name.as_str()).collect();
    let help = match (crate::source::nearest(name, names.iter().copied()), names.as_slice()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => "the project has none".into(),
        (None, _) => format!("there are {}", names.join(", ")),
    };
    format!("no active workflow is called `{name}`; {help}")
}

/// Why a workflow that is started by hand has nobody to run for.
fn nobody(plan: &Plan, workflow: &Workflow, tenant: Option<&str>) -> String {
    let known: Vec<&str> = plan.tenants_of(workflow).into_iter().flatten().collect();
    match tenant {
        None => "no tenant has all connections that the workflow uses".into(),
        Some(tenant) if known.is_empty() => {
            format!("`{}` runs for no tenant in particular: leave `{tenant}` out", workflow.name)
        }
        Some(tenant) => {
            let near = crate::source::nearest(tenant, known.iter().copied());
            let near = near
                .map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            format!("no tenant `{tenant}` has all connections that `{}` uses; {near}", workflow.name)
        }
    }
}

/// For whom a workflow is started by hand, where there are several.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Whose {
    pub tenant: Option<String>,
    /// The account that the record is of.
    pub connection: Option<String>,
}

/// What a person gave is wrong, or the store failed.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    #[error("{0}")]
    Input(String),
    /// No tenant has what the workflow needs.
    #[error("{0}")]
    Nobody(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn start(
    plan: &Plan,
    workflow: &Workflow,
    event: Event,
    connections: BTreeMap<String, String>,
    order_key: String,
    inputs: Value,
) -> Start {
    Start {
        id: clock::id().to_string(),
        workflow: workflow.name.clone(),
        tenant: event.tenant.clone(),
        order_key,
        plan: plan.hash.clone(),
        connections,
        event,
        inputs,
        created_ms: now_ms(),
    }
}

/// The key by which runs are kept in order: `in_order_by` if it can be told from what the event holds, else the parent's
/// id, else the record's, else the event's own.
fn order_key(workflow: &Workflow, connector: Option<&Connector>, event: &Event, locale: &Locale) -> String {
    let standard = || event.parent_id.clone().or_else(|| event.record_id.clone()).unwrap_or_else(|| event.id.clone());
    let Some(expr) = &workflow.trigger.in_order_by else { return standard() };
    let mut root = Map::new();
    let object = event.object.as_deref().and_then(|object| connector?.object(object));
    if let Some(object) = object {
        let name = workflow.trigger.record_name(&object.name);
        root.insert(name.to_owned(), object.shape(&event.record, &Default::default()));
    }
    root.insert("event".into(), json!({ "id": event.id, "type": event.kind, "body": event.body }));
    let root = Value::Object(root);
    match expr.eval(&Scope::new(&root, locale)) {
        Ok(Some(Value::String(text))) => text,
        Ok(Some(value)) => value.to_string(),
        Ok(None) | Err(_) => standard(),
    }
}

/// The id of a delivery to a workflow's own path; a new one where the recipe names none.
fn delivery_id(path: Option<&Path>, body: &Value) -> Result<String, Taken> {
    match path {
        None => Ok(clock::id().to_string()),
        Some(path) => {
            let id = path.get_in(body).as_ref().and_then(as_text).filter(|id| id.len() <= 200);
            id.ok_or(Taken::new(400, "no_delivery_id"))
        }
    }
}

/// Where the sender stands in a trace; what is not valid counts as absent.
fn traceparent(arrival: Arrival<'_>) -> Option<Traceparent> {
    (arrival.header)("traceparent")?.trim().parse().ok()
}

fn is_json(header: &(dyn Fn(&str) -> Option<String> + Sync)) -> bool {
    let kind = header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
