//! How far something was read, and which process reads it: an object each.
//!
//! A process that has a duty has it for a while, and takes it again before that is over. When it has died, another one takes it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::steps::{Looks, Steps, Stopped};
use crate::engine::now_ms;

pub(super) const PLACE: &str = "place";
const HOLDER: &str = "holder";

/// So long a duty is had, unless it is taken again.
pub(super) const DUTY_MS: i64 = 30_000;

#[derive(Serialize, Deserialize)]
struct Holder {
    process: String,
    until_ms: i64,
}

pub(super) async fn get<S: Looks>(steps: &S) -> Result<Option<Value>, Stopped> {
    steps.get(PLACE).await
}

pub(super) fn set<S: Steps>(steps: &S, place: Value) {
    steps.set(PLACE, place);
}

/// What is there; this, if nothing is.
pub(super) async fn begin<S: Steps>(steps: &S, place: Value) -> Result<Value, Stopped> {
    let known = get(steps).await?;
    if known.is_none() {
        set(steps, place.clone());
    }
    Ok(known.unwrap_or(place))
}

/// Has this process the duty from now on, or still?
pub(super) async fn take<S: Steps>(steps: &S, process: String) -> Result<bool, Stopped> {
    let now_ms = steps.step("now", async { now_ms() }).await?;
    let holder = steps.get::<Holder>(HOLDER).await?;
    let is_free = holder.is_none_or(|holder| holder.process == process || holder.until_ms <= now_ms);
    if is_free {
        steps.set(HOLDER, Holder { process, until_ms: now_ms + DUTY_MS });
    }
    Ok(is_free)
}
