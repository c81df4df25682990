//! What every request passes: is it for us, who asks, may they, is it well formed? Whatever is not clear is refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequestParts as _, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use super::ask::{Ask, Field, Place, Values, Who};
use super::problem::Problem;
use super::routes::{self, Kind, Route, TABLE};
use super::{Window, now_ms, pages, sessions};
use crate::server::{Peer, read_within, secret};
use crate::store::Role;

/// A body is longer for no reason but a text of many lines, in bytes.
const BODY_MAX: usize = 64 * 1024;
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers a request for a route of the table.
pub async fn answer(window: Arc<Window>, route: &'static Route, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let response = match pass(&window, route, &mut parts, body).await {
        Ok(response) => response,
        Err(problem) if route.kind() == Kind::Page && problem.status == StatusCode::UNAUTHORIZED => {
            pages::sign_in::first(&parts)
        }
        Err(problem) => refused(route.kind() == Kind::Api, &problem),
    };
    guarded(response, route.kind())
}

/// Answers a request for anything else.
pub async fn unknown(window: Arc<Window>, is_method: bool, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let is_api = parts.uri.path().starts_with("/api/");
    let problem = match is_for_us(&window, &parts.headers) {
        Err(problem) => problem,
        Ok(()) if is_method => Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this is not done there"),
        Ok(()) => Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address"),
    };
    let mut response = refused(is_api, &problem);
    if problem.status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, allowed(parts.uri.path()));
    }
    guarded(response, if is_api { Kind::Api } else { Kind::Page })
}

/// What is done at an address (RFC 9110, section 10.2.1).
fn allowed(path: &str) -> HeaderValue {
    let fits = |route: &&Route| {
        let (mut known, mut asked) = (route.path.split('/'), path.split('/'));
        let alike = |(known, asked): (&str, &str)| known.starts_with('{') || known == asked;
        known.by_ref().zip(asked.by_ref()).all(alike) && known.next().is_none() && asked.next().is_none()
    };
    let is_done = |method| TABLE.iter().filter(fits).any(|route| route.method == method);
    HeaderValue::from_static(match (is_done(routes::Method::Get), is_done(routes::Method::Post)) {
        (true, true) => "GET, HEAD, POST",
        (true, false) => "GET, HEAD",
        _ => "POST",
    })
}

async fn pass(window: &Arc<Window>, route: &'static Route, parts: &mut Parts, body: Body) -> Result<Response, Problem> {
    is_for_us(window, &parts.headers)?;
    let asks = who(window, route, &parts.headers).await?;
    let who = asks.as_ref().map(|(who, _)| who.clone());
    if let Some(right) = route.right {
        let Some(who) = &who else {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "say who you are: `Authorization: Bearer TOKEN`"));
        };
        if who.role < right {
            tracing::warn!(
                who = who.name,
                route = route.path,
                "somebody at the dashboard asked for more than they may"
            );
            let (may, needs) = (who.role.word(), right.word());
            return Err(Problem::new(StatusCode::FORBIDDEN, format!("this needs the role {needs}; yours is {may}")));
        }
    }
    let mut values = Values::default();
    let named = RawPathParams::from_request_parts(parts, &()).await;
    let named = named.map_err(|_| Problem::bad("the address is no text"))?;
    let named: Vec<(String, String)> = named.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    values.take(route.takes, Place::Path, named.into_iter())?;
    let asked = parts.uri.query().unwrap_or_default();
    values.take(route.takes, Place::Query, form_urlencoded::parse(asked.as_bytes()).into_owned())?;
    if parts.method == Method::POST {
        let session = asks.as_ref().map(|(who, _)| who);
        take_body(window, route, parts, body, session, &mut values).await?;
    }
    values.all_that_is_needed(route.takes)?;
    let peer = parts.extensions.get::<Peer>();
    let origin = peer.map_or_else(|| "unknown".into(), |Peer(address)| address.ip().to_canonical().to_string());
    let cookie = asks.and_then(|(_, cookie)| cookie);
    (route.answer)(Ask { window: window.clone(), who, origin, cookie, values }).await
}

/// A name that is not ours was made to lead here: the page of somebody else asks.
fn is_for_us(window: &Window, headers: &HeaderMap) -> Result<(), Problem> {
    let host = only(headers, header::HOST.as_str())?;
    match host {
        Some(host) if window.is_ours(host) => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the dashboard is not reached under this name: say it with `dovetail serve --dashboard-url URL`",
        )),
        None => Err(Problem::bad("the header Host is missing")),
    }
}

/// A header that comes once or not at all.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    let bad = || Problem::bad(format!("the header {name} is no text, or comes twice"));
    if values.next().is_some() {
        return Err(bad());
    }
    first.map(|value| value.to_str().map_err(|_| bad())).transpose()
}

/// Who asks, and by which cookie; None: nobody that we know.
async fn who(window: &Window, route: &Route, headers: &HeaderMap) -> Result<Option<(Who, Option<String>)>, Problem> {
    if let (Kind::Api, Some(written)) = (route.kind(), only(headers, header::AUTHORIZATION.as_str())?) {
        let (scheme, token) = written.split_once(' ').unwrap_or((written, ""));
        let known = if scheme.eq_ignore_ascii_case("bearer") { of_token(window, token.trim()).await? } else { None };
        return match known {
            Some((number, name, role)) => {
                let name = format!("{name} (token {number})");
                Ok(Some((Who { name, role, csrf: String::new() }, None)))
            }
            None => Err(wrong(window).await),
        };
    }
    let Some(cookie) = cookie(window, headers) else { return Ok(None) };
    // What follows by itself keeps nobody signed in.
    let is_act = only(headers, "x-by-itself")?.is_none() && !matches!(route.kind(), Kind::Api);
    let Some(session) = sessions::of(window, &cookie, is_act).await? else { return Ok(None) };
    let who = Who { name: session.who, role: session.role, csrf: sessions::csrf(&cookie) };
    Ok(Some((who, Some(cookie))))
}

/// The number, the name and the right of a token in force.
pub async fn of_token(window: &Window, token: &str) -> Result<Option<(i64, String, Role)>, Problem> {
    let Some((_, secret)) = secret::parts(token) else { return Ok(None) };
    // Nobody can tell from how long that takes how a hash begins that is not known: to ask for one its secret is needed.
    let Some(known) = window.store.token_of_hash(secret::hash(secret)).await? else { return Ok(None) };
    Ok(known.is_in_force(now_ms()).then_some((known.number, known.name, known.role)))
}

/// What somebody is told who tried in vain.
pub async fn wrong(window: &Window) -> Problem {
    match window.tries.wrong().await {
        true => Problem::new(StatusCode::UNAUTHORIZED, "this is no token in force, or no code that waits"),
        false => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many tries in vain: ask again later");
            Problem { retry_after: Some(30), ..problem }
        }
    }
}

/// Cookies are not kept apart by port: several dashboards of one computer must not sign each other out.
pub fn cookie_name(window: &Window) -> String {
    let prefix = if window.is_secure { "__Host-" } else { "" };
    format!("{prefix}dovetail-{}", window.port)
}

fn cookie(window: &Window, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(window);
    let all = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut ours = all.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        (found == name).then(|| value.to_owned())
    });
    let first = ours.next()?;
    // Two of them: somebody has put one beside ours.
    ours.next().is_none().then_some(first)
}

/// Only our own pages send forms. A program that has a token is no page.
async fn take_body(
    window: &Window,
    route: &'static Route,
    parts: &Parts,
    body: Body,
    who: Option<&Who>,
    values: &mut Values,
) -> Result<(), Problem> {
    let is_session = who.is_some_and(|who| !who.csrf.is_empty());
    let refuse = |why: &str| Err(Problem::new(StatusCode::FORBIDDEN, why));
    if route.kind() == Kind::Api && is_session {
        return refuse("by the API, changes need a token: a session changes things by its pages");
    }
    if route.kind() == Kind::Page && !is_of_own_page(window, &parts.headers)? {
        return refuse("this did not come from a page of the dashboard: open it and do it there");
    }
    let body_max = BODY_MAX + route.takes.iter().map(Field::bytes_max).sum::<usize>();
    let read = read_within(READ_TIMEOUT, body, body_max).await;
    let bytes = read.map_err(|(status, _)| Problem::new(status, "the body is too long, or came too slowly"))?;
    let kind = only(&parts.headers, header::CONTENT_TYPE.as_str())?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let unsupported = |wanted: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("send {wanted}"));
    if route.kind() == Kind::Api {
        return match (bytes.is_empty(), kind.as_str()) {
            (true, _) => Ok(()),
            (false, "application/json") => values.take_json(route.takes, &bytes),
            (false, _) => Err(unsupported("application/json")),
        };
    }
    if kind != "application/x-www-form-urlencoded" {
        return Err(unsupported("application/x-www-form-urlencoded"));
    }
    let (proof, pairs): (Vec<_>, Vec<_>) =
        form_urlencoded::parse(&bytes).into_owned().partition(|(name, _)| name == "csrf");
    if let Some(who) = who.filter(|_| is_session) {
        let is_proved =
            matches!(proof.as_slice(), [(_, said)] if bool::from(who.csrf.as_bytes().ct_eq(said.as_bytes())));
        if !is_proved {
            return refuse("the form is of another session: open the page anew");
        }
    }
    values.take(route.takes, Place::Body, pairs.into_iter())
}

/// Browsers say from where a form comes, and no page can say otherwise. `Origin` is `null` where no referrer is sent.
fn is_of_own_page(window: &Window, headers: &HeaderMap) -> Result<bool, Problem> {
    if let Some(site) = only(headers, "sec-fetch-site")? {
        return Ok(site == "same-origin");
    }
    let (origin, host) = (only(headers, header::ORIGIN.as_str())?, only(headers, header::HOST.as_str())?);
    let scheme = if window.is_secure { "https" } else { "http" };
    Ok(origin.is_some_and(|origin| host.is_some_and(|host| origin == format!("{scheme}://{host}"))))
}

fn refused(is_api: bool, problem: &Problem) -> Response {
    if is_api { problem.as_json() } else { problem.finish((problem.status, pages::problem(problem)).into_response()) }
}

/// With what keeps a browser from doing anything else with it.
fn guarded(mut response: Response, kind: Kind) -> Response {
    let headers = response.headers_mut();
    let kept = if kind == Kind::File { "public, max-age=31536000, immutable" } else { "no-store" };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, kept),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
