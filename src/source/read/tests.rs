//! What reading refuses and how it says so, and that no text breaks it.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::source::refusal::{ALIASES_MAX, DEPTH_MAX, VALUES_MAX};
use crate::source::worked;

fn value(text: &str) -> Value {
    File::read("a.yaml", text).expect("the text is fine").value
}

/// Each finding as `code line:column message`.
fn refusals(text: &str) -> Vec<String> {
    let report = File::read("a.yaml", text).err().unwrap_or_default();
    let told = |found: &Diagnostic| {
        let at = found.primary.as_ref().expect("each finding has a place");
        assert!(found.help.is_some(), "{text:?} has no help");
        format!("{} {}:{} {}", found.code, at.line, at.column, found.message)
    };
    report.diagnostics.iter().map(told).collect()
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(refusals(text), [expected], "{text:?}");
}

#[test]
fn reads_values_as_the_core_schema_says() {
    assert_eq!(
        value(
            "a: yes\nb: 012\nc: 1_000\nd: ~\ne:\nf: [1, -2.5, true]\ng: \"1\"\nh: !!str 1\ni: !!int \"7\"\nj: '#x'\n"
        ),
        json!({ "a": "yes", "b": "012", "c": "1_000", "d": null, "e": null, "f": [1, -2.5, true], "g": "1", "h": "1",
            "i": 7, "j": "#x" })
    );
}

#[test]
fn keys_are_texts_as_written() {
    let read = value("1: a\ntrue: b\nnull: c\n012: d\n0x1: e\n\"<<\": f\n");
    let keys: Vec<_> = read.as_object().expect("a map").keys().cloned().collect();
    assert_eq!(keys, ["1", "true", "null", "012", "0x1", "<<"], "in the order written");
}

#[test]
fn aliases_repeat_values() {
    assert_eq!(value("a: &x [1, &y 2]\nb: [*x, *y]\n"), json!({ "a": [1, 2], "b": [[1, 2], 2] }));
}

#[test]
fn refuses_what_is_yaml_but_not_ours() {
    refused("a: 1\nb: 2\na: 3\n", "duplicate-key 3:1 the key `a` is written twice");
    refused("1: a\n\"1\": b\n", "duplicate-key 2:1 the key `1` is written twice");
    refused("a: {<<: {b: 1}}\n", "merge-key 1:5 `<<` does not merge maps here");
    refused("a: !secret x\n", "custom-tag 1:4 the tag `!secret` means nothing here");
    refused("a: !!set {b: 1}\n", "custom-tag 1:4 the tag `!!set` means nothing here");
    refused("a: !!int x\n", "custom-tag 1:4 the tag `!!int` means nothing here");
    refused("!x a: 1\n", "custom-tag 1:1 the tag `!x` means nothing here");
    refused("a: [.inf]\n", "bad-number 1:5 `.inf` is no number that can be kept");
    refused("a: 1\n---\nb: 2\n", "several-documents 2:1 a second document begins in the file");
    refused("", "empty-document 1:1 the file says nothing");
    refused("# only a comment\n", "empty-document 1:1 the file says nothing");
    refused("---\n", "empty-document 1:1 the file says nothing");
    refused("? [a]\n: 1", "bad-key 1:3 a map or list stands where a key is expected");
    refused("a: &x b\n*x : 1\n", "bad-key 2:1 an alias stands where a key is expected");
    refused(": 1\n", "bad-key 1:1 a key is missing before `:`");
    refused("a: &x [*x]\n", "bad-yaml 1:8 a value repeats itself without end");
}

#[test]
fn tells_all_that_is_refused_at_once() {
    assert_eq!(
        refusals("a: !x 1\na: .nan\nb: { <<: c, d: {{e}} }\n"),
        [
            "custom-tag 1:4 the tag `!x` means nothing here",
            "duplicate-key 2:1 the key `a` is written twice",
            "bad-number 2:4 `.nan` is no number that can be kept",
            "merge-key 3:6 `<<` does not merge maps here",
            "unquoted-template 3:16 a value that begins with `{{` needs quotes",
        ]
    );
}

#[test]
fn a_duplicate_shows_the_first() {
    let report = File::read("a.yaml", "a: 1\nb: { a: 2, a: 3 }\n").expect_err("a duplicate");
    let found = &report.diagnostics[0];
    assert_eq!((found.related[0].line, found.related[0].column), (2, 6));
}

#[test]
fn explains_usual_mistakes() {
    refused("a: {{x}}\n", "unquoted-template 1:4 a value that begins with `{{` needs quotes");
    refused("a: {{x}} and more\n", "unquoted-template 1:4 a value that begins with `{{` needs quotes");
    refused("a: 1\n- {{x}} b\n", "unquoted-template 2:3 a value that begins with `{{` needs quotes");
    assert_eq!(refusals("a: { b: {{x}}, c: {{y}} }\n").len(), 2, "each is told");
    refused("a: Re: b\n", "bad-yaml 1:4 a value with `: ` inside needs quotes");
    refused("a:\n\tb: 1\n", "bad-yaml 2:1 a tab is used where YAML wants spaces");
    refused("a:\n  b: 1\n\tc: 2\n", "bad-yaml 3:1 a tab is used where YAML wants spaces");
    refused("a:\r\n  b: 1\r\n\tc: 2\r\n", "bad-yaml 3:1 a tab is used where YAML wants spaces");
    refused("a: \"b\nc: 1\nd: \"e\"\n", "bad-yaml 1:4 a quote is opened and not closed");
    refused("a: 'b\nc: 1\n", "bad-yaml 1:4 a quote is opened and not closed");
    refused("a: 'it's'\n", "bad-yaml 1:8 text follows the closing quote");
    refused("a: \"\\q\"\n", "bad-yaml 1:5 `\\q` means nothing between double quotes");
    refused("a: [1, 2\nb: 1\n", "bad-yaml 1:4 `[` is opened and not closed");
    refused("a: {b: 1\nc: 1\n", "bad-yaml 1:4 `{` is opened and not closed");
    refused("a: {b: 1]\n", "bad-yaml 1:4 `{` is opened and not closed");
    refused("a: {b: c d: e}\n", "bad-yaml 1:11 this does not fit between `{` and `}`");
    refused("a: [b: c: d]\n", "bad-yaml 1:9 this does not fit between `[` and `]`");
    refused("a: ]\n", "bad-yaml 1:4 `]` closes nothing");
    refused("a: @b\n", "bad-yaml 1:4 a value cannot begin with `@`");
    refused("a: `b`\n", "bad-yaml 1:4 a value cannot begin with a backtick");
    refused("a: ,b\n", "bad-yaml 1:4 a value cannot begin with `,`");
    refused("a: * * 1\n", "bad-yaml 1:4 a value cannot begin with `*`");
    refused("a: *b\n", "bad-yaml 1:4 `*b` refers to a value that has no such name");
    refused("a: |b\n  c\n", "bad-yaml 1:4 a text of many lines begins on the line after `|` or `>`");
    refused("a: - b\n", "bad-yaml 1:4 a list item cannot stand here");
    refused("a: [b] c\n", "bad-yaml 1:8 text follows a value that is complete");
    refused("a: b\n  c: d\n", "bad-yaml 2:3 this line is read as more of the text above");
    refused("a: b # c\n  d: e\n", "bad-yaml 1:6 a text goes on after a comment");
    refused("a:\n    b: 1\n  c: 2\n", "bad-yaml 3:3 the indentation fits no line above");
    refused("a: b\n- c\n", "bad-yaml 2:1 a list item stands among the keys of a map");
    refused("- a\nb: 1\n", "bad-yaml 2:1 a key stands among the items of a list");
    refused("a: 1\nb\nc: 2\n", "bad-yaml 2:1 a line is no `key: value`");
    refused("%a\n", "bad-yaml 1:1 the document does not begin with a key");
}

#[test]
fn help_writes_the_value_in_quotes() {
    let help = |text: &str| File::read("a.yaml", text).expect_err("a mistake").diagnostics[0].help.clone();
    assert_eq!(help("a: Re: b # c\n").as_deref(), Some("write `\"Re: b\"`"));
    assert_eq!(help("a: {{x}} b\n").as_deref(), Some("put the whole value in quotes: `\"{{x}} b\"`"));
    assert_eq!(help("a: @\"b\"\n").as_deref(), Some("put the value in quotes: `'@\"b\"'`"));
}

#[test]
fn a_bracket_in_quotes_is_not_a_template() {
    assert_eq!(value("a: '{{x}}'\nb: Hello {{x}}\nc: [\"{{x}}\"]\n")["b"], "Hello {{x}}");
}

#[test]
fn bounds_size_depth_and_repetition() {
    let code = |text: &str| File::read("a.yaml", text).expect_err("too much").diagnostics[0].code;
    assert_eq!(code(&format!("a: {}", "x".repeat(TEXT_BYTES_MAX))), "too-big");
    assert_eq!(code(&"- a\n".repeat(VALUES_MAX)), "too-big");
    for open in ["[", "{", "- ", "? ", "{a: ", "[a: ", "!!seq [", "&a ["] {
        assert_eq!(code(&open.repeat(20_000)), "too-deep", "{open}");
    }
    let nested = |depth: usize| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(code(&nested(DEPTH_MAX)), "too-deep");
    assert!(File::read("a.yaml", &nested(DEPTH_MAX - 1)).is_ok());
    assert_eq!(code(&format!("a: &x {}\nb: [[*x]]\n", &nested(DEPTH_MAX - 2)[3..])), "too-deep", "through an alias");
    assert_eq!(code(&format!("a: &x 1\nb: [{}]\n", "*x,".repeat(ALIASES_MAX + 1))), "too-big");

    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{},", level - 1).repeat(9);
        laughs += &format!("a{level}: &a{level} [{before}]\n");
    }
    assert_eq!(code(&laughs), "too-big");
    let long = format!("a: &x {}\nb: [{}]\n", "y".repeat(TEXT_BYTES_MAX / 2), "*x,".repeat(100));
    assert_eq!(code(&long), "too-big", "few values, much text");
}

#[test]
fn a_report_has_a_bound() {
    assert_eq!(refusals(&"<<: a\n".repeat(20_000)).len(), FINDINGS_MAX);
    assert_eq!(refusals(&format!("a: {{{}}}\n", "{{x}}: b, ".repeat(20_000))).len(), FINDINGS_MAX);
}

#[test]
fn hostile_texts_take_no_time() {
    let pieces = [
        "a: b\n",
        "\"",
        "'",
        "\"\\",
        "? ",
        "? a\n",
        "&a ",
        "- ",
        "- a\n",
        "#\n",
        "a: |\n",
        " ",
        "\n",
        "\t",
        "{a: b, ",
        "{{",
        "!a ",
        "%a\n",
        ",",
        ":",
        ": ",
        "a: ",
        "a ",
        "---\n",
        "|\n",
        "é",
        "[a, ",
        "a: [b]\n ",
        "a\n",
        "[]: ",
        "{}: b\n",
        "*a ",
        "a: {{b}}, ",
        "\\",
        "@",
    ];
    for piece in pieces {
        for before in ["", "a: ", "a: \"", "a: [", "a: |\n  "] {
            let text = format!("{before}{}", piece.repeat(60_000 / piece.len()));
            let (_, took) = worked(|| holds(&text));
            assert!(took.as_secs() < 10, "{before:?} {piece:?}: {took:?}");
        }
    }
}

/// Text that looks like YAML, so that mutations go deep.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\t",
        ": ",
        "[",
        "]",
        "{",
        "}",
        "{{",
        "}}",
        ",",
        "\"",
        "'",
        "\\",
        "|\n",
        ">-\n",
        "&x ",
        "*x",
        "!t ",
        "!!str ",
        "<<: ",
        "? ",
        "---\n",
        "...\n",
        "%",
        "@",
        "`",
        "#",
        " #",
        "\r\n",
        "\r",
        "é",
        "名",
        "\u{feff}",
        "\u{2028}",
        "\u{0}",
        "\u{202e}",
        "1",
        ".inf",
        "~",
        "%TAG ! x\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Whatever the text: no panic, each finding has a place in the text, each value its own.
fn holds(text: &str) {
    match File::read("a.yaml", text) {
        Ok(file) => all_have_places(&file, &mut String::new(), &file.value),
        Err(report) => {
            assert!(report.has_errors());
            for found in &report.diagnostics {
                for label in found.primary.iter().chain(&found.related) {
                    assert!(text.get(label.span.start..label.span.end).is_some(), "{text:?} {found:?}");
                }
            }
        }
    }
}

fn all_have_places(file: &File, pointer: &mut String, value: &Value) {
    let span = file.span(pointer);
    assert!(file.text.get(span.start..span.end).is_some(), "{:?} {pointer} {span:?}", file.text);
    let length = pointer.len();
    let parts: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, item)| (key.replace('~', "~0").replace('/', "~1"), item)).collect()
        }
        _ => Vec::new(),
    };
    for (step, part) in parts {
        pointer.push('/');
        pointer.push_str(&step);
        assert!(file.key_span(pointer).end <= file.text.len());
        all_have_places(file, pointer, part);
        pointer.truncate(length);
    }
}

const DOCUMENT: &str = "workflow: hot-lead\nuses: { ghl: gohighlevel, os: opinion-stage }\ntrigger:\n  event: os.created\n\
    actions:\n  - id: person\n    with: &w\n      email: $.response.é\n      text: |\n        one\n\n        two\n  - call: x\n    \
    with: *w\n    \"quoted\": 'single ''quote'''\n";

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn yaml_like_text_is_read_or_refused(text in yamlish()) {
        holds(&text);
    }

    #[test]
    fn a_mutated_document_is_read_or_refused(at in 0..DOCUMENT.len(), gone in 0..8usize, put in yamlish()) {
        let start = DOCUMENT.floor_char_boundary(at);
        let end = DOCUMENT.floor_char_boundary((start + gone).min(DOCUMENT.len())).max(start);
        holds(&format!("{}{put}{}", &DOCUMENT[..start], &DOCUMENT[end..]));
    }
}
