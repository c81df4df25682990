//! What connections were granted: sealed, and shared by all processes of a data folder.
//!
//! A file of its own beside the store, since several processes may use and renew one credential, while only one has the
//! store. Who renews takes a lease first; what is written goes over exactly the version that the lease was taken for.

use std::path::Path;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Error, open};

pub(super) const FILE: &str = "dovetail.credentials.sqlite3";

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS credentials (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    ends_ms INTEGER,
    refused TEXT,
    changed_ms INTEGER NOT NULL,
    lease TEXT,
    lease_ends_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
";

/// A credential as it is kept. What it says only those who have the key know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Grows by one with each change; the seal is bound to it.
    pub version: u64,
    pub key_id: String,
    pub bytes: Vec<u8>,
    /// When it ends by itself (milliseconds).
    pub ends_ms: Option<i64>,
    /// Why the vendor does not renew it any more: a person must connect again.
    pub refused: Option<String>,
    pub changed_ms: i64,
}

impl Sealed {
    /// Nothing is left of it but that it was there.
    pub fn is_erased(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The credentials of a data folder. Short, blocking calls.
pub struct Credentials {
    connection: Mutex<Connection>,
}

impl Credentials {
    /// # Errors
    /// `Open`: the folder or its file cannot be used.
    pub fn open(folder: &Path) -> Result<Credentials, Error> {
        let connection = open::beside(folder, FILE)?;
        connection.execute_batch(TABLES)?;
        Ok(Credentials { connection: Mutex::new(connection) })
    }

    /// None: there are none.
    ///
    /// # Errors
    /// As [`Credentials::open`].
    pub fn open_if_any(folder: &Path) -> Result<Option<Credentials>, Error> {
        folder.join(FILE).exists().then(|| Credentials::open(folder)).transpose()
    }

    pub fn get(&self, name: &str) -> Result<Option<Sealed>, Error> {
        Ok(self.last(name)?.filter(|sealed| !sealed.is_erased()))
    }

    /// The same, also if it was erased: that is a version of its own, so that others with a copy learn of it.
    pub fn last(&self, name: &str) -> Result<Option<Sealed>, Error> {
        let connection = self.connection.lock();
        let sql = "SELECT version, key_id, sealed, ends_ms, refused, changed_ms FROM credentials WHERE name = ?";
        Ok(connection.prepare_cached(sql)?.query_row([name], sealed).optional()?)
    }

    /// The version that is there, or was erased; 0: there never was one.
    pub fn version(&self, name: &str) -> Result<u64, Error> {
        Ok(self.last(name)?.map_or(0, |sealed| sealed.version))
    }

    /// All, by name.
    pub fn list(&self) -> Result<Vec<(String, Sealed)>, Error> {
        Ok(self.lasts()?.into_iter().filter(|(_, sealed)| !sealed.is_erased()).collect())
    }

    /// The same, also those that were erased.
    pub fn lasts(&self) -> Result<Vec<(String, Sealed)>, Error> {
        let connection = self.connection.lock();
        let sql = "SELECT version, key_id, sealed, ends_ms, refused, changed_ms, name FROM credentials ORDER BY name";
        let mut select = connection.prepare_cached(sql)?;
        let rows = select.query_map([], |row| Ok((row.get(6)?, sealed(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keeps a credential as the version after `before` (0: the first). False if another is there by now, or if somebody
    /// else has the lease since.
    pub fn put(&self, name: &str, before: u64, next: &Sealed, lease: Option<&str>) -> Result<bool, Error> {
        let mut connection = self.connection.lock();
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "SELECT version, lease FROM credentials WHERE name = ?";
        let known: Option<(i64, Option<String>)> =
            change.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (version, holder) = known.unwrap_or_default();
        if version.cast_unsigned() != before || (lease.is_some() && holder.as_deref() != lease) {
            return Ok(false);
        }
        let sql = "INSERT INTO credentials (name, version, key_id, sealed, ends_ms, changed_ms) VALUES (?, ?, ?, ?, ?, ?)
                   ON CONFLICT DO UPDATE SET version = excluded.version, key_id = excluded.key_id, sealed = excluded.sealed,
                   ends_ms = excluded.ends_ms, changed_ms = excluded.changed_ms, refused = NULL, lease = NULL, lease_ends_ms = 0";
        change.execute(
            sql,
            params![name, next.version.cast_signed(), next.key_id, next.bytes, next.ends_ms, next.changed_ms],
        )?;
        change.commit()?;
        Ok(true)
    }

    /// Keeps a credential that is kept elsewhere, over whatever is here.
    pub fn copy(&self, name: &str, next: &Sealed) -> Result<(), Error> {
        let sql = "INSERT INTO credentials (name, version, key_id, sealed, ends_ms, refused, changed_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT DO UPDATE SET version = excluded.version, key_id = excluded.key_id, sealed = excluded.sealed,
                   ends_ms = excluded.ends_ms, refused = excluded.refused, changed_ms = excluded.changed_ms, lease = NULL,
                   lease_ends_ms = 0";
        let Sealed { version, key_id, bytes, ends_ms, refused, changed_ms } = next;
        self.change(sql, params![name, version.cast_signed(), key_id, bytes, ends_ms, refused, changed_ms])?;
        Ok(())
    }

    /// Takes the lease to renew this version, for a time. False if somebody else has it, or it is not the version any more.
    pub fn lease(&self, name: &str, version: u64, lease: &str, now_ms: i64, until_ms: i64) -> Result<bool, Error> {
        let sql = "UPDATE credentials SET lease = ?3, lease_ends_ms = ?5
                   WHERE name = ?1 AND version = ?2 AND refused IS NULL AND lease_ends_ms <= ?4";
        let taken = self.change(sql, params![name, version.cast_signed(), lease, now_ms, until_ms])?;
        Ok(taken == 1)
    }

    /// Gives a lease back.
    pub fn release(&self, name: &str, lease: &str) -> Result<(), Error> {
        let sql = "UPDATE credentials SET lease = NULL, lease_ends_ms = 0 WHERE name = ? AND lease = ?";
        self.change(sql, params![name, lease])?;
        Ok(())
    }

    /// The vendor does not renew this version. False if it is not the version any more.
    pub fn refuse(&self, name: &str, version: u64, why: &str) -> Result<bool, Error> {
        let sql =
            "UPDATE credentials SET refused = ?3, lease = NULL, lease_ends_ms = 0 WHERE name = ?1 AND version = ?2";
        Ok(self.change(sql, params![name, version.cast_signed(), why])? == 1)
    }

    /// Erases it, also from the pages of the file. False if there is none.
    pub fn erase(&self, name: &str) -> Result<bool, Error> {
        let sql =
            "UPDATE credentials SET version = version + 1, key_id = '', sealed = x'', ends_ms = NULL, refused = NULL,
                   lease = NULL, lease_ends_ms = 0 WHERE name = ? AND length(sealed) > 0";
        Ok(self.change(sql, params![name])? == 1)
    }

    fn change(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<usize, Error> {
        Ok(self.connection.lock().prepare_cached(sql)?.execute(values)?)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

fn sealed(row: &rusqlite::Row<'_>) -> rusqlite::Result<Sealed> {
    Ok(Sealed {
        version: row.get::<_, i64>(0)?.cast_unsigned(),
        key_id: row.get(1)?,
        bytes: row.get(2)?,
        ends_ms: row.get(3)?,
        refused: row.get(4)?,
        changed_ms: row.get(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(version: u64) -> Sealed {
        let (key_id, bytes) = ("k".to_owned(), vec![1]);
        Sealed { version, key_id, bytes, ends_ms: Some(5), refused: None, changed_ms: 1 }
    }

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("dovetail-credentials-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn one_of_two_renews_and_what_is_late_is_not_written() {
        let folder = folder("lease");
        let (one, two) = (Credentials::open(&folder).unwrap(), Credentials::open(&folder).unwrap());
        assert!(one.put("a", 0, &sealed(1), None).unwrap());
        assert!(!two.put("a", 0, &sealed(1), None).unwrap());
        assert!(one.lease("a", 1, "one", 10, 20).unwrap());
        assert!(!two.lease("a", 1, "two", 19, 30).unwrap());
        assert!(two.lease("a", 1, "two", 20, 30).unwrap(), "a lease ends");
        assert!(!one.put("a", 1, &sealed(2), Some("one")).unwrap(), "who was too slow is fenced off");
        assert!(two.put("a", 1, &sealed(2), Some("two")).unwrap());
        assert_eq!(one.get("a").unwrap(), Some(sealed(2)));
        assert!(!one.lease("a", 1, "one", 50, 60).unwrap(), "not this version any more");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_refused_stays_so_until_it_is_replaced() {
        let folder = folder("refused");
        let all = Credentials::open(&folder).unwrap();
        assert!(all.put("a", 0, &sealed(1), None).unwrap());
        assert!(!all.refuse("a", 2, "gone").unwrap());
        assert!(all.refuse("a", 1, "gone").unwrap());
        assert_eq!(all.get("a").unwrap().unwrap().refused.as_deref(), Some("gone"));
        assert!(!all.lease("a", 1, "one", 10, 20).unwrap());
        assert!(all.put("a", 1, &sealed(2), None).unwrap());
        assert_eq!(all.list().unwrap(), [("a".to_owned(), sealed(2))]);
        assert!(all.erase("a").unwrap() && !all.erase("a").unwrap());
        assert_eq!((all.get("a").unwrap(), all.version("a").unwrap()), (None, 3));
        assert!(!all.put("a", 0, &sealed(1), None).unwrap(), "who has not heard of it is too late");
        assert!(all.put("a", 3, &sealed(4), None).unwrap());
        assert_eq!(all.list().unwrap(), [("a".to_owned(), sealed(4))]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
