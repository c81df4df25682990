//! Moving the runs of a data folder into a cluster, and out of it again.
//!
//! ```text
//!  in    folder: nobody's ─▶ door: entering ─▶ all is copied ─▶ door: within ─▶ folder: a copy
//!  out   door: leaving ─▶ all that is under way is written down ─▶ all is copied ─▶ door: left ─▶ cluster: emptied ─▶ folder: its own
//! ```
//! Each step may be done again, and is, by whoever was interrupted. At no moment would both sides live through a run: who serves
//! asks the door, or the folder, first. The process that moves serves the objects meanwhile, and lives through no run.

mod held;
mod into;
mod out;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) use self::held::Taking;
use super::admin::UnderWay;
use super::ingress::Ingress;
use super::line::COME_IN;
use super::objects::{CREDENTIAL, Calls, KNOWN, LINE, MAIL, Objects, PACTS, PAIRS, PLACE, TOKENS, TURN};
use super::played::Played;
use super::{Cluster, called, served};
use crate::clock;
use crate::engine::{Engine, now_ms};
use crate::store::{Error, Keeper, Store};

/// Where runs are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the data folder into the cluster.
    In,
    /// From the cluster into the data folder.
    Out,
}

/// How many of each kind were moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Runs that are not over.
    pub runs: u64,
    pub dead_letters: u64,
    pub pairs: u64,
    /// What syncs have agreed on.
    pub agreements: u64,
    pub questions: u64,
    /// Copies of records.
    pub copies: u64,
    pub messages: u64,
    pub cursors: u64,
    pub plans: u64,
    pub accounts: u64,
    /// Ids of deliveries.
    pub ids: u64,
    /// Runs that have ended, though the folder was not told how: too much came after.
    pub untold: u64,
}

/// Whether a cluster keeps its runs: a place that all processes ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Door {
    phase: Phase,
    /// Which folder's runs were moved last.
    name: String,
    at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Entering,
    Within,
    Leaving,
    Left,
}

/// Who serves asks so often.
const ASKED: Duration = Duration::from_secs(2);

/// Ids of deliveries are known for so long.
const IDS_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// The name of its place.
const DOOR: &str = "moved";

impl Door {
    /// None: nothing was ever moved.
    pub async fn read(objects: &Objects) -> Result<Option<Door>, Error> {
        Ok(objects.place(DOOR).await?.map(serde_json::from_value).transpose()?)
    }

    async fn set(objects: &Objects, phase: Phase, name: &str) -> Result<(), Error> {
        let door = Door { phase, name: name.to_owned(), at_ms: now_ms() };
        objects.set_place(DOOR, &json!(door)).await
    }

    /// Lets runs that are called here be lived through as long as they are kept here.
    pub async fn watch(engine: &Engine, objects: &Objects) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ASKED) => {}
                () = engine.stopped() => return,
            }
            let calls = match Door::read(objects).await.map(|door| door.map_or(Ok(()), |door| door.let_in())) {
                Ok(Ok(())) => Calls::Lived,
                Ok(Err(why)) => {
                    if objects.calls() == Calls::Lived {
                        tracing::error!(%why, "this process takes no event, and lives through no run any more");
                    }
                    Calls::Later
                }
                // It is as it was.
                Err(_) => continue,
            };
            objects.calls.send_if_modified(|known| std::mem::replace(known, calls) != calls);
        }
    }

    /// May a process serve?
    ///
    /// # Errors
    /// `Refused`, with what to do.
    pub fn let_in(&self) -> Result<(), Error> {
        let why = match self.phase {
            Phase::Within => return Ok(()),
            Phase::Entering => {
                "runs are being moved into the cluster, and not all are there yet: say `dovetail migrate --to restate` again, for the \
                 same data folder"
            }
            Phase::Leaving => {
                "the runs are being moved out of the cluster: say `dovetail migrate --to own` again, for the same data folder"
            }
            Phase::Left => {
                "the runs were moved out of the cluster, into a data folder: serve that without `--on restate`, or move them in \
                 again with `dovetail migrate --to restate`"
            }
        };
        Err(Error::Refused(why.into()))
    }
}

/// Moves all that is not over. `tell` is told what is waited for.
///
/// A crash before it returns: do it again, the same way.
///
/// # Errors
/// `Refused`: it cannot be, and nothing was moved; `Away`: the cluster does not answer.
pub async fn migrate(
    way: Way,
    cluster: Cluster,
    store: &Store,
    folder: &Path,
    tell: impl Fn(&str),
) -> Result<Moved, Error> {
    match (way, store.keeper().await?) {
        (Way::In, Keeper::Cluster) => return Err(Error::Refused(THERE.into())),
        (Way::Out, Keeper::Own) if !store.give_to_cluster().await? => return Err(Error::Refused(OWN.into())),
        _ => {}
    }
    let objects = serve(cluster).await?;
    match way {
        Way::In => into::move_in(&objects, store, folder, tell).await,
        Way::Out => out::move_out(&objects, store, folder, tell).await,
    }
}

/// Moves all that is not over into a cluster that is played, which no engine serves meanwhile.
///
/// # Errors
/// As [`migrate`].
pub async fn move_into_played(cluster: &Arc<Played>, store: &Store, folder: &Path) -> Result<Moved, Error> {
    let objects = Arc::new(Objects::new(Ingress::Played(Arc::clone(cluster))));
    cluster.serve(None, &objects);
    let moved = into::move_in(&objects, store, folder, |_| {}).await;
    cluster.leave();
    moved
}

const THERE: &str = "a cluster keeps the runs of this data folder already: `dovetail serve --on restate` serves them, and \
                     `dovetail migrate --to own` moves them back";
const OWN: &str = "the data folder keeps its runs itself already: `dovetail serve` serves them; to read what a cluster keeps, \
                   say `--data DIR` for an empty folder";

/// Serves the objects as long as the process lives.
async fn serve(cluster: Cluster) -> Result<Arc<Objects>, Error> {
    let Cluster { ingress, admin, listener, deployment, keys } = cluster;
    let objects = Arc::new(Objects::new(Ingress::new(ingress, admin)));
    let endpoint = served::endpoint(None, &objects, &keys).map_err(Error::Refused)?;
    tokio::spawn(called::serve(listener, endpoint, std::future::pending()));
    objects.ingress.register(&deployment).await?;
    Ok(objects)
}

/// Requests on their way at the same time.
const AT_ONCE: usize = 64;

/// Does the same for each, some at a time.
async fn for_each<T, F: Future<Output = Result<(), Error>>>(
    all: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Result<(), Error> {
    stream::iter(all.into_iter().map(work)).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

/// How often it is looked whether nothing is under way, and how often nothing must have been: a message between two objects is
/// not seen for a moment.
const LOOK: Duration = Duration::from_millis(100);
const QUIET: usize = 3;
/// It is told after so long what is waited for, and given up after so long in which it has not become less.
const TOLD: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until no object is at work, nor about to be.
async fn quiet(objects: &Objects, tell: impl Fn(&str)) -> Result<(), Error> {
    let (mut begun, mut told, mut looks) = (clock::instant(), clock::instant(), 0);
    let mut last = u64::MAX;
    loop {
        let mut at_work = objects.ingress.under_way().await?;
        // Whoever was moved in asks again and again until all are there.
        at_work.retain(|one| one.target_handler_name != COME_IN);
        looks = if at_work.is_empty() { looks + 1 } else { 0 };
        if looks >= QUIET {
            return Ok(());
        }
        let number = at_work.iter().map(|one| one.number).sum();
        if number < last {
            // It gets less.
            (begun, last) = (clock::instant(), number);
        }
        if told.elapsed() >= TOLD {
            let words = in_words(&at_work);
            if begun.elapsed() >= PATIENCE {
                return Err(Error::Away(format!(
                    "calls are still under way ({words}), and nobody ends them: say `--objects` or `--objects-url` as `serve` did, and \
                     do it again"
                )));
            }
            tell(&format!("waits for what is under way in the cluster: {words}"));
            told = clock::instant();
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn in_words(at_work: &[UnderWay]) -> String {
    let words = at_work.iter().map(|one| {
        let failure = one.failure.as_deref().and_then(|failure| failure.lines().next());
        let why = failure.map(|failure| format!(" ({failure})")).unwrap_or_default();
        format!("{} {}/{} {}{why}", one.number, one.target_service_name, one.target_handler_name, one.status)
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The cluster forgets all that was moved out of it. What it told remains, for those who read it.
async fn empty(objects: &Objects) -> Result<(), Error> {
    for service in [LINE, TURN, MAIL, PACTS, PAIRS, KNOWN, CREDENTIAL, PLACE, TOKENS] {
        let begun = clock::instant();
        loop {
            let mut left = objects.ingress.objects(service).await?;
            left.retain(|key| service != PLACE || key != DOOR);
            if left.is_empty() {
                break;
            }
            if begun.elapsed() >= PATIENCE {
                return Err(Error::Away(format!("{} objects of {service} are not forgotten: do it again", left.len())));
            }
            for_each(&left, async |key| objects.ingress.clear(service, key).await).await?;
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}
