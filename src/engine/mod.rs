//! Keeps runs moving: claims what is due, asks `run`, commits, performs.
//!
//! ```text
//!  webhook · poll · schedule · by hand ─▶ intake ─ one commit ─▶ queues (by order key) ─▶ drive ─┐
//!        decide ─▶ commit ─▶ perform (http) ─▶ what was learnt ─▶ decide …  ◀───────────────────┘
//! ```
//! Nothing is sent before the entry that says so is durable; nothing is acknowledged before it is stored. What is in
//! memory here can be rebuilt from the store at any moment.

mod accounts;
mod alarm;
mod answers;
mod backfill;
mod cancel;
mod checking;
mod circuit;
mod consents;
mod counters;
mod drift;
mod drive;
mod examine;
mod following;
mod gathering;
mod hands;
mod hooks;
mod intake;
mod keeping;
mod ledger;
mod life;
mod measures;
mod names;
mod outside;
mod paused;
mod perform;
mod poll;
mod present;
mod probe;
mod queue;
mod replay;
#[cfg(feature = "restate")]
pub mod restate;
mod retries;
mod schedule;
mod silence;
mod standing;
mod survey;
mod tap;
mod tokens;
mod traces;
mod turns;

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use self::hands::Hands;
use crate::clock;
use crate::http::{Budgets, Client, Guard};
use crate::project::{Plan, Text, read};
use crate::store::{self, Store};
use crate::vault::{SecretSource, Vault};

pub use backfill::{Backfill, BackfillError, Backfilled, Listed, Past};
pub use consents::{Grants, asked_of, lacking};
pub use counters::Counters;
pub use drift::{Noted, noted};
pub use examine::{Examiner, Health, Sign};
pub use hands::{COPY, HALF_WAY};
pub use hooks::Hook;
pub use intake::{ByHandError, Taken, Whose, unknown};
pub use keeping::Forgotten;
pub use measures::Measures;
pub use outside::{Answering, Door};
pub use probe::{Left, Probed, Prober};
pub use replay::{Replay, ReplayError, Replayed};
pub use silence::Watched;
pub use standing::{AccountHealth, MINUTES, Minute, Standing};
pub use survey::{PairSurveyed, Progress, SurveyError, Surveyed};
pub use tap::{About, Happened, Listening, Tapping};
pub use traces::Collector;

/// What an engine is made with.
pub struct Settings {
    pub plan: Plan,
    pub store: Store,
    pub guard: Guard,
    pub secrets: Arc<dyn SecretSource>,
    /// What connections with OAuth were granted; None: there are none.
    pub vault: Option<Arc<Vault>>,
    /// Public keys that replace those of a connector's webhook rules, by connector.
    pub webhook_keys: HashMap<String, String>,
    /// Runs at work at the same time.
    pub at_once: usize,
    /// Take up what is pending, listen to polls and schedules; not only what is handed in.
    pub listens: bool,
    pub hands: Keeping,
}

/// Who keeps runs, and calls them.
pub enum Keeping {
    /// This process, in its store.
    Own,
    /// The objects of a cluster.
    #[cfg(feature = "restate")]
    Restate(Box<restate::Cluster>),
    /// Those of a cluster that is played in this process.
    #[cfg(feature = "restate")]
    Played(Arc<restate::Played>),
}

impl Keeping {
    /// Opens the store: what is kept there is a copy of what a cluster keeps, unless it is kept by this process.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(&self, folder: &Path) -> Result<Store, store::Error> {
        match self {
            Keeping::Own => Store::open(folder),
            #[cfg(feature = "restate")]
            Keeping::Restate(_) | Keeping::Played(_) => Store::open_for_now(folder),
        }
    }

    fn hands(self) -> Box<dyn Hands> {
        match self {
            Keeping::Own => Box::new(hands::Own),
            #[cfg(feature = "restate")]
            Keeping::Restate(cluster) => Box::new(restate::Restate::new(*cluster)),
            #[cfg(feature = "restate")]
            Keeping::Played(cluster) => Box::new(restate::Restate::played(cluster)),
        }
    }
}

/// The same, however it is made.
struct Means {
    store: Store,
    outside: outside::Outside,
    secrets: Arc<dyn SecretSource>,
    vault: Option<Arc<Vault>>,
    webhook_keys: HashMap<String, String>,
    at_once: usize,
    listens: bool,
    hands: Box<dyn Hands>,
}

/// One process asks for one part of a window at a time; by the window's name.
type Leasing = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// Runs at work at the same time in a rehearsal.
const REHEARSED_AT_ONCE: usize = 64;

/// A running engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(in crate::engine) struct Inner {
    present: RwLock<Arc<present::Present>>,
    /// Plans of runs that are not over, by hash.
    plans: Mutex<HashMap<String, Arc<Plan>>>,
    store: Store,
    hands: Box<dyn Hands>,
    outside: outside::Outside,
    budgets: Budgets,
    leasing: Leasing,
    secrets: Arc<dyn SecretSource>,
    vault: Option<Arc<Vault>>,
    webhook_keys: HashMap<String, String>,
    queues: queue::Queues,
    paused: paused::Paused,
    turns: turns::Turns,
    working: Arc<Semaphore>,
    at_once: usize,
    /// For requests of a run that has one on its way already.
    further: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
    /// Takes up every run; else only those that it is asked for.
    listens: bool,
    polls: following::Following<poll::Polling>,
    schedules: following::Following<()>,
    /// One version after the other is taken up.
    reloading: tokio::sync::Mutex<()>,
    /// Another version is present.
    reloaded: watch::Sender<()>,
    alarm: alarm::Alarm,
    /// A listener has told something.
    heard: watch::Sender<()>,
    accounts: accounts::Accounts,
    circuits: Arc<circuit::Circuits>,
    retries: retries::Retries,
    gathering: gathering::Gathering,
    names: names::NamesKept,
    drifts: drift::Drifts,
    cancelled: cancel::Cancelled,
    stopping: watch::Sender<bool>,
    ended: Notify,
    counters: Counters,
    measured: measures::Kept,
    tap: tap::Tap,
    /// Empty: nobody collects traces.
    traces: OnceLock<traces::Traces>,
    /// One replay or backfill at a time.
    replaying: tokio::sync::Mutex<()>,
}

impl Engine {
    /// Starts: listens, and takes up every run that is not over.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(settings: Settings) -> Result<Engine, store::Error> {
        let Settings { plan, store, guard, secrets, vault, webhook_keys, at_once, listens, hands } = settings;
        let plan = Arc::new(filled(plan, vault.as_deref()));
        let outside = outside::Outside::Network(Client::new(guard));
        let hands = hands.hands();
        Engine::begin(plan, Means { store, outside, secrets, vault, webhook_keys, at_once, listens, hands }).await
    }

    /// Starts one whose requests go to played vendors, and whose time is the rehearsal's: see [`clock::turn`].
    ///
    /// # Errors
    /// The store's.
    pub async fn rehearse(
        plan: Arc<Plan>,
        store: Store,
        secrets: Arc<dyn SecretSource>,
        webhook_keys: HashMap<String, String>,
        door: Arc<dyn Door>,
        hands: Keeping,
    ) -> Result<Engine, store::Error> {
        let outside = outside::Outside::Rehearsed(door);
        let (vault, at_once, listens, hands) = (None, REHEARSED_AT_ONCE, true, hands.hands());
        Engine::begin(plan, Means { store, outside, secrets, vault, webhook_keys, at_once, listens, hands }).await
    }

    async fn begin(plan: Arc<Plan>, means: Means) -> Result<Engine, store::Error> {
        let Means { store, outside, secrets, vault, webhook_keys, at_once, listens, hands } = means;
        let budgets = match hands.shares_limits() {
            true => Budgets::of_several_processes(),
            false => Budgets::of_vendors(),
        };
        let inner = Arc::new(Inner {
            plans: Mutex::new(HashMap::from([(plan.hash.clone(), plan.clone())])),
            present: RwLock::new(Arc::new(present::Present::new(plan.clone()))),
            store,
            hands,
            outside,
            budgets,
            leasing: Leasing::default(),
            secrets,
            vault,
            webhook_keys,
            queues: queue::Queues::default(),
            paused: paused::Paused::default(),
            turns: turns::Turns::default(),
            working: Arc::new(Semaphore::new(at_once)),
            at_once,
            further: Arc::new(Semaphore::new(life::FURTHER_MAX)),
            tasks: Mutex::new(JoinSet::new()),
            listens,
            polls: following::Following::default(),
            schedules: following::Following::default(),
            reloading: tokio::sync::Mutex::default(),
            reloaded: watch::channel(()).0,
            alarm: alarm::Alarm::default(),
            heard: watch::channel(()).0,
            accounts: accounts::Accounts::default(),
            circuits: Arc::default(),
            retries: retries::Retries::default(),
            gathering: gathering::Gathering::default(),
            names: names::NamesKept::default(),
            drifts: drift::Drifts::default(),
            cancelled: cancel::Cancelled::default(),
            stopping: watch::channel(false).0,
            ended: Notify::new(),
            counters: Counters::default(),
            measured: measures::Kept::default(),
            tap: tap::Tap::default(),
            traces: OnceLock::new(),
            replaying: tokio::sync::Mutex::default(),
        });
        let engine = Engine { inner };
        engine.inner.hands.open(&engine).await?;
        engine.keep(&plan).await?;
        if listens {
            engine.make_present(plan).await?;
        }
        engine.inner.hands.begin(&engine).await?;
        if listens {
            engine.spawn_for_ever("silence".into(), |engine| async move { engine.listen_for_ever().await });
            engine.act_on_answers().await?;
            engine.spawn_for_ever("the syncs".into(), |engine| async move { engine.check_for_ever().await });
            // In a rehearsal nothing grows old.
            if !clock::is_turned() {
                let noting = engine.clone();
                engine.spawn(async move { noting.note_editions().await });
                engine.spawn_for_ever("what is kept".into(), |engine| async move { engine.forget_for_ever().await });
            }
            engine.follow();
        }
        Ok(engine)
    }

    pub fn plan(&self) -> Arc<Plan> {
        self.present().plan.clone()
    }

    fn present(&self) -> Arc<present::Present> {
        self.inner.present.read().clone()
    }

    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Ready: can a webhook be acknowledged now?
    pub fn is_ready(&self) -> bool {
        self.inner.store.is_ready() && !self.is_stopping()
    }

    fn is_stopping(&self) -> bool {
        *self.inner.stopping.borrow()
    }

    /// How many runs are at work now.
    pub fn at_work(&self) -> usize {
        self.inner.at_once.saturating_sub(self.inner.working.available_permits())
    }

    /// How many requests are under way: to stop waits for them.
    pub fn under_way(&self) -> usize {
        self.inner.circuits.under_way()
    }

    /// Ends when some run has ended, or after a moment.
    pub async fn progress(&self) {
        let ended = self.inner.ended.notified();
        let moment = std::time::Duration::from_millis(100);
        // Looking again too early does no harm.
        let _ = tokio::time::timeout(moment, ended).await;
    }

    /// Dies as a process does that is killed: whatever it was about is left as it is.
    pub fn die(&self) {
        self.inner.stopping.send_replace(true);
        drop(std::mem::take(&mut *self.inner.tasks.lock()));
    }

    /// Is every run that was accepted over, or at rest in a `wait`?
    pub fn is_at_rest(&self) -> bool {
        self.inner.queues.is_empty() && self.inner.hands.is_at_rest()
    }

    /// Stops listening, lets requests that are under way end, and closes nothing: the caller closes the store.
    pub async fn stop(&self) {
        self.inner.hands.leave().await;
        self.inner.stopping.send_replace(true);
        loop {
            // Tasks that end may have started others.
            let mut tasks = std::mem::take(&mut *self.inner.tasks.lock());
            if tasks.is_empty() {
                return self.end_traces().await;
            }
            while tasks.join_next().await.is_some() {}
        }
    }

    /// A plan by hash: in memory, or rebuilt from the documents that the store keeps.
    pub(in crate::engine) async fn plan_of(&self, hash: &str) -> Result<Option<Arc<Plan>>, store::Error> {
        if let Some(plan) = self.inner.plans.lock().get(hash) {
            return Ok(Some(plan.clone()));
        }
        let documents = self.inner.hands.documents(self, hash).await?;
        let plan = documents.and_then(plan_written);
        let plan = plan.map(|plan| Arc::new(filled(plan, self.inner.vault.as_deref())));
        if let Some(plan) = &plan {
            self.inner.plans.lock().insert(hash.to_string(), plan.clone());
        }
        Ok(plan)
    }

    /// Is it this process that does what one is to do? Where nobody says, it is not.
    async fn has_duty(&self, name: &str) -> bool {
        let has_duty = self.inner.hands.has_duty(self, name).await;
        has_duty.inspect_err(|error| tracing::warn!(%error, name, "it is not known whose duty it is")).unwrap_or(false)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.inner.tasks.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// A task that ends with the engine. An error of the program in it is told, and it begins anew.
    fn spawn_for_ever<F>(&self, what: String, begin: impl Fn(Engine) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let engine = self.clone();
        self.spawn(async move {
            while let Err(panic) = AssertUnwindSafe(begin(engine.clone())).catch_unwind().await {
                let why = words_of(&*panic);
                tracing::error!(what, why, "an error in Dovetail itself; please report it. It begins anew");
                tokio::select! {
                    () = tokio::time::sleep(ANEW) => {}
                    () = engine.stopped() => return,
                }
            }
        });
    }

    /// Ends when the engine is told to stop.
    async fn stopped(&self) {
        let mut stopping = self.inner.stopping.subscribe();
        // An error means that the engine is gone, which is a stop as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// A plan by hash, rebuilt from the documents that the store keeps; None if there are none, or if this program can no
/// longer read them.
///
/// # Errors
/// The store's.
pub async fn kept_plan(store: &Store, hash: &str) -> Result<Option<Plan>, store::Error> {
    Ok(store.plan(hash).await?.and_then(plan_written))
}

fn plan_written(documents: Vec<(String, String)>) -> Option<Plan> {
    let environment = documents.iter().find(|(path, _)| path == ENVIRONMENT).map(|(_, text)| text.clone());
    let environment = environment.filter(|name| !name.is_empty());
    let own: Vec<Text> =
        documents.into_iter().filter(|(path, _)| path != ENVIRONMENT).map(|(path, text)| Text { path, text }).collect();
    read(&own, &[], environment.as_deref()).plan
}

/// The plan with the settings that vendors filled in when somebody connected; what is written goes before.
pub fn filled(mut plan: Plan, vault: Option<&Vault>) -> Plan {
    for connection in &mut plan.connections {
        let Some(granted) = vault.and_then(|vault| vault.state(&connection.name).ok().flatten()) else { continue };
        let Some(settings) = connection.settings.as_object_mut() else { continue };
        for (name, value) in granted.saved {
            settings.entry(name).or_insert(value);
        }
    }
    plan
}

/// The name under which a kept plan remembers its environment.
const ENVIRONMENT: &str = "\u{0}environment";

/// Before what met an error of the program begins anew.
const ANEW: Duration = Duration::from_secs(10);

/// What a panic said.
pub(in crate::engine) fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it said nothing")
}

/// Now, in milliseconds since 1970.
pub(in crate::engine) fn now_ms() -> i64 {
    clock::now_ms()
}

pub(in crate::engine) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
