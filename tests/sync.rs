//! The shipped sync, with the real program and the pretend vendors, which send their own webhooks.

use std::collections::BTreeMap;

use dovetail::store::Store;
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Serve, Stage, command, until};

/// The shipped project with its sync, and both vendors telling `serve` of what changes.
async fn hearing(edits: &[(&str, &str)]) -> (Stage, Serve) {
    let mut stage = Stage::set().await;
    stage.activate(&["contacts"]);
    for (from, to) in edits {
        stage.edit("workflows/contacts.yaml", from, to);
    }
    let serve = stage.serve_hearing_both().await;
    (stage, serve)
}

/// As people do it in the vendor's own app: webhooks go out.
async fn make(stage: &Stage, vendor: &str, object: &str, record: Value) -> String {
    let said = stage.control("POST", vendor, &format!("/records/{object}"), record).await;
    said["records"][0]["id"].as_str().expect("an id").to_owned()
}

async fn change(stage: &Stage, vendor: &str, object: &str, id: &str, fields: Value) {
    stage.control("PATCH", vendor, &format!("/records/{object}/{id}"), fields).await;
}

async fn records(stage: &Stage, vendor: &str, object: &str) -> Vec<Value> {
    let said = stage.control("GET", vendor, &format!("/records/{object}"), Value::Null).await;
    said["records"].as_array().cloned().unwrap_or_default()
}

/// The one record of an object with this value, as soon as there is one.
async fn with(stage: &Stage, vendor: &str, object: &str, field: &str, value: Value) -> Value {
    until(&format!("{vendor} has a {object} with {field} {value}"), async || {
        let mut hits = records(stage, vendor, object).await;
        hits.retain(|record| record[field] == value);
        assert!(hits.len() < 2, "{object} twice: {hits:?}");
        hits.pop()
    })
    .await
}

/// How many contacts are in Opinion Stage, as soon as there are so many.
async fn carried(stage: &Stage, least: usize) -> usize {
    until(&format!("{least} contacts are carried over"), async || {
        let count = records(stage, PEOPLE, "contact").await.len();
        (count >= least).then_some(count)
    })
    .await
}

/// The vendors' writes by us, once nothing moves any more: all runs are over, and all webhooks are told.
async fn writes(stage: &Stage) -> BTreeMap<String, usize> {
    stage.over().await;
    let mut writes = BTreeMap::new();
    for vendor in [GHL, PEOPLE] {
        for operation in ["create", "update", "delete", "archive"] {
            for object in ["contact", "note", "task"] {
                let name = format!("{object}.{operation}");
                let count = stage.requests(vendor, &name).await.len();
                writes.insert(format!("{vendor} {name}"), count);
            }
        }
    }
    writes.retain(|_, count| *count > 0);
    writes
}

/// A command that only looks at the store, or changes what is in it.
fn plain(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let mut command = command();
    command.args(words).arg("--project").arg(stage.project()).arg("--data").arg(stage.data());
    let output = command.output().expect("it runs");
    let said = if words.contains(&"--json") { output.stdout } else { [output.stdout, output.stderr].concat() };
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Does a command act by itself? What a cluster keeps changes only where one serves.
fn alone() -> bool {
    stage::cluster::nodes_asked_for().is_none()
}

/// Ada, made in GoHighLevel and carried over: her id on both sides.
async fn ada(stage: &Stage) -> (String, String) {
    let ada = make(stage, GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let there = with(stage, PEOPLE, "contact", "email", json!("ada@example.com")).await;
    stage.over().await;
    (ada, there["id"].as_str().expect("an id").to_owned())
}

fn apply(stage: &Stage) -> String {
    let (code, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_on_each_side_crosses_both_survive_and_then_it_is_quiet() {
    let (stage, serve) = hearing(&[]).await;
    apply(&stage);
    let ada =
        make(&stage, GHL, "contact", json!({ "firstName": "Ada", "email": "Ada@Example.com", "tags": ["vip"] })).await;
    let there = with(&stage, PEOPLE, "contact", "email", json!("ada@example.com")).await;
    let there = there["id"].as_str().expect("an id").to_owned();
    stage.over().await;
    change(&stage, GHL, "contact", &ada, json!({ "city": "London" })).await;
    change(&stage, PEOPLE, "contact", &there, json!({ "last_name": "Lovelace", "segments": ["vip", "quiz"] })).await;
    make(&stage, PEOPLE, "note", json!({ "contact_id": there, "content": "Prefers the morning" })).await;
    make(&stage, GHL, "task", json!({ "contactId": ada, "title": "Call", "completed": false })).await;
    with(&stage, PEOPLE, "contact", "city", json!("London")).await;
    let here = with(&stage, GHL, "contact", "lastName", json!("Lovelace")).await;
    assert_eq!((&here["city"], &here["tags"]), (&json!("London"), &json!(["vip", "quiz"])));
    with(&stage, GHL, "note", "body", json!("Prefers the morning")).await;
    let task = with(&stage, PEOPLE, "task", "title", json!("Call")).await;
    stage.over().await;
    change(&stage, PEOPLE, "task", task["id"].as_str().expect("an id"), json!({ "status": "done" })).await;
    with(&stage, GHL, "task", "completed", json!(true)).await;
    let once = writes(&stage).await;
    // One for each of what people did on the other side, and nothing for what that made.
    let expected = json!({
        "gohighlevel contact.update": 1, "gohighlevel note.create": 1, "gohighlevel task.update": 1,
        "opinion-stage-contacts contact.create": 1, "opinion-stage-contacts contact.update": 1,
        "opinion-stage-contacts task.create": 1,
    });
    assert_eq!(json!(once), expected);
    let (code, said) = stage.run(&["audit", "contacts"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("both sides are equal: 3 pairs in line"), "{said}");
    assert_eq!(writes(&stage).await, once, "to look changes nothing");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_before_the_plan_is_applied_and_another_state_is_not_touched() {
    let (stage, serve) = hearing(&[]).await;
    make(&stage, GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    make(&stage, PEOPLE, "contact", json!({ "first_name": "Augusta", "email": "ADA@example.com" })).await;
    make(&stage, PEOPLE, "contact", json!({ "first_name": "Bob", "email": "bob@example.com" })).await;
    assert_eq!(writes(&stage).await, BTreeMap::new());
    let (code, said) = stage.run(&["plan", "contacts"]);
    assert_eq!(code, Some(0), "{said}");
    for line in ["firstName \"Ada\" → first_name \"Augusta\", since that side wins", "+ ghl.contact from os.contact"]
    {
        assert!(said.contains(line), "no `{line}` in {said}");
    }
    let (_, json) = stage.run(&["plan", "contacts", "--json"]);
    let plan: Value = serde_json::from_str(&json).expect("JSON");
    let hash = plan["hash"].as_str().expect("a hash").to_owned();
    assert_eq!(writes(&stage).await, BTreeMap::new(), "a plan writes nothing");

    make(&stage, PEOPLE, "contact", json!({ "first_name": "Cleo", "email": "cleo@example.com" })).await;
    let (code, said) = stage.run(&["apply", "contacts", "--plan", &hash]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the two sides have changed since plan"), "{said}");
    assert_eq!(writes(&stage).await, BTreeMap::new(), "another state is not touched");

    apply(&stage);
    stage.over().await;
    with(&stage, GHL, "contact", "firstName", json!("Bob")).await;
    with(&stage, PEOPLE, "contact", "first_name", json!("Ada")).await;
    let (code, said) = stage.run(&["audit", "contacts", "--shallow"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 pairs in line"), "{said}");

    // The same difference once more is brought into line once more.
    for _ in 0..2 {
        let [bob] = records(&stage, PEOPLE, "contact")
            .await
            .into_iter()
            .filter(|one| one["first_name"] == "Bob")
            .collect::<Vec<_>>()
            .try_into()
            .expect("one Bob");
        stage.change(PEOPLE, "contact", bob["id"].as_str().expect("an id"), json!({ "last_name": "Stone" })).await;
        apply(&stage);
        let there = with(&stage, GHL, "contact", "lastName", json!("Stone")).await;
        stage.over().await;
        stage.change(GHL, "contact", there["id"].as_str().expect("an id"), json!({ "lastName": "Wood" })).await;
        apply(&stage);
        with(&stage, PEOPLE, "contact", "last_name", json!("Wood")).await;
        stage.over().await;
    }
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_that_is_killed_goes_on_where_it_was_and_makes_nothing_twice() {
    const PEOPLE_MAX: usize = 40;
    let (mut stage, serve) = hearing(&[]).await;
    serve.kill();
    for number in 0..PEOPLE_MAX {
        let contact = json!({ "firstName": "Ada", "email": format!("p{number}@example.com") });
        let id = make(&stage, GHL, "contact", contact).await;
        make(&stage, GHL, "note", json!({ "contactId": id, "body": format!("note {number}") })).await;
    }
    // First the command alone, or a `serve` of a cluster that it asks; then `serve` that takes up what was left, then `serve` once more.
    let asked = if alone() { None } else { Some(stage.serve_hearing(GHL).await) };
    let mut asking = stage.begin(&["apply", "contacts", "--yes"]);
    let first = carried(&stage, 3).await;
    asking.kill().expect("it is killed");
    asking.wait().expect("it is gone");
    let was_asked = asked.map(Serve::kill).is_some();
    assert!(first < PEOPLE_MAX, "it was killed too late");
    let serve = stage.serve_hearing(GHL).await;
    if was_asked {
        // It may not have taken up all: whoever was not told that it was done says it again.
        apply(&stage);
    }
    carried(&stage, first + 3).await;
    serve.kill();
    let serve = stage.serve_hearing(GHL).await;
    carried(&stage, PEOPLE_MAX).await;
    let written = writes(&stage).await;
    for object in ["contact", "note"] {
        assert_eq!(records(&stage, PEOPLE, object).await.len(), PEOPLE_MAX, "{object}: {written:?}");
    }
    assert_eq!(records(&stage, GHL, "contact").await.len(), PEOPLE_MAX);
    let (code, said) = stage.run(&["audit", "contacts"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("both sides are equal: {} pairs in line", 2 * PEOPLE_MAX)), "{said}");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_was_changed_on_both_sides_waits_for_a_person_and_the_rest_flows() {
    let (mut stage, serve) = hearing(&[]).await;
    apply(&stage);
    let (ada, there) = ada(&stage).await;
    serve.kill();
    stage.change(GHL, "contact", &ada, json!({ "lastName": "Byron", "city": "London" })).await;
    stage.change(PEOPLE, "contact", &there, json!({ "last_name": "Lovelace" })).await;
    let serve = stage.serve_hearing(GHL).await;
    change(&stage, GHL, "contact", &ada, json!({ "city": "Paris" })).await;
    with(&stage, PEOPLE, "contact", "city", json!("Paris")).await;
    stage.over().await;
    with(&stage, PEOPLE, "contact", "last_name", json!("Lovelace")).await;
    let (code, said) = plain(&stage, &["questions", "list"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ghl.lastName \"Byron\" or os.last_name \"Lovelace\"?"), "{said}");
    let (code, said) = plain(&stage, &["questions", "answer", "1", "crm"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("say one of `ghl`, `os`"), "{said}");
    let (code, said) = plain(&stage, &["questions", "answer", "1", "os"]);
    assert_eq!(code, Some(0), "{said}");
    with(&stage, GHL, "contact", "lastName", json!("Lovelace")).await;
    stage.over().await;
    let (_, said) = plain(&stage, &["questions", "list"]);
    assert!(said.contains("no open questions"), "{said}");
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_parts_two_records_and_makes_two_others_one() {
    let (mut stage, serve) = hearing(&[]).await;
    apply(&stage);
    let (ada, there) = ada(&stage).await;
    let (one, other) = (format!("example-ghl/contact/{ada}"), format!("example-people/contact/{there}"));
    let listed = |stage: &Stage| {
        let (_, said) = plain(stage, &["pairs", "list", &other, "--json"]);
        serde_json::from_str::<Value>(&said).expect("JSON").as_array().map_or(0, Vec::len)
    };
    assert_eq!(listed(&stage), 1);
    let (code, said) = plain(&stage, &["pairs", "link", &one, &other]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("{one} is in a pair with {other}: `dovetail pairs unlink {one}` first")), "{said}");

    let (code, said) = plain(&stage, &["pairs", "unlink", &other]);
    assert_eq!(code, Some(0), "{said}");
    stage.over().await;
    assert_eq!(listed(&stage), 0);
    change(&stage, GHL, "contact", &ada, json!({ "city": "London" })).await;
    change(&stage, PEOPLE, "contact", &there, json!({ "city": "Paris" })).await;
    apply(&stage);
    stage.over().await;
    assert_eq!(records(&stage, GHL, "contact").await[0]["city"], "London");
    assert_eq!(records(&stage, PEOPLE, "contact").await[0]["city"], "Paris");
    let once = writes(&stage).await;
    assert_eq!(json!(once), json!({ "opinion-stage-contacts contact.create": 1 }), "neither got another half");

    // One that is not there is no other half; and is not made, either.
    let (code, said) = plain(&stage, &["pairs", "link", &one, "example-people/contact/nobody"]);
    assert_eq!(code, Some(0), "{said}");
    stage.over().await;
    let (_, said) = plain(&stage, &["questions", "list"]);
    assert!(said.contains("there is no contact of os with the id nobody: create it?"), "{said}");
    assert_eq!(writes(&stage).await, once);

    // Without `serve` it waits for the next one.
    let mut serve = Some(serve);
    if alone() {
        serve.take().expect("it serves").term().await;
    }
    let (code, said) = plain(&stage, &["pairs", "link", &other, &one]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.contains("the next `dovetail serve` acts on it"), alone(), "{said}");
    let serve = match serve {
        Some(serve) => serve,
        None => stage.serve_hearing(GHL).await,
    };
    with(&stage, PEOPLE, "contact", "city", json!("London")).await;
    stage.over().await;
    assert_eq!((listed(&stage), plain(&stage, &["questions", "list"]).1.contains("no open questions")), (1, true));
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_are_carried_over_up_to_the_brake_and_an_empty_list_deletes_nothing() {
    let edits = [("delete_brake: { records: 50, share: 10% }", "delete_brake: { records: 2 }")];
    let (stage, serve) = hearing(&edits).await;
    apply(&stage);
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids.push(
            make(&stage, GHL, "contact", json!({ "firstName": name, "email": format!("{name}@example.com") })).await,
        );
        with(&stage, PEOPLE, "contact", "first_name", json!(name)).await;
    }
    stage.over().await;
    // The vendor answers with an empty list, as if there were nobody any more.
    stage
        .fault(GHL, json!({ "at": "contact.list", "status": 200, "body": { "contacts": [], "total": 0 }, "times": 1 }))
        .await;
    apply(&stage);
    stage.over().await;
    assert_eq!(records(&stage, PEOPLE, "contact").await.len(), 4);
    assert!(!writes(&stage).await.contains_key("opinion-stage-contacts contact.archive"));

    for id in &ids {
        stage.control("DELETE", GHL, &format!("/records/contact/{id}"), Value::Null).await;
        stage.over().await;
    }
    until("the last delete is told", async || {
        let (_, said) = plain(&stage, &["questions", "list", "--json"]);
        let open: Value = serde_json::from_str(&said).expect("JSON");
        (open.as_array().map(Vec::len) == Some(2)).then_some(())
    })
    .await;
    let archived = records(&stage, PEOPLE, "contact").await.into_iter().filter(|record| record["status"] == "archived");
    assert_eq!(archived.count(), 2, "the brake holds the other two");
    let (_, said) = plain(&stage, &["questions", "list"]);
    assert!(said.contains("these are more deletes at once than `delete_brake` allows"), "{said}");
    // What was put away makes no new contact on the side where it was deleted.
    assert_eq!(records(&stage, GHL, "contact").await.len(), 0);
    serve.term().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_is_in_no_agreement_and_no_question() {
    let (mut stage, serve) = hearing(&[]).await;
    apply(&stage);
    let ada = make(&stage, GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let there = with(&stage, PEOPLE, "contact", "email", json!("ada@example.com")).await;
    // The echo is told, too: a run that is not over would not be erased.
    until("the echo is taken", async || (stage.runs().await.len() > 1).then_some(())).await;
    stage.over().await;
    serve.kill();
    stage.change(GHL, "contact", &ada, json!({ "lastName": "Byronesque" })).await;
    let id = there["id"].as_str().expect("an id");
    stage.change(PEOPLE, "contact", id, json!({ "last_name": "Lovelacean" })).await;
    let _serve = if alone() { None } else { Some(stage.serve_hearing(GHL).await) };
    let (code, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    stage.over().await;
    let (_, said) = plain(&stage, &["questions", "list"]);
    assert!(said.contains("Byronesque"), "{said}");
    let (code, said) = plain(&stage, &["erase", "ada@example.com", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    stage.over().await;
    let (_, said) = plain(&stage, &["questions", "list"]);
    assert!(said.contains("no open questions"), "{said}");
    let store = Store::open_read_only(&stage.data()).expect("the store");
    let sides = [("example-ghl", "contact"), ("example-people", "contact")];
    let before = store.pairs("contacts", None, sides.map(|(of, name)| (of.into(), name.into()))).await.expect("pairs");
    store.close().await;
    let [(ids, pact)] = before.pairs.as_slice() else { panic!("one pair: {:?}", before.pairs) };
    assert_eq!(*ids, [ada, id.to_owned()], "the ids stay a pair");
    assert!(pact.agreed.is_empty(), "{pact:?}");
}
