//! The one writer: a bounded queue before a thread that gathers what waits into one transaction.
//!
//! Whoever waits is answered after COMMIT returned. A write that conflicts does not spoil the others. The bound is permits
//! that a write holds until it is answered: one, and one more for each 64 KiB that it carries.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::Error;
use super::batch::{Hand, Health, Job};
use super::latency::Observed;
use crate::clock;

/// Permits: so many writes, or 256 MiB, may wait at once.
const QUEUE: u32 = 4_096;
const BYTES_PER_PERMIT: usize = 64 * 1024;
/// A larger write must still find its turn.
const PERMITS_MAX: u32 = QUEUE / 4;

/// What to do when the queue is full.
#[derive(Clone, Copy)]
pub(super) enum Admission {
    Refuse,
    Wait,
}

pub(super) struct Writer {
    sender: Mutex<Option<Sender<Box<dyn Job>>>>,
    room: Arc<Semaphore>,
    health: Arc<Health>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// `folder`: see [`Hand::new`].
    pub(super) fn start(connection: Connection, folder: Option<PathBuf>) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel();
        let health = Arc::new(Health::default());
        let hand = Hand::new(connection, folder, receiver, Arc::clone(&health))?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || hand.run())
            .map_err(|error| Error::Open(format!("the writer's thread: {error}")))?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            room: Arc::new(Semaphore::new(QUEUE as usize)),
            health,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `work`, which carries so many bytes, in a transaction. Durable when it returns `Ok`; a future dropped before
    /// may still be carried out.
    pub(super) async fn write<T, F>(&self, admission: Admission, bytes: usize, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let room = Arc::clone(&self.room);
        let permits = permits(bytes);
        let permit = match admission {
            Admission::Refuse => room.try_acquire_many_owned(permits).map_err(|error| match error {
                TryAcquireError::NoPermits => Error::Busy,
                TryAcquireError::Closed => self.health.why_stopped(),
            })?,
            Admission::Wait => room.acquire_many_owned(permits).await.map_err(|_| self.health.why_stopped())?,
        };
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(Write { work, result: None, answer, _permit: permit }))?;
        let lost = || Err(self.health.why_stopped());
        if clock::is_turned() {
            // A task that blocks holds the rehearsal's clock.
            let answered = tokio::task::spawn_blocking(|| answered.blocking_recv()).await;
            return answered.ok().and_then(Result::ok).unwrap_or_else(lost);
        }
        answered.await.unwrap_or_else(|_| lost())
    }

    fn send(&self, job: Box<dyn Job>) -> Result<(), Error> {
        match &*self.sender.lock() {
            Some(sender) => sender.send(job).map_err(|_| self.health.why_stopped()),
            None => Err(self.health.why_stopped()),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.health.stopped.get().is_none() && !self.health.full.load(Ordering::Relaxed)
    }

    pub(super) fn commits(&self) -> Observed {
        self.health.commits.read()
    }

    /// How full the queue is, from 0 to 1.
    pub(super) fn load(&self) -> f64 {
        1.0 - self.room.available_permits() as f64 / f64::from(QUEUE)
    }

    /// Finishes what was handed in, then ends the thread. Blocks.
    pub(super) fn close(&self) {
        drop(self.sender.lock().take());
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        let _ = self.health.stopped.set(Error::Failed("the store is closed".to_owned()));
        self.room.close();
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes / BYTES_PER_PERMIT).unwrap_or(u32::MAX).saturating_add(1).min(PERMITS_MAX)
}

/// A write with whoever waits for it.
struct Write<T, F> {
    work: F,
    result: Option<Result<T, Error>>,
    answer: oneshot::Sender<Result<T, Error>>,
    _permit: OwnedSemaphorePermit,
}

impl<T: Send, F: Fn(&Connection) -> Result<T, Error> + Send> Job for Write<T, F> {
    fn apply(&mut self, connection: &Connection) -> Result<(), Error> {
        let result = (self.work)(connection);
        let told = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        told
    }

    fn answer(self: Box<Self>, fate: &Result<(), Error>) {
        let result = match (fate, self.result) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(Error::Failed("the write was not tried".to_owned())),
        };
        // Nobody may be waiting any more; what was written stays.
        let _ = self.answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::{schema, shelf};

    fn writer() -> Writer {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        Writer::start(connection, None).unwrap()
    }

    async fn set(writer: &Writer, key: &'static str, length: usize) -> Result<(), Error> {
        let value = "x".repeat(length);
        writer.write(Admission::Wait, length, move |connection| shelf::set_cursor(connection, key, &value)).await
    }

    async fn length(writer: &Writer, key: &'static str) -> Option<i64> {
        let sql = "SELECT max(length(value)) FROM cursors WHERE name = ?";
        let read = move |connection: &Connection| Ok(connection.query_row(sql, [key], |row| row.get(0))?);
        writer.write(Admission::Wait, 0, read).await.unwrap()
    }

    #[tokio::test]
    async fn one_that_fails_does_not_spoil_the_others() {
        let writer = writer();
        let fails = async {
            let half = |connection: &Connection| {
                shelf::set_cursor(connection, "half", "1")?;
                Err::<(), _>(Error::Conflict { run: "r".to_owned() })
            };
            writer.write(Admission::Wait, 0, half).await
        };
        let (one, two, three) = tokio::join!(set(&writer, "one", 1), fails, set(&writer, "three", 3));
        assert_eq!((one, two, three), (Ok(()), Err(Error::Conflict { run: "r".to_owned() }), Ok(())));
        assert_eq!(length(&writer, "half").await, None);
        assert_eq!(length(&writer, "three").await, Some(3));
        assert!(writer.is_ready());
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_tried_again() {
        let writer = writer();
        let limit = |pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            move |connection: &Connection| Ok(connection.query_row(&sql, [], |_| Ok(()))?)
        };
        set(&writer, "small", 1).await.unwrap();
        writer.write(Admission::Wait, 0, limit(40)).await.unwrap();
        assert_eq!(set(&writer, "large", 1_000_000).await, Err(Error::Full));
        assert!(!writer.is_ready());
        assert_eq!((length(&writer, "large").await, length(&writer, "small").await), (None, Some(1)));
        assert_eq!(set(&writer, "large", 1_000_000).await, Err(Error::Full));
        // Nobody writes: the probe finds out by itself.
        let patience = Instant::now();
        while !writer.is_ready() {
            assert!(patience.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        writer.write(Admission::Wait, 0, limit(10_000)).await.unwrap();
        assert_eq!(set(&writer, "large", 1_000_000).await, Ok(()));
    }

    #[tokio::test]
    async fn after_a_panic_all_that_wait_are_told() {
        let writer = writer();
        let panics = writer.write(Admission::Wait, 0, |_| -> Result<(), Error> { panic!("a broken invariant") });
        let (one, two, three) = tokio::join!(set(&writer, "one", 1), panics, set(&writer, "three", 3));
        // Which of them shared its transaction is chance; none of them hangs.
        assert!(matches!(two, Err(Error::Failed(_))), "{two:?}");
        assert!(matches!(three, Err(Error::Failed(_))), "{three:?}");
        assert!(matches!(one, Ok(()) | Err(Error::Failed(_))), "{one:?}");
        assert!(!writer.is_ready());
        assert!(matches!(set(&writer, "four", 4).await, Err(Error::Failed(_))));
        writer.close();
    }

    #[tokio::test]
    async fn after_a_lost_write_none_is_taken() {
        let writer = writer();
        let lost = || Error::Lost("disk I/O error".to_owned());
        let (one, two) = tokio::join!(
            writer.write(Admission::Wait, 0, move |_| Err::<(), _>(lost())),
            writer.write(Admission::Refuse, 0, move |_| Ok(())),
        );
        assert_eq!((one, two), (Err(lost()), Err(lost())));
        assert_eq!(set(&writer, "three", 3).await, Err(lost()));
        assert!(!writer.is_ready());
    }

    #[test]
    fn a_large_write_takes_more_room_but_never_all() {
        assert_eq!((permits(0), permits(65_536), permits(usize::MAX)), (1, 2, 1_024));
    }
}
