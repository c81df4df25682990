//! What conditions read, and that nothing makes them panic; what they decide is in `tests/cases/expr/`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::expr::Locale;

#[test]
fn reads_are_those_of_both_sides() {
    let written = json!({
        "$.a.b": { "gt": "$.c.d", "lt": 5 },
        "any": [{ "$.e[*].f": { "contains": "{{g.h}}" } }, { "not": { "$.i": "x" } }],
    });
    let reads = Condition::compile(&written).unwrap().reads();
    let mut read: Vec<(String, String, bool)> =
        reads.into_iter().map(|read| (read.pointer, read.names.join("."), read.plural)).collect();
    read.sort();
    let expected = [
        ("/$.a.b", "a.b", false),
        ("/$.a.b/gt", "c.d", false),
        ("/any/0/$.e[*].f", "e", true),
        ("/any/0/$.e[*].f/contains", "g.h", false),
        ("/any/1/not/$.i", "i", false),
    ];
    assert_eq!(read, expected.map(|(pointer, names, plural)| (pointer.to_owned(), names.to_owned(), plural)));
}

#[test]
fn every_field_of_a_created_record_that_is_there_has_changed() {
    let data = json!({ "contact": { "email": "x", "phone": null }, "event": { "type": "created", "changed": [] } });
    let locale = Locale::default();
    let scope = Scope::new(&data, &locale);
    for (path, changed) in [("$.contact.email", true), ("$.contact.phone", false), ("$.contact.name", false)] {
        let condition = Condition::compile(&json!({ path: { "changed": true } })).unwrap();
        assert_eq!(condition.holds(&scope).unwrap(), changed, "{path}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let written = json!({ "$.a": { "grater": 1, "lt": true }, "b": 2, "any": [{ "$.[": 1 }] });
    let problems = Condition::compile(&written).unwrap_err();
    let mut places: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["/$.a/grater", "/$.a/lt", "/any/0/$.[", "/b"]);
}

#[test]
fn conditions_are_not_nested_without_end() {
    let mut written = json!({ "$.a": 1 });
    for _ in 0..100 {
        written = json!({ "not": written });
    }
    assert_eq!(Condition::compile(&written).unwrap_err()[0].code, "too-deep");
}

fn any_condition() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["$.a", "$.b[0]", "abc", "2026-07-20", "{{a}}", "["]).prop_map(Value::from),
        (-2i64..3).prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
    ];
    let keys: Vec<&'static str> =
        Operator::names().chain(["any", "all", "not", "$.a", "$.b", "$.b[*]", "$.c.d", "$from", "x"]).collect();
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(keys.clone()), inner, 0..3).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn no_condition_panics(written in any_condition(), a in any_condition(), b in any_condition()) {
        if let Ok(condition) = Condition::compile(&written) {
            let (data, locale) = (json!({ "a": a, "b": b }), Locale::default());
            let scope = Scope::new(&data, &locale);
            let _ = (condition.reads(), condition.holds(&scope));
            // `not` is the opposite, and refuses what is refused.
            let negated = Condition::compile(&json!({ "not": written })).unwrap();
            prop_assert_eq!(negated.holds(&scope).ok(), condition.holds(&scope).ok().map(|held| !held));
        }
    }
}
