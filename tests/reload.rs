//! Recipes, connectors and secrets change while the real program serves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use dovetail::run::{Ending, Fact};
use dovetail::sandbox::{Settings, Vendor};
use dovetail::store::Run;
use serde_json::json;

use crate::stage::{self, GHL, PEOPLE, QUIZ, Serve, Stage, until};

const CRM: &str = "\
connector: crm
base_url: \"{base_url}\"
connection: { base_url: { type: string } }
auth: { token: { bearer: $.secrets.token } }
objects:
  person:
    id: id
    schema: { type: object, properties: { id: { type: string }, email: { type: string }, name: { type: string } } }
    operations:
      create: { request: POST /people, returns: $, if_unsure: send_again }
";

const TO_CRM: &str = "\
workflow: to-crm
uses: { ghl: gohighlevel, crm: crm }
trigger: { event: ghl.contact.created }
actions:
  - call: crm.person.create
    with: { email: $.contact.email, name: $.contact.firstName }
";

const COUNTS: &str = "\
workflow: counts
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - call: os.contact.create
    with: { email: $.contact.email, first_name: $.contact.firstName, status: lead }
";

const WAITS: &str = "\
workflow: waits
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - id: named
    wait: { event: ghl.contact.updated, match: { email: $.contact.email }, timeout: 7d }
  - call: os.contact.create
    with: { email: $.named.email, first_name: $.named.firstName }
";

const HEARS_QUIZ: &str = "\
workflow: hears-quiz
uses: { os: opinion-stage }
trigger: { event: os.response.created }
actions: [{ stop: heard }]
";

const TICKS: &str = "\
workflow: ticks
trigger: { schedule: \"0 7 * * *\", timezone: Europe/Paris }
actions: [{ stop: ticked }]
";

async fn said(serve: &Serve, words: &str) {
    until(&format!("it says `{words}`"), async || serve.said().contains(words).then_some(())).await;
}

/// A record that was made is told by a webhook and seen in a list; whichever comes second is skipped.
fn done(run: &Run) -> bool {
    match &run.ending {
        Some(Ending::Completed { .. }) => true,
        Some(Ending::Skipped { .. }) => false,
        ending => panic!("{}: {ending:?}", run.start.workflow),
    }
}

/// Waits until all is over; gives how many runs have completed.
async fn completed(stage: &Stage) -> usize {
    stage.over().await.iter().filter(|run| done(run)).count()
}

/// `dovetail reload`: its exit code, and what it said.
async fn reload(stage: &Stage) -> (Option<i32>, String) {
    let mut command = stage::command();
    command.arg("reload").arg("--data").arg(stage.data());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it is waited for");
    let output = output.expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn reloaded(stage: &Stage) {
    let (code, said) = reload(stage).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_yaml_adds_is_used_without_a_restart() {
    let mut stage = Stage::set().await;
    let files = [("connectors/crm.yaml".to_owned(), CRM.to_owned())];
    let crm = Vendor::start(&files, None, Settings::new("crm")).await.expect("the new vendor");
    stage.flags.extend(["--allow-net".to_owned(), crm.address().to_string()]);
    let serve = stage.serve().await;

    stage.write("connectors/crm.yaml", CRM);
    stage.write("workflows/to-crm.yaml", TO_CRM);
    let secrets = stage.folder.join("secrets.yaml");
    let text = std::fs::read_to_string(&secrets).expect("the secrets") + "crm_token: token-sandbox\n";
    std::fs::write(&secrets, text).expect("the secrets");
    let connection = format!("{{ connector: crm, base_url: 'http://{}', token: $.secrets.crm_token }}", crm.address());
    stage.edit("dovetail.yaml", "\nconnections:\n", &format!("\nconnections:\n  our-crm: {connection}\n"));
    stage.activate(&["to-crm"]);
    // The files are noticed; nobody asks for it.
    said(&serve, "1 active workflow, 4 connections").await;

    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    assert_eq!(completed(&stage).await, 1);
    let people = crm.records("person");
    assert_eq!((people.len(), &people[0]["email"], &people[0]["name"]), (1, &json!("ada@example.com"), &json!("Ada")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_while_documents_change_a_hundred_times() {
    let mut stage = Stage::set().await;
    stage.write("workflows/counts.yaml", COUNTS);
    stage.activate(&["counts"]);
    let _serve = stage.serve().await;
    let (stage, end) = (&stage, &AtomicBool::new(false));
    let send = async |sender: usize| {
        let mut sent = 0;
        while !end.load(Ordering::Relaxed) {
            let email = format!("{sender}-{sent}@example.com");
            let contact = stage.make(GHL, "contact", json!({ "email": email, "firstName": "Ada" })).await;
            stage.tell("ContactCreate", &contact).await;
            sent += 1;
        }
        sent
    };
    let change = async {
        for index in 0..100 {
            // Each third change has a mistake in it.
            let mistake = index % 3 == 0;
            let text = COUNTS.replace("lead", &format!("status-{index}"));
            let text = if mistake { text.replace("first_name", "frist_name") } else { text };
            stage.write("workflows/counts.yaml", &text);
            let (code, said) = reload(stage).await;
            assert_eq!(code, Some(if mistake { 3 } else { 0 }), "{said}");
        }
        end.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(futures_util::future::join_all((0..3).map(send)), change);
    let sent: usize = sent.into_iter().sum();
    let runs = stage.over().await;
    assert_eq!(
        (runs.iter().filter(|run| done(run)).count(), stage.vendors[PEOPLE].records("contact").len()),
        (sent, sent)
    );
    let versions: BTreeSet<&str> = runs.iter().map(|run| run.start.plan.as_str()).collect();
    assert!(versions.len() > 10, "{sent} events of {} versions", versions.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_errors_are_told_and_not_taken_up() {
    let mut stage = Stage::set().await;
    stage.write("workflows/counts.yaml", COUNTS);
    stage.activate(&["counts"]);
    let serve = stage.serve().await;
    stage.edit("workflows/counts.yaml", "first_name", "frist_name");
    said(&serve, "error[unknown-field]").await;
    said(&serve, "what was served before is served on").await;
    let (code, told) = reload(&stage).await;
    assert_eq!(code, Some(3));
    assert!(told.contains("workflows/counts.yaml:6") && told.contains("did you mean `first_name`?"), "{told}");
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    assert_eq!(completed(&stage).await, 1);
    stage.edit("workflows/counts.yaml", "frist_name", "first_name");
    let (code, told) = reload(&stage).await;
    assert_eq!((code, told.as_str()), (Some(0), "nothing has changed: the documents are those that are served\n"));
    // A start needs a key that is not given here.
    stage.edit("dovetail.yaml", "auth: token", "auth: oauth");
    let (code, told) = reload(&stage).await;
    assert_eq!(code, Some(3), "{told}");
    drop(serve);
    let (code, told) = reload(&stage).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("nobody serves the data folder"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_end_on_the_version_that_they_began_with() {
    let mut stage = Stage::set().await;
    stage.write("workflows/waits.yaml", WAITS);
    stage.write("workflows/counts.yaml", COUNTS);
    stage.activate(&["waits"]);
    let serve = stage.serve().await;
    let ada = stage.make(GHL, "contact", json!({ "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    let run = until("it waits", async || {
        let run = stage.runs().await.into_iter().find(|run| run.start.workflow == "waits")?;
        let journal = stage.journal(&run.start.id).await;
        journal.iter().any(|entry| matches!(entry.fact, Fact::Subscribed { .. })).then_some(run)
    })
    .await;
    // Nobody waits for such an event any more, in two versions.
    stage.activate(&["counts"]);
    reloaded(&stage).await;
    stage.edit("workflows/counts.yaml", "lead", "client");
    reloaded(&stage).await;
    let ada = stage.change(GHL, "contact", ada["id"].as_str().expect("an id"), json!({ "firstName": "Ada" })).await;
    stage.tell("ContactUpdate", &ada).await;
    let runs = stage.over().await;
    let ended = runs.iter().find(|known| known.start.id == run.start.id).expect("the run");
    assert!(done(ended));
    let people = stage.vendors[PEOPLE].records("contact");
    assert_eq!((people.len(), &people[0]["first_name"]), (1, &json!("Ada")));
    // Others begin with the new one.
    let eve = stage.make(GHL, "contact", json!({ "email": "eve@example.com" })).await;
    stage.tell("ContactCreate", &eve).await;
    stage.over().await;
    assert_eq!(stage.vendors[PEOPLE].records("contact")[1]["status"], "client");
    drop(serve);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_schedules_begin_and_end_with_the_workflows_that_want_them() {
    let mut stage = Stage::set().await;
    stage.write("workflows/counts.yaml", COUNTS);
    stage.write("workflows/ticks.yaml", TICKS);
    stage.write("workflows/hears-quiz.yaml", HEARS_QUIZ);
    let poll = "changes: { poll: { with: list, by: timestamps.created, newest_first: true, every: 1s } }";
    let over = format!("connector: {QUIZ}\nobjects: {{ response: {{ {poll} }} }}\n");
    stage.write("connectors/opinion-stage.override.yaml", &over);
    stage.activate(&["counts"]);
    let serve = stage.serve().await;
    assert_eq!(stage.requests(QUIZ, "response.list").await.len(), 0);

    stage.activate(&["ticks", "hears-quiz"]);
    reloaded(&stage).await;
    until("the list is read", async || (stage.requests(QUIZ, "response.list").await.len() > 1).then_some(())).await;
    let first = until("the schedule is kept", async || schedule(&stage).await).await;
    assert_eq!(first["of"], "0 7 * * * Europe/Paris");
    let response = json!({ "result": { "title": "Ready now" } });
    stage.make(QUIZ, "response", json!({ "item_id": "1001", "attributes": response })).await;
    until("what is new is heard", async || {
        let runs = stage.runs().await;
        runs.iter().any(|run| run.start.workflow == "hears-quiz").then_some(())
    })
    .await;

    // At another time of day, which counts from now: whatever would have been before was not missed.
    stage.edit("workflows/ticks.yaml", "0 7", "30 7");
    reloaded(&stage).await;
    let second = until("the other schedule is kept", async || {
        schedule(&stage).await.filter(|kept| kept["of"] == "30 7 * * * Europe/Paris")
    })
    .await;
    assert!(second["read_ms"].as_i64() > first["read_ms"].as_i64());

    stage.activate(&["ticks"]);
    reloaded(&stage).await;
    let before = stage.requests(QUIZ, "response.list").await.len();
    // A list of the same pace says how much time has gone by.
    let tasks = HEARS_QUIZ.replace("hears-quiz", "hears-contacts").replace("response.created", "contact.created");
    stage.write("workflows/hears-contacts.yaml", &tasks.replace("opinion-stage", PEOPLE));
    let over = "objects: { contact: { changes: { poll: { with: list, by: created_at, every: 1s } } } }";
    stage.write("connectors/opinion-stage-contacts.override.yaml", &format!("connector: {PEOPLE}\n{over}\n"));
    stage.activate(&["hears-contacts"]);
    reloaded(&stage).await;
    until("some seconds have gone by", async || (stage.requests(PEOPLE, "contact.list").await.len() > 3).then_some(()))
        .await;
    let after = stage.requests(QUIZ, "response.list").await.len();
    assert!(after <= before + 1, "one may have been on its way: {before} {after}");
    drop(serve);
}

async fn schedule(stage: &Stage) -> Option<serde_json::Value> {
    stage.cursor("schedule:ticks").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_is_used_from_then_on() {
    let mut stage = Stage::set().await;
    stage.write("workflows/counts.yaml", COUNTS);
    stage.activate(&["counts"]);
    stage.secrets("pit-sandbox-location", "a-token-that-has-ended");
    let serve = stage.serve().await;
    let ada = stage.make(GHL, "contact", json!({ "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    until("it is refused", async || (!stage.requests(PEOPLE, "contact.create").await.is_empty()).then_some(())).await;
    stage.secrets("pit-sandbox-location", "token-sandbox");
    said(&serve, "the secrets are those of the changed file now").await;
    assert_eq!(completed(&stage).await, 1);
}
