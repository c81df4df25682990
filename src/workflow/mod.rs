//! A workflow as data: a trigger and its actions.
//!
//! ```text
//!  workflows/*.yaml ─ read ─▶ Workflow { trigger, actions } ── action.advance(context) ─▶ Advance
//! ```
//! Reading judges one document alone; names of connectors and operations are resolved by `project/`. An action is one
//! file under `action/`: how it is written, what can be wrong with it, and what it does next. It never sends: it says
//! what to send, and learns from the [`Exchange`]s that were recorded.

pub mod action;
mod document;
mod exchange;
pub mod inputs;
mod listener;
mod mend;
mod mentions;
mod reading;
mod retry;
pub mod syncing;
mod trigger;

pub use action::{Action, Kind, OnError};
pub use document::{Uses, Workflow, WorkflowRead, schema};
pub use exchange::{
    Accounts, Advance, Answer, Context, Exchange, Finish, Look, Looked, Outcome, Purpose, RecordRef, Sending, Synced,
};
pub use listener::{HEARD, listener, listeners};
pub use reading::Reading;
pub use retry::Retry;
pub use trigger::{Heard, InputDocument, InputKind, Starts, Trigger};
