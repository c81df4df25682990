//! `schema`: what an editor needs to complete and to mark, for one kind of document or for a whole project.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{exit, folder, say, shipped};
use crate::project::editor::{self, Known};
use crate::project::{self, Text};
use crate::{connector, sync, workflow};

#[derive(Debug, clap::Args)]
pub struct Schema {
    /// Of which documents.
    #[arg(value_enum, default_value = "workflow")]
    kind: Kind,
    /// As documents of this project are written, with its names: operations, fields, connections, workflows.
    #[arg(long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Write the schemas of all kinds into the project's folder `schemas/`, where the first line of a document finds them.
    #[arg(long, requires = "project", conflicts_with = "kind")]
    write: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Workflow,
    Connector,
    Sync,
    Test,
    Project,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Workflow => "workflow",
            Kind::Connector => "connector",
            Kind::Sync => "sync",
            Kind::Test => "test",
            Kind::Project => "project",
        }
    }

    /// As every project's documents are written.
    fn plain(self) -> Value {
        match self {
            Kind::Workflow => workflow::schema(),
            Kind::Connector => connector::schema(),
            Kind::Sync => sync::schema(),
            Kind::Test => project::test_schema(),
            Kind::Project => project::schema(),
        }
    }
}

impl Schema {
    pub fn run(self) -> Result<u8> {
        let Some(folder) = &self.project else {
            say::data(&serde_json::to_string_pretty(&self.kind.plain())?);
            return Ok(exit::OK);
        };
        if !folder.join("dovetail.yaml").is_file() {
            let folder = folder.display();
            return Err(exit::usage(format!("there is no project in {folder}: no {folder}/dovetail.yaml")));
        }
        let known = known(&folder::texts(folder)?)?;
        if self.write {
            let done = write(folder, &known)?;
            done.tell(folder);
            if done.written.is_empty() && done.kept.is_empty() {
                say::talk(&format!("{} is up to date", folder.join(FOLDER).display()));
            }
            return Ok(if done.kept.is_empty() { exit::OK } else { exit::FAILED });
        }
        let wanted = editor::schemas(&known).into_iter().find(|(kind, _)| *kind == self.kind.word());
        if let Some((_, schema)) = wanted {
            say::data(&serde_json::to_string_pretty(&schema)?);
        }
        Ok(exit::OK)
    }
}

/// What documents offer, together with the shipped connectors.
///
/// # Errors
/// A connector with errors.
pub fn known(documents: &[Text]) -> Result<Known> {
    Known::read(documents, &shipped::connectors()).ok_or_else(|| {
        exit::Refusal::Findings("a connector of this project has errors; `dovetail check` tells which".into()).into()
    })
}

/// What came of writing schemas, by kind of document.
#[derive(Debug, Default)]
pub struct Done {
    written: Vec<&'static str>,
    /// Files that somebody else wrote.
    kept: Vec<&'static str>,
}

impl Done {
    /// Paths in the project's folder: what was written, and what was kept.
    pub fn paths(&self) -> (Vec<String>, Vec<String>) {
        let paths = |kinds: &[&str]| kinds.iter().map(|kind| path(kind)).collect();
        (paths(&self.written), paths(&self.kept))
    }

    pub fn tell(&self, folder: &Path) {
        let told = |kinds: &[&str]| match kinds {
            [kind] => folder.join(path(kind)).display().to_string(),
            kinds => folder.join(path(&format!("{{{}}}", kinds.join(",")))).display().to_string(),
        };
        if !self.written.is_empty() {
            say::talk(&format!("  wrote {}", told(&self.written)));
        }
        if !self.kept.is_empty() {
            say::talk(&format!(
                "  kept  {}: `dovetail schema` did not write it; remove it to have it written",
                told(&self.kept)
            ));
        }
    }
}

/// Below the project's folder; the first lines of documents say so.
const FOLDER: &str = "schemas";

fn path(kind: &str) -> String {
    format!("{FOLDER}/{kind}.schema.json")
}

/// Writes the schemas that know a project to where the first lines of its documents look for them.
///
/// # Errors
/// A folder that leads out of the project, or that cannot be written.
pub fn write(folder: &Path, known: &Known) -> Result<Done> {
    let schemas = folder.join(FOLDER);
    fs::create_dir_all(&schemas).with_context(|| format!("the folder {} cannot be made", schemas.display()))?;
    ensure!(
        schemas.canonicalize()?.starts_with(folder.canonicalize()?),
        "{} leads out of the project's folder",
        schemas.display()
    );
    let mut done = Done::default();
    for (kind, schema) in editor::schemas(known) {
        let path = folder.join(path(kind));
        let text = serde_json::to_string_pretty(&schema)? + "\n";
        match fs::read_to_string(&path) {
            Ok(there) if there == text => {}
            Ok(there) if !there.contains(editor::MARK) => done.kept.push(kind),
            _ => {
                // An editor that looks meanwhile sees the old file or the new one, never half of it.
                let beside = path.with_extension("new");
                let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path));
                written.with_context(|| format!("{} cannot be written", path.display()))?;
                done.written.push(kind);
            }
        }
    }
    Ok(done)
}
