//! Limits: several windows per connection, corrected by the answers' headers.
//!
//! A window is opened by its first request and ends `per` later; unlike a smoothed rate this is how vendors count, so their
//! headers can correct it. A request goes only if every window that counts it has room.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::DateTime;
use parking_lot::Mutex;
use serde_json::Value;

use super::window::{LONGEST, Lease, Window};
use crate::connector::{Limit, Response};
use crate::expr::{Locale, Scope};

/// Who goes first where several want what is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    Live,
    /// A poll, a test: it leaves live work its share.
    Poll,
    /// A replay or a backfill: it stands back as well while live work waits.
    Past,
}

/// Whether a request may go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    Go,
    /// Ask again after this long; nothing was taken.
    Wait(Duration),
}

/// How much is left of one limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    pub connection: String,
    /// Which of the connector's limits, from 0 on.
    pub limit: usize,
    pub requests: u64,
    pub per: Duration,
    pub left: u64,
}

/// The windows of all connections. One per process.
#[derive(Debug, Default)]
pub struct Budgets {
    pub(super) windows: Mutex<HashMap<Key, Window>>,
    /// When those that have ended were dropped last.
    forgotten: Mutex<Option<Instant>>,
    /// How long a request takes until the vendor counts it, at most.
    pub(super) on_the_way: Duration,
    /// Several processes share them: each uses what it has got by a [`Lease`].
    pub(super) shared: bool,
}

/// A window of which this process wants a part.
#[derive(Clone, Debug)]
pub struct Wish {
    key: Key,
    /// Requests in a window, for what is as urgent as this.
    pub most: u64,
    /// So long one lasts, with the time until the vendor counts what was sent.
    pub per: Duration,
    /// So many are asked for.
    pub wanted: u64,
    /// What was made of the part that this process had before: its number, and requests.
    pub used: Option<(u64, u64)>,
}

impl Wish {
    /// By this all processes know the window.
    pub fn name(&self) -> String {
        let Key { connection, limit, each } = &self.key;
        let (number, requests, per) = limit.unwrap_or_default();
        format!("{connection}/{number}/{requests}/{}/{each}", per.as_millis())
    }
}

/// Of a window a process takes a share at once, so that it need not ask for each request.
const SHARES: u64 = 16;
/// Requests that are asked for at once, at most.
const WANTED_MAX: u64 = 500;

/// Which window: a limit of a connection, and the value of its `each`. A limit that was edited is another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    connection: String,
    limit: Option<(usize, u64, Duration)>,
    each: String,
}

/// Above this, windows that have ended are dropped, and new values of `each` share one window.
pub(super) const WINDOWS_MAX: usize = 10_000;
/// How often they are, at most.
const FORGETS: Duration = Duration::from_secs(1);
/// An `each` longer than this is cut: it comes from data.
const EACH_MAX: usize = 200;
/// Stands for all values of `each` that have no window of their own.
const OTHERS: &str = "\0others";
/// The least that a 429 closes: an answer `Retry-After: 0` must not make a loop.
const SHORTEST: Duration = Duration::from_secs(1);

impl Budgets {
    /// Budgets of vendors behind a network, which count each request a little later than we do.
    pub fn of_vendors() -> Budgets {
        Budgets { on_the_way: Duration::from_millis(500), ..Budgets::default() }
    }

    /// The same, shared by several processes.
    pub fn of_several_processes() -> Budgets {
        Budgets { shared: true, ..Budgets::of_vendors() }
    }

    /// The windows of which this process must get a part before a request may go.
    pub fn wishes(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        input: &Value,
        urgency: Urgency,
        now: Instant,
    ) -> Vec<Wish> {
        if !self.shared {
            return Vec::new();
        }
        let (live, windows) = (urgency == Urgency::Live, self.windows.lock());
        let wishes = counted(limits, operation).filter_map(|(index, limit)| {
            let key = Key::of_limit(connection, index, limit, input).within(&windows);
            let known = windows.get(&key);
            if known.is_some_and(|window| window.has_share(limit, live, now) || window.is_used_up(limit, live, now)) {
                return None;
            }
            let most = if live { limit.requests } else { limit.requests_of_the_past() };
            let per = limit.per + self.on_the_way.min(limit.per / 10);
            let used = known.and_then(Window::used_of_share);
            Some(Wish { key, most, per, wanted: (limit.requests / SHARES).clamp(1, WANTED_MAX), used })
        });
        wishes.collect()
    }

    /// This process has got a part of a window.
    pub fn lease(&self, wish: &Wish, lease: &Lease, now: Instant) {
        let mut windows = self.windows.lock();
        windows.entry(wish.key.clone()).or_insert_with(|| Window::unopened(now)).lease(lease, now);
    }

    /// Takes one request from every window that counts it, or none.
    pub fn take(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        input: &Value,
        urgency: Urgency,
        now: Instant,
    ) -> Take {
        let mut windows = self.windows.lock();
        let counting = match self.room(&mut windows, (connection, limits), (operation, input), urgency, now) {
            Ok(counting) => counting,
            Err(wait) => return Take::Wait(wait),
        };
        for (key, limit) in counting {
            let window = windows.entry(key).or_insert_with(|| Window::unopened(now));
            match self.shared {
                true => window.count_of_share(),
                false => window.count(limit, self.on_the_way, now),
            }
        }
        Take::Go
    }

    /// A request that was taken at an instant is sent now: what came between, as making its entry durable, is on no vendor's clock.
    pub fn sent(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        input: &Value,
        taken: Instant,
        now: Instant,
    ) {
        let mut windows = self.windows.lock();
        for (index, limit) in counted(limits, operation) {
            let key = Key::of_limit(connection, index, limit, input).within(&windows);
            if let Some(window) = windows.get_mut(&key) {
                window.is_sent(limit, now.saturating_duration_since(taken), now);
            }
        }
    }

    /// Whether [`Budgets::take`] would say `Go`; takes nothing.
    pub fn look(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        input: &Value,
        urgency: Urgency,
        now: Instant,
    ) -> Take {
        let mut windows = self.windows.lock();
        let room = self.room(&mut windows, (connection, limits), (operation, input), urgency, now);
        room.map_or_else(Take::Wait, |_| Take::Go)
    }

    /// For how many requests of an operation [`Budgets::take`] would say `Go`, limits with an `each` apart; or how long to wait until
    /// it may say so.
    pub fn free(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        urgency: Urgency,
        now: Instant,
    ) -> Result<u64, Duration> {
        let mut windows = self.windows.lock();
        let counting = self.room(&mut windows, (connection, limits), (operation, &Value::Null), urgency, now)?;
        let free = counting.iter().filter(|(_, limit)| limit.each.is_none()).map(|(key, limit)| {
            let requests = if urgency == Urgency::Live { limit.requests } else { limit.requests_of_the_past() };
            windows.get(key).map_or(requests, |window| window.left(requests, now))
        });
        Ok(free.min().unwrap_or(u64::MAX))
    }

    /// Corrects the windows by what an answer says; a 429 closes them until `Retry-After` or their own end.
    ///
    /// Windows of an `each` limit are not touched: an answer does not say for which value it speaks. Call
    /// [`Budgets::learn_for`] where the input is known.
    pub fn learn(&self, connection: &str, limits: &[Limit], operation: &str, response: &Response, now: Instant) {
        self.learn_from(connection, limits, operation, None, response, now);
    }

    /// The same, for the windows of this input's `each` values too.
    pub fn learn_for(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        input: &Value,
        response: &Response,
        now: Instant,
    ) {
        self.learn_from(connection, limits, operation, Some(input), response, now);
    }

    /// What is left of each limit of a connection that has been used; those with an `each` are too many to be told.
    pub fn left(&self, now: Instant) -> Vec<Left> {
        let windows = self.windows.lock();
        let left = windows.iter().filter(|(key, _)| key.each.is_empty()).filter_map(|(key, window)| {
            let (index, requests, per) = key.limit?;
            Some(Left {
                connection: key.connection.clone(),
                limit: index,
                requests,
                per,
                left: window.left(requests, now),
            })
        });
        left.collect()
    }

    /// Drops the windows that have ended; not more often than that is worth, since there may be many that have not.
    fn forget(&self, windows: &mut HashMap<Key, Window>, now: Instant) {
        let mut forgotten = self.forgotten.lock();
        if forgotten.is_none_or(|at| now >= at + FORGETS) {
            windows.retain(|_, window| !window.is_forgotten(now));
            *forgotten = Some(now);
        }
    }

    /// The windows that count a request, or how long it must wait; live work is waited for.
    fn room<'l>(
        &self,
        windows: &mut HashMap<Key, Window>,
        (connection, limits): (&str, &'l [Limit]),
        (operation, input): (&'l str, &Value),
        urgency: Urgency,
        now: Instant,
    ) -> Result<Vec<(Key, &'l Limit)>, Duration> {
        if windows.len() >= WINDOWS_MAX {
            self.forget(windows, now);
        }
        let mut wait = windows.get(&Key::of_connection(connection)).map_or(Duration::ZERO, |window| window.closed(now));
        let mut counting = Vec::new();
        for (index, limit) in counted(limits, operation) {
            let key = Key::of_limit(connection, index, limit, input).within(windows);
            let wait_for = |window: &Window| match self.shared {
                true => window.wait_for_share(limit, urgency, now),
                false => window.wait(limit, urgency, now),
            };
            wait = wait.max(windows.get(&key).map_or_else(|| wait_for(&Window::unopened(now)), wait_for));
            counting.push((key, limit));
        }
        if wait.is_zero() {
            return Ok(counting);
        }
        let wait = wait.min(LONGEST);
        if urgency == Urgency::Live {
            for (key, limit) in &counting {
                if let Some(window) = windows.get_mut(key) {
                    window.is_waited_for(limit, wait, now);
                }
            }
        }
        Err(wait)
    }

    fn learn_from(
        &self,
        connection: &str,
        limits: &[Limit],
        operation: &str,
        input: Option<&Value>,
        response: &Response,
        now: Instant,
    ) {
        let mut windows = self.windows.lock();
        let mut touched = Vec::new();
        let mut shortest = None;
        for (index, limit) in counted(limits, operation) {
            if limit.each.is_some() && input.is_none() {
                continue;
            }
            let key = Key::of_limit(connection, index, limit, input.unwrap_or(&Value::Null)).within(&windows);
            let remaining = limit.remaining_header.as_deref().and_then(|name| read_count(response.header(name)?));
            let reset = limit.reset_header.as_ref().and_then(|(name, unit)| read_time(response.header(name)?, *unit));
            if remaining.is_some() || reset.is_some() {
                windows
                    .entry(key.clone())
                    .or_insert_with(|| Window::unopened(now))
                    .correct(limit, remaining, reset, now);
            }
            let rest = windows.get(&key).map_or(limit.per, |window| window.rest(limit, now));
            shortest = Some(shortest.map_or(rest, |shortest: Duration| shortest.min(rest)));
            touched.push(key);
        }
        if response.status == 429 {
            let length = retry_after(response).or(shortest).unwrap_or(SHORTEST).max(SHORTEST);
            if touched.is_empty() {
                touched.push(Key::of_connection(connection));
            }
            for key in touched {
                windows.entry(key).or_insert_with(|| Window::unopened(now)).close(length, now);
            }
        }
    }
}

fn counted<'limits>(
    limits: &'limits [Limit],
    operation: &'limits str,
) -> impl Iterator<Item = (usize, &'limits Limit)> {
    limits
        .iter()
        .enumerate()
        .filter(move |(_, limit)| limit.only_for.is_empty() || limit.only_for.iter().any(|name| name == operation))
}

impl Key {
    fn of_connection(connection: &str) -> Key {
        Key { connection: connection.to_owned(), limit: None, each: String::new() }
    }

    fn of_limit(connection: &str, index: usize, limit: &Limit, input: &Value) -> Key {
        let locale = Locale::default();
        // A value that cannot be made shares the window of the empty one: it is counted, not let through.
        let each = limit
            .each
            .as_ref()
            .and_then(|each| each.render(&Scope::new(&Value::Null, &locale).with("input", input)).ok());
        let each = each.unwrap_or_default().chars().take(EACH_MAX).collect();
        Key { connection: connection.to_owned(), limit: Some((index, limit.requests, limit.per)), each }
    }

    /// The shared window instead, if there is no room for a new one.
    fn within(self, windows: &HashMap<Key, Window>) -> Key {
        if windows.len() < WINDOWS_MAX || self.each.is_empty() || windows.contains_key(&self) {
            return self;
        }
        Key { each: OTHERS.to_owned(), ..self }
    }
}

/// A whole number; anything else says nothing.
fn read_count(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn read_time(text: &str, unit: Duration) -> Option<Duration> {
    let count: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(count * unit.as_secs_f64()).ok()
}

/// `Retry-After` in seconds, or as a date beside the answer's own `Date` (RFC 9110, 10.2.3).
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    if let Some(length) = read_time(text, Duration::from_secs(1)) {
        return Some(length);
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    let sent = DateTime::parse_from_rfc2822(response.header("date")?).ok()?;
    (until - sent).to_std().ok()
}
