//! A project's folder: its texts, and nothing outside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{exit, shipped};
use crate::project::{self, Loaded, Text};

/// Documents of one project, at most.
const DOCUMENTS_MAX: usize = 10_000;

/// Reads all documents of a project's folder: `dovetail.yaml`, and YAML files below `connectors`, `workflows` and `tests`.
///
/// # Errors
/// A folder or file that cannot be read; a link that leads out of the folder.
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
    for name in ["dovetail.yaml", "dovetail.yml"] {
        let path = root.join(name);
        if path.is_file() {
            texts.push(read(&root, &path)?);
        }
    }
    for name in ["connectors", "workflows"] {
        let path = root.join(name);
        if path.is_dir() {
            walk(&root, &path, 0, &mut texts)?;
        }
    }
    Ok(texts)
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

fn walk(root: &Path, folder: &Path, depth: usize, texts: &mut Vec<Text>) -> Result<()> {
    if depth > 8 {
        bail!("{} is too deep in the project", folder.display());
    }
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
            walk(root, &path, depth + 1, texts)?;
        } else if is_document(&path) {
            if texts.len() >= DOCUMENTS_MAX {
                bail!("the project has more than {DOCUMENTS_MAX} documents");
            }
            texts.push(read(root, &path)?);
        }
    }
    Ok(())
}

/// YAML, and no pretend vendor's part.
fn is_document(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_string()).unwrap_or_default();
    (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.ends_with(".sandbox.yaml")
}

fn read(root: &Path, path: &Path) -> Result<Text> {
    let real = path.canonicalize().with_context(|| format!("{} cannot be read", path.display()))?;
    if !real.starts_with(root) {
        bail!("{} leads out of the project's folder", path.display());
    }
    let relative = path.strip_prefix(root).unwrap_or(path);
    let name = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
    let bytes = std::fs::read(&real).with_context(|| format!("{name} cannot be read"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        anyhow::anyhow!("{name}:{line}: the file is no UTF-8 text; save it as UTF-8")
    })?;
    Ok(Text { path: name, text })
}
