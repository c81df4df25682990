//! What connections were granted: sealed, renewed by one at a time, shown to nobody.
//!
//! ```text
//!  connect ─ a person agrees ─▶ code ─▶ token endpoint ─▶ Grant ─ sealed ─▶ credentials (a file that processes share)
//!                                          ▲                                     │
//!  engine: token(account) ─▶ near its end? ┴─ lease ─ renew ─ put ◀── version ───┤
//!                               └─ no ─▶ the access token, with its version ◀────┘
//! ```
//! - `seal.rs` the keys and what they close; `grant.rs` what is said to a token endpoint, and what it answers
//! - `holder.rs` whose token it is, and where the next one comes from; `consent.rs` the way over a person's browser
//! - `shared.rs` where processes with data folders of their own find the latest
//! - `vault.rs` who may use what, and who renews it; `credential.rs` what a request proves itself by

mod consent;
mod credential;
mod grant;
mod holder;
mod seal;
mod shared;
#[cfg(test)]
mod tests;
#[expect(clippy::module_inception, reason = "the handle is named after the room")]
mod vault;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

pub use consent::Consent;
pub use credential::credential;
pub use grant::missing;
pub use grant::{Account, Grant};
pub use holder::{Borrower, Holder};
pub use seal::{KeyError, Keys};
pub use shared::{Said, Shared};
pub use vault::{Disconnected, Error, Granted, Token, Vault};

/// Finds a secret by the project's name of it.
pub trait SecretSource: Send + Sync {
    fn secret(&self, name: &str) -> Option<SecretString>;
}

/// Secrets under the project's own names.
pub struct Plain<'a>(pub &'a dyn SecretSource);

impl crate::trigger::Secrets for Plain<'_> {
    fn secret(&self, name: &str) -> Option<String> {
        Some(self.0.secret(name)?.expose_secret().to_string())
    }
}

/// A connection's secrets under the connector's own names.
pub struct Secrets<'a> {
    pub source: &'a dyn SecretSource,
    pub names: &'a BTreeMap<String, String>,
}

impl crate::trigger::Secrets for Secrets<'_> {
    fn secret(&self, name: &str) -> Option<String> {
        let secret = self.source.secret(self.names.get(name)?)?;
        Some(secret.expose_secret().to_string())
    }
}
