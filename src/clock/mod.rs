//! What time it is: by the machine's clock, or by the one that a rehearsal turns.
//!
//! A rehearsal lives on one thread, in a runtime whose time is paused: there it is later only when nothing is left to do, and
//! then at once. The same rehearsal sees the same instants and makes the same ids.

use std::cell::RefCell;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

thread_local! {
    static TURNED: RefCell<Option<Turned>> = const { RefCell::new(None) };
}

struct Turned {
    begin_ms: i64,
    from: tokio::time::Instant,
    ids: u64,
    /// As long as this is kept it stands.
    standing: Option<mpsc::Sender<()>>,
}

/// As long as it lives, this thread has a clock of its own.
pub struct Rehearsing(());

impl Drop for Rehearsing {
    fn drop(&mut self) {
        TURNED.set(None);
    }
}

/// From now on it is this instant on this thread, and later as the time of its runtime goes.
pub fn turn(begin_ms: i64) -> Rehearsing {
    TURNED.set(Some(Turned { begin_ms, from: tokio::time::Instant::now(), ids: 0, standing: None }));
    Rehearsing(())
}

/// Does this thread rehearse?
pub fn is_turned() -> bool {
    TURNED.with_borrow(Option::is_some)
}

/// The rehearsal's time stands until [`go_on`], also while nothing is left to do in its runtime: something is under way
/// outside of it. False: it stood already, or nobody rehearses.
pub fn stand() -> bool {
    TURNED.with_borrow_mut(|turned| {
        let Some(turned) = turned.as_mut().filter(|turned| turned.standing.is_none()) else { return false };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let (standing, ends) = mpsc::channel();
        // A task that blocks holds a runtime's time.
        runtime.spawn_blocking(move || ends.recv());
        turned.standing = Some(standing);
        true
    })
}

pub fn go_on() {
    TURNED.with_borrow_mut(|turned| drop(turned.as_mut().and_then(|turned| turned.standing.take())));
}

pub fn stands() -> bool {
    TURNED.with_borrow(|turned| turned.as_ref().is_some_and(|turned| turned.standing.is_some()))
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let turned = TURNED.with_borrow(|turned| {
        let turned = turned.as_ref()?;
        let passed = i64::try_from(turned.from.elapsed().as_millis()).unwrap_or(i64::MAX);
        Some(turned.begin_ms.saturating_add(passed))
    });
    turned.unwrap_or_else(|| Utc::now().timestamp_millis())
}

pub fn now() -> DateTime<Utc> {
    if is_turned() { DateTime::from_timestamp_millis(now_ms()).unwrap_or_default() } else { Utc::now() }
}

/// For spans: it never goes back.
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long to sleep for a pause (in milliseconds) before another look at the clock: somebody may set the machine's meanwhile.
pub fn nap(pause_ms: u64) -> Duration {
    let longest_ms = if is_turned() { NAP_REHEARSED_MS } else { NAP_MS };
    Duration::from_millis(pause_ms.min(longest_ms))
}

const NAP_MS: u64 = 30_000;
/// Thirty days.
const NAP_REHEARSED_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// A new id, UUID version 7: later ones are greater.
pub fn id() -> Uuid {
    let number = TURNED.with_borrow_mut(|turned| {
        let turned = turned.as_mut()?;
        turned.ids += 1;
        Some(turned.ids)
    });
    let Some(number) = number else { return Uuid::now_v7() };
    let mut rest = [0; 10];
    rest[1..9].copy_from_slice(&number.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(now_ms()).unwrap_or_default(), &rest).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_has_a_clock_of_its_own_that_runs_ahead() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let lived = || {
            runtime.block_on(async {
                let _rehearsing = turn(1_000);
                let first = id();
                tokio::time::sleep(Duration::from_secs(3 * 24 * 60 * 60)).await;
                (now_ms(), first, id())
            })
        };
        let (then_ms, first, later) = lived();
        assert_eq!(then_ms, 1_000 + 3 * 24 * 60 * 60 * 1_000);
        assert!(first < later);
        assert_eq!(lived().1, first, "the same again");
        let (begun, waited) = (Instant::now(), Duration::from_millis(30));
        runtime.block_on(async {
            let _rehearsing = turn(1_000);
            assert!(stand() && !stand() && stands());
            let outside = tokio::task::spawn_blocking(move || std::thread::sleep(waited));
            tokio::select! {
                _ = outside => {}
                () = tokio::time::sleep(Duration::from_millis(1)) => panic!("time went on"),
            }
            assert_eq!(now_ms(), 1_000);
            go_on();
            tokio::time::sleep(Duration::from_secs(60 * 60)).await;
        });
        assert!(begun.elapsed() >= waited);
        assert!(!is_turned() && now_ms() > then_ms, "other threads and later ones have the machine's");
    }
}
