//! The accounts: how each stands, what is left of its limits, and what to do.

use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded;

use super::overview::words;
use super::{cut, empty, page, said};
use crate::dashboard::api::overview::health;
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::engine::{AccountHealth, Standing};
use crate::http::Left;
use crate::story::shown;

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let standings = ask.engine().standings();
    let limits = ask.engine().measures().await?.limits;
    let content = html! {
        h1 { "Connections" }
        @if standings.is_empty() {
            (empty("No accounts", html! { "An account is written under " code { "connections:" } " in dovetail.yaml." }))
        }
        ul.cards { @for standing in &standings { (told(standing, &limits)) } }
        @if !standings.is_empty() {
            p.quiet { "As requests of now have shown. " code { "dovetail doctor" } " asks each vendor anew." }
        }
    };
    Ok(page(&ask, "/connections", "Connections", true, content))
}

fn told(standing: &Standing, limits: &[Left]) -> Markup {
    let name = &standing.connection;
    let (word, why) = health(&standing.health);
    html! {
        li.card {
            h2 { (said(name)) " " span class=(format!("badge {word}")) { (words(&standing.health)) } }
            p.quiet {
                (said(&standing.connector))
                @if let Some(tenant) = &standing.tenant { ", tenant " (said(tenant)) }
                " · " a href=(runs(name)) { "its runs" }
            }
            @if let Some(why) = &why { p { (said(&cut(why, 400))) } }
            @if matches!(standing.health, AccountHealth::Refused(_) | AccountHealth::NotConnected) {
                p { "On the computer that serves: " code { "dovetail connect " (said(name)) } }
            }
            @for one in limits.iter().filter(|left| left.connection == *name) { (left(one, false)) }
        }
    }
}

/// What is left of a limit.
pub fn left(left: &Left, is_named: bool) -> Markup {
    html! {
        p.limit {
            meter min="0" max=(left.requests) value=(left.left) aria-label="requests left" {}
            span {
                @if is_named { (said(&left.connection)) ": " }
                (left.left) " of " (left.requests) " requests left in "
                (shown::span(i64::try_from(left.per.as_millis()).unwrap_or(i64::MAX)))
            }
        }
    }
}

fn runs(connection: &str) -> String {
    let mut query = form_urlencoded::Serializer::for_suffix("/runs?".to_owned(), "/runs?".len());
    query.append_pair("connection", connection).finish()
}
