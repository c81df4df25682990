//! `check`: every finding about a project, with its place and its fix.

use std::path::PathBuf;

use anyhow::Result;

use super::{exit, folder, sarif, say};
use crate::project::Loaded;
use crate::source::{File, Severity, render_json, render_text};

#[derive(Debug, clap::Args)]
pub struct Check {
    /// The project's folder.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Merge this entry of `environments:` over the project.
    #[arg(long, value_name = "NAME", env = "DOVETAIL_ENV")]
    env: Option<String>,
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
        let loaded = folder::load(&self.dir, self.env.as_deref())?;
        match if self.json { Format::Json } else { self.format } {
            Format::Json => say::data(&render_json(&loaded.report)),
            Format::Sarif => say::data(&serde_json::to_string_pretty(&sarif::log(&loaded.report, &loaded.files))?),
            Format::Text => {
                tell(&loaded);
                if let Some(above) = folder::project_above(&self.dir) {
                    say::talk(&format!("this folder is part of the project in {}: give that one", above.display()));
                }
            }
        }
        Ok(if loaded.report.has_errors() { exit::FINDINGS } else { exit::OK })
    }
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

pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
