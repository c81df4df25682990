//! Why did this record (not) change? Asked by the id of either side, an e-mail address or a phone number.

use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage};

fn why(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let output = stage::command().arg("why").args(words).arg("--data").arg(stage.data()).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The lines in this order, others between them.
#[track_caller]
fn in_order(said: &str, lines: &[&str]) {
    let mut rest = said;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("`{line}` is not where it should be:\n{said}"));
        rest = &rest[at + line.len()..];
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_a_record_is_told_from_either_side() {
    let mut stage = Stage::set().await;
    let ada = stage
        .make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "+442079460123" }))
        .await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    let _serve = stage.serve().await;
    stage.list_is_read().await;
    stage.tell("ContactCreate", &ada).await;
    stage.tell("ContactCreate", &bob).await;
    stage.over().await;
    let id = ada["id"].as_str().expect("an id");
    let ada = stage.change(GHL, "contact", id, json!({ "firstName": "Ada B." })).await;
    stage.tell("ContactUpdate", &ada).await;
    // Told again: nothing has changed since.
    stage.tell("ContactUpdate", &ada).await;
    stage.over().await;
    // Nobody listens for this one.
    let task = json!({ "id": "task-of-nobody", "contactId": id, "title": "x" });
    stage.tell("TaskDelete", &task).await;
    let people = stage.vendors[PEOPLE].records("contact");
    let other = people.iter().find(|person| person["email"] == "ada@example.com").expect("Ada");
    let other = other["id"].as_str().expect("an id").to_owned();
    let here = format!("example-ghl/contact/{id}");
    let there = format!("example-people/contact/{other}");
    let lines = [
        "contact ", // of one side, then of the other
        "contact ",
        "contact-to-opinion-stage, completed, about contact ",
        "the record was created",
        "creates: contact.create at example-people",
        "\"first_name\":\"Ada\"",
        "contact-to-opinion-stage, completed, about contact ",
        "the record was updated: dateUpdated, firstName",
        "changes: contact.update at example-people",
        "contact-to-opinion-stage, skipped, about contact ",
        "it was told already, and nothing has changed since",
    ];
    for asked in [&*here, &*there, "ada@example.com", "+44 20 7946 0123"] {
        let (code, said) = why(&stage, &[asked]);
        assert_eq!(code, Some(0), "{said}");
        in_order(&said, &lines);
        assert!(!said.contains("bob@example.com"), "{said}");
    }
    let (_, said) = why(&stage, &[&here]);
    in_order(&said, &["no workflow listened for these", "task task-of-nobody, deleted, from gohighlevel"]);
    let (code, said) = why(&stage, &[&here, "--limit", "1"]);
    assert!(code == Some(0) && said.contains("2 runs came before: add `--limit 3`"), "{said}");
    let (_, said) = why(&stage, &[&here, "--json"]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((told["runs"].as_array().map(Vec::len), told["records"].as_array().map(Vec::len)), (Some(3), Some(2)));
    let (code, said) = why(&stage, &["nobody@example.com"]);
    assert!(code == Some(0) && said.contains("nothing is known of it"), "{said}");
    let (code, said) = why(&stage, &["Ada"]);
    assert!(code == Some(2) && said.contains("write CONNECTION/OBJECT/ID, an e-mail address"), "{said}");
}
