//! Opening: the folder and its modes, the lock, the connections, and the checks before anything is believed.
//!
//! Damage is refused with a report; nothing is ever repaired by deleting.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{Error, schema};

pub(super) const DATABASE: &str = "dovetail.sqlite3";
const LOCK: &str = "dovetail.lock";
/// Earlier versions may damage a database in WAL mode (<https://sqlite.org/wal.html#walresetbug>).
const SQLITE_MINIMUM: i32 = 3_051_003;
/// Larger files would keep the program from starting for seconds; they are checked page by page as they are read.
const CHECKED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// How often a log that is in use is tried to be cut, each for as long as `BUSY_TIMEOUT`.
const CUTS: usize = 6;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// The write-ahead log.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join(format!("{DATABASE}-wal"))
}

/// The only writing connection, and the lock that keeps other processes out while it is held.
pub(super) fn for_writing(folder: &Path) -> Result<(Connection, File), Error> {
    check_library()?;
    let name = |error: std::io::Error| Error::Open(format!("{}: {error}", folder.display()));
    make_folder(folder).map_err(name)?;
    let lock = lock(folder)?;
    refuse_lost_database(folder)?;
    make_private_file(&database(folder)).map_err(name)?;
    let connection = connect(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| {
            let version = schema::version(&connection)?;
            if version > 0 {
                check(&connection, folder)?;
            }
            if version == 0 {
                can_shrink(&connection)?;
            }
            make_durable(&connection)?;
            if (1..schema::VERSION).contains(&version) {
                let folder = folder.display();
                let pace =
                    if version < schema::APART_SINCE { ": of a million runs that takes about a minute" } else { "" };
                tracing::warn!(%folder, "the store is brought up to date, once{pace}");
            }
            schema::migrate(&connection, version)?;
            Ok(connection)
        })
        .map_err(|error| explain(error, folder))?;
    for suffix in ["-wal", "-shm"] {
        let beside = folder.join(format!("{DATABASE}{suffix}"));
        // By name only: closing a file that SQLite has open here too would end all its locks on that file
        // (https://sqlite.org/howtocorrupt.html, 2.2), and the next process to look would cut it short under our feet.
        if beside.exists() {
            modes::set(&beside, 0o600).map_err(name)?;
        }
    }
    Ok((connection, lock))
}

/// A file of its own in the data folder, which several processes may write.
pub(super) fn beside(folder: &Path, file: &str) -> Result<Connection, Error> {
    check_library()?;
    let name = |error: std::io::Error| Error::Open(format!("{}: {error}", folder.display()));
    make_folder(folder).map_err(name)?;
    let path = folder.join(file);
    // Not opened here where SQLite may have it open already: closing it would end its locks.
    if !path.exists() {
        make_private_file(&path).map_err(name)?;
    }
    let opened = connect_file(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
        make_durable(&connection)?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        Ok(connection)
    });
    let connection = opened.map_err(|error| match error {
        Error::Lost(why) => Error::Open(format!("{} is damaged ({why}); bring back a backup", path.display())),
        other => other.while_opening(),
    })?;
    for suffix in ["-wal", "-shm"] {
        let beside = folder.join(format!("{file}{suffix}"));
        if beside.exists() {
            modes::set(&beside, 0o600).map_err(name)?;
        }
    }
    Ok(connection)
}

/// A connection that cannot write, beside whoever holds the lock.
pub(super) fn for_reading(folder: &Path) -> Result<Connection, Error> {
    check_library()?;
    if !database(folder).is_file() {
        return Err(Error::Absent(folder.display().to_string()));
    }
    connect(folder, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|connection| {
            connection.pragma_update(None, "query_only", true)?;
            match schema::version(&connection)? {
                0 => Err(Error::Open(format!("the store in {} is still empty", folder.display()))),
                schema::VERSION => Ok(connection),
                older => Err(Error::Open(format!(
                    "its schema has version {older}, this program reads {}; it is brought up to date by `serve`",
                    schema::VERSION
                ))),
            }
        })
        .map_err(|error| explain(error, folder))
}

/// Writes the database anew, so that nothing is left of what was deleted, also not in room between rows; then moves the log
/// into it and cuts that to nothing. Beside whoever writes.
pub(super) fn write_anew(folder: &Path) -> Result<(), Error> {
    let connection = connect(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    can_shrink(&connection)?;
    connection.execute_batch("VACUUM")?;
    cut_log(&connection)
}

/// A connection that moves the log beside whoever writes, as durably.
pub(super) fn for_moving(folder: &Path) -> Result<Connection, Error> {
    let connection = connect(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    make_durable(&connection)?;
    Ok(connection)
}

/// Moves the log into the database, and presses that onto the disk: also what was written before without.
pub(super) fn press(folder: &Path) -> Result<(), Error> {
    cut_log(&for_moving(folder)?)
}

fn cut_log(connection: &Connection) -> Result<(), Error> {
    for _ in 0..CUTS {
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(());
        }
    }
    Err(Error::Failed("the write-ahead log is being read and could not be cut: do it again".to_owned()))
}

/// Free pages of this file can be given back to the disk a few at a time, once it is made or written anew.
pub(super) fn can_shrink(connection: &Connection) -> Result<(), Error> {
    Ok(connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?)
}

pub(super) fn check_library() -> Result<(), Error> {
    if rusqlite::version_number() < SQLITE_MINIMUM {
        return Err(Error::Open(format!("SQLite {} is too old, 3.51.3 is needed", rusqlite::version())));
    }
    Ok(())
}

fn connect(folder: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    connect_file(&database(folder), flags)
}

pub(super) fn connect_file(file: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Temporary files would lie outside the data folder.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Every commit is on the disk before it is answered.
fn make_durable(connection: &Connection) -> Result<(), Error> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Open(format!("the file system does not allow a write-ahead log (mode `{mode}`)")));
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // Pruned data is overwritten where that costs no more I/O.
    connection.pragma_update(None, "secure_delete", "FAST")?;
    Ok(())
}

fn check(connection: &Connection, folder: &Path) -> Result<(), Error> {
    if fs::metadata(database(folder)).is_ok_and(|file| file.len() >= CHECKED_BYTES_MAX) {
        return Ok(());
    }
    check_whole(connection, "quick_check")
}

/// By SQLite's own check of this name, and by what it cannot know.
pub(super) fn check_whole(connection: &Connection, with: &str) -> Result<(), Error> {
    let verdict: String = connection.query_row(&format!("PRAGMA {with}(1)"), [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Error::Lost(verdict));
    }
    let version = schema::version(connection)?;
    for Invariant { broken, select, .. } in INVARIANTS.iter().filter(|invariant| invariant.since <= version) {
        if let Some(which) = connection.query_row(select, [], |row| row.get::<_, String>(0)).optional()? {
            return Err(Error::Lost(format!("{broken}: {which}")));
        }
    }
    Ok(())
}

/// What SQLite's own check cannot know.
struct Invariant {
    /// The first version of a schema that has it.
    since: i64,
    broken: &'static str,
    /// Names one offender, or nothing.
    select: &'static str,
}

const INVARIANTS: &[Invariant] = &[
    Invariant {
        since: 1,
        broken: "a journal has not the length that its run says",
        // How many lines are in what cannot be read is not known: its run becomes a dead letter when it is its turn.
        select: "WITH decisions AS (SELECT run, n, CASE WHEN entry NOT LIKE '[%' THEN 1
             WHEN json_valid(entry) THEN json_array_length(entry) END AS lines FROM journal),
         journals AS (SELECT run, sum(lines) AS lines, max(n + lines) AS next, count(lines) = count(*) AS is_known
             FROM decisions GROUP BY run)
         SELECT runs.id FROM runs LEFT JOIN journals ON run = runs.seq
         WHERE ifnull(is_known, 1) AND (journal_length <> ifnull(lines, 0) OR journal_length <> ifnull(next, 0)) LIMIT 1",
    },
    Invariant {
        since: 1,
        broken: "a journal without a run",
        select: "SELECT 'seq ' || run FROM journal WHERE run NOT IN (SELECT seq FROM runs) LIMIT 1",
    },
    Invariant {
        since: schema::APART_SINCE,
        broken: "a run without what it starts from",
        select: "SELECT id FROM runs WHERE seq NOT IN (SELECT run FROM starts) LIMIT 1",
    },
    Invariant {
        since: 1,
        broken: "a link in one direction only",
        select: "SELECT one.connection || ' ' || one.object || ' ' || one.id FROM links AS one WHERE NOT EXISTS (
             SELECT 1 FROM links AS two WHERE two.connection = one.other_connection AND two.object = one.other_object
             AND two.id = one.other_id AND two.other_connection = one.connection AND two.other_object = one.object
             AND two.tenant = one.tenant AND two.other_id = one.id) LIMIT 1",
    },
];

/// Damage is told as such, with what to do.
fn explain(error: Error, folder: &Path) -> Error {
    let file = database(folder);
    match error {
        Error::Lost(why) => Error::Open(format!(
            "{} is damaged ({why}); nothing was changed: keep a copy and bring back a backup",
            file.display()
        )),
        // A report that does not name the folder by itself.
        Error::Open(why) | Error::Failed(why) if !why.contains(&*folder.to_string_lossy()) => {
            Error::Open(format!("{}: {why}", file.display()))
        }
        other => other.while_opening(),
    }
}

/// A log without its database: SQLite would silently begin anew.
fn refuse_lost_database(folder: &Path) -> Result<(), Error> {
    let length = |name: String| fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    if length(DATABASE.to_owned()) == 0 && length(format!("{DATABASE}-wal")) > 0 {
        return Err(explain(Error::Lost("it is empty, but its write-ahead log is not".to_owned()), folder));
    }
    Ok(())
}

/// The lock of whoever has the store.
pub(super) fn lock(folder: &Path) -> Result<File, Error> {
    lock_as(folder, LOCK)
}

pub(super) fn lock_as(folder: &Path, name: &str) -> Result<File, Error> {
    let path = folder.join(name);
    let open = make_private_file(&path).map_err(|error| Error::Open(format!("{}: {error}", path.display())))?;
    match open.try_lock() {
        Ok(()) => Ok(open),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(folder.display().to_string())),
        Err(TryLockError::Error(error)) => Err(Error::Open(format!("{}: {error}", path.display()))),
    }
}

/// Made with mode 0700. A folder that was there is tightened only if it holds nothing but the store.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if !folder.is_dir() {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        modes::make_private_folder(folder)?;
        if let Some(parent) = folder.parent() {
            modes::sync_folder(parent);
        }
        return modes::set(folder, 0o700);
    }
    let foreign = |entry: std::io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with("dovetail."))
    };
    if fs::read_dir(folder)?.any(foreign) {
        tracing::info!(folder = %folder.display(), "the data folder holds other things too; its mode is left as it is");
        return Ok(());
    }
    modes::set(folder, 0o700)
}

/// Opens a file, making it if need be, that only its owner may read, whatever the umask or its mode before.
pub(super) fn make_private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    modes::private(&mut options);
    let file = options.open(path)?;
    modes::set(path, 0o600)?;
    if let Some(folder) = path.parent() {
        modes::sync_folder(folder);
    }
    Ok(file)
}

#[cfg(unix)]
pub(super) mod modes {
    use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
    use std::path::Path;

    pub fn private(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub fn make_private_folder(folder: &Path) -> std::io::Result<()> {
        DirBuilder::new().mode(0o700).create(folder)
    }

    pub fn set(path: &Path, mode: u32) -> std::io::Result<()> {
        if fs::metadata(path)?.permissions().mode() & 0o777 == mode {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    }

    /// So that a new name survives a power cut. Some file systems refuse to sync a folder; they need no help.
    pub fn sync_folder(folder: &Path) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
    }
}

#[cfg(not(unix))]
pub(super) mod modes {
    use std::fs::OpenOptions;
    use std::path::Path;

    pub fn private(_: &mut OpenOptions) {}

    pub fn make_private_folder(folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir(folder)
    }

    pub fn set(_: &Path, _: u32) -> std::io::Result<()> {
        Ok(())
    }

    pub fn sync_folder(_: &Path) {}
}
