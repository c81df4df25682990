//! One test, played from its beginning to its verdict.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::company::{Change, Company, Dropped};
use super::judge::{Unmet, judge};
use super::random::Random;
use super::scene::Scene;
use super::stage::{FirstRun, Hands, Stage};
use super::story::{self, Line};
use super::{generate, webhook};
use crate::clock;
use crate::engine::Whose;
use crate::expr::{Expr, Locale, Scope, parse_duration, read_time};
use crate::project::{Crash, Fault, Given, Step, Test};
use crate::store::{Run, Store};

/// What is chosen for one test beside what it says.
pub struct Chosen<'c> {
    /// When the clock begins, as the document says it.
    pub now: Option<&'c str>,
    /// Of random edits that name none.
    pub seed: u64,
    /// A cluster keeps the runs, which is played as well; in a program with the feature `restate`.
    pub on_cluster: bool,
    /// What a file beside the test document holds.
    pub file: &'c (dyn Fn(&str) -> Result<Value, String> + Sync),
}

/// What came of a test.
#[derive(Debug)]
pub struct Played {
    /// Empty: it holds.
    pub unmet: Vec<Unmet>,
    /// What happened, if something is not as expected.
    pub story: Vec<Line>,
    /// Of a test with random edits.
    pub seed: Option<u64>,
    pub requests: usize,
    pub runs: usize,
    pub crashes: usize,
    /// Of a sync whose first run is planned.
    pub first_run: Option<FirstRun>,
    /// How long it took by its own clock.
    pub lived_ms: i64,
}

/// A test without `now:` begins here.
const BEGIN: &str = "2026-01-05T09:00:00Z";

/// Plays a test on a thread of its own. Its store lies in a folder that is gone afterwards.
///
/// # Errors
/// It cannot be played, in words.
pub fn play(scene: &Arc<Scene>, test: &Test, chosen: &Chosen<'_>) -> Result<Played, String> {
    let begin = read_time(chosen.now.unwrap_or(BEGIN), &scene.plan.locale).ok_or("`now` is no time")?;
    rehearse(begin.timestamp_millis(), async |folder| judged(scene, test, chosen, folder).await)
}

/// Gives a thread a clock of its own, which begins at this instant, and a folder that is gone afterwards.
///
/// # Errors
/// What it comes to; the system's.
pub(super) fn rehearse<T>(begin_ms: i64, act: impl AsyncFnOnce(&Path) -> Result<T, String>) -> Result<T, String> {
    let folder = Folder::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let came = runtime.block_on(async {
        let _rehearsing = clock::turn(begin_ms);
        act(&folder.0).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    came
}

/// Gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        Folder(std::env::temp_dir().join(format!("dovetail-test-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What is there when nothing moves any more.
pub(super) struct Performed {
    pub company: Arc<Company>,
    pub store: Store,
    pub runs: Vec<Run>,
    pub first_run: Option<FirstRun>,
    /// Why it did not come so far.
    pub unmet: Option<Unmet>,
}

/// Lives through the steps of a test.
///
/// # Errors
/// It cannot begin, in words.
pub(super) async fn perform(
    scene: &Arc<Scene>,
    test: &Test,
    chosen: &Chosen<'_>,
    folder: &Path,
) -> Result<Performed, String> {
    let seed = test.generate.as_ref().map(|wanted| wanted.seed.unwrap_or(chosen.seed));
    let edits = test.generate.as_ref().map_or(0, |wanted| wanted.edits);
    let crashes = test.generate.as_ref().and_then(|wanted| wanted.crash);
    let crashes = crashes.map(|Crash::AfterAnyWrite| Random::new(seed.unwrap_or_default().rotate_left(17)));
    let company = Company::new(scene, &given(scene, &test.given, chosen)?, edits, crashes)?;
    let mut stage = Stage::new(Arc::clone(&company), folder, Hands::new(chosen.on_cluster, chosen.seed)?).await?;
    for fault in &test.faults {
        order(&company, fault)?;
    }
    let mut unmet = act(&mut stage, test, chosen, seed).await.err();
    if unmet.is_none() {
        let rest = stage.come_to_rest(test.then.quiet_after.is_some() || test.then.converged.is_some()).await;
        unmet = rest.err().map(|why| Unmet::said("the end", why));
    }
    let first_run = stage.first_run;
    let store = stage.end();
    let runs = story::runs(&store).await;
    Ok(Performed { company, store, runs, first_run, unmet })
}

async fn judged(scene: &Arc<Scene>, test: &Test, chosen: &Chosen<'_>, folder: &Path) -> Result<Played, String> {
    let begin_ms = clock::now_ms();
    let seed = test.generate.as_ref().map(|wanted| wanted.seed.unwrap_or(chosen.seed));
    let Performed { company, store, runs, first_run, unmet } = perform(scene, test, chosen, folder).await?;
    let lived_ms = clock::now_ms() - begin_ms;
    let unmet = match unmet {
        Some(unmet) => vec![unmet],
        None => judge(&test.then, &scene.subject, &company, &runs),
    };
    let (lines, requests, crashes) = {
        let mut told = company.seen.told.lock();
        (std::mem::take(&mut told.lines), told.asked, told.crashes)
    };
    let story = if unmet.is_empty() { Vec::new() } else { story::told(&store, &scene.plan, &runs, lines).await };
    store.close().await;
    Ok(Played { unmet, story, seed, requests, runs: runs.len(), crashes, first_run, lived_ms })
}

/// The records that are there before, by connection.
fn given(
    scene: &Scene,
    given: &BTreeMap<String, Given>,
    chosen: &Chosen<'_>,
) -> Result<BTreeMap<String, Value>, String> {
    let mut by_connection: BTreeMap<String, Value> = BTreeMap::new();
    for (key, records) in given {
        let (connection, object) = scene.object(key).ok_or_else(|| format!("`{key}` names no object"))?;
        let role = scene.roles.get(connection).filter(|role| role.has_object(object));
        role.ok_or_else(|| format!("there is no object `{key}`"))?;
        let records = match records {
            Given::Records(records) => json!(records),
            Given::File(file) => recorded(file, chosen).map_err(|why| format!("`{key}`: {why}"))?,
        };
        by_connection.entry(connection.to_owned()).or_insert_with(|| json!({}))[object] = records;
    }
    Ok(by_connection)
}

fn recorded(file: &str, chosen: &Chosen<'_>) -> Result<Value, String> {
    let records = (chosen.file)(file)?;
    let is_list = records.as_array().is_some_and(|records| records.iter().all(Value::is_object));
    if is_list { Ok(records) } else { Err(format!("{file} holds no list of records")) }
}

fn order(company: &Company, fault: &Fault) -> Result<(), String> {
    let at = fault.0.get("at").and_then(Value::as_str).unwrap_or_default();
    let (alias, operation) = at.split_once('.').map_or((at, None), |(alias, operation)| (alias, Some(operation)));
    let connection = company.scene.aliases.get(alias).ok_or_else(|| format!("there is no alias `{alias}`"))?;
    let vendor = company.vendors.get(connection).ok_or("nobody plays it")?;
    let connector = company.scene.connector(connection);
    if let Some(name) = operation
        && connector.is_some_and(|connector| connector.operation(name).is_none() && connector.object(name).is_none())
        && !connector
            .and_then(|connector| connector.webhooks.as_ref())
            .is_some_and(|webhooks| webhooks.events.iter().any(|event| event.name == name))
    {
        return Err(format!("`{alias}` has no operation, object or webhook `{name}`"));
    }
    let of_object = operation.filter(|name| connector.is_some_and(|connector| connector.object(name).is_some()));
    let place = of_object.map_or_else(|| operation.unwrap_or("*").to_owned(), |object| format!("{object}.*"));
    let often = |key: &str| fault.0.get(key).and_then(Value::as_u64);
    if let Some(lag) = fault.0.get("lag").and_then(Value::as_str) {
        return vendor.lag(lag);
    }
    if let Some(field) = fault.0.get("drop_field").and_then(Value::as_str) {
        let (connection, operation) = (connection.clone(), operation.map(str::to_owned));
        company.drops.lock().push(Dropped { connection, operation, field: field.to_owned() });
        return Ok(());
    }
    if let Some(status) = fault.0.get("status") {
        return vendor.order(&json!({ "at": place, "status": status, "times": often("times").unwrap_or(1) }));
    }
    let kinds = [
        ("timeout", "drop_before"),
        ("timeout_after_write", "drop_after_write"),
        ("lose", "lose_webhooks"),
        ("duplicate", "duplicate_webhooks"),
        ("reorder", "reorder_webhooks"),
    ];
    let found = kinds.iter().find_map(|(key, what)| Some((*what, often(key)?)));
    let (what, times) = found.ok_or("a fault without a kind")?;
    vendor.order(&json!({ "at": place, what: true, "times": times }))
}

async fn act(stage: &mut Stage, test: &Test, chosen: &Chosen<'_>, seed: Option<u64>) -> Result<(), Unmet> {
    for (index, step) in test.when.iter().enumerate() {
        let name = format!("step {}", index + 1);
        for _ in 0..step.0.get("times").and_then(Value::as_u64).unwrap_or(1) {
            take(stage, step, index, chosen).await.map_err(|why| Unmet::said(&name, why))?;
        }
        stage.settle().await.map_err(|why| Unmet::said(&name, why))?;
    }
    if let (Some(wanted), Some(seed)) = (&test.generate, seed) {
        let mut random = Random::new(seed);
        generate::edit(stage, wanted, &mut random).await.map_err(|why| Unmet::said("generate", why))?;
    }
    Ok(())
}

async fn take(stage: &mut Stage, step: &Step, index: usize, chosen: &Chosen<'_>) -> Result<(), String> {
    let text = |key: &str| step.0.get(key).and_then(Value::as_str);
    if let Some(to) = text("webhook") {
        let body = match step.0.get("body") {
            Some(Value::String(file)) => (chosen.file)(file)?,
            Some(body) => made(stage, body)?,
            None => json!({}),
        };
        if to.starts_with('/') {
            return webhook::own(stage, to, &body).await;
        }
        let scene = &stage.company.scene;
        let connection = scene.aliases.get(to).ok_or_else(|| format!("there is no alias `{to}`"))?.clone();
        let settings = scene.plan.connection(&connection).map(|one| one.settings.clone()).unwrap_or_default();
        let connector = scene.connector(&connection).ok_or("its connector is missing")?;
        let body = webhook::marked(connector, &settings, index as u64 + 1, &body);
        return webhook::of_vendor(stage, &connection, &body).await;
    }
    if let Some(record) = text("edit") {
        let set = made(stage, step.0.get("set").unwrap_or(&json!({})))?;
        return edit(stage, record, Some(&set));
    }
    if let Some(record) = text("delete") {
        return edit(stage, record, None);
    }
    if let Some(after) = text("after") {
        let span = parse_duration(after).ok_or_else(|| format!("`{after}` is no duration"))?;
        stage.company.seen.tell(None, format!("after {after}"));
        return stage.pass(span).await;
    }
    let inputs = made(stage, step.0.get("run").unwrap_or(&Value::Null))?;
    let engine = stage.company.seen.engine().ok_or("the program is dead")?;
    let subject = stage.company.scene.subject.clone();
    stage.company.seen.tell(None, format!("run {subject} by hand {inputs}"));
    engine.by_hand(&subject, inputs, &Whose::default()).await.map(drop).map_err(|error| error.to_string())
}

/// A value of the test, whose paths see the records of all vendors.
fn made(stage: &Stage, value: &Value) -> Result<Value, String> {
    let (root, locale) = (stage.company.records(), Locale::default());
    let expr = Expr::compile(value).map_err(|_| "it holds a path or a template that is none".to_owned())?;
    let made = expr.eval(&Scope::new(&root, &locale)).map_err(|fault| fault.to_string())?;
    Ok(made.unwrap_or_default())
}

/// What somebody does at the vendor: an edit, or a delete.
fn edit(stage: &mut Stage, record: &str, set: Option<&Value>) -> Result<(), String> {
    let record = made(stage, &json!(record))?;
    let record = record.as_str().unwrap_or_default();
    let (object, id) = record.split_once('/').ok_or_else(|| format!("`{record}` names no record"))?;
    let company = Arc::clone(&stage.company);
    let (connection, object) = company.scene.object(object).ok_or_else(|| format!("`{object}` names no object"))?;
    let vendor = company.vendors.get(connection).ok_or("nobody plays it")?;
    let known = Some(id).filter(|id| *id != "new");
    let done = match set {
        Some(set) => vendor.edit(object, known, set, true),
        None => vendor.delete(object, id, true),
    };
    let (id, told) = done.map_err(|why| format!("{record}: {why}"))?;
    let what = match (set, known) {
        (None, _) => format!("delete {record}"),
        (Some(set), None) => format!("new {}.{object}/{id} {set}", company.scene.alias(connection)),
        (Some(set), Some(_)) => format!("edit {record} {set}"),
    };
    company.seen.tell(None, what);
    let change = Change { at_ms: clock::now_ms(), by: None, connection: connection.into(), object: object.into(), id };
    company.seen.told.lock().changes.push(change);
    if !told {
        stage.listen_for(connection, object, set.is_none());
    }
    Ok(())
}
