//! Events that are kept whole, to be replayed.

use rusqlite::{Connection, named_params};

use super::Error;
use crate::trigger::Event;

/// Which of the events that are kept whole: those of connections and of webhooks that are a workflow's own. What a schedule, a
/// person or a run has brought about is not among them, nor is a replay, nor what one workflow alone was told of the past, or one
/// sync of what it has found.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wanted {
    /// Received at this instant or later, and before that one, in milliseconds.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    pub connection: Option<String>,
    /// The id of the record that it is about, or of that record's parent.
    pub record: Option<String>,
}

// Most bodies do not hold the id: these need not be read.
const WANTED: &str = "FROM events WHERE body IS NOT NULL AND (:record IS NULL OR instr(body, json_quote(:record)) > 0)
    AND (body ->> '$.replay_of') IS NULL
    AND (body ->> '$.connection' IS NOT NULL OR source LIKE '/%') AND body ->> '$.source' <> 'backfill'
    AND body ->> '$.source' NOT LIKE 'sync %'
    AND (:since IS NULL OR received_ms >= :since) AND (:until IS NULL OR received_ms < :until)
    AND (:connection IS NULL OR body ->> '$.connection' = :connection)
    AND (:record IS NULL OR body ->> '$.record_id' = :record OR body ->> '$.parent_id' = :record)";

/// Those after a number, in the order in which they came.
pub(super) fn page(
    connection: &Connection,
    wanted: &Wanted,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, Event)>, Error> {
    let sql = format!("SELECT seq, body {WANTED} AND seq > :after ORDER BY seq LIMIT :limit");
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query(named_params! {
        ":since": wanted.since_ms, ":until": wanted.until_ms, ":connection": wanted.connection,
        ":record": wanted.record, ":after": after, ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
    })?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        events.push((row.get(0)?, serde_json::from_str(body)?));
    }
    Ok(events)
}

pub(super) fn count(connection: &Connection, wanted: &Wanted) -> Result<u64, Error> {
    let mut select = connection.prepare_cached(&format!("SELECT count(*) {WANTED}"))?;
    let number = select.query_row(
        named_params! {
            ":since": wanted.since_ms, ":until": wanted.until_ms, ":connection": wanted.connection,
            ":record": wanted.record,
        },
        |row| row.get::<_, i64>(0),
    )?;
    Ok(number.cast_unsigned())
}
