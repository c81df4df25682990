//! Plans: what a sync would do about all records, and the button that has it done.

use std::sync::Arc;

use axum::response::Response;
use maud::{Markup, html};

use super::{csrf, cut, empty, may_operate, on_to, page, said, time};
use crate::dashboard::ask::Ask;
use crate::dashboard::plans::{self, Kept, State};
use crate::dashboard::problem::Problem;
use crate::engine::{PairSurveyed, Surveyed};
use crate::story::{count, shown, survey};

/// Differences on one page.
const ITEMS: usize = 100;
const LINE_MAX: usize = 300;
const FIELDS_MAX: usize = 20;
const WHY_MAX: usize = 600;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let kept = ask.window.plans.all();
    let content = html! {
        h1 { "Plans" }
        p.lead { "What a sync would do about all records of both sides. Nothing is written before a plan is applied." }
        @if may_operate(&ask) { (form(&ask)) }
        section.card {
            @if kept.is_empty() {
                (empty("No plans here", html! { "Make one, and look at it before you apply it." }))
            } @else {
                table.rows {
                    thead { tr { @for name in ["Plan", "State", "Of", "To bring into line", "Made"] { th scope="col" { (name) } } } }
                    tbody { @for one in &kept { (row(one)) } }
                }
            }
            p.quiet { "The latest are kept, as long as " code { "serve" } " runs." }
        }
    };
    Ok(page(&ask, "/plans", "Plans", false, content))
}

fn form(ask: &Ask) -> Markup {
    let plan = ask.engine().plan();
    let tenants: Vec<&str> = plan.tenants.iter().map(|tenant| tenant.name.as_str()).take(200).collect();
    html! {
        @if plan.syncs.is_empty() {
            p.notice { "This project has no active sync." }
        } @else {
            form.filter method="post" action="/plans" {
                (csrf(ask.who.as_ref()))
                label { "Sync" select name="sync" { @for sync in plan.syncs.iter().take(200) { option selected[ask.text("sync") == Some(&sync.name)] { (said(&sync.name)) } } } }
                @if !tenants.is_empty() {
                    label { "Tenant" select name="tenant" { option value="" { "the only one" } @for tenant in tenants { option { (said(tenant)) } } } }
                }
                label { "What lives under the records"
                    select name="deep" { option value="no" { "left out" } option value="yes" { "looked at, too" } }
                }
                div.buttons { button { "Make a plan" } }
            }
        }
    }
}

fn row(kept: &Kept) -> Markup {
    let state = kept.state();
    html! {
        tr {
            td.number { a href=(format!("/plans/{}", kept.number)) { (kept.number) } }
            td { (badge(&state)) }
            td.wide { (said(&kept.sync)) @if let Some(tenant) = &kept.tenant { " for " (said(tenant)) } }
            td { @if let Some(surveyed) = state.surveyed() { (survey::to_do(surveyed)) } }
            td.last { (time(kept.asked_ms)) }
        }
    }
}

fn badge(state: &State) -> Markup {
    let class = match state {
        State::Looking | State::Applying(_) => "badge pending",
        State::Applied(..) => "badge good",
        State::Failed(_) => "badge failed",
        State::Ready(_) => "badge",
    };
    html! { span class=(class) { (state.word()) } }
}

pub async fn tell(ask: Ask) -> Result<Response, Problem> {
    let kept = plans::one(&ask)?;
    let state = kept.state();
    let from = ask.number("cursor").and_then(|cursor| usize::try_from(cursor).ok()).unwrap_or_default();
    let title = format!("Plan {} of {}", kept.number, kept.sync);
    let content = html! {
        p.path { a href="/plans" { "Plans" } }
        h1 { (said(&title)) " " (badge(&state)) }
        p.lead {
            "Asked for by " (said(&kept.who)) ", " (time(kept.asked_ms))
            @if let Some(tenant) = &kept.tenant { ", for " (said(tenant)) }
        }
        @match &state {
            State::Looking => { p.notice.wait data-soon="" { "All records of both sides are being read, within the limits of the accounts: " (kept.progress.records()) " so far." } }
            State::Applying(_) => { p.notice.wait data-soon="" { "Both sides are looked at once more, and what the plan says is begun: " (count(kept.progress.records(), "record")) " so far." } }
            State::Failed(why) => { p.notice.bad { (said(&cut(&shown::uncovered(why), WHY_MAX))) } p { a.button href="/plans" { "Make another" } } }
            State::Applied(surveyed, runs) => {
                p.notice.good { (count(*runs, "run")) " begun: " a href="/runs" { "see how they go" } ". From now on " (said(&surveyed.sync)) " acts." }
            }
            State::Ready(surveyed) => { (ready(&ask, &kept, surveyed)) }
        }
        @if let Some(surveyed) = state.surveyed() { (found(&kept, surveyed, from)) }
    };
    Ok(page(&ask, "/plans", &title, state.is_at_work(), content))
}

/// What it takes, and the button.
fn ready(ask: &Ask, kept: &Kept, surveyed: &Surveyed) -> Markup {
    let to_do = survey::to_do(surveyed);
    let seconds = i64::try_from(surveyed.seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    html! {
        p {
            @if to_do == 0 { "There is nothing to do. To apply it has the sync act from now on." }
            @else {
                (count(to_do, "record")) " to bring into line, about " (count(survey::requests(surveyed), "request")) " and "
                @if seconds == 0 { "a moment" } @else { (shown::span(seconds)) } ". Nothing was written."
            }
        }
        @if surveyed.pairs.len() <= surveyed.children {
            p.quiet { "What lives under the records is not counted; it is brought into line as well." }
        }
        @if may_operate(ask) {
            form.acts method="post" action=(format!("/plans/{}/apply", kept.number)) {
                (csrf(ask.who.as_ref()))
                input type="hidden" name="hash" value=(surveyed.hash);
                button { "Apply it" }
            }
        }
    }
}

/// What there is, pair of objects by pair, and then each difference.
fn found(kept: &Kept, surveyed: &Arc<Surveyed>, from: usize) -> Markup {
    let all = || surveyed.pairs.iter().flat_map(|pair| pair.survey.items.iter().map(move |item| (pair, item)));
    let number = all().count();
    let shown = number.saturating_sub(from).min(ITEMS);
    html! {
        @for pair in &surveyed.pairs { (table(pair)) }
        section.card {
            h2 { "What is not in line" }
            @if number == 0 { (empty("Both sides are equal", html! { "Nothing would be written." })) }
            ul.differences {
                @for (pair, item) in all().skip(from).take(ITEMS) {
                    @let (sign, about) = survey::item(pair, item);
                    @let (name, fields) = (survey::name(item), survey::fields(item));
                    li {
                        code aria-hidden="true" { (sign) } " " (said(&cut(&about, LINE_MAX)))
                        @if !name.is_empty() { " " strong { (said(&cut(&name, LINE_MAX))) } }
                        @if !fields.is_empty() {
                            ul { @for told in fields.iter().take(FIELDS_MAX) { li { (said(&cut(told, LINE_MAX))) } } }
                        }
                    }
                }
            }
            @if from + shown < number { p.more { a href=(format!("/plans/{}?cursor={}", kept.number, from + shown)) rel="next" { "More of it" } } }
        }
    }
}

fn table(pair: &PairSurveyed) -> Markup {
    let [first, second] = &pair.objects;
    let [one, other] = &pair.connections;
    html! {
        section.card {
            table.rows.numbers {
                thead { tr { th scope="col" { } th scope="col" { (said(&format!("{first} ({one})"))) } th scope="col" { (said(&format!("{second} ({other})"))) } } }
                tbody {
                    @for (name, [one, other]) in survey::rows(pair) { tr { td { (name) } td { (one) } td { (other) } } }
                }
            }
            @let besides = survey::besides(pair);
            @if !besides.is_empty() { p.quiet { (besides.join(" · ")) } }
        }
    }
}

pub async fn make(ask: Ask) -> Result<Response, Problem> {
    let kept = plans::begin(&ask).await?;
    Ok(on_to(&format!("/plans/{}", kept.number)))
}

pub async fn apply(ask: Ask) -> Result<Response, Problem> {
    let kept = plans::apply(&ask).await?;
    Ok(on_to(&format!("/plans/{}", kept.number)))
}
