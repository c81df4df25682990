//! Runs that a cluster keeps: the real server of Restate, and several of our processes, which are killed. See
//! `stage/cluster.rs` for where the server is looked for.
#![cfg(feature = "restate")]
#![expect(clippy::print_stderr, reason = "a seed is told")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dovetail::run::Ending;
use dovetail::store::{Role, Run, Status};
use memchr::memmem;
use serde_json::{Value, json};

use crate::dashboard::visitor::{Visitor, code, plain, token};
use crate::stage::random::Random;
use crate::stage::{self, GHL, PEOPLE, Serve, Stage, browser, until};

/// Somebody joins a group: the person is made at once, and is welcomed a little later.
const NEWCOMER: &str = "
workflow: newcomer
uses: { os: opinion-stage-contacts }
trigger:
  webhook: /newcomers
  verify: [{ header: X-Hook, token: $.secrets.osc_webhook_secret }]
  replay: { id: $.id }
  in_order_by: $.event.body.group
  schema:
    type: object
    properties: { id: { type: string }, group: { type: string }, email: { type: string } }
actions:
  - id: made
    call: os.contact.create
    with: { email: $.event.body.email, city: $.event.body.group, first_name: $.event.body.id }
  - wait: { for: 300ms }
  - call: os.contact.update
    with: { id: $.made.id, status: welcomed }
";

async fn set(nodes: usize) -> Option<Stage> {
    stage::cluster::server()?;
    let mut stage = Stage::set().await;
    stage.write("workflows/newcomer.yaml", NEWCOMER);
    stage.activate(&["newcomer"]);
    stage.join(nodes).await;
    Some(stage)
}

fn newcomer(number: usize, group: &str) -> Value {
    json!({ "id": format!("n{number:04}"), "group": group, "email": format!("n{number}@example.com") })
}

/// Posts one, and gives what was said; None: nobody answered.
async fn post(client: &reqwest::Client, port: u16, body: &Value) -> Option<(u16, String)> {
    let url = format!("http://127.0.0.1:{port}/hooks/newcomers");
    let answer = client.post(url).header("x-hook", "a-secret").json(body).send().await.ok()?;
    let status = answer.status().as_u16();
    let said: Value = answer.json().await.ok()?;
    Some((status, said["status"].as_str().unwrap_or_default().to_owned()))
}

/// Waits until so many runs are known, and all are over.
async fn over(stage: &Stage, count: usize) -> Vec<Run> {
    until("all runs are known", async || (stage.runs().await.len() >= count).then_some(())).await;
    stage.over().await
}

/// Waits until so many have come to their end.
async fn welcomed(stage: &Stage, count: usize) {
    let are = async || stage.requests(PEOPLE, "contact.update").await.len() == count;
    until("all are welcomed", async || are().await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_accepted_is_lived_through_and_can_be_looked_at() {
    let Some(mut stage) = set(1).await else { return };
    let serve = stage.serve().await;
    let (client, port) = (stage.client.clone(), serve.port);
    for number in 0..5 {
        let said = post(&client, port, &newcomer(number, "a")).await.expect("an answer");
        assert_eq!(said, (200, "accepted".into()));
    }
    let again = post(&client, port, &newcomer(3, "a")).await.expect("an answer");
    assert_eq!(again, (200, "duplicate".into()));
    let runs = over(&stage, 5).await;
    assert!(runs.iter().all(|run| run.status == Status::Completed), "{runs:#?}");
    // What is told twice uses up no number.
    assert!(runs.iter().map(|run| run.seq).eq(1..=5), "{runs:#?}");
    let made = stage.requests(PEOPLE, "contact.create").await;
    let order: Vec<&str> = made.iter().filter_map(|request| request["body"]["first_name"].as_str()).collect();
    assert_eq!(order, ["n0000", "n0001", "n0002", "n0003", "n0004"]);
    assert_eq!(stage.requests(PEOPLE, "contact.update").await.len(), 5);
    let (code, said) = stage.ask(&["runs", "show", &runs[0].start.id]);
    assert_eq!(code, Some(0), "{said}");
    for line in
        ["accepted", "contact.create at example-people", "waits 0.3 s", "contact.update at example-people", "completed"]
    {
        assert!(said.contains(line), "`{line}` is not in:\n{said}");
    }
    // Of what is over the cluster keeps only what it must know should it come again.
    let sql = "SELECT DISTINCT target_handler_name AS handler FROM sys_invocation WHERE status = 'completed'";
    let cluster = stage.cluster.as_ref().expect("a cluster");
    assert_eq!(cluster.query(&stage.client, sql).await, [json!({ "handler": "accept" })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_comes_to_its_end_with_two_processes_on_three_nodes() {
    let Some(stage) = set(3).await else { return };
    let mut demo = stage::command();
    demo.args(["demo", "--once"]).args(stage.cluster.as_ref().expect("a cluster").flags());
    // What others are told is nothing to it.
    demo.env("DOVETAIL_ENV", "elsewhere");
    let played =
        tokio::task::spawn_blocking(move || demo.output().expect("the program starts")).await.expect("it ends");
    let said = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success() && said.contains("Every expected record arrived exactly once"), "{said}");
    assert!(said.contains("a second process that shares the runs") && said.contains("(1 came twice)"), "{said}");
}

/// Our objects are called by the cluster alone: it signs, and nobody else can.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_sign_cannot_call_our_objects() {
    let Some(mut stage) = set(1).await else { return };
    let serve = stage.serve().await;
    let objects = stage.cluster.as_ref().expect("a cluster").objects();
    for path in ["discover", "invoke/DovetailLine/cancel", "invoke/DovetailCredential/get"] {
        let request = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
        let request = request.post(format!("http://{objects}/{path}")).header("x-restate-signature-scheme", "v1");
        let answer = request.body("{}").send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{path}");
    }
    post(&stage.client, serve.port, &newcomer(1, "a")).await.expect("an answer");
    over(&stage, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_refused_at_the_start() {
    let Some(stage) = set(1).await else { return };
    let (code, said) = stage.ask(&["serve", "--on", "restate", "--objects", "127.0.0.1:0", "--restate-key", "a-key"]);
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("`a-key` is no public key of Restate"), "{said}");
}

/// What does not succeed is a dead letter, and a person has it tried again, or gives it up.
/// Each record costs every node of the cluster a write: what is looked at is said in what is decided by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_writes_down_that_it_came_what_it_sends_and_what_came_of_it() {
    let Some(mut stage) = set(1).await else { return };
    stage.write("workflows/newcomer.yaml", NEWCOMER.split("  - wait:").next().expect("its first action"));
    let serve = stage.serve().await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 10_000, "times": 1 })).await;
    let said = post(&stage.client, serve.port, &newcomer(0, "a")).await.expect("an answer");
    assert_eq!(said, (200, "accepted".into()));
    let cluster = stage.cluster.as_ref().expect("a cluster");
    let sql = "SELECT entry_type AS entry FROM sys_journal JOIN sys_invocation ON sys_journal.id = sys_invocation.id \
               WHERE target_handler_name = 'accept' ORDER BY index";
    let entries = until("it sends", async || {
        let entries = cluster.query(&stage.client, sql).await;
        (entries.iter().filter(|entry| entry["entry"] == "Command: Run").count() == 2).then_some(entries)
    });
    let entries = entries.await;
    let entries: Vec<&str> = entries.iter().filter_map(|entry| entry["entry"].as_str()).collect();
    // What it sends, and what comes of it when that has come.
    assert_eq!(entries, ["Command: Input", "Command: Run", "Notification: Run", "Command: Run"]);
}

/// A token that one process has made opens the dashboards of all, and none any more when it is revoked at any.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_come_in_may_do_so_at_every_process_until_it_is_revoked_at_one() {
    let Some(mut stage) = set(1).await else { return };
    stage.flags = ["--dashboard", "127.0.0.1:0"].map(String::from).into();
    let (here, there, late) = (stage.data(), stage.folder.join("beside"), stage.folder.join("late"));
    let said = |folder: &Path, words: &[&str]| {
        let mut command = stage::command();
        command.args(words).arg("--json").arg("--project").arg(stage.project()).arg("--data").arg(folder);
        let said = command.output().expect("it runs");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        serde_json::from_slice::<Value>(&said.stdout).unwrap_or_default()
    };
    let make = |folder: &Path, name: &str| {
        let made = said(folder, &["token", "create", "--role", "read", "--name", name]);
        made["token"].as_str().expect("a token").to_owned()
    };
    let status = async |at: &Visitor, token: &str| at.with_token(token).get("/api/v1/runs").await.status;
    // Both are the first one of their folder.
    let (ada, bob) = (make(&here, "Ada"), make(&there, "Bob"));
    let first = stage.serve_in(&here, 0).await;
    let second = stage.serve_in(&there, 0).await;
    let (first, second) = ((Visitor::of(&first).await, first), (Visitor::of(&second).await, second));
    let cleo = make(&there, "Cleo");
    for token in [&ada, &bob, &cleo] {
        for at in [&first.0, &second.0] {
            until("whoever has a token comes in", async || (status(at, token).await == 200).then_some(())).await;
        }
    }
    let listed = said(&there, &["token", "list"]);
    let of_ada = listed.as_array().expect("a list").iter().find(|token| token["name"] == "Ada").expect("her token");
    said(&there, &["token", "revoke", &of_ada["number"].to_string()]);
    assert_eq!(status(&second.0, &ada).await, 401, "it was revoked there");
    until("she comes in nowhere", async || (status(&first.0, &ada).await == 401).then_some(())).await;
    // What was done at one is in the audit of each, once.
    for folder in [&here, &there] {
        let done = async || {
            let audit = said(folder, &["token", "audit"]);
            let all = audit.as_array().expect("a list");
            let about = |what: &str| {
                all.iter().filter(|deed| deed["about"].as_str().is_some_and(|about| about.contains(what))).count()
            };
            (about("(Cleo)") == 1 && all.iter().filter(|deed| deed["what"] == "revokes a token").count() == 1)
                .then_some(())
        };
        until("the audit is the same", done).await;
    }
    // Whoever comes late knows all of it at once.
    let third = stage.serve_in(&late, 0).await;
    let third = (Visitor::of(&third).await, third);
    let came = [status(&third.0, &ada).await, status(&third.0, &bob).await, status(&third.0, &cleo).await];
    assert_eq!(came, [401, 200, 200]);
    for (_, serve) in [first, second, third] {
        serve.term().await;
    }
}

/// What balances the dashboards may ask another process for each page.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_signed_in_at_one_process_is_in_at_every_one_until_they_sign_out_at_any() {
    let Some(mut stage) = set(1).await else { return };
    let mut places = Vec::new();
    for folder in [stage.data(), stage.folder.join("beside")] {
        let place = format!("127.0.0.1:{}", stage::cluster::port());
        let flags = ["--dashboard", &place, "--dashboard-url", "http://runs.example:8080"];
        stage.flags = flags.map(String::from).into();
        places.push((stage.serve_in(&folder, 0).await, Visitor::at(format!("http://{place}"))));
    }
    let [(first, here), (second, there)] = <[_; 2]>::try_from(places).ok().expect("two");
    let status = async |at: &Visitor, path: &str| at.get(path).await.status;
    let (ada, csrf) = here.signed_in("code", &code(&stage, Role::Operate)).await;
    let ada_there = ada.gone_to(&there);
    let page = ada_there.get("/runs").await;
    assert!(page.status == 200 && page.text.contains(&csrf), "at once, with the same proof: {page:?}");
    assert_eq!(status(&there.with("cookie", "dovetail-8080=nobody"), "/runs").await, 303, "nobody knows it");
    assert_eq!(ada_there.submit("/sign-out", &[("csrf", &csrf)]).await.status, 303);
    assert_eq!(status(&ada_there, "/runs").await, 303);
    until("she is out there too", async || (status(&ada, "/runs").await == 303).then_some(())).await;
    // Whoever came in with a token is out everywhere when that is over.
    let key = token(&stage, Role::Read);
    let (bob, _) = here.signed_in("token", &key).await;
    let bob_there = bob.gone_to(&there);
    assert_eq!(status(&bob_there, "/runs").await, 200);
    let (exit, said) = plain(&stage, &["token", "revoke", "1"]);
    assert_eq!((exit, status(&bob, "/runs").await), (Some(0), 303), "{said}");
    until("he is out there too", async || (status(&bob_there, "/runs").await == 303).then_some(())).await;
    // A cluster that is away keeps nobody out.
    stage.cluster.as_mut().expect("a cluster").kill(0);
    let (cleo, _) = here.signed_in("code", &code(&stage, Role::Read)).await;
    assert_eq!(status(&cleo, "/questions").await, 200);
    first.kill();
    second.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_tried_again_and_another_one_is_given_up() {
    let Some(mut stage) = set(1).await else { return };
    let serve = stage.serve().await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 2 })).await;
    for number in 0..3 {
        post(&stage.client, serve.port, &newcomer(number, "a")).await.expect("an answer");
    }
    let runs = over(&stage, 3).await;
    let failed: Vec<&str> =
        runs.iter().filter(|run| run.status == Status::Failed).map(|run| run.start.id.as_str()).collect();
    assert_eq!(failed.len(), 2, "{runs:#?}");
    let (code, said) = stage.ask(&["dead", "retry", failed[0]]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = stage.ask(&["dead", "drop", failed[1]]);
    assert_eq!(code, Some(0), "{said}");
    let status = async |id: &str| stage.runs().await.into_iter().find(|run| run.start.id == id).map(|run| run.status);
    until("one is completed", async || (status(failed[0]).await == Some(Status::Completed)).then_some(())).await;
    until("one is dropped", async || (status(failed[1]).await == Some(Status::Dropped)).then_some(())).await;
    assert_eq!(stage.requests(PEOPLE, "contact.update").await.len(), 2);
}

/// What one limit allows, two processes use together, and not twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_all_processes_together() {
    const COUNT: usize = 60;
    const REQUESTS: usize = 10;
    let Some(mut stage) = set(1).await else { return };
    stage.write("workflows/newcomer.yaml", NEWCOMER.split("  - wait:").next().expect("its first action"));
    let limits = format!("connector: {PEOPLE}\nlimits: [{{ requests: {REQUESTS}, per: 2s }}]\n");
    stage.write("connectors/opinion-stage-contacts.override.yaml", &limits);
    let (first, second) = (stage.serve().await, stage.serve_beside(0).await);
    for number in 0..COUNT {
        let port = [first.port, second.port][number % 2];
        post(&stage.client, port, &newcomer(number, &format!("g{number}"))).await.expect("an answer");
    }
    over(&stage, COUNT).await;
    let made = stage.requests(PEOPLE, "contact.create").await;
    assert_eq!(made.len(), COUNT);
    let times: Vec<i64> = made
        .iter()
        .map(|request| request["time"].as_str().expect("a time"))
        .map(|time| chrono::DateTime::parse_from_rfc3339(time).expect("a time").timestamp_millis())
        .collect();
    // A window is opened by its first request, as vendors count.
    let (mut opened, mut count, mut windows) = (i64::MIN, 0, 1);
    for at in times {
        if at >= opened + 2_000 {
            (opened, count, windows) = (at, 0, windows + 1);
        }
        count += 1;
        assert!(count <= REQUESTS, "{count} requests within 2 s");
    }
    assert!(windows > COUNT / REQUESTS, "{windows} windows");
}

/// The vendor gives a new token with each renewal and forgets the one before: whoever renews it does so for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_once_for_all_processes() {
    if stage::cluster::server().is_none() {
        return;
    }
    let mut stage = browser::set().await;
    stage.join(1).await;
    // One folder is connected, the other one knows nothing of it.
    browser::connect(&stage, "example-ghl").await;
    let (first, second) = (stage.serve().await, stage.serve_beside(0).await);
    let ports = [first.port, second.port];
    let grants = async || stage.requests(GHL, "oauth.token").await.len();
    let mut count = 0;
    for (round, granted) in [(0, 1), (1, 2)] {
        for number in 0..6 {
            let email = format!("p{round}-{number}@example.com");
            let contact = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": email })).await;
            let (body, signature) = stage.letter(&stage.event("ContactCreate", &contact));
            let url = format!("http://127.0.0.1:{}/hooks/{GHL}", ports[number % 2]);
            let request = stage.client.post(url).header("content-type", "application/json");
            let answer = request.header("x-ghl-signature", signature).body(body).send().await.expect("an answer");
            assert_eq!(answer.status(), 200);
            count += 1;
        }
        until("all are there", async || (stage.vendors[PEOPLE].records("contact").len() == count).then_some(())).await;
        assert_eq!(grants().await, granted);
        // The vendor's token ends before we think that it does.
        stage.control("POST", GHL, "/clock", json!({ "advance": "25h" })).await;
    }
    let runs = stage.over().await;
    assert!(runs.iter().all(|run| run.status != Status::Failed), "{runs:#?}");
}

/// A new release is started beside the old one, at an address of its own. The old one stops when what it began has ended. The old one is
/// the same program, if `DOVETAIL_FORMER` names no other build of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_release_takes_over_and_the_old_one_ends_what_it_began() {
    let Some(mut stage) = set(1).await else { return };
    let former = std::env::var_os("DOVETAIL_FORMER").map(PathBuf::from);
    stage.program.clone_from(&former);
    let old = stage.serve().await;
    let old_port = old.port;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 10_000, "times": 5 })).await;
    for number in 0..5 {
        post(&stage.client, old.port, &newcomer(number, &format!("g{number}"))).await.expect("an answer");
    }
    until("it has begun them", async || (stage.requests(PEOPLE, "contact.create").await.len() == 5).then_some(()))
        .await;
    let cluster = stage.cluster.as_mut().expect("a cluster");
    let before = cluster.move_objects(stage::cluster::port());
    stage.program = None;
    let new = stage.serve_beside(0).await;
    // What it began is called again where it began, and nobody is there.
    old.kill();
    for number in 5..10 {
        post(&stage.client, new.port, &newcomer(number, &format!("g{number}"))).await.expect("an answer");
    }
    welcomed(&stage, 5).await;
    // One of the old release that comes once more takes nothing over, and stops only when it has ended what was begun.
    stage.cluster.as_mut().expect("a cluster").move_objects(before);
    stage.program = former;
    let again = stage.serve_in(&stage.data(), old_port).await;
    assert!(again.said().contains("a newer release is called at another address"), "{}", again.said());
    post(&stage.client, again.port, &newcomer(10, "g10")).await.expect("an answer");
    let (status, said) = again.term().await;
    assert!(status.success(), "{said}");
    welcomed(&stage, 11).await;
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 11, "nobody is made twice");
}

/// The versions that the cluster keeps, by when it was last said that they are served.
async fn versions(stage: &Stage) -> BTreeMap<String, i64> {
    let sql = "SELECT service_key AS hash, value_utf8 AS at FROM state \
               WHERE service_name = 'DovetailPlan' AND key = 'served_ms'";
    let rows = stage.cluster.as_ref().expect("a cluster").query(&stage.client, sql).await;
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    rows.iter().map(|row| (text(row, "hash"), text(row, "at").parse().expect("a number"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_nobody_serves_and_no_run_needs_are_forgotten() {
    let Some(mut stage) = set(1).await else { return };
    let mut known: Vec<String> = Vec::new();
    // Of the first version a run is over; of the second one waits; the third is served.
    for (number, pause) in ["300ms", "40d", "301ms"].into_iter().enumerate() {
        stage.write("workflows/newcomer.yaml", &NEWCOMER.replace("300ms", pause));
        let serve = stage.serve().await;
        post(&stage.client, serve.port, &newcomer(number, "a")).await.expect("an answer");
        let is_done = |run: &Run| run.status == Status::Completed || run.due_ms > dovetail::clock::now_ms() + 1_000_000;
        let count = async || stage.runs().await.iter().filter(|run| is_done(run)).count();
        until("it is over, or waits", async || (count().await == number + 1).then_some(())).await;
        let now = versions(&stage).await;
        known.extend(now.into_keys().filter(|hash| !known.contains(hash)).collect::<Vec<_>>());
        serve.term().await;
    }
    assert_eq!(known.len(), 3, "{known:?}");
    let serve = stage.serve().await;
    let long_ago = json!(dovetail::clock::now_ms() - 40 * 24 * 60 * 60 * 1_000);
    for hash in &known {
        let path = format!("DovetailPlan/{hash}/serve");
        stage.cluster.as_ref().expect("a cluster").tell(&stage.client, &path, &long_ago).await;
    }
    serve.term().await;
    let serve = stage.serve().await;
    let left: Vec<String> = until("one is forgotten", async || {
        let left = versions(&stage).await;
        (left.len() < 3).then(|| left.into_keys().collect())
    })
    .await;
    let mut needed = known.split_off(1);
    needed.sort();
    assert_eq!(left, needed);
    serve.term().await;
}

/// Three nodes and two processes, of which any is killed at any moment, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_of_any_node_or_process_lose_nothing_and_make_nothing_twice() {
    const ROUNDS: usize = 20;
    const GROUPS: usize = 12;
    let Some(mut stage) = set(3).await else { return };
    let mut random = Random::new();
    let seed = random.seed;
    eprintln!("SEED={seed}");
    let (first, second) = (stage.serve().await, stage.serve_beside(0).await);
    let (ports, mut processes) = ([first.port, second.port], [Some(first), Some(second)]);
    let (client, other) = (stage.client.clone(), stage.client.clone());
    let sending = tokio::spawn(async move {
        let mut sent: Vec<(String, String)> = Vec::new();
        let mut number = 0;
        let mut pace = tokio::time::interval(Duration::from_millis(15));
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while std::time::Instant::now() < end {
            pace.tick().await;
            let group = format!("g{}", number % GROUPS);
            let body = newcomer(number, &group);
            // It is sent again, to the other one, until somebody says that it was taken.
            let mut at = number % 2;
            while post(&client, ports[at], &body).await.is_none_or(|(status, _)| status != 200) {
                at = 1 - at;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            sent.push((group, body["id"].as_str().expect("an id").to_owned()));
            number += 1;
        }
        sent
    });
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(random.below(800))).await;
        let victim = usize::try_from(random.below(5)).expect("one of five");
        if let Some(node) = victim.checked_sub(2) {
            let cluster = stage.cluster.as_mut().expect("a cluster");
            cluster.kill(node);
            cluster.begin(node);
            cluster.is_ready(&other).await;
            continue;
        }
        if let Some(serve) = processes[victim].take() {
            Serve::kill(serve);
        }
        processes[victim] = Some(match victim {
            0 => stage.serve().await,
            _ => stage.serve_beside(ports[1]).await,
        });
    }
    let sent = sending.await.expect("all is sent");
    let runs = over(&stage, sent.len()).await;
    assert_eq!(runs.len(), sent.len(), "seed {seed}: each event has one run");
    for run in &runs {
        assert!(matches!(run.ending, Some(Ending::Completed { .. })), "seed {seed}: {:?}", run.ending);
    }
    let made = stage.requests(PEOPLE, "contact.create").await;
    let people = stage.control("GET", PEOPLE, "/records/contact", Value::Null).await;
    let people = people["records"].as_array().expect("records").len();
    assert_eq!(people, sent.len(), "seed {seed}: everybody is there once");
    // The order in which somebody was asked for first.
    let mut known = HashSet::new();
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in &made {
        let of = |name: &str| request["body"][name].as_str().unwrap_or_default().to_owned();
        if known.insert(of("first_name")) {
            order.entry(of("city")).or_default().push(of("first_name"));
        }
    }
    let mut expected: HashMap<String, Vec<String>> = HashMap::new();
    sent.into_iter().for_each(|(group, id)| expected.entry(group).or_default().push(id));
    for (group, ids) in order {
        assert_eq!(Some(&ids), expected.get(&group), "seed {seed}: the order of {group}");
    }
}

/// What the cluster keeps of all objects, in small letters.
async fn kept(stage: &Stage) -> String {
    let sql = "SELECT service_name, service_key, key, value_utf8 FROM state";
    let rows = stage.cluster.as_ref().expect("a cluster").query(&stage.client, sql).await;
    Value::from(rows).to_string().to_lowercase()
}

/// What files of a folder hold, in small letters.
fn written(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    files
        .flat_map(|file| std::fs::read(file.path()).unwrap_or_default())
        .map(|byte| byte.to_ascii_lowercase())
        .collect()
}

/// Erases one of two people whom everybody knows: both are in what these objects keep.
async fn erases(stage: &Stage, services: &[&str]) {
    let folders = [stage.data(), stage.folder.join("beside")];
    let knows = |folder: &PathBuf, name: &str| memmem::find(&written(folder), format!("{name}@").as_bytes()).is_some();
    until("both are known everywhere", async || {
        let all = folders.iter().all(|folder| knows(folder, "zelphine") && knows(folder, "bertram"));
        all.then_some(())
    })
    .await;
    until("all that is looked at is kept", async || {
        let kept = kept(stage).await;
        services.iter().all(|service| kept.contains(&service.to_lowercase())).then_some(())
    })
    .await;
    stage.over().await;
    let (code, said) = stage.ask(&["erase", "zelphine@EXAMPLE.com", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let left = kept(stage).await;
    assert!(!left.contains("zelphine@"), "{left}");
    assert!(left.contains("bertram@"), "another person is still known");
    until("no process knows the person", async || {
        (!folders.iter().any(|folder| knows(folder, "zelphine"))).then_some(())
    })
    .await;
    assert!(folders.iter().all(|folder| knows(folder, "bertram")));
    let (code, said) = stage.ask(&["erase", "zelphine@example.com", "--yes"]);
    assert!(code == Some(0) && said.contains("nothing here holds it"), "{said}");
}

/// What is heard for it is kept, though nobody waits.
const WAITS: &str = "
workflow: waits
uses: { ghl: gohighlevel }
trigger: { event: ghl.contact.created, only_if: { $.contact.lastName: Nobody } }
actions:
  - wait: { event: ghl.contact.updated, match: { email: $.contact.email }, timeout: 7d }
";

async fn on_one_node() -> Option<Stage> {
    stage::cluster::server()?;
    let mut stage = Stage::set().await;
    stage.join(1).await;
    Some(stage)
}

fn person(name: &str) -> Value {
    json!({ "firstName": name, "email": format!("{name}@example.com") })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_who_is_erased_nothing_is_left_in_the_cluster_and_with_no_process() {
    let Some(mut stage) = on_one_node().await else { return };
    stage.write("workflows/waits.yaml", WAITS);
    stage.activate(&["waits"]);
    let _serve = stage.serve().await;
    let _beside = stage.serve_beside(0).await;
    stage.list_is_read().await;
    for name in ["Zelphine", "Bertram"] {
        let contact = stage.make(GHL, "contact", person(name)).await;
        stage.tell("ContactCreate", &contact).await;
        stage.over().await;
        let id = contact["id"].as_str().expect("an id");
        let changed = stage.change(GHL, "contact", id, json!({ "city": "London" })).await;
        stage.tell("ContactUpdate", &changed).await;
    }
    erases(&stage, &["DovetailKnown", "DovetailMail", "DovetailFeed"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_who_is_erased_nothing_is_left_of_what_a_sync_knows() {
    let Some(mut stage) = on_one_node().await else { return };
    stage.activate(&["contacts"]);
    let _serve = stage.serve_hearing_both().await;
    let _beside = stage.serve_beside(0).await;
    let (code, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    for name in ["Zelphine", "Bertram"] {
        stage.control("POST", GHL, "/records/contact", person(name)).await;
    }
    erases(&stage, &["DovetailPacts", "DovetailFeed"]).await;
}
