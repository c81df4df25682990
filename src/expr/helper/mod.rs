//! What templates can do with a value: one file per helper, one line in [`HELPERS`].

mod add;
mod date;
mod default;
mod first;
mod join;
mod json;
mod length;
mod lookup;
mod lower;
mod phone;
mod replace;
mod trim;
mod truncate;
mod upper;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::{Locale, shown};

/// All of them, in the order of the alphabet.
pub(super) const HELPERS: &[Helper] = &[
    add::HELPER,
    date::HELPER,
    default::HELPER,
    first::HELPER,
    join::HELPER,
    json::HELPER,
    length::HELPER,
    lookup::HELPER,
    lower::HELPER,
    phone::HELPER,
    replace::HELPER,
    trim::HELPER,
    truncate::HELPER,
    upper::HELPER,
];

/// The longest text that a helper makes, in bytes.
const TEXT_MAX: usize = 1024 * 1024;

/// A helper: its name, how it is written, what it does for people who read the reference.
pub(super) struct Helper {
    pub name: &'static str,
    pub usage: &'static str,
    pub what: &'static str,
    pub arguments: RangeInclusive<usize>,
    /// What can be wrong with constant arguments; None stands for one that is known only later.
    pub check: fn(&[Option<&Value>]) -> Result<(), String>,
    pub run: fn(&Call<'_>) -> Result<Value, String>,
    /// The result depends on the project's zone or country.
    pub reads_locale: bool,
}

impl Helper {
    const fn new(
        name: &'static str,
        usage: &'static str,
        what: &'static str,
        arguments: RangeInclusive<usize>,
        run: fn(&Call<'_>) -> Result<Value, String>,
    ) -> Self {
        Self { name, usage, what, arguments, check: |_| Ok(()), run, reads_locale: false }
    }

    pub fn check(&self, constants: &[Option<&Value>]) -> Result<(), String> {
        if !self.arguments.contains(&constants.len()) {
            return Err(format!("`{}` does not take {} values", self.name, constants.len()));
        }
        (self.check)(constants)
    }
}

pub(super) fn find(name: &str) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|helper| helper.name)
}

/// One call of a helper.
pub(super) struct Call<'c> {
    pub arguments: &'c [Argument<'c>],
    pub locale: &'c Locale,
}

impl<'c> Call<'c> {
    /// The value of an argument; None if it is missing, null or not given.
    fn value(&self, index: usize) -> Option<&'c Value> {
        self.arguments.get(index).and_then(|argument| argument.value).filter(|value| !value.is_null())
    }

    /// A value that must be there.
    fn present(&self, index: usize) -> Result<&'c Value, String> {
        self.value(index).ok_or_else(|| missing(self.arguments.get(index).and_then(|argument| argument.name)))
    }

    /// The text of an argument that must be there.
    fn text(&self, index: usize) -> Result<Cow<'c, str>, String> {
        match self.arguments.get(index) {
            Some(argument) => argument.text(),
            None => Err(missing(None)),
        }
    }

    /// The text of an argument that may be left out.
    fn optional_text(&self, index: usize) -> Result<Option<Cow<'c, str>>, String> {
        self.value(index).map(|_| self.text(index)).transpose()
    }
}

/// A value in a template, and the name it was read by.
#[derive(Clone, Copy)]
pub(super) struct Argument<'c> {
    pub value: Option<&'c Value>,
    pub name: Option<&'c str>,
}

impl<'c> Argument<'c> {
    /// The value as text; lists and maps have none.
    pub fn text(&self) -> Result<Cow<'c, str>, String> {
        let name = self.name.unwrap_or("x");
        match self.value {
            None | Some(Value::Null) => Err(missing(self.name)),
            Some(Value::String(text)) => Ok(Cow::Borrowed(text)),
            Some(Value::Array(_)) => {
                Err(format!("`{name}` is a list, not text: use `{{{{join {name} \", \"}}}}` or `{{{{json {name}}}}}`"))
            }
            Some(Value::Object(_)) => {
                Err(format!("`{name}` is a map, not text: use one of its fields, or `{{{{json {name}}}}}`"))
            }
            Some(Value::Number(number)) => Ok(Cow::Owned(super::convert::number_text(number))),
            Some(other) => Ok(Cow::Owned(other.to_string())),
        }
    }
}

/// What is said when a field has no value.
pub(super) fn missing(name: Option<&str>) -> String {
    match name {
        Some(name) => {
            format!("`{name}` is missing; for a template that allows it, write `{{{{default {name} \"-\"}}}}`")
        }
        None => "a value is missing".to_owned(),
    }
}

/// About how much work a value is: its parts and the length of its texts.
pub(super) fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => 8 + text.len() as u64,
        Value::Array(items) => 8 + items.iter().map(weight).sum::<u64>(),
        Value::Object(fields) => 8 + fields.iter().map(|(name, value)| name.len() as u64 + weight(value)).sum::<u64>(),
        _ => 8,
    }
}

/// Refuses a text that would be too long, before it is made.
fn fits(length: usize) -> Result<(), String> {
    if length > TEXT_MAX {
        return Err(format!("a helper makes more than {TEXT_MAX} bytes of text"));
    }
    Ok(())
}

fn not(value: &Value, wanted: &str) -> String {
    format!("{} is not {wanted}", shown(value))
}
