//! Whatever comes in, a request stays within its origin and its path, and nothing panics.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::connector;
use crate::connector::{Connector, Page};

const DOCUMENT: &str = r#"
connector: crm
base_url: https://api.example.com/v1
headers: { Version: "1" }
connection: { account: { type: string } }
operations:
  get: { request: "GET /things/{id}/parts/{part}", returns: $ }
  list:
    request: GET /things
    query: { q: $.input.q, tags: $.input.tags, after: $.page.next }
    headers: { X-Trace: $.input.trace }
    items: $.things
    pages: { cursor: $.next }
  links: { request: GET /things, query: { size: 2 }, items: $.things, pages: { link: next } }
  write:
    request: POST /accounts/{account}/things/{id}
    add: { account: $.connection.account }
    if_unsure: send_again
  submit: { request: POST /forms, form: true, if_unsure: send_again }
"#;

static CRM: LazyLock<Connector> = LazyLock::new(|| connector(&[("connectors/crm.yaml", DOCUMENT)]));

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop_oneof![
            Just("."),
            Just(".."),
            Just("../.."),
            Just("%2e%2e"),
            Just("a/b"),
            Just("\\"),
            Just("?x=1"),
            Just("#"),
            Just("\r\nX: 1"),
            Just("@evil.example"),
            Just("//evil.example"),
            Just("https://evil.example/"),
            Just(" "),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("id|part|q|tags|trace|[a-z]{1,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn input() -> impl Strategy<Value = Value> {
    (value(), value(), value(), value(), value()).prop_flat_map(|(id, part, q, tags, trace)| {
        let map = json!({ "id": id, "part": part, "q": q, "tags": tags, "trace": trace });
        prop_oneof![Just(map), value()]
    })
}

fn holds(connector: &Connector, connection: &Value, input: &Value, page: &Page) {
    for operation in connector.operations() {
        let Ok(request) = operation.request(connector, connection, input, page) else { continue };
        let url = url::Url::parse(&request.url).unwrap();
        assert_eq!(url.origin().ascii_serialization(), "https://api.example.com", "{}", request.url);
        assert_eq!(url.as_str(), request.url, "a parser changes the address");
        if page.next.is_none() {
            let segments = url.path_segments().unwrap().count();
            let written = operation.path.split('/').count();
            assert_eq!(segments, written, "{} has another number of segments", request.url);
        }
        assert!(url.fragment().is_none() && url.username().is_empty());
        for (name, value) in &request.headers {
            assert!(value.chars().all(|letter| (' '..='~').contains(&letter)), "{name}: {value:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_input_leaves_its_place(input in input(), account in value(), page in prop::option::of(value())) {
        let connection = json!({ "account": account });
        holds(&CRM, &connection, &input, &Page::default());
        holds(&CRM, &connection, &input, &Page { next: page, ..Page::default() });
    }

    #[test]
    fn no_answer_panics(body in value(), status in 0u16..1000, page in prop::option::of(value()), link in ".{0,40}") {
        let headers = vec![("link".to_owned(), link.clone()), ("retry-after".to_owned(), link)];
        let response = crate::connector::Response { status, headers, body, not_kept: None };
        let page = Page { next: page, ..Page::default() };
        for operation in CRM.operations() {
            let connection = json!({ "account": "a" });
            let _ = CRM.outcome(operation, &json!({ "id": 1, "part": 2 }), &connection, &page, response.clone());
        }
    }
}

/// A document with something unforeseen in it: read or refused, never more.
#[test]
fn no_document_panics() {
    let whole: Value = serde_yaml::from_str(DOCUMENTS).unwrap();
    let mut pointers = Vec::new();
    all_pointers(&whole, "", &mut pointers);
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("$."),
        json!("$['é"),
        json!("{{"),
        json!("{é}"),
        json!("GET /{"),
        json!("99999999999d"),
        json!("é"),
        json!([]),
        json!(["x", 1, null]),
        json!({}),
        json!({ "$from": 1 }),
        json!({ "x": { "y": [1] } }),
    ];
    let mut refused = 0;
    for (index, pointer) in pointers.iter().enumerate() {
        // Three of them at each place, others at the next.
        for odd in odd.iter().cycle().skip(index * 5 % odd.len()).step_by(7).take(3) {
            let mut document = whole.clone();
            *document.pointer_mut(pointer).unwrap() = odd.clone();
            let (connector, report) = super::read(&[("crm.yaml", &document.to_string())]);
            assert_eq!(connector.is_none(), report.has_errors(), "{pointer} {odd}");
            refused += usize::from(connector.is_none());
        }
    }
    assert!(refused > pointers.len(), "{refused} of {} times 3", pointers.len());
}

fn all_pointers(value: &Value, pointer: &str, pointers: &mut Vec<String>) {
    let under = crate::connector::read::under;
    match value {
        Value::Object(map) => map.iter().for_each(|(key, part)| all_pointers(part, &under(pointer, key), pointers)),
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, part)| all_pointers(part, &format!("{pointer}/{index}"), pointers));
        }
        _ => {}
    }
    if !pointer.is_empty() && pointer != "/connector" {
        pointers.push(pointer.to_owned());
    }
}

/// Every kind of key once.
const DOCUMENTS: &str = r#"
connector: crm
version: "1"
base_url: "https://{region}.example.com"
headers: { Version: "1" }
connection: { region: { type: string }, names: { type: object, optional: true } }
auth:
  a: { bearer: $.secrets.t }
  b: { basic: { user: u, password: $.secrets.p } }
  c: { api_key: { header: X-Key, value: $.secrets.k } }
  d: { oauth2: { token_url: "https://t.example.com", form: { a: b }, scopes: [r], refresh: { before: 1m }, save: { loc: $.loc } } }
limits: [{ requests: 1, per: 1s, reset_header: { name: x, unit: ms }, keep_for_live_events: 3%, for: [contact.get], each: $.input.x }]
errors: [{ status: [400, 5xx], only_if: { $.m: { matches: x } }, is: duplicate, existing_id: $.id }]
objects:
  contact:
    schema: { properties: { id: { type: string }, email: { type: string }, tags: { type: array }, at: { type: string, format: date-time }, owner_id: { type: string } } }
    id: id
    changed_at: at
    identity: [email]
    normalize: { email: lowercase }
    read_only: [id]
    create_only: [email]
    whole_lists: [tags]
    references: { owner: { object: user, id: owner_id } }
    keyed_lists: { custom: { at: tags, key: id, value: "v[0]", write_value: w, only_if: { $.a: 1 }, names: { from: user.list, name: n, strip: x } }, more: { at: tags, key: k, value: v, names: $.connection.names } }
    operations:
      get: { request: "GET /contacts/{id}", returns: $.contact, scope: r }
      list: { request: GET /contacts, query: { p: $.page.number }, items: $.contacts, pages: { page: { last: $.pages } }, rename: { mail: email } }
      create: { request: POST /contacts, body: $.input, add: { a: 1 }, returns: $, if_unsure: { look_with: list, same: [email], wait: 1s, after: [timeout] } }
      stamp: { request: POST /stamp, headers: { X-A: a }, form: true, idempotency: { header: K } }
    changes: { webhook: [A], poll: { with: list, by: at, newest_first: true, every: 1m, overlap: 1s } }
  user:
    fields_at: attributes
    parent: { object: contact, id: contact_id }
    operations: { list: { request: "GET /contacts/{contact_id}/users", items: $, pages: { link: next } } }
operations: { ping: { request: GET /ping } }
webhooks:
  verify: [{ header: X, hmac_sha256: $.secrets.h, prefix: "v=", encoding: hex, absent_if: N, until: 2027-01-01 }, { header: Y, token: $.secrets.y }]
  replay: { id: $.id, time: $.time, within: 1h }
  connection: { region: $.region }
  when_busy: 429
  name: $.type
  each: $[*]
  record: $.data
  events: { A: { object: contact, change: created }, B: { object: user, change: updated, read_with: list }, C: {} }
  body_max: 1000
"#;
