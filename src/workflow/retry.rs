//! When to try again: by the error's name, with growing pauses, and an end.

use std::sync::LazyLock;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Reading;
use crate::expr::parse_duration;

/// `retry:` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`retry`")]
pub struct Document {
    /// At most so many tries after the first.
    pub times: Option<u32>,
    /// No try after so long, counted from the first, e.g. `3d`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub r#for: Option<String>,
    /// The pause before the second try and the longest pause, e.g. `2s..1h`.
    #[schemars(extend("x-takes" = "a duration or a range of them"))]
    pub wait: Option<String>,
    /// Names of errors that are worth another try.
    pub errors: Option<Vec<String>>,
}

/// A policy. `rate_limited` is not its business: that waits and uses no try.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub times: Option<u32>,
    pub lasting: Option<Duration>,
    pub wait_min: Duration,
    pub wait_max: Duration,
    pub errors: Vec<String>,
}

impl Retry {
    /// What holds where nothing is written.
    pub fn standard() -> &'static Retry {
        static STANDARD: LazyLock<Retry> = LazyLock::new(Retry::default);
        &STANDARD
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: None,
            lasting: Some(Duration::from_secs(3 * 86_400)),
            wait_min: Duration::from_secs(2),
            wait_max: Duration::from_secs(3600),
            errors: ["transient", "timeout", "unreachable"].map(String::from).to_vec(),
        }
    }
}

/// Every name that an error can have.
pub const ERROR_NAMES: [&str; 17] = [
    "auth",
    "forbidden",
    "scope",
    "not_found",
    "transient",
    "conflict",
    "rate_limited",
    "invalid",
    "duplicate",
    "timeout",
    "unreachable",
    "not_accepted",
    "failed",
    "silent",
    "unknown",
    "refused",
    "too_big",
];

impl Retry {
    pub fn read(document: &Document, reading: &mut Reading<'_>) -> Self {
        let standard = Retry::default();
        let mut retry = Retry {
            times: document.times,
            lasting: if document.times.is_some() { None } else { standard.lasting },
            ..standard
        };
        if let Some(text) = &document.r#for {
            retry.lasting = reading.child("for").duration(text);
        }
        if let Some(text) = &document.wait {
            let (first, last) = text.split_once("..").unwrap_or((text, text));
            match (parse_duration(first.trim()), parse_duration(last.trim())) {
                (Some(first), Some(last)) if !first.is_zero() && first <= last => {
                    (retry.wait_min, retry.wait_max) = (first, last)
                }
                _ => {
                    let mut reading = reading.child("wait");
                    let found = reading.error("bad-duration", format!("`{text}` is no range of pauses"), "");
                    found.help = Some("write the first and the longest pause, such as `2s..10m`".into());
                }
            }
        }
        if let Some(errors) = &document.errors {
            for (index, name) in errors.iter().enumerate() {
                if !ERROR_NAMES.contains(&name.as_str()) {
                    let mut errors = reading.child("errors");
                    let mut reading = errors.child(&index.to_string());
                    let near = crate::source::nearest(name, ERROR_NAMES).map(|near| format!("did you mean `{near}`?"));
                    let found = reading.error("unknown-error", format!("no error is called `{name}`"), "");
                    found.help = near.or_else(|| Some(format!("errors are {}", ERROR_NAMES.join(", "))));
                }
            }
            retry.errors.clone_from(errors);
        }
        retry
    }

    /// When the next try may be, or None: it is time to give up.
    ///
    /// `tries` have failed so far (at least 1), the first was sent at `first_ms`. `spread` in 0..1 takes up to half off
    /// the pause, so that many runs that failed together do not come back together.
    pub fn next(&self, error: &str, tries: u32, first_ms: i64, now_ms: i64, spread: f64) -> Option<i64> {
        if !self.errors.iter().any(|name| name == error) || self.times.is_some_and(|times| tries > times) {
            return None;
        }
        let doubled = self.wait_min.saturating_mul(2u32.saturating_pow(tries.saturating_sub(1).min(30)));
        let pause = doubled.min(self.wait_max).mul_f64(1.0 - spread.clamp(0.0, 1.0) / 2.0);
        let at = now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        let end =
            self.lasting.map(|lasting| first_ms.saturating_add(i64::try_from(lasting.as_millis()).unwrap_or(i64::MAX)));
        end.is_none_or(|end| at <= end).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let retry = Retry {
            times: Some(4),
            lasting: None,
            wait_min: Duration::from_secs(2),
            wait_max: Duration::from_secs(10),
            ..Retry::default()
        };
        let pauses: Vec<_> = (1..=5).map(|tries| retry.next("timeout", tries, 0, 0, 0.0)).collect();
        assert_eq!(pauses, [Some(2000), Some(4000), Some(8000), Some(10_000), None]);
        assert_eq!(retry.next("timeout", 1, 0, 0, 1.0), Some(1000), "spread takes up to half off");
        assert_eq!(retry.next("invalid", 1, 0, 0, 0.0), None, "not worth another try");
    }

    #[test]
    fn no_try_begins_after_the_time_is_over() {
        let retry = Retry { lasting: Some(Duration::from_secs(60)), ..Retry::default() };
        assert!(retry.next("transient", 1, 0, 58_000, 0.0).is_some());
        assert!(retry.next("transient", 1, 0, 58_001, 0.0).is_none());
    }
}
