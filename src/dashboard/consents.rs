//! Accounts that somebody is about to connect: each link is good for a while, and once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::vault::Consent;

/// A person is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Links that are open at the same time.
const OPEN_MAX: usize = 32;

/// A link that was followed and not come back from.
pub struct Pending {
    pub connection: String,
    pub consent: Consent,
    /// For the audit.
    pub who: String,
    until: Instant,
}

#[derive(Default)]
pub struct Consents(Mutex<Vec<Pending>>);

impl Consents {
    /// Keeps one in place of another of the same account; the oldest gives way.
    pub fn begin(&self, connection: String, consent: Consent, who: String, now: Instant) {
        let mut open = self.0.lock();
        open.retain(|pending| pending.until > now && pending.connection != connection);
        if open.len() == OPEN_MAX {
            open.remove(0);
        }
        open.push(Pending { connection, consent, who, until: now + PATIENCE });
    }

    /// The one that was given this state, which is used up.
    pub fn take(&self, state: &str, now: Instant) -> Option<Pending> {
        let mut open = self.0.lock();
        open.retain(|pending| pending.until > now);
        let at = open.iter().position(|pending| pending.consent.is_of(state))?;
        Some(open.remove(at))
    }
}
