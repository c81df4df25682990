//! What syncs know of their pairs, and what they have asked people.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, links, shelf};
use crate::run::{Asking, Kept, RecordRef};
use crate::sync::{Answered, Before, Choice, Pact, Question, Which};
use crate::workflow::{Looked, Synced};

/// What is parted within this counts as at once.
const HOUR_MS: i64 = 3_600_000;

/// A question to people, as it is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Asked {
    /// By this people name it.
    pub number: i64,
    pub sync: String,
    pub tenant: Option<String>,
    pub about: RecordRef,
    /// The id of the record under which that lives.
    pub parent: Option<String>,
    /// By side, if it is about a pair.
    pub pair: Option<[RecordRef; 2]>,
    pub question: Question,
    pub asked_ms: i64,
    /// What a person has said; it is at work.
    pub choice: Option<Choice>,
}

/// Which questions are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Questions {
    All,
    /// Without those on which nobody need say anything.
    Open,
    /// Those to which a person has said something.
    Answered,
}

/// Two records that a sync keeps alike, by side.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Paired {
    pub sync: String,
    pub tenant: Option<String>,
    pub pair: [RecordRef; 2],
}

/// What is kept of one record's synchronisation, ready to be written.
pub(super) struct Written {
    sync: String,
    tenant: String,
    about: RecordRef,
    parent: Option<String>,
    pair: Option<[RecordRef; 2]>,
    pact: String,
    questions: Vec<Open>,
}

struct Open {
    key: String,
    question: String,
    choice: Option<String>,
}

impl Written {
    pub(super) fn bytes(&self) -> usize {
        self.pact.len() + self.questions.iter().map(|open| open.question.len()).sum::<usize>()
    }
}

fn open(question: &Question) -> Result<Open, Error> {
    let choice = question.standing().map(|choice| serde_json::to_string(&choice)).transpose()?;
    Ok(Open { key: question.key(), question: serde_json::to_string(question)?, choice })
}

pub(super) fn write_down(kept: &Kept) -> Result<Vec<Written>, Error> {
    let down = |(tenant, synced): &(Option<String>, Synced)| {
        Ok(Written {
            sync: synced.sync.clone(),
            tenant: tenant.clone().unwrap_or_default(),
            about: synced.about.clone(),
            parent: synced.parent.clone(),
            pair: synced.pair.clone(),
            pact: serde_json::to_string(&synced.pact)?,
            questions: synced.questions.iter().map(open).collect::<Result<_, Error>>()?,
        })
    };
    kept.synced.iter().map(down).collect()
}

/// Keeps what was agreed, and what is open in place of what was.
pub(super) fn keep(connection: &Connection, written: &Written, at_ms: i64) -> Result<(), Error> {
    let Written { sync, tenant, about, parent, pair, pact, questions } = written;
    if let Some([first, second]) = pair {
        let sql =
            "INSERT INTO pacts (sync, tenant, connection, object, id, other_connection, other_object, other_id, pact)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT DO UPDATE SET other_connection = excluded.other_connection,
                   other_object = excluded.other_object, other_id = excluded.other_id, pact = excluded.pact";
        connection.prepare_cached(sql)?.execute(params![
            sync,
            tenant,
            first.connection,
            first.object,
            first.id,
            second.connection,
            second.object,
            second.id,
            pact
        ])?;
    } else {
        forget(connection, about)?;
    }
    // By the first record a pair is known; both halves may have asked before they were one.
    let subjects: Vec<&RecordRef> = pair.iter().flatten().chain(pair.is_none().then_some(about)).collect();
    let of = subjects[0];
    for subject in &subjects {
        let sql = "DELETE FROM questions WHERE sync = ? AND tenant = ? AND connection = ? AND object = ? AND id = ?
                   AND NOT (? AND EXISTS (SELECT 1 FROM json_each(?) WHERE json_each.value = questions.key))";
        let keys: Vec<&String> = questions.iter().map(|open| &open.key).collect();
        let keys = serde_json::to_string(&keys)?;
        let keeps = **subject == *of;
        connection.prepare_cached(sql)?.execute(params![
            sync,
            tenant,
            subject.connection,
            subject.object,
            subject.id,
            keeps,
            keys
        ])?;
    }
    let whose = Whose { sync, tenant, of, parent: parent.as_deref(), other: pair.as_ref().map(|[_, second]| second) };
    questions.iter().try_for_each(|open| ask(connection, &whose, open, at_ms))
}

/// Whose question it is.
struct Whose<'a> {
    sync: &'a str,
    tenant: &'a str,
    of: &'a RecordRef,
    parent: Option<&'a str>,
    other: Option<&'a RecordRef>,
}

/// The same question once more is left as it stands; another is asked anew.
fn ask(connection: &Connection, whose: &Whose<'_>, open: &Open, at_ms: i64) -> Result<(), Error> {
    let sql = "INSERT INTO questions (sync, tenant, connection, object, id, key, parent, other, question, asked_ms,
               choice, is_standing) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11 IS NOT NULL)
               ON CONFLICT DO UPDATE SET question = excluded.question, parent = excluded.parent, other = excluded.other,
               asked_ms = excluded.asked_ms, choice = excluded.choice, is_standing = excluded.is_standing
               WHERE question <> excluded.question";
    let other = whose.other.map(serde_json::to_string).transpose()?;
    connection.prepare_cached(sql)?.execute(params![
        whose.sync,
        whose.tenant,
        whose.of.connection,
        whose.of.object,
        whose.of.id,
        open.key,
        whose.parent,
        other,
        open.question,
        at_ms,
        open.choice
    ])?;
    Ok(())
}

/// Writes down a question together with what a person has said to it.
pub(super) fn tell(connection: &Connection, asked: &Asked) -> Result<(), Error> {
    let Asked { sync, about, .. } = asked;
    let tenant = asked.tenant.as_deref().unwrap_or_default();
    let told = open(&asked.question)?;
    let sql =
        "DELETE FROM questions WHERE sync = ? AND tenant = ? AND connection = ? AND object = ? AND id = ? AND key = ?";
    let key = params![sync, tenant, about.connection, about.object, about.id, told.key];
    connection.prepare_cached(sql)?.execute(key)?;
    let (parent, other) = (asked.parent.as_deref(), asked.pair.as_ref().map(|[_, second]| second));
    ask(connection, &Whose { sync, tenant, of: about, parent, other }, &told, asked.asked_ms)?;
    if let Some(choice) = &asked.choice {
        answer(connection, connection.last_insert_rowid(), choice)?;
    }
    Ok(())
}

/// The same, where the question that was asked keeps its number.
pub(super) fn say(connection: &Connection, asked: &Asked) -> Result<(), Error> {
    let Asked { sync, about, .. } = asked;
    let tenant = asked.tenant.as_deref().unwrap_or_default();
    let Open { key, question, .. } = open(&asked.question)?;
    let choice = asked.choice.as_ref().map(serde_json::to_string).transpose()?;
    let sql =
        "UPDATE questions SET choice = ?, is_standing = FALSE WHERE sync = ? AND tenant = ? AND connection = ? AND
               object = ? AND id = ? AND key = ? AND question = ?";
    let of = params![choice, sync, tenant, about.connection, about.object, about.id, key, question];
    match connection.prepare_cached(sql)?.execute(of)? {
        0 => tell(connection, asked),
        _ => Ok(()),
    }
}

/// The pairs of syncs in which a record is.
pub(super) fn of(connection: &Connection, record: &RecordRef) -> Result<Vec<Paired>, Error> {
    let sql = "SELECT sync, tenant, connection, object, id, other_connection, other_object, other_id FROM pacts
               WHERE connection = ?1 AND object = ?2 AND id = ?3
               UNION SELECT sync, tenant, connection, object, id, other_connection, other_object, other_id FROM pacts
               WHERE other_connection = ?1 AND other_object = ?2 AND other_id = ?3";
    let mut select = connection.prepare_cached(sql)?;
    let pairs = select.query_map([&record.connection, &record.object, &record.id], paired)?;
    Ok(pairs.collect::<Result<_, _>>()?)
}

/// The first columns of a row of `pacts`.
pub(super) fn paired(row: &rusqlite::Row<'_>) -> rusqlite::Result<Paired> {
    let of = |at: usize| -> rusqlite::Result<RecordRef> {
        Ok(RecordRef { connection: row.get(at)?, object: row.get(at + 1)?, id: row.get(at + 2)? })
    };
    let tenant = Some(row.get(1)?).filter(|tenant: &String| !tenant.is_empty());
    Ok(Paired { sync: row.get(0)?, tenant, pair: [of(2)?, of(5)?] })
}

/// A record is in no pair any more, or never was.
fn forget(connection: &Connection, of: &RecordRef) -> Result<(), Error> {
    for sql in [
        "DELETE FROM pacts WHERE connection = ? AND object = ? AND id = ?",
        "DELETE FROM pacts WHERE other_connection = ? AND other_object = ? AND other_id = ?",
    ] {
        connection.prepare_cached(sql)?.execute([&of.connection, &of.object, &of.id])?;
    }
    Ok(())
}

/// The other half of a record; for a sync with all that is known of the pair.
pub(super) fn look(connection: &Connection, tenant: Option<&str>, asking: &Asking) -> Result<Looked, Error> {
    let found = links::within(connection, tenant, &asking.of, &asking.connection, &asking.object)?;
    let mut looked = Looked {
        of: Some(asking.of.clone()),
        found: found.as_ref().map(|found| found.id.clone()),
        turns: asking.turns.clone(),
        ..Looked::default()
    };
    let Some((sync, side)) = &asking.sync else { return Ok(looked) };
    looked.begun = shelf::cursor(connection, &begun(sync, tenant))?.is_some();
    let of = match (side, &found) {
        (Which::Second, Some(first)) => first,
        _ => &asking.of,
    };
    let tenant = tenant.unwrap_or("");
    looked.parted = Some(parted(connection, (sync, tenant), asking.now_ms)?).filter(|(parted, _)| *parted > 0);
    let key = params![sync, tenant, of.connection, of.object, of.id];
    if found.is_some() {
        let sql = "SELECT pact FROM pacts WHERE sync = ? AND tenant = ? AND connection = ? AND object = ? AND id = ?";
        let pact: Option<String> = connection.prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()?;
        let pact: Option<Pact> = pact.map(|pact| serde_json::from_str(&pact)).transpose()?;
        looked.pact = pact.map(Box::new);
    }
    let sql = "SELECT question, choice FROM questions WHERE sync = ? AND tenant = ? AND connection = ? AND object = ?
               AND id = ? AND choice IS NOT NULL ORDER BY number";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(key)?;
    while let Some(row) = rows.next()? {
        let (question, choice): (String, String) = (row.get(0)?, row.get(1)?);
        looked
            .answers
            .push(Answered { question: serde_json::from_str(&question)?, choice: serde_json::from_str(&choice)? });
    }
    Ok(looked)
}

/// How many pairs were parted within the last hour, and of how many that are left with them.
fn parted(connection: &Connection, (sync, tenant): (&str, &str), now_ms: i64) -> Result<(u64, u64), Error> {
    let sql = "SELECT count(*) FROM questions WHERE sync = ? AND tenant = ? AND asked_ms > ? AND question = ?";
    let question = serde_json::to_string(&Question::Parted)?;
    let since_ms = now_ms.saturating_sub(HOUR_MS);
    let parted: i64 =
        connection.prepare_cached(sql)?.query_row(params![sync, tenant, since_ms, question], |row| row.get(0))?;
    if parted == 0 {
        return Ok((0, 0));
    }
    let sql = "SELECT count(*) FROM pacts WHERE sync = ? AND tenant = ?";
    let left: i64 = connection.prepare_cached(sql)?.query_row([sync, tenant], |row| row.get(0))?;
    Ok((parted.cast_unsigned(), (parted + left).cast_unsigned()))
}

/// By this it is known since when a sync acts for a tenant.
pub(super) fn begun(sync: &str, tenant: Option<&str>) -> String {
    format!("sync:{sync}:{}", tenant.unwrap_or_default())
}

/// All pairs between two objects that a sync keeps alike, each with what was agreed; and by side the records that it has left
/// without another half.
pub(super) fn all(
    connection: &Connection,
    (sync, tenant): (&str, &str),
    sides: &[(String, String); 2],
) -> Result<Before, Error> {
    let [(one, object), (other, other_object)] = sides;
    let sql = "SELECT links.id, links.other_id, pact FROM links LEFT JOIN pacts ON pacts.sync = ? AND
               pacts.tenant = links.tenant AND pacts.connection = links.connection AND pacts.object = links.object AND
               pacts.id = links.id
               WHERE links.connection = ? AND links.object = ? AND links.other_connection = ? AND
               links.other_object = ? AND links.tenant = ? ORDER BY links.id";
    let mut before = Before::default();
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params![sync, one, object, other, other_object, tenant])?;
    while let Some(row) = rows.next()? {
        let pact: Option<String> = row.get(2)?;
        let pact = pact.map(|pact| serde_json::from_str(&pact)).transpose()?.unwrap_or_default();
        before.pairs.push(([row.get(0)?, row.get(1)?], pact));
    }
    let sql = "SELECT id FROM questions WHERE sync = ? AND tenant = ? AND connection = ? AND object = ? AND choice = ?";
    let mut select = connection.prepare_cached(sql)?;
    let leave = serde_json::to_string(&Choice::Leave)?;
    for (left, (name, object)) in before.left.iter_mut().zip(sides) {
        let ids = select.query_map(params![sync, tenant, name, object, leave], |row| row.get(0))?;
        *left = ids.collect::<Result<_, _>>()?;
    }
    Ok(before)
}

/// Questions, those asked first at the front.
pub(super) fn questions(
    connection: &Connection,
    wanted: Questions,
    after: i64,
    limit: usize,
) -> Result<Vec<Asked>, Error> {
    let of = condition(wanted);
    let sql = format!("{ASKED} WHERE number > ? AND ({of}) ORDER BY number LIMIT ?");
    let mut select = connection.prepare_cached(&sql)?;
    let rows = select.query([after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    rows_asked(rows)
}

const ASKED: &str =
    "SELECT number, sync, tenant, connection, object, id, other, question, asked_ms, choice, parent FROM questions";

fn rows_asked(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Asked>, Error> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let about = RecordRef { connection: row.get(3)?, object: row.get(4)?, id: row.get(5)? };
        let other: Option<String> = row.get(6)?;
        let other: Option<RecordRef> = other.map(|other| serde_json::from_str(&other)).transpose()?;
        let (question, choice): (String, Option<String>) = (row.get(7)?, row.get(9)?);
        all.push(Asked {
            number: row.get(0)?,
            sync: row.get(1)?,
            tenant: Some(row.get(2)?).filter(|tenant: &String| !tenant.is_empty()),
            pair: other.map(|other| [about.clone(), other]),
            about,
            parent: row.get(10)?,
            question: serde_json::from_str(&question)?,
            asked_ms: row.get(8)?,
            choice: choice.map(|choice| serde_json::from_str(&choice)).transpose()?,
        });
    }
    Ok(all)
}

/// Those about a pair to which nobody has said anything yet.
pub(super) fn open_about(connection: &Connection, known: &Paired, limit: usize) -> Result<Vec<Asked>, Error> {
    let sql = format!(
        "{ASKED} WHERE sync = ? AND tenant = ? AND connection = ? AND object = ? AND id = ? AND choice IS NULL
         ORDER BY number LIMIT ?"
    );
    let tenant = known.tenant.as_deref().unwrap_or_default();
    let [of, _] = &known.pair;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(&sql)?;
    rows_asked(select.query(params![known.sync, tenant, of.connection, of.object, of.id, limit])?)
}

fn condition(wanted: Questions) -> &'static str {
    match wanted {
        Questions::All => "true",
        Questions::Open => "choice IS NULL OR NOT is_standing",
        Questions::Answered => "choice IS NOT NULL AND NOT is_standing",
    }
}

pub(super) fn count_questions(connection: &Connection, wanted: Questions, most: usize) -> Result<usize, Error> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM questions WHERE {} LIMIT ?)", condition(wanted));
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let number: i64 = connection.prepare_cached(&sql)?.query_row([most], |row| row.get(0))?;
    Ok(usize::try_from(number).unwrap_or_default())
}

/// Writes down what a person has said. False if there is no such question.
pub(super) fn answer(connection: &Connection, number: i64, choice: &Choice) -> Result<bool, Error> {
    let sql = "UPDATE questions SET choice = ?, is_standing = FALSE WHERE number = ?";
    Ok(connection.prepare_cached(sql)?.execute(params![serde_json::to_string(choice)?, number])? == 1)
}
