//! What a recipe would do: each run's story, and the requests that it would send.

use maud::{Markup, html};

use super::{badge, cut, run, said, value};
use crate::rehearsal::{Exchange, Tried, TriedRun};
use crate::story::count;

/// Lines and requests of one run, and how long a value may be.
const LINES_MAX: usize = 100;
const EXCHANGES_MAX: usize = 20;
const VALUE_MAX: usize = 3_000;
const WHY_MAX: usize = 600;
/// Runs that are shown whole.
const RUNS_MAX: usize = 5;

pub fn told(tried: &Tried) -> Markup {
    html! {
        p.notice { "Tried between pretend vendors: nothing has left this computer, and nothing is kept." }
        @if let Some(why) = &tried.why { p.notice.bad { (said(&cut(why, WHY_MAX))) } }
        @for tried in tried.runs.iter().take(RUNS_MAX) { (one(tried)) }
        @let more = tried.left_out + tried.runs.len().saturating_sub(RUNS_MAX);
        @if more > 0 { p.quiet { "and " (count(more, "more run")) } }
    }
}

fn one(tried: &TriedRun) -> Markup {
    let TriedRun { story, exchanges } = tried;
    let mut lines = story.lines(crate::dashboard::now_ms());
    // What is sent stands below, with what was answered.
    lines.iter_mut().for_each(|line| line.request = None);
    html! {
        h3 { (said(&story.run.start.workflow)) " " (badge(story.run.status)) }
        ol.story { @for line in lines.iter().take(LINES_MAX) { (run::told(line)) } }
        @if lines.len() > LINES_MAX { p.quiet { "and " (count(lines.len() - LINES_MAX, "more line")) } }
        @if !exchanges.is_empty() {
            h4 { "What it would send" }
            ol.requests { @for exchange in exchanges.iter().take(EXCHANGES_MAX) { (sent(exchange)) } }
            @if exchanges.len() > EXCHANGES_MAX { p.quiet { "and " (count(exchanges.len() - EXCHANGES_MAX, "more request")) } }
        }
    }
}

fn sent(exchange: &Exchange) -> Markup {
    html! {
        li {
            code { (said(&cut(&exchange.line(), WHY_MAX))) }
            @if let Some(body) = exchange.body() { pre { (said(&value(&body, VALUE_MAX))) } }
            p.quiet { "answered: " (said(&cut(&exchange.answered(), WHY_MAX))) }
        }
    }
}
