//! Pretend remote APIs for demos and tests, played from connector files.
//!
//! ```text
//!  connectors/NAME.yaml ──── derive ─┐
//!  plain.yaml ───────────────────────┼─▶ Document ─▶ Rules ─┐
//!  connectors/NAME.sandbox.yaml ─────┘                      ▼
//!  client ── HTTP ─▶ serve ─▶ turn: fault, checks, token, limits, behaviour, answer ◀─▶ State (records, keys, …)
//!  control door ───▶ control ─▶ edit ────────────────────────────────────────────────▶    │ changes
//!                                          client's webhook URL ◀─ deliver ◀─ sign ◀─ hook ┘
//! ```
//! A connector file says how a client sees an API; that is enough to play it plainly: `derive` mirrors each operation
//! into a route. What a client cannot know (envelopes, refusals, duplicate rules, limits, tokens, events) stands in the
//! sandbox file, a document of the same form laid over it, whose values and conditions are those of recipes.
//!
//! Nothing here knows a vendor: every word, path, header and rule comes from the files. Nothing here knows the engine
//! either; an independent client of the real vendor must be able to talk to the pretend one. Records are in memory, all
//! randomness comes from the seed, and nothing is sent to or heard from another computer.

mod behaviour;
mod clock;
mod control;
mod deliver;
mod derive;
mod document;
mod edit;
mod fault;
mod field;
mod hook;
mod inside;
mod key;
mod limit;
mod log;
mod made;
mod multipart;
mod path;
mod random;
mod read;
mod record;
mod refusal;
mod rules;
mod serve;
mod shelf;
mod sign;
mod state;
mod token;
mod turn;
mod vendor;
mod view;

pub use deliver::{Receiver, Receiving};
pub use derive::example;
pub use inside::{Asked, Inside, Role};
pub use vendor::{Error, Proof, Settings, Vendor};
