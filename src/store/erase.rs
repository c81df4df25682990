//! Erasing what is known of a person: payloads, journals and copies; ids stay, so that nothing of them is taken for new.
//!
//! What is not over is left and told: a run that lost its past could not be finished. Afterwards the database is
//! written anew and its log is cut short, so that no byte is left, also not between the rows of a page.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::signs::{Signs, Text};
use super::{Error, Status, Store, links, open};
use crate::run::{Ending, RecordRef, Start};
use crate::sync::Pact;

/// Whom or what to erase.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sought {
    /// A record, with the records that it is linked with.
    Record(RecordRef),
    /// An e-mail address or a phone number: whatever holds it, and the records that have it as a value of their own.
    Text(String),
    /// What was found elsewhere.
    Found(Found),
}

/// What another one has found, and erases: ids, which stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Found {
    pub records: BTreeSet<RecordRef>,
    pub runs: BTreeSet<String>,
}

/// What holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holding {
    pub records: Vec<RecordRef>,
    /// Runs that are over, by number.
    pub runs: Vec<i64>,
    /// Their ids.
    pub ids: BTreeSet<String>,
    /// Runs that are not over, and dead letters: these are left.
    pub pending: Vec<i64>,
    pub dead: Vec<i64>,
    pub events: Vec<i64>,
    /// Copies that workflows were told last.
    pub copies: Vec<(String, RecordRef)>,
    pub messages: Vec<i64>,
    /// What syncs have agreed on, by the record of their first side.
    pub pacts: Vec<(String, RecordRef)>,
    /// What syncs have asked people.
    pub questions: Vec<i64>,
}

/// Erased in one write, so that others get their turn.
const STRIDE: usize = 64;

impl Holding {
    /// Parts of it that are small enough for one write each.
    pub(super) fn strides(&self) -> Vec<Holding> {
        let runs = self.runs.chunks(STRIDE).map(|runs| Holding { runs: runs.to_vec(), ..Holding::default() });
        let events = self.events.chunks(STRIDE).map(|events| Holding { events: events.to_vec(), ..Holding::default() });
        let copies = self.copies.chunks(STRIDE).map(|copies| Holding { copies: copies.to_vec(), ..Holding::default() });
        let messages =
            self.messages.chunks(STRIDE).map(|messages| Holding { messages: messages.to_vec(), ..Holding::default() });
        let pacts = self.pacts.chunks(STRIDE).map(|pacts| Holding { pacts: pacts.to_vec(), ..Holding::default() });
        let questions = self
            .questions
            .chunks(STRIDE)
            .map(|questions| Holding { questions: questions.to_vec(), ..Holding::default() });
        runs.chain(events).chain(copies).chain(messages).chain(pacts).chain(questions).collect()
    }

    /// How what was sought is recognised elsewhere.
    ///
    /// # Errors
    /// There is too much to look for.
    pub fn signs(&self, sought: &Sought) -> Result<Signs, Error> {
        let text = match sought {
            Sought::Text(text) => Some(Text::of(text)),
            Sought::Record(_) | Sought::Found(_) => None,
        };
        Signs::new(self.records.iter().cloned().collect(), text)
    }

    pub fn is_empty(&self) -> bool {
        let Holding { runs, pending, dead, events, copies, messages, pacts, questions, .. } = self;
        let numbered = [runs, pending, dead, events, messages, questions].iter().all(|held| held.is_empty());
        numbered && copies.is_empty() && pacts.is_empty()
    }
}

impl Store {
    /// What holds a record, an e-mail address or a phone number. Looks at everything: it may take a while.
    pub async fn holding(&self, sought: &Sought) -> Result<Holding, Error> {
        let sought = sought.clone();
        self.read(move |connection| search(connection, &sought)).await
    }

    /// Erases what is sought wherever it is over, and gives what was found; what is not over is left. When it returns, no
    /// byte of it is left in the database or its log, unless somebody still reads there.
    ///
    /// Others who write wait while the database is written anew, which takes as much room again.
    ///
    /// A crash before it returns: some of it is erased; do it again.
    pub async fn erase(&self, sought: &Sought) -> Result<Holding, Error> {
        let holding = self.holding(sought).await?;
        for some in holding.strides() {
            self.write(move |connection| erase(connection, &some)).await?;
        }
        let folder = self.folder().to_owned();
        tokio::task::spawn_blocking(move || open::write_anew(&folder))
            .await
            .unwrap_or_else(|error| Err(Error::Failed(error.to_string())))?;
        Ok(holding)
    }
}

/// Looks at everything that the store holds.
pub(super) fn search(connection: &Connection, sought: &Sought) -> Result<Holding, Error> {
    let mut records = match sought {
        Sought::Record(record) => BTreeSet::from([record.clone()]),
        Sought::Text(text) => records_with(connection, &Text::of(text))?,
        Sought::Found(found) => found.records.clone(),
    };
    for record in records.clone() {
        records.extend(links::partners(connection, &record)?);
    }
    let mut holding = Holding { records: records.into_iter().collect(), ..Holding::default() };
    let signs = holding.signs(sought)?;
    runs(connection, &signs, sought, &mut holding)?;
    each(connection, "SELECT seq, body FROM events WHERE body IS NOT NULL", |seq, body| {
        let is_of = || serde_json::from_slice(body).is_ok_and(|event| signs.are_of(&event));
        if signs.are_in(body) || (signs.may_be_of(body) && is_of()) {
            holding.events.push(seq);
        }
    })?;
    each(connection, "SELECT number, key || ' ' || record FROM messages", |number, text| {
        if signs.are_in(text) {
            holding.messages.push(number);
        }
    })?;
    let mut select =
        connection.prepare("SELECT workflow, connection, object, id, record FROM known WHERE record <> 'null'")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let of = RecordRef { connection: row.get(1)?, object: row.get(2)?, id: row.get(3)? };
        if signs.records.contains(&of) || signs.are_in(row.get_ref(4)?.as_bytes().map_err(rusqlite::Error::from)?) {
            holding.copies.push((row.get(0)?, of));
        }
    }
    syncs(connection, &signs, &mut holding)?;
    Ok(holding)
}

fn syncs(connection: &Connection, signs: &Signs, holding: &mut Holding) -> Result<(), Error> {
    let sql = "SELECT sync, connection, object, id, other_connection, other_object, other_id, pact FROM pacts";
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let of = RecordRef { connection: row.get(1)?, object: row.get(2)?, id: row.get(3)? };
        let other = RecordRef { connection: row.get(4)?, object: row.get(5)?, id: row.get(6)? };
        let is_of = signs.records.contains(&of) || signs.records.contains(&other);
        if is_of || signs.are_in(row.get_ref(7)?.as_bytes().map_err(rusqlite::Error::from)?) {
            holding.pacts.push((row.get(0)?, of));
        }
    }
    let sql = "SELECT number, connection, object, id, question FROM questions";
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let of = RecordRef { connection: row.get(1)?, object: row.get(2)?, id: row.get(3)? };
        if signs.records.contains(&of) || signs.are_in(row.get_ref(4)?.as_bytes().map_err(rusqlite::Error::from)?) {
            holding.questions.push(row.get(0)?);
        }
    }
    Ok(())
}

fn runs(connection: &Connection, signs: &Signs, sought: &Sought, holding: &mut Holding) -> Result<(), Error> {
    let mut found = BTreeSet::new();
    if let Sought::Found(Found { runs, .. }) = sought {
        let mut select = connection.prepare("SELECT seq FROM runs WHERE id = ? AND journal_length > 0")?;
        for id in runs {
            found.extend(select.query_row([id], |row| row.get::<_, i64>(0)).optional()?);
        }
    }
    let mut select =
        connection.prepare("SELECT seq, start, coalesce(ending, '') FROM runs JOIN starts ON run = seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let text = |at| Ok::<_, Error>(row.get_ref(at)?.as_bytes().map_err(rusqlite::Error::from)?);
        let (start, ending) = (text(1)?, text(2)?);
        let is_of = || serde_json::from_slice(start).is_ok_and(|start: Start| signs.are_of(&start.event));
        if signs.are_in(start) || signs.are_in(ending) || (signs.may_be_of(start) && is_of()) {
            found.insert(row.get(0)?);
        }
    }
    each(connection, "SELECT run, entry FROM journal", |run, entry| {
        if signs.are_in(entry) {
            found.insert(run);
        }
    })?;
    let mut select = connection.prepare("SELECT status, id FROM runs WHERE seq = ?")?;
    for seq in found {
        match select.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))? {
            (Status::Pending, _) => holding.pending.push(seq),
            (Status::Failed, _) => holding.dead.push(seq),
            (_, id) => {
                holding.runs.push(seq);
                holding.ids.insert(id);
            }
        }
    }
    Ok(())
}

/// The records that have it as a value of their own, as far as events and copies say.
fn records_with(connection: &Connection, text: &Text) -> Result<BTreeSet<RecordRef>, Error> {
    let mut records = BTreeSet::new();
    let has = |record: &Value| record.as_object().is_some_and(|record| record.values().any(|value| text.is(value)));
    each(connection, "SELECT run, start FROM starts", |_, start| {
        if !text.is_in(start) {
            return;
        }
        let Ok(Start { event, .. }) = serde_json::from_slice::<Start>(start) else { return };
        if let (true, Some(connection), Some(object), Some(id)) =
            (has(&event.record), event.connection, event.object, event.record_id)
        {
            records.insert(RecordRef { connection, object, id });
        }
    })?;
    let sql = "SELECT connection, object, id, other_connection, other_object, other_id, pact FROM pacts";
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let pact = row.get_ref(6)?.as_bytes().map_err(rusqlite::Error::from)?;
        let agreed = || serde_json::from_slice::<Pact>(pact).map(|pact| pact.agreed).unwrap_or_default();
        if text.is_in(pact) && agreed().values().flatten().any(|value| text.is(value)) {
            for at in [0, 3] {
                let (connection, object, id) = (row.get(at)?, row.get(at + 1)?, row.get(at + 2)?);
                records.insert(RecordRef { connection, object, id });
            }
        }
    }
    let mut select = connection.prepare("SELECT connection, object, id, record FROM known")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let record = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?;
        if text.is_in(record) && serde_json::from_slice(record).is_ok_and(|record| has(&record)) {
            records.insert(RecordRef { connection: row.get(0)?, object: row.get(1)?, id: row.get(2)? });
        }
    }
    Ok(records)
}

fn each(connection: &Connection, sql: &str, mut see: impl FnMut(i64, &[u8])) -> Result<(), Error> {
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        see(row.get(0)?, row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?);
    }
    Ok(())
}

/// Erases some; what is erased is overwritten at once.
pub(super) fn erase(connection: &Connection, some: &Holding) -> Result<(), Error> {
    connection.pragma_update(None, "secure_delete", "ON")?;
    let erased = erase_all(connection, some);
    connection.pragma_update(None, "secure_delete", "FAST")?;
    erased
}

fn erase_all(connection: &Connection, some: &Holding) -> Result<(), Error> {
    for seq in &some.runs {
        erase_run(connection, *seq)?;
    }
    for seq in &some.events {
        super::prune::forget_body(connection, *seq)?;
    }
    for number in &some.messages {
        connection.prepare_cached("DELETE FROM messages WHERE number = ?")?.execute([number])?;
    }
    // The ids of the pair stay linked; the two are compared anew when one of them changes.
    let sql = "DELETE FROM pacts WHERE sync = ? AND connection = ? AND object = ? AND id = ?";
    for (sync, of) in &some.pacts {
        connection.prepare_cached(sql)?.execute([sync, &of.connection, &of.object, &of.id])?;
    }
    for number in &some.questions {
        connection.prepare_cached("DELETE FROM questions WHERE number = ?")?.execute([number])?;
    }
    // As of a record that is gone: a workflow that is told of it once more is told of a new one.
    let sql = "UPDATE known SET record = 'null', read_with = NULL, gone = 1
               WHERE workflow = ? AND connection = ? AND object = ? AND id = ?";
    for (workflow, of) in &some.copies {
        connection.prepare_cached(sql)?.execute([workflow, &of.connection, &of.object, &of.id])?;
    }
    Ok(())
}

/// That it was, when and how it ended is left.
fn erase_run(connection: &Connection, seq: i64) -> Result<(), Error> {
    let sql = "SELECT start, ending FROM runs JOIN starts ON run = seq
               WHERE seq = ? AND status NOT IN ('pending', 'failed')";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query([seq])?;
    // It may have been retried, or pruned, meanwhile.
    let Some(row) = rows.next()? else { return Ok(()) };
    let (start, ending): (String, String) = (row.get(0)?, row.get(1)?);
    drop(rows);
    let mut start: Start = serde_json::from_str(&start)?;
    start.order_key.clear();
    start.inputs = Value::Null;
    let event = &mut start.event;
    (event.record, event.body, event.record_id, event.parent_id) = (Value::Null, Value::Null.into(), None, None);
    let ending = match serde_json::from_str(&ending)? {
        Ending::Completed { .. } => Ending::Completed { value: Value::Null },
        Ending::Skipped { .. } => Ending::Skipped { why: "what was known of it is erased".to_owned() },
        other => other,
    };
    connection.prepare_cached("DELETE FROM journal WHERE run = ?")?.execute([seq])?;
    connection.prepare_cached("DELETE FROM subscriptions WHERE run = ?")?.execute([seq])?;
    let sql =
        "UPDATE runs SET ending = ?, order_key = '', record = NULL, parent = NULL, journal_length = 0 WHERE seq = ?";
    connection.prepare_cached(sql)?.execute(params![serde_json::to_string(&ending)?, seq])?;
    let sql = "UPDATE starts SET start = ? WHERE run = ?";
    connection.prepare_cached(sql)?.execute(params![serde_json::to_string(&start)?, seq])?;
    Ok(())
}
