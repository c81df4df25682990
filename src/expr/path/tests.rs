//! What paths give, what they read, and what is refused.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::expr::Locale;
use crate::source::worked;

fn data() -> Value {
    json!({
        "contact": { "email": "a@b.c", "none": null, "tags": ["x", "y", "z"], "a b": 1, "U.S. state": "NY" },
        "orders": [{ "id": 1, "price": 5 }, { "id": 2, "price": 50 }, { "id": 3, "price": null }],
        "limit": 10,
    })
}

#[test]
fn paths_give_values_or_lists_by_grammar() {
    let table: &[(&str, Option<Value>)] = &[
        ("$", Some(data())),
        ("$.contact.email", Some(json!("a@b.c"))),
        ("$['contact']['a b']", Some(json!(1))),
        ("$.contact[\"U.S. state\"]", Some(json!("NY"))),
        ("$.contact.tags[0]", Some(json!("x"))),
        ("$.contact.tags[-1]", Some(json!("z"))),
        ("$.contact.tags[-4]", None),
        ("$.contact.tags[3]", None),
        ("$.contact.tags", Some(json!(["x", "y", "z"]))),
        ("$.contact.none", None),
        ("$.contact.email.deeper", None),
        ("$.nobody.email", None),
        ("$.contact[0]", None),
        ("$.nobody[*]", Some(json!([]))),
        ("$.contact.tags[*]", Some(json!(["x", "y", "z"]))),
        ("$.contact.tags[1:]", Some(json!(["y", "z"]))),
        ("$.contact.tags[::-1]", Some(json!(["z", "y", "x"]))),
        ("$.contact.tags[0,2]", Some(json!(["x", "z"]))),
        ("$.orders[*].price", Some(json!([5, 50]))),
        ("$..id", Some(json!([1, 2, 3]))),
        ("$.orders[?@.price > $.limit].id", Some(json!([2]))),
        ("$.orders[?@.id == 1 || @.id == 3].id", Some(json!([1, 3]))),
        ("$.contact.tags[?match(@, '[xy]')]", Some(json!(["x", "y"]))),
        ("$[?length(@) == 3][0].id", Some(json!([1]))),
    ];
    let data = data();
    for (text, expected) in table {
        let path = Path::compile(text).expect(text);
        assert_eq!(path.get_in(&data), *expected, "{text}");
    }
}

#[test]
fn a_laid_over_name_is_the_first_name() {
    let (data, item, locale) = (data(), json!({ "id": 7, "list": [1, 2, 3] }), Locale::default());
    let scope = Scope::new(&data, &locale);
    let scope = scope.with("item", &item);
    for (text, expected) in [
        ("$.item.id", json!(7)),
        ("$['item'].list[*]", json!([1, 2, 3])),
        ("$.item.list[?@ < $.item.id && @ > 1]", json!([2, 3])),
        ("$.limit", json!(10)),
    ] {
        assert_eq!(Path::compile(text).unwrap().get(&scope), Some(expected), "{text}");
    }
}

#[test]
fn a_bare_value_can_be_the_root() {
    assert_eq!(Path::compile("$[1]").unwrap().get_in(&json!([1, 2])), Some(json!(2)));
    assert_eq!(Path::compile("$[*].a").unwrap().get_in(&json!([{ "a": 1 }])), Some(json!([1])));
    assert_eq!(Path::compile("$").unwrap().get_in(&Value::Null), None);
}

#[test]
fn reads_name_what_leads() {
    for (text, names, plural) in [
        ("$.contact.email", &["contact", "email"][..], false),
        ("$.contact.tags[0].x", &["contact", "tags"], false),
        ("$.contact.tags[*].x", &["contact", "tags"], true),
        ("$.contact['a b']", &["contact", "a b"], false),
        ("$..x", &[], true),
        ("$", &[], false),
    ] {
        let read = Path::compile(text).unwrap().read();
        assert_eq!(
            (read.names.as_slice(), read.plural),
            (&names.iter().map(|n| n.to_string()).collect::<Vec<_>>()[..], plural),
            "{text}"
        );
    }
}

#[test]
fn bad_paths_are_told() {
    let deep = format!("$.a[?{}1{} == 1]", "(".repeat(20), ")".repeat(20));
    let long = format!("$.{}", "a".repeat(5000));
    for (text, part) in [
        ("$.50", "from character"),
        ("$.my-id", "from character"),
        ("$.a[", "from character"),
        ("contact", "is no path"),
        (deep.as_str(), "nested"),
        (long.as_str(), "too long"),
        ("$.a[?@.b[?@.c]]", "filter"),
        ("$.a[?$..b]", "whole document"),
        ("$.a[?match(@.b, @.c)]", "constant"),
        ("$.a[?match(@.b, '[')]", "regular expression"),
    ] {
        let problem = Path::compile(text).expect_err(text);
        assert_eq!(problem.code, "bad-path");
        assert!(problem.message.contains(part), "{text}: {}", problem.message);
    }
}

#[test]
fn texts_that_would_cost_too_much_are_refused_at_once() {
    let nested = |count: usize| format!("$[?{}@.a{}]", "length(".repeat(count), ")".repeat(count));
    let texts = [
        nested(7),
        nested(8),
        nested(300),
        format!("$[?{}", "(".repeat(4000)),
        format!("$[?{}", "!".repeat(4000)),
        format!("${}", "[?@".repeat(1300)),
        format!("$[?{}", "@.a && ".repeat(500)),
        format!("$['{}", "\\'".repeat(2000)),
    ];
    let (_, took) = worked(|| texts.map(|text| Path::compile(&text)));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

proptest! {
    /// What is read without the parser is what the parser reads.
    #[test]
    fn a_plain_path_is_the_parsers(text in r"\$(\.?[a-zA-Z_0-9é \-\[\]']{0,3}){0,4}") {
        if let Some(steps) = plain(&text) {
            let query = parse_json_path(&text).expect("a path");
            let parsed: Option<Vec<Step>> = query.segments.iter().map(Step::read).collect();
            prop_assert_eq!(format!("{:?}", Some(steps)), format!("{parsed:?}"));
        }
    }
    #[test]
    fn no_text_panics(text in prop_oneof![".{0,60}", "\\$[.\\[\\]a-c*?@()'\"0-9:,<>=!&| -]{0,40}", "\\$(\\.[a-c]|\\[[0-9'a-c*:?@.=-]{1,8}\\]){0,5}"]) {
        if let Ok(path) = Path::compile(&text) {
            let _ = (path.get_in(&data()), path.read());
        }
    }
}
