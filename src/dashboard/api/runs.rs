//! Runs: found, told, and what becomes of them.

use axum::response::Response;
use serde_json::{Value, json};

use super::{LIMIT, answer, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::store::{Filter, Run, Status};
use crate::story::{self, shown};

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    let (runs, next) = some(&ask, ask.limit(LIMIT)).await?;
    Ok(told(&runs, next))
}

pub async fn dead(ask: Ask) -> Result<Response, Problem> {
    let (limit, before) = (ask.limit(LIMIT), ask.number("cursor"));
    let filter = Filter { status: Some(Status::Failed), limit, before, ..Filter::default() };
    let (runs, next) = ask.runs(filter).await?;
    Ok(told(&runs, next))
}

fn told(runs: &[Run], next: Option<i64>) -> Response {
    page(runs.iter().map(|run| Value::Object(shown::run(run))).collect(), next)
}

/// Those that are asked for.
pub async fn some(ask: &Ask, limit: usize) -> Result<(Vec<Run>, Option<i64>), Problem> {
    ask.runs(asked(ask, ask.text("status").and_then(Status::of_word), limit)).await
}

fn asked(ask: &Ask, status: Option<Status>, limit: usize) -> Filter {
    Filter {
        status,
        workflow: ask.owned("workflow"),
        tenant: ask.owned("tenant"),
        connection: ask.owned("connection"),
        record: ask.owned("record"),
        failure: ask.owned("error"),
        since_ms: ask.number("since"),
        until_ms: ask.number("until"),
        limit,
        before: ask.number("cursor"),
    }
}

/// The one that is named.
pub async fn one(ask: &Ask) -> Result<Run, Problem> {
    let name = ask.text("run").unwrap_or_default();
    story::called(ask.store(), name).await?.ok_or_else(|| Problem::unknown("run"))
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    Ok(answer(Value::Object(shown::run(&one(&ask).await?))))
}

pub async fn journal(ask: Ask) -> Result<Response, Problem> {
    let story = ask.story(one(&ask).await?).await?;
    if let Some(why) = &story.unreadable {
        return Err(Problem::conflict(why.clone()));
    }
    let from = ask.number("cursor").and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
    let limit = ask.limit(LIMIT);
    let items = story.entries(from, limit);
    let next = (from + items.len() < story.length()).then_some(from + items.len());
    Ok(answer(json!({ "items": items, "next": next })))
}

pub async fn retry(ask: Ask) -> Result<Response, Problem> {
    become_of(&ask, Fate::Retry).await?;
    show(ask).await
}

pub async fn cancel(ask: Ask) -> Result<Response, Problem> {
    become_of(&ask, Fate::Cancel).await?;
    show(ask).await
}

pub async fn give_up(ask: Ask) -> Result<Response, Problem> {
    become_of(&ask, Fate::Drop).await?;
    show(ask).await
}

pub async fn replay(ask: Ask) -> Result<Response, Problem> {
    Ok(answer(Value::Object(shown::run(&replayed(&ask).await?))))
}

/// Starts the workflow of the run that is named once more, from the same event; gives the new run.
///
/// # Errors
/// It is the event of no account and no webhook, or starts nothing any more.
pub async fn replayed(ask: &Ask) -> Result<Run, Problem> {
    let run = one(ask).await?;
    ask.note("starts a run anew", format!("run {} ({})", run.seq, run.start.workflow)).await?;
    let Some(id) = ask.engine().replay_run(&run).await? else {
        let why =
            "what an account or a webhook has told is started anew, by a workflow that is active: start others by hand";
        return Err(Problem::conflict(why));
    };
    story::called(ask.store(), &id).await?.ok_or_else(|| Problem::unknown("run"))
}

/// Is it an event that can start a run anew?
pub fn can_be_replayed(run: &Run) -> bool {
    run.start.event.connection.is_some() || run.start.event.source.starts_with('/')
}

/// What may become of a run.
#[derive(Clone, Copy)]
pub enum Fate {
    Retry,
    Cancel,
    Drop,
}

/// Several at once, at most.
const TOGETHER_MAX: usize = 200;

pub async fn retry_all(ask: Ask) -> Result<Response, Problem> {
    let done = become_of_all(&ask, Fate::Retry).await?;
    Ok(answer(json!({ "done": done })))
}

pub async fn give_all_up(ask: Ask) -> Result<Response, Problem> {
    let done = become_of_all(&ask, Fate::Drop).await?;
    Ok(answer(json!({ "done": done })))
}

/// Without having been named one by one, at most.
pub const ALL_MAX: usize = 2_000;

/// Has all dead letters that are named, or that are as it is said, go that way; gives the numbers of those that were dead letters
/// still.
///
/// # Errors
/// A name is no number; neither is said, or both.
pub async fn become_of_all(ask: &Ask, fate: Fate) -> Result<Vec<i64>, Problem> {
    let dead = match (ask.text("runs"), ask.number("up_to")) {
        (Some(_), None) => named(ask).await?,
        (None, Some(last)) => alike(ask, last).await?,
        _ => return Err(Problem::bad("say `runs`, or `up_to` with what else they have in common")),
    };
    let numbers: Vec<i64> = dead.iter().map(|run| run.seq).collect();
    if numbers.is_empty() {
        return Ok(numbers);
    }
    let what = if matches!(fate, Fate::Retry) { "tries runs again" } else { "gives runs up" };
    let about: Vec<String> = numbers.iter().map(i64::to_string).collect();
    ask.note(what, format!("runs {}", about.join(", "))).await?;
    let ids: Vec<String> = dead.into_iter().map(|run| run.start.id).collect();
    match fate {
        Fate::Drop => ask.engine().drop_dead(&ids, &ask.by()).await?,
        _ => ask.engine().retry(&ids, &ask.by()).await?,
    }
    Ok(numbers)
}

/// Dead letters up to one of them that have in common what is said, newest first.
async fn alike(ask: &Ask, last: i64) -> Result<Vec<Run>, Problem> {
    let mut all: Vec<Run> = Vec::new();
    let mut before = last.checked_add(1);
    while all.len() < ALL_MAX && before.is_some() {
        let wanted = Filter { before, ..asked(ask, Some(Status::Failed), ALL_MAX - all.len()) };
        let (found, next) = ask.runs(wanted).await?;
        all.extend(found);
        before = next;
    }
    Ok(all)
}

async fn named(ask: &Ask) -> Result<Vec<Run>, Problem> {
    let named = ask.text("runs").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut dead = Vec::new();
    for (at, name) in named.enumerate() {
        if at == TOGETHER_MAX {
            return Err(Problem::bad(format!("`runs` names more than {TOGETHER_MAX}")));
        }
        if !story::is_number(name) {
            return Err(Problem::bad("`runs` must be numbers of runs: `12, 15`"));
        }
        let run = story::called(ask.store(), name).await?;
        dead.extend(
            run.filter(|run| run.status == Status::Failed && !dead.iter().any(|known: &Run| known.seq == run.seq)),
        );
    }
    Ok(dead)
}

/// Has the run that is named go that way.
///
/// # Errors
/// It is in no state for that.
pub async fn become_of(ask: &Ask, fate: Fate) -> Result<Run, Problem> {
    let run = one(ask).await?;
    let (needs, what) = match fate {
        Fate::Retry => (Status::Failed, "tries a run again"),
        Fate::Cancel => (Status::Pending, "ends a run"),
        Fate::Drop => (Status::Failed, "gives a run up"),
    };
    if run.status != needs {
        let (is, number) = (run.status.word(), run.seq);
        return Err(Problem::conflict(format!("run {number} is {is}: this is for runs that are {}", needs.word())));
    }
    ask.note(what, format!("run {} ({})", run.seq, run.start.workflow)).await?;
    let (ids, by) = ([run.start.id.clone()], ask.by());
    let engine = ask.engine();
    match fate {
        Fate::Retry => engine.retry(&ids, &by).await?,
        Fate::Cancel => engine.cancel(&ids, &by).await?,
        Fate::Drop => engine.drop_dead(&ids, &by).await?,
    }
    Ok(run)
}
