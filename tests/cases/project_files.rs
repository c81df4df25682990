//! The projects that cases and pages stand in.

use std::path::{Path, PathBuf};

use dovetail::project::Text;

/// What a case need not write out: `tests/cases/projects/standard`.
pub fn standard() -> Vec<Text> {
    let text = std::fs::read_to_string(root().join("tests/cases/projects/standard/dovetail.yaml")).unwrap();
    vec![Text { path: "dovetail.yaml".into(), text }]
}

/// The connectors that come with the program.
pub fn shipped() -> Vec<Text> {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (!name.ends_with(".sandbox.yaml"))
            .then(|| Text { path: format!("shipped/connectors/{name}"), text: std::fs::read_to_string(&path).unwrap() })
    };
    yaml_files("connectors").into_iter().filter_map(read).collect()
}

/// The YAML files of a folder, in order.
pub fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    paths.sort();
    paths
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
