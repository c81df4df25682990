//! Recipes for programs: read, checked, tried, saved.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer;
use crate::dashboard::ask::Ask;
use crate::dashboard::drafts::{self, Came, Saved, Trying};
use crate::dashboard::problem::Problem;
use crate::dashboard::switch;
use crate::project::Text;
use crate::source::{Report, Severity, render_json};

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let path = ask.owned("path").unwrap_or_default();
    let document = drafts::saved(&ask, path).await?.ok_or_else(|| Problem::unknown("recipe"))?;
    Ok(answer(json!({ "path": document.path, "text": document.text, "version": drafts::version(&document.text) })))
}

pub async fn check(ask: Ask) -> Result<Response, Problem> {
    let report = drafts::check(&ask, draft(&ask)?).await?;
    Ok(answer(findings(&report)))
}

pub async fn try_out(ask: Ask) -> Result<Response, Problem> {
    let Trying { sample, came } = drafts::try_out(&ask, draft(&ask)?, ask.text("sample"), ask.text("given")).await?;
    match came? {
        Came::Tried(tried) => {
            let mut told = tried.as_value();
            told["sample"] = sample;
            Ok(answer(told))
        }
        Came::Wrong(report) => Err(wrong(&report)),
    }
}

pub async fn save(ask: Ask) -> Result<Response, Problem> {
    let draft = draft(&ask)?;
    let version = drafts::version(&draft.text);
    match drafts::save(&ask, draft, ask.owned("version").unwrap_or_default()).await? {
        Saved::Written(came) => Ok(answer(json!({ "version": version, "is_served": came.present, "told": came.told }))),
        Saved::Wrong(report) => Err(wrong(&report)),
    }
}

pub async fn switch_on(ask: Ask) -> Result<Response, Problem> {
    switched(ask, true).await
}

pub async fn switch_off(ask: Ask) -> Result<Response, Problem> {
    switched(ask, false).await
}

async fn switched(ask: Ask, is_on: bool) -> Result<Response, Problem> {
    match switch::switch(&ask, ask.text("workflow").unwrap_or_default(), is_on).await? {
        Saved::Written(came) => Ok(answer(json!({ "is_served": came.present, "told": came.told }))),
        Saved::Wrong(report) => Err(wrong(&report)),
    }
}

pub fn draft(ask: &Ask) -> Result<Text, Problem> {
    drafts::draft(ask.text("path").unwrap_or_default(), ask.owned("text").unwrap_or_default())
}

fn findings(report: &Report) -> Value {
    serde_json::from_str(&render_json(report)).unwrap_or_default()
}

pub fn wrong(report: &Report) -> Problem {
    let mut errors = report.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    let first = errors.next().map_or_else(String::new, |found| {
        let place = found.primary.as_ref();
        let place = place.map_or_else(String::new, |place| format!("{}:{}:{}: ", place.path, place.line, place.column));
        format!("{place}{}", found.message)
    });
    let detail = match errors.count() {
        0 => first,
        more => format!("{first}; and {more} more: `POST /api/v1/checks` tells all"),
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}
