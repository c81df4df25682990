//! Recipes as they were written before: each time that one has changed, its text.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Error;

/// Texts that are kept of one document.
const OF_ONE_MAX: i64 = 50;
/// How long the texts of all documents may be together, in characters.
const ALL_MAX: i64 = 64 * 1024 * 1024;

/// A document as it was from an instant on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    pub number: i64,
    pub at_ms: i64,
    pub text: String,
}

/// Keeps the texts that are other than the last of their paths; the oldest give way.
pub(super) fn note(connection: &Connection, documents: &[(String, String)], now_ms: i64) -> Result<(), Error> {
    let mut last =
        connection.prepare_cached("SELECT text FROM editions WHERE path = ? ORDER BY number DESC LIMIT 1")?;
    let mut insert = connection.prepare_cached("INSERT INTO editions (path, at_ms, text) VALUES (?, ?, ?)")?;
    let mut prune = connection.prepare_cached(
        "DELETE FROM editions WHERE path = ?1 AND number NOT IN
             (SELECT number FROM editions WHERE path = ?1 ORDER BY number DESC LIMIT ?2)",
    )?;
    let mut is_changed = false;
    for (path, text) in documents {
        let known: Option<String> = last.query_row([path], |row| row.get(0)).optional()?;
        if known.as_ref() != Some(text) {
            insert.execute(params![path, now_ms, text])?;
            prune.execute(params![path, OF_ONE_MAX])?;
            is_changed = true;
        }
    }
    if is_changed {
        let sql = "DELETE FROM editions WHERE number IN (SELECT number FROM
                 (SELECT number, sum(length(text)) OVER (ORDER BY number DESC) AS size FROM editions) WHERE size > ?)";
        connection.prepare_cached(sql)?.execute([ALL_MAX])?;
    }
    Ok(())
}

/// Of one document, newest first; before a number.
pub(super) fn of(connection: &Connection, path: &str, before: i64, limit: usize) -> Result<Vec<Edition>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let sql = "SELECT number, at_ms, text FROM editions WHERE path = ? AND number < ? ORDER BY number DESC LIMIT ?";
    let mut select = connection.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row| Ok(Edition { number: row.get(0)?, at_ms: row.get(1)?, text: row.get(2)? });
    Ok(select.query_map(params![path, before, limit], read)?.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn what_changed_is_kept_and_the_oldest_give_way() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        let put =
            |path: &str, text: &str, at: i64| note(&connection, &[(path.to_owned(), text.to_owned())], at).unwrap();
        put("a", "one", 1);
        put("a", "one", 2);
        put("b", "other", 3);
        put("a", "two", 4);
        put("a", "one", 5);
        let told = |before| {
            of(&connection, "a", before, 2).unwrap().into_iter().map(|one| (one.at_ms, one.text)).collect::<Vec<_>>()
        };
        assert_eq!(told(i64::MAX), [(5, "one".to_owned()), (4, "two".to_owned())]);
        let oldest = of(&connection, "a", i64::MAX, 9).unwrap().pop().unwrap();
        assert_eq!((oldest.at_ms, told(oldest.number)), (1, vec![]));
        (10..100).for_each(|at| put("a", &at.to_string(), at));
        assert_eq!(of(&connection, "a", i64::MAX, 1_000).unwrap().len(), 50);
        assert_eq!(of(&connection, "b", i64::MAX, 9).unwrap().len(), 1);
        // However long they are, all together have a bound.
        let long = "x".repeat(ALL_MAX as usize / 2);
        (0..3).for_each(|number| put("c", &format!("{number}{long}"), 200));
        assert_eq!(of(&connection, "c", i64::MAX, 9).unwrap().len(), 1);
        assert!(of(&connection, "a", i64::MAX, 9).unwrap().is_empty());
    }
}
