//! The connectors that come with the program are good, and do what their vendors' facts say.

use std::path::Path as FilePath;

use serde_json::{Value, json};

use super::{findings, read};
use crate::connector::{Body, Connector, Names, Outcome, Page, Response};
use crate::expr::Locale;

fn shipped(name: &str) -> Connector {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("connectors").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let (connector, report) = read(&[(name, &text)]);
    let findings = findings(&report);
    assert!(report.is_empty(), "{findings:#?}");
    connector.unwrap()
}

#[test]
fn every_shipped_connector_is_read_without_error() {
    for name in ["gohighlevel.yaml", "opinion-stage.yaml", "opinion-stage-contacts.yaml"] {
        assert!(!shipped(name).operations().is_empty());
    }
}

#[test]
fn a_contact_of_gohighlevel_is_searched_created_and_understood() {
    let ghl = shipped("gohighlevel.yaml");
    let connection = json!({ "location_id": "L1" });
    let search = ghl.operation("contact.list").unwrap();
    let request =
        search.request(&ghl, &connection, &json!({}), &Page { next: Some(json!([1, "c1"])), seen: None }).unwrap();
    assert_eq!(
        (request.method.as_str(), request.url.as_str()),
        ("POST", "https://services.leadconnectorhq.com/contacts/search")
    );
    let Some(Body::Json(body)) = request.body else { panic!() };
    assert_eq!(body["searchAfter"], json!([1, "c1"]));
    assert_eq!(body["locationId"], "L1");
    let version = request.headers.iter().find(|(name, _)| name == "Version").map(|(_, value)| value.as_str());
    assert_eq!(version, Some("2021-07-28"));

    let names: Names = serde_json::from_value(json!({ "lists": { "custom": { "f1": "quiz_score" } } })).unwrap();
    let create = ghl.operation("contact.create").unwrap();
    let input = create
        .unshape(&ghl, json!({ "email": "ada@example.com", "custom.quiz_score": 5 }), &names, &Locale::default())
        .unwrap();
    let request = create.request(&ghl, &connection, &input, &Page::default()).unwrap();
    let wanted =
        json!({ "email": "ada@example.com", "customFields": [{ "id": "f1", "field_value": 5 }], "locationId": "L1" });
    assert_eq!(request.body, Some(Body::Json(wanted)));

    let update = ghl.operation("contact.update").unwrap();
    let refused = update.unshape(&ghl, json!({ "id": "c1", "gender": "f" }), &names, &Locale::default());
    assert_eq!(
        refused.map_err(|fault| fault.message).as_ref().map_err(String::as_str),
        Err("`gender` can only be given when the contact is created")
    );

    let task = ghl.operation("task.create").unwrap();
    let input = json!({ "contactId": "c1", "title": "Call", "dueDate": "2026-09-01T10:00:00Z", "completed": "false" });
    let input = task.unshape(&ghl, input, &names, &Locale::default()).unwrap();
    let request = task.request(&ghl, &connection, &input, &Page::default()).unwrap();
    assert_eq!(request.url, "https://services.leadconnectorhq.com/contacts/c1/tasks");
    let Some(Body::Json(body)) = request.body else { panic!() };
    assert_eq!((&body["completed"], body.get("contactId")), (&json!(false), None));

    let duplicate = json!({ "statusCode": 400, "message": "This location does not allow duplicated contacts.",
        "meta": { "contactId": "c9", "matchingField": "email" } });
    let answers = [
        (400, duplicate, "duplicate"),
        (401, json!({ "message": "The token is not authorized for this scope." }), "scope"),
        (401, json!({ "message": "Invalid JWT" }), "auth"),
        (400, json!({ "message": "Contact with id X not found" }), "not_found"),
        (422, json!({ "message": ["property X should not exist"] }), "invalid"),
        (403, json!("<html><title>Just a moment…</title></html>"), "transient"),
        (429, Value::Null, "rate_limited"),
    ];
    for (status, body, name) in answers {
        let response = Response { status, headers: Vec::new(), body, not_kept: None };
        let Outcome::Failed(failure) = ghl.outcome(create, &json!({}), &connection, &Page::default(), response) else {
            panic!("{status}");
        };
        assert_eq!(failure.name, name, "{status} {}", failure.message);
        assert_eq!(failure.existing_id.is_some(), name == "duplicate");
    }
}

#[test]
fn tasks_and_notes_know_their_contact() {
    let ghl = shipped("gohighlevel.yaml");
    for name in ["task", "note"] {
        let parent = ghl.object(name).unwrap().parent.as_ref().unwrap();
        assert_eq!((parent.object.as_str(), parent.id.as_str()), ("contact", "contactId"));
    }
    let os = shipped("opinion-stage.yaml");
    let response = os.object("response").unwrap();
    assert_eq!(response.parent.as_ref().map(|parent| parent.id.as_str()), Some("item_id"));
    let feed = response.changes.poll.as_ref().unwrap();
    assert_eq!((feed.operation.as_str(), feed.newest_first), ("response.list", true));
    assert_eq!(response.keyed_lists[0].names_setting.as_deref(), Some("lead_names"));
}
