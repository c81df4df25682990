//! `run`: one workflow, once, by hand.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::enough::enough;
use super::{Operator, Project, dry_run, exit, say, shown};
use crate::engine::{ByHandError, Keeping, Whose, unknown};
use crate::project::Plan;
use crate::run::Ending;
use crate::server::control::{self, Order, Reply};
use crate::store::{self, Status, Store};
use crate::workflow::Starts;

#[derive(Debug, clap::Args)]
pub struct Run {
    /// The workflow's name.
    workflow: String,
    /// The inputs: a JSON file, `-` for stdin, or the JSON itself. For a workflow about a record: the record, or
    /// `{"id": …}`.
    #[arg(long, value_name = "FILE|JSON")]
    input: Option<String>,
    /// The tenant to run for, when there are several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The connection that the record is of, when several stand for the trigger's alias.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// Only show what it would do and send: pretend vendors answer, waits are over at once, and nothing leaves this computer.
    /// Without `--input` it is tried with an example.
    #[arg(long, conflicts_with_all = ["tenant", "connection"])]
    dry_run: bool,
    /// With `--dry-run`: records that are there already, by `alias.object`: `{"ghl.contact": [{"id": "1"}]}`.
    #[arg(long, value_name = "FILE|JSON", requires = "dry_run")]
    given: Option<String>,
    /// The run as JSON.
    #[arg(long)]
    json: bool,
}

impl Run {
    pub async fn run(self) -> Result<u8> {
        if self.dry_run {
            let sample = self.input.as_deref().map(|input| read("--input", input)).transpose()?;
            let given = self.given.as_deref().map(|given| read("--given", given)).transpose()?;
            let trial = dry_run::Wanted { workflow: self.workflow, sample, given, json: self.json };
            return trial.run(&self.project).await;
        }
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        if plan.workflow(&self.workflow).is_none() {
            return Err(exit::usage(unknown(&plan, &self.workflow)));
        }
        let wanted = wanted(&plan, &self.workflow);
        let inputs = self.input.as_deref().map_or(Ok(Value::Null), |input| read("--input", input))?;
        let data = self.operator.data_folder(&self.project);
        let (engine, _) = match self.operator.engine(&self.project, plan, 64, false, Keeping::Own).await {
            Ok(engine) => engine,
            Err(error) if exit::is_in_use(&error) => return self.ask(&wanted, inputs, &data, error).await,
            Err(error) => return Err(error),
        };
        let id = match engine.by_hand(&self.workflow, inputs, &self.whose()).await {
            Ok(id) => id,
            Err(error) => {
                engine.stop().await;
                engine.store().clone().close().await;
                return Err(match error {
                    ByHandError::Input(why) => exit::usage(format!("{why}{wanted}")),
                    ByHandError::Nobody(why) => exit::usage(why),
                    ByHandError::Store(error) => error.into(),
                });
            }
        };
        let over = follow(engine.store(), &id, None, || engine.progress(), || engine.refused()).await?;
        let code = self.tell(&id, over)?;
        engine.stop().await;
        engine.store().clone().close().await;
        Ok(code)
    }

    fn whose(&self) -> Whose {
        Whose { tenant: self.tenant.clone(), connection: self.connection.clone() }
    }

    /// Another process has the store: if it serves, it starts the run.
    async fn ask(&self, wanted: &str, inputs: Value, data: &Path, error: anyhow::Error) -> Result<u8> {
        let order = Order::Run { workflow: self.workflow.clone(), inputs, whose: self.whose() };
        let id = match control::ask(data, &order).await.context("whether the run was started is not known")? {
            None => return Err(error),
            Some(Reply::Started { run }) => run,
            Some(Reply::Refused { why, inputs: true }) => {
                return Err(exit::usage(format!("{why}{wanted}")));
            }
            Some(Reply::Refused { why, .. }) => return Err(exit::usage(why)),
            Some(reply) => anyhow::bail!("the `serve` of this project did not start it: {reply:?}"),
        };
        let store = Store::open_read_only(data)?;
        let moment = || tokio::time::sleep(Duration::from_millis(50));
        let over = follow(&store, &id, Some(data), moment, Vec::new).await?;
        store.close().await;
        self.tell(&id, over)
    }

    /// How it ended; None: it goes on without us.
    fn tell(&self, id: &str, over: Option<store::Run>) -> Result<u8> {
        Ok(match over {
            None => {
                say::talk(&format!("run {id} is not over; `serve` goes on with it"));
                exit::FAILED
            }
            Some(run) => {
                if self.json {
                    say::data(&serde_json::to_string_pretty(&serde_json::json!({
                        "id": id, "workflow": self.workflow, "status": run.status, "ending": run.ending,
                    }))?);
                } else {
                    say::data(&format!("{id} {}", told(run.ending.as_ref())));
                }
                if run.status == Status::Failed {
                    let there = self.operator.whereabouts(&self.project);
                    say::talk(&format!("`dovetail runs show {}{there}` tells the whole story", run.seq));
                    exit::FAILED
                } else {
                    exit::OK
                }
            }
        })
    }
}

/// Waits until a run is over; None: the person has had enough, nobody serves it (`served`) any more, or only a person can help.
async fn follow<F: Future<Output = ()>>(
    store: &Store,
    id: &str,
    served: Option<&Path>,
    moment: impl Fn() -> F,
    refused: impl Fn() -> Vec<String>,
) -> Result<Option<store::Run>> {
    let mut enough = std::pin::pin!(enough(served));
    loop {
        let run = store.run(id).await?.context("the run is gone")?;
        if run.status != Status::Pending {
            return Ok(Some(run));
        }
        let refused = refused();
        if !refused.is_empty() {
            refused.iter().for_each(|why| say::talk(&format!("the account is refused: {why}")));
            return Ok(None);
        }
        tokio::select! {
            () = moment() => {}
            () = &mut enough => return Ok(None),
        }
    }
}

/// How the run ended; the value that `stop` gave as it is, since the person asked for it.
fn told(ending: Option<&Ending>) -> String {
    match ending {
        Some(Ending::Completed { value: Value::String(text) }) => format!("completed: {text}"),
        Some(Ending::Completed { value }) if !value.is_null() => format!("completed: {value}"),
        Some(other) => shown::ending(other),
        None => "is not over".into(),
    }
}

/// Reads JSON from where an argument says.
fn read(argument: &str, input: &str) -> Result<Value> {
    let (name, text) = if input == "-" {
        ("stdin", std::io::read_to_string(std::io::stdin()).context("stdin cannot be read")?)
    } else if input.trim_start().starts_with(['{', '[']) {
        (argument, input.to_string())
    } else {
        match std::fs::read_to_string(input) {
            Ok(text) => (input, text),
            Err(error) => return Err(exit::usage(format!("{argument}: the file {input} cannot be read: {error}"))),
        }
    };
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        let near = text.lines().nth(line.saturating_sub(1)).map(str::trim).unwrap_or_default();
        exit::usage(format!("{name}:{line}:{column}: no JSON, {words}: {}", say::shortened(near, 60)))
    })
}

/// What a workflow takes, and how to give it.
fn wanted(plan: &Plan, name: &str) -> String {
    let Some(workflow) = plan.workflow(name) else { return String::new() };
    let Starts::Manual { inputs } = &workflow.trigger.starts else { return String::new() };
    if inputs.is_empty() {
        return "; it takes no inputs".into();
    }
    let mut lines = String::from("\nit takes");
    for (name, input) in inputs {
        let kind = serde_json::to_value(input.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        let title = input.title.as_deref().or(input.description.as_deref()).unwrap_or_default();
        let rest = input.default.as_ref().map_or("required".to_string(), |default| format!("default {default}"));
        lines.push_str(format!("\n  {name:<14} {kind}, {rest}  {title}").trim_end());
    }
    let required = inputs.iter().filter(|(_, input)| input.default.is_none());
    let example: serde_json::Map<String, Value> = required.map(|(name, _)| (name.clone(), "…".into())).collect();
    lines.push_str(&format!("\ngive it with --input '{}', or with a file", Value::Object(example)));
    lines
}
