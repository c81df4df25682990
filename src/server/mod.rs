//! In from outside: webhooks and health by HTTP, trusted once signed, and the operator's own socket.
//!
//! ```text
//!  POST /hooks/<connector>        signed, one URL for all accounts
//!  POST /hooks/<path>[/<token>]   a workflow's own, signed or with a secret URL
//!  GET  /healthz  /readyz
//!  GET  /metrics                  for programs on this computer
//! ```
//! Answers are fixed small JSON and never reflect what came in.

pub mod control;
mod hooks;
pub mod invitations;
mod listener;
mod metrics;
pub mod secret;

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::engine::Engine;

pub use hooks::read_within;
pub use listener::{Peer, serve};

/// The biggest body that any source may send; a connector may ask for less or more up to this.
const BODY_MAX: usize = 64 * 1024 * 1024;
/// The time that a sender has for its whole request.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// All routes.
pub fn routes(engine: Engine) -> Router {
    Router::new()
        .route("/hooks/{*path}", post(hooks::take))
        .route("/healthz", get(|| async { answer(StatusCode::OK, "ok") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::tell_neighbours))
        .fallback(|| async { answer(StatusCode::NOT_FOUND, "not_found") })
        .method_not_allowed_fallback(|| async { answer(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed") })
        .with_state(engine)
}

/// Only what an operator watches, told to everyone who asks.
pub fn metrics(engine: Engine) -> Router {
    Router::new()
        .route("/metrics", get(metrics::tell_all))
        .fallback(|| async { answer(StatusCode::NOT_FOUND, "not_found") })
        .with_state(engine)
}

async fn ready(State(engine): State<Engine>) -> impl IntoResponse {
    match engine.is_ready() {
        true => answer(StatusCode::OK, "ready"),
        false => answer(StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    }
}

/// A fixed small JSON answer.
fn answer(status: StatusCode, word: &'static str) -> axum::response::Response {
    (status, axum::Json(serde_json::json!({ "status": word }))).into_response()
}
