//! Schema terms in plain words.

use serde_json::{Map, Value};

use super::kinds::Kinds;
use crate::source::refusal::short;
use crate::source::{Diagnostic, File};

/// What a value is.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(true) => "`true`",
        Value::Bool(false) => "`false`",
        Value::Number(_) if Kinds::of(value) == Kinds::WHOLE => "a whole number",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// The value itself if it is short enough to show, else what it is.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "an empty text".to_owned(),
        Value::String(text) => format!("`{}`", short(text)),
        Value::Number(number) => format!("`{number}`"),
        _ => kind(value).to_owned(),
    }
}

/// `` `a`, `b` or `c` ``, for the last joint `or`.
pub(super) fn list<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((end, before)) => format!("{} {last} {end}", before.join(", ")),
    }
}

/// `` `a`, `b`, `c` ``
pub(super) fn row<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn one_of(choices: &[&Value]) -> String {
    let shown: Vec<String> = choices
        .iter()
        .filter(|choice| !choice.is_null())
        .map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned))
        .collect();
    match shown.as_slice() {
        [only] => format!("`{only}`"),
        several => format!("one of {}", row(several.iter().map(String::as_str))),
    }
}

pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

pub(super) fn with_article(noun: &str) -> String {
    if noun.starts_with('`') {
        return noun.to_owned();
    }
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// The first sentence of a description. A dot before a small letter or a sign ends none: `e.g. this`.
pub(super) fn first_sentence(text: &str) -> String {
    let paragraph = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let ends = |(at, _): &(usize, &str)| paragraph[at + 2..].starts_with(char::is_uppercase);
    let end = paragraph.match_indices(". ").find(ends).map_or(paragraph.len(), |(at, _)| at);
    paragraph[..end].trim_end_matches('.').to_owned()
}

/// What a schema calls its thing: by its title, else by the name under which it is referred to.
pub(super) fn noun(layer: &Map<String, Value>) -> Option<String> {
    let title = layer.get("title").and_then(Value::as_str);
    let name = || layer.get("$ref")?.as_str()?.rsplit('/').next();
    let name = title.or_else(name)?;
    // By convention a type that is read from a document is called `…Written` or `…Document`, and its title has an article.
    let name = name.trim_end_matches("Written").trim_end_matches("Document");
    let name = name.strip_prefix("a ").or_else(|| name.strip_prefix("an ")).unwrap_or(name);
    // Names that schemars makes up for generic types, such as `Map_of_string`, are no words.
    if name.is_empty() || name.contains('_') || name.ends_with(|last: char| last.is_ascii_digit()) {
        return None;
    }
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && words.ends_with(char::is_alphanumeric) {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    Some(words)
}

/// A text or key that does not match its pattern.
pub(super) fn bad_name(layer: &Map<String, Value>, text: &str, pattern: &str, code: &'static str) -> Diagnostic {
    match layer.get("x-name").and_then(Value::as_str) {
        Some(name) => {
            let found = Diagnostic::error("bad-name", format!("`{}` is not {name}", short(text)));
            match respelled(text, pattern) {
                Some(respelled) => found.help(format!("write `{respelled}`")),
                None => found,
            }
        }
        None => Diagnostic::error(code, format!("`{}` does not match `{}`", short(text), short(pattern))),
    }
}

/// The text as the pattern wants it, if only case and separators differ.
fn respelled(text: &str, pattern: &str) -> Option<String> {
    let pattern = regex::Regex::new(pattern).ok()?;
    let capital = text.trim().to_uppercase();
    if pattern.is_match(&capital) {
        return Some(short(&capital));
    }
    ['-', '_'].into_iter().find_map(|separator| {
        let mut name = String::new();
        let mut lower_before = false;
        for letter in text.trim().chars() {
            if !letter.is_alphanumeric() || (lower_before && letter.is_uppercase()) {
                name.push(separator);
            }
            if letter.is_alphanumeric() {
                name.extend(letter.to_lowercase());
            }
            lower_before = letter.is_lowercase();
        }
        pattern.is_match(&name).then(|| short(&name))
    })
}

/// What to do about a value of the wrong type, where the usual reason is known. `key` is one of the wanted map, under which
/// the value could stand.
pub(super) fn type_help(file: &File, pointer: &str, value: &Value, wanted: Kinds, key: Option<&str>) -> Option<String> {
    let span = file.span(pointer);
    let written = short(file.written(span));
    match value {
        Value::Null if written.is_empty() => {
            let line = file.written(file.line_span(span.start));
            let comment = line.split_once(" #").map(|(_, comment)| comment.trim_end());
            match comment.filter(|comment| !comment.is_empty() && !comment.starts_with(' ')) {
                Some(comment) if wanted.has(Kinds::TEXT) => {
                    let comment = short(comment);
                    Some(format!("a text after ` #` is a comment: write `\"#{comment}\"` if it is the value"))
                }
                _ => Some("write a value after the `:`, indented if it stands on the next line".to_owned()),
            }
        }
        Value::Bool(_) | Value::Number(_) if wanted.has(Kinds::TEXT) => {
            Some(format!("put it in quotes: `\"{written}\"`"))
        }
        Value::String(text) if wanted.has(Kinds::BOOLEAN) => match text.to_lowercase().as_str() {
            "yes" | "on" | "true" | "y" => Some("write `true`".to_owned()),
            "no" | "off" | "false" | "n" => Some("write `false`".to_owned()),
            _ => None,
        },
        Value::String(text) if wanted.has(Kinds::WHOLE) && text.parse::<f64>().is_ok() && written != *text => {
            Some(format!("leave out the quotes: `{}`", short(text)))
        }
        Value::String(text) if wanted.has(Kinds::MAP) && text.contains(':') => {
            Some("write `key: value`, with a space after the colon".to_owned())
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) if wanted.has(Kinds::LIST) => {
            Some(format!("write a list: `[{written}]`"))
        }
        Value::Array(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) if wanted.has(Kinds::MAP) => {
            let whose = pointer.rsplit('/').next().filter(|step| step.parse::<usize>().is_err());
            if let (Some(key), Some(whose), false) = (key, whose, value.is_array() || written.contains('\n')) {
                return Some(format!("write a map, such as `{whose}: {{ {key}: {written} }}`"));
            }
            Some("write one `key: value` per line below it, indented, or `{ key: value }`".to_owned())
        }
        Value::Array(items) if wanted.has(Kinds::TEXT) && items.len() == 1 => {
            Some("leave out the brackets, or the `- ` before it".to_owned())
        }
        Value::Object(_) if wanted.has(Kinds::LIST) => Some("begin each item with `- `".to_owned()),
        _ => None,
    }
}
