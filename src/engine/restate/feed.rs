//! What lines tell those who look: every process reads it, and keeps a copy of all runs in its own store.
//!
//! A feed is an object that numbers the notes it is given; a reader asks for those after the last one it knows. What is read is
//! for people and pages only: nothing is decided on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::objects::Objects;
use super::steps::{Looks, Steps, Stopped};
use crate::engine::Engine;
use crate::run::{Ending, Entry, Kept, Start};
use crate::store::{Asked, Commit, Error, Noted};

/// As many feeds as there are, so that they do not hold up each other.
pub(super) const FEEDS: u64 = 4;
/// Notes that a feed keeps, at most: a process that was away for longer misses what is older.
const KEPT: u64 = 100_000;
/// Notes that are read at once, at most, and their size.
const PAGE: usize = 200;
const PAGE_BYTES: usize = 4_000_000;
/// How often it is asked for more.
const PAUSE: Duration = Duration::from_millis(300);

/// What is new.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    Run(Box<News>),
    /// What a person has said about a record of a sync.
    Said(Box<Asked>),
}

/// What is new of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct News {
    pub run: String,
    /// None: it was told before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Lines of the journal that were told before.
    pub length: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    #[serde(default)]
    pub due_ms: i64,
    #[serde(default)]
    pub waits: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    #[serde(default)]
    pub kept: Kept,
}

/// Notes, from one number on.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Page {
    /// The number after the last of these.
    pub next: u64,
    pub notes: Vec<Note>,
}

fn place(number: u64) -> String {
    format!("note/{number}")
}

const HEAD: &str = "head";

/// Numbers a note, and keeps it.
pub(super) async fn note<S: Steps>(steps: &S, note: Note) -> Result<(), Stopped> {
    let head: u64 = steps.get(HEAD).await?.unwrap_or_default();
    steps.set(&place(head), note);
    if let Some(old) = head.checked_sub(KEPT) {
        steps.clear(&place(old));
    }
    steps.set(HEAD, head + 1);
    Ok(())
}

/// The notes from a number on, or those that are still kept.
pub(super) async fn read<S: Looks>(steps: &S, from: u64) -> Result<Page, Stopped> {
    let head: u64 = steps.get(HEAD).await?.unwrap_or_default();
    // A number that was never given is from another life of the feed.
    let first = if from > head { 0 } else { from }.max(head.saturating_sub(KEPT));
    let mut page = Page { next: first, notes: Vec::new() };
    let mut bytes = 0;
    for number in first..head {
        if page.notes.len() >= PAGE || bytes >= PAGE_BYTES {
            break;
        }
        page.next = number + 1;
        let Some(value) = steps.get::<Value>(&place(number)).await? else { continue };
        bytes += value.to_string().len();
        match serde_json::from_value(value) {
            Ok(note) => page.notes.push(note),
            // Those after it are told all the same.
            Err(error) => tracing::error!(%error, number, "a note of a feed cannot be read, and is passed over"),
        }
    }
    Ok(page)
}

/// Reads one feed as long as the engine runs.
pub(super) async fn follow(engine: Engine, objects: &Objects, feed: u64) {
    let cursor = format!("feed:{feed}");
    loop {
        let more = match read_on(&engine, objects, feed, &cursor).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "what the lines tell is not read");
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = engine.stopped() => return,
        }
    }
}

/// Is there more?
async fn read_on(engine: &Engine, objects: &Objects, feed: u64, cursor: &str) -> Result<bool, Error> {
    let store = &engine.inner.store;
    let from = store.cursor(cursor).await?.and_then(|value| value.as_u64()).unwrap_or_default();
    let page: Page = objects.read_feed(feed, from).await?;
    if page.next == from {
        return Ok(false);
    }
    let notes = page.notes.into_iter().map(Noted::from).collect();
    store.follow(notes, Some((cursor.to_owned(), json!(page.next)))).await?;
    engine.inner.ended.notify_waiters();
    Ok(true)
}

impl From<Note> for Noted {
    fn from(note: Note) -> Noted {
        let news = match note {
            Note::Run(news) => *news,
            Note::Said(asked) => return Noted::Said(asked),
        };
        let News { run, start, length, entries, due_ms, waits, ending, kept } = news;
        let commit = Commit { run, length, entries, due_ms, parked: waits, ending, kept, ..Commit::default() };
        Noted::Run { start: start.map(Box::new), commit: Box::new(commit) }
    }
}
