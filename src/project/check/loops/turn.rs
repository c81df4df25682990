//! Values that go through a `$map` and back: does each come to rest?

use serde_json::Value;

use super::carry::{Carry, carry};
use crate::expr::text_of;

/// Do all values that the maps of a way round know come to rest? `written` are the values as written, in the order in
/// which one is carried on to the next, and the last to the first. False where that cannot be told.
///
/// A value that a map does not know ends the run, and so the loop.
pub(super) fn rests(written: &[&Value]) -> bool {
    let Some(turns) = written.iter().map(|written| Turn::of(written)).collect::<Option<Vec<Turn<'_>>>>() else {
        return false;
    };
    let maps = turns.iter().filter_map(|turn| match turn {
        Turn::Map(map, _) => Some(map),
        Turn::Same => None,
    });
    let mut values: Vec<String> = maps
        .flat_map(|map| map.iter())
        .flat_map(|(key, value)| [key.clone(), text_of(value)])
        .chain(
            turns
                .iter()
                .filter_map(|turn| if let Turn::Map(_, Some(other)) = turn { Some(text_of(other)) } else { None }),
        )
        .collect();
    values.sort_unstable();
    values.dedup();
    values.iter().all(|value| {
        let mut value = value.clone();
        // More ways round than there are values: it goes in a circle.
        for _ in 0..=values.len() {
            match turns.iter().try_fold(value.clone(), |value, turn| turn.of_value(&value)) {
                Some(next) if next != value => value = next,
                _ => return true,
            }
        }
        false
    })
}

enum Turn<'a> {
    Same,
    /// A `$map` of constants, and its `$otherwise`.
    Map(&'a serde_json::Map<String, Value>, Option<&'a Value>),
}

impl<'a> Turn<'a> {
    fn of(written: &'a Value) -> Option<Self> {
        if carry(written) == Carry::Same {
            return Some(Turn::Same);
        }
        let fields = written.as_object()?;
        let known = |key: &String| ["$from", "$map", "$otherwise"].contains(&key.as_str());
        let map = fields.get("$map")?.as_object()?;
        let otherwise = fields.get("$otherwise");
        let is_plain = fields.keys().all(known)
            && fields.get("$from").is_some_and(|from| carry(from) == Carry::Same)
            && map.values().chain(otherwise).all(is_constant);
        is_plain.then_some(Turn::Map(map, otherwise))
    }

    fn of_value(&self, value: &str) -> Option<String> {
        match self {
            Turn::Same => Some(value.to_owned()),
            Turn::Map(map, otherwise) => map.get(value).or(*otherwise).map(text_of),
        }
    }
}

fn is_constant(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.starts_with('$') && !text.contains("{{"),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_map_and_its_opposite_rest_and_a_turning_one_does_not() {
        let there =
            json!({ "$from": "$.task.completed", "$map": { "true": "done", "false": "open" }, "$otherwise": "open" });
        let back = json!({ "$from": "$.task.status", "$map": { "done": true, "open": false } });
        let swapped = json!({ "$from": "$.task.status", "$map": { "done": false, "open": true } });
        let path = json!("$.task.status");
        assert!(rests(&[&there, &back]));
        assert!(!rests(&[&there, &swapped]));
        assert!(rests(&[&there, &path]), "what the map does not know becomes `open`");
        let turning = json!({ "$from": "$.task.status", "$map": { "done": "open", "open": "done" } });
        assert!(!rests(&[&turning, &path]));
        assert!(rests(&[&turning, &turning]));
        assert!(!rests(&[&json!({ "$script": "task.status" }), &path]));
        assert!(!rests(&[&json!({ "$from": "$.task.status", "$map": { "done": "$.task.title" } }), &path]));
    }
}
