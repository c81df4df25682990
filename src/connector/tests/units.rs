//! What is easier said in Rust than in a case file.

use serde_json::{Value, json};

use super::{connector, findings, read};
use crate::connector::{Auth, Names, Unsure, join, schema};
use crate::expr::Locale;

const QUIZ: &str = r#"
connector: quiz
base_url: https://api.example.com
connection: { lead_names: { type: object, additionalProperties: { type: string }, optional: true } }
objects:
  item:
    fields_at: attributes
    operations: { list: { request: GET /items, items: $.data } }
  question:
    fields_at: attributes
    parent: { object: item, id: item_id }
    operations: { list: { request: "GET /items/{item_id}/questions", items: $.data } }
  response:
    fields_at: attributes
    parent: item
    references: { item: { object: item, id: item_id }, answers.asked: { object: question, id: question } }
    keyed_lists:
      lead: { at: answers, only_if: { $.asked.lead: true }, key: asked.title, value: "selection[0]", names: $.connection.lead_names }
    operations: { list: { request: "GET /items/{item_id}/responses", items: $.data } }
"#;

#[test]
fn a_lead_is_found_through_the_questions_that_were_asked() {
    let quiz = connector(&[("quiz.yaml", QUIZ)]);
    let response = quiz.object("response").unwrap();
    assert_eq!(response.parent.as_ref().map(|parent| parent.id.as_str()), Some("item_id"));
    let names: Names = serde_json::from_value(json!({ "lists": { "lead": { "Your e-mail": "email" } } })).unwrap();
    let mut record = json!({ "id": "r1", "attributes": {
        "answers": [
            { "question": "q1", "selection": ["ada@example.com"] },
            { "question": "q2", "selection": ["Ada"] },
            { "question": "q3", "selection": ["blue"] },
        ] } });
    response.put_parent(&mut record, "i1");
    let mut record = response.shape(&record, &names);
    assert_eq!(record["lead"], json!({}), "nobody knows yet which questions were for the lead");

    let question = quiz.object("question").unwrap();
    let questions: Vec<Value> = [("q1", "Your e-mail", true), ("q2", "First name", true), ("q3", "Colour", false)]
        .map(|(id, title, lead)| {
            question.shape(&json!({ "id": id, "attributes": { "title": title, "lead": lead } }), &names)
        })
        .to_vec();
    join(&mut record, &response.references[1], &questions);
    join(&mut record, &response.references[0], &[json!({ "id": "i1", "title": "Fit" })]);
    let record = response.shape(&record, &names);

    assert_eq!(record["lead"], json!({ "email": "ada@example.com", "First name": "Ada" }));
    assert_eq!(record["item"], json!({ "id": "i1", "title": "Fit" }));
    assert_eq!(record["answers"][2]["asked"]["title"], "Colour", "the answers stay as they are");
}

const CRM: &str = r#"
connector: crm
base_url: https://api.example.com
auth:
  oauth: { oauth2: { authorize_url: https://a.example.com, token_url: https://t.example.com, form: { n: 1 }, scopes: [r], refresh: { before: 10m, rotates: true }, save: { location: $.loc } } }
  key: { api_key: { header: X-Key, value: $.secrets.key } }
  open: { none: {} }
objects:
  contact:
    schema:
      properties:
        id: { type: string }
        email: { type: string }
        phone: { type: string }
        tags: { type: array, items: { type: string } }
        born: { type: string, format: date }
        seen: { type: string, format: date-time }
        note: { type: string }
    identity: [email]
    normalize: { email: lowercase, phone: e164 }
    whole_lists: [tags]
    keyed_lists: { custom: { at: fields, key: id, value: v, names: { from: field.list, name: key, strip: "contact." } } }
    operations:
      find: { request: GET /find, query: { email: $.input.email }, returns: $.contact }
      create: { request: POST /contacts, returns: $.contact, if_unsure: { look_with: find, wait: 10s } }
      stamp: { request: POST /stamp, idempotency: { header: Idempotency-Key } }
  field: { operations: { list: { request: GET /fields, items: $.fields } } }
"#;

#[test]
fn two_values_are_compared_by_what_they_mean() {
    let crm = connector(&[("crm.yaml", CRM)]);
    let contact = crm.object("contact").unwrap();
    let locale = Locale { country: Some("GB".into()), ..Locale::default() };
    let same = |field: &str, left: Value, right: Value| {
        contact.comparable(field, Some(&left), &locale) == contact.comparable(field, Some(&right), &locale)
    };
    assert!(same("email", json!("Ada@Example.com"), json!("ada@example.com")));
    assert!(same("phone", json!("07700 900123"), json!("+447700900123")));
    assert!(!same("phone", json!("07700 900123"), json!("07700 900124")));
    assert!(same("phone", json!("call me"), json!("call me")), "what cannot be read stays as it is");
    assert!(same("tags", json!(["b", "a", "a"]), json!(["a", "b"])));
    assert!(!same("tags", json!(["a"]), json!(["a", "b"])));
    assert!(same("seen", json!("2026-09-01T10:00:00Z"), json!("2026-09-01T12:00:00.000+02:00")));
    assert!(!same("seen", json!("2026-09-01T10:00:00Z"), json!("2026-09-01T10:00:01Z")));
    assert!(same("born", json!("2000-01-05"), json!("2000-01-05T00:00:00.000Z")));
    assert!(same("custom.score", json!(5), json!(5.0)));
    assert!(same("note", json!("  "), json!("")));
    assert!(!same("note", json!("a"), json!("a ")), "nothing is trimmed");
    assert!(!same("note", json!("2026-09-01T10:00:00Z"), json!("2026-09-01T10:00:00.000Z")), "a text is a text");
    for blank in [None, Some(json!(null)), Some(json!(" ")), Some(json!([])), Some(json!({}))] {
        assert_eq!(contact.comparable("note", blank.as_ref(), &locale), None);
    }
}

#[test]
fn the_names_of_custom_fields_come_from_their_list() {
    let crm = connector(&[("crm.yaml", CRM)]);
    let list = &crm.object("contact").unwrap().keyed_lists[0];
    assert_eq!(list.names_from.as_deref(), Some("field.list"));
    let records = [
        json!({ "id": "f1", "key": "contact.quiz_score" }),
        json!({ "id": "f2", "key": "other" }),
        json!({ "id": "f3", "key": "quiz_score" }),
        json!({ "id": "f4", "key": "contact." }),
        json!({ "key": "contact.lost" }),
    ];
    let names = serde_json::to_value(list.names_of(&records)).unwrap();
    assert_eq!(names, json!({ "f1": "quiz_score", "f2": "other", "f4": "contact." }));
}

#[test]
fn oauth_is_kept_as_data() {
    let crm = connector(&[("crm.yaml", CRM)]);
    let oauth2 = crm.oauth2_of(Some(&crm.auth[0].0)).unwrap();
    assert_eq!(oauth2.authorize_url.as_deref(), Some("https://a.example.com"));
    assert_eq!(oauth2.token_url, "https://t.example.com");
    assert_eq!(oauth2.form, [("n".to_owned(), "1".to_owned())]);
    assert_eq!(oauth2.scopes, ["r"]);
    assert_eq!((oauth2.refresh.before.as_secs(), oauth2.refresh.rotates), (600, true));
    assert_eq!((oauth2.save[0].0.as_str(), oauth2.save[0].1.text()), ("location", "$.loc"));
    assert!(matches!(&crm.auth[1].1, Auth::ApiKey { header: Some(header), query: None, .. } if header == "X-Key"));
    assert!(matches!(crm.auth[2].1, Auth::None));
}

#[test]
fn what_to_do_when_nothing_is_known() {
    let crm = connector(&[("crm.yaml", CRM)]);
    let create = crm.operation("contact.create").unwrap();
    assert!(matches!(&create.if_unsure.then, Unsure::LookWith { operation, .. } if operation == "contact.find"));
    assert_eq!(create.if_unsure.wait.as_secs(), 10);
    let stamp = crm.operation("contact.stamp").unwrap();
    assert_eq!(stamp.idempotency_header(), Some("Idempotency-Key"));
    assert!(matches!(stamp.if_unsure.then, Unsure::SendAgain));
    assert!(matches!(crm.operation("contact.find").unwrap().if_unsure.then, Unsure::SendAgain));
}

#[test]
fn an_object_and_an_operation_are_found_by_name() {
    let crm = connector(&[("crm.yaml", CRM)]);
    let names: Vec<&str> = crm.operations().iter().map(|operation| operation.name.as_str()).collect();
    assert_eq!(names, ["contact.find", "contact.create", "contact.stamp", "field.list"]);
    assert_eq!(crm.object("contact").unwrap().operation("find"), Some("contact.find"));
    assert_eq!(crm.object("contact").unwrap().operation("get"), None);
    assert_eq!(crm.operation("contact.create").unwrap().place.to_string(), "crm.yaml:25:15");
}

#[test]
fn the_schema_says_what_each_key_is_for() {
    let schema = schema();
    let text = schema.to_string();
    assert!(text.contains("additionalProperties\":false"));
    let mut silent = Vec::new();
    let defs = schema["$defs"].as_object().unwrap();
    for (name, def) in defs.iter().chain([(&"Connector".to_owned(), &schema)]) {
        for (key, property) in def["properties"].as_object().into_iter().flatten() {
            if property.get("description").is_none() {
                silent.push(format!("{name}.{key}"));
            }
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn a_report_with_errors_from_elsewhere_does_not_matter() {
    let mut report = crate::source::Report::default();
    report.push(crate::source::Diagnostic::error("x", "y"));
    let file = crate::source::File::read("crm.yaml", CRM).unwrap();
    assert!(crate::connector::Connector::read(&[&file], &mut report).is_some());
    assert_eq!(findings(&report).len(), 1);
}

#[test]
fn no_file_is_no_connector() {
    let (connector, report) = read(&[]);
    assert!(connector.is_none() && report.has_errors());
}
