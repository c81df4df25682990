//! What an operator does and sees, at the doors of the real program.

#[path = "operations/backfill.rs"]
mod backfill;
#[path = "operations/backup.rs"]
mod backup;
#[path = "operations/erase.rs"]
mod erase;
#[path = "operations/keeping.rs"]
mod keeping;
#[path = "operations/metrics.rs"]
mod metrics;
#[path = "operations/replay.rs"]
mod replay;
mod stage;
#[path = "operations/tap.rs"]
mod tap;
#[path = "operations/text.rs"]
mod text;
