//! `replay`: events that are kept start runs once more.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::count;
use super::past::Past;
use super::{exit, say};
use crate::engine::{Replay as Wish, Replayed};
use crate::server::control::{self, Order, Reply};
use crate::store::Wanted;

#[derive(Debug, clap::Args)]
pub struct Replay {
    /// Events received since: `2h` ago, a date, or an instant such as `2026-11-24T12:00:00Z`.
    #[arg(long, value_name = "WHEN", value_parser = super::when)]
    since: i64,
    /// Events received before, written in the same way. Default: now.
    #[arg(long, value_name = "WHEN", value_parser = super::when)]
    until: Option<i64>,
    /// Only runs of this workflow.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only events of this account.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Only events about the record with this id, or about a child of it.
    #[arg(long, value_name = "ID")]
    record: Option<String>,
    /// Events in a second, at most.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = super::number::<u32>(1..=1_000))]
    rate: u32,
    /// Yes, start them.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub async fn run(self) -> Result<u8> {
        let store = self.past.look()?;
        // What comes while a person reads is no part of what they were shown.
        let until_ms = Some(self.until.unwrap_or_else(super::past::now_ms));
        let wanted = Wanted { since_ms: Some(self.since), until_ms, connection: self.connection, record: self.record };
        let events = store.count_kept(&wanted).await?;
        store.close().await;
        say::talk(&format!(
            "{} would be replayed, {} in a second at most, with the project as it is now",
            count(events, "event"),
            self.rate
        ));
        if events > 0 && !self.yes && !say::is_meant()? {
            return Err(exit::usage("nothing is replayed: add --yes if that is meant"));
        }
        let data = self.past.folder();
        let order = Order::Replay(Wish { wanted, workflow: self.workflow, per_second: self.rate });
        let replayed = match control::ask(&data, &order).await.context("how much was replayed is not known")? {
            Some(Reply::Replayed(replayed)) => replayed,
            Some(Reply::Failed { why } | Reply::Refused { why, .. }) => anyhow::bail!(why),
            Some(reply) => anyhow::bail!("`serve` is of another version of Dovetail, and says {reply:?}"),
            None => {
                return Err(exit::usage(format!(
                    "nobody serves the data folder {}: start `dovetail serve`, which replays what it is asked to",
                    data.display()
                )));
            }
        };
        tell(&replayed, self.json)?;
        Ok(if replayed.is_cut_short { exit::FAILED } else { exit::OK })
    }
}

fn tell(replayed: &Replayed, as_json: bool) -> Result<()> {
    let Replayed { events, runs, idle, is_cut_short } = *replayed;
    if as_json {
        let told = json!({ "events": events, "runs": runs, "idle": idle, "cut_short": is_cut_short });
        say::data(&serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    say::data(&format!("{} replayed, {} started", count(events, "event"), count(runs, "run")));
    if idle > 0 {
        say::talk(&format!("{} started nothing as the project is now", count(idle, "further event")));
    }
    if is_cut_short {
        say::talk("`serve` was told to stop before all were replayed");
    }
    Ok(())
}
