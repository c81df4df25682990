//! What an operation need not ask for: the account's own id, which its connection says, or what is always the same.

use serde_json::Value;

use super::name::{Part, parts, singular, words};
use super::operation::literal;

/// A parameter or a field of a body, by its name in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    pub name: String,
    pub with: Filling,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// A setting of the connection.
    Setting(String),
    /// Always this.
    Fixed(String),
}

impl Filling {
    /// As a query or a body has it.
    pub(super) fn value(&self) -> Value {
        match self {
            Filling::Setting(name) => format!("$.connection.{name}").into(),
            Filling::Fixed(text) => literal(text),
        }
    }

    /// As a path has it.
    pub(super) fn segment(&self) -> String {
        match self {
            Filling::Setting(name) => format!("{{{name}}}"),
            Filling::Fixed(text) => text.clone(),
        }
    }

    pub(super) fn setting(&self) -> Option<&str> {
        match self {
            Filling::Setting(name) => Some(name),
            Filling::Fixed(_) => None,
        }
    }
}

/// The parts of a path that say what is asked for: `/locations/{locationId}/tags` goes through `tags` alone where the
/// connection says the location.
pub(super) fn asked(path: &str, filled: &[Filled]) -> Vec<Part> {
    let whole = parts(path);
    let mut asked: Vec<Part> = Vec::new();
    for (at, part) in whole.iter().enumerate() {
        let hole = match part {
            Part::Hole(hole) if filled.iter().any(|filled| filled.name == *hole) => hole,
            part => {
                asked.push(part.clone());
                continue;
            }
        };
        if let Some(Part::Word(word)) = asked.last()
            && at + 1 < whole.len()
            && words(hole).first() == words(word).last().map(|last| singular(last)).as_ref()
        {
            asked.pop();
        }
    }
    if asked.is_empty() { whole } else { asked }
}
