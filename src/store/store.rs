//! The open store: what the other rooms hold.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use serde_json::Value;

use super::reader::Reader;
use super::writer::{Admission, Writer};
use super::{
    Accepted, Asked, Commit, Counts, Deed, Edition, Error, Filter, Intake, Keeper, KnownToken, Measured, NewToken,
    Noted, Observed, Old, Paired, Pending, Place, Pruned, Questions, Run, Shared, Status, Tally, Token, Wanted,
};
use super::{
    editions, follow, intake, journal, kept, known, links, measure, messages, open, pacts, prune, records, runs, shelf,
    tokens,
};
use crate::clock;
use crate::run::{Asking, Entry, Known, Link, Received, RecordRef, Subscription};
use crate::sync::{Before, Choice};
use crate::trigger::Event;
use crate::workflow::Looked;

/// The open store. Cheap to clone; the writer ends with the last clone.
///
/// A write whose future is dropped before it returns may still be carried out.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    reader: Reader,
    /// None: opened for reading only.
    writer: Option<Writer>,
    /// Given back after the writer has ended.
    lock: Mutex<Option<File>>,
}

impl Store {
    /// Opens (or makes) the store in a folder, made with mode 0700. Checks SQLite's version and the file's integrity.
    ///
    /// A crash while a new store is made: the next start makes it.
    ///
    /// # Errors
    /// `InUse` when another process has it; `Open`.
    pub fn open(folder: &Path) -> Result<Store, Error> {
        let (connection, lock) = open::for_writing(folder)?;
        Store::of(folder, connection, lock, Some(folder.to_owned()))
    }

    fn of(folder: &Path, connection: Connection, lock: File, moves: Option<PathBuf>) -> Result<Store, Error> {
        let reader = Reader::open(folder)?;
        let writer = Writer::start(connection, moves)?;
        Ok(Store { inner: Arc::new(Inner { reader, writer: Some(writer), lock: Mutex::new(Some(lock)) }) })
    }

    /// Opens one that is only needed as long as the program lives: what it says is there is not pressed onto the disk.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_for_now(folder: &Path) -> Result<Store, Error> {
        let (connection, lock) = open::for_writing(folder)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Store::of(folder, connection, lock, None)
    }

    /// Opens the store for looking, also while another process writes. Every write is refused.
    ///
    /// # Errors
    /// `Open`, also when there is no store.
    pub fn open_read_only(folder: &Path) -> Result<Store, Error> {
        let reader = Reader::open(folder)?;
        Ok(Store { inner: Arc::new(Inner { reader, writer: None, lock: Mutex::new(None) }) })
    }

    /// The same store with readers of its own, for looking only.
    ///
    /// # Errors
    /// `Open`.
    pub fn for_looking(&self) -> Result<Store, Error> {
        Store::open_read_only(self.inner.reader.folder())
    }

    /// Accepts events: all of them, with their runs and these cursors, or nothing. Durable when it returns.
    ///
    /// A crash before it returns: nothing was acknowledged, the source sends again. After: the runs will happen.
    ///
    /// # Errors
    /// `Busy` when too much waits already, `Full`: ask the source to send again later.
    pub async fn accept(
        &self,
        intakes: impl AsRef<[Intake]>,
        cursors: Vec<(String, Value)>,
    ) -> Result<Vec<Accepted>, Error> {
        let now_ms = now_ms();
        let written = intakes.as_ref().iter().map(|intake| intake::write_down(intake, now_ms));
        let intakes = written.collect::<Result<Vec<_>, _>>()?;
        let cursors = cursors.into_iter().map(|(key, value)| (key, value.to_string())).collect::<Vec<_>>();
        let bytes = intakes.iter().map(intake::Written::bytes).sum();
        let work = move |connection: &Connection| intake::accept(connection, &intakes, &cursors);
        self.writer()?.write(Admission::Refuse, bytes, work).await
    }

    /// A crash before it returns: the run is decided again from the shorter journal. After: from the longer.
    ///
    /// # Errors
    /// `Conflict` when the journal has another length or the run has ended; `Linked` when a record to link has another
    /// partner there. Either way nothing of the commit was kept.
    pub async fn commit(&self, commit: impl Borrow<Commit>) -> Result<(), Error> {
        let decision = journal::write_down(commit.borrow(), now_ms())?;
        let bytes = decision.bytes();
        let work = move |connection: &Connection| journal::commit(connection, &decision);
        self.writer()?.write(Admission::Wait, bytes, work).await
    }

    /// Who keeps the runs that are here.
    pub async fn keeper(&self) -> Result<Keeper, Error> {
        self.read(follow::keeper).await
    }

    /// From now on a cluster keeps the runs, and here is a copy of them. False: there are runs already that it would not know.
    pub async fn give_to_cluster(&self) -> Result<bool, Error> {
        self.write(follow::give_to_cluster).await
    }

    /// Keeps what is told of runs that are kept elsewhere, and how far that was read. What is known already is left as it is.
    pub async fn follow(&self, notes: Vec<Noted>, cursor: Option<(String, Value)>) -> Result<(), Error> {
        let now_ms = now_ms();
        let notes = notes.iter().map(|noted| follow::Written::of(noted, now_ms)).collect::<Result<Vec<_>, _>>()?;
        let cursor = cursor.map(|(cursor, value)| (cursor, value.to_string()));
        let bytes = notes.iter().map(follow::Written::bytes).sum();
        let work = move |connection: &Connection| follow::follow(connection, &notes, cursor.as_ref());
        self.writer()?.write(Admission::Wait, bytes, work).await
    }

    /// Events that are kept whole, after a number, in the order in which they came.
    pub async fn kept_events(&self, wanted: &Wanted, after: i64, limit: usize) -> Result<Vec<(i64, Event)>, Error> {
        let wanted = wanted.clone();
        self.read(move |connection| kept::page(connection, &wanted, after, limit)).await
    }

    pub async fn count_kept(&self, wanted: &Wanted) -> Result<u64, Error> {
        let wanted = wanted.clone();
        self.read(move |connection| kept::count(connection, &wanted)).await
    }

    /// Empty also for a run that is not known.
    pub async fn journal(&self, run: &str) -> Result<Vec<Entry>, Error> {
        let run = run.to_owned();
        self.read(move |connection| journal::read(connection, &run)).await
    }

    /// Runs that wait, in the order in which they are due; those after a pair of due (milliseconds) and seq.
    pub async fn waiting(&self, after: (i64, i64), limit: usize) -> Result<Vec<Run>, Error> {
        self.read(move |connection| runs::waiting(connection, after, limit)).await
    }

    /// The journals of these runs; None where there is one that cannot be read.
    pub async fn journals(&self, runs: Vec<String>) -> Result<Vec<Option<Vec<Entry>>>, Error> {
        self.read(move |connection| runs.iter().map(|run| journal::read_if_readable(connection, run)).collect()).await
    }

    /// Every run that has not ended and does not wait, in the order of acceptance.
    pub async fn pending(&self) -> Result<Vec<Pending>, Error> {
        self.read(runs::pending).await
    }

    /// The versions of the project with which runs began that are not over, or are dead letters.
    pub async fn open_plans(&self) -> Result<Vec<String>, Error> {
        self.read(runs::open_plans).await
    }

    /// By id, or by a prefix of it (4 characters or more) that is unique.
    ///
    /// # Errors
    /// `Ambiguous` when several ids start so.
    pub async fn run(&self, id: &str) -> Result<Option<Run>, Error> {
        let id = id.to_owned();
        self.read(move |connection| runs::one(connection, &id)).await
    }

    pub async fn runs(&self, filter: Filter) -> Result<Vec<Run>, Error> {
        self.read(move |connection| runs::page(connection, &filter)).await
    }

    /// A page of them, for which so many runs are looked at, newest first; and before which to look on, if there are more.
    pub async fn runs_within(&self, filter: Filter, most: i64) -> Result<(Vec<Run>, Option<i64>), Error> {
        self.read(move |connection| runs::page_within(connection, filter, most)).await
    }

    /// The latest run of a sync about each of these records, among so many about it.
    pub async fn latest_about(&self, records: Vec<RecordRef>, most: usize) -> Result<Vec<Option<Run>>, Error> {
        self.read(move |connection| records.iter().map(|record| runs::latest_about(connection, record, most)).collect())
            .await
    }

    /// When the last run of a workflow for a tenant was accepted, in milliseconds.
    pub async fn last_run_ms(&self, workflow: &str, tenant: Option<&str>) -> Result<Option<i64>, Error> {
        let (workflow, tenant) = (workflow.to_owned(), tenant.map(str::to_owned));
        self.read(move |connection| runs::last_created(connection, &workflow, tenant.as_deref())).await
    }

    /// Runs by status, events, links: for `/readyz`, the demo's report and `doctor`.
    pub async fn counts(&self) -> Result<Counts, Error> {
        self.read(runs::counts).await
    }

    /// How many runs of the workflows whose names begin so have this status.
    pub async fn count_of(&self, status: Status, prefix: &str) -> Result<u64, Error> {
        let prefix = prefix.to_owned();
        self.read(move |connection| runs::count_of(connection, status, &prefix)).await
    }

    /// Runs of a workflow that events of a source have started, and that are not over or ended since an instant; what is due
    /// after `soon_ms` waits.
    pub async fn tally(&self, workflow: &str, source: &str, since_ms: i64, soon_ms: i64) -> Result<Tally, Error> {
        let (workflow, source) = (workflow.to_owned(), source.to_owned());
        self.read(move |connection| runs::tally(connection, &workflow, &source, (since_ms, soon_ms))).await
    }

    /// Those of [`Store::pending`] of a workflow that events of a source have started.
    pub async fn left(&self, workflow: &str, source: &str) -> Result<Vec<Pending>, Error> {
        let (workflow, source) = (workflow.to_owned(), source.to_owned());
        self.read(move |connection| runs::left(connection, &workflow, &source)).await
    }

    /// Which of these ids of events of a source, and of an account, are known.
    pub async fn accepted(&self, source: &str, account: &str, ids: Vec<String>) -> Result<HashSet<String>, Error> {
        let (source, account) = (source.to_owned(), account.to_owned());
        self.read(move |connection| intake::known(connection, (&source, &account), ids)).await
    }

    /// Puts a dead letter back among the pending runs with a `Retried` entry. False if it is no dead letter.
    ///
    /// A crash before it returns: it may still be a dead letter. After: it is pending.
    pub async fn retry(&self, run: &str, by: &str, now_ms: i64) -> Result<bool, Error> {
        let (run, by) = (run.to_owned(), by.to_owned());
        self.write(move |connection| journal::retry(connection, &run, &by, now_ms)).await
    }

    /// Ends a dead letter for good, with an `Ended` entry; it stays readable. False if it is no dead letter.
    ///
    /// A crash before it returns: it may still be a dead letter. After: it is dropped.
    pub async fn drop_dead(&self, run: &str, by: &str, now_ms: i64) -> Result<bool, Error> {
        let (run, by) = (run.to_owned(), by.to_owned());
        self.write(move |connection| journal::give_up(connection, &run, Status::Failed, &by, now_ms)).await
    }

    /// Ends a run that is not over, as dropped. False if it is over. Whoever drives it meets a `Conflict`.
    ///
    /// A crash before it returns: it may go on. After: it is dropped, and stays readable.
    pub async fn cancel(&self, run: &str, by: &str, now_ms: i64) -> Result<bool, Error> {
        let (run, by) = (run.to_owned(), by.to_owned());
        self.write(move |connection| journal::give_up(connection, &run, Status::Pending, &by, now_ms)).await
    }

    /// The record linked with `of` at another connection's object, whichever tenant's link it is.
    ///
    /// # Errors
    /// `Failed` when tenants sharing these connections disagree; [`Store::look`] asks for one of them.
    pub async fn linked(&self, of: &RecordRef, connection: &str, object: &str) -> Result<Option<RecordRef>, Error> {
        let (of, other, object) = (of.clone(), connection.to_owned(), object.to_owned());
        self.read(move |connection| links::anywhere(connection, &of, &other, &object)).await
    }

    /// The other half of a record, as one tenant knows it; for a sync with what is known of the pair.
    pub async fn look(&self, tenant: Option<&str>, asking: &Asking) -> Result<Looked, Error> {
        let (tenant, asking) = (tenant.map(str::to_owned), asking.clone());
        self.read(move |connection| pacts::look(connection, tenant.as_deref(), &asking)).await
    }

    /// All pairs between two objects (each by connection and name) that a sync keeps alike.
    pub async fn pairs(&self, sync: &str, tenant: Option<&str>, sides: [(String, String); 2]) -> Result<Before, Error> {
        let (sync, tenant) = (sync.to_owned(), tenant.unwrap_or_default().to_owned());
        self.read(move |connection| pacts::all(connection, (&sync, &tenant), &sides)).await
    }

    /// The name of the cursor that says since when a sync acts for a tenant.
    pub fn begun(sync: &str, tenant: Option<&str>) -> String {
        pacts::begun(sync, tenant)
    }

    /// What syncs have asked people, those asked first at the front.
    pub async fn questions(&self, wanted: Questions, limit: usize) -> Result<Vec<Asked>, Error> {
        self.questions_after(wanted, 0, limit).await
    }

    /// The same, those after a number.
    pub async fn questions_after(&self, wanted: Questions, after: i64, limit: usize) -> Result<Vec<Asked>, Error> {
        self.read(move |connection| pacts::questions(connection, wanted, after, limit)).await
    }

    pub async fn question(&self, number: i64) -> Result<Option<Asked>, Error> {
        let found = self.questions_after(Questions::All, number.saturating_sub(1), 1).await?;
        Ok(found.into_iter().find(|asked| asked.number == number))
    }

    /// How many questions there are, up to a number.
    pub async fn count_questions(&self, wanted: Questions, most: usize) -> Result<usize, Error> {
        self.read(move |connection| pacts::count_questions(connection, wanted, most)).await
    }

    /// Writes down what a person has said to a question. False if there is none of this number.
    pub async fn answer(&self, number: i64, choice: &Choice) -> Result<bool, Error> {
        let choice = choice.clone();
        self.write(move |connection| pacts::answer(connection, number, &choice)).await
    }

    /// Writes down a question together with what a person has said to it, in place of what was said before.
    pub async fn tell(&self, asked: Asked) -> Result<(), Error> {
        self.write(move |connection| pacts::tell(connection, &asked)).await
    }

    /// Writes down what a person has said; the question that was asked, if one was (its number is not 0), keeps its number.
    pub async fn say(&self, asked: Asked) -> Result<(), Error> {
        let work = move |connection: &Connection| match asked.number {
            0 => pacts::tell(connection, &asked),
            _ => pacts::say(connection, &asked),
        };
        self.write(work).await
    }

    /// The pairs of syncs in which a record is.
    pub async fn pairs_of(&self, record: &RecordRef) -> Result<Vec<Paired>, Error> {
        let record = record.clone();
        self.read(move |connection| pacts::of(connection, &record)).await
    }

    /// Pairs of syncs after a place, for a page of which so many are looked at; and after which to look on, if there are more.
    pub async fn shared(
        &self,
        text: Option<String>,
        after: Place,
        bounds: (usize, usize),
    ) -> Result<(Vec<Shared>, Option<Place>), Error> {
        self.read(move |connection| records::page(connection, text.as_deref(), &after, bounds)).await
    }

    /// The pairs of syncs in which a record is, with what is known of them.
    pub async fn shared_of(&self, record: &RecordRef) -> Result<Vec<Shared>, Error> {
        let record = record.clone();
        self.read(move |connection| records::of(connection, &record)).await
    }

    /// The pairs that live under a pair, from a number on.
    pub async fn shared_under(&self, of: &Paired, from: i64, limit: i64) -> Result<Vec<Shared>, Error> {
        let of = of.clone();
        self.read(move |connection| records::under(connection, &of, from, limit)).await
    }

    /// The last copy of a record that a workflow was told.
    pub async fn known(&self, workflow: &str, of: &RecordRef) -> Result<Option<Known>, Error> {
        let (workflow, of) = (workflow.to_owned(), of.clone());
        self.read(move |connection| known::find(connection, &workflow, &of)).await
    }

    /// The first message that a wait of a run may receive.
    pub async fn message(&self, run: &str, wait: &Subscription) -> Result<Option<Received>, Error> {
        let (run, wait) = (run.to_owned(), wait.clone());
        self.read(move |connection| messages::first(connection, &run, &wait)).await
    }

    /// All links; of one record those of this record, itself on the left.
    pub async fn links(&self, of: Option<&RecordRef>, limit: usize) -> Result<Vec<Link>, Error> {
        let of = of.cloned();
        self.read(move |connection| links::list(connection, of.as_ref(), limit)).await
    }

    /// Keeps a token, and gives its number.
    ///
    /// # Errors
    /// `Refused` when there are too many.
    pub async fn keep_token(&self, token: NewToken, deed: Deed) -> Result<i64, Error> {
        self.write(move |connection| tokens::keep(connection, &token, &deed)).await
    }

    /// False if there is no token of this number in force.
    pub async fn revoke_token(&self, number: i64, deed: Deed) -> Result<bool, Error> {
        self.write(move |connection| tokens::revoke(connection, number, &deed)).await
    }

    /// Also those that are over, latest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        self.read(tokens::all).await
    }

    /// Takes over what others know of tokens.
    pub async fn know_tokens(&self, tokens: Vec<KnownToken>) -> Result<(), Error> {
        let now_ms = now_ms();
        self.write(move |connection| tokens::know(connection, &tokens, now_ms)).await
    }

    /// By the hash of its secret.
    pub async fn token_of_hash(&self, hash: String) -> Result<Option<Token>, Error> {
        self.read(move |connection| tokens::of_hash(connection, &hash)).await
    }

    /// Writes down what somebody does from outside.
    pub async fn note(&self, deed: Deed) -> Result<(), Error> {
        self.write(move |connection| tokens::note(connection, &deed)).await
    }

    /// What was done from outside, latest first; before a number.
    pub async fn deeds(&self, before: Option<i64>, limit: usize) -> Result<Vec<Deed>, Error> {
        self.read(move |connection| tokens::deeds(connection, before.unwrap_or(i64::MAX), limit)).await
    }

    pub async fn cursor(&self, key: &str) -> Result<Option<Value>, Error> {
        let key = key.to_owned();
        self.read(move |connection| shelf::cursor(connection, &key)).await
    }

    /// A crash before it returns: read again from the old cursor. After: from the new.
    pub async fn set_cursor(&self, key: &str, value: Value) -> Result<(), Error> {
        let (key, value) = (key.to_owned(), value.to_string());
        self.write(move |connection| shelf::set_cursor(connection, &key, &value)).await
    }

    /// So many events came again, which somebody else has accepted before.
    pub async fn came_again(&self, count: usize) -> Result<(), Error> {
        self.write(move |connection| shelf::count(connection, "duplicates", count)).await
    }

    /// Keeps a plan's documents (path, text) under their hash.
    ///
    /// A crash before it returns: the plan may be missing, so keep it before accepting runs of it.
    pub async fn keep_plan(&self, hash: &str, documents: &[(String, String)]) -> Result<(), Error> {
        let (hash, documents) = (hash.to_owned(), serde_json::to_string(documents)?);
        self.write(move |connection| shelf::keep_plan(connection, &hash, &documents, now_ms())).await
    }

    /// Keeps recipes that have changed since they were noted last, each as its path and its text.
    pub async fn note_editions(&self, documents: Vec<(String, String)>) -> Result<(), Error> {
        self.write(move |connection| editions::note(connection, &documents, now_ms())).await
    }

    /// A recipe as it was before, newest first; before a number.
    pub async fn editions(&self, path: &str, before: Option<i64>, limit: usize) -> Result<Vec<Edition>, Error> {
        let path = path.to_owned();
        self.read(move |connection| editions::of(connection, &path, before.unwrap_or(i64::MAX), limit)).await
    }

    /// Forgets versions of the project that were kept before an instant and with which no run began; these are needed.
    pub async fn forget_plans(&self, before_ms: i64, needed: &[String]) -> Result<(), Error> {
        let mut unused = self.read(move |connection| shelf::unused_plans(connection, before_ms)).await?;
        unused.retain(|hash| !needed.contains(hash));
        if unused.is_empty() {
            return Ok(());
        }
        self.write(move |connection| shelf::forget_plans(connection, &unused)).await
    }

    pub async fn plan(&self, hash: &str) -> Result<Option<Vec<(String, String)>>, Error> {
        let hash = hash.to_owned();
        self.read(move |connection| shelf::plan(connection, &hash)).await
    }

    /// Removes runs that ended before an instant, with their journals, and the bodies of events received before it.
    /// Dead letters stay; ids of events stay for 30 days.
    ///
    /// A crash before it returns: some of it is removed, the next call goes on.
    pub async fn prune(&self, before_ms: i64) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        loop {
            let stride = self.prune_some(Old { runs_ms: before_ms, events_ms: before_ms }).await?;
            pruned.add(stride);
            if stride.is_last() {
                return Ok(pruned);
            }
        }
    }

    /// The same in one small write: what is left is for the next.
    pub async fn prune_some(&self, old: Old) -> Result<Pruned, Error> {
        let forgotten_ms = now_ms() - prune::REMEMBERED_MS;
        self.write(move |connection| prune::stride(connection, old, forgotten_ms)).await
    }

    /// What has been over for longest, as much as goes in one small write; None if nothing is over.
    pub async fn oldest(&self) -> Result<Option<Old>, Error> {
        self.read(prune::oldest).await
    }

    /// How many bytes of the database hold something; the rest of the file is free to be written again.
    pub async fn used_bytes(&self) -> Result<u64, Error> {
        self.read(prune::used_bytes).await
    }

    /// Makes the file smaller in one small write, where much of it is free. False: it is as small as it should be.
    ///
    /// A crash before it returns: the file is as large as before, or smaller.
    pub async fn shrink_some(&self) -> Result<bool, Error> {
        if self.read(prune::pages_to_give_back).await? == 0 {
            return Ok(false);
        }
        self.write(prune::give_back).await?;
        Ok(true)
    }

    /// How much there is, and how old the oldest of it is that is due.
    pub async fn measure(&self) -> Result<Measured, Error> {
        let folder = self.inner.reader.folder().to_owned();
        self.read(move |connection| measure::measure(connection, &folder, now_ms())).await
    }

    /// How long transactions took since the start.
    pub fn commits(&self) -> Observed {
        self.inner.writer.as_ref().map(Writer::commits).unwrap_or_default()
    }

    /// Can it write now? For `/readyz`.
    pub fn is_ready(&self) -> bool {
        self.inner.writer.as_ref().is_some_and(Writer::is_ready)
    }

    /// How full the queue of writes is, from 0 to 1: a gauge. At 1, `accept` answers `Busy`.
    pub fn load(&self) -> f64 {
        self.inner.writer.as_ref().map_or(0.0, Writer::load)
    }

    /// Waits until everything handed in is durable, then closes the file.
    ///
    /// Other clones are refused from now on.
    pub async fn close(self) {
        let inner = self.inner;
        // Only a panic in there could be an error, and then there is nothing left to close.
        let _ = tokio::task::spawn_blocking(move || inner.close()).await;
    }

    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.inner.reader.read(work).await
    }

    /// What comes from inside, and is small, waits for room instead of being refused.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Error> + Send + 'static,
    {
        self.writer()?.write(Admission::Wait, 0, work).await
    }

    pub(super) fn folder(&self) -> &Path {
        self.inner.reader.folder()
    }

    fn writer(&self) -> Result<&Writer, Error> {
        self.inner.writer.as_ref().ok_or_else(|| Error::Failed("the store is open for reading only".to_owned()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("folder", &self.inner.reader.folder()).finish_non_exhaustive()
    }
}

impl Inner {
    fn close(&self) {
        self.reader.close();
        if let Some(writer) = &self.writer {
            writer.close();
        }
        drop(self.lock.lock().take());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn now_ms() -> i64 {
    clock::now_ms()
}
