//! What workflows were last told of records: one row per workflow and record.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;
use crate::run::{Known, RecordRef, Told};

/// A copy as it will be written: the JSON is made before the writer's turn.
pub(super) struct Written {
    workflow: String,
    of: RecordRef,
    record: String,
    read_with: Option<String>,
    gone: bool,
    version: i64,
    told_ms: i64,
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        self.record.len()
    }
}

pub(super) fn write_down(told: &Told, told_ms: i64) -> Result<Written, Error> {
    Ok(Written {
        workflow: told.workflow.clone(),
        of: told.of.clone(),
        record: serde_json::to_string(&told.known.record)?,
        read_with: told.known.read_with.clone(),
        gone: told.known.gone,
        version: i64::try_from(told.known.version).unwrap_or(i64::MAX),
        told_ms,
    })
}

/// Keeps a copy over the one before. False if another than that is known.
pub(super) fn keep(connection: &Connection, told: &Written) -> Result<bool, Error> {
    let sql = "INSERT INTO known (workflow, connection, object, id, version, told_ms, gone, read_with, record)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
               WHERE ?5 = 1 OR EXISTS (SELECT 1 FROM known WHERE workflow = ?1 AND connection = ?2 AND object = ?3 AND id = ?4)
               ON CONFLICT (workflow, connection, object, id) DO UPDATE
               SET version = ?5, told_ms = ?6, gone = ?7, read_with = ?8, record = ?9 WHERE version = ?5 - 1";
    let kept = connection.prepare_cached(sql)?.execute(params![
        told.workflow,
        told.of.connection,
        told.of.object,
        told.of.id,
        told.version,
        told.told_ms,
        told.gone,
        told.read_with,
        told.record
    ])?;
    Ok(kept == 1)
}

/// Keeps a copy that somebody else keeps, unless a later one is here.
pub(super) fn copy(connection: &Connection, told: &Written) -> Result<(), Error> {
    let sql = "INSERT INTO known (workflow, connection, object, id, version, told_ms, gone, read_with, record)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
               ON CONFLICT (workflow, connection, object, id) DO UPDATE
               SET version = ?5, told_ms = ?6, gone = ?7, read_with = ?8, record = ?9 WHERE version < ?5";
    let Written { workflow, of, record, read_with, gone, version, told_ms } = told;
    connection.prepare_cached(sql)?.execute(params![
        workflow,
        of.connection,
        of.object,
        of.id,
        version,
        told_ms,
        gone,
        read_with,
        record
    ])?;
    Ok(())
}

/// Keeps a copy over whatever is here; one of version 0 is none.
pub(super) fn replace(connection: &Connection, told: &Written) -> Result<(), Error> {
    let of = &told.of;
    let sql = "DELETE FROM known WHERE workflow = ? AND connection = ? AND object = ? AND id = ? AND version <> ?";
    let key = params![told.workflow, of.connection, of.object, of.id, told.version];
    connection.prepare_cached(sql)?.execute(key)?;
    if told.version > 0 { copy(connection, told) } else { Ok(()) }
}

pub(super) fn find(connection: &Connection, workflow: &str, of: &RecordRef) -> Result<Option<Known>, Error> {
    let sql = "SELECT record, read_with, gone, version FROM known
               WHERE workflow = ? AND connection = ? AND object = ? AND id = ?";
    let mut select = connection.prepare_cached(sql)?;
    let row = select
        .query_row(params![workflow, of.connection, of.object, of.id], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?))
        })
        .optional()?;
    let Some((record, read_with, gone, version)) = row else { return Ok(None) };
    let version = u64::try_from(version).unwrap_or_default();
    Ok(Some(Known { record: serde_json::from_str(&record)?, read_with, gone, version }))
}
