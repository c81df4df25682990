//! The five fields of a schedule, as POSIX `crontab` writes them, and the wall-clock minutes that they name.
//!
//! The matching is done by the `cron` crate, which speaks Quartz: six fields, weekdays 1 to 7 from Sunday, both kinds of
//! day at once. So every field is written out in full, and a pattern with both kinds of day becomes two schedules: by
//! POSIX, either day will do.

use std::collections::BTreeSet;
use std::str::FromStr;

use chrono::NaiveDateTime;

/// A field: what it is called, its numbers, and their names if it has any.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field {
        name: "month",
        least: 1,
        most: 12,
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    // 7 is Sunday too.
    Field { name: "weekday", least: 0, most: 7, names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] },
];

/// A compiled pattern of wall-clock minutes; it knows no zone.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// One, or two of which either will do.
    schedules: Vec<cron::Schedule>,
    /// `*` or `*/n` as minute or hour: it means "every so often", not "at this time".
    pub is_interval: bool,
}

impl Pattern {
    /// # Errors
    /// One sentence for the author.
    pub fn read(text: &str) -> Result<Pattern, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [nickname] = words.as_slice()
            && nickname.starts_with('@')
        {
            return Err(format!(
                "`{nickname}` is not understood; write five fields, such as `0 0 * * *` for every midnight"
            ));
        }
        let [minute, hour, day, _, weekday] = words.as_slice() else {
            return Err(format!(
                "a schedule has five fields (minute hour day month weekday), `{text}` has {}",
                words.len()
            ));
        };
        let mut written = Vec::new();
        for (field, word) in FIELDS.iter().zip(&words) {
            written.push(field.write_out(word)?);
        }
        let [minutes, hours, days, months, weekdays] = written.as_slice() else { return Err(unexpected(text)) };
        let compile = |days: &str, weekdays: &str| {
            cron::Schedule::from_str(&format!("0 {minutes} {hours} {days} {months} {weekdays}"))
                .map_err(|_| unexpected(text))
        };
        let schedules = if *day == "*" || *weekday == "*" {
            vec![compile(days, weekdays)?]
        } else {
            vec![compile(days, "*")?, compile("*", weekdays)?]
        };
        Ok(Pattern { schedules, is_interval: [minute, hour].iter().any(|word| word.starts_with('*')) })
    }

    /// The first matching minute strictly after a wall-clock time.
    pub fn after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let wall = wall.and_utc();
        self.schedules.iter().filter_map(|schedule| schedule.after(&wall).next()).min().map(|next| next.naive_utc())
    }
}

fn unexpected(text: &str) -> String {
    format!("the schedule `{text}` cannot be read")
}

impl Field {
    /// All its numbers, as the `cron` crate wants them.
    fn write_out(&self, word: &str) -> Result<String, String> {
        if word == "*" {
            return Ok("*".to_owned());
        }
        let mut numbers = BTreeSet::new();
        for part in word.split(',') {
            numbers.extend(self.part(part)?);
        }
        if self.names.len() == 7 {
            numbers = numbers.into_iter().map(|weekday| weekday % 7 + 1).collect();
        }
        Ok(numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(","))
    }

    /// `*/n`, `a`, `a-b`, `a-b/n`.
    fn part(&self, part: &str) -> Result<Vec<u32>, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let step = match step {
            None => 1,
            Some(digits) => number(digits)
                .filter(|step| (1..=self.most).contains(step))
                .ok_or_else(|| self.wrong(part, &format!("the step is a number from 1 to {}", self.most)))?,
        };
        let (from, to) = match range.split_once('-') {
            None if range == "*" => (self.least, self.most - u32::from(self.names.len() == 7)),
            None if part.contains('/') => {
                return Err(self.wrong(part, "a step needs a range: write `*/5` or `10-50/5`"));
            }
            None => (self.value(part, range)?, self.value(part, range)?),
            Some((from, to)) => (self.value(part, from)?, self.value(part, to)?),
        };
        if from > to {
            return Err(self.wrong(part, "the range goes backwards: write it as two, such as `22-23,0-5`"));
        }
        Ok((from..=to).step_by(step as usize).collect())
    }

    fn value(&self, part: &str, word: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(word));
        if let Some(index) = named.and_then(|index| u32::try_from(index).ok()) {
            // Months count from 1, weekdays from 0.
            return Ok(index + self.least);
        }
        if part.contains(['?', '#']) || word.to_ascii_uppercase().contains(['L', 'W']) {
            return Err(self.wrong(
                part,
                "`L`, `W`, `#` and `?` are not understood; schedule more often and test the date in `only_if`",
            ));
        }
        number(word)
            .filter(|value| (self.least..=self.most).contains(value))
            .ok_or_else(|| self.wrong(part, &self.takes()))
    }

    fn takes(&self) -> String {
        let names = match (self.names.first(), self.names.last()) {
            (Some(first), Some(last)) => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        format!("it takes numbers from {} to {}{names}", self.least, self.most)
    }

    fn wrong(&self, part: &str, why: &str) -> String {
        format!("the {} `{part}` cannot be read: {why}", self.name)
    }
}

fn number(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
