//! Runs that cannot go on, whatever is done: they become dead letters, and what waits behind them goes on.

use std::sync::Arc;

use dovetail::engine::{Engine, Keeping, Settings, Whose};
use dovetail::http::Guard;
use dovetail::project::{Text, read};
use dovetail::run::Ending;
use dovetail::store::{Run, Status, Store};
use dovetail::vault::SecretSource;
use serde_json::json;

use crate::stage::{self, GHL, PEOPLE, Stage, until};

/// A run is in the middle of its create when the program is killed; then somebody spoils the store, and two more changes
/// of its record and of another one come in. Gives the runs in the end.
async fn spoilt(sql: &str) -> Vec<Run> {
    let mut stage = Stage::set().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 1 })).await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    until("the create is under way", async || {
        let asked = !stage.requests(PEOPLE, "contact.create").await.is_empty();
        asked.then_some(())
    })
    .await;
    serve.kill();
    let store = rusqlite::Connection::open(stage.data().join("dovetail.sqlite3")).expect("the store");
    assert_eq!(store.execute(sql, []).expect("it is spoilt"), 1);
    drop(store);
    // Another version of the project, whose documents are whole.
    stage.edit("workflows/contact-to-opinion-stage.yaml", "workflow: ", "# Changed.\nworkflow: ");
    let _serve = stage.serve().await;
    let ada = stage.change(GHL, "contact", ada["id"].as_str().expect("an id"), json!({ "firstName": "Ada B." })).await;
    stage.tell("ContactUpdate", &ada).await;
    let runs = stage.over().await;
    let show = stage::command().args(["dead", "show", "1", "--data"]).arg(stage.data()).output().expect("it runs");
    assert!(show.status.success(), "{}", String::from_utf8_lossy(&show.stderr));
    runs
}

/// The first is a dead letter with these words, the one behind it is completed.
fn assert_buried(runs: &[Run], words: &str) {
    // What the poll notices as well may be a third, before or after, which has nothing to do.
    let mut of_webhooks = runs.iter().filter(|run| run.status != Status::Skipped);
    let (Some(first), Some(second)) = (of_webhooks.next(), of_webhooks.next()) else {
        panic!("two runs, not {runs:#?}")
    };
    let Some(Ending::Failed { failure, .. }) = &first.ending else { panic!("{:?}", first.ending) };
    assert!(failure.name == "failed" && failure.message.contains(words), "{failure:?}");
    assert_eq!(second.status, Status::Completed, "{:?}", second.ending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_version_of_the_project_cannot_be_read_any_more_blocks_nobody() {
    assert_buried(&spoilt("UPDATE plans SET documents = '[]'").await, "cannot be read any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_journal_cannot_be_read_any_more_blocks_nobody() {
    let sql = "UPDATE journal SET entry = replace(entry, '\"started\"', '\"of_tomorrow\"') WHERE n = 0";
    assert_buried(&spoilt(sql).await, "what is stored of it cannot be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_journal_is_torn_blocks_nobody() {
    let sql = "UPDATE journal SET entry = substr(entry, 1, 9) WHERE n = 0 AND entry LIKE '[%'";
    assert_buried(&spoilt(sql).await, "what is stored of it cannot be read");
}

const PROJECT: &str = "\
project: broken
connections: { shop: { connector: shop, auth: token, token: $.secrets.shop_token } }
";

const SHOP: &str = "\
connector: shop
version: 1.0.0
base_url: https://shop.example.com
connection: {}
auth: { token: { bearer: $.secrets.token } }
objects:
  contact:
    schema: { type: object, properties: { id: { type: string }, name: { type: string } } }
    id: id
    operations:
      get: { request: \"GET /contacts/{id}\", returns: $ }
      list: { request: GET /contacts, items: $.items }
    changes: { poll: { with: list, every: 10m } }
";

const WORKFLOW: &str = "\
workflow: case
uses: { shop: shop }
trigger: { event: shop.contact.created }
actions:
  - if: { $.contact.name: Ada }
    then:
      - { call: shop.contact.get, with: { id: $.contact.id } }
";

/// Whoever asks it meets an error of the program.
struct Broken;

impl SecretSource for Broken {
    fn secret(&self, _: &str) -> Option<secrecy::SecretString> {
        panic!("an invariant does not hold")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_program_ends_the_run_that_meets_it_and_no_other() {
    let texts = [("dovetail.yaml", PROJECT), ("connectors/shop.yaml", SHOP), ("workflows/case.yaml", WORKFLOW)];
    let texts = texts.map(|(path, text)| Text { path: path.into(), text: text.into() });
    let loaded = read(&texts, &[], None);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{:#?}", loaded.report));
    let folder = std::env::temp_dir().join(format!("dovetail-broken-{}", uuid::Uuid::now_v7()));
    let store = Store::open(&folder).expect("a store");
    let settings = Settings {
        plan,
        store: store.clone(),
        guard: Guard::default(),
        secrets: Arc::new(Broken),
        vault: None,
        webhook_keys: Default::default(),
        at_once: 1,
        listens: true,
        hands: Keeping::Own,
    };
    let engine = Engine::start(settings).await.expect("it starts");
    let ada = engine.by_hand("case", json!({ "id": "c1", "name": "Ada" }), &Whose::default()).await.expect("a run");
    let bob = engine.by_hand("case", json!({ "id": "c1", "name": "Bob" }), &Whose::default()).await.expect("a run");
    let over = async |id: &str| store.run(id).await.expect("the store").filter(|run| run.ending.is_some());
    let runs =
        [until("one is over", async || over(&ada).await).await, until("both are", async || over(&bob).await).await];
    assert_buried(&runs, "please report it: an invariant does not hold");
    engine.stop().await;
    drop(engine);
    store.close().await;
    std::fs::remove_dir_all(folder).expect("the folder goes");
}
