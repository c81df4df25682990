//! Writes YAML for people: short maps and lists in one line, comments above what they are about.
//!
//! A key that begins with NUL is no data: `\0name` holds the comment on `name`, and `\0` alone asks for one line per
//! entry. No document can bring such a key along: control characters are refused in names.

use serde_json::{Map, Value};

/// What begins a key that is no data.
pub(super) const MARK: char = '\u{0}';
/// In a map: one line per entry, however short.
pub(super) const LINES: &str = "\u{0}";

const WIDTH: usize = 118;

/// Puts a comment on a key.
pub(super) fn comment(map: &mut Map<String, Value>, key: &str, text: impl Into<String>) {
    let text: String = text.into();
    let at = format!("{MARK}{key}");
    match map.get_mut(&at) {
        Some(Value::String(there)) => {
            there.push('\n');
            there.push_str(&text);
        }
        _ => drop(map.insert(at, text.into())),
    }
}

/// Is this a key of the document, and no mark?
pub(super) fn is_data(key: &str) -> bool {
    !key.starts_with(MARK)
}

/// YAML takes keys of some hundred letters and no more.
const KEY_BYTES_MAX: usize = 200;

/// Can it be a key of a connector? `$script` means code wherever it stands, and a connector holds none.
pub(super) fn is_key(name: &str) -> bool {
    !name.is_empty() && name.len() <= KEY_BYTES_MAX && name != "$script" && name.chars().all(is_shown)
}

/// How many values a reader of the text will count.
pub(super) fn count(value: &Value) -> usize {
    match value {
        Value::Object(map) => {
            1 + map.iter().filter(|(key, _)| is_data(key)).map(|(_, part)| count(part)).sum::<usize>()
        }
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        _ => 1,
    }
}

pub(super) fn write(document: &Map<String, Value>) -> String {
    let mut out = String::new();
    let mut first = true;
    for (key, value) in document.iter().filter(|(key, _)| is_data(key)) {
        // Sections stand apart.
        let section = value.is_object() || document.contains_key(&format!("{MARK}{key}"));
        if section && !first {
            out.push('\n');
        }
        first = false;
        entry(document, key, value, 0, &mut out);
    }
    out
}

fn entry(map: &Map<String, Value>, key: &str, value: &Value, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    if let Some(Value::String(text)) = map.get(&format!("{MARK}{key}")) {
        comment_lines(text, indent, out);
    }
    let key = scalar(&Value::from(key), true);
    let line = if value.is_string() { Some(scalar(value, false)) } else { flow(value) };
    if let Some(line) =
        line.filter(|line| value.is_string() || indent + key.chars().count() + 2 + line.chars().count() <= WIDTH)
    {
        out.push_str(&format!("{margin}{key}: {line}\n"));
        return;
    }
    match value {
        Value::Object(inside) => {
            out.push_str(&format!("{margin}{key}:\n"));
            entries(inside, indent + 2, out);
        }
        Value::Array(items) => {
            out.push_str(&format!("{margin}{key}:\n"));
            list(items, indent + 2, out);
        }
        scalar_value => out.push_str(&format!("{margin}{key}: {}\n", scalar(scalar_value, false))),
    }
}

fn entries(map: &Map<String, Value>, indent: usize, out: &mut String) {
    let is_block = |value: &Value| value.as_object().is_some_and(|map| map.contains_key(LINES));
    let apart = map.iter().filter(|(key, _)| is_data(key)).all(|(_, value)| is_block(value));
    let mut first = true;
    for (key, value) in map.iter().filter(|(key, _)| is_data(key)) {
        if apart && !first {
            out.push('\n');
        }
        first = false;
        entry(map, key, value, indent, out);
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    if items.iter().all(|item| !item.is_object() && !item.is_array()) {
        // Many short values fill lines.
        let mut line = format!("{margin}[");
        for (index, item) in items.iter().enumerate() {
            let text = scalar(item, true);
            let end = if index + 1 == items.len() { "]" } else { "," };
            if line.chars().count() + text.chars().count() + 2 > WIDTH && !line.trim().is_empty() {
                out.push_str(&format!("{}\n", line.trim_end()));
                line = format!("{margin} ");
            }
            line.push_str(&format!("{text}{end} "));
        }
        out.push_str(&format!("{}\n", line.trim_end()));
        return;
    }
    for item in items {
        match (flow(item).filter(|line| indent + 2 + line.chars().count() <= WIDTH), item) {
            (Some(line), _) => out.push_str(&format!("{margin}- {line}\n")),
            (None, Value::Object(map)) => {
                let mut inside = String::new();
                entries(map, indent + 2, &mut inside);
                // The first line takes the dash, unless a comment stands there.
                match inside.trim_start().starts_with('#') {
                    true => out.push_str(&format!("{margin}-\n{inside}")),
                    false => out.push_str(&format!("{margin}- {}", inside.trim_start())),
                }
            }
            (None, Value::Array(items)) => {
                out.push_str(&format!("{margin}-\n"));
                list(items, indent + 2, out);
            }
            (None, value) => out.push_str(&format!("{margin}- {}\n", scalar(value, false))),
        }
    }
}

/// The value in one line; None if it holds comments or asks for lines.
fn flow(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => {
            if map.keys().any(|key| !is_data(key)) {
                return None;
            }
            let parts = map
                .iter()
                .map(|(key, part)| Some(format!("{}: {}", scalar(&Value::from(key.as_str()), true), flow(part)?)));
            let parts = parts.collect::<Option<Vec<_>>>()?;
            Some(if parts.is_empty() { "{}".into() } else { format!("{{ {} }}", parts.join(", ")) })
        }
        Value::Array(items) => {
            let parts = items.iter().map(flow).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", parts.join(", ")))
        }
        value => Some(scalar(value, true)),
    }
}

/// Lines of a comment, broken at spaces.
pub(super) fn comment_lines(text: &str, indent: usize, out: &mut String) {
    let margin = " ".repeat(indent);
    for part in text.split('\n') {
        let mut line = String::new();
        for word in part.split(' ') {
            if !line.is_empty() && indent + 2 + line.chars().count() + 1 + word.chars().count() > WIDTH {
                out.push_str(&format!("{margin}# {line}\n"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        out.push_str(format!("{margin}# {line}").trim_end());
        out.push('\n');
    }
}

fn scalar(value: &Value, inside: bool) -> String {
    match value {
        Value::String(text) if is_plain(text, inside) => text.clone(),
        Value::String(text) => quoted(text),
        value => value.to_string(),
    }
}

/// Can it stand without quotes; also inside `{ }`?
fn is_plain(text: &str, inside: bool) -> bool {
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let first = |letter: char| letter.is_ascii_alphabetic() || matches!(letter, '$' | '/' | '_');
    let good = |letter: char| letter.is_alphanumeric() || " $/_.;()+=*'@&!?~^<>|-…’–—".contains(letter);
    // `1.2.0` is no number.
    let is_digits = |part: &str| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_digit());
    if text.split('.').count() == 3 && text.split('.').all(is_digits) {
        return true;
    }
    let mut letters = text.chars().peekable();
    let mut middle = true;
    while let Some(letter) = letters.next() {
        middle &= good(letter)
            || (!inside && "[]{},".contains(letter))
            || (letter == ':' && letters.peek().is_some_and(|next| next.is_alphanumeric() || *next == '/'));
    }
    middle && text.starts_with(first) && !text.ends_with(' ') && !reserved.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            letter if is_shown(letter) => out.push(letter),
            letter if letter as u32 <= 0xffff => out.push_str(&format!("\\u{:04X}", letter as u32)),
            letter => out.push_str(&format!("\\U{:08X}", letter as u32)),
        }
    }
    out.push('"');
    out
}

/// A letter that stands in a file as it is: nothing that hides, turns the direction, or breaks a line.
pub(super) fn is_shown(letter: char) -> bool {
    let hidden = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{ffff}');
    !letter.is_control() && !hidden
}
