//! What happens is told while it happens.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{self, GHL, Stage};

/// A running `dovetail tap --json`, which is listened to already.
struct Listener {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Listener {
    fn start(stage: &Stage, flags: &[&str]) -> Listener {
        let mut command = stage::command();
        command.args(["tap", "--json"]).args(flags).arg("--data").arg(stage.data());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut said = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        assert_eq!(said.next().expect("a line").expect("a text"), "listens; Ctrl-C ends it");
        let (tell, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("its stdout"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Listener { child, lines }
    }

    /// All until a run has ended.
    fn until_ended(&self) -> Vec<Value> {
        let mut told: Vec<Value> = Vec::new();
        while told.last().is_none_or(|last| last["what"] != "ended") {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("nothing more after {told:#?}"));
            told.push(serde_json::from_str(&line).expect("JSON"));
        }
        told
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_requests_and_ends_are_told_while_they_happen() {
    let mut stage = Stage::set().await;
    stage.activate(&["contact-to-opinion-stage"]);
    let serve = stage.serve().await;
    stage.list_is_read().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    let id = ada["id"].as_str().expect("an id");
    let of_ada = Listener::start(&stage, &["--record", id]);
    let of_other = Listener::start(&stage, &["--workflow", "contact-deleted", "--record", id]);
    stage.tell("ContactCreate", &bob).await;
    stage.over().await;
    stage.tell("ContactCreate", &ada).await;
    let told = tokio::task::block_in_place(|| of_ada.until_ended());
    let all: Vec<&str> = told.iter().filter_map(|one| one["what"].as_str()).collect();
    assert_eq!((all[0], all[all.len() - 1]), ("event", "ended"), "{told:#?}");
    assert!(all[1..all.len() - 1].iter().all(|what| *what == "request") && all.len() > 3, "{told:#?}");
    assert!(told.iter().all(|one| one["record"] == id), "nobody else is told of: {told:#?}");
    assert_eq!((&told[0]["runs"], &told[0]["duplicate"]), (&json!(1), &json!(false)));
    let created = told.iter().find(|one| one["operation"] == "contact.create").expect("a create");
    assert_eq!((&created["to"], &created["outcome"]), (&json!("example-people"), &json!("done")));
    assert_eq!((&created["workflow"], &created["attempt"]), (&json!("contact-to-opinion-stage"), &json!(1)));
    assert_eq!(told[told.len() - 1]["status"], "completed");
    assert!(!format!("{told:?}").contains("ada@example.com"), "no data of records");

    // Another workflow is told of the event alone; both end with `serve`.
    let (status, _) = serve.term().await;
    assert!(status.success());
    let left: Vec<String> = tokio::task::block_in_place(|| of_other.lines.iter().collect());
    assert_eq!(left.len(), 1, "{left:#?}");
    assert!(left[0].contains(r#""what":"event""#), "{left:#?}");
}
