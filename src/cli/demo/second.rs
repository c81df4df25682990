//! The second process of a demo whose runs a cluster keeps: `serve` for the same project, called at the same address as the first.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::PATIENCE;
use crate::cli::secrets::variable;
use crate::sandbox::{Proof, Vendor};

/// In the demo's folder.
const LOG: &str = "second.log";

/// What it says on stderr.
type Said = Lines<BufReader<ChildStderr>>;

/// It ends with the demo.
pub struct Second {
    child: Child,
    /// Where it takes webhooks.
    pub url: String,
}

impl Second {
    /// Returns when it serves. `flags`: how it reaches the cluster.
    pub async fn start(
        folder: &Path,
        flags: &[String],
        vendors: &BTreeMap<String, Vendor>,
        secrets: &BTreeMap<String, String>,
    ) -> Result<Second> {
        let program = std::env::current_exe().context("where this program is cannot be found")?;
        let mut command = Command::new(program);
        // A demo is the same whatever other commands are told.
        for (name, _) in std::env::vars_os() {
            let word = name.to_string_lossy();
            if word.starts_with("DOVETAIL_") || word.starts_with("OTEL_") {
                command.env_remove(&name);
            }
        }
        command.arg("serve").args(flags).arg("--project").arg(folder).arg("--data").arg(folder.join("data-2"));
        command.args(["--listen", "127.0.0.1:0", "--dashboard", "off", "--no-watch"]);
        for (name, vendor) in vendors {
            command.args(["--allow-net", &vendor.address().to_string()]);
            if let Some(Proof::Key(key)) = vendor.proof() {
                command.args(["--webhook-key", &format!("{name}={key}")]);
            }
        }
        command.envs(secrets.iter().map(|(name, secret)| (variable(name), secret)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("a second process cannot be started")?;
        let mut said = child.stderr.take().map(|stderr| BufReader::new(stderr).lines()).context("it says nothing")?;
        let path = folder.join(LOG);
        let mut log = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        let url = tokio::time::timeout(PATIENCE, serves(&mut said, &mut log)).await;
        let Some(url) = url.ok().flatten() else {
            let why = std::fs::read_to_string(&path).unwrap_or_default();
            bail!("a second process does not serve:\n{why}");
        };
        tokio::spawn(write_down(said, log));
        Ok(Second { child, url })
    }

    /// Its number in the operating system; None: it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    pub async fn end(mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill().await;
    }
}

/// Where it serves, once it says so; None: it has ended.
async fn serves(said: &mut Said, log: &mut File) -> Option<String> {
    while let Some(line) = next(said, log).await {
        if let Some((_, url)) = line.strip_prefix("dovetail serves ").and_then(|rest| rest.rsplit_once(" on ")) {
            return Some(url.to_owned());
        }
    }
    None
}

/// All that it says from then on.
async fn write_down(mut said: Said, mut log: File) {
    while next(&mut said, &mut log).await.is_some() {}
}

/// The next line, which is written down, too.
async fn next(said: &mut Said, log: &mut File) -> Option<String> {
    let line = said.next_line().await.ok()??;
    // It goes on also where nobody hears of it.
    let _ = writeln!(log, "{line}");
    Some(line)
}
