//! Two objects kept alike, as data: field by field, who wins, and what a delete does.
//!
//! ```text
//!  workflows/*.yaml ─ read ─▶ Sync { pair, children } ── names resolved by project ─▶ Plan
//! ```
//! Reading judges one document alone: aliases, sides, conversions and their way back. A sync does not act in this
//! version.

mod document;
mod read;
#[expect(clippy::module_inception, reason = "the document has the room's name")]
mod sync;
#[cfg(test)]
mod tests;

pub use document::schema;
pub use sync::{Conflict, Delete, Field, FirstRun, Mode, NoneFound, Pair, SeveralFound, Side, Sync, Which};
