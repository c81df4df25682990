//! An HTTP API as data: from operation to request, from response to outcome.
//!
//! ```text
//!  connectors/*.yaml ─ read ─▶ Connector ─ operation(name).request(input, page) ─▶ Request ─▶ (http) ─▶ Response
//!                                  └────── outcome(operation, response) ◀──────────────────────────────────┘
//! ```
//! Nothing here sends anything, knows a clock, or knows a vendor.

mod address;
mod auth;
mod body;
#[expect(clippy::module_inception, reason = "the document has the room's name")]
mod connector;
mod drift;
mod field;
pub mod import;
mod key;
mod keyed_list;
mod object;
mod operation;
mod outcome;
mod page;
pub mod probe;
mod read;
mod request;
mod secrets;
mod signature;
mod spelling;
mod webhook;
mod written;
mod yaml;

#[cfg(test)]
mod tests;

pub use auth::{
    Auth, CLIENT_ID, CLIENT_SECRET, ClientProof, Exchange, Hmac, Letter, Moment, OAuth2, Refresh, Signer, URLS,
};
pub use body::{Body, Part};
pub use connector::{Connector, Limit};
pub use drift::{Differs, Drift, Seen};
pub use field::get as value_of;
pub use key::{ed25519_key, rsa_key};
pub use keyed_list::KeyedList;
pub use object::{Change, Feed, Names, Object, Reference, join};
pub use operation::{IfUnsure, Operation, Page, Paging, Unsure};
pub use outcome::{FAILURE_NAMES, Failure, Outcome};
pub use read::{
    IMPORTED, IMPORTED_BYTES_MAX, imported, imported_file, is_openapi, merged, read_verify, schema, schema_files,
};
pub use request::{Request, Response};
pub use signature::{Algorithm, Encoding, Hole, Signature, Signed, Stands};
pub use webhook::{Scheme, Sign, VerifyRule, WebhookEvent, Webhooks};
