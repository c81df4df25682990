//! What goes wrong at the vendors, and what the real program makes of it: nothing twice, nothing lost, nothing silent.

use dovetail::run::{Ending, Fact};
use dovetail::store::{Run, Status};
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage, until};

const CONTACT: &str = "workflows/contact-to-opinion-stage.yaml";

/// A stage on which failed actions are tried again at once, and one contact.
async fn set() -> (Stage, Value) {
    let stage = Stage::set().await;
    stage.edit(CONTACT, "    upsert: os.contact\n", "    upsert: os.contact\n    retry: { wait: 50ms..200ms }\n");
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    (stage, ada)
}

/// Tells of the contact while a fault is ordered; gives the run and the requests to create at the other side.
async fn with(fault: Value) -> (Stage, Run, Vec<Value>) {
    let (mut stage, ada) = set().await;
    stage.fault(PEOPLE, fault).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    let run = stage.over().await.remove(0);
    let creates = stage.requests(PEOPLE, "contact.create").await;
    (stage, run, creates)
}

fn completed(run: &Run) {
    assert!(matches!(run.ending, Some(Ending::Completed { .. })), "{:?}", run.ending);
}

fn failed(run: &Run) -> &dovetail::connector::Failure {
    match &run.ending {
        Some(Ending::Failed { failure, .. }) => failure,
        other => panic!("the run did not fail: {other:?}"),
    }
}

fn keys(requests: &[Value]) -> Vec<&str> {
    requests.iter().map(|request| request["headers"]["idempotency-key"].as_str().expect("a key")).collect()
}

fn time_ms(request: &Value) -> i64 {
    let time = request["time"].as_str().expect("a time");
    chrono::DateTime::parse_from_rfc3339(time).expect("a time").timestamp_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_waited_for_as_long_as_it_says() {
    let (stage, run, creates) =
        with(json!({ "at": "contact.create", "status": 429, "retry_after": 1, "times": 2 })).await;
    completed(&run);
    assert_eq!(creates.len(), 3);
    for pair in creates.windows(2) {
        assert!(time_ms(&pair[1]) - time_ms(&pair[0]) >= 1_000, "{creates:#?}");
    }
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_is_tried_again_with_the_same_key() {
    let (stage, run, creates) = with(json!({ "at": "contact.create", "status": 500, "times": 2 })).await;
    completed(&run);
    let keys = keys(&creates);
    assert!(keys.len() == 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_write_makes_no_second_record() {
    let (stage, run, creates) = with(json!({ "at": "contact.create", "drop_after_write": true, "times": 1 })).await;
    completed(&run);
    let keys = keys(&creates);
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_slower_than_the_timeout_is_as_good_as_lost() {
    let (mut stage, ada) = set().await;
    stage.edit(CONTACT, "    upsert: os.contact\n", "    upsert: os.contact\n    timeout: 250ms\n");
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 20_000, "times": 1 })).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    let run = stage.over().await.remove(0);
    completed(&run);
    assert!(run.ended_ms.expect("it ended") - run.start.created_ms < 10_000, "it did not wait for the slow answer");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_200_with_an_error_in_it_is_no_success() {
    let fault = json!({ "at": "contact.create", "status": 200, "body": { "error": "quota" }, "times": 1 });
    let (stage, run, creates) = with(fault).await;
    assert_eq!(failed(&run).name, "not_accepted");
    assert_eq!(creates.len(), 1);
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 0);
    assert_eq!(stage.counts().await.links, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_network_instead_of_an_answer_is_tried_again() {
    let (mut stage, ada) = set().await;
    let html = "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>";
    stage.fault(GHL, json!({ "at": "contact.get", "status": 403, "html": html, "times": 1 })).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    completed(&stage.over().await[0]);
    assert_eq!(stage.requests(GHL, "contact.get").await.len(), 2);
}

/// GoHighLevel has no idempotency keys. A workflow that creates one of each there, for each new contact but those that it
/// created itself.
const BACK: &str = "\
workflow: back
uses: { ghl: gohighlevel }
trigger: { event: ghl.contact.created, only_if: { $.contact.firstName: { ne: Friend } } }
actions:
  - upsert: ghl.contact
    retry: &quick { wait: 50ms..200ms }
    match: [email]
    with: { email: 'friend-of-{{contact.email}}', firstName: Friend }
  - call: ghl.note.create
    retry: *quick
    with: { contactId: $.contact.id, body: hello }
  - call: ghl.task.create
    retry: *quick
    with: { contactId: $.contact.id, title: Call, dueDate: '2027-01-01T10:00:00Z', completed: false }
";

async fn back() -> (Stage, Value) {
    let (stage, ada) = set().await;
    stage.write("workflows/back.yaml", BACK);
    stage.edit("dovetail.yaml", "  - contact-to-opinion-stage\n", "  - back\n");
    (stage, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_a_lost_create_is_looked_up_and_not_repeated() {
    let (mut stage, ada) = back().await;
    let creates = ["contact.create", "note.create", "task.create"];
    for at in creates {
        stage.fault(GHL, json!({ "at": at, "drop_after_write": true, "times": 1 })).await;
    }
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    completed(&stage.over().await[0]);
    for at in creates {
        assert_eq!(stage.requests(GHL, at).await.len(), 1, "{at}");
    }
    let count = |object: &str| stage.vendors[GHL].records(object).len();
    assert_eq!((count("contact"), count("note"), count("task")), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_a_create_that_was_not_carried_out_is_repeated() {
    let (mut stage, ada) = back().await;
    let creates = ["contact.create", "note.create", "task.create"];
    for at in creates {
        stage.fault(GHL, json!({ "at": at, "drop_before": true, "times": 1 })).await;
        stage.fault(GHL, json!({ "at": at, "status": 502, "html": "<h1>Bad gateway</h1>", "times": 1 })).await;
    }
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    completed(&stage.over().await[0]);
    for at in creates {
        assert_eq!(stage.requests(GHL, at).await.len(), 3, "{at}");
    }
    let count = |object: &str| stage.vendors[GHL].records(object).len();
    assert_eq!((count("contact"), count("note"), count("task")), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_422_for_a_contact_that_was_created_all_the_same_is_seen_through() {
    let (mut stage, ada) = back().await;
    let body = json!({ "statusCode": 422, "message": ["nonsense"], "error": "Unprocessable Entity" });
    let fault = json!({ "at": "contact.create", "status": 422, "body": body, "after_write": true, "times": 1 });
    stage.fault(GHL, fault).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    completed(&stage.over().await[0]);
    assert_eq!(stage.requests(GHL, "contact.create").await.len(), 1);
    assert_eq!(stage.vendors[GHL].records("contact").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_422_that_is_meant_ends_as_a_dead_letter() {
    let (mut stage, ada) = back().await;
    let body = json!({ "statusCode": 422, "message": ["email must be an email"], "error": "Unprocessable Entity" });
    stage.fault(GHL, json!({ "at": "contact.create", "status": 422, "body": body, "times": 0 })).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    let run = stage.over().await.remove(0);
    assert_eq!(failed(&run).name, "invalid");
    assert_eq!(stage.requests(GHL, "contact.create").await.len(), 1, "it was looked for, and not sent again");
}

/// The vendor answers 200 to a create, with something that nobody understands, after it was carried out.
#[tokio::test(flavor = "multi_thread")]
async fn trying_again_by_hand_looks_before_it_repeats_what_may_have_been_carried_out() {
    let (mut stage, ada) = back().await;
    let fault = json!({ "at": "note.create", "status": 200, "body": { "ok": 1 }, "after_write": true, "times": 1 });
    stage.fault(GHL, fault).await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    let run = stage.over().await.remove(0);
    assert_eq!(failed(&run).name, "not_accepted");
    // What a cluster keeps is decided beside a process that serves.
    let serves_on = if stage.cluster.is_some() {
        Some(serve)
    } else {
        assert_eq!(serve.term().await.0.code(), Some(0));
        None
    };
    let mut retry = stage::command();
    let retry = retry.args(["runs", "retry", &run.start.id, "--data"]).arg(stage.data()).output().expect("it runs");
    assert!(retry.status.success());
    let _serve = match serves_on {
        Some(serve) => serve,
        None => stage.serve().await,
    };
    completed(&stage.over().await[0]);
    // The friend that it made may be news to the poll by now, and has a note of its own.
    let about_ada = |record: &&Value| record["contactId"] == ada["id"];
    assert_eq!(stage.vendors[GHL].records("note").iter().filter(about_ada).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_that_the_search_did_not_show_is_updated() {
    let (mut stage, ada) = back().await;
    let friend = json!({ "email": "friend-of-ada@example.com", "lastName": "Known" });
    stage.make(GHL, "contact", friend).await;
    stage.fault(GHL, json!({ "at": "contact.find", "status": 200, "body": { "contact": null }, "times": 1 })).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    completed(&stage.over().await[0]);
    let contacts = stage.vendors[GHL].records("contact");
    assert_eq!(contacts.len(), 2);
    assert_eq!((&contacts[1]["firstName"], &contacts[1]["lastName"]), (&json!("Friend"), &json!("Known")));
    let creates = stage.requests(GHL, "contact.create").await;
    assert_eq!(creates.iter().map(|create| &create["status"]).collect::<Vec<_>>(), [400]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_away_is_waited_for() {
    let (mut stage, ada) = set().await;
    let _serve = stage.serve().await;
    let port = stage.stop(PEOPLE).await;
    stage.tell("ContactCreate", &ada).await;
    until("it has been tried", async || {
        let runs = stage.runs().await;
        let tries = stage.journal(&runs.first()?.start.id).await;
        let tries = tries.iter().filter(|entry| format!("{:?}", entry.fact).contains("unreachable")).count();
        (tries > 2).then_some(())
    })
    .await;
    assert_eq!(stage.runs().await[0].status, Status::Pending);
    stage.start(PEOPLE, port).await;
    completed(&stage.over().await[0]);
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_an_account_that_is_refused_wait_until_its_secret_is_mended_and_ask_nobody_meanwhile() {
    let (mut stage, ada) = set().await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.secrets("pit-sandbox-location", "a-wrong-token");
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    let paused = async |count: usize| {
        until("they wait", async || {
            let mut waiting = 0;
            for run in stage.runs().await {
                let journal = stage.journal(&run.start.id).await;
                waiting += usize::from(journal.iter().any(|entry| matches!(entry.fact, Fact::Paused { .. })));
            }
            (waiting == count).then_some(())
        })
        .await;
    };
    paused(1).await;
    // The token is refused before it is known what is asked for.
    let asked =
        async || stage.control("GET", PEOPLE, "/requests", Value::Null).await["requests"].as_array().map(Vec::len);
    let before = asked().await;
    stage.tell("ContactCreate", &bob).await;
    paused(2).await;
    assert_eq!(asked().await, before, "one has asked for all");
    let (status, said) = serve.term().await;
    assert_eq!(status.code(), Some(0));
    assert!(said.contains("the account is refused") && !said.contains("a-wrong-token"), "{said}");
    stage.secrets("pit-sandbox-location", "token-sandbox");
    let _serve = stage.serve().await;
    let runs = stage.over().await;
    assert_eq!(runs.len(), 2);
    runs.iter().for_each(completed);
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_by_hand_does_not_wait_for_an_account_that_is_refused() {
    let (stage, ada) = set().await;
    stage.secrets("pit-sandbox-location", "a-wrong-token");
    let input = json!({ "id": ada["id"] }).to_string();
    let (code, said) = stage.run(&["run", "contact-to-opinion-stage", "--input", &input]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the account is refused: `example-people`"), "{said}");
    assert!(said.contains("is not over"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_contact_keep_their_order_and_hold_up_nobody_else() {
    let (mut stage, ada) = set().await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.make(PEOPLE, "contact", json!({ "email": "bob@example.com" })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 503, "times": 0 })).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    until("the first is refused", async || (stage.requests(PEOPLE, "contact.create").await.len() > 1).then_some(()))
        .await;
    let id = ada["id"].as_str().expect("an id");
    let ada = stage.change(GHL, "contact", id, json!({ "firstName": "Augusta" })).await;
    stage.tell("ContactUpdate", &ada).await;
    stage.tell("ContactUpdate", &bob).await;
    let runs = until("the other contact's run is over", async || {
        Some(stage.runs().await).filter(|runs| runs.len() == 3 && runs[2].status == Status::Completed)
    })
    .await;
    assert_eq!((runs[0].status, runs[1].status), (Status::Pending, Status::Pending));
    assert!(stage.journal(&runs[1].start.id).await.is_empty(), "the second is not begun before the first is over");
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    let runs = stage.over().await;
    runs.iter().for_each(completed);
    let begun = stage.journal(&runs[1].start.id).await[0].at_ms;
    assert!(begun >= runs[0].ended_ms.expect("it ended"));
    let people = stage.vendors[PEOPLE].records("contact");
    assert_eq!(people.iter().map(|person| &person["first_name"]).collect::<Vec<_>>(), ["Bob", "Augusta"]);
}

/// Writes to the side that will be down.
const TO_PEOPLE: &str = "\
workflow: to-people
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - call: os.contact.create
    with: { email: $.contact.email }
    timeout: 1s
    retry: { wait: 100ms..1s }
";

/// Needs the other side alone.
const TAGS: &str = "\
workflow: tags
uses: { ghl: gohighlevel }
trigger: { event: ghl.contact.deleted }
actions:
  - call: ghl.contact.list
";

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_down_harms_only_what_needs_it() {
    let mut stage = Stage::set().await;
    stage.write("workflows/to-people.yaml", TO_PEOPLE);
    stage.write("workflows/tags.yaml", TAGS);
    stage.activate(&["to-people", "tags"]);
    stage.flags.extend(["--at-once".to_owned(), "8".to_owned()]);
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 600_000, "times": 100_000 })).await;
    let serve = stage.serve().await;
    let contacts = 40;
    for number in 0..contacts {
        let email = format!("{number}@example.com");
        let contact = stage.make(GHL, "contact", json!({ "email": email })).await;
        stage.tell("ContactCreate", &contact).await;
    }
    until("it counts as down", async || serve.said().contains("is down").then_some(())).await;
    let gone = stage.make(GHL, "contact", json!({ "email": "gone@example.com" })).await;
    stage.tell("ContactDelete", &gone).await;
    until("what does not need it is done", async || {
        let runs = stage.runs().await;
        runs.iter().any(|run| run.start.workflow == "tags" && run.status == Status::Completed).then_some(())
    })
    .await;
    let at_first = stage.requests(PEOPLE, "contact.create").await.len();
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    let runs = stage.over().await;
    let done = runs.iter().filter(|run| run.status == Status::Completed).count();
    assert!(done >= contacts, "{done}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), contacts);
    let asked = stage.requests(PEOPLE, "contact.create").await.len();
    // One at a time asked whether it is well again; all others waited.
    // Five have failed, seven were under way with the fifth, and one asks now and then.
    assert!(at_first <= 5 + 7 + 2, "{at_first} requests until it counted as down");
    assert!(asked <= contacts + 14 + 10, "{asked} requests for {contacts} contacts");
}

/// Tries again after half a minute at the earliest.
const PATIENTLY: &str = "\
workflow: to-people
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: [ghl.contact.created, ghl.contact.updated] }
actions:
  - call: os.contact.create
    with: { email: $.contact.email, first_name: $.contact.firstName }
    retry: { wait: 60s..1h }
";

#[tokio::test(flavor = "multi_thread")]
async fn who_pauses_goes_on_in_order_as_soon_as_the_vendor_is_well_again() {
    let mut stage = Stage::set().await;
    stage.write("workflows/to-people.yaml", PATIENTLY);
    stage.activate(&["to-people"]);
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 500, "times": 100_000 })).await;
    let serve = stage.serve().await;
    let mut contacts = Vec::new();
    for number in 0..8 {
        let email = format!("{number}@example.com");
        contacts.push(stage.make(GHL, "contact", json!({ "email": email, "firstName": "Ada" })).await);
        stage.tell("ContactCreate", &contacts[number]).await;
    }
    until("it counts as down", async || serve.said().contains("is down").then_some(())).await;
    let id = contacts[0]["id"].as_str().expect("an id").to_owned();
    let later = stage.change(GHL, "contact", &id, json!({ "email": "later@example.com" })).await;
    stage.tell("ContactUpdate", &later).await;
    until("the second run of a contact is there", async || {
        stage.runs().await.iter().any(|run| run.start.event.kind == "updated").then_some(())
    })
    .await;
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    // One asks after five seconds; those that have failed would else pause for half a minute.
    let began = std::time::Instant::now();
    let runs = stage.over().await;
    // A poll may have told of a contact too: then it was told already.
    assert!(runs.iter().all(|run| run.status != Status::Failed));
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    let people = stage.vendors[PEOPLE].records("contact");
    let at = |email: &str| people.iter().position(|person| person["email"] == email).expect("it was made");
    assert!(at("0@example.com") < at("later@example.com"), "{people:#?}");
}

/// The burst is over before it shows that the vendor hangs, and is twice what may be at work.
#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_hangs_holds_up_nobody_else_also_when_all_come_at_once() {
    let mut stage = Stage::set().await;
    stage.write("workflows/to-people.yaml", &TO_PEOPLE.replace("timeout: 1s", "timeout: 25s"));
    stage.write("workflows/tags.yaml", TAGS);
    stage.activate(&["to-people", "tags"]);
    stage.flags.extend(["--at-once".to_owned(), "8".to_owned()]);
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 600_000, "times": 100_000 })).await;
    let serve = stage.serve().await;
    let mut contacts = Vec::new();
    for number in 0..16 {
        contacts.push(stage.make(GHL, "contact", json!({ "email": format!("{number}@example.com") })).await);
    }
    for contact in &contacts {
        stage.tell("ContactCreate", contact).await;
    }
    stage.tell("ContactDelete", &contacts[0]).await;
    let runs = until("what does not need it is done", async || {
        let runs = stage.runs().await;
        runs.iter().any(|run| run.start.workflow == "tags" && run.status == Status::Completed).then_some(runs)
    })
    .await;
    for run in runs.iter().filter(|run| run.start.workflow == "to-people") {
        let journal = stage.journal(&run.start.id).await;
        let is_answer = |fact: &Fact| matches!(fact, Fact::Answered { address, .. } if address.starts_with("actions"));
        let answered = journal.iter().any(|entry| is_answer(&entry.fact));
        assert!(!answered, "it is done only after the others were given up: {journal:#?}");
    }
    // No more than three quarters that hang, and as many as may be at work beside them.
    assert!(stage.requests(PEOPLE, "contact.create").await.len() <= 8 + 6);
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    drop(serve);
    let _serve = stage.serve().await;
    let runs = stage.over().await;
    assert!(runs.iter().all(|run| run.status != Status::Failed));
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 16);
}
