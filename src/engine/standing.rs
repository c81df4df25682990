//! How things stand, for people who look: accounts, and the pace of the last hour.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::{Engine, now_ms};
use crate::store::Status;

/// Minutes that are remembered.
pub const MINUTES: usize = 60;

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub connection: String,
    pub connector: String,
    pub tenant: Option<String>,
    pub health: AccountHealth,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountHealth {
    /// Nothing speaks against it.
    Good,
    /// The vendor mostly fails: one request asks now and then.
    Down,
    /// The vendor refuses the account, in its words.
    Refused(String),
    /// Nobody has connected it yet, or it must be connected again.
    NotConnected,
}

/// A minute of the last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Runs that ended, and those of them that failed.
    pub ended: u64,
    pub failed: u64,
    /// How long after its event the latest run began, in milliseconds.
    pub late_ms: u64,
}

/// The last minutes.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<VecDeque<(i64, Minute)>>);

impl Pace {
    pub(super) fn ended(&self, status: Status, now_ms: i64) {
        self.at(now_ms, |minute| {
            minute.ended += 1;
            minute.failed += u64::from(status == Status::Failed);
        });
    }

    /// A run has begun, so long after its event was accepted.
    pub(super) fn begun(&self, late_ms: i64, now_ms: i64) {
        self.at(now_ms, |minute| minute.late_ms = minute.late_ms.max(u64::try_from(late_ms).unwrap_or_default()));
    }

    fn at(&self, now_ms: i64, tell: impl FnOnce(&mut Minute)) {
        let now = now_ms.div_euclid(60_000);
        let mut minutes = self.0.lock();
        if minutes.back().is_none_or(|(last, _)| *last < now) {
            minutes.push_back((now, Minute::default()));
            if minutes.len() > MINUTES {
                minutes.pop_front();
            }
        }
        if let Some((_, minute)) = minutes.back_mut() {
            tell(minute);
        }
    }

    fn read(&self, now_ms: i64) -> Vec<Minute> {
        let now = now_ms.div_euclid(60_000);
        let mut read = vec![Minute::default(); MINUTES];
        for (minute, told) in &*self.0.lock() {
            let ago = usize::try_from(now - minute).unwrap_or_default();
            if let Some(place) = (MINUTES - 1).checked_sub(ago) {
                read[place] = *told;
            }
        }
        read
    }
}

impl Engine {
    /// What happened in each of the last minutes, oldest first. Only since the start.
    pub fn pace(&self) -> Vec<Minute> {
        self.inner.counters.pace.read(now_ms())
    }

    /// Every account of the project.
    pub fn standings(&self) -> Vec<Standing> {
        let inner = &self.inner;
        let plan = self.plan();
        let refused = inner.accounts.whys();
        let open = inner.circuits.open();
        let is_connected = |name: &str| {
            let state = inner.vault.as_ref().and_then(|vault| vault.state(name).ok().flatten());
            state.is_some_and(|granted| granted.refused.is_none())
        };
        let standing = |connection: &crate::project::Connection| {
            let name = &connection.name;
            let connector = plan.connector(&connection.connector);
            let is_granted = connector.is_some_and(|known| known.renews(connection.auth.as_deref()));
            let health = match refused.get(name) {
                // What is lent is got when it is needed.
                _ if is_granted && connection.via.is_none() && !is_connected(name) => AccountHealth::NotConnected,
                Some(why) => AccountHealth::Refused(why.clone()),
                None if open.contains(name) => AccountHealth::Down,
                None => AccountHealth::Good,
            };
            let (connector, tenant) = (connection.connector.clone(), connection.tenant.clone());
            Standing { connection: name.clone(), connector, tenant, health }
        };
        plan.connections.iter().map(standing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_remembered_minute_by_minute() {
        let pace = Pace::default();
        let minute = 60_000;
        pace.ended(Status::Completed, 0);
        (0..3).for_each(|_| pace.ended(Status::Failed, 59 * minute));
        pace.begun(70, 59 * minute);
        pace.begun(20, 59 * minute);
        let told = |ended, failed, late_ms| Minute { ended, failed, late_ms };
        let read = pace.read(59 * minute + 1);
        assert_eq!((read[0], read[1], read[59]), (told(1, 0, 0), Minute::default(), told(3, 3, 70)));
        let read = pace.read(60 * minute);
        assert_eq!((read[0], read[58], read[59]), (Minute::default(), told(3, 3, 70), Minute::default()));
        (0..200).for_each(|at| pace.ended(Status::Completed, at * minute));
        assert!(pace.0.lock().len() <= MINUTES);
    }
}
