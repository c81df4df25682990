//! From the document as written to the connector as meant: every finding at its place, all at once.

mod document;
mod imported;
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
pub use imported::{IMPORTED, IMPORTED_BYTES_MAX, imported, imported_file, is_openapi};
pub(super) use reader::{Reader, Side, under};
pub use schema::schema_files;
pub use verify::read_verify;
