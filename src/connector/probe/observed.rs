//! What records were seen to hold: names, kinds, and how often. No value is kept.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::connector::drift::{DEPTH_MAX, Seen, is_word};

/// Names of one map that are kept.
const NAMES_MAX: usize = 300;
/// A map with more names is one whose keys are data, as likely as not.
const FIELDS_MAX: usize = 40;

/// Maps that stood at one place.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub maps: usize,
    /// In the order in which they were first seen.
    pub fields: Vec<(String, Field)>,
    /// There were names that are no words.
    pub odd: bool,
}

/// Values that stood at one place.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub present: usize,
    pub seen: BTreeSet<Seen>,
    /// Texts that say an instant, a date, and neither.
    instants: usize,
    dates: usize,
    texts: usize,
    pub inside: Observed,
    pub items: Option<Box<Field>>,
}

impl Observed {
    pub fn see(&mut self, map: &Map<String, Value>, depth: usize) {
        self.maps += 1;
        for (name, value) in map {
            if !is_word(name) {
                self.odd = true;
                continue;
            }
            let place = match self.fields.iter().position(|(known, _)| known == name) {
                Some(place) => place,
                None if self.fields.len() >= NAMES_MAX => {
                    self.odd = true;
                    continue;
                }
                None => {
                    self.fields.push((name.clone(), Field::default()));
                    self.fields.len() - 1
                }
            };
            self.fields[place].1.see(value, depth);
        }
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, field)| field)
    }
}

impl Field {
    fn see(&mut self, value: &Value, depth: usize) {
        self.present += 1;
        let seen = Seen::of(value);
        if seen != Seen::Nothing {
            self.seen.insert(seen);
        }
        match value {
            Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => self.instants += 1,
            Value::String(text) if text.parse::<chrono::NaiveDate>().is_ok() => self.dates += 1,
            Value::String(_) => self.texts += 1,
            Value::Object(map) if depth < DEPTH_MAX => self.inside.see(map, depth + 1),
            Value::Array(items) if depth < DEPTH_MAX => {
                let field = self.items.get_or_insert_default();
                items.iter().for_each(|item| field.see(item, depth + 1));
            }
            _ => {}
        }
    }

    /// Only instants.
    pub fn is_time(&self) -> bool {
        self.instants > 0 && self.seen.len() == 1 && self.dates + self.texts == 0
    }

    /// A JSON Schema that takes what was seen.
    pub fn schema(&self) -> Value {
        let mut kinds: Vec<&str> = self.seen.iter().map(|seen| kind(*seen)).collect();
        if kinds.contains(&"number") {
            kinds.retain(|kind| *kind != "integer");
        }
        match kinds.as_slice() {
            [] => json!({}),
            ["string"] if self.is_time() => json!({ "type": "string", "format": "date-time" }),
            ["string"] if self.dates > 0 && self.instants + self.texts == 0 => {
                json!({ "type": "string", "format": "date" })
            }
            ["array"] => {
                let items = self.items.as_ref().map(|items| items.schema());
                match items.filter(|items| items.as_object().is_some_and(|items| !items.is_empty())) {
                    Some(items) => json!({ "type": "array", "items": items }),
                    None => json!({ "type": "array" }),
                }
            }
            ["object"] if self.inside.odd || self.inside.fields.is_empty() || self.inside.fields.len() > FIELDS_MAX => {
                json!({ "type": "object", "additionalProperties": true })
            }
            ["object"] => {
                let fields = self.inside.fields.iter().map(|(name, field)| (name.clone(), field.schema()));
                json!({ "type": "object", "properties": fields.collect::<Map<_, _>>() })
            }
            [one] => json!({ "type": one }),
            several => json!({ "type": several }),
        }
    }

    /// The kinds of values, as told to people.
    pub fn told(&self) -> String {
        let schema = self.schema();
        let words: Vec<&str> = self.seen.iter().map(|seen| seen.word()).collect();
        match words.as_slice() {
            [] => "always nothing".into(),
            [_] => crate::expr::FieldType::of_schema(&schema).describe(),
            several => several.join(" or "),
        }
    }
}

fn kind(seen: Seen) -> &'static str {
    match seen {
        Seen::Nothing => "null",
        Seen::Text => "string",
        Seen::Integer => "integer",
        Seen::Number => "number",
        Seen::Boolean => "boolean",
        Seen::List => "array",
        Seen::Map => "object",
    }
}
