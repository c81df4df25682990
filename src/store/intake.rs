//! Accepting events: once per (source, id), with the runs that they start.

use rusqlite::{Connection, params};

use super::{Accepted, Error, Intake, shelf};
use crate::run::Start;

/// An intake as it will be written: all JSON is made before the writer's turn.
pub(super) struct Written {
    source: String,
    id: String,
    received_ms: i64,
    body: String,
    runs: Vec<(Start, String)>,
}

pub(super) fn write_down(intake: Intake, received_ms: i64) -> Result<Written, Error> {
    let body = serde_json::to_string(&intake.event)?;
    let runs = intake.runs.into_iter().map(|start| serde_json::to_string(&start).map(|json| (start, json)));
    let runs = runs.collect::<Result<_, _>>()?;
    Ok(Written { source: intake.event.source, id: intake.event.id, received_ms, body, runs })
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.runs.iter().map(|(_, json)| json.len()).sum::<usize>()
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

fn accept_one(connection: &Connection, intake: &Written) -> Result<Accepted, Error> {
    let sql = "INSERT INTO events (source, id, received_ms, body) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let new =
        connection.prepare_cached(sql)?.execute(params![intake.source, intake.id, intake.received_ms, intake.body])?;
    if new == 0 {
        shelf::count(connection, "duplicates")?;
        return Ok(Accepted::Duplicate);
    }
    let sql =
        "INSERT INTO runs (id, workflow, tenant, order_key, plan, start, status, due_ms, created_ms, journal_length)
               VALUES (?, ?, ?, ?, ?, ?, 'pending', 0, ?, 0)";
    let mut insert = connection.prepare_cached(sql)?;
    for (start, json) in &intake.runs {
        insert.execute(params![
            start.id,
            start.workflow,
            start.tenant,
            start.order_key,
            start.plan,
            json,
            start.created_ms
        ])?;
    }
    Ok(Accepted::New)
}
