//! What happened in a test, in the order of time.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::connector::{Request, Response};
use crate::project::Plan;
use crate::run::{Ending, Entry, Fact};
use crate::store::{Filter, Run, Store};

pub type RunId = String;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    pub at_ms: i64,
    /// Whose doing it was: `run 2`.
    pub run: Option<String>,
    pub text: String,
}

/// A request of a run with its answer; the credential, which is attached last, is no part of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub at_ms: i64,
    pub run: RunId,
    /// What the recipe calls the account.
    pub connection: String,
    pub operation: String,
    pub reads: bool,
    pub request: Request,
    /// None: there was none.
    pub answer: Option<Response>,
}

/// Runs that are told, at most.
const RUNS_MAX: usize = 20_000;

/// All runs, the oldest first.
pub async fn runs(store: &Store) -> Vec<Run> {
    let mut runs = store.runs(Filter { limit: RUNS_MAX, ..Filter::default() }).await.unwrap_or_default();
    runs.sort_by_key(|run| run.seq);
    runs
}

/// What was seen from outside, and how the runs began, paused and ended.
pub async fn told(store: &Store, plan: &Plan, runs: &[Run], mut lines: Vec<Line>) -> Vec<Line> {
    let numbers: BTreeMap<&str, i64> = runs.iter().map(|run| (run.start.id.as_str(), run.seq)).collect();
    for line in &mut lines {
        let number = line.run.as_deref().and_then(|run| numbers.get(run));
        line.run = number.map(|number| format!("run {number}"));
    }
    let mut whole: Vec<(i64, u8, Line)> = lines.into_iter().map(|line| (line.at_ms, 1, line)).collect();
    // A list that shows what a webhook has told is no news.
    let is_news = |run: &&Run| run.ending.as_ref().is_none_or(|ending| !ending.is_old_news());
    for run in runs.iter().filter(is_news) {
        let mut add = |at_ms: i64, rank: u8, text: String| {
            whole.push((at_ms, rank, Line { at_ms, run: Some(format!("run {}", run.seq)), text }));
        };
        add(run.start.created_ms, 2, format!("{} begins, {}", run.start.workflow, about(run)));
        for entry in store.journal(&run.start.id).await.unwrap_or_default() {
            if let Some(text) = step(plan, run, &entry) {
                add(entry.at_ms, 3, text);
            }
        }
        if let (Some(ending), Some(ended_ms)) = (&run.ending, run.ended_ms) {
            add(ended_ms, 4, ended(ending));
        }
    }
    whole.sort_by_key(|(at_ms, rank, _)| (*at_ms, *rank));
    whole.into_iter().map(|(.., line)| line).collect()
}

fn about(run: &Run) -> String {
    let event = &run.start.event;
    match (&event.object, &event.record_id) {
        (Some(object), Some(id)) => format!("{object} {id} was {}", event.kind),
        _ if event.source == "manual" => "by hand".into(),
        _ => format!("{} of {}", event.kind, event.source),
    }
}

/// What no request shows.
fn step(plan: &Plan, run: &Run, entry: &Entry) -> Option<String> {
    let place = |address: &str| {
        let workflow = plan.workflow(&run.start.workflow);
        workflow.map_or_else(|| address.to_owned(), |workflow| plan.place_of(workflow, address, None).to_string())
    };
    match &entry.fact {
        Fact::Paused { address, until_ms, why, .. } => {
            Some(format!("{} pauses until {}: {why}", place(address), instant(*until_ms)))
        }
        Fact::Finished { address, failure: Some(failure), .. } => Some(format!("{} failed: {failure}", place(address))),
        Fact::Finished { result, .. } => result.get("why").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

pub fn ended(ending: &Ending) -> String {
    match ending {
        Ending::Completed { value } if value.is_null() => "completed".into(),
        Ending::Completed { value } => format!("completed: {value}"),
        Ending::Skipped { why } => format!("skipped: {why}"),
        Ending::Failed { place, failure, .. } => format!("failed at {place}: {failure}"),
        Ending::Dropped { by } => format!("dropped by {by}"),
    }
}

/// `2026-09-01 10:00:02.010`
pub fn instant(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}
