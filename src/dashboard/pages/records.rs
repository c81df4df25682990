//! Records that syncs keep alike: what both sides agree on, what they do not, and what has happened.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use url::form_urlencoded;

use super::{cut, empty, page, part, said, time};
use crate::dashboard::api::records::{Field, Known, Pair, State, one, some};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::run::RecordRef;
use crate::story::{Story, asks, count, shown};

const LIMIT: usize = 30;
/// Fields that are told of a pair in a list, and of one that has a page.
const TELLING: usize = 4;
const FIELDS_MAX: usize = 200;
const UNDER_MAX: usize = 20;
const LINE_MAX: usize = 120;
const CALLED_MAX: usize = 60;
const VALUE_MAX: usize = 600;
/// Runs whose story is told, and lines of each.
const STORIES_MAX: usize = 6;
const STORY_LINES_MAX: usize = 40;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let (pairs, next) = some(&ask, ask.limit(LIMIT)).await?;
    let search = ask.text("search");
    let content = html! {
        h1 { "Records" }
        p.lead { "What the syncs keep alike on both sides." }
        form.filter.search method="get" action="/records" role="search" {
            label { "Search" input type="search" name="search" value=[search] placeholder="e-mail, phone, name or id" maxlength="200"; }
            div.buttons {
                button { "Find" }
                @if search.is_some() { a.button.plain href="/records" { "Show all" } }
            }
        }
        section.card {
            (table(&pairs, nothing(search.is_some(), next.is_some())))
            @if let Some(next) = next { p.more { a href=(further(search, &next)) rel="next" { "More records" } } }
        }
    };
    Ok(page(&ask, "/records", "Records", false, content))
}

fn nothing(is_sought: bool, is_more: bool) -> Markup {
    html! {
        @match (is_sought, is_more) {
            (_, true) => { "Not among those that were looked at. Look at more." }
            (true, _) => { "Show " a href="/records" { "all records" } ", or look for a whole value or id." }
            (false, _) => {
                "A sync makes pairs: " code { "dovetail plan SYNC" } " shows what it would do, " code { "dovetail apply SYNC" } " does it."
            }
        }
    }
}

fn further(search: Option<&str>, next: &str) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix("/records?".to_owned(), "/records?".len());
    if let Some(search) = search {
        query.append_pair("search", search);
    }
    query.append_pair("cursor", next).finish()
}

/// Pairs one below the other; without any, what to do.
fn table(pairs: &[Pair], what_now: Markup) -> Markup {
    if pairs.is_empty() {
        return empty("No records here", what_now);
    }
    html! {
        table.rows {
            thead { tr { @for name in ["Record", "State", "Agreed on", "Last run"] { th scope="col" { (name) } } } }
            tbody { @for pair in pairs { (row(pair)) } }
        }
    }
}

fn row(pair: &Pair) -> Markup {
    let [first, _] = &pair.shared.known.pair;
    html! {
        tr {
            td {
                a href=(address(first)) { (said(&called(pair))) }
                div.quiet { (said(&cut(&first.object, 40))) " " (said(&cut(&first.id, 60))) }
            }
            td { (badge(pair.state)) }
            td.wide { (in_short(pair)) }
            td.last { @if let Some(run) = &pair.last { (time(run.start.created_ms)) } }
        }
    }
}

/// What people call it: its names, else what it tells first, else its id.
fn called(pair: &Pair) -> String {
    let names = telling(pair).filter(|field| field.is_name()).map(|field| first(field, CALLED_MAX));
    let names = names.collect::<Vec<_>>().join(" ");
    let named = Some(names).filter(|names| !names.is_empty());
    let named = named.or_else(|| telling(pair).next().map(|field| first(field, CALLED_MAX)));
    named.unwrap_or_else(|| pair.shared.known.pair[0].id.clone())
}

/// The first few fields that tell something besides.
fn in_short(pair: &Pair) -> Markup {
    let called = called(pair);
    let others = telling(pair).filter(|field| !field.is_name()).map(|field| first(field, LINE_MAX));
    let others: Vec<String> = others.filter(|other| *other != called).take(TELLING).collect();
    html! { (said(&others.join(" · "))) }
}

fn telling(pair: &Pair) -> impl Iterator<Item = &Field> {
    pair.fields.iter().filter(|field| !field.is_blank())
}

fn first(field: &Field, room: usize) -> String {
    text(&field.names[0], &field.values[0], room)
}

/// A value as people read it; several texts in one line.
fn text(name: &str, value: &Value, room: usize) -> String {
    let value = shown::field(name, value);
    let texts = value.as_array().and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    match texts.filter(|texts| !texts.is_empty()) {
        Some(texts) => cut(&texts.join(", "), room).into_owned(),
        None => super::value(&value, room),
    }
}

fn badge(state: State) -> Markup {
    let (class, word) = match state {
        State::InStep => ("badge good", "in step"),
        State::Asked => ("badge pending", "a question waits"),
        State::Failed => ("badge failed", "failed"),
        State::UnderWay => ("badge pending", "under way"),
    };
    html! { span class=(class) { (word) } }
}

/// The page of a record. Ids may hold anything.
fn address(record: &RecordRef) -> String {
    format!("/records/{}/{}/{}", part(&record.connection), part(&record.object), part(&record.id))
}

pub async fn tell(ask: Ask) -> Result<Response, Problem> {
    let known = one(&ask, UNDER_MAX).await?;
    let Known { record, pairs, under, next, runs } = &known;
    let mut stories = Vec::new();
    for run in runs.iter().take(STORIES_MAX) {
        stories.push(ask.story(run.clone()).await?);
    }
    let content = html! {
        p.path { a href="/records" { "Records" } }
        h1 { @match pairs.first() { Some(pair) => { (said(&called(pair))) } None => { (said(&record.id)) } } }
        p.lead { (said(&record.object)) " " (said(&record.id)) " of " (said(&record.connection)) }
        @for pair in pairs { (both(pair)) }
        @if !under.is_empty() {
            section.card {
                h2 { "What lives under it" }
                (table(under, html! {}))
                @if let Some(next) = next {
                    p.more { a href=(format!("{}?cursor={next}", address(record))) rel="next" { "More of it" } }
                }
            }
        }
        section.card {
            h2 { "Why it is as it is" }
            @if stories.is_empty() { (empty("No runs here", html! { "No run was about it lately." })) }
            @for (at, story) in stories.iter().enumerate() { (happened(story, at == 0)) }
            @if let Some(last) = stories.last().filter(|_| stories.len() < runs.len()) {
                p.more { a href=(format!("{}?before={}", address(record), last.run.seq)) { "What came before" } }
            }
        }
        p.quiet { "All that is known of it, also from long ago: " code { "dovetail why " (said(&record.to_string())) } }
        p.quiet { "The same for programs: " a href=(format!("/api/v1{}", address(record))) { "this record" } }
    };
    Ok(page(&ask, "/records", &record.to_string(), false, content))
}

/// What one run did about it.
fn happened(story: &Story, is_open: bool) -> Markup {
    let run = &story.run;
    let lines = story.lines(crate::dashboard::now_ms());
    html! {
        details.happened open[is_open] {
            summary {
                (time(run.start.created_ms)) " " (said(&run.start.workflow)) " " (super::badge(run.status)) " "
                span.quiet { (said(&cut(&shown::about(&run.start), LINE_MAX))) }
            }
            ol.story { @for line in lines.iter().take(STORY_LINES_MAX) { (super::run::told(line)) } }
            p.more { a href=(format!("/runs/{}", run.seq)) { "Run " (run.seq) @if lines.len() > STORY_LINES_MAX { ", whole" } } }
        }
    }
}

/// A pair whole: both ids, what waits, and each field.
fn both(pair: &Pair) -> Markup {
    let known = &pair.shared.known;
    let shown = &pair.fields[..pair.fields.len().min(FIELDS_MAX)];
    html! {
        section.card {
            h2 { (said(&known.sync)) " " (badge(pair.state)) }
            dl.facts {
                @for half in &known.pair { dt { (said(&half.connection)) } dd { (said(&half.object)) " " (said(&half.id)) } }
                @if let Some(tenant) = &known.tenant { dt { "tenant" } dd { (said(tenant)) } }
            }
            @for asked in &pair.shared.open {
                p.notice.wait {
                    (said(&cut(&shown::uncovered(&asks(&asked.question)), VALUE_MAX))) " "
                    a href=(decided(asked.number)) { "Decide" }
                }
            }
            h3 { "Fields" }
            dl.facts { @for field in shown { (told(field)) } }
            @if shown.len() < pair.fields.len() { p.quiet { "and " (count(pair.fields.len() - shown.len(), "field")) " more" } }
        }
    }
}

/// The page of questions that begins with this one.
fn decided(number: i64) -> String {
    match number - 1 {
        0 => "/questions".into(),
        before => format!("/questions?cursor={before}"),
    }
}

fn told(field: &Field) -> Markup {
    let [one, _] = &field.names;
    let values = field.differing.as_ref().map_or(&field.values, |(values, _)| values);
    html! {
        dt { (said(one)) }
        @if field.is_alike() {
            dd { (said(&text(one, &values[0], VALUE_MAX))) }
        } @else {
            dd {
                div.sides {
                    @for (name, value) in field.names.iter().zip(values) {
                        div.side { small { (said(name)) } span { (said(&text(name, value, VALUE_MAX))) } }
                    }
                }
                @if field.differing.is_some() { span.quiet { "agreed before: " (said(&text(one, &field.values[0], LINE_MAX))) } }
            }
        }
    }
}
