//! How much there is: what an operator watches. Each question is answered by an index, however much has piled up.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{Error, open};

/// What is in the store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Runs that are due or at work.
    pub due: u64,
    /// Runs that wait until an instant or for an event.
    pub waiting: u64,
    /// Since when the oldest of those that are due could go on, in milliseconds.
    pub oldest_due_ms: Option<i64>,
    pub dead: u64,
    pub database_bytes: u64,
    /// The write-ahead log.
    pub log_bytes: u64,
    /// Of the database: what is free to be written again.
    pub free_bytes: u64,
}

pub(super) fn measure(connection: &Connection, folder: &Path, now_ms: i64) -> Result<Measured, Error> {
    let number =
        |sql: &str| -> Result<i64, Error> { Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?) };
    let size = |path| fs::metadata(path).map_or(0, |file| file.len());
    let pending = number("SELECT count(*) FROM runs WHERE status = 'pending'")?;
    let parked = number("SELECT count(*) FROM runs WHERE parked = 1")?;
    let called = "SELECT count(*) FROM runs WHERE parked = 1 AND due_ms <= ?";
    let called: i64 = connection.prepare_cached(called)?.query_row([now_ms], |row| row.get(0))?;
    let free = number("PRAGMA freelist_count")?.saturating_mul(number("PRAGMA page_size")?);
    Ok(Measured {
        due: (pending - parked + called).cast_unsigned(),
        waiting: (parked - called).cast_unsigned(),
        oldest_due_ms: oldest_due(connection, now_ms)?,
        dead: number("SELECT count(*) FROM runs WHERE status = 'failed'")?.cast_unsigned(),
        database_bytes: size(open::database(folder)),
        log_bytes: size(open::log(folder)),
        free_bytes: free.cast_unsigned(),
    })
}

/// Among those that wait the first that is due; among the others the first that was accepted and does not pause.
fn oldest_due(connection: &Connection, now_ms: i64) -> Result<Option<i64>, Error> {
    let sql = "SELECT min(due) FROM (
                   SELECT min(due_ms) AS due FROM runs WHERE parked = 1 AND due_ms <= ?1
                   UNION ALL SELECT * FROM (
                       SELECT max(due_ms, created_ms) FROM runs
                       WHERE status = 'pending' AND seq NOT IN (SELECT seq FROM runs WHERE parked = 1) AND due_ms <= ?1
                       ORDER BY seq LIMIT 1))";
    Ok(connection.prepare_cached(sql)?.query_row([now_ms], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn what_waits_is_not_late_until_it_is_due() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        let lag = |now_ms| {
            let measured = measure(&connection, Path::new("/nowhere"), now_ms).unwrap();
            (measured.due, measured.waiting, measured.oldest_due_ms)
        };
        assert_eq!(lag(10), (0, 0, None));
        let run = |id: &str, status: &str, parked: bool, due_ms: i64, created_ms: i64| {
            let ended = (status != "pending").then_some(1);
            let sql = "INSERT INTO runs (id, workflow, order_key, plan, status, parked, due_ms, created_ms, ended_ms,
                       ending, journal_length) VALUES (?, 'w', '', '', ?, ?, ?, ?, ?, ?, 0)";
            connection
                .execute(sql, rusqlite::params![id, status, parked, due_ms, created_ms, ended, ended.map(|_| "")])
                .unwrap();
        };
        run("over", "completed", false, 0, 1);
        run("waits", "pending", true, 50, 2);
        run("pauses", "pending", false, 60, 3);
        run("late", "pending", false, 0, 7);
        run("later", "pending", false, 0, 8);
        assert_eq!(lag(10), (3, 1, Some(7)));
        connection.execute("DELETE FROM runs WHERE id LIKE 'late%'", []).unwrap();
        assert_eq!(lag(10), (1, 1, None));
        assert_eq!(lag(55), (2, 0, Some(50)));
        connection.execute("DELETE FROM runs WHERE id = 'waits'", []).unwrap();
        assert_eq!(lag(70), (1, 0, Some(60)));
    }
}
