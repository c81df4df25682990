//! Forgetting on purpose: ended runs and the bodies of events, after their time.
//!
//! Dead letters stay until a person decides. Ids of events stay 30 days in any case: so long a copy is refused.

use rusqlite::{Connection, ToSql, params};

use super::Error;

/// How long the id of an event is known at least.
pub(super) const REMEMBERED_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// How much longer the copy of a record is kept that no event was about.
const KNOWN_MS: i64 = 400 * 24 * 60 * 60 * 1_000;
/// Removed in one write, so that others get their turn.
const STRIDE: u32 = 256;
/// Runs removed in one write: each may have a long journal.
const RUNS: u32 = 64;

/// Pages given back to the disk in one write: a MiB.
const PAGES: i64 = 256;
/// Pages that stay free in any case.
const SPARE: i64 = 1_024;
/// What `PRAGMA auto_vacuum` says of a file that can become smaller.
const INCREMENTAL: i64 = 2;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Pruned {
    /// With their journals.
    pub runs: u64,
    /// Bodies of events whose ids are still known.
    pub bodies: u64,
    /// Ids of events; a copy of these would be accepted as new.
    pub ids: u64,
    /// Copies of records that are gone, or that no event was about for more than a year.
    pub copies: u64,
    /// Messages that no run waits for any more.
    pub messages: u64,
}

impl Pruned {
    pub fn add(&mut self, other: Pruned) {
        self.runs += other.runs;
        self.bodies += other.bodies;
        self.ids += other.ids;
        self.copies += other.copies;
        self.messages += other.messages;
    }

    /// Did a stride find less than it may take of everything?
    pub fn is_last(&self) -> bool {
        let others = [self.bodies, self.ids, self.copies, self.messages];
        self.runs < u64::from(RUNS) && others.iter().all(|removed| *removed < u64::from(STRIDE))
    }
}

/// What is old enough to go.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    /// Runs that ended before it, in milliseconds.
    pub runs_ms: i64,
    /// Events that were received before it.
    pub events_ms: i64,
}

/// One stride. Journals go with their runs.
pub(super) fn stride(connection: &Connection, old: Old, forgotten_ms: i64) -> Result<Pruned, Error> {
    let take = |sql: &str, before: i64, most: u32| -> Result<u64, Error> {
        Ok(connection.prepare_cached(sql)?.execute(params![before, most])? as u64)
    };
    let change = |sql: &str, before: i64| take(sql, before, STRIDE);
    Ok(Pruned {
        runs: take(
            "DELETE FROM runs WHERE seq IN (
                 SELECT seq FROM runs WHERE ended_ms < ? AND ended_ms IS NOT NULL AND status <> 'failed'
                 ORDER BY ended_ms LIMIT ?)",
            old.runs_ms,
            RUNS,
        )?,
        bodies: bodies(connection, old.events_ms)?,
        ids: change(
            "DELETE FROM events WHERE seq IN (
                 SELECT seq FROM events WHERE (body IS NULL) = 1 AND received_ms < ? LIMIT ?)",
            old.events_ms.min(forgotten_ms),
        )?,
        copies: copies(connection, old.runs_ms.min(forgotten_ms))?,
        messages: messages(connection, forgotten_ms)?,
    })
}

/// What is left of an event is written anew: in its old place it would hold on to the room of its body.
fn bodies(connection: &Connection, before_ms: i64) -> Result<u64, Error> {
    let sql = "SELECT seq, source, id, received_ms FROM events WHERE (body IS NULL) = 0 AND received_ms < ? LIMIT ?";
    forget_bodies(connection, sql, params![before_ms, STRIDE])
}

/// The same for one event.
pub(super) fn forget_body(connection: &Connection, seq: i64) -> Result<u64, Error> {
    let sql = "SELECT seq, source, id, received_ms FROM events WHERE seq = ? AND body IS NOT NULL";
    forget_bodies(connection, sql, params![seq])
}

fn forget_bodies(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<u64, Error> {
    let mut select = connection.prepare_cached(sql)?;
    let left = select.query_map(values, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    })?;
    let left = left.collect::<Result<Vec<_>, _>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM events WHERE seq = ?")?;
    for (seq, ..) in &left {
        delete.execute([seq])?;
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO events (seq, source, id, received_ms) VALUES (?, ?, ?, ?)")?;
    for event in &left {
        insert.execute(params![event.0, event.1, event.2, event.3])?;
    }
    Ok(left.len() as u64)
}

/// The bytes of the database that hold something.
pub(super) fn used_bytes(connection: &Connection) -> Result<u64, Error> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
    Ok(pages.saturating_mul(number("page_size")?).cast_unsigned())
}

/// How many pages of the file are free beyond those that will be written anew soon: a quarter of what is in use, and
/// [`SPARE`]. None in a file of an earlier version, which cannot become smaller a little at a time.
pub(super) fn pages_to_give_back(connection: &Connection) -> Result<i64, Error> {
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (pages, free) = (number("page_count")?, number("freelist_count")?);
    let kept = (pages - free) / 4 + SPARE;
    Ok(if number("auto_vacuum")? == INCREMENTAL { (free - kept).max(0) } else { 0 })
}

/// Gives some of them back to the disk: the last pages of the file take the places of free ones. The file is cut when the
/// log is moved into it.
pub(super) fn give_back(connection: &Connection) -> Result<(), Error> {
    let pages = pages_to_give_back(connection)?.min(PAGES);
    // Each step gives back one page.
    let mut steps = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = steps.query([])?;
    while pages > 0 && rows.next()?.is_some() {}
    Ok(())
}

/// What has been over for longest, for one stride; None if nothing is over any more.
pub(super) fn oldest(connection: &Connection) -> Result<Option<Old>, Error> {
    let ends = |sql: &str, most: u32| -> Result<Option<i64>, Error> {
        Ok(connection.prepare_cached(sql)?.query_row([most], |row| row.get::<_, Option<i64>>(0))?)
    };
    let run = "SELECT max(ended_ms) FROM (SELECT ended_ms FROM runs
               WHERE ended_ms IS NOT NULL AND status <> 'failed' ORDER BY ended_ms LIMIT ?)";
    if let Some(run) = ends(run, RUNS)? {
        let before_ms = run.saturating_add(1);
        return Ok(Some(Old { runs_ms: before_ms, events_ms: before_ms }));
    }
    let event = "SELECT max(received_ms) FROM (SELECT received_ms FROM events
                 WHERE (body IS NULL) = 0 ORDER BY received_ms LIMIT ?)";
    Ok(ends(event, STRIDE)?.map(|event| Old { runs_ms: i64::MIN, events_ms: event.saturating_add(1) }))
}

fn copies(connection: &Connection, before_ms: i64) -> Result<u64, Error> {
    let sql = "DELETE FROM known WHERE (workflow, connection, object, id) IN (
                   SELECT workflow, connection, object, id FROM known
                   WHERE (gone = 1 AND told_ms < ?) OR (gone = 0 AND told_ms < ?) LIMIT ?)";
    let before_long_ms = before_ms.saturating_sub(KNOWN_MS);
    Ok(connection.prepare_cached(sql)?.execute(params![before_ms, before_long_ms, STRIDE])? as u64)
}

/// A run that is not over, or may be retried, may still come to a wait for what was told after it was accepted.
fn messages(connection: &Connection, forgotten_ms: i64) -> Result<u64, Error> {
    let sql = "DELETE FROM messages WHERE number IN (
                   SELECT number FROM messages
                   WHERE at_ms < ? OR run < (SELECT coalesce(min(seq), 9223372036854775807) FROM runs
                                             WHERE status IN ('pending', 'failed'))
                   LIMIT ?)";
    Ok(connection.prepare_cached(sql)?.execute(params![forgotten_ms, STRIDE])? as u64)
}
