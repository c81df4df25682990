//! Schedules at every transition that the database of time zones knows of 2024 to 2030, beside a walk over every minute.
//!
//! The walk knows nothing of `cron` texts: it is given the numbers that each field names. Of a zone it asks only how far
//! its clock is from UTC at an instant. The promise is that of `schedule.rs`: "every so often" follows real time, "at
//! this time of day" happens once, in autumn the first time, and at the moment of the transition if it is skipped.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::super::{DUE_MAX, Missed, Schedule};

/// Years whose transitions are looked at.
const YEARS: std::ops::Range<i32> = 2024..2031;
/// How far around a transition firings are compared.
const AROUND: TimeDelta = TimeDelta::hours(36);

/// The clock of a zone is moved.
struct Transition {
    zone: Tz,
    at: DateTime<Utc>,
    before: TimeDelta,
    after: TimeDelta,
}

/// How far the clock of a zone is ahead of UTC.
fn ahead(zone: Tz, instant: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc().into())
}

/// One for each local day, and way, in which a clock is moved: zones that do the same are the same.
fn transitions() -> Vec<Transition> {
    let first = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc();
    let mut found = BTreeMap::new();
    for zone in TZ_VARIANTS {
        let mut from = first(YEARS.start);
        while from < first(YEARS.end) {
            let to = from + TimeDelta::days(5);
            let (before, after) = (ahead(zone, from), ahead(zone, to));
            if before != after {
                let (mut same, mut moved) = (from, to);
                while moved - same > TimeDelta::minutes(1) {
                    let middle = same + TimeDelta::minutes((moved - same).num_minutes() / 2);
                    if ahead(zone, middle) == before { same = middle } else { moved = middle }
                }
                let key = (before, after, (moved + before).naive_utc());
                found.entry(key).or_insert(Transition { zone, at: moved, before, after });
            }
            from = to;
        }
    }
    found.into_values().collect()
}

/// A schedule, as a text and as the numbers that the text means.
struct Meant {
    text: String,
    /// "Every so often", else "at this time of day".
    often: bool,
    minutes: Vec<u32>,
    hours: Vec<u32>,
    /// None: any.
    days: Option<Vec<u32>>,
    /// From Sunday, 0. If days are given too, either will do.
    weekdays: Option<Vec<u32>>,
}

impl Meant {
    fn new(
        text: &str,
        often: bool,
        minutes: impl IntoIterator<Item = u32>,
        hours: impl IntoIterator<Item = u32>,
    ) -> Self {
        let (minutes, hours) = (minutes.into_iter().collect(), hours.into_iter().collect());
        Meant { text: text.to_owned(), often, minutes, hours, days: None, weekdays: None }
    }

    fn on_days(self, days: &[u32]) -> Self {
        Meant { days: Some(days.to_vec()), ..self }
    }

    fn on_weekdays(self, weekdays: &[u32]) -> Self {
        Meant { weekdays: Some(weekdays.to_vec()), ..self }
    }

    fn names(&self, wall: NaiveDateTime) -> bool {
        let day = self.days.as_ref().map(|days| days.contains(&wall.day()));
        let weekday = self.weekdays.as_ref().map(|days| days.contains(&wall.weekday().num_days_from_sunday()));
        let today = match (day, weekday) {
            (Some(day), Some(weekday)) => day || weekday,
            (one, other) => one.or(other).unwrap_or(true),
        };
        today && self.minutes.contains(&wall.minute()) && self.hours.contains(&wall.hour())
    }
}

/// Schedules that know nothing of the transition, and such as name the times that it skips, repeats or touches.
fn schedules(transition: &Transition) -> Vec<Meant> {
    let every = |step| (0..24).step_by(step);
    let mut all = vec![
        Meant::new("0 * * * *", true, [0], every(1)),
        Meant::new("*/30 * * * *", true, [0, 30], every(1)),
        Meant::new("15 */2 * * *", true, [15], every(2)),
        Meant::new("*/25 2 * * *", true, [0, 25, 50], [2]),
        Meant::new("0,30 0-23 * * *", false, [0, 30], every(1)),
        Meant::new("30 2 * * *", false, [30], [2]),
        Meant::new("0 0 * * *", false, [0], [0]),
        Meant::new("0 9 * * 1", false, [0], [9]).on_weekdays(&[1]),
        Meant::new("45 0-3 * * 0", false, [45], 0..4).on_weekdays(&[0]),
        Meant::new("0 0 1 * *", false, [0], [0]).on_days(&[1]),
        Meant::new("30 1,2 1,15 * fri,SUN", false, [30], [1, 2]).on_days(&[1, 15]).on_weekdays(&[0, 5]),
    ];
    let (left, entered) = (transition.at + transition.before, transition.at + transition.after);
    let (early, late) = (left.min(entered), left.max(entered));
    let minute = TimeDelta::minutes(1);
    for wall in [early - minute, early, early + (late - early) / 2, late - minute, late] {
        let (minute, hour, day) = (wall.minute(), wall.hour(), wall.day());
        let month = wall.month();
        all.push(Meant::new(&format!("{minute} {hour} * * *"), false, [minute], [hour]));
        let text = format!("{minute} {hour} {day} {month} *");
        let near = Meant::new(&text, false, [minute], [hour]).on_days(&[day]);
        all.push(near);
        all.push(Meant::new(&format!("{minute} * {day} * *"), true, [minute], every(1)).on_days(&[day]));
    }
    all
}

/// A minute of real time.
struct Minute {
    at: DateTime<Utc>,
    /// What the clock shows.
    wall: NaiveDateTime,
    /// It has shown that before.
    again: bool,
    /// What it would have shown between the minute before and this one, had it not been moved.
    skipped: Vec<NaiveDateTime>,
}

/// Each minute in `(from, to]`.
fn minutes(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Minute> {
    let step = TimeDelta::minutes(1);
    // What was shown before begins a day earlier, which is as far as a clock is moved.
    let mut at = from - TimeDelta::days(1);
    let mut last = (at + ahead(zone, at)).naive_utc();
    let mut shown = HashSet::from([last]);
    let mut all = Vec::new();
    while at < to {
        at += step;
        let wall = (at + ahead(zone, at)).naive_utc();
        let skipped = std::iter::successors(Some(last + step), |skipped| Some(*skipped + step));
        let skipped = skipped.take_while(|skipped| *skipped < wall).collect();
        let again = !shown.insert(wall);
        last = wall;
        if at > from {
            all.push(Minute { at, wall, again, skipped });
        }
    }
    all
}

fn expected(meant: &Meant, minutes: &[Minute]) -> Vec<DateTime<Utc>> {
    let fires = |minute: &&Minute| match meant.often {
        true => meant.names(minute.wall),
        false => {
            meant.names(minute.wall) && !minute.again || minute.skipped.iter().any(|skipped| meant.names(*skipped))
        }
    };
    minutes.iter().filter(fires).map(|minute| minute.at).collect()
}

fn firings(schedule: &Schedule, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let next = |from| schedule.after(from).filter(|firing| *firing <= to);
    std::iter::successors(next(from), |firing| next(*firing)).collect()
}

/// What a test is about, for its message.
fn told(transition: &Transition, text: &str) -> String {
    let Transition { zone, at, before, after } = transition;
    let hours = |ahead: &TimeDelta| ahead.num_minutes() as f64 / 60.0;
    format!("`{text}` in {zone}, whose clock goes from {} to {} at {at}", hours(before), hours(after))
}

#[test]
fn every_transition_of_the_database_is_kept_to() {
    let transitions = transitions();
    assert!(transitions.len() > 100, "transitions are gone: there are {}", transitions.len());
    for transition in &transitions {
        let (from, to) = (transition.at - AROUND, transition.at + AROUND);
        let minutes = minutes(transition.zone, from, to);
        for meant in schedules(transition) {
            let schedule = Schedule::compile(&meant.text, transition.zone).unwrap();
            let expected = expected(&meant, &minutes);
            let told = told(transition, &meant.text);
            assert_eq!(firings(&schedule, from, to), expected, "{told}");
            starts_anywhere(&schedule, transition.at, &expected, &told);
            policies_agree(&schedule, transition.at, &expected, &told);
        }
    }
}

/// The next firing is the same wherever one starts to look, also amid what is skipped and repeated, and amid a minute.
fn starts_anywhere(schedule: &Schedule, moved: DateTime<Utc>, expected: &[DateTime<Utc>], told: &str) {
    for (quarter, seconds) in (-9..10).zip([-1, 0, 29].into_iter().cycle()) {
        let start = moved + TimeDelta::minutes(15 * quarter) + TimeDelta::seconds(seconds);
        if let Some(next) = expected.iter().find(|firing| **firing > start) {
            assert_eq!(schedule.after(start), Some(*next), "{told}, after {start}");
        }
    }
}

/// What was missed while the program was down over the transition.
fn policies_agree(schedule: &Schedule, moved: DateTime<Utc>, expected: &[DateTime<Utc>], told: &str) {
    for (down, up) in [(-30, 30), (-1, 0), (-1, 1), (0, 2)] {
        let (last, now) = (moved + TimeDelta::hours(down), moved + TimeDelta::hours(up));
        let all: Vec<_> = expected.iter().copied().filter(|firing| *firing > last && *firing <= now).collect();
        assert!(all.len() < DUE_MAX);
        assert_eq!(schedule.due(last, now, Missed::RunAll), all, "{told}: all from {last} to {now}");
        let latest: Vec<_> = all.last().copied().into_iter().collect();
        assert_eq!(schedule.due(last, now, Missed::RunOnce), latest, "{told}: the latest from {last} to {now}");
        let fresh: Vec<_> = latest.into_iter().filter(|firing| now - *firing < TimeDelta::minutes(1)).collect();
        assert_eq!(schedule.due(last, now, Missed::Skip), fresh, "{told}: none from {last} to {now}");
    }
}

#[test]
fn a_leap_over_a_transition_lands_on_the_first_of_the_month() {
    for transition in transitions() {
        let local = (transition.at + transition.before).date_naive();
        let first = local.with_day(1).unwrap() + Months::new(1);
        let (from, to) = (first - Days::new(1), first + Days::new(2));
        let [from, to] = [from, to].map(|day| day.and_hms_opt(0, 0, 0).unwrap().and_utc() - transition.after);
        let minutes = minutes(transition.zone, from, to);
        let often = Meant::new("*/20 0 1 * *", true, [0, 20, 40], [0]).on_days(&[1]);
        let once = Meant::new("40 23 1 * *", false, [40], [23]).on_days(&[1]);
        for meant in [often, once] {
            let schedule = Schedule::compile(&meant.text, transition.zone).unwrap();
            // Nothing on another day can be due before.
            let start = transition.at - TimeDelta::hours(1);
            if local.day() > 2 {
                assert_eq!(
                    firings(&schedule, start, to),
                    expected(&meant, &minutes),
                    "{}",
                    told(&transition, &meant.text)
                );
            }
        }
    }
}
