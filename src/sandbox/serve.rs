//! HTTP in: bytes to a call, a reply to bytes.
//!
//! hyper without a framework, since a pretend vendor must be able to break a connection without an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use super::clock::written;
use super::control;
use super::log::Entry;
use super::multipart;
use super::record::Change;
use super::turn::{Call, Content, Reply, answer};
use super::vendor::Inner;

const BODY_MAX: usize = 10 * 1024 * 1024;

/// The connection is broken on purpose.
#[derive(Debug, thiserror::Error)]
#[error("broken on purpose")]
struct Broken;

/// Runs until the vendor stops.
pub async fn run(inner: Arc<Inner>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of sockets: let some go first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&inner), request));
            // A connection that breaks is none of our business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    if inner.stopped() {
        return Err(Broken);
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(Body::new(body), BODY_MAX).await.map_err(|_| Broken)?;
    let mut call = Call {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
        headers: headers(&parts.headers),
        raw_query: parts.uri.query().unwrap_or_default().to_owned(),
        raw_body: String::from_utf8_lossy(&body).into_owned(),
        ..Call::default()
    };
    read_body(&mut call, &body);
    if call.path == "/_sandbox" || call.path.starts_with("/_sandbox/") {
        let (status, value) = control::answer(&inner, &call);
        return Ok(written_out(Reply { status, content: Content::Json(value), ..Reply::default() }));
    }
    let reply = play(&inner, call);
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    if reply.broken { Err(Broken) } else { Ok(written_out(reply)) }
}

pub(super) fn play(inner: &Inner, call: Call) -> Reply {
    let mut state = inner.state.lock();
    let mut reply = answer(&inner.rules, &mut state, &call);
    let changes = std::mem::take(&mut reply.changes);
    let named = |change: &Change| (change.object.clone(), inner.rules.id_of(&change.object, &change.after));
    reply.changed = changes.iter().map(named).collect();
    if let Err(wrong) = inner.tell(&mut state, &changes) {
        reply.status = 500;
        reply.content = Content::Json(json!({ "sandbox_file_is_wrong": wrong }));
    }
    let time = written(state.clock.now());
    let Call { method, path, query, headers, body, .. } = call;
    let status = if reply.broken { 0 } else { reply.status };
    let operation = reply.name.clone();
    state.log.add(Entry { number: 0, time, method, path, query, headers, body, operation, status });
    reply
}

pub(super) fn read_body(call: &mut Call, body: &[u8]) {
    if body.is_empty() {
        return;
    }
    let kind = call.headers.get("content-type").and_then(Value::as_str).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        call.body = pairs(body);
        return;
    }
    if kind.starts_with("multipart/form-data") {
        match multipart::read(kind, body) {
            Some(value) => call.body = value,
            None => call.bad_body = true,
        }
        return;
    }
    match serde_json::from_slice(body) {
        Ok(value) => call.body = value,
        Err(_) => call.bad_body = true,
    }
}

/// A repeated name becomes a list.
pub(super) fn pairs(text: &[u8]) -> Value {
    let mut map = Map::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        let value = Value::from(value.into_owned());
        match map.get_mut(name.as_ref()) {
            None => drop(map.insert(name.into_owned(), value)),
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(map)
}

fn headers(given: &hyper::HeaderMap) -> Value {
    let mut map = Map::new();
    for (name, value) in given {
        map.insert(name.as_str().to_owned(), Value::from(String::from_utf8_lossy(value.as_bytes())));
    }
    Value::Object(map)
}

fn written_out(reply: Reply) -> Response<Body> {
    let (kind, body) = match reply.content {
        Content::Empty => (None, Body::empty()),
        Content::Json(value) => (Some("application/json; charset=utf-8"), Body::from(value.to_string())),
        Content::Text(text) => (Some("text/html; charset=utf-8"), Body::from(text)),
        Content::Html(text) => (Some("text/html; charset=UTF-8"), Body::from(text)),
    };
    let mut response = Response::builder().status(reply.status);
    if let Some(kind) =
        kind.filter(|_| !reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")))
    {
        response = response.header("content-type", kind);
    }
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(body).unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(json!({ "sandbox_file_is_wrong": error.to_string() }).to_string()));
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
