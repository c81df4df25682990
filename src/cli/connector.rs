//! `connector`: a connector from an API's own description.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{exit, say};
use crate::connector::import::{Imported, Options, TEXT_BYTES_MAX, import};

#[derive(Debug, clap::Subcommand)]
pub enum Connector {
    /// Write a connector of an OpenAPI document: Swagger 2.0, OpenAPI 3.0 or 3.1, JSON or YAML.
    Import(Import),
}

#[derive(Debug, clap::Args)]
pub struct Import {
    /// The document. Nothing is fetched: what it refers to in other files is left open.
    file: PathBuf,
    /// Only operations with this tag, or whose path begins so: `contacts`, `/contacts`. May be given several times.
    #[arg(long, value_name = "TAG|PATH")]
    only: Vec<String>,
    /// The connector's name, in kebab-case. Default: the document's title.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write it here, such as connectors/my-crm.yaml, instead of to stdout. A file that is there is kept.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// As JSON: the connector's text, and what is guessed, not known and left out.
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

impl Connector {
    pub fn run(self) -> Result<u8> {
        match self {
            Connector::Import(command) => command.run(),
        }
    }
}

/// Places that are named for each gap.
const SHOWN: usize = 3;

impl Import {
    fn run(self) -> Result<u8> {
        let text = read(&self.file)?;
        let source = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let options = Options { name: self.name, only: self.only, source };
        let imported = import(&text, &options).map_err(|refused| match refused.asked {
            true => exit::usage(refused.to_string()),
            false => anyhow::anyhow!("{}: {refused}", self.file.display()),
        })?;
        if self.json {
            let notes = imported.notes.iter().map(|note| json!({ "what": note.what, "places": note.places }));
            let told = json!({
                "connector": imported.name,
                "objects": imported.objects,
                "operations": imported.operations,
                "notes": notes.collect::<Vec<_>>(),
                "text": imported.text,
            });
            say::data(&serde_json::to_string_pretty(&told)?);
            return Ok(exit::OK);
        }
        match &self.out {
            Some(path) => write_new(path, &imported.text)?,
            None => say::data(imported.text.trim_end()),
        }
        tell(&imported, self.out.as_deref());
        Ok(exit::OK)
    }
}

/// What came of it, and what its author has to look at.
fn tell(imported: &Imported, out: Option<&Path>) {
    let Imported { name, operations, objects, of, .. } = imported;
    let wrote = out.map(|out| format!("wrote {}: ", out.display())).unwrap_or_default();
    let many = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    say::talk(&format!(
        "{wrote}connector `{name}` with {} and {}, from {of}",
        many(*objects, "object"),
        many(*operations, "operation")
    ));
    for note in &imported.notes {
        let shown = note.places.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let line = match note.places.len() {
            0 => note.what.to_owned(),
            count if count <= SHOWN => format!("{}: {shown}", note.what),
            count => format!("{}: {shown} and {} more", note.what, count - SHOWN),
        };
        say::talk_in("  ", &line);
    }
}

/// The document, read up to a little more than may be read of it.
fn read(path: &Path) -> Result<String> {
    if !path.exists() {
        return Err(exit::usage(format!("there is no file {}", path.display())));
    }
    // A pipe would be waited for without end.
    if !path.is_file() {
        return Err(exit::usage(format!("{} is no file", path.display())));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exit::usage(format!(
            "{} is there already, perhaps with your changes; remove it, or name another file",
            path.display()
        )),
        _ => anyhow::Error::new(error).context(format!("{} cannot be written", path.display())),
    })?;
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
}
