//! Vendors that are down: what needs them waits, one request asks now and then, and nobody else is held up.
//!
//! ```text
//!  closed ─ some failures in a row ─▶ open for a while ─▶ half open: one request goes ─┬─ fails ─▶ open for longer
//!     ▲                                                                                └─ is answered ─┐
//!     └────────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//! A circuit is a connection's: what one account is answered says nothing of another. Requests that hang are counted by origin, so
//! that they leave room for all others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::paused::Room;
use crate::run::Answer;

/// So many failures in a row, and it counts as down.
const FAILURES_MAX: u32 = 5;
const OPEN_MIN: Duration = Duration::from_secs(5);
const OPEN_MAX: Duration = Duration::from_secs(60);
/// A request that has no answer for so long hangs.
pub(super) const HANGS: Duration = Duration::from_secs(1);

/// All circuits, and what is under way.
#[derive(Default)]
pub(super) struct Circuits {
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    /// Those with failures.
    failing: HashMap<String, Circuit>,
    /// By origin: when each was begun.
    under_way: HashMap<String, Vec<Instant>>,
}

struct Circuit {
    /// In a row.
    failures: u32,
    /// None: closed.
    open_until: Option<Instant>,
    pause: Duration,
    /// Half open: one asks.
    asks: bool,
}

/// A request that may go. Gives its place back when dropped.
pub(super) struct Pass {
    circuits: Arc<Circuits>,
    connection: String,
    origin: String,
    pub begun: Instant,
    asks: bool,
}

impl Circuits {
    /// # Errors
    /// How long to wait before asking again: the connection is down, or `most` requests to its origin hang.
    pub fn pass(self: &Arc<Self>, connection: &str, origin: &str, most: usize, now: Instant) -> Result<Pass, Duration> {
        let mut all = self.all.lock();
        let hangs = |begun: &&Instant| now.saturating_duration_since(**begun) >= HANGS;
        if all.under_way.get(origin).is_some_and(|begun| begun.iter().filter(hangs).count() >= most) {
            return Err(HANGS);
        }
        let mut asks = false;
        if let Some(circuit) = all.failing.get_mut(connection)
            && let Some(until) = circuit.open_until
        {
            if until > now {
                return Err(until - now);
            }
            if circuit.asks {
                return Err(circuit.pause);
            }
            circuit.asks = true;
            asks = true;
        }
        all.under_way.entry(origin.to_owned()).or_default().push(now);
        let (connection, origin) = (connection.to_owned(), origin.to_owned());
        Ok(Pass { circuits: self.clone(), connection, origin, begun: now, asks })
    }

    /// May those that wait for a connection go on?
    pub fn room(&self, connection: &str, now: Instant) -> Room {
        let all = self.all.lock();
        let Some(circuit) = all.failing.get(connection) else { return Room::All };
        match circuit.open_until {
            Some(until) if until > now => Room::None(until - now),
            Some(_) if circuit.asks => Room::None(HANGS),
            Some(_) => Room::One,
            None => Room::All,
        }
    }

    /// How many requests are under way.
    pub fn under_way(&self) -> usize {
        self.all.lock().under_way.values().map(Vec::len).sum()
    }

    /// Is it down just now?
    pub fn is_open(&self, connection: &str, now: Instant) -> bool {
        let all = self.all.lock();
        let until = all.failing.get(connection).and_then(|circuit| circuit.open_until);
        until.is_some_and(|until| until > now)
    }

    /// Which connections are down.
    pub fn open(&self) -> HashSet<String> {
        let all = self.all.lock();
        all.failing.iter().filter(|(_, circuit)| circuit.open_until.is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// Which connections are down, in words.
    pub fn told(&self) -> Vec<String> {
        let all = self.all.lock();
        let open = all.failing.iter().filter(|(_, circuit)| circuit.open_until.is_some());
        open.map(|(connection, circuit)| {
            format!(
                "`{connection}` is down: {} requests in a row have failed; it is asked again soon",
                circuit.failures
            )
        })
        .collect()
    }
}

impl Pass {
    /// Learns from what came of the request. Gives whether what was down is well again.
    pub fn tell(self, answer: &Answer, now: Instant) -> bool {
        let mut all = self.circuits.all.lock();
        if !is_of_trouble(answer) {
            let was = all.failing.remove(&self.connection);
            return was.is_some_and(|circuit| circuit.open_until.is_some());
        }
        let circuit = all.failing.entry(self.connection.clone()).or_insert(Circuit {
            failures: 0,
            open_until: None,
            pause: OPEN_MIN,
            asks: false,
        });
        circuit.failures = circuit.failures.saturating_add(1);
        match circuit.open_until {
            None if circuit.failures >= FAILURES_MAX => {
                circuit.open_until = Some(now + circuit.pause);
                tracing::warn!(
                    connection = self.connection,
                    "is down: what needs it waits, and one request asks now and then"
                );
            }
            // Of those that went before it counted as down, none makes it longer.
            Some(_) if self.asks => {
                circuit.pause = circuit.pause.saturating_mul(2).min(OPEN_MAX);
                circuit.open_until = Some(now + circuit.pause);
            }
            _ => {}
        }
        false
    }
}

/// Does it say that nobody is there, or nobody who is well?
pub(super) fn is_of_trouble(answer: &Answer) -> bool {
    matches!(answer, Answer::Failed(failure) if failure.is_of_trouble())
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut all = self.circuits.all.lock();
        if let Some(begun) = all.under_way.get_mut(&self.origin) {
            if let Some(at) = begun.iter().position(|begun| *begun == self.begun) {
                begun.swap_remove(at);
            }
            if begun.is_empty() {
                all.under_way.remove(&self.origin);
            }
        }
        if self.asks
            && let Some(circuit) = all.failing.get_mut(&self.connection)
        {
            circuit.asks = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::connector::Failure;

    struct Clock {
        circuits: Arc<Circuits>,
        start: Instant,
        seconds: u64,
    }

    impl Clock {
        fn new() -> Clock {
            Clock { circuits: Arc::default(), start: Instant::now(), seconds: 0 }
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_secs(self.seconds)
        }

        fn pass(&self, connection: &str) -> Result<Pass, u64> {
            let passed = self.circuits.pass(connection, "https://example.com", 100, self.now());
            passed.map_err(|pause| pause.as_secs())
        }

        fn fails(&self, name: &str) {
            let pass = self.pass("one").unwrap_or_else(|pause| panic!("it is open for {pause} s"));
            pass.tell(&Answer::Failed(Failure::new(name, "")), self.now());
        }
    }

    fn done() -> Answer {
        Answer::Done { value: Value::Null, next: None }
    }

    #[test]
    fn who_is_down_is_asked_by_one_request_now_and_then() {
        let mut clock = Clock::new();
        (0..5).for_each(|_| clock.fails("timeout"));
        assert_eq!(clock.pass("one").err(), Some(5));
        assert!(clock.pass("two").is_ok(), "another account is not concerned");
        for pause in [10, 20, 40, 60, 60] {
            clock.seconds += clock.pass("one").err().expect("it is open");
            let asks = clock.pass("one").unwrap_or_else(|_| panic!("one asks"));
            assert!(clock.pass("one").is_err(), "only one");
            asks.tell(&Answer::Failed(Failure::new("unreachable", "")), clock.now());
            assert_eq!(clock.pass("one").err(), Some(pause));
        }
        clock.seconds += 60;
        drop(clock.pass("one"));
        let asks = clock.pass("one").unwrap_or_else(|_| panic!("the one that asked was given up: another asks"));
        assert!(asks.tell(&done(), clock.now()), "it is well again");
        let many: Vec<_> = (0..10).map(|_| clock.pass("one")).collect();
        assert!(many.iter().all(Result::is_ok));
        assert!(clock.circuits.all.lock().failing.is_empty(), "nothing is kept of it");
    }

    #[test]
    fn only_failures_in_a_row_that_say_so_count() {
        let clock = Clock::new();
        for _ in 0..3 {
            (0..4).for_each(|_| clock.fails("transient"));
            clock.fails("invalid");
        }
        assert!(clock.pass("one").is_ok());
    }

    #[test]
    fn an_origin_that_hangs_leaves_room_for_others() {
        let mut clock = Clock::new();
        let pass = |clock: &Clock, origin: &str| clock.circuits.pass("one", origin, 3, clock.now());
        let mut hanging: Vec<Pass> =
            (0..10).map(|_| pass(&clock, "https://a").unwrap_or_else(|_| panic!("none hangs"))).collect();
        clock.seconds += 1;
        assert!(pass(&clock, "https://a").is_err());
        assert!(pass(&clock, "https://b").is_ok());
        hanging.truncate(2);
        assert!(pass(&clock, "https://a").is_ok());
        hanging.clear();
        assert!(clock.circuits.all.lock().under_way.is_empty());
    }
}
