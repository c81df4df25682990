//! What work queues at: a station with one or several servers, first come, first served. Times are whole microseconds.

/// A station. Whoever comes must come in the order of time.
#[derive(Clone, Debug)]
pub struct Station {
    /// When each server is free.
    free: Vec<u64>,
    /// All that it was given to do.
    pub work: u64,
}

impl Station {
    pub fn new(servers: usize) -> Station {
        Station { free: vec![0; servers.max(1)], work: 0 }
    }

    /// Something comes, and is worked at for so long; gives when it is done.
    pub fn serve(&mut self, now: u64, work: u64) -> u64 {
        let first = self.free.iter_mut().min().expect("at least one server");
        *first = (*first).max(now) + work;
        self.work += work;
        *first
    }

    /// The share of its time until `end` in which it has worked, or was given work that it has not begun: above 1 it fell behind.
    pub fn load(&self, end: u64) -> f64 {
        self.work as f64 / (end.max(1) as f64 * self.free.len() as f64)
    }
}

/// A histogram of times: 64 steps for each doubling, so that a quantile is wrong by 2 % at most.
#[derive(Clone, Debug)]
pub struct Times {
    counts: Vec<u64>,
    pub count: u64,
    pub sum: u64,
    pub max: u64,
}

const STEPS: u64 = 64;

impl Default for Times {
    fn default() -> Times {
        Times { counts: vec![0; 64 * STEPS as usize], count: 0, sum: 0, max: 0 }
    }
}

impl Times {
    pub fn add(&mut self, time: u64) {
        self.counts[step_of(time)] += 1;
        (self.count, self.sum, self.max) = (self.count + 1, self.sum + time, self.max.max(time));
    }

    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.count.max(1) as f64
    }

    /// The time below which this share of them lies.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return end_of(step as u64).min(self.max);
            }
        }
        self.max
    }
}

fn step_of(time: u64) -> usize {
    let doublings = u64::from(time.max(1).ilog2());
    let step = match doublings {
        0..6 => time,
        _ => (doublings - 5) * STEPS + (time >> (doublings - 6)) - STEPS,
    };
    usize::try_from(step).expect("fewer than 4,096")
}

fn end_of(step: u64) -> u64 {
    match step / STEPS {
        0 => step,
        block => ((step % STEPS + STEPS + 1) << (block - 1)) - 1,
    }
}
