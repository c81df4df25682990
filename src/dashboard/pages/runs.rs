//! Runs: filtered, page by page, newest first.

use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded;

use super::{badge, csrf, cut, empty, may_operate, on_to, page, said, time};
use crate::dashboard::api::{self, runs::Fate};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::store::{Run, Status};
use crate::story::shown;

const LIMIT: usize = 30;
/// What runs that are tried again together have in common.
const IN_COMMON: [&str; 7] = ["workflow", "tenant", "connection", "record", "error", "since", "until"];
/// What can be asked for, in the order of the form: its name, what it is called, and an example.
const TEXTS: [(&str, &str, &str); 3] =
    [("record", "Record", "id of a record"), ("connection", "Account", "name"), ("since", "Since", "2h, or a date")];

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let (found, next) = api::runs::some(&ask, ask.limit(LIMIT)).await?;
    let plan = ask.engine().plan();
    let asked = |name: &str| written(&ask, name);
    let names: Vec<&str> = ["status"].into_iter().chain(IN_COMMON).collect();
    let is_filtered = names.iter().any(|name| asked(name).is_some());
    let content = html! {
        h1 { "Runs" }
        form.filter method="get" action="/runs" role="search" {
            label { "State"
                select name="status" {
                    option value="" { "all" }
                    @for word in ["pending", "completed", "skipped", "failed", "dropped"] {
                        option value=(word) selected[ask.text("status") == Some(word)] { (word) }
                    }
                }
            }
            label { "Workflow"
                input name="workflow" list="workflows" maxlength="200" value=[ask.text("workflow")];
                datalist #workflows { @for workflow in plan.workflows.iter().take(200) { option value=(workflow.name) {} } }
            }
            @for (name, called, example) in TEXTS {
                label { (called) input name=(name) placeholder=(example) maxlength="200" value=[asked(name)]; }
            }
            div.buttons {
                button { "Find" }
                @if is_filtered { a.button.plain href="/runs" { "Show all" } }
            }
        }
        @if ask.text("status") == Some("failed") && found.len() > 1 && may_operate(&ask) { (together(&ask, &found, next.is_some())) }
        section.card {
            (table(&found, nothing(is_filtered, next.is_some())))
            @if let Some(next) = next {
                p.more { a href=(further(&ask, &names, next)) rel="next" { "Older runs" } }
            }
        }
    };
    Ok(page(&ask, "/runs", "Runs", ask.number("cursor").is_none(), content))
}

/// What becomes of all that are shown; and of all that are like them, if there are more.
fn together(ask: &Ask, found: &[Run], is_more: bool) -> Markup {
    let numbers: Vec<String> = found.iter().map(|run| run.seq.to_string()).collect();
    let numbers = numbers.join(",");
    let newest = found.iter().map(|run| run.seq).max().unwrap_or_default();
    html! {
        @if is_more {
            div.acts {
                form method="post" action="/dead-letters/retry" {
                    (csrf(ask.who.as_ref()))
                    input type="hidden" name="up_to" value=(newest);
                    @for name in IN_COMMON { @if let Some(value) = written(ask, name) { input type="hidden" name=(name) value=(value); } }
                    button { "Try all of these again, older ones too" }
                    span.quiet { " at most the newest " (api::runs::ALL_MAX) }
                }
            }
        }
        div.acts {
            @for (at, (verb, name)) in [("retry", "Try these"), ("drop", "Give these")].into_iter().enumerate() {
                form method="post" action=(format!("/dead-letters/{verb}")) {
                    (csrf(ask.who.as_ref()))
                    input type="hidden" name="runs" value=(numbers);
                    button.plain[at > 0] { (name) " " (found.len()) @if at == 0 { " again" } @else { " up" } }
                }
            }
        }
    }
}

pub async fn retry_all(ask: Ask) -> Result<Response, Problem> {
    api::runs::become_of_all(&ask, Fate::Retry).await?;
    Ok(on_to("/runs"))
}

pub async fn give_all_up(ask: Ask) -> Result<Response, Problem> {
    api::runs::become_of_all(&ask, Fate::Drop).await?;
    Ok(on_to("/runs?status=failed"))
}

fn nothing(is_filtered: bool, is_more: bool) -> Markup {
    html! {
        @match (is_filtered, is_more) {
            (_, true) => { "Not among those that were looked at. Look at older ones." }
            (true, _) => { "Show " a href="/runs" { "all runs" } ", or look for something else." }
            (false, _) => { "A run begins with an event, or by hand: " code { "dovetail run WORKFLOW" } }
        }
    }
}

/// What was asked, as it may be asked again.
fn written(ask: &Ask, name: &str) -> Option<String> {
    ask.owned(name).or_else(|| ask.number(name).map(shown::instant))
}

fn further(ask: &Ask, names: &[&str], next: i64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in names {
        if let Some(value) = written(ask, name) {
            query.append_pair(name, &value);
        }
    }
    if let Some(limit) = ask.number("limit") {
        query.append_pair("limit", &limit.to_string());
    }
    query.append_pair("cursor", &next.to_string());
    format!("/runs?{}", query.finish())
}

/// Runs one below the other; without any, what to do.
pub fn table(runs: &[Run], what_now: Markup) -> Markup {
    if runs.is_empty() {
        return empty("No runs here", what_now);
    }
    html! {
        table.rows {
            thead {
                tr {
                    @for name in ["No", "State", "Workflow", "About", "Accepted"] { th scope="col" { (name) } }
                }
            }
            tbody { @for run in runs { (row(run)) } }
        }
    }
}

fn row(run: &Run) -> Markup {
    let failed = run.ending.as_ref().filter(|_| run.status == Status::Failed);
    html! {
        tr {
            td.number { a href=(format!("/runs/{}", run.seq)) { (run.seq) } }
            td { (badge(run.status)) }
            td.wide.name { (said(&run.start.workflow)) }
            td.wide {
                (said(&cut(&shown::about(&run.start), 200)))
                @if let Some(ending) = failed { div.why { (said(&cut(&shown::ending(ending), 200))) } }
            }
            td.last { (time(run.start.created_ms)) }
        }
    }
}
