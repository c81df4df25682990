//! What an operator does and sees, at the doors of the real program.

mod backfill;
mod backup;
mod erase;
mod keeping;
mod metrics;
mod older;
mod replay;
mod tap;
mod text;
