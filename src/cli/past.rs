//! What has happened: the store of a project, and the runs in it by what a person calls them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::exit::{Refusal, usage};
use super::{Project, say};
use crate::engine::{COPY, HALF_WAY};
use crate::run::RecordRef;
use crate::server::control::{self, Order, Reply};
use crate::store::{self, Asked, Filter, Keeper, Run, Sought, Store};
use crate::story;
use crate::sync::Choice;

/// Where the store is.
#[derive(Clone, Debug, clap::Args)]
pub struct Past {
    /// The project's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// Where the store is kept. Default: `.dovetail` in the project's folder.
    #[arg(long, value_name = "DIR", env = "DOVETAIL_DATA")]
    data: Option<PathBuf>,
}

impl Past {
    pub fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.project.join(".dovetail"))
    }

    /// The same, where there may be no store yet.
    ///
    /// # Errors
    /// It is no folder of a project either.
    pub fn folder_to_make(&self) -> Result<PathBuf> {
        let folder = self.folder();
        match self.project.join("dovetail.yaml").is_file() || folder.is_dir() {
            true => Ok(folder),
            false => Err(no_store(&folder)),
        }
    }

    /// The project whose store it is.
    pub fn project(&self, env: Option<String>) -> Project {
        Project { project: self.project.clone(), env }
    }

    /// The store, for looking; also while `serve` writes to it.
    pub fn look(&self) -> Result<Store> {
        let folder = self.folder();
        Store::open_read_only(&folder).map_err(|error| match error {
            store::Error::Absent(_) => no_store(&folder),
            other => other.into(),
        })
    }

    /// The store, for listing what is in it; None in a project in which nothing has run yet, which is told.
    pub fn look_if_any(&self, json: bool) -> Result<Option<Store>> {
        let fresh = self.data.is_none() && self.project.join("dovetail.yaml").is_file() && !self.folder().exists();
        if fresh {
            if json {
                say::data("[]");
            }
            say::talk("nothing has run in this project yet");
            return Ok(None);
        }
        self.look().map(Some)
    }

    /// The store, for changing what becomes of runs: by ourselves, or by whoever serves it.
    pub async fn access(&self) -> Result<Access> {
        // Looking first: a store that is not there is not made.
        let looked = self.look()?;
        match Store::open(&self.folder()) {
            Ok(store) => {
                looked.close().await;
                match store.keeper().await? {
                    Keeper::Own => Ok(Access { store, served: None }),
                    Keeper::Cluster => Err(usage(COPY)),
                    Keeper::Moving => Err(usage(HALF_WAY)),
                }
            }
            Err(store::Error::InUse(_)) => Ok(Access { store: looked, served: Some(self.folder()) }),
            Err(error) => Err(error.into()),
        }
    }
}

/// A store in which it can be changed what becomes of runs.
pub struct Access {
    /// Only to be looked at when it is served.
    pub store: Store,
    /// The data folder of the process that has it.
    served: Option<PathBuf>,
}

impl Access {
    pub fn is_served(&self) -> bool {
        self.served.is_some()
    }

    pub async fn retry(&self, runs: &[Run]) -> Result<()> {
        self.order(runs, |runs, by| Order::Retry { runs, by }).await
    }

    pub async fn drop_dead(&self, runs: &[Run]) -> Result<()> {
        self.order(runs, |runs, by| Order::Drop { runs, by }).await
    }

    pub async fn cancel(&self, runs: &[Run]) -> Result<()> {
        self.order(runs, |runs, by| Order::Cancel { runs, by }).await
    }

    pub async fn erase(&self, sought: &Sought) -> Result<()> {
        match &self.served {
            Some(data) => ask(data, Order::Erase { sought: sought.clone() }).await,
            None => Ok(self.store.erase(sought).await.map(drop)?),
        }
    }

    /// What a person has said to a question; who serves acts on it at once, else the next one does.
    pub async fn answer(&self, number: i64, choice: &Choice) -> Result<()> {
        match &self.served {
            Some(data) => ask(data, Order::Answer { number, choice: choice.clone() }).await,
            None => Ok(self.store.answer(number, choice).await.map(drop)?),
        }
    }

    /// What a person says without having been asked; acted on as an answer is.
    pub async fn tell(&self, asked: Asked) -> Result<()> {
        match &self.served {
            Some(data) => ask(data, Order::Tell { asked: Box::new(asked) }).await,
            None => Ok(self.store.tell(asked).await?),
        }
    }

    /// Ends a token.
    pub async fn revoke_token(&self, number: i64) -> Result<()> {
        match &self.served {
            Some(data) => ask(data, Order::RevokeToken { number, by: by() }).await,
            None => match self.store.revoke_token(number, control::deed(control::REVOKED, &by())).await? {
                true => Ok(()),
                false => Err(usage(control::not_in_force(number))),
            },
        }
    }

    /// Asks whoever serves the store; else it is carried out here.
    async fn order(&self, runs: &[Run], order: impl Fn(Vec<String>, String) -> Order) -> Result<()> {
        let order = order(ids(runs), by());
        if let Some(data) = &self.served {
            return ask(data, order).await;
        }
        for run in runs {
            let (id, by, now) = (&run.start.id, &by(), now_ms());
            match order {
                Order::Retry { .. } => self.store.retry(id, by, now).await?,
                Order::Cancel { .. } => self.store.cancel(id, by, now).await?,
                _ => self.store.drop_dead(id, by, now).await?,
            };
        }
        Ok(())
    }

    pub async fn close(self) {
        self.store.close().await;
    }
}

fn ids(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| run.start.id.clone()).collect()
}

async fn ask(data: &Path, order: Order) -> Result<()> {
    match self::order(data, &order).await? {
        Reply::Done => Ok(()),
        reply => Err(other(reply)),
    }
}

/// Asks whoever serves this data folder.
pub async fn order(data: &Path, order: &Order) -> Result<Reply> {
    let reply = control::ask(data, order).await.context("whether it was done is not known")?;
    reply.ok_or_else(|| refusal(store::Error::InUse(data.display().to_string())))
}

/// The error that a reply is, if it is not what was asked for.
pub fn other(reply: Reply) -> anyhow::Error {
    match reply {
        Reply::Refused { why, .. } => usage(why),
        Reply::Failed { why } => anyhow::Error::msg(why),
        _ => anyhow::Error::msg("the answer is that of another question"),
    }
}

pub fn no_store(folder: &Path) -> anyhow::Error {
    usage(format!(
        "there is no store at {}: nothing has run there yet. Run this in the project's folder, or say where it is with \
         `--project DIR` or `--data DIR`",
        folder.display()
    ))
}

/// Says what to do when another process has the store.
pub fn refusal(error: store::Error) -> anyhow::Error {
    match error {
        store::Error::InUse(folder) => Refusal::InUse(format!(
            "the data folder {folder} is in use by another process, most likely a `dovetail serve` of this project: stop \
             it first, or say `--data DIR` for another folder"
        ))
        .into(),
        store::Error::Refused(why) => usage(why),
        other => other.into(),
    }
}

/// Finds a run by its number, its id, or a beginning of its id that no other run has.
pub async fn find(store: &Store, name: &str) -> Result<Run> {
    let unknown =
        |why: &str| usage(format!("no run is called `{name}`{why}; `dovetail runs list` shows what there is"));
    match story::called(store, name).await {
        Ok(Some(run)) => Ok(run),
        Ok(None) if !story::is_number(name) && name.chars().count() < 4 => {
            Err(unknown(" (of an id, give 4 characters or more)"))
        }
        Ok(None) => Err(unknown("")),
        Err(store::Error::Ambiguous { .. }) => {
            let like = store.runs(Filter { limit: 10_000, ..Filter::default() }).await?;
            let like: Vec<&Run> = like.iter().filter(|run| run.start.id.starts_with(name)).collect();
            let few = like.iter().take(5).map(|run| format!("{} ({})", run.seq, run.start.id));
            let more = if like.len() > 5 { ", …" } else { "" };
            Err(usage(format!(
                "{} runs have ids that begin with `{name}`: {}{more}; give more of the id, or the number",
                like.len(),
                few.collect::<Vec<_>>().join(", ")
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// Who does it, for the journal.
pub fn by() -> String {
    let user = user();
    if user.is_empty() { "the command line".into() } else { format!("{user}, on the command line") }
}

/// Who sits at this computer; empty if nobody says.
pub fn user() -> String {
    std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_default()
}

/// Now, for the journal.
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A run in a few words: `run 12 (contact-to-opinion-stage)`.
pub fn called(run: &Run) -> String {
    format!("run {} ({})", run.seq, run.start.workflow)
}

/// Fewer digits are no phone number.
const DIGITS_MIN: usize = 7;

/// Reads what a person calls a record.
pub fn sought(text: &str) -> Result<Sought, String> {
    let text = text.trim();
    let is_number = text.chars().all(|character| character.is_ascii_digit() || " +-().".contains(character))
        && text.chars().filter(char::is_ascii_digit).count() >= DIGITS_MIN;
    let is_email = text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.len() >= 3);
    if is_number || is_email {
        return Ok(Sought::Text(text.to_owned()));
    }
    record(text).map(Sought::Record).map_err(|why| why + ", an e-mail address, or a phone number of 7 digits or more")
}

/// Reads the name of a record.
pub fn record(text: &str) -> Result<RecordRef, String> {
    let parts: Vec<&str> = text.trim().splitn(3, '/').collect();
    match parts.as_slice() {
        [connection, object, id] if parts.iter().all(|part| !part.is_empty()) => {
            Ok(RecordRef { connection: (*connection).to_owned(), object: (*object).to_owned(), id: (*id).to_owned() })
        }
        _ => Err("write CONNECTION/OBJECT/ID".into()),
    }
}
