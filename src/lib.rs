//! Dovetail: workflows and two-way sync between web APIs, written in YAML.
//!
//! The rooms follow the data's way; each imports only rooms listed before it (ARCHITECTURE.md).

// Ground: text and values.
pub mod expr;
pub mod source;

// Nouns: what documents say.
pub mod connector;
pub mod sync;
pub mod trigger;
pub mod workflow;

// Mind: what follows from them.
pub mod project;
pub mod run;

// Hands: what is done about it.
pub mod clock;
pub mod engine;
pub mod http;
pub mod listen;
pub mod store;
pub mod vault;

// Doors: how people and programs get in.
pub mod cli;
pub mod dashboard;
pub mod rehearsal;
pub mod sandbox;
pub mod server;
pub mod story;
