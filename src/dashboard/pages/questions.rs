//! What waits for a person: both values side by side, and a button for each answer.

use std::collections::BTreeMap;

use axum::response::Response;
use maud::{Markup, html};

use super::{csrf, cut, empty, may_operate, on_to, page, said, time};
use crate::dashboard::api::questions::{decide, decide_all, is_answered, one, seen, some};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::store::Asked;
use crate::story::{answers, asks, shown};
use crate::sync::Question;

const LIMIT: usize = 20;
const VALUE_MAX: usize = 2_000;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let (open, next) = some(&ask, LIMIT).await?;
    let content = html! {
        h1 { "Questions" }
        p.lead { "What the syncs cannot know. Each answer is acted on at once, and is in the audit under your name." }
        @if open.is_empty() {
            (empty("Nothing waits for you", html! { "Where both sides of a sync have changed the same thing, it is asked here." }))
        }
        @if may_operate(&ask) { (together(&ask, &open)) }
        @for asked in &open { (told(&ask, asked)) }
        @if let Some(next) = next { p.more { a href=(format!("/questions?cursor={next}")) rel="next" { "More questions" } } }
    };
    Ok(page(&ask, "/questions", "Questions", false, content))
}

/// Where several fields were changed on both sides, one side may count for all that are shown.
fn together(ask: &Ask, open: &[Asked]) -> Markup {
    let mut by_side: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for asked in open.iter().filter(|asked| !is_answered(asked)) {
        let Question::Conflict { sides, .. } = &asked.question else { continue };
        for side in sides {
            by_side.entry(side).or_default().push(format!("{}:{}", asked.number, seen(asked)));
        }
    }
    by_side.retain(|_, asked| asked.len() > 1);
    html! {
        @if !by_side.is_empty() {
            div.acts {
                @for (side, asked) in &by_side {
                    form method="post" action="/questions/answer" {
                        (csrf(ask.who.as_ref()))
                        input type="hidden" name="questions" value=(asked.join(","));
                        input type="hidden" name="answer" value=(side);
                        button.plain { "Take those of " (said(&cut(side, 60))) " for all " (asked.len()) }
                    }
                }
            }
        }
    }
}

pub async fn take_all(ask: Ask) -> Result<Response, Problem> {
    decide_all(&ask).await?;
    Ok(on_to("/questions"))
}

fn told(ask: &Ask, asked: &Asked) -> Markup {
    let about = &asked.about;
    let heading = format!("question-{}", asked.number);
    html! {
        article.card aria-labelledby=(heading) {
            h2 id=(heading) { "Question " (asked.number) ": " (said(&about.object)) " " (said(&about.id)) " of " (said(&about.connection)) }
            p.quiet { "of the sync " (said(&asked.sync)) ", asked " (time(asked.asked_ms)) }
            @if let Some([one, other]) = &asked.pair {
                p.quiet { "The pair: " (said(&one.to_string())) " and " (said(&other.to_string())) }
            }
            @if is_answered(asked) {
                p.notice.good { "Answered, and acted on." }
            } @else if let Question::Conflict { sides, names, values } = &asked.question {
                p { "It was changed on both sides. Which one counts?" }
                div.sides {
                    @for (at, ((side, name), value)) in sides.iter().zip(names).zip(values).enumerate() {
                        div.side {
                            h3 { (said(side)) " " small { (said(name)) } }
                            pre { (said(&super::value(value, VALUE_MAX))) }
                            @if may_operate(ask) { (answer(ask, asked, at, side, &format!("Take that of {side}"), true)) }
                        }
                    }
                }
            } @else {
                p { (said(&shown::uncovered(&asks(&asked.question)))) }
                @if may_operate(ask) {
                    div.acts {
                        @for (at, may) in answers(&asked.question).iter().enumerate() {
                            (answer(ask, asked, at, may, &meaning(may), at == 0))
                        }
                    }
                }
            }
            @if !may_operate(ask) && !is_answered(asked) { p.quiet { "To answer needs the role operate." } }
        }
    }
}

/// What an answer means, on its button.
fn meaning(may: &str) -> String {
    match may.split_once(' ') {
        Some(("link", "ID")) => "It is this one".into(),
        Some(("link", id)) => format!("It is {id}"),
        _ => match may {
            "create" => "Create it",
            "leave" => "Leave it alone",
            "unlink" => "They are not one",
            "delete" => "Delete it there, too",
            "archive" => "Archive it there",
            "go-on" => "Go on writing",
            other => other,
        }
        .into(),
    }
}

/// A button for one of the answers; where an id belongs to it, with a field for that.
fn answer(ask: &Ask, asked: &Asked, at: usize, may: &str, name: &str, is_first: bool) -> Markup {
    html! {
        form.answer method="post" action=(format!("/questions/{}/answer", asked.number)) {
            (csrf(ask.who.as_ref()))
            input type="hidden" name="seen" value=(seen(asked));
            input type="hidden" name="picked" value=(at + 1);
            @if may.ends_with(ANY_ID) {
                label { "Id of the other half" input name="id" required maxlength="150"; }
                button.plain { (name) }
            } @else {
                button.plain[!is_first] { (said(&cut(name, 60))) }
            }
        }
    }
}

/// What stands for an id in an answer.
const ANY_ID: &str = " ID";

pub async fn take(ask: Ask) -> Result<Response, Problem> {
    let picked = ask.number("picked").and_then(|number| usize::try_from(number - 1).ok()).unwrap_or(usize::MAX);
    let may = answers(&one(&ask).await?.question).get(picked).cloned().unwrap_or_default();
    let said = match (may.strip_suffix(ANY_ID), ask.text("id")) {
        (Some(verb), Some(id)) => format!("{verb} {id}"),
        (Some(_), None) => return Err(Problem::bad("the id of the other half is missing")),
        (None, _) => may,
    };
    decide(&ask, &said).await?;
    Ok(on_to("/questions"))
}
