//! A project's folder: its texts, and nothing outside it.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::{exit, shipped};
use crate::connector::is_openapi;
use crate::project::{self, Loaded, Text};
use crate::rehearsal::{Files, Scene};
use crate::source::TEXT_BYTES_MAX;

/// What the project's own document is called.
const MAIN: [&str; 2] = ["dovetail.yaml", "dovetail.yml"];
/// Documents of one project, at most.
const DOCUMENTS_MAX: usize = 10_000;
/// All of them together.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads all documents of a project's folder: `dovetail.yaml` with its lock file, YAML files below `connectors` and `workflows`,
/// and the files that they name: schemas, OpenAPI documents.
///
/// # Errors
/// A folder or file that cannot be read; a link that leads out of the folder; more than 10,000 documents or 64 MiB.
pub fn texts(folder: &Path) -> Result<Vec<Text>> {
    if !folder.exists() {
        return Err(exit::usage(format!("there is no folder {}", folder.display())));
    }
    if !folder.is_dir() {
        let own = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let why = format!("{} is a file: give the project's folder, such as {}", folder.display(), own.display());
        return Err(exit::usage(why));
    }
    let root = folder.canonicalize().with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let mut texts = Vec::new();
    for name in MAIN {
        let path = root.join(name);
        if path.is_file() {
            texts.push(read(&root, &path, TEXT_BYTES_MAX)?);
        }
    }
    let lock = root.join(project::remembered::FILE);
    if lock.is_file() {
        texts.push(read(&root, &lock, TEXT_BYTES_MAX)?);
    }
    let mut left = BYTES_MAX;
    for name in ["connectors", "workflows"] {
        let path = root.join(name);
        if path.is_dir() {
            walk(&root, &path, 0, &mut left, &mut texts)?;
        }
    }
    for (name, max) in project::named_files(&texts) {
        let path = root.join(&name);
        // One that is not there is told where it is named.
        if path.exists() {
            take(&root, &path, max, &mut left, &mut texts)?;
        }
    }
    Ok(texts)
}

/// One more file of a project, by its path there.
///
/// # Errors
/// It is not there, lies outside of the project, or is too long.
pub fn text(folder: &Path, path: &str) -> Result<Text> {
    let root = folder.canonicalize().with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let text = read(&root, &root.join(path), TEXT_BYTES_MAX)?;
    if text.text.len() > TEXT_BYTES_MAX {
        bail!("{path} is too long");
    }
    Ok(text)
}

pub fn is_project(folder: &Path) -> bool {
    MAIN.iter().any(|name| folder.join(name).is_file())
}

/// The project that a folder without one lies in, if it does.
pub fn project_above(folder: &Path) -> Option<PathBuf> {
    let root = folder.canonicalize().ok()?;
    let holds = |folder: &&Path| folder.join("dovetail.yaml").is_file();
    if holds(&&*root) {
        return None;
    }
    root.ancestors().skip(1).find(holds).map(Path::to_path_buf)
}

/// Reads and checks the project in a folder, with the connectors that come with the program.
///
/// # Errors
/// As [`texts`]; findings are in the result.
pub fn load(folder: &Path, environment: Option<&str>) -> Result<Loaded> {
    Ok(project::read(&texts(folder)?, &shipped::connectors(), environment))
}

/// Where a workflow or sync of a project is played. `texts`: its own, and the shipped ones.
///
/// # Errors
/// Why it cannot be played, in words.
pub fn scene(
    folder: &Path,
    subject: &str,
    loaded: &Loaded,
    (own, shipped): (&[Text], &[Text]),
) -> std::result::Result<Arc<Scene>, String> {
    let sandbox = |name: &str| {
        let own = text(folder, &format!("connectors/{name}.sandbox.yaml")).ok();
        own.or_else(|| shipped::sandbox_file(name))
    };
    Scene::new(subject, loaded, &Files { own, shipped, sandbox: &sandbox }).map(Arc::new)
}

/// `left` bytes may still be read.
fn walk(root: &Path, folder: &Path, depth: usize, left: &mut usize, texts: &mut Vec<Text>) -> Result<()> {
    if depth > 8 {
        bail!("{} is too deep in the project", folder.display());
    }
    within(root, folder)?;
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let mut paths: Vec<_> = entries.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, depth + 1, left, texts)?;
        } else if is_document(&path) {
            take(root, &path, TEXT_BYTES_MAX, left, texts)?;
        }
    }
    Ok(())
}

/// Reads one more file, up to a little more than `max` bytes, if so many and so much may be read.
fn take(root: &Path, path: &Path, max: usize, left: &mut usize, texts: &mut Vec<Text>) -> Result<()> {
    if texts.len() >= DOCUMENTS_MAX {
        bail!("the project has more than {DOCUMENTS_MAX} documents");
    }
    let text = read(root, path, max)?;
    let Some(rest) = left.checked_sub(text.text.len()) else { bail!("the project's documents are larger than 64 MiB") };
    *left = rest;
    texts.push(text);
    Ok(())
}

/// YAML, no pretend vendor's part, and no OpenAPI document, which is read where it is named.
fn is_document(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_string()).unwrap_or_default();
    (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.ends_with(".sandbox.yaml") && !is_openapi(&name)
}

/// The place that a path leads to, which must be in the project.
fn within(root: &Path, path: &Path) -> Result<PathBuf> {
    let real = path.canonicalize().with_context(|| format!("{} cannot be read", path.display()))?;
    if !real.starts_with(root) {
        bail!("{} leads out of the project's folder", path.display());
    }
    Ok(real)
}

fn read(root: &Path, path: &Path, max: usize) -> Result<Text> {
    let real = within(root, path)?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    let name = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
    // A pipe would be waited for without end.
    if !real.is_file() {
        bail!("{name} is no file");
    }
    let file = std::fs::File::open(&real).with_context(|| format!("{name} cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(max as u64 + 4).read_to_end(&mut bytes).with_context(|| format!("{name} cannot be read"))?;
    // Enough of a longer file to see that it is too long, up to its last whole character.
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
        && bytes.len() > max
    {
        bytes.truncate(error.valid_up_to());
    }
    // What is no UTF-8 becomes a mark, which reading tells of with its place.
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Text { path: name, text })
}
