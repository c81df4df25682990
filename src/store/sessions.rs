//! People who have signed in at a dashboard: known by the hash of their cookie, for a while.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Error, Role, Store};
use crate::clock::now_ms;

/// Whoever does nothing for so long is signed out, in milliseconds.
pub const SESSION_IDLE_MS: i64 = 30 * 60_000;
/// And everybody after this.
pub const SESSION_LIFE_MS: i64 = 12 * 3_600_000;
/// People at the same time; one more signs out whoever was idle for longest.
pub const SESSIONS_MAX: usize = 256;
/// Those who signed out, and are remembered until everybody would be: a process that has not heard it must not say otherwise.
pub const SESSIONS_ENDED_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of the cookie, in hex.
    pub hash: String,
    pub who: String,
    pub role: Role,
    /// The hash of the token that let them in, with which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    pub begun_ms: i64,
    /// When they did something last.
    pub seen_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
}

impl Session {
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.ended_ms.is_some() || self.is_forgotten(now_ms) || now_ms - self.seen_ms >= SESSION_IDLE_MS
    }

    /// Whatever others know of it, it is over, and need not be kept.
    pub fn is_forgotten(&self, now_ms: i64) -> bool {
        now_ms - self.begun_ms >= SESSION_LIFE_MS
    }

    /// Adds what another process knows of the same session. In any order and any number of times it comes to the same.
    pub fn learn(&mut self, other: &Session) {
        self.seen_ms = self.seen_ms.max(other.seen_ms);
        self.ended_ms = self.ended_ms.into_iter().chain(other.ended_ms).min();
    }
}

impl Store {
    /// Keeps sessions, or what is new of them; those that nobody needs to know go.
    ///
    /// # Errors
    /// The store's.
    pub async fn know_sessions(&self, sessions: Vec<Session>) -> Result<(), Error> {
        let now_ms = now_ms();
        self.write(move |connection| know(connection, &sessions, now_ms)).await
    }

    /// Also one that is over.
    ///
    /// # Errors
    /// The store's.
    pub async fn session(&self, hash: String) -> Result<Option<Session>, Error> {
        self.read(move |connection| one(connection, &hash)).await
    }

    /// # Errors
    /// The store's.
    pub async fn sessions(&self) -> Result<Vec<Session>, Error> {
        self.read(all).await
    }
}

fn know(connection: &Connection, sessions: &[Session], now_ms: i64) -> Result<(), Error> {
    for Session { hash, who, role, token, begun_ms, seen_ms, ended_ms } in sessions {
        let sql =
            "INSERT INTO sessions (hash, who, role, token, begun_ms, seen_ms, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
                   ON CONFLICT (hash) DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms),
                       ended_ms = coalesce(min(ended_ms, excluded.ended_ms), ended_ms, excluded.ended_ms)";
        let row = params![hash, who, role, token, begun_ms, seen_ms, ended_ms];
        connection.prepare_cached(sql)?.execute(row)?;
    }
    let most = |most: usize| i64::try_from(most).unwrap_or(i64::MAX);
    connection.prepare_cached("DELETE FROM sessions WHERE begun_ms <= ?")?.execute([now_ms - SESSION_LIFE_MS])?;
    let idle = "UPDATE sessions SET ended_ms = ? WHERE hash IN (
                    SELECT hash FROM sessions WHERE ended_ms IS NULL ORDER BY seen_ms DESC, hash LIMIT -1 OFFSET ?)";
    connection.prepare_cached(idle)?.execute([now_ms, most(SESSIONS_MAX)])?;
    let ended = "DELETE FROM sessions WHERE hash IN (
                     SELECT hash FROM sessions WHERE ended_ms IS NOT NULL ORDER BY ended_ms DESC, hash LIMIT -1 OFFSET ?)";
    connection.prepare_cached(ended)?.execute([most(SESSIONS_ENDED_MAX)])?;
    Ok(())
}

const COLUMNS: &str = "hash, who, role, token, begun_ms, seen_ms, ended_ms";

fn one(connection: &Connection, hash: &str) -> Result<Option<Session>, Error> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE hash = ?"))?;
    Ok(select.query_row([hash], session).optional()?)
}

fn all(connection: &Connection) -> Result<Vec<Session>, Error> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions ORDER BY hash"))?;
    Ok(select.query_map([], session)?.collect::<Result<_, _>>()?)
}

fn session(row: &Row) -> rusqlite::Result<Session> {
    Ok(Session {
        hash: row.get(0)?,
        who: row.get(1)?,
        role: row.get(2)?,
        token: row.get(3)?,
        begun_ms: row.get(4)?,
        seen_ms: row.get(5)?,
        ended_ms: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::migrate;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn session(hash: &str, begun_ms: i64) -> Session {
        let (who, role) = ("somebody".into(), Role::Read);
        Session { hash: hash.into(), who, role, token: None, begun_ms, seen_ms: begun_ms, ended_ms: None }
    }

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, 0).unwrap();
        connection
    }

    #[test]
    fn whoever_does_nothing_is_signed_out_and_everybody_in_the_end() {
        let mut session = session("a", NOW_MS);
        assert!(!session.is_over(NOW_MS + SESSION_IDLE_MS - 1));
        assert!(session.is_over(NOW_MS + SESSION_IDLE_MS) && !session.is_forgotten(NOW_MS + SESSION_IDLE_MS));
        session.seen_ms = NOW_MS + SESSION_LIFE_MS - 1;
        assert!(!session.is_over(NOW_MS + SESSION_LIFE_MS - 1) && session.is_over(NOW_MS + SESSION_LIFE_MS));
        session.ended_ms = Some(NOW_MS);
        assert!(session.is_over(NOW_MS));
    }

    #[test]
    fn what_two_know_of_a_session_comes_to_the_same_in_any_order() {
        let begun = session("a", NOW_MS);
        let seen = Session { seen_ms: NOW_MS + 5, ..begun.clone() };
        let ended = Session { ended_ms: Some(NOW_MS + 3), ..begun.clone() };
        let later = Session { ended_ms: Some(NOW_MS + 9), ..begun.clone() };
        let orders =
            [[&begun, &seen, &ended, &later], [&later, &ended, &begun, &seen], [&seen, &later, &ended, &begun]];
        for order in orders {
            let connection = store();
            let mut learned = order[0].clone();
            for known in order {
                know(&connection, std::slice::from_ref(known), NOW_MS).unwrap();
                learned.learn(known);
            }
            let all = Session { seen_ms: NOW_MS + 5, ended_ms: Some(NOW_MS + 3), ..begun.clone() };
            assert_eq!(one(&connection, "a").unwrap(), Some(all.clone()));
            assert_eq!(learned, all);
        }
    }

    #[test]
    fn sessions_have_a_bound() {
        let connection = store();
        let number = |number: usize| i64::try_from(number).unwrap();
        for at in 0..SESSIONS_MAX + SESSIONS_ENDED_MAX + 2 {
            know(&connection, &[session(&format!("{at:05}"), NOW_MS + number(at))], NOW_MS + number(at)).unwrap();
        }
        let (ended, open): (Vec<_>, Vec<_>) =
            all(&connection).unwrap().into_iter().partition(|one| one.ended_ms.is_some());
        assert_eq!((open.len(), ended.len()), (SESSIONS_MAX, SESSIONS_ENDED_MAX));
        assert_eq!((ended[0].hash.as_str(), open[0].hash.as_str()), ("00002", "01002"), "whoever was idle for longest");
        know(&connection, &[], NOW_MS + SESSION_LIFE_MS + 1_002).unwrap();
        assert_eq!(all(&connection).unwrap().len(), SESSIONS_MAX - 1);
    }
}
