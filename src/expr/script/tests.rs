//! Hostile scripts end soon, values survive the way in and out, and nothing panics.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::expr::Locale;
use crate::source::worked;

fn given(text: &str, data: &Value) -> Result<Option<Value>, String> {
    let script = match Script::compile(&Value::from(text)) {
        (Some(script), problems) if problems.is_empty() => script,
        (_, mut problems) => return Err(problems.remove(0).message),
    };
    script.eval(&Scope::new(data, &Locale::default())).map_err(|fault| fault.message)
}

/// On a stack as small as those on which runs live.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(test).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_runaway_script_ends_within_a_second() {
    on_a_small_stack(|| {
        let list: Vec<u32> = (0..10_000).collect();
        let data = json!({ "list": list, "note": "x".repeat(200_000) });
        for text in [
            "loop {}",
            "let a = 0; while true { a += 1 }",
            "for x in 0..9000000000000 { }",
            "fn f(x) { f(x + 1) } f(1)",
            "fn f(x) { let a = [x, x, x]; f(a) } f(1)",
            "let s = \"x\"; loop { s += s }",
            "let s = \"\"; s.pad(1000000000, 'x'); s",
            "let a = [1]; loop { a += a }",
            "let a = []; loop { a.push(1) }",
            "let a = []; a.pad(1000000000, 1); a",
            "let a = []; loop { a = [a] }",
            "let m = #{}; loop { m = #{ a: m } }",
            "let m = #{}; for i in 0..1000000 { m[note + i] = i } m",
            "let a = []; loop { a.push(note) }",
            "let a = []; loop { a.push(list) }",
            "loop { let b = list; }",
            "loop { list.to_string() }",
            "loop { list == list }",
            "loop { list.contains(-1) }",
            "let a = list; loop { a.sort() }",
            "loop { note.to_upper() }",
            "loop { note.split(\"\") }",
            "loop { note.contains(\"y\") }",
            "list.map(|x| list.map(|y| y / 2))",
            "try { loop {} } catch { loop {} }",
            "loop { try { loop {} } catch {} }",
        ] {
            let (fault, took) = worked(|| given(text, &data).unwrap_err());
            assert!(took < Duration::from_secs(1), "{text}: {took:?}");
            assert!(fault.contains("too") || fault.contains("grows beyond"), "{text}: {fault}");
        }
    });
}

#[test]
fn a_script_that_is_nested_without_end_is_refused() {
    on_a_small_stack(|| {
        for (open, middle, close) in
            [("(", "1", ")"), ("[", "", "]"), ("-", "1", ""), ("!", "true", ""), ("#{a:", "1", "}"), ("{", "1", "}")]
        {
            for count in [10, 30, 100, 1000, 3000] {
                let text = format!("{}{middle}{}", open.repeat(count), close.repeat(count));
                let _ = given(&text, &Value::Null);
            }
        }
        for link in [".a", "?.a", "[0]", ".to_string()", " + 1", " ?? 1", " && true", ".map(|x| x)"] {
            for count in [10, 100, 300] {
                let _ = given(&format!("x{}", link.repeat(count)), &json!({ "x": 1 }));
            }
        }
        let _ = given(&format!("if true {{ 1 }}{}", " else if true { 1 }".repeat(150)), &Value::Null);
        let _ = given(&"`${".repeat(1000), &Value::Null);
    });
}

#[test]
fn many_scripts_in_one_value_share_its_work() {
    let list: Vec<u32> = (0..1000).collect();
    let value = json!({ "$each": "$.list", "$to": { "$script": "let a = item; for i in 0..50000 { a += i } a" } });
    let expr = crate::expr::Expr::compile(&value).unwrap();
    let data = json!({ "list": list });
    let (_, took) = worked(|| expr.eval(&Scope::new(&data, &Locale::default())).unwrap_err());
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn reads_are_the_paths_outside() {
    let text = "let own = contact.email; for one in response.answers { own += one.x; }\n\
                people.filter(|p| p.age > vars.least && person?.custom.band == own_of(p)); fn own_of(x) { run.now }";
    let script = Script::compile(&Value::from(text)).0.unwrap();
    let reads: Vec<(String, String)> =
        script.reads().into_iter().map(|read| (read.names.join("."), text[read.part.unwrap()].to_owned())).collect();
    let expected = [
        ("contact.email", "contact.email"),
        ("response.answers", "response.answers"),
        ("people", "people"),
        ("person.custom.band", "person?.custom.band"),
        ("run.now", "run.now"),
        ("vars.least", "vars.least"),
    ];
    let mut sorted = reads;
    sorted.sort();
    let mut expected = expected.map(|(names, text)| (names.to_owned(), text.to_owned())).to_vec();
    expected.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn a_problem_is_where_it_is_written() {
    for (text, wrong) in [
        ("contact.email == 'Ada'", "'"),
        ("let a = 1;\nlet b = a and 2;", "and"),
        ("let a = (1;", ";"),
        ("eval(1)", "eval"),
    ] {
        let problem = Script::compile(&Value::from(text)).1.remove(0);
        assert_eq!(&text[problem.part.unwrap()], wrong, "{text}");
    }
}

/// What has no null in it; the rest is left out.
fn any_data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("a number", |number| number.is_finite()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1,2}", inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_script() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a", "b", "let x =", "x", ";", "(", ")", "{", "}", "[", "]", ".", "?.", "|x|", "fn f(x)", "f", ".map(",
        ".len()", ".filter(", "for x in", "loop", "if", "else", "\"é\"", "'", "1", "2.5", "+", "-", "==", ">", "&&",
        "??", "`${", "}`", "#{", "switch", "=>", ",", "\n", "return", "throw", "try", "catch", "1..5", ".a", "break",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn values_survive_the_way(data in any_data()) {
        prop_assert_eq!(given("a", &json!({ "a": data })).unwrap(), Some(data));
    }

    #[test]
    fn no_script_panics(text in any_script(), a in any_data()) {
        let _ = given(&text, &json!({ "a": a }));
    }
}
