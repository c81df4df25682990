//! One window of a limit of an account: an object, so that all processes together keep it.
//!
//! A process gets a part of it, and makes so many requests without asking; what it does not use is lost when the window ends.

use serde::{Deserialize, Serialize};

use super::steps::{Steps, Stopped};
use crate::engine::now_ms;

#[derive(Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Requests in a window, for what is as urgent as this.
    pub most: u64,
    pub per_ms: i64,
    pub wanted: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Granted {
    pub number: u64,
    pub granted: u64,
    pub total: u64,
    pub ends_in_ms: u64,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Window {
    number: u64,
    ends_ms: i64,
    total: u64,
}

const WINDOW: &str = "window";

pub(super) async fn lease<S: Steps>(steps: &S, wanted: Wanted) -> Result<Granted, Stopped> {
    let now_ms = steps.step("now", async { now_ms() }).await?;
    let known = steps.get::<Window>(WINDOW).await?.unwrap_or_default();
    let mut window = match known.ends_ms > now_ms {
        true => known,
        false => Window { number: known.number + 1, ends_ms: now_ms + wanted.per_ms, total: 0 },
    };
    let granted = wanted.wanted.min(wanted.most.saturating_sub(window.total));
    window.total += granted;
    if granted > 0 {
        steps.set(WINDOW, window);
    }
    let ends_in_ms = u64::try_from(window.ends_ms - now_ms).unwrap_or_default();
    Ok(Granted { number: window.number, granted, total: window.total, ends_in_ms })
}
