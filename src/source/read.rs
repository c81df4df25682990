//! From YAML text to a value and its places, in one pass over the parser's events.
//!
//! The events are those of the parser inside serde-saphyr. Its `Spanned` knows where a value begins; the events also
//! know where it ends, where the other of two equal keys stands, and which bracket was never closed.
//! Work and memory are bounded whatever the text: depth, values and bytes are counted as they come, aliases in full.

mod tree;

use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span as Range, Tag};

use self::tree::{Building, Frame, Key, Node};
use super::file::{Parts, Places};
use super::refusal::{self, FINDINGS_MAX, TEXT_BYTES_MAX};
use super::{Diagnostic, File, Report, Span, scalar, syntax};

/// Reads the text of a file that has no value yet.
pub(super) fn read(file: &File) -> Result<(Value, Places), Report> {
    let mut reader = Reader::new(file);
    let read = reader.read();
    match reader.root {
        Some(node) if read.is_ok() && !reader.report.has_errors() => Ok((node.value, node.places)),
        _ => Err(reader.report),
    }
}

/// What reading has open, for messages about a text that stops fitting.
pub(super) struct Reached {
    /// Where the last complete piece ended.
    pub end: usize,
    /// The last text, if nothing came after it.
    pub text: Option<Span>,
    /// The innermost bracket that is open.
    pub bracket: Option<usize>,
}

/// Nothing more can be read; the report says why.
struct Stop;

struct Reader<'file> {
    file: &'file File,
    report: Report,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    values: usize,
    bytes: usize,
    aliases: usize,
    reached: Reached,
}

impl<'file> Reader<'file> {
    fn new(file: &'file File) -> Self {
        Self {
            file,
            report: Report::default(),
            frames: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            values: 0,
            bytes: 0,
            aliases: 0,
            reached: Reached { end: 0, text: None, bracket: None },
        }
    }

    fn read(&mut self) -> Result<(), Stop> {
        let file = self.file;
        if file.text.len() > TEXT_BYTES_MAX {
            return Err(self.stop(refusal::too_large(file)));
        }
        if let Some(start) = file.text.find(char::REPLACEMENT_CHARACTER) {
            let mark = Span { start, end: start + char::REPLACEMENT_CHARACTER.len_utf8() };
            return Err(self.stop(refusal::no_utf8(file, mark)));
        }
        let mut documents = 0;
        for event in Parser::new_from_str(&file.text) {
            let (event, range) = event.map_err(|error| {
                self.reached.bracket = self
                    .frames
                    .iter()
                    .rev()
                    .map(|frame| frame.start)
                    .find(|start| file.text[*start..].starts_with(['[', '{']));
                self.stop(syntax::explain(file, &error, &self.reached))
            })?;
            if let Event::DocumentStart(..) = event {
                documents += 1;
                if documents > 1 {
                    return Err(self.stop(refusal::several_documents(file, span(&range))));
                }
            }
            self.take(event, &range)?;
        }
        if self.root.as_ref().is_none_or(|root| root.value.is_null() && file.written(root.places.span).is_empty()) {
            return Err(self.stop(refusal::empty(file)));
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, range: &Range) -> Result<(), Stop> {
        let here = span(range);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let absent = here.start == here.end && style == ScalarStyle::Plain;
                let text = if absent { "" } else { text.as_ref() };
                let place = if absent { self.behind_key(here) } else { trimmed(self.file, here) };
                let tag = tag.map(|tag| (tag.into_owned(), tag_span(range)));
                self.scalar(text, style, anchor, tag, place)?;
                (self.reached.end, self.reached.text) = (place.end, Some(place));
            }
            Event::Alias(anchor) => {
                self.alias(anchor, here)?;
                (self.reached.end, self.reached.text) = (here.end, None);
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.open(Building::List(Vec::new(), Vec::new()), style, anchor, tag.as_deref(), range)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                let parts = Building::Map { entries: Map::new(), places: HashMap::new(), key: None };
                self.open(parts, style, anchor, tag.as_deref(), range)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(here.end)?;
                self.reached.text = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// An absent value stands right behind the `:` of its key, wherever the parser noticed its absence.
    fn behind_key(&self, noticed: Span) -> Span {
        let Some(Frame { parts: Building::Map { key: Some(key), .. }, .. }) = self.frames.last() else {
            return noticed;
        };
        let behind = &self.file.text[key.span.end..];
        let blank = behind.len() - behind.trim_start_matches([' ', '\t']).len();
        let at = if behind[blank..].starts_with(':') { key.span.end + blank + 1 } else { key.span.end };
        Span { start: at, end: at }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<(Tag, Span)>,
        place: Span,
    ) -> Result<(), Stop> {
        if self.waits_for_key() {
            return self.key(text, style, tag, place);
        }
        let value = match &tag {
            Some((tag, tag_place)) => match tagged(text, tag) {
                Some(value) => value,
                None => return self.place_broken(refusal::tag_refused(self.file, &tag.original(), *tag_place), place),
            },
            None if style == ScalarStyle::Plain => match scalar::plain(text) {
                Some(value) => value,
                None => return self.place_broken(refusal::bad_number(self.file, text, place), place),
            },
            None => Value::String(text.to_owned()),
        };
        let bytes = text.len();
        self.put(
            Node { value, places: Places { span: place, parts: Parts::None }, values: 1, bytes, height: 0 },
            anchor,
        )
    }

    /// Notes a finding and goes on as if nothing stood there.
    fn place_broken(&mut self, finding: Diagnostic, place: Span) -> Result<(), Stop> {
        self.note(finding)?;
        let places = Places { span: place, parts: Parts::None };
        self.put(Node { value: Value::Null, places, values: 1, bytes: 0, height: 0 }, 0)
    }

    /// Notes a finding to go on after it. A mistake may be met twice in a row, as a strange key and as the end of what
    /// can be read. After a hundred findings reading stops, so that a hostile text cannot make a report without bound.
    fn note(&mut self, finding: Diagnostic) -> Result<(), Stop> {
        if self.report.diagnostics.last() != Some(&finding) {
            self.report.push(finding);
        }
        if self.report.diagnostics.len() < FINDINGS_MAX {
            return Ok(());
        }
        self.report.leave_out(&self.file.path, 0);
        Err(Stop)
    }

    fn stop(&mut self, finding: Diagnostic) -> Stop {
        self.note(finding).err().unwrap_or(Stop)
    }

    fn waits_for_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { parts: Building::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, tag: Option<(Tag, Span)>, place: Span) -> Result<(), Stop> {
        let plain = style == ScalarStyle::Plain;
        let refused = if let Some((tag, tag_place)) = tag.filter(|(tag, _)| !tag.is_yaml_core_schema_tag("str")) {
            Some(refusal::tag_refused(self.file, &tag.original(), tag_place))
        } else if plain && text == "<<" {
            Some(refusal::merge_key(self.file, place))
        } else if plain && text.is_empty() {
            Some(refusal::no_key(self.file, place))
        } else {
            self.first_use(text).map(|first| refusal::duplicate_key(self.file, text, first, place))
        };
        let fine = refused.is_none();
        if let Some(finding) = refused {
            self.note(finding)?;
        }
        self.charge(0, text.len(), place)?;
        self.wait_for_value(Key { text: fine.then(|| text.to_owned()), span: place });
        Ok(())
    }

    fn first_use(&self, key: &str) -> Option<Span> {
        match self.frames.last() {
            Some(Frame { parts: Building::Map { places, .. }, .. }) => places.get(key).map(|(span, _)| *span),
            _ => None,
        }
    }

    fn wait_for_value(&mut self, waiting: Key) {
        if let Some(Frame { parts: Building::Map { key, .. }, .. }) = self.frames.last_mut() {
            *key = Some(waiting);
        }
    }
}

/// A scalar with a tag of the core schema; `None` if the tag is another's or does not fit the text.
fn tagged(text: &str, tag: &Tag) -> Option<Value> {
    let value = match tag.core_suffix()? {
        "str" => return Some(Value::String(text.to_owned())),
        kind => (kind, scalar::plain(text)?),
    };
    match value {
        ("null", Value::Null) => Some(Value::Null),
        ("bool", value @ Value::Bool(_)) => Some(value),
        ("int", value @ Value::Number(_)) if !value.is_f64() => Some(value),
        ("float", value @ Value::Number(_)) => Some(value),
        _ => None,
    }
}

fn span(range: &Range) -> Span {
    let range = range.byte_range().unwrap_or_default();
    Span { start: range.start, end: range.end.max(range.start) }
}

fn tag_span(range: &Range) -> Span {
    span(&range.tag_span().unwrap_or(*range))
}

/// The span without the blank lines that follow a text in a block.
fn trimmed(file: &File, place: Span) -> Span {
    let kept = file.written(place).trim_end_matches([' ', '\t', '\r', '\n']).len();
    Span { start: place.start, end: place.start + kept }
}

#[cfg(test)]
mod tests;
