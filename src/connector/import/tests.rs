//! What is refused, what bounds a document, and the names that paths give.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::name::{kebab, parts, singular, snake, words};
use super::yaml::{LINES, comment, write};
use super::{Options, import};
use crate::source::{File, worked};

/// Unoptimised, with others beside it.
const TIME_MAX: Duration = Duration::from_secs(20);

fn refused(text: &str) -> String {
    import(text, &Options::default()).expect_err("it is refused").to_string()
}

fn document(paths: Value) -> Value {
    json!({ "openapi": "3.0.0", "info": { "title": "Big" }, "servers": [{ "url": "https://example.com" }], "paths": paths })
}

#[test]
fn what_is_no_openapi_document_is_refused_with_words() {
    let table = [
        ("", "this is no OpenAPI document: it is no map"),
        ("[1, 2]", "this is no OpenAPI document: it is no map"),
        ("just a text", "this is no OpenAPI document: it is no map"),
        ("{\"a\": 1}", "this is no OpenAPI document"),
        ("{\"a\": ", "the document cannot be read: EOF while parsing"),
        ("a: [1, 2", "the document cannot be read: "),
        ("swagger: 1.2", "the document says version `1.2`"),
        ("openapi: 4.0.0", "the document says version `4.0.0`"),
        ("openapi: 3.0.0", "the document describes no operations"),
        ("openapi: 3.0.0\npaths: [1]", "`paths` is no map"),
        ("openapi: 3.0.0\npaths: { /a: {} }", "the document describes no operations"),
    ];
    for (text, said) in table {
        let found = refused(text);
        assert!(found.starts_with(said) && found.contains("; "), "{text}: {found}");
    }
}

#[test]
fn what_is_too_big_is_refused() {
    assert!(refused(&"# \n".repeat(6_000_000)).contains("larger than 16 MiB"));
    let many = format!("openapi: 3.0.0\nx: [{}]", "0,".repeat(1_000_001));
    assert!(refused(&many).contains("more than 1000000 values"));
    let deep = format!("{{\"openapi\": {}", "[".repeat(100_000));
    assert!(refused(&deep).contains("cannot be read"));
    let mut bomb = String::from("openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let names = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{names}]\n");
    }
    assert!(refused(&bomb).contains("cannot be read"));
    let paths: Map<String, Value> = (0..2_001).map(|at| (format!("/a{at}"), json!({ "get": {} }))).collect();
    assert!(refused(&document(paths.into()).to_string()).contains("a connector holds 2000"));
}

/// Schemas that name each other many times over would be written out without end.
#[test]
fn depth_is_less_where_the_file_would_be_too_big() {
    let wide: Map<String, Value> =
        (0..200).map(|at| (format!("field{at}"), json!({ "$ref": format!("#/components/schemas/S{at}") }))).collect();
    let schemas: Map<String, Value> =
        (0..200).map(|at| (format!("S{at}"), json!({ "type": "object", "properties": wide }))).collect();
    let mut document = document(json!({ "/things/{id}": { "get": { "responses": { "200": { "content": {
        "application/json": { "schema": { "$ref": "#/components/schemas/S0" } } } } } } } }));
    document["components"] = json!({ "schemas": schemas });
    let (imported, took) = worked(|| import(&document.to_string(), &Options::default()).expect("it is imported"));
    assert!(took < TIME_MAX, "{took:?}");
    assert!(imported.text.contains("Fields are written one level deep"), "{}", &imported.text[..600]);
    File::read("connectors/big.yaml", &imported.text).expect("within the bounds of a file");
}

/// Names are found without comparing each with each.
#[test]
fn many_operations_of_one_name_are_told_apart_in_time() {
    let paths: Map<String, Value> = (0..20_000)
        .map(|at| {
            (
                format!("/x{at}/things/{{id}}/same"),
                json!({ "get": { "operationId": "same", "tags": [at.to_string()] } }),
            )
        })
        .collect();
    let options = Options { only: vec!["19999".into()], ..Options::default() };
    let document = document(paths.into()).to_string();
    let (imported, took) = worked(|| import(&document, &options).expect("it is imported"));
    assert!(took < TIME_MAX, "{took:?}");
    assert_eq!(imported.operations, 1);
}

#[test]
fn only_takes_tags_and_paths() {
    let paths = json!({
        "/people": { "get": { "tags": ["People"] } },
        "/people/{id}": { "get": { "tags": ["people"] } },
        "/peopleful": { "get": {} },
    });
    let text = document(paths).to_string();
    let taken = |only: &str| import(&text, &Options { only: vec![only.into()], ..Options::default() });
    for (only, count) in [("people", 2), ("/people", 2), ("/people/", 2), ("/people/{id}", 1), ("/", 3)] {
        assert_eq!(taken(only).map(|imported| imported.operations).ok(), Some(count), "{only}");
    }
    for (only, said) in [
        ("peple", "no operation has the tag `peple`; did you mean `People`?"),
        ("/poeple", "no path begins with `/poeple`; did you mean `/people`?"),
        ("zzz", "no operation has the tag `zzz`; there are People, people"),
    ] {
        assert_eq!(taken(only).map_err(|refused| refused.to_string()).err().as_deref(), Some(said));
    }
    let named = |name: &str| import(&text, &Options { name: Some(name.into()), ..Options::default() });
    assert!(named("my-crm").is_ok());
    for name in ["My CRM", "", "a--b", "-a", "ü"] {
        assert!(named(name).expect_err(name).asked);
    }
}

#[test]
fn words_become_names() {
    for (text, name) in [
        ("getAllURLs-v2", "get_all_urls_v2"),
        ("HTTPServer", "http_server"),
        ("add_Tags--now", "add_tags_now"),
        ("2fa", "n2fa"),
        ("naïve", "na_ve"),
    ] {
        assert_eq!(snake(&words(text)).as_deref(), Some(name));
    }
    assert_eq!(snake(&words("日本語")), None);
    assert_eq!(snake(&words(&"long ".repeat(50))).map(|name| name.len() <= 48), Some(true));
    assert_eq!(kebab("Pet Store (v2)").as_deref(), Some("pet-store-v2"));
    for (many, one) in [
        ("companies", "company"),
        ("addresses", "address"),
        ("boxes", "box"),
        ("statuses", "status"),
        ("courses", "course"),
        ("status", "status"),
        ("business", "business"),
        ("people", "person"),
        ("s", "s"),
    ] {
        assert_eq!(singular(many), one);
    }
    assert_eq!(parts("/api/v1/things/{id}").len(), 2);
}

#[test]
fn yaml_is_written_for_people_and_read_as_it_was() {
    let mut inside = Map::new();
    inside.insert(LINES.into(), Value::Null);
    for (index, text) in [
        "plain",
        "yes",
        "No",
        "null",
        "~",
        "",
        " a",
        "a ",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "[a]",
        "{a}",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "a\nb",
        "a\tb",
        "1",
        "1.5",
        "0x1f",
        "1e3",
        ".inf",
        "2021-07-28",
        "12:30:00",
        "a,b",
        "a:b",
        "a:",
        ":a",
        "?a",
        "? a",
        "$.a['b c']",
        "é名😀",
        "x\u{0}\u{7f}\u{85}\u{2028}\u{feff}\u{fffd}\u{202e}",
        "<<",
        "=",
        "a\\b",
        "true",
        "GET /a/{id}",
        "---",
        "...",
        "|",
        ">",
    ]
    .into_iter()
    .enumerate()
    {
        inside.insert(
            format!("k{index}"),
            json!({ text: text, "in": [text, { "a": text }], "long": [text, "x".repeat(130)] }),
        );
    }
    comment(
        &mut inside,
        "k3",
        "Two\nlines, of which the second is so long that it does not fit into the width of a page and is broken where a space stands.",
    );
    let document = Map::from_iter([("all".to_owned(), Value::Object(inside.clone()))]);
    let text = write(&document);
    inside.retain(|key, _| super::yaml::is_data(key));
    let read = File::read("a.yaml", &text).unwrap_or_else(|report| panic!("{report:?}\n{text}"));
    for (key, value) in &inside {
        assert_eq!(&read.value["all"][key], value, "{key}");
    }
    assert_eq!(read.value["all"].as_object().map(Map::len), Some(inside.len()));
}
