//! What a workflow can use: sought by words, each with YAML to copy.

use std::collections::BTreeSet;

use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded;

use super::{cut, empty, page, said};
use crate::dashboard::api::catalogue::{all, from, some};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::project::catalogue::{Item, Kind};
use crate::story::count;

const LIMIT: usize = 15;
/// Inputs that are named of one item.
const INPUTS_MAX: usize = 30;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let connectors: BTreeSet<String> = all(&ask).await?.iter().filter_map(|item| item.connector.clone()).collect();
    let found = some(&ask).await?;
    let from = from(&ask);
    let shown = &found[from.min(found.len())..found.len().min(from.saturating_add(LIMIT))];
    let next = from + shown.len();
    let actions = found.iter().filter(|item| item.kind == Kind::Action).count();
    let content = html! {
        h1 { "Catalogue" }
        form.filter.search method="get" action="/catalogue" role="search" {
            label { "Search" input type="search" name="search" value=[ask.text("search")] placeholder="contact tag" maxlength="200"; }
            label { "Connector"
                select name="connector" {
                    option value="" { "all" }
                    @for connector in &connectors {
                        option value=(connector) selected[ask.text("connector") == Some(connector)] { (said(connector)) }
                    }
                }
            }
            div.buttons { button { "Find" } }
        }
        p.quiet { (count(actions, "action")) " and " (count(found.len() - actions, "trigger")) }
        @if found.is_empty() { (empty("Nothing holds all these words", html! { "Try fewer words, or " a href="/catalogue" { "look at all" } })) }
        @for item in shown { (told(item)) }
        @if next < found.len() { p.more { a href=(further(&ask, next)) rel="next" { "More" } } }
    };
    Ok(page(&ask, "/catalogue", "Catalogue", false, content))
}

fn told(item: &Item) -> Markup {
    let kind = if item.kind == Kind::Action { "action" } else { "trigger" };
    html! {
        article.card {
            h2 { (said(&item.name)) " " span.badge { (kind) } }
            @if let Some(description) = &item.description { p { (said(&cut(description, 600))) } }
            p.quiet {
                @if let Some(connector) = &item.connector { "of " (said(connector)) } @else { "in every project" }
                @if let (Some(method), Some(path)) = (&item.method, &item.path) { " · " code { (said(method)) " " (said(path)) } }
                @if let Some(noticed) = &item.noticed { " · " (said(noticed)) }
                @if let Some(scope) = &item.scope { " · scope " (said(scope)) }
            }
            pre.yaml { (said(&cut(&item.example, 2_000))) }
            @if !item.inputs.is_empty() {
                details {
                    summary { "What it takes" }
                    dl.facts {
                        @for input in item.inputs.iter().take(INPUTS_MAX) {
                            dt { (said(&input.name)) }
                            dd { (said(&input.takes)) @if input.required { ", required" }
                                @if let Some(description) = &input.description { ". " (said(&cut(description, 120))) } }
                        }
                    }
                    @if item.inputs.len() > INPUTS_MAX { p.quiet { "and " (item.inputs.len() - INPUTS_MAX) " more: " code { "dovetail catalog" } } }
                }
            }
        }
    }
}

fn further(ask: &Ask, next: usize) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix("/catalogue?".to_owned(), "/catalogue?".len());
    for name in ["search", "connector"] {
        if let Some(value) = ask.text(name) {
            query.append_pair(name, value);
        }
    }
    query.append_pair("cursor", &next.to_string()).finish()
}
