//! The value as it grows: what is open, what waits for a value, what may still be read.

use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Span as Range, StructureStyle, Tag};

use super::{Reader, Stop, span, tag_span};
use crate::source::file::{Parts, Places};
use crate::source::refusal::{self, ALIASES_MAX, DEPTH_MAX, READ_BYTES_MAX, VALUES_MAX};
use crate::source::{Span, syntax};

#[derive(Clone)]
pub(super) struct Node {
    pub value: Value,
    pub places: Places,
    /// What repeating it costs.
    pub values: usize,
    pub bytes: usize,
    pub height: usize,
}

pub(super) struct Frame {
    pub start: usize,
    pub flow: bool,
    pub anchor: usize,
    pub values: usize,
    pub bytes: usize,
    pub height: usize,
    pub parts: Building,
}

pub(super) enum Building {
    List(Vec<Value>, Vec<Places>),
    Map { entries: Map<String, Value>, places: HashMap<String, (Span, Places)>, key: Option<Key> },
}

/// A key that waits for its value. Without text it is refused already, and its value is read only to get past it.
pub(super) struct Key {
    pub text: Option<String>,
    pub span: Span,
}

impl Reader<'_> {
    pub(super) fn open(
        &mut self,
        parts: Building,
        style: StructureStyle,
        anchor: usize,
        tag: Option<&Tag>,
        range: &Range,
    ) -> Result<(), Stop> {
        let start = self.start_of(&parts, style, span(range).start);
        if self.frames.len() >= DEPTH_MAX {
            return Err(self.stop(refusal::too_deep(self.file, span(range))));
        }
        let wanted = if matches!(parts, Building::List(..)) { "seq" } else { "map" };
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema_tag(wanted)) {
            self.note(refusal::tag_refused(self.file, &tag.original(), tag_span(range)))?;
        }
        self.charge(1, 0, span(range))?;
        let flow = style == StructureStyle::Flow;
        self.frames.push(Frame { start, flow, anchor, values: 1, bytes: 0, height: 0, parts });
        Ok(())
    }

    /// Where a map or list begins. The parser places a list that is not indented below its key behind its first `-`.
    fn start_of(&self, parts: &Building, style: StructureStyle, noticed: usize) -> usize {
        let below_key = matches!(self.frames.last(), Some(Frame { parts: Building::Map { .. }, .. }));
        if style == StructureStyle::Flow || matches!(parts, Building::Map { .. }) || !below_key {
            return noticed;
        }
        let before = self.file.text[..noticed].trim_end_matches([' ', '\t', '\r', '\n']);
        if before.ends_with('-') { before.len() - 1 } else { noticed }
    }

    pub(super) fn close(&mut self, end: usize) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        // The parser sees the end of a block only at what comes after it.
        let end = if frame.flow { end } else { self.reached.end.max(frame.start) };
        self.reached.end = end;
        let span = Span { start: frame.start, end };
        let (value, parts) = match frame.parts {
            Building::List(items, places) => (Value::Array(items), Parts::List(places)),
            Building::Map { entries, places, .. } => (Value::Object(entries), Parts::Map(places)),
        };
        let node = Node {
            value,
            places: Places { span, parts },
            values: frame.values,
            bytes: frame.bytes,
            height: frame.height + 1,
        };
        if self.waits_for_key() {
            self.note(syntax::collection_as_key(self.file, span))?;
            self.wait_for_value(Key { text: None, span });
            return Ok(());
        }
        self.put_counted(node, frame.anchor)
    }

    pub(super) fn alias(&mut self, anchor: usize, place: Span) -> Result<(), Stop> {
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            return Err(self.stop(refusal::too_many_aliases(self.file, place)));
        }
        if self.waits_for_key() {
            self.note(refusal::alias_as_key(self.file, place))?;
            self.wait_for_value(Key { text: None, span: place });
            return Ok(());
        }
        // An anchor without a node is still open: the alias stands inside what it repeats.
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.stop(refusal::endless(self.file, place)));
        };
        if self.frames.len() + node.height > DEPTH_MAX {
            return Err(self.stop(refusal::too_deep(self.file, place)));
        }
        let (values, bytes) = (node.values, node.bytes);
        self.charge(values, bytes, place)?;
        let mut node = self.anchors[&anchor].clone();
        node.places.span = place;
        self.put_counted(node, 0)
    }

    pub(super) fn put(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        self.charge(node.values, node.bytes, node.places.span)?;
        self.put_counted(node, anchor)
    }

    /// Adds a value whose parts are counted to what is open.
    fn put_counted(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor != 0 {
            // Remembering copies, and anchors can nest: the copy counts as well.
            self.charge(node.values, node.bytes, node.places.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.values += node.values;
        frame.bytes += node.bytes;
        frame.height = frame.height.max(node.height);
        match &mut frame.parts {
            Building::List(items, places) => {
                items.push(node.value);
                places.push(node.places);
            }
            Building::Map { entries, places, key } => {
                if let Some(Key { text: Some(text), span }) = key.take() {
                    frame.bytes += text.len();
                    places.insert(text.clone(), (span, node.places));
                    entries.insert(text, node.value);
                }
            }
        }
        Ok(())
    }

    pub(super) fn charge(&mut self, values: usize, bytes: usize, place: Span) -> Result<(), Stop> {
        self.values += values;
        self.bytes += bytes;
        if self.values > VALUES_MAX || self.bytes > READ_BYTES_MAX {
            return Err(self.stop(refusal::too_many_values(self.file, place)));
        }
        Ok(())
    }
}
