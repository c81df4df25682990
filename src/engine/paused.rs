//! Runs that pause until their vendor may be asked again: an id each, by connection. They keep their order key.
//!
//! ```text
//!  let go ─▶ in line for its connection ─┬─ it is time, and the vendor is there ─┬─▶ taken up again
//!                                        └─ the vendor is well again ────────────┘
//! ```
//! Of those that are due, one asks whether the vendor is there; the others follow when it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use super::queue::Key;
use super::{Engine, now_ms};
use crate::clock;

/// Who pauses for so long is let go.
pub(super) const LONG_MS: i64 = 2_000;
/// Whoever asks whether the vendor is there has so long for it, until another is called.
const ASKS: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Paused {
    lines: Mutex<Lines>,
    more: Notify,
}

#[derive(Default)]
struct Lines {
    by_connection: HashMap<Arc<str>, Line>,
    /// How many have ever come.
    count: u64,
}

#[derive(Default)]
struct Line {
    /// By when they are due, then in the order in which they came.
    waiting: BTreeMap<(i64, u64), Arc<Key>>,
    /// The vendor is not there before.
    not_before_ms: i64,
}

/// Why a run that paused goes on.
pub(super) struct Again {
    pub connection: Arc<str>,
    /// The vendor is well again before the pause was over.
    pub early: bool,
}

/// May those that wait for a connection go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    All,
    /// One, who asks whether the vendor is there.
    One,
    None(Duration),
}

impl Paused {
    pub fn add(&self, key: Arc<Key>, connection: &str, until_ms: i64) {
        let mut lines = self.lines.lock();
        let number = lines.count;
        lines.count += 1;
        let line = match lines.by_connection.get_mut(connection) {
            Some(line) => line,
            None => lines.by_connection.entry(connection.into()).or_default(),
        };
        line.waiting.insert((until_ms, number), key);
        drop(lines);
        self.more.notify_one();
    }

    /// Takes out who may go on now; gives also when somebody may next.
    fn due(&self, now_ms: i64, room: impl Fn(&str) -> Room) -> (Vec<(Arc<Key>, Again)>, i64) {
        let (mut due, mut next_ms) = (Vec::new(), i64::MAX);
        let mut lines = self.lines.lock();
        for (connection, line) in &mut lines.by_connection {
            while let Some(first) = line.waiting.first_entry() {
                let at_ms = first.key().0.max(line.not_before_ms);
                if at_ms > now_ms {
                    next_ms = next_ms.min(at_ms);
                    break;
                }
                let room = room(connection);
                let pause = match room {
                    Room::All => Duration::ZERO,
                    Room::One => ASKS,
                    Room::None(pause) => pause.max(Duration::from_millis(1)),
                };
                line.not_before_ms = now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
                if !matches!(room, Room::None(_)) {
                    due.push((first.remove(), Again { connection: Arc::clone(connection), early: false }));
                }
            }
        }
        lines.by_connection.retain(|_, line| !line.waiting.is_empty());
        (due, next_ms)
    }

    /// Takes out all that wait for a connection; None: for any. They are in the order in which they were due.
    fn well_again(&self, connection: Option<&str>) -> Vec<(Arc<Key>, Again)> {
        let mut lines = self.lines.lock();
        let names =
            lines.by_connection.keys().filter(|name| connection.is_none_or(|connection| connection == &***name));
        let names: Vec<Arc<str>> = names.cloned().collect();
        let gone = names.into_iter().filter_map(|name| Some((lines.by_connection.remove(&name)?, name)));
        gone.flat_map(|(line, name)| {
            line.waiting.into_values().map(move |key| (key, Again { connection: Arc::clone(&name), early: true }))
        })
        .collect()
    }

    /// Takes out the one of a key.
    fn one(&self, key: &Key) -> Option<(Arc<Key>, Again)> {
        let mut lines = self.lines.lock();
        lines.by_connection.iter_mut().find_map(|(connection, line)| {
            let at = line.waiting.iter().find(|(_, waiting)| ***waiting == *key).map(|(at, _)| *at)?;
            Some((line.waiting.remove(&at)?, Again { connection: Arc::clone(connection), early: false }))
        })
    }
}

impl Engine {
    /// A run is let go until then. It stays first of its key.
    pub(super) fn add_paused(&self, key: Arc<Key>, id: &str, connection: &str, until_ms: i64) {
        self.inner.paused.add(Arc::clone(&key), connection, until_ms);
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
            let (due, next_ms) = self.inner.paused.due(now_ms(), |connection| self.room(connection));
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

    /// Would a request of a connection be let through that was tried before?
    fn room(&self, connection: &str) -> Room {
        let now = clock::instant();
        match (self.inner.circuits.room(connection, now), self.inner.retries.pause(connection, now)) {
            (Room::All, Some(pause)) => Room::None(pause),
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
        (1..=count).for_each(|number| paused.add(key(number), "one", i64::from(number) * 1_000));
        paused.add(key(100), "two", 1_000);
        paused
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
        let room = |room: Room| move |connection: &str| if connection == "one" { room } else { Room::All };
        let (due, next_ms) = paused.due(5_000, room(Room::None(Duration::from_secs(7))));
        assert_eq!((keys(&due), next_ms), (vec!["100"], 12_000), "others are not concerned");
        let (due, next_ms) = paused.due(11_999, room(Room::All));
        assert_eq!((keys(&due), next_ms), (vec![], 12_000), "nobody looks before");
        let (due, next_ms) = paused.due(12_000, room(Room::One));
        assert_eq!((keys(&due), next_ms), (vec!["1"], 13_000));
        let (due, _) = paused.due(13_000, room(Room::All));
        assert_eq!(keys(&due), ["2", "3"]);
        assert!(paused.lines.lock().by_connection.is_empty(), "nothing is kept");
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
