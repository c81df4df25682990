//! One limit of an account: an object, so that all processes together keep it.
//!
//! A process is granted a part, and makes so many requests without asking, soon: what it has not used of it by then it gives back
//! when it asks for more. Whatever window a vendor counts by, and whenever that opens, no span of its length has seen more grants
//! than it allows.

use serde::{Deserialize, Serialize};

use super::steps::{Steps, Stopped};
use crate::engine::now_ms;

#[derive(Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Requests in a window, for what is as urgent as this.
    pub most: u64,
    /// So long the window lasts, with the time that a request is on its way.
    pub per_ms: i64,
    pub wanted: u64,
    /// What this process has made of the part before: its number, and requests.
    #[serde(default)]
    pub used: Option<(u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Granted {
    pub number: u64,
    pub granted: u64,
    pub total: u64,
    /// It is to be used until then; if nothing was granted, there is something again then.
    pub ends_in_ms: u64,
}

/// A part that was granted.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    number: u64,
    at_ms: i64,
    count: u64,
}

/// Those that count still, in the order in which they were granted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Parts {
    last: u64,
    parts: Vec<Part>,
}

const PARTS: &str = "parts";

pub(super) async fn lease<S: Steps>(steps: &S, wanted: Wanted) -> Result<Granted, Stopped> {
    let now_ms = steps.step("now", async { now_ms() }).await?;
    let mut parts = steps.get::<Parts>(PARTS).await?.unwrap_or_default();
    let granted = parts.lease(&wanted, now_ms);
    steps.set(PARTS, parts);
    Ok(granted)
}

/// So long a part may be used: a twentieth of the window, and long enough to be told of it.
fn lasts_ms(per_ms: i64) -> i64 {
    (per_ms / 20).clamp(250, 5_000)
}

impl Parts {
    fn lease(&mut self, wanted: &Wanted, now_ms: i64) -> Granted {
        let lasts_ms = lasts_ms(wanted.per_ms);
        let counts_ms = wanted.per_ms + lasts_ms;
        if let Some((number, used)) = wanted.used
            && let Some(part) = self.parts.iter_mut().find(|part| part.number == number)
        {
            part.count = part.count.min(used);
        }
        self.parts.retain(|part| part.count > 0 && part.at_ms + counts_ms > now_ms);
        self.merge(now_ms, wanted.per_ms);
        let total: u64 = self.parts.iter().map(|part| part.count).sum();
        let count = wanted.wanted.min(wanted.most.saturating_sub(total));
        self.last += 1;
        let mut ends_ms = now_ms + lasts_ms;
        if count > 0 {
            self.parts.push(Part { number: self.last, at_ms: now_ms, count });
        } else if let Some(first) = self.parts.first() {
            ends_ms = first.at_ms + counts_ms;
        }
        let ends_in_ms = u64::try_from(ends_ms - now_ms).unwrap_or_default();
        Granted { number: self.last, granted: count, total: total + count, ends_in_ms }
    }

    /// Of what nobody gives back any more the parts of a sixty-fourth of the window are one, as late as the last of them.
    fn merge(&mut self, now_ms: i64, per_ms: i64) {
        let slot = |part: &Part| part.at_ms / (per_ms / 64).max(1);
        self.parts.dedup_by(|part, before| {
            let is_one = slot(part) == slot(before) && part.at_ms < now_ms - per_ms / 16;
            if is_one {
                // Nobody gives of it back.
                *before = Part { number: 0, at_ms: part.at_ms, count: before.count + part.count };
            }
            is_one
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 10;
    const PER_MS: u64 = 2_000;
    const ON_THE_WAY_MS: u64 = 200;

    /// A number below another one: a linear congruential generator (Knuth, MMIX).
    fn below(seed: &mut u64, most: u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % most.max(1)
    }

    fn wanted(wanted: u64, used: Option<(u64, u64)>) -> Wanted {
        let per_ms = i64::try_from(PER_MS + ON_THE_WAY_MS).unwrap();
        Wanted { most: MOST, per_ms, wanted, used }
    }

    /// Two processes that use what they are granted at any time until it ends, or do not.
    #[test]
    fn no_span_of_time_sees_more_than_a_window_allows() {
        for seed in 0..300 {
            let (mut random, mut parts, mut now_ms) = (seed, Parts::default(), 1_000_000);
            let (mut arrivals, mut used) = (Vec::new(), [None; 2]);
            for _ in 0..400 {
                now_ms += below(&mut random, [30, 300, 900][usize::try_from(seed % 3).unwrap()]);
                let process = usize::try_from(below(&mut random, 2)).unwrap();
                let asked = wanted(1 + below(&mut random, 3), used[process]);
                let granted = parts.lease(&asked, i64::try_from(now_ms).unwrap());
                let makes = below(&mut random, granted.granted + 1);
                for _ in 0..makes {
                    let after = below(&mut random, granted.ends_in_ms) + below(&mut random, ON_THE_WAY_MS);
                    arrivals.push(now_ms + after);
                }
                used[process] = Some((granted.number, makes));
            }
            arrivals.sort_unstable();
            for span in arrivals.windows(usize::try_from(MOST).unwrap() + 1) {
                assert!(span[span.len() - 1] - span[0] >= PER_MS, "seed {seed}: {span:?}");
            }
            assert!(parts.parts.len() < 80, "{}", parts.parts.len());
        }
    }

    #[test]
    fn what_was_not_used_is_given_back_once() {
        let mut parts = Parts::default();
        let first = parts.lease(&wanted(6, None), 0);
        assert_eq!((first.granted, first.ends_in_ms), (6, 250));
        assert_eq!(parts.lease(&wanted(6, None), 10).granted, 4);
        let nothing = parts.lease(&wanted(6, None), 20);
        assert_eq!((nothing.granted, nothing.ends_in_ms), (0, 2_430), "until the first part counts no more");
        for _ in 0..2 {
            parts.lease(&wanted(0, Some((first.number, 1))), 300);
        }
        assert_eq!(parts.lease(&wanted(6, None), 310).granted, 5);
    }
}
