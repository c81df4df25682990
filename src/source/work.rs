//! How long a thread has worked. Tests compare it with what is promised: a clock would also count what others do meanwhile.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

pub(crate) fn worked<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = now();
    let made = work();
    (made, now().saturating_sub(before))
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    Duration::from_nanos(nanos.unsigned_abs())
}
