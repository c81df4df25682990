//! A store that an older program has left.

use std::fs;
use std::path::Path;

use crate::stage;

const HAND: &str = "workflow: hand\ntrigger: { manual: {} }\nactions: [{ id: said, set: { hello: you } }]\n";

/// Back to what the program made before a run's row was parted from what the run starts from, and before the lines of a
/// decision were one row.
const BACK: &str = "
    CREATE TEMP TABLE lines AS
        SELECT run, n + key AS n, value ->> '$[0]' AS at_ms, value -> '$[1]' AS entry FROM journal, json_each(entry)
        WHERE entry LIKE '[%';
    DELETE FROM journal WHERE entry LIKE '[%';
    INSERT INTO journal (run, n, at_ms, entry) SELECT run, n, at_ms, entry FROM lines;
    ALTER TABLE runs ADD COLUMN start TEXT NOT NULL DEFAULT '';
    UPDATE runs SET start = (SELECT start FROM starts WHERE run = seq);
    DROP TABLE starts;
    DROP INDEX runs_by_workflow;
    CREATE INDEX runs_by_workflow ON runs (workflow, status);
    PRAGMA user_version = 17;
";

/// Carries out a command in a folder; gives its exit code and what it said.
fn run(words: &[&str], folder: &Path) -> (Option<i32>, String) {
    let output = stage::command().args(words).current_dir(folder).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn is_brought_up_to_date_once_and_its_runs_are_there() {
    let folder = std::env::temp_dir().join(format!("dovetail-older-{}", uuid::Uuid::now_v7()));
    fs::create_dir_all(folder.join("workflows")).expect("made");
    fs::write(folder.join("dovetail.yaml"), "project: older\n").expect("written");
    fs::write(folder.join("workflows/hand.yaml"), HAND).expect("written");
    let by_hand = || run(&["run", "hand", "--data", "data"], &folder);
    let (code, said) = by_hand();
    assert_eq!(code, Some(0), "{said}");
    let store = rusqlite::Connection::open(folder.join("data/dovetail.sqlite3")).expect("the store");
    let lines = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number");
    let whole = lines("SELECT count(*) FROM journal");
    store.execute_batch(BACK).expect("an older store");
    assert!(lines("SELECT count(*) FROM journal") > whole, "a decision of several lines");
    let id: String = store.query_row("SELECT id FROM runs", [], |row| row.get(0)).expect("the run");
    drop(store);

    let (code, said) = run(&["runs", "list", "--data", "data"], &folder);
    assert_ne!(code, Some(0), "looking changes nothing: {said}");
    assert!(said.contains("has version 17") && said.contains("brought up to date by `serve`"), "{said}");
    for is_told in [true, false] {
        let (code, said) = by_hand();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.contains("the store is brought up to date, once"), is_told, "{said}");
    }
    let (code, said) = run(&["runs", "list", "--data", "data", "--workflow", "hand", "--status", "completed"], &folder);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("in all: 3 completed"), "{said}");
    let (code, said) = run(&["runs", "show", &id, "--data", "data"], &folder);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("said") && said.contains("completed"), "{said}");
    fs::remove_dir_all(&folder).expect("removed");
}
