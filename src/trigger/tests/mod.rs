//! Events from the outside, in tables and in the case files of `tests/cases/trigger` and `tests/cases/verify`.

mod cases;
mod json;
mod poll;
mod proofs;
mod schedule;
mod transitions;
mod verify;
