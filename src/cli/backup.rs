//! `backup` and `restore`: a copy of the store to keep elsewhere, and back.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::count;
use super::past::{self, Past};
use super::{exit, say, shown};
use crate::store::{self, Copied, Error};

#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The file to write, with mode 0600; not in the data folder.
    file: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Restore {
    /// A file that `dovetail backup` has written.
    file: PathBuf,
    /// Move the store that is there aside, into a folder in the data folder.
    #[arg(long)]
    aside: bool,
    #[command(flatten)]
    past: Past,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub async fn run(self) -> Result<u8> {
        let (folder, file, force) = (self.past.folder(), self.file.clone(), self.force);
        let there = folder.clone();
        let made = blocking(move || store::back_up(&there, &file, force, past::now_ms())).await?;
        let copied = made.map_err(|error| match error {
            Error::Taken(file) => exit::usage(format!("{file} is there already: add --force to replace it")),
            Error::Absent(_) => past::no_store(&folder),
            Error::InUse(_) => anyhow::Error::msg("another backup of this store is under way"),
            other => other.into(),
        })?;
        tell(&copied, &self.file, self.json)?;
        if copied.connections > 0 {
            say::talk("what accounts were granted is in it, sealed; the key is not: keep a copy of that elsewhere");
        }
        Ok(exit::OK)
    }
}

impl Restore {
    pub async fn run(self) -> Result<u8> {
        let (folder, file) = (self.past.folder(), self.file.clone());
        let aside = self.aside.then(|| format!("before-{}", past::now_ms()));
        let restored = blocking(move || store::restore(&file, &folder, aside.as_deref())).await?;
        let copied = restored.map_err(|error| match error {
            Error::Taken(store) => exit::usage(format!(
                "there is {store} already: add --aside to move it aside, or name another folder with --data"
            )),
            other => past::refusal(other),
        })?;
        tell(&copied, &self.file, self.json)?;
        if copied.pending > 0 {
            say::talk(
                "at the next `dovetail serve` what was pending goes on, and may do again what it did after the copy was made",
            );
        }
        if copied.unsure > 0 {
            say::talk("tokens that were revoked since are in force again: `dovetail token list` tells which there are");
        }
        if copied.connections > 0 {
            say::talk("accounts whose tokens were renewed since must be connected again: `dovetail doctor` says which");
        }
        Ok(exit::OK)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    Ok(tokio::task::spawn_blocking(work).await?)
}

fn tell(copied: &Copied, file: &Path, as_json: bool) -> Result<()> {
    if as_json {
        let told = json!({
            "file": file, "made_at": copied.made_ms.map(shown::instant), "bytes": copied.bytes, "events": copied.events,
            "runs": copied.runs, "pending": copied.pending, "dead_letters": copied.dead, "connections": copied.connections,
        });
        say::data(&serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    let made = copied.made_ms.map_or_else(String::new, |ms| format!(" of {} (UTC)", shown::minute(ms)));
    say::data(&format!(
        "{}{made}: {}, {} ({} pending, {}), {}; whole",
        file.display(),
        count(copied.events, "event"),
        count(copied.runs, "run"),
        copied.pending,
        count(copied.dead, "dead letter"),
        count(copied.connections, "sealed credential"),
    ));
    Ok(())
}
