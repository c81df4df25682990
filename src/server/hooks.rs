//! Webhooks: bounded reading, then the engine's word as an answer.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::{BODY_MAX, READ_TIMEOUT, answer};
use crate::engine::{Engine, Taken};
use crate::trigger::Arrival;

/// What a source that is told to wait should wait, in seconds.
const RETRY_AFTER: &str = "30";

pub(super) async fn take(State(engine): State<Engine>, Path(path): Path<String>, request: Request) -> Response {
    let (status, word) = taken(&engine, &path, request).await;
    engine.counters().deliveries.count(word, 0);
    reply(status, word)
}

/// The status of the answer, and its word.
async fn taken(engine: &Engine, path: &str, request: Request) -> (StatusCode, &'static str) {
    let (parts, body) = request.into_parts();
    let limit = engine.body_max(path.split('/').next().unwrap_or(path)).min(BODY_MAX);
    let declared =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "too_large");
    }
    let bytes = match read_within(READ_TIMEOUT, body, limit).await {
        Ok(bytes) => bytes,
        Err(refused) => return refused,
    };
    let headers = parts.headers;
    let header = move |name: &str| text(&headers, name);
    let called = parts.uri.path_and_query().map_or("/", |called| called.as_str());
    let taken = route(engine, path, Arrival { header: &header, body: &bytes, path: called }).await;
    (StatusCode::from_u16(taken.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), taken.word)
}

/// `NAME` is a connector's; anything else is a workflow's own path, perhaps with a token behind it.
async fn route(engine: &Engine, path: &str, arrival: Arrival<'_>) -> Taken {
    let (name, token) = path.split_once('/').map_or((path, None), |(name, token)| (name, Some(token)));
    let taken = engine.webhook(name, token, arrival).await;
    if taken.status != 404 {
        return taken;
    }
    let whole = format!("/{path}");
    let taken = engine.own_webhook(&whole, None, arrival).await;
    if taken.status != 404 {
        return taken;
    }
    match whole.rsplit_once('/') {
        Some((path, token)) if !path.is_empty() => engine.own_webhook(path, Some(token), arrival).await,
        _ => taken,
    }
}

/// The whole body, if it comes in time.
///
/// # Errors
/// The status that says why not, and its word.
pub async fn read_within(time: Duration, body: Body, limit: usize) -> Result<Vec<u8>, (StatusCode, &'static str)> {
    match tokio::time::timeout(time, read(body, limit)).await {
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "too_slow")),
        Ok(read) => read.map_err(|status| (status, "unreadable")),
    }
}

async fn read(body: Body, limit: usize) -> Result<Vec<u8>, StatusCode> {
    use futures_util::StreamExt;
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| StatusCode::BAD_REQUEST)?;
        if bytes.len() + chunk.len() > limit {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A header's value; a header that comes twice counts as absent, since it is not clear which one is meant.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    match values.next() {
        Some(_) => None,
        None => value.to_str().ok().map(String::from),
    }
}

fn reply(status: StatusCode, word: &'static str) -> Response {
    let mut response = answer(status, word);
    if word == "busy" || word == "stopping" {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_stops_coming_is_given_up() {
        use futures_util::StreamExt;
        let some = futures_util::stream::iter([Ok::<_, std::io::Error>("{")]);
        let body = Body::from_stream(some.chain(futures_util::stream::pending()));
        let read = read_within(Duration::from_millis(10), body, 100).await;
        assert_eq!(read, Err((StatusCode::REQUEST_TIMEOUT, "too_slow")));
    }
}
