//! The contract of the store: what it promises to whoever calls it, and to whoever pulls the plug.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use dovetail::run::{Asking, Correlation, Ending, Entry, Fact, Kept, Link, Message, RecordRef, Start, Subscription};
use dovetail::store::{Accepted, Commit, Counts, Error, Filter, Intake, Status, Store};
use dovetail::trigger::Event;
use futures_util::future::join_all;
use serde_json::{Value, json};

// ---------------------------------------------------------------- accepting

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_copies_are_accepted_once() {
    let folder = Folder::new();
    let store = open(&folder);
    let copies = (0..100).map(|copy| {
        let store = store.clone();
        let mut intake = intake("delivery-1", "first");
        intake.runs[0].id = format!("run-of-copy-{copy}");
        tokio::spawn(async move { store.accept(vec![intake], vec![]).await.unwrap()[0] })
    });
    let answers: Vec<_> = join_all(copies).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == Accepted::New).count(), 1);
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert_eq!(store.counts().await.unwrap(), Counts { events: 1, duplicates: 99, pending: 1, ..Counts::default() });
}

#[tokio::test]
async fn the_same_id_from_another_source_is_another_event() {
    let folder = Folder::new();
    let store = open(&folder);
    let mut other = intake("delivery-1", "second");
    other.event.source = "shop".to_owned();
    let both = vec![intake("delivery-1", "first"), other, intake("delivery-1", "third")];
    let answers = store.accept(both, vec![]).await.unwrap();
    assert_eq!(answers, [Accepted::New, Accepted::New, Accepted::Duplicate]);
    assert_eq!(places(&store.pending().await.unwrap()), ["first", "second"]);
}

#[tokio::test]
async fn events_runs_and_cursors_are_accepted_together_or_not_at_all() {
    let folder = Folder::new();
    let store = open(&folder);
    let cursor = |at: u32| vec![("poll:crm.contact".to_owned(), json!({ "since": at }))];
    store.accept(vec![intake("one", "first")], cursor(1)).await.unwrap();

    // The second intake's run has an id that is taken.
    let spoilt = vec![intake("two", "second"), intake("three", "first")];
    assert!(matches!(store.accept(spoilt, cursor(2)).await, Err(Error::Failed(_))));
    assert_eq!(store.cursor("poll:crm.contact").await.unwrap(), Some(json!({ "since": 1 })));
    assert_eq!(store.counts().await.unwrap(), Counts { events: 1, pending: 1, ..Counts::default() });

    assert_eq!(store.accept(vec![intake("two", "second")], cursor(2)).await.unwrap(), [Accepted::New]);
    assert_eq!(store.cursor("poll:crm.contact").await.unwrap(), Some(json!({ "since": 2 })));
    assert_eq!(store.cursor("poll:crm.deal").await.unwrap(), None);
}

#[tokio::test]
async fn when_the_queue_is_full_accepting_is_refused_and_commits_wait() {
    let folder = Folder::new();
    let store = open(&folder);
    let blocker = rusqlite::Connection::open(database(&folder)).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let accepts = (0..4_100).map(|n| store.accept(vec![intake(&format!("event-{n}"), &format!("run-{n}"))], vec![]));
    let commits = (0..10).map(|n| store.set_cursor(if n == 0 { "zero" } else { "more" }, json!(n)));
    let release = async { blocker.execute_batch("ROLLBACK").unwrap() };
    let (accepted, committed, ()) = tokio::join!(join_all(accepts), join_all(commits), release);
    assert_eq!(accepted.iter().filter(|answer| **answer == Err(Error::Busy)).count(), 4);
    assert_eq!(accepted.iter().filter(|answer| answer.is_ok()).count(), 4_096);
    assert!(committed.iter().all(Result::is_ok));
    assert!(store.load() < f64::EPSILON, "every permit came back");
    assert_eq!(store.counts().await.unwrap().pending, 4_096);
}

#[tokio::test]
async fn the_log_stays_short_while_much_is_written() {
    const AT_ONCE: usize = 50;
    let folder = Folder::new();
    let store = open(&folder);
    let text = |round: usize| json!("x".repeat(60_000 + round));
    let names: Vec<String> = (0..AT_ONCE).map(|number| format!("c{number}")).collect();
    for round in 0..40 {
        // Some 800 pages in a commit, 32,000 of them in all.
        let kept = join_all(names.iter().map(|name| store.set_cursor(name, text(round)))).await;
        assert!(kept.iter().all(Result::is_ok));
        let log = fs::metadata(folder.0.join("dovetail.sqlite3-wal")).unwrap().len();
        assert!(log < 17_000 * 4_096, "{round}: {log}");
    }
    store.close().await;
    let store = open(&folder);
    assert_eq!(store.cursor("c7").await.unwrap(), Some(text(39)));
}

// ---------------------------------------------------------------- the journal

#[tokio::test]
async fn a_commit_on_an_old_journal_is_a_conflict_and_keeps_nothing() {
    let folder = Folder::new();
    let store = open(&folder);
    store.accept(vec![intake("one", "first")], vec![]).await.unwrap();
    store.commit(commit("first", 0, vec![Fact::Started {}])).await.unwrap();
    let mut stale = commit("first", 0, vec![Fact::Started {}]);
    stale.kept.link.push(("actions/0".into(), link("a", "b")));
    assert_eq!(store.commit(stale).await, Err(Error::Conflict { run: "first".to_owned() }));
    assert_eq!(store.journal("first").await.unwrap().len(), 1);
    assert_eq!(store.counts().await.unwrap().links, 0);

    // Two decisions on the same journal: one of them wins.
    let decide = || store.commit(commit("first", 1, vec![paused(9)]));
    let (one, two) = tokio::join!(decide(), decide());
    assert!(one.is_ok() != two.is_ok());
    assert!(matches!(store.commit(commit("unknown", 0, vec![])).await, Err(Error::Failed(_))));
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = Folder::new();
    let store = open(&folder);
    let mut whole = intake("one", "first");
    whole.event.record = awkward_values();
    store.accept(vec![whole.clone(), intake("two", "second")], vec![]).await.unwrap();
    let mut waiting = commit("first", 0, vec![Fact::Started {}, paused(5_000)]);
    waiting.due_ms = 5_000;
    waiting.kept.link.push(("actions/0".into(), link("a", "b")));
    let entries = waiting.entries.clone();
    store.commit(waiting).await.unwrap();
    let ending = Ending::Completed { value: awkward_values() };
    end(&store, "second", ending.clone()).await;
    store.set_cursor("poll", json!([1, "two"])).await.unwrap();
    store.keep_plan("hash", &[("workflows/hello.yaml".to_owned(), "when: …\n".to_owned())]).await.unwrap();
    store.close().await;

    let store = open(&folder);
    let pending = store.pending().await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].id.as_str(), pending[0].has_begun), ("first", true));
    let first = store.run("first").await.unwrap().unwrap();
    assert_eq!(first.start, Start { event: whole.runs[0].event.clone(), ..whole.runs[0].clone() });
    assert_eq!((first.status, first.due_ms), (Status::Pending, 5_000));
    assert_eq!(store.journal("first").await.unwrap(), entries);
    let second = store.run("second").await.unwrap().unwrap();
    assert_eq!((second.status, second.ending, second.ended_ms), (Status::Completed, Some(ending), Some(7)));
    assert_eq!(store.cursor("poll").await.unwrap(), Some(json!([1, "two"])));
    assert_eq!(store.plan("hash").await.unwrap().unwrap()[0].1, "when: …\n");
    assert_eq!(store.plan("other").await.unwrap(), None);
    assert_eq!(store.links(None, 10).await.unwrap(), [link("a", "b")]);
    let again = store.accept(vec![intake("one", "third")], vec![]).await.unwrap();
    assert_eq!(again, [Accepted::Duplicate]);
}

#[tokio::test]
async fn a_dead_letter_is_retried_or_dropped_by_a_person() {
    let folder = Folder::new();
    let store = open(&folder);
    store.accept(vec![intake("one", "first")], vec![]).await.unwrap();
    assert!(!store.retry("first", "ada", 8).await.unwrap());
    let failure = dovetail::connector::Failure::new("invalid", "no e-mail");
    let failed =
        Ending::Failed { address: "actions/0".to_owned(), place: "a.yaml:3:5".to_owned(), failure, beside: Vec::new() };
    end(&store, "first", failed.clone()).await;
    assert_eq!(store.counts().await.unwrap().failed, 1);
    assert!(matches!(store.commit(commit("first", 1, vec![])).await, Err(Error::Conflict { .. })));

    assert!(store.retry("first", "ada", 8).await.unwrap());
    let run = store.run("first").await.unwrap().unwrap();
    assert_eq!((run.status, run.due_ms, run.ending, run.ended_ms), (Status::Pending, 0, None, None));
    let retried = Entry { at_ms: 8, fact: Fact::Retried { by: "ada".to_owned() } };
    assert_eq!(store.journal("first").await.unwrap().last(), Some(&retried));

    let mut again = commit("first", 2, vec![Fact::Ended { ending: failed.clone() }]);
    again.ending = Some(failed);
    store.commit(again).await.unwrap();
    assert!(store.drop_dead("first", "ada", 9).await.unwrap());
    assert!(!store.drop_dead("first", "ada", 9).await.unwrap());
    assert!(!store.retry("unknown", "ada", 9).await.unwrap());
    let run = store.run("first").await.unwrap().unwrap();
    assert_eq!((run.status, run.ended_ms), (Status::Dropped, Some(9)));
    assert_eq!(run.ending, Some(Ending::Dropped { by: "ada".to_owned() }));
    assert_eq!(store.journal("first").await.unwrap().len(), 4);
}

#[tokio::test]
async fn runs_are_found_by_prefix_and_paged_newest_first() {
    let folder = Folder::new();
    let store = open(&folder);
    for (n, id) in ["abcd-1", "abcd-2", "wxyz-%", "abcd-12"].iter().enumerate() {
        let mut intake = intake(&format!("event-{n}"), id);
        intake.runs[0].workflow = if n == 1 { "other" } else { "hello" }.to_owned();
        store.accept(vec![intake], vec![]).await.unwrap();
    }
    end(&store, "wxyz-%", Ending::Skipped { why: "gone".to_owned() }).await;
    assert_eq!(store.run("abcd-1").await.unwrap().unwrap().start.id, "abcd-1");
    assert_eq!(store.run("wxyz").await.unwrap().unwrap().start.id, "wxyz-%");
    assert_eq!(store.run("abcd").await.unwrap_err(), Error::Ambiguous { prefix: "abcd".to_owned() });
    assert!(store.run("wxy").await.unwrap().is_none());
    assert!(store.run("%%%%%").await.unwrap().is_none());

    let page = async |filter: Filter| ids(&store.runs(filter).await.unwrap());
    assert_eq!(page(Filter::default()).await, ["abcd-12", "wxyz-%", "abcd-2", "abcd-1"]);
    let before = store.run("wxyz").await.unwrap().map(|run| run.seq);
    assert_eq!(page(Filter { limit: 1, before, ..Filter::default() }).await, ["abcd-2"]);
    let hello = Some("hello".to_owned());
    assert_eq!(page(Filter { workflow: hello.clone(), ..Filter::default() }).await, ["abcd-12", "wxyz-%", "abcd-1"]);
    let pending = Filter { workflow: hello, status: Some(Status::Pending), ..Filter::default() };
    assert_eq!(page(pending).await, ["abcd-12", "abcd-1"]);
    assert_eq!(page(Filter { status: Some(Status::Skipped), ..Filter::default() }).await, ["wxyz-%"]);
}

// ---------------------------------------------------------------- links

#[tokio::test]
async fn links_are_one_to_one_in_both_directions() {
    let folder = Folder::new();
    let store = open(&folder);
    store.accept(vec![intake("one", "first")], vec![]).await.unwrap();
    let mut length = 0;
    let mut keep = async |link: Vec<Link>, unlink: Vec<Link>| {
        let done = store
            .commit(Commit {
                kept: Kept {
                    link: link.into_iter().map(|link| ("actions/0".into(), link)).collect(),
                    unlink,
                    ..Kept::default()
                },
                ..commit("first", length, vec![paused(1)])
            })
            .await;
        length += usize::from(done.is_ok());
        done
    };
    let turned = |link: Link| Link { left: link.right, right: link.left, ..link };
    keep(vec![link("a", "b")], vec![]).await.unwrap();
    keep(vec![link("a", "b"), turned(link("a", "b"))], vec![]).await.unwrap();
    for taken in [link("a", "c"), link("c", "b"), turned(link("a", "c")), turned(link("c", "b"))] {
        assert!(matches!(keep(vec![link("new", "new"), taken], vec![]).await, Err(Error::Linked { .. })));
    }
    assert_eq!(store.links(None, 10).await.unwrap(), [link("a", "b")]);
    assert_eq!(store.linked(&left("a"), "shop", "customer").await.unwrap(), Some(right("b")));
    assert_eq!(store.linked(&right("b"), "crm", "contact").await.unwrap(), Some(left("a")));
    assert_eq!(store.linked(&left("a"), "shop", "order").await.unwrap(), None);

    let within = async |tenant: Option<&str>, of: &RecordRef, connection: &str, object: &str| {
        let (connection, object) = (connection.to_owned(), object.to_owned());
        let address = "actions/0".into();
        let asking = Asking { address, of: of.clone(), connection, object, turns: vec![], sync: None, now_ms: 0 };
        store.look(tenant, &asking).await.unwrap().found
    };
    // Another tenant's pairs are its own, even behind shared connections.
    let theirs = Link { tenant: Some("acme".to_owned()), ..link("a", "z") };
    keep(vec![theirs.clone()], vec![]).await.unwrap();
    assert_eq!(within(Some("acme"), &left("a"), "shop", "customer").await.as_deref(), Some("z"));
    assert_eq!(within(None, &left("a"), "shop", "customer").await.as_deref(), Some("b"));
    assert!(matches!(store.linked(&left("a"), "shop", "customer").await, Err(Error::Failed(_))));

    // A pair that is gone makes room for another in the same commit.
    keep(vec![link("a", "c")], vec![turned(link("a", "b"))]).await.unwrap();
    assert_eq!(within(None, &right("b"), "crm", "contact").await, None);
    assert_eq!(store.links(None, 10).await.unwrap(), [link("a", "c"), theirs]);
    assert_eq!(store.counts().await.unwrap().links, 2);
    assert!(keep(vec![Link { right: left("a"), ..link("a", "b") }], vec![]).await.is_err());
}

// ---------------------------------------------------------------- messages

#[tokio::test]
async fn a_message_calls_who_waits_and_stays_as_long_as_an_older_run_may_come_to_it() {
    const FAR: i64 = i64::MAX;
    let folder = Folder::new();
    let store = open(&folder);
    for run in ["early", "parked", "heard", "late"] {
        store.accept(vec![intake(run, run)], vec![]).await.unwrap();
    }
    let of = |key: &str| Correlation { listener: "l".to_owned(), source: "crm".to_owned(), key: key.to_owned() };
    let wait = |key: &str, after: i64| Subscription { correlation: of(key), after };
    let park = |run: &'static str, length: usize, key: &'static str| {
        let parked = commit(run, length, vec![paused(FAR)]);
        Commit { due_ms: FAR, parked: true, subscriptions: vec![wait(key, 0)], ..parked }
    };
    store.commit(park("parked", 0, "a")).await.unwrap();
    store.commit(park("late", 0, "a")).await.unwrap();
    let message = |key: &str| Message { correlation: of(key), record: json!({ "key": key }) };
    let ending = Ending::Completed { value: Value::Null };
    let kept = Kept { messages: vec![message("a"), message("b")], ..Kept::default() };
    let mut told = commit("heard", 0, vec![Fact::Ended { ending: ending.clone() }]);
    let now_ms = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    told.entries[0].at_ms = now_ms;
    store.commit(Commit { kept, ending: Some(ending.clone()), ..told }).await.unwrap();

    let due = async |run: &str| store.run(run).await.unwrap().unwrap().due_ms;
    assert_eq!((due("parked").await, due("late").await), (now_ms, FAR), "only what was accepted before is called");
    let number = async |run: &str, key: &str, after: i64| {
        store
            .message(run, &wait(key, after))
            .await
            .unwrap()
            .map(|received| (received.number, received.record["key"].clone()))
    };
    assert_eq!(number("early", "a", 0).await, Some((1, json!("a"))));
    assert_eq!(number("early", "b", 0).await, Some((2, json!("b"))));
    assert_eq!(
        (number("early", "a", 1).await, number("early", "c", 0).await, number("late", "a", 0).await),
        (None, None, None)
    );
    // It is there already: who begins to wait is due at once.
    store.commit(park("early", 0, "b")).await.unwrap();
    assert_eq!(due("early").await, 7);

    assert_eq!(store.prune(0).await.unwrap().messages, 0);
    end(&store, "parked", ending.clone()).await;
    end(&store, "early", ending).await;
    // The late one is younger than they are.
    assert_eq!(store.prune(0).await.unwrap().messages, 2);
}

// ---------------------------------------------------------------- forgetting

#[tokio::test]
async fn versions_are_kept_as_long_as_a_run_began_with_them() {
    let folder = Folder::new();
    let store = open(&folder);
    for hash in ["used", "unused", "present"] {
        store.keep_plan(hash, &[("dovetail.yaml".to_owned(), hash.to_owned())]).await.unwrap();
    }
    let mut first = intake("one", "first");
    first.runs[0].plan = "used".to_owned();
    store.accept(vec![first], vec![]).await.unwrap();
    let kept = async || {
        let mut kept = Vec::new();
        for hash in ["used", "unused", "present"] {
            kept.extend(store.plan(hash).await.unwrap().map(|_| hash));
        }
        kept
    };
    store.forget_plans(0, &["present".to_owned()]).await.unwrap();
    assert_eq!(kept().await, ["used", "unused", "present"], "a run may be about to begin with it");
    store.forget_plans(i64::MAX, &["present".to_owned()]).await.unwrap();
    assert_eq!(kept().await, ["used", "present"]);
}

#[tokio::test]
async fn pruning_forgets_ended_runs_and_bodies_but_not_ids_of_the_last_30_days() {
    let folder = Folder::new();
    let store = open(&folder);
    for n in 0..600 {
        store.accept(vec![intake(&format!("event-{n}"), &format!("run-{n:04}"))], vec![]).await.unwrap();
        if n > 1 {
            end(&store, &format!("run-{n:04}"), Ending::Completed { value: Value::Null }).await;
        }
    }
    let failure = dovetail::connector::Failure::new("invalid", "no e-mail");
    end(
        &store,
        "run-0001",
        Ending::Failed { address: "actions/0".to_owned(), place: "a.yaml:3:5".to_owned(), failure, beside: Vec::new() },
    )
    .await;
    assert_eq!(store.prune(0).await.unwrap(), dovetail::store::Pruned::default());
    let pruned = store.prune(i64::MAX).await.unwrap();
    assert_eq!((pruned.runs, pruned.bodies, pruned.ids), (598, 600, 0));
    let kept = Counts { events: 600, pending: 1, failed: 1, ..Counts::default() };
    assert_eq!(store.counts().await.unwrap(), kept);
    assert_eq!(store.journal("run-0001").await.unwrap().len(), 1);
    assert_eq!(store.accept(vec![intake("event-9", "again")], vec![]).await.unwrap(), [Accepted::Duplicate]);

    let month_ago = "UPDATE events SET received_ms = received_ms - 31 * 86400000 WHERE id < 'event-2'";
    let aged = rusqlite::Connection::open(database(&folder)).unwrap().execute(month_ago, []).unwrap();
    assert_eq!(store.prune(i64::MAX).await.unwrap().ids, aged as u64);
    assert_eq!(store.accept(vec![intake("event-1", "again")], vec![]).await.unwrap(), [Accepted::New]);
}

// ---------------------------------------------------------------- opening and closing

#[tokio::test]
async fn a_second_open_is_refused_until_the_first_is_closed() {
    let folder = Folder::new();
    let store = open(&folder);
    let refused = Store::open(&folder.0).unwrap_err();
    assert_eq!(refused, Error::InUse(folder.0.display().to_string()));
    let clone = store.clone();
    store.close().await;
    assert!(!clone.is_ready());
    assert!(matches!(clone.set_cursor("a", json!(1)).await, Err(Error::Failed(_))));
    assert!(matches!(clone.pending().await, Err(Error::Failed(_))));
    drop(open(&folder));
    drop(open(&folder));
}

#[tokio::test]
async fn looking_is_possible_beside_the_writer() {
    let folder = Folder::new();
    let none = Store::open_read_only(&folder.0).unwrap_err();
    assert!(none.to_string().contains("there is no store in"), "{none}");
    let store = open(&folder);
    let looking = Store::open_read_only(&folder.0).unwrap();
    store.accept(vec![intake("one", "first")], vec![]).await.unwrap();
    assert_eq!(places(&looking.pending().await.unwrap()), ["first"]);
    assert!(matches!(looking.retry("first", "ada", 1).await, Err(Error::Failed(_))));
    assert!(!looking.is_ready());
    assert!(store.is_ready());
    store.close().await;
    assert_eq!(looking.counts().await.unwrap().events, 1);
    looking.close().await;
    let later = Store::open_read_only(&folder.0).unwrap();
    assert_eq!(places(&later.pending().await.unwrap()), ["first"]);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let store = open(&folder);
    for n in 0..300 {
        store.accept(vec![intake(&format!("event-{n}"), &format!("run-{n}"))], vec![]).await.unwrap();
    }
    store.close().await;
    let whole = fs::read(database(&folder)).unwrap();
    let torn = whole[..whole.len() / 2].to_vec();
    let mut header = whole.clone();
    header[..16].fill(b'#');
    let mut pages = whole.clone();
    pages[8 * 4_096..].fill(0xa5);
    for damaged in [torn, header, pages] {
        fs::write(database(&folder), &damaged).unwrap();
        let refused = Store::open(&folder.0).unwrap_err().to_string();
        assert!(refused.contains("is damaged") && refused.contains("dovetail.sqlite3"), "{refused}");
        assert!(fs::read(database(&folder)).unwrap() == damaged, "the damaged file was changed");
    }

    fs::write(database(&folder), &whole).unwrap();
    let direct = rusqlite::Connection::open(database(&folder)).unwrap();
    direct.execute_batch("UPDATE runs SET journal_length = 3 WHERE id = 'run-7'").unwrap();
    drop(direct);
    let refused = Store::open(&folder.0).unwrap_err().to_string();
    assert!(refused.contains("a journal has not the length that its run says: run-7"), "{refused}");
}

#[tokio::test]
async fn a_log_without_its_database_is_refused() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    fs::write(folder.0.join("dovetail.sqlite3-wal"), "something").unwrap();
    assert!(Store::open(&folder.0).unwrap_err().to_string().contains("is damaged"));
    assert!(folder.0.join("dovetail.sqlite3-wal").exists());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = Folder::new();
    open(&folder).close().await;
    rusqlite::Connection::open(database(&folder)).unwrap().pragma_update(None, "user_version", 999).unwrap();
    for refused in [Store::open(&folder.0).unwrap_err(), Store::open_read_only(&folder.0).unwrap_err()] {
        assert!(refused.to_string().contains("its schema has version 999"), "{refused}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn folder_and_files_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = Folder::new();
    let store = open(&folder);
    store.accept(vec![intake("one", "first")], vec![]).await.unwrap();
    assert_eq!(mode(&folder.0), 0o700);
    let files: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    store.close().await;
    fs::set_permissions(database(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o755)).unwrap();
    let _store = open(&folder);
    assert_eq!((mode(&folder.0), mode(&database(&folder))), (0o700, 0o600));
}

// ---------------------------------------------------------------- pulling the plug

/// Names the role and folder of a child process: this same test binary, started again.
const CHILD: &str = "DOVETAIL_STORE_TEST_CHILD";

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = Folder::new();
    let mut acknowledged = BTreeMap::new();
    for round in 0..10 {
        let mut child = child(&folder, &round.to_string()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = acknowledged.len() + 3 + round * 29;
        while acknowledged.len() < enough {
            note(&mut acknowledged, &lines.next().expect("the child goes on").unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.map_while(Result::ok).for_each(|line| note(&mut acknowledged, &line));
        verify(&folder, &acknowledged).await;
    }
}

/// A write that fails with an I/O error, not for want of room: the store takes no more, the next start has it all.
#[cfg(unix)]
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_disk_fails() {
    let folder = Folder::new();
    open(&folder).close().await;
    let plain = child(&folder, "limited");
    // Without its signal, a write beyond the limit returns EFBIG.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$0\" \"$@\""]).arg(plain.get_program());
    limited.args(plain.get_args()).stdout(Stdio::piped()).stderr(Stdio::null());
    limited.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = limited.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut acknowledged = BTreeMap::new();
    text.lines().for_each(|line| note(&mut acknowledged, line));
    assert!(text.contains("stopped lost ready=false again=true"), "{text}");
    assert!(!acknowledged.is_empty());
    verify(&folder, &acknowledged).await;
}

/// Not a test by itself: the child of the two above. Several producers accept and commit; what is durable is printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_of_the_crash_tests() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let (name, path) = role.split_once('@').unwrap();
    let store = Store::open(Path::new(path)).unwrap();
    let producers = (0..8).map(|producer| {
        let (store, name) = (store.clone(), name.to_owned());
        tokio::spawn(async move {
            for n in 0.. {
                let id = format!("{name}-{producer}-{n}");
                let step = async {
                    store.accept(vec![intake(&id, &id)], vec![]).await?;
                    say(&format!("has {id} 0"));
                    store.commit(commit(&id, 0, vec![Fact::Started {}, paused(3)])).await?;
                    say(&format!("has {id} 2"));
                    Ok::<(), Error>(())
                };
                if let Err(error) = step.await {
                    return error;
                }
            }
            unreachable!("a producer ends with an error")
        })
    });
    let ends: Vec<_> = join_all(producers).await.into_iter().map(Result::unwrap).collect();
    assert!(ends.iter().all(|end| matches!(end, Error::Lost(_))), "{ends:?}");
    let again = matches!(store.set_cursor("a", json!(1)).await, Err(Error::Lost(_)));
    say(&format!("stopped lost ready={} again={again}", store.is_ready()));
}

fn child(folder: &Folder, name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::child_of_the_crash_tests", "--nocapture"]);
    command.env(CHILD, format!("{name}@{}", folder.0.display())).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// `has <run> <length of its journal>`
fn note(acknowledged: &mut BTreeMap<String, usize>, line: &str) {
    // The harness prints the test's name without a line end; a killed child may leave half a line.
    let words: Vec<_> = line.split(' ').skip_while(|word| *word != "has").collect();
    if let [_, id, length @ ("0" | "2")] = words[..] {
        acknowledged.insert(id.to_owned(), length.parse().unwrap());
    }
}

async fn verify(folder: &Folder, acknowledged: &BTreeMap<String, usize>) {
    // Also for someone who only looks, before any writer has recovered the file.
    let looking = Store::open_read_only(&folder.0).unwrap();
    assert!(looking.counts().await.unwrap().pending >= acknowledged.len() as u64);
    looking.close().await;
    let store = open(folder);
    let runs = store.pending().await.unwrap();
    let held: std::collections::BTreeSet<_> = runs.iter().map(|run| run.id.as_str()).collect();
    let journals = join_all(acknowledged.keys().map(|id| store.journal(id))).await;
    for ((id, length), journal) in acknowledged.iter().zip(journals) {
        assert!(held.contains(id.as_str()), "{id} was acknowledged and is lost");
        assert!(journal.unwrap().len() >= *length, "a commit of {id} is lost");
    }
    let copies: Vec<Intake> = acknowledged.keys().map(|id| intake(id, "copy")).collect();
    let answers = store.accept(copies, vec![]).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Accepted::Duplicate));
    store.close().await;
}

// ---------------------------------------------------------------- what the tests speak of

/// A folder of its own under the system's, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("dovetail-store-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Folder) -> Store {
    Store::open(&folder.0).unwrap()
}

fn database(folder: &Folder) -> PathBuf {
    folder.0.join("dovetail.sqlite3")
}

fn intake(event: &str, run: &str) -> Intake {
    let event = Event {
        id: event.to_owned(),
        source: "crm".to_owned(),
        kind: "created".to_owned(),
        record: json!({ "id": 7, "email": "ada@example.com", "note": "x".repeat(300) }),
        ..Event::default()
    };
    let start = Start {
        id: run.to_owned(),
        workflow: "hello".to_owned(),
        tenant: None,
        order_key: "7".to_owned(),
        plan: "hash".to_owned(),
        connections: BTreeMap::from([("crm".to_owned(), "crm-eu".to_owned())]),
        event: event.clone(),
        inputs: Value::Null,
        created_ms: 1,
    };
    Intake { event, runs: vec![start] }
}

fn commit(run: &str, length: usize, facts: Vec<Fact>) -> Commit {
    let entries = facts.into_iter().map(|fact| Entry { at_ms: 7, fact }).collect();
    Commit { run: run.to_owned(), length, entries, ..Commit::default() }
}

async fn end(store: &Store, run: &str, ending: Ending) {
    let entries = vec![Fact::Ended { ending: ending.clone() }];
    let length = store.journal(run).await.unwrap().len();
    store.commit(Commit { ending: Some(ending), ..commit(run, length, entries) }).await.unwrap();
}

fn paused(until_ms: i64) -> Fact {
    Fact::Paused { address: "actions/0".to_owned(), until_ms, why: "wait".to_owned() }
}

fn left(id: &str) -> RecordRef {
    RecordRef { connection: "crm".to_owned(), object: "contact".to_owned(), id: id.to_owned() }
}

fn right(id: &str) -> RecordRef {
    RecordRef { connection: "shop".to_owned(), object: "customer".to_owned(), id: id.to_owned() }
}

fn link(left_id: &str, right_id: &str) -> Link {
    Link { tenant: None, left: left(left_id), right: right(right_id) }
}

fn places(pending: &[dovetail::store::Pending]) -> Vec<String> {
    pending.iter().map(|run| run.id.clone()).collect()
}

fn ids(runs: &[dovetail::store::Run]) -> Vec<String> {
    runs.iter().map(|run| run.start.id.clone()).collect()
}

/// Values that a careless way through text would change.
fn awkward_values() -> Value {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    let numbers: Vec<f64> = std::iter::repeat_with(|| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(bits)
    })
    .filter(|number| number.is_finite())
    .take(2_000)
    .collect();
    json!({ "z": 1, "a": u64::MAX, "min": i64::MIN, "text": "\u{0}\u{1f600}\"\\ \u{2028}", "numbers": numbers })
}
