//! What becomes of a value that is carried from one record to another.

use serde_json::{Map, Value};

/// What a value is when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carry {
    /// Itself, perhaps tidied in a way that does nothing the second time, such as `lower`.
    Same,
    /// Another one; whether it comes back as it was depends on the way back.
    Changed,
    /// More than it was, so that it never is what it was: text around a hole, `$add`.
    Grown,
}

/// Helpers that do nothing to what they have made.
const TIDY_HELPERS: [&str; 7] = ["default", "first", "lower", "phone", "trim", "truncate", "upper"];
/// Conversions that do nothing to what they have made.
const TIDY_CONVERSIONS: [&str; 5] = ["boolean", "e164", "lowercase", "number", "set"];

/// What a value, as written, does to what it reads.
pub(super) fn carry(written: &Value) -> Carry {
    match written {
        Value::String(text) if text.contains("{{") && !text.starts_with("$.") => template(text),
        Value::Object(fields) if fields.keys().any(|key| key.starts_with('$') && !key.starts_with("$$")) => {
            instruction(fields)
        }
        Value::Array(items) => items.iter().map(carry).max().unwrap_or(Carry::Same).max(Carry::Changed),
        Value::Object(fields) => fields.values().map(carry).max().unwrap_or(Carry::Same),
        _ => Carry::Same,
    }
}

fn template(text: &str) -> Carry {
    if text.contains("{{#") {
        return Carry::Changed;
    }
    let hole = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let Some(hole) = hole.filter(|hole| !hole.contains("{{")) else { return Carry::Grown };
    let mut words = hole.trim_matches(['{', '}', '~', ' ']).split_whitespace();
    let (first, alone) = (words.next().unwrap_or_default(), words.next().is_none());
    match first {
        "add" => Carry::Grown,
        _ if alone => Carry::Same,
        _ if TIDY_HELPERS.contains(&first) && !hole.contains('(') => Carry::Same,
        _ => Carry::Changed,
    }
}

fn instruction(fields: &Map<String, Value>) -> Carry {
    let key = |(key, value): (&String, &Value)| match key.as_str() {
        "$from" | "$otherwise" => carry(value),
        // The first that is there is itself.
        "$first" => match value {
            Value::Array(items) => items.iter().map(carry).max().unwrap_or(Carry::Same),
            value => carry(value),
        },
        "$literal" => Carry::Same,
        "$as" if value.as_str().is_some_and(|name| TIDY_CONVERSIONS.contains(&name)) => Carry::Same,
        "$add" => Carry::Grown,
        _ => Carry::Changed,
    };
    fields.iter().map(key).max().unwrap_or(Carry::Same)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_says_whether_a_value_grows() {
        for (written, expected) in [
            (json!("$.contact.name"), Carry::Same),
            (json!("{{contact.name}}"), Carry::Same),
            (json!(" {{ lower contact.email }} "), Carry::Same),
            (json!("{{default contact.name \"-\"}}"), Carry::Same),
            (json!({ "$from": "$.contact.email", "$as": "lowercase" }), Carry::Same),
            (json!({ "$first": ["$.contact.name", "$.contact.email"], "$otherwise": "none" }), Carry::Same),
            (json!({ "$from": "$.contact.stage", "$map": { "a": "b" } }), Carry::Changed),
            (json!({ "$from": "$.contact.open", "$as": "not" }), Carry::Changed),
            (json!({ "$script": "contact.name" }), Carry::Changed),
            (json!("{{replace contact.name \"a\" \"b\"}}"), Carry::Changed),
            (json!("{{lower (join contact.tags \",\")}}"), Carry::Changed),
            (json!("{{#if contact.name}}yes{{/if}}"), Carry::Changed),
            (json!(["$.contact.name"]), Carry::Changed),
            (json!("{{contact.name}}!"), Carry::Grown),
            (json!("{{contact.firstName}} {{contact.lastName}}"), Carry::Grown),
            (json!("{{add contact.visits 1}}"), Carry::Grown),
            (json!({ "$from": "$.contact.visits", "$add": 1 }), Carry::Grown),
            (json!({ "$from": "{{contact.name}}!", "$as": "lowercase" }), Carry::Grown),
        ] {
            assert_eq!(carry(&written), expected, "{written}");
        }
    }
}
