//! Several files of one connector made one document, of which every part still knows its file.
//!
//! Files only ever add to or replace what stands under the same pointer, so that a pointer into the merged document is
//! also right in the file that the part came from.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::reader::under;
use crate::source::{Diagnostic, File, Report};

/// Keys that a second file of one connector may give.
const ADDED: [&str; 4] = ["connector", "objects", "operations", "webhooks"];

/// The merged document.
pub(super) struct Merged<'a> {
    pub value: Value,
    files: Vec<&'a File>,
    /// Pointer → the file that gave what stands there and below.
    owners: HashMap<String, usize>,
    /// Files that describe no connector: schemas as text, found by their path.
    pub attached: Vec<&'a File>,
}

/// What a file is to the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Main,
    Further,
    Override,
}

/// The files of the connector itself, each with its role, the main one first and overrides last.
pub(super) fn roles<'a>(files: &[&'a File]) -> Vec<(&'a File, Role)> {
    let own: Vec<&File> = files.iter().copied().filter(|file| is_connector(file)).collect();
    let is_override = |file: &&File| file.path.ends_with(".override.yaml") || file.path.ends_with(".override.yml");
    // What is written beside `import` refines what is imported.
    let refines = |file: &&File| file.value.get("import").is_some();
    let (mut over, plain): (Vec<&File>, Vec<&File>) =
        own.into_iter().partition(|file| is_override(file) || refines(file));
    over.sort_by_key(is_override);
    let main = plain.iter().position(|file| file.value.get("base_url").is_some()).unwrap_or(0);
    let mut roles: Vec<(&File, Role)> = Vec::new();
    for (index, file) in plain.iter().enumerate() {
        if index == main {
            roles.insert(0, (file, Role::Main));
        } else {
            roles.push((file, Role::Further));
        }
    }
    roles.extend(over.into_iter().map(|file| (file, Role::Override)));
    if let Some(first) = roles.first_mut()
        && first.1 == Role::Override
    {
        // An override alone is read as what it would be by itself, so that its author hears what is missing.
        first.1 = Role::Main;
    }
    roles
}

fn is_connector(file: &File) -> bool {
    file.value.get("connector").is_some()
}

impl<'a> Merged<'a> {
    pub fn new(files: &[&'a File], roles: &[(&'a File, Role)], report: &mut Report) -> Merged<'a> {
        let mut merged = Merged {
            value: Value::Object(Map::new()),
            files: roles.iter().map(|(file, _)| *file).collect(),
            owners: HashMap::from([(String::new(), 0)]),
            attached: files.iter().copied().filter(|file| !is_connector(file)).collect(),
        };
        for (index, (file, role)) in roles.iter().enumerate() {
            match role {
                Role::Main => merged.value = file.value.clone(),
                Role::Further => merged.add_file(index, file, report),
                Role::Override => {
                    let mut value = std::mem::take(&mut merged.value);
                    merged.lay_over(&mut value, &file.value, "", index);
                    merged.value = value;
                }
            }
        }
        merged
    }

    /// The file in which the part under a pointer is written.
    pub fn file(&self, pointer: &str) -> &'a File {
        let mut pointer = pointer;
        loop {
            if let Some(index) = self.owners.get(pointer) {
                return self.files[*index];
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return self.files[0],
            }
        }
    }

    fn add_file(&mut self, index: usize, file: &'a File, report: &mut Report) {
        let Some(keys) = file.value.as_object() else { return };
        for (key, _) in keys.iter().filter(|(key, _)| !ADDED.contains(&key.as_str())) {
            report.push(
                Diagnostic::error("not-in-second-file", format!("`{key}` is given once, in the connector's main file"))
                    .at_key(file, &under("", key), "a second file adds objects, operations and events only")
                    .help(format!("move it to {}", self.files[0].path)),
            );
        }
        if let Some(webhooks) = file.value.get("webhooks").and_then(Value::as_object) {
            for (key, _) in webhooks.iter().filter(|(key, _)| key.as_str() != "events") {
                report.push(
                    Diagnostic::error(
                        "not-in-second-file",
                        format!("`{key}` is given once, in the connector's main file"),
                    )
                    .at_key(file, &under("/webhooks", key), "a second file adds `events` only")
                    .help(format!("move it to {}", self.files[0].path)),
                );
            }
        }
        self.add_names("/objects", index, file, report);
        self.add_names("/operations", index, file, report);
        if self.value.get("webhooks").is_some() || file.value.get("webhooks").is_none() {
            self.add_names("/webhooks/events", index, file, report);
        } else {
            report.push(
                Diagnostic::error("missing-key", "the connector's main file has no `webhooks` to add events to")
                    .at_key(file, "/webhooks", "")
                    .help(format!("say in {} how deliveries are verified", self.files[0].path)),
            );
        }
    }

    /// Adds the names of a map; of an object that is there already, its operations.
    fn add_names(&mut self, pointer: &str, index: usize, file: &'a File, report: &mut Report) {
        let Some(added) = file.value.pointer(pointer).and_then(Value::as_object) else { return };
        for (name, value) in added {
            let at = under(pointer, name);
            let there = self.value.pointer(&at).cloned();
            match there {
                None => {
                    self.insert(pointer, name, value.clone());
                    self.owners.insert(at, index);
                }
                Some(Value::Object(known)) if pointer == "/objects" => {
                    for (key, part) in value.as_object().into_iter().flatten() {
                        if key == "operations" {
                            self.add_names(&under(&at, "operations"), index, file, report);
                        } else if known.contains_key(key) {
                            self.twice(&under(&at, key), key, file, report);
                        } else {
                            self.insert(&at, key, part.clone());
                            self.owners.insert(under(&at, key), index);
                        }
                    }
                }
                Some(_) => self.twice(&at, name, file, report),
            }
        }
    }

    fn twice(&self, pointer: &str, name: &str, file: &File, report: &mut Report) {
        report.push(
            Diagnostic::error("given-twice", format!("`{name}` is given in two files"))
                .at_key(file, pointer, "here again")
                .also_key(self.file(pointer), pointer, "first here")
                .help("keep one of the two"),
        );
    }

    fn insert(&mut self, pointer: &str, name: &str, value: Value) {
        let mut here = &mut self.value;
        for segment in pointer.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let Value::Object(map) = here else { return };
            let next = map.entry(name).or_insert_with(|| Value::Object(Map::new()));
            if next.is_null() {
                *next = Value::Object(Map::new());
            }
            here = next;
        }
        if let Value::Object(map) = here {
            map.insert(name.to_owned(), value);
        }
    }

    /// Maps are merged key by key; everything else is replaced.
    fn lay_over(&mut self, below: &mut Value, over: &Value, pointer: &str, index: usize) {
        match (below, over) {
            (Value::Object(below), Value::Object(over)) => {
                // The name only says which connector it is; a wrong one is told, not taken over.
                for (key, value) in over.iter().filter(|(key, _)| !pointer.is_empty() || *key != "connector") {
                    let at = under(pointer, key);
                    match below.get_mut(key) {
                        Some(known) => self.lay_over(known, value, &at, index),
                        None => {
                            below.insert(key.clone(), value.clone());
                            self.own(at, index);
                        }
                    }
                }
            }
            (below, over) => {
                *below = over.clone();
                self.own(pointer.to_owned(), index);
            }
        }
    }

    fn own(&mut self, pointer: String, index: usize) {
        let inside = format!("{pointer}/");
        self.owners.retain(|known, _| !known.starts_with(&inside));
        self.owners.insert(pointer, index);
    }
}
