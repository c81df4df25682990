//! What listeners tell, and who waits for it.
//!
//! A message counts for a run that was accepted before the run that left it.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;
use crate::run::{Correlation, Message, Received, Subscription};

/// A message as it will be written: the JSON is made before the writer's turn.
pub(super) struct Written {
    correlation: Correlation,
    record: String,
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        self.record.len()
    }
}

pub(super) fn write_down(message: &Message) -> Result<Written, Error> {
    Ok(Written { correlation: message.correlation.clone(), record: serde_json::to_string(&message.record)? })
}

/// Leaves a message, and calls the runs that are parked and wait for it: they are due at `at_ms`.
pub(super) fn leave(connection: &Connection, run: i64, message: &Written, at_ms: i64) -> Result<(), Error> {
    let of = &message.correlation;
    let sql = "INSERT INTO messages (listener, source, key, run, at_ms, record) VALUES (?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![of.listener, of.source, of.key, run, at_ms, message.record])?;
    let sql = "UPDATE runs SET due_ms = ?1 WHERE parked = 1 AND due_ms > ?1 AND seq < ?5 AND seq IN (
                   SELECT run FROM subscriptions WHERE listener = ?2 AND source = ?3 AND key = ?4)";
    connection.prepare_cached(sql)?.execute(params![at_ms, of.listener, of.source, of.key, run])?;
    Ok(())
}

/// Notes what a run that is being parked waits for. True if it need not: a message is there.
pub(super) fn subscribe(connection: &Connection, run: i64, waits: &[Subscription]) -> Result<bool, Error> {
    connection.prepare_cached("DELETE FROM subscriptions WHERE run = ?")?.execute([run])?;
    let mut is_called = false;
    for wait in waits {
        let of = &wait.correlation;
        let sql = "INSERT INTO subscriptions (run, listener, source, key, after) VALUES (?, ?, ?, ?, ?)";
        connection.prepare_cached(sql)?.execute(params![run, of.listener, of.source, of.key, wait.after])?;
        let sql = "SELECT EXISTS (SELECT 1 FROM messages
                   WHERE listener = ? AND source = ? AND key = ? AND ifnull(told_as, number) > ? AND run > ?)";
        is_called |= connection
            .prepare_cached(sql)?
            .query_row(params![of.listener, of.source, of.key, wait.after, run], |row| row.get::<_, bool>(0))?;
    }
    Ok(is_called)
}

/// The first message that a wait may receive.
pub(super) fn first(connection: &Connection, run: &str, wait: &Subscription) -> Result<Option<Received>, Error> {
    let sql = "SELECT ifnull(told_as, number), record FROM messages
               WHERE listener = ?1 AND source = ?2 AND key = ?3 AND ifnull(told_as, number) > ?4
               AND run > (SELECT seq FROM runs WHERE id = ?5)
               ORDER BY number LIMIT 1";
    let of = &wait.correlation;
    let found = connection
        .prepare_cached(sql)?
        .query_row(params![of.listener, of.source, of.key, wait.after, run], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    found.map(|(number, record)| Ok(Received { number, record: serde_json::from_str(&record)? })).transpose()
}
