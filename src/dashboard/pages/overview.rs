//! The first page: what is well, what waits for a person, what happened last.

use axum::response::Response;
use maud::{Markup, html};

use super::{cut, may_operate, page, part, plot, runs, said, time};
use crate::dashboard::api::overview::{QUESTIONS_MAX, WATCHED_MAX, health, is_silent};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::engine::{AccountHealth, Watched};
use crate::store::{Filter, Questions};
use crate::story::shown;

/// Runs that are shown.
const LATEST: usize = 8;
/// Limits that are shown, the scarcest first.
const LIMITS_MAX: usize = 8;
/// Of what is told of changes that are not served, in characters.
const REFUSED_MAX: usize = 4_000;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let counts = ask.window.counts().await?;
    let measures = ask.engine().measures().await?;
    let questions = ask.store().count_questions(Questions::Open, QUESTIONS_MAX).await?;
    let standings = ask.engine().standings();
    let ill: Vec<_> = standings.iter().filter(|standing| standing.health != AccountHealth::Good).collect();
    let latest = ask.store().runs(Filter { limit: LATEST, ..Filter::default() }).await?;
    let lag = measures.lag.as_secs();
    let pace = ask.engine().pace();
    let watched = ask.engine().watched_for_silence(WATCHED_MAX).await?;
    let mut scarce = measures.limits.clone();
    scarce.sort_by_key(|left| left.left * 1_000 / left.requests.max(1));
    scarce.truncate(LIMITS_MAX);
    let content = html! {
        h1 { "Overview" }
        @if !measures.is_ready {
            p.notice.bad { "Nothing can be written down just now: webhooks are refused and will be sent again. The log tells why." }
        }
        @if let Some(why) = ask.window.documents.refused() {
            div.notice.bad {
                p { "What was changed in the project's folder is not served: what was served before goes on." }
                @if may_operate(&ask) { details { summary { "What hinders it" } pre { (said(&cut(&why, REFUSED_MAX))) } } }
            }
        }
        @for standing in &ill {
            p.notice.bad {
                a href="/connections" { (said(&standing.connection)) } " is " (words(&standing.health))
                @if let (_, Some(why)) = health(&standing.health) { ": " (said(&cut(&why, 160))) }
            }
        }
        ul.tiles {
            (tile("/questions", &at_most(questions), "waiting for you", questions > 0))
            (tile("/runs?status=failed", &counts.failed.to_string(), "failed for good", counts.failed > 0))
            (tile("/runs?status=pending", &counts.pending.to_string(), &pending(measures.store.waiting), false))
            (tile("/runs?status=completed", &counts.completed.to_string(), "completed", false))
            (tile("/runs?status=skipped", &counts.skipped.to_string(), "skipped: nothing was to be done", false))
            (tile("/connections", &format!("{}/{}", standings.len() - ill.len(), standings.len()), "accounts are well", !ill.is_empty()))
        }
        @if lag >= 60 {
            p.notice.wait { "The oldest run that is due waits for " (shown::span(i64::try_from(lag * 1_000).unwrap_or(i64::MAX))) "." }
        }
        section.card {
            h2 { "The last hour" }
            (plot::ended(&pace))
            (plot::late(&pace))
            p.quiet {
                (measures.at_work) " of " (measures.at_once) " places at work, "
                @if lag == 0 { "nothing that is due waits" } @else { "the oldest run that is due waits for " (shown::span(i64::try_from(lag * 1_000).unwrap_or(i64::MAX))) }
            }
        }
        @if !watched.is_empty() { (silence(&watched)) }
        @if !scarce.is_empty() {
            section.card {
                h2 { "What is left of limits" }
                @for left in &scarce { (super::connections::left(left, true)) }
            }
        }
        section.card {
            h2 { "Latest runs" }
            (runs::table(&latest, html! {
                "Nothing has run yet. A run begins with an event, or by hand: " code { "dovetail run WORKFLOW" }
            }))
            @if !latest.is_empty() { p.more { a href="/runs" { "All runs" } } }
        }
        p.quiet { "As of " (time(crate::dashboard::now_ms())) }
    };
    Ok(page(&ask, "/", "Overview", true, content))
}

/// Workflows that tell when nothing comes, those first that have told it.
fn silence(watched: &[Watched]) -> Markup {
    let mut watched: Vec<&Watched> = watched.iter().collect();
    watched.sort_by_key(|one| !is_silent(one));
    html! {
        section.card {
            h2 { "Watched for silence" }
            table.rows {
                thead { tr { @for name in ["Workflow", "State", "Tells after", "Last run"] { th scope="col" { (name) } } } }
                tbody {
                    @for one in watched {
                        tr {
                            td.name { a href=(format!("/workflows/{}", part(&one.workflow))) { (said(&one.workflow)) } @if let Some(tenant) = &one.tenant { " for " (said(tenant)) } }
                            td { @if is_silent(one) { span.badge.failed { "silent" } } @else { span.badge.good { "well" } } }
                            td { (shown::span(one.span_ms)) }
                            td.last { @if let Some((at_ms, _)) = one.last { (time(at_ms)) } @else { "not yet" } }
                        }
                    }
                }
            }
        }
    }
}

fn tile(address: &str, number: &str, what: &str, is_urgent: bool) -> Markup {
    html! { li { a class=(if is_urgent { "tile urgent" } else { "tile" }) href=(address) { strong { (number) } span { (what) } } } }
}

fn at_most(number: usize) -> String {
    if number >= QUESTIONS_MAX { format!("{number} or more") } else { number.to_string() }
}

fn pending(waiting: u64) -> String {
    match waiting {
        0 => "not over yet".into(),
        number => format!("not over yet, {number} of them waiting"),
    }
}

/// After "is".
pub fn words(health: &AccountHealth) -> &'static str {
    match health {
        AccountHealth::Good => "well",
        AccountHealth::Down => "down",
        AccountHealth::Refused(_) => "refused",
        AccountHealth::NotConnected => "not connected",
    }
}
