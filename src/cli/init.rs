//! `init`: a new project that checks and runs; or shipped documents, copied into a project to be edited there.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{check, exit, folder, say, schema, shipped};
use crate::project::{Text, remembered};
use crate::source::nearest;

#[derive(Debug, clap::Args)]
pub struct Init {
    /// The folder; made if it is not there.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The project's name, in kebab-case. Default: the folder's.
    #[arg(long, value_parser = kebab)]
    name: Option<String>,
    /// Copy this shipped example workflow or sync into workflows/, with its tests; `all` for all workflows. May be given several times.
    #[arg(long, value_name = "WORKFLOW|all")]
    with: Vec<String>,
    /// Copy this shipped connector into connectors/, where it can be edited. May be given several times.
    #[arg(long, value_name = "NAME")]
    connector: Vec<String>,
    /// What was written, as JSON.
    #[arg(long)]
    json: bool,
}

const PROJECT: &str = "dovetail.yaml";

const TEMPLATES: &[(&str, &str)] = &[
    (PROJECT, include_str!("init/dovetail.yaml")),
    ("workflows/hello.yaml", include_str!("init/hello.yaml")),
    ("workflows/hello.test.yaml", include_str!("init/hello.test.yaml")),
    ("secrets.example.yaml", include_str!("init/secrets.example.yaml")),
    (".gitignore", include_str!("init/gitignore")),
    ("README.md", include_str!("init/README.md")),
];

impl Init {
    pub fn run(self) -> Result<u8> {
        if self.dir.is_file() {
            return Err(exit::usage(format!("{} is a file: give a folder", self.dir.display())));
        }
        let extras = self.extras()?;
        let project = self.dir.join(PROJECT);
        let known = project.exists();
        if known && extras.is_empty() {
            return Err(exit::usage(format!(
                "{} is there already; nothing was written. To add to this project, say `--with WORKFLOW` or `--connector NAME`",
                project.display()
            )));
        }
        let mut files = if known { Vec::new() } else { self.templates()? };
        files.extend(extras);
        let (mut written, mut kept) = (Vec::new(), Vec::new());
        for Text { path, text } in &files {
            let made = write_new(&self.dir.join(path), text)?;
            if made { &mut written } else { &mut kept }.push(path.as_str());
        }
        // A connector with errors has no schema; `check` tells of it below.
        let schemas = match schema::known(&folder::texts(&self.dir)?) {
            Ok(known) => schema::write(&self.dir, &known)?,
            Err(_) => schema::Done::default(),
        };
        if !known && let Some(plan) = folder::load(&self.dir, None)?.plan {
            let made = write_new(&self.dir.join(remembered::FILE), &remembered::text(&plan, None))?;
            if made { &mut written } else { &mut kept }.push(remembered::FILE);
        }
        self.tell(known, &written, &kept, &schemas)
    }

    fn templates(&self) -> Result<Vec<Text>> {
        let name = self.name()?;
        let filled = |(path, text): &(&str, &str)| {
            // A workflow's own `{{…}}` are left alone.
            let text = if path.starts_with("workflows/") { (*text).into() } else { text.replace("{{name}}", &name) };
            Text { path: (*path).into(), text }
        };
        Ok(TEMPLATES.iter().map(filled).collect())
    }

    fn tell(&self, known: bool, written: &[&str], kept: &[&str], schemas: &schema::Done) -> Result<u8> {
        if self.json {
            let more = schemas.paths();
            let all =
                |own: &[&str], more: Vec<String>| own.iter().map(|path| (*path).into()).chain(more).collect::<Vec<_>>();
            let told = json!({ "dir": self.dir, "written": all(written, more.0), "kept": all(kept, more.1) });
            say::data(&serde_json::to_string_pretty(&told)?);
        }
        for path in written {
            say::talk(&format!("  wrote {}", self.dir.join(path).display()));
        }
        for path in kept {
            say::talk(&format!("  kept  {}: it was there already", self.dir.join(path).display()));
        }
        schemas.tell(&self.dir);
        if kept.contains(&".gitignore") {
            say::talk("        see to it that it holds `.dovetail/` and `secrets.yaml`");
        }
        say::talk("");
        let loaded = folder::load(&self.dir, None)?;
        check::tell(&loaded);
        if loaded.plan.is_none() {
            return Ok(exit::FINDINGS);
        }
        if !known {
            say::talk("");
            say::talk("Next:");
            if self.dir.as_os_str() != "." {
                say::talk(&format!("  cd {}", self.dir.display()));
            }
            say::talk("  dovetail run hello             # the example, once");
            say::talk("  dovetail test                  # its tests: offline, at once");
            say::talk("  dovetail catalog               # what a workflow can do, with examples");
            say::talk("  # the pretend vendors, in a second terminal:");
            say::talk("  dovetail sandbox --webhooks http://127.0.0.1:4000");
            say::talk("  cp secrets.example.yaml secrets.yaml && chmod 600 secrets.yaml");
            say::talk("  dovetail serve --secrets secrets.yaml --webhook-key NAME=KEY-THAT-IT-PRINTS \\");
            say::talk("    --allow-net 127.0.0.1:4010 --allow-net 127.0.0.1:4011 --allow-net 127.0.0.1:4012");
        }
        Ok(exit::OK)
    }

    /// The shipped documents that were asked for.
    fn extras(&self) -> Result<Vec<Text>> {
        let mut extras = Vec::new();
        let workflows = shipped::workflows();
        for name in &self.with {
            match name.as_str() {
                // A sync and the workflows that go one way would serve the same records.
                "all" => extras.extend(workflows.iter().filter(|text| !is_sync(text)).cloned()),
                name => extras.push(find("example workflow", name, &workflows)?),
            }
        }
        extras.extend(extras.iter().filter_map(shipped::tests_of).collect::<Vec<_>>());
        let connectors: Vec<Text> = shipped::vendors().into_iter().filter_map(shipped::connector_file).collect();
        for name in &self.connector {
            extras.push(find("shipped connector", name, &connectors)?);
        }
        extras.sort_by(|one, other| one.path.cmp(&other.path));
        extras.dedup();
        Ok(extras)
    }

    fn name(&self) -> Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let folder = if self.dir.is_dir() { self.dir.canonicalize()? } else { std::path::absolute(&self.dir)? };
        let name = folder.file_name().map(|name| name.to_string_lossy().to_string()).unwrap_or_default();
        let words: Vec<String> = name
            .split(|character: char| !character.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        Ok(if words.is_empty() { "my-project".into() } else { words.join("-") })
    }
}

fn is_sync(text: &Text) -> bool {
    text.text.lines().any(|line| line.starts_with("sync:"))
}

/// The document `NAME.yaml` among these.
fn find(what: &str, name: &str, documents: &[Text]) -> Result<Text> {
    let of =
        |document: &Text| document.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".yaml").to_string();
    if let Some(document) = documents.iter().find(|document| of(document) == name) {
        return Ok(document.clone());
    }
    let names: Vec<String> = documents.iter().map(of).collect();
    let help = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    };
    Err(exit::usage(format!("no {what} is called `{name}`; {help}")))
}

/// Writes a file that is not there yet; false if it is.
fn write_new(path: &Path, text: &str) -> Result<bool> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("the folder {} cannot be made", parent.display()))?;
    }
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be written", path.display())),
    };
    file.write_all(text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(true)
}

fn kebab(name: &str) -> Result<String, String> {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if name.split('-').all(word) {
        Ok(name.into())
    } else {
        Err("write small letters, digits and `-`: `my-project`".into())
    }
}
