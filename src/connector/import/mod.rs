//! From an OpenAPI document to a connector's text: what it says is written, what it does not say is said.
//!
//! ```text
//!  text ─ read ─▶ Value ─ document ─▶ Calls ─ name ─▶ object.verb ─ operation, schema ─▶ one map ─ yaml ─▶ text
//! ```
//! Nothing is fetched, and nothing is invented: a guess says that it is one, beside its place and in the notes. The same
//! document gives the same text.

mod answer;
mod auth;
mod base;
mod call;
mod document;
mod filled;
mod name;
mod note;
mod object;
mod operation;
mod pages;
mod read;
mod schema;
mod server;
mod whole;

#[cfg(test)]
mod tests;

use super::yaml;

pub use base::Base;
pub use filled::{Filled, Filling};
pub use note::Note;
pub use read::TEXT_BYTES_MAX;
pub use whole::{Imported, Options, import};

/// Why a document cannot be imported: what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}; {help}")]
pub struct Refused {
    pub message: String,
    pub help: String,
    /// It is not the document that is wrong, but what was asked for.
    pub asked: bool,
}

impl Refused {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Refused {
        Refused { message: message.into(), help: help.into(), asked: false }
    }

    fn asked(message: impl Into<String>, help: impl Into<String>) -> Refused {
        Refused { asked: true, ..Refused::new(message, help) }
    }
}
