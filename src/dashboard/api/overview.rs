//! How things stand: numbers, workflows, accounts, and who has done what.

use axum::response::Response;
use serde_json::{Value, json};

use super::{LIMIT, answer, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::engine::{AccountHealth, Standing, Watched};
use crate::http::Left;
use crate::store::{Deed, Questions};
use crate::story::{self, shown};

/// More questions than these are told as so many.
pub const QUESTIONS_MAX: usize = 1_000;
/// Workflows watched for silence that are told.
pub const WATCHED_MAX: usize = 50;

pub async fn summary(ask: Ask) -> Result<Response, Problem> {
    let counts = ask.window.counts().await?;
    let measures = ask.engine().measures().await?;
    let questions = ask.store().count_questions(Questions::Open, QUESTIONS_MAX).await?;
    let pace = ask.engine().pace();
    let watched = ask.engine().watched_for_silence(WATCHED_MAX).await?;
    Ok(answer(json!({
        "project": ask.engine().plan().name,
        "is_ready": measures.is_ready,
        "has_refused_changes": ask.window.documents.refused().is_some(),
        "runs": {
            "pending": counts.pending, "completed": counts.completed, "skipped": counts.skipped,
            "failed": counts.failed, "dropped": counts.dropped,
        },
        "due": measures.store.due,
        "waiting": measures.store.waiting,
        "oldest_due_seconds": measures.lag.as_secs(),
        "open_questions": questions,
        "ended_by_minute": pace.iter().map(|minute| minute.ended).collect::<Vec<_>>(),
        "failed_by_minute": pace.iter().map(|minute| minute.failed).collect::<Vec<_>>(),
        "late_ms_by_minute": pace.iter().map(|minute| minute.late_ms).collect::<Vec<_>>(),
        "at_work": measures.at_work,
        "at_once": measures.at_once,
        "limits": measures.limits.iter().map(limit).collect::<Vec<_>>(),
        "watched": watched.iter().map(told).collect::<Vec<_>>(),
    })))
}

fn limit(left: &Left) -> Value {
    json!({
        "connection": left.connection, "requests": left.requests, "left": left.left, "per_seconds": left.per.as_secs(),
    })
}

fn told(watched: &Watched) -> Value {
    json!({
        "workflow": watched.workflow, "tenant": watched.tenant, "may_be_silent_seconds": watched.span_ms / 1_000,
        "last_run_at": watched.last.map(|(at_ms, _)| shown::instant(at_ms)), "is_silent": is_silent(watched),
    })
}

/// Has it told that nothing came, and has nothing come since?
pub fn is_silent(watched: &Watched) -> bool {
    matches!(watched.last, Some((_, true)))
}

pub async fn connections(ask: Ask) -> Result<Response, Problem> {
    let told = |standing: &Standing| {
        let (health, why) = health(&standing.health);
        json!({
            "name": standing.connection, "connector": standing.connector, "tenant": standing.tenant, "health": health,
            "why": why,
        })
    };
    Ok(page(ask.engine().standings().iter().map(told).collect(), None))
}

/// In one word; and why it is not good.
pub fn health(health: &AccountHealth) -> (&'static str, Option<String>) {
    match health {
        AccountHealth::Good => ("good", None),
        AccountHealth::Down => {
            ("down", Some("its vendor mostly fails: one request asks now and then, all others wait".into()))
        }
        AccountHealth::Refused(why) => ("refused", Some(shown::uncovered(why))),
        AccountHealth::NotConnected => ("not_connected", Some("it must be connected".into())),
    }
}

pub async fn audit(ask: Ask) -> Result<Response, Problem> {
    let (deeds, next) = deeds(&ask, ask.limit(LIMIT)).await?;
    Ok(page(deeds.iter().map(story::deed).collect(), next))
}

/// Who has done what, latest first, and where it goes on.
pub async fn deeds(ask: &Ask, limit: usize) -> Result<(Vec<Deed>, Option<i64>), Problem> {
    let mut deeds = ask.store().deeds(ask.number("cursor"), limit + 1).await?;
    let more = deeds.len() > limit;
    deeds.truncate(limit);
    let next = deeds.last().filter(|_| more).map(|deed| deed.number);
    Ok((deeds, next))
}
