//! Runs that a cluster keeps: our objects on Restate, served by any number of processes that keep nothing themselves.
//!
//! ```text
//!  webhook ─ verified ─▶ ingress ─▶ line: one object for each workflow, tenant and order key ─▶ turns of its runs
//!                                    │      └─ known: what a workflow was told of a record · plan: documents by hash
//!                                    └─ feed ─▶ every process: a copy of all runs in its own store, for people to look at
//! ```
//! - `served.rs`, `called.rs` the only places that know Restate's SDK; `steps.rs` what it lets a handler do
//! - `line.rs`, `turn.rs` the runs; `turns.rs` upserts of one identity; `mail.rs` what runs wait for
//! - `known.rs` copies of records; `pairs.rs` pairs; `pacts.rs` what syncs know
//! - `budget.rs` limits; `credential.rs` grants; `tokens.rs` who may come in; `places.rs` how far lists are read, and by whom
//! - `moving/` how runs of a data folder move in, and out again; `admin.rs` what Restate says of itself
//! - `feed.rs`, `outbox.rs` what is told to those who look; `erasing.rs` what is known of a person goes
//! - `plans.rs` the documents of a version; `played.rs` a cluster that a rehearsal plays
//! - `objects.rs`, `ingress.rs` how they are asked from outside; `deployment.rs` where they are called
//!
//! What is kept here is Restate's; the store beside it is read by pages and commands, and can be made anew from the feed.

mod admin;
mod budget;
mod called;
mod credential;
mod deployment;
mod erasing;
mod feed;
mod ingress;
mod known;
mod line;
mod mail;
mod moving;
mod objects;
mod outbox;
mod pacts;
mod pairs;
mod places;
mod plans;
mod played;
mod rest;
mod served;
mod steps;
mod tokens;
mod turn;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use self::deployment::{Deployment, Standing};
use self::feed::Note;
use self::ingress::{AGAIN, Ingress};
use self::line::Decided;
use self::moving::Door;
use self::objects::{Calls, Objects};
use super::hands::{Cursors, HALF_WAY, Hands};
use super::ledger::Said;
use super::{Engine, now_ms};
use crate::clock;
use crate::http::{Lease, Wish};
use crate::run::Start;
use crate::store::{Accepted, Asked, Commit, Deed, Error, Intake, Keeper, Noted, Run, Sought, Store};

pub use self::moving::{Moved, Way, migrate, move_into_played};
pub use self::played::Played;

/// A cluster of Restate, and how it reaches this process.
pub struct Cluster {
    /// Where messages are given to objects, of one node or several.
    pub ingress: Vec<Url>,
    /// Where it is told who serves them.
    pub admin: Vec<Url>,
    /// Where Restate calls this process.
    pub listener: TcpListener,
    /// The address by which it reaches that: of this process, or of what stands before several.
    pub deployment: Url,
    /// Public keys of which it signs its calls with one; none: it does not sign.
    pub keys: Vec<String>,
}

pub(super) struct Restate {
    objects: Arc<Objects>,
    /// What this process is called by the others.
    process: String,
    /// None: of a cluster that is played in this process.
    deployment: Option<Deployment>,
    keys: Vec<String>,
    /// None: it is served.
    listener: Mutex<Option<TcpListener>>,
}

impl Restate {
    pub fn new(cluster: Cluster) -> Restate {
        let Cluster { ingress, admin, listener, deployment, keys } = cluster;
        let objects = Arc::new(Objects::new(Ingress::new(ingress, admin)));
        let process = clock::id().to_string();
        let deployment = Some(Deployment::new(deployment));
        Restate { objects, process, deployment, keys, listener: Mutex::new(Some(listener)) }
    }

    /// Those of a cluster that is played.
    pub fn played(cluster: Arc<Played>) -> Restate {
        let (objects, process) = (Arc::new(Objects::new(Ingress::Played(cluster))), clock::id().to_string());
        Restate { objects, process, deployment: None, keys: Vec::new(), listener: Mutex::default() }
    }

    /// Asks until Restate answers.
    async fn register(&self, engine: &Engine) {
        let mut is_told = false;
        let Some(deployment) = &self.deployment else { return };
        loop {
            let error = match deployment.register(&self.objects.ingress).await {
                Ok(Standing::Current) => return,
                Ok(Standing::Superseded) => {
                    let why =
                        "a newer release is called at another address: this process only ends what was begun here";
                    return tracing::warn!("{why}");
                }
                Err(error) => error,
            };
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(%error, "Restate is not told yet who serves its objects");
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = engine.stopped() => return,
            }
        }
    }

    /// Asks until it is known whether runs are kept here.
    ///
    /// # Errors
    /// `Refused`: they are not, or not all of them.
    async fn is_open(&self, engine: &Engine) -> Result<(), Error> {
        loop {
            match Door::read(&self.objects).await {
                Ok(door) => return door.map_or(Ok(()), |door| door.let_in()),
                Err(error) => tracing::warn!(%error, "it is not known yet whether the cluster keeps the runs"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = engine.stopped() => return Ok(()),
            }
        }
    }

    /// Has a run's line carry out what a person has decided.
    async fn decide(&self, engine: &Engine, what: &str, run: &str, by: &str) -> Result<Option<Run>, Error> {
        let Some(known) = engine.inner.store.run(run).await? else { return Ok(None) };
        let decided = Decided { run: known.start.id.clone(), by: by.to_owned(), at_ms: now_ms() };
        let is_done = self.objects.decide(&known.start, what, &decided).await?;
        match is_done {
            true => told(&engine.inner.store, known).await.map(Some),
            false => Ok(None),
        }
    }
}

/// Calls runs that have paused here as soon as what they wait for is there.
async fn call_for_ever(engine: &Engine, objects: &Objects) {
    let mut connected = engine.inner.accounts.subscribe();
    loop {
        tokio::select! {
            // Too much has happened to name one.
            connection = connected.recv() => objects.call_paused(connection.ok().as_deref()).await,
            () = engine.stopped() => return,
        }
    }
}

/// So long a process that stops waits for what is under way: longer than a request may take.
const DRAINS: Duration = Duration::from_secs(35);

/// So long it is waited, at most, until the copy here says what was decided.
const TOLD: Duration = Duration::from_secs(3);

/// The run as it is once the feed has told of it: whoever has decided looks at what came of it.
async fn told(store: &Store, before: Run) -> Result<Run, Error> {
    let end = clock::instant() + TOLD;
    loop {
        let now = store.run(&before.start.id).await?;
        match now.filter(|now| now.length > before.length) {
            Some(now) => return Ok(now),
            None if clock::instant() >= end => return Ok(before),
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// They would happen nowhere.
const OWN: &str = "the data folder has runs of its own, which the cluster does not know: move them there with \
                   `dovetail migrate --to restate`, or say `--data DIR` for another folder";

/// That a run was accepted.
fn accepted_note(run: &Start) -> Noted {
    let commit = Commit { run: run.id.clone(), ..Commit::default() };
    Noted::Run { start: Some(Box::new(run.clone())), commit: Box::new(commit) }
}

impl Hands for Restate {
    fn open<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()> {
        Box::pin(async move {
            if engine.inner.store.keeper().await? == Keeper::Moving {
                return Err(Error::Refused(HALF_WAY.into()));
            }
            if !engine.inner.store.give_to_cluster().await? {
                return Err(Error::Refused(OWN.into()));
            }
            let listener = self.listener.lock().take();
            if let Some(listener) = listener {
                let endpoint = served::endpoint(Some(engine), &self.objects, &self.keys).map_err(Error::Refused)?;
                let (stopping, objects) = (engine.clone(), Arc::clone(&self.objects));
                let drained = async move {
                    stopping.stopped().await;
                    // Whoever is still at work then is called again elsewhere.
                    let _ = tokio::time::timeout(DRAINS, objects.rest()).await;
                };
                let objects = Arc::clone(&self.objects);
                engine.spawn(async move {
                    called::serve(listener, endpoint, drained).await;
                    objects.ingress.shut();
                });
            }
            if let Ingress::Played(played) = &self.objects.ingress {
                played.serve(Some(engine), &self.objects);
            }
            self.register(engine).await;
            self.is_open(engine).await?;
            self.objects.calls.send_replace(Calls::Lived);
            if let Err(error) = tokens::share(&engine.inner.store, &self.objects).await {
                tracing::warn!(%error, "other processes do not know yet who may come in here, nor is it known here who may there");
            }
            if let Some(vault) = &engine.inner.vault {
                vault.share_by(self.objects.clone());
                if let Err(error) = vault.share_all().await {
                    tracing::warn!(%error, "other processes do not know yet what accounts are connected here");
                }
            }
            Ok(())
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        match &self.deployment {
            Some(deployment) => Box::pin(deployment.leave(&self.objects.ingress)),
            None => Box::pin(async {}),
        }
    }

    fn begin<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()> {
        if clock::is_turned() && self.deployment.is_some() {
            let objects = Arc::clone(&self.objects);
            let keep_time = move |engine: Engine| {
                let objects = Arc::clone(&objects);
                async move { rest::keep_time(&engine, &objects).await }
            };
            engine.spawn_for_ever("time".into(), keep_time);
            return Box::pin(async { Ok(()) });
        }
        let objects = Arc::clone(&self.objects);
        let follow = move |engine: Engine| {
            let objects = Arc::clone(&objects);
            async move { feed::follow(engine, &objects).await }
        };
        engine.spawn_for_ever("the feed".into(), follow);
        let objects = Arc::clone(&self.objects);
        let call = move |engine: Engine| {
            let objects = Arc::clone(&objects);
            async move { call_for_ever(&engine, &objects).await }
        };
        engine.spawn_for_ever("what pauses".into(), call);
        if self.deployment.is_none() {
            // Nobody moves what is played.
            return Box::pin(async { Ok(()) });
        }
        let objects = Arc::clone(&self.objects);
        let watch = move |engine: Engine| {
            let objects = Arc::clone(&objects);
            async move { Door::watch(&engine, &objects).await }
        };
        engine.spawn_for_ever("the door".into(), watch);
        let objects = Arc::clone(&self.objects);
        let forget = move |engine: Engine| {
            let objects = Arc::clone(&objects);
            async move { plans::forget_for_ever(engine, &objects).await }
        };
        engine.spawn_for_ever("versions".into(), forget);
        Box::pin(async { Ok(()) })
    }

    fn keep<'h>(&'h self, engine: &'h Engine, hash: &'h str, documents: Vec<(String, String)>) -> Said<'h, ()> {
        Box::pin(async move {
            engine.inner.store.keep_plan(hash, &documents).await?;
            self.objects.keep(hash, &documents).await
        })
    }

    fn documents<'h>(&'h self, engine: &'h Engine, hash: &'h str) -> Said<'h, Option<Vec<(String, String)>>> {
        Box::pin(async move {
            if let Some(documents) = engine.inner.store.plan(hash).await? {
                return Ok(Some(documents));
            }
            let documents = self.objects.documents(hash).await?;
            if let Some(documents) = &documents {
                engine.inner.store.keep_plan(hash, documents).await?;
            }
            Ok(documents)
        })
    }

    fn cursor<'h>(&'h self, _: &'h Engine, key: &'h str) -> Said<'h, Option<Value>> {
        Box::pin(self.objects.place(key))
    }

    fn set_cursor<'h>(&'h self, _: &'h Engine, key: &'h str, value: Value) -> Said<'h, ()> {
        Box::pin(async move { self.objects.set_place(key, &value).await })
    }

    fn begin_cursor<'h>(&'h self, _: &'h Engine, key: &'h str, value: Value) -> Said<'h, Value> {
        Box::pin(async move { self.objects.begin_place(key, &value).await })
    }

    fn shares_limits(&self) -> bool {
        true
    }

    fn is_at_rest(&self) -> bool {
        match &self.objects.ingress {
            Ingress::Played(played) => played.is_at_rest(),
            Ingress::Network { .. } if clock::is_turned() => !clock::stands(),
            // Other processes may be at work.
            Ingress::Network { .. } => false,
        }
    }

    fn lease<'h>(&'h self, wish: &'h Wish) -> Said<'h, Option<Lease>> {
        Box::pin(async move { self.objects.lease(wish).await.map(Some) })
    }

    fn say<'h>(&'h self, engine: &'h Engine, asked: Asked) -> Said<'h, ()> {
        Box::pin(async move {
            self.objects.say(&asked).await?;
            // As the feed will say.
            engine.inner.store.say(asked).await
        })
    }

    fn has_duty<'h>(&'h self, _: &'h Engine, name: &'h str) -> Said<'h, bool> {
        Box::pin(self.objects.take_duty(name, &self.process))
    }

    fn accept<'h>(&'h self, engine: &'h Engine, intakes: Vec<Intake>, cursors: Cursors) -> Said<'h, Vec<Accepted>> {
        Box::pin(async move {
            if self.objects.calls() != Calls::Lived {
                return Err(Error::Away("the cluster does not keep the runs any more".into()));
            }
            for (key, value) in cursors.before {
                self.objects.set_place(&key, &value).await?;
            }
            let (mut accepted, mut notes, mut again) = (Vec::new(), Vec::new(), 0);
            for intake in &intakes {
                if intake.runs.is_empty() {
                    // That it came is told by whoever has taken it.
                    accepted.extend(engine.inner.store.accept([intake.clone()], Vec::new()).await?);
                    continue;
                }
                let new = self.objects.accept(intake).await?;
                again += usize::from(new.is_empty());
                accepted.push(if new.is_empty() { Accepted::Duplicate } else { Accepted::New });
                notes.extend(new.into_iter().map(accepted_note));
            }
            // Whoever has accepted them can look at them at once; if not, the feed tells of them.
            if !notes.is_empty()
                && let Err(error) = engine.inner.store.follow(notes, None).await
            {
                tracing::warn!(%error, "runs that were accepted are not in the copy here yet");
            }
            if again > 0
                && let Err(error) = engine.inner.store.came_again(again).await
            {
                tracing::warn!(%error, "what came again is not counted");
            }
            for (key, value) in cursors.after {
                self.objects.set_place(&key, &value).await?;
            }
            Ok(accepted)
        })
    }

    /// Their lines were told.
    fn take_up(&self, _: &Engine, _: Vec<Start>) {}

    fn share_access<'h>(&'h self, engine: &'h Engine) -> Said<'h, ()> {
        Box::pin(tokens::share(&engine.inner.store, &self.objects))
    }

    fn tell_deed<'h>(&'h self, _: &'h Engine, deed: Deed) -> Said<'h, ()> {
        Box::pin(async move { self.objects.note(&Note::Deed(Box::new(deed))).await })
    }

    fn erase<'h>(&'h self, engine: &'h Engine, sought: &'h Sought) -> Said<'h, ()> {
        Box::pin(erasing::erase(&self.objects, &engine.inner.store, sought))
    }

    fn retry<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, bool> {
        Box::pin(self.decide(engine, "retry", run, by).map(|decided| decided.map(|run| run.is_some())))
    }

    fn drop_dead<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, Option<Run>> {
        Box::pin(self.decide(engine, "drop_dead", run, by))
    }

    fn cancel<'h>(&'h self, engine: &'h Engine, run: &'h str, by: &'h str) -> Said<'h, Option<Run>> {
        Box::pin(self.decide(engine, "cancel", run, by))
    }
}
