//! Conditions that ask whether something has changed: what a loop does not write, it cannot answer with.

use serde_json::{Map, Value};

/// Fields of the event's record, of which one must have changed.
pub(super) type Need = Vec<String>;

/// What must have changed for a condition, as written, to hold: one field of each need. Empty where nothing is certain.
/// `record` is the name of the event's record.
pub(super) fn needs(condition: &Value, record: &str) -> Vec<Need> {
    match condition {
        Value::Array(all) => all.iter().flat_map(|one| needs(one, record)).collect(),
        Value::Object(lines) => lines.iter().flat_map(|(key, test)| line(key, test, record)).collect(),
        _ => Vec::new(),
    }
}

fn line(key: &str, test: &Value, record: &str) -> Vec<Need> {
    match (key, test) {
        ("all", all) => needs(all, record),
        ("any", Value::Array(ways)) => {
            // Each way must ask for a change; then one of all those fields must have changed.
            let asked: Option<Vec<Need>> = ways.iter().map(|way| needs(way, record).into_iter().next()).collect();
            asked.map(|asked| asked.concat()).into_iter().filter(|need| !need.is_empty()).collect()
        }
        ("$.event.changed", Value::Object(operators)) => changed_names(operators),
        (path, Value::Object(operators)) if operators.get("changed") == Some(&Value::Bool(true)) => {
            let field = path.strip_prefix("$.").and_then(|path| path.strip_prefix(record)?.strip_prefix('.'));
            field.map(|field| vec![field.to_owned()]).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// `contains: email`, `contains_any: [email, phone]`, `contains_all: [email, phone]`.
fn changed_names(operators: &Map<String, Value>) -> Vec<Need> {
    let texts = |value: &Value| -> Option<Need> {
        value.as_array()?.iter().map(|name| name.as_str().map(constant)?.map(String::from)).collect()
    };
    let of = |(operator, value): (&String, &Value)| match operator.as_str() {
        "contains" => value.as_str().and_then(constant).map(|name| vec![vec![name.to_owned()]]),
        "contains_any" => texts(value).filter(|names| !names.is_empty()).map(|names| vec![names]),
        "contains_all" => texts(value).map(|names| names.into_iter().map(|name| vec![name]).collect()),
        _ => None,
    };
    operators.iter().filter_map(of).flatten().collect()
}

fn constant(text: &str) -> Option<&str> {
    (!text.starts_with('$') && !text.contains("{{")).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_says_which_changes_it_asks_for() {
        for (condition, expected) in [
            (json!({ "$.event.changed": { "contains": "email" } }), vec![vec!["email"]]),
            (json!({ "$.event.changed": { "contains_any": ["email", "phone"] } }), vec![vec!["email", "phone"]]),
            (json!({ "$.event.changed": { "contains_all": ["email", "phone"] } }), vec![vec!["email"], vec!["phone"]]),
            (json!({ "$.contact.email": { "changed": true } }), vec![vec!["email"]]),
            (json!([{ "$.contact.address.city": { "changed": true } }, { "$.x": 1 }]), vec![vec!["address.city"]]),
            (
                json!({ "any": [{ "$.contact.a": { "changed": true } }, { "$.contact.b": { "changed": true } }] }),
                vec![vec!["a", "b"]],
            ),
            (json!({ "any": [{ "$.contact.a": { "changed": true } }, { "$.contact.b": 1 }] }), vec![]),
            (json!({ "not": { "$.contact.a": { "changed": true } } }), vec![]),
            (json!({ "$.contact.a": { "changed": false } }), vec![]),
            (json!({ "$.other.a": { "changed": true } }), vec![]),
            (json!({ "$.event.changed": { "contains": "$.vars.field" } }), vec![]),
            (json!({ "$.event.changed": { "contains_any": [] } }), vec![]),
        ] {
            assert_eq!(needs(&condition, "contact"), expected, "{condition}");
        }
    }
}
