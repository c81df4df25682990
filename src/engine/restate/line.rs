//! The line of one order key: an object, so that its runs happen one after the other across all processes.
//!
//! ```text
//!  accept ─▶ in line ─ first ─▶ a turn ─▶ over: it goes, the next is called
//!               ▲                  ├────▶ waits: it leaves the line, and is called when it is due
//!               └── go_on ◀────────┴────▶ pauses: it stays first, and is called again
//! ```
//! An object keeps `line` (ids, the first one's turn it is) and `run/ID` of those that are not over, or have failed.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::feed::{News, Note};
use super::ingress::Object;
use super::objects::{Calls, Objects};
use super::rest;
use super::steps::{Steps, Stopped};
use super::turn::{Book, Ended, Whose, release, turn};
use crate::engine::{Engine, now_ms};
use crate::run::{Address, Ending, Entry, Fact, Kept, Start};

/// What a handler here works with.
pub(super) struct Desk<'d, S> {
    pub steps: &'d S,
    /// None: runs are being moved, and none is lived through.
    pub engine: Option<&'d Engine>,
    pub objects: &'d Arc<Objects>,
    /// The line itself.
    pub this: &'d Object,
}

/// A run as its line keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    pub start: Start,
    pub journal: Vec<Entry>,
    /// Of these lines of the journal is told already.
    pub told: usize,
    /// What was kept with those that are not told yet.
    #[serde(default)]
    pub kept: Kept,
    /// It is told that the run was accepted.
    pub is_told: bool,
    /// Which call it answers to: one that comes too late is none.
    pub call: u64,
    /// It waits, out of line.
    pub waits: bool,
    /// Turns of identities that its actions have, or wait for, by the action's address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub turns: BTreeMap<Address, Vec<String>>,
}

/// A run is called.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GoOn {
    run: String,
    /// None: its turn has come.
    call: Option<u64>,
    /// A connection for which it has paused, which is well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    well_again: Option<String>,
}

impl GoOn {
    /// What it has waited for is there.
    pub fn now(run: &str) -> GoOn {
        GoOn { run: run.to_owned(), call: None, well_again: None }
    }

    /// What it has paused for is there before its time.
    pub fn early(run: &str, connection: &str) -> GoOn {
        GoOn { well_again: Some(connection.to_owned()), ..GoOn::now(run) }
    }

    pub fn called(run: &str, call: u64) -> GoOn {
        GoOn { call: Some(call), ..GoOn::now(run) }
    }
}

/// What an event brings to a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Arriving {
    /// The run that it started was accepted elsewhere: only that is to be known.
    Known {
        accepted: String,
    },
    New(Box<Start>),
}

/// A person decides about a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Decided {
    pub run: String,
    pub by: String,
    pub at_ms: i64,
}

/// A pause is looked at again after so long: a limit may be raised meanwhile, and an account connected.
const PAUSE_MS: i64 = 60_000;

/// A run that comes in before all others are there asks again after so long.
const LATER_MS: i64 = 500;

pub(super) const IN_LINE: &str = "line";

/// The handler of [`Desk::come_in`].
pub(super) const COME_IN: &str = "come_in";

pub(super) fn place(run: &str) -> String {
    format!("run/{run}")
}

impl<S: Steps> Desk<'_, S> {
    /// A run was accepted.
    pub async fn accept(&self, arriving: Arriving) -> Result<(), Stopped> {
        let Arriving::New(start) = arriving else { return Ok(()) };
        self.may_begin()?;
        let _at_work = self.objects.is_at_work();
        let mut held = Held {
            start: *start,
            journal: Vec::new(),
            told: 0,
            is_told: false,
            call: 0,
            waits: false,
            turns: BTreeMap::new(),
            kept: Kept::default(),
        };
        let run = held.start.id.clone();
        // Most find nobody in line, which is written down with what they decide first.
        if let Some(came) = self.live(&mut held, None, self.steps.sees_none(IN_LINE)).await? {
            return self.after(vec![run], held, came).await;
        }
        let mut line = self.line().await?;
        if line.contains(&run) {
            return Ok(());
        }
        line.push(run);
        self.first_or_wait(line, held, None).await
    }

    /// A run is called: its turn has come, or what it waits or pauses for.
    pub async fn go_on(&self, go_on: GoOn) -> Result<(), Stopped> {
        self.may_begin()?;
        let GoOn { run, call, well_again } = go_on;
        let mut line = self.line().await?;
        let Some(mut held) = self.steps.get::<Held>(&place(&run)).await? else { return Ok(()) };
        if call.is_some_and(|call| call != held.call) {
            return Ok(());
        }
        if held.waits {
            held.waits = false;
            line.push(run.clone());
        }
        if !line.contains(&run) {
            return Ok(());
        }
        self.first_or_wait(line, held, well_again).await
    }

    /// A run that was moved in goes on as soon as all are in: others may come to its line before it.
    pub async fn come_in(&self, go_on: GoOn) -> Result<(), Stopped> {
        self.may_begin()?;
        let calls = self.objects.calls();
        match self.steps.step("are all in", ready(calls)).await? {
            Calls::MovingIn => self.call_in(go_on, LATER_MS),
            Calls::Forgotten => {}
            Calls::Later | Calls::Lived | Calls::MovingOut => self.call(go_on, 0),
        }
        Ok(())
    }

    /// Asked before anything is journalled: what was begun is played back the same way, and called at the same address.
    fn may_begin(&self) -> Result<(), Stopped> {
        let is_stopping = self.engine.is_some_and(Engine::is_stopping);
        if is_stopping || self.objects.calls() == Calls::Later {
            return Err(Stopped::Elsewhere);
        }
        Ok(())
    }

    /// A dead letter is tried again. False: it is none.
    pub async fn retry(&self, Decided { run, by, at_ms }: Decided) -> Result<bool, Stopped> {
        let Some(mut held) = self.dead(&run).await? else { return Ok(false) };
        held.journal.push(Entry { at_ms, fact: Fact::Retried { by } });
        let mut line = self.line().await?;
        line.push(run.clone());
        self.tell(&mut held, 0, None).await?;
        self.steps.set(&place(&run), held);
        if let [only] = line.as_slice() {
            self.call(GoOn::now(only), 0);
        }
        self.steps.set(IN_LINE, line);
        Ok(true)
    }

    /// A dead letter is given up. False: it is none.
    pub async fn drop_dead(&self, decided: Decided) -> Result<bool, Stopped> {
        let Some(held) = self.dead(&decided.run).await? else { return Ok(false) };
        self.end(held, decided).await?;
        Ok(true)
    }

    /// A run that is not over is ended. False: it is over.
    pub async fn cancel(&self, decided: Decided) -> Result<bool, Stopped> {
        let held = self.steps.get::<Held>(&place(&decided.run)).await?;
        let Some(held) = held.filter(|held| !held.has_failed()) else { return Ok(false) };
        let mut line = self.line().await?;
        if let Some(at) = line.iter().position(|run| *run == decided.run) {
            line.remove(at);
            if let Some(next) = line.first().filter(|_| at == 0) {
                self.call(GoOn::now(next), 0);
            }
            self.keep(line);
        }
        self.end(held, decided).await?;
        Ok(true)
    }

    pub async fn line(&self) -> Result<Vec<String>, Stopped> {
        Ok(self.steps.get(IN_LINE).await?.unwrap_or_default())
    }

    fn keep(&self, line: Vec<String>) {
        match line.is_empty() {
            true => self.steps.clear(IN_LINE),
            false => self.steps.set(IN_LINE, line),
        }
    }

    async fn dead(&self, run: &str) -> Result<Option<Held>, Stopped> {
        Ok(self.steps.get::<Held>(&place(run)).await?.filter(Held::has_failed))
    }

    async fn end(&self, mut held: Held, Decided { run, by, at_ms }: Decided) -> Result<(), Stopped> {
        release(self.steps, self.this, &held.start, &mut held.turns, |_| false);
        let ending = Ending::Dropped { by };
        held.journal.push(Entry { at_ms, fact: Fact::Ended { ending: ending.clone() } });
        self.tell(&mut held, 0, Some(ending)).await?;
        self.steps.clear(&place(&run));
        Ok(())
    }

    /// The run lives through a turn if it is first in line.
    async fn first_or_wait(
        &self,
        line: Vec<String>,
        mut held: Held,
        well_again: Option<String>,
    ) -> Result<(), Stopped> {
        let _at_work = self.objects.is_at_work();
        let run = held.start.id.clone();
        if line.first() != Some(&run) {
            self.tell(&mut held, 0, None).await?;
            self.steps.set(&place(&run), held);
            self.steps.set(IN_LINE, line);
            return Ok(());
        }
        match self.live(&mut held, well_again.as_deref(), true).await? {
            Some(came) => self.after(line, held, came).await,
            None => Ok(()),
        }
    }

    /// The run lives through a turn. None: it was not to, since it may not be first in line.
    async fn live(
        &self,
        held: &mut Held,
        well_again: Option<&str>,
        is_first: bool,
    ) -> Result<Option<(Ended, Option<Ending>)>, Stopped> {
        let Held { start, journal, turns, kept, .. } = held;
        let whose = Whose { engine: self.engine, objects: self.objects, line: self.this, start, well_again, is_first };
        turn(self.steps, whose, Book { journal, turns, kept }).await
    }

    /// What becomes of the line, and of its first run, after a turn of that.
    async fn after(
        &self,
        mut line: Vec<String>,
        mut held: Held,
        (ended, ending): (Ended, Option<Ending>),
    ) -> Result<(), Stopped> {
        let (run, is_new) = (held.start.id.clone(), !held.is_told);
        let (stays, due_ms) = match ended {
            Ended::Over => (false, 0),
            Ended::Waiting { until_ms } => {
                (held.waits, held.call) = (true, held.call + 1);
                self.call(GoOn::called(&run, held.call), until_ms - now_ms());
                (false, until_ms)
            }
            Ended::Paused { until_ms } => {
                held.call += 1;
                self.call(GoOn::called(&run, held.call), (until_ms - now_ms()).min(PAUSE_MS));
                (true, until_ms)
            }
            Ended::Leaving => (true, 0),
        };
        if !stays {
            line.remove(0);
            if let Some(next) = line.first() {
                self.call(GoOn::now(next), 0);
            }
        }
        let is_gone = ending.as_ref().is_some_and(|ending| !matches!(ending, Ending::Failed { .. }));
        self.tell(&mut held, due_ms, ending).await?;
        match (is_gone, is_new) {
            // Most runs are over when their first turn is: nothing of them was kept.
            (true, true) => {}
            (true, false) => self.steps.clear(&place(&run)),
            (false, _) => self.steps.set(&place(&run), held),
        }
        if stays || !is_new || !line.is_empty() {
            self.keep(line);
        }
        Ok(())
    }

    pub fn call(&self, go_on: GoOn, after_ms: i64) {
        self.call_at("go_on", go_on, after_ms);
    }

    /// As [`Desk::call`], for a run that is moved in.
    pub fn call_in(&self, go_on: GoOn, after_ms: i64) {
        self.call_at(COME_IN, go_on, after_ms);
    }

    fn call_at(&self, handler: &'static str, go_on: GoOn, after_ms: i64) {
        let after_ms = u64::try_from(after_ms).unwrap_or(0);
        rest::call_after(self.objects, self.this, handler, &go_on, after_ms);
        self.steps.send(self.this, handler, go_on, after_ms);
    }

    /// Tells those who look what is new of a run. A handler that is called once more tells the same once more.
    pub async fn tell(&self, held: &mut Held, due_ms: i64, ending: Option<Ending>) -> Result<(), Stopped> {
        let news = News {
            run: held.start.id.clone(),
            start: (!held.is_told).then(|| held.start.clone()),
            length: held.told,
            entries: held.journal[held.told..].to_vec(),
            due_ms,
            waits: held.waits,
            ending,
            kept: std::mem::take(&mut held.kept),
        };
        (held.told, held.is_told) = (held.journal.len(), true);
        let told = self.objects.note(&Note::Run(Box::new(news))).await;
        told.map_err(|error| Stopped::Cancelled(error.to_string()))
    }
}

impl Held {
    pub fn has_failed(&self) -> bool {
        matches!(self.journal.last(), Some(Entry { fact: Fact::Ended { ending: Ending::Failed { .. } }, .. }))
    }
}
