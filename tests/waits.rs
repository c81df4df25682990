//! Runs that wait until something has happened, in the real program.

use dovetail::run::{Ending, Fact};
use dovetail::store::{Run, Status};
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage, until};

const WAITS: &str = "\
workflow: waits
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created, only_if: { $.contact.lastName: { blank: true } } }
actions:
  - id: named
    wait: { event: ghl.contact.updated, match: { email: $.contact.email }, timeout: 7d }
  - call: os.contact.create
    with: { email: $.named.email, first_name: $.named.firstName, status: $.outcome.named }
";

/// Only this workflow is active.
async fn set(text: &str) -> Stage {
    let stage = Stage::set().await;
    stage.write("workflows/waits.yaml", text);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - waits\n");
    for name in ["contact-to-opinion-stage", "quiz-response-to-gohighlevel"] {
        stage.edit("dovetail.yaml", &format!("  - {name}\n"), "");
    }
    stage
}

async fn of(stage: &Stage, workflow: &str) -> Vec<Run> {
    stage.runs().await.into_iter().filter(|run| run.start.workflow == workflow).collect()
}

/// Waits until the run has begun to wait, and has let go of everything.
async fn waiting(stage: &Stage, count: usize) -> Vec<Run> {
    until("it waits", async || {
        let runs = of(stage, "waits").await;
        let mut begun = 0;
        for run in &runs {
            let journal = stage.journal(&run.start.id).await;
            begun += usize::from(journal.iter().any(|entry| matches!(entry.fact, Fact::Subscribed { .. })));
        }
        (begun == count).then_some(runs)
    })
    .await
}

async fn contact(stage: &Stage, email: &str) -> Value {
    stage.make(GHL, "contact", json!({ "email": email })).await
}

async fn rename(stage: &Stage, contact: &Value, name: &str) {
    let changed =
        stage.change(GHL, "contact", contact["id"].as_str().expect("an id"), json!({ "firstName": name })).await;
    stage.tell("ContactUpdate", &changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_ends_the_wait_of_the_run_that_it_is_for_also_after_a_kill() {
    let mut stage = set(WAITS).await;
    let ada = contact(&stage, "ada@example.com").await;
    let eve = contact(&stage, "eve@example.com").await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage.tell("ContactCreate", &eve).await;
    waiting(&stage, 2).await;
    serve.kill();
    let serve = stage.serve().await;
    rename(&stage, &eve, "Eve").await;
    let made = until("the one goes on", async || {
        Some(stage.vendors[PEOPLE].records("contact")).filter(|made| !made.is_empty())
    })
    .await;
    assert_eq!((made.len(), &made[0]["email"], &made[0]["first_name"]), (1, &json!("eve@example.com"), &json!("Eve")));
    assert_eq!(made[0]["status"], "done");
    until("only the other one waits", async || {
        let runs = of(&stage, "waits").await;
        (runs.iter().filter(|run| run.status == Status::Pending).count() == 1).then_some(())
    })
    .await;
    // What hears fails for a while; the wait ends all the same, with the record as it is then.
    stage.fault(GHL, json!({ "at": "contact.get", "status": 503, "times": 1 })).await;
    rename(&stage, &ada, "Ada").await;
    let runs = stage.over().await;
    assert!(!runs.iter().any(|run| matches!(run.ending, Some(Ending::Failed { .. }))), "{runs:#?}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 2);
    // The poll tells of the same, and that is nothing new.
    let heard = of(&stage, "waits/ghl.contact.updated/email").await;
    assert_eq!(heard.iter().filter(|run| run.status == Status::Completed).count(), 2, "{heard:#?}");
    drop(serve);
    let mut show = stage::command();
    let show = show.args(["runs", "show", "1", "--data"]).arg(stage.data()).output().expect("it runs");
    let told = String::from_utf8_lossy(&show.stdout);
    for line in ["named: wait ghl.contact.updated (workflows/waits.yaml:6:11)", "what it waits for has come"] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_is_called_also_when_the_project_waits_for_that_no_more() {
    let mut stage = set(WAITS).await;
    let ada = contact(&stage, "ada@example.com").await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    waiting(&stage, 1).await;
    serve.kill();
    stage.write("workflows/waits.yaml", "workflow: waits\ntrigger: { manual: }\nactions: [{ stop: something else }]\n");
    let _serve = stage.serve().await;
    rename(&stage, &ada, "Ada").await;
    stage.over().await;
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["first_name"], "Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_in_time_is_timed_out() {
    let mut stage = set(&WAITS.replace("timeout: 7d", "timeout: 1s").replace("$.named.email", "$.contact.email")).await;
    let ada = contact(&stage, "ada@example.com").await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage.over().await;
    let made = stage.vendors[PEOPLE].records("contact");
    assert_eq!((&made[0]["status"], made[0].get("first_name").and_then(Value::as_str)), (&json!("timed_out"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_before_the_wait_counts() {
    let go = "actions:\n  - wait: { event: project.paid, match: { id: $.contact.id }, timeout: 7d }\n";
    let mut stage = set(&WAITS.replace("actions:\n", go)).await;
    stage.write("workflows/pays.yaml", PAYS);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - pays\n");
    let ada = contact(&stage, "ada@example.com").await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    waiting(&stage, 1).await;
    rename(&stage, &ada, "Ada").await;
    until("it is heard", async || {
        let heard = of(&stage, "waits/ghl.contact.updated/email").await;
        heard.iter().any(|run| run.status == Status::Completed).then_some(())
    })
    .await;
    serve.kill();
    let _serve = stage.serve().await;
    pays(&stage, &ada);
    stage.over().await;
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["first_name"], "Ada");
}

const BESIDE: &str = "\
workflow: waits
uses: { ghl: gohighlevel, os: opinion-stage-contacts }
trigger: { event: ghl.contact.created }
actions:
  - parallel:
      - call: ghl.task.list
        with: { contactId: $.contact.id }
        retry: { times: 2, wait: 1h, errors: [transient] }
      - - { id: paid, wait: { event: project.paid, match: { id: $.contact.id }, timeout: 7d } }
        - call: os.contact.create
          with: { email: $.contact.email, first_name: $.paid.name }
";

const PAYS: &str = "\
workflow: pays
trigger: { manual: { inputs: { id: { type: string } } } }
actions:
  - emit: paid
    with: { id: $.inputs.id, name: Paid }
";

fn pays(stage: &Stage, contact: &Value) {
    let (code, said) = stage.run(&["run", "pays", "--input", &json!({ "id": contact["id"] }).to_string()]);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_goes_on_with_its_event_while_another_one_tries_again_later() {
    let mut stage = set(BESIDE).await;
    stage.write("workflows/pays.yaml", PAYS);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - pays\n");
    let (ada, eve) = (contact(&stage, "ada@example.com").await, contact(&stage, "eve@example.com").await);
    let _serve = stage.serve().await;
    stage.fault(GHL, json!({ "at": "task.list", "status": 503, "times": 1 })).await;
    stage.tell("ContactCreate", &ada).await;
    waiting(&stage, 1).await;
    pays(&stage, &eve);
    pays(&stage, &ada);
    let made = until("the branch goes on", async || {
        Some(stage.vendors[PEOPLE].records("contact")).filter(|made| !made.is_empty())
    })
    .await;
    assert_eq!((&made[0]["email"], &made[0]["first_name"]), (&json!("ada@example.com"), &json!("Paid")));
    assert_eq!(of(&stage, "waits").await[0].status, Status::Pending);
}

/// What is emitted right before a wait, in the same decision.
const ASKS: &str = "\
workflow: waits
uses: { ghl: gohighlevel }
trigger: { event: ghl.contact.created }
actions:
  - emit: asked
    with: { email: $.contact.email }
  - wait: { event: project.paid, match: { id: $.contact.id }, timeout: 7d }
";

const HEARS: &str = "\
workflow: hears
uses: { os: opinion-stage-contacts }
trigger: { event: project.asked }
actions:
  - call: os.contact.create
    with: { email: $.event.body.email }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_before_a_wait_is_heard() {
    let mut stage = set(ASKS).await;
    for (name, text) in [("pays", PAYS), ("hears", HEARS)] {
        stage.write(&format!("workflows/{name}.yaml"), text);
        stage.edit("dovetail.yaml", "active:\n", &format!("active:\n  - {name}\n"));
    }
    let ada = contact(&stage, "ada@example.com").await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    waiting(&stage, 1).await;
    pays(&stage, &ada);
    stage.over().await;
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
}
