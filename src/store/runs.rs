//! Reading runs: those that wait, one, a page of them, how many.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, named_params, params};

use super::{Counts, Error, Filter, Pending, Run, Status, Tally, shelf};
use crate::run::RecordRef;

const COLUMNS: &str =
    "seq, (SELECT start FROM starts WHERE run = runs.seq), status, due_ms, ended_ms, ending, journal_length";
const PENDING: &str = "SELECT seq, id, workflow, tenant, order_key, journal_length > 0 FROM runs
    INDEXED BY runs_in_line WHERE status = 'pending' AND parked = 0";
const IN_ORDER: &str = "ORDER BY seq";
/// From each plan to the next one, past all runs that share it.
const OPEN_PLANS: &str = "WITH RECURSIVE plans (plan) AS (
        SELECT min(plan) FROM runs INDEXED BY runs_open WHERE status IN ('pending', 'failed')
        UNION ALL
        SELECT (SELECT min(plan) FROM runs INDEXED BY runs_open WHERE status IN ('pending', 'failed') AND plan > plans.plan) FROM plans
        WHERE plans.plan IS NOT NULL
    ) SELECT plan FROM plans WHERE plan IS NOT NULL";
const WAITING: &str = "WHERE parked = 1 AND (due_ms, seq) > (:due, :seq) ORDER BY due_ms, seq LIMIT :limit";
/// By the two indexes, whatever else is asked.
const ABOUT: &str = "seq IN (SELECT seq FROM runs WHERE record = :record AND seq < :before AND seq >= :floor
    UNION ALL SELECT seq FROM runs WHERE parent = :record AND seq < :before AND seq >= :floor)";
const FLOOR: &str = "SELECT max(
        ifnull((SELECT seq FROM runs WHERE record = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3), 0),
        ifnull((SELECT seq FROM runs WHERE parent = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3), 0))";
/// A workflow of a sync has a `/` in its name, and no other has.
const LATEST_ABOUT: &str = "WHERE seq = (
        SELECT seq FROM (SELECT seq, workflow FROM runs WHERE record = :record ORDER BY seq DESC LIMIT :most)
        JOIN starts ON run = seq WHERE instr(workflow, '/') > 0 AND start ->> '$.event.connection' = :connection AND start ->> '$.event.object' = :object
        ORDER BY seq DESC LIMIT 1)";
/// What a limit of 0 means.
const LIMIT: usize = 100;
/// Shorter prefixes of an id find nothing.
const PREFIX_MIN: usize = 4;

pub(super) fn pending(connection: &Connection) -> Result<Vec<Pending>, Error> {
    let mut select = connection.prepare_cached(&format!("{PENDING} {IN_ORDER}"))?;
    Ok(select.query_map([], in_line)?.collect::<Result<_, _>>()?)
}

/// Those of a workflow that events of a source have started.
pub(super) fn left(connection: &Connection, workflow: &str, source: &str) -> Result<Vec<Pending>, Error> {
    let sql = format!(
        "{PENDING} AND workflow = ? AND (SELECT start ->> '$.event.source' FROM starts WHERE run = seq) = ? {IN_ORDER}"
    );
    Ok(connection.prepare_cached(&sql)?.query_map([workflow, source], in_line)?.collect::<Result<_, _>>()?)
}

fn in_line(row: &Row) -> rusqlite::Result<Pending> {
    Ok(Pending {
        seq: row.get(0)?,
        id: row.get(1)?,
        workflow: row.get(2)?,
        tenant: row.get(3)?,
        order_key: row.get(4)?,
        has_begun: row.get(5)?,
    })
}

pub(super) fn open_plans(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut select = connection.prepare_cached(OPEN_PLANS)?;
    let hashes = select.query_map([], |row| row.get(0))?;
    Ok(hashes.collect::<Result<_, _>>()?)
}

pub(super) fn waiting(connection: &Connection, after: (i64, i64), limit: usize) -> Result<Vec<Run>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    select(connection, WAITING, named_params! { ":due": after.0, ":seq": after.1, ":limit": limit })
}

/// Those that are not over, and dead letters, after a seq; each with whether it waits.
pub(super) fn unfinished(connection: &Connection, seq: i64, limit: i64) -> Result<Vec<(Run, bool)>, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, parked FROM runs WHERE seq > ? AND status IN ('pending', 'failed') ORDER BY seq LIMIT ?"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let mut rows = select.query([seq, limit])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push((run(row)?, row.get(7)?));
    }
    Ok(runs)
}

/// Those that were accepted since an instant, after a seq.
pub(super) fn accepted(connection: &Connection, seq: i64, since_ms: i64, limit: i64) -> Result<Vec<Run>, Error> {
    let rest = "WHERE seq > :seq AND created_ms >= :since ORDER BY seq LIMIT :limit";
    select(connection, rest, named_params! { ":seq": seq, ":since": since_ms, ":limit": limit })
}

pub(super) fn one(connection: &Connection, id: &str) -> Result<Option<Run>, Error> {
    if let Some(run) = select(connection, "WHERE id = :id", named_params! { ":id": id })?.pop() {
        return Ok(Some(run));
    }
    if id.chars().count() < PREFIX_MIN {
        return Ok(None);
    }
    let beyond = format!("{id}{}", char::MAX);
    let rest = "WHERE id > :id AND id < :beyond LIMIT 2";
    let mut found = select(connection, rest, named_params! { ":id": id, ":beyond": beyond })?;
    if found.len() > 1 {
        return Err(Error::Ambiguous { prefix: id.to_owned() });
    }
    Ok(found.pop())
}

pub(super) fn page(connection: &Connection, filter: &Filter) -> Result<Vec<Run>, Error> {
    page_above(connection, filter, 0)
}

/// Those from a seq on.
fn page_above(connection: &Connection, filter: &Filter, floor: i64) -> Result<Vec<Run>, Error> {
    let limit = i64::try_from(if filter.limit == 0 { LIMIT } else { filter.limit }).unwrap_or(i64::MAX);
    let before = filter.before.unwrap_or(i64::MAX);
    let (rest, mut values) = wanted(filter);
    values.extend([(":before", &before as &dyn ToSql), (":floor", &floor), (":limit", &limit)]);
    select(connection, &rest, &values)
}

/// The rest of a query, by an index that has its runs in their order, and what a filter gives to it. Free are `:before`,
/// `:floor` and `:limit`.
fn wanted(filter: &Filter) -> (String, Vec<(&'static str, &dyn ToSql)>) {
    let mut rest = "WHERE seq < :before AND seq >= :floor".to_owned();
    let mut values = Vec::new();
    for (key, condition, value) in asked(filter) {
        if let Some(value) = value {
            let is_walked = match key {
                // Those of a record are few, whatever else is asked.
                ":status" | ":workflow" if filter.record.is_some() => true,
                // Few are at work, or wait for a person; of the others there are fewer of one workflow.
                ":status" => filter.workflow.is_some() && !filter.status.is_some_and(is_rare),
                ":workflow" => filter.status.is_some_and(is_rare),
                _ => false,
            };
            rest.push_str(&format!(" AND {}{condition}", if is_walked { "+" } else { "" }));
            values.push((key, value));
        }
    }
    rest.push_str(" ORDER BY seq DESC LIMIT :limit");
    (rest, values)
}

fn is_rare(status: Status) -> bool {
    matches!(status, Status::Pending | Status::Failed | Status::Dropped)
}

/// A page for which so many runs are looked at, and before which to look on.
pub(super) fn page_within(
    connection: &Connection,
    filter: Filter,
    most: i64,
) -> Result<(Vec<Run>, Option<i64>), Error> {
    let last = "SELECT ifnull(max(seq), 0) FROM runs";
    let last: i64 = connection.prepare_cached(last)?.query_row([], |row| row.get(0))?;
    let before = filter.before.map_or(last.saturating_add(1), |before| before.min(last.saturating_add(1)));
    let floor = match &filter.record {
        Some(record) => floor_of(connection, record, before, most)?,
        None => before.saturating_sub(most),
    };
    let limit = if filter.limit == 0 { LIMIT } else { filter.limit };
    let filter = Filter { before: Some(before), limit: limit.saturating_add(1), ..filter };
    let mut runs = page_above(connection, &filter, floor)?;
    if runs.len() > limit {
        runs.truncate(limit);
        let next = runs.last().map(|run| run.seq);
        return Ok((runs, next));
    }
    Ok((runs, (floor > 1).then_some(floor)))
}

/// Of the runs about a record, or about what lives under it: from which on so many are looked at.
fn floor_of(connection: &Connection, record: &str, before: i64, most: i64) -> Result<i64, Error> {
    let mut select = connection.prepare_cached(FLOOR)?;
    Ok(select.query_row(params![record, before, most.saturating_sub(1)], |row| row.get(0))?)
}

/// The latest run of a sync about a record, among so many.
pub(super) fn latest_about(connection: &Connection, of: &RecordRef, most: usize) -> Result<Option<Run>, Error> {
    let values = named_params! { ":record": of.id, ":connection": of.connection, ":object": of.object, ":most": i64::try_from(most).unwrap_or(i64::MAX) };
    Ok(select(connection, LATEST_ABOUT, values)?.pop())
}

/// What a filter asks: the parameter, the condition, and the value, if it is asked.
fn asked(filter: &Filter) -> [(&'static str, &'static str, Option<&dyn ToSql>); 8] {
    fn value<T: ToSql>(value: &Option<T>) -> Option<&dyn ToSql> {
        value.as_ref().map(|value| value as _)
    }
    let connection =
        "EXISTS (SELECT 1 FROM starts WHERE run = runs.seq AND (start ->> '$.event.connection' = :connection
          OR EXISTS (SELECT 1 FROM json_each(start, '$.connections') WHERE value = :connection)))";
    [
        (":status", "status = :status", value(&filter.status)),
        (":workflow", "workflow = :workflow", value(&filter.workflow)),
        (":tenant", "tenant = :tenant", value(&filter.tenant)),
        (":record", ABOUT, value(&filter.record)),
        (":connection", connection, value(&filter.connection)),
        (":failure", "ending ->> '$.failed.failure.name' = :failure", value(&filter.failure)),
        (":since", "created_ms >= :since", value(&filter.since_ms)),
        (":until", "created_ms < :until", value(&filter.until_ms)),
    ]
}

pub(super) fn last_created(
    connection: &Connection,
    workflow: &str,
    tenant: Option<&str>,
) -> Result<Option<i64>, Error> {
    let sql = "SELECT max(created_ms) FROM runs WHERE workflow = ? AND tenant IS ?";
    Ok(connection.prepare_cached(sql)?.query_row((workflow, tenant), |row| row.get(0))?)
}

/// Runs of this status of the workflows whose names begin so.
pub(super) fn count_of(connection: &Connection, status: Status, prefix: &str) -> Result<u64, Error> {
    // By status: few are pending, or dead letters.
    let sql = "SELECT count(*) FROM runs WHERE +workflow >= ? AND +workflow < ? || char(0x10FFFF) AND status = ?";
    let mut select = connection.prepare_cached(sql)?;
    let number: i64 = select.query_row(params![prefix, prefix, status], |row| row.get(0))?;
    Ok(number.cast_unsigned())
}

/// Runs of a workflow that events of a source have started, and that are not over or ended at this instant or later.
/// Of those that are not over, what is due after `soon_ms` waits.
pub(super) fn tally(
    connection: &Connection,
    workflow: &str,
    source: &str,
    (since_ms, soon_ms): (i64, i64),
) -> Result<Tally, Error> {
    let sql = "SELECT status, due_ms > ?4, count(*) FROM runs JOIN starts ON run = seq
        WHERE workflow = ?1 AND start ->> '$.event.source' = ?2 AND (ended_ms IS NULL OR ended_ms >= ?3) GROUP BY 1, 2";
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(params![workflow, source, since_ms, soon_ms])?;
    let mut tally = Tally::default();
    while let Some(row) = rows.next()? {
        *match (row.get(0)?, row.get(1)?) {
            (Status::Pending, true) => &mut tally.waiting,
            (Status::Pending, false) => &mut tally.pending,
            (Status::Completed, _) => &mut tally.completed,
            (Status::Skipped, _) => &mut tally.skipped,
            (Status::Failed, _) => &mut tally.failed,
            (Status::Dropped, _) => &mut tally.dropped,
        } += row.get::<_, i64>(2)?.cast_unsigned();
    }
    Ok(tally)
}

pub(super) fn counts(connection: &Connection) -> Result<Counts, Error> {
    let count =
        |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    let mut counts = Counts {
        events: count("SELECT count(*) FROM events")?,
        duplicates: shelf::counted(connection, "duplicates")?,
        links: count("SELECT count(*) FROM links WHERE side = 'left'")?,
        ..Counts::default()
    };
    let mut select = connection.prepare_cached("SELECT status, count(*) FROM runs GROUP BY status")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        *match row.get(0)? {
            Status::Pending => &mut counts.pending,
            Status::Completed => &mut counts.completed,
            Status::Skipped => &mut counts.skipped,
            Status::Failed => &mut counts.failed,
            Status::Dropped => &mut counts.dropped,
        } = row.get::<_, i64>(1)?.cast_unsigned();
    }
    Ok(counts)
}

fn select(connection: &Connection, rest: &str, values: &[(&str, &dyn ToSql)]) -> Result<Vec<Run>, Error> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM runs {rest}"))?;
    let mut rows = select.query(values)?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(run(row)?);
    }
    Ok(runs)
}

fn run(row: &Row) -> Result<Run, Error> {
    let ending: Option<String> = row.get(5)?;
    Ok(Run {
        seq: row.get(0)?,
        start: serde_json::from_str(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
        status: row.get(2)?,
        length: usize::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        due_ms: row.get(3)?,
        ended_ms: row.get(4)?,
        ending: ending.map(|json| serde_json::from_str(&json)).transpose()?,
    })
}

impl ToSql for Status {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.word()))
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        Status::of_word(word).ok_or_else(|| FromSqlError::Other(format!("unknown status `{word}`").into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::schema;

    /// Runs that wait for another instant each, all of one plan, and one that is pending.
    fn waiting(count: i64) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        let start = r#"{"id":"r","workflow":"w","order_key":"k","plan":"p","connections":{},"created_ms":0,
            "event":{"id":"e","source":"s","type":"k","time_ms":0,"body":null,"record":null}}"#;
        let sql = "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
            INSERT INTO runs (id, workflow, order_key, plan, status, due_ms, created_ms, journal_length, parked)
            SELECT 'r' || n, 'w', 'k' || n, 'p', 'pending', 1000 + n, 0, 1, n < ?1 FROM numbers";
        connection.execute(sql, [count]).unwrap();
        connection.execute("INSERT INTO starts (run, start) SELECT seq, ? FROM runs", [start]).unwrap();
        connection
    }

    fn fastest(mut ask: impl FnMut()) -> Duration {
        let time = |_| {
            let start = Instant::now();
            ask();
            start.elapsed()
        };
        (0..50).map(time).min().unwrap()
    }

    #[test]
    fn a_hundred_thousand_waits_cost_no_more_to_ask_than_a_hundred() {
        let times = [100, 100_000].map(|count| {
            let connection = waiting(count);
            let due = || super::waiting(&connection, (0, 0), 100).unwrap();
            assert_eq!(due().len(), 100);
            assert_eq!(pending(&connection).unwrap().len(), 1);
            assert_eq!(open_plans(&connection).unwrap(), ["p"]);
            [fastest(|| drop(due())), fastest(|| drop(pending(&connection))), fastest(|| drop(open_plans(&connection)))]
        });
        for (few, many) in times[0].iter().zip(times[1]) {
            assert!(many < *few * 10 + Duration::from_micros(200), "{times:?}");
        }
    }

    /// Page after page each is found once, whatever is looked at for one.
    #[test]
    fn what_is_rare_is_found_page_by_page() {
        let connection = waiting(100);
        connection.execute_batch("UPDATE runs SET workflow = 'rare' WHERE seq % 40 = 7").unwrap();
        let filter = |before| Filter { workflow: Some("rare".into()), limit: 2, before, ..Filter::default() };
        for most in [1, 30, 1_000] {
            let (mut found, mut before) = (Vec::new(), None);
            loop {
                let (runs, next) = page_within(&connection, filter(before), most).unwrap();
                found.extend(runs.iter().map(|run| run.seq));
                before = next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(found, [87, 47, 7], "{most}");
        }
        assert!(page_within(&connection, filter(Some(1)), 10).unwrap().0.is_empty());
        assert_eq!(page_within(&connection, filter(Some(i64::MAX)), 10).unwrap().1, Some(92));
    }

    /// However long ago they were, and whatever they live under.
    #[test]
    fn runs_about_a_record_are_found_without_looking_at_others() {
        let connection = waiting(1_000);
        connection
            .execute_batch(
                "UPDATE runs SET record = 'r1' WHERE seq IN (3, 500, 900);
                 UPDATE runs SET parent = 'r1' WHERE seq IN (4, 501);
                 UPDATE starts SET start = json_set(start, '$.event.connection', 'shop', '$.event.object', 'contact') WHERE run = 500;
                 UPDATE runs SET workflow = 's/a' WHERE seq < 600;",
            )
            .unwrap();
        let filter = |before, workflow| Filter { record: Some("r1".into()), before, workflow, ..Filter::default() };
        for most in [1, 2, 10] {
            let (mut found, mut before, mut pages) = (Vec::new(), None, 0);
            loop {
                let (runs, next) = page_within(&connection, filter(before, None), most).unwrap();
                found.extend(runs.iter().map(|run| run.seq));
                (before, pages) = (next, pages + 1);
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(found, [900, 501, 500, 4, 3], "{most}");
            assert!(pages <= 6, "{pages}");
        }
        let of = page(&connection, &filter(None, Some("s/a".into()))).unwrap();
        assert_eq!(of.iter().map(|run| run.seq).collect::<Vec<_>>(), [501, 500, 4, 3]);
        let about =
            |connection: &str| RecordRef { connection: connection.into(), object: "contact".into(), id: "r1".into() };
        let latest = |of: RecordRef, most| latest_about(&connection, &of, most).unwrap().map(|run| run.seq);
        assert_eq!(
            (latest(about("shop"), 10), latest(about("shop"), 1), latest(about("desk"), 10)),
            (Some(500), None, None)
        );
    }

    #[test]
    fn what_a_start_and_the_alarm_ask_is_found_by_index() {
        let connection = waiting(10);
        let plan = |sql: &str| {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3));
            steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        };
        let waiting = WAITING.replace(":due", "0").replace(":seq", "0").replace(":limit", "1");
        assert!(plan(&format!("SELECT {COLUMNS} FROM runs {waiting}")).contains("INDEX runs_parked"));
        assert!(plan(&format!("{PENDING} {IN_ORDER}")).contains("INDEX runs_in_line"));
        assert!(plan(OPEN_PLANS).contains("INDEX runs_open"));
        let filter = |workflow: bool, status, tenant: bool, record: bool| Filter {
            workflow: workflow.then(|| "w".to_owned()),
            status,
            tenant: tenant.then(|| "t".to_owned()),
            record: record.then(|| "r1".to_owned()),
            ..Filter::default()
        };
        for (filter, index) in [
            (filter(false, None, false, false), "PRIMARY KEY (rowid>? AND rowid<?)"),
            (filter(true, None, false, false), "INDEX runs_by_workflow (workflow=? AND rowid>? AND rowid<?)"),
            (filter(true, None, true, false), "INDEX runs_by_workflow (workflow=? AND rowid>? AND rowid<?)"),
            (filter(true, Some(Status::Completed), true, false), "INDEX runs_by_workflow (workflow=?"),
            (
                filter(true, Some(Status::Failed), true, false),
                "INDEX runs_by_status (status=? AND rowid>? AND rowid<?)",
            ),
            (filter(false, Some(Status::Completed), true, false), "INDEX runs_by_status (status=?"),
            (filter(true, Some(Status::Failed), true, true), "PRIMARY KEY (rowid=?)"),
        ] {
            let plan = plan(&format!("SELECT {COLUMNS} FROM runs {}", wanted(&filter).0));
            let is_sorted = plan.contains("TEMP B-TREE FOR ORDER BY");
            assert!(plan.contains(index) && !is_sorted && !plan.contains("SCAN"), "{index}: {plan}");
        }
        for sql in [format!("SELECT {COLUMNS} FROM runs {LATEST_ABOUT}"), FLOOR.into()] {
            let plan = plan(&sql);
            let scans = ["SCAN runs", "SCAN starts"].iter().any(|scan| plan.contains(scan));
            assert!(plan.contains("INDEX runs_by_record") && !scans, "{plan}");
        }
        for others in ["", "AND +status = 'failed' AND +workflow = 'w'"] {
            let page = format!(
                "SELECT {COLUMNS} FROM runs WHERE seq < :before AND seq >= :floor AND {ABOUT} {others} ORDER BY seq DESC LIMIT 2"
            );
            let plan = plan(&page);
            assert!(plan.contains("SEARCH runs USING INTEGER PRIMARY KEY (rowid=?)"), "{plan}");
            assert!(plan.contains("INDEX runs_by_record") && plan.contains("INDEX runs_by_parent"), "{plan}");
        }
    }
}
