//! The whole catalogue of the flagship vendor, one by one: every documented operation is called, every documented event
//! starts a run. What there must be is in `catalogue/`; how it is called is the example that `catalog` prints.

use std::collections::{BTreeMap, BTreeSet};

use dovetail::run::Ending;
use serde_json::{Map, Value, json};

use crate::stage::{self, GHL, LOCATION, Stage, repository, until};

/// What the flagship is promised for: how many operations each of these documents has.
const PROMISED: [(&str, usize); 5] =
    [("contacts", 32), ("locations", 29), ("businesses", 5), ("campaigns", 1), ("workflows", 1)];

/// Answered for an agency's own credentials only: it counts that the vendor is asked.
const ASKED_BY_AGENCIES: [&str; 3] = ["oauth/token", "oauth/locationToken", "oauth/installedLocations"];

/// So many calls are one workflow: each run is a process of its own, which reads all files of the vendor.
const SOME: usize = 100;
/// As many branches as one action may have.
const BRANCHES: usize = 50;

/// A documented operation.
#[derive(Clone, Debug)]
struct Documented {
    method: String,
    /// Holes as `{}`.
    shape: String,
    version: String,
    document: String,
}

fn documented() -> Vec<Documented> {
    let text = repository("tests/catalogue/operations.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [method, path, version, document] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            Documented { method: method.into(), shape: shape(path), version: version.into(), document: document.into() }
        })
        .collect()
}

fn shape(path: &str) -> String {
    let parts = path.trim_matches('/').split('/');
    parts.map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

/// An action of the catalogue.
struct Listed {
    name: String,
    method: String,
    path: String,
    example: Value,
}

/// What `catalog` prints for the vendor.
fn items(stage: &Stage) -> Vec<Value> {
    let mut command = stage::command();
    command.args(["catalog", "--json", "--connector", GHL, "--project"]).arg(stage.project());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn listed(items: Vec<Value>) -> (Vec<Listed>, BTreeSet<String>) {
    let (mut actions, mut noticed) = (Vec::new(), BTreeSet::new());
    for item in items {
        let text = |key: &str| item[key].as_str().map(str::to_owned);
        if let (Some(method), Some(path)) = (text("method"), text("path")) {
            let example = text("example").expect("an example");
            let example: Value = serde_yaml::from_str(&example).unwrap_or_else(|error| panic!("{example}: {error}"));
            let name = text("name").expect("a name");
            actions.push(Listed { name, method, path, example: example[0]["with"].clone() });
        }
        noticed.extend(text("noticed").unwrap_or_default().split([' ', ',']).map(str::to_owned));
    }
    (actions, noticed)
}

/// The files of the vendor's folder.
fn files() -> Vec<String> {
    let folder = format!("connectors/{GHL}");
    let entries = std::fs::read_dir(stage::root().join(&folder)).expect("the folder");
    entries.flatten().map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy())).collect()
}

/// The vendor with all the files of its folder.
async fn set() -> Stage {
    let files: Vec<(String, String)> = files().into_iter().map(|name| (name.clone(), repository(&name))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Stage::set_with(&files).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_operation_is_called() {
    let stage = set().await;
    let (actions, _) = listed(items(&stage));
    let documented = documented();
    assert_eq!(documented.len(), 576);
    for (document, count) in PROMISED {
        assert_eq!(documented.iter().filter(|one| one.document == document).count(), count, "{document}");
    }
    let mut of_shape: BTreeMap<(String, String), Vec<&Listed>> = BTreeMap::new();
    for action in &actions {
        of_shape.entry((action.method.clone(), shape(&action.path))).or_default().push(action);
    }
    let is_missing = |one: &&Documented| !of_shape.contains_key(&(one.method.clone(), one.shape.clone()));
    let missing: Vec<&Documented> = documented.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    let parents = parents();
    // What is for agencies goes last, since it refuses the account.
    let is_for_agencies = |action: &&Listed| ASKED_BY_AGENCIES.contains(&&*shape(&action.path));
    let (last, first): (Vec<&Listed>, Vec<&Listed>) = actions.iter().partition(is_for_agencies);
    let groups: Vec<&[&Listed]> = first.chunks(SOME).chain(last.chunks(1)).collect();
    let (mut active, mut number) = (String::new(), 0);
    for (group, some) in groups.iter().enumerate() {
        let name = format!("calls-{group}");
        active += &format!("  - {name}\n");
        let mut text = format!(
            "workflow: {name}\nuses: {{ ghl: {GHL} }}\ntrigger: {{ manual: }}\nretry: {{ times: 1 }}\nactions:\n"
        );
        for branches in some.chunks(BRANCHES) {
            text += "  - parallel:\n";
            for action in branches {
                number += 1;
                let with = filled(&stage, &parents, action, number).await;
                text += &format!("      - - {}\n", json!({ "call": action.name, "with": with }));
            }
        }
        stage.write(&format!("workflows/{name}.yaml"), &text);
    }
    stage.edit("dovetail.yaml", "active:\n", &format!("active:\n{active}"));
    let mut failed = Vec::new();
    for group in 0..groups.len() {
        let (code, said) = stage.run(&["run", &format!("calls-{group}")]);
        if code != Some(0) && group < first.len().div_ceil(SOME) {
            failed.push(said);
        }
    }
    let asked = stage.control("GET", GHL, "/requests", Value::Null).await;
    let asked: Vec<&Value> = asked["requests"].as_array().into_iter().flatten().collect();
    let mut wrong = Vec::new();
    for one in &documented {
        for action in &of_shape[&(one.method.clone(), one.shape.clone())] {
            let is_of = |call: &&&Value| call["method"] == one.method && fits(&action.path, &call["path"]);
            let calls: Vec<&&Value> = asked.iter().filter(is_of).collect();
            let is_good = |call: &&&Value| {
                let status = call["status"].as_u64().unwrap_or_default();
                let version = call["headers"]["version"].as_str().unwrap_or_default();
                (status < 300 || ASKED_BY_AGENCIES.contains(&&*one.shape))
                    && (one.version.is_empty() || one.version == version)
            };
            if !calls.iter().any(is_good) {
                wrong.push(format!("{} {}: {calls:?}", one.method, action.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{} of {}", wrong.join("\n"), wrong.len(), documented.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Object → its parent, and the field that holds the parent's id.
type Parents = BTreeMap<String, (String, String)>;

fn parents() -> Parents {
    let mut parents = Parents::new();
    for name in files() {
        let file: Value = serde_yaml::from_str(&repository(&name)).expect("YAML");
        for (object, described) in file["objects"].as_object().into_iter().flatten() {
            let parent = &described["parent"];
            if let (Some(parent), Some(field)) = (parent["object"].as_str(), parent["id"].as_str()) {
                parents.insert(object.clone(), (parent.into(), field.into()));
            }
        }
    }
    parents
}

/// Is this path one of an operation, its holes filled?
fn fits(line: &str, path: &Value) -> bool {
    let path = path.as_str().unwrap_or_default().trim_matches('/');
    let (wanted, given): (Vec<&str>, Vec<&str>) =
        (line.trim_matches('/').split('/').collect(), path.split('/').collect());
    wanted.len() == given.len() && wanted.iter().zip(given).all(|(part, given)| part.starts_with('{') || *part == given)
}

/// The example's input, with ids of records that are there, and of nobody else's address.
async fn filled(stage: &Stage, parents: &Parents, action: &Listed, number: usize) -> Value {
    let mut with: Map<String, Value> = action.example.as_object().cloned().unwrap_or_default();
    let own = action.name.split('.').nth(1).unwrap_or_default();
    let holes: Vec<&str> = action
        .path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next())
        .filter(|hole| with.contains_key(*hole))
        .collect();
    let mut record = json!({ "name": "Example" });
    // Those above first: a record says under which it lives.
    let (own_hole, above): (Vec<&str>, Vec<&str>) = holes.into_iter().partition(|hole| *hole == "id");
    for hole in above.into_iter().chain(own_hole) {
        let object = match parents.get(own) {
            _ if hole == "id" => own.to_owned(),
            Some((parent, field)) if field == hole => parent.clone(),
            _ => snake(hole.trim_end_matches("Id")),
        };
        if has(stage, &object).await {
            let made = stage.make(GHL, &object, record.clone()).await;
            // A record begins with its id.
            with[hole] = made.as_object().and_then(|fields| fields.values().next()).cloned().expect("an id");
        }
        record[hole] = with[hole].clone();
    }
    for (name, value) in &mut with {
        match name.as_str() {
            "locationId" => *value = LOCATION.into(),
            "email" => *value = format!("person-{number}@example.com").into(),
            "phone" => *value = format!("+1555010{number:04}").into(),
            _ => {}
        }
    }
    with.into()
}

/// Does the vendor keep records of such an object?
async fn has(stage: &Stage, object: &str) -> bool {
    let url = format!("http://{}/_sandbox/records/{object}", stage.address(GHL));
    stage.client.get(url).send().await.expect("the control door answers").status().is_success()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_event_starts_a_run() {
    let mut stage = set().await;
    let text = repository("tests/catalogue/events.txt");
    let events: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(events.len(), 58);
    let (_, noticed) = listed(items(&stage));
    let missing: Vec<_> = events.iter().filter(|event| !noticed.contains(**event)).collect();
    assert!(missing.is_empty(), "no trigger hears {missing:?}");
    let triggers = triggers(&stage);
    let mut active = String::new();
    for (trigger, number) in triggers.iter().zip(0..) {
        let text = format!(
            "workflow: hears-{number}\nuses: {{ ghl: {GHL} }}\ntrigger: {{ event: {trigger} }}\nactions: [{{ stop: done }}]\n"
        );
        stage.write(&format!("workflows/hears-{number}.yaml"), &text);
        active += &format!("  - hears-{number}\n");
    }
    stage.edit("dovetail.yaml", "active:\n", &format!("active:\n{active}"));
    for own in ["contact-to-opinion-stage", "task-to-opinion-stage", "note-to-opinion-stage", "contact-deleted"] {
        stage.edit("dovetail.yaml", &format!("  - {own}\n"), "");
    }
    let objects = objects();
    let _serve = stage.serve_hearing(GHL).await;
    let mut wrong = Vec::new();
    for event in events {
        let before = stage.over().await.len();
        if let Some(object) = objects.get(event) {
            let contact = stage.make(GHL, "contact", json!({ "name": event })).await;
            let record = json!({ "name": event, "contactId": contact["id"], "title": event });
            stage.make(GHL, object, record).await;
        }
        stage.control("POST", GHL, &format!("/webhooks/send?event={event}"), Value::Null).await;
        let arrived = async || {
            let said = stage.control("GET", GHL, &format!("/webhooks?event={event}"), Value::Null).await;
            said["webhooks"][0]["attempts"][0]["status"].as_u64()
        };
        let status = until("it is delivered", arrived).await;
        let runs = stage.over().await;
        let good = runs.len() == before + 1 && matches!(runs[before].ending, Some(Ending::Completed { .. }));
        if status >= 300 || !good {
            wrong.push(format!("{event}: answered {status}, {:?}", &runs[before..]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_connector_that_a_project_does_not_use_can_be_looked_at() {
    let folder = std::env::temp_dir().join(format!("dovetail-looked-at-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("dovetail.yaml"), "project: empty\n").expect("it is written");
    let output = stage::command().args(["expand", "slack", "--project"]).arg(&folder).output().expect("it runs");
    let expanded: Value = serde_yaml::from_slice(&output.stdout).expect("YAML");
    let written: Value = serde_yaml::from_str(&repository("connectors/slack.yaml")).expect("YAML");
    assert_eq!(expanded, written, "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

/// Every event of the catalogue that starts a workflow.
fn triggers(stage: &Stage) -> BTreeSet<String> {
    let items = items(stage);
    let triggers = items.iter().filter(|item| item["kind"] == "trigger");
    let names = triggers.filter_map(|item| item["name"].as_str().filter(|name| !name.starts_with("poll:")));
    // `changed` is each of the three others.
    names.filter(|name| !name.ends_with(".changed")).map(str::to_owned).collect()
}

/// Event → the object that it is about.
fn objects() -> BTreeMap<String, String> {
    let mut objects = BTreeMap::new();
    for name in files().into_iter().chain([format!("connectors/{GHL}.yaml")]) {
        let file: Value = serde_yaml::from_str(&repository(&name)).expect("YAML");
        for (event, described) in file["webhooks"]["events"].as_object().into_iter().flatten() {
            objects.extend(described["object"].as_str().map(|object| (event.clone(), object.to_owned())));
        }
    }
    objects
}
