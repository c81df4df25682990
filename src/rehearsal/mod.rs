//! Runs a project's tests, and tries recipes out: the engine between played vendors, under a clock of its own.
//!
//! ```text
//!  test document ─ stand-in ─▶ Scene: a plan of the tested workflow alone, with stand-in accounts; a Role for each
//!     one test:  steps ─▶ vendors (played) ─ webhooks ─▶ engine (the real one, a real store) ─ requests ─▶ vendors
//!                     └───────────── time goes on when nothing is left to do ──────────────┘
//!                ─ at rest ─▶ judge: what was expected, what is there ─▶ Verdict
//! ```
//! Nothing is written twice here: what a webhook, a poll, a schedule, a retry or a limit does is the engine's own doing, and what a
//! vendor answers is the sandbox's. There is no socket, no account, and no real time.

mod company;
mod converged;
mod generate;
mod judge;
mod play;
mod random;
mod records;
mod scene;
mod stage;
mod story;
mod trial;
mod webhook;

pub use judge::Unmet;
pub use play::{Chosen, Played, play};
pub use scene::{Files, Scene};
pub use story::{Exchange, Line};
pub use trial::{Trial, Tried, TriedRun, sample, try_out};
