//! The pages: written here whole, so that they work without a script. Every value is somebody else's text and shown as such.

pub mod audit;
pub mod by_hand;
pub mod catalogue;
pub mod connections;
pub mod edit;
pub mod history;
pub mod overview;
mod picture;
pub mod plans;
pub mod plot;
pub mod questions;
pub mod records;
pub mod run;
pub mod runs;
pub mod sign_in;
mod text;
mod trial;
pub mod workflows;
mod yaml;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::ask::{Ask, Who};
use super::problem::Problem;
use crate::server::secret;
use crate::store::{Role, Status};
use crate::story::shown;

pub use text::{cut, said, value};

const STYLE: &str = include_str!("../assets/style.css");
const ICON: &str = include_str!("../assets/icon.svg");
const SCRIPT: &str = include_str!("../assets/script.js");

/// What a browser has kept is of this version, or it is asked for anew.
static VERSIONS: LazyLock<[String; 2]> =
    LazyLock::new(|| [STYLE, SCRIPT].map(|text| secret::hash(text)[..12].to_owned()));

pub async fn style(_: Ask) -> Result<Response, Problem> {
    Ok(([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response())
}

pub async fn script(_: Ask) -> Result<Response, Problem> {
    Ok(([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response())
}

pub async fn icon(_: Ask) -> Result<Response, Problem> {
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], ICON).into_response())
}

/// Where one can go from everywhere: the address, and what it is called.
const PLACES: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/runs", "Runs"),
    ("/workflows", "Workflows"),
    ("/plans", "Plans"),
    ("/questions", "Questions"),
    ("/records", "Records"),
    ("/connections", "Connections"),
    ("/catalogue", "Catalogue"),
    (AUDIT, "Audit"),
];
/// For admins alone.
const AUDIT: &str = "/audit";

/// A whole page for somebody who has signed in. `here`: which of the places it belongs to. `is_live`: it looks again by itself.
fn page(ask: &Ask, here: &str, title: &str, is_live: bool, content: Markup) -> Response {
    let project = ask.engine().plan().name.clone();
    let top = html! {
        header.top {
            a.skip href="#content" { "To the content" }
            a.brand href="/" { (mark()) span { (said(&project)) } }
            nav aria-label="Places" {
                @for (address, name) in PLACES.iter().filter(|(address, _)| *address != AUDIT || ask.may(Role::Admin)) {
                    a href=(address) aria-current=[(*address == here).then_some("page")] { (name) }
                }
            }
            @if let Some(who) = &ask.who { (signed_in(who)) }
        }
    };
    framed(&format!("{title} · {project}"), top, is_live, content).into_response()
}

fn signed_in(who: &Who) -> Markup {
    html! {
        form.who method="post" action="/sign-out" {
            (csrf(Some(who)))
            span title=(format!("role: {}", who.role.word())) { (said(&who.name)) }
            button.plain { "Sign out" }
        }
    }
}

/// The proof that a form is of this session.
fn csrf(who: Option<&Who>) -> Markup {
    html! { @if let Some(who) = who { input type="hidden" name="csrf" value=(who.csrf); } }
}

fn framed(title: &str, top: Markup, is_live: bool, content: Markup) -> Html<String> {
    let [style, script] = &*VERSIONS;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (said(title)) }
                link rel="stylesheet" href=(format!("/assets/style.css?v={style}"));
                link rel="icon" href="/assets/icon.svg";
                script defer src=(format!("/assets/script.js?v={script}")) {}
            }
            body data-live=[is_live.then_some("true")] {
                (top)
                main #content tabindex="-1" { (content) }
            }
        }
    };
    Html(page.into_string())
}

/// Two halves that fit into each other.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" {
            path.one d="M2 4h9l3 4-3 4 3 4-3 4H2z" {}
            path.other d="M22 4h-8.5l3 4-3 4 3 4-3 4H22z" {}
        }
    }
}

/// A page for whoever it is.
fn alone(title: &str, content: Markup) -> Response {
    framed(title, plain_top(), false, html! { section.card.narrow { (content) } }).into_response()
}

fn plain_top() -> Markup {
    html! { header.top { a.brand href="/" { (mark()) span { "Dovetail" } } } }
}

/// What is said in place of a page.
pub fn problem(problem: &Problem) -> Html<String> {
    let content = html! {
        section.card.narrow {
            h1 { (problem.title()) }
            p { (said(&problem.detail)) }
            p { a href="/" { "To the overview" } }
            p.quiet { "In the log under " code { (problem.id) } }
        }
    };
    framed(problem.title(), plain_top(), false, content)
}

/// On to a page, after something was done.
fn on_to(address: &str) -> Response {
    Redirect::to(address).into_response()
}

/// An instant; the script shows it in the reader's zone.
fn time(ms: i64) -> Markup {
    html! { time datetime=(shown::instant(ms)) { (shown::minute(ms)) " UTC" } }
}

/// How a run stands: the word, and a colour that adds nothing to it.
fn badge(status: Status) -> Markup {
    html! { span class=(format!("badge {}", status.word())) { (status.word()) } }
}

/// A part of an address. Names and ids may hold anything.
fn part(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// What is said where there is nothing.
fn empty(title: &str, what_now: Markup) -> Markup {
    html! { div.empty { p.title { (title) } p { (what_now) } } }
}

fn may_operate(ask: &Ask) -> bool {
    ask.may(Role::Operate)
}
