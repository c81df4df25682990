//! Runs that pause until their vendor may be asked again: an id each, by what they wait for. They keep their order key.
//!
//! ```text
//!  let go ─▶ in line for its vendor ─┬─ it is time, and the vendor is there ─┬─▶ taken up again
//!                                    └─ the vendor is well again ────────────┤
//!           in line for a limit ───── it has room ───────────────────────────┘
//! ```
//! Of those that are due, one asks whether the vendor is there; the others follow when it is. Of those that wait for a limit, as
//! many go on as it has room for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use super::queue::Key;
use super::{Engine, now_ms};
use crate::clock;
use crate::http::Urgency;
use crate::run::Address;

/// Who pauses for so long is let go.
pub(super) const LONG_MS: i64 = 2_000;
/// Whoever asks whether the vendor is there has so long for it, until another is called.
const ASKS: Duration = Duration::from_secs(1);
/// Whoever goes on takes its part of a limit within, until that is looked at for others.
const TAKES: Duration = Duration::from_millis(100);
/// A line is looked at again within: limits may be others by then.
const LOOKS: Duration = Duration::from_secs(60);
/// So many go on at once, where a limit has room for more.
const ROOM_MAX: u64 = 256;

/// What a run pauses for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Awaited {
    pub connection: Arc<str>,
    /// Room for a request of this operation; None: that the vendor is there.
    pub limited: Option<(String, Urgency)>,
}

/// What is kept of a run that has paused.
#[derive(Debug)]
pub(super) struct Pausing {
    pub until_ms: i64,
    pub awaited: Awaited,
    /// The address of a request that is held back, and since when.
    pub held_back: Option<(Address, i64)>,
}

#[derive(Default)]
pub(super) struct Paused {
    lines: Mutex<Lines>,
    more: Notify,
}

#[derive(Default)]
struct Lines {
    by_awaited: HashMap<Awaited, Line>,
    /// How many have ever come.
    count: u64,
}

#[derive(Default)]
struct Line {
    /// By when they are due, then in the order in which they came.
    waiting: BTreeMap<(i64, u64), Waiter>,
    /// The vendor is not there before, or the limit has no room.
    not_before_ms: i64,
}

struct Waiter {
    key: Arc<Key>,
    held_back: Option<(Address, i64)>,
}

impl Waiter {
    fn goes_on(self, connection: &Arc<str>, early: bool) -> (Arc<Key>, Again) {
        let Waiter { key, held_back } = self;
        (key, Again { connection: Arc::clone(connection), early, held_back })
    }
}

/// Why a run that paused goes on.
pub(super) struct Again {
    pub connection: Arc<str>,
    /// The vendor is well again before the pause was over.
    pub early: bool,
    /// The address of a request that was held back, and since when.
    pub held_back: Option<(Address, i64)>,
}

/// May those that are in one line go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    All,
    /// So many.
    Some(u64),
    /// One, who asks whether the vendor is there.
    One,
    None(Duration),
}

impl Paused {
    pub fn add(&self, key: Arc<Key>, Pausing { until_ms, awaited, held_back }: Pausing) {
        let mut lines = self.lines.lock();
        let number = lines.count;
        lines.count += 1;
        let line = lines.by_awaited.entry(awaited).or_default();
        line.waiting.insert((until_ms, number), Waiter { key, held_back });
        drop(lines);
        self.more.notify_one();
    }

    /// Takes out who may go on now; gives also when somebody may next.
    fn due(&self, now_ms: i64, room: impl Fn(&Awaited) -> Room) -> (Vec<(Arc<Key>, Again)>, i64) {
        let (mut due, mut next_ms) = (Vec::new(), i64::MAX);
        let mut lines = self.lines.lock();
        for (awaited, line) in &mut lines.by_awaited {
            if line.next_ms() <= now_ms {
                let (most, pause) = match room(awaited) {
                    Room::All => (u64::MAX, Duration::ZERO),
                    Room::Some(count) => (count, TAKES),
                    Room::One => (1, ASKS),
                    Room::None(pause) => (0, pause.clamp(Duration::from_millis(1), LOOKS)),
                };
                due.extend(line.due(now_ms, most).map(|waiter| waiter.goes_on(&awaited.connection, false)));
                line.not_before_ms = now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
            }
            next_ms = next_ms.min(line.next_ms());
        }
        lines.by_awaited.retain(|_, line| !line.waiting.is_empty());
        (due, next_ms)
    }

    /// Takes out all that wait for a vendor; None: for any. They are in the order in which they were due.
    fn well_again(&self, connection: Option<&str>) -> Vec<(Arc<Key>, Again)> {
        let mut lines = self.lines.lock();
        let is_meant = |awaited: &Awaited| connection.is_none_or(|connection| connection == &*awaited.connection);
        let gone = lines.by_awaited.extract_if(|awaited, _| awaited.limited.is_none() && is_meant(awaited));
        gone.flat_map(|(awaited, line)| {
            line.waiting.into_values().map(move |waiter| waiter.goes_on(&awaited.connection, true))
        })
        .collect()
    }

    /// Takes out the one of a key.
    fn one(&self, key: &Key) -> Option<(Arc<Key>, Again)> {
        let mut lines = self.lines.lock();
        lines.by_awaited.iter_mut().find_map(|(awaited, line)| {
            let at = line.waiting.iter().find(|(_, waiter)| *waiter.key == *key).map(|(at, _)| *at)?;
            Some(line.waiting.remove(&at)?.goes_on(&awaited.connection, false))
        })
    }
}

impl Line {
    /// When somebody may go on, perhaps.
    fn next_ms(&self) -> i64 {
        self.waiting.first_key_value().map_or(i64::MAX, |((due_ms, _), _)| self.not_before_ms.max(*due_ms))
    }

    /// Takes out those that are due, the first of them.
    fn due(&mut self, now_ms: i64, most: u64) -> impl Iterator<Item = Waiter> {
        let mut left = most;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let first = self.waiting.first_entry().filter(|first| first.key().0 <= now_ms)?;
            Some(first.remove())
        })
    }
}

impl Engine {
    /// A run is let go until then. It stays first of its key.
    pub(super) fn add_paused(&self, key: Arc<Key>, id: &str, pausing: Pausing) {
        self.inner.paused.add(Arc::clone(&key), pausing);
        if self.inner.cancelled.contains(id) {
            self.call_paused(&key);
        }
    }

    /// Calls the run of a key that is to be left, so that those behind it go on.
    pub(super) fn call_paused(&self, key: &Key) {
        self.inner.queues.call(self.inner.paused.one(key));
    }

    pub(super) async fn call_for_ever(&self) {
        let mut connected = self.inner.accounts.subscribe();
        loop {
            let (due, next_ms) = self.inner.paused.due(now_ms(), |awaited| self.room(awaited));
            self.inner.queues.call(due);
            let well_again = tokio::select! {
                () = self.sleep(next_ms) => continue,
                () = self.inner.paused.more.notified() => continue,
                () = self.stopped() => return,
                well_again = connected.recv() => well_again,
            };
            let connection = match well_again {
                Ok(connection) => Some(connection),
                // Too much has happened to name one.
                Err(broadcast::error::RecvError::Lagged(_)) => None,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            self.inner.queues.call(self.inner.paused.well_again(connection.as_deref()));
        }
    }

    /// Does the connection not count as down?
    pub(super) fn is_there(&self, connection: &str) -> bool {
        self.inner.circuits.room(connection, clock::instant()) == Room::All
    }

    /// Would a request be let through, of a connection where it was tried before, or of an operation with limits?
    fn room(&self, Awaited { connection, limited }: &Awaited) -> Room {
        let now = clock::instant();
        match (self.inner.circuits.room(connection, now), limited) {
            (Room::All, None) => self.inner.retries.pause(connection, now).map_or(Room::All, Room::None),
            (Room::All, Some((operation, urgency))) => {
                let free = self.free(connection, operation, *urgency);
                free.map_or_else(Room::None, |free| Room::Some(free.min(ROOM_MAX)))
            }
            (room, _) => room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Arc<Key> {
        Arc::new(("w".into(), None, number.to_string()))
    }

    /// Those that pause at `one` until the first, second, third … second, and one at `two`.
    fn paused(count: u32) -> Paused {
        let paused = Paused::default();
        (1..=count).for_each(|number| paused.add(key(number), pausing("one", None, i64::from(number) * 1_000)));
        paused.add(key(100), pausing("two", None, 1_000));
        paused
    }

    fn pausing(connection: &str, operation: Option<&str>, until_ms: i64) -> Pausing {
        let limited = operation.map(|operation| (operation.into(), Urgency::Live));
        Pausing { until_ms, awaited: Awaited { connection: connection.into(), limited }, held_back: None }
    }

    #[test]
    fn as_many_go_on_as_a_limit_has_room_for() {
        let paused = paused(1);
        (1..=5).for_each(|number| paused.add(key(10 + number), pausing("one", Some("contact.create"), 1_000)));
        paused.add(key(20), pausing("one", Some("contact.get"), 1_000));
        let room = |create: Room| {
            move |awaited: &Awaited| match &awaited.limited {
                Some((operation, _)) if operation == "contact.create" => create,
                Some(_) => Room::Some(1),
                None => Room::None(Duration::from_secs(60)),
            }
        };
        let (mut due, next_ms) = paused.due(1_000, room(Room::Some(2)));
        due.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!((keys(&due), next_ms), (vec!["11", "12", "20"], 1_100), "each operation has limits of its own");
        assert_eq!(keys(&paused.due(1_099, room(Room::All)).0), [""; 0], "those that go on take their part first");
        let (due, next_ms) = paused.due(1_100, room(Room::None(Duration::from_secs(8))));
        assert_eq!((keys(&due), next_ms), (vec![], 9_100));
        assert_eq!(
            keys(&paused.well_again(Some("one"))),
            ["1"],
            "a limit has no more room when its vendor is well again"
        );
        assert_eq!(keys(&paused.well_again(None)), ["100"]);
        let (_, next_ms) = paused.due(9_100, room(Room::None(Duration::from_secs(86_400))));
        assert_eq!(next_ms, 69_100, "a limit of a day may be raised meanwhile");
        assert_eq!(keys(&paused.due(69_100, room(Room::Some(9))).0), ["13", "14", "15"]);
    }

    fn keys(gone: &[(Arc<Key>, Again)]) -> Vec<&str> {
        gone.iter().map(|(key, _)| key.2.as_str()).collect()
    }

    #[test]
    fn each_goes_on_when_its_pause_is_over() {
        let paused = paused(3);
        let (due, next_ms) = paused.due(999, |_| Room::All);
        assert_eq!((keys(&due), next_ms), (vec![], 1_000));
        let (mut due, next_ms) = paused.due(2_000, |_| Room::All);
        due.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!((keys(&due), next_ms), (vec!["1", "100", "2"], 3_000));
        assert!(due.iter().all(|(_, again)| !again.early));
    }

    #[test]
    fn of_those_whose_vendor_is_down_one_asks() {
        let paused = paused(3);
        let room = |room: Room| move |awaited: &Awaited| if &*awaited.connection == "one" { room } else { Room::All };
        let (due, next_ms) = paused.due(5_000, room(Room::None(Duration::from_secs(7))));
        assert_eq!((keys(&due), next_ms), (vec!["100"], 12_000), "others are not concerned");
        let (due, next_ms) = paused.due(11_999, room(Room::All));
        assert_eq!((keys(&due), next_ms), (vec![], 12_000), "nobody looks before");
        let (due, next_ms) = paused.due(12_000, room(Room::One));
        assert_eq!((keys(&due), next_ms), (vec!["1"], 13_000));
        let (due, _) = paused.due(13_000, room(Room::All));
        assert_eq!(keys(&due), ["2", "3"]);
        assert!(paused.lines.lock().by_awaited.is_empty(), "nothing is kept");
    }

    #[test]
    fn when_it_is_well_again_all_go_on_before_their_time() {
        let paused = paused(3);
        let gone = paused.well_again(Some("one"));
        assert_eq!(keys(&gone), ["1", "2", "3"]);
        assert!(gone.iter().all(|(_, again)| again.early && &*again.connection == "one"));
        assert_eq!(keys(&paused.well_again(None)), ["100"]);
    }

    #[test]
    fn one_that_is_to_be_left_is_found() {
        let paused = paused(3);
        assert_eq!(keys(paused.one(&key(2)).as_slice()), ["2"]);
        assert_eq!(keys(paused.one(&key(2)).as_slice()), [""; 0]);
        assert_eq!(keys(&paused.well_again(Some("one"))), ["1", "3"]);
    }
}
