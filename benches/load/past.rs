//! Runs that are over, written into a store at once.

use std::path::Path;

use rusqlite::Connection;

/// Each as the job leaves it behind, but all with one text.
pub fn write(data: &Path, runs: usize) {
    let connection = Connection::open(data.join("dovetail.sqlite3")).expect("the store");
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             CREATE TEMP TABLE numbers AS
                 WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {runs}) SELECT n FROM numbers;
             CREATE TEMP TABLE texts AS SELECT printf('%.600c', 'x') AS body;
             INSERT INTO events (source, id, received_ms, body) SELECT '/past', n, n, body FROM numbers, texts;
             INSERT INTO runs (id, workflow, order_key, plan, status, due_ms, created_ms, ended_ms, ending, journal_length)
                 SELECT printf('00000000-%d', n), 'sale-1', n, 'past', 'completed', 0, n, n, '{{\"completed\":{{}}}}', 3
                 FROM numbers;
             INSERT INTO starts (run, start) SELECT seq, body FROM runs, texts WHERE plan = 'past';
             INSERT INTO journal (run, n, at_ms, entry)
                 SELECT runs.seq, lines.n, runs.seq, texts.body FROM runs, (SELECT 0 AS n UNION SELECT 1 UNION SELECT 2) AS lines, texts;
             COMMIT;"
        ))
        .expect("the past");
}
