//! Cases as files: one function per folder of `tests/cases/` whose cases need nothing but the library.
//!
//! `DOVETAIL_ACCEPT=1 cargo test cases::` writes what came out into the cases; the reviewer reads the difference.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod check;
pub mod import;
pub mod project_files;

/// A project and the report that `dovetail check` prints about it.
#[test]
fn check() {
    check::every_case_holds();
}

/// An OpenAPI document, and the connector that it becomes.
#[test]
fn import() {
    import::every_case_holds();
}
