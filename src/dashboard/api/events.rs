//! What happens, as it happens: names and ids, no data of records.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::json;
use tokio::time::Instant;

use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::engine::{Happened, Listening};
use crate::story::shown;

/// After this whoever listens asks anew, and is looked at anew.
const LIFE: Duration = Duration::from_secs(5 * 60);
/// What says that both sides are still there.
const BEAT: Duration = Duration::from_secs(20);

pub async fn follow(ask: Ask) -> Result<Response, Problem> {
    let of =
        Listening { workflow: ask.owned("workflow"), connection: ask.owned("connection"), record: ask.owned("record") };
    let many = || {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already: ask again later");
        Problem { retry_after: Some(30), ..problem }
    };
    let place = ask.window.listeners.clone().try_acquire_owned().map_err(|_| many())?;
    let tapping = ask.engine().listen(of).ok_or_else(many)?;
    let first = (ask.engine().clone(), tapping, Some(Happened::Listening), place, Instant::now() + LIFE);
    let happenings = stream::unfold(first, |(engine, mut tapping, first, place, end)| async move {
        let happened = match first {
            Some(first) => first,
            None => tokio::time::timeout_at(end, engine.heard(&mut tapping)).await.ok().flatten()?,
        };
        let told = Event::default().data(shown::concealed(&json!(happened)).to_string());
        Some((Ok::<_, std::convert::Infallible>(told), (engine, tapping, None, place, end)))
    });
    Ok(Sse::new(happenings).keep_alive(KeepAlive::new().interval(BEAT)).into_response())
}
