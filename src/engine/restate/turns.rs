//! The turn of one identity: an object, so that actions that upsert it take turns across all processes.
//!
//! Who does not get it is called when it is free, in the order in which they came.

use serde::{Deserialize, Serialize};

use super::ingress::Object;
use super::line::GoOn;
use super::objects::LINE;
use super::steps::{Steps, Stopped};

/// One action of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taker {
    pub run: String,
    pub address: String,
    /// The key of the run's line, where it is called.
    pub line: String,
}

impl Taker {
    fn is(&self, other: &Taker) -> bool {
        self.run == other.run && self.address == other.address
    }
}

const HOLDER: &str = "holder";
const WAITING: &str = "waiting";

/// True: it has the turn now, or had it.
pub(super) async fn take<S: Steps>(steps: &S, taker: Taker) -> Result<bool, Stopped> {
    let mut waiting: Vec<Taker> = steps.get(WAITING).await?.unwrap_or_default();
    let before = waiting.len();
    let has_it = match steps.get::<Taker>(HOLDER).await? {
        Some(holder) => holder.is(&taker),
        // Who came first and was called takes it first.
        None => waiting.first().is_none_or(|first| first.is(&taker)),
    };
    if has_it {
        waiting.retain(|other| !other.is(&taker));
        steps.set(HOLDER, taker);
    } else if !waiting.iter().any(|other| other.is(&taker)) {
        waiting.push(taker);
    }
    if waiting.len() != before {
        keep(steps, waiting);
    }
    Ok(has_it)
}

/// Its holder lets go of it, or who waits for it does not any more.
pub(super) async fn release<S: Steps>(steps: &S, taker: Taker) -> Result<(), Stopped> {
    let mut waiting: Vec<Taker> = steps.get(WAITING).await?.unwrap_or_default();
    let holder = steps.get::<Taker>(HOLDER).await?;
    waiting.retain(|other| !other.is(&taker));
    let is_free = holder.as_ref().is_none_or(|holder| holder.is(&taker));
    if is_free {
        steps.clear(HOLDER);
        if let Some(next) = waiting.first() {
            let line = Object { service: LINE, key: next.line.clone() };
            steps.send(&line, "go_on", GoOn::now(&next.run), 0);
        }
    }
    keep(steps, waiting);
    Ok(())
}

fn keep<S: Steps>(steps: &S, waiting: Vec<Taker>) {
    match waiting.is_empty() {
        true => steps.clear(WAITING),
        false => steps.set(WAITING, waiting),
    }
}
