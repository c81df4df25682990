//! What is kept elsewhere, as it is told: a copy for people to look at.

use rusqlite::Connection;

use super::{Asked, Error, Noted, intake, journal, pacts, shelf};
use crate::run::Start;

/// Who keeps the runs of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Whoever opens it.
    Own,
    /// A cluster: here is a copy.
    Cluster,
}

/// The cursor that says so.
const KEEPER: &str = "keeper";

pub(super) fn keeper(connection: &Connection) -> Result<Keeper, Error> {
    Ok(shelf::cursor(connection, KEEPER)?.map_or(Keeper::Own, |_| Keeper::Cluster))
}

/// It is a cluster's from now on. False: it has runs of its own.
pub(super) fn give_to_cluster(connection: &Connection) -> Result<bool, Error> {
    if keeper(connection)? == Keeper::Own && connection.prepare_cached("SELECT 1 FROM runs LIMIT 1")?.exists([])? {
        return Ok(false);
    }
    shelf::set_cursor(connection, KEEPER, "\"cluster\"")?;
    Ok(true)
}

pub(super) enum Written {
    Run { start: Option<intake::Written>, commit: Box<journal::Written> },
    Said(Box<Asked>),
}

impl Written {
    pub(super) fn of(noted: &Noted, now_ms: i64) -> Result<Written, Error> {
        match noted {
            Noted::Run { start, commit } => {
                let start = start.as_ref().map(|start| written(start, now_ms)).transpose()?;
                Ok(Written::Run { start, commit: Box::new(journal::write_down(commit, now_ms)?) })
            }
            Noted::Said(asked) => Ok(Written::Said(asked.clone())),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Written::Run { start, commit } => start.as_ref().map_or(0, intake::Written::bytes) + commit.bytes(),
            Written::Said(_) => 0,
        }
    }
}

fn written(start: &Start, now_ms: i64) -> Result<intake::Written, Error> {
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
        }
    }
    cursor.map_or(Ok(()), |(cursor, value)| shelf::set_cursor(connection, cursor, value))
}
