//! One event, played for whoever writes the recipe: what each action would do, while nothing leaves this computer.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::play::{Chosen, Performed, perform, rehearse};
use super::scene::{Scene, is_of};
use super::story::Exchange;
use crate::clock;
use crate::connector::{Object, Request};
use crate::engine::kept_plan;
use crate::project::Test;
use crate::run::Ending;
use crate::sandbox::example;
use crate::story::{Story, shown};
use crate::workflow::action::PROJECT;
use crate::workflow::{Starts, inputs};

/// What is tried.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// What starts it: inputs, a record, the body of a webhook; of a sync, new records by `alias.object`.
    pub sample: Value,
    /// Records that are there already: lists by `alias.object`.
    pub given: Map<String, Value>,
}

/// What came of it.
pub struct Tried {
    /// In the order in which they began.
    pub runs: Vec<TriedRun>,
    /// Runs that are not told.
    pub left_out: usize,
    /// Why it did not come to its end, in words.
    pub why: Option<String>,
}

/// A run, and what it would have sent.
pub struct TriedRun {
    pub story: Story,
    pub exchanges: Vec<Exchange>,
}

impl Tried {
    /// As JSON, with nothing shortened.
    pub fn as_value(&self) -> Value {
        let exchange = |exchange: &Exchange| {
            json!({
                "at": shown::instant(exchange.at_ms), "connection": exchange.connection, "operation": exchange.operation,
                "method": exchange.request.method, "url": shown::uncovered(&exchange.request.url), "headers": headers(&exchange.request),
                "body": exchange.body(), "status": exchange.answer.as_ref().map(|answer| answer.status),
                "answer": exchange.answer.as_ref().map(|answer| shown::concealed(&answer.body)),
            })
        };
        let run = |tried: &TriedRun| {
            let mut told = tried.story.as_value();
            told["requests"] = tried.exchanges.iter().map(exchange).collect();
            told
        };
        json!({ "runs": self.runs.iter().map(run).collect::<Vec<_>>(), "left_out": self.left_out, "why": self.why })
    }
}

fn headers(request: &Request) -> Value {
    let headers = request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>();
    shown::concealed(&Value::Object(headers))
}

impl Exchange {
    /// `POST https://…`
    pub fn line(&self) -> String {
        format!("{} {}", self.request.method, shown::uncovered(&self.request.url))
    }

    /// What is sent; of what is no text only how long it is, in bytes.
    pub fn body(&self) -> Option<Value> {
        let body = self.request.body.as_ref()?.told();
        Some(shown::concealed(&body))
    }

    /// The status, and why not.
    pub fn answered(&self) -> String {
        match &self.answer {
            None => "nothing".to_owned(),
            Some(answer) if answer.status >= 400 => format!("{} {}", answer.status, shown::line(&answer.body)),
            Some(answer) => answer.status.to_string(),
        }
    }
}

/// Runs that are told.
const RUNS_MAX: usize = 20;

/// How the sample is used.
enum Use {
    /// The workflow is started by hand.
    ByHand,
    /// As well, with the sample as a record of this `alias.object` that is there.
    Record(String),
    /// It comes to this path.
    Webhook(String),
    /// A new record of this `alias.object`, which a list will show.
    Listed(String),
    /// New records of either side.
    Sides([String; 2]),
}

impl Use {
    fn of(scene: &Scene) -> Use {
        if let Some(sync) = scene.plan.syncs.iter().find(|sync| sync.name == scene.subject) {
            return Use::Sides(sync.pair.sides.each_ref().map(|side| format!("{}.{}", side.alias, side.object)));
        }
        match scene.plan.workflow(&scene.subject).map(|workflow| &workflow.trigger.starts) {
            Some(Starts::Event(heard)) => match heard.first() {
                Some(heard) if heard.alias != PROJECT => match &heard.object {
                    Some(object) => Use::Record(format!("{}.{object}", heard.alias)),
                    None => Use::ByHand,
                },
                _ => Use::ByHand,
            },
            Some(Starts::Webhook { path, .. }) => Use::Webhook(path.clone()),
            Some(Starts::Poll { alias, operation, .. }) => {
                let connector = scene.aliases.get(alias).and_then(|connection| scene.connector(connection));
                let operation = connector.and_then(|connector| connector.operation(operation));
                match operation.and_then(|operation| operation.object.as_ref()) {
                    Some(object) => Use::Listed(format!("{alias}.{object}")),
                    None => Use::ByHand,
                }
            }
            _ => Use::ByHand,
        }
    }
}

/// Something that may start it, made of what its schema says.
pub fn sample(scene: &Scene) -> Value {
    let mut sample = plain_sample(scene);
    make_a_person(&mut sample);
    sample
}

/// Texts of somebody, by the letters of a field's name, in place of any text.
const PERSON: &[(&str, &str)] = &[
    ("email", "ada@example.com"),
    ("phone", "+12025550123"),
    ("firstname", "Ada"),
    ("lastname", "Lovelace"),
    ("name", "Ada Lovelace"),
    ("fullname", "Ada Lovelace"),
];

fn make_a_person(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let letters: String = key.chars().filter(char::is_ascii_alphabetic).collect();
                let known = PERSON.iter().find(|(name, _)| letters.eq_ignore_ascii_case(name));
                match known.filter(|_| *value == "text") {
                    Some((_, text)) => *value = json!(text),
                    None => make_a_person(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_a_person),
        _ => {}
    }
}

fn plain_sample(scene: &Scene) -> Value {
    let starts = scene.plan.workflow(&scene.subject).map(|workflow| &workflow.trigger.starts);
    match (Use::of(scene), starts) {
        (Use::Record(object), _) => record(scene, &object),
        (Use::Listed(object), _) => new_record(scene, &object),
        (Use::Sides([first, _]), _) => {
            let record = new_record(scene, &first);
            json!({ first: record })
        }
        (_, Some(Starts::Webhook { schema, .. })) => example(schema),
        (_, Some(Starts::Manual { inputs })) => {
            let mut sample = example(&inputs::schema(inputs));
            for (name, input) in inputs {
                if let Some(default) = &input.default {
                    sample[name] = default.clone();
                }
            }
            sample
        }
        _ => json!({}),
    }
}

/// The object behind `alias.object`.
fn described<'s>(scene: &'s Scene, object: &str) -> Option<&'s Object> {
    let (connection, name) = scene.object(object)?;
    scene.connector(connection)?.object(name)
}

fn record(scene: &Scene, object: &str) -> Value {
    let Some(described) = described(scene, object) else { return json!({}) };
    let mut record = example(&described.schema);
    record[&described.id] = json!("sample-1");
    record
}

/// The same without what the vendor says itself, as the id.
fn new_record(scene: &Scene, object: &str) -> Value {
    let Some(described) = described(scene, object) else { return json!({}) };
    let mut record = example(&described.schema);
    if let Some(fields) = record.as_object_mut() {
        let is_given = |name: &str| described.schema["properties"][name]["readOnly"] == true || *name == described.id;
        fields.retain(|name, _| !is_given(name));
    }
    record
}

/// Tries it, on a thread that does nothing else meanwhile. Waits are over at once.
///
/// # Errors
/// Why it cannot be tried, in words.
pub fn try_out(scene: &Arc<Scene>, trial: Trial) -> Result<Tried, String> {
    let test = test(scene, trial)?;
    let file = |name: &str| Err(format!("no file is read in a trial: write the records of {name} themselves"));
    let chosen = Chosen { now: None, seed: 1, on_cluster: false, file: &file };
    // What its engine has to say is no news of this project.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
        rehearse(clock::now_ms(), async |folder| told(scene, perform(scene, &test, &chosen, folder).await?).await)
    })
}

/// The trial as a test without expectations.
fn test(scene: &Scene, trial: Trial) -> Result<Test, String> {
    let Trial { sample, mut given } = trial;
    let when = match Use::of(scene) {
        Use::ByHand => vec![json!({ "run": sample })],
        Use::Record(object) => {
            let name = described(scene, &object).map_or("id", |described| described.id.as_str());
            let id = sample.get(name).cloned();
            let records = given.entry(object.clone()).or_insert_with(|| json!([]));
            // Without an id it is refused later, in words.
            if let (Some(records), Some(id)) = (records.as_array_mut(), id)
                && !records.iter().any(|known| known.get(name) == Some(&id))
            {
                records.push(sample.clone());
            }
            vec![json!({ "run": sample })]
        }
        Use::Webhook(path) => vec![json!({ "webhook": path, "body": sample })],
        Use::Listed(object) => vec![json!({ "edit": format!("{object}/new"), "set": sample })],
        Use::Sides(objects) => {
            let Value::Object(records) = sample else { return Err(form(&objects)) };
            if records.is_empty() || records.keys().any(|key| !objects.contains(key)) {
                return Err(form(&objects));
            }
            records.iter().map(|(object, set)| json!({ "edit": format!("{object}/new"), "set": set })).collect()
        }
    };
    let test = json!({ "name": "a trial", "given": given, "when": when, "then": {} });
    serde_json::from_value(test)
        .map_err(|error| format!("what is given is no list of records by `alias.object`: {error}"))
}

fn form([first, second]: &[String; 2]) -> String {
    format!("write a new record of either side, under `{first}` or `{second}`")
}

async fn told(scene: &Scene, performed: Performed) -> Result<Tried, String> {
    let Performed { company, store, runs, unmet, .. } = performed;
    let mut by_run: BTreeMap<String, Vec<Exchange>> = BTreeMap::new();
    for exchange in std::mem::take(&mut company.seen.told.lock().exchanges) {
        by_run.entry(exchange.run.clone()).or_default().push(exchange);
    }
    let is_news = |ending: &Option<Ending>| ending.as_ref().is_none_or(|ending| !ending.is_old_news());
    let news: Vec<_> = runs.into_iter().filter(|run| is_news(&run.ending)).collect();
    let left_out = news.len().saturating_sub(RUNS_MAX);
    let mut told = Vec::new();
    for run in news.into_iter().take(RUNS_MAX) {
        let exchanges = by_run.remove(&run.start.id).unwrap_or_default();
        let plan = kept_plan(&store, &run.start.plan).await.map_err(|error| error.to_string())?;
        let story = Story::of(&store, run, plan.map(Arc::new)).await.map_err(|error| error.to_string())?;
        told.push(TriedRun { story, exchanges });
    }
    store.close().await;
    let nothing = || {
        let is_it = told.iter().any(|tried: &TriedRun| is_of(&tried.story.run.start.workflow, &scene.subject));
        (!is_it).then(|| "nothing of this starts it".to_owned())
    };
    let why = unmet.map(|unmet| unmet.told.join("; ")).or_else(nothing);
    Ok(Tried { runs: told, left_out, why })
}
