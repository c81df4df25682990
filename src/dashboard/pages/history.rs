//! A recipe as it was before: each version, and what it changed.

use axum::response::Response;
use maud::{Markup, html};
use similar::{ChangeTag, TextDiff};

use super::{cut, empty, page, part, said, time};
use crate::dashboard::api;
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::store::Edition;
use crate::story::count;

/// Versions on one page.
const LIMIT: usize = 10;
/// Lines of one difference, and around what has changed.
const LINES_MAX: usize = 200;
const AROUND: usize = 3;
const LINE_MAX: usize = 300;
/// Longer texts are not compared.
const TEXT_MAX: usize = 200_000;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let name = ask.owned("workflow").unwrap_or_default();
    let (path, editions, next) = api::workflows::editions_of(&ask, LIMIT).await?;
    let shown = editions.len().min(LIMIT);
    let content = html! {
        p.path { a href="/workflows" { "Workflows" } " · " a href=(format!("/workflows/{}", part(&name))) { (said(&name)) } }
        h1 { "History of " (said(&name)) }
        p.lead { (said(&path)) ", each time that " code { "serve" } " took it up in another form." }
        @if editions.is_empty() { (empty("No versions here", html! { "The first is kept when " code { "serve" } " begins." })) }
        @for (at, edition) in editions[..shown].iter().enumerate() {
            section.card { (told(edition, editions.get(at + 1), at == 0 && ask.number("cursor").is_none())) }
        }
        @if let Some(next) = next { p.more { a href=(format!("/workflows/{}/history?cursor={next}", part(&name))) rel="next" { "What was before" } } }
    };
    Ok(page(&ask, "/workflows", &format!("History of {name}"), false, content))
}

/// One version, and what is other than in the one before.
fn told(edition: &Edition, before: Option<&Edition>, is_now: bool) -> Markup {
    html! {
        h2 { (time(edition.at_ms)) @if is_now { " " span.badge.good { "now" } } }
        @match before {
            None => { p.quiet { "The first that is known, " (count(edition.text.lines().count(), "line")) "." } }
            Some(before) if before.text.len().max(edition.text.len()) > TEXT_MAX => { p.quiet { "It is too long to be compared." } }
            Some(before) => { (differing(&before.text, &edition.text)) }
        }
    }
}

fn differing(before: &str, now: &str) -> Markup {
    let difference = TextDiff::configure()
        .deadline(std::time::Instant::now() + std::time::Duration::from_millis(100))
        .diff_lines(before, now);
    let groups = difference.grouped_ops(AROUND);
    let all: Vec<_> = groups.iter().flatten().flat_map(|op| difference.iter_changes(op)).collect();
    let number = |tag: ChangeTag| all.iter().filter(|change| change.tag() == tag).count();
    let (added, taken) = (number(ChangeTag::Insert), number(ChangeTag::Delete));
    html! {
        p.quiet { (count(added, "line")) " added, " (count(taken, "line")) " taken away" }
        pre.difference {
            @for change in all.iter().take(LINES_MAX) {
                @let line = cut(change.value().trim_end_matches(['\n', '\r']), LINE_MAX);
                @match change.tag() {
                    ChangeTag::Insert => { ins { "+ " (said(&line)) "\n" } }
                    ChangeTag::Delete => { del { "- " (said(&line)) "\n" } }
                    ChangeTag::Equal => { span { "  " (said(&line)) "\n" } }
                }
            }
        }
        @if all.len() > LINES_MAX { p.quiet { "and " (count(all.len() - LINES_MAX, "more line")) } }
    }
}
