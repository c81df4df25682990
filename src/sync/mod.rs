//! Two objects kept alike, as data: field by field, who wins, and what a delete does.
//!
//! ```text
//!  workflows/*.yaml ─ read ─▶ Sync { pair, children } ── names resolved by project ─▶ Plan
//!                                      │
//!              both records + Pact ─ compare ─▶ Comparison { writes, agreed }
//! ```
//! Reading judges one document alone: aliases, sides, conversions and their way back. Comparing decides what is to be
//! written; who reads and writes is [`crate::workflow::syncing`].

mod compare;
mod document;
mod pact;
mod read;
mod survey;
#[expect(clippy::module_inception, reason = "the document has the room's name")]
mod sync;
#[cfg(test)]
mod tests;

pub use compare::{Agreed, Because, Compared, Comparison, Decided, Half, Rules, Verdict};
pub use document::schema;
pub use pact::{Answered, Choice, Pact, Question, WRITES_MAX, WRITES_MS, decided};
pub use survey::{Above, Before, Finding, Item, Listed, Survey};
pub use sync::{Conflict, Delete, Field, FirstRun, Mode, NoneFound, Pair, SeveralFound, Side, Sync, Which};
