//! Events that are kept start runs once more, and say that they do.

use std::process::Stdio;

use dovetail::run::Ending;
use dovetail::store::{Filter, Run, Store};
use serde_json::json;

use crate::stage::{self, GHL, PEOPLE, Stage};

fn run(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let output = stage::command().args(words).arg("--data").arg(stage.data()).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

async fn contact(stage: &Stage, name: &str) -> String {
    let email = format!("{name}@example.com");
    let contact = stage.make(GHL, "contact", json!({ "firstName": name, "email": email })).await;
    stage.tell("ContactCreate", &contact).await;
    stage.over().await;
    contact["id"].as_str().expect("an id").to_owned()
}

async fn filtered(stage: &Stage, filter: Filter) -> Vec<i64> {
    let store = Store::open_read_only(&stage.data()).expect("the store");
    let runs = store.runs(filter).await.expect("the runs");
    store.close().await;
    runs.iter().map(|run| run.seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_is_done_once_more_with_the_project_as_it_is_now() {
    let mut stage = Stage::set().await;
    stage.activate(&["contact-to-opinion-stage"]);
    let serve = stage.serve().await;
    stage.list_is_read().await;
    let ada = contact(&stage, "Ada").await;
    let bob = contact(&stage, "Bob").await;
    let (code, said) = run(&stage, &["replay", "--since", "1h"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("2 events would be replayed") && said.contains("nothing is replayed"), "{said}");
    assert_eq!(stage.runs().await.len(), 2);

    stage.change(GHL, "contact", &ada, json!({ "firstName": "Adelaide" })).await;
    let (code, said) = run(&stage, &["replay", "--since", "1h", "--record", &ada, "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 event replayed, 1 run started"), "{said}");
    let runs = stage.over().await;
    let [first, _, again]: [Run; 3] = runs.try_into().expect("three runs");
    assert_eq!(again.start.event.replay_of.as_ref(), Some(&first.start.event.id));
    assert_ne!(again.start.event.id, first.start.event.id);
    assert!(matches!(again.ending, Some(Ending::Completed { .. })), "not taken for told: {:?}", again.ending);
    let people = stage.vendors[PEOPLE].records("contact");
    assert!(people.iter().any(|person| person["first_name"] == "Adelaide"), "it was read anew: {people:?}");
    assert_eq!(people.len(), 2, "nobody was made a second time");
    let (_, told) = run(&stage, &["runs", "show", "3"]);
    assert!(told.contains(&format!("replay of {}", first.start.event.id)), "{told}");

    // A replay is not replayed, another workflow starts nothing, and later is later.
    let (_, said) = run(&stage, &["replay", "--since", "1h", "--yes", "--rate", "1000", "--json"]);
    assert!(said.contains(r#""events": 2"#) && said.contains(r#""runs": 2"#), "{said}");
    let (_, said) = run(&stage, &["replay", "--since", "1h", "--workflow", "contact-deleted", "--yes"]);
    assert!(said.contains("0 events replayed") && said.contains("2 further events started nothing"), "{said}");
    let (_, said) = run(&stage, &["replay", "--since", "1h", "--until", "2020-01-01", "--yes"]);
    assert!(said.contains("0 events would be replayed"), "{said}");
    let completed = |run: &Run| matches!(run.ending, Some(Ending::Completed { .. }));
    assert!(stage.over().await.iter().all(completed), "nothing was taken for told");

    // What is listed can be narrowed down.
    let of = |record: &str| Filter { record: Some(record.to_owned()), ..Filter::default() };
    assert_eq!(filtered(&stage, of(&bob)).await, [5, 2]);
    let page = Filter { limit: 1, before: Some(4), ..of(&ada) };
    assert_eq!(filtered(&stage, page).await, [3]);
    let using = Filter { connection: Some("example-people".into()), ..Filter::default() };
    assert_eq!(filtered(&stage, using).await.len(), 5);
    let nobody = Filter { connection: Some("example-quiz".into()), ..Filter::default() };
    assert!(filtered(&stage, nobody).await.is_empty());
    let (code, said) = run(&stage, &["runs", "list", "--record", &bob, "--connection", "example-ghl", "--since", "1h"]);
    assert!(
        code == Some(0) && said.lines().filter(|line| line.contains("contact-to-opinion-stage")).count() == 2,
        "{said}"
    );

    serve.kill();
    let (code, said) = run(&stage, &["replay", "--since", "1h", "--yes"]);
    assert!(code == Some(2) && said.contains("nobody serves"), "{said}");
}

/// One request in this time, of those that run through a test.
const PACE: &str = "[{ requests: 8, per: 1h, keep_for_live_events: 50% }]";
const KEPT: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn live_work_goes_before_a_replay_also_where_a_limit_is_waited_for() {
    let mut stage = Stage::set().await;
    stage.activate(&["contact-to-opinion-stage"]);
    let serve = stage.serve().await;
    stage.list_is_read().await;
    for number in 0..KEPT {
        contact(&stage, &format!("kept-{number}")).await;
    }
    serve.term().await;
    let limits = format!("connector: {PEOPLE}\nlimits: {PACE}\n");
    stage.write("connectors/opinion-stage-contacts.override.yaml", &limits);
    let serve = stage.serve().await;
    let requests = async || {
        let said = stage.control("GET", PEOPLE, "/requests", serde_json::Value::Null).await;
        said["requests"].as_array().cloned().expect("a list")
    };
    let before = requests().await.len();
    let mut replay = stage::command();
    replay.args(["replay", "--since", "1h", "--rate", "1000", "--yes", "--data"]).arg(stage.data());
    let mut replay = replay.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    // The replay stops before the share of what is live.
    stage::until("its share is used up", async || (requests().await.len() == before + 4).then_some(())).await;
    let zoe = stage.make(GHL, "contact", json!({ "firstName": "Zoe", "email": "zoe@example.com" })).await;
    stage.tell("ContactCreate", &zoe).await;
    stage::until("Zoe is made", async || {
        stage.vendors[PEOPLE].records("contact").iter().any(|person| person["first_name"] == "Zoe").then_some(())
    })
    .await;
    let since = &requests().await[before + 4..];
    let is_hers = |request: &serde_json::Value| request.to_string().to_lowercase().contains("zoe");
    assert!(since.iter().all(is_hers), "what is live is not behind a replay: {since:#?}");
    replay.kill().expect("it is killed");
    replay.wait().expect("it is gone");
    serve.kill();
}
