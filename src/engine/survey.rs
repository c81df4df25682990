//! All records of both sides of a sync at once: read from lists, within the limits, and compared. And what is done about them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::hands::Cursors;
use super::poll::{RECORDS_MAX, to_the_end};
use super::{Engine, now_ms};
use crate::clock;
use crate::connector::{Connector, Failure, Names, Object};
use crate::expr::as_text;
use crate::project::{Connection, Plan};
use crate::store::{self, Intake, Store};
use crate::sync::{Above, Finding, Half, Item, Listed, Pair, Survey, Sync, Which};
use crate::trigger::Event;
use crate::workflow::syncing;

/// What a sync would do about all records, and what that takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Surveyed {
    pub sync: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Names what is to be done: another state of the two sides has another hash.
    pub hash: String,
    /// The sync's own pair, and those under it that were looked at.
    pub pairs: Vec<PairSurveyed>,
    /// How many pairs of objects live under its own.
    pub children: usize,
    /// What is to be done takes so long within the limits of both accounts, in seconds.
    pub seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairSurveyed {
    /// By side: `ghl.contact`.
    pub objects: [String; 2],
    /// By side.
    pub connections: [String; 2],
    /// By side: about so many requests are needed.
    pub requests: [u64; 2],
    #[serde(flatten)]
    pub survey: Survey,
}

/// How far a survey has come, for whoever waits for it.
#[derive(Debug, Default)]
pub struct Progress(AtomicUsize);

impl Progress {
    /// So many records of both sides have been read.
    pub fn records(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// It begins anew.
    pub fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// In words that say what now.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(Failure),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl From<Failure> for SurveyError {
    fn from(failure: Failure) -> Self {
        SurveyError::Failed(failure)
    }
}

/// A sync, for one tenant.
struct Bound<'p> {
    plan: &'p Plan,
    sync: &'p Sync,
    tenant: Option<&'p str>,
    /// By side.
    connections: [&'p Connection; 2],
    progress: &'p Progress,
}

impl Engine {
    /// Reads all records of both sides, and compares them. `deep`: those that live under them, too.
    ///
    /// # Errors
    /// There is no such sync, or a list cannot be read.
    pub async fn survey(
        &self,
        sync: &str,
        tenant: Option<&str>,
        deep: bool,
        progress: &Progress,
    ) -> Result<Surveyed, SurveyError> {
        let plan = self.plan();
        let bound = bind(&plan, sync, tenant, progress)?;
        let mut above = None;
        let mut pairs = Vec::new();
        for (number, pair) in bound.sync.pairs().enumerate().take(if deep { usize::MAX } else { 1 }) {
            let (surveyed, paired) = self.pair(&bound, number, pair, above.clone()).await?;
            if number == 0 {
                let mut known = Above { paired, ..Above::default() };
                known.plan(&surveyed.survey);
                above = Some(known);
            }
            pairs.push(surveyed);
        }
        let hash = hash(&pairs);
        let seconds = seconds(&bound, &pairs);
        let tenant = bound.tenant.map(str::to_owned);
        let (sync, children) = (bound.sync.name.clone(), bound.sync.children.len());
        Ok(Surveyed { sync, tenant, hash, pairs, children, seconds })
    }

    /// Has done what a survey says, one run for each record. `expected`: the hash of the survey that was seen.
    ///
    /// # Errors
    /// As [`Engine::survey`]; and another state than the one that was seen is not touched.
    pub async fn apply(
        &self,
        sync: &str,
        tenant: Option<&str>,
        deep: bool,
        expected: Option<&str>,
        progress: &Progress,
    ) -> Result<(Surveyed, usize), SurveyError> {
        let surveyed = self.survey(sync, tenant, deep, progress).await?;
        if let Some(expected) = expected.filter(|expected| *expected != surveyed.hash) {
            let now = &surveyed.hash;
            return Err(SurveyError::Refused(format!(
                "the two sides have changed since plan {expected}: now it is {now}. Look at it with `dovetail plan {sync}`"
            )));
        }
        let plan = self.plan();
        let bound = bind(&plan, sync, tenant, progress)?;
        let items = surveyed.pairs.iter().enumerate().flat_map(|(number, pair)| {
            let is_now = |item: &&Item| item.finding.is_to_do() && !item.follows;
            pair.survey.items.iter().filter(is_now).map(move |item| (number, item))
        });
        // What is found once more, after it could not be brought into line, is an event of its own.
        let this = clock::id().to_string();
        let intakes = items.filter_map(|(number, item)| {
            self.found(&syncing::name(bound.sync, number, item.side), event(&bound, number, item, &this))
        });
        let intakes: Vec<Intake> = intakes.collect();
        let begun = json!({ "since_ms": now_ms(), "plan": surveyed.hash });
        let cursor = (Store::begun(sync, bound.tenant), begun);
        let (_, runs) = self.take_in(intakes, Cursors::before(cursor)).await?;
        Ok((surveyed, runs))
    }

    /// One pair of objects; gives the ids of the pairs that are known, by side, too.
    async fn pair(
        &self,
        bound: &Bound<'_>,
        number: usize,
        pair: &Pair,
        above: Option<Above>,
    ) -> Result<(PairSurveyed, [HashSet<String>; 2]), SurveyError> {
        let sides = [(0, Which::First), (1, Which::Second)]
            .map(|(place, side)| (bound.connections[place].name.clone(), pair.sides[side.index()].object.clone()));
        let mut before = self.inner.store.pairs(&bound.sync.name, bound.tenant, sides.clone()).await?;
        before.above = above;
        let [first, second] = Which::BOTH.map(|side| self.listed(bound, number, pair, side));
        let locales = bound.connections.map(|connection| bound.plan.locale_of(&connection.name));
        let (first, second) = (first.await?, second.await?);
        let listed = [
            Listed { object: first.0, records: first.1, locale: &locales[0] },
            Listed { object: second.0, records: second.1, locale: &locales[1] },
        ];
        let survey = pair.survey(&listed, &before, bound.sync.first_run.on_difference, &bound.plan.locale);
        let survey = survey.map_err(|fault| Failure::new("invalid", format!("`only_if`: {}", fault.message)))?;
        let known = [0, 1].map(|place| before.pairs.iter().map(|(ids, _)| ids[place].clone()).collect());
        let objects = Which::BOTH.map(|side| {
            let side = &pair.sides[side.index()];
            format!("{}.{}", side.alias, side.object)
        });
        let requests = requests(bound.sync, number, pair, &listed, &survey);
        let connections = sides.map(|(connection, _)| connection);
        Ok((PairSurveyed { objects, connections, requests, survey }, known))
    }

    /// All records of a side by id, as recipes see them.
    async fn listed<'p>(
        &self,
        bound: &Bound<'p>,
        number: usize,
        pair: &Pair,
        side: Which,
    ) -> Result<(&'p Object, BTreeMap<String, Value>), SurveyError> {
        let connection = bound.connections[side.index()];
        let name = &pair.sides[side.index()].object;
        let (connector, object) = object_of(bound.plan, connection, name)?;
        let list = list_of(connector, object).map_err(SurveyError::Refused)?;
        let names = self.names_of(bound, number, side, connection, (connector, object)).await?;
        let count = |page: &[Value]| {
            bound.progress.0.fetch_add(page.len(), Ordering::Relaxed);
            to_the_end(page)
        };
        let records = self.records(bound.plan, connector, connection, object, (&list, json!({})), &count).await?;
        if records.len() >= RECORDS_MAX {
            let message = format!("`{name}` has {RECORDS_MAX} records or more, which are not compared at once");
            return Err(SurveyError::Refused(message));
        }
        let operation = connector.operation(&list);
        let shape = |record: &Value| match operation {
            Some(operation) if operation.object.is_some() => operation.shape(connector, record, &names),
            _ => object.shape(record, &names),
        };
        let shaped = records.iter().map(shape);
        Ok((object, shaped.filter_map(|record| Some((record.get(&object.id).and_then(as_text)?, record))).collect()))
    }

    /// The names of keyed lists that the sync uses.
    async fn names_of(
        &self,
        bound: &Bound<'_>,
        number: usize,
        side: Which,
        connection: &Connection,
        (connector, object): (&Connector, &Object),
    ) -> Result<Names, SurveyError> {
        let workflow = bound.plan.workflow(&syncing::name(bound.sync, number, side));
        let mut names = Names::default();
        for list in &object.keyed_lists {
            if let Some(known) = list.names_in(&connection.settings) {
                names.lists.insert(list.name.clone(), known);
            }
            let Some(from) = &list.names_from else { continue };
            if workflow.is_none_or(|workflow| !workflow.mentions(&list.name)) {
                continue;
            }
            let all = (from.as_str(), json!({}));
            let records = self.records(bound.plan, connector, connection, object, all, &to_the_end).await?;
            names.lists.insert(list.name.clone(), list.names_of(&records));
        }
        Ok(names)
    }
}

fn bind<'p>(
    plan: &'p Plan,
    name: &str,
    tenant: Option<&str>,
    progress: &'p Progress,
) -> Result<Bound<'p>, SurveyError> {
    let refused = |why: String| Err(SurveyError::Refused(why));
    let Some(sync) = plan.syncs.iter().find(|sync| sync.name == name) else {
        let known: Vec<&str> = plan.syncs.iter().map(|sync| sync.name.as_str()).collect();
        let help = match (crate::source::nearest(name, known.iter().copied()), known.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "the project has none".into(),
            (None, _) => format!("there are {}", known.join(", ")),
        };
        return refused(format!("no active sync is called `{name}`; {help}"));
    };
    let workflow = plan.workflow(&syncing::name(sync, 0, Which::First));
    let Some(workflow) = workflow else { return refused(format!("`{name}` has not been taken up")) };
    let tenants = plan.tenants_of(workflow);
    let found = match tenant {
        Some(tenant) => tenants.iter().find(|known| **known == Some(tenant)).copied(),
        None => Some(tenants.first().copied().flatten()).filter(|_| tenants.len() == 1),
    };
    let Some(tenant) = found else {
        let known: Vec<&str> = tenants.into_iter().flatten().collect();
        let known = known.join(", ");
        return refused(match tenant {
            Some(tenant) if known.is_empty() => {
                format!("`{name}` acts for no tenant, and so not for `{tenant}`: leave out `--tenant`")
            }
            Some(tenant) => format!("`{name}` does not act for a tenant `{tenant}`; it acts for {known}"),
            None => format!("say for which tenant with `--tenant`: `{name}` acts for {known}"),
        });
    };
    let bindings = plan.bind(workflow, tenant, None);
    let connection = |side: Which| {
        let alias = &sync.pair.sides[side.index()].alias;
        plan.connection(bindings.as_ref()?.get(alias)?)
    };
    match (connection(Which::First), connection(Which::Second)) {
        (Some(first), Some(second)) => Ok(Bound { plan, sync, tenant, connections: [first, second], progress }),
        _ => {
            refused(format!("an alias of `{name}` stands for several connections: name a single one under its `uses`"))
        }
    }
}

fn object_of<'p>(
    plan: &'p Plan,
    connection: &Connection,
    object: &str,
) -> Result<(&'p Connector, &'p Object), SurveyError> {
    let connector = plan.connector(&connection.connector);
    let found = connector.and_then(|connector| Some((connector, connector.object(object)?)));
    found.ok_or_else(|| SurveyError::Refused(format!("`{}` has no object `{object}`", connection.connector)))
}

/// The operation that lists all records of an object. An error says why there is none.
pub(super) fn list_of(connector: &Connector, object: &Object) -> Result<String, String> {
    let own = object.changes.feeds().next().map(|feed| feed.operation.clone());
    let listed = || Some(format!("{}.list", object.name)).filter(|name| connector.operation(name).is_some());
    own.or_else(listed).ok_or_else(|| {
        format!("`{}` cannot list `{}`: add an operation `list` to the connector", connector.name, object.name)
    })
}

/// The event with which something that was found is brought into line.
fn event(bound: &Bound<'_>, number: usize, item: &Item, apply: &str) -> Event {
    let (side, pair) = (item.side, bound.sync.numbered(number));
    let object = &pair.sides[side.index()].object;
    Event {
        id: format!("{apply}/{}/{object}/{}", bound.connections[side.index()].name, item.id),
        source: format!("sync {}", bound.sync.name),
        past: true,
        kind: if matches!(item.finding, Finding::Gone { .. }) { "deleted" } else { "updated" }.into(),
        time_ms: now_ms(),
        connection: Some(bound.connections[side.index()].name.clone()),
        tenant: bound.tenant.map(str::to_owned),
        object: Some(object.clone()),
        record_id: Some(item.id.clone()),
        parent_id: item.parent.clone(),
        ..Event::default()
    }
}

/// By side: about so many requests bring into line what was found, their echoes included.
fn requests(sync: &Sync, number: usize, pair: &Pair, sides: &[Listed<'_>; 2], survey: &Survey) -> [u64; 2] {
    let mut all = [0, 0];
    let children = if number == 0 { sync.children.len() as u64 } else { 0 };
    for item in survey.items.iter().filter(|item| item.finding.is_to_do()) {
        let (own, other) = (item.side.index(), item.side.other().index());
        all[own] += 1;
        let record = sides[own].records.get(&item.id).unwrap_or(&Value::Null);
        let half = Half { object: sides[own].object, record, locale: Cow::Borrowed(sides[own].locale) };
        let finds = pair.signs(item.side, &half) as u64;
        match &item.finding {
            Finding::Create { .. } => {
                all[other] += finds + children;
                all[own] += children;
            }
            Finding::Match { .. } => {
                all[other] += 1 + finds + children;
                all[own] += children;
            }
            Finding::Differ { .. } | Finding::Gone { .. } => all[other] += 1,
            Finding::Several { .. } | Finding::Alone { .. } => all[other] += finds,
            Finding::Settled { .. } => {}
        }
        for (place, writes) in item.writes().into_iter().enumerate() {
            // The write, its confirmation, and a look at its echo each time that it is told.
            let object = sides[place].object;
            let told = usize::from(!object.changes.webhook.is_empty()) + object.changes.feeds().count();
            all[place] += if writes { 1 + u64::from(object.confirm_writes) + told as u64 } else { 0 };
        }
    }
    all
}

/// What the slower account needs.
fn seconds(bound: &Bound<'_>, pairs: &[PairSurveyed]) -> u64 {
    let of = |place: usize| {
        let requests: u64 = pairs.iter().map(|pair| pair.requests[place]).sum();
        let connector = bound.plan.connector(&bound.connections[place].connector);
        let limits = connector.into_iter().flat_map(|connector| &connector.limits);
        let general = limits.filter(|limit| limit.only_for.is_empty() && limit.each.is_none());
        // The first window is free.
        let needs = general.map(|limit| (requests / limit.requests_of_the_past().max(1)) * limit.per.as_secs());
        needs.max().unwrap_or_default()
    };
    of(0).max(of(1))
}

fn hash(pairs: &[PairSurveyed]) -> String {
    let items: Vec<&Vec<Item>> = pairs.iter().map(|pair| &pair.survey.items).collect();
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(&items).unwrap_or_default());
    hex::encode(hash.finalize())[..12].to_owned()
}
