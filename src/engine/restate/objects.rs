//! Our objects, by name, and how they are asked from outside.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::budget::{self, Granted};
use super::credential::{Kept as KeptCredential, Leasing, Putting};
use super::feed::{Note, Page};
use super::ingress::{Ingress, Object};
use super::known::Telling;
use super::line::{Decided, GoOn};
use super::mail::{Leaving, Waiter};
use super::outbox::Outbox;
use super::pacts;
use super::pairs::{Keeping, Taken};
use crate::clock;
use crate::http::{Lease, Wish};
use crate::run::{Asking, Correlation, Kept, Known, Link, Received, RecordRef, Start, Subscription, Told};
use crate::store::{Asked, Commit, Error, Intake, Sealed, Store};
use crate::trigger::Event;
use crate::vault::{Said, Shared};
use crate::workflow::{Looked, Synced};

pub(super) struct Objects {
    pub ingress: Ingress,
    /// Runs that have paused in this process, by the connection for which they did; each with its line.
    paused: Mutex<BTreeMap<String, Vec<(String, String)>>>,
    /// Turns that this process lives through.
    living: watch::Sender<usize>,
    outbox: Outbox,
    /// Syncs that have begun, by place: they never begin anew.
    begun: Mutex<HashSet<String>>,
    /// What becomes of runs that are called in this process.
    pub calls: watch::Sender<Calls>,
}

/// What becomes of runs that are called here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Calls {
    /// They are lived through.
    Lived,
    /// It is not known yet: they are called again.
    Later,
    /// Runs are being moved in: they are called when all are there, at whichever process serves then.
    MovingIn,
    /// Runs are being moved out: what was decided is kept, and nothing further is.
    MovingOut,
    /// Whatever is kept here is about to be forgotten: to be called is nothing.
    Forgotten,
}

pub(super) struct AtWork<'o>(&'o Objects);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.living.send_modify(|living| *living -= 1);
    }
}

/// Runs that are known to have paused for a connection, at most; the others go on when their pause is over.
const PAUSED_MAX: usize = 10_000;

/// Names of services. They are in what Restate keeps: never change one.
pub(super) const LINE: &str = "DovetailLine";
pub(super) const KNOWN: &str = "DovetailKnown";
pub(super) const PAIRS: &str = "DovetailPairs";
pub(super) const TURN: &str = "DovetailTurn";
pub(super) const PACTS: &str = "DovetailPacts";
pub(super) const MAIL: &str = "DovetailMail";
pub(super) const BUDGET: &str = "DovetailBudget";
pub(super) const CREDENTIAL: &str = "DovetailCredential";
pub(super) const PLACE: &str = "DovetailPlace";
pub(super) const DUTY: &str = "DovetailDuty";
pub(super) const FEED: &str = "DovetailFeed";
pub(super) const PLAN: &str = "DovetailPlan";
pub(super) const TOKENS: &str = "DovetailTokens";
pub(super) const SERVICES: [&str; 13] =
    [LINE, KNOWN, PAIRS, TURN, PACTS, MAIL, BUDGET, CREDENTIAL, PLACE, DUTY, FEED, PLAN, TOKENS];

/// The documents of a version.
pub(super) type Documents = Vec<(String, String)>;

pub(super) fn side(of: &RecordRef) -> (&str, &str) {
    (&of.connection, &of.object)
}

pub(super) fn line(run: &Start) -> Object {
    Object { service: LINE, key: json!([run.workflow, run.tenant, run.order_key]).to_string() }
}

pub(super) fn feed() -> Object {
    Object { service: FEED, key: "0".into() }
}

/// Of one tenant, and between two objects, whichever is named first.
pub(super) fn pairs(tenant: Option<&str>, sides: [(&str, &str); 2]) -> Object {
    let [mut one, mut other] = sides;
    if other < one {
        std::mem::swap(&mut one, &mut other);
    }
    Object { service: PAIRS, key: json!([tenant, one, other]).to_string() }
}

pub(super) fn pacts_of(sync: &str, tenant: Option<&str>) -> Object {
    Object { service: PACTS, key: json!([sync, tenant]).to_string() }
}

pub(super) fn mail(of: &Correlation) -> Object {
    Object { service: MAIL, key: json!([of.listener, of.source, of.key]).to_string() }
}

pub(super) fn turn(identity: &str) -> Object {
    Object { service: TURN, key: identity.to_owned() }
}

fn place(key: &str) -> Object {
    Object { service: PLACE, key: key.to_owned() }
}

pub(super) fn tokens() -> Object {
    Object { service: TOKENS, key: "0".into() }
}

pub(super) fn known(workflow: &str, of: &RecordRef) -> Object {
    Object { service: KNOWN, key: json!([workflow, of.connection, of.object, of.id]).to_string() }
}

fn plan(hash: &str) -> Object {
    Object { service: PLAN, key: hash.to_owned() }
}

/// By this a delivery of an event to a run's line is known, whoever brings it.
pub(super) fn once(event: &Event, run: &Start) -> String {
    json!([event.source, event.connection, event.id, run.workflow, run.tenant]).to_string()
}

impl Objects {
    pub fn new(ingress: Ingress) -> Objects {
        Objects {
            ingress,
            paused: Mutex::default(),
            living: watch::channel(0).0,
            outbox: Outbox::default(),
            begun: Mutex::default(),
            calls: watch::channel(Calls::Later).0,
        }
    }

    pub fn calls(&self) -> Calls {
        *self.calls.borrow()
    }

    /// A turn is being lived through: a process that stops waits for its end.
    pub fn is_at_work(&self) -> AtWork<'_> {
        self.living.send_modify(|living| *living += 1);
        AtWork(self)
    }

    /// Returns when nothing is.
    pub async fn rest(&self) {
        // Its sender is here.
        let _ = self.living.subscribe().wait_for(|living| *living == 0).await;
    }

    /// A run pauses for a connection.
    pub fn pauses(&self, connection: &str, run: &str, line: &str) {
        let mut paused = self.paused.lock();
        if connection.is_empty() || paused.values().map(Vec::len).sum::<usize>() >= PAUSED_MAX {
            return;
        }
        paused.entry(connection.to_owned()).or_default().push((run.to_owned(), line.to_owned()));
    }

    /// Calls those that have paused for a connection, which is well again; None: for any.
    pub async fn call_paused(&self, connection: Option<&str>) {
        let called: Vec<(String, Vec<(String, String)>)> = match connection {
            Some(name) => self.paused.lock().remove_entry(name).into_iter().collect(),
            None => std::mem::take(&mut *self.paused.lock()).into_iter().collect(),
        };
        for (name, runs) in called {
            for (run, key) in runs {
                let line = Object { service: LINE, key };
                let once = clock::id().to_string();
                // Who is not reached goes on when its pause is over.
                let _ = self.ingress.send(&line, "go_on", &GoOn::early(&run, &name), &once).await;
            }
        }
    }

    /// Gives the runs of an event to their lines; gives those that were not given before.
    pub async fn accept<'i>(&self, intake: &'i Intake) -> Result<Vec<&'i Start>, Error> {
        let event = &intake.event;
        let mut new = Vec::new();
        for run in &intake.runs {
            let once = once(event, run);
            if self.ingress.send(&line(run), "accept", run, &once).await? {
                new.push(run);
            }
        }
        Ok(new)
    }

    /// Has a person's decision carried out by the run's line. False: there is nothing to decide.
    pub async fn decide(&self, run: &Start, what: &str, decided: &Decided) -> Result<bool, Error> {
        self.ingress.call(&line(run), what, decided).await
    }

    pub async fn recall(&self, run: &str, workflow: &str, of: &RecordRef) -> Result<Option<Known>, Error> {
        self.ingress.call(&known(workflow, of), "recall", &run).await
    }

    pub async fn tell(&self, run: &str, told: &Told) -> Result<(), Error> {
        let telling = Telling { run: run.to_owned(), known: told.known.clone() };
        match self.ingress.call(&known(&told.workflow, &told.of), "tell", &telling).await? {
            true => Ok(()),
            false => Err(Error::Conflict { run: run.to_owned() }),
        }
    }

    /// # Errors
    /// `Linked` when a record has another partner there.
    pub async fn link(&self, kept: &Kept) -> Result<(), Error> {
        let mut by_object: BTreeMap<String, (Object, Keeping)> = BTreeMap::new();
        let mut place = |link: &Link, add: &dyn Fn(&mut Keeping)| {
            let object = pairs(link.tenant.as_deref(), [side(&link.left), side(&link.right)]);
            add(&mut by_object.entry(object.key.clone()).or_insert_with(|| (object, Keeping::default())).1);
        };
        kept.unlink.iter().for_each(|link| place(link, &|keeping| keeping.unlink.push(link.clone())));
        kept.link.iter().for_each(|(_, link)| place(link, &|keeping| keeping.link.push(link.clone())));
        for (object, keeping) in by_object.into_values() {
            if let Some(Taken { link, of, partner }) = self.ingress.call(&object, "keep", &keeping).await? {
                let other = if of == link.left { &link.right } else { &link.left };
                let partner = RecordRef { id: partner, ..other.clone() };
                let link = Box::new(link);
                return Err(Error::Linked { link, record: of.to_string(), partner: partner.to_string() });
            }
        }
        Ok(())
    }

    /// Keeps what syncs have come to.
    pub async fn agree(&self, commit: &Commit) -> Result<(), Error> {
        let at_ms = commit.entries.last().map_or(0, |entry| entry.at_ms);
        let mut by_sync: BTreeMap<String, (Object, Vec<Synced>)> = BTreeMap::new();
        for (tenant, synced) in &commit.kept.synced {
            let object = pacts_of(&synced.sync, tenant.as_deref());
            by_sync.entry(object.key.clone()).or_insert_with(|| (object, Vec::new())).1.push(synced.clone());
        }
        for (object, synced) in by_sync.into_values() {
            self.ask(&object, "keep", &pacts::Keeping { synced, at_ms }).await?;
        }
        Ok(())
    }

    /// What a person has said about a record of a sync.
    pub async fn say(&self, asked: &Asked) -> Result<(), Error> {
        self.ask(&pacts_of(&asked.sync, asked.tenant.as_deref()), "tell", asked).await.map(drop)
    }

    /// Leaves the messages of a listener.
    pub async fn leave(&self, commit: &Commit) -> Result<(), Error> {
        for (place, message) in commit.kept.messages.iter().enumerate() {
            // A run tells the same in the same place, also after it has died.
            let place = commit.length + place;
            let leaving = Leaving { run: commit.run.clone(), place, record: message.record.clone() };
            self.ask(&mail(&message.correlation), "leave", &leaving).await?;
        }
        Ok(())
    }

    /// A run is called when there is what it waits for. True: something is there already.
    pub async fn wait(&self, run: &str, line: &str, waits: &[Subscription]) -> Result<bool, Error> {
        let mut is_there = false;
        for wait in waits {
            let waiter = Waiter { run: run.to_owned(), line: line.to_owned(), after: wait.after };
            is_there |= self.ingress.call::<_, bool>(&mail(&wait.correlation), "wait", &waiter).await?;
        }
        Ok(is_there)
    }

    pub async fn message(&self, run: &str, wait: &Subscription) -> Result<Option<Received>, Error> {
        let waiter = Waiter { run: run.to_owned(), line: String::new(), after: wait.after };
        self.ingress.call(&mail(&wait.correlation), "first", &waiter).await
    }

    pub async fn look(&self, tenant: Option<&str>, asking: &Asking) -> Result<Looked, Error> {
        let object = pairs(tenant, [side(&asking.of), (&asking.connection, &asking.object)]);
        let found: Option<String> = self.ingress.call(&object, "look", &asking.of).await?;
        let looked = match &asking.sync {
            None => Looked::default(),
            Some((sync, side)) => {
                let other = |id: &String| RecordRef {
                    connection: asking.connection.clone(),
                    object: asking.object.clone(),
                    id: id.clone(),
                };
                let (found, now_ms) = (found.as_ref().map(other), asking.now_ms);
                let wanted = pacts::Wanted { of: asking.of.clone(), side: *side, found, now_ms };
                let looked: Looked = self.ingress.call(&pacts_of(sync, tenant), "look", &wanted).await?;
                let begun = self.has_begun(Store::begun(sync, tenant)).await?;
                Looked { begun, ..looked }
            }
        };
        Ok(Looked { of: Some(asking.of.clone()), found, turns: asking.turns.clone(), ..looked })
    }

    async fn has_begun(&self, place: String) -> Result<bool, Error> {
        let is_known = self.begun.lock().contains(&place);
        let has_begun = is_known || self.place(&place).await?.is_some();
        if has_begun && !is_known {
            self.begun.lock().insert(place);
        }
        Ok(has_begun)
    }

    pub async fn place(&self, key: &str) -> Result<Option<Value>, Error> {
        Ok(Some(self.ask(&place(key), "get", &()).await?).filter(|place| !place.is_null()))
    }

    pub async fn set_place(&self, key: &str, value: &Value) -> Result<(), Error> {
        self.ask(&place(key), "set", value).await.map(drop)
    }

    pub async fn begin_place(&self, key: &str, value: &Value) -> Result<Value, Error> {
        self.ask(&place(key), "begin", value).await
    }

    pub async fn take_duty(&self, name: &str, process: &str) -> Result<bool, Error> {
        self.ingress.call(&Object { service: DUTY, key: name.to_owned() }, "take", &process).await
    }

    pub async fn lease(&self, wish: &Wish) -> Result<Lease, Error> {
        let asked = clock::instant();
        let per_ms = i64::try_from(wish.per.as_millis()).unwrap_or(i64::MAX);
        let wanted = budget::Wanted { most: wish.most, per_ms, wanted: wish.wanted, used: wish.used };
        let object = Object { service: BUDGET, key: wish.name() };
        let Granted { number, granted, total, ends_in_ms } = self.ingress.call(&object, "lease", &wanted).await?;
        // It may have been granted as soon as it was asked for.
        let ends_in = Duration::from_millis(ends_in_ms).saturating_sub(clock::instant() - asked);
        Ok(Lease { number, granted, total, ends_in })
    }

    pub async fn keep(&self, hash: &str, documents: &Documents) -> Result<(), Error> {
        self.ask(&plan(hash), "keep", documents).await.map(drop)
    }

    /// A version is served at this instant.
    pub async fn serve(&self, hash: &str, at_ms: i64) -> Result<(), Error> {
        self.ask(&plan(hash), "serve", &at_ms).await.map(drop)
    }

    /// A version goes, unless it was served since. True: it is gone.
    pub async fn forget(&self, hash: &str, before_ms: i64) -> Result<bool, Error> {
        self.ingress.call(&plan(hash), "forget", &before_ms).await
    }

    pub async fn documents(&self, hash: &str) -> Result<Option<Documents>, Error> {
        Ok(serde_json::from_value(self.ask(&plan(hash), "read", &()).await?)?)
    }

    /// Tells those who look; returns when they are sure to be told.
    pub async fn note(&self, note: &Note) -> Result<(), Error> {
        self.outbox.tell(&self.ingress, note).await
    }

    pub async fn read_feed(&self, from: u64) -> Result<Page, Error> {
        self.ingress.call(&feed(), "read", &from).await
    }

    pub async fn ask<T: Serialize>(&self, object: &Object, handler: &str, message: &T) -> Result<Value, Error> {
        self.ingress.call(object, handler, message).await
    }
}

fn credential(name: &str) -> Object {
    Object { service: CREDENTIAL, key: name.to_owned() }
}

impl Shared for Objects {
    fn get<'s>(&'s self, name: &'s str) -> Said<'s, Option<Sealed>> {
        Box::pin(async move {
            let kept = self.ask(&credential(name), "get", &()).await?;
            Ok(serde_json::from_value::<Option<KeptCredential>>(kept)?.map(Sealed::from))
        })
    }

    fn put<'s>(&'s self, name: &'s str, next: &'s Sealed, lease: Option<&'s str>) -> Said<'s, bool> {
        let putting = Putting { next: next.into(), lease: lease.map(str::to_owned) };
        Box::pin(async move { self.ingress.call(&credential(name), "put", &putting).await })
    }

    fn lease<'s>(&'s self, name: &'s str, version: u64, lease: &'s str, for_ms: i64) -> Said<'s, bool> {
        let leasing = Leasing { version, lease: lease.to_owned(), for_ms };
        Box::pin(async move { self.ingress.call(&credential(name), "lease", &leasing).await })
    }

    fn release<'s>(&'s self, name: &'s str, lease: &'s str) -> Said<'s, ()> {
        Box::pin(async move { self.ask(&credential(name), "release", &lease).await.map(drop) })
    }
}
