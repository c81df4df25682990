//! Reports as they are printed.

use super::*;

const HELLO: &str = "workflow: hello\nactions:\n  - call: crm.contact.get\n    with:\n      a: 1\n      b: 2\n";

fn file(path: &str, text: &str) -> File {
    File::read(path, text).expect("the text is fine")
}

fn told(found: Diagnostic, files: &[&File]) -> String {
    render_text(&Report { diagnostics: vec![found], ..Report::default() }, files, false)
}

#[test]
fn has_the_form_of_the_style_guide() {
    let text = "#\n".repeat(11) + "      call: crm.contact.get\n";
    let file = file("workflows/hello.yaml", &text);
    let found = Diagnostic::error("unknown-operation", "connector `crm` has no operation `contact.get`")
        .at(&file, "/call", "not in connectors/crm.yaml")
        .help("did you mean `contact.list`?");
    assert_eq!(
        told(found, &[&file]),
        "\
error[unknown-operation]: connector `crm` has no operation `contact.get`
  --> workflows/hello.yaml:12:13
   |
12 |       call: crm.contact.get
   |             ^^^^^^^^^^^^^^^ not in connectors/crm.yaml
   = help: did you mean `contact.list`?
"
    );
}

#[test]
fn shows_related_places_and_cuts_long_ones() {
    let hello = file("hello.yaml", HELLO);
    let crm = file("crm.yaml", "\u{feff}connector: crm\r\nbase_url: x\r\n");
    let found = Diagnostic::warning("odd", "two places")
        .at(&hello, "/actions/0/with", "from here on")
        .also(&hello, "/workflow", "in this")
        .also(&crm, "/connector", "")
        .help("one\ntwo");
    assert_eq!(
        told(found, &[&crm, &hello]),
        "\
warning[odd]: two places
 --> hello.yaml:5:7
  |
1 | workflow: hello
  |           ----- in this
...
5 |       a: 1
  |       ^^^^ from here on
  |
 ::: crm.yaml:1:12
  |
1 | connector: crm
  |            ---
  = help: one
          two
"
    );
}

#[test]
fn tells_what_has_no_place_and_what_has_no_text() {
    let hello = file("hello.yaml", HELLO);
    assert_eq!(
        told(Diagnostic::error("none", "no trigger").help("add one"), &[]),
        "\
error[none]: no trigger
 = help: add one
"
    );
    assert_eq!(
        told(Diagnostic::error("gone", "not here").at(&hello, "/actions", "this"), &[]),
        "\
error[gone]: not here
--> hello.yaml:3:3
 = note: this
"
    );
    let long = File::unread("long.yaml", &format!("a: {}\nb: 1\n", "x".repeat(LINE_BYTES_MAX)));
    let found = Diagnostic::error("long", "too long").at_span(&long, Span { start: 3, end: 9 }, "this").help("cut it");
    assert_eq!(
        told(found, &[&long]),
        "\
error[long]: too long
--> long.yaml:1:4
 = note: this
 = help: cut it
"
    );
    let empty = File::unread("empty.yaml", "");
    let report = File::read("empty.yaml", "").expect_err("an empty file");
    assert!(render_text(&report, &[&empty], false).starts_with(
        "\
error[empty-document]: the file says nothing
 --> empty.yaml:1:1
"
    ));
}

#[test]
fn separates_findings_by_an_empty_line() {
    let found = Diagnostic::error("a", "b");
    let report = Report { diagnostics: vec![found.clone(), found], ..Report::default() };
    assert_eq!(render_text(&report, &[], false), "error[a]: b\n\nerror[a]: b\n");
    assert_eq!(render_text(&Report::default(), &[], false), "");
}

#[test]
fn nothing_written_is_obeyed_by_a_terminal() {
    let text = "a: \"\u{202e}b\u{9b}31m\u{200b}\" # \u{2066}\nc: 1\n";
    let file = File::unread("a\u{1b}.yaml", text);
    let place = Span { start: text.find('b').expect("a b"), end: text.find(" #").expect("a comment") };
    let found =
        Diagnostic::error("x", "message \u{1b}[31m\nsecond").at_span(&file, place, "label \u{202d}").help("\r\u{7f}");
    for colour in [false, true] {
        let shown = render_text(&Report { diagnostics: vec![found.clone()], ..Report::default() }, &[&file], colour);
        let colours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[91m", "\u{1b}[94m"];
        let plain = colours.iter().fold(shown, |text, code| text.replace(code, ""));
        assert!(!plain.contains(|letter| letter != '\n' && is_obeyed(letter)), "{plain:?}");
        assert!(plain.contains("message \\u{1b}[31m\\nsecond"), "{plain}");
        assert!(
            plain.contains("1 | a: \"\u{fffd}b\u{fffd}31m\u{fffd}\" # \u{fffd}\n  |      ^^^^^^^ label"),
            "{plain}"
        );
    }
}

#[test]
fn colour_only_adds_to_the_text() {
    let hello = file("hello.yaml", HELLO);
    let report = Report {
        diagnostics: vec![Diagnostic::error("a", "b").at(&hello, "/workflow", "c").help("d")],
        ..Report::default()
    };
    let (plain, coloured) = (render_text(&report, &[&hello], false), render_text(&report, &[&hello], true));
    assert!(coloured.contains("\u{1b}["));
    let mut bare = String::new();
    for (index, piece) in coloured.split("\u{1b}[").enumerate() {
        bare.push_str(if index == 0 { piece } else { piece.split_once('m').expect("a colour").1 });
    }
    assert_eq!(bare, plain);
}

#[test]
fn any_place_can_be_shown() {
    for text in ["", "\n", "é: 1", "é: 1\n", "\u{feff}é: 1\r\nb: 2\r\n\r\n", "\r\r\n"] {
        let file = File::unread("a.yaml", text);
        for start in 0..text.len() + 3 {
            for end in 0..text.len() + 3 {
                let shown =
                    told(Diagnostic::error("a", "b").at_span(&file, Span { start, end }, "c").help("d"), &[&file]);
                assert!(
                    shown.starts_with("error[a]: b\n --> a.yaml:") && shown.ends_with("\n  = help: d\n"),
                    "{shown}"
                );
            }
        }
    }
}

#[test]
fn json_counts_and_lists() {
    let hello = file("hello.yaml", HELLO);
    let mut report = Report::default();
    report.push(Diagnostic::error("a", "b").at(&hello, "/workflow", "c").help("d"));
    report.push(Diagnostic::warning("e", "f"));
    report.leave_out("hello.yaml", 2);
    let json: serde_json::Value = serde_json::from_str(&render_json(&report)).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({
            "errors": 1,
            "warnings": 1,
            "left_out": { "hello.yaml": 2 },
            "diagnostics": [
                { "severity": "error", "code": "a", "message": "b", "related": [], "help": "d", "primary": {
                    "path": "hello.yaml", "span": { "start": 10, "end": 15 }, "line": 1, "column": 11, "text": "c" } },
                { "severity": "warning", "code": "e", "message": "f", "related": [], "help": null, "primary": null },
            ],
        })
    );
}
