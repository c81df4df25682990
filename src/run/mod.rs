//! The life of one run: what the journal says, and what to do next.
//!
//! ```text
//!            ┌────────── decide(plan, start, state, now) ──────────┐
//!  journal ──fold──▶ State                                         ├─▶ entries to commit
//!            ▲                                                     └─▶ Next: send · recall · look up a pair · receive · wait · over,
//!            │                                                         for several branches at once
//!            └──────────── entries of what was learnt ◀── (engine performs, only after the commit)
//! ```
//! Pure: no clock, no network, no database. An entry once committed is never changed.

mod decide;
mod entry;
mod exchange;
mod frame;
mod hear;
mod inner;
mod known;
mod nested;
mod prepare;
mod settle;
mod state;
mod walk;

pub use decide::{Asking, Decision, Next, Send, decide};
pub use entry::{Address, Ending, Entry, Fact, Kept, Link, Sent, Start};
pub use hear::{Correlation, Message, Received, Subscription};
pub use known::{Compared, Known, Told};
pub use settle::resumed;
pub use state::{State, WORKFLOW};

pub use crate::workflow::{Answer, Outcome, Purpose, RecordRef};
