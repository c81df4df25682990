//! What is told about documents that do not have their form.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use crate::source::{File, Report, check_shape};

fn report(schema: &Value, text: &str) -> Report {
    let file = File::read("a.yaml", text).expect("the text is YAML");
    let mut report = Report::default();
    check_shape(&file, "", schema, &mut report);
    report
}

/// Each finding as `code line:column message`, with its label and help.
fn told(schema: &Value, text: &str) -> Vec<String> {
    let told = report(schema, text).diagnostics.into_iter().map(|found| {
        let at = found.primary.expect("each finding has a place");
        let label = if at.text.is_empty() { String::new() } else { format!(" | {}", at.text) };
        let help = found.help.map_or(String::new(), |help| format!(" = {help}"));
        format!("{} {}:{} {}{label}{help}", found.code, at.line, at.column, found.message)
    });
    told.collect()
}

#[track_caller]
fn check(schema: &Value, text: &str, expected: &[&str]) {
    assert_eq!(told(schema, text), expected, "{text:?}");
}

/// A remote API.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "Connector")]
#[expect(dead_code, reason = "only its schema is used")]
struct Connector {
    connector: String,
    /// Where requests go.
    base_url: String,
    timeout: Option<u32>,
    auth: Option<Auth>,
    #[serde(default)]
    operations: BTreeMap<String, Operation>,
    #[serde(default)]
    limits: Vec<Limit>,
    style: Option<Style>,
    pages: Option<Pages>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Operation {
    request: String,
    #[serde(default)]
    reads: bool,
    body: Option<Value>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Limit {
    #[schemars(range(min = 1))]
    requests: u32,
    per: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum Auth {
    Bearer(String),
    Basic(Basic),
    None,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Basic {
    user: String,
    password: String,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum Style {
    Json,
    /// The older form.
    Form,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Pages {
    Name(String),
    Cursor { cursor: String, start: Option<String> },
    Offset { offset: u32, size: u32 },
    Both(Vec<Pages>),
}

fn connector() -> Value {
    schema_for!(Connector).to_value()
}

#[test]
fn a_fitting_document_has_no_findings() {
    let text = "connector: crm\nbase_url: x\ntimeout:\nauth: { bearer: x }\noperations:\n  get: { request: GET /, body: [1, { a: b }] }\n\
        limits: [{ requests: 1, per: 1s }]\nstyle: form\npages: [{ cursor: a, start: b }, { offset: 1, size: 2 }, x, [y]]\n";
    check(&connector(), text, &[]);
    check(&connector(), "connector: crm\nbase_url: x\nauth: none\ntimeout: 5\n", &[]);
}

#[test]
fn tells_of_unknown_and_missing_keys() {
    let text = "connector: crm\nbase: x\ncolour: red\noperations:\n  get: { reqest: GET / }\n  put: { reads: true }\n";
    check(
        &connector(),
        text,
        &[
            "unknown-key 2:1 unknown key `base` | not a key of a connector = did you mean `base_url`?",
            "unknown-key 3:1 unknown key `colour` | not a key of a connector = remove it, or use `connector`, `base_url`, \
             `timeout`, `auth`, `operations`, `limits`, `style` or `pages`",
            "unknown-key 5:10 unknown key `reqest` | not a key of an operation = did you mean `request`?",
            "missing-key 6:10 missing key `request` | this operation has none = add `request: …`",
        ],
    );
    check(
        &connector(),
        "connector: crm\n",
        &["missing-key 1:1 missing key `base_url` | this connector has none = add `base_url`: Where requests go"],
    );
    check(&json!({ "type": "object", "required": ["a"] }), "{}", &["missing-key 1:1 missing key `a` = add `a: …`"]);
}

#[test]
fn tells_of_wrong_types() {
    let text = "connector: 5\nbase_url: { a: 1 }\ntimeout: soon\nlimits: x\noperations:\n  get: { request: true, reads: yes }\n";
    check(
        &connector(),
        text,
        &[
            "wrong-type 1:12 expected text, found a whole number = put it in quotes: `\"5\"`",
            "wrong-type 2:11 expected text, found a map",
            "wrong-type 3:10 expected a whole number, found text",
            "wrong-type 4:9 expected a list, found text = write a list: `[x]`",
            "wrong-type 6:19 expected text, found `true` = put it in quotes: `\"true\"`",
            "wrong-type 6:32 expected `true` or `false`, found text = write `true`",
        ],
    );
    let base = "connector: crm\nbase_url: x\n";
    check(
        &connector(),
        &format!("{base}timeout: 1.5\nlimits:\n"),
        &[
            "wrong-type 3:10 expected a whole number, found a number",
            "wrong-type 4:8 expected a list, found nothing = write a value after the `:`, indented if it stands on the next line",
        ],
    );
    check(
        &connector(),
        &format!("{base}timeout: \"5\"\n"),
        &["wrong-type 3:10 expected a whole number, found text = leave out the quotes: `5`"],
    );
    check(
        &connector(),
        "connector: #crm\nbase_url: x\n",
        &[
            "wrong-type 1:11 expected text, found nothing = a text after ` #` is a comment: write `\"#crm\"` if it is the value",
        ],
    );
    check(
        &connector(),
        "connector:crm\nbase_url:x\n",
        &["wrong-type 1:1 expected a map, found text = write `key: value`, with a space after the colon"],
    );
}

#[test]
fn tells_of_values_that_are_not_allowed() {
    let base = "connector: crm\nbase_url: x\n";
    check(
        &connector(),
        &format!("{base}style: from\nlimits: [{{ requests: 0, per: 1s }}, {{ requests: -1, per: x }}]\n"),
        &[
            "bad-value 3:8 expected one of `json`, `form`, found `from` = did you mean `form`?",
            "bad-value 4:22 expected at least 1, found 0 = write 1 or more",
            "bad-value 4:48 expected at least 1, found -1 = write 1 or more",
        ],
    );
    check(
        &connector(),
        &format!("{base}style: [json]\n"),
        &["wrong-type 3:8 expected one of `json`, `form`, found a list"],
    );
}

#[test]
fn an_enum_with_content_is_decided_by_its_tag() {
    let base = "connector: crm\nbase_url: x\n";
    let auth = |auth: &str| told(&connector(), &format!("{base}auth: {auth}\n"));
    assert_eq!(
        auth("{ basic: { user: x, pasword: y } }"),
        ["unknown-key 3:27 unknown key `pasword` | not a key of a basic = did you mean `password`?"]
    );
    assert_eq!(
        auth("{ baerer: x }"),
        ["no-verb 3:9 an auth needs one of `bearer`, `basic` | none of these = did you mean `bearer`?"]
    );
    assert_eq!(
        auth("{}"),
        [
            "no-verb 3:7 an auth needs one of `bearer`, `basic` | none of these is here = say with one of these keys what it does, such as `bearer: …`"
        ]
    );
    assert_eq!(auth("nine"), ["bad-value 3:7 expected `none`, found `nine` = did you mean `none`?"]);
    assert_eq!(
        auth("[x]"),
        [
            "wrong-type 3:7 expected text or a map, found a list = write one `key: value` per line below it, indented, or `{ key: value }`"
        ]
    );
    assert_eq!(
        auth("{ bearer: x, basic: { user: a, password: b } }"),
        [
            "two-verbs 3:20 `bearer` and `basic` stand in one auth | the second = keep one of the two, or make two auths of it"
        ]
    );
}

#[test]
fn alternatives_without_a_tag_are_decided_by_their_keys() {
    let pages = |pages: &str| told(&connector(), &format!("connector: crm\nbase_url: x\npages: {pages}\n"));
    assert_eq!(pages("{ offset: x, size: 2 }"), ["wrong-type 3:18 expected a whole number, found text"]);
    assert_eq!(pages("{ size: 2 }"), ["missing-key 3:10 missing key `offset` | this pages has none = add `offset: …`"]);
    assert_eq!(
        pages("[[{ cursor: 1 }]]"),
        ["wrong-type 3:20 expected text, found a whole number = put it in quotes: `\"1\"`"]
    );
    assert_eq!(
        pages("1"),
        ["wrong-type 3:8 expected text, a list or a map, found a whole number = put it in quotes: `\"1\"`"]
    );
}

fn actions() -> Value {
    json!({
        "type": "array",
        "items": { "$ref": "#/$defs/Action" },
        "$defs": {
            "Action": {
                "title": "Action",
                "type": "object",
                "properties": { "id": { "type": "string", "pattern": "^[a-z_]+$", "x-name": "snake_case" }, "only_if": true },
                "additionalProperties": false,
                "x-verbs": { "call": { "$ref": "#/$defs/Call" }, "upsert": { "$ref": "#/$defs/Upsert" }, "wait": true },
            },
            "Call": {
                "type": "object",
                "properties": { "call": { "type": "string" }, "with": { "type": "object" } },
                "required": ["call"],
                "additionalProperties": false,
            },
            "Upsert": {
                "type": "object",
                "properties": { "upsert": { "type": "string" }, "match": { "type": "array" }, "with": { "type": "object" } },
                "required": ["upsert", "with"],
                "additionalProperties": false,
            },
        },
    })
}

#[test]
fn a_verb_decides_what_else_is_known() {
    check(
        &actions(),
        "- { id: a, call: x, with: {}, only_if: [1] }\n- { upsert: x, match: [], with: {} }\n- { wait: 1s, id: b }\n",
        &[],
    );
    check(
        &actions(),
        "- { id: a, call: 1, match: [], wiht: {} }\n- { upsert: x }\n- { wait: 1s, match: [], until: x }\n",
        &[
            "wrong-type 1:18 expected text, found a whole number = put it in quotes: `\"1\"`",
            "unknown-key 1:21 `match` belongs to `upsert` | not a key of `call` = remove it, or use `upsert` instead of `call`",
            "unknown-key 1:32 unknown key `wiht` | not a key of `call` = did you mean `with`?",
            "missing-key 2:5 missing key `with` | this action has none = add `with: …`",
            "unknown-key 3:15 `match` belongs to `upsert` | not a key of `wait` = remove it, or use `upsert` instead of `wait`",
            "unknown-key 3:26 unknown key `until` | not a key of `wait` = remove it, or use `id`, `only_if` or `wait`",
        ],
    );
}

#[test]
fn there_is_one_verb() {
    check(
        &actions(),
        "- { id: a, cal: x, with: {}, colour: 1 }\n- { id: b }\n- {}\n- { upsert: x, with: {}, call: y, match: [] }\n- x\n",
        &[
            "no-verb 1:12 an action needs one of `call`, `upsert`, `wait` | none of these = did you mean `call`?",
            "unknown-key 1:30 unknown key `colour` | not a key of an action = remove it, or use `id`, `only_if`, `call`, \
             `with`, `upsert`, `match` or `wait`",
            "no-verb 2:5 an action needs one of `call`, `upsert`, `wait` | none of these is here = say with one of these keys what it does, such as `call: …`",
            "no-verb 3:3 an action needs one of `call`, `upsert`, `wait` | none of these is here = say with one of these keys what it does, such as `call: …`",
            "two-verbs 4:26 `upsert` and `call` stand in one action | the second = keep one of the two, or make two actions of it",
            "wrong-type 5:3 expected a map, found text = write one `key: value` per line below it, indented, or `{ key: value }`",
        ],
    );
    let found = &report(&actions(), "- { upsert: x, with: {}, call: y }\n").diagnostics[0];
    assert_eq!((found.related[0].column, found.related[0].text.as_str()), (5, "the first"));
}

#[test]
fn names_have_a_form() {
    let schema = json!({
        "type": "object",
        "propertyNames": { "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$" },
        "x-name": "kebab-case",
        "additionalProperties": { "type": "object", "propertyNames": { "enum": ["id", "time"] } },
    });
    check(
        &schema,
        "my-flow: {}\nMy_Flow: {}\n1a: { id: 1, tme: 2 }\n",
        &[
            "bad-name 2:1 `My_Flow` is not kebab-case = write `my-flow`",
            "bad-name 3:1 `1a` is not kebab-case",
            "unknown-key 3:14 expected `id` or `time` as key, found `tme` | not one of these = did you mean `time`?",
        ],
    );
    check(&actions(), "- { wait: 1, id: myId }\n", &["bad-name 1:18 `myId` is not snake_case = write `my_id`"]);
    let schema = json!({ "type": "object", "additionalProperties": { "type": "string", "pattern": "^a+$" } });
    check(&schema, "x: aa\ny: b\n", &["bad-value 2:4 `b` does not match `^a+$`"]);
}

#[test]
fn counts_items_keys_and_letters() {
    let schema = json!({
        "type": "object",
        "properties": {
            "list": { "type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": true, "items": { "type": "integer" } },
            "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "number" }], "items": false },
            "map": { "type": "object", "minProperties": 1, "maxProperties": 1 },
            "text": { "type": "string", "minLength": 2, "maxLength": 3 },
            "number": { "exclusiveMinimum": 0, "exclusiveMaximum": 10, "maximum": 8, "multipleOf": 0.5 },
            "only": { "const": 1 },
        },
        "patternProperties": { "^x-": { "type": "boolean" } },
        "minProperties": 1,
    });
    check(
        &schema,
        "list: []\npair: [1, x, y]\nmap: {}\ntext: é\nnumber: 0\nonly: 2\nx-a: 1\nfree: 1\n",
        &[
            "too-few 1:7 expected at least 1 item, found 0 = add what is missing, each beginning with `- `",
            "wrong-type 2:8 expected text, found a whole number = put it in quotes: `\"1\"`",
            "wrong-type 2:11 expected a number, found text",
            "too-many 2:7 expected at most 2 items, found 3",
            "too-few 3:6 expected at least 1 key, found 0 = add what is missing",
            "bad-value 4:7 expected at least 2 characters, found 1",
            "bad-value 5:9 expected more than 0, found 0",
            "bad-value 6:7 expected `1`, found `2`",
            "wrong-type 7:6 expected `true` or `false`, found a whole number",
        ],
    );
    check(
        &schema,
        "list: [1, 2, 1]\nmap: { a: 1, b: 2 }\ntext: ''\nnumber: 9.25\nx-a: true\n",
        &[
            "too-many 1:7 expected at most 2 items, found 3",
            "bad-value 1:14 `1` is listed twice | again here = keep one of the two",
            "too-many 2:6 expected at most 1 key, found 2",
            "bad-value 3:7 the text is empty",
            "bad-value 4:9 expected at most 8, found 9.25",
            "bad-value 4:9 expected a multiple of 0.5, found 9.25",
        ],
    );
    check(
        &schema,
        "text: abcd\nnumber: 10\n",
        &[
            "bad-value 1:7 expected at most 3 characters, found 4",
            "bad-value 2:9 expected at most 8, found 10",
            "bad-value 2:9 expected less than 10, found 10",
        ],
    );
}

#[test]
fn true_allows_all_and_false_nothing() {
    check(&json!(true), "a: [1]\n", &[]);
    check(
        &json!({ "type": "object", "properties": { "a": false, "b": true } }),
        "a: 1\nb: 1\n",
        &["wrong-type 1:4 expected nothing, found a whole number"],
    );
}

#[test]
fn checks_a_part_of_a_document() {
    let file = File::read("a.yaml", "x:\n  - a~/b: 1\n").expect("YAML");
    let schema = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let mut report = Report::default();
    check_shape(&file, "/x/0", &schema, &mut report);
    check_shape(&file, "/nowhere", &schema, &mut report);
    let found: Vec<_> = report.diagnostics.iter().map(|found| &found.primary.as_ref().expect("a place").span).collect();
    assert_eq!(found.iter().map(|span| file.written(**span)).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn flattened_parts_are_checked_together() {
    #[derive(JsonSchema)]
    #[schemars(deny_unknown_fields, title = "Outer")]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Outer {
        id: String,
        #[serde(flatten)]
        auth: Auth,
    }
    let schema = schema_for!(Outer).to_value();
    check(&schema, "id: a\nbearer: b\n", &[]);
    check(
        &schema,
        "id: a\nbaerer: b\n",
        &["no-verb 2:1 an outer needs one of `bearer`, `basic`, `none` | none of these = did you mean `bearer`?"],
    );
    check(
        &schema,
        "idd: a\nbearer: b\n",
        &["unknown-key 1:1 unknown key `idd` | not a key of `bearer` = did you mean `id`?"],
    );
}

#[test]
fn unions_within_unions_stay_fast() {
    let schema = json!({
        "$ref": "#/$defs/Any",
        "$defs": { "Any": { "anyOf": [
            { "type": "array", "items": { "$ref": "#/$defs/Any" }, "maxItems": 2 },
            { "type": "array", "items": { "$ref": "#/$defs/Any" }, "maxItems": 3 },
            { "type": "array", "items": { "anyOf": [{ "$ref": "#/$defs/Any" }, { "type": "string" }] } },
            { "type": "integer" },
        ] } },
    });
    let nested = format!("{}1.5{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(told(&schema, &nested).len(), 1);
    let wide = format!("[{}]", "[[x, y], 1.5, [[z]]],".repeat(300));
    let report = report(&schema, &wide);
    assert_eq!(report.diagnostics.len(), 100, "no more than can be read");
    assert_eq!(report.left_out["a.yaml"], 200, "what is more is counted");
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = json!({
        "$ref": "#/$defs/A",
        "$defs": { "A": { "anyOf": [{ "$ref": "#/$defs/A" }, { "$ref": "#/$defs/A" }, { "type": "string" }] } },
    });
    check(&schema, "x", &[]);
}

proptest! {
    /// Whatever the document: no panic, and all places lie in the text.
    #[test]
    fn any_document_is_checked(pieces in prop::collection::vec(prop::sample::select(vec![
        "connector: ", "base_url: ", "auth: ", "bearer: ", "basic: ", "pages: ", "cursor: ", "limits: ", "call: ", "id: ",
        "upsert: ", "x", "1", "[", "]", "{", "}", ", ", "\n", "\n  ", "- ", "é: ", "true", "~", "a/~b: ",
    ]), 0..30)) {
        let text = pieces.concat();
        if let Ok(file) = File::read("a.yaml", &text) {
            for schema in [connector(), actions()] {
                let mut report = Report::default();
                check_shape(&file, "", &schema, &mut report);
                for found in report.diagnostics {
                    let span = found.primary.expect("a place").span;
                    prop_assert!(text.get(span.start..span.end).is_some());
                }
            }
        }
    }
}
