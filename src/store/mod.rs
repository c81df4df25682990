//! Remembers: journal, timers, cursors, links, dead letters.
//!
//! One SQLite file, one writer thread that gathers what waits into one transaction (group commit, `synchronous=FULL`):
//! when a method here returns `Ok`, what it wrote survives a power cut. Only this room speaks SQL.
//!
//! ```text
//!  accept · commit · retry … ──▶ writer ──▶ one transaction, a savepoint each ──▶ COMMIT, fsync ──▶ answers
//!  pending · run · journal … ──▶ reader ──▶ a few query-only connections
//! ```
//! - `store.rs` the handle; `open.rs` folder, lock, modes, checks; `schema.rs` tables and their versions
//! - `writer.rs` (its thread in `batch.rs`), `reader.rs` the two ways to the file; `error.rs` what may go wrong
//! - `intake.rs`, `journal.rs`, `runs.rs`, `kept.rs`, `links.rs`, `known.rs`, `messages.rs`, `pacts.rs`, `shelf.rs`, `prune.rs` the SQL, one kind of thing each
//! - `backup.rs` a copy to keep elsewhere, and back
//! - `follow.rs` runs that are kept elsewhere; `moving.rs`, `arriving.rs` how they move there, and come back
//! - `erase.rs` what is known of a person goes
//! - `told.rs` what a cluster is asked in SQL
//! - `measure.rs`, `latency.rs` what an operator watches
//! - `tokens.rs` who may come in from outside, and what was done so; `sessions.rs` who has signed in
//! - `credentials.rs` a file of its own, which several processes share

mod arriving;
mod backup;
mod batch;
mod credentials;
mod editions;
mod erase;
mod error;
mod follow;
mod intake;
mod journal;
mod kept;
mod known;
mod latency;
mod links;
mod measure;
mod messages;
mod mover;
mod moving;
mod open;
mod pacts;
mod prune;
mod reader;
mod records;
mod runs;
mod schema;
mod sessions;
mod shelf;
mod signs;
#[expect(clippy::module_inception, reason = "the handle is named after the room")]
mod store;
mod tokens;
pub mod told;
mod writer;

use crate::run::{Ending, Entry, Kept, Start, Subscription};
use crate::trigger::Event;

pub use arriving::Back;
pub use backup::{Copied, back_up, restore};
pub use credentials::{Credentials, Sealed};
pub use editions::Edition;
pub use erase::{Found, Holding, Sought};
pub use error::Error;
pub use follow::Keeper;
pub use kept::Wanted;
pub use latency::Observed;
pub use measure::Measured;
pub use moving::{Agreement, Left};
pub use pacts::{Asked, Paired, Questions};
pub use prune::{Old, Pruned};
pub use records::{Place, Shared};
pub use sessions::{SESSION_IDLE_MS, SESSION_LIFE_MS, SESSIONS_ENDED_MAX, SESSIONS_MAX, Session};
pub use signs::Signs;
pub use store::Store;
pub use tokens::{Deed, HERE, KnownToken, NewToken, Role, TOKENS_MAX, TOKENS_OVER_MAX, Token, about_token};

/// An event with the runs that it starts. Accepted once per (source, connection, id).
#[derive(Clone, Debug)]
pub struct Intake {
    pub event: Event,
    pub runs: Vec<Start>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    New,
    Duplicate,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not ended; taken up when its turn comes.
    Pending,
    Completed,
    Skipped,
    /// A dead letter.
    Failed,
    Dropped,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Completed => "completed",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
            Status::Dropped => "dropped",
        }
    }

    pub fn of_word(word: &str) -> Option<Status> {
        use Status::{Completed, Dropped, Failed, Pending, Skipped};
        [Pending, Completed, Skipped, Failed, Dropped].into_iter().find(|status| status.word() == word)
    }

    pub fn of(ending: &Ending) -> Status {
        match ending {
            Ending::Completed { .. } => Status::Completed,
            Ending::Skipped { .. } => Status::Skipped,
            Ending::Failed { .. } => Status::Failed,
            Ending::Dropped { .. } => Status::Dropped,
        }
    }
}

/// A run without its journal.
#[derive(Clone, Debug)]
pub struct Run {
    /// The order of acceptance.
    pub seq: i64,
    pub start: Start,
    pub status: Status,
    /// Lines of its journal.
    pub length: usize,
    /// Not before this instant (milliseconds), while it waits.
    pub due_ms: i64,
    pub ended_ms: Option<i64>,
    pub ending: Option<Ending>,
}

/// The place of a run in line, when it is neither over nor waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The order of acceptance.
    pub seq: i64,
    pub id: String,
    pub workflow: String,
    pub tenant: Option<String>,
    pub order_key: String,
    /// Its journal is not empty.
    pub has_begun: bool,
}

/// What `runs list` asks for. Newest first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<Status>,
    pub workflow: Option<String>,
    pub tenant: Option<String>,
    /// One of the accounts that it is about or uses.
    pub connection: Option<String>,
    /// The id of the record that it is about, or of that record's parent.
    pub record: Option<String>,
    /// The name of the failure with which it ended.
    pub failure: Option<String>,
    /// Accepted at this instant or later, and before that one, in milliseconds.
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    /// At most so many; 0 means 100.
    pub limit: usize,
    /// Only runs accepted before this seq: the next page.
    pub before: Option<i64>,
}

/// One decision about one run, made durable as a whole.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub run: String,
    /// The journal's length that the decision was made on; another length is a `Conflict`.
    pub length: usize,
    pub entries: Vec<Entry>,
    pub due_ms: i64,
    /// It waits until `due_ms`, and is not among the pending runs until then: see [`Store::waiting`].
    pub parked: bool,
    /// Events that it waits for while it is parked; one that is there already calls it at once.
    pub subscriptions: Vec<Subscription>,
    /// Set when the run ends.
    pub ending: Option<Ending>,
    pub kept: Kept,
    /// Events that the run made, with the runs that they start.
    pub intakes: Vec<Intake>,
}

/// What is told of what is kept elsewhere.
#[derive(Clone, Debug)]
pub enum Noted {
    /// What is new of a run. `start`: None, if it was told before.
    Run { start: Option<Box<Start>>, commit: Box<Commit> },
    /// What a person has said about a record of a sync.
    Said(Box<Asked>),
    /// What somebody does from outside.
    Done(Box<Deed>),
}

/// Runs by how they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    pub pending: u64,
    /// Pending, and not due soon.
    pub waiting: u64,
    pub completed: u64,
    pub skipped: u64,
    pub failed: u64,
    pub dropped: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub events: u64,
    pub duplicates: u64,
    pub pending: u64,
    pub completed: u64,
    pub skipped: u64,
    pub failed: u64,
    pub dropped: u64,
    pub links: u64,
}
