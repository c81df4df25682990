//! From text to a value: JSON or YAML, as tolerant as real documents need, and bounded.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Refused;
use crate::source::tolerant;

/// The longest text.
pub const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
pub(super) const VALUES_MAX: usize = 1_000_000;

pub(super) fn read(text: &str, values_max: usize) -> Result<Value, Refused> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Refused::new("the document is larger than 16 MiB", "cut it down to the paths that you need"));
    }
    let text = text.trim_start_matches('\u{feff}');
    let wrong = match text.trim_start().starts_with('{') {
        true => match json(text, values_max) {
            Ok(value) => return Ok(value),
            Err(error) => Some(error.to_string()),
        },
        false => None,
    };
    // A JSON text with a comma too many is still YAML.
    tolerant(text, values_max).map_err(|error| {
        let why = wrong.unwrap_or(error);
        Refused::new(format!("the document cannot be read: {why}"), "an OpenAPI document is JSON or YAML")
    })
}

fn json(text: &str, values_max: usize) -> serde_json::Result<Value> {
    let left = Cell::new(values_max);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Counted(&left, values_max).deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Counts down how many values may still come.
#[derive(Clone, Copy)]
struct Counted<'a>(&'a Cell<usize>, usize);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => return Err(D::Error::custom(format!("it says more than {} values", self.1))),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(map.into())
    }
}
