//! A rehearsal beside a real cluster: its time stands as long as anything is under way there.
//!
//! ```text
//!  called, or asks ─▶ time stands ─ nothing is under way: all that is called here waits for its time, Restate knows of nothing
//!        ▲                          else, and the feed is read ─▶ time goes on, to what is due next ─┐
//!        └───────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Restate's own timers go by the machine's clock. What is called at an instant to come is called from here too, when the
//! rehearsal's clock says so; whichever comes second is none any more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::feed;
use super::ingress::{Ingress, Object};
use super::line::GoOn;
use super::objects::Objects;
use crate::clock;
use crate::engine::Engine;
use crate::store::Error;

/// What is under way in this process.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// A handler is called.
    Call,
    /// A step of it, which may wait for its time.
    Step,
    /// Something is asked of Restate.
    Ask,
}

#[derive(Default)]
struct Rest {
    /// How much of each is under way.
    work: [Cell<usize>; 3],
    /// Time stands since a moment.
    stands: Arc<Notify>,
    /// A handler gave a message away, which was not seen arriving.
    is_sent: Cell<bool>,
    /// What Restate calls that was accepted from here, and has not been called yet.
    accepted: RefCell<Vec<String>>,
    /// What was called last.
    called: RefCell<VecDeque<String>>,
    /// The feed was told something that is not read yet.
    is_told: Cell<bool>,
    /// How often any of this has changed but what is asked: a look during which something did was too early, or too late.
    changes: Cell<u64>,
    engines: RefCell<Vec<(Engine, Arc<Objects>)>>,
}

thread_local! {
    static REST: Rest = Rest::default();
}

/// It is under way until this is dropped.
pub(super) struct UnderWay(Option<Work>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(work) = self.0 {
            REST.with(|rest| {
                rest.count(work).update(|count| count - 1);
                rest.changed_by(work);
            });
            // What a step has come to goes on its way.
            stand();
        }
    }
}

impl Rest {
    fn count(&self, work: Work) -> &Cell<usize> {
        &self.work[work as usize]
    }

    fn changed_by(&self, work: Work) {
        if !matches!(work, Work::Ask) {
            self.changed();
        }
    }

    fn changed(&self) {
        self.changes.update(|changes| changes + 1);
    }

    /// Does all that is called here wait for its time?
    fn waits(&self) -> bool {
        self.accepted.borrow().is_empty()
            && self.count(Work::Ask).get() == 0
            && self.count(Work::Call) == self.count(Work::Step)
    }
}

/// Something is under way; in a rehearsal time stands.
pub(super) fn begins(work: Work) -> UnderWay {
    if !clock::is_turned() {
        return UnderWay(None);
    }
    REST.with(|rest| {
        rest.count(work).update(|count| count + 1);
        rest.changed_by(work);
    });
    if !matches!(work, Work::Step) {
        stand();
    }
    UnderWay(Some(work))
}

/// A call was accepted: Restate's tables do not know of it at once, nor of one that is over.
pub(super) fn is_accepted(call: String) {
    if clock::is_turned() {
        REST.with(|rest| {
            if !rest.called.borrow().contains(&call) {
                rest.accepted.borrow_mut().push(call);
            }
        });
    }
}

/// A call has come.
pub(super) fn is_called(call: &str) {
    if clock::is_turned() {
        REST.with(|rest| {
            rest.accepted.borrow_mut().retain(|accepted| accepted != call);
            let mut called = rest.called.borrow_mut();
            called.push_back(call.to_owned());
            let too_many = called.len().saturating_sub(CALLED_MAX);
            called.drain(..too_many);
        });
    }
}

/// A handler gives a message to an object: Restate does not know of it at once, and we do not know what it calls it.
pub(super) fn is_sent() {
    REST.with(|rest| {
        rest.is_sent.set(true);
        rest.changed();
    });
}

/// The feed is told something.
pub(super) fn is_told() {
    REST.with(|rest| {
        rest.is_told.set(true);
        rest.changed();
    });
}

fn stand() {
    if clock::stand() {
        REST.with(|rest| rest.stands.notify_one());
    }
}

/// A run is to be called after a while.
pub(super) fn call_after(objects: &Arc<Objects>, line: &Object, handler: &'static str, go_on: &GoOn, after_ms: u64) {
    if after_ms == 0 || !clock::is_turned() || !matches!(objects.ingress, Ingress::Network { .. }) {
        return;
    }
    let (objects, line, go_on) = (Arc::clone(objects), line.clone(), go_on.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        let once = format!("{go_on:?}");
        if let Err(error) = objects.ingress.send(&line, handler, &go_on, &once).await {
            tracing::warn!(%error, "a run is not called in its time");
        }
    });
}

/// One may be called before it is known here that it was accepted.
const CALLED_MAX: usize = 256;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// How often nothing must be under way where a message may be on its way.
const QUIET: usize = 3;
/// So long something may be under way until the rehearsal goes on all the same, and shows what came of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets time go on whenever nothing is under way; of several engines of a rehearsal the first one does it for all.
pub(super) async fn keep_time(engine: &Engine, objects: &Arc<Objects>) {
    let is_first = REST.with(|rest| {
        let mut engines = rest.engines.borrow_mut();
        engines.retain(|(engine, _)| !engine.is_stopping());
        engines.push((engine.clone(), Arc::clone(objects)));
        engines.len() == 1
    });
    if !is_first {
        return engine.stopped().await;
    }
    // Whatever was accepted in another life is nothing to this one.
    REST.with(|rest| rest.accepted.borrow_mut().clear());
    let stands = REST.with(|rest| Arc::clone(&rest.stands));
    loop {
        let begun = Instant::now();
        while !is_at_rest(objects).await {
            if begun.elapsed() > PATIENCE {
                let at_work = objects.ingress.under_way().await;
                tracing::error!(?at_work, "a rehearsal comes to no rest");
                break;
            }
            nap().await;
        }
        clock::go_on();
        // That it stood meanwhile, since something was asked here, is no news.
        while !clock::stands() {
            tokio::select! {
                () = stands.notified() => {}
                () = engine.stopped() => return,
            }
        }
    }
}

/// By the machine's clock.
async fn nap() {
    // A task that blocks: the rehearsal's time stands.
    let _ = tokio::task::spawn_blocking(|| std::thread::sleep(LOOK)).await;
}

async fn is_at_rest(objects: &Objects) -> bool {
    let looked = async {
        let changes = || REST.with(|rest| rest.changes.get());
        let before = changes();
        let looks = if REST.with(|rest| rest.is_sent.get()) { QUIET } else { 1 };
        for look in 0..looks {
            if look > 0 {
                nap().await;
            }
            let is_quiet = REST.with(Rest::waits) && knows_nothing_else(objects).await?;
            if !is_quiet || !REST.with(Rest::waits) || changes() != before {
                return Ok(false);
            }
        }
        REST.with(|rest| rest.is_sent.set(false));
        if !REST.with(|rest| rest.is_told.get()) {
            return Ok(true);
        }
        let engines = REST.with(|rest| rest.engines.borrow().clone());
        for (engine, objects) in engines {
            while feed::read_on(&engine.inner.store, &objects).await? {}
            engine.inner.ended.notify_waiters();
        }
        REST.with(|rest| rest.is_told.set(false));
        Ok(false)
    };
    let looked: Result<bool, Error> = looked.await;
    looked.inspect_err(|error| tracing::warn!(%error, "it is not known what is under way")).unwrap_or(false)
}

/// Does Restate know of nothing but what is called here, and what waits for that?
async fn knows_nothing_else(objects: &Objects) -> Result<bool, Error> {
    let (mut called, mut is_awaited) = (0, false);
    for known in objects.ingress.under_way().await? {
        match known.status.as_str() {
            "running" => called += known.number,
            "pending" => is_awaited = true,
            _ => return Ok(false),
        }
    }
    Ok(called == REST.with(|rest| rest.count(Work::Call).get()) as u64 && (called > 0 || !is_awaited))
}
