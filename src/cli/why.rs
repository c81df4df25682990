//! `why`: everything that came, was decided, sent and answered about one record, in the order of time.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};

use super::count;
use super::past::{Past, sought};
use super::{exit, say, shown, story};
use crate::run::RecordRef;
use crate::store::{Filter, Holding, Run, Sought, Store, Wanted};
use crate::trigger::Event;

/// Events that started nothing and are told one by one.
const EVENTS_MAX: usize = 20;
/// Events and runs of one record that are looked at.
const LOOKED_AT: usize = 10_000;

#[derive(Debug, clap::Args)]
pub struct Why {
    /// A record as CONNECTION/OBJECT/ID, with those it is linked with; or an e-mail address or a phone number.
    #[arg(value_parser = sought)]
    record: Sought,
    /// The latest runs, at most so many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = super::number::<u16>(1..=u16::MAX))]
    limit: u16,
    #[command(flatten)]
    past: Past,
    /// As JSON, with nothing shortened.
    #[arg(long)]
    json: bool,
}

impl Why {
    pub async fn run(self) -> Result<u8> {
        let store = self.past.look()?;
        let holding = store.holding(&self.record).await?;
        let numbers = numbers(&holding);
        let latest = &numbers[numbers.len().saturating_sub(usize::from(self.limit))..];
        let mut runs = Vec::new();
        for number in latest {
            let filter = Filter { before: number.checked_add(1), limit: 1, ..Filter::default() };
            runs.extend(store.runs(filter).await?.pop().filter(|run| run.seq == *number));
        }
        let idle = idle(&store, &holding.records).await?;
        if self.json {
            print(&store, &holding, &runs, &idle).await?;
        } else {
            tell(&store, &holding, (&runs, numbers.len()), &idle).await?;
        }
        store.close().await;
        Ok(exit::OK)
    }
}

/// All runs that hold it, in the order of acceptance.
fn numbers(holding: &Holding) -> Vec<i64> {
    let mut numbers = [holding.runs.as_slice(), &holding.pending, &holding.dead].concat();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Events about the records that started no run: the first of them, if there are very many.
async fn idle(store: &Store, records: &[RecordRef]) -> Result<Vec<Event>> {
    let mut idle = Vec::new();
    for record in records {
        let (connection, id) = (Some(record.connection.clone()), Some(record.id.clone()));
        let filter =
            Filter { connection: connection.clone(), record: id.clone(), limit: LOOKED_AT, ..Filter::default() };
        let runs = store.runs(filter).await?;
        let started: BTreeSet<&str> = runs.iter().map(|run| run.start.event.id.as_str()).collect();
        let wanted = Wanted { connection, record: id, ..Wanted::default() };
        let events = store.kept_events(&wanted, 0, LOOKED_AT).await?;
        idle.extend(events.into_iter().map(|(_, event)| event).filter(|event| !started.contains(event.id.as_str())));
    }
    idle.sort_by_key(|event| event.time_ms);
    Ok(idle)
}

async fn tell(store: &Store, holding: &Holding, (runs, all): (&[Run], usize), idle: &[Event]) -> Result<()> {
    if holding.records.is_empty() && all == 0 && idle.is_empty() {
        say::talk("nothing is known of it: no event, no run and no copy holds it");
        return Ok(());
    }
    for record in &holding.records {
        say::data(&format!("{} {} of {}", record.object, record.id, record.connection));
    }
    if all > runs.len() {
        say::talk(&format!("{} came before: add `--limit {all}`", count(all - runs.len(), "run")));
    }
    for run in runs {
        say::data("");
        story::follow(store, run.clone()).await?;
    }
    if runs.is_empty() {
        say::talk("no run was about it");
    }
    if !idle.is_empty() {
        say::data("\nno workflow listened for these, or each that did was started by another copy:");
    }
    for event in idle.iter().take(EVENTS_MAX) {
        let of = event.object.iter().zip(&event.record_id).map(|(object, id)| format!("{object} {id}, ")).next();
        let (at, of) = (shown::minute(event.time_ms), of.unwrap_or_default());
        say::data(&format!("  {at}  {of}{}, from {}, id {}", event.kind, event.source, event.id));
    }
    if let Some(more) = idle.len().checked_sub(EVENTS_MAX).filter(|more| *more > 0) {
        say::data(&format!("  and {}", count(more, "further event")));
    }
    Ok(())
}

async fn print(store: &Store, holding: &Holding, runs: &[Run], idle: &[Event]) -> Result<()> {
    let mut told = Vec::new();
    for run in runs {
        told.push(story::read(store, run.clone()).await?.as_value());
    }
    let idle: Vec<Value> = idle.iter().map(|event| shown::concealed(&json!(event))).collect();
    let all = json!({ "records": holding.records, "runs": told, "events_without_runs": idle });
    say::data(&serde_json::to_string_pretty(&all)?);
    Ok(())
}
