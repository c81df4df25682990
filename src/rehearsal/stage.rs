//! The engine of one test, from its start over crashes to the moment when nothing moves any more.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::company::{Company, Desk};
use super::scene::StandIn;
use super::story;
use crate::clock;
use crate::connector::Feed;
#[cfg(feature = "restate")]
use crate::engine::restate::Played;
use crate::engine::{Engine, Keeping, Progress};
use crate::store::{Status, Store};
use crate::sync::{Mode, Sync};
use crate::workflow::Starts;

/// How long nothing may happen before it is taken for stuck: longer than any default pause.
const SILENT_MAX_MS: i64 = 4 * 24 * 60 * 60 * 1_000;
/// Waits that are waited for one after the other.
const WAITS_MAX: usize = 1_000;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// Before the program is started again.
const DEAD: Duration = Duration::from_secs(1);
/// Until every list has been read once.
const WARM_UP_MAX_MS: i64 = 60_000;

pub struct Stage {
    pub company: Arc<Company>,
    pub store: Store,
    /// Some list shows by then what no webhook has told.
    unheard_ms: i64,
    /// Changes of runs that were waited for, so that lists may show them too.
    shown: usize,
    /// Of a sync whose first run is planned.
    pub first_run: Option<FirstRun>,
    hands: Hands,
}

/// Who keeps the runs of a test, from one engine to the next.
#[derive(Clone)]
pub enum Hands {
    Own,
    #[cfg(feature = "restate")]
    Cluster(Arc<Played>),
}

impl Hands {
    /// # Errors
    /// The program cannot, in words.
    #[cfg_attr(not(feature = "restate"), expect(unused_variables, reason = "nobody dies by chance"))]
    pub fn new(on_cluster: bool, seed: u64) -> Result<Hands, String> {
        match on_cluster {
            false => Ok(Hands::Own),
            #[cfg(feature = "restate")]
            true => Ok(Hands::Cluster(Played::new(seed))),
            #[cfg(not(feature = "restate"))]
            true => Err("this program was built without Restate".into()),
        }
    }

    fn keeping(&self) -> Keeping {
        match self {
            Hands::Own => Keeping::Own,
            #[cfg(feature = "restate")]
            Hands::Cluster(played) => Keeping::Played(Arc::clone(played)),
        }
    }

    fn leave(&self) {
        match self {
            Hands::Own => {}
            #[cfg(feature = "restate")]
            Hands::Cluster(played) => played.leave(),
        }
    }

    /// Why what was decided cannot be played back.
    fn mismatch(&self) -> Option<String> {
        match self {
            Hands::Own => None,
            #[cfg(feature = "restate")]
            Hands::Cluster(played) => played.mismatch(),
        }
    }
}

/// What a first run was to take, and what it took.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct FirstRun {
    pub planned_requests: u64,
    pub requests: usize,
    pub planned_s: u64,
    pub took_ms: i64,
}

impl Stage {
    /// # Errors
    /// The store's.
    pub async fn new(company: Arc<Company>, folder: &Path, hands: Hands) -> Result<Stage, String> {
        let store = Store::open_for_now(folder).map_err(|error| error.to_string())?;
        let mut stage = Stage { company, store, unheard_ms: 0, shown: 0, first_run: None, hands };
        stage.begin().await?;
        let begun_ms = clock::now_ms();
        while clock::now_ms() < begun_ms + WARM_UP_MAX_MS {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let Some(engine) = stage.company.seen.engine() else { break };
            if engine.watches().await.map_err(|error| error.to_string())? {
                break;
            }
        }
        stage.first_run = stage.begin_sync().await?;
        Ok(stage)
    }

    async fn begin(&self) -> Result<(), String> {
        let company = &self.company;
        let (mut hooks, mut keys) = (BTreeMap::new(), HashMap::new());
        for (connection, vendor) in &company.vendors {
            hooks.insert(connection.clone(), vendor.secret());
            if let Some(connector) = company.scene.connector(connection) {
                keys.insert(connector.name.clone(), vendor.public_key());
            }
        }
        let secrets = Arc::new(StandIn { hooks });
        let door = Arc::new(Desk(Arc::clone(company)));
        let plan = Arc::clone(&company.scene.plan);
        let engine = Engine::rehearse(plan, self.store.clone(), secrets, keys, door, self.hands.keeping()).await;
        *company.seen.engine.lock() = Some(engine.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// A sync whose first run is planned: a person has looked at it, and says that it is to be done.
    async fn begin_sync(&self) -> Result<Option<FirstRun>, String> {
        let scene = &self.company.scene;
        let is_planned = |sync: &&Arc<Sync>| sync.name == scene.subject && sync.first_run.mode == Mode::Plan;
        let (Some(sync), Some(engine)) = (scene.plan.syncs.iter().find(is_planned), self.company.seen.engine()) else {
            return Ok(None);
        };
        let applied = engine.apply(&sync.name, None, true, None, &Progress::default()).await;
        let (surveyed, _) = applied.map_err(|error| format!("the first run of `{}`: {error}", sync.name))?;
        let begun_ms = clock::now_ms();
        self.settle().await?;
        let told = self.company.seen.told.lock();
        Ok(Some(FirstRun {
            planned_requests: surveyed.pairs.iter().flat_map(|pair| pair.requests).sum(),
            requests: told.asked,
            planned_s: surveyed.seconds,
            took_ms: (told.last_ms - begun_ms).max(0),
        }))
    }

    /// The program dies, and is started again.
    async fn die(&self) -> Result<(), String> {
        let seen = &self.company.seen;
        if let Some(engine) = seen.engine.lock().take() {
            engine.die();
        }
        seen.told.lock().crashes += 1;
        seen.tell(None, "the program dies, and is started again".into());
        tokio::time::sleep(DEAD).await;
        self.begin().await
    }

    pub fn end(self) -> Store {
        if let Some(engine) = self.company.seen.engine.lock().take() {
            engine.die();
        }
        self.hands.leave();
        self.store
    }

    /// Lets so much time go by.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub async fn pass(&self, span: Duration) -> Result<(), String> {
        let until = tokio::time::Instant::now() + span;
        loop {
            tokio::select! {
                biased;
                () = self.company.seen.dies.notified() => self.go_on().await?,
                () = tokio::time::sleep_until(until) => return Ok(()),
            }
        }
    }

    async fn go_on(&self) -> Result<(), String> {
        if self.company.is_flooded() {
            return Err(self.loops().await);
        }
        self.die().await
    }

    /// Until all that was begun is over, or at rest in a `wait`.
    ///
    /// # Errors
    /// It never is, in words.
    pub async fn settle(&self) -> Result<(), String> {
        let begun_ms = clock::now_ms();
        let mut look = LOOK;
        loop {
            self.pass(look).await?;
            look = (look * 2).min(LOOK_MAX);
            let Some(engine) = self.company.seen.engine() else { return Err("the program is dead".into()) };
            if let Some(why) = self.hands.mismatch() {
                return Err(format!("an error in Dovetail itself, please report it: {why}"));
            }
            if self.company.is_delivering() {
                continue;
            }
            if engine.is_at_rest() || !engine.refused().is_empty() && self.only_waits(look) {
                return Ok(());
            }
            let since_ms = self.company.seen.told.lock().last_ms.max(begun_ms);
            if clock::now_ms() - since_ms > SILENT_MAX_MS {
                return Err(self.stuck().await);
            }
        }
    }

    /// A run whose account is refused waits for a person.
    fn only_waits(&self, look: Duration) -> bool {
        look >= LOOK_MAX && clock::now_ms() - self.company.seen.told.lock().last_ms > 60 * 60 * 1_000
    }

    /// Until nothing moves any more: also what a list will show, and what runs wait for; `echoes`: what runs have written is
    /// shown by lists, too.
    ///
    /// # Errors
    /// It never ends, in words.
    pub async fn come_to_rest(&mut self, echoes: bool) -> Result<(), String> {
        for _ in 0..WAITS_MAX {
            self.settle().await?;
            if echoes {
                self.listen_for_echoes();
            }
            let now_ms = clock::now_ms();
            let waiting = self.store.waiting((i64::MIN, 0), 1).await.map_err(|error| error.to_string())?;
            let due_ms = waiting.first().map(|run| run.due_ms);
            let next_ms = due_ms.into_iter().chain((self.unheard_ms > now_ms).then_some(self.unheard_ms)).min();
            let Some(next_ms) = next_ms else { return Ok(()) };
            let span = u64::try_from(next_ms.saturating_sub(now_ms)).unwrap_or_default();
            self.pass(Duration::from_millis(span + 1)).await?;
        }
        Err(self.loops().await)
    }

    fn listen_for_echoes(&mut self) {
        let changes = {
            let told = self.company.seen.told.lock();
            told.changes.get(self.shown..).map(<[_]>::to_vec).unwrap_or_default()
        };
        self.shown += changes.len();
        for change in changes.iter().filter(|change| change.by.is_some()) {
            self.listen_for(&change.connection, &change.object, false);
        }
    }

    /// A change that no webhook tells is shown by a list, if anybody reads it.
    pub fn listen_for(&mut self, connection: &str, object: &str, is_deleted: bool) {
        let scene = &self.company.scene;
        let connector = scene.connector(connection);
        let described = connector.and_then(|connector| connector.object(object));
        let feeds = described.into_iter().flat_map(|object| object.changes.feeds());
        let shows = |feed: &&Feed| feed.full || feed.by.is_none() || !is_deleted;
        let feeds = feeds.filter(shows).map(|feed| feed.every);
        let starts = || scene.plan.hearing().map(|workflow| &workflow.trigger.starts);
        let is_here = |alias: &str| scene.aliases.get(alias).is_some_and(|known| known == connection);
        let is_heard = starts().any(|starts| match starts {
            Starts::Event(heard) => {
                heard.iter().any(|heard| is_here(&heard.alias) && heard.object.as_deref() == Some(object))
            }
            _ => false,
        });
        let lists = starts().filter_map(|starts| match starts {
            Starts::Poll { alias, operation, every, .. } if is_here(alias) => {
                let operation = connector?.operation(operation)?;
                (operation.object.as_deref() == Some(object)).then_some(*every)
            }
            _ => None,
        });
        let Some(every) = feeds.filter(|_| is_heard).chain(lists).min() else { return };
        let every = i64::try_from((every + DEAD).as_millis()).unwrap_or(i64::MAX);
        self.unheard_ms = self.unheard_ms.max(clock::now_ms().saturating_add(every));
    }

    async fn stuck(&self) -> String {
        let runs = story::runs(&self.store).await;
        let open = runs.iter().filter(|run| run.status == Status::Pending);
        let open: Vec<String> =
            open.take(3).map(|run| format!("run {} of `{}`", run.seq, run.start.workflow)).collect();
        format!("it does not come to an end: nothing has happened for 4 days, and {} is not over", open.join(", "))
    }

    /// Which run goes on and on.
    async fn loops(&self) -> String {
        let runs = story::runs(&self.store).await;
        let busiest = {
            let told = self.company.seen.told.lock();
            told.requests.iter().max_by_key(|(_, count)| **count).map(|(run, count)| (run.clone(), *count))
        };
        let of = busiest.and_then(|(id, count)| Some((runs.iter().find(|run| run.start.id == id)?, count)));
        let most = of.map_or_else(String::new, |(run, count)| {
            format!(", {count} of them by run {} of `{}`", run.seq, run.start.workflow)
        });
        let mut by_workflow: BTreeMap<&str, usize> = BTreeMap::new();
        for run in &runs {
            *by_workflow.entry(&run.start.workflow).or_default() += 1;
        }
        let begun: Vec<String> = by_workflow.iter().map(|(name, count)| format!("{count} of `{name}`")).collect();
        let asked = self.company.seen.told.lock().asked;
        format!("it does not come to an end: {asked} requests{most}; runs began: {}", begun.join(", "))
    }
}
