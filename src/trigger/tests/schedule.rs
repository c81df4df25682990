//! Firings across daylight saving, told in local time; and a comparison with another implementation.

use chrono::{DateTime, Datelike, LocalResult, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;

use super::super::{Missed, Schedule};

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn firings(text: &str, zone: Tz, start: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::compile(text, zone).unwrap();
    std::iter::successors(schedule.after(at(start)), |firing| schedule.after(*firing))
        .take(count)
        .map(|firing| firing.with_timezone(&zone).format("%a %d %H:%M%:z").to_string())
        .collect()
}

#[test]
fn a_schedule_fires_as_people_expect() {
    let table: &[(&str, &str, Tz, &str, &[&str])] = &[
        (
            "numbers of weekdays",
            "0 7 * * 1-5",
            Tz::UTC,
            "2026-11-27T08:00:00Z",
            &["Mon 30 07:00+00:00", "Tue 01 07:00+00:00"],
        ),
        (
            "Sunday is 0 and 7",
            "0 7 * * 7",
            Tz::UTC,
            "2026-11-24T00:00:00Z",
            &["Sun 29 07:00+00:00", "Sun 06 07:00+00:00"],
        ),
        (
            "names, lists, steps",
            "10-40/15 9,17 * nov-DEC tue,SAT",
            Tz::UTC,
            "2026-11-24T09:20:00Z",
            &["Tue 24 09:25+00:00", "Tue 24 09:40+00:00", "Tue 24 17:10+00:00"],
        ),
        (
            "either day will do",
            "0 0 13 * 5",
            Tz::UTC,
            "2026-12-05T00:00:00Z",
            &["Fri 11 00:00+00:00", "Sun 13 00:00+00:00", "Fri 18 00:00+00:00"],
        ),
        ("strictly after", "* * * * *", Tz::UTC, "2026-11-24T09:20:00Z", &["Tue 24 09:21+00:00"]),
        ("a leap day", "0 0 29 2 *", Tz::UTC, "2026-11-24T00:00:00Z", &["Tue 29 00:00+00:00"]),
        // London: 2026-03-29 01:00 becomes 02:00; 2026-10-25 02:00 becomes 01:00.
        (
            "spring, at a time that is skipped",
            "30 1 * * *",
            Tz::Europe__London,
            "2026-03-28T00:00:00Z",
            &["Sat 28 01:30+00:00", "Sun 29 02:00+01:00", "Mon 30 01:30+01:00"],
        ),
        (
            "spring, two times that are skipped fire once",
            "10,50 1 * * *",
            Tz::Europe__London,
            "2026-03-28T02:00:00Z",
            &["Sun 29 02:00+01:00", "Mon 30 01:10+01:00"],
        ),
        (
            "spring, every half hour",
            "*/30 * * * *",
            Tz::Europe__London,
            "2026-03-29T00:00:00Z",
            &["Sun 29 00:30+00:00", "Sun 29 02:00+01:00", "Sun 29 02:30+01:00"],
        ),
        (
            "autumn, at a time that comes twice",
            "30 1 * * *",
            Tz::Europe__London,
            "2026-10-24T12:00:00Z",
            &["Sun 25 01:30+01:00", "Mon 26 01:30+00:00"],
        ),
        (
            "autumn, every half hour",
            "*/30 * * * *",
            Tz::Europe__London,
            "2026-10-24T23:30:00Z",
            &[
                "Sun 25 01:00+01:00",
                "Sun 25 01:30+01:00",
                "Sun 25 01:00+00:00",
                "Sun 25 01:30+00:00",
                "Sun 25 02:00+00:00",
            ],
        ),
        (
            "autumn, hours as a range are times of day",
            "0 0-2 * * *",
            Tz::Europe__London,
            "2026-10-24T12:00:00Z",
            &["Sun 25 00:00+01:00", "Sun 25 01:00+01:00", "Sun 25 02:00+00:00", "Mon 26 00:00+00:00"],
        ),
        // Lord Howe moves by half an hour: 2026-04-05 02:00 becomes 01:30; 2026-10-04 02:00 becomes 02:30.
        (
            "half an hour back",
            "45 * * * *",
            Tz::Australia__Lord_Howe,
            "2026-04-04T14:00:00Z",
            &["Sun 05 01:45+11:00", "Sun 05 01:45+10:30", "Sun 05 02:45+10:30"],
        ),
        (
            "half an hour ahead",
            "15 2 * * *",
            Tz::Australia__Lord_Howe,
            "2026-10-03T00:00:00Z",
            &["Sun 04 02:30+11:00", "Mon 05 02:15+11:00"],
        ),
        // Samoa left out the 30th of December 2011.
        (
            "a day that is skipped",
            "0 9 * * *",
            Tz::Pacific__Apia,
            "2011-12-29T00:00:00Z",
            &["Thu 29 09:00-10:00", "Sat 31 00:00+14:00", "Sat 31 09:00+14:00"],
        ),
    ];
    for (what, text, zone, start, expected) in table {
        assert_eq!(firings(text, *zone, start, expected.len()), *expected, "{what}: {text}");
    }
}

#[test]
fn a_day_that_never_comes_never_fires() {
    let schedule = Schedule::compile("0 0 31 2 *", Tz::Europe__London).unwrap();
    assert_eq!(schedule.after(at("2026-11-24T00:00:00Z")), None);
    assert!(schedule.due(at("2020-01-01T00:00:00Z"), at("2026-11-24T00:00:00Z"), Missed::RunAll).is_empty());
}

#[test]
fn a_schedule_that_cannot_be_read_says_why() {
    let table = [
        ("", "five fields"),
        ("0 0 * *", "has 4"),
        ("0 0 0 * * *", "has 6"),
        ("@daily", "`@daily` is not understood; write five fields"),
        ("60 * * * *", "the minute `60` cannot be read: it takes numbers from 0 to 59"),
        ("* 24 * * *", "the hour `24`"),
        ("* * 0 * *", "the day of the month `0` cannot be read: it takes numbers from 1 to 31"),
        ("* * * 13 *", "the month `13` cannot be read: it takes numbers from 1 to 12, or JAN to DEC"),
        ("* * * * 8", "the weekday `8` cannot be read: it takes numbers from 0 to 7, or SUN to SAT"),
        ("* * * * monday", "the weekday `monday`"),
        ("* * * mon *", "the month `mon`"),
        ("*/0 * * * *", "the step is a number from 1 to 59"),
        ("*/60 * * * *", "the step is a number from 1 to 59"),
        ("5/15 * * * *", "a step needs a range"),
        ("* 22-5 * * *", "the range goes backwards"),
        ("* * * * fri-mon", "the range goes backwards"),
        ("1,,2 * * * *", "the minute ``"),
        ("1- * * * *", "the minute `1-`"),
        ("+1 * * * *", "the minute `+1`"),
        ("* * L * *", "`L`, `W`, `#` and `?` are not understood"),
        ("* * 15W * *", "are not understood"),
        ("* * * * 5L", "are not understood"),
        ("* * * * 5#2", "are not understood"),
        ("* * ? * *", "are not understood"),
    ];
    for (text, why) in table {
        let told = Schedule::compile(text, Tz::UTC).unwrap_err();
        assert!(told.contains(why), "{text}: {told}");
    }
}

#[test]
fn what_is_due_depends_on_the_policy() {
    let table: &[(&str, &str, &str, Missed, &[&str])] = &[
        ("0 7 * * *", "2026-11-20T07:00:00Z", "2026-11-23T12:00:00Z", Missed::RunOnce, &["2026-11-23T07:00:00Z"]),
        ("0 7 * * *", "2026-11-20T07:00:00Z", "2026-11-23T12:00:00Z", Missed::Skip, &[]),
        (
            "0 7 * * *",
            "2026-11-21T07:00:00Z",
            "2026-11-23T12:00:00Z",
            Missed::RunAll,
            &["2026-11-22T07:00:00Z", "2026-11-23T07:00:00Z"],
        ),
        ("0 7 * * *", "2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z", Missed::Skip, &["2026-11-23T07:00:00Z"]),
        ("0 7 * * *", "2026-11-20T07:00:00Z", "2026-11-23T07:00:59Z", Missed::Skip, &["2026-11-23T07:00:00Z"]),
        ("0 7 * * *", "2026-11-23T07:00:00Z", "2026-11-23T07:00:01Z", Missed::RunOnce, &[]),
        ("* * * * *", "2016-11-23T07:00:00Z", "2026-11-23T07:00:01Z", Missed::RunOnce, &["2026-11-23T07:00:00Z"]),
        ("0 7 1 1 *", "2016-11-23T07:00:00Z", "2026-11-23T07:00:01Z", Missed::RunOnce, &["2026-01-01T07:00:00Z"]),
        ("0 7 29 2 *", "2022-11-23T07:00:00Z", "2027-11-23T07:00:01Z", Missed::RunOnce, &["2024-02-29T07:00:00Z"]),
        ("0 7 * * *", "2026-11-24T07:00:00Z", "2026-11-23T12:00:00Z", Missed::RunAll, &[]),
    ];
    for (text, last, now, missed, expected) in table {
        let due = Schedule::compile(text, Tz::UTC).unwrap().due(at(last), at(now), *missed);
        let expected: Vec<_> = expected.iter().map(|text| at(text)).collect();
        assert_eq!(due, expected, "{text} from {last} to {now} {missed:?}");
    }
    let minutes = Schedule::compile("* * * * *", Tz::UTC).unwrap();
    let due = minutes.due(at("2026-11-20T00:00:00Z"), at("2026-11-23T00:00:00Z"), Missed::RunAll);
    assert_eq!((due.len(), due[0]), (1_000, at("2026-11-20T00:01:00Z")));
}

/// Numbers from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.throw(most - least + 1)
    }

    fn field(&mut self, least: u64, most: u64) -> String {
        match self.throw(8) {
            0 | 1 => "*".to_owned(),
            2 => format!("*/{}", self.between(1, most)),
            3 => {
                let from = self.between(least, most);
                format!("{from}-{}", self.between(from, most))
            }
            4 => {
                let from = self.between(least, most);
                format!("{from}-{}/{}", self.between(from, most), self.between(1, 7))
            }
            5 => format!("{},{}", self.between(least, most), self.between(least, most)),
            _ => self.between(least, most).to_string(),
        }
    }

    /// Hours are mostly those at which clocks are moved.
    fn pattern(&mut self) -> String {
        let hour = if self.throw(2) == 0 { self.field(0, 3) } else { self.field(0, 23) };
        let days = [self.field(1, 28), self.field(1, 12), self.field(0, 7)];
        // Most patterns fire near the transition, whatever the day.
        let [day, month, weekday] = if self.throw(4) > 0 { ["*".into(), "*".into(), days[2].clone()] } else { days };
        format!("{} {hour} {day} {month} {weekday}", self.field(0, 59))
    }
}

/// A zone, and instants shortly before its clock is moved.
const TRANSITIONS: [(Tz, [&str; 2]); 5] = [
    (Tz::Europe__London, ["2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z"]),
    (Tz::America__New_York, ["2026-03-08T04:00:00Z", "2026-11-01T03:00:00Z"]),
    (Tz::Australia__Lord_Howe, ["2026-04-04T12:00:00Z", "2026-10-03T12:00:00Z"]),
    (Tz::America__Santiago, ["2026-04-05T00:00:00Z", "2026-09-06T01:00:00Z"]),
    (Tz::Asia__Kolkata, ["2026-03-28T22:00:00Z", "2026-10-24T22:00:00Z"]),
];

const SEED: u64 = 20_261_124;

fn croner(text: &str) -> Cron {
    CronParser::new().parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The policy, said again in the plainest way: minute by minute over real time, each asked by croner as if there were no
/// zones.
fn plain_firings(text: &str, zone: Tz, start: DateTime<Utc>, minutes: i64) -> Vec<DateTime<Utc>> {
    let pattern = croner(text);
    let matches = |wall: chrono::NaiveDateTime| pattern.is_time_matching(&wall.and_utc()).unwrap();
    let is_interval = text.split(' ').take(2).any(|field| field.starts_with('*'));
    let mut found = Vec::new();
    for minute in 1..=minutes {
        let instant = start + TimeDelta::minutes(minute);
        let wall = instant.with_timezone(&zone).naive_local();
        let before = (instant - TimeDelta::minutes(1)).with_timezone(&zone).naive_local();
        let skipped = (1..(wall - before).num_minutes()).map(|more| before + TimeDelta::minutes(more));
        let is_second_pass = match zone.from_local_datetime(&wall) {
            LocalResult::Ambiguous(first, _) => first != instant,
            _ => false,
        };
        let fires = match is_interval {
            true => matches(wall),
            false => (matches(wall) && !is_second_pass) || skipped.into_iter().any(matches),
        };
        if fires {
            found.push(instant);
        }
    }
    found
}

#[test]
fn firings_near_transitions_follow_the_policy() {
    let mut dice = Dice(SEED);
    for _ in 0..200 {
        let text = dice.pattern();
        for (zone, starts) in TRANSITIONS {
            let start = at(starts[dice.throw(2) as usize]);
            let expected = plain_firings(&text, zone, start, 24 * 60);
            let schedule = Schedule::compile(&text, zone).unwrap();
            let end = start + TimeDelta::days(1);
            let found: Vec<_> = std::iter::successors(schedule.after(start), |firing| schedule.after(*firing))
                .take_while(|firing| *firing <= end)
                .collect();
            assert_eq!(found, expected, "seed {SEED}: {text} in {zone} from {start}");
        }
    }
}

#[test]
fn firings_equal_those_of_croner_but_for_the_policy() {
    let mut dice = Dice(SEED + 1);
    let (mut compared, mut by_policy) = (0, 0);
    for _ in 0..400 {
        let text = dice.pattern();
        for (zone, starts) in TRANSITIONS {
            let start = at(starts[dice.throw(2) as usize]);
            let schedule = Schedule::compile(&text, zone).unwrap();
            let ours: Vec<_> =
                std::iter::successors(schedule.after(start), |firing| schedule.after(*firing)).take(12).collect();
            let theirs: Vec<_> =
                croner(&text).iter_after(start.with_timezone(&zone)).take(12).map(|firing| firing.to_utc()).collect();
            compared += 1;
            assert!(ours.is_sorted_by(|one, next| one < next), "seed {SEED}: {text} in {zone}: {ours:?}");
            if ours == theirs {
                continue;
            }
            by_policy += 1;
            // Where they differ first, the clock is moved within three hours.
            let first = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
            let Some((one, other)) = first else { panic!("seed {SEED}: {text} in {zone}: {ours:?} but {theirs:?}") };
            let early = *one.min(other);
            let offset = |instant: DateTime<Utc>| instant.with_timezone(&zone).offset().to_string();
            let moved = offset(early - TimeDelta::hours(3)) != offset(early + TimeDelta::hours(3));
            assert!(
                moved,
                "seed {SEED}: {text} in {zone} on {}-{} {}h: {ours:?} but {theirs:?}",
                early.month(),
                early.day(),
                early.hour()
            );
        }
    }
    assert!(by_policy * 10 < compared, "seed {SEED}: {by_policy} of {compared} differ");
}
