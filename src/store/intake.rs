//! Accepting events: once per (source, connection, id), with the runs that they start.

use std::collections::HashSet;

use rusqlite::{Connection, params};
use serde_json::value::{RawValue, to_raw_value};

use super::{Accepted, Error, Intake, shelf};
use crate::run::Start;
use crate::trigger::Event;

/// An intake as it will be written: all JSON is made before the writer's turn.
pub(super) struct Written {
    source: String,
    id: String,
    received_ms: i64,
    body: Box<str>,
    runs: Vec<Row>,
}

/// A run's.
struct Row {
    id: String,
    workflow: String,
    tenant: Option<String>,
    order_key: String,
    plan: String,
    record: Option<String>,
    parent: Option<String>,
    start: String,
    created_ms: i64,
}

pub(super) fn write_down(intake: &Intake, received_ms: i64) -> Result<Written, Error> {
    let body = to_raw_value(&intake.event)?;
    Ok(Written {
        source: source(&intake.event.source, intake.event.connection.as_deref()),
        id: intake.event.id.clone(),
        received_ms,
        runs: intake.runs.iter().map(|run| row(run, &intake.event, &body)).collect::<Result<_, _>>()?,
        body: body.into(),
    })
}

/// What two accounts of one source tell is not the same, even where their ids are.
fn source(source: &str, connection: Option<&str>) -> String {
    connection.map_or_else(|| source.to_owned(), |connection| format!("{source}:{connection}"))
}

/// `text` is that of the event: most runs are about it as it is.
fn row(run: &Start, event: &Event, text: &RawValue) -> Result<Row, Error> {
    let start = match run.event == *event {
        true => serde_json::to_string(&run.about(text))?,
        false => serde_json::to_string(run)?,
    };
    Ok(Row {
        id: run.id.clone(),
        workflow: run.workflow.clone(),
        tenant: run.tenant.clone(),
        order_key: run.order_key.clone(),
        plan: run.plan.clone(),
        record: run.event.record_id.clone(),
        parent: run.event.parent_id.clone(),
        start,
        created_ms: run.created_ms,
    })
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.runs.iter().map(|run| run.start.len()).sum::<usize>()
    }
}

pub(super) fn accept(
    connection: &Connection,
    intakes: &[Written],
    cursors: &[(String, String)],
) -> Result<Vec<Accepted>, Error> {
    let accepted = intakes.iter().map(|intake| accept_one(connection, intake)).collect::<Result<_, _>>()?;
    for (key, value) in cursors {
        shelf::set_cursor(connection, key, value)?;
    }
    Ok(accepted)
}

/// Which of these ids of events of a source, and of an account, are known.
pub(super) fn known(
    connection: &Connection,
    (of, account): (&str, &str),
    ids: Vec<String>,
) -> Result<HashSet<String>, Error> {
    let source = source(of, Some(account));
    let mut select = connection.prepare_cached("SELECT 1 FROM events WHERE source = ? AND id = ?")?;
    let mut known = HashSet::new();
    for id in ids {
        if select.exists(params![source, id])? {
            known.insert(id);
        }
    }
    Ok(known)
}

fn accept_one(connection: &Connection, intake: &Written) -> Result<Accepted, Error> {
    let sql = "INSERT INTO events (source, id, received_ms, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let new =
        connection.prepare_cached(sql)?.execute(params![intake.source, intake.id, intake.received_ms, intake.body])?;
    if new == 0 {
        shelf::count(connection, "duplicates", 1)?;
        return Ok(Accepted::Duplicate);
    }
    intake.runs.iter().try_for_each(|run| keep_run(connection, run))?;
    Ok(Accepted::New)
}

/// Keeps what somebody else has accepted, if it is not here yet.
pub(super) fn copy(connection: &Connection, intake: &Written) -> Result<(), Error> {
    let sql = "INSERT INTO events (source, id, received_ms, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![intake.source, intake.id, intake.received_ms, intake.body])?;
    // One that would be refused for its id would use up a number all the same.
    let mut known = connection.prepare_cached("SELECT 1 FROM runs WHERE id = ?")?;
    for run in &intake.runs {
        if !known.exists([&run.id])? {
            keep_run(connection, run)?;
        }
    }
    Ok(())
}

fn keep_run(connection: &Connection, run: &Row) -> Result<(), Error> {
    let sql = "INSERT INTO runs (id, workflow, tenant, order_key, plan, record, parent, status, due_ms, created_ms, journal_length)
               VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 0, ?, 0)";
    let Row { id, workflow, tenant, order_key, plan, record, parent, start, created_ms } = run;
    let mut insert = connection.prepare_cached(sql)?;
    insert.execute(params![id, workflow, tenant, order_key, plan, record, parent, created_ms])?;
    let sql = "INSERT INTO starts (run, start) VALUES (?, ?)";
    connection.prepare_cached(sql)?.execute(params![connection.last_insert_rowid(), start])?;
    Ok(())
}
