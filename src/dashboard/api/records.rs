//! Records that syncs keep alike: both sides as one.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{LIMIT, answer, page};
use crate::dashboard::LOOKED_AT_MAX;
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::run::RecordRef;
use crate::store::{Filter, Place, Run, Shared, Status};
use crate::story::shown;
use crate::sync::{Question, Which};

/// The latest runs about a record, among which is looked for one of a sync.
const LATEST: usize = 200;
/// Runs that are told of one record.
const RUNS_MAX: usize = 20;
/// Stories that are told, if nobody says; and at most.
const STORIES: usize = 10;
const STORIES_MAX: usize = 50;

/// A pair, and how it stands.
pub struct Pair {
    pub shared: Shared,
    /// The last run of a sync about it.
    pub last: Option<Run>,
    pub state: State,
    pub fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    InStep,
    /// A person must say something.
    Asked,
    Failed,
    UnderWay,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::InStep => "in_step",
            State::Asked => "asked",
            State::Failed => "failed",
            State::UnderWay => "under_way",
        }
    }
}

/// A field on both sides.
pub struct Field {
    pub names: [String; 2],
    /// As last agreed, by side.
    pub values: [Value; 2],
    /// What both sides have changed it to since, and the question about that.
    pub differing: Option<([Value; 2], i64)>,
}

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    let (pairs, next) = some(&ask, ask.limit(LIMIT)).await?;
    Ok(answer(json!({ "items": pairs.iter().map(told).collect::<Vec<_>>(), "next": next })))
}

/// Those that are asked for, and the cursor of the next page.
pub async fn some(ask: &Ask, limit: usize) -> Result<(Vec<Pair>, Option<String>), Problem> {
    let search = ask.text("search").map(str::trim).filter(|text| !text.is_empty());
    if let Some(record) = search.and_then(named) {
        let found = ask.store().shared_of(&record).await?;
        if !found.is_empty() {
            return Ok((standing(ask, found).await?, None));
        }
    }
    let after = match ask.text("cursor") {
        Some(cursor) => place(cursor).ok_or_else(|| Problem::bad("`cursor` is none that a page has said"))?,
        None => Place::default(),
    };
    let (found, next) = ask.store().shared(search.map(Into::into), after, (limit, LOOKED_AT_MAX)).await?;
    let next = next.map(|place| URL_SAFE_NO_PAD.encode(json!(place).to_string()));
    Ok((standing(ask, found).await?, next))
}

fn place(cursor: &str) -> Option<Place> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// `CONNECTION/OBJECT/ID`.
fn named(text: &str) -> Option<RecordRef> {
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    Some(RecordRef { connection: parts.next()?, object: parts.next()?, id: parts.next()? })
}

/// How pairs stand, by what is open and by the latest run of a sync about either half.
async fn standing(ask: &Ask, found: Vec<Shared>) -> Result<Vec<Pair>, Problem> {
    let halves = found.iter().flat_map(|shared| shared.known.pair.clone()).collect();
    let latest = ask.store().latest_about(halves, LATEST).await?;
    let pair = |(shared, latest): (Shared, &[Option<Run>])| {
        let last = latest.iter().flatten().max_by_key(|run| run.seq).cloned();
        let state = match last.as_ref().map(|run| run.status) {
            _ if !shared.open.is_empty() => State::Asked,
            Some(Status::Failed) => State::Failed,
            Some(Status::Pending) => State::UnderWay,
            _ => State::InStep,
        };
        Pair { fields: fields(ask, &shared), shared, last, state }
    };
    Ok(found.into_iter().zip(latest.chunks(2)).map(pair).collect())
}

/// The fields that tell most at the front, those that are blank on both sides at the end.
fn fields(ask: &Ask, shared: &Shared) -> Vec<Field> {
    let plan = ask.engine().plan();
    let [first, _] = &shared.known.pair;
    let reconcile = plan
        .syncing_of(first)
        .map(|(_, reconcile)| reconcile)
        .find(|reconcile| reconcile.sync.name == shared.known.sync && reconcile.side == Which::First);
    let other = |name: &str| {
        let fields = reconcile.map(|reconcile| reconcile.pair().fields.as_slice()).unwrap_or_default();
        let found = fields.iter().find(|field| field.names[0] == name);
        found.map_or_else(|| name.to_owned(), |field| field.names[1].clone())
    };
    let asked = |name: &str| {
        shared.open.iter().find_map(|asked| match &asked.question {
            Question::Conflict { names, values, .. } if names[0] == name => Some((values.clone(), asked.number)),
            _ => None,
        })
    };
    let field = |(name, values): (&String, &[Value; 2])| Field {
        names: [name.clone(), other(name)],
        values: values.clone(),
        differing: asked(name),
    };
    let mut all: Vec<Field> = shared.pact.agreed.iter().map(field).collect();
    for open in &shared.open {
        if let Question::Conflict { names, values, .. } = &open.question
            && !shared.pact.agreed.contains_key(&names[0])
        {
            let differing = Some((values.clone(), open.number));
            all.push(Field { names: names.clone(), values: [Value::Null, Value::Null], differing });
        }
    }
    all.sort_by_key(|field| (field.differing.is_none() && field.is_blank(), rank(&field.names[0])));
    all
}

impl Field {
    pub fn is_blank(&self) -> bool {
        self.values.iter().all(Value::is_null)
    }

    /// A person's own name.
    pub fn is_name(&self) -> bool {
        let name = self.names[0].to_lowercase();
        ["firstname", "first_name", "lastname", "last_name", "name"].contains(&name.as_str())
    }

    /// Both sides write it in the same way.
    pub fn is_alike(&self) -> bool {
        self.differing.is_none() && self.values[0] == self.values[1]
    }
}

/// By words that name what people know a record by.
fn rank(name: &str) -> usize {
    let name = name.to_lowercase();
    let words = ["firstname", "first_name", "lastname", "last_name", "name", "mail", "phone", "title", "body", "tag"];
    words.iter().position(|word| name.contains(word)).unwrap_or(words.len())
}

/// What is known of one record, from both sides.
pub struct Known {
    pub record: RecordRef,
    pub pairs: Vec<Pair>,
    pub under: Vec<Pair>,
    /// Where what lives under it goes on.
    pub next: Option<i64>,
    /// Of both sides, newest first.
    pub runs: Vec<Run>,
}

/// The one that is named.
pub async fn one(ask: &Ask, limit: usize) -> Result<Known, Problem> {
    let record = record(ask);
    let found = ask.store().shared_of(&record).await?;
    if found.is_empty() {
        return Err(Problem::unknown("record in a pair"));
    }
    let (from, count) = (ask.number("cursor").unwrap_or_default(), i64::try_from(limit).unwrap_or(i64::MAX));
    let (mut under, mut more) = (Vec::new(), false);
    for known in found.iter().map(|shared| &shared.known) {
        let some = ask.store().shared_under(known, from, count.saturating_add(1)).await?;
        more |= some.len() > limit;
        under.extend(some.into_iter().take(limit));
    }
    let runs = runs_of(ask, &found, RUNS_MAX).await?;
    let pairs = standing(ask, found).await?;
    let under = standing(ask, under).await?;
    Ok(Known { record, pairs, under, next: more.then(|| from.saturating_add(count)), runs })
}

/// Runs about the halves of all its pairs, or about what lives under them, newest first: those before what is asked for as `before`.
async fn runs_of(ask: &Ask, found: &[Shared], limit: usize) -> Result<Vec<Run>, Problem> {
    let mut halves: Vec<&RecordRef> = found.iter().flat_map(|shared| &shared.known.pair).collect();
    halves.sort_by_key(|half| half.to_string());
    halves.dedup();
    let mut all = Vec::new();
    for half in halves {
        let (connection, record) = (Some(half.connection.clone()), Some(half.id.clone()));
        let filter = Filter { connection, record, limit, before: ask.number("before"), ..Filter::default() };
        let (runs, _) = ask.runs(filter).await?;
        all.extend(runs);
    }
    all.sort_by_key(|run| std::cmp::Reverse(run.seq));
    all.dedup_by_key(|run| run.seq);
    all.truncate(limit);
    Ok(all)
}

/// Why it is as it is: its latest runs, each with its whole journal.
pub async fn story(ask: Ask) -> Result<Response, Problem> {
    let limit = ask.limit(STORIES).min(STORIES_MAX);
    let found = ask.store().shared_of(&record(&ask)).await?;
    if found.is_empty() {
        return Err(Problem::unknown("record in a pair"));
    }
    let runs = runs_of(&ask, &found, limit.saturating_add(1)).await?;
    let next = (runs.len() > limit).then(|| runs[limit - 1].seq);
    let mut items = Vec::new();
    for run in runs.into_iter().take(limit) {
        items.push(ask.story(run).await?.as_value());
    }
    Ok(page(items, next))
}

fn record(ask: &Ask) -> RecordRef {
    let part = |name: &str| ask.owned(name).unwrap_or_default();
    RecordRef { connection: part("connection"), object: part("object"), id: part("id") }
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let known = one(&ask, ask.limit(LIMIT)).await?;
    let runs: Vec<Value> = known.runs.iter().map(|run| Value::Object(shown::run(run))).collect();
    Ok(answer(json!({
        "record": known.record.to_string(),
        "pairs": known.pairs.iter().map(told).collect::<Vec<_>>(),
        "under": known.under.iter().map(told).collect::<Vec<_>>(),
        "next": known.next,
        "runs": runs,
    })))
}

fn told(pair: &Pair) -> Value {
    let Shared { known, open, .. } = &pair.shared;
    let fields = pair.fields.iter().map(|field| {
        let secret = |values: &[Value; 2]| {
            let [one, other] = &field.names;
            json!([shown::field(one, &values[0]), shown::field(other, &values[1])])
        };
        json!({
            "names": field.names,
            "agreed": secret(&field.values),
            "differing": field.differing.as_ref().map(|(values, _)| secret(values)),
            "question": field.differing.as_ref().map(|(_, number)| number),
        })
    });
    json!({
        "sync": known.sync,
        "tenant": known.tenant,
        "pair": known.pair.each_ref().map(ToString::to_string),
        "state": pair.state.word(),
        "questions": open.iter().map(|asked| asked.number).collect::<Vec<_>>(),
        "last_run": pair.last.as_ref().map(|run| run.seq),
        "last_run_at": pair.last.as_ref().map(|run| shown::instant(run.start.created_ms)),
        "fields": fields.collect::<Vec<_>>(),
    })
}
