//! Small things kept by name: cursors, plans, counters.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;

pub(super) fn set_cursor(connection: &Connection, key: &str, value: &str) -> Result<(), Error> {
    let sql = "INSERT INTO cursors (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute([key, value])?;
    Ok(())
}

pub(super) fn forget_cursor(connection: &Connection, key: &str) -> Result<(), Error> {
    connection.prepare_cached("DELETE FROM cursors WHERE name = ?")?.execute([key])?;
    Ok(())
}

pub(super) fn cursor(connection: &Connection, key: &str) -> Result<Option<serde_json::Value>, Error> {
    let mut select = connection.prepare_cached("SELECT value FROM cursors WHERE name = ?")?;
    let json: Option<String> = select.query_row([key], |row| row.get(0)).optional()?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

/// The hash names the content, so what is kept is never replaced.
pub(super) fn keep_plan(connection: &Connection, hash: &str, documents: &str, now_ms: i64) -> Result<(), Error> {
    let sql = "INSERT INTO plans (hash, documents, kept_ms) VALUES (?, ?, ?)
               ON CONFLICT DO UPDATE SET kept_ms = excluded.kept_ms";
    connection.prepare_cached(sql)?.execute(params![hash, documents, now_ms])?;
    Ok(())
}

/// Versions that were kept before an instant and with which no run began.
pub(super) fn unused_plans(connection: &Connection, before_ms: i64) -> Result<Vec<String>, Error> {
    let sql = "SELECT hash FROM plans WHERE kept_ms < ? AND hash NOT IN (SELECT plan FROM runs)";
    let mut select = connection.prepare_cached(sql)?;
    let hashes = select.query_map([before_ms], |row| row.get(0))?;
    Ok(hashes.collect::<Result<_, _>>()?)
}

pub(super) fn forget_plans(connection: &Connection, hashes: &[String]) -> Result<(), Error> {
    let mut delete = connection.prepare_cached("DELETE FROM plans WHERE hash = ?")?;
    hashes.iter().try_for_each(|hash| delete.execute([hash]).map(drop))?;
    Ok(())
}

pub(super) fn plan(connection: &Connection, hash: &str) -> Result<Option<Vec<(String, String)>>, Error> {
    let mut select = connection.prepare_cached("SELECT documents FROM plans WHERE hash = ?")?;
    let json: Option<String> = select.query_row([hash], |row| row.get(0)).optional()?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}

pub(super) fn count(connection: &Connection, name: &str, more: usize) -> Result<(), Error> {
    let sql =
        "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value";
    connection.prepare_cached(sql)?.execute(params![name, i64::try_from(more).unwrap_or(i64::MAX)])?;
    Ok(())
}

pub(super) fn counted(connection: &Connection, name: &str) -> Result<u64, Error> {
    let mut select = connection.prepare_cached("SELECT value FROM counters WHERE name = ?")?;
    Ok(select.query_row([name], |row| row.get::<_, i64>(0)).optional()?.map_or(0, i64::cast_unsigned))
}
