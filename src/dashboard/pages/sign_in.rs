//! The way in: by a link that the operator got, or by a token; and the way out.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use maud::html;
use url::form_urlencoded;

use super::{csrf, framed, mark, on_to};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::dashboard::{gate, now_ms, sessions};
use crate::server::secret;
use crate::store::SESSION_LIFE_MS;

/// Whoever has not signed in is led here, and later on to where they wanted to go.
pub fn first(parts: &Parts) -> Response {
    let wanted =
        parts.uri.path_and_query().filter(|_| parts.method == Method::GET).map_or("/", |wanted| wanted.as_str());
    if wanted == "/" || !is_of_ours(wanted) {
        return on_to("/sign-in");
    }
    let mut query = form_urlencoded::Serializer::for_suffix("/sign-in?".to_owned(), "/sign-in?".len());
    on_to(&query.append_pair("to", wanted).finish())
}

/// A page of the dashboard, and nothing that a browser takes for another place.
fn is_of_ours(address: &str) -> bool {
    address.len() <= 500
        && address.starts_with('/')
        && !address.starts_with("//")
        && address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

pub async fn show(ask: Ask) -> Result<Response, Problem> {
    let to = ask.text("to").filter(|to| is_of_ours(to));
    Ok(written(&ask, ask.text("code"), to, None).into_response())
}

fn written(ask: &Ask, code: Option<&str>, to: Option<&str>, problem: Option<&str>) -> Html<String> {
    // Whoever has signed in already comes in anew.
    let hidden = html! {
        (csrf(ask.who.as_ref()))
        @if let Some(to) = to { input type="hidden" name="to" value=(to); }
    };
    let content = html! {
        section.card.narrow {
            p.brand { (mark()) span { "Dovetail" } }
            h1 { "Sign in" }
            @if let Some(problem) = problem { p.notice.bad role="alert" { (problem) } }
            @if let Some(code) = code {
                form method="post" action="/sign-in" {
                    (hidden)
                    input type="hidden" name="code" value=(code);
                    button.wide { "Go in" }
                }
                p.quiet { "This link lets in once, within five minutes." }
            } @else {
                p { "On the computer that serves, " code { "dovetail dashboard" } " prints a link that leads in." }
                form method="post" action="/sign-in" {
                    (hidden)
                    label { "Or with a token" input type="password" name="token" required autocomplete="off" maxlength="200"; }
                    button.wide { "Sign in" }
                }
            }
            @if let Some(to) = to { p.quiet { "Signed in already? " a href=(to) { "Go on" } } }
        }
    };
    framed("Sign in", html! {}, false, content)
}

pub async fn sign_in(ask: Ask) -> Result<Response, Problem> {
    let window = &ask.window;
    let session = match (ask.text("code"), ask.text("token")) {
        (Some(code), None) => window.invitations.redeem(&secret::hash(code), now_ms()).map(|invited| {
            let name = if invited.name.is_empty() { "the operator".into() } else { invited.name };
            (name, invited.role, None)
        }),
        (None, Some(token)) => {
            let known = gate::of_token(window, token.trim()).await?;
            let hash = secret::parts(token.trim()).map(|(_, secret)| secret::hash(secret));
            known.map(|(number, name, role)| (format!("{name} (token {number})"), role, hash))
        }
        _ => return Err(Problem::bad("give a token, or follow a link")),
    };
    let to = ask.text("to").filter(|to| is_of_ours(to));
    let Some((who, role, token)) = session else {
        let wrong = gate::wrong(window).await;
        let why = match (wrong.status, ask.text("code").is_some()) {
            (StatusCode::TOO_MANY_REQUESTS, _) => "Too many tries in vain. Wait a little.",
            (_, true) => "This link was used, or is too old: ask for another one.",
            (_, false) => "This is no token in force.",
        };
        let page = (StatusCode::FORBIDDEN, written(&ask, None, to, Some(why))).into_response();
        return Ok(wrong.finish(page));
    };
    // Nobody goes on with a cookie that was there before.
    if let Some(before) = &ask.cookie {
        sessions::end(window, before).await?;
    }
    let cookie = sessions::begin(window, who, role, token).await?;
    Ok(with_cookie(&ask, &cookie, SESSION_LIFE_MS / 1000, to.unwrap_or("/")))
}

pub async fn sign_out(ask: Ask) -> Result<Response, Problem> {
    if let Some(cookie) = &ask.cookie {
        sessions::end(&ask.window, cookie).await?;
    }
    Ok(with_cookie(&ask, "", 0, "/sign-in"))
}

fn with_cookie(ask: &Ask, value: &str, seconds: i64, to: &str) -> Response {
    let name = gate::cookie_name(&ask.window);
    let secure = if ask.window.is_secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut response = Redirect::to(to).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for good in ["/", "/runs?status=failed", "/runs/12"] {
            assert!(is_of_ours(good), "{good}");
        }
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "javascript:alert(1)"] {
            assert!(!is_of_ours(bad), "{bad}");
        }
    }
}
