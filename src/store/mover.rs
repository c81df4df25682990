//! Moves the log into the database file, beside the writer.
//!
//! ```text
//!  writer   commit, commit: the log is long ── commit, commit, commit ── moves what came meanwhile: the log begins anew
//!  mover               └──────▶ moves what is there, which is most ─┘
//! ```
//! Whoever waits for a commit does not wait until thousands of pages are moved, and pressed onto the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::batch::{Health, move_log};
use super::{Error, open};

/// A thread that is begun when the log of this store is long for the first time.
pub(super) struct Mover {
    folder: PathBuf,
    health: Arc<Health>,
    begun: Option<Begun>,
}

struct Begun {
    /// None: it is to end.
    tell: Option<SyncSender<()>>,
    has_moved: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mover {
    pub fn new(folder: PathBuf, health: Arc<Health>) -> Mover {
        Mover { folder, health, begun: None }
    }

    /// Has it moved what it was told to? Then little is left. If not, it is told to, unless it is at it.
    ///
    /// # Errors
    /// It cannot.
    pub fn has_moved(&mut self) -> Result<bool, Error> {
        let begun = match &self.begun {
            Some(begun) => begun,
            None => self.begun.insert(Begun::begin(&self.folder, &self.health)?),
        };
        if begun.has_moved.swap(false, Ordering::AcqRel) {
            return Ok(true);
        }
        // It is at it, or has been told.
        let _ = begun.tell.as_ref().map(|tell| tell.try_send(()));
        Ok(false)
    }
}

impl Begun {
    fn begin(folder: &Path, health: &Arc<Health>) -> Result<Begun, Error> {
        let connection = open::for_moving(folder)?;
        let (tell, told) = sync_channel(0);
        let has_moved = Arc::<AtomicBool>::default();
        let (moved, health) = (Arc::clone(&has_moved), Arc::clone(health));
        let work = move || work(&connection, &told, &moved, &health);
        let thread = std::thread::Builder::new().name("store-mover".to_owned()).spawn(work);
        let thread = thread.map_err(|error| Error::Open(format!("the mover's thread: {error}")))?;
        Ok(Begun { tell: Some(tell), has_moved, thread: Some(thread) })
    }
}

fn work(connection: &Connection, told: &Receiver<()>, has_moved: &AtomicBool, health: &Health) {
    while told.recv().is_ok() {
        match move_log(connection, "PASSIVE") {
            Err(error @ Error::Lost(_)) => {
                let _ = health.stopped.set(error);
                return;
            }
            // The writer tries by itself, and finds out what is wrong.
            Ok(()) | Err(_) => has_moved.store(true, Ordering::Release),
        }
    }
}

/// Its connection is closed before the writer's, which cuts the log.
impl Drop for Begun {
    fn drop(&mut self) {
        drop(self.tell.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;
    use crate::store::shelf;

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

    #[test]
    fn what_is_in_the_log_is_moved_beside_who_writes() {
        let folder = std::env::temp_dir().join(format!("dovetail-mover-{}", std::process::id()));
        let (writer, _lock) = open::for_writing(&folder).unwrap();
        writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let health = Arc::<Health>::default();
        let mut mover = Mover::new(folder.clone(), Arc::clone(&health));
        let moved = || fs::metadata(open::database(&folder)).unwrap().len();
        for round in 1..=3 {
            // The writer is in the middle of something meanwhile.
            shelf::set_cursor(&writer, "long", &"x".repeat(round * 200_000)).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            let begun = Instant::now();
            while !mover.has_moved().unwrap() {
                assert!(begun.elapsed() < PATIENCE);
                std::thread::yield_now();
            }
            writer.execute_batch("COMMIT").unwrap();
            assert!(moved() > round as u64 * 200_000, "{round}: {}", moved());
        }
        assert!(health.stopped.get().is_none());
        drop(mover);
        drop(writer);
        fs::remove_dir_all(&folder).unwrap();
    }
}
