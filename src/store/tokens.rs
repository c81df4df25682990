//! Who may look and act from outside: tokens by their hash, and what was done by whoever came in.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::Error;

/// Tokens that are in force at the same time.
pub const TOKENS_MAX: usize = 100;
/// Tokens that are over and still listed.
pub const TOKENS_OVER_MAX: usize = 100;
/// What was done is remembered so far back.
const DEEDS_MAX: i64 = 10_000;

/// What somebody may do; each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Read,
    /// Decide what becomes of runs and questions.
    Operate,
    /// See who has done what.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Read, Role::Operate, Role::Admin];

    pub fn word(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Operate => "operate",
            Role::Admin => "admin",
        }
    }

    pub fn of(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// A token that is to be kept: never itself, only its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    /// SHA-256 of its secret part, in hex.
    pub hash: String,
    pub expires_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    pub number: i64,
    pub name: String,
    pub role: Role,
    #[serde(skip)]
    pub hash: String,
    pub made_ms: i64,
    pub expires_ms: i64,
    pub revoked_ms: Option<i64>,
}

impl Token {
    pub fn is_in_force(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && now_ms < self.expires_ms
    }
}

/// A token as several stores know it, each by a number of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownToken {
    pub token: NewToken,
    pub made_ms: i64,
    pub revoked_ms: Option<i64>,
}

impl KnownToken {
    pub fn is_in_force(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && now_ms < self.token.expires_ms
    }
}

impl From<Token> for KnownToken {
    fn from(token: Token) -> KnownToken {
        let Token { name, role, hash, made_ms, expires_ms, revoked_ms, .. } = token;
        KnownToken { token: NewToken { name, role, hash, expires_ms }, made_ms, revoked_ms }
    }
}

/// From where commands come.
pub const HERE: &str = "this computer";
/// From where they came that another process tells of.
const THERE: &str = "another process";

/// What somebody has done from outside, or over whom: never with values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// The folder's own.
    #[serde(default)]
    pub number: i64,
    pub at_ms: i64,
    pub who: String,
    /// From where.
    pub origin: String,
    pub what: String,
    /// Of what: a run, a question, a token.
    pub about: String,
}

pub(super) fn keep(connection: &Connection, token: &NewToken, deed: &Deed) -> Result<i64, Error> {
    forget(connection, deed.at_ms)?;
    let sql = "SELECT count(*) FROM tokens WHERE revoked_ms IS NULL AND expires_ms > ?";
    let number: i64 = connection.prepare_cached(sql)?.query_row([deed.at_ms], |row| row.get(0))?;
    if usize::try_from(number).unwrap_or(usize::MAX) >= TOKENS_MAX {
        return Err(Error::Refused(format!(
            "there are {TOKENS_MAX} tokens in force already: revoke one that nobody needs"
        )));
    }
    insert(connection, &KnownToken { token: token.clone(), made_ms: deed.at_ms, revoked_ms: None })?;
    let number = connection.last_insert_rowid();
    note(connection, &Deed { about: about_token(number, &token.name), ..deed.clone() })?;
    Ok(number)
}

/// Those made last of what is over stay.
fn forget(connection: &Connection, now_ms: i64) -> Result<(), Error> {
    let sql = "DELETE FROM tokens WHERE number IN (
                   SELECT number FROM tokens WHERE revoked_ms IS NOT NULL OR expires_ms <= ?
                   ORDER BY made_ms DESC, number DESC LIMIT -1 OFFSET ?)";
    let most = i64::try_from(TOKENS_OVER_MAX).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute([now_ms, most])?;
    Ok(())
}

fn insert(connection: &Connection, KnownToken { token, made_ms, revoked_ms }: &KnownToken) -> Result<(), Error> {
    let NewToken { name, role, hash, expires_ms } = token;
    let sql = "INSERT INTO tokens (name, role, hash, made_ms, expires_ms, revoked_ms) VALUES (?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![name, role, hash, made_ms, expires_ms, revoked_ms])?;
    Ok(())
}

/// Takes over what others know. A token that was revoked anywhere is.
pub(super) fn know(connection: &Connection, tokens: &[KnownToken], now_ms: i64) -> Result<(), Error> {
    for known in tokens {
        let sql = "UPDATE tokens SET revoked_ms = coalesce(min(revoked_ms, ?1), revoked_ms, ?1) WHERE hash = ?2";
        let is_here = connection.prepare_cached(sql)?.execute(params![known.revoked_ms, known.token.hash])? > 0;
        if !is_here {
            insert(connection, known)?;
        }
    }
    forget(connection, now_ms)
}

/// False if there is none of this number in force.
pub(super) fn revoke(connection: &Connection, number: i64, deed: &Deed) -> Result<bool, Error> {
    let sql = "UPDATE tokens SET revoked_ms = ?1 WHERE number = ?2 AND revoked_ms IS NULL AND expires_ms > ?1";
    let is_done = connection.prepare_cached(sql)?.execute([deed.at_ms, number])? == 1;
    if is_done {
        note(connection, &Deed { about: about_token(number, ""), ..deed.clone() })?;
    }
    Ok(is_done)
}

const COLUMNS: &str = "number, name, role, hash, made_ms, expires_ms, revoked_ms";

/// Those made last at the front.
pub(super) fn all(connection: &Connection) -> Result<Vec<Token>, Error> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM tokens ORDER BY number DESC"))?;
    Ok(select.query_map([], token)?.collect::<Result<_, _>>()?)
}

/// By the hash of its secret.
pub(super) fn of_hash(connection: &Connection, hash: &str) -> Result<Option<Token>, Error> {
    let mut select = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM tokens WHERE hash = ?"))?;
    Ok(select.query_row([hash], token).optional()?)
}

fn token(row: &Row) -> rusqlite::Result<Token> {
    Ok(Token {
        number: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        hash: row.get(3)?,
        made_ms: row.get(4)?,
        expires_ms: row.get(5)?,
        revoked_ms: row.get(6)?,
    })
}

/// Writes down what was done; what is oldest is forgotten.
pub(super) fn note(connection: &Connection, deed: &Deed) -> Result<(), Error> {
    let sql = "INSERT INTO deeds (at_ms, who, origin, what, about) VALUES (?, ?, ?, ?, ?)";
    let Deed { at_ms, who, origin, what, about, .. } = deed;
    connection.prepare_cached(sql)?.execute(params![at_ms, who, origin, what, about])?;
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM deeds WHERE number <= ?")?.execute([last - DEEDS_MAX])?;
    Ok(())
}

/// Writes down what another process tells of, and what this one has told of itself only once.
pub(super) fn copy(connection: &Connection, deed: &Deed) -> Result<(), Error> {
    let sql = "SELECT 1 FROM deeds WHERE at_ms = ? AND who = ? AND what = ? AND about = ?";
    let Deed { at_ms, who, what, about, .. } = deed;
    let is_known = connection.prepare_cached(sql)?.exists(params![at_ms, who, what, about])?;
    if is_known {
        return Ok(());
    }
    let origin = if deed.origin == HERE { THERE } else { &deed.origin };
    note(connection, &Deed { origin: origin.to_owned(), ..deed.clone() })
}

/// What a token is called where it is told what was done about it.
pub fn about_token(number: i64, name: &str) -> String {
    if name.is_empty() { format!("token {number}") } else { format!("token {number} ({name})") }
}

/// Latest first; those before a number.
pub(super) fn deeds(connection: &Connection, before: i64, limit: usize) -> Result<Vec<Deed>, Error> {
    let sql = "SELECT number, at_ms, who, origin, what, about FROM deeds WHERE number < ? ORDER BY number DESC LIMIT ?";
    let deed = |row: &Row| {
        Ok(Deed {
            number: row.get(0)?,
            at_ms: row.get(1)?,
            who: row.get(2)?,
            origin: row.get(3)?,
            what: row.get(4)?,
            about: row.get(5)?,
        })
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(connection.prepare_cached(sql)?.query_map([before, limit], deed)?.collect::<Result<_, _>>()?)
}

impl ToSql for Role {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.word()))
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        Role::of(word).ok_or_else(|| FromSqlError::Other(format!("unknown role `{word}`").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        connection
    }

    fn deed(at_ms: i64) -> Deed {
        let (who, origin, what, about) = ("somebody".into(), "here".into(), "makes".into(), String::new());
        Deed { number: 0, at_ms, who, origin, what, about }
    }

    fn new(hash: i64, expires_ms: i64) -> NewToken {
        NewToken { name: "one".into(), role: Role::Read, hash: hash.to_string(), expires_ms }
    }

    #[test]
    fn tokens_in_force_have_a_bound_and_those_that_are_over_as_well() {
        let connection = store();
        for number in 0..300 {
            let number = keep(&connection, &new(number, 1_000), &deed(1)).unwrap();
            assert!(revoke(&connection, number, &deed(2)).unwrap());
            assert!(!revoke(&connection, number, &deed(3)).unwrap(), "it is revoked already");
        }
        assert_eq!(all(&connection).unwrap().len(), 101);
        (0..100).for_each(|number| _ = keep(&connection, &new(1_000 + number, 1_000), &deed(4)).unwrap());
        assert!(matches!(keep(&connection, &new(5_000, 1_000), &deed(5)), Err(Error::Refused(_))));
        assert!(keep(&connection, &new(5_000, 2_000), &deed(1_000)).is_ok(), "those have expired");
    }

    #[test]
    fn what_others_know_is_known_here_and_what_one_has_revoked_is() {
        let connection = store();
        let (mine, theirs) = (keep(&connection, &new(1, 1_000), &deed(1)).unwrap(), new(2, 1_000));
        let told = |token: &NewToken, revoked_ms| KnownToken { token: token.clone(), made_ms: 5, revoked_ms };
        know(&connection, &[told(&theirs, None)], 10).unwrap();
        know(&connection, &[told(&theirs, None)], 10).unwrap();
        assert_eq!(all(&connection).unwrap().len(), 2);
        let their_number = of_hash(&connection, "2").unwrap().unwrap().number;
        assert_ne!(their_number, mine);
        know(&connection, &[told(&new(1, 1_000), Some(30)), told(&theirs, Some(40))], 50).unwrap();
        know(&connection, &[told(&new(1, 1_000), None), told(&theirs, Some(20))], 50).unwrap();
        let revoked =
            |number| all(&connection).unwrap().into_iter().find(|token| token.number == number).unwrap().revoked_ms;
        assert_eq!((revoked(mine), revoked(their_number)), (Some(30), Some(20)));
        assert!(!revoke(&connection, mine, &deed(60)).unwrap(), "it is revoked already");
    }

    #[test]
    fn only_the_latest_deeds_are_remembered() {
        let connection = store();
        (0..DEEDS_MAX + 5).for_each(|at_ms| note(&connection, &deed(at_ms)).unwrap());
        let latest = deeds(&connection, i64::MAX, 2).unwrap();
        assert_eq!(latest.iter().map(|deed| deed.at_ms).collect::<Vec<_>>(), [DEEDS_MAX + 4, DEEDS_MAX + 3]);
        assert_eq!(deeds(&connection, latest[1].number, 1).unwrap()[0].at_ms, DEEDS_MAX + 2);
        assert_eq!(deeds(&connection, i64::MAX, usize::MAX).unwrap().len(), 10_000);
    }
}
