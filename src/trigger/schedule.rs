//! Schedules: five-field cron in a time zone, right for people across daylight saving.
//!
//! A schedule with `*` or `*/n` as minute or hour means "every so often": it fires at each real instant whose wall clock
//! matches, so both times that an hour passes in autumn, and never at a wall-clock time that does not exist.
//! Any other means "at this time of day": it fires once, in autumn the first time; and if the clock skips its time in
//! spring, at the moment when the clock is moved.

use chrono::{DateTime, Days, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};

use super::pattern::Pattern;

/// What to do about firings that passed while the program was down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// The latest of them fires now, for all.
    #[default]
    RunOnce,
    /// None of them fires.
    Skip,
    /// Each fires, oldest first.
    RunAll,
}

/// A compiled schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    pattern: Pattern,
    timezone: Tz,
}

/// At most so many firings are due at once.
pub const DUE_MAX: usize = 1_000;
/// A firing is missed if it lies back further than this.
const LATE_MAX: TimeDelta = TimeDelta::seconds(60);

impl Schedule {
    /// # Errors
    /// One sentence for the author: which field is wrong and what it may say.
    pub fn compile(text: &str, timezone: Tz) -> Result<Schedule, String> {
        Ok(Schedule { pattern: Pattern::read(text)?, timezone })
    }

    /// The first firing strictly after an instant; None if there is none (a 31st of February).
    pub fn after(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.pattern.is_interval { self.next_real(instant) } else { self.next_once(instant) }
    }

    /// The firings in `(last, now]` that are due under a policy, oldest first, at most 1,000.
    ///
    /// Under `RunAll` the oldest: with the last one as `last` the next call goes on from there.
    pub fn due(&self, last: DateTime<Utc>, now: DateTime<Utc>, missed: Missed) -> Vec<DateTime<Utc>> {
        match missed {
            Missed::RunAll => self.between(last, now).take(DUE_MAX).collect(),
            Missed::RunOnce => self.latest(last, now).into_iter().collect(),
            Missed::Skip => self.between(last.max(now - LATE_MAX), now).last().into_iter().collect(),
        }
    }

    fn between(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.after(last), |firing| self.after(*firing)).take_while(move |firing| *firing <= now)
    }

    /// Looks back step by step: years of minutes must not be walked through to find the last one.
    fn latest(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        for back in [TimeDelta::hours(2), TimeDelta::days(2), TimeDelta::days(62), TimeDelta::days(800)] {
            let start = now - back;
            if start <= last {
                break;
            }
            if let Some(firing) = self.between(start, now).last() {
                return Some(firing);
            }
        }
        self.between(last, now).last()
    }

    fn wall(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.with_timezone(&self.timezone).naive_local()
    }

    /// "At this time of day". Where each wall-clock time goes never runs backwards, so the first that lies ahead is next.
    fn next_once(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = self.wall(instant);
        loop {
            wall = self.pattern.after(wall)?;
            let firing = match self.timezone.from_local_datetime(&wall) {
                LocalResult::Single(firing) | LocalResult::Ambiguous(firing, _) => firing,
                LocalResult::None => GapInfo::new(&wall, &self.timezone)?.end?,
            };
            if firing > instant {
                return Some(firing.with_timezone(&Utc));
            }
        }
    }

    /// "Every so often". Between two transitions the wall clock runs evenly; behind one it is looked at anew.
    fn next_real(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut from = instant;
        let mut wall = self.wall(from);
        loop {
            let next = self.pattern.after(wall)?;
            let candidate = from + (next - self.wall(from));
            match self.transition(from, candidate) {
                None => return Some(candidate),
                Some(transition) => {
                    from = transition;
                    // The first minute behind the transition counts too.
                    wall = self.wall(from) - TimeDelta::seconds(1);
                }
            }
        }
    }

    /// The first instant in `(from, to]` from which the clock has another offset than at `from`.
    fn transition(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = |instant: DateTime<Utc>| self.timezone.offset_from_utc_datetime(&instant.naive_utc()).fix();
        let here = offset(from);
        // No zone moves its clock there and back within a day.
        let mut day = from;
        let mut same = from;
        while day < to {
            day = day.checked_add_days(Days::new(1))?.min(to);
            if offset(day) == here {
                same = day;
                continue;
            }
            let mut moved = day;
            while moved - same > TimeDelta::seconds(1) {
                let middle = same + (moved - same) / 2;
                if offset(middle) == here { same = middle } else { moved = middle }
            }
            // Transitions are whole seconds.
            return DateTime::from_timestamp(moved.timestamp(), 0)
                .filter(|exact| offset(*exact) != here)
                .or(Some(moved));
        }
        None
    }
}
