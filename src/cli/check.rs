//! `check`: every finding about a project, with its place and its fix.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{count, exit, folder, sarif, say, shipped};
use crate::project::remembered::{self, Majors};
use crate::project::{self, Loaded};
use crate::source::{File, Severity, render_json, render_text};

#[derive(Debug, clap::Args)]
pub struct Check {
    /// The project's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The same, as it is said to other commands.
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    project: Option<PathBuf>,
    /// Merge this entry of `environments:` over the project.
    #[arg(long, value_name = "NAME", env = "DOVETAIL_ENV")]
    env: Option<String>,
    /// Remember the major versions of the shipped connectors in use, in dovetail.lock.yaml, if there is no error.
    #[arg(long)]
    remember: bool,
    /// The findings as JSON on stdout: the same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How the findings are told.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, on stderr.
    Text,
    /// A JSON object of our own, on stdout.
    Json,
    /// SARIF 2.1.0 on stdout, for code hosts and editors.
    Sarif,
}

impl Check {
    pub fn run(self) -> Result<u8> {
        let dir = self.project.as_ref().unwrap_or(&self.dir);
        let mut texts = folder::texts(dir)?;
        let before = remembered::written(&texts);
        // What is about to be written is not asked, and may be damaged.
        texts.retain(|text| !self.remember || text.path != remembered::FILE);
        let loaded = project::read(&texts, &shipped::connectors(), self.env.as_deref());
        match if self.json { Format::Json } else { self.format } {
            Format::Json => say::data(&render_json(&loaded.report)),
            Format::Sarif => say::data(&serde_json::to_string_pretty(&sarif::log(&loaded.report, &loaded.files))?),
            Format::Text => {
                tell(&loaded);
                self.tell_new(&loaded, before.as_ref());
                if let Some(above) = folder::project_above(dir) {
                    say::talk(&format!("this folder is part of the project in {}: give that one", above.display()));
                }
            }
        }
        if self.remember {
            match &loaded.plan {
                Some(plan) => remember(dir, &remembered::text(plan, before))?,
                None => say::talk("nothing is remembered while there are errors"),
            }
        }
        Ok(if loaded.report.has_errors() { exit::FINDINGS } else { exit::OK })
    }

    /// Says which connectors are not remembered, in a project that remembers some.
    fn tell_new(&self, loaded: &Loaded, before: Option<&Majors>) {
        let (Some(plan), Some(before), false) = (&loaded.plan, before, self.remember) else { return };
        let new: Vec<String> = remembered::in_use(plan).into_keys().filter(|name| !before.contains_key(name)).collect();
        if !new.is_empty() {
            let new = new.join("`, `");
            say::talk(&format!("the version of `{new}` is not remembered yet: `dovetail check --remember` does it"));
        }
    }
}

/// Writes the lock file, if it says something else.
fn remember(folder: &Path, text: &str) -> Result<()> {
    let path = folder.join(remembered::FILE);
    if std::fs::read_to_string(&path).is_ok_and(|before| before == text) {
        say::talk(&format!("{} is as it should be", path.display()));
        return Ok(());
    }
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    say::talk(&format!("wrote {}", path.display()));
    Ok(())
}

/// Tells all findings on stderr, and a last line that counts.
pub fn tell(loaded: &Loaded) {
    say::talk(&told(loaded, say::colour()));
}

/// All findings, and a last line that counts.
pub fn told(loaded: &Loaded, colour: bool) -> String {
    let files: Vec<&File> = loaded.files.iter().collect();
    let mut text = render_text(&loaded.report, &files, colour);
    if !text.is_empty() {
        text.truncate(text.trim_end().len());
        text.push_str("\n\n");
    }
    let errors = loaded.report.count(Severity::Error);
    let warnings = loaded.report.count(Severity::Warning);
    let counted = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    text + &match &loaded.plan {
        Some(plan) if warnings == 0 => format!("{} is fine: {}", plan.name, contents(plan)),
        Some(plan) => format!("{counted}; {} can run: {}", plan.name, contents(plan)),
        None => format!("{counted}; `dovetail explain CODE` tells more about each"),
    }
}

fn contents(plan: &crate::project::Plan) -> String {
    let used = plan
        .connectors
        .iter()
        .filter(|connector| plan.connections.iter().any(|connection| connection.connector == connector.name));
    format!(
        "{}, {}, {}",
        count(plan.workflows.len(), "active workflow"),
        count(plan.connections.len(), "connection"),
        count(used.count(), "connector")
    )
}
