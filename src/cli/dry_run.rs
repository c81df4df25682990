//! `run --dry-run`: what a workflow would do and send, played on this computer.

use anyhow::Result;
use serde_json::{Map, Value};

use super::{Project, check, exit, folder, say, shipped, story};
use crate::project;
use crate::rehearsal::{self, Exchange, Trial, Tried, TriedRun};
use crate::store::Status;
use crate::story::count;

pub struct Wanted {
    /// A workflow or a sync.
    pub workflow: String,
    /// None: an example.
    pub sample: Option<Value>,
    pub given: Option<Value>,
    pub json: bool,
}

impl Wanted {
    pub async fn run(self, project: &Project) -> Result<u8> {
        let folder = &project.project;
        let (own, shipped) = (folder::texts(folder)?, shipped::connectors());
        let loaded = project::read(&own, &shipped, project.env.as_deref());
        if loaded.plan.is_none() && loaded.unconnected.is_none() {
            check::tell(&loaded);
            return Ok(exit::FINDINGS);
        }
        let scene = folder::scene(folder, &self.workflow, &loaded, (&own, &shipped)).map_err(exit::usage)?;
        let given = match self.given {
            None => Map::new(),
            Some(Value::Object(given)) => given,
            Some(_) => return Err(exit::usage("--given must be a JSON object: lists of records by `alias.object`")),
        };
        let sample = self.sample.unwrap_or_else(|| {
            let sample = rehearsal::sample(&scene);
            say::talk(&format!("tried with an example, since there is no --input: {sample}"));
            sample
        });
        let tried = tokio::task::spawn_blocking(move || rehearsal::try_out(&scene, Trial { sample, given })).await?;
        let tried = tried.map_err(exit::usage)?;
        if self.json {
            say::data(&serde_json::to_string_pretty(&tried.as_value())?);
        } else {
            tell(&tried);
        }
        let has_failed = |run: &TriedRun| run.story.run.status == Status::Failed;
        Ok(if tried.why.is_some() || tried.runs.iter().any(has_failed) { exit::FAILED } else { exit::OK })
    }
}

fn tell(tried: &Tried) {
    for (number, run) in tried.runs.iter().enumerate() {
        if number > 0 {
            say::data("");
        }
        story::tell_whole(&run.story);
        if !run.exchanges.is_empty() {
            say::data("");
            say::data("what it would send:");
            run.exchanges.iter().for_each(tell_exchange);
        }
    }
    if tried.left_out > 0 {
        say::talk(&format!("and {} more", count(tried.left_out, "run")));
    }
    if let Some(why) = &tried.why {
        say::talk(why);
    }
    say::talk("this was a dry run against pretend vendors: nothing has left this computer");
}

fn tell_exchange(exchange: &Exchange) {
    say::data(&format!("  {}", exchange.line()));
    if let Some(body) = exchange.body() {
        let body = serde_json::to_string_pretty(&body).unwrap_or_default();
        body.lines().for_each(|line| say::data(&format!("    {line}")));
    }
    say::data(&format!("    answered: {}", exchange.answered()));
}
