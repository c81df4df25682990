//! The documents of a version, by its hash: an object each.
//!
//! A process says each day which version it serves, and forgets those that nobody has served for a month and with which no run began that
//! is not over. What lines keep is looked at; what still comes to one is not, so nothing is forgotten while that waits.

use std::collections::HashMap;
use std::time::Duration;

use super::objects::{Documents, Objects, PLAN};
use super::steps::{Looks, Steps, Stopped};
use crate::engine::{Engine, now_ms};
use crate::store::Error;

const DOCUMENTS: &str = "documents";
/// When a process has last said that it serves it.
const SERVED: &str = "served_ms";

/// How often it is said.
const SAYS: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// What was served since is kept, whether it is needed or not.
const KEPT_MS: i64 = 30 * DAY_MS;

/// Whoever keeps them is about to serve them.
pub(super) async fn keep<S: Steps>(steps: &S, documents: Documents) -> Result<(), Stopped> {
    let now_ms = steps.step("now", async { now_ms() }).await?;
    steps.set(DOCUMENTS, documents);
    serve(steps, now_ms);
    Ok(())
}

pub(super) async fn read<S: Looks>(steps: &S) -> Result<Option<Documents>, Stopped> {
    steps.get(DOCUMENTS).await
}

/// It is served at this instant.
pub(super) fn serve<S: Steps>(steps: &S, at_ms: i64) {
    steps.set(SERVED, at_ms);
}

/// They go, unless they were served since. True: they are gone.
pub(super) async fn forget<S: Steps>(steps: &S, before_ms: i64) -> Result<bool, Stopped> {
    let is_old = steps.get::<i64>(SERVED).await?.is_some_and(|served_ms| served_ms < before_ms);
    if is_old {
        steps.clear(DOCUMENTS);
        steps.clear(SERVED);
    }
    Ok(is_old)
}

/// As long as the engine runs.
pub(super) async fn forget_for_ever(engine: Engine, objects: &Objects) {
    loop {
        match forget_some(&engine, objects).await {
            Ok(0) => {}
            Ok(number) => tracing::info!(number, "versions that no run needs are forgotten"),
            Err(error) => tracing::warn!(%error, "versions that no run needs are still kept"),
        }
        tokio::select! {
            () = tokio::time::sleep(SAYS) => {}
            () = engine.stopped() => return,
        }
    }
}

/// Gives how many versions were forgotten.
async fn forget_some(engine: &Engine, objects: &Objects) -> Result<usize, Error> {
    let now_ms = now_ms();
    let before_ms = now_ms - KEPT_MS;
    objects.serve(&engine.plan().hash, now_ms).await?;
    if objects.ingress.arriving(now_ms - DAY_MS).await? > 0 {
        return Ok(0);
    }
    let mut served: HashMap<String, i64> = HashMap::new();
    for row in objects.ingress.named(PLAN, SERVED).await? {
        served.insert(row.service_key.clone(), row.value()?);
    }
    let mut forgotten = 0;
    for hash in objects.ingress.objects(PLAN).await? {
        match served.get(&hash) {
            // Kept by a release that did not say so.
            None => objects.serve(&hash, now_ms).await?,
            Some(served_ms) if *served_ms >= before_ms => {}
            Some(_) if objects.ingress.is_begun_with(&hash).await? => {}
            Some(_) => forgotten += usize::from(objects.forget(&hash, before_ms).await?),
        }
    }
    Ok(forgotten)
}
