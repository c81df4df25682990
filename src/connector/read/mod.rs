//! From the document as written to the connector as meant: every finding at its place, all at once.

mod document;
mod limits;
mod merge;
mod object;
mod operation;
mod reader;
mod schema;
mod verify;
mod webhook;

pub(super) use document::{headers, read};
pub use document::{merged, schema};
pub(super) use reader::{Reader, Side, under};
pub use schema::schema_files;
pub use verify::read_verify;
