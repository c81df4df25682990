//! Tokens and codes that were wrong: each is answered late, and later the more there were of late.
//!
//! Whoever has the right one never waits. What is tried in vain leaves nothing behind but a count.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// Counts begin anew after this.
const SPAN: Duration = Duration::from_secs(60);
/// So much later for each before it.
const STEP: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(2);
/// Answers that are held back at the same time; further ones are refused at once.
const HELD_MAX: usize = 32;

pub struct Tries {
    /// Since when, and how many.
    counted: Mutex<(Instant, u32)>,
    held: Semaphore,
}

impl Default for Tries {
    fn default() -> Self {
        Tries { counted: Mutex::new((Instant::now(), 0)), held: Semaphore::new(HELD_MAX) }
    }
}

impl Tries {
    /// Counts one, and ends when it may be answered. False: too many wait for that, ask again later.
    pub async fn wrong(&self) -> bool {
        let delay = self.count(Instant::now());
        let Ok(_held) = self.held.try_acquire() else { return false };
        tokio::time::sleep(delay).await;
        true
    }

    fn count(&self, now: Instant) -> Duration {
        let mut counted = self.counted.lock();
        if now.duration_since(counted.0) >= SPAN {
            *counted = (now, 0);
        }
        counted.1 = counted.1.saturating_add(1);
        if counted.1.is_power_of_two() {
            tracing::warn!(number = counted.1, "somebody tries wrong tokens or codes at the dashboard");
        }
        (STEP * counted.1).min(DELAY_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_are_wrong_the_later_they_are_answered_and_a_minute_later_all_begins_anew() {
        let (tries, now) = (Tries::default(), Instant::now());
        assert_eq!([tries.count(now), tries.count(now)], [STEP, STEP * 2]);
        (0..1_000).for_each(|_| _ = tries.count(now));
        assert_eq!(tries.count(now), DELAY_MAX);
        assert_eq!(tries.count(now + SPAN), STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn only_some_are_held_back_at_once() {
        let tries = Tries::default();
        let all: Vec<bool> = futures_util::future::join_all((0..HELD_MAX + 3).map(|_| tries.wrong())).await;
        assert_eq!(all.iter().filter(|answered| !**answered).count(), 3);
        assert!(tries.wrong().await);
    }
}
