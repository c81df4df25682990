//! `dovetail test --record`, with the real program and the pretend vendors: what accounts hold becomes what tests begin with.

use serde_json::{Value, json};

use crate::stage::{GHL, PEOPLE, Stage};

const TESTS: &str = "\
test: contacts
now: '2026-09-01T10:00:00Z'
tests:
  - name: what is there on one side comes to the other
    given: { ghl.contact: fixtures/ghl.contact.json, os.contact: fixtures/os.contact.json }
    when: [{ after: 1h }]
    then: { count: { ghl.contact: 2, os.contact: 2 }, converged: true }
";

/// The sync `contacts`, and two people in one of its accounts.
async fn stage() -> Stage {
    let stage = Stage::set().await;
    stage.activate(&["contacts"]);
    for path in std::fs::read_dir(stage.project().join("workflows")).expect("workflows") {
        let path = path.expect("a file").path();
        if path.to_string_lossy().ends_with(".test.yaml") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    stage.write("workflows/contacts.test.yaml", TESTS);
    let secret = "pit-sandbox-location";
    let ada = json!({ "id": "c2", "firstName": "Ada", "email": "ada@example.com", "city": secret, "source": format!("({secret})") });
    stage.make(GHL, "contact", ada).await;
    stage.make(GHL, "contact", json!({ "id": "c1", "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.make(GHL, "note", json!({ "id": "n1", "contactId": "c2", "body": "Prefers the morning" })).await;
    stage.make(PEOPLE, "contact", json!({ "id": "p1", "first_name": "Ada", "email": "ada@example.com" })).await;
    stage
}

fn file(stage: &Stage, name: &str) -> String {
    let path = stage.project().join("workflows/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn records(stage: &Stage, name: &str) -> Vec<Value> {
    serde_json::from_str(&file(stage, name)).expect("a list")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_begins_with_what_the_accounts_hold_and_no_secret_is_in_it() {
    let stage = stage().await;
    let (code, said) = stage.run(&["test", "--record"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("wrote workflows/fixtures/ghl.contact.json: 2 records"), "{said}");
    let contacts = records(&stage, "ghl.contact.json");
    assert_eq!((&contacts[0]["id"], &contacts[1]["id"]), (&json!("c1"), &json!("c2")));
    assert_eq!((&contacts[1]["firstName"], &contacts[1]["city"]), (&json!("Ada"), &json!("[redacted]")));
    assert_eq!(contacts[1]["source"], "([redacted])");
    assert_eq!(contacts[1]["locationId"], Value::Null, "another account stands in");
    assert_eq!(records(&stage, "ghl.note.json")[0]["contactId"], "c2");
    assert_eq!(records(&stage, "os.note.json"), Vec::<Value>::new());
    for name in
        ["ghl.contact.json", "ghl.note.json", "ghl.task.json", "os.contact.json", "os.note.json", "os.task.json"]
    {
        let text = file(&stage, name);
        for secret in ["pit-sandbox", "token-sandbox", "a-secret"] {
            assert!(!text.contains(secret), "{name} holds `{secret}`");
        }
    }
    let (code, said) = stage.run(&["test"]);
    assert_eq!(code, Some(0), "{said}");

    // What is there is kept, unless a person says otherwise; and it is the same each time.
    let before = file(&stage, "ghl.contact.json");
    let (code, said) = stage.run(&["test", "--record"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("workflows/fixtures/ghl.contact.json is there already: --force writes it anew"), "{said}");
    let (code, said) = stage.run(&["test", "contacts", "--record", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(file(&stage, "ghl.contact.json"), before);
    let (code, said) = stage.run(&["test", "--record", "--force", "--limit", "1"]);
    assert_eq!((code, records(&stage, "ghl.contact.json").len()), (Some(0), 1), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_recorded_or_read_is_told() {
    let stage = stage().await;
    let (code, said) = stage.run(&["test"]);
    assert_eq!(code, Some(1), "{said}");
    let missing = "`ghl.contact`: there is no file workflows/fixtures/ghl.contact.json in the project that can be read";
    assert!(said.contains(missing) && said.contains("workflows/contacts.test.yaml:4"), "{said}");
    for (text, why) in [
        ("{}", "`ghl.contact`: fixtures/ghl.contact.json holds no list of records"),
        ("[1]", "`ghl.contact`: fixtures/ghl.contact.json holds no list of records"),
        ("[", "fixtures/ghl.contact.json is no JSON"),
    ] {
        stage.write("workflows/fixtures/ghl.contact.json", text);
        let (code, said) = stage.run(&["test"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(why), "no `{why}` in {said}");
    }
    std::fs::remove_dir_all(stage.project().join("workflows/fixtures")).expect("removed");

    let (code, said) = stage.run(&["test", "--limit", "3"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--record"), "{said}");
    let (code, said) = stage.run(&["test", "--record", "--tenant", "acme"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`contacts/ghl.contact` runs for no tenant `acme`"), "{said}");

    stage.secrets("pit-unknown-to-them", "token-sandbox");
    let (code, said) = stage.run(&["test", "--record"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("contact of `example-ghl`:") && !said.contains("pit-unknown"), "{said}");
    assert!(!stage.project().join("workflows/fixtures/ghl.contact.json").exists());

    stage.activate(&["add-tag-by-hand"]);
    let (code, said) = stage.run(&["test", "--record"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("`contacts` is not active: put it under `active:` in dovetail.yaml"), "{said}");
}
