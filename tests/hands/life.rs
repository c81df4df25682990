//! One case lived through by the engine itself, under a clock of its own, whoever's hands keep its run.

#[cfg(feature = "restate")]
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use dovetail::clock;
#[cfg(feature = "restate")]
use dovetail::engine::restate::{Played, move_into_played};
use dovetail::engine::{Engine, Keeping, Whose};
use dovetail::project::Plan;
use dovetail::run::{Answer, Ending, Entry, Fact, Purpose, Told};
use dovetail::store::{Filter, Run, Store};
use dovetail::vault::SecretSource;
use regex::Regex;

#[cfg(feature = "restate")]
use crate::hands::nodes::Nodes;
use crate::hands::vendor::{Death, Vendor};
use crate::run::case::{BEGIN_MS, Case};
use crate::run::story::Story;

/// Who keeps the run.
#[derive(Clone, Debug)]
pub enum Hands {
    /// This process, in its store.
    Own,
    /// A cluster that is played.
    #[cfg(feature = "restate")]
    Cluster,
    /// The same, where attempts of handlers die by chance: the seed.
    #[cfg(feature = "restate")]
    Faltering(u64),
    /// This process, until the program dies; then its runs are moved into a cluster that is played.
    #[cfg(feature = "restate")]
    Moving,
    /// A real cluster, called by two engines of this process.
    #[cfg(feature = "restate")]
    Nodes(Arc<Nodes>),
}

impl Hands {
    /// Do attempts die by chance, beside the death that is meant?
    pub fn falters(&self) -> bool {
        #[cfg(feature = "restate")]
        return matches!(self, Hands::Faltering(_));
        #[cfg(not(feature = "restate"))]
        false
    }
}

/// Before the program is started again.
const DEAD: Duration = Duration::from_secs(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(60 * 60);
/// Looks without anything new: more than any wait of a case takes.
const LOOKS_MAX: usize = 2_000;

/// A life that is over.
pub struct Lived {
    pub story: Story,
    /// At so many commits and requests the program may die.
    pub commits: usize,
    pub requests: usize,
    pub has_died: bool,
    /// It has paused before it tried again.
    pub has_paused: bool,
}

/// # Errors
/// It does not come to its end, in words.
pub fn live(case: &Case, plan: &Arc<Plan>, hands: Hands, death: Option<Death>) -> Result<Lived, String> {
    let (folder, beside) = (Folder::new(), Folder::new());
    #[cfg(feature = "restate")]
    if let Hands::Nodes(nodes) = &hands {
        nodes.forget();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let lived = runtime.block_on(async {
        let _rehearsing = clock::turn(BEGIN_MS);
        let vendor = Vendor::new(case, plan, death);
        Stage { case, plan, hands: Kept::new(hands), vendor, folder: &folder.0, beside: &beside.0 }.live().await
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    lived
}

/// Gone when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        Folder(std::env::temp_dir().join(format!("dovetail-hands-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What outlives the program beside its folder.
enum Kept {
    Own,
    #[cfg(feature = "restate")]
    Cluster {
        played: Arc<Played>,
        /// The runs are kept there by now.
        is_within: Cell<bool>,
    },
    #[cfg(feature = "restate")]
    Nodes(Arc<Nodes>),
}

impl Kept {
    fn new(hands: Hands) -> Kept {
        match hands {
            Hands::Own => Kept::Own,
            #[cfg(feature = "restate")]
            Hands::Cluster => Kept::Cluster { played: Played::in_peace(), is_within: Cell::new(true) },
            #[cfg(feature = "restate")]
            Hands::Faltering(seed) => Kept::Cluster { played: Played::new(seed), is_within: Cell::new(true) },
            #[cfg(feature = "restate")]
            Hands::Moving => Kept::Cluster { played: Played::in_peace(), is_within: Cell::new(false) },
            #[cfg(feature = "restate")]
            Hands::Nodes(nodes) => Kept::Nodes(nodes),
        }
    }

    fn keeping(&self) -> Keeping {
        match self {
            Kept::Own => Keeping::Own,
            #[cfg(feature = "restate")]
            Kept::Cluster { played, is_within } if is_within.get() => Keeping::Played(Arc::clone(played)),
            #[cfg(feature = "restate")]
            Kept::Cluster { .. } => Keeping::Own,
            #[cfg(feature = "restate")]
            Kept::Nodes(nodes) => Keeping::Restate(Box::new(nodes.reached())),
        }
    }

    /// What is in the folder of a program that kept its runs itself becomes the cluster's.
    #[cfg_attr(not(feature = "restate"), expect(unused_variables, reason = "there is none"))]
    async fn take_over(&self, folder: &Path) -> Result<(), String> {
        match self {
            Kept::Own => Ok(()),
            #[cfg(feature = "restate")]
            Kept::Cluster { played, is_within } => {
                is_within.set(true);
                let store = Store::open_for_now(folder).map_err(in_words)?;
                let moved = move_into_played(played, &store, folder).await;
                store.close().await;
                moved.map(drop).map_err(in_words)
            }
            #[cfg(feature = "restate")]
            Kept::Nodes(nodes) => {
                let (nodes, folder) = (Arc::clone(nodes), folder.to_owned());
                tokio::task::spawn_blocking(move || nodes.take_over(&folder)).await.map_err(in_words)?
            }
        }
    }

    fn is_to_move(&self) -> bool {
        match self {
            Kept::Own => false,
            #[cfg(feature = "restate")]
            Kept::Cluster { is_within, .. } => !is_within.get(),
            #[cfg(feature = "restate")]
            Kept::Nodes(_) => false,
        }
    }

    /// Do several processes serve?
    fn are_several(&self) -> bool {
        match self {
            Kept::Own => false,
            #[cfg(feature = "restate")]
            Kept::Cluster { .. } => false,
            #[cfg(feature = "restate")]
            Kept::Nodes(_) => true,
        }
    }

    /// Nobody is called any more. Gives why what was decided cannot be played back.
    fn end(&self) -> Option<String> {
        match self {
            Kept::Own => None,
            #[cfg(feature = "restate")]
            Kept::Cluster { played, .. } => {
                played.leave();
                played.mismatch()
            }
            #[cfg(feature = "restate")]
            Kept::Nodes(_) => None,
        }
    }
}

pub fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

struct NoSecrets;

impl SecretSource for NoSecrets {
    fn secret(&self, _: &str) -> Option<secrecy::SecretString> {
        None
    }
}

struct Stage<'s> {
    case: &'s Case,
    plan: &'s Arc<Plan>,
    hands: Kept,
    vendor: Vendor,
    folder: &'s Path,
    /// Of another process, where several serve.
    beside: &'s Path,
}

impl Stage<'_> {
    async fn live(self) -> Result<Lived, String> {
        self.lay_down().await?;
        let beside = self.begin_beside().await?;
        let mut store = self.begin().await?;
        let mut has_died = false;
        let run = self.start(&store).await?;
        let mut heard = self.case.heard.iter().enumerate().peekable();
        let mut retries = self.case.retries.iter();
        let (mut look, mut looks, mut before) = (LOOK, 0, (0, 0));
        loop {
            let next_ms = heard.peek().map(|(_, heard)| BEGIN_MS + heard.minute * 60_000);
            let until = next_ms.and_then(|next_ms| u64::try_from(next_ms - clock::now_ms()).ok());
            let span = until.map_or(look, |until| look.min(Duration::from_millis(until)));
            // Ends early if the program dies.
            let _ = tokio::time::timeout(span, self.vendor.dies()).await;
            if self.vendor.seen().is_dead {
                has_died = true;
                store.close().await;
                tokio::time::sleep(DEAD).await;
                self.move_in().await?;
                store = self.begin().await?;
            }
            let engine = self.engine()?;
            if let Some((number, event)) =
                heard.next_if(|(_, heard)| BEGIN_MS + heard.minute * 60_000 <= clock::now_ms())
            {
                engine.hear(event.event(number, clock::now_ms())).await.map_err(in_words)?;
            }
            let now = self.vendor.so_far();
            (look, looks) = if now == before { ((look * 2).min(LOOK_MAX), looks + 1) } else { (LOOK, 0) };
            before = now;
            if looks > LOOKS_MAX {
                return Err(format!("it never ends\n{}", self.vendor.story().told()));
            }
            let known = store.run(&run).await.map_err(in_words)?.ok_or("the run is gone")?;
            let Some(ending) = known.ending.filter(|_| engine.is_at_rest()) else { continue };
            self.vendor.seen().story.end(&ending);
            let Some(records) = retries.next().filter(|_| matches!(ending, Ending::Failed { .. })) else { break };
            self.vendor.seen().story.retry();
            self.vendor.seen().world.records.extend(records.clone());
            engine.retry(std::slice::from_ref(&run), "a person").await.map_err(in_words)?;
        }
        self.engine()?.die();
        beside.iter().for_each(Engine::die);
        if let Some(mismatch) = self.hands.end() {
            return Err(mismatch);
        }
        self.told(&store, &run, has_died).await
    }

    /// What is known before.
    async fn lay_down(&self) -> Result<(), String> {
        let (links, known) = (self.case.links(), self.case.known());
        if links.is_empty() && known.is_empty() {
            return Ok(());
        }
        let store = Store::open_for_now(self.folder).map_err(in_words)?;
        store.take_back_links(links).await.map_err(in_words)?;
        let workflow = &self.case.workflow(self.plan).name;
        let told = known.into_iter().map(|(of, known)| Told { workflow: workflow.clone(), of, known });
        store.take_back_told(told.collect()).await.map_err(in_words)?;
        store.close().await;
        if self.hands.is_to_move() { Ok(()) } else { self.hands.take_over(self.folder).await }
    }

    /// While nobody serves.
    async fn move_in(&self) -> Result<(), String> {
        if self.hands.is_to_move() { self.hands.take_over(self.folder).await } else { Ok(()) }
    }

    /// A further process serves, where several do.
    async fn begin_beside(&self) -> Result<Option<Engine>, String> {
        if !self.hands.are_several() {
            return Ok(None);
        }
        let store = Store::open_for_now(self.beside).map_err(in_words)?;
        self.engine_of(&store).await.map(Some)
    }

    async fn engine_of(&self, store: &Store) -> Result<Engine, String> {
        let (plan, door, keeping) = (Arc::clone(self.plan), Arc::new(self.vendor.clone()), self.hands.keeping());
        let engine = Engine::rehearse(plan, store.clone(), Arc::new(NoSecrets), HashMap::new(), door, keeping).await;
        engine.map_err(in_words)
    }

    /// The program starts.
    async fn begin(&self) -> Result<Store, String> {
        let store = Store::open_for_now(self.folder).map_err(in_words)?;
        self.vendor.is_born();
        self.vendor.seen().engine = Some(self.engine_of(&store).await?);
        Ok(store)
    }

    fn engine(&self) -> Result<Engine, String> {
        self.vendor.seen().engine.clone().ok_or_else(|| "the program is dead".into())
    }

    /// Starts the run of the case; gives its id.
    async fn start(&self, store: &Store) -> Result<String, String> {
        let (engine, workflow) = (self.engine()?, &self.case.workflow(self.plan).name);
        let Some(event) = self.case.event() else {
            let inputs = self.case.inputs.clone();
            return engine.by_hand(workflow, inputs, &Whose::default()).await.map_err(in_words);
        };
        engine.hear(event).await.map_err(in_words)?;
        let wanted = Filter { workflow: Some(workflow.clone()), ..Filter::default() };
        let run = store.runs(wanted).await.map_err(in_words)?.pop();
        Ok(run.ok_or("no run hears the event")?.start.id)
    }

    async fn told(&self, store: &Store, run: &str, has_died: bool) -> Result<Lived, String> {
        let (commits, requests) = self.vendor.so_far();
        let mut story = self.vendor.story();
        let journal = store.journal(run).await.map_err(in_words)?;
        let known: HashSet<_> = journal.iter().filter_map(|entry| known(&entry.fact)).collect();
        let mut asked = 0;
        for Entry { fact, .. } in &journal {
            match fact {
                Fact::Sent(sent) => {
                    let is_names = matches!(sent.purpose, Purpose::Names { .. });
                    if is_names && known.contains(&(sent.address.as_str(), sent.exchange, sent.attempt)) {
                        story.know(asked, sent);
                    }
                    asked += 1;
                }
                Fact::Finished { warnings, .. } => story.warn(Some(asked), warnings),
                _ => {}
            }
        }
        let has_paused = journal.iter().any(|entry| matches!(entry.fact, Fact::Paused { .. }));
        let mut runs = store.runs(Filter { limit: 1_000, ..Filter::default() }).await.map_err(in_words)?;
        // In the order in which they were begun: those of different workflows are accepted in any.
        runs.sort_by(|one, other| one.start.id.cmp(&other.start.id));
        // What the case itself says is heard has other ids.
        let is_emitted = |other: &&Run| other.start.event.source == "project" && other.start.event.id.contains(run);
        runs.iter().filter(is_emitted).for_each(|run| story.emit(&run.start.event));
        story.links = store.links(None, usize::MAX).await.map_err(in_words)?;
        Ok(Lived { story, commits, requests, has_died, has_paused })
    }
}

/// An exchange that nobody has answered, and that has an answer: of names it was known already.
fn known(fact: &Fact) -> Option<(&str, u32, u32)> {
    match fact {
        Fact::Answered { address, exchange, attempt, look: false, status: None, answer: Answer::Done { .. } } => {
            Some((address, *exchange, *attempt))
        }
        _ => None,
    }
}

static INSTANT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\d{4}-\d\d-\d\dT\d\d:\d\d):\d\d\.\d{3}Z").unwrap());
static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());

/// A story in the words of `expect`: there a run is called `run`, each step takes a second, and of an answer that is lost there is
/// nothing further to say.
pub fn alike(told: &str) -> String {
    let told = INSTANT.replace_all(told, "$1");
    ID.replace_all(&told, "run").replace("no answer: ", "no answer")
}
