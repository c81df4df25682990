//! `dead`: dead letters, the runs that failed for good and wait for a person.

use anyhow::Result;
use serde_json::{Value, json};

use super::past::{self, Access, Past};
use super::runs::{self, Show, ids};
use super::{count, exit, say, shown};
use crate::run::Ending;
use crate::store::{Filter, Run, Status, Store};

#[derive(Debug, clap::Subcommand)]
pub enum Dead {
    /// Every dead letter, with why and where it failed.
    List(List),
    /// The whole story of one.
    Show(Show),
    /// Try again; what is done stays done.
    Retry(Which),
    /// Give up for good; the run stays readable.
    Drop(Which),
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those of this workflow.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Which ones.
#[derive(Debug, clap::Args)]
pub struct Which {
    /// Numbers, ids, or beginnings of ids.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    run: Vec<String>,
    /// All of them; needs --yes.
    #[arg(long)]
    all: bool,
    /// With --all: only those of this workflow.
    #[arg(long, value_name = "NAME", requires = "all")]
    workflow: Option<String>,
    /// Yes, all of them.
    #[arg(long, requires = "all")]
    yes: bool,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Dead {
    pub async fn run(self) -> Result<u8> {
        match self {
            Dead::List(list) => list.run().await,
            Dead::Show(show) => show.run().await,
            Dead::Retry(which) => which.change("retry").await,
            Dead::Drop(which) => which.change("drop").await,
        }
    }
}

impl List {
    async fn run(self) -> Result<u8> {
        let Some(store) = self.past.look_if_any(self.json)? else { return Ok(exit::OK) };
        let dead = all(&store, self.workflow.as_deref()).await?;
        store.close().await;
        if self.json {
            let told: Vec<Value> = dead.iter().map(|run| Value::Object(shown::run(run))).collect();
            say::data(&serde_json::to_string_pretty(&told)?);
        } else if !dead.is_empty() {
            let row = |run: &Run| {
                let (place, why) = match &run.ending {
                    Some(Ending::Failed { place, failure, .. }) => (place.clone(), failure.to_string()),
                    _ => Default::default(),
                };
                // The place begins with the workflow's file: its name would say it twice.
                let place =
                    if place.contains(&run.start.workflow) { place } else { format!("{} {place}", run.start.workflow) };
                let ended = shown::minute(run.ended_ms.unwrap_or(run.start.created_ms));
                vec![
                    run.seq.to_string(),
                    ended,
                    shown::about(&run.start),
                    place,
                    say::shortened(&shown::uncovered(&why), 200),
                ]
            };
            say::table(&["NO", "FAILED (UTC)", "ABOUT", "AT", "WHY"], dead.iter().map(row).collect());
        }
        say::talk(&match dead.len() {
            0 => "no dead letters".to_string(),
            number => format!("{}: `dovetail dead show NO`, `retry NO`, `drop NO`", count(number, "dead letter")),
        });
        Ok(exit::OK)
    }
}

impl Which {
    async fn change(self, what: &str) -> Result<u8> {
        if self.all && !self.yes {
            let store = self.past.look()?;
            let dead = all(&store, self.workflow.as_deref()).await?;
            store.close().await;
            if dead.is_empty() {
                say::talk("no dead letters");
                return Ok(exit::OK);
            }
            let message = format!("this would {what} {}: add --yes if that is meant", count(dead.len(), "dead letter"));
            return Err(exit::usage(message));
        }
        let access = self.past.access().await?;
        let done = self.carry_out(&access, what).await;
        access.close().await;
        done
    }

    async fn carry_out(&self, access: &Access, what: &str) -> Result<u8> {
        let store = &access.store;
        let names: Vec<String> = if self.all {
            all(store, self.workflow.as_deref()).await?.into_iter().map(|run| run.start.id).collect()
        } else {
            self.run.clone()
        };
        if names.is_empty() {
            say::talk("no dead letters");
        }
        if what == "retry" {
            return runs::retry(access, &names, self.json).await;
        }
        let dead = runs::dead(store, &names, "dropped").await?;
        access.drop_dead(&dead).await?;
        for run in &dead {
            say::talk(&format!("{} is dropped", past::called(run)));
        }
        if self.json {
            say::data(&serde_json::to_string_pretty(&json!({ "dropped": ids(&dead) }))?);
        }
        Ok(exit::OK)
    }
}

/// Every dead letter, newest first.
async fn all(store: &Store, workflow: Option<&str>) -> Result<Vec<Run>> {
    let workflow = workflow.map(Into::into);
    let filter = Filter { status: Some(Status::Failed), workflow, limit: usize::MAX, ..Filter::default() };
    Ok(store.runs(filter).await?)
}
