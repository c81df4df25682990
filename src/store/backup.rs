//! A copy to keep elsewhere, and back: one file, of one moment, checked whole before it gets its name.
//!
//! What connections were granted goes with it, sealed as it is; the key is nowhere in it. Nothing that was deleted is.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::open::{self, modes};
use super::{Error, KnownToken, credentials, schema, tokens};
use crate::clock::now_ms;

/// One backup of a data folder at a time.
const LOCK: &str = "dovetail.backup.lock";
/// What is being restored, until it is whole.
const RESTORING: &str = "dovetail.restoring";

/// How every SQLite file begins (<https://sqlite.org/fileformat.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What stands in a copy beside the tables of the store.
const BESIDE: &str = "
CREATE TABLE copied (made_ms INTEGER NOT NULL) STRICT;
CREATE TABLE granted (name TEXT NOT NULL, version INTEGER NOT NULL, key_id TEXT NOT NULL, sealed BLOB NOT NULL,
                      ends_ms INTEGER, refused TEXT, changed_ms INTEGER NOT NULL) STRICT;
";

/// What is in a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// None: it is a store's own file, not one that was made as a copy.
    pub made_ms: Option<i64>,
    pub bytes: u64,
    pub events: u64,
    pub runs: u64,
    pub pending: u64,
    pub dead: u64,
    /// Connections whose sealed credentials are in it.
    pub connections: u64,
    /// After it is restored: tokens in force, of which nothing says whether they were revoked since.
    pub unsure: u64,
}

/// Writes a copy of the store in a folder to a file of mode 0600, also while another process writes to the store: all that
/// was durable when it began is in it.
///
/// A crash before it returns: the file has not its name yet, or is whole. What was there under its name stays until then.
///
/// # Errors
/// `Taken` when the file is there and may not be replaced; `Open`; `Full`.
pub fn back_up(folder: &Path, file: &Path, replace: bool, now_ms: i64) -> Result<Copied, Error> {
    open::check_library()?;
    let database = open::database(folder);
    if !database.is_file() {
        return Err(Error::Absent(folder.display().to_string()));
    }
    if file.exists() && !replace {
        return Err(Error::Taken(file.display().to_string()));
    }
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let of = |path: &Path| fs::canonicalize(path).map_err(|error| io(path, &error));
    if of(beside)? == of(folder)? {
        let why = format!("{} is in the data folder, and would be lost with it", file.display());
        return Err(Error::Copy(why));
    }
    let _one = open::lock_as(folder, LOCK)?;
    let part = named(file, ".part");
    let made = write_copy(folder, &database, &part, now_ms).and_then(|copied| {
        fs::rename(&part, file).map_err(|error| io(file, &error))?;
        modes::sync_folder(beside);
        Ok(copied)
    });
    if made.is_err() {
        remove(&part);
    }
    made.map_err(Error::while_opening)
}

fn write_copy(folder: &Path, database: &Path, part: &Path, now_ms: i64) -> Result<Copied, Error> {
    remove(part);
    open::make_private_file(part).map_err(|error| io(part, &error))?;
    let source = open::connect_file(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    if schema::version(&source)? == 0 {
        return Err(Error::Copy(format!("the store in {} is still empty", folder.display())));
    }
    source.execute("VACUUM INTO ?", [text(part)?])?;
    drop(source);
    let copy = open::connect_file(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    make_single(&copy)?;
    copy.execute_batch(BESIDE)?;
    copy.execute("INSERT INTO copied (made_ms) VALUES (?)", [now_ms])?;
    let granted = folder.join(credentials::FILE);
    if granted.is_file() {
        copy.execute("ATTACH ? AS vault", [text(&granted)?])?;
        copy.execute_batch(
            "INSERT INTO main.granted SELECT name, version, key_id, sealed, ends_ms, refused, changed_ms
             FROM vault.credentials; DETACH vault;",
        )?;
    }
    open::check_whole(&copy, "integrity_check")?;
    let copied = count(&copy)?;
    drop(copy);
    sync(part)?;
    Ok(Copied { bytes: length(part), ..copied })
}

/// Brings a copy into a folder that holds no store, and brings it up to date. What is there is moved aside if a name for that
/// is given, into a folder in the data folder.
///
/// A crash before it returns: the store that was there is there, or is whole in the folder aside; the copy is not touched.
///
/// # Errors
/// `InUse` when a process has the store; `Taken` when there is one; `Open` when the file is no copy, is damaged, or is of a
/// newer program.
pub fn restore(file: &Path, folder: &Path, aside: Option<&str>) -> Result<Copied, Error> {
    open::check_library()?;
    if !file.is_file() {
        return Err(Error::Copy(format!("there is no file {}", file.display())));
    }
    check_head(file)?;
    open::make_folder(folder).map_err(|error| io(folder, &error))?;
    let _lock = open::lock(folder)?;
    let is_there = files(folder)?.iter().any(|path| length(path) > 0);
    if is_there && aside.is_none() {
        return Err(Error::Taken(format!("a store in {}", folder.display())));
    }
    let part = folder.join(RESTORING);
    let ready = read_copy(file, &part, tokens_there(folder).as_deref()).map_err(|error| match error {
        Error::Lost(why) => Error::Copy(format!("{} is damaged ({why}); nothing was changed", file.display())),
        Error::Copy(why) | Error::Open(why) | Error::Failed(why) => {
            Error::Copy(format!("{}: {why}; nothing was changed", file.display()))
        }
        other => other.while_opening(),
    });
    let restored = ready.and_then(|(copied, granted)| {
        if let Some(name) = aside.filter(|_| is_there) {
            let aside = folder.join(format!("dovetail.{name}"));
            open::make_folder(&aside).map_err(|error| io(&aside, &error))?;
            // Listed now: looking at it may have made a log beside it, which is not the restored one's.
            for path in files(folder)? {
                let to = aside.join(path.file_name().unwrap_or_default());
                fs::rename(&path, &to).map_err(|error| io(&path, &error))?;
            }
        }
        give_back(folder, &granted)?;
        // Last: a folder without a database holds no store.
        fs::rename(&part, open::database(folder)).map_err(|error| io(&part, &error))?;
        modes::sync_folder(folder);
        Ok(copied)
    });
    if restored.is_err() {
        remove(&part);
    }
    restored
}

/// Whoever names another file by mistake has no data folder afterwards.
fn check_head(file: &Path) -> Result<(), Error> {
    let mut head = [0; MAGIC.len()];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if head == *MAGIC => Ok(()),
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(io(file, &error)),
        _ => {
            let told = format!("{} is damaged (file is not a database); nothing was changed", file.display());
            Err(Error::Copy(told + ". Give a file that `dovetail backup` has written"))
        }
    }
}

/// The files of a store, of its log and of its credentials; some may be empty.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_of_store = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [open::DATABASE, credentials::FILE].iter().any(|file| name.starts_with(file))
    };
    let entries = fs::read_dir(folder).map_err(|error| io(folder, &error))?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_of_store).collect())
}

type Granted = Vec<(String, i64, String, Vec<u8>, Option<i64>, Option<String>, i64)>;

/// Who may come in as the store says that is there; None: there is none, or it cannot be read.
fn tokens_there(folder: &Path) -> Option<Vec<KnownToken>> {
    let store = open::connect_file(&open::database(folder), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    Some(tokens::all(&store).ok()?.into_iter().map(KnownToken::from).collect())
}

/// A checked copy of the copy, of the present version, with what was granted taken out. It lets in whom the store that was there
/// does, as far as that is known, and nobody without signing in anew.
fn read_copy(file: &Path, part: &Path, there: Option<&[KnownToken]>) -> Result<(Copied, Granted), Error> {
    remove(part);
    open::make_private_file(part).map_err(|error| io(part, &error))?;
    fs::copy(file, part).map_err(|error| io(file, &error))?;
    modes::set(part, 0o600).map_err(|error| io(part, &error))?;
    let copy = open::connect_file(part, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let version = schema::version(&copy)?;
    if version == 0 {
        return Err(Error::Copy("it is empty".to_owned()));
    }
    make_single(&copy)?;
    open::check_whole(&copy, "integrity_check")?;
    let copied = count(&copy)?;
    schema::migrate(&copy, version)?;
    let granted = if has_table(&copy, "granted")? { granted(&copy)? } else { Granted::new() };
    let now_ms = now_ms();
    let unsure = match there {
        Some(known) => tokens::know(&copy, known, now_ms).map(|()| 0)?,
        None => tokens::all(&copy)?.iter().filter(|token| token.is_in_force(now_ms)).count() as u64,
    };
    open::can_shrink(&copy)?;
    copy.execute_batch("DELETE FROM sessions; DROP TABLE IF EXISTS granted; DROP TABLE IF EXISTS copied; VACUUM;")?;
    open::check_whole(&copy, "quick_check")?;
    drop(copy);
    sync(part)?;
    Ok((Copied { bytes: length(file), unsure, ..copied }, granted))
}

fn granted(copy: &Connection) -> Result<Granted, Error> {
    let mut select =
        copy.prepare("SELECT name, version, key_id, sealed, ends_ms, refused, changed_ms FROM granted ORDER BY name")?;
    let rows = select.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn give_back(folder: &Path, granted: &Granted) -> Result<(), Error> {
    if granted.is_empty() {
        return Ok(());
    }
    let mut vault = open::beside(folder, credentials::FILE)?;
    let change = vault.transaction()?;
    change.execute_batch(credentials::TABLES)?;
    let sql = "INSERT INTO credentials (name, version, key_id, sealed, ends_ms, refused, changed_ms)
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    for (name, version, key_id, sealed, ends_ms, refused, changed_ms) in granted {
        change.execute(sql, rusqlite::params![name, version, key_id, sealed, ends_ms, refused, changed_ms])?;
    }
    change.commit()?;
    Ok(())
}

fn count(copy: &Connection) -> Result<Copied, Error> {
    let number = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    let of = |status: &str| number(&format!("SELECT count(*) FROM runs WHERE status = '{status}'"));
    let is_copy = has_table(copy, "copied")?;
    Ok(Copied {
        made_ms: is_copy.then(|| copy.query_row("SELECT made_ms FROM copied", [], |row| row.get(0))).transpose()?,
        bytes: 0,
        events: number("SELECT count(*) FROM events")?,
        runs: number("SELECT count(*) FROM runs")?,
        pending: of("pending")?,
        dead: of("failed")?,
        connections: if is_copy { number("SELECT count(*) FROM granted")? } else { 0 },
        unsure: 0,
    })
}

fn has_table(copy: &Connection, name: &str) -> Result<bool, Error> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
    Ok(copy.query_row(sql, [name], |_| Ok(())).optional()?.is_some())
}

/// One file, without a log beside it.
fn make_single(copy: &Connection) -> Result<(), Error> {
    let mode: String = copy.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))?;
    match mode.as_str() {
        "delete" => Ok(()),
        other => Err(Error::Copy(format!("it keeps its log (mode `{other}`)"))),
    }
}

fn text(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::Copy(format!("the name {} is no text", path.display())))
}

fn named(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io(path, &error))
}

/// What was broken off before; there may be nothing.
fn remove(path: &Path) {
    for end in ["", "-journal", "-wal", "-shm"] {
        let _ = fs::remove_file(named(path, end));
    }
}

fn io(path: &Path, error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull => Error::Full,
        _ => Error::Copy(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_an_older_program_is_brought_up_to_date() {
        let folder = std::env::temp_dir().join(format!("dovetail-older-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (file, there) = (folder.join("copy"), folder.join("there"));
        for version in 1..=schema::MIGRATIONS.len() {
            let _ = fs::remove_file(&file);
            let _ = fs::remove_dir_all(&there);
            let older = Connection::open(&file).unwrap();
            schema::MIGRATIONS[..version].iter().for_each(|migration| older.execute_batch(migration).unwrap());
            let stamp = format!("PRAGMA application_id = {}; PRAGMA user_version = {version}", schema::APPLICATION_ID);
            older.execute_batch(&stamp).unwrap();
            older.execute("INSERT INTO cursors VALUES ('c', '7')", []).unwrap();
            drop(older);
            let copied = restore(&file, &there, None).unwrap();
            assert_eq!((copied.made_ms, copied.runs), (None, 0));
            let (connection, _lock) = open::for_writing(&there).unwrap();
            assert_eq!(schema::version(&connection), Ok(schema::VERSION));
            let kept: String = connection.query_row("SELECT value FROM cursors", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, "7", "version {version}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
