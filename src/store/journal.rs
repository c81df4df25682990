//! A run's journal: grown by whole decisions, never changed. A decision is one row, however many lines it has.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Commit, Error, Status, intake, known, links, messages, pacts};
use crate::run::{Ending, Entry, Fact, Kept, Subscription};

/// A decision as it will be written: all JSON is made before the writer's turn.
pub(super) struct Written {
    run: String,
    length: i64,
    lines: Lines,
    due_ms: i64,
    parked: bool,
    subscriptions: Vec<Subscription>,
    messages: Vec<messages::Written>,
    at_ms: i64,
    ending: Option<Ended>,
    pairs: Kept,
    told: Option<known::Written>,
    synced: Vec<pacts::Written>,
    intakes: Vec<intake::Written>,
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        let told = self.told.as_ref().map_or(0, known::Written::bytes);
        let messages: usize = self.messages.iter().map(messages::Written::bytes).sum();
        let synced: usize = self.synced.iter().map(pacts::Written::bytes).sum();
        let intakes: usize = self.intakes.iter().map(intake::Written::bytes).sum();
        self.lines.text.len() + told + messages + intakes + synced
    }
}

struct Ended {
    status: Status,
    at_ms: i64,
    json: String,
}

/// `now_ms` is when it ended, if no entry says.
pub(super) fn write_down(commit: &Commit, now_ms: i64) -> Result<Written, Error> {
    let last_ms = commit.entries.last().map_or(now_ms, |entry| entry.at_ms);
    let Kept { link, unlink, told, messages, .. } = &commit.kept;
    Ok(Written {
        lines: Lines::of(&commit.entries)?,
        ending: commit.ending.as_ref().map(|ending| ended(ending, last_ms)).transpose()?,
        run: commit.run.clone(),
        // A length that no journal can have is a conflict like any other.
        length: i64::try_from(commit.length).unwrap_or(i64::MAX),
        due_ms: commit.due_ms,
        parked: commit.parked,
        subscriptions: commit.subscriptions.clone(),
        messages: messages.iter().map(messages::write_down).collect::<Result<_, _>>()?,
        at_ms: last_ms,
        told: told.as_ref().map(|told| known::write_down(told, last_ms)).transpose()?,
        synced: pacts::write_down(&commit.kept)?,
        pairs: Kept { link: link.clone(), unlink: unlink.clone(), ..Kept::default() },
        intakes: commit.intakes.iter().map(|one| intake::write_down(one, last_ms)).collect::<Result<_, _>>()?,
    })
}

/// Lines as they are written: one is its fact, several are a list of instants and facts.
struct Lines {
    count: i64,
    /// The first one's.
    at_ms: i64,
    text: String,
}

impl Lines {
    fn of(entries: &[Entry]) -> Result<Lines, Error> {
        let text = match entries {
            [] => String::new(),
            [entry] => serde_json::to_string(&entry.fact)?,
            _ => {
                let each: Vec<(i64, &Fact)> = entries.iter().map(|entry| (entry.at_ms, &entry.fact)).collect();
                serde_json::to_string(&each)?
            }
        };
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        Ok(Lines { count, at_ms: entries.first().map_or(0, |entry| entry.at_ms), text })
    }

    fn read(at_ms: i64, text: &str, entries: &mut Vec<Entry>) -> Result<(), Error> {
        if text.starts_with('[') {
            let each: Vec<(i64, Fact)> = serde_json::from_str(text)?;
            entries.extend(each.into_iter().map(|(at_ms, fact)| Entry { at_ms, fact }));
        } else {
            entries.push(Entry { at_ms, fact: serde_json::from_str(text)? });
        }
        Ok(())
    }
}

fn ended(ending: &Ending, at_ms: i64) -> Result<Ended, Error> {
    Ok(Ended { status: Status::of(ending), at_ms, json: serde_json::to_string(ending)? })
}

pub(super) fn commit(connection: &Connection, decision: &Written) -> Result<(), Error> {
    let head = Head::of(connection, &decision.run)?
        .ok_or_else(|| Error::Failed(format!("there is no run {}", decision.run)))?;
    if head.status != Status::Pending || head.length != decision.length {
        return Err(Error::Conflict { run: decision.run.clone() });
    }
    if let Some(told) = &decision.told
        && !known::keep(connection, told)?
    {
        // Another run has told the workflow of this record meanwhile.
        return Err(Error::Conflict { run: decision.run.clone() });
    }
    links::keep(connection, &decision.pairs)?;
    for synced in &decision.synced {
        pacts::keep(connection, synced, decision.at_ms)?;
    }
    intake::accept(connection, &decision.intakes, &[])?;
    for message in &decision.messages {
        messages::leave(connection, head.seq, message, decision.at_ms)?;
    }
    let mut due_ms = decision.due_ms;
    if decision.parked && messages::subscribe(connection, head.seq, &decision.subscriptions)? {
        due_ms = due_ms.min(decision.at_ms);
    }
    head.append(connection, &decision.lines, (due_ms, decision.parked), decision.ending.as_ref())
}

/// Keeps what somebody else has decided; what is here already, and what has a gap before it, is left out.
pub(super) fn copy(connection: &Connection, decision: &Written) -> Result<(), Error> {
    match Head::of(connection, &decision.run)?.filter(|head| head.length == decision.length) {
        Some(head) => {
            if let Some(told) = &decision.told {
                known::copy(connection, told)?;
            }
            match links::keep(connection, &decision.pairs) {
                // Whoever keeps the pairs has taken it; here another one is not gone yet.
                Ok(()) | Err(Error::Linked { .. }) => {}
                Err(error) => return Err(error),
            }
            decision.synced.iter().try_for_each(|synced| pacts::keep(connection, synced, decision.at_ms))?;
            let due = (decision.due_ms, decision.parked);
            head.append(connection, &decision.lines, due, decision.ending.as_ref())
        }
        None => Ok(()),
    }
}

/// Brings the journal of a run up to this one, of which it is a beginning, and says where the run stands.
pub(super) fn bring_up(
    connection: &Connection,
    run: &str,
    journal: &[Entry],
    waits: bool,
    ending: Option<&Ending>,
    now_ms: i64,
) -> Result<(), Error> {
    let Some(head) = Head::of(connection, run)? else { return Ok(()) };
    let new = journal.get(usize::try_from(head.length).unwrap_or_default()..).unwrap_or_default();
    if new.is_empty() && head.parked == waits && head.status == ending.map_or(Status::Pending, Status::of) {
        return Ok(());
    }
    let lines = Lines::of(new)?;
    let last_ms = journal.last().map_or(now_ms, |entry| entry.at_ms);
    let ending = ending.map(|ending| ended(ending, last_ms)).transpose()?;
    // One that waits is called at once, and waits again if it is not time.
    head.append(connection, &lines, (0, waits), ending.as_ref())
}

/// False if it is no dead letter.
pub(super) fn retry(connection: &Connection, run: &str, by: &str, now_ms: i64) -> Result<bool, Error> {
    let Some(head) = Head::of(connection, run)?.filter(|head| head.status == Status::Failed) else {
        return Ok(false);
    };
    let retried = Entry { at_ms: now_ms, fact: Fact::Retried { by: by.to_owned() } };
    head.append(connection, &Lines::of(&[retried])?, (0, false), None)?;
    Ok(true)
}

/// Ends a run in this state for good. False if it is in another.
pub(super) fn give_up(connection: &Connection, run: &str, from: Status, by: &str, now_ms: i64) -> Result<bool, Error> {
    let Some(head) = Head::of(connection, run)?.filter(|head| head.status == from) else {
        return Ok(false);
    };
    let ending = Ending::Dropped { by: by.to_owned() };
    let end = ended(&ending, now_ms)?;
    let ended = Entry { at_ms: now_ms, fact: Fact::Ended { ending } };
    head.append(connection, &Lines::of(&[ended])?, (0, false), Some(&end))?;
    Ok(true)
}

pub(super) fn read(connection: &Connection, run: &str) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT at_ms, entry FROM journal WHERE run = (SELECT seq FROM runs WHERE id = ?) ORDER BY n";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([run])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        Lines::read(row.get(0)?, row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?, &mut entries)?;
    }
    Ok(entries)
}

pub(super) fn read_if_readable(connection: &Connection, run: &str) -> Result<Option<Vec<Entry>>, Error> {
    match read(connection, run) {
        Err(Error::Unreadable(_)) => Ok(None),
        journal => journal.map(Some),
    }
}

/// Where a journal stands.
struct Head {
    seq: i64,
    length: i64,
    status: Status,
    parked: bool,
}

impl Head {
    fn of(connection: &Connection, run: &str) -> Result<Option<Head>, Error> {
        let sql = "SELECT seq, journal_length, status, parked FROM runs WHERE id = ?";
        let mut select = connection.prepare_cached(sql)?;
        let head = |row: &rusqlite::Row| {
            Ok(Head { seq: row.get(0)?, length: row.get(1)?, status: row.get(2)?, parked: row.get(3)? })
        };
        Ok(select.query_row([run], head).optional()?)
    }

    /// Adds lines and says where the run is now: pending, due at an instant, unless it ended.
    fn append(
        self,
        connection: &Connection,
        lines: &Lines,
        (due_ms, parked): (i64, bool),
        ending: Option<&Ended>,
    ) -> Result<(), Error> {
        if lines.count > 0 {
            let sql = "INSERT INTO journal (run, n, at_ms, entry) VALUES (?, ?, ?, ?)";
            connection.prepare_cached(sql)?.execute(params![self.seq, self.length, lines.at_ms, lines.text])?;
        }
        let length = self.length + lines.count;
        if self.status == Status::Pending && ending.is_none() && !self.parked && !parked {
            // No index knows of what changes.
            let sql = "UPDATE runs SET journal_length = ?, due_ms = ? WHERE seq = ?";
            connection.prepare_cached(sql)?.execute(params![length, due_ms, self.seq])?;
            return Ok(());
        }
        let sql = "UPDATE runs SET journal_length = ?, due_ms = ?, parked = ?, status = ?, ended_ms = ?, ending = ? WHERE seq = ?";
        connection.prepare_cached(sql)?.execute(params![
            length,
            due_ms,
            parked,
            ending.map_or(Status::Pending, |ending| ending.status),
            ending.map(|ending| ending.at_ms),
            ending.map(|ending| &ending.json),
            self.seq
        ])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_row_each_of_its_lines_with_its_own_instant() {
        let entry = |at_ms, by: &str| Entry { at_ms, fact: Fact::Retried { by: by.to_owned() } };
        let started = Entry { at_ms: 7, fact: Fact::Started {} };
        for entries in [vec![], vec![started.clone()], vec![started, entry(8, "ada"), entry(9, "[")]] {
            let lines = Lines::of(&entries).unwrap();
            let mut read = Vec::new();
            if lines.count > 0 {
                Lines::read(lines.at_ms, &lines.text, &mut read).unwrap();
            }
            assert_eq!((lines.count, read), (i64::try_from(entries.len()).unwrap(), entries));
        }
    }
}
