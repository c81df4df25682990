//! Documents that cannot be read, and the names that they would have.
//!
//! What only refers to such a document is not wrong itself: the document's own findings are enough.

use serde_json::Value;

use crate::source::File;

/// What is known of the documents that gave nothing.
pub(super) struct Refused {
    /// Kind and name: a document's, `connection`, or `account` with the name of the connector that it is for.
    names: Vec<(&'static str, String)>,
    /// One of them is, or would be, the project.
    pub project: bool,
}

impl Refused {
    /// `files` are those that have findings of their own.
    pub fn new<'f>(files: impl IntoIterator<Item = &'f File>) -> Self {
        let mut refused = Self { names: Vec::new(), project: false };
        for file in files {
            refused.project |= matches!(&*file.path, "dovetail.yaml" | "dovetail.yml");
            for kind in ["connector", "workflow", "sync", "project"] {
                let name = match file.value.get(kind) {
                    Some(name) => name.as_str().map(str::to_owned),
                    None => written(&file.text, kind).map(str::to_owned),
                };
                refused.project |= kind == "project" && name.is_some();
                refused.names.extend(name.map(|name| (kind, name)));
            }
        }
        refused
    }

    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.names.iter().any(|(known, of)| *known == kind && of == name)
    }

    /// Is there any of this kind?
    pub fn any(&self, kind: &str) -> bool {
        self.names.iter().any(|(known, _)| *known == kind)
    }

    pub fn add(&mut self, kind: &'static str, name: &str) {
        self.names.push((kind, name.to_owned()));
    }

    pub fn add_file(&mut self, kind: &'static str, file: &File) {
        self.names.extend(file.value.get(kind).and_then(Value::as_str).map(|name| (kind, name.to_owned())));
    }
}

/// The name after a kind's key at the beginning of a line, in a text that is not read as YAML.
pub(super) fn written<'t>(text: &'t str, kind: &str) -> Option<&'t str> {
    let rest =
        text.trim_start_matches('\u{feff}').lines().find_map(|line| line.strip_prefix(kind)?.strip_prefix(':'))?;
    let name = rest.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then_some(name)
}
