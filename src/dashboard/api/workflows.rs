//! Workflows: those that are active, and one of them started by hand.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{answer, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::engine::{ByHandError, Whose};
use crate::store::Run;
use crate::story::{self, shown};
use crate::workflow::{Starts, Workflow};

pub async fn list(ask: Ask) -> Result<Response, Problem> {
    let plan = ask.engine().plan();
    let told = |workflow: &Workflow| json!({ "name": workflow.name, "file": workflow.place.path.to_string(), "started_by": started_by(workflow) });
    Ok(page(plan.workflows.iter().map(told).collect(), None))
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
