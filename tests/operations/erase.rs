//! What is known of a person goes, to the last byte; what is known of others does not.

use std::path::Path;

use dovetail::run::Ending;
use dovetail::store::Run;
use serde_json::json;

use crate::stage::{self, GHL, PEOPLE, Stage};

fn erase(stage: &Stage, what: &str, further: &[&str]) -> (Option<i32>, String) {
    dovetail(stage, &[&["erase", what], further].concat())
}

fn dovetail(stage: &Stage, words: &[&str]) -> (Option<i32>, String) {
    let output = stage::command().args(words).arg("--data").arg(stage.data()).output();
    let output = output.expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Which files of a folder hold these letters, in whatever case.
fn holding(folder: &Path, letters: &str) -> Vec<String> {
    let letters = letters.to_lowercase().into_bytes();
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default().to_ascii_lowercase();
        memchr::memmem::find(&bytes, &letters).is_some()
    };
    let files = std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    files.filter(|path| holds(path)).map(|path| path.display().to_string()).collect()
}

async fn contact(stage: &Stage, name: &str) -> serde_json::Value {
    let phone = if name == "Zelphine" { "+442079460123" } else { "+442079460999" };
    let email = format!("{name}@example.com");
    let long = format!("{name} and more of it; ").repeat(400);
    let contact = json!({ "firstName": name, "email": email, "phone": phone, "source": long });
    let contact = stage.make(GHL, "contact", contact).await;
    stage.tell("ContactCreate", &contact).await;
    stage.over().await;
    contact
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_a_person_is_left_while_serve_goes_on() {
    let mut stage = Stage::set().await;
    let serve = stage.serve().await;
    stage.list_is_read().await;
    let zelphine = contact(&stage, "Zelphine").await;
    let id = zelphine["id"].as_str().expect("an id");
    stage.change(GHL, "contact", id, json!({ "firstName": "Zelphine-Ottiwell" })).await;
    let update = stage.event("ContactUpdate", &zelphine);
    assert_eq!(stage.post(&update).await.0, 200);
    let note = stage.make(GHL, "note", json!({ "contactId": id, "body": "owes us Quibbleworth" })).await;
    stage.tell("NoteCreate", &note).await;
    stage.over().await;
    let bertram = contact(&stage, "Bertram").await;
    for letters in ["Zelphine", "Ottiwell", "Quibbleworth", "+442079460123"] {
        assert!(!holding(&stage.data(), letters).is_empty(), "{letters}");
    }
    let record = format!("example-ghl/contact/{id}");
    let (code, said) = erase(&stage, &record, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("nothing is erased") && said.contains(&format!("about contact {id} of example-ghl")),
        "{said}"
    );
    assert!(said.contains("of example-people"), "its partner goes too: {said}");
    assert!(!holding(&stage.data(), "Zelphine").is_empty(), "nothing is erased without a yes");
    // Some vendors call a person by an address: a run does not say any more whom it was about.
    let runs_about = || dovetail(&stage, &["runs", "list", "--record", id]).1;
    assert!(runs_about().contains("contact-to-opinion-stage"), "{}", runs_about());

    let (code, said) = erase(&stage, &record, &["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    for letters in ["Zelphine", "Ottiwell", "Quibbleworth", "442079460123"] {
        assert_eq!(holding(&stage.data(), letters), [""; 0], "{letters}");
    }
    assert!(!holding(&stage.data(), "Bertram@example.com").is_empty(), "another person is still known");
    assert!(!runs_about().contains("contact-to-opinion-stage"), "{}", runs_about());
    // What came is known as having come, and a copy of it starts nothing.
    assert_eq!(stage.post(&update).await.1, json!({ "status": "duplicate" }));
    let (code, said) = erase(&stage, &record, &["--yes"]);
    assert!(code == Some(0) && said.contains("nothing holds it"), "{said}");

    // By another name, without `serve`; and the store is whole.
    serve.kill();
    let (code, said) = erase(&stage, "bertram@EXAMPLE.com", &["--yes", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(holding(&stage.data(), "Bertram"), [""; 0]);
    let _serve = stage.serve().await;
    let again = stage.event("ContactUpdate", &bertram);
    assert_eq!(stage.post(&again).await.1, json!({ "status": "accepted" }));
    // The vendor still has him: he is told of again, by whichever way it comes first.
    let runs = stage.over().await;
    let told = |run: &&Run| run.start.event.record_id.as_deref() == bertram["id"].as_str() && run.length > 0;
    let told: Vec<_> = runs.iter().filter(told).map(|run| &run.ending).collect();
    assert!(told.iter().any(|ending| matches!(ending, Some(Ending::Completed { .. }))), "{told:?}");
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 2, "nobody was made a second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_over_is_told_and_left() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    stage.list_is_read().await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    contact(&stage, "Zelphine").await;
    let (code, said) = erase(&stage, "+44 20 7946-0123", &["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("run 1 (contact-to-opinion-stage) is a dead letter, and would be left"), "{said}");
    assert!(said.contains("1 run left: end them with `dovetail runs cancel` or `dead drop` (1)"), "{said}");
    let drop = ["dead", "drop", "1", "--data"];
    let dropped = stage::command().args(drop).arg(stage.data()).status().expect("it runs");
    assert!(dropped.success());
    let (code, said) = erase(&stage, "+44 20 7946-0123", &["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(holding(&stage.data(), "Zelphine"), [""; 0]);
}
