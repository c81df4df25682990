//! Request lines: `POST /contacts/{id}/tags` against what was asked.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// A method and a path with holes.
#[derive(Clone, Debug)]
pub struct Line {
    pub method: String,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Fixed(String),
    Hole(String),
}

impl Line {
    /// # Errors
    /// One sentence.
    pub fn read(text: &str) -> Result<Line, String> {
        let (method, path) =
            text.split_once(' ').ok_or_else(|| format!("`{text}` is no request line such as `GET /items/{{id}}`"))?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if !path.starts_with('/') || !method.chars().all(|letter| letter.is_ascii_uppercase()) {
            return Err(format!("`{text}` is no request line such as `GET /items/{{id}}`"));
        }
        let segments = path[1..].split('/').map(|segment| {
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => Segment::Hole(name.to_owned()),
                None => Segment::Fixed(segment.to_owned()),
            }
        });
        Ok(Line { method: method.to_owned(), segments: segments.collect() })
    }

    /// What the holes hold, if the request is of this line.
    pub fn matches(&self, method: &str, path: &str) -> Option<Map<String, Value>> {
        if method != self.method || !path.starts_with('/') {
            return None;
        }
        let given: Vec<&str> = path[1..].split('/').collect();
        if given.len() != self.segments.len() {
            return None;
        }
        let mut holes = Map::new();
        for (segment, given) in self.segments.iter().zip(given) {
            let given = percent_decode_str(given).decode_utf8().ok()?;
            match segment {
                Segment::Fixed(text) if *text == given => {}
                Segment::Hole(name) if !given.is_empty() => {
                    holes.insert(name.clone(), Value::from(given.into_owned()));
                }
                _ => return None,
            }
        }
        Some(holes)
    }

    /// Lines with fixed segments before holes go first.
    pub fn rank(&self) -> Vec<bool> {
        self.segments.iter().map(|segment| matches!(segment, Segment::Hole(_))).collect()
    }

    /// The same requests, whatever the holes are called.
    pub fn same_as(&self, other: &Line) -> bool {
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Hole(_), Segment::Hole(_)) => true,
                (one, two) => one == two,
            })
    }
}
