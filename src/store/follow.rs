//! What is kept elsewhere, as it is told: a copy for people to look at.

use rusqlite::Connection;
use serde_json::Value;

use super::{Asked, Deed, Error, Noted, intake, journal, pacts, shelf, tokens};
use crate::run::Start;

/// Who keeps the runs of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Whoever opens it.
    Own,
    /// A cluster: here is a copy.
    Cluster,
    /// Nobody: what is here is being moved into a cluster, and that has not ended yet.
    Moving,
}

/// The cursor that says so.
pub(super) const KEEPER: &str = "keeper";
const CLUSTER: &str = "cluster";
const MOVING: &str = "moving";

pub(super) fn keeper(connection: &Connection) -> Result<Keeper, Error> {
    Ok(match shelf::cursor(connection, KEEPER)?.as_ref().and_then(Value::as_str) {
        None => Keeper::Own,
        Some(MOVING) => Keeper::Moving,
        Some(_) => Keeper::Cluster,
    })
}

/// Somebody else keeps the runs from now on.
pub(super) fn set_keeper(connection: &Connection, keeper: Keeper) -> Result<(), Error> {
    let word = match keeper {
        Keeper::Own => return shelf::forget_cursor(connection, KEEPER),
        Keeper::Cluster => CLUSTER,
        Keeper::Moving => MOVING,
    };
    shelf::set_cursor(connection, KEEPER, &Value::from(word).to_string())
}

/// It is a cluster's from now on. False: it has runs of its own.
pub(super) fn give_to_cluster(connection: &Connection) -> Result<bool, Error> {
    let is_free = match keeper(connection)? {
        Keeper::Own => !connection.prepare_cached("SELECT 1 FROM runs LIMIT 1")?.exists([])?,
        Keeper::Cluster => true,
        Keeper::Moving => false,
    };
    if is_free {
        set_keeper(connection, Keeper::Cluster)?;
    }
    Ok(is_free)
}

pub(super) enum Written {
    Run { start: Option<intake::Written>, commit: Box<journal::Written> },
    Said(Box<Asked>),
    Done(Box<Deed>),
}

impl Written {
    pub(super) fn of(noted: &Noted, now_ms: i64) -> Result<Written, Error> {
        match noted {
            Noted::Run { start, commit } => {
                let start = start.as_ref().map(|start| written(start, now_ms)).transpose()?;
                Ok(Written::Run { start, commit: Box::new(journal::write_down(commit, now_ms)?) })
            }
            Noted::Said(asked) => Ok(Written::Said(asked.clone())),
            Noted::Done(deed) => Ok(Written::Done(deed.clone())),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Written::Run { start, commit } => start.as_ref().map_or(0, intake::Written::bytes) + commit.bytes(),
            Written::Said(_) | Written::Done(_) => 0,
        }
    }
}

pub(super) fn written(start: &Start, now_ms: i64) -> Result<intake::Written, Error> {
    let runs = vec![start.clone()];
    intake::write_down(&super::Intake { event: start.event.clone(), runs }, now_ms)
}

/// What was told already is left as it is.
pub(super) fn follow(
    connection: &Connection,
    notes: &[Written],
    cursor: Option<&(String, String)>,
) -> Result<(), Error> {
    for written in notes {
        match written {
            Written::Run { start, commit } => {
                start.iter().try_for_each(|start| intake::copy(connection, start))?;
                journal::copy(connection, commit)?;
            }
            Written::Said(asked) => pacts::say(connection, asked)?,
            Written::Done(deed) => tokens::copy(connection, deed)?,
        }
    }
    cursor.map_or(Ok(()), |(cursor, value)| shelf::set_cursor(connection, cursor, value))
}
