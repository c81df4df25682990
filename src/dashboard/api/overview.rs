//! How things stand: numbers, workflows, accounts, and who has done what.

use axum::response::Response;
use serde_json::{Value, json};

use super::{LIMIT, answer, page};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::engine::{AccountHealth, Standing};
use crate::store::Questions;
use crate::story::{self, shown};

/// More questions than these are told as so many.
pub const QUESTIONS_MAX: usize = 1_000;

pub async fn summary(ask: Ask) -> Result<Response, Problem> {
    let counts = ask.window.counts().await?;
    let measures = ask.engine().measures().await?;
    let questions = ask.store().count_questions(Questions::Open, QUESTIONS_MAX).await?;
    let pace = ask.engine().pace();
    Ok(answer(json!({
        "project": ask.engine().plan().name,
        "is_ready": measures.is_ready,
        "runs": {
            "pending": counts.pending, "completed": counts.completed, "skipped": counts.skipped,
            "failed": counts.failed, "dropped": counts.dropped,
        },
        "due": measures.store.due,
        "waiting": measures.store.waiting,
        "oldest_due_seconds": measures.lag.as_secs(),
        "open_questions": questions,
        "ended_by_minute": pace.iter().map(|[all, _]| all).collect::<Vec<_>>(),
        "failed_by_minute": pace.iter().map(|[_, failed]| failed).collect::<Vec<_>>(),
    })))
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
    let limit = ask.limit(LIMIT);
    let mut deeds = ask.store().deeds(ask.number("cursor"), limit + 1).await?;
    let more = deeds.len() > limit;
    deeds.truncate(limit);
    let next = deeds.last().filter(|_| more).map(|deed| deed.number);
    let told: Vec<Value> = deeds.iter().map(story::deed).collect();
    Ok(page(told, next))
}
