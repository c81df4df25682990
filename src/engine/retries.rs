//! How much is tried again of what has failed at an account: all of it where that mostly succeeds, a little where it mostly
//! fails, so that a vendor in trouble is not kept in it by us.
//!
//! A try of what failed before costs one; an answer gives back somewhat more, and each second a little.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many may fail at once.
const MOST: f64 = 20.0;
/// What an answer gives back.
const ANSWER: f64 = 1.2;
/// What a second gives back.
const SECOND: f64 = 1.0;

/// By connection: those that have spent something.
#[derive(Default)]
pub(super) struct Retries {
    spent: Mutex<HashMap<String, Spent>>,
}

struct Spent {
    tries: f64,
    at: Instant,
}

impl Spent {
    fn now(&mut self, now: Instant) -> f64 {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.tries = (self.tries - seconds * SECOND).max(0.0);
        self.at = now;
        self.tries
    }
}

impl Retries {
    /// How long a further try must wait; None: it may go.
    pub fn pause(&self, connection: &str, now: Instant) -> Option<Duration> {
        let mut spent = self.spent.lock();
        let over = spent.get_mut(connection)?.now(now) + 1.0 - MOST;
        (over > 0.0).then(|| Duration::from_secs_f64(over / SECOND))
    }

    /// It goes.
    pub fn spend(&self, connection: &str, now: Instant) {
        let mut spent = self.spent.lock();
        let of = spent.entry(connection.to_owned()).or_insert(Spent { tries: 0.0, at: now });
        of.tries = of.now(now) + 1.0;
    }

    /// The vendor has answered something.
    pub fn answered(&self, connection: &str, now: Instant) {
        let mut spent = self.spent.lock();
        let Some(of) = spent.get_mut(connection) else { return };
        of.tries = of.now(now) - ANSWER;
        if of.tries <= 0.0 {
            spent.remove(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries as often as it may for a minute, of which so many in a hundred succeed; gives how often it tried.
    fn tries(succeed: u32) -> u32 {
        let (retries, start) = (Retries::default(), Instant::now());
        let mut tried = 0;
        // A hundred a second are wanted.
        for hundredth in 0..6_000 {
            let now = start + Duration::from_millis(hundredth * 10);
            if retries.pause("one", now).is_none() {
                retries.spend("one", now);
                tried += 1;
                if tried % 100 < succeed {
                    retries.answered("one", now);
                }
            }
        }
        tried
    }

    #[test]
    fn where_it_mostly_fails_little_is_tried_again() {
        assert_eq!(tries(100), 6_000, "what succeeds is not held up");
        assert_eq!(tries(90), 6_000);
        let half = tries(50);
        assert!((100..400).contains(&half), "{half} of half that succeed");
        let none = tries(0);
        assert!((70..90).contains(&none), "{none} of those that all fail");
    }

    #[test]
    fn what_is_spent_comes_back_with_time() {
        let (retries, start) = (Retries::default(), Instant::now());
        (0..20).for_each(|_| retries.spend("one", start));
        assert_eq!(retries.pause("one", start), Some(Duration::from_secs(1)));
        assert_eq!(retries.pause("two", start), None, "another account is not concerned");
        assert_eq!(retries.pause("one", start + Duration::from_secs(1)), None);
        (0..20).for_each(|_| retries.answered("one", start));
        assert!(retries.spent.lock().is_empty(), "nothing is kept of it");
    }
}
