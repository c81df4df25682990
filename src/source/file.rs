//! A YAML text read once: its value, and where each key and value stands.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::read::read;
use super::{Label, Report, Written};

/// A range of bytes in a file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A line in a file, as shown in run-time failures: `workflows/a.yaml:12:7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    pub path: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}:{}", self.path, self.line, self.column)
    }
}

/// A document as written: text, value, places.
#[derive(Clone, Debug)]
pub struct File {
    /// Relative to the project, `/` between folders.
    pub path: Arc<str>,
    pub text: Arc<str>,
    pub value: Value,
    /// It comes with the program, and its form was checked when that was built.
    pub is_shipped: bool,
    places: Places,
    /// Where each line begins, in bytes.
    lines: Arc<[usize]>,
}

/// Where a value stands, and its parts; a tree beside the value's, so that long keys cannot multiply into long
/// pointers.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    pub span: Span,
    pub parts: Parts,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Parts {
    #[default]
    None,
    List(Vec<Places>),
    /// By key: the key's span, the value's places.
    Map(HashMap<String, (Span, Places)>),
}

impl File {
    /// Reads one YAML document. Refuses duplicate keys, merge keys, custom tags, several documents and texts that are
    /// too big, too deep or alias-bombed; each refusal is a diagnostic with its place.
    ///
    /// # Errors
    /// All that is wrong with the text as YAML.
    pub fn read(path: &str, text: &str) -> Result<File, Report> {
        let mut file = File::unread(path, text);
        let (value, places) = read(&file)?;
        file.value = value;
        file.places = places;
        Ok(file)
    }

    /// A file as text only, without value or places: what `render_text` needs to show findings in a file that
    /// `read` refuses.
    pub fn unread(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.into(),
            value: Value::Null,
            is_shipped: false,
            places: Places::default(),
            lines: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
        }
    }

    /// The first key: it decides the document's kind.
    pub fn first_key(&self) -> Option<&str> {
        self.value.as_object()?.keys().next().map(String::as_str)
    }

    /// The span of the value under a JSON pointer; of the nearest enclosing value if there is none.
    pub fn span(&self, pointer: &str) -> Span {
        self.find(pointer).1
    }

    /// The span of the key under a JSON pointer; of the value if it has no key.
    pub fn key_span(&self, pointer: &str) -> Span {
        let (key, value) = self.find(pointer);
        key.unwrap_or(value)
    }

    pub fn place(&self, pointer: &str) -> Place {
        let (line, column) = self.line_and_column(self.span(pointer).start);
        Place { path: self.path.clone(), line, column }
    }

    pub fn label(&self, span: Span, text: impl Into<String>) -> Label {
        let (line, column) = self.line_and_column(span.start);
        Label { path: self.path.to_string(), span, line, column, text: text.into(), hidden: false }
    }

    /// How the text under a JSON pointer is written.
    pub fn written_at(&self, pointer: &str) -> Written {
        Written { start: self.place(pointer), text: self.written(self.span(pointer)).into() }
    }

    /// The text under a span, as written; empty if the span is not of this text.
    pub(super) fn written(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The span of the whole line that holds a byte, without its line break.
    pub(super) fn line_span(&self, at: usize) -> Span {
        let index = self.line_index(at);
        let start = self.lines[index];
        let end = self.lines.get(index + 1).map_or(self.text.len(), |next| next - 1);
        let text = &self.text[start..end];
        Span { start, end: start + text.strip_suffix('\r').unwrap_or(text).len() }
    }

    fn line_index(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// The line and the column of a byte: both from 1, columns in characters.
    pub fn line_and_column(&self, at: usize) -> (u32, u32) {
        let index = self.line_index(at);
        let start = self.lines[index];
        // Spans may come from anywhere, so a byte inside a character counts as that character.
        let at = self.text.floor_char_boundary(at.max(start));
        let before = &self.text[start..at];
        let before = if index == 0 { before.strip_prefix(BYTE_ORDER_MARK).unwrap_or(before) } else { before };
        (count(index + 1), count(before.chars().count() + 1))
    }

    fn find(&self, pointer: &str) -> (Option<Span>, Span) {
        let mut here = &self.places;
        let mut key = None;
        for step in pointer.split('/').skip(1) {
            let next = match &here.parts {
                Parts::None => None,
                Parts::List(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)).map(|item| (None, item)),
                Parts::Map(entries) => entries.get(unescape(step).as_ref()).map(|(span, places)| (Some(*span), places)),
            };
            let Some((span, places)) = next else { return (None, here.span) };
            (key, here) = (span, places);
        }
        (key, here.span)
    }
}

pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A step of a JSON pointer as a key (RFC 6901 section 4).
fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') { Cow::Owned(step.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(step) }
}

/// Lays one value over another: maps join at every depth, anything else is replaced.
pub fn lay_over(below: &mut Value, above: &Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (below, above) => below.clone_from(above),
    }
}

/// A JSON pointer one step down, escaped as RFC 6901 says.
pub fn under(pointer: &str, step: &str) -> String {
    let mut pointer = pointer.to_owned();
    go_down(&mut pointer, step);
    pointer
}

/// Takes a pointer to a member's; its length before leads back.
pub fn go_down(pointer: &mut String, step: &str) {
    pointer.push('/');
    if step.contains('~') || step.contains('/') {
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File::read("workflows/a.yaml", text).expect("the text is fine")
    }

    fn value_at<'a>(file: &'a File, pointer: &str) -> &'a str {
        file.written(file.span(pointer))
    }

    fn key_at<'a>(file: &'a File, pointer: &str) -> &'a str {
        file.written(file.key_span(pointer))
    }

    #[test]
    fn finds_keys_and_values_in_block_and_flow() {
        let file = file("workflow: hello\nwith:\n  list: [1, { q: \"two\" }]\n  items:\n    - a\n    - b: c\n");
        assert_eq!(file.first_key(), Some("workflow"));
        assert_eq!(value_at(&file, "/workflow"), "hello");
        assert_eq!(key_at(&file, "/workflow"), "workflow");
        assert_eq!(value_at(&file, "/with/list"), "[1, { q: \"two\" }]");
        assert_eq!(value_at(&file, "/with/list/1"), "{ q: \"two\" }");
        assert_eq!(value_at(&file, "/with/list/1/q"), "\"two\"");
        assert_eq!(key_at(&file, "/with/list/1/q"), "q");
        assert_eq!(value_at(&file, "/with/items"), "- a\n    - b: c");
        assert_eq!(key_at(&file, "/with/items/0"), "a", "a list item has no key");
        assert_eq!(value_at(&file, "/with/items/1"), "b: c");
        assert_eq!(file.place("/with/items/1/b").to_string(), "workflows/a.yaml:6:10");
    }

    #[test]
    fn a_list_begins_at_its_first_dash() {
        let file = file("a:\n- - 1\n  - 2\n- b: 3\n");
        assert_eq!(value_at(&file, "/a"), "- - 1\n  - 2\n- b: 3");
        assert_eq!(value_at(&file, "/a/0"), "- 1\n  - 2");
        assert_eq!(value_at(&file, "/a/0/1"), "2");
        assert_eq!(value_at(&file, "/a/1"), "b: 3");
    }

    #[test]
    fn falls_back_to_the_enclosing_value() {
        let file = file("a:\n  b: [1]\n");
        assert_eq!(value_at(&file, "/a/b/7"), "[1]");
        assert_eq!(value_at(&file, "/a/x/y/z"), "b: [1]");
        assert_eq!(key_at(&file, "/a/x"), "b: [1]");
        assert_eq!(value_at(&file, ""), "a:\n  b: [1]");
    }

    #[test]
    fn a_block_text_begins_at_its_first_line() {
        let file = file("a:\n  text: |\n    one\n    two\n\n  b: 1\n");
        assert_eq!(file.value["a"]["text"], "one\ntwo\n");
        assert_eq!(value_at(&file, "/a/text"), "one\n    two");
        assert_eq!(file.place("/a/text").to_string(), "workflows/a.yaml:3:5");
    }

    #[test]
    fn columns_count_characters() {
        let file = file("名前: { é: ü, b: \"ß\" }\n");
        assert_eq!(value_at(&file, "/名前/b"), "\"ß\"");
        assert_eq!(file.place("/名前/b").to_string(), "workflows/a.yaml:1:16");
    }

    #[test]
    fn pointers_escape_slash_and_tilde() {
        let file = file("a/b: 1\na~b: 2\n~1: 3\n");
        assert_eq!(value_at(&file, "/a~1b"), "1");
        assert_eq!(value_at(&file, "/a~0b"), "2");
        assert_eq!(value_at(&file, "/~01"), "3");
        assert_eq!(file.value.pointer("/~01"), Some(&Value::from(3)));
    }

    #[test]
    fn an_alias_stands_where_it_is_used_and_its_parts_where_they_are_written() {
        let file = file("a: &one { x: 1 }\nb: *one\n");
        assert_eq!(file.value["b"]["x"], 1);
        assert_eq!(value_at(&file, "/b"), "*one");
        assert_eq!(value_at(&file, "/a"), "{ x: 1 }");
        assert_eq!(file.place("/b").to_string(), "workflows/a.yaml:2:4");
        assert_eq!(file.place("/b/x").to_string(), "workflows/a.yaml:1:14");
    }

    #[test]
    fn byte_order_mark_and_windows_line_ends_do_not_shift_places() {
        let file = file("\u{feff}a: b\r\n\r\nc:\r\n  d: |\r\n    e\r\n");
        assert_eq!(file.first_key(), Some("a"));
        assert_eq!(file.place("/a").to_string(), "workflows/a.yaml:1:4");
        assert_eq!(file.place("/c/d").to_string(), "workflows/a.yaml:5:5");
        assert_eq!(file.value["c"]["d"], "e\n");
        assert_eq!(value_at(&file, "/c/d"), "e");
        assert_eq!(file.written(file.line_span(file.span("/a").start)), "\u{feff}a: b");
    }

    #[test]
    fn an_absent_value_stands_behind_its_key() {
        let file = file("a:\n\n# later\nb: 1\n");
        assert_eq!(file.value["a"], Value::Null);
        assert_eq!(file.place("/a").to_string(), "workflows/a.yaml:1:3");
    }

    #[test]
    fn a_label_never_panics() {
        let file = file("é: 1\n");
        for start in 0..20 {
            let label = file.label(Span { start, end: start }, "");
            assert!(label.line >= 1 && label.column >= 1);
        }
        assert_eq!(file.label(Span { start: 1, end: 2 }, "").column, 1);
    }
}
