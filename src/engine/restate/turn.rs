//! One turn of a run: from where its journal ends until it is over, waits or pauses.
//!
//! ```text
//!  handler ── step ──▶ the life: decides, asks for its commit ──┐
//!     ▲                                                         │ the step's outcome, written down by Restate
//!     └── next step: the commit is durable, the life goes on ◀──┘
//! ```
//! A step is one commit of a life. What was committed before the program died is played back, and then the run is lived on
//! from its journal as after any other death of the program: what was sent and not answered has lost its answer.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::AbortHandle;

use super::ingress::Object;
use super::objects::{self, Objects, line};
use super::steps::{Steps, Stopped};
use super::turns::Taker;
use crate::connector::Failure;
use crate::engine::drive::{Left, Parked};
use crate::engine::ledger::{Ledger, Said};
use crate::engine::paused::{Again, Pausing};
use crate::engine::{Engine, now_ms, words_of};
use crate::run::{
    Address, Asking, Ending, Entry, Fact, Kept, Known, Received, RecordRef, Start, State, Subscription, WORKFLOW,
};
use crate::store::{Commit, Error, Run};
use crate::workflow::Looked;

/// What came of one step.
#[derive(Serialize, Deserialize)]
enum Step {
    Committed(Box<Committed>),
    Paused {
        until_ms: i64,
    },
    /// Nothing is done before it is looked at who is first in line.
    Behind,
    /// No run is lived through here any more, nor called: all are moved out.
    Leaving,
    /// An action is to have the turns of these identities before it goes on.
    Wants {
        address: Address,
        identities: Vec<String>,
    },
    /// It cannot go on; in words.
    Broken {
        at_ms: i64,
        why: String,
    },
}

#[derive(Default, Serialize, Deserialize)]
struct Committed {
    entries: Vec<Entry>,
    due_ms: i64,
    parked: bool,
    ending: Option<Ending>,
    #[serde(default)]
    kept: Kept,
    /// Runs that it begins.
    further: Vec<Start>,
    /// Actions that need their turns from here on, beside those of which the journal says so.
    needs: Vec<Address>,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Over,
    /// It waits, and others of its key may go on.
    Waiting {
        until_ms: i64,
    },
    /// It pauses, and they may not.
    Paused {
        until_ms: i64,
    },
    /// It is moved out, and goes on there.
    Leaving,
}

/// Whose turn it is, and who lives through it.
#[derive(Clone, Copy)]
pub(super) struct Whose<'t> {
    /// None: none is lived through.
    pub engine: Option<&'t Engine>,
    pub objects: &'t Arc<Objects>,
    /// Where the run is called.
    pub line: &'t Object,
    pub start: &'t Start,
    /// A connection for which it has paused, which is well again.
    pub well_again: Option<&'t str>,
    /// It is first in line; false: it may not be.
    pub is_first: bool,
}

/// The turns of identities that actions have, or wait for, by the action's address.
pub(super) type Turns = BTreeMap<Address, Vec<String>>;

/// What is known of a run from one turn to the next.
pub(super) struct Book<'b> {
    pub journal: &'b mut Vec<Entry>,
    pub turns: &'b mut Turns,
    /// What was kept with lines of the journal that are not told yet.
    pub kept: &'b mut Kept,
}

/// Lives through one turn. The book is brought up to what was decided. None: it was not begun, since the run may not be first.
pub(super) async fn turn<S: Steps>(
    steps: &S,
    whose: Whose<'_>,
    Book { journal, turns, kept }: Book<'_>,
) -> Result<Option<(Ended, Option<Ending>)>, Stopped> {
    let Whose { engine, objects, start, .. } = whose;
    let mut state = State::fold(journal);
    let living = Arc::new(Living {
        engine: engine.cloned(),
        objects: Arc::clone(objects),
        line: whose.line.key.clone(),
        well_again: whose.well_again.map(str::to_owned),
        is_first: whose.is_first,
        start: start.clone(),
        journal: parking_lot::Mutex::new(journal.clone()),
        alive: Mutex::default(),
    });
    let mut answer = true;
    loop {
        let next = Arc::clone(&living);
        let step = steps.step("decide", async move { next.next(answer).await }).await?;
        answer = true;
        match step {
            Step::Behind => return Ok(None),
            Step::Leaving => return Ok(Some((Ended::Leaving, None))),
            Step::Committed(committed) => {
                living.journal.lock().extend(committed.entries.iter().cloned());
                committed.entries.iter().for_each(|entry| state.apply(entry));
                journal.extend(committed.entries);
                kept.append(committed.kept);
                for run in committed.further {
                    let line = line(&run);
                    steps.send(&line, "begin", run, 0);
                }
                let is_over = committed.ending.is_some();
                let needs = |address: &str| {
                    !is_over && (state.holds_turns(address) || committed.needs.iter().any(|one| one == address))
                };
                release(steps, whose.line, start, turns, needs);
                if let Some(ending) = committed.ending {
                    living.end().await;
                    return Ok(Some((Ended::Over, Some(ending))));
                }
                if committed.parked {
                    living.end().await;
                    return Ok(Some((Ended::Waiting { until_ms: committed.due_ms }, None)));
                }
            }
            Step::Wants { address, identities } => {
                answer = take(steps, whose, turns, address, identities).await?;
            }
            Step::Paused { until_ms } => return Ok(Some((Ended::Paused { until_ms }, None))),
            Step::Broken { at_ms, why } => {
                tracing::error!(run = start.id, workflow = start.workflow, why, "it cannot go on");
                let ending = Ending::failed(WORKFLOW, Failure::new("failed", why));
                journal.push(Entry { at_ms, fact: Fact::Ended { ending: ending.clone() } });
                release(steps, whose.line, start, turns, |_| false);
                engine.iter().for_each(|engine| engine.has_ended(start, &ending, None));
                return Ok(Some((Ended::Over, Some(ending))));
            }
        }
    }
}

/// Takes the turns of an action, which come sorted, so that two that wait for each other cannot be. False: one is not free, and
/// the run is called when it is.
async fn take<S: Steps>(
    steps: &S,
    whose: Whose<'_>,
    turns: &mut Turns,
    address: Address,
    identities: Vec<String>,
) -> Result<bool, Stopped> {
    // Others are let go before further ones are waited for.
    if turns.get(&address).is_some_and(|known| *known != identities) {
        release(steps, whose.line, whose.start, turns, |other| other != address);
    }
    turns.insert(address.clone(), identities.clone());
    for identity in identities {
        let taker = taker(whose.line, whose.start, &address);
        if !steps.call::<_, bool>(&objects::turn(&identity), "take", taker).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lets go of the turns of actions that do not need them.
pub(super) fn release<S: Steps>(
    steps: &S,
    line: &Object,
    start: &Start,
    turns: &mut Turns,
    needs: impl Fn(&str) -> bool,
) {
    turns.retain(|address, identities| {
        let is_needed = needs(address);
        for identity in identities.iter().filter(|_| !is_needed) {
            steps.send(&objects::turn(identity), "release", taker(line, start, address), 0);
        }
        is_needed
    });
}

/// An action of a run, as it takes turns.
pub(super) fn taker(line: &Object, start: &Start, address: &str) -> Taker {
    Taker { run: start.id.clone(), address: address.to_owned(), line: line.key.clone() }
}

/// A run that is lived through as soon as no step is played back any more.
struct Living {
    /// None: it is not lived through.
    engine: Option<Engine>,
    objects: Arc<Objects>,
    line: String,
    well_again: Option<String>,
    is_first: bool,
    start: Start,
    journal: parking_lot::Mutex<Vec<Entry>>,
    alive: Mutex<Option<Alive>>,
}

struct Alive {
    steps: mpsc::Receiver<(Step, oneshot::Sender<bool>)>,
    /// Told when the step before is durable, and what came of it.
    durable: Option<oneshot::Sender<bool>>,
    /// None: it may end by itself.
    life: Option<AbortHandle>,
}

/// Nobody waits for it any more: it dies, as with the program.
impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.life.take().map(|life| life.abort());
    }
}

impl Living {
    /// What is to be written down next. That it is asked for says that what came before is; `answer` is what came of that.
    async fn next(&self, answer: bool) -> Step {
        if !self.is_first {
            return Step::Behind;
        }
        let Some(engine) = &self.engine else { return Step::Leaving };
        let mut alive = self.alive.lock().await;
        let alive = alive.get_or_insert_with(|| self.begin(engine.clone()));
        // A life that is gone needs not be told.
        let _ = alive.durable.take().map(|durable| durable.send(answer));
        match alive.steps.recv().await {
            Some((step, durable)) => {
                alive.durable = Some(durable);
                step
            }
            None => Step::Broken { at_ms: now_ms(), why: "it has left without a word; please report it".into() },
        }
    }

    fn begin(&self, engine: Engine) -> Alive {
        let (tell, steps) = mpsc::channel(1);
        let (start, journal) = (self.start.clone(), self.journal.lock().clone());
        let (objects, line) = (Arc::clone(&self.objects), self.line.clone());
        let well_again = self.well_again.clone();
        let life = tokio::spawn(async move {
            let state = State::fold(&journal);
            let run = start.id.clone();
            let page =
                Page { objects, run, line, tell, journal: parking_lot::Mutex::new(journal), needs: Default::default() };
            // It has kept its turns: what it has found is still so.
            let early = well_again.is_some();
            let again = Again { connection: well_again.unwrap_or_default().into(), early, held_back: None };
            let living = engine.live_through(&page, &start, Some(state), Some(again), None);
            let step = match AssertUnwindSafe(living).catch_unwind().await {
                Ok(Ok(Left::Over | Left::Waiting { .. })) => return,
                Ok(Ok(Left::Paused(pausing))) => page.paused(pausing).await,
                // Another process goes on with it.
                Ok(Err(Parked::Stopping)) => Step::Paused { until_ms: now_ms() },
                Ok(Err(Parked::Broken(why))) => Step::Broken { at_ms: now_ms(), why },
                Err(panic) => {
                    let words = words_of(&*panic);
                    let why = format!("an error in Dovetail itself ended the run; please report it: {words}");
                    Step::Broken { at_ms: now_ms(), why }
                }
            };
            // Nobody asks any more where the handler has ended.
            let _ = page.tell.send((step, oneshot::channel().0)).await;
        });
        Alive { steps, durable: None, life: Some(life.abort_handle()) }
    }

    /// The last commit is durable: the life ends by itself, and says so where that is counted.
    async fn end(&self) {
        let Some(mut alive) = self.alive.lock().await.take() else { return };
        let _ = alive.durable.take().map(|durable| durable.send(true));
        alive.life = None;
    }
}

/// A run that could not say what it waits for is called again after so long.
const ANEW_MS: i64 = 1_000;

/// The ledger of one turn.
struct Page {
    objects: Arc<Objects>,
    run: String,
    /// The key of its line.
    line: String,
    tell: mpsc::Sender<(Step, oneshot::Sender<bool>)>,
    journal: parking_lot::Mutex<Vec<Entry>>,
    /// Actions that need their turns, as of the next commit.
    needs: parking_lot::Mutex<Vec<Address>>,
}

impl Page {
    /// It is called again at an instant, or when there is an event that it waits for beside.
    async fn paused(&self, Pausing { until_ms, awaited, .. }: Pausing) -> Step {
        self.objects.pauses(&awaited.connection, &self.run, &self.line);
        let subscriptions = State::fold(&self.journal.lock()).subscriptions();
        match self.objects.wait(&self.run, &self.line, &subscriptions).await {
            Ok(false) => Step::Paused { until_ms },
            Ok(true) => Step::Paused { until_ms: now_ms() },
            // It looks for itself then.
            Err(_) => Step::Paused { until_ms: until_ms.min(now_ms() + ANEW_MS) },
        }
    }

    /// Has a step written down; gives what came of it.
    async fn write_down(&self, step: Step) -> Result<bool, Error> {
        let (durable, is_durable) = oneshot::channel();
        let gone = || Error::Lost("the turn of the run has ended".into());
        self.tell.send((step, durable)).await.map_err(|_| gone())?;
        is_durable.await.map_err(|_| gone())
    }
}

impl Ledger for Page {
    fn commit<'l>(&'l self, commit: &'l Commit) -> Said<'l, ()> {
        Box::pin(async move {
            // What is kept elsewhere is kept before, and keeping it once more changes nothing.
            self.objects.link(&commit.kept).await?;
            self.objects.agree(commit).await?;
            self.objects.leave(commit).await?;
            let mut due_ms = commit.due_ms;
            if commit.parked && self.objects.wait(&self.run, &self.line, &commit.subscriptions).await? {
                due_ms = commit.entries.last().map_or(0, |entry| entry.at_ms);
            }
            if let Some(told) = &commit.kept.told {
                self.objects.tell(&self.run, told).await?;
            }
            let further = commit.intakes.iter().flat_map(|intake| intake.runs.iter().cloned()).collect();
            let step = Step::Committed(Box::new(Committed {
                entries: commit.entries.clone(),
                due_ms,
                parked: commit.parked,
                ending: commit.ending.clone(),
                kept: Kept { messages: Vec::new(), found: Vec::new(), emitted: Vec::new(), ..commit.kept.clone() },
                further,
                needs: std::mem::take(&mut *self.needs.lock()),
            }));
            self.write_down(step).await?;
            self.journal.lock().extend(commit.entries.iter().cloned());
            Ok(())
        })
    }

    fn run<'l>(&'l self, _: &'l str) -> Said<'l, Option<Run>> {
        // A run that cannot go on is ended by its handler.
        Box::pin(async { Ok(None) })
    }

    fn journal<'l>(&'l self, _: &'l str) -> Said<'l, Vec<Entry>> {
        let journal = self.journal.lock().clone();
        Box::pin(async { Ok(journal) })
    }

    fn known<'l>(&'l self, workflow: &'l str, of: &'l RecordRef) -> Said<'l, Option<Known>> {
        Box::pin(self.objects.recall(&self.run, workflow, of))
    }

    fn message<'l>(&'l self, run: &'l str, wait: &'l Subscription) -> Said<'l, Option<Received>> {
        Box::pin(self.objects.message(run, wait))
    }

    fn look<'l>(&'l self, tenant: Option<&'l str>, asking: &'l Asking) -> Said<'l, Looked> {
        Box::pin(self.objects.look(tenant, asking))
    }

    fn take_turns<'l>(&'l self, address: &'l str, identities: &'l [String]) -> Option<Said<'l, bool>> {
        let step = Step::Wants { address: address.to_owned(), identities: identities.to_vec() };
        Some(Box::pin(self.write_down(step)))
    }

    fn calls_again(&self) -> bool {
        true
    }

    fn needs_turns(&self, addresses: Vec<Address>) {
        *self.needs.lock() = addresses;
    }
}
