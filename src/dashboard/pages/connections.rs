//! The accounts: how each stands, what is left of its limits, and what to do.

use std::time::Instant;

use axum::response::Response;
use maud::{Markup, html};
use url::form_urlencoded;

use super::overview::words;
use super::{csrf, cut, empty, page, part, said, time};
use crate::dashboard::api::overview::health;
use crate::dashboard::ask::Ask;
use crate::dashboard::consents::Pending;
use crate::dashboard::problem::Problem;
use crate::engine::{AccountHealth, Grants, Standing};
use crate::http::Left;
use crate::store::Role;
use crate::story::{count, shown};

/// Accounts on the page.
const ACCOUNTS_MAX: usize = 100;
const SCOPES_MAX: usize = 2_000;
const WHY_MAX: usize = 400;
/// Where a vendor leads back to.
const BACK: &str = "/connected";

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let standings = ask.engine().standings();
    let limits = ask.engine().measures().await?.limits;
    let content = html! {
        h1 { "Connections" }
        @if standings.is_empty() {
            (empty("No accounts", html! { "An account is written under " code { "connections:" } " in dovetail.yaml." }))
        }
        ul.cards { @for standing in standings.iter().take(ACCOUNTS_MAX) { (told(&ask, standing, &limits)) } }
        @if standings.len() > ACCOUNTS_MAX { p.quiet { "and " (count(standings.len() - ACCOUNTS_MAX, "more account")) ": " code { "dovetail connect" } " lists all" } }
        @if !standings.is_empty() {
            p.quiet { "As requests of now have shown. " code { "dovetail doctor" } " asks each vendor anew." }
        }
    };
    Ok(page(&ask, "/connections", "Connections", true, content))
}

fn told(ask: &Ask, standing: &Standing, limits: &[Left]) -> Markup {
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
            @match ask.engine().grants(name) {
                Some(grants) => { (granted(ask, name, &grants)) }
                None if matches!(standing.health, AccountHealth::Refused(_) | AccountHealth::NotConnected) => {
                    p { "On the computer that serves: " code { "dovetail connect " (said(name)) } }
                }
                None => {}
            }
            @for one in limits.iter().filter(|left| left.connection == *name) { (left(one, false)) }
        }
    }
}

/// What an account is granted, and the way to connect it.
fn granted(ask: &Ask, name: &str, grants: &Grants) -> Markup {
    let is_connected = grants.granted.as_ref().is_some_and(|granted| granted.refused.is_none());
    html! {
        @if let Some(granted) = &grants.granted {
            p.quiet { "Connected since " (time(granted.changed_ms)) }
            @if let Some(scope) = &granted.scope {
                details { summary { "What it may do" } p { (said(&cut(&scope.split([' ', ',']).collect::<Vec<_>>().join(", "), SCOPES_MAX))) } }
            }
        }
        @if !grants.lacks.is_empty() {
            p.notice.wait { "It was not granted " (said(&cut(&grants.lacks.join(", "), SCOPES_MAX))) ": what needs that is refused." }
        }
        @if ask.may(Role::Admin) {
            form.acts method="post" action=(format!("/connections/{}/connect", part(name))) {
                (csrf(ask.who.as_ref()))
                button.plain[is_connected] { @if is_connected { "Connect again" } @else { "Connect" } }
            }
        } @else if !is_connected {
            p { "An admin connects it here; or on the computer that serves: " code { "dovetail connect " (said(name)) } }
        }
    }
}

pub async fn connect(ask: Ask) -> Result<Response, Problem> {
    let name = ask.owned("connection").unwrap_or_default();
    if ask.engine().plan().connection(&name).is_none() {
        return Err(Problem::unknown("connection"));
    }
    let back = format!("{}{BACK}", ask.window.invitations.url);
    let consent = ask.engine().ask_for_consent(&name, &back).map_err(Problem::conflict)?;
    ask.note("begins to connect an account", name.clone()).await?;
    let link = consent.url.clone();
    let who = ask.who.as_ref().map_or_else(String::new, |who| who.name.clone());
    ask.window.consents.begin(name.clone(), consent, who, Instant::now());
    // A link: that a form leads away is what the pages' policy forbids.
    let content = html! {
        section.card.narrow {
            h1 { "Connect " (said(&name)) }
            p { "You agree at the vendor, and come back here. The link is good for ten minutes, and once." }
            p { a.button href=(link) rel="noreferrer" { "Go on to the vendor" } }
            p.quiet { "The vendor must know this address to come back to: " code { (said(&back)) } }
        }
    };
    Ok(page(&ask, "/connections", "Connect", false, content))
}

/// Whoever comes back brings no cookie, since another site leads here: the state, which only our link had, is the proof.
pub async fn back(ask: Ask) -> Result<Response, Problem> {
    let pending = ask.window.consents.take(ask.text("state").unwrap_or_default(), Instant::now());
    let Some(Pending { connection, consent, who, .. }) = pending else {
        return Err(Problem::bad(
            "this link was not begun here, was used already, or is too old: begin anew at the connections",
        ));
    };
    let came = match (ask.text("code"), ask.text("error")) {
        (_, Some(error)) => Err(format!("{error} {}", ask.text("error_description").unwrap_or_default())),
        (Some(code), None) => ask.engine().take_consent(&connection, &consent, code).await,
        (None, None) => Err("the vendor sent no code".into()),
    };
    let what = if came.is_ok() { "connects an account" } else { "has not connected an account" };
    ask.note_of(&who, what, connection.clone()).await?;
    Ok(super::alone(
        "Connect",
        html! {
            @match &came {
                Ok(grants) => {
                    h1 { (said(&connection)) " is connected" }
                    @if !grants.lacks.is_empty() {
                        p.notice.wait { "It was not granted " (said(&cut(&grants.lacks.join(", "), SCOPES_MAX))) ": what needs that is refused." }
                    }
                    p { "What has waited for it goes on." }
                }
                Err(why) => {
                    h1 { (said(&connection)) " is not connected" }
                    p.notice.bad { "The vendor says: " (said(&cut(&shown::uncovered(why), WHY_MAX))) }
                    p { "Nothing is changed." }
                }
            }
            p { a.button href="/connections" { "To the connections" } }
        },
    ))
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
