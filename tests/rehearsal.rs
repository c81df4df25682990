//! `dovetail test`: the tests that come with the example workflows hold, in a project as `init` writes it; and a seed is a story.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Does what the arguments say in a folder; gives the exit code and what was said on stdout.
fn dovetail(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dovetail"));
    let output = command.current_dir(folder).env_clear().args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn fresh(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("dovetail-rehearsal-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_tests_of_all_example_workflows_hold() {
    all_hold("all");
}

#[test]
fn the_tests_of_the_example_sync_hold() {
    all_hold("contacts");
}

/// A sync between two accounts of one connector: each hears its own webhooks, and keeps its own records.
#[test]
fn two_accounts_of_one_connector_are_two() {
    hold_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal/two-accounts"));
}

fn all_hold(with: &str) {
    let folder = fresh(with);
    assert_eq!(dovetail(&folder, &["init", "--with", with, "--name", "shop"]).0, 0);
    hold_in(&folder);
    std::fs::remove_dir_all(folder).unwrap();
}

fn hold_in(folder: &Path) {
    HANDS.iter().for_each(|hands| hold_on(folder, hands));
}

/// Who keeps the runs: what comes of them is the same.
const HANDS: &[&str] = if cfg!(feature = "restate") { &["own", "restate"] } else { &["own"] };

fn hold_on(folder: &Path, hands: &str) {
    let (code, said) = dovetail(folder, &["test", "--json", "--on", hands]);
    let came: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(code, 0, "{said}");
    let tests = came["tests"].as_array().unwrap();
    assert!(tests.iter().all(|test| test["passed"] == true));
    for entry in std::fs::read_dir(folder.join("workflows")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".yaml").filter(|name| !name.ends_with(".test")) else { continue };
        assert!(tests.iter().any(|test| test["tests"] == name), "{name} has no test");
    }
}

/// Lost answers, copies, other orders and crashes: and still nobody is made twice.
const EDITS: &str = "\
test: contact-to-opinion-stage
tests:
  - name: nobody is made twice
    generate: { edits: 40, duplicates: true, reorder: true, crash: after_any_write }
    faults: [{ at: os.contact.create, timeout_after_write: 2 }]
    then: { holds: { '$.os.contact[?@.email == \"person0@example.com\"].id': { exists: true } } }
  - name: there is nobody
    generate: { edits: 5 }
    then: { count: { os.contact: 0 } }
";

#[test]
fn the_same_seed_is_the_same_story() {
    let folder = fresh("seeds");
    assert_eq!(dovetail(&folder, &["init", "--with", "contact-to-opinion-stage", "--name", "shop"]).0, 0);
    std::fs::write(folder.join("workflows/edits.test.yaml"), EDITS).unwrap();
    HANDS.iter().for_each(|hands| is_a_story(&folder, hands));
    std::fs::remove_dir_all(folder).unwrap();
}

fn is_a_story(folder: &Path, hands: &str) {
    let played = |seed: &str| {
        let words = ["test", "workflows/edits.test.yaml", "--json", "--seed", seed, "--on", hands];
        let (code, said) = dovetail(folder, &words);
        assert_eq!(code, 1, "{said}");
        let mut came: Value = serde_json::from_str(&said).unwrap();
        for test in came["tests"].as_array_mut().unwrap() {
            test.as_object_mut().unwrap().remove("took_ms");
        }
        came
    };
    let once = played("3");
    assert_eq!(once["tests"][0]["passed"], true, "{once:#}");
    assert!(once["tests"][0]["crashes"].as_u64().unwrap() > 0, "nobody died");
    assert_eq!(once["tests"][1]["unmet"][0]["what"], "count of os.contact");
    assert_eq!(once, played("3"));
    assert_ne!(once["tests"][1]["story"], played("4")["tests"][1]["story"]);
}

/// Contacts with a note and a task each. `LONG=1`: ten thousand.
#[test]
fn a_first_run_takes_what_its_plan_says() {
    let people = if std::env::var_os("LONG").is_some() { 10_000 } else { 60 };
    let folder = fresh("first-run");
    assert_eq!(dovetail(&folder, &["init", "--with", "contacts", "--name", "shop"]).0, 0);
    let each = |record: fn(usize) -> Value| Value::Array((0..people).map(record).collect());
    let given = [
        ("contact", each(|at| json!({ "id": format!("c{at}"), "email": format!("p{at}@example.com") }))),
        ("note", each(|at| json!({ "id": format!("n{at}"), "contactId": format!("c{at}"), "body": "note" }))),
        ("task", each(|at| json!({ "id": format!("t{at}"), "contactId": format!("c{at}"), "title": "task" }))),
    ];
    for (object, records) in &given {
        std::fs::write(folder.join(format!("workflows/{object}s.json")), records.to_string()).unwrap();
    }
    let document = json!({ "test": "contacts", "tests": [{
        "name": "all is on both sides",
        "given": { "ghl.contact": "contacts.json", "ghl.note": "notes.json", "ghl.task": "tasks.json" },
        "when": [{ "after": "1s" }],
        "then": { "count": { "os.contact": people, "os.note": people, "os.task": people }, "converged": true },
    }]});
    std::fs::write(folder.join("workflows/many.test.yaml"), document.to_string()).unwrap();
    let (code, said) = dovetail(&folder, &["test", "workflows/many.test.yaml", "--json"]);
    assert_eq!(code, 0, "{said}");
    let came: Value = serde_json::from_str(&said).unwrap();
    let first_run = &came["tests"][0]["first_run"];
    println!("{people} contacts, each with a note and a task: {first_run}");
    let (planned, sent) = (first_run["planned_requests"].as_u64().unwrap(), first_run["requests"].as_u64().unwrap());
    // What it has written is shown by lists at their own pace.
    assert!(planned * 9 <= sent * 10 && sent <= planned, "{first_run}");
    let (planned_s, took_ms) = (first_run["planned_s"].as_u64().unwrap(), first_run["took_ms"].as_u64().unwrap());
    // By the clock of the test, under the limits of both vendors.
    assert!(planned_s * 850 <= took_ms && took_ms <= planned_s * 1_150, "{first_run}");
    std::fs::remove_dir_all(folder).unwrap();
}
