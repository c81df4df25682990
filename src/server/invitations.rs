//! One-time codes with which a person comes in: asked for at the operator's socket, redeemed at the dashboard.
//!
//! Whoever asks keeps the code; here only its hash is known.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::store::Role;

/// Codes that wait; more push out the oldest.
const WAITING_MAX: usize = 16;
/// So long a code can be redeemed.
pub const LIFE_MS: i64 = 5 * 60_000;

/// Where the dashboard is, and who was invited to it. Cheap to clone.
#[derive(Clone)]
pub struct Invitations {
    /// As people reach it, without a slash at the end.
    pub url: String,
    waiting: Arc<Mutex<VecDeque<(Invitation, i64)>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// SHA-256 of the code, in hex.
    pub hash: String,
    pub role: Role,
    /// Whom it lets in, for the audit.
    pub name: String,
}

impl Invitations {
    pub fn new(url: String) -> Invitations {
        Invitations { url, waiting: Arc::default() }
    }

    pub fn add(&self, invitation: Invitation, now_ms: i64) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(_, until_ms)| now_ms < *until_ms);
        while waiting.len() >= WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back((invitation, now_ms + LIFE_MS));
    }

    /// Whom the code of this hash lets in. It does so once.
    pub fn redeem(&self, hash: &str, now_ms: i64) -> Option<Invitation> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(_, until_ms)| now_ms < *until_ms);
        let same = |(known, _): &(Invitation, i64)| bool::from(known.hash.as_bytes().ct_eq(hash.as_bytes()));
        let at = waiting.iter().position(same)?;
        waiting.remove(at).map(|(invitation, _)| invitation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(hash: usize) -> Invitation {
        Invitation { hash: hash.to_string(), role: Role::Read, name: "somebody".into() }
    }

    #[test]
    fn a_code_lets_in_once_and_for_five_minutes() {
        let invitations = Invitations::new(String::new());
        invitations.add(invitation(1), 0);
        invitations.add(invitation(2), 0);
        assert_eq!(invitations.redeem("3", 1), None);
        assert_eq!(invitations.redeem("1", 1), Some(invitation(1)));
        assert_eq!(invitations.redeem("1", 1), None);
        assert_eq!(invitations.redeem("2", LIFE_MS), None);
    }

    #[test]
    fn codes_that_wait_have_a_bound() {
        let invitations = Invitations::new(String::new());
        (0..=WAITING_MAX).for_each(|hash| invitations.add(invitation(hash), 0));
        assert_eq!(invitations.redeem("0", 1), None);
        assert_eq!(invitations.redeem("1", 1), Some(invitation(1)));
    }
}
