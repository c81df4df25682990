//! Several requests of one run on their way at the same time, in the real program.

use std::collections::HashSet;

use dovetail::run::{Ending, Entry, Fact};
use dovetail::store::{Run, Status};
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage, until};

/// What one contact starts.
const SEVERAL: &str = "\
workflow: several
uses: { os: opinion-stage-contacts }
trigger: { manual: { inputs: { names: { type: array } } } }
actions:
  - for_each: $.inputs.names
    at_once: 3
    actions:
      - call: os.contact.create
        with: { email: \"{{item}}@example.com\" }
";

async fn set(workflow: &str) -> Stage {
    let stage = Stage::set().await;
    stage.write("workflows/several.yaml", workflow);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - several\n");
    stage
}

/// Starts it by hand while `serve` runs, which lives through it.
fn begin(stage: &Stage, inputs: &Value) -> std::process::Child {
    let mut command = stage::command();
    command.args(["run", "several", "--input", &inputs.to_string(), "--project"]).arg(stage.project());
    command.arg("--data").arg(stage.data());
    let quiet = std::process::Stdio::null;
    command.stdout(quiet()).stderr(quiet()).spawn().expect("it starts")
}

/// Whoever waits at the command line for a run whose `serve` is gone waits no more.
fn give_up(by_hand: &mut std::process::Child) {
    by_hand.kill().expect("it is there");
    by_hand.wait().expect("it ends");
}

fn names() -> Value {
    json!({ "names": ["a", "b", "c", "d", "e"] })
}

async fn asked(stage: &Stage, count: usize) -> Vec<Value> {
    until("so many creates are asked for", async || {
        Some(stage.requests(PEOPLE, "contact.create").await).filter(|creates| creates.len() >= count)
    })
    .await
}

async fn the_run(stage: &Stage) -> (Run, Vec<Entry>) {
    let run = stage.runs().await.remove(0);
    let journal = stage.journal(&run.start.id).await;
    (run, journal)
}

fn count(journal: &[Entry], is: impl Fn(&Fact) -> bool) -> usize {
    journal.iter().filter(|entry| is(&entry.fact)).count()
}

fn sent_and_answered(journal: &[Entry]) -> (usize, usize) {
    let sent = count(journal, |fact| matches!(fact, Fact::Sent(_)));
    (sent, count(journal, |fact| matches!(fact, Fact::Answered { .. })))
}

fn keys(requests: &[Value]) -> HashSet<&str> {
    requests.iter().map(|request| request["headers"]["idempotency-key"].as_str().expect("a key")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_requests_are_on_their_way_and_a_kill_settles_each() {
    let mut stage = set(SEVERAL).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 3 })).await;
    let serve = stage.serve().await;
    let mut by_hand = begin(&stage, &names());
    let first = asked(&stage, 3).await;
    let (_, journal) = the_run(&stage).await;
    assert_eq!((first.len(), sent_and_answered(&journal)), (3, (3, 0)), "{journal:#?}");
    serve.kill();
    give_up(&mut by_hand);
    let _serve = stage.serve().await;
    assert_eq!(stage.over().await[0].status, Status::Completed);
    let all = stage.requests(PEOPLE, "contact.create").await;
    assert_eq!((all.len(), keys(&all).len()), (8, 5), "each that was lost is asked for again, with its key");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_for_the_answers_of_all_that_is_on_its_way() {
    let mut stage = set(SEVERAL).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 2_000, "times": 3 })).await;
    let serve = stage.serve().await;
    let mut by_hand = begin(&stage, &names());
    asked(&stage, 3).await;
    let (status, said) = serve.term().await;
    assert_eq!(status.code(), Some(0), "{said}");
    give_up(&mut by_hand);
    let (run, journal) = the_run(&stage).await;
    assert_eq!((run.status, sent_and_answered(&journal)), (Status::Pending, (3, 3)), "{journal:#?}");
    let _serve = stage.serve().await;
    assert_eq!(stage.over().await[0].status, Status::Completed);
    assert_eq!(stage.requests(PEOPLE, "contact.create").await.len(), 5, "none was asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_is_left_when_the_run_is_cancelled() {
    let mut stage = set(SEVERAL).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 3 })).await;
    let serve = stage.serve().await;
    let mut by_hand = begin(&stage, &names());
    asked(&stage, 3).await;
    let cancel = stage::command().args(["runs", "cancel", "1", "--data"]).arg(stage.data()).output().expect("it runs");
    assert!(cancel.status.success(), "{}", String::from_utf8_lossy(&cancel.stderr));
    by_hand.wait().expect("it is told");
    let (run, journal) = the_run(&stage).await;
    assert_eq!((run.status, sent_and_answered(&journal)), (Status::Dropped, (3, 0)), "{journal:#?}");
    assert_eq!(serve.term().await.0.code(), Some(0), "nothing waits for what was left");
    assert_eq!(stage.requests(PEOPLE, "contact.create").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_requests_that_would_go_at_the_same_time() {
    let mut stage = set(SEVERAL).await;
    let limits = "[{ requests: 2, per: 1s }]";
    let text = format!("connector: {PEOPLE}\nlimits: {limits}\n");
    stage.write("connectors/opinion-stage-contacts.override.yaml", &text);
    let _serve = stage.serve().await;
    begin(&stage, &names()).wait().expect("it ends");
    let (run, _) = the_run(&stage).await;
    assert_eq!(run.status, Status::Completed);
    let creates = stage.requests(PEOPLE, "contact.create").await;
    let at = |request: &Value| {
        let time = request["time"].as_str().expect("a time");
        chrono::DateTime::parse_from_rfc3339(time).expect("a time").timestamp_millis()
    };
    assert_eq!(creates.len(), 5);
    assert!(creates.windows(3).all(|three| at(&three[2]) - at(&three[0]) >= 1_000), "{creates:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_retry_tries_all_again_that_has_failed() {
    let mut stage = set(SEVERAL).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 2 })).await;
    let _serve = stage.serve().await;
    begin(&stage, &names()).wait().expect("it ends");
    let dead = |words: &[&str]| {
        let done = stage::command().arg("dead").args(words).arg("--data").arg(stage.data()).output().expect("it runs");
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    };
    let said = dead(&["show", "1"]);
    assert!(said.contains("and 1 other beside it"), "{said}");
    let said = dead(&["retry", "1"]);
    assert!(said.contains("is pending again"), "{said}");
    assert_eq!(stage.over().await[0].status, Status::Completed);
    assert_eq!(stage.requests(PEOPLE, "contact.create").await.len(), 7, "only those two were asked for again");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 5);
}

const UPSERTS: &str = "\
workflow: several
uses: { os: opinion-stage-contacts }
trigger: { manual: { inputs: { names: { type: array } } } }
actions:
  - for_each: $.inputs.names
    at_once: 5
    actions:
      - upsert: os.contact
        match: [email]
        with: { email: \"{{item}}@example.com\" }
        retry: { wait: 50ms..200ms }
";

/// Two runs upsert the same people, in opposite order: each waits for the other's turns, and neither for ever.
#[tokio::test(flavor = "multi_thread")]
async fn upserts_of_different_people_go_at_the_same_time_and_those_of_one_never() {
    let mut stage = set(UPSERTS).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 1_000, "times": 0 })).await;
    let serve = stage.serve().await;
    let mut one = begin(&stage, &json!({ "names": ["a", "b", "a"] }));
    asked(&stage, 2).await;
    let (_, journal) = the_run(&stage).await;
    let creates = count(&journal, |fact| matches!(fact, Fact::Sent(sent) if sent.operation == "contact.create"));
    let answered = count(&journal, |fact| matches!(fact, Fact::Finished { .. }));
    assert_eq!((creates, answered), (2, 0), "{journal:#?}");
    let mut other = begin(&stage, &json!({ "names": ["c", "b", "a"] }));
    one.wait().expect("it ends");
    other.wait().expect("it ends");
    assert!(stage.over().await.iter().all(|run| run.status == Status::Completed));
    assert_eq!(stage.requests(PEOPLE, "contact.create").await.len(), 3);
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 3);

    // A kill between the writes and their answers: both take their turns again.
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 2 })).await;
    let mut by_hand = begin(&stage, &json!({ "names": ["d", "e", "d"] }));
    asked(&stage, 5).await;
    serve.kill();
    give_up(&mut by_hand);
    let _serve = stage.serve().await;
    let again = begin(&stage, &json!({ "names": ["e", "d"] })).wait().expect("it ends");
    assert!(again.success());
    assert!(stage.over().await.iter().all(|run| run.status == Status::Completed));
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 5);
}

const LINKS: &str = "\
workflow: several
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - parallel:
      - { id: first, set: { name: $.contact.firstName } }
      - id: pair
        upsert: os.contact
        match: [email]
        with: { email: shared@example.com }
        link: $.contact
        on_error: continue
      - { id: beside, call: os.contact.create, with: { email: $.contact.email } }
  - stop: $.outcome
";

/// The second contact is matched with a person who is the pair of the first.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_refused_fails_its_own_action_and_no_other() {
    let mut stage = set(LINKS).await;
    stage.edit("dovetail.yaml", "  - contact-to-opinion-stage\n", "");
    let _serve = stage.serve().await;
    let mut outcomes = Vec::new();
    for name in ["Ada", "Bob"] {
        let record = json!({ "firstName": name, "email": format!("{name}@example.com") });
        let record = stage.make(GHL, "contact", record).await;
        stage.tell("ContactCreate", &record).await;
        let runs = stage.over().await;
        // What the poll notices as well was told already.
        let of = runs.iter().filter(|run| run.start.event.record_id.as_deref() == record["id"].as_str());
        let value = of.clone().find_map(|run| match &run.ending {
            Some(Ending::Completed { value }) => Some(value),
            _ => None,
        });
        let value = value.unwrap_or_else(|| panic!("{:?}", of.collect::<Vec<_>>()));
        outcomes.push((value["first"].clone(), value["pair"].clone(), value["beside"].clone()));
    }
    let (done, created, failed) = (json!("done"), json!("created"), json!("failed"));
    assert_eq!(outcomes, [(done.clone(), created, done.clone()), (done.clone(), failed, done)]);
}
