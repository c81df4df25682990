//! What may go wrong with the store, told to the operator.

use rusqlite::ErrorCode;

use crate::run::Link;

/// What went wrong with the store. After `Lost` no write is taken any more: restart to recover.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the data folder {0} is in use by another process")]
    InUse(String),
    /// The folder, in which nothing was written yet.
    #[error("there is no store in {0}")]
    Absent(String),
    #[error("the store cannot be opened: {0}")]
    Open(String),
    /// A copy cannot be made, or brought back.
    #[error("{0}")]
    Copy(String),
    #[error("{0} is there already")]
    Taken(String),
    #[error("the disk is full")]
    Full,
    #[error("the store failed: {0}")]
    Failed(String),
    #[error("a write could not be made durable; restart to recover: {0}")]
    Lost(String),
    /// What an earlier program wrote, or somebody else, is none of our JSON.
    #[error("what is stored cannot be read: {0}")]
    Unreadable(String),
    #[error("the queue of writes is full")]
    Busy,
    /// What keeps runs is elsewhere, and does not answer; in words.
    #[error("{0}")]
    Away(String),
    /// What was asked for cannot be; in words.
    #[error("{0}")]
    Refused(String),
    #[error("the journal of run {run} has moved on")]
    Conflict { run: String },
    /// One-to-one: a record has at most one partner per other (connection, object).
    #[error("{record} is linked with {partner} already")]
    Linked { link: Box<Link>, record: String, partner: String },
    /// A prefix of an id that is not unique.
    #[error("several runs start with `{prefix}`")]
    Ambiguous { prefix: String },
}

impl Error {
    /// The same trouble met by a read: nothing written is in doubt.
    pub(super) fn while_reading(self) -> Self {
        match self {
            Error::Lost(why) => Error::Failed(why),
            Error::Full => Error::Failed("the disk is full".to_owned()),
            other => other,
        }
    }

    /// The same trouble met while opening.
    pub(super) fn while_opening(self) -> Self {
        match self {
            Error::Lost(why) | Error::Failed(why) | Error::Unreadable(why) => Error::Open(why),
            Error::Full => Error::Open("the disk is full".to_owned()),
            other => other,
        }
    }
}

/// An I/O error or damage met by the writer leaves in doubt what the disk holds. After a failed fsync the kernel may
/// have dropped the pages and may report success the next time, so it is never tried again.
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full,
            Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::Lost(error.to_string())
            }
            _ => Error::Failed(error.to_string()),
        }
    }
}

/// Our own JSON, written or read.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Unreadable(error.to_string())
    }
}
