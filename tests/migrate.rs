//! Runs move from a data folder into a cluster, and back: `dovetail migrate`, with the real server of Restate. See
//! `stage/cluster.rs` for where the server is looked for.
#![cfg(feature = "restate")]
#![expect(clippy::print_stderr, reason = "a seed is told")]

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use dovetail::run::Fact;
use dovetail::store::{Run, Status};
use serde_json::{Value, json};

use crate::stage::cluster::Cluster;
use crate::stage::random::Random;
use crate::stage::{self, GHL, PEOPLE, Serve, Stage, until};

const WORKFLOWS: [(&str, &str); 4] = [
    (
        "newcomer",
        "
workflow: newcomer
uses: { os: opinion-stage-contacts }
trigger:
  webhook: /newcomers
  verify: [{ header: X-Hook, token: $.secrets.osc_webhook_secret }]
  replay: { id: $.id }
  in_order_by: $.event.body.group
actions:
  - id: made
    call: os.contact.create
    with: { email: $.event.body.email, city: $.event.body.group, first_name: $.event.body.id }
  - wait: { for: 6s }
  - call: os.contact.update
    with: { id: $.made.id, status: welcomed }
",
    ),
    (
        "quick",
        "
workflow: quick
uses: { os: opinion-stage-contacts }
trigger:
  webhook: /quick
  verify: [{ header: X-Hook, token: $.secrets.osc_webhook_secret }]
  replay: { id: $.id }
actions:
  - call: os.contact.create
    with: { email: $.event.body.email, first_name: $.event.body.id }
",
    ),
    (
        "soon",
        "
workflow: soon
uses: { os: opinion-stage-contacts }
trigger:
  webhook: /soon
  verify: [{ header: X-Hook, token: $.secrets.osc_webhook_secret }]
  replay: { id: $.id }
actions:
  - wait: { for: 2s }
  - call: os.contact.create
    with: { email: $.event.body.email, first_name: $.event.body.id }
",
    ),
    (
        "late",
        "
workflow: late
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger:
  webhook: /late
  verify: [{ header: X-Hook, token: $.secrets.osc_webhook_secret }]
  replay: { id: $.id }
actions:
  - id: named
    wait: { event: ghl.contact.updated, match: { email: $.event.body.email }, timeout: 7d }
  - call: os.contact.create
    with: { email: $.named.email, first_name: $.named.firstName, status: $.outcome.named }
",
    ),
];

/// A stage whose runs are kept by nobody but `serve`, and a cluster beside it.
async fn set() -> Option<(Stage, Cluster)> {
    stage::cluster::server()?;
    let mut stage = Stage::set().await;
    stage.join(1).await;
    let cluster = stage.cluster.take()?;
    Some((stage, cluster))
}

async fn set_runs() -> Option<(Stage, Cluster)> {
    let (stage, cluster) = set().await?;
    for (name, text) in WORKFLOWS {
        stage.write(&format!("workflows/{name}.yaml"), text);
    }
    stage.activate(&WORKFLOWS.map(|(name, _)| name));
    Some((stage, cluster))
}

/// The words of `migrate`.
fn words(cluster: &Cluster, to: &str) -> Vec<String> {
    let mut words = ["migrate", "--to", to].map(str::to_owned).to_vec();
    words.extend(cluster.reach());
    words
}

fn migrate(stage: &Stage, cluster: &Cluster, to: &str) -> (Option<i32>, String) {
    let words = words(cluster, to);
    stage.ask(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn moves(stage: &Stage, cluster: &Cluster, to: &str) -> String {
    let (code, said) = migrate(stage, cluster, to);
    assert_eq!(code, Some(0), "{said}");
    eprintln!("{said}");
    said
}

/// `serve` with these further words ends at once, and says why.
fn refused(stage: &Stage, further: &[String]) -> String {
    let mut command = stage.command(&["serve", "--listen", "127.0.0.1:0"]);
    let output = command.args(further).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

async fn post(stage: &Stage, serve: &Serve, path: &str, body: &Value) -> String {
    let url = format!("http://127.0.0.1:{}/hooks/{path}", serve.port);
    let answer = stage.client.post(url).header("x-hook", "a-secret").json(body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let said: Value = answer.json().await.expect("JSON");
    said["status"].as_str().unwrap_or_default().to_owned()
}

async fn accepted(stage: &Stage, serve: &Serve, path: &str, body: &Value) {
    assert_eq!(post(stage, serve, path, body).await, "accepted", "{path} {body}");
}

/// One of them: `name` says of which move.
fn one(name: &str, what: &str, group: &str) -> Value {
    let id = format!("{name}-{what}");
    json!({ "id": id, "group": format!("{name}-{group}"), "email": format!("{id}@example.com") })
}

async fn of(stage: &Stage, id: &str) -> Option<Run> {
    stage.runs().await.into_iter().find(|run| run.start.event.id == id)
}

/// Waits until the journal of the run of an event says so.
async fn says(stage: &Stage, id: &str, what: &str, is_it: impl Fn(&Fact) -> bool) {
    until(&format!("{id} {what}"), async || {
        let run = of(stage, id).await?;
        stage.journal(&run.start.id).await.iter().any(|entry| is_it(&entry.fact)).then_some(())
    })
    .await;
}

async fn has_status(stage: &Stage, id: &str, status: Status) {
    until(&format!("{id} is {}", status.word()), async || (of(stage, id).await?.status == status).then_some(())).await;
}

/// Runs of every kind: one that is over, one that waits for time, one that waits for an event, a dead letter, and three of one
/// key, of which the first one pauses.
async fn prepare(stage: &Stage, serve: &Serve, name: &str) {
    accepted(stage, serve, "quick", &one(name, "over", "")).await;
    has_status(stage, &format!("{name}-over"), Status::Completed).await;
    accepted(stage, serve, "late", &one(name, "late", "")).await;
    says(stage, &format!("{name}-late"), "waits", |fact| matches!(fact, Fact::Subscribed { .. })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    accepted(stage, serve, "newcomers", &one(name, "dead", "dead")).await;
    has_status(stage, &format!("{name}-dead"), Status::Failed).await;
    accepted(stage, serve, "newcomers", &one(name, "waits", "waits")).await;
    says(stage, &format!("{name}-waits"), "waits", |fact| matches!(fact, Fact::Waits { .. })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 503, "times": 100_000 })).await;
    for what in ["first", "second", "third"] {
        accepted(stage, serve, "newcomers", &one(name, what, "line")).await;
    }
    says(stage, &format!("{name}-first"), "was refused", |fact| matches!(fact, Fact::Answered { .. })).await;
}

/// All of [`prepare`] goes on as if nothing had been moved.
async fn goes_on(stage: &Stage, serve: &Serve, name: &str) {
    for (path, what, group) in [
        ("quick", "over", ""),
        ("late", "late", ""),
        ("newcomers", "dead", "dead"),
        ("newcomers", "waits", "waits"),
        ("newcomers", "third", "line"),
    ] {
        assert_eq!(post(stage, serve, path, &one(name, what, group)).await, "duplicate", "{what}");
    }
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    let dead = of(stage, &format!("{name}-dead")).await.expect("the dead letter");
    let (code, said) = stage.ask(&["dead", "retry", &dead.start.id]);
    assert_eq!(code, Some(0), "{said}");
    let email = format!("{name}-late@example.com");
    let contact = stage.make(GHL, "contact", json!({ "email": email })).await;
    let id = contact["id"].as_str().expect("an id");
    let changed = stage.change(GHL, "contact", id, json!({ "firstName": "Eve" })).await;
    stage.tell("ContactUpdate", &changed).await;
    let runs = stage.over().await;
    let not_done: Vec<&Run> =
        runs.iter().filter(|run| run.status == Status::Failed || run.status == Status::Dropped).collect();
    assert!(not_done.is_empty(), "{not_done:#?}");
    let made = made(stage).await;
    for what in ["over", "dead", "waits", "first", "second", "third"] {
        let id = format!("{name}-{what}");
        assert_eq!(made.iter().filter(|one| **one == id).count(), 1, "{id} of {made:?}");
    }
    let there: Vec<Value> = stage.vendors[PEOPLE].records("contact");
    assert_eq!(there.iter().filter(|record| record["email"] == email && record["first_name"] == "Eve").count(), 1);
    let line: Vec<&String> = made
        .iter()
        .filter(|id| ["first", "second", "third"].iter().any(|what| **id == format!("{name}-{what}")))
        .collect();
    assert_eq!(line, ["first", "second", "third"].map(|what| format!("{name}-{what}")).iter().collect::<Vec<_>>());
}

/// Whom the vendor made, in order.
async fn made(stage: &Stage) -> Vec<String> {
    let requests = stage.requests(PEOPLE, "contact.create").await;
    let made = requests.iter().filter(|request| request["status"].as_u64().is_some_and(|status| status < 300));
    made.filter_map(|request| request["body"]["first_name"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_every_kind_move_into_a_cluster_and_back_and_go_on() {
    let Some((mut stage, mut cluster)) = set_runs().await else { return };
    let serve = stage.serve().await;
    prepare(&stage, &serve, "in").await;
    serve.term().await;
    let said = moves(&stage, &cluster, "restate");
    for line in ["5 runs that are not over", "1 dead letter", "7 ids of deliveries", "serve --on restate"] {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    let why = refused(&stage, &[]);
    assert!(why.contains("a cluster keeps the runs") && why.contains("migrate --to own"), "{why}");
    let (code, why) = migrate(&stage, &cluster, "restate");
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains("a cluster keeps the runs of this data folder already"), "{why}");

    // It is not served where it was moved.
    cluster.move_objects(stage::cluster::port());
    stage.cluster = Some(cluster);
    let serve = stage.serve().await;
    goes_on(&stage, &serve, "in").await;
    prepare(&stage, &serve, "out").await;
    serve.term().await;
    let cluster = stage.cluster.take().expect("a cluster");
    let said = moves(&stage, &cluster, "own");
    for line in ["5 runs that are not over", "1 dead letter", "`dovetail serve`"] {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    let beside = stage.folder.join("another");
    let mut flags = cluster.flags();
    flags.extend(["--data".to_owned(), beside.display().to_string()]);
    let mut command = stage::command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--project"]).arg(stage.project()).args(&flags);
    let output = command.arg("--secrets").arg(stage.folder.join("secrets.yaml")).output().expect("it runs");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{why}");
    assert!(why.contains("the runs were moved out of the cluster"), "{why}");

    let serve = stage.serve().await;
    goes_on(&stage, &serve, "out").await;
    serve.term().await;
    // And in once more: what was there before is not in the way.
    moves(&stage, &cluster, "restate");
    stage.cluster = Some(cluster);
    let serve = stage.serve().await;
    assert_eq!(post(&stage, &serve, "quick", &one("out", "over", "")).await, "duplicate");
    accepted(&stage, &serve, "quick", &one("again", "over", "")).await;
    has_status(&stage, "again-over", Status::Completed).await;
    serve.term().await;
}

fn spawned(stage: &Stage, cluster: &Cluster, to: &str) -> Child {
    let mut command = stage::command();
    command.args(words(cluster, to)).arg("--project").arg(stage.project()).arg("--data").arg(stage.data());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// `kill -9` of `migrate` after so long. True: it had ended.
async fn killed(stage: &Stage, cluster: &Cluster, to: &str, after_ms: u64) -> bool {
    let child = spawned(stage, cluster, to);
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    kill(child)
}

fn kill(mut child: Child) -> bool {
    let has_ended = child.try_wait().expect("its status").is_some_and(|status| status.success());
    // It may have ended before.
    let _ = child.kill();
    child.wait().expect("it ends");
    has_ended
}

/// `kill -9` of `migrate` as soon as it calls the first runs in the cluster.
async fn killed_when_it_calls(stage: &Stage, cluster: &Cluster) {
    let child = spawned(stage, cluster, "restate");
    until("a run is called", async || {
        let called = "SELECT id FROM sys_invocation WHERE target_handler_name = 'come_in' AND status <> 'scheduled'";
        (!cluster.query(&stage.client, called).await.is_empty()).then_some(())
    })
    .await;
    kill(child);
}

/// So many come at once.
const BURST: usize = 40;

/// The vendor is well again, and many runs are at work, or wait until soon.
async fn burst(stage: &Stage, serve: &Serve, name: &str) {
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    let each = async |path: &str, what: &str| {
        let all: Vec<Value> = (0..BURST).map(|number| one(name, &format!("{what}-{number}"), "")).collect();
        futures_util::future::join_all(all.iter().map(|body| accepted(stage, serve, path, body))).await;
    };
    each("soon", "soon").await;
    each("quick", "burst").await;
}

fn are_there_once(stage: &Stage, name: &str) {
    let there: Vec<Value> = stage.vendors[PEOPLE].records("contact");
    for what in ["soon", "burst"] {
        for number in 0..BURST {
            let id = format!("{name}-{what}-{number}");
            assert_eq!(there.iter().filter(|record| record["first_name"] == id.as_str()).count(), 1, "{id}");
        }
    }
}

/// `kill -9` of `migrate` at any moment, again and again, each way; then it is said once more.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_while_moving_moves_again_and_nothing_is_lost_or_done_twice() {
    const ROUNDS: usize = 5;
    let Some((mut stage, cluster)) = set_runs().await else { return };
    let mut random = Random::new();
    eprintln!("SEED={}", random.seed);
    let mut interrupted = async |stage: &Stage, cluster: &Cluster, to: &str, most: u64| {
        for _ in 0..ROUNDS {
            if killed(stage, cluster, to, random.below(most)).await {
                // It was faster.
                return;
            }
        }
        let (code, said) = migrate(stage, cluster, to);
        // Who was killed last may have had nothing left to do.
        assert!(code == Some(0) || said.contains("already"), "{said}");
    };
    let serve = stage.serve().await;
    prepare(&stage, &serve, "in").await;
    burst(&stage, &serve, "in").await;
    serve.kill();
    killed_when_it_calls(&stage, &cluster).await;
    interrupted(&stage, &cluster, "restate", 900).await;
    stage.cluster = Some(cluster);
    let serve = stage.serve().await;
    goes_on(&stage, &serve, "in").await;
    are_there_once(&stage, "in");
    prepare(&stage, &serve, "out").await;
    burst(&stage, &serve, "out").await;
    serve.kill();
    let cluster = stage.cluster.take().expect("a cluster");
    interrupted(&stage, &cluster, "own", 6_000).await;
    let serve = stage.serve().await;
    goes_on(&stage, &serve, "out").await;
    are_there_once(&stage, "out");
    serve.term().await;
}

async fn with(stage: &Stage, vendor: &str, field: &str, value: &str) -> Value {
    until(&format!("{vendor} has a contact with {field} {value}"), async || {
        stage.vendors[vendor].records("contact").into_iter().find(|record| record[field] == value)
    })
    .await
}

/// The vendors' writes by us, once all runs are over.
async fn writes(stage: &Stage) -> BTreeMap<String, usize> {
    stage.over().await;
    let mut writes = BTreeMap::new();
    for (vendor, operation) in [(GHL, "create"), (GHL, "update"), (PEOPLE, "create"), (PEOPLE, "update")] {
        let name = format!("contact.{operation}");
        writes.insert(format!("{vendor} {name}"), stage.requests(vendor, &name).await.len());
    }
    writes
}

/// One contact whose last name was changed on both sides while nobody looked, and a person is asked.
async fn disagree(stage: &mut Stage, ids: (&str, &str), names: [&str; 2]) -> Serve {
    stage.change(GHL, "contact", ids.0, json!({ "lastName": names[0], "city": "London" })).await;
    stage.change(PEOPLE, "contact", ids.1, json!({ "last_name": names[1] })).await;
    let serve = stage.serve_hearing(GHL).await;
    stage.control("PATCH", GHL, &format!("/records/contact/{}", ids.0), json!({ "city": names[0] })).await;
    with(stage, PEOPLE, "city", names[0]).await;
    stage.over().await;
    serve
}

fn question(stage: &Stage) -> Option<i64> {
    let mut command = stage::command();
    command.args(["questions", "list", "--json", "--project"]).arg(stage.project()).arg("--data").arg(stage.data());
    let said: Value = serde_json::from_slice(&command.output().expect("it runs").stdout).expect("JSON");
    said[0]["number"].as_i64()
}

/// A change is written once, and comes back as nothing; the question is answered, and what was said is done.
async fn agrees(stage: &Stage, ids: (&str, &str), city: &str, name: &str) {
    let before = writes(stage).await;
    stage.control("PATCH", GHL, &format!("/records/contact/{}", ids.0), json!({ "city": city })).await;
    with(stage, PEOPLE, "city", city).await;
    let mut expected = before.clone();
    *expected.get_mut(&format!("{PEOPLE} contact.update")).expect("counted") += 1;
    assert_eq!(writes(stage).await, expected, "it is written once");
    let number = question(stage).expect("a question");
    let (code, said) = stage.ask(&["questions", "answer", &number.to_string(), "os"]);
    assert_eq!(code, Some(0), "{said}");
    with(stage, GHL, "lastName", name).await;
    *expected.get_mut(&format!("{GHL} contact.update")).expect("counted") += 1;
    assert_eq!(writes(stage).await, expected, "the answer is written once");
    until("no question is open", async || question(stage).is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_and_questions_of_a_sync_move_along_also_into_an_empty_folder() {
    let Some((mut stage, cluster)) = set().await else { return };
    stage.activate(&["contacts"]);
    let serve = stage.serve_hearing_both().await;
    let (code, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let record = json!({ "firstName": "Ada", "email": "ada@example.com" });
    let made = stage.control("POST", GHL, "/records/contact", record).await;
    let here = made["records"][0]["id"].as_str().expect("an id").to_owned();
    let there = with(&stage, PEOPLE, "email", "ada@example.com").await;
    let there = there["id"].as_str().expect("an id").to_owned();
    let ids = (here.as_str(), there.as_str());
    stage.over().await;
    serve.kill();
    let serve = disagree(&mut stage, ids, ["Byron", "Lovelace"]).await;
    serve.term().await;

    // Half-way in, it is taken back: all is still here.
    let mut random = Random::new();
    eprintln!("SEED={}", random.seed);
    for _ in 0..3 {
        killed(&stage, &cluster, "restate", random.below(700)).await;
        let (code, said) = migrate(&stage, &cluster, "own");
        let is_own = said.contains("keeps its runs itself already");
        assert!(code == Some(0) || is_own, "{said}");
    }
    let said = moves(&stage, &cluster, "restate");
    for line in ["1 pair\n", "1 agreement\n", "1 question\n"] {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    stage.cluster = Some(cluster);
    let serve = stage.serve_hearing(GHL).await;
    agrees(&stage, ids, "Paris", "Lovelace").await;
    serve.kill();
    let serve = disagree(&mut stage, ids, ["Gordon", "King"]).await;
    serve.term().await;

    let cluster = stage.cluster.take().expect("a cluster");
    std::fs::remove_dir_all(stage.data()).expect("the data folder goes");
    let said = moves(&stage, &cluster, "own");
    for line in ["1 pair\n", "1 agreement\n", "1 question\n"] {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    let serve = stage.serve_hearing(GHL).await;
    agrees(&stage, ids, "Berlin", "King").await;
    serve.term().await;
}

/// A process that was forgotten takes nothing any more: what it accepted would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_serves_still_steps_aside_and_another_cluster_is_refused() {
    let Some((mut stage, cluster)) = set_runs().await else { return };
    stage.cluster = Some(cluster);
    let serve = stage.serve().await;
    accepted(&stage, &serve, "quick", &one("a", "over", "")).await;
    has_status(&stage, "a-over", Status::Completed).await;
    let forgotten = stage.serve_beside(0).await;
    serve.term().await;
    let cluster = stage.cluster.take().expect("a cluster");
    // On this machine it is seen at once.
    let (code, said) = migrate(&stage, &cluster, "own");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stop every `dovetail serve --on restate` first"), "{said}");
    // On another machine it has other addresses.
    let mut words = words(&cluster, "own");
    words.extend(["--objects".to_owned(), "127.0.0.1:0".to_owned()]);
    let at = words.iter().position(|word| word == "--objects").expect("a flag");
    words.drain(at..at + 2);
    let (code, said) = stage.ask(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, Some(0), "{said}");
    let url = format!("http://127.0.0.1:{}/hooks/quick", forgotten.port);
    let request = stage.client.post(url).header("x-hook", "a-secret").json(&one("b", "over", ""));
    assert_eq!(request.send().await.expect("an answer").status(), 503);
    drop(forgotten);
    // What was a copy of another cluster is not emptied by this one.
    std::fs::remove_dir_all(stage.data()).expect("it goes");
    std::fs::rename(stage.folder.join("beside"), stage.data()).expect("it is moved");
    drop(cluster);
    std::fs::remove_dir_all(stage.folder.join("restate")).expect("the cluster goes");
    stage.join(1).await;
    let other = stage.cluster.take().expect("a cluster");
    let (code, said) = migrate(&stage, &other, "own");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not the one that keeps the runs of this folder"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_is_refused_and_stays_as_it_is() {
    let Some((mut stage, cluster)) = set_runs().await else { return };
    let serve = stage.serve().await;
    accepted(&stage, &serve, "quick", &one("a", "over", "")).await;
    has_status(&stage, "a-over", Status::Completed).await;
    for to in ["restate", "own"] {
        let (code, said) = migrate(&stage, &cluster, to);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("is in use by another process") && said.contains("stop it first"), "{said}");
    }
    serve.term().await;
    let (code, said) = migrate(&stage, &cluster, "own");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the data folder keeps its runs itself already"), "{said}");
    let nowhere = ["--ingress", "http://127.0.0.1:1", "--admin", "http://127.0.0.1:1", "--objects", "127.0.0.1:0"];
    let (code, said) = stage.ask(&[&["migrate", "--to", "restate"][..], &nowhere[..]].concat());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Restate does not answer") && said.contains("do it again"), "{said}");
    // Nothing was given away.
    let serve = stage.serve().await;
    accepted(&stage, &serve, "quick", &one("b", "over", "")).await;
    has_status(&stage, "b-over", Status::Completed).await;
    serve.term().await;
}
