//! `connector`: a connector from an API's own description, and one that is compared with a live account.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{exit, folder, probe, say, schema};
use crate::connector::import::{Base, Filled, Filling, Imported, Options, TEXT_BYTES_MAX, import};
use crate::source::nearest;

#[derive(Debug, clap::Subcommand)]
pub enum Connector {
    /// Write a connector of an OpenAPI document: Swagger 2.0, OpenAPI 3.0 or 3.1, JSON or YAML.
    Import(Import),
    /// Compare a connector with a live account, only by reading: paging, limits, fields; and suggest an override.
    Probe(probe::Probe),
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
    /// Make it a part of this connector, shipped or the project's: only the operations that it does not have yet, under
    /// its auth and limits.
    #[arg(long, value_name = "CONNECTOR", conflicts_with = "name")]
    part_of: Option<String>,
    /// Fill a parameter or a field of the body with a setting of the connection: `locationId=location_id`. May be given
    /// several times.
    #[arg(long, value_name = "NAME=SETTING", value_parser = pair)]
    setting: Vec<(String, String)>,
    /// Fill a parameter or a field of the body with a text that is always the same: `altType=location`. May be given
    /// several times.
    #[arg(long, value_name = "NAME=TEXT", value_parser = pair)]
    fixed: Vec<(String, String)>,
    /// Call an object or an operation otherwise: `agent=voice_agent`, `get_all=voice_agent.list`. May be given several
    /// times.
    #[arg(long, value_name = "FOUND=WANTED", value_parser = pair)]
    rename: Vec<(String, String)>,
    /// Leave out what the document says of fields in words.
    #[arg(long)]
    terse: bool,
    /// How many levels of fields are written, at most.
    #[arg(long, value_name = "1-6", value_parser = super::number::<u8>(1..=6))]
    levels: Option<u8>,
    /// The project's folder, where a connector of its own is meant.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// Write it here, such as connectors/my-crm.yaml, instead of to stdout. A file that is there is kept.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// As JSON: the connector's text, and what is guessed, not known and left out.
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

impl Connector {
    pub async fn run(self) -> Result<u8> {
        match self {
            Connector::Import(command) => command.run(),
            Connector::Probe(command) => command.run().await,
        }
    }
}

/// Places that are named for each gap.
const SHOWN: usize = 3;

impl Import {
    fn run(self) -> Result<u8> {
        let text = read(&self.file)?;
        let source = self.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let part_of = self.base()?;
        let options = Options {
            filled: self.filled(part_of.as_ref())?,
            folders: self.out.as_deref().map(folders),
            levels: self.levels.map(usize::from),
            name: self.name,
            only: self.only,
            part_of,
            renamed: renamed(self.rename)?,
            source,
            terse: self.terse,
            values_max: None,
        };
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

impl Import {
    /// The connector that it becomes a part of, but for the file that is to be written.
    fn base(&self) -> Result<Option<Base>> {
        let Some(name) = &self.part_of else { return Ok(None) };
        let texts = if folder::is_project(&self.project) { folder::texts(&self.project)? } else { Vec::new() };
        let known = schema::known(&texts)?;
        let Some(connector) = known.connectors.iter().find(|connector| connector.name == *name) else {
            let names = known.connectors.iter().map(|connector| connector.name.as_str());
            let near = nearest(name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(exit::usage(format!("no connector is called `{name}`{near}")));
        };
        let out = self.out.as_deref().and_then(|out| {
            let folder = out.parent()?.file_name()?.to_string_lossy().into_owned();
            Some(format!("/{folder}/{}", out.file_name()?.to_string_lossy()))
        });
        Ok(Some(Base::of(connector, |path| out.as_deref().is_some_and(|out| format!("/{path}").ends_with(out)))))
    }

    fn filled(&self, base: Option<&Base>) -> Result<Vec<Filled>> {
        let mut filled: Vec<Filled> = Vec::new();
        for (name, setting) in &self.setting {
            if !is_name(setting) {
                return Err(exit::usage(format!(
                    "--setting: `{setting}` cannot be a setting; write it like `location_id`"
                )));
            }
            if let Some(base) = base
                && !base.settings().contains(setting)
            {
                let near = nearest(setting, base.settings().iter().map(String::as_str));
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return Err(exit::usage(format!("--setting: a connection has no setting `{setting}`{near}")));
            }
            filled.push(Filled { name: name.clone(), with: Filling::Setting(setting.clone()) });
        }
        for (name, text) in &self.fixed {
            filled.push(Filled { name: name.clone(), with: Filling::Fixed(text.clone()) });
        }
        let twice =
            filled.iter().enumerate().find(|(at, one)| filled[..*at].iter().any(|other| other.name == one.name));
        match twice {
            Some((_, twice)) => Err(exit::usage(format!("`{}` is filled twice", twice.name))),
            None => Ok(filled),
        }
    }
}

fn renamed(pairs: Vec<(String, String)>) -> Result<Vec<(String, String)>> {
    let is_good = |wanted: &str| wanted.split('.').all(is_name) && wanted.matches('.').count() < 2;
    match pairs.iter().find(|(_, wanted)| !is_good(wanted)) {
        Some((_, wanted)) => {
            let help = "write it like `voice_agent` or `voice_agent.list`";
            Err(exit::usage(format!("--rename: `{wanted}` cannot be a name; {help}")))
        }
        None => Ok(pairs),
    }
}

/// `snake_case`, as a path can name it.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    let pair = pair.filter(|(name, value)| !name.is_empty() && !value.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| "write it as NAME=VALUE".into())
}

/// How many folders below the project a file lies.
fn folders(out: &Path) -> usize {
    let folders = out.parent().into_iter().flat_map(Path::components);
    let names = folders.filter(|part| matches!(part, Component::Normal(_)));
    let names: Vec<_> = names.map(|part| part.as_os_str().to_string_lossy()).collect();
    // From the last `connectors` on, wherever the project is.
    names.iter().rposition(|name| name == "connectors").map_or(1, |at| names.len() - at)
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

pub fn write_new(path: &Path, text: &str) -> Result<()> {
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
