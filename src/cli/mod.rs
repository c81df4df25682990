//! Commands, and how we speak to people and to pipes.
//!
//! Data goes to stdout, talk to stderr. `--json` gives data for programs. Exit codes are part of the interface:
//! [`exit`].

mod backfill;
mod backup;
mod bar;
mod catalog;
mod check;
mod cluster;
mod completions;
mod connect;
mod connector;
mod dashboard;
mod dead;
mod demo;
mod doctor;
mod documents;
mod dry_run;
mod enough;
mod erase;
mod exit;
mod expand;
mod explain;
mod folder;
mod hooks;
mod init;
mod key;
mod migrate;
mod on;
mod pairs;
mod past;
mod plan;
mod probe;
mod questions;
mod record;
mod reload;
mod reloading;
mod replay;
mod run;
mod runs;
mod sandbox;
mod sarif;
mod say;
mod schema;
mod secrets;
mod serve;
mod shipped;
mod story;
mod tap;
mod test;
mod token;
mod traces;
mod vault;
mod watch;
mod why;

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Parser, Subcommand};

use crate::story::{count, shown, when};

/// Workflows between web APIs, written in YAML.
#[derive(Debug, Parser)]
#[command(name = "dovetail", version, arg_required_else_help = true, max_term_width = 100, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Say more on stderr; twice: everything. `RUST_LOG` goes before it.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: pretend vendors, a short story, and its end.
    Demo(demo::Demo),
    /// Write a new project that checks and runs, or add shipped documents to one.
    Init(init::Init),
    /// Read and check a project; every finding with its place and its fix.
    Check(check::Check),
    /// Run a project's tests, offline: pretend vendors, and a clock that does not wait.
    Test(test::Test),
    /// Run a project: listen for webhooks, poll, keep schedules.
    Serve(Box<serve::Serve>),
    /// A cluster of Restate on this machine, to try out `serve --on restate`.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Move the runs of a data folder into a cluster of Restate, or back. Interrupted, it is said again.
    Migrate(migrate::Migrate),
    /// Have a running `serve` take up changed documents now, and say what came of it.
    Reload(reload::Reload),
    /// Run one workflow once, by hand.
    Run(run::Run),
    /// What has run, the whole story of one run, and another try.
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Dead letters: runs that failed for good and wait for a person.
    #[command(subcommand)]
    Dead(dead::Dead),
    /// A link into the dashboard of a running `serve`, good for five minutes and one person.
    Dashboard(dashboard::Dashboard),
    /// Who else may look at this project and act in it, at the dashboard and by its API.
    #[command(subcommand)]
    Token(token::Token),
    /// A copy of the store, to keep elsewhere; also while `serve` runs.
    Backup(backup::Backup),
    /// Bring a copy of a store back.
    Restore(backup::Restore),
    /// Follow live what happens: events, requests, how runs end.
    Tap(tap::Tap),
    /// Have a running `serve` start runs once more from events that are kept.
    Replay(replay::Replay),
    /// Start a workflow once for each record that an account has already.
    Backfill(backfill::Backfill),
    /// Why a record did or did not change: all that came, was decided, sent and answered about it, in the order of time
    Why(why::Why),
    /// What a sync would do about all records of both sides; nothing is written.
    Plan(plan::Plan),
    /// Do what `dovetail plan` has shown; from then on the sync acts.
    Apply(plan::Apply),
    /// Are both sides of a sync equal? Every difference, with its reason.
    Audit(plan::Audit),
    /// What syncs leave to a person, and what the person says.
    #[command(subcommand)]
    Questions(questions::Questions),
    /// Records that are known as one, and how to say which are.
    #[command(subcommand)]
    Pairs(pairs::Pairs),
    /// Erase what is known of a person; ids stay, so that nothing is taken for new.
    Erase(erase::Erase),
    /// Every action and trigger that a workflow can use, with examples to copy.
    Catalog(catalog::Catalog),
    /// What an editor needs to complete and to mark: the schema of a kind of document, or of a whole project.
    Schema(schema::Schema),
    /// What the code of a finding means, with an example and how to put it right.
    Explain(explain::Explain),
    /// Print a workflow or connector with everything written out that it leaves to Dovetail.
    Expand(expand::Expand),
    /// Connect an account: by a browser where it uses OAuth, else by its secrets. Without a name: how they all stand.
    Connect(connect::Connect),
    /// Erase what an account was granted, and give it back to the vendor where that is offered.
    Disconnect(connect::Disconnect),
    /// Make the key that seals what accounts are granted.
    Key(key::Key),
    /// Look at every account: does it answer, does it know us, may we do what the project wants?
    Doctor(doctor::Doctor),
    /// Make a connector of an API's own description, or compare one with a live account.
    #[command(subcommand)]
    Connector(connector::Connector),
    /// The URLs to give to those who send webhooks.
    Hooks(hooks::Hooks),
    /// The pretend vendors, for trying out and for tests.
    Sandbox(sandbox::Sandbox),
    /// A script that completes commands in a shell.
    Completions(completions::Completions),
}

/// Where a project is, and what is told to the process alone.
#[derive(Clone, Debug, clap::Args)]
struct Project {
    /// The project's folder: dovetail.yaml, connectors/, workflows/.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// Merge this entry of `environments:` over the project.
    #[arg(long, value_name = "NAME", env = "DOVETAIL_ENV")]
    env: Option<String>,
}

/// What only the operator may say.
#[derive(Clone, Debug, clap::Args)]
struct Operator {
    /// Where the store is kept. Default: `.dovetail` in the project's folder.
    #[arg(long, value_name = "DIR", env = "DOVETAIL_DATA")]
    data: Option<PathBuf>,
    /// Allow requests to an inside address: `127.0.0.1:4010`, `10.0.0.0/8`. May be given several times.
    #[arg(long, value_name = "ADDRESS[/PREFIX][:PORT]")]
    allow_net: Vec<String>,
    /// A YAML file (mode 0600) of secrets by name; the environment (DOVETAIL_SECRET_NAME) goes before it.
    #[arg(long, value_name = "FILE", env = "DOVETAIL_SECRETS")]
    secrets: Option<PathBuf>,
    /// The key (mode 0600) that seals what connections are granted; DOVETAIL_KEY may hold it instead.
    #[arg(long, value_name = "FILE", env = "DOVETAIL_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Verify a connector's signed webhooks with this public key instead of its own: `gohighlevel=BASE64`.
    #[arg(long, value_name = "CONNECTOR=KEY")]
    webhook_key: Vec<String>,
}

/// An address to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, such as `127.0.0.1:4000`".into())
}

/// A whole number within bounds.
fn number<N: FromStr + PartialOrd + Display>(
    range: impl RangeBounds<N> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| match (range.start_bound(), range.end_bound()) {
            (Bound::Included(least), Bound::Included(most)) => format!("write a number from {least} to {most}"),
            (Bound::Included(least), _) => format!("write a number from {least} on"),
            _ => "write a number".into(),
        })
    }
}

/// All commands with their flags, for those who tell of them.
pub fn command() -> clap::Command {
    use clap::CommandFactory;
    Arguments::command()
}

/// Parses the arguments, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors.
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let level = match arguments.command {
        // They order accidents: that those happen is no news.
        Command::Demo(_) => "error",
        Command::Test(_) => "off",
        _ => "warn",
    };
    say::start_log(arguments.verbose, level);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say::error(&format!("the runtime does not start: {error}"));
            return ExitCode::from(exit::FAILED);
        }
    };
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Demo(command) => command.run().await,
            Command::Init(command) => command.run(),
            Command::Check(command) => command.run(),
            Command::Test(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Cluster(command) => command.run().await,
            Command::Migrate(command) => command.run().await,
            Command::Reload(command) => command.run().await,
            Command::Run(command) => command.run().await,
            Command::Runs(command) => command.run().await,
            Command::Dead(command) => command.run().await,
            Command::Dashboard(command) => command.run().await,
            Command::Token(command) => command.run().await,
            Command::Backup(command) => command.run().await,
            Command::Restore(command) => command.run().await,
            Command::Tap(command) => command.run().await,
            Command::Replay(command) => command.run().await,
            Command::Backfill(command) => command.run().await,
            Command::Why(command) => command.run().await,
            Command::Plan(command) => command.run().await,
            Command::Apply(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Questions(command) => command.run().await,
            Command::Pairs(command) => command.run().await,
            Command::Erase(command) => command.run().await,
            Command::Catalog(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Expand(command) => command.run(),
            Command::Connect(command) => command.run().await,
            Command::Disconnect(command) => command.run().await,
            Command::Key(command) => command.run(),
            Command::Doctor(command) => command.run().await,
            Command::Connector(command) => command.run().await,
            Command::Hooks(command) => command.run().await,
            Command::Sandbox(command) => command.run().await,
            Command::Completions(command) => command.run(),
        }
    });
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say::error(&format!("{error:#}"));
            ExitCode::from(exit::code_of(&error))
        }
    }
}
