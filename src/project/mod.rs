//! All documents together: read, resolved, checked into a plan.
//!
//! ```text
//!  (path, text)* ─ read ─▶ connectors, workflows, project ─ resolve ─▶ connections, accounts ─ check ─▶ Plan
//!                                        └────────────── all findings, one Report ──────────────┘
//! ```
//! `catalogue` says what can be used. `editor` says with JSON Schema what `check` says, so that much of it is seen while typing. Handed texts, never a folder. A plan is data: its documents under their hash rebuild it anywhere.

mod accounts;
mod active;
mod bounds;
pub mod catalogue;
mod check;
mod connection;
mod document;
pub mod editor;
pub mod expand;
mod keep;
mod parts;
mod plan;
mod read;
mod refused;
pub mod remembered;
mod resolve;
mod test_document;
mod via;

pub use accounts::Bindings;
pub use active::with_active;
pub use check::{Root, roots};
pub use connection::Connection;
pub use document::{Document, schema};
pub use keep::Keep;
pub use plan::{Plan, Tenant};
pub use read::{Loaded, Text, named_files, read, read_draft};
pub use test_document::{
    Crash, Fault, Generate, Given, RunEnding, Step, Test, TestDocument, Tested, Then, test_schema,
};
