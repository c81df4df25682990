//! `backfill`: a workflow is started once for each record that an account has already.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::bar::Bar;
use super::count;
use super::enough::enough;
use super::{Operator, Project, exit, past, say};
use crate::engine::{Backfill as Wish, BackfillError, Backfilled, Engine, Keeping, Listed};
use crate::server::control::{self, Order, Reply};
use crate::store::{Store, Tally};
use crate::trigger::BACKFILL;

#[derive(Debug, clap::Args)]
pub struct Backfill {
    /// The workflow's name.
    workflow: String,
    /// Only records made since: `2h` ago, a date, or an instant such as `2026-11-24T12:00:00Z`.
    #[arg(long, value_name = "WHEN", value_parser = super::when)]
    since: Option<i64>,
    /// Only records made before, written in the same way.
    #[arg(long, value_name = "WHEN", value_parser = super::when)]
    until: Option<i64>,
    /// The tenant, when there are several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Runs that are started in a second, at most.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = super::number::<u32>(1..=1_000))]
    per_second: u32,
    /// Once more, also for records that the workflow has heard of; the name tells this time from others.
    #[arg(long, value_name = "NAME", value_parser = time_name)]
    again: Option<String>,
    /// Yes, start them.
    #[arg(long)]
    yes: bool,
    /// Only tell what would be started.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What there is to do.
struct Found {
    listed: Vec<Listed>,
    to_start: usize,
    left: usize,
}

impl Backfill {
    pub async fn run(self) -> Result<u8> {
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err(exit::usage("nothing lies between them: `--since` must be earlier than `--until`"));
        }
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        self.wish().check(&plan).map_err(exit::usage)?;
        let data = self.operator.data_folder(&self.project);
        let engine = match self.operator.engine(&self.project, plan, 64, false, Keeping::Own).await {
            Ok((engine, _)) => engine,
            Err(error) if exit::is_in_use(&error) => return self.ask(&data, error).await,
            Err(error) => return Err(error),
        };
        let done = self.here(&engine).await;
        engine.stop().await;
        engine.store().clone().close().await;
        done
    }

    fn wish(&self) -> Wish {
        Wish {
            workflow: self.workflow.clone(),
            tenant: self.tenant.clone(),
            since_ms: self.since,
            until_ms: self.until,
            again: self.again.clone(),
        }
    }

    async fn here(&self, engine: &Engine) -> Result<u8> {
        let begun_ms = past::now_ms();
        let past = engine.past(&self.wish()).await.map_err(refusal)?;
        let found = Found { listed: past.listed.clone(), to_start: past.to_start(), left: past.left };
        if let Some(code) = self.is_not_meant(&found)? {
            return Ok(code);
        }
        let bar = Progress::new(found.to_start);
        let filling = engine.backfill(past, self.per_second, |done| bar.draw(done));
        let done = tokio::select! {
            done = filling => done.map_err(refusal),
            () = super::serve::stop_signal() => Ok(Backfilled { is_cut_short: true, ..bar.last.get() }),
        };
        bar.end();
        self.tell(engine.store(), &found, done?, begun_ms, Some(engine)).await
    }

    /// Another process has the store: if it serves, it does it.
    async fn ask(&self, data: &Path, error: anyhow::Error) -> Result<u8> {
        let begun_ms = past::now_ms();
        if !self.yes {
            let (found, _) = self.follow(data, None, error, |_, _| {}).await?;
            if let Some(code) = self.is_not_meant(&found)? {
                return Ok(code);
            }
            return self.ask_to_start(data, begun_ms, true).await;
        }
        self.ask_to_start(data, begun_ms, false).await
    }

    async fn ask_to_start(&self, data: &Path, begun_ms: i64, is_told: bool) -> Result<u8> {
        let mut bar = None;
        let gone = anyhow::anyhow!("`serve` has ended meanwhile: ask again, and it does what is left");
        let see = |found: &Found, done: Option<Backfilled>| match done {
            None if !is_told => self.tell_found(found),
            None => {}
            Some(done) => bar.get_or_insert_with(|| Progress::new(found.to_start)).draw(done),
        };
        let followed = self.follow(data, Some(self.per_second), gone, see).await;
        if let Some(bar) = bar {
            bar.end();
        }
        let (found, done) = followed?;
        let store = Store::open_read_only(data)?;
        let code = self.tell(&store, &found, done.unwrap_or_default(), begun_ms, None).await;
        store.close().await;
        code
    }

    /// Has `serve` tell what it finds and how far it is.
    async fn follow(
        &self,
        data: &Path,
        per_second: Option<u32>,
        nobody: anyhow::Error,
        mut see: impl FnMut(&Found, Option<Backfilled>),
    ) -> Result<(Found, Option<Backfilled>)> {
        let (mut found, mut done, mut wrong) = (None, None, None);
        let order = Order::Backfill { wish: self.wish(), per_second };
        let hear = |line: &str| {
            match (serde_json::from_str(line), &found) {
                (Ok(Reply::Found { listed, to_start }), _) => {
                    see(found.insert(Found { listed, to_start, left: 0 }), None);
                }
                (Ok(Reply::Backfilling(far)), Some(found)) => see(found, Some(far)),
                (Ok(Reply::Backfilled(far)), _) => done = Some(far),
                (Ok(Reply::Refused { why, .. }), _) => wrong = Some(exit::usage(why)),
                (Ok(Reply::Failed { why }), _) => wrong = Some(anyhow::anyhow!(why)),
                (_, _) => wrong = Some(anyhow::anyhow!("`serve` is of another version of Dovetail, and says {line}")),
            }
            wrong.is_none()
        };
        if !control::follow(data, &order, hear).await.context("how much was started is not known")? {
            return Err(nobody);
        }
        match (wrong, found, done, per_second) {
            (Some(wrong), ..) => Err(wrong),
            (None, Some(found), done @ Some(_), _) | (None, Some(found), done, None) => Ok((found, done)),
            (None, ..) => Err(anyhow::anyhow!("`serve` has ended meanwhile: ask again, and what is left is done")),
        }
    }

    /// Tells what there is to do. A code: it is not done.
    fn is_not_meant(&self, found: &Found) -> Result<Option<u8>> {
        self.tell_found(found);
        if self.dry_run {
            if self.json {
                let told = json!({ "lists": found.listed, "to_start": found.to_start, "left": found.left });
                say::data(&serde_json::to_string_pretty(&told)?);
            }
            return Ok(Some(exit::OK));
        }
        if found.to_start + found.left > 0 && !self.yes && !say::is_meant()? {
            return Err(exit::usage("nothing is started: add --yes if that is meant"));
        }
        Ok(None)
    }

    fn tell_found(&self, found: &Found) {
        for listed in &found.listed {
            let mut told =
                format!("{} lists {} of `{}`", listed.connection, count(listed.records, "record"), listed.object);
            let is_narrowed = self.since.is_some() || self.until.is_some() || listed.kind == "updated";
            if let (true, Some(time)) = (is_narrowed, &listed.time) {
                told.push_str(&format!(", {} meant by `{time}`", listed.meant));
            }
            if listed.undated > 0 {
                told.push_str(&format!(", {} without a time, which are left out", listed.undated));
            }
            if listed.before > 0 {
                told.push_str(&format!(", {} backfilled before", listed.before));
            }
            say::talk(&told);
        }
        if found.left > 0 {
            say::talk(&format!("{} that were started before go on", count(found.left, "run")));
        }
        let (runs, workflow) = (count(found.to_start, "run"), &self.workflow);
        say::talk(&match found.to_start {
            0 => format!("there is nothing to start of `{workflow}`"),
            _ => format!("{runs} of `{workflow}` to start, {} in a second at most", self.per_second),
        });
    }

    /// Waits for the runs, and tells what came of them.
    async fn tell(
        &self,
        store: &Store,
        found: &Found,
        done: Backfilled,
        begun_ms: i64,
        engine: Option<&Engine>,
    ) -> Result<u8> {
        let tally = self.wait(store, begun_ms, engine).await?;
        let there = self.operator.whereabouts(&self.project);
        if self.json {
            let told = json!({
                "lists": found.listed, "started": done.runs, "idle": done.idle, "cut_short": done.is_cut_short, "runs": tally,
            });
            say::data(&serde_json::to_string_pretty(&told)?);
        } else {
            let ended = [
                (tally.completed, "completed"),
                (tally.skipped, "skipped"),
                (tally.failed, "failed"),
                (tally.dropped, "dropped"),
                (tally.pending + tally.waiting, "not over"),
            ];
            let ended = ended.iter().filter(|(number, _)| *number > 0);
            let ended: Vec<String> = ended.map(|(number, word)| format!("{number} {word}")).collect();
            let of = if ended.is_empty() { String::new() } else { format!(": {}", ended.join(", ")) };
            say::data(&format!("{} started{of}", count(done.runs, "run")));
        }
        if done.idle > 0 {
            say::talk(&format!("{} started nothing as the project is now", count(done.idle, "record")));
        }
        if tally.pending + tally.waiting > 0 {
            say::talk("`dovetail serve` goes on with what is not over");
        }
        if tally.failed > 0 {
            say::talk(&format!("`dovetail dead list{there}` tells what failed"));
        }
        if done.is_cut_short {
            say::talk("it was told to stop before all were started: ask again, and what is left is done");
        }
        Ok(if done.is_cut_short || tally.failed > 0 { exit::FAILED } else { exit::OK })
    }

    /// Until no run is at work: those that wait for long, or for a person, are left.
    async fn wait(&self, store: &Store, begun_ms: i64, engine: Option<&Engine>) -> Result<Tally> {
        let data = self.operator.data_folder(&self.project);
        let mut enough = std::pin::pin!(enough(engine.is_none().then_some(&*data)));
        let tally = async |since_ms| store.tally(&self.workflow, BACKFILL, since_ms, past::now_ms() + SOON_MS).await;
        // Those that are over are counted once, at the end.
        while tally(i64::MAX).await?.pending > 0 {
            let refused = engine.map(Engine::refused).unwrap_or_default();
            refused.iter().for_each(|why| say::talk(&format!("the account is refused: {why}")));
            if !refused.is_empty() || engine.is_some_and(Engine::is_at_rest) {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(MOMENT) => {}
                () = &mut enough => break,
            }
        }
        Ok(tally(begun_ms).await?)
    }
}

/// What is due later is not waited for.
const SOON_MS: i64 = 60_000;
/// After this it is looked again.
const MOMENT: Duration = Duration::from_millis(200);
/// Where nobody sees a bar, it is told how far it is so often.
const TOLD: Duration = Duration::from_secs(10);

/// How far it is: a bar on a terminal, else a line now and then.
struct Progress {
    bar: Bar,
    all: usize,
    begun: Instant,
    told: std::cell::Cell<Instant>,
    last: std::cell::Cell<Backfilled>,
}

impl Progress {
    fn new(all: usize) -> Progress {
        let now = Instant::now();
        Progress { bar: Bar::new(), all, begun: now, told: now.into(), last: Backfilled::default().into() }
    }

    fn draw(&self, done: Backfilled) {
        self.last.set(done);
        let over = done.runs + done.idle;
        self.bar.draw(over, self.all as u64, self.begun.elapsed());
        if !self.bar.is_drawn && self.told.get().elapsed() > TOLD {
            self.told.set(Instant::now());
            say::talk(&format!("{over} of {} started", self.all));
        }
    }

    fn end(&self) {
        self.bar.end();
    }
}

/// Names of `--again` are parts of ids.
fn time_name(text: &str) -> Result<String, String> {
    let good = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let is_good = !text.is_empty() && text.len() <= 40 && text.chars().all(good);
    is_good.then(|| text.to_owned()).ok_or_else(|| "write letters, digits, `-`, `_` and `.`, 40 at most".into())
}

fn refusal(error: BackfillError) -> anyhow::Error {
    match error {
        BackfillError::Refused(why) => exit::usage(why),
        error => error.into(),
    }
}
