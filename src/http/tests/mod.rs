//! The way out, tried against real servers on loopback; nothing sleeps.

mod bounds;
mod budget;
mod client;
mod hostile;
mod server;
