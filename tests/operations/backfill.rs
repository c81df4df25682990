//! A workflow hears of what was there before it was first served: each record once, whatever happens on the way.

use std::collections::BTreeMap;

use dovetail::store::{Run, Store, Wanted};
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage, until};

/// Says something about each contact; it would say it twice, if it were started twice.
const GREET: &str = "\
workflow: greet
uses: { ghl: gohighlevel }
trigger:
  event: ghl.contact.created
  only_if: { $.contact.email: { blank: false } }
actions:
  - call: ghl.note.create
    with: { contactId: $.contact.id, body: \"Hello {{contact.firstName}}\" }
";

async fn stage() -> Stage {
    let stage = Stage::set().await;
    stage.write("workflows/greet.yaml", GREET);
    stage.activate(&["greet"]);
    stage
}

/// So many contacts of a year.
async fn contacts(stage: &Stage, year: u32, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let contact = json!({
            "firstName": format!("Ada {number}"), "email": format!("ada-{number}@{year}.example.com"),
            "dateAdded": format!("{year}-03-01T12:00:{number:02}.000Z"),
        });
        let made = stage.make(GHL, "contact", contact).await;
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    ids
}

/// How many notes each contact has.
fn notes(stage: &Stage) -> BTreeMap<String, usize> {
    let mut notes = BTreeMap::new();
    for note in stage.vendors[GHL].records("note") {
        *notes.entry(note["contactId"].as_str().expect("whose").to_owned()).or_insert(0) += 1;
    }
    notes
}

fn each(ids: &[String], count: usize) -> BTreeMap<String, usize> {
    ids.iter().map(|id| (id.clone(), count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_that_is_meant_starts_the_workflow_once() {
    let stage = stage().await;
    let old = contacts(&stage, 2024, 20).await;
    let new = contacts(&stage, 2026, 10).await;
    let since = ["backfill", "greet", "--since", "2026-01-01"];
    let asked = |more: &[&str]| stage.run(&[since.as_slice(), more].concat());

    // First it is told what there is, and nothing is started.
    let (code, said) = asked(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("example-ghl lists 30 records of `contact`, 10 meant by `dateAdded`"), "{said}");
    assert!(said.contains("10 runs of `greet` to start") && said.contains("nothing is started: add --yes"), "{said}");
    let (code, said) = asked(&["--dry-run", "--json"]);
    assert!(code == Some(0) && said.contains(r#""to_start": 10"#), "{said}");
    assert!(stage.runs().await.is_empty() && notes(&stage).is_empty());

    let quick = ["--yes", "--per-second", "1000"];
    let (code, said) = asked(&quick);
    assert!(code == Some(0) && said.contains("10 runs started: 10 completed"), "{said}");
    assert_eq!(notes(&stage), each(&new, 1));
    let (code, said) = asked(&quick);
    assert!(code == Some(0) && said.contains("10 backfilled before") && said.contains("0 runs started"), "{said}");
    let (_, said) = stage.run(&[&["backfill", "greet", "--until", "2026-01-01", "--json"][..], &quick].concat());
    assert!(said.contains(r#""started": 20"#) && said.contains(r#""completed": 20"#), "{said}");
    assert_eq!(notes(&stage), each(&[old, new.clone()].concat(), 1));

    // Who means it does it once more, which has a name of its own.
    let (_, said) = asked(&[&["--again", "spring"][..], &quick].concat());
    assert!(said.contains("10 runs started: 10 completed"), "{said}");
    let (_, said) = asked(&[&["--again", "spring"][..], &quick].concat());
    assert!(said.contains("0 runs started"), "{said}");
    assert_eq!(notes(&stage)[&new[0]], 2);

    // Oldest first, with its data, and it says where it comes from.
    let runs: Vec<Run> = stage.runs().await;
    let of: Vec<&str> = runs[..10].iter().filter_map(|run| run.start.event.record_id.as_deref()).collect();
    assert_eq!(of, new);
    assert!(runs.iter().all(|run| run.start.event.source == "backfill" && run.start.event.record["email"].is_string()));
    let past = |words: &[&str]| {
        let output = stage::command().args(words).arg("--data").arg(stage.data()).output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(past(&["runs", "list"]).contains("created, by backfill"), "{}", past(&["runs", "list"]));
    let why = past(&["why", "ada-3@2026.example.com"]);
    assert!(why.contains("created, by backfill"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_is_killed_is_asked_for_again() {
    let stage = stage().await;
    let ids = contacts(&stage, 2026, 30).await;
    // Some are done, some are under way, some are not begun when it is killed.
    stage.fault(GHL, json!({ "at": "note.create", "delay_ms": 80, "times": 0 })).await;
    let words = ["backfill", "greet", "--yes", "--per-second", "40"];
    let mut killed = stage.begin(&words);
    until("some are greeted", async || (notes(&stage).len() >= 8).then_some(())).await;
    killed.kill().expect("it is killed");
    killed.wait().expect("it is gone");
    let begun = stage.runs().await.len();
    assert!((8..30).contains(&begun), "{begun} were begun");
    let (code, said) = stage.run(&words);
    assert!(code == Some(0) && said.contains(&format!("{begun} backfilled before")), "{said}");
    assert!(said.contains(&format!("{} runs started", 30 - begun)) && !said.contains("not over"), "{said}");
    assert_eq!(notes(&stage), each(&ids, 1));
    assert_eq!(stage.over().await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_serve_it_is_told_what_nobody_has_told() {
    let mut stage = stage().await;
    let mut ids = contacts(&stage, 2026, 30).await;
    let serve = stage.serve().await;
    stage.list_is_read().await;
    // One is told live; it is passed by later.
    let eve = stage.make(GHL, "contact", json!({ "firstName": "Eve", "email": "eve@example.com" })).await;
    stage.tell("ContactCreate", &eve).await;
    until("Eve is greeted", async || (notes(&stage).len() == 1).then_some(())).await;
    ids.push(eve["id"].as_str().expect("an id").to_owned());
    let (code, said) = stage.run(&["backfill", "greet"]);
    assert!(code == Some(2) && said.contains("31 runs of `greet` to start"), "{said}");

    // Both are killed on the way, one after the other.
    stage.fault(GHL, json!({ "at": "note.create", "delay_ms": 80, "times": 0 })).await;
    let words = ["backfill", "greet", "--yes", "--per-second", "40"];
    let mut asking = stage.begin(&words);
    until("some are greeted", async || (notes(&stage).len() >= 6).then_some(())).await;
    serve.kill();
    let code = asking.wait().expect("it ends").code();
    assert_eq!(code, Some(1), "how far it came is not known");
    let begun = stage.runs().await.len();
    assert!((6..30).contains(&begun), "{begun} were begun");
    let serve = stage.serve().await;
    let (code, said) = stage.run(&words);
    assert!(code == Some(0) && said.contains(&format!("{} runs started", 32 - begun)), "{said}");
    assert!(said.contains("1 skipped"), "Eve was told already: {said}");
    stage.over().await;
    assert_eq!(notes(&stage), each(&ids, 1));
    let (_, said) = stage.run(&words);
    assert!(said.contains("31 backfilled before") && said.contains("there is nothing to start"), "{said}");
    // What one workflow was told of the past is not replayed to all.
    let store = Store::open_read_only(&stage.data()).expect("the store");
    let kept = store.kept_events(&Wanted::default(), 0, 100).await.expect("events");
    store.close().await;
    assert!(kept.iter().all(|(_, event)| event.record_id.as_deref() == eve["id"].as_str()), "{kept:#?}");
    assert!(!kept.is_empty());
    serve.kill();
}

/// Copies a contact, with one request.
const COPY: &str = "\
workflow: copy
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - call: os.contact.create
    with: { email: $.contact.email }
";

#[tokio::test(flavor = "multi_thread")]
async fn live_work_goes_first() {
    let mut stage = stage().await;
    stage.write("workflows/copy.yaml", COPY);
    stage.activate(&["copy"]);
    let limits = "limits: [{ requests: 6, per: 1h, keep_for_live_events: 50% }]";
    stage.edit("connectors/opinion-stage-contacts.override.yaml", "limits: []", limits);
    contacts(&stage, 2026, 10).await;
    let serve = stage.serve().await;
    stage.list_is_read().await;
    let copies = || stage.vendors[PEOPLE].records("contact").len();
    let mut asking = stage.begin(&["backfill", "copy", "--yes", "--per-second", "1000"]);
    // The past stops before the share of what is live.
    until("all are started", async || (stage.runs().await.len() == 10).then_some(())).await;
    until("its share is used up", async || (copies() == 3).then_some(())).await;
    let eve = stage.make(GHL, "contact", json!({ "firstName": "Eve", "email": "eve@example.com" })).await;
    stage.tell("ContactCreate", &eve).await;
    until("Eve is copied", async || (copies() == 4).then_some(())).await;
    let has_eve = |people: Vec<Value>| people.iter().any(|person| person["email"] == "eve@example.com");
    assert!(has_eve(stage.vendors[PEOPLE].records("contact")), "what is live is not behind the past");
    asking.kill().expect("it is killed");
    asking.wait().expect("it is gone");
    serve.kill();
}

/// Reads a list with what it gives it, one look at a time.
const LOOK: &str = "\
workflow: look
uses: { ghl: gohighlevel }
trigger: { poll: ghl.note.list, every: 1h, with: { contactId: $.vars.whose } }
vars: { whose: WHOSE }
actions: [{ stop: $.note.body }]
";

const ECHO: &str = "\
workflow: echo
uses: { ghl: gohighlevel }
trigger: { event: ghl.note.created, include: [contact] }
actions: [{ stop: \"{{note.body}} to {{note.contact.firstName}}\" }]
";

#[tokio::test(flavor = "multi_thread")]
async fn what_lives_under_records_and_what_a_list_of_its_own_shows_is_told() {
    let stage = stage().await;
    let ids = contacts(&stage, 2026, 3).await;
    for id in &ids {
        stage.make(GHL, "note", json!({ "contactId": id, "body": "Hello" })).await;
    }
    stage.write("workflows/look.yaml", &LOOK.replace("WHOSE", &ids[1]));
    stage.write("workflows/echo.yaml", ECHO);
    stage.activate(&["look", "echo", "contacts"]);
    let values = |runs: Vec<Run>| -> Vec<String> { runs.iter().map(|run| format!("{:?}", run.ending)).collect() };
    let (_, said) = stage.run(&["backfill", "echo", "--yes"]);
    assert!(said.contains("lists 3 records of `note`") && said.contains("3 runs started: 3 completed"), "{said}");
    let told = values(stage.runs().await);
    assert!(told.iter().any(|told| told.contains("Hello to Ada 2")), "{told:#?}");
    let (_, said) = stage.run(&["backfill", "look", "--yes"]);
    assert!(said.contains("lists 1 record of `note`") && said.contains("1 run started: 1 completed"), "{said}");
    assert!(values(stage.runs().await)[3].contains("Hello"), "{said}");

    for name in ["contacts", "contacts/ghl.contact"] {
        let (code, said) = stage.run(&["backfill", name, "--yes"]);
        assert!(code == Some(2) && said.contains("`dovetail plan contacts` shows"), "{said}");
    }
}
