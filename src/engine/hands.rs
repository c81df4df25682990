//! The hands: who keeps what was accepted, and calls runs when their time has come.
//!
//! ```text
//!               ┌─ own:     the store, and lines in memory: one process, nothing else to run
//!  engine ─▶ Hands
//!               └─ restate: objects of a cluster: many processes side by side, none of which keeps anything
//! ```
//! What a run does is decided by `run/` and lived through by `life/`, whoever's hands they are.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::Engine;
use super::ledger::Said;
use super::now_ms;
use crate::http::{Lease, Wish};
use crate::run::Start;
use crate::store::{Accepted, Asked, Deed, Error, Intake, Keeper, Run, Sought};

/// Cursors that become durable with events.
#[derive(Default)]
pub(super) struct Cursors {
    /// What runs of the events may look at: durable before the first of them is.
    pub before: Vec<(String, Value)>,
    /// How far was read: durable when all of them are.
    pub after: Vec<(String, Value)>,
}

impl Cursors {
    pub fn before(cursor: (String, Value)) -> Cursors {
        Cursors { before: vec![cursor], after: Vec::new() }
    }

    pub fn after(cursor: (String, Value)) -> Cursors {
        Cursors { before: Vec::new(), after: vec![cursor] }
    }
}

pub(super) trait Hands: Send + Sync {
    /// Gets ready: from here on it is asked for what is kept.
    fn open<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()>;

    /// Returns when this process may stop.
    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Begins to call runs.
    fn begin<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()>;

    /// Keeps the documents of a version for the runs that begin with it.
    fn keep<'h>(&'h self, engine: &'h Engine, hash: &'h str, documents: Vec<(String, String)>) -> Said<'h, ()>;

    /// The documents of a version.
    fn documents<'h>(&'h self, engine: &'h Engine, hash: &'h str) -> Said<'h, Option<Vec<(String, String)>>>;

    /// How far something was read.
    fn cursor<'h>(&'h self, engine: &'h Engine, key: &'h str) -> Said<'h, Option<Value>>;

    fn set_cursor<'h>(&'h self, engine: &'h Engine, key: &'h str, value: Value) -> Said<'h, ()>;

    /// How far something was read; from here, if it never was.
    fn begin_cursor<'h>(&'h self, engine: &'h Engine, key: &'h str, value: Value) -> Said<'h, Value>;

    /// Is it this process that does what one is to do: reads a list, keeps a schedule?
    fn has_duty<'h>(&'h self, engine: &'h Engine, name: &'h str) -> Said<'h, bool>;

    /// Is nothing that was accepted at work, beside what is in line in this process?
    fn is_at_rest(&self) -> bool {
        true
    }

    /// Are limits shared with other processes?
    fn shares_limits(&self) -> bool {
        false
    }

    /// A part of a window that is shared with other processes; None: it is shared with none.
    fn lease<'h>(&'h self, _: &'h Wish) -> Said<'h, Option<Lease>> {
        Box::pin(async { Ok(None) })
    }

    /// Keeps what a person has said about a record of a sync, in place of what was said before.
    fn say<'h>(&'h self, engine: &'h Engine, asked: Asked) -> Said<'h, ()>;

    /// Makes events durable, and cursors with them. Whoever keeps them in several places may do a part of it and fail: the same again
    /// does the rest.
    fn accept<'h>(&'h self, engine: &'h Engine, intakes: Vec<Intake>, cursors: Cursors) -> Said<'h, Vec<Accepted>>;

    /// These runs are durable now: they came with an event, or another run has begun them.
    fn take_up(&self, engine: &Engine, runs: Vec<Start>);

    /// Who may come in here, or has, may do so at other processes, and who may there, here.
    fn share_access<'h>(&'h self, _: &'h Engine) -> Said<'h, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Other processes hear what somebody does here from outside.
    fn tell_deed<'h>(&'h self, _: &'h Engine, _: Deed) -> Said<'h, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Forgets a person, wherever it is over.
    fn erase<'h>(&'h self, engine: &'h Engine, sought: &'h Sought) -> Said<'h, ()> {
        Box::pin(async { engine.inner.store.erase(sought).await.map(drop) })
    }

    /// Tries a dead letter again. False: it is none.
    fn retry<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, bool>;

    /// Gives a dead letter up. Gives the run as it is then; None: it is no dead letter.
    fn drop_dead<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, Option<Run>>;

    /// Ends a run that is not over. Gives the run as it is then; None: it is over.
    fn cancel<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, Option<Run>>;
}

/// Runs would happen here and there.
pub const COPY: &str = "a cluster keeps the runs that are in the data folder, which is a copy: start `dovetail serve --on restate` with \
                        it, move them back with `dovetail migrate --to own`, or say `--data DIR` for another folder";

/// Runs would happen here and there.
pub const HALF_WAY: &str = "the runs in the data folder are being moved into a cluster, and not all are there yet: say \
                            `dovetail migrate --to restate` again, or take them back with `dovetail migrate --to own`";

/// Those of one process, which keeps everything in its store.
pub(super) struct Own;

impl Hands for Own {
    fn open<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()> {
        Box::pin(async {
            match engine.inner.store.keeper().await? {
                Keeper::Own => Ok(()),
                Keeper::Cluster => Err(Error::Refused(COPY.into())),
                Keeper::Moving => Err(Error::Refused(HALF_WAY.into())),
            }
        })
    }

    fn begin<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()> {
        if engine.inner.listens {
            engine.inner.queues.close();
        }
        let taking_up = |engine: Engine| async move { engine.take_up_for_ever().await };
        engine.spawn_for_ever("taking up runs".into(), taking_up);
        if engine.inner.listens {
            let pending = engine.clone();
            engine.spawn(async move { pending.enqueue_pending().await });
            engine.spawn_for_ever("what pauses".into(), |engine| async move { engine.call_for_ever().await });
            engine.spawn_for_ever("the alarm".into(), |engine| async move { engine.wake_for_ever().await });
        }
        Box::pin(async { Ok(()) })
    }

    fn keep<'h>(&'h self, engine: &'h Engine, hash: &'h str, documents: Vec<(String, String)>) -> Said<'h, ()> {
        Box::pin(async move { engine.inner.store.keep_plan(hash, &documents).await })
    }

    fn documents<'h>(&'h self, engine: &'h Engine, hash: &'h str) -> Said<'h, Option<Vec<(String, String)>>> {
        Box::pin(engine.inner.store.plan(hash))
    }

    fn cursor<'h>(&'h self, engine: &'h Engine, key: &'h str) -> Said<'h, Option<Value>> {
        Box::pin(engine.inner.store.cursor(key))
    }

    fn set_cursor<'h>(&'h self, engine: &'h Engine, key: &'h str, value: Value) -> Said<'h, ()> {
        Box::pin(engine.inner.store.set_cursor(key, value))
    }

    fn begin_cursor<'h>(&'h self, engine: &'h Engine, key: &'h str, value: Value) -> Said<'h, Value> {
        Box::pin(async move {
            if let Some(known) = engine.inner.store.cursor(key).await? {
                return Ok(known);
            }
            engine.inner.store.set_cursor(key, value.clone()).await?;
            Ok(value)
        })
    }

    fn say<'h>(&'h self, engine: &'h Engine, asked: Asked) -> Said<'h, ()> {
        Box::pin(engine.inner.store.say(asked))
    }

    fn has_duty<'h>(&'h self, _: &'h Engine, _: &'h str) -> Said<'h, bool> {
        Box::pin(async { Ok(true) })
    }

    fn accept<'h>(
        &'h self,
        engine: &'h Engine,
        intakes: Vec<Intake>,
        Cursors { mut before, after }: Cursors,
    ) -> Said<'h, Vec<Accepted>> {
        before.extend(after);
        Box::pin(async move { engine.inner.store.accept(&intakes, before).await })
    }

    fn take_up(&self, engine: &Engine, runs: Vec<Start>) {
        runs.into_iter().for_each(|run| engine.enqueue_new(run));
    }

    fn retry<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, bool> {
        Box::pin(async move {
            let store = &engine.inner.store;
            let is_retried = store.retry(run, by, now_ms()).await?;
            if is_retried && let Some(run) = store.run(run).await? {
                engine.enqueue(run.start);
            }
            Ok(is_retried)
        })
    }

    fn drop_dead<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, Option<Run>> {
        Box::pin(async move {
            let store = &engine.inner.store;
            if store.drop_dead(run, by, now_ms()).await? { store.run(run).await } else { Ok(None) }
        })
    }

    fn cancel<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, Option<Run>> {
        Box::pin(async move {
            let store = &engine.inner.store;
            if !store.cancel(run, by, now_ms()).await? {
                return Ok(None);
            }
            let cancelled = store.run(run).await?;
            if let Some(run) = &cancelled {
                engine.leave(&run.start);
            }
            Ok(cancelled)
        })
    }
}
