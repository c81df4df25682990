//! Windows that count requests, opened by their first one.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};

use super::document::Window;
use crate::expr::parse_duration;

#[derive(Debug, Default)]
pub struct Limiter {
    /// By bucket and window (its place in the profile).
    open: HashMap<(String, usize), Open>,
}

#[derive(Debug)]
struct Open {
    ends: DateTime<Utc>,
    taken: u64,
}

/// What a request may do, and the headers that tell it.
#[derive(Debug, Default)]
pub struct Verdict {
    pub refused: bool,
    pub headers: Vec<(String, String)>,
    /// Until the window that refuses ends.
    pub wait_ms: i64,
}

impl Limiter {
    /// Counts one request in every window, or in none if one is full.
    pub fn take(&mut self, bucket: &str, windows: &[Window], now: DateTime<Utc>) -> Verdict {
        let mut verdict = Verdict::default();
        for (place, window) in windows.iter().enumerate() {
            let per = per(window);
            let open = self.open.entry((bucket.to_owned(), place)).or_insert(Open { ends: now + per, taken: 0 });
            if open.ends <= now {
                *open = Open { ends: now + per, taken: 0 };
            }
            if open.taken >= window.requests {
                verdict.refused = true;
                verdict.wait_ms = verdict.wait_ms.max((open.ends - now).num_milliseconds());
            }
        }
        for (place, window) in windows.iter().enumerate() {
            let Some(open) = self.open.get_mut(&(bucket.to_owned(), place)) else { continue };
            if !verdict.refused {
                open.taken += 1;
            }
            let left = (open.ends - now).num_milliseconds();
            for (header, what) in window.headers.iter() {
                let value = match what.as_str() {
                    "limit" => window.requests.to_string(),
                    "remaining" => window.requests.saturating_sub(open.taken).to_string(),
                    "per_ms" => per(window).num_milliseconds().to_string(),
                    "reset_s" => (left + 999).div_euclid(1000).to_string(),
                    _ => left.to_string(),
                };
                verdict.headers.push((header.to_owned(), value));
            }
        }
        verdict
    }

    pub fn clear(&mut self) {
        self.open.clear();
    }
}

fn per(window: &Window) -> Duration {
    parse_duration(&window.per).and_then(|per| Duration::from_std(per).ok()).unwrap_or(Duration::seconds(10))
}
