//! How the outside becomes an event with an id: webhook, poll, schedule, by hand.
//!
//! Pure: the raw request, the poll's answer and the time come in as parameters; an [`Event`] or a refusal goes out.

mod event;
mod json;
mod past;
mod pattern;
mod poll;
mod record;
mod schedule;
#[cfg(test)]
mod tests;
mod traceparent;
mod verify;
mod webhook;

pub use event::{BACKFILL, EVENT_BYTES_MAX, Event, HOPS_MAX, SILENCE};
pub use past::{Found, Past};
pub use poll::{Polled, Seen, changes};
pub use schedule::{DUE_MAX, Missed, Schedule};
pub use traceparent::Traceparent;
pub use verify::{Arrival, Secrets, is_public_key, verify};
pub use webhook::{Delivery, Refusal, read_delivery, read_json};
