//! The only way out to the network: sends requests, keeps limits, hides secrets.
//!
//! ```text
//!  Request ─ prepare (origin, headers, credential) ─▶ resolve (Guard) ─▶ the API ─▶ answer (bounds, hidden) ─▶ Response
//! ```

mod answer;
mod budget;
mod client;
mod guard;
mod hidden;
mod prepare;
mod resolve;
#[cfg(test)]
mod tests;
mod window;

pub use answer::Received;
pub use budget::{Budgets, Left, Take, Urgency, Wish};
pub use client::{Client, Credential, Error};
pub use guard::Guard;
pub use hidden::Hidden;
pub use window::Lease;
