//! What a cluster has kept, as it comes back: written over the copy that is here. The same once more changes nothing.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::{
    Agreement, Asked, Error, Left, Status, Store, follow, intake, journal, known, links, messages, open, pacts, shelf,
};
use crate::clock;
use crate::run::{Ending, Entry, Kept, Link, Start, State, Told};

/// A run that is not over, or has failed.
#[derive(Clone, Debug)]
pub struct Back {
    pub start: Start,
    pub journal: Vec<Entry>,
    /// It waits, out of line.
    pub waits: bool,
    /// It has failed.
    pub ending: Option<Ending>,
}

/// Who ends a run of which nobody can say how it ended.
const UNTOLD: &str = "`dovetail migrate`: how it ended was not told here in time";

impl Store {
    /// Keeps the runs of lines: of each those that are in it, in that order, and then those that are not.
    pub async fn take_back_runs(&self, lines: Vec<Vec<Back>>) -> Result<(), Error> {
        let now_ms = clock::now_ms();
        self.write(move |connection| lines.iter().try_for_each(|line| keep_line(connection, line, now_ms))).await
    }

    /// Ends runs that are over where they were kept, though nothing here says so: all but these. Gives how many.
    pub async fn end_others(&self, open: HashSet<String>) -> Result<usize, Error> {
        let now_ms = clock::now_ms();
        self.write(move |connection| end_others(connection, &open, now_ms)).await
    }

    /// Keeps what workflows were told of records; None: nothing yet.
    pub async fn take_back_told(&self, told: Vec<Told>) -> Result<(), Error> {
        let now_ms = clock::now_ms();
        let told = told.iter().map(|told| known::write_down(told, now_ms)).collect::<Result<Vec<_>, _>>()?;
        self.write(move |connection| told.iter().try_for_each(|told| known::replace(connection, told))).await
    }

    /// Keeps these pairs, and no others.
    pub async fn take_back_links(&self, links: Vec<Link>) -> Result<(), Error> {
        self.write(move |connection| keep_links(connection, &links)).await
    }

    /// Keeps what syncs have agreed on and asked, and nothing else of that.
    pub async fn take_back_pacts(&self, agreements: Vec<Agreement>, asked: Vec<Asked>) -> Result<(), Error> {
        self.write(move |connection| {
            keep_agreements(connection, &agreements)?;
            keep_questions(connection, &asked)
        })
        .await
    }

    /// Keeps these messages, and no others; what comes later has higher numbers than these, and than `most`. What waits for them
    /// knows where it stands.
    pub async fn take_back_messages(&self, messages: Vec<Left>, most: i64) -> Result<(), Error> {
        let now_ms = clock::now_ms();
        self.write(move |connection| {
            keep_messages(connection, &messages, most, now_ms)?;
            subscribe(connection, now_ms)
        })
        .await
    }

    pub async fn take_back_cursors(&self, cursors: Vec<(String, Value)>) -> Result<(), Error> {
        self.write(move |connection| {
            cursors.iter().try_for_each(|(name, value)| shelf::set_cursor(connection, name, &value.to_string()))
        })
        .await
    }

    /// Presses all that is written onto the disk, also what a copy did not need to.
    pub async fn press(&self) -> Result<(), Error> {
        let folder = self.folder().to_owned();
        let pressed = tokio::task::spawn_blocking(move || open::press(&folder)).await;
        pressed.unwrap_or_else(|error| Err(Error::Failed(error.to_string())))
    }
}

fn keep_line(connection: &Connection, line: &[Back], now_ms: i64) -> Result<(), Error> {
    for run in line {
        intake::copy(connection, &follow::written(&run.start, now_ms)?)?;
    }
    let in_line = line.iter().filter(|run| !run.waits && run.ending.is_none());
    let ids: Vec<&str> = in_line.map(|run| run.start.id.as_str()).collect();
    put_in_order(connection, &ids)?;
    for Back { start, journal, waits, ending } in line {
        journal::bring_up(connection, &start.id, journal, *waits, ending.as_ref(), now_ms)?;
    }
    Ok(())
}

fn seq(connection: &Connection, run: &str) -> Result<Option<i64>, Error> {
    let mut select = connection.prepare_cached("SELECT seq FROM runs WHERE id = ?")?;
    Ok(select.query_row([run], |row| row.get(0)).optional()?)
}

/// Runs of one line are numbered as they stand in it: copies are told of them by several feeds.
fn put_in_order(connection: &Connection, ids: &[&str]) -> Result<(), Error> {
    let seqs = ids.iter().filter_map(|id| seq(connection, id).transpose()).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = seqs.clone();
    sorted.sort_unstable();
    if sorted == seqs {
        return Ok(());
    }
    for seq in &seqs {
        // They are written anew: nothing may name a number that goes.
        connection.prepare_cached("DELETE FROM journal WHERE run = ?")?.execute([seq])?;
        connection.prepare_cached("DELETE FROM subscriptions WHERE run = ?")?.execute([seq])?;
        let sql = "UPDATE runs SET seq = -seq, journal_length = 0 WHERE seq = ?";
        connection.prepare_cached(sql)?.execute([seq])?;
    }
    for (id, seq) in ids.iter().zip(sorted) {
        connection.prepare_cached("UPDATE runs SET seq = ? WHERE id = ?")?.execute(params![seq, id])?;
    }
    Ok(())
}

fn end_others(connection: &Connection, open: &HashSet<String>, now_ms: i64) -> Result<usize, Error> {
    let mut select = connection.prepare_cached("SELECT id, status FROM runs WHERE status IN ('pending', 'failed')")?;
    let here = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Status>(1)?)))?;
    let mut count = 0;
    for (id, status) in here.collect::<Result<Vec<_>, _>>()? {
        if !open.contains(&id) {
            count += usize::from(journal::give_up(connection, &id, status, UNTOLD, now_ms)?);
        }
    }
    Ok(count)
}

fn keep_links(connection: &Connection, links: &[Link]) -> Result<(), Error> {
    // Which of the two is named first is known here only.
    let known: HashSet<Link> = links::list(connection, None, usize::MAX)?.into_iter().collect();
    connection.execute("DELETE FROM links", [])?;
    for link in links {
        let turned = Link { tenant: link.tenant.clone(), left: link.right.clone(), right: link.left.clone() };
        let link = if known.contains(&turned) { turned } else { link.clone() };
        links::keep(connection, &Kept { link: vec![(String::new(), link)], ..Kept::default() })?;
    }
    Ok(())
}

fn keep_agreements(connection: &Connection, agreements: &[Agreement]) -> Result<(), Error> {
    connection.execute("DELETE FROM pacts", [])?;
    let sql = "INSERT INTO pacts (sync, tenant, connection, object, id, other_connection, other_object, other_id, pact)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut insert = connection.prepare_cached(sql)?;
    for Agreement { sync, tenant, pair: [of, other], pact } in agreements {
        let (tenant, pact) = (tenant.as_deref().unwrap_or_default(), serde_json::to_string(pact)?);
        let [first, second] = [of, other];
        insert.execute(params![
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
    }
    Ok(())
}

/// By which a question is known.
type Key = (String, String, String, String, String, String);

fn keep_questions(connection: &Connection, all: &[Asked]) -> Result<(), Error> {
    let key = |asked: &Asked| -> Key {
        let about = asked.about.clone();
        let tenant = asked.tenant.clone().unwrap_or_default();
        (asked.sync.clone(), tenant, about.connection, about.object, about.id, asked.question.key())
    };
    let here = pacts::questions(connection, super::Questions::All, 0, usize::MAX)?;
    let mut here: HashMap<Key, Asked> = here.into_iter().map(|asked| (key(&asked), asked)).collect();
    for asked in all {
        match here.remove(&key(asked)) {
            Some(known) if known.question == asked.question && known.choice == asked.choice => {}
            Some(known) if known.question == asked.question && asked.choice.is_some() => pacts::say(connection, asked)?,
            // What nobody need choose is chosen by whoever asks.
            _ if asked.choice == asked.question.standing() => {
                pacts::tell(connection, &Asked { choice: None, ..asked.clone() })?;
            }
            _ => pacts::tell(connection, asked)?,
        }
    }
    let mut delete = connection.prepare_cached("DELETE FROM questions WHERE number = ?")?;
    here.values().try_for_each(|gone| delete.execute([gone.number]).map(drop))?;
    Ok(())
}

fn keep_messages(connection: &Connection, all: &[Left], most: i64, now_ms: i64) -> Result<(), Error> {
    connection.execute("DELETE FROM messages", [])?;
    let mut select =
        connection.prepare_cached("SELECT id, seq FROM runs WHERE status IN ('pending', 'failed') ORDER BY id")?;
    let open =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(String, i64)>, _>>()?;
    // Of those that were accepted before one of them, the highest number.
    let mut before = vec![0];
    for (_, seq) in &open {
        before.push(before.last().copied().unwrap_or_default().max(*seq));
    }
    let sql = "INSERT INTO messages (listener, source, key, run, at_ms, record, told_as) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut insert = connection.prepare_cached(sql)?;
    let mut last = most;
    for Left { number, correlation, run, record, .. } in all {
        // A message counts for whoever was accepted before the run that left it: their ids are in that order.
        let earlier = before[open.partition_point(|(id, _)| id < run)];
        let run = seq(connection, run)?.unwrap_or_default().max(earlier + 1);
        let of = correlation;
        insert.execute(params![of.listener, of.source, of.key, run, now_ms, record.to_string(), number])?;
        last = last.max(*number);
    }
    // The next number is higher than the highest that ever was.
    let sql = "INSERT INTO messages (number, listener, source, key, run, at_ms, record)
               SELECT ?1, '', '', '', 0, 0, '' WHERE ?1 > (SELECT ifnull(max(number), 0) FROM messages)";
    connection.execute(sql, [last])?;
    connection.execute("DELETE FROM messages WHERE number = ? AND listener = ''", [last])?;
    Ok(())
}

/// Runs that wait are called when there is what they wait for, and at once if it is there.
fn subscribe(connection: &Connection, now_ms: i64) -> Result<(), Error> {
    let mut select = connection.prepare_cached("SELECT seq, id FROM runs WHERE parked = 1")?;
    let waiting =
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(i64, String)>, _>>()?;
    for (seq, id) in waiting {
        let waits = State::fold(&journal::read(connection, &id)?).subscriptions();
        if messages::subscribe(connection, seq, &waits)? {
            let sql = "UPDATE runs SET due_ms = min(due_ms, ?) WHERE seq = ?";
            connection.prepare_cached(sql)?.execute([now_ms, seq])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::{Correlation, Fact, Subscription};
    use crate::store::{messages, runs, schema};
    use crate::trigger::Event;

    fn open() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        connection
    }

    fn back(id: &str, entries: i64) -> Back {
        let event = Event { id: id.into(), source: "/hook".into(), ..Event::default() };
        let start = Start {
            id: id.into(),
            workflow: "w".into(),
            tenant: None,
            order_key: "k".into(),
            plan: "p".into(),
            connections: Default::default(),
            event,
            inputs: Value::Null,
            created_ms: 1,
        };
        let journal = (0..entries).map(|at_ms| Entry { at_ms, fact: Fact::Started {} }).collect();
        Back { start, journal, waits: false, ending: None }
    }

    fn pending(connection: &Connection) -> Vec<String> {
        runs::pending(connection).unwrap().into_iter().map(|run| run.id).collect()
    }

    /// The feeds told of the runs in another order, and not of all that was decided.
    #[test]
    fn runs_stand_in_line_as_they_did_each_with_its_whole_journal() {
        let connection = open();
        for run in [back("b", 1), back("a", 0), back("gone", 0)] {
            keep_line(&connection, &[run], 5).unwrap();
        }
        for _ in 0..2 {
            keep_line(&connection, &[back("a", 3), back("b", 2), back("c", 0)], 5).unwrap();
            let kept = HashSet::from(["a", "b", "c"].map(str::to_owned));
            end_others(&connection, &kept, 6).unwrap();
            assert_eq!(pending(&connection), ["a", "b", "c"]);
            let lengths = ["a", "b", "c"].map(|run| journal::read(&connection, run).unwrap().len());
            assert_eq!(lengths, [3, 2, 0]);
            assert_eq!(runs::one(&connection, "gone").unwrap().unwrap().status, Status::Dropped);
        }
    }

    /// Each correlation has numbers of its own in a cluster, and runs know what they have received by these.
    #[test]
    fn messages_keep_the_numbers_by_which_runs_know_them_and_later_ones_are_higher() {
        let connection = open();
        keep_line(&connection, &[back("run-1", 0), back("run-3", 0)], 5).unwrap();
        let of = |key: &str| Correlation { listener: "l".into(), source: "s".into(), key: key.into() };
        let left = |key: &str, number: i64, run: &str| Left {
            seq: 0,
            number,
            correlation: of(key),
            run: run.into(),
            record: json!({ "of": key, "number": number }),
        };
        let all = [left("x", 1, "run-2"), left("y", 1, "run-2"), left("x", 2, "run-2")];
        for _ in 0..2 {
            keep_messages(&connection, &all, 40, 5).unwrap();
            let first = |run: &str, key: &str, after: i64| {
                let wait = Subscription { correlation: of(key), after };
                messages::first(&connection, run, &wait).unwrap().map(|received| received.number)
            };
            assert_eq!(
                (first("run-1", "x", 0), first("run-1", "x", 1), first("run-1", "x", 2)),
                (Some(1), Some(2), None)
            );
            assert_eq!((first("run-1", "y", 0), first("run-1", "y", 1)), (Some(1), None));
            assert_eq!(first("run-3", "x", 0), None, "it was accepted after the run that left it");
        }
        let sql = "INSERT INTO messages (listener, source, key, run, at_ms, record) VALUES ('l', 's', 'x', 9, 9, '{}')";
        connection.execute(sql, []).unwrap();
        assert!(connection.last_insert_rowid() > 40);
    }
}
