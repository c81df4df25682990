//! Values, templates, paths and conditions: how a document says what to send and when.
//!
//! Everything is compiled when a document is read ([`Expr::compile`], [`Condition::compile`]) and evaluated against a
//! [`Scope`]; nothing is parsed per event. Missing and null are the same on the way in: evaluation gives `None`.
//! All work is bounded: texts, nesting, results and steps have limits, and going over one is told, never endured.

mod condition;
mod conversion;
mod convert;
mod duration;
mod field;
mod helper;
mod locale;
mod needs;
mod path;
mod roots;
mod schema;
mod scope;
mod script;

mod template;
mod value;

#[cfg(test)]
mod cases;

use std::ops::Range;

pub use condition::Condition;
pub use conversion::Conversion;
pub use convert::{convert, converted, text_of};
pub use duration::{duration_text, parse_duration};
pub use field::FieldType;
pub use locale::{Locale, e164, read_time, write_time};
pub use path::Path;
pub use roots::{Root, Roots};
pub use schema::schema_faults;
pub use scope::Scope;
pub use template::Template;
pub use value::{Expr, Types, as_text, is_blank};

/// One word of the language, as the reference tells it.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    pub name: &'static str,
    /// A sentence or two, for people who do not program.
    pub what: &'static str,
    /// How it is written.
    pub example: &'static str,
}

/// The helpers of templates.
pub fn helpers() -> impl Iterator<Item = Word> {
    helper::HELPERS.iter().map(|helper| Word { name: helper.name, what: helper.what, example: helper.usage })
}

/// The operators of conditions; the example is a line of a condition.
pub fn operators() -> impl Iterator<Item = Word> {
    condition::operators()
}

/// What `$as` and `as` can name; the example is JSON, a value to convert.
pub fn conversions() -> impl Iterator<Item = Word> {
    conversion::words()
}

/// The sources of instructions, then their further steps, in the order in which they are done; the example is a value.
pub fn instructions() -> impl Iterator<Item = Word> {
    value::instructions()
}

/// What is wrong with an expression as written; found when it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer from the value that was compiled to the part that is wrong.
    pub pointer: String,
    /// The finding is about the key, not the value, under `pointer`.
    pub key: bool,
    /// The finding is about these bytes of the text under `pointer`.
    pub part: Option<Range<usize>>,
    /// Stable code, e.g. `bad-path`, `bad-template`, `unknown-instruction`, `unknown-operator`.
    pub code: &'static str,
    pub message: String,
    pub help: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { pointer: String::new(), key: false, part: None, code, message: message.into(), help: None }
    }

    /// Says which bytes of the text are wrong.
    pub(crate) fn of_part(self, part: Range<usize>) -> Self {
        Self { part: Some(part), ..self }
    }

    /// Says that it is the key under the pointer that is wrong.
    pub(crate) fn of_key(self, key: &str) -> Self {
        Self { key: true, ..self }.under(key)
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Asks whether the nearest of the names was meant; else says `otherwise`.
    pub(crate) fn nearest<'a>(
        self,
        word: &str,
        names: impl IntoIterator<Item = &'a str>,
        otherwise: impl Into<String>,
    ) -> Self {
        match crate::source::nearest(word, names) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self.help(otherwise),
        }
    }

    /// The finding for the author, when the value that was compiled stands under `pointer`.
    pub fn told(self, file: &crate::source::File, pointer: &str) -> crate::source::Diagnostic {
        let pointer = format!("{pointer}{}", self.pointer);
        let found = crate::source::Diagnostic::error(self.code, self.message);
        let found = match self.part {
            Some(part) => found.at_within(file, &pointer, part),
            None if self.key => found.at_key(file, &pointer, ""),
            None => found.at(file, &pointer, ""),
        };
        crate::source::Diagnostic { help: self.help, ..found }
    }

    /// Moves the pointer one level down: what was wrong in a part is wrong in the whole, under the part's key.
    pub(crate) fn under(self, key: &str) -> Self {
        Self { pointer: pointer_under(key, &self.pointer), ..self }
    }
}

/// Why a value could not be made at run time: told to the author with the file and line of the expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Where inside the compiled value (JSON pointer), e.g. `/dueDate`.
    pub pointer: String,
    pub message: String,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { pointer: String::new(), message: message.into() }
    }

    pub(crate) fn under(self, key: &str) -> Self {
        Self { pointer: pointer_under(key, &self.pointer), ..self }
    }
}

/// A path that an expression reads, for checks: where it stands and what it names.
#[derive(Clone, Debug)]
pub struct Read {
    /// JSON pointer from the compiled value to the scalar that holds the path.
    pub pointer: String,
    /// The leading names, e.g. `["contact", "email"]`; stops at the first index, wildcard, filter or slice.
    pub names: Vec<String>,
    /// The path reads a list whatever the data: it is not singular by RFC 9535's grammar.
    pub plural: bool,
    /// The whole path as written.
    pub text: String,
    /// Where it stands in the scalar, in bytes of its text, if it is only a part of that.
    pub part: Option<Range<usize>>,
}

impl Read {
    pub(crate) fn under(self, key: &str) -> Self {
        Self { pointer: pointer_under(key, &self.pointer), ..self }
    }
}

/// `/key` and the rest of the pointer, escaped as RFC 6901 says.
fn pointer_under(key: &str, rest: &str) -> String {
    crate::source::under("", key) + rest
}

/// A value in a message: as JSON, cut short, so that a long note does not become a long message.
pub(crate) fn shown(value: &serde_json::Value) -> String {
    const CHARACTERS_MAX: usize = 40;
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => return format!("a list of {}", items.len()),
        serde_json::Value::Object(fields) => return format!("a map of {} fields", fields.len()),
        other => other.to_string(),
    };
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}

/// A value's kind in the words of the language.
fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "boolean",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "text",
        serde_json::Value::Array(_) => "list",
        serde_json::Value::Object(_) => "map",
    }
}
