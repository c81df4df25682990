//! People change recipes, add endpoints and objects, and refine connectors: by hand, in YAML, without compiling anything.

use dovetail::run::Ending;
use dovetail::store::Run;
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, QUIZ, Stage, until};

fn completed(run: &Run) {
    assert!(matches!(run.ending, Some(Ending::Completed { .. })), "{}: {:?}", run.start.workflow, run.ending);
}

async fn ada(stage: &Stage) -> Value {
    let ada = json!({ "firstName": "Ada", "email": "ada@example.com", "website": "https://example.com/ada" });
    stage.make(GHL, "contact", ada).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workflow_about_a_record_takes_a_further_field() {
    let mut stage = Stage::set().await;
    let city = "      country: $.contact.country\n";
    stage.edit("workflows/contact-to-opinion-stage.yaml", city, &format!("{city}      status: $.contact.type\n"));
    stage.edit("workflows/note-to-opinion-stage.yaml", "      last_name:", "      status: noted\n      last_name:");
    let details = "      details: $.task.body\n";
    stage.edit("workflows/task-to-opinion-stage.yaml", details, "      details: 'For {{task.contact.firstName}}'\n");
    stage.edit("workflows/contact-deleted.yaml", "status: archived }", "status: archived, company: Gone }");
    let ada = ada(&stage).await;
    let note = stage.make(GHL, "note", json!({ "contactId": ada["id"], "body": "hello" })).await;
    let task =
        json!({ "contactId": ada["id"], "title": "Call", "dueDate": "2027-01-01T10:00:00Z", "completed": false });
    let task = stage.make(GHL, "task", task).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage.over().await;
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["status"], "lead");
    stage.tell("NoteCreate", &note).await;
    stage.tell("TaskCreate", &task).await;
    stage.over().await;
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["status"], "noted");
    assert_eq!(stage.vendors[PEOPLE].records("task")[0]["details"], "For Ada");
    stage.tell("ContactDelete", &ada).await;
    stage.over().await.iter().for_each(completed);
    let people = stage.vendors[PEOPLE].records("contact");
    assert_eq!((&people[0]["status"], &people[0]["company"]), (&json!("archived"), &json!("Gone")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quiz_workflow_takes_a_further_field_and_other_outcomes() {
    let mut stage = Stage::set().await;
    let quiz = "workflows/quiz-response-to-gohighlevel.yaml";
    stage.edit(quiz, "      # custom.quiz_result:", "      custom.quiz_band:");
    stage.edit(quiz, "[Ready now, Very interested]", "[Lukewarm]");
    stage.edit(quiz, "follow_up: 1d", "follow_up: 2h");
    let poll = "changes: { poll: { with: list, by: timestamps.created, newest_first: true, every: 1s } }";
    let over = format!("connector: {QUIZ}\nobjects: {{ response: {{ {poll} }} }}\n");
    stage.write("connectors/opinion-stage.override.yaml", &over);
    let _serve = stage.serve().await;
    until("the past is known", async || (stage.requests(QUIZ, "response.list").await.len() > 2).then_some(())).await;
    let answers = json!([{ "question": "2001", "selection": ["dan@example.com"] }]);
    let response = json!({ "answers": answers, "result": { "title": "Lukewarm" } });
    stage.make(QUIZ, "response", json!({ "item_id": "1001", "attributes": response })).await;
    until("its run is over", async || {
        let runs = stage.runs().await;
        runs.first().filter(|run| run.ending.is_some()).map(completed)
    })
    .await;
    let contacts = stage.vendors[GHL].records("contact");
    assert_eq!(contacts[0]["customFields"][0], json!({ "id": "cF1eLdQu1zBandAbCdEf", "value": "Lukewarm" }));
    assert_eq!(stage.vendors[GHL].records("task").len(), 1, "the outcome is a hot one now");
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_by_hand_and_by_schedule_take_changes_too() {
    let stage = Stage::set().await;
    stage.edit("workflows/add-tag-by-hand.yaml", "tags: [$.inputs.tag]", "tags: [$.inputs.tag, by-hand]");
    stage.edit("workflows/overdue-tasks.yaml", "tag: task-overdue", "tag: late");
    let ada = ada(&stage).await;
    let task = json!({ "contactId": ada["id"], "title": "Old", "dueDate": "2020-01-01T10:00:00Z", "completed": false });
    stage.make(GHL, "task", task).await;
    let input = stage.folder.join("input.json");
    std::fs::write(&input, r#"{ "email": "ada@example.com", "tag": "vip" }"#).expect("the inputs");
    let (code, said) = stage.run(&["run", "add-tag-by-hand", "--input", &input.to_string_lossy()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = stage.run(&["run", "overdue-tasks"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(stage.vendors[GHL].records("contact")[0]["tags"], json!(["vip", "by-hand", "late"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_added_to_a_copy_of_a_connector_and_called() {
    let mut stage = Stage::set().await;
    let add_tags = "      add_tags:\n";
    let copy = stage::repository("connectors/gohighlevel.yaml");
    assert!(copy.contains(add_tags));
    let endpoint = "      set_source:
        request: PUT /contacts/{id}
        description: Says where a contact came from.
        input: { type: object, required: [id], properties: { id: { type: string }, source: { type: string } } }
        body: $.input
        returns: $.contact
";
    stage.write("connectors/gohighlevel.yaml", &copy.replacen(add_tags, &format!("{endpoint}{add_tags}"), 1));
    let workflow = "workflow: sourced\nuses: { ghl: gohighlevel }\ntrigger: { event: ghl.contact.created }\nactions:\n  \
                    - call: ghl.contact.set_source\n    with: { id: $.contact.id, source: $.contact.website }\n";
    stage.write("workflows/sourced.yaml", workflow);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - sourced\n");
    let ada = ada(&stage).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage.over().await.iter().for_each(completed);
    assert_eq!(stage.vendors[GHL].records("contact")[0]["source"], "https://example.com/ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_added_in_a_file_of_its_own_and_a_workflow_keeps_it() {
    let mut stage = Stage::set().await;
    let id = "{ type: object, required: [id], properties: { id: { type: string } } }";
    let fields = "name: { type: string }, website: { type: string }";
    let deal = format!(
        "connector: {PEOPLE}
objects:
  deal:
    schema:
      type: object
      required: [id]
      properties: {{ id: {{ type: string, readOnly: true }}, {fields} }}
    id: id
    identity: [name]
    read_only: [id]
    operations:
      get: {{ request: \"GET /deals/{{id}}\", input: {id}, returns: $.deal }}
      find:
        request: GET /deals
        input: {{ type: object, properties: {{ name: {{ type: string }} }} }}
        query: {{ name: $.input.name }}
        returns: \"$.deals[0]\"
      create:
        request: POST /deals
        input: {{ type: object, properties: {{ {fields} }} }}
        body: $.input
        returns: $.deal
        idempotency: {{ header: Idempotency-Key }}
      update:
        request: PUT /deals/{{id}}
        input: {{ type: object, required: [id], properties: {{ id: {{ type: string }}, {fields} }} }}
        body: $.input
        returns: $.deal
"
    );
    stage.extend(PEOPLE, "connectors/opinion-stage-contacts-deals.yaml", &deal).await;
    let workflow = "workflow: deals\nuses: { ghl: gohighlevel, os: opinion-stage-contacts }\n\
                    trigger: { event: ghl.contact.changed }\nactions:\n  - upsert: os.deal\n    match: [name]\n    \
                    with: { name: 'Deal with {{contact.firstName}}', website: $.contact.website }\n";
    stage.write("workflows/deals.yaml", workflow);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - deals\n");
    let ada = ada(&stage).await;
    let _serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage.over().await.iter().for_each(completed);
    let id = ada["id"].as_str().expect("an id");
    let ada = stage.change(GHL, "contact", id, json!({ "website": "https://example.com/new" })).await;
    stage.tell("ContactUpdate", &ada).await;
    stage.over().await.iter().for_each(completed);
    let deals = stage.vendors[PEOPLE].records("deal");
    assert_eq!(deals.len(), 1);
    assert_eq!((&deals[0]["name"], &deals[0]["website"]), (&json!("Deal with Ada"), &json!("https://example.com/new")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_beside_a_shipped_connector_counts_and_a_mistake_in_it_is_told_with_its_line() {
    let mut stage = Stage::set().await;
    let path = "connectors/opinion-stage-contacts.override.yaml";
    stage.write(path, &format!("connector: {PEOPLE}\nlimits: []\nheaders: {{ X-Team: blue }}\n"));
    let ada = ada(&stage).await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    stage.over().await.iter().for_each(completed);
    let creates = stage.requests(PEOPLE, "contact.create").await;
    assert_eq!(creates[0]["headers"]["x-team"], "blue");
    assert_eq!(creates[0]["headers"]["accept"], "application/json", "the shipped headers stay");
    assert_eq!(serve.term().await.0.code(), Some(0));
    stage.write(path, &format!("connector: {PEOPLE}\nlimits: []\nhaeders: {{ X-Team: blue }}\n"));
    let (code, said) = stage.run(&["serve"]);
    assert_eq!(code, Some(3));
    assert!(said.contains(&format!("{path}:3")) && said.contains("headers"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_under_way_ends_as_it_began_when_its_workflow_is_edited() {
    let mut stage = Stage::set().await;
    let (ada, file) = (ada(&stage).await, "workflows/contact-to-opinion-stage.yaml");
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 503, "times": 0 })).await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    until("it is refused", async || (!stage.requests(PEOPLE, "contact.create").await.is_empty()).then_some(())).await;
    serve.kill();
    stage.edit(file, "      first_name: $.contact.firstName\n", "      first_name: Edited\n");
    stage.control("DELETE", PEOPLE, "/faults", Value::Null).await;
    let _serve = stage.serve().await;
    stage.over().await.iter().for_each(completed);
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["first_name"], "Ada");
    let id = ada["id"].as_str().expect("an id");
    let ada = stage.change(GHL, "contact", id, json!({ "source": "a fair" })).await;
    stage.tell("ContactUpdate", &ada).await;
    stage.over().await.iter().for_each(completed);
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["first_name"], "Edited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_ones_own_is_given_its_input_and_starts_nothing_else() {
    let mut stage = Stage::set().await;
    let workflow = "workflow: open-tasks\nuses: { ghl: gohighlevel }\nvars: { done: false }\n\
                    trigger: { poll: ghl.task.search, every: 1s, with: { completed: $.vars.done } }\n\
                    actions: [{ stop: $.task.title }]\n";
    stage.write("workflows/open-tasks.yaml", workflow);
    let dovetail = stage.project().join("dovetail.yaml");
    let text = std::fs::read_to_string(&dovetail).expect("the project");
    let active = text.find("active:").expect("a list of what runs");
    stage.write("dovetail.yaml", &format!("{}active: [open-tasks]\n", &text[..active]));
    let ada = ada(&stage).await;
    let task = |title: &str, completed: bool| json!({ "contactId": ada["id"], "title": title, "dueDate": "2027-01-01T10:00:00Z", "completed": completed });
    stage.make(GHL, "task", task("before", false)).await;
    let _serve = stage.serve().await;
    until("the past is known", async || (stage.requests(GHL, "task.search").await.len() > 1).then_some(())).await;
    stage.make(GHL, "task", task("done", true)).await;
    stage.make(GHL, "task", task("open", false)).await;
    let runs = until("the new task is seen", async || Some(stage.over().await).filter(|runs| !runs.is_empty())).await;
    let asked = stage.requests(GHL, "task.search").await;
    until("it was looked for again", async || {
        (stage.requests(GHL, "task.search").await.len() > asked.len() + 1).then_some(())
    })
    .await;
    assert_eq!(stage.over().await.len(), 1, "{runs:#?}");
    assert_eq!(runs[0].ending, Some(Ending::Completed { value: json!("open") }));
    assert!(asked.iter().all(|request| request["body"]["completed"] == json!(false)), "{asked:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_a_record_within_coalesce_is_one_event() {
    let mut stage = Stage::set().await;
    let over = "connectors/gohighlevel.override.yaml";
    stage.edit(over, "limits: []\n", "limits: []\nwebhooks: { coalesce: 5s }\n");
    let ada = ada(&stage).await;
    let _serve = stage.serve().await;
    stage.list_is_read().await;
    stage.tell("ContactCreate", &ada).await;
    let id = ada["id"].as_str().expect("an id");
    let changed = stage.change(GHL, "contact", id, json!({ "lastName": "Byron" })).await;
    stage.tell("ContactUpdate", &changed).await;
    stage.tell("ContactTagUpdate", &changed).await;
    let runs = stage.over().await;
    assert_eq!(runs.len(), 1, "{runs:#?}");
    runs.iter().for_each(completed);
    assert_eq!(runs[0].start.event.kind, "created");
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["last_name"], "Byron");
    assert_eq!(stage.requests(GHL, "contact.get").await.len(), 1);
    // What is told later is another event.
    let changed = stage.change(GHL, "contact", id, json!({ "lastName": "King" })).await;
    stage.tell("ContactUpdate", &changed).await;
    assert_eq!(stage.over().await.len(), 2);
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["last_name"], "King");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_the_whole_list_notices_what_no_other_way_tells() {
    let mut stage = Stage::set().await;
    let changes = "changes: { full_scan: { every: 1s } }";
    stage.edit("connectors/gohighlevel.override.yaml", "  contact: {", &format!("  contact: {{ {changes},"));
    let ada = ada(&stage).await;
    let _serve = stage.serve().await;
    let looked = async || (stage.requests(GHL, "contact.list").await.len() > 3).then_some(());
    until("the past is known", looked).await;
    assert!(stage.runs().await.is_empty(), "the past makes no events");
    stage.change(GHL, "contact", ada["id"].as_str().expect("an id"), json!({ "lastName": "Byron" })).await;
    until("it was noticed", async || (!stage.runs().await.is_empty()).then_some(())).await;
    stage.over().await.iter().for_each(completed);
    assert_eq!(stage.vendors[PEOPLE].records("contact")[0]["last_name"], "Byron");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_custom_fields_are_asked_once_per_account() {
    let mut stage = Stage::set().await;
    let city = "      country: $.contact.country\n";
    let field = "      status: $.contact.custom.quiz_band\n";
    stage.edit("workflows/contact-to-opinion-stage.yaml", city, &format!("{city}{field}"));
    let _serve = stage.serve().await;
    for (name, band) in [("ada", "lead"), ("eve", "client")] {
        let custom = json!([{ "id": "cF1eLdQu1zBandAbCdEf", "value": band }]);
        let contact = json!({ "email": format!("{name}@example.com"), "customFields": custom });
        let contact = stage.make(GHL, "contact", contact).await;
        stage.tell("ContactCreate", &contact).await;
        // What the poll notices as well was told already.
        stage.over().await;
    }
    let people = stage.vendors[PEOPLE].records("contact");
    assert_eq!((&people[0]["status"], &people[1]["status"]), (&json!("lead"), &json!("client")));
    assert_eq!(stage.requests(GHL, "custom_field.list").await.len(), 1);
}
