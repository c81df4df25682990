//! `tap`: what happens, live.

use anyhow::Result;

use super::past::Past;
use super::{exit, say, shown};
use crate::engine::{About, Happened, Listening};
use crate::server::control::{self, Order};

#[derive(Debug, clap::Args)]
pub struct Tap {
    /// Only what is of this workflow, and all events.
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// Only what is about this account, and requests to it.
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Only what is about the record with this id.
    #[arg(long, value_name = "ID")]
    record: Option<String>,
    #[command(flatten)]
    past: Past,
    /// One line of JSON for each.
    #[arg(long)]
    json: bool,
}

impl Tap {
    pub async fn run(self) -> Result<u8> {
        let data = self.past.folder();
        let of = Listening { workflow: self.workflow, connection: self.connection, record: self.record };
        let order = Order::Tap(of);
        let mut refused = None;
        let followed = control::follow(&data, &order, |line| match serde_json::from_str(line) {
            Ok(Happened::Listening) => {
                say::talk("listens; Ctrl-C ends it");
                true
            }
            Ok(_) if self.json => say::is_heard(line),
            Ok(happened) => say::is_heard(&told(&happened)),
            Err(_) => {
                refused = Some(line.to_owned());
                false
            }
        });
        let followed = tokio::select! {
            followed = followed => followed?,
            () = super::serve::stop_signal() => return Ok(exit::OK),
        };
        if let Some(why) = refused {
            anyhow::bail!("`serve` tells nothing: {why}");
        }
        if !followed {
            return Err(exit::usage(format!(
                "nobody serves the data folder {}: start `dovetail serve`, or name the folder with --data or --project",
                data.display()
            )));
        }
        Ok(exit::OK)
    }
}

fn told(happened: &Happened) -> String {
    let line = |at_ms: i64, what: &str, about: &About, rest: String| {
        let of = match (&about.object, &about.record, &about.connection) {
            (Some(object), Some(record), Some(connection)) => format!("{object} {record} of {connection}"),
            (_, _, Some(connection)) => connection.clone(),
            _ => about.source.clone(),
        };
        let clock = shown::minute(at_ms);
        format!("{}  {what:<8} {}  {rest}", clock.get(11..).unwrap_or_default(), say::shortened(&of, 80))
    };
    match happened {
        Happened::Event { at_ms, duplicate, runs, about } => {
            let what = if *duplicate { "a copy".to_owned() } else { super::count(*runs, "run") };
            line(*at_ms, "event", about, what)
        }
        Happened::Request { at_ms, operation, to, attempt, outcome, took_ms, about, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let workflow = about.workflow.as_deref().unwrap_or_default();
            line(*at_ms, "request", about, format!("{workflow}: {operation} of {to}{again}: {outcome} in {took_ms} ms"))
        }
        Happened::Ended { at_ms, status, why, about, .. } => {
            let why = why.as_ref().map(|why| format!(": {}", say::shortened(why, 200))).unwrap_or_default();
            line(
                *at_ms,
                "run",
                about,
                format!("{} {}{why}", about.workflow.as_deref().unwrap_or_default(), status.word()),
            )
        }
        Happened::Missed { number } => format!("… {number} more were missed, since they came too fast"),
        Happened::Listening => String::new(),
    }
}
