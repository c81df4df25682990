//! One window of a budget: how much of it is used, when it ends, and until when it is closed.

use std::time::{Duration, Instant};

use super::budget::Urgency;
use crate::connector::Limit;

/// Nothing is believed to last longer than this.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// So long what is not live stands back when a window opens that live work waits for.
const STANDS_BACK: Duration = Duration::from_millis(100);

/// Who could not be told how much is left asks again after so long.
const ASKS_AGAIN: Duration = Duration::from_millis(200);

/// What a process has got of a limit that several share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which part: they are counted.
    pub number: u64,
    pub granted: u64,
    /// What all have got that counts still.
    pub total: u64,
    /// It is to be used until then; if nothing was granted, there is something again then.
    pub ends_in: Duration,
}

/// A fixed span of time, opened by its first request.
#[derive(Debug)]
pub(super) struct Window {
    opened: Instant,
    ends: Instant,
    /// The longest that a request of it was held between being counted and being sent.
    held: Duration,
    used: u64,
    /// After a 429.
    closed_until: Option<Instant>,
    /// Live work waits for it: the past stands back.
    past_from: Option<Instant>,
    /// What this process may use of it, where several share it.
    share: Option<Share>,
}

/// A part of a limit that several processes share.
#[derive(Clone, Copy, Debug)]
struct Share {
    number: u64,
    /// Requests that this process may make of it.
    allowed: u64,
    /// Requests that were allowed to all of them when it was.
    total: u64,
}

impl Window {
    /// A window that has not been used; it opens with its first request.
    pub fn unopened(now: Instant) -> Window {
        Window {
            opened: now,
            ends: now,
            held: Duration::ZERO,
            used: 0,
            closed_until: None,
            past_from: None,
            share: None,
        }
    }

    /// How long a request must wait; zero if it may go.
    pub fn wait(&self, limit: &Limit, urgency: Urgency, now: Instant) -> Duration {
        let live = urgency == Urgency::Live;
        let first = self.past_from.filter(|_| urgency == Urgency::Past);
        let closed = self.closed(now).max(first.map_or(Duration::ZERO, |from| from.saturating_duration_since(now)));
        if self.is_over(now) {
            return if left(limit, 0, live) { closed } else { closed.max(limit.per) };
        }
        if left(limit, self.used, live) { closed } else { closed.max(self.ends - now) }
    }

    /// Is there a request of the part of this process that may go? As long as it has none, it asks for one.
    pub fn has_share(&self, limit: &Limit, live: bool, now: Instant) -> bool {
        self.share.is_some_and(|share| {
            !self.is_over(now) && self.used < share.allowed && (live || share.total <= limit.requests_of_the_past())
        })
    }

    /// Is it known that nothing is left of it for anybody?
    pub fn is_used_up(&self, limit: &Limit, live: bool, now: Instant) -> bool {
        let most = if live { limit.requests } else { limit.requests_of_the_past() };
        !self.is_over(now) && self.share.is_some_and(|share| share.total >= most)
    }

    /// This process has got a part of it, in place of the one before.
    pub fn lease(&mut self, lease: &Lease, now: Instant) {
        let Lease { number, granted, total, ends_in } = *lease;
        self.share = Some(Share { number, allowed: granted, total });
        (self.used, self.ends) = (0, now + ends_in);
    }

    /// The part that this process has, or had last: its number, and the requests that were made of it.
    pub fn used_of_share(&self) -> Option<(u64, u64)> {
        self.share.map(|share| (share.number, self.used))
    }

    /// How long a request must wait that this process has no part for.
    pub fn wait_for_share(&self, limit: &Limit, urgency: Urgency, now: Instant) -> Duration {
        let live = urgency == Urgency::Live;
        match self.has_share(limit, live, now) {
            true => self.closed(now),
            false if self.is_used_up(limit, live, now) => self.closed(now).max(self.ends - now),
            false => self.closed(now).max(ASKS_AGAIN),
        }
    }

    /// One request of the part of this process goes.
    pub fn count_of_share(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// Counts one request; the first one after the end opens the window anew. The vendor's own opens when the request has
    /// arrived there, `on_the_way` later, and ends so much later.
    pub fn count(&mut self, limit: &Limit, on_the_way: Duration, now: Instant) {
        if self.is_over(now) {
            let ends = now + limit.per + on_the_way.min(limit.per / 10);
            *self = Window { ends, past_from: self.past_from, ..Window::unopened(now) };
        }
        self.used = self.used.saturating_add(1);
    }

    /// A request that was counted `held` ago goes only now: what was sent with it may be as late at the vendor, whose window
    /// ends so much later.
    pub fn is_sent(&mut self, limit: &Limit, held: Duration, now: Instant) {
        let is_of_this = now.checked_sub(held).is_some_and(|counted| counted >= self.opened);
        if self.share.is_none() && is_of_this {
            let held = held.min(limit.per);
            self.ends += held.saturating_sub(self.held);
            self.held = self.held.max(held);
        }
    }

    /// Live work asks again after this long.
    pub fn is_waited_for(&mut self, limit: &Limit, wait: Duration, now: Instant) {
        if !self.wait(limit, Urgency::Live, now).is_zero() {
            self.past_from = Some(now + wait + STANDS_BACK);
        }
    }

    /// Corrects the window by the vendor's words: how many requests are left, how long until its end.
    ///
    /// What is left never rises above our own count, which knows the requests under way; unless the vendor's window
    /// is a younger one than ours.
    pub fn correct(&mut self, limit: &Limit, remaining: Option<u64>, reset: Option<Duration>, now: Instant) {
        if let Some(share) = &mut self.share {
            // The others have their part of what is left; when it ends is known to all of them.
            share.allowed = share.allowed.min(self.used.saturating_add(remaining.unwrap_or(u64::MAX)));
            return;
        }
        // A time that is longer than the window itself is none (an epoch, another unit); a little may be rounding.
        let reset = reset.filter(|reset| *reset <= limit.per + limit.per / 10 + Duration::from_secs(1));
        let told_used = remaining.map(|remaining| limit.requests.saturating_sub(remaining));
        let restarted = reset.is_some_and(|reset| self.is_over(now) || now + reset > self.ends + limit.per / 2);
        if let Some(reset) = reset {
            if restarted {
                self.used = told_used.unwrap_or(1);
            }
            self.ends = now + reset;
        }
        // What is said about a window that has ended here is about the past: the next request opens it anew all the same.
        if !restarted {
            self.used = self.used.max(told_used.unwrap_or(0));
        }
    }

    /// How long it is closed from now on.
    pub fn closed(&self, now: Instant) -> Duration {
        self.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Nothing may go for so long.
    pub fn close(&mut self, length: Duration, now: Instant) {
        let until = now + length.min(LONGEST);
        self.closed_until = Some(self.closed_until.map_or(until, |earlier| earlier.max(until)));
    }

    /// How long until a request has its turn again by the window's own end.
    pub fn rest(&self, limit: &Limit, now: Instant) -> Duration {
        if self.is_over(now) { limit.per } else { self.ends - now }
    }

    /// Requests that may still go before it ends.
    pub fn left(&self, requests: u64, now: Instant) -> u64 {
        if self.closed_until.is_some_and(|until| until > now) {
            return 0;
        }
        if self.is_over(now) { requests } else { requests.saturating_sub(self.used) }
    }

    pub fn is_over(&self, now: Instant) -> bool {
        self.ends <= now
    }

    /// It says nothing any more.
    pub fn is_forgotten(&self, now: Instant) -> bool {
        self.is_over(now) && self.closed_until.is_none_or(|until| until <= now)
    }
}

/// Whether one more request fits beside those used, and beside the reserve if it is not a live one.
fn left(limit: &Limit, used: u64, live: bool) -> bool {
    used < if live { limit.requests } else { limit.requests_of_the_past() }
}
