//! Workflows that run others, and that hear what others emit, in the real program.

use dovetail::run::Ending;
use dovetail::store::Status;
use serde_json::json;

use crate::stage::{self, GHL, PEOPLE, Stage};

const TELLS: &str = "\
workflow: tells
uses: { ghl: gohighlevel }
trigger: { event: ghl.contact.created }
actions:
  - id: greeting
    run: greets
    with: { name: $.contact.firstName }
  - emit: greeted
    with: { id: $.contact.id, text: $.greeting }
";

const GREETS: &str = "\
workflow: greets
trigger: { manual: { inputs: { name: { type: string, default: friend } } } }
actions:
  - stop: \"Hello, {{inputs.name}}!\"
";

const HEARS: &str = "\
workflow: hears
uses: { os: opinion-stage-contacts }
trigger: { event: project.greeted, in_order_by: $.event.body.id }
actions:
  - call: os.contact.create
    with: { email: \"{{event.body.id}}@example.com\", first_name: $.event.body.text }
";

async fn set() -> Stage {
    let stage = Stage::set().await;
    for (name, text) in [("tells", TELLS), ("greets", GREETS), ("hears", HEARS)] {
        stage.write(&format!("workflows/{name}.yaml"), text);
    }
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - tells\n  - greets\n  - hears\n");
    stage.edit("dovetail.yaml", "  - contact-to-opinion-stage\n", "");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_workflow_emits_another_one_hears_once() {
    let mut stage = set().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    // The answer to what the second one does is lost: it is in the middle of that when the program is killed.
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 1 })).await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage::until("the second one is at work", async || {
        let asked = !stage.requests(PEOPLE, "contact.create").await.is_empty();
        asked.then_some(())
    })
    .await;
    serve.kill();
    let _serve = stage.serve().await;
    let runs = stage.over().await;
    let of =
        |name: &str| runs.iter().filter(|run| run.start.workflow == name && run.status == Status::Completed).count();
    assert_eq!((of("tells"), of("greets"), of("hears")), (1, 0, 1), "{runs:#?}");
    let made = stage.vendors[PEOPLE].records("contact");
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0]["first_name"], "Hello, Ada!");
    let heard = runs.iter().find(|run| run.start.workflow == "hears").expect("it ran");
    assert_eq!(heard.start.order_key, ada["id"].as_str().expect("an id"));
    assert_eq!((heard.start.event.source.as_str(), heard.start.event.kind.as_str()), ("project", "greeted"));
    let mut show = stage::command();
    let show = show.args(["runs", "show", "1", "--data"]).arg(stage.data()).output().expect("it runs");
    let told = String::from_utf8_lossy(&show.stdout);
    for line in [
        "greeting: run greets (workflows/tells.yaml:6:10)",
        "with {\"name\":\"Ada\"}",
        "gives Hello, Ada!",
        "emit greeted",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_by_hand_emits_waits_for_serve() {
    let mut stage = set().await;
    stage.make(GHL, "contact", json!({ "id": "c1", "firstName": "Bob", "email": "bob@example.com" })).await;
    let (code, said) = stage.run(&["run", "tells", "--input", r#"{ "id": "c1" }"#]);
    assert_eq!(code, Some(0), "{said}");
    let waiting = stage.runs().await;
    assert_eq!(waiting.iter().map(|run| run.status).collect::<Vec<_>>(), [Status::Completed, Status::Pending]);
    let _serve = stage.serve().await;
    let runs = stage.over().await;
    assert!(runs.iter().all(|run| matches!(run.ending, Some(Ending::Completed { .. }))), "{runs:#?}");
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["first_name"], "Hello, Bob!");
    // The one that hears is started by hand with what an event would tell.
    let (code, said) = stage.run(&["run", "hears", "--input", r#"{ "id": "c2", "text": "By hand" }"#]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(stage.vendors[PEOPLE].records("contact")[1]["first_name"], "By hand");
}

const SILENT: &str = "\
workflow: silent
uses: { os: opinion-stage-contacts, ghl: gohighlevel }
trigger: { event: ghl.note.created }
actions:
  - stop: heard
on_error:
  - call: os.contact.create
    with: { email: alarm@example.com, first_name: \"{{error.name}}: {{error.message}}\" }
alert_if_silent: 2s
";

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_does_not_run_for_too_long_tells_people() {
    let mut stage = Stage::set().await;
    stage.write("workflows/silent.yaml", SILENT);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - silent\n");
    let _serve = stage.serve().await;
    let told = stage::until("it tells", async || {
        let told = stage.requests(PEOPLE, "contact.create").await;
        (!told.is_empty()).then_some(told)
    })
    .await;
    let text = told[0]["body"]["first_name"].as_str().expect("a text");
    assert!(text.starts_with("silent: `silent` has not run since 2"), "{told:?}");
    let runs = stage.runs().await;
    let run = runs.iter().find(|run| run.start.workflow == "silent").expect("a run");
    assert_eq!(run.start.event.source, "silence");
    assert!(run.start.created_ms >= run.start.event.time_ms + 2_000, "{run:?}");
}

const ANY: &str = "\
workflow: any
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - call: os.contact.create
    with: { email: \"{{event.connection}}@example.com\", city: $.connection.ghl.location_id }
";

#[tokio::test(flavor = "multi_thread")]
async fn the_trigger_s_alias_stands_for_the_account_that_the_event_is_of() {
    let mut stage = Stage::set().await;
    stage.write("workflows/any.yaml", ANY);
    stage.activate(&["any"]);
    let other = format!(
        "connections:\n  other-ghl:\n    {{ connector: gohighlevel, auth: token, location_id: another, \
         base_url: 'http://{}', token: $.secrets.ghl_token }}\n",
        stage.address(GHL)
    );
    stage.edit("dovetail.yaml", "connections:\n", &other);
    let ada = stage.make(GHL, "contact", json!({ "email": "ada@example.com" })).await;
    let serve = stage.serve().await;
    let mut event = stage.event("ContactCreate", &ada);
    stage.post(&event).await;
    stage.over().await;
    event["locationId"] = json!("another");
    event["webhookId"] = json!("another-delivery");
    stage.post(&event).await;
    stage.over().await;
    let made = stage.vendors[PEOPLE].records("contact");
    let made: Vec<(&str, &str)> =
        made.iter().filter_map(|one| Some((one["email"].as_str()?, one["city"].as_str()?))).collect();
    assert_eq!(made, [("example-ghl@example.com", stage::LOCATION), ("other-ghl@example.com", "another")]);
    let id = format!("{{ \"id\": {} }}", ada["id"]);
    let (code, said) = stage.run(&["run", "any", "--input", &id]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("choose one with --connection, of example-ghl, other-ghl"), "{said}");
    let (code, said) = stage.run(&["run", "any", "--input", &id, "--connection", "other-gh"]);
    assert!(code == Some(2) && said.contains("did you mean `other-ghl`?"), "{code:?} {said}");
    drop(serve);
}
