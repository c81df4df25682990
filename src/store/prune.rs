//! Forgetting on purpose: ended runs and the bodies of events, after their time.
//!
//! Dead letters stay until a person decides. Ids of events stay 30 days in any case: so long a copy is refused.

use rusqlite::{Connection, params};

use super::Error;

/// How long the id of an event is known at least.
pub(super) const REMEMBERED_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// How much longer the copy of a record is kept that no event was about.
const KNOWN_MS: i64 = 400 * 24 * 60 * 60 * 1_000;
/// Removed in one write, so that others get their turn.
const STRIDE: u32 = 256;

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
    pub(super) fn add(&mut self, other: Pruned) {
        self.runs += other.runs;
        self.bodies += other.bodies;
        self.ids += other.ids;
        self.copies += other.copies;
        self.messages += other.messages;
    }

    /// Did a stride find less than it may take of everything?
    pub(super) fn is_last(&self) -> bool {
        [self.runs, self.bodies, self.ids, self.copies, self.messages]
            .iter()
            .all(|removed| *removed < u64::from(STRIDE))
    }
}

/// One stride. Journals go with their runs.
pub(super) fn stride(connection: &Connection, before_ms: i64, forgotten_ms: i64) -> Result<Pruned, Error> {
    let change = |sql: &str, before: i64| -> Result<u64, Error> {
        Ok(connection.prepare_cached(sql)?.execute(params![before, STRIDE])? as u64)
    };
    Ok(Pruned {
        runs: change(
            "DELETE FROM runs WHERE seq IN (
                 SELECT seq FROM runs WHERE ended_ms < ? AND ended_ms IS NOT NULL AND status <> 'failed' LIMIT ?)",
            before_ms,
        )?,
        bodies: change(
            "UPDATE events SET body = NULL WHERE seq IN (
                 SELECT seq FROM events WHERE (body IS NULL) = 0 AND received_ms < ? LIMIT ?)",
            before_ms,
        )?,
        ids: change(
            "DELETE FROM events WHERE seq IN (
                 SELECT seq FROM events WHERE (body IS NULL) = 1 AND received_ms < ? LIMIT ?)",
            before_ms.min(forgotten_ms),
        )?,
        copies: copies(connection, before_ms.min(forgotten_ms))?,
        messages: messages(connection, forgotten_ms)?,
    })
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
