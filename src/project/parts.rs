//! A shipped connector in many files: which of them a project needs.
//!
//! A part adds objects, operations and events under names that the scan of its text finds. It is read only if the project
//! says one of them, or another part that is read does. A scan that finds too much costs time; one that finds too little is
//! noticed, since the name is unknown then, and everything is read.

use std::collections::{BTreeSet, HashSet};

use super::{Text, remembered};
use crate::source::Report;

/// Codes of findings that say that a name of a connector is not there.
const UNKNOWN: [&str; 4] = ["unknown-event", "unknown-object", "unknown-operation", "unknown-reference"];

/// Is a name unknown that a part might define?
pub(super) fn lacks(report: &Report) -> bool {
    report.diagnostics.iter().any(|found| UNKNOWN.contains(&found.code))
}

/// The shipped files that a project needs; and whether some were left out of a connector that it names.
pub(super) fn needed<'t>(own: &'t [Text], shipped: &'t [Text]) -> (Vec<&'t Text>, bool) {
    let (parts, mut needed): (Vec<&Text>, Vec<&Text>) = shipped.iter().partition(|text| folder_of(text).is_some());
    let documents = own.iter().filter(|text| text.path != remembered::FILE);
    let (chosen, left) = chosen(documents, parts);
    needed.extend(chosen);
    (needed, !left.is_empty())
}

/// The paths of all parts, shipped or the project's own, of which no document names anything.
pub(super) fn far(own: &[Text], shipped: &[Text]) -> BTreeSet<String> {
    let (own_parts, documents): (Vec<&Text>, Vec<&Text>) = own.iter().partition(|text| folder_of(text).is_some());
    let parts = shipped.iter().filter(|text| folder_of(text).is_some()).chain(own_parts);
    let documents = documents.into_iter().filter(|text| text.path != remembered::FILE);
    let (_, left) = chosen(documents, parts.collect());
    left.into_iter().map(|part| part.text.path.clone()).collect()
}

/// The parts that are named, by documents or by other such parts; and those of the same connectors that are not.
fn chosen<'t>(documents: impl Iterator<Item = &'t Text>, parts: Vec<&'t Text>) -> (Vec<&'t Text>, Vec<Part<'t>>) {
    let mut said = Said::default();
    documents.for_each(|text| said.add(text));
    let is_said = |text: &&Text| folder_of(text).is_some_and(|connector| said.all.contains(connector));
    let mut left: Vec<Part<'_>> = parts.into_iter().filter(is_said).map(Part::of).collect();
    let mut chosen = Vec::new();
    loop {
        let is_named = |part: &Part<'_>| part.names.iter().any(|name| said.named.contains(name));
        let (more, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(is_named);
        left = rest;
        if more.is_empty() {
            return (chosen, left);
        }
        for part in more {
            said.named.extend(part.refers_to);
            chosen.push(part.text);
        }
    }
}

/// What the paths of files begin with that come with the program.
pub(super) const SHIPPED: &str = "shipped/";

/// The connector whose folder a file lies in: `connectors/NAME/PART.yaml`.
fn folder_of(text: &Text) -> Option<&str> {
    let path = text.path.strip_prefix(SHIPPED).unwrap_or(&text.path);
    let (folder, file) = path.strip_prefix("connectors/")?.split_once('/')?;
    (!file.ends_with(".json")).then_some(folder)
}

/// Keys under which a file of a connector names what another may hold.
const REFERENCES: [&str; 5] = ["object", "parent", "from", "look_with", "read_with"];

/// A file of a connector.
struct Part<'t> {
    text: &'t Text,
    /// Objects, operations and events that it gives.
    names: Vec<&'t str>,
    /// Objects of other files.
    refers_to: Vec<&'t str>,
}

impl<'t> Part<'t> {
    fn of(text: &'t Text) -> Part<'t> {
        let mut part = Part { text, names: Vec::new(), refers_to: Vec::new() };
        let mut section = "";
        for line in text.text.lines() {
            let inner = line.trim_start();
            let indent = line.len() - inner.len();
            let key = inner.split_once(':').map(|(key, _)| key).filter(|key| key.chars().all(is_of_a_word));
            match (indent, key) {
                (0, Some(key)) => section = key,
                (2, Some(key)) if matches!(section, "objects" | "operations") => part.names.push(key),
                (4, Some(key)) if section == "webhooks" => part.names.push(key),
                _ => {}
            }
            for (colon, _) in line.match_indices(':') {
                let (key, named) = (&line[..colon], &line[colon + 1..]);
                if named.starts_with(' ') && REFERENCES.iter().any(|reference| key.ends_with(reference)) {
                    part.refers_to.extend(words(named).map(|(word, _)| word).next());
                }
            }
        }
        part
    }
}

/// The words of a project.
#[derive(Default)]
struct Said<'t> {
    all: HashSet<&'t str>,
    /// Those that may name something of a connector.
    named: HashSet<&'t str>,
}

impl<'t> Said<'t> {
    fn add(&mut self, text: &'t Text) {
        let begins = |key: &str| text.text.starts_with(key) || text.text.contains(&format!("\n{key}"));
        self.all.extend(words(&text.text).map(|(word, _)| word));
        if begins("connector:") {
            // It says much about itself; but what it adds to may be in another file.
            let part = Part::of(text);
            let names = part.names.into_iter().filter(|_| text.path.contains(".override."));
            self.named.extend(names.chain(part.refers_to));
            return;
        }
        // Elsewhere than in a workflow an object stands alone, as in `between: { crm: contact }`.
        let after_alias = begins("workflow:");
        self.named.extend(words(&text.text).filter(|(_, dotted)| *dotted || !after_alias).map(|(word, _)| word));
    }
}

/// Words as names are written (`kebab-case` too), and whether a dot stands before.
fn words(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_of_a_word)?;
        let end = text[start..].find(|letter| !is_of_a_word(letter)).map_or(text.len(), |length| start + length);
        at = end;
        Some((&text[start..end], text[..start].ends_with('.')))
    })
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '-'
}
