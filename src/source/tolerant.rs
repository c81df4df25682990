//! Other people's YAML, of which only the value is wanted: taken as it is meant, within bounds.
//!
//! Keys may be numbers (`200:`), of two equal keys the last one counts, `<<` merges, tags mean nothing. What is not ours to
//! mend is not refused; depth and values are counted as they come, aliases in full.

use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use super::scalar;

const DEPTH_MAX: usize = 100;

/// The value of a YAML text.
///
/// # Errors
/// One sentence: the text is no YAML, nests deeper than 100 levels, or says more than `values_max` values.
pub fn tolerant(text: &str, values_max: usize) -> Result<Value, String> {
    let mut reader = Reader { left: values_max, values_max, ..Reader::default() };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, range) = event.map_err(|error| error.to_string())?;
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                return Err(format!("a second document begins in line {}", range.start.line()));
            }
        }
        reader.take(event)?;
    }
    Ok(reader.root.map_or(Value::Null, |(value, _)| value))
}

/// What is open: a list, or a map with the key whose value comes next.
struct Frame {
    parts: Parts,
    anchor: usize,
    values: usize,
}

enum Parts {
    List(Vec<Value>),
    Map { entries: Map<String, Value>, merged: Vec<Value>, key: Option<String> },
}

#[derive(Default)]
struct Reader {
    frames: Vec<Frame>,
    /// Each with how many values it holds.
    anchors: HashMap<usize, (Value, usize)>,
    root: Option<(Value, usize)>,
    left: usize,
    values_max: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = match style {
                    // A number that cannot be kept is what was written.
                    ScalarStyle::Plain => scalar::plain(&text).unwrap_or_else(|| text.as_ref().into()),
                    _ => text.as_ref().into(),
                };
                self.put(value, 1, anchor)
            }
            Event::Alias(anchor) => {
                let found = self.anchors.get(&anchor).cloned();
                let (value, values) = found.ok_or("a value repeats itself without end")?;
                self.put(value, values, 0)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Parts::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => {
                let parts = Parts::Map { entries: Map::new(), merged: Vec::new(), key: None };
                self.open(parts, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(frame) => {
                    let (anchor, values) = (frame.anchor, frame.values);
                    self.put_counted(whole(frame.parts), values + 1, anchor)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, parts: Parts, anchor: usize) -> Result<(), String> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(format!("maps and lists are nested deeper than {DEPTH_MAX} levels"));
        }
        self.charge(1)?;
        self.frames.push(Frame { parts, anchor, values: 0 });
        Ok(())
    }

    fn put(&mut self, value: Value, values: usize, anchor: usize) -> Result<(), String> {
        self.charge(values)?;
        self.put_counted(value, values, anchor)
    }

    fn put_counted(&mut self, value: Value, values: usize, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            // What is remembered is a copy, and counts as well.
            self.charge(values)?;
            self.anchors.insert(anchor, (value.clone(), values));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some((value, values));
            return Ok(());
        };
        frame.values += values;
        match &mut frame.parts {
            Parts::List(items) => items.push(value),
            Parts::Map { entries, merged, key } => match key.take() {
                None => *key = Some(key_of(value)?),
                Some(name) if name == "<<" && (value.is_object() || value.is_array()) => merged.push(value),
                Some(name) => drop(entries.insert(name, value)),
            },
        }
        Ok(())
    }

    fn charge(&mut self, values: usize) -> Result<(), String> {
        let left = self.left.checked_sub(values);
        self.left = left.ok_or_else(|| format!("it says more than {} values", self.values_max))?;
        Ok(())
    }
}

fn key_of(value: Value) -> Result<String, String> {
    match value {
        Value::String(key) => Ok(key),
        Value::Array(_) | Value::Object(_) => Err("a list or a map stands where a key is expected".into()),
        value => Ok(value.to_string()),
    }
}

fn whole(parts: Parts) -> Value {
    match parts {
        Parts::List(items) => items.into(),
        Parts::Map { mut entries, merged, .. } => {
            let several = merged.into_iter().flat_map(|value| match value {
                Value::Array(maps) => maps,
                value => vec![value],
            });
            for value in several {
                let Value::Object(more) = value else { continue };
                for (key, value) in more {
                    entries.entry(key).or_insert(value);
                }
            }
            entries.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::tolerant;

    #[test]
    fn what_people_write_is_taken_as_it_is_meant() {
        let text = "200: ok\ntrue: 1\na: &a { x: 1, y: 2 }\nb: { <<: *a, y: 3 }\nc: { <<: [*a, { z: 4 }] }\nd: 1\nd: 2\n\
                    e: !tag text\nf: .inf\ng: 012\nh: ~\n? i\n: |\n  long\n";
        let read = json!({
            "200": "ok", "true": 1, "a": { "x": 1, "y": 2 }, "b": { "y": 3, "x": 1 }, "c": { "x": 1, "y": 2, "z": 4 }, "d": 2,
            "e": "text", "f": ".inf", "g": "012", "h": null, "i": "long\n",
        });
        assert_eq!(tolerant(text, 100), Ok(read));
        assert_eq!(tolerant("", 1), Ok(json!(null)));
        assert_eq!(tolerant("# nothing", 1), Ok(json!(null)));
    }

    #[test]
    fn what_is_no_yaml_or_too_much_is_refused() {
        let refused = |text: &str| tolerant(text, 50).expect_err(text);
        assert!(refused("a: [1").contains("line 1"), "{}", refused("a: [1"));
        assert!(refused(&"[".repeat(100_000)).contains("recursion limit"));
        assert_eq!(
            tolerant(&format!("{}x", "- ".repeat(101)), 500),
            Err("maps and lists are nested deeper than 100 levels".into())
        );
        assert_eq!(refused(&"- 1\n".repeat(50)), "it says more than 50 values");
        assert_eq!(
            refused("a: &a [1, 2, 3, 4, 5, 6, 7]\nb: &b [*a, *a, *a]\nc: [*b, *b]"),
            "it says more than 50 values"
        );
        assert_eq!(refused("a: &a [*a]"), "a value repeats itself without end");
        assert_eq!(refused("[1]: 2"), "a list or a map stands where a key is expected");
        assert_eq!(refused("a: 1\n---\nb: 1"), "a second document begins in line 2");
    }
}
