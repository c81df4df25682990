//! What happens when: a wheel of milliseconds, each sorted when its time has come. Of two at the same microsecond the one that
//! was put down first is first, so that a seed always gives the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Buckets of the wheel, of a millisecond each: what is later waits in a heap.
const BUCKETS: u64 = 16_384;
const BUCKET: u64 = 1_000;

type Entry<T> = Reverse<(u64, u64, T)>;

pub struct Agenda<T> {
    wheel: Vec<Vec<(u64, u64, T)>>,
    /// Which bucket is worked at.
    at: u64,
    now: BinaryHeap<Entry<T>>,
    later: BinaryHeap<Entry<T>>,
    in_wheel: usize,
    count: u64,
}

impl<T: Copy + Ord> Agenda<T> {
    pub fn new() -> Agenda<T> {
        let wheel = (0..BUCKETS).map(|_| Vec::new()).collect();
        Agenda { wheel, at: 0, now: BinaryHeap::new(), later: BinaryHeap::new(), in_wheel: 0, count: 0 }
    }

    /// Puts down what happens then; it is not before what was taken last.
    pub fn put(&mut self, time: u64, what: T) {
        self.count += 1;
        let bucket = time / BUCKET;
        match bucket.saturating_sub(self.at) {
            0 => self.now.push(Reverse((time, self.count, what))),
            1..BUCKETS => {
                self.wheel[(bucket % BUCKETS) as usize].push((time, self.count, what));
                self.in_wheel += 1;
            }
            _ => self.later.push(Reverse((time, self.count, what))),
        }
    }

    /// The next one, if there is one before `end`.
    pub fn take(&mut self, end: u64) -> Option<(u64, T)> {
        while self.now.is_empty() {
            if self.in_wheel == 0 {
                let Reverse((time, ..)) = self.later.peek()?;
                self.at = self.at.max((time / BUCKET).saturating_sub(1));
            }
            if self.at * BUCKET > end {
                return None;
            }
            self.at += 1;
            let bucket = &mut self.wheel[(self.at % BUCKETS) as usize];
            self.in_wheel -= bucket.len();
            self.now.extend(bucket.drain(..).map(Reverse));
            while let Some(Reverse(first)) = self.later.peek().filter(|later| later.0.0 / BUCKET <= self.at) {
                self.now.push(Reverse(*first));
                self.later.pop();
            }
        }
        let Reverse((time, _, what)) = *self.now.peek()?;
        if time >= end {
            return None;
        }
        self.now.pop();
        Some((time, what))
    }
}
