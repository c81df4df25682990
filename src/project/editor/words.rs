//! How an editor is told about names: what it proposes, and what it says about one that is none.
//!
//! Proposals are `const`s with a description, which every editor completes and explains. Refusals are patterns, so that
//! a wrong name is answered with one sentence (`patternErrorMessage`) and not with hundreds of names.

use serde_json::{Value, json};

/// A longer description is cut.
const ABOUT_MAX: usize = 300;

/// A name, and what it is.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub name: String,
    pub about: String,
}

/// More names are not told in one sentence.
const TOLD_MAX: usize = 12;

/// More names are not proposed, and then none is refused: a project may have thousands of connections.
const NAMES_MAX: usize = 200;

/// A text that is one of these names; anything else is told this.
pub(super) fn one_of(names: &[Name], otherwise: &str) -> Value {
    let proposed = names.iter().take(NAMES_MAX).map(proposal).chain([json!({ "type": "string" })]);
    let mut schema = json!({ "anyOf": proposed.collect::<Vec<_>>() });
    if names.len() <= NAMES_MAX {
        schema["pattern"] = format!("^(?:{})$", any_of(names.iter().map(|name| &name.name))).into();
        schema["patternErrorMessage"] = otherwise.into();
    }
    schema
}

pub(super) fn proposal(name: &Name) -> Value {
    match name.about.is_empty() {
        true => json!({ "const": name.name }),
        false => json!({ "const": name.name, "description": name.about }),
    }
}

/// A pattern that any of these texts fits.
pub(super) fn any_of<S: AsRef<str>>(texts: impl Iterator<Item = S>) -> String {
    texts.map(|text| escaped(text.as_ref())).collect::<Vec<_>>().join("|")
}

/// A text as a pattern in the dialect of JSON Schema (ECMA-262 with Unicode), which refuses needless escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if r"\^$.*+?()[]{}|/".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Names as a sentence has them.
pub(super) fn listed(names: &[&str]) -> String {
    let told = names.iter().take(TOLD_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD_MAX) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// A description of bounded length.
pub(super) fn about(text: &str) -> String {
    if text.chars().count() <= ABOUT_MAX {
        return text.trim().to_string();
    }
    let cut: String = text.chars().take(ABOUT_MAX - 1).collect();
    format!("{}…", cut.trim_end())
}
