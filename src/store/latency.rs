//! How long something takes, counted by atomics into spans that double.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the spans, in microseconds.
const ENDS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];

#[derive(Debug, Default)]
pub(super) struct Latency {
    spans: [AtomicU64; ENDS.len() + 1],
    sum: AtomicU64,
}

/// What was observed since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// How many took at most so long.
    pub within: Vec<(Duration, u64)>,
    pub count: u64,
    pub sum: Duration,
}

impl Latency {
    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let span = ENDS.iter().position(|end| micros <= *end).unwrap_or(ENDS.len());
        if let Some(span) = self.spans.get(span) {
            span.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Observed {
        let mut count = 0;
        let mut within = Vec::with_capacity(ENDS.len());
        for (index, span) in self.spans.iter().enumerate() {
            count += span.load(Ordering::Relaxed);
            within.extend(ENDS.get(index).map(|end| (Duration::from_micros(*end), count)));
        }
        Observed { within, count, sum: Duration::from_micros(self.sum.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_holds_those_before_it() {
        let latency = Latency::default();
        [100, 250, 251, 99_000_000].iter().for_each(|micros| latency.observe(Duration::from_micros(*micros)));
        let read = latency.read();
        let counts: Vec<u64> = read.within.iter().map(|(_, count)| *count).collect();
        assert_eq!((&counts[..2], counts[13], read.count), (&[2, 3][..], 3, 4));
        assert_eq!(read.sum, Duration::from_micros(99_000_601));
    }
}
