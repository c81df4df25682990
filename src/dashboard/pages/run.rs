//! One run: what it is about, what it did, and what may become of it.

use axum::response::Response;
use maud::{Markup, html};

use super::{badge, csrf, cut, may_operate, on_to, page, said, time};
use crate::dashboard::api::runs::{self, Fate};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::store::{Run, Status};
use crate::story::{Asked, Line};

/// What is told of a run besides its head.
const VALUES: [&str; 3] = ["record", "body", "inputs"];
/// Lines that are shown at once, and how long one may be.
const LINES_MAX: usize = 100;
const LINE_MAX: usize = 300;
const VALUE_MAX: usize = 6_000;
const BODY_MAX: usize = 1_000;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let run = runs::one(&ask).await?;
    let (number, status) = (run.seq, run.status);
    let from = ask.number("cursor").and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
    let story = ask.story(run).await?;
    let lines = story.lines(crate::dashboard::now_ms());
    let shown = &lines[from.min(lines.len())..lines.len().min(from.saturating_add(LINES_MAX))];
    let next = from + shown.len();
    let (run, event) = (&story.run, &story.run.start.event);
    let content = html! {
        p.path { a href="/runs" { "Runs" } }
        h1 { "Run " (number) " " (badge(status)) }
        p.lead { (said(&run.start.workflow)) ", accepted " (time(run.start.created_ms)) }
        @if may_operate(&ask) { (acts(&ask, run)) }
        section.card {
            h2 { "What happened" }
            @if let Some(why) = &story.unreadable { p.notice.bad { (said(why)) } }
            ol.story start=(from + 1) { @for line in shown { (told(line)) } }
            @if next < lines.len() { p.more { a href=(format!("/runs/{number}?cursor={next}")) rel="next" { "Go on reading" } } }
        }
        section.card {
            h2 { "What it is about" }
            dl.facts {
                @for (name, value) in story.head().iter().filter(|(name, _)| !VALUES.contains(name)) {
                    dt { (name) } dd { (said(&cut(value, LINE_MAX))) }
                }
            }
            @for (name, value) in VALUES.iter().zip([&event.record, &event.body, &run.start.inputs]) {
                @if !value.is_null() {
                    details { summary { "The " (name) } pre { (said(&super::value(value, VALUE_MAX))) } }
                }
            }
        }
        p.quiet { "The same for programs: " a href=(format!("/api/v1/runs/{number}/journal")) { "its journal" } }
    };
    let is_live = status == Status::Pending && from == 0;
    Ok(page(&ask, "/runs", &format!("Run {number}"), is_live, content))
}

pub fn told(line: &Line) -> Markup {
    let kind = match (line.depth, line.is_value) {
        (0, _) => "of-run",
        (1, _) => "of-action",
        (_, true) => "value",
        _ => "part",
    };
    html! {
        li class=(kind) {
            @if let Some(ms) = line.at_ms { (time(ms)) }
            span { (said(&cut(&line.text, LINE_MAX))) }
            @if let Some(asked) = &line.request { (sent(asked)) }
        }
    }
}

/// The request itself; its body where somebody wants to see it.
fn sent(asked: &Asked) -> Markup {
    let line = format!("{} {}", asked.method, asked.url);
    html! {
        @match &asked.body {
            None => { code.sent { (said(&cut(&line, LINE_MAX))) } }
            Some(body) => {
                details.sent {
                    summary { code { (said(&cut(&line, LINE_MAX))) } }
                    pre { (said(&super::value(body, BODY_MAX))) }
                }
            }
        }
    }
}

fn acts(ask: &Ask, run: &Run) -> Markup {
    let number = run.seq;
    let mut all: Vec<(&str, &str, &str)> = match run.status {
        Status::Failed => vec![
            ("retry", "Try again", "It goes on where it failed; what is done stays done."),
            ("drop", "Give up", "It stays readable, and is not tried again."),
        ],
        Status::Pending => vec![("cancel", "End it", "What is done stays done.")],
        _ => Vec::new(),
    };
    let is_active = ask.engine().plan().workflows.iter().any(|workflow| workflow.name == run.start.workflow);
    if run.status != Status::Pending && is_active && runs::can_be_replayed(run) {
        all.push(("replay", "Run it anew", "Another run, from the same event, of the recipe as it is now."));
    }
    html! {
        @if !all.is_empty() {
            div.acts {
                @for (at, (verb, name, what)) in all.iter().enumerate() {
                    form method="post" action=(format!("/runs/{number}/{verb}")) {
                        (csrf(ask.who.as_ref()))
                        button.plain[at > 0 || *verb == "replay"] title=(what) { (name) }
                    }
                }
            }
        }
    }
}

pub async fn retry(ask: Ask) -> Result<Response, Problem> {
    become_of(ask, Fate::Retry).await
}

pub async fn cancel(ask: Ask) -> Result<Response, Problem> {
    become_of(ask, Fate::Cancel).await
}

pub async fn give_up(ask: Ask) -> Result<Response, Problem> {
    become_of(ask, Fate::Drop).await
}

pub async fn replay(ask: Ask) -> Result<Response, Problem> {
    let run = runs::replayed(&ask).await?;
    Ok(on_to(&format!("/runs/{}", run.seq)))
}

async fn become_of(ask: Ask, fate: Fate) -> Result<Response, Problem> {
    let run = runs::become_of(&ask, fate).await?;
    Ok(on_to(&format!("/runs/{}", run.seq)))
}
