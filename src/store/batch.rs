//! The writer's thread: batches of writes, each batch one transaction.
//!
//! ```text
//!  BEGIN ─▶ apply each ─▶ COMMIT: fsync ─▶ answer each
//!  one fails ─▶ ROLLBACK, BEGIN ─▶ (SAVEPOINT ─▶ apply ─▶ RELEASE, or ROLLBACK TO) for each ─▶ COMMIT: fsync ─▶ answer each
//!  full disk ─▶ all are told; tried again, at least each second     failed sync, damage, panic ─▶ all are told; the end
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;

use super::latency::Latency;
use super::mover::Mover;
use super::{Error, shelf};

/// Writes in one transaction.
const BATCH: usize = 1_024;
/// Pages in the log that are moved, and so many that nobody writes before they are.
const LONG: usize = 4_000;
const LONGEST: usize = 4 * LONG;
/// Nothing to do for so long is idle. Also the pace of asking whether a full disk has room again.
const IDLE: Duration = Duration::from_secs(1);

/// Shared by the thread and the handles.
#[derive(Default)]
pub(super) struct Health {
    /// The disk is full; writing is still tried.
    pub(super) full: AtomicBool,
    /// Why no write is taken any more.
    pub(super) stopped: OnceLock<Error>,
    /// How long transactions took, with what was written in them.
    pub(super) commits: Latency,
}

impl Health {
    pub(super) fn why_stopped(&self) -> Error {
        self.stopped.get().cloned().unwrap_or_else(|| Error::Failed("the writer has ended".to_owned()))
    }
}

/// A write on its way through the thread, whatever it returns.
pub(super) trait Job: Send {
    /// Applied twice if another of its batch fails.
    fn apply(&mut self, connection: &Connection) -> Result<(), Error>;
    /// `fate` is the transaction's.
    fn answer(self: Box<Self>, fate: &Result<(), Error>);
}

/// What the thread holds.
pub(super) struct Hand {
    connection: Connection,
    receiver: Receiver<Box<dyn Job>>,
    health: Arc<Health>,
    /// Pages in the log.
    log: Arc<AtomicUsize>,
    /// None: nobody moves the log beside.
    mover: Option<Mover>,
    /// Something in the log has not been moved to the database file since the last idle moment.
    unmoved: bool,
}

impl Hand {
    /// `folder`: None, if nobody is to move the log beside.
    pub(super) fn new(
        mut connection: Connection,
        folder: Option<PathBuf>,
        receiver: Receiver<Box<dyn Job>>,
        health: Arc<Health>,
    ) -> Result<Self, Error> {
        let log = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&log);
        connection.wal_hook(Some(move |_: &mut Wal, pages: i32| {
            counted.store(usize::try_from(pages).unwrap_or_default(), Ordering::Relaxed);
            Ok(())
        }))?;
        let mover = folder.map(|folder| Mover::new(folder, Arc::clone(&health)));
        Ok(Self { connection, receiver, health, log, mover, unmoved: false })
    }

    /// Works until every sender is gone, or writing has come to an end.
    pub(super) fn run(mut self) {
        if catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            let _ = self.health.stopped.set(Error::Failed("the writer panicked; restart to recover".to_owned()));
        }
        self.end();
    }

    fn work(&mut self) {
        while self.health.stopped.get().is_none() {
            match self.receiver.recv_timeout(IDLE) {
                Ok(first) => {
                    let batch = self.gather(first);
                    self.carry_out(batch);
                    self.tend_log();
                }
                Err(RecvTimeoutError::Timeout) => self.rest(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whoever is about to write as well joins in, if there are fewer processors than threads.
    fn gather(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut batch = vec![first];
        loop {
            std::thread::yield_now();
            let before = batch.len();
            batch.extend(self.receiver.try_iter().take(BATCH - before));
            if batch.len() == before || batch.len() == BATCH {
                return batch;
            }
        }
    }

    fn carry_out(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let begun = Instant::now();
        let fate = self.transact(&mut batch);
        self.health.commits.observe(begun.elapsed());
        if let Err(error @ Error::Lost(_)) = &fate {
            let _ = self.health.stopped.set(error.clone());
        }
        for job in batch {
            job.answer(&fate);
        }
    }

    /// A crash before COMMIT returns leaves all of the batch or nothing, and nobody was told. After: it is there.
    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        let mut full = false;
        let outcome = self.try_batch(batch, &mut full);
        if outcome.is_err() && !self.connection.is_autocommit() {
            // It fails only where SQLite has rolled back by itself.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        match &outcome {
            Ok(()) => self.health.full.store(full, Ordering::Relaxed),
            Err(Error::Full) => self.health.full.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
        self.unmoved = true;
        outcome
    }

    fn try_batch(&mut self, batch: &mut [Box<dyn Job>], full: &mut bool) -> Result<(), Error> {
        self.execute("BEGIN IMMEDIATE")?;
        if self.apply_together(batch)? {
            return self.execute("COMMIT");
        }
        // Some errors (a full disk, no memory) make SQLite roll back everything.
        if !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        self.execute("BEGIN IMMEDIATE")?;
        for job in batch {
            self.execute("SAVEPOINT write")?;
            if let Err(error) = self.apply(job.as_mut())? {
                if self.connection.is_autocommit() {
                    return Err(error);
                }
                *full |= error == Error::Full;
                self.execute("ROLLBACK TO write")?;
            }
            self.execute("RELEASE write")?;
        }
        self.execute("COMMIT")
    }

    /// A savepoint for each write costs more than all that rarely fails. False: one has failed.
    fn apply_together(&self, batch: &mut [Box<dyn Job>]) -> Result<bool, Error> {
        for job in batch {
            if self.apply(job.as_mut())?.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// # Errors
    /// What is the end of the whole batch; within, what the write alone has met.
    fn apply(&self, job: &mut dyn Job) -> Result<Result<(), Error>, Error> {
        let connection = &self.connection;
        let Ok(result) = catch_unwind(AssertUnwindSafe(|| job.apply(connection))) else {
            let error = Error::Failed("the writer panicked; restart to recover".to_owned());
            let _ = self.health.stopped.set(error.clone());
            return Err(error);
        };
        match result {
            Err(error @ Error::Lost(_)) => Err(error),
            result => Ok(result),
        }
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Nothing waits: moves the log into the database file, so that the next start and the next commits are quick.
    fn rest(&mut self) {
        let full = self.health.full.load(Ordering::Relaxed);
        if !self.unmoved && !full {
            return;
        }
        match move_log(&self.connection, "PASSIVE") {
            Ok(()) => self.unmoved = false,
            Err(error @ Error::Lost(_)) => {
                let _ = self.health.stopped.set(error);
                return;
            }
            Err(_) => {}
        }
        if full {
            self.carry_out(vec![Box::new(Probe)]);
        }
    }

    /// The log stays short.
    fn tend_log(&mut self) {
        let pages = self.log.load(Ordering::Relaxed);
        let is_moved = match &mut self.mover {
            _ if pages < LONG => return,
            Some(mover) if pages < LONGEST => mover.has_moved(),
            _ => Ok(true),
        };
        let tended =
            is_moved.and_then(|is_moved| if is_moved { move_log(&self.connection, "PASSIVE") } else { Ok(()) });
        if let Err(error @ Error::Lost(_)) = tended {
            let _ = self.health.stopped.set(error);
        }
    }

    /// After `Lost` the log is left as it is, for the recovery of the next start.
    fn end(mut self) {
        drop(self.mover.take());
        let refused = Err(self.health.why_stopped());
        let lost = self.health.stopped.get().is_some();
        for job in self.receiver.try_iter() {
            job.answer(&refused);
        }
        if lost {
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        } else {
            let _ = move_log(&self.connection, "TRUNCATE");
        }
    }
}

/// Moves what is in the log to the database file, as far as this mode of SQLite's goes.
pub(super) fn move_log(connection: &Connection, mode: &str) -> Result<(), Error> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))?;
    Ok(())
}

/// Is there room again? A small write that changes nothing anyone reads.
struct Probe;

impl Job for Probe {
    fn apply(&mut self, connection: &Connection) -> Result<(), Error> {
        shelf::count(connection, "probes", 1)
    }

    fn answer(self: Box<Self>, _: &Result<(), Error>) {}
}
