//! `runs`: what has run, the whole story of one run, and another try.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::past::{self, Access, Past};
use super::{exit, say, shown, story};
use crate::store::{Filter, Run, Status, Store};

#[derive(Debug, clap::Subcommand)]
pub enum Runs {
    /// The latest runs, newest first.
    List(List),
    /// The whole story of one run.
    Show(Show),
    /// Try the failed action of a run again; what is done stays done.
    Retry(Retry),
    /// End runs that are not over; what is done stays done.
    Cancel(Cancel),
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those in this state.
    #[arg(long, value_name = "STATUS")]
    status: Option<State>,
    /// Only those of this workflow.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only those of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only those about this account, or using it.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Only those about the record with this id, or about a child of it.
    #[arg(long, value_name = "ID")]
    record: Option<String>,
    /// Only those that ended with a failure of this name, such as `invalid`.
    #[arg(long, value_name = "NAME")]
    error: Option<String>,
    /// Only those accepted since: `2h` ago, a date, or an instant such as `2026-11-24T12:00:00Z`.
    #[arg(long, value_name = "WHEN", value_parser = super::when)]
    since: Option<i64>,
    /// Only those accepted before, written in the same way.
    #[arg(long, value_name = "WHEN", value_parser = super::when)]
    until: Option<i64>,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = super::number::<u16>(1..=u16::MAX))]
    limit: u16,
    /// Only those before this number: the next page.
    #[arg(long, value_name = "NO", value_parser = super::number::<i64>(1..))]
    before: Option<i64>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// The run's number, its id, or the beginning of its id.
    run: String,
    #[command(flatten)]
    past: Past,
    /// As JSON, with nothing shortened.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Retry {
    /// The run's number, its id, or the beginning of its id.
    run: String,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Cancel {
    /// Numbers, ids, or beginnings of ids.
    #[arg(required = true)]
    run: Vec<String>,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    Completed,
    Skipped,
    Failed,
    Dropped,
}

impl Runs {
    pub async fn run(self) -> Result<u8> {
        match self {
            Runs::List(list) => list.run().await,
            Runs::Show(show) => show.run().await,
            Runs::Retry(retry) => retry.run().await,
            Runs::Cancel(cancel) => cancel.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<u8> {
        let Some(store) = self.past.look_if_any(self.json)? else { return Ok(exit::OK) };
        let status = self.status.map(|state| match state {
            State::Pending => Status::Pending,
            State::Completed => Status::Completed,
            State::Skipped => Status::Skipped,
            State::Failed => Status::Failed,
            State::Dropped => Status::Dropped,
        });
        let limit = usize::from(self.limit);
        let filter = Filter {
            status,
            workflow: self.workflow,
            tenant: self.tenant,
            connection: self.connection,
            record: self.record,
            failure: self.error,
            since_ms: self.since,
            until_ms: self.until,
            limit: limit + 1,
            before: self.before,
        };
        let mut runs = store.runs(filter).await?;
        let more = runs.len() > limit;
        runs.truncate(limit);
        let counts = store.counts().await?;
        store.close().await;
        if self.json {
            let told: Vec<Value> = runs.iter().map(|run| Value::Object(shown::run(run))).collect();
            say::data(&serde_json::to_string_pretty(&told)?);
        } else if runs.is_empty() {
            say::talk("no such runs");
        } else {
            table(&runs);
        }
        if let (true, Some(last)) = (more, runs.last()) {
            say::talk(&format!("there are older ones: add `--before {}`", last.seq));
        }
        let all = [
            (counts.pending, "pending"),
            (counts.completed, "completed"),
            (counts.skipped, "skipped"),
            (counts.failed, "failed"),
            (counts.dropped, "dropped"),
        ];
        let all: Vec<String> =
            all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        say::talk(&format!("in all: {}", if all.is_empty() { "no runs".into() } else { all.join(", ") }));
        Ok(exit::OK)
    }
}

fn table(runs: &[Run]) {
    // The whole id only where there is room for it: the number names the run as well.
    let wide = say::width().is_none_or(|width| width >= 130);
    let mut header = vec!["NO", "STATUS", "WORKFLOW", "ACCEPTED (UTC)", "ABOUT"];
    if wide {
        header.push("ID");
    }
    let row = |run: &Run| {
        let mut row = vec![
            run.seq.to_string(),
            run.status.word().to_string(),
            run.start.workflow.clone(),
            shown::minute(run.start.created_ms),
            shown::about(&run.start),
        ];
        if wide {
            row.push(run.start.id.clone());
        }
        row
    };
    say::table(&header, runs.iter().map(row).collect());
}

impl Show {
    pub async fn run(self) -> Result<u8> {
        let store = self.past.look()?;
        let run = past::find(&store, &self.run).await?;
        story::tell(&store, run, self.json).await?;
        store.close().await;
        Ok(exit::OK)
    }
}

impl Retry {
    async fn run(self) -> Result<u8> {
        let access = self.past.access().await?;
        let done = retry(&access, &[self.run], self.json).await;
        access.close().await;
        done
    }
}

impl Cancel {
    async fn run(self) -> Result<u8> {
        let access = self.past.access().await?;
        let mut runs: Vec<Run> = Vec::new();
        for name in &self.run {
            let run = past::find(&access.store, name).await?;
            if run.status != Status::Pending {
                let status = run.status.word();
                return Err(exit::usage(format!("{} is {status}: there is nothing to end", past::called(&run))));
            }
            if runs.iter().all(|known| known.seq != run.seq) {
                runs.push(run);
            }
        }
        access.cancel(&runs).await?;
        access.close().await;
        for run in &runs {
            say::talk(&format!("{} is ended", past::called(run)));
        }
        if self.json {
            say::data(&serde_json::to_string_pretty(&json!({ "cancelled": ids(&runs) }))?);
        }
        Ok(exit::OK)
    }
}

/// Puts dead letters back among the pending runs, all or none of those that are named.
pub async fn retry(access: &Access, names: &[String], json: bool) -> Result<u8> {
    let runs = dead(&access.store, names, "retried").await?;
    access.retry(&runs).await?;
    for run in &runs {
        say::talk(&format!("{} is pending again", past::called(run)));
    }
    if json {
        say::data(&serde_json::to_string_pretty(&json!({ "retried": ids(&runs) }))?);
    }
    if !runs.is_empty() && !access.is_served() {
        say::talk("the next `dovetail serve` (or `run`) goes on where it failed");
    }
    Ok(exit::OK)
}

/// The dead letters of these names; an error if one of them is none.
pub async fn dead(store: &Store, names: &[String], what: &str) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for name in names {
        let run = past::find(store, name).await?;
        if run.status != Status::Failed {
            let status = run.status.word();
            return Err(exit::usage(format!("{} is {status}: only failed runs can be {what}", past::called(&run))));
        }
        if runs.iter().all(|known| known.seq != run.seq) {
            runs.push(run);
        }
    }
    Ok(runs)
}

pub fn ids(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(|run| run.start.id.as_str()).collect()
}
