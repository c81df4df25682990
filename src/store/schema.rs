//! Tables and their versions: `PRAGMA user_version` says how many of the migrations a file has been through.
//!
//! Migrations only go forward and are never edited once released; a file from a newer Dovetail is refused.

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::Error;

/// "Dove" in the file's header: this SQLite file is a store of ours.
pub(super) const APPLICATION_ID: i64 = 0x446f_7665;

/// From version n to n + 1, each in one transaction.
pub(super) const MIGRATIONS: &[&str] = &[
    FIRST, KNOWN, PARKED, LAST, MESSAGES, KEPT, IN_LINE, PACTS, SOURCES, STANDING, TOKENS, UNDER, EDITIONS, ABOUT,
    CHECKED, TOLD_AS, SESSIONS, APART, WHOLE,
];

/// The version that this program reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

const FIRST: &str = "
-- Accepted once per (source, id). The body goes first (null once pruned), the id stays as a tombstone for longer.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    body TEXT,
    UNIQUE (source, id)
) STRICT;
-- By age, those with a body first: what `prune` looks for.
CREATE INDEX events_by_age ON events ((body IS NULL), received_ms);

CREATE TABLE runs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    tenant TEXT,
    order_key TEXT NOT NULL,
    plan TEXT NOT NULL,
    start TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'completed', 'skipped', 'failed', 'dropped')),
    due_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    ending TEXT,
    journal_length INTEGER NOT NULL CHECK (journal_length >= 0),
    CHECK ((status = 'pending') = (ending IS NULL)),
    CHECK ((status = 'pending') = (ended_ms IS NULL))
) STRICT;
-- Both end in seq, as every index does: pending in the order of acceptance, the others newest first.
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_workflow ON runs (workflow, status);
-- A dead letter is kept until a person retries or drops it.
CREATE INDEX runs_prunable ON runs (ended_ms) WHERE ended_ms IS NOT NULL AND status <> 'failed';

CREATE TABLE journal (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    n INTEGER NOT NULL CHECK (n >= 0),
    at_ms INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (run, n)
) STRICT, WITHOUT ROWID;

-- A link is two rows, one in each direction, so the one key keeps both directions one-to-one.
CREATE TABLE links (
    connection TEXT NOT NULL,
    object TEXT NOT NULL,
    id TEXT NOT NULL,
    other_connection TEXT NOT NULL,
    other_object TEXT NOT NULL,
    tenant TEXT NOT NULL, -- '' for none: nulls would be unequal to each other.
    other_id TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('left', 'right')),
    PRIMARY KEY (connection, object, id, other_connection, other_object, tenant)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE plans (hash TEXT PRIMARY KEY, documents TEXT NOT NULL) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

const KNOWN: &str = "
-- The last copy of a record that a workflow was told.
CREATE TABLE known (
    workflow TEXT NOT NULL,
    connection TEXT NOT NULL,
    object TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    told_ms INTEGER NOT NULL,
    gone INTEGER NOT NULL CHECK (gone IN (0, 1)),
    read_with TEXT,
    record TEXT NOT NULL,
    PRIMARY KEY (workflow, connection, object, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX known_by_age ON known (gone, told_ms);
";

const PARKED: &str = "
ALTER TABLE runs ADD COLUMN parked INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1));
-- Who waits, in the order in which they are called.
CREATE INDEX runs_parked ON runs (due_ms, seq) WHERE parked = 1;
";

const LAST: &str = "
-- When a workflow last ran for a tenant.
CREATE INDEX runs_by_account ON runs (workflow, tenant, created_ms);
";

const MESSAGES: &str = "
-- What listeners have told, for runs that wait for it or will. `run` is the listener's.
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    listener TEXT NOT NULL,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    run INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX messages_by_key ON messages (listener, source, key, number);

-- What parked runs wait for; written anew whenever a run is parked.
CREATE TABLE subscriptions (
    run INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
    listener TEXT NOT NULL,
    source TEXT NOT NULL,
    key TEXT NOT NULL,
    after INTEGER NOT NULL
) STRICT;
CREATE INDEX subscriptions_by_run ON subscriptions (run);
CREATE INDEX subscriptions_by_key ON subscriptions (listener, source, key);
";

const KEPT: &str = "
-- When a version of the project last became the present one, or was replaced.
ALTER TABLE plans ADD COLUMN kept_ms INTEGER NOT NULL DEFAULT 0;
";

const IN_LINE: &str = "
-- What a start looks for. Runs that wait are not among it, however many there are.
CREATE INDEX runs_in_line ON runs (seq) WHERE status = 'pending' AND parked = 0;
CREATE INDEX runs_open ON runs (plan) WHERE status IN ('pending', 'failed');
";

const PACTS: &str = "
-- What a sync knows of a pair, by the record of its first side.
CREATE TABLE pacts (
    sync TEXT NOT NULL,
    tenant TEXT NOT NULL,
    connection TEXT NOT NULL,
    object TEXT NOT NULL,
    id TEXT NOT NULL,
    other_connection TEXT NOT NULL,
    other_object TEXT NOT NULL,
    other_id TEXT NOT NULL,
    pact TEXT NOT NULL,
    PRIMARY KEY (sync, tenant, connection, object, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pacts_by_record ON pacts (connection, object, id);
CREATE INDEX pacts_by_other ON pacts (other_connection, other_object, other_id);

-- What a sync leaves to people, about a pair (by the record of its first side) or a record without one.
CREATE TABLE questions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sync TEXT NOT NULL,
    tenant TEXT NOT NULL,
    connection TEXT NOT NULL,
    object TEXT NOT NULL,
    id TEXT NOT NULL,
    key TEXT NOT NULL,
    other TEXT,
    question TEXT NOT NULL,
    asked_ms INTEGER NOT NULL,
    choice TEXT,
    UNIQUE (sync, tenant, connection, object, id, key)
) STRICT;
-- What was parted lately.
CREATE INDEX questions_by_age ON questions (sync, tenant, asked_ms);
";

const SOURCES: &str = "
-- A source with several accounts is one for each: `crm:crm-north`.
UPDATE events SET source = source || ':' || (body ->> '$.connection') WHERE (body ->> '$.connection') IS NOT NULL;
";

const STANDING: &str = "
-- The record under which the one lives that is asked about.
ALTER TABLE questions ADD COLUMN parent TEXT;
-- Nobody has chosen what is chosen: it holds until somebody says otherwise.
ALTER TABLE questions ADD COLUMN is_standing INTEGER NOT NULL DEFAULT FALSE;
UPDATE questions SET is_standing = TRUE WHERE question = '\"parted\"' AND choice = '\"leave\"';
";

const TOKENS: &str = "
-- Who may look and act from outside. Of the token itself only the hash is known.
CREATE TABLE tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('read', 'operate', 'admin')),
    hash TEXT NOT NULL UNIQUE,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;

-- What was done by whoever came in.
CREATE TABLE deeds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    origin TEXT NOT NULL,
    what TEXT NOT NULL,
    about TEXT NOT NULL
) STRICT;
";

const UNDER: &str = "
-- What lives under a pair.
CREATE INDEX pacts_by_parent ON pacts (connection, pact ->> '$.parents[0]');
";

const EDITIONS: &str = "
-- Recipes as they were written from an instant on.
CREATE TABLE editions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX editions_by_path ON editions (path, number);
";

const ABOUT: &str = "
-- The record that a run is about, and the one under which that lives.
ALTER TABLE runs ADD COLUMN record TEXT;
ALTER TABLE runs ADD COLUMN parent TEXT;
UPDATE runs SET record = start ->> '$.event.record_id', parent = start ->> '$.event.parent_id'
WHERE start ->> '$.event.record_id' IS NOT NULL OR start ->> '$.event.parent_id' IS NOT NULL;
CREATE INDEX runs_by_record ON runs (record) WHERE record IS NOT NULL;
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent IS NOT NULL;
";

/// SQLite makes a table of more than two alternatives whenever it checks them, for each write anew. That the rows fit stays the
/// same, so that only the text is another (<https://sqlite.org/lang_altertable.html#otheralter>).
const CHECKED: &str = "
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (status IN (''pending'', ''completed'', ''skipped'', ''failed'', ''dropped''))',
    'CHECK (status = ''pending'' OR status = ''completed'' OR status = ''skipped'' OR status = ''failed'' OR status = ''dropped'')')
WHERE type = 'table' AND name = 'runs';
PRAGMA writable_schema = OFF;
";

const TOLD_AS: &str = "
-- The number under which runs know a message that a cluster has kept; none: its own.
ALTER TABLE messages ADD COLUMN told_as INTEGER;
";

const SESSIONS: &str = "
-- Who has signed in at a dashboard.
CREATE TABLE sessions (
    -- Of their cookie.
    hash TEXT NOT NULL PRIMARY KEY,
    who TEXT NOT NULL,
    role TEXT NOT NULL,
    -- The hash of the token that let them in.
    token TEXT,
    begun_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT, WITHOUT ROWID;
-- What another process tells is looked for here first.
CREATE INDEX deeds_by_time ON deeds (at_ms);
";

/// The version that has it.
pub(super) const APART_SINCE: i64 = 18;
const APART: &str = "
-- What a run starts from. Its row is written anew whenever it moves on, this never.
CREATE TABLE starts (
    run INTEGER PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE ON UPDATE CASCADE,
    start TEXT NOT NULL
) STRICT;
INSERT INTO starts (run, start) SELECT seq, start FROM runs;
ALTER TABLE runs DROP COLUMN start;
-- Nor is a run put elsewhere among its workflow's when it ends.
DROP INDEX runs_by_workflow;
CREATE INDEX runs_by_workflow ON runs (workflow);
";

const WHOLE: &str = "
-- A row of the journal is a decision: number and instant of its first line, and that line, or a list of [instant, line].
-- Rows of before stay as they are, each with one line; an earlier program would not understand those of today.
";

/// The version of an opened file; 0 for one that holds nothing yet.
///
/// # Errors
/// `Open` when the file is of a newer version, or is not a store.
pub(super) fn version(connection: &Connection) -> Result<i64, Error> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 && version == 0 && application == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Error::Open("the file is an SQLite database, but not a store of Dovetail".to_owned()));
    }
    if version > VERSION {
        return Err(Error::Open(format!(
            "its schema has version {version}, this program knows up to {VERSION}; use the newer program that made it"
        )));
    }
    Ok(version)
}

/// Brings the tables to the present version. A crash in between leaves the version before, whole.
pub(super) fn migrate(connection: &Connection, from: i64) -> Result<(), Error> {
    if from == VERSION { Ok(()) } else { migrate_by(connection, from, MIGRATIONS) }
}

fn migrate_by(connection: &Connection, from: i64, migrations: &[&str]) -> Result<(), Error> {
    // Only so may a migration write the text of the schema.
    let is_defensive = connection.db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    let migrated = (1..).zip(migrations).filter(|(next, _)| *next > from).try_for_each(|(next, migration)| {
        let changes: i64 = connection.pragma_query_value(None, "schema_version", |row| row.get(0))?;
        // Another number than any that its own changes have made: so the text of the schema is read again.
        let stamp = format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {next}; PRAGMA schema_version = {};",
            changes + 100
        );
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {migration} {stamp} COMMIT;"))
    });
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, is_defensive)?;
    Ok(migrated?)
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::*;
    use crate::store::{Questions, intake, pacts, runs};
    use crate::sync::{Choice, Question};

    #[test]
    fn migrating_twice_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(version(&connection), Ok(0));
        migrate(&connection, 0).unwrap();
        assert_eq!(version(&connection), Ok(VERSION));
        migrate(&connection, VERSION).unwrap();
        assert_eq!(version(&connection), Ok(VERSION));
    }

    #[test]
    fn a_state_that_there_is_not_is_refused_and_no_table_is_made_to_find_out() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, 0).unwrap();
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        let run = "INSERT INTO runs (id, workflow, order_key, plan, status, due_ms, created_ms, journal_length)
                   VALUES (?1, 'w', '', '', ?1, 0, 0, 0)";
        assert!(connection.execute(run, ["pending"]).is_ok());
        let refused = connection.execute(run, ["lost"]).unwrap_err().to_string();
        assert!(refused.contains("CHECK constraint failed"), "{refused}");
        let ended = "UPDATE runs SET status = 'completed', ended_ms = 1, ending = '{}' WHERE seq = 1";
        for sql in [run, ended] {
            let mut explain = connection.prepare(&format!("EXPLAIN {sql}")).unwrap();
            let steps: Vec<String> = explain.raw_query().mapped(|row| row.get(1)).collect::<Result<_, _>>().unwrap();
            assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}: {steps:?}");
        }
    }

    /// What was kept before questions stood by themselves, and before accounts of one source were told apart.
    #[test]
    fn questions_and_events_of_an_older_version_are_read() {
        let connection = Connection::open_in_memory().unwrap();
        let before = MIGRATIONS.iter().position(|migration| *migration == SOURCES).unwrap();
        MIGRATIONS[..before].iter().for_each(|migration| connection.execute_batch(migration).unwrap());
        let sql = "INSERT INTO questions (sync, tenant, connection, object, id, key, question, asked_ms, choice)
                   VALUES ('s', '', 'shop', 'contact', ?, 'match', ?, 1, ?)";
        let parted = serde_json::to_string(&Question::Parted).unwrap();
        let alone = r#"{"alone":{"other":"contact of desk"}}"#;
        let (leave, create) = (Choice::Leave, Choice::Create);
        let written = |choice: &Choice| serde_json::to_string(choice).unwrap();
        for (id, question, choice) in [
            ("standing", parted.as_str(), Some(written(&leave))),
            ("answered", parted.as_str(), Some(written(&create))),
            ("left", alone, Some(written(&leave))),
            ("open", alone, None),
        ] {
            connection.execute(sql, params![id, question, choice]).unwrap();
        }
        let event = r#"{"id":"1","source":"crm","type":"created","time_ms":1,"connection":"shop"}"#;
        let sql = "INSERT INTO events (source, id, received_ms, body) VALUES ('crm', '1', 1, ?)";
        connection.execute(sql, [event]).unwrap();
        migrate(&connection, i64::try_from(before).unwrap()).unwrap();
        let ids = |wanted| -> Vec<String> {
            let asked = pacts::questions(&connection, wanted, 0, 10).unwrap();
            asked.into_iter().map(|asked| asked.about.id).collect()
        };
        assert_eq!(ids(Questions::Open), ["answered", "left", "open"]);
        assert_eq!(ids(Questions::Answered), ["answered", "left"]);
        assert_eq!(ids(Questions::All), ["standing", "answered", "left", "open"]);
        let known = intake::known(&connection, ("crm", "shop"), vec!["1".into(), "2".into()]).unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), ["1"]);
    }

    #[test]
    fn runs_of_an_older_version_start_from_what_they_started_from() {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        let before = MIGRATIONS.iter().position(|migration| *migration == APART).unwrap();
        migrate_by(&connection, 0, &MIGRATIONS[..before]).unwrap();
        let start = r#"{"id":"r1","workflow":"w","order_key":"k","plan":"p","connections":{},"created_ms":0,
            "event":{"id":"e","source":"s","type":"k","time_ms":7}}"#;
        let sql = "INSERT INTO runs (id, workflow, order_key, plan, start, status, due_ms, created_ms, journal_length)
                   VALUES ('r1', 'w', 'k', 'p', ?1, 'pending', 0, 0, 0)";
        connection.execute(sql, [start]).unwrap();
        migrate(&connection, i64::try_from(before).unwrap()).unwrap();
        let run = runs::one(&connection, "r1").unwrap().unwrap();
        assert_eq!(i64::try_from(before).unwrap() + 1, APART_SINCE);
        assert_eq!((run.start.order_key.as_str(), run.start.event.time_ms), ("k", 7));
        assert_eq!(runs::open_plans(&connection).unwrap(), ["p"]);
        // A run takes it along, wherever it goes.
        connection.execute("UPDATE runs SET seq = 9", []).unwrap();
        assert_eq!(runs::one(&connection, "r1").unwrap().unwrap().seq, 9);
        connection.execute("DELETE FROM runs", []).unwrap();
        let left: i64 = connection.query_row("SELECT count(*) FROM starts", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn another_programs_database_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(version(&connection).unwrap_err().to_string().contains("not a store of Dovetail"));
    }
}
