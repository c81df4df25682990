//! Events from the outside, in tables and in the case files of `tests/cases/trigger`.

mod cases;
mod json;
mod poll;
mod schedule;
mod transitions;
mod verify;
