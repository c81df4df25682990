//! `plan`, `apply` and `audit`: all records of both sides of a sync at once.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::bar::{Bar, span};
use super::count;
use super::enough::enough;
use super::{Operator, Project, exit, say};
use crate::engine::{Engine, Keeping, PairSurveyed, Progress, SurveyError, Surveyed};
use crate::server::control::{self, Order, Reply};
use crate::store::{Status, Store};
use crate::story::{shown, survey};

/// Differences that are told without `--all`.
const TOLD: usize = 20;

/// Which sync, and where.
#[derive(Debug, clap::Args)]
struct Whole {
    /// The sync's name.
    sync: String,
    /// The tenant, when there are several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Plan {
    #[command(flatten)]
    whole: Whole,
    /// Look at what lives under the records of pairs, too: a list for each of them.
    #[arg(long)]
    deep: bool,
    /// Tell every difference.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
pub struct Apply {
    #[command(flatten)]
    whole: Whole,
    /// The plan that was looked at: only that is done.
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// Whatever there is to do now.
    #[arg(long, conflicts_with = "plan")]
    yes: bool,
    /// As with `dovetail plan --deep`.
    #[arg(long)]
    deep: bool,
}

#[derive(Debug, clap::Args)]
pub struct Audit {
    #[command(flatten)]
    whole: Whole,
    /// Leave out what lives under the records of pairs.
    #[arg(long)]
    shallow: bool,
    /// Tell every difference.
    #[arg(long)]
    all: bool,
}

impl Plan {
    pub async fn run(self) -> Result<u8> {
        let Some((surveyed, _)) = self.whole.survey(self.deep, None).await? else { return Ok(exit::FINDINGS) };
        if self.whole.json {
            say::data(&serde_json::to_string_pretty(&shown::concealed(&json!(surveyed)))?);
            return Ok(exit::OK);
        }
        tell(&surveyed, self.all);
        let hash = &surveyed.hash;
        let deep = if self.deep { " --deep" } else { "" };
        let there = self.whole.operator.whereabouts(&self.whole.project);
        say::talk(&match survey::to_do(&surveyed) {
            0 => format!(
                "plan {hash}: there is nothing to do; `dovetail apply {} --plan {hash}{deep}{there}` begins",
                surveyed.sync
            ),
            number => format!(
                "plan {hash}: {} to bring into line, about {} and {}{}. Nothing was written. \
                 `dovetail apply {} --plan {hash}{deep}{there}` does it",
                count(number, "record"),
                count(survey::requests(&surveyed), "request"),
                span(surveyed.seconds),
                if surveyed.children == surveyed.pairs.len() - 1 {
                    ""
                } else {
                    ", without what lives under them: `--deep` counts that, too"
                },
                surveyed.sync,
            ),
        });
        Ok(exit::OK)
    }
}

impl Apply {
    pub async fn run(self) -> Result<u8> {
        if self.plan.is_none() && !self.yes {
            let sync = &self.whole.sync;
            return Err(exit::usage(format!(
                "say which plan with `--plan`: `dovetail plan {sync}` shows it. Or add --yes, which does what there is to do now"
            )));
        }
        let applied = self.whole.survey(self.deep, Some(self.plan.as_deref())).await?;
        let Some((surveyed, runs)) = applied else { return Ok(exit::FINDINGS) };
        if self.whole.json {
            say::data(&serde_json::to_string_pretty(&json!({ "plan": surveyed.hash, "runs": runs }))?);
        }
        Ok(exit::OK)
    }
}

impl Audit {
    pub async fn run(self) -> Result<u8> {
        let Some((surveyed, _)) = self.whole.survey(!self.shallow, None).await? else { return Ok(exit::FINDINGS) };
        let differing: usize = surveyed.pairs.iter().map(|pair| pair.survey.items.len()).sum();
        if self.whole.json {
            say::data(&serde_json::to_string_pretty(&shown::concealed(&json!(surveyed)))?);
        } else {
            tell(&surveyed, self.all);
            let in_line: usize = surveyed.pairs.iter().map(|pair| pair.survey.in_line).sum();
            say::talk(&match differing {
                0 => format!("both sides are equal: {} in line", count(in_line, "pair")),
                number => format!("{} in line; {} not", count(in_line, "pair"), count(number, "record")),
            });
        }
        Ok(if differing == 0 { exit::OK } else { exit::FAILED })
    }
}

impl Whole {
    /// Surveys, or with `apply` does what there is to do and waits for that. None: the documents have errors.
    async fn survey(&self, deep: bool, apply: Option<Option<&str>>) -> Result<Option<(Surveyed, usize)>> {
        let Some(plan) = self.project.plan()? else { return Ok(None) };
        let data = self.operator.data_folder(&self.project);
        let (engine, _) = match self.operator.engine(&self.project, plan, 64, false, Keeping::Own).await {
            Ok(engine) => engine,
            Err(error) if exit::is_in_use(&error) => return self.ask(&data, deep, apply, error).await.map(Some),
            Err(error) => return Err(error),
        };
        let done = self.here(&engine, deep, apply).await;
        engine.stop().await;
        engine.store().clone().close().await;
        done.map(Some)
    }

    async fn here(&self, engine: &Engine, deep: bool, apply: Option<Option<&str>>) -> Result<(Surveyed, usize)> {
        let (sync, tenant) = (&self.sync, self.tenant.as_deref());
        // What was pending before is taken up by the next `serve` only.
        let others = engine.store().count_of(Status::Pending, &self.prefix()).await?;
        let surveyed = match apply {
            None => engine.survey(sync, tenant, deep, &Progress::default()).await.map(|surveyed| (surveyed, 0)),
            Some(expected) => engine.apply(sync, tenant, deep, expected, &Progress::default()).await,
        };
        let (surveyed, runs) = surveyed.map_err(|error| match error {
            SurveyError::Refused(why) => exit::usage(why),
            SurveyError::Failed(failure) => anyhow::anyhow!("a list cannot be read: {failure}"),
            SurveyError::Store(error) => error.into(),
        })?;
        if apply.is_some() {
            self.wait(engine.store(), None, runs, others).await?;
        }
        Ok((surveyed, runs))
    }

    /// Another process has the store: it does it.
    async fn ask(
        &self,
        data: &Path,
        deep: bool,
        apply: Option<Option<&str>>,
        error: anyhow::Error,
    ) -> Result<(Surveyed, usize)> {
        let file = std::path::absolute(data.join(format!("survey-{}.json", std::process::id())))?;
        let (sync, tenant) = (self.sync.clone(), self.tenant.clone());
        let order = match apply {
            None => Order::Survey { sync, tenant, deep, file: file.clone() },
            Some(plan) => Order::Apply { sync, tenant, deep, plan: plan.map(str::to_owned), file: file.clone() },
        };
        let reply = control::ask(data, &order).await.context("whether it was done is not known")?;
        let json = std::fs::read(&file);
        let _ = std::fs::remove_file(&file);
        match reply {
            None => Err(error),
            Some(Reply::Surveyed { runs }) => {
                if apply.is_some() {
                    let store = Store::open_read_only(data)?;
                    self.wait(&store, Some(data), runs, 0).await?;
                    store.close().await;
                }
                Ok((serde_json::from_slice(&json?)?, runs))
            }
            Some(Reply::Refused { why, .. }) => Err(exit::usage(why)),
            Some(Reply::Failed { why }) => Err(anyhow::anyhow!(why)),
            Some(reply) => Err(anyhow::anyhow!("the answer is that of another question: {reply:?}")),
        }
    }

    /// What the names of the sync's workflows begin with.
    fn prefix(&self) -> String {
        format!("{}/", self.sync)
    }

    /// Until the sync's runs are over, but for so many others, with what has been done so far.
    async fn wait(&self, store: &Store, served: Option<&Path>, runs: usize, others: u64) -> Result<()> {
        let mut enough = std::pin::pin!(enough(served));
        let prefix = self.prefix();
        let begun = Instant::now();
        let mut told = Instant::now();
        let bar = Bar::new();
        loop {
            let pending = store.count_of(Status::Pending, &prefix).await?.saturating_sub(others);
            let over = (runs as u64).saturating_sub(pending);
            bar.draw(over, runs as u64, begun.elapsed());
            if pending == 0 {
                bar.end();
                break;
            }
            if told.elapsed() > Duration::from_secs(10) && !bar.is_drawn {
                told = Instant::now();
                say::talk(&format!("{over} of {runs} done"));
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
                () = &mut enough => {
                    bar.end();
                    say::talk(&format!("{} is left; `dovetail serve` goes on with it", count(usize::try_from(pending)?, "run")));
                    return Ok(());
                }
            }
        }
        let failed = store.count_of(Status::Failed, &prefix).await?;
        say::talk(&format!("{} over", count(runs, "run")));
        if failed > 0 {
            say::talk(&format!("{} failed: see `dovetail dead list`", count(usize::try_from(failed)?, "run")));
        }
        Ok(())
    }
}

/// The table of what there is, and then each difference.
fn tell(surveyed: &Surveyed, all: bool) {
    for pair in &surveyed.pairs {
        let [first, second] = &pair.objects;
        let [one, other] = &pair.connections;
        let header = ["", &format!("{first} ({one})"), &format!("{second} ({other})")];
        let rows = survey::rows(pair);
        say::table(&header, rows.into_iter().map(|(name, [one, other])| vec![name, one, other]).collect());
        let besides = survey::besides(pair);
        if !besides.is_empty() {
            say::data(&besides.join(" · "));
        }
        differences(pair, all);
        say::data("");
    }
}

fn differences(pair: &PairSurveyed, all: bool) {
    let shown = if all { usize::MAX } else { TOLD };
    for item in pair.survey.items.iter().take(shown) {
        let name = survey::name(item);
        let name = if name.is_empty() { name } else { format!("  {}", say::shortened(&name, 40)) };
        let (sign, told) = survey::item(pair, item);
        say::data(&format!("{sign} {told}{name}"));
        survey::fields(item).iter().for_each(|told| say::data(&format!("    {told}")));
    }
    if pair.survey.items.len() > shown {
        say::data(&format!("… and {} more: `--all` tells them", pair.survey.items.len() - shown));
    }
}
