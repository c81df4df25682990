//! What a recipe would do and send, without anything leaving the computer: `dovetail run --dry-run`.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// The shipped recipes as a project, gone at the end of its test. No secret of it is known.
struct Project(PathBuf);

impl Project {
    fn new(with: &str) -> Project {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("dovetail-dry-run-{}-{number}", std::process::id()));
        let project = Project(folder.clone());
        std::fs::create_dir_all(&folder).expect("a folder");
        let made = project.dovetail(&["init", "--name", "shop", "--with", with]);
        assert!(made.status.success(), "{made:?}");
        project
    }

    fn dovetail(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dovetail"));
        command.args(words).current_dir(&self.0).output().expect("the program starts")
    }

    /// The exit code, and all that is said.
    fn tried(&self, words: &[&str]) -> (Option<i32>, String) {
        let done = self.dovetail(&[&["run", "--dry-run"], words].concat());
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn each_value_and_each_request_is_told_and_nothing_leaves() {
    let project = Project::new("all");
    let record = r#"{ "id": "c1", "email": "ada@example.com", "firstName": "Ada", "phone": "020 7946 0000" }"#;
    let (code, said) = project.tried(&["contact-to-opinion-stage", "--input", record]);
    assert_eq!(code, Some(0), "{said}");
    for told in [
        "looks for it by email",
        "POST https://opinion-stage-contacts.example/contacts\n",
        "\"first_name\": \"Ada\"",
        "answered: 201",
        "nothing has left this computer",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!project.0.join(".dovetail").exists(), "a dry run leaves no store behind");

    // The same for programs; with the record at the other side already, it is changed and not made.
    let there = r#"{ "os.contact": [{ "id": "p1", "email": "ada@example.com" }] }"#;
    let done = project.dovetail(&[
        "run",
        "--dry-run",
        "--json",
        "contact-to-opinion-stage",
        "--input",
        record,
        "--given",
        there,
    ]);
    let told: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let requests = told["runs"][0]["requests"].as_array().expect("requests");
    let [write] = requests.iter().filter(|request| request["method"] != "GET").collect::<Vec<_>>()[..] else {
        panic!("{told:#}");
    };
    assert_eq!((&write["method"], &write["body"]["first_name"]), (&"PUT".into(), &"Ada".into()), "{told:#}");
    assert_eq!((&told["why"], &told["left_out"]), (&Value::Null, &0.into()));
}

#[test]
fn without_a_sample_an_example_of_the_trigger_is_tried() {
    let project = Project::new("all");
    let (code, said) = project.tried(&["hello"]);
    assert!(code == Some(0) && said.contains("Hello, world!"), "{said}");
    let (code, said) = project.tried(&["overdue-tasks"]);
    assert!(code == Some(0) && said.contains("/tasks/search"), "{said}");
    // Of somebody who can be read as a person.
    let (code, said) = project.tried(&["quiz-response-to-gohighlevel"]);
    assert!(code == Some(0) && said.contains("\"email\":\"ada@example.com\""), "{said}");
    let (code, said) = project.tried(&["add-tag-by-hand"]);
    assert!(code == Some(1) && said.contains("no contact has the e-mail address ada@example.com"), "{said}");
    assert!(said.contains("workflows/add-tag-by-hand.yaml:"), "{said}");
}

#[test]
fn a_sync_is_tried_with_a_new_record_of_either_side() {
    let project = Project::new("contacts");
    let (code, said) = project.tried(&["contacts", "--input", r#"{ "os.contact": { "email": "bob@example.com" } }"#]);
    assert!(code == Some(0) && said.contains("POST https://") && said.contains("bob@example.com"), "{said}");
    let (code, said) = project.tried(&["contacts"]);
    assert!(code == Some(0) && said.contains("Lovelace"), "{said}");
    let (code, said) = project.tried(&["contacts", "--input", "{}"]);
    assert!(code == Some(2) && said.contains("under `ghl.contact` or `os.contact`"), "{said}");
}

#[test]
fn what_cannot_be_tried_is_told() {
    let project = Project::new("all");
    for (words, why) in [
        (vec!["nobody"], "no workflow or sync is called `nobody`"),
        (vec!["hello", "--input", "[1]"], "the inputs must be a JSON object"),
        (vec!["hello", "--input", r#"{ "first_nam": "Ada" }"#], "did you mean `first_name`?"),
        (vec!["hello", "--given", "[]"], "--given must be a JSON object"),
        (vec!["hello", "--given", r#"{ "ghl.contact": 1 }"#], "no list of records"),
        (vec!["contact-deleted", "--given", r#"{ "ghl.nothing": [] }"#], "there is no object `ghl.nothing`"),
        (vec!["contact-deleted", "--input", "{}"], "the input must hold the contact's id"),
        (vec!["hello", "--tenant", "north"], "cannot be used with"),
    ] {
        let (code, said) = project.tried(&words);
        assert!(matches!(code, Some(1 | 2)) && said.contains(why), "{words:?}: {code:?}: {said}");
    }
    std::fs::write(project.0.join("workflows/hello.yaml"), "workflow: hello\n").expect("written");
    let (code, said) = project.tried(&["hello"]);
    assert!(code == Some(3) && said.contains("error[missing-key]"), "{code:?}: {said}");
}
