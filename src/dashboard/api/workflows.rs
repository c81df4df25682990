//! Workflows: those that are active, and one of them started by hand.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{answer, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::drafts;
use crate::dashboard::problem::Problem;
use crate::engine::{ByHandError, Whose};
use crate::store::{Edition, Run};
use crate::story::{self, shown};
use crate::workflow::{Starts, Workflow};

/// Versions that are told, if nobody says; and at most.
const VERSIONS: usize = 10;
const VERSIONS_MAX: usize = 50;

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    let plan = ask.engine().plan();
    let told = |workflow: &Workflow| json!({ "name": workflow.name, "file": workflow.place.path.to_string(), "started_by": started_by(workflow) });
    Ok(page(plan.workflows.iter().map(told).collect(), None))
}

pub async fn syncs(ask: Ask) -> Result<Response, Problem> {
    let plan = ask.engine().plan();
    let told = plan.syncs.iter().map(|sync| {
        let pairs =
            sync.pairs().map(|pair| pair.sides.each_ref().map(|side| format!("{}.{}", side.alias, side.object)));
        json!({ "name": sync.name, "file": sync.place.path.to_string(), "pairs": pairs.collect::<Vec<_>>() })
    });
    Ok(page(told.collect(), None))
}

/// In one word.
fn started_by(workflow: &Workflow) -> &'static str {
    match &workflow.trigger.starts {
        Starts::Event(_) => "event",
        Starts::Webhook { .. } => "webhook",
        Starts::Poll { .. } => "poll",
        Starts::Schedule { .. } => "schedule",
        Starts::Manual { .. } => "hand",
    }
}

/// The versions of the recipe that is named: its path, one more than so many, and where it goes on.
pub async fn editions_of(ask: &Ask, limit: usize) -> Result<(String, Vec<Edition>, Option<i64>), Problem> {
    let (plan, name) = (ask.engine().plan(), ask.text("workflow").unwrap_or_default());
    let place = plan.recipes().find(|(known, _)| *known == name).map(|(_, place)| place);
    let path = place.ok_or_else(|| Problem::unknown("active recipe"))?.path.to_string();
    let editions = ask.store().editions(&path, ask.number("cursor"), limit.saturating_add(1)).await?;
    let next = editions.get(limit).and_then(|_| editions.get(limit - 1)).map(|edition| edition.number);
    Ok((path, editions, next))
}

pub async fn versions(ask: Ask) -> Result<Response, Problem> {
    let limit = ask.limit(VERSIONS).min(VERSIONS_MAX);
    let (_, editions, next) = editions_of(&ask, limit).await?;
    let told = editions.iter().take(limit).map(|edition| {
        json!({ "at": shown::instant(edition.at_ms), "version": drafts::version(&edition.text), "text": edition.text })
    });
    Ok(page(told.collect(), next))
}

pub async fn start(ask: Ask) -> Result<Response, Problem> {
    let run = started(&ask, ask.map("inputs")).await?;
    Ok(answer(Value::Object(shown::run(&run))))
}

/// Starts the workflow that is named, with these inputs, or the record that they tell.
///
/// # Errors
/// There is none; what is given is wrong.
pub async fn started(ask: &Ask, inputs: Map<String, Value>) -> Result<Run, Problem> {
    let name = ask.text("workflow").unwrap_or_default();
    if !ask.engine().plan().workflows.iter().any(|workflow| workflow.name == name) {
        return Err(Problem::unknown("active workflow"));
    }
    ask.note("starts a workflow", name.to_owned()).await?;
    let whose = Whose { tenant: ask.owned("tenant"), connection: ask.owned("connection") };
    let inputs = if inputs.is_empty() { Value::Null } else { Value::Object(inputs) };
    let id = ask.engine().by_hand(name, inputs, &whose).await.map_err(|error| match error {
        ByHandError::Input(why) | ByHandError::Nobody(why) => Problem::bad(why),
        ByHandError::Store(error) => error.into(),
    })?;
    story::called(ask.store(), &id).await?.ok_or_else(|| Problem::unknown("run"))
}
