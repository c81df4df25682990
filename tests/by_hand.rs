//! What a person does at the command line while `serve` has the store: it is asked of `serve`.

use dovetail::store::Status;
use serde_json::json;

use crate::stage::{self, GHL, PEOPLE, Stage, until};

#[tokio::test(flavor = "multi_thread")]
async fn workflows_start_and_dead_letters_are_decided_while_serve_runs() {
    let mut stage = Stage::set().await;
    stage.write(
        "workflows/greets.yaml",
        "workflow: greets\ntrigger: { manual: { inputs: { name: { type: string } } } }\n\
         actions:\n  - wait: { for: 200ms }\n  - stop: \"Hello, {{inputs.name}}!\"\n",
    );
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - greets\n");
    let mut contacts = Vec::new();
    for name in ["Ada", "Bob"] {
        let email = format!("{name}@example.com");
        contacts.push(stage.make(GHL, "contact", json!({ "firstName": name, "email": email })).await);
    }
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 2 })).await;
    stage.flags.push("--no-watch".into());
    let serve = stage.serve().await;

    let (code, said) = stage.run(&["run", "greets", "--input", r#"{ "name": "Cleo" }"#]);
    assert!(code == Some(0) && said.contains("completed: Hello, Cleo!"), "{code:?}: {said}");
    let (code, said) = stage.run(&["run", "greets", "--input", r#"{ "nam": "Cleo" }"#]);
    assert!(code == Some(2) && said.contains("did you mean `name`?") && said.contains("it takes"), "{code:?}: {said}");
    let (code, said) = stage.run(&["run", "greets", "--tenant", "north", "--input", r#"{ "name": "Cleo" }"#]);
    assert!(code == Some(2) && said.contains("leave `north` out"), "{code:?}: {said}");
    stage.write("workflows/later.yaml", "workflow: later\ntrigger: { manual: }\nactions: [{ stop: Good night }]\n");
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - later\n");
    let (code, said) = stage.run(&["run", "later"]);
    assert!(code == Some(2) && said.contains("has not taken up the workflow `later`"), "{code:?}: {said}");
    assert!(said.contains("`dovetail reload`"), "{said}");
    serve.signal("HUP");
    until("it is taken up", async || serve.said().contains("are served now: example-agency is fine").then_some(()))
        .await;
    let (code, said) = stage.run(&["run", "later"]);
    assert!(code == Some(0) && said.contains("Good night"), "{code:?}: {said}");
    let (code, said) = stage.run(&["hooks"]);
    assert!(code == Some(0) && said.contains("/hooks/gohighlevel"), "{code:?}: {said}");

    for contact in &contacts {
        stage.tell("ContactCreate", contact).await;
    }
    until("both have failed", async || (stage.counts().await.failed == 2).then_some(())).await;
    let dead = |words: &[&str]| {
        let done = stage::command().args(words).arg("--data").arg(stage.data()).output().expect("it runs");
        let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success(), "{said}");
        said
    };
    let failed: Vec<String> = {
        let runs = stage.runs().await;
        runs.iter().filter(|run| run.status == Status::Failed).map(|run| run.seq.to_string()).collect()
    };
    assert!(dead(&["dead", "retry", &failed[0]]).contains("is pending again"));
    assert!(dead(&["dead", "drop", &failed[1]]).contains("is dropped"));
    until("the one is done", async || {
        let runs = stage.runs().await;
        let status = |seq: &String| runs.iter().find(|run| run.seq.to_string() == *seq).map(|run| run.status);
        let is_done = status(&failed[0]) == Some(Status::Completed) && status(&failed[1]) == Some(Status::Dropped);
        is_done.then_some(())
    })
    .await;
    assert_eq!(stage.vendors[PEOPLE].records("contact").len(), 1);
    assert_eq!(serve.term().await.0.code(), Some(0));
    // The socket of a process that was killed is no obstacle.
    stage.serve().await.kill();
    let _serve = stage.serve().await;
    let (code, said) = stage.run(&["run", "greets", "--input", r#"{ "name": "Dan" }"#]);
    assert!(code == Some(0), "{said}");
    let (code, said) = stage.run(&["run", "later"]);
    assert!(code == Some(0) && said.contains("Good night"), "{code:?}: {said}");
}

/// Nobody else comes; what it has begun is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_serve_that_is_gone_is_told_so() {
    let mut stage = Stage::set().await;
    let waits = "workflow: waits\ntrigger: { manual: }\nactions:\n  - wait: { for: 30d }\n  - stop: done\n";
    stage.write("workflows/waits.yaml", waits);
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - waits\n");
    let serve = stage.serve().await;
    let mut run = stage::command();
    run.args(["run", "waits", "--project"]).arg(stage.project()).arg("--data").arg(stage.data());
    let run = run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    until("it waits", async || (stage.counts().await.pending == 1).then_some(())).await;
    serve.kill();
    let done = tokio::task::spawn_blocking(move || run.wait_with_output().expect("it ends")).await.expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    let gone = format!("nobody serves the data folder {} any more", stage.data().display());
    assert!(done.status.code() == Some(1) && said.contains(&gone), "{said}");
    assert!(said.contains("is not over; `serve` goes on with it"), "{said}");
    assert_eq!(stage.counts().await.pending, 1);
}

/// One that waits, one that waits to try again, one behind that, one in the middle of a request: what comes after them goes on.
#[tokio::test(flavor = "multi_thread")]
async fn runs_that_are_not_over_can_be_ended() {
    let mut stage = Stage::set().await;
    stage.write(
        "workflows/waits.yaml",
        "workflow: waits\ntrigger: { manual: }\nactions:\n  - wait: { for: 30d }\n  - stop: done\n",
    );
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - waits\n");
    stage.edit(
        "workflows/contact-to-opinion-stage.yaml",
        "    upsert: os.contact\n",
        "    upsert: os.contact\n    retry: { wait: 1h..1h }\n",
    );
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 503, "times": 1 })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 60_000, "times": 1 })).await;
    let serve = stage.serve().await;
    let mut by_hand = stage::command();
    by_hand.args(["run", "waits", "--project"]).arg(stage.project()).arg("--data").arg(stage.data());
    let mut by_hand =
        by_hand.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("it starts");
    until("one waits", async || (stage.counts().await.pending == 1).then_some(())).await;
    stage.tell("ContactCreate", &ada).await;
    until("the first was refused", async || (stage.requests(PEOPLE, "contact.create").await.len() == 1).then_some(()))
        .await;
    let id = ada["id"].as_str().expect("an id");
    let ada = stage.change(GHL, "contact", id, json!({ "firstName": "Ada B." })).await;
    stage.tell("ContactUpdate", &ada).await;
    stage.tell("ContactCreate", &bob).await;
    until("the second is asked", async || (stage.requests(PEOPLE, "contact.create").await.len() == 2).then_some(()))
        .await;
    let cancel = |words: &[&str]| {
        let mut command = stage::command();
        let done =
            command.args(["runs", "cancel"]).args(words).arg("--data").arg(stage.data()).output().expect("it runs");
        (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let (code, said) = cancel(&["1", "2", "4"]);
    assert!(code == Some(0) && said.contains("run 4 (contact-to-opinion-stage) is ended"), "{said}");
    // The third was behind the second, and creates.
    until("the third is done", async || (stage.runs().await[2].status == Status::Completed).then_some(())).await;
    let states: Vec<Status> = stage.runs().await.iter().map(|run| run.status).take(4).collect();
    assert_eq!(states, [Status::Dropped, Status::Dropped, Status::Completed, Status::Dropped]);
    // What was under way may be carried out all the same.
    assert!(stage.vendors[PEOPLE].records("contact").iter().any(|record| record["first_name"] == "Ada B."));
    let status = by_hand.wait().expect("it is told");
    assert_eq!(status.code(), Some(0), "it was told that the run was dropped");
    let (code, said) = cancel(&["3"]);
    assert!(code == Some(2) && said.contains("there is nothing to end"), "{said}");
    let (code, said) = cancel(&["77"]);
    assert!(code == Some(2) && said.contains("no run is called `77`"), "{said}");
    assert_eq!(serve.term().await.0.code(), Some(0));
}

/// Whoever presses Ctrl-C again is told what is waited for, and then need not wait.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn serve_says_what_it_waits_for_and_ends_at_once_when_asked_again() {
    let mut stage = Stage::set().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "delay_ms": 25_000, "times": 1 })).await;
    let serve = stage.serve().await;
    stage.tell("ContactCreate", &ada).await;
    until("it is asked", async || (stage.requests(PEOPLE, "contact.create").await.len() == 1).then_some(())).await;
    for (signal, words) in
        [("INT", "stops: requests that are under way end first"), ("INT", "waits for 1 request without an answer")]
    {
        assert!(!serve.said().contains(words), "{}", serve.said());
        serve.signal(signal);
        until(words, async || serve.said().contains(words).then_some(())).await;
    }
    let (status, said) = serve.term().await;
    assert!(status.code() == Some(1) && said.ends_with("ends at once\n"), "{status}: {said}");
    // Nothing is lost: what was not known is looked up.
    let _serve = stage.serve().await;
    until("the run goes on", async || (stage.counts().await.completed == 1).then_some(())).await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_door_is_for_its_owner_and_takes_no_nonsense() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    let socket = stage.data().join("control.sock");
    assert_eq!(std::fs::metadata(&socket).expect("a socket").permissions().mode() & 0o777, 0o600);
    for nonsense in [
        "\n",
        "{}\n",
        "[1]\n",
        "{\"run\":{}}\n",
        "\u{0}\u{1}\n",
        "{\"drop\":{\"runs\":[\"x\"],\"by\":\"a\",\"c\":1}}\n",
    ] {
        let mut stream = UnixStream::connect(&socket).expect("it is open");
        stream.write_all(nonsense.as_bytes()).expect("it is sent");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer");
        assert!(said.contains("cannot be read") || said.contains("done"), "{nonsense}: {said}");
    }
    let long = "x".repeat(2 * 1024 * 1024);
    let mut stream = UnixStream::connect(&socket).expect("it is open");
    let _ = stream.write_all(long.as_bytes());
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let (code, said) = stage.run(&["hooks"]);
    assert!(code == Some(0), "it goes on: {said}");
}
