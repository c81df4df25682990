//! A copy made while webhooks come in, and what a restored store does with it.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use dovetail::clock::now_ms;
use dovetail::store::{Credentials, Deed, HERE, NewToken, Role, Run, Sealed, Session, Status, Store, back_up, restore};
use serde_json::{Value, json};

use crate::stage::sender::Sender;
use crate::stage::{self, GHL, PEOPLE, Stage};

/// Carries out a command on a data folder; gives its exit code and what it said.
fn run(words: &[&str], data: &Path) -> (Option<i32>, String) {
    let output = stage::command().args(words).arg("--data").arg(data).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_acknowledged_before_is_in_the_copy_and_is_finished_from_it() {
    let mut stage = Stage::set().await;
    stage.activate(&["contact-to-opinion-stage"]);
    let events = 300;
    let mut contacts = Vec::new();
    for number in 0..events {
        let contact = json!({ "firstName": "P", "email": format!("p{number}@example.com") });
        contacts.push(("ContactCreate", stage.make(GHL, "contact", contact).await));
    }
    // With nobody to tell, all that comes in is pending.
    let serve = stage.serve().await;
    let port = stage.stop(PEOPLE).await;
    let sender = Sender::start(&stage, &contacts);
    stage::until("a third is acknowledged", async || (sender.so_far().len() > events / 3).then_some(())).await;
    let before = sender.so_far();
    let file = stage.folder.join("copy.dovetail");
    let name = file.to_str().expect("a text");
    let (code, said) = run(&["backup", name], &stage.data());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("whole"), "{said}");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    assert!(!file.with_extension("dovetail.part").exists());
    let (code, said) = run(&["restore", name], &stage.data());
    assert_eq!(code, Some(4), "serve has it: {said}");
    assert_eq!(sender.finish().await.len(), events, "nobody was disturbed");
    serve.kill();

    fs::rename(stage.data(), stage.folder.join("lost")).expect("moved");
    let (code, said) = run(&["restore", name], &stage.data());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fs::metadata(stage.data()).expect("a folder").permissions().mode() & 0o777, 0o700);
    let restored: HashSet<String> = stage.runs().await.into_iter().map(|run| run.start.event.id).collect();
    assert!(before.is_subset(&restored), "{} of {}", restored.len(), before.len());
    stage.start(PEOPLE, port).await;
    stage.control("POST", PEOPLE, "/settings", json!({ "limits": "none", "index_lag": "0s" })).await;
    let _serve = stage.serve().await;
    let runs = stage.over().await;
    // What the list tells as well is skipped, since it was told already.
    let well = |run: &&Run| matches!(run.status, Status::Completed | Status::Skipped);
    let ill: Vec<_> = runs.iter().filter(|run| !well(run)).map(|run| &run.ending).collect();
    assert!(ill.is_empty(), "{ill:#?}");
    let records: HashSet<_> = runs.iter().map(|run| &run.start.event.record_id).collect();
    let people: HashSet<Value> =
        stage.vendors[PEOPLE].records("contact").iter().map(|person| person["email"].clone()).collect();
    assert_eq!(people.len(), records.len());
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("dovetail-{name}-{}", uuid::Uuid::now_v7()));
    fs::create_dir_all(&folder).expect("made");
    folder
}

#[tokio::test]
async fn what_was_granted_goes_with_it_sealed() {
    let folder = folder("granted");
    let (here, there, file) = (folder.join("here"), folder.join("there"), folder.join("copy"));
    Store::open(&here).expect("a store").close().await;
    let sealed = Sealed {
        version: 1,
        key_id: "k".into(),
        bytes: vec![0, 255, 7],
        ends_ms: Some(5),
        refused: None,
        changed_ms: 6,
    };
    let credentials = Credentials::open(&here).expect("credentials");
    assert!(credentials.put("one", 0, &sealed, None).expect("kept"));
    assert!(credentials.lease("one", 1, "somebody", 0, 100).expect("leased"));
    let copied = back_up(&here, &file, false, 42).expect("a copy");
    assert_eq!((copied.connections, copied.made_ms), (1, Some(42)));
    let restored = restore(&file, &there, None).expect("restored");
    assert_eq!(restored, copied);
    let given = Credentials::open(&there).expect("credentials");
    assert_eq!(given.list().expect("all"), [("one".to_owned(), sealed)]);
    assert!(given.lease("one", 1, "other", 1, 100).expect("leased"), "a lease is of its time");
    fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn a_restored_store_lets_nobody_in_who_was_shut_out_since() {
    let folder = folder("shut-out");
    let (here, there, file) = (folder.join("here"), folder.join("there"), folder.join("copy"));
    let deed = Deed {
        number: 0,
        at_ms: now_ms(),
        who: "ada".into(),
        origin: HERE.into(),
        what: "create".into(),
        about: "".into(),
    };
    let token = |name: &str| NewToken { name: name.into(), role: Role::Read, hash: name.into(), expires_ms: i64::MAX };
    let store = Store::open(&here).expect("a store");
    for name in ["stays", "goes"] {
        store.keep_token(token(name), deed.clone()).await.expect("kept");
    }
    let session = Session {
        hash: "cookie".into(),
        who: "ada".into(),
        role: Role::Read,
        token: None,
        begun_ms: deed.at_ms,
        seen_ms: deed.at_ms,
        ended_ms: None,
    };
    store.know_sessions(vec![session]).await.expect("kept");
    back_up(&here, &file, false, 1).expect("a copy");
    assert!(store.revoke_token(2, deed.clone()).await.expect("revoked"));
    store.keep_token(token("comes"), deed).await.expect("kept");
    store.close().await;
    let in_force = async |data: &Path| {
        let store = Store::open(data).expect("a store");
        let all = store.tokens().await.expect("all");
        let sessions = store.sessions().await.expect("all").len();
        store.close().await;
        let names = all.into_iter().filter(|token| token.revoked_ms.is_none()).map(|token| token.name);
        (names.collect::<BTreeSet<_>>(), sessions)
    };
    let names = |names: [&str; 2]| BTreeSet::from(names.map(str::to_owned));
    // Nobody can say what was revoked.
    let (exit, said) = run(&["restore", &file.display().to_string()], &there);
    assert!(exit == Some(0) && said.contains("tokens that were revoked since are in force again"), "{said}");
    assert_eq!(in_force(&there).await, (names(["goes", "stays"]), 0));
    // What is moved aside says it.
    let (exit, said) = run(&["restore", &file.display().to_string(), "--aside"], &here);
    assert!(exit == Some(0) && !said.contains("revoked"), "{said}");
    let beside = fs::read_dir(&here).expect("a folder").flatten().map(|entry| entry.file_name());
    let beside: Vec<_> = beside.filter(|name| name.to_string_lossy().starts_with("dovetail.sqlite3-")).collect();
    assert!(beside.is_empty(), "no log of the store that was there: {beside:?}");
    assert_eq!(in_force(&here).await, (names(["comes", "stays"]), 0));
    // Unless it is damaged.
    fs::write(here.join("dovetail.sqlite3"), b"SQLite format 3\0, and no more").expect("written");
    assert_eq!(restore(&file, &here, Some("before")).expect("restored").unsure, 2);
    fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn what_is_no_whole_copy_changes_nothing() {
    let folder = folder("broken");
    let (here, there, file) = (folder.join("here"), folder.join("there"), folder.join("copy"));
    let store = Store::open(&here).expect("a store");
    let value = json!("x".repeat(200_000));
    store.set_cursor("long", value.clone()).await.expect("kept");
    back_up(&here, &file, false, 1).expect("a copy");
    store.close().await;
    let good = fs::read(&file).expect("a copy");
    let mut damaged = good.clone();
    let middle = good.len() / 2;
    damaged[middle / 4096 * 4096..][..64].fill(0xff);
    let newer = {
        let mut newer = good.clone();
        newer[63] = 99;
        newer
    };
    let foreign = {
        let mut foreign = good.clone();
        foreign[68..72].fill(0);
        foreign
    };
    let cases: [(&str, &[u8], &str); 5] = [
        ("damaged", &damaged, "is damaged"),
        ("cut", &good[..good.len() / 2], "is damaged"),
        ("newer", &newer, "use the newer program"),
        ("foreign", &foreign, "not a store of Dovetail"),
        ("no database", b"hello", "is damaged"),
    ];
    for (name, bytes, why) in cases {
        fs::write(&file, bytes).expect("written");
        let refused = restore(&file, &there, None).expect_err(name).to_string();
        assert!(refused.contains(why) && refused.contains("nothing was changed"), "{name}: {refused}");
        let left: Vec<_> = fs::read_dir(&there).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["dovetail.lock"], "{name}");
        let refused = restore(&file, &here, Some("before")).expect_err(name);
        assert!(refused.to_string().contains(why), "{name}: {refused}");
        let store = Store::open(&here).expect("as it was");
        assert_eq!(store.cursor("long").await.expect("read"), Some(value.clone()));
        store.close().await;
    }
    fs::write(&file, &good).expect("written");
    restore(&file, &here, Some("before")).expect("restored");
    assert!(here.join("dovetail.before/dovetail.sqlite3").is_file(), "what was there is kept");
    fs::remove_dir_all(folder).expect("removed");
}
