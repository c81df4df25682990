//! What values read, what is constant, and that nothing makes them panic; what they give is in `tests/cases/expr/`.

use super::*;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn reads_have_the_place_of_their_scalar() {
    let value = json!({
        "email": "$.contact.email",
        "a/b": ["{{contact.firstName}} {{default event.type \"-\"}}", 5],
        "$$set": "$.vars.x",
        "band": { "$first": ["$.a.b", "$.c.d"], "$map": { "x": "$.vars.hot" }, "$otherwise": "{{vars.cold}}" },
        "list": { "$each": "$.response.answers", "$to": { "title": "$.item.title", "who": "$.contact.id" } },
    });
    let reads = Expr::compile(&value).unwrap().reads();
    let read: Vec<(String, String)> = reads.into_iter().map(|read| (read.pointer, read.names.join("."))).collect();
    let expected = [
        ("/email", "contact.email"),
        ("/a~1b/0", "contact.firstName"),
        ("/a~1b/0", "event.type"),
        ("/$$set", "vars.x"),
        ("/band/$first/0", "a.b"),
        ("/band/$first/1", "c.d"),
        ("/band/$map/x", "vars.hot"),
        ("/band/$otherwise", "vars.cold"),
        ("/list/$each", "response.answers"),
        ("/list/$to/who", "contact.id"),
    ];
    assert_eq!(read, expected.map(|(pointer, names)| (pointer.to_owned(), names.to_owned())));
    for (pointer, _) in expected {
        assert!(value.pointer(pointer).is_some_and(Value::is_string), "{pointer}");
    }
}

#[test]
fn a_constant_is_known_before_any_event() {
    for (written, expected) in [
        (json!({ "a": [1, "x"] }), Some(json!({ "a": [1, "x"] }))),
        (json!("{{upper \"a\"}}"), Some(json!("A"))),
        (json!({ "$literal": "$.50" }), Some(json!("$.50"))),
        (json!({ "$from": "A", "$as": "lowercase" }), Some(json!("a"))),
        (json!({ "$from": "0770", "$as": "e164" }), None),
        (json!("{{date \"2026-07-20\" \"%d\"}}"), None),
        (json!(["$.a"]), None),
        (json!("{{a}}"), None),
    ] {
        assert_eq!(Expr::compile(&written).unwrap().constant(), expected, "{written}");
    }
}

#[test]
fn fields_are_laid_out() {
    let expr = Expr::compile(&json!({ "a": 1, "$$b": "$.x" })).unwrap();
    let names: Vec<&str> = expr.fields().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "$b"]);
    assert!(Expr::compile(&json!({ "$from": 1 })).unwrap().fields().is_none());
}

#[test]
fn blank_is_nothing_to_see() {
    for value in [json!(null), json!(""), json!(" \t\n\u{a0}"), json!([]), json!({})] {
        assert!(is_blank(Some(&value)), "{value}");
    }
    for value in [json!(0), json!(false), json!("a"), json!([null]), json!({ "a": null })] {
        assert!(!is_blank(Some(&value)), "{value}");
    }
    assert!(is_blank(None));
}

#[test]
fn what_would_grow_without_end_is_stopped() {
    let list: Vec<u32> = (0..2000).collect();
    let inner = json!({ "$each": "$.list", "$to": "{{item}}" });
    let expr = Expr::compile(&json!({ "$each": "$.list", "$to": inner })).unwrap();
    let fault = expr.eval(&Scope::new(&json!({ "list": list }), &Locale::default())).unwrap_err();
    assert!(fault.message.contains("too large"), "{}", fault.message);
}

#[test]
fn values_are_not_nested_without_end() {
    let nested = |count: usize| (0..count).fold(json!("$.a"), |inner, _| json!({ "$from": [inner] }));
    let expr = Expr::compile(&nested(DEPTH_MAX / 2)).unwrap();
    assert!(expr.eval(&Scope::new(&json!({ "a": 1 }), &Locale::default())).unwrap().is_some());
    assert_eq!(Expr::compile(&nested(DEPTH_MAX / 2 + 1)).unwrap_err()[0].code, "too-deep");
    assert_eq!(Expr::compile(&nested(100)).unwrap_err().len(), 1);
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        ".{0,12}",
        "\\$[.\\[]?[a-c'\\].*?@()0-9 ]{0,12}",
        "[ab]?\\{\\{[#/~]?[a-z .\"()\\[\\]@]{0,14}\\}\\}\\}?",
    ];
    let leaf = prop_oneof![text.prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)];
    let key = prop_oneof![
        "[a-c]",
        prop::sample::select(vec!["$from", "$first", "$each", "$to", "$as", "$map", "$add", "$otherwise", "$literal"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_value_panics(value in any_value(), data in any_value()) {
        if let Ok(expr) = Expr::compile(&value) {
            let locale = Locale::default();
            let scope = Scope::new(&data, &locale);
            let _ = (expr.eval(&scope), expr.reads(), expr.constant());
        }
    }
}
