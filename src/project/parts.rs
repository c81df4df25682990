//! Shipped connectors: which of their files a project needs.
//!
//! A connector is read only if some document says its name. Of one in many files, a part adds objects, operations and events
//! under names that the scan of its text finds: it is read only if the project says one of them, or another part that is read
//! does. A scan that finds too much costs time; one that finds too little is noticed, since a name is unknown then, and all that
//! might define it is read too.

use std::collections::{BTreeSet, HashSet};

use super::{Text, remembered};
use crate::source::{Diagnostic, Report};

/// Codes of findings that say that no connector has a name.
const UNKNOWN_CONNECTOR: [&str; 2] = ["unknown-connector", "unknown-alias"];
/// Codes of findings that say that a name of a connector is not there.
const UNKNOWN: [&str; 4] = ["unknown-event", "unknown-object", "unknown-operation", "unknown-reference"];

/// The shipped files that a project needs, and those that it seems not to.
pub(super) struct Needed<'t> {
    pub files: Vec<&'t Text>,
    /// Connectors that no document names.
    connectors: Vec<&'t Text>,
    /// Parts of connectors in use.
    parts: Vec<&'t Text>,
}

impl<'t> Needed<'t> {
    pub(super) fn of(own: &'t [Text], shipped: &'t [Text]) -> Needed<'t> {
        let said = Said::of(own);
        let (parts, whole): (Vec<&Text>, Vec<&Text>) = shipped.iter().partition(|text| folder_of(text).is_some());
        let is_said = |text: &&Text| text.connector().is_none_or(|name| said.all.contains(name));
        let (mut files, connectors): (Vec<&Text>, Vec<&Text>) = whole.into_iter().partition(is_said);
        let (chosen, left) = chosen(said, parts);
        files.extend(chosen);
        Needed { files, connectors, parts: left.into_iter().map(|part| part.text).collect() }
    }

    /// The same, and all that might define what is unknown in a project. None if there is nothing of that kind.
    pub(super) fn with_unknown(mut self, report: &Report) -> Option<Needed<'t>> {
        // No version of a project hangs on what it was checked with.
        let is_elsewhere =
            |found: &&Diagnostic| found.primary.as_ref().is_none_or(|place| &*place.path != remembered::FILE);
        let lacks =
            |codes: &[&str]| report.diagnostics.iter().filter(is_elsewhere).any(|found| codes.contains(&found.code));
        let before = self.files.len();
        if lacks(&UNKNOWN_CONNECTOR) {
            self.files.append(&mut self.connectors);
        }
        if lacks(&UNKNOWN) {
            self.files.append(&mut self.parts);
        }
        (self.files.len() > before).then_some(self)
    }

    /// The names of connectors that are left out.
    pub(super) fn left(&self) -> Vec<&'t str> {
        self.connectors.iter().filter_map(|text| text.connector()).collect()
    }
}

/// The paths of all parts, shipped or the project's own, of which no document names anything.
pub(super) fn far(own: &[Text], shipped: &[Text]) -> BTreeSet<String> {
    let (own_parts, documents): (Vec<&Text>, Vec<&Text>) = own.iter().partition(|text| folder_of(text).is_some());
    let parts = shipped.iter().filter(|text| folder_of(text).is_some()).chain(own_parts);
    let (_, left) = chosen(Said::of(documents), parts.collect());
    left.into_iter().map(|part| part.text.path.clone()).collect()
}

/// The parts that are named, by documents or by other such parts; and those of the same connectors that are not.
fn chosen<'t>(mut said: Said<'t>, parts: Vec<&'t Text>) -> (Vec<&'t Text>, Vec<Part<'t>>) {
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
            said.named.extend(refers_to(part.text));
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
}

/// Nothing that stands further in is a name.
const DEEPER: &str = "     ";

impl<'t> Part<'t> {
    fn of(text: &'t Text) -> Part<'t> {
        let mut part = Part { text, names: Vec::new() };
        let mut section = "";
        for line in text.text.lines().filter(|line| !line.starts_with(DEEPER)) {
            let inner = line.trim_start();
            let indent = line.len() - inner.len();
            let key = inner.split_once(':').map(|(key, _)| key).filter(|key| key.chars().all(is_of_a_word));
            match (indent, key) {
                (0, Some(key)) => section = key,
                (2, Some(key)) if matches!(section, "objects" | "operations") => part.names.push(key),
                (4, Some(key)) if section == "webhooks" => part.names.push(key),
                _ => {}
            }
        }
        part
    }
}

/// What a file names that other files of its connector may hold.
fn refers_to(text: &Text) -> impl Iterator<Item = &str> {
    text.text.match_indices(": ").filter_map(|(colon, _)| {
        let (before, named) = (&text.text[..colon], &text.text[colon + 2..]);
        let is_reference = REFERENCES.iter().any(|reference| before.ends_with(reference));
        let line = named.lines().next().filter(|_| is_reference)?;
        words(line).map(|(word, _)| word).next()
    })
}

/// The words of a project.
#[derive(Default)]
struct Said<'t> {
    all: HashSet<&'t str>,
    /// Those that may name something of a connector.
    named: HashSet<&'t str>,
}

impl<'t> Said<'t> {
    fn of(documents: impl IntoIterator<Item = &'t Text>) -> Said<'t> {
        let mut said = Said::default();
        documents.into_iter().filter(|text| text.path != remembered::FILE).for_each(|text| said.add(text));
        said
    }

    fn add(&mut self, text: &'t Text) {
        let begins = |key: &str| text.text.starts_with(key) || text.text.contains(&format!("\n{key}"));
        self.all.extend(words(&text.text).map(|(word, _)| word));
        if begins("connector:") {
            // It says much about itself; but what it adds to may be in another file.
            let names = Part::of(text).names.into_iter().filter(|_| text.path.contains(".override."));
            self.named.extend(names.chain(refers_to(text)));
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
