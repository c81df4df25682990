//! A disk that is full, as the program has it: a file system of its own that somebody fills and clears again.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_senders_parks_runs_and_they_go_on_when_there_is_room() {
    let may = Command::new("unshare").args(["--map-root-user", "--mount", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        let _ = writeln!(std::io::stdout(), "left out: this computer lets nobody have a file system of their own");
        return;
    }
    let mut stage = Stage::set().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 1_500, "times": 1 })).await;
    let serve = stage.serve_on_small_disk(6).await;
    stage.tell("ContactCreate", &ada).await;
    until("the create is under way", async || {
        let asked = !stage.requests(PEOPLE, "contact.create").await.is_empty();
        asked.then_some(())
    })
    .await;
    let data = stage.data_of(&serve);
    let filled = data.join("of-somebody-else");
    fill(&filled);
    // Its answer cannot be kept, and nothing new is taken.
    let letter = stage.event("ContactCreate", &bob);
    let refused = until("the store says that there is no room", async || {
        let said = stage.post(&letter).await;
        (said.0 != 200).then_some(said)
    })
    .await;
    assert_eq!(refused, (429, json!({ "status": "busy" })));
    let ready = format!("http://127.0.0.1:{}/readyz", serve.port);
    let ready = async || stage.client.get(&ready).send().await.expect("an answer").status().as_u16();
    until("it is not ready", async || (ready().await == 503).then_some(())).await;
    std::fs::remove_file(&filled).expect("room again");
    until("it is ready by itself", async || (ready().await == 200).then_some(())).await;
    let said = stage.post(&letter).await;
    assert!(said.0 == 200, "{said:?}");
    until("both are done", async || (stage.vendors[PEOPLE].records("contact").len() == 2).then_some(())).await;
    until("both runs are completed", async || {
        let statuses = statuses(&stage, &serve);
        (statuses == ["completed", "completed"]).then_some(())
    })
    .await;
    assert_eq!(stage.requests(PEOPLE, "contact.create").await.len(), 2, "no create was sent again");
    assert_eq!(serve.term().await.0.code(), Some(0));
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    for size in [64 * 1024, 512] {
        let piece = vec![0; size];
        while file.write_all(&piece).is_ok() {}
    }
}

/// How all runs stand, as somebody sees who looks into the program's own file system.
fn statuses(stage: &Stage, serve: &stage::Serve) -> Vec<String> {
    let mut look = stage::command();
    look.args(["runs", "list", "--json", "--data"]).arg(stage.data());
    let mut inside = Command::new("nsenter");
    inside.args(["--target", &serve.id().to_string(), "--user", "--mount", "--preserve-credentials"]);
    let said = inside.arg(look.get_program()).args(look.get_args()).output().expect("it runs");
    let runs: Vec<Value> = serde_json::from_slice(&said.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said.stderr)));
    runs.iter().map(|run| run["status"].as_str().expect("a status").to_owned()).collect()
}
