//! The vendor's clock: the machine's, set forward by the control door.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

use crate::clock;

/// Ten years.
const AHEAD_MAX: Duration = Duration::days(3653);

#[derive(Debug, Default)]
pub struct Clock {
    ahead: Duration,
}

impl Clock {
    pub fn now(&self) -> DateTime<Utc> {
        clock::now() + self.ahead
    }

    pub fn advance(&mut self, by: std::time::Duration) {
        let by = Duration::from_std(by).unwrap_or(AHEAD_MAX);
        self.ahead = self.ahead.checked_add(&by).unwrap_or(AHEAD_MAX).min(AHEAD_MAX);
    }
}

/// `2026-07-17T10:26:20.635Z`.
pub fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
