//! The copy of one record that a workflow was told last: an object.
//!
//! A run that tells it, and dies before that is written down, tells it again: to that run it is what it was before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::steps::{Looks, Steps, Stopped};
use crate::run::Known;

#[derive(Serialize, Deserialize)]
pub(super) struct Telling {
    pub run: String,
    pub known: Known,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Copy {
    pub known: Known,
    /// The run that was given it, and what was known before.
    pub run: String,
    pub before: Option<Known>,
}

pub(super) const COPY: &str = "copy";

/// What a run is to compare with.
pub(super) async fn recall<S: Looks>(steps: &S, run: &str) -> Result<Option<Known>, Stopped> {
    let copy = steps.get::<Copy>(COPY).await?;
    Ok(copy.and_then(|copy| before(copy, run)))
}

/// False: another run was told of the record meanwhile.
pub(super) async fn tell<S: Steps>(steps: &S, Telling { run, known }: Telling) -> Result<bool, Stopped> {
    let copy = steps.get::<Copy>(COPY).await?;
    let before = copy.and_then(|copy| before(copy, &run));
    let is_next = before.as_ref().map_or(0, |before| before.version) + 1 == known.version;
    if is_next {
        steps.set(COPY, Copy { known, run, before });
    }
    Ok(is_next)
}

/// What was kept elsewhere so far.
pub(super) fn take_over<S: Steps>(steps: &S, known: Known) {
    steps.set(COPY, Copy { known, run: String::new(), before: None });
}

/// As of a record that is gone: a workflow that is told of it once more is told of a new one.
pub(super) async fn erase<S: Steps>(steps: &S) -> Result<(), Stopped> {
    if let Some(Copy { known, .. }) = steps.get(COPY).await? {
        take_over(steps, Known { record: Value::Null, read_with: None, gone: true, ..known });
    }
    Ok(())
}

fn before(copy: Copy, run: &str) -> Option<Known> {
    if copy.run == run { copy.before } else { Some(copy.known) }
}
