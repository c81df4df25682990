//! Pairs of syncs with what they have agreed on, looked at page by page.

use rusqlite::{Connection, ToSql, params};

use super::Error;
use super::pacts::{self, Asked, Paired};
use super::signs::Text;
use crate::run::RecordRef;
use crate::sync::Pact;

/// Two records that a sync keeps alike, what they last agreed on, and what waits for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    pub known: Paired,
    pub pact: Pact,
    pub open: Vec<Asked>,
}

/// A pair by sync, tenant, connection, object and id: after this the next page begins.
pub type Place = [String; 5];

/// Questions that are read of one pair.
const OPEN_MAX: usize = 100;

const COLUMNS: &str =
    "SELECT sync, tenant, connection, object, id, other_connection, other_object, other_id, pact FROM pacts";

const AFTER: &str = "WHERE (sync, tenant, connection, object, id) > (?, ?, ?, ?, ?)
    ORDER BY sync, tenant, connection, object, id LIMIT ?";

/// Pairs in the order of their places. Without a text, those that live under no other; else those of which a half has it as its id,
/// or as a value of its own. For one page so many pairs are looked at.
pub(super) fn page(
    connection: &Connection,
    text: Option<&str>,
    after: &Place,
    (limit, most): (usize, usize),
) -> Result<(Vec<Shared>, Option<Place>), Error> {
    let sign = text.map(Text::of);
    let sql = format!("{COLUMNS} {AFTER}");
    let mut select = connection.prepare_cached(&sql)?;
    let looked_at = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    let [sync, tenant, named, object, id] = after;
    let mut rows = select.query(params![sync, tenant, named, object, id, looked_at])?;
    let (mut found, mut last, mut number) = (Vec::new(), None, 0);
    while let Some(row) = rows.next()? {
        if number == most || found.len() == limit {
            return Ok((found, last));
        }
        number += 1;
        let known = pacts::paired(row)?;
        last = Some(place(&known));
        let json = row.get_ref(8)?.as_bytes().map_err(rusqlite::Error::from)?;
        let has_id = known.pair.iter().any(|record| Some(record.id.as_str()) == text);
        if sign.as_ref().is_some_and(|sign| !has_id && !sign.is_in(json)) {
            continue;
        }
        let pact: Pact = serde_json::from_slice(json)?;
        let is_wanted = match &sign {
            Some(sign) => has_id || pact.agreed.values().flatten().any(|value| sign.is(value)),
            None => pact.parents[0].is_none(),
        };
        if is_wanted {
            found.push(shared(connection, known, pact)?);
        }
    }
    Ok((found, None))
}

fn place(known: &Paired) -> Place {
    let [of, _] = &known.pair;
    let tenant = known.tenant.clone().unwrap_or_default();
    [known.sync.clone(), tenant, of.connection.clone(), of.object.clone(), of.id.clone()]
}

fn shared(connection: &Connection, known: Paired, pact: Pact) -> Result<Shared, Error> {
    let open = pacts::open_about(connection, &known, OPEN_MAX)?;
    Ok(Shared { known, pact, open })
}

/// The pairs in which a record is.
pub(super) fn of(connection: &Connection, record: &RecordRef) -> Result<Vec<Shared>, Error> {
    let sql = format!("{COLUMNS} WHERE sync = ? AND tenant = ? AND connection = ? AND object = ? AND id = ?");
    let mut all = Vec::new();
    for known in pacts::of(connection, record)? {
        let place = place(&known);
        all.extend(some(connection, &sql, &place.each_ref().map(|part| part as &dyn ToSql))?);
    }
    Ok(all)
}

// Few live under one; a sync may have very many.
const UNDER: &str =
    "INDEXED BY pacts_by_parent WHERE connection = ? AND pact ->> '$.parents[0]' = ? AND sync = ? AND tenant = ?
    ORDER BY object, id LIMIT ? OFFSET ?";

/// The pairs that live under a pair, from a number on.
pub(super) fn under(connection: &Connection, of: &Paired, from: i64, limit: i64) -> Result<Vec<Shared>, Error> {
    let sql = format!("{COLUMNS} {UNDER}");
    let tenant = of.tenant.as_deref().unwrap_or_default();
    let [first, _] = &of.pair;
    some(connection, &sql, &[&first.connection, &first.id, &of.sync, &tenant, &limit, &from])
}

fn some(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<Shared>, Error> {
    let mut select = connection.prepare_cached(sql)?;
    let mut rows = select.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let json = row.get_ref(8)?.as_bytes().map_err(rusqlite::Error::from)?;
        all.push(shared(connection, pacts::paired(row)?, serde_json::from_slice(json)?)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::schema;

    /// Contacts c1 to c9 of two sides, each with two notes; of the fifth the other half has an id that says so.
    fn filled() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        let keep = |object: &str, id: &str, parents: [Option<&str>; 2], value: &str| {
            let pact = json!({ "agreed": { "mail": [value, value] }, "parents": parents });
            let sql = "INSERT INTO pacts VALUES ('s', '', 'crm', ?1, ?2, 'shop', ?1, 'other-' || ?2, ?3)";
            connection.execute(sql, params![object, id, pact.to_string()]).unwrap();
        };
        for number in 1..10 {
            let id = format!("c{number}");
            keep("contact", &id, [None, None], &format!("{id}@example.com"));
            for note in ["a", "b"] {
                keep("note", &format!("{id}{note}"), [Some(&id), Some("x")], "a text");
            }
        }
        connection
    }

    fn ids(found: &[Shared]) -> Vec<&str> {
        found.iter().map(|shared| shared.known.pair[0].id.as_str()).collect()
    }

    #[test]
    fn whatever_is_looked_at_at_once_each_pair_comes_once() {
        let connection = filled();
        for bounds in [(2, 30_000), (100, 4), (3, 1), (9, 27), (1, 1)] {
            let (mut all, mut after) = (Vec::new(), Place::default());
            loop {
                let (found, next) = page(&connection, None, &after, bounds).unwrap();
                assert!(found.len() <= bounds.0, "{bounds:?}");
                all.extend(ids(&found).into_iter().map(str::to_owned));
                let Some(next) = next else { break };
                assert!(next > after, "it goes on");
                after = next;
            }
            assert_eq!(all, (1..10).map(|number| format!("c{number}")).collect::<Vec<_>>(), "{bounds:?}");
        }
    }

    #[test]
    fn a_pair_is_found_by_an_id_of_either_half_or_by_a_whole_value() {
        let connection = filled();
        let found = |text: &str| {
            let (found, _) = page(&connection, Some(text), &Place::default(), (100, 30_000)).unwrap();
            ids(&found).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(
            (found("c5"), found("other-c5"), found("C5@Example.com")),
            (vec!["c5".into()], vec!["c5".into()], vec!["c5".into()])
        );
        assert_eq!((found("c5b"), found("c5@example"), found("agreed")), (vec!["c5b".into()], vec![], vec![]));
    }

    #[test]
    fn what_lives_under_a_pair_is_found_by_an_index() {
        let connection = filled();
        let record = RecordRef { connection: "shop".into(), object: "contact".into(), id: "other-c5".into() };
        let contact = of(&connection, &record).unwrap().pop().unwrap().known;
        assert_eq!(ids(&under(&connection, &contact, 0, 10).unwrap()), ["c5a", "c5b"]);
        assert_eq!(ids(&under(&connection, &contact, 1, 10).unwrap()), ["c5b"]);
        for (rest, index) in [
            (UNDER, "INDEX pacts_by_parent (connection=? AND <expr>=?"),
            (AFTER, "PRIMARY KEY ((sync,tenant,connection,object,id)>"),
        ] {
            let mut select = connection.prepare(&format!("EXPLAIN QUERY PLAN {COLUMNS} {rest}")).unwrap();
            let told: Vec<String> = select
                .query_map([rusqlite::types::Null; 6], |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            assert!(told[0].contains(index), "{told:?}");
        }
    }
}
