//! Reading beside the writer: a few query-only connections, each used by one blocking task at a time.
//!
//! Every read begins on what is committed at that moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Error, open};

/// Reads at once; others wait for their turn.
const READERS: usize = 4;

pub(super) struct Reader {
    folder: PathBuf,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    /// Opens the first connection now, so that a store which cannot be read is refused at the door.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let first = open::for_reading(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            turns: Arc::new(Semaphore::new(READERS)),
            idle: Arc::new(Mutex::new(vec![first])),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let closed = || Error::Failed("the store is closed".to_owned());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| closed())?;
        let (folder, idle) = (self.folder.clone(), Arc::clone(&self.idle));
        let task = tokio::task::spawn_blocking(move || {
            // Declared first, so that the connection is back before the turn is given up, even if the caller has left.
            let turn = turn;
            let before = idle.lock().pop();
            let connection = match before {
                Some(connection) => connection,
                None => open::for_reading(&folder)?,
            };
            let result = work(&connection);
            if !turn.semaphore().is_closed() {
                idle.lock().push(connection);
            }
            result
        });
        match task.await {
            Ok(result) => result.map_err(Error::while_reading),
            Err(error) => Err(Error::Failed(format!("a read did not end: {error}"))),
        }
    }

    /// Takes no more reads, lets those under way finish.
    pub(super) fn close(&self) {
        self.turns.close();
        self.idle.lock().clear();
    }
}
