//! What is here, page by page, for whoever moves it into a cluster.

use rusqlite::{Connection, params};
use serde_json::Value;

use super::follow::{self, KEEPER};
use super::{Error, Keeper, Run, Store, runs};
use crate::run::{Correlation, Known, RecordRef, Told};
use crate::sync::Pact;

/// Two records that a sync keeps alike, with what it knows of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Agreement {
    pub sync: String,
    pub tenant: Option<String>,
    pub pair: [RecordRef; 2],
    pub pact: Pact,
}

/// A message that a listener has left.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// In this store; pages are read by it.
    pub seq: i64,
    /// The number under which runs know it.
    pub number: i64,
    pub correlation: Correlation,
    /// The listener's run; where that is forgotten, an id that is right after the one before it.
    pub run: String,
    pub record: Value,
}

/// The cursor that says under which name what is here was moved last.
pub(super) const MOVED: &str = "moved";

impl Store {
    /// From now on somebody else keeps the runs.
    ///
    /// A crash before it returns: whoever kept them before.
    pub async fn set_keeper(&self, keeper: Keeper) -> Result<(), Error> {
        self.write(move |connection| follow::set_keeper(connection, keeper)).await
    }

    /// Under which name what is here was moved last.
    pub async fn moved_as(&self) -> Result<Option<String>, Error> {
        Ok(self.cursor(MOVED).await?.and_then(|name| name.as_str().map(str::to_owned)))
    }

    pub async fn set_moved_as(&self, name: &str) -> Result<(), Error> {
        self.set_cursor(MOVED, name.into()).await
    }

    /// How far things were read, apart from what is of this folder alone.
    pub async fn cursors(&self) -> Result<Vec<(String, Value)>, Error> {
        self.read(cursors).await
    }

    /// The version of the project that was the present one last.
    pub async fn last_plan(&self) -> Result<Option<String>, Error> {
        self.read(|connection| {
            let sql = "SELECT hash FROM plans ORDER BY kept_ms DESC LIMIT 1";
            Ok(connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.next().transpose()?)
        })
        .await
    }

    /// What workflows were told of records, after one of them.
    pub async fn told_after(&self, after: Option<Told>, limit: i64) -> Result<Vec<Told>, Error> {
        self.read(move |connection| told(connection, after.as_ref(), limit)).await
    }

    /// What syncs have agreed on, after one of them.
    pub async fn agreements_after(&self, after: Option<Agreement>, limit: i64) -> Result<Vec<Agreement>, Error> {
        self.read(move |connection| agreements(connection, after.as_ref(), limit)).await
    }

    pub async fn messages_after(&self, seq: i64, limit: i64) -> Result<Vec<Left>, Error> {
        self.read(move |connection| messages(connection, seq, limit)).await
    }

    /// Runs that are not over, and dead letters, in the order of acceptance; each with whether it waits.
    pub async fn unfinished_after(&self, seq: i64, limit: i64) -> Result<Vec<(Run, bool)>, Error> {
        self.read(move |connection| runs::unfinished(connection, seq, limit)).await
    }

    /// Runs that were accepted since an instant, in that order.
    pub async fn accepted_after(&self, seq: i64, since_ms: i64, limit: i64) -> Result<Vec<Run>, Error> {
        self.read(move |connection| runs::accepted(connection, seq, since_ms, limit)).await
    }

    /// How many events came since an instant.
    pub async fn count_events(&self, since_ms: i64) -> Result<u64, Error> {
        self.read(move |connection| {
            let sql = "SELECT count(*) FROM events WHERE received_ms >= ?";
            let count: i64 = connection.prepare_cached(sql)?.query_row([since_ms], |row| row.get(0))?;
            Ok(count.cast_unsigned())
        })
        .await
    }
}

fn cursors(connection: &Connection) -> Result<Vec<(String, Value)>, Error> {
    let sql = "SELECT name, value FROM cursors WHERE name NOT IN (?, ?) AND name NOT GLOB 'feed:*'
               AND name NOT GLOB 'drift:*' ORDER BY name";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([KEEPER, MOVED])?;
    let mut cursors = Vec::new();
    while let Some(row) = rows.next()? {
        cursors.push((row.get(0)?, serde_json::from_str(&row.get::<_, String>(1)?)?));
    }
    Ok(cursors)
}

fn record(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<RecordRef> {
    Ok(RecordRef { connection: row.get(at)?, object: row.get(at + 1)?, id: row.get(at + 2)? })
}

fn told(connection: &Connection, after: Option<&Told>, limit: i64) -> Result<Vec<Told>, Error> {
    let sql = "SELECT workflow, connection, object, id, version, gone, read_with, record FROM known
               WHERE (workflow, connection, object, id) > (?, ?, ?, ?)
               ORDER BY workflow, connection, object, id LIMIT ?";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = match after {
        Some(Told { workflow, of, .. }) => select.query(params![workflow, of.connection, of.object, of.id, limit])?,
        None => select.query(params!["", "", "", "", limit])?,
    };
    let mut told = Vec::new();
    while let Some(row) = rows.next()? {
        let version = u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default();
        let record = serde_json::from_str(&row.get::<_, String>(7)?)?;
        let known = Known { record, read_with: row.get(6)?, gone: row.get(5)?, version };
        told.push(Told { workflow: row.get(0)?, of: self::record(row, 1)?, known });
    }
    Ok(told)
}

fn agreements(connection: &Connection, after: Option<&Agreement>, limit: i64) -> Result<Vec<Agreement>, Error> {
    let sql = "SELECT sync, tenant, connection, object, id, other_connection, other_object, other_id, pact FROM pacts
               WHERE (sync, tenant, connection, object, id) > (?, ?, ?, ?, ?)
               ORDER BY sync, tenant, connection, object, id LIMIT ?";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = match after {
        Some(Agreement { sync, tenant, pair: [of, _], .. }) => {
            let tenant = tenant.as_deref().unwrap_or_default();
            select.query(params![sync, tenant, of.connection, of.object, of.id, limit])?
        }
        None => select.query(params!["", "", "", "", "", limit])?,
    };
    let mut agreements = Vec::new();
    while let Some(row) = rows.next()? {
        let tenant = Some(row.get(1)?).filter(|tenant: &String| !tenant.is_empty());
        let pact = serde_json::from_str(&row.get::<_, String>(8)?)?;
        agreements.push(Agreement { sync: row.get(0)?, tenant, pair: [record(row, 2)?, record(row, 5)?], pact });
    }
    Ok(agreements)
}

fn messages(connection: &Connection, seq: i64, limit: i64) -> Result<Vec<Left>, Error> {
    // `~` comes after all that an id may hold.
    let sql = "SELECT number, ifnull(told_as, number), listener, source, key, record, ifnull(
                   (SELECT id FROM runs WHERE seq = messages.run),
                   ifnull((SELECT id || '~' FROM runs WHERE seq < messages.run ORDER BY seq DESC LIMIT 1), ''))
               FROM messages WHERE number > ? ORDER BY number LIMIT ?";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([seq, limit])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(Left {
            seq: row.get(0)?,
            number: row.get(1)?,
            correlation: Correlation { listener: row.get(2)?, source: row.get(3)?, key: row.get(4)? },
            record: serde_json::from_str(&row.get::<_, String>(5)?)?,
            run: row.get(6)?,
        });
    }
    Ok(messages)
}
