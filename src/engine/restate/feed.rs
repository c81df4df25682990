//! What lines tell those who look: every process reads it, and keeps a copy of all runs in its own store.
//!
//! The feed is an object that numbers the notes it is given, many at once; a reader asks for those after the last one it knows.
//! What is read is for people and pages only: nothing is decided on it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::erasing::{Erasing, subject};
use super::objects::Objects;
use super::steps::{Looks, Steps, Stopped};
use super::tokens;
use crate::engine::Engine;
use crate::run::{Ending, Entry, Kept, Start};
use crate::store::{Asked, Commit, Deed, Error, Found, Noted, Sought, Store};

/// Notes that the feed keeps, at most: a process that was away for longer misses what is older.
const KEPT: u64 = 400_000;
/// Notes that are read at once, at most, and their size; but for what was told together.
const PAGE: usize = 400;
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
    /// Somebody's data was erased.
    Erased(Box<Found>),
    /// There is a new token, or one was revoked; somebody has signed in or out.
    Tokens,
    /// What somebody does from outside.
    Deed(Box<Deed>),
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

/// A note as it is kept.
type Written = Box<RawValue>;

/// Notes, from one number on.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Page {
    /// The number after the last of these.
    pub next: u64,
    pub notes: Vec<Written>,
}

/// Which notes are kept: from the oldest to before the next.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Head {
    oldest: u64,
    next: u64,
}

pub(super) const HEAD: &str = "head";

/// Of what was told together, by the number of its first note.
fn place(number: u64) -> String {
    format!("notes/{number}")
}

/// Numbers notes, and keeps them.
pub(super) async fn keep<S: Steps>(steps: &S, notes: Vec<Written>) -> Result<(), Stopped> {
    let Head { mut oldest, next: first } = steps.get(HEAD).await?.unwrap_or_default();
    let next = first + notes.len() as u64;
    steps.set(&place(first), Page { next, notes });
    while next - oldest > KEPT {
        let Some(page) = steps.get::<Page>(&place(oldest)).await? else { break };
        steps.clear(&place(oldest));
        oldest = page.next;
    }
    steps.set(HEAD, Head { oldest, next });
    Ok(())
}

/// Some notes go from what was told together.
pub(super) async fn erase<S: Steps>(steps: &S, Erasing { names, of }: Erasing) -> Result<(), Stopped> {
    for name in names {
        let Some(Page { next, mut notes }) = steps.get(&name).await? else { continue };
        notes.retain(|note| subject(note).is_none_or(|subject| !of.contains(&subject)));
        steps.set(&name, Page { next, notes });
    }
    Ok(())
}

/// The number of the next note, of what the feed keeps.
pub(super) fn next(kept: Option<&BTreeMap<String, String>>) -> u64 {
    let head = kept.and_then(|kept| serde_json::from_str::<Head>(kept.get(HEAD)?).ok());
    head.unwrap_or_default().next
}

/// The notes from a number on, or those that are still kept.
pub(super) async fn read<S: Looks>(steps: &S, from: u64) -> Result<Page, Stopped> {
    let head: Head = steps.get(HEAD).await?.unwrap_or_default();
    // A number that was never given is from another life of the feed.
    let first = if (head.oldest..=head.next).contains(&from) { from } else { head.oldest };
    let mut page = Page { next: first, notes: Vec::new() };
    let (mut bytes, mut is_first) = (0, true);
    while page.next < head.next && page.notes.len() < PAGE && bytes < PAGE_BYTES {
        let Some(Page { next, notes }) = steps.get(&place(page.next)).await? else {
            // What is not the first of those that were told together is from another life as well.
            page.next = if is_first { head.oldest } else { head.next };
            is_first = false;
            continue;
        };
        is_first = false;
        bytes += notes.iter().map(|note| note.get().len()).sum::<usize>();
        page.notes.extend(notes);
        page.next = next;
    }
    Ok(page)
}

/// How far it was read.
const CURSOR: &str = "feed:0";

/// Reads the feed as long as the engine runs.
pub(super) async fn follow(engine: Engine, objects: &Objects) {
    loop {
        let more = match read_on(&engine.inner.store, objects).await {
            Ok(more) => {
                engine.inner.ended.notify_waiters();
                more
            }
            Err(error) => {
                tracing::warn!(%error, "what the lines tell is not read");
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            () = objects.ingress.news(PAUSE) => {}
            () = engine.stopped() => return,
        }
    }
}

/// How far it was read into a store.
pub(super) async fn read_to(store: &Store) -> Result<u64, Error> {
    Ok(store.cursor(CURSOR).await?.and_then(|value| value.as_u64()).unwrap_or_default())
}

/// Reads a page into a store. Is there more?
pub(super) async fn read_on(store: &Store, objects: &Objects) -> Result<bool, Error> {
    let from = read_to(store).await?;
    let page: Page = objects.read_feed(from).await?;
    if page.next == from {
        return Ok(false);
    }
    let (mut notes, mut erased, mut has_tokens) = (Vec::new(), Vec::new(), false);
    for note in &page.notes {
        match read_note(note) {
            Some(Note::Run(news)) => notes.push(Noted::from(*news)),
            Some(Note::Said(asked)) => notes.push(Noted::Said(asked)),
            Some(Note::Erased(found)) => erased.push(Sought::Found(*found)),
            Some(Note::Tokens) => has_tokens = true,
            Some(Note::Deed(deed)) => notes.push(Noted::Done(deed)),
            None => {}
        }
    }
    if has_tokens {
        tokens::share(store, objects).await?;
    }
    let read_to = Some((CURSOR.to_owned(), json!(page.next)));
    if erased.is_empty() {
        store.follow(notes, read_to).await?;
        return Ok(true);
    }
    store.follow(notes, None).await?;
    for sought in &erased {
        store.erase(sought).await?;
    }
    store.follow(Vec::new(), read_to).await?;
    Ok(true)
}

/// None: it cannot be read. Those after it are told all the same.
fn read_note(note: &RawValue) -> Option<Note> {
    let unreadable = |error| tracing::error!(%error, "a note of the feed cannot be read, and is passed over");
    serde_json::from_str(note.get()).map_err(unreadable).ok()
}

impl From<News> for Noted {
    fn from(news: News) -> Noted {
        let News { run, start, length, entries, due_ms, waits, ending, kept } = news;
        let commit = Commit { run, length, entries, due_ms, parked: waits, ending, kept, ..Commit::default() };
        Noted::Run { start: start.map(Box::new), commit: Box::new(commit) }
    }
}
