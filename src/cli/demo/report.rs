//! How the story ended: what is where, how often, and whether that is right.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Stage;
use super::play::Made;
use super::story::{Expected, Story};
use crate::cli::say;
use crate::store::Counts;

/// The demo's report, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Every expected record is there exactly once, and nothing else; no run failed.
    pub ok: bool,
    /// Events accepted, and deliveries that were recognised as known.
    pub events: u64,
    pub events_again: u64,
    /// Runs by outcome.
    pub runs: BTreeMap<&'static str, u64>,
    /// Records by vendor and object.
    pub records: BTreeMap<String, BTreeMap<String, usize>>,
    /// Writes that the engine made, by vendor.
    pub writes: BTreeMap<String, u64>,
    /// Records that share an e-mail address or phone number with another.
    pub duplicates: usize,
    /// From the start of the program to its end.
    pub milliseconds: u64,
    /// What is not as expected, in words.
    pub wrong: Vec<String>,
}

/// Waits until everything is as expected and nothing moves any more, or patience ends.
pub async fn wait(story: &Story, stage: &Stage, made: Made, patience: Duration) -> Result<Report> {
    let end = Instant::now() + patience;
    let mut quiet_since: Option<(Instant, u64)> = None;
    let mut told = usize::MAX;
    loop {
        let counts = stage.engine.store().counts().await?;
        let report = look(story, stage, &made, &counts);
        if report.wrong.len() != told && counts.pending > 0 {
            told = report.wrong.len();
            say::talk(&format!(
                "      {} events, {} runs over, {} at work",
                counts.events,
                over(&counts),
                counts.pending
            ));
        }
        let moved = counts.events + over(&counts) + report.writes.values().sum::<u64>();
        match quiet_since {
            Some((since, at)) if at == moved && counts.pending == 0 => {
                // Two looks of every poll without anything new: it is quiet.
                if since.elapsed() > Duration::from_millis(2_500) && (report.ok || Instant::now() > end) {
                    return Ok(report);
                }
            }
            _ => quiet_since = Some((Instant::now(), moved)),
        }
        if Instant::now() > end {
            return Ok(Report { ok: false, ..report });
        }
        stage.engine.progress().await;
    }
}

fn look(story: &Story, stage: &Stage, made: &Made, counts: &Counts) -> Report {
    let mut wrong = Vec::new();
    let mut records: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut duplicates = 0;
    for expected in &story.expect {
        let found = stage.vendors.get(&expected.at).map_or(0, |vendor| {
            vendor.records(&expected.object).iter().filter(|record| has(record, &expected.record)).count()
        });
        if found != 1 {
            wrong.push(format!("{} times instead of once: {}", found, words(expected)));
        }
    }
    for count in &story.counts {
        let found = stage.vendors.get(&count.at).map_or(0, |vendor| vendor.records(&count.object).len());
        records.entry(count.at.clone()).or_default().insert(count.object.clone(), found);
        if found != count.count {
            wrong.push(format!("{found} instead of {}: {} at {}", count.count, count.object, count.at));
        }
        duplicates += stage.vendors.get(&count.at).map_or(0, |vendor| vendor.duplicates(&count.object).len());
    }
    if duplicates > 0 {
        wrong.push(format!("{duplicates} records share an e-mail address or phone number with another"));
    }
    if counts.failed > 0 {
        wrong.push(format!("{} runs failed", counts.failed));
    }
    let edits = |name: &String| {
        let earlier = story.before.iter().filter(|step| step.at == *name && step.is_edit()).count() as u64;
        made.edits.get(name).copied().unwrap_or(0) + earlier
    };
    let writes = stage.vendors.iter().map(|(name, vendor)| (name.clone(), vendor.writes().saturating_sub(edits(name))));
    let runs = BTreeMap::from([
        ("completed", counts.completed),
        ("skipped", counts.skipped),
        ("failed", counts.failed),
        ("pending", counts.pending),
    ]);
    Report {
        ok: wrong.is_empty() && counts.pending == 0,
        events: counts.events,
        events_again: counts.duplicates,
        runs,
        records,
        writes: writes.collect(),
        duplicates,
        milliseconds: 0,
        wrong,
    }
}

fn over(counts: &Counts) -> u64 {
    counts.completed + counts.skipped + counts.failed
}

/// Does a record have at least these fields?
fn has(record: &Value, fields: &Map<String, Value>) -> bool {
    fields.iter().all(|(name, wanted)| match (record.get(name), wanted) {
        (Some(Value::Array(items)), Value::Array(wanted)) => {
            items.len() == wanted.len() && wanted.iter().all(|item| items.contains(item))
        }
        (Some(value), wanted) => value == wanted,
        (None, _) => false,
    })
}

fn words(expected: &Expected) -> String {
    let first = expected.record.values().next().and_then(Value::as_str).unwrap_or("?");
    format!("{} `{first}` at {}", expected.object, expected.at)
}

impl Report {
    pub fn tell(&self, stage: &Stage) {
        say::talk("");
        for (vendor, objects) in &self.records {
            let counts: Vec<String> = objects.iter().map(|(object, count)| format!("{count} {object}s")).collect();
            let writes = self.writes.get(vendor).copied().unwrap_or(0);
            say::talk(&format!("  {vendor:<24} {:<36} {writes} writes by Dovetail", counts.join(", ")));
        }
        let runs = |name: &str| self.runs.get(name).copied().unwrap_or(0);
        say::talk(&format!(
            "  {} events ({} came twice), {} runs completed, {} had nothing to do, {} failed",
            self.events,
            self.events_again,
            runs("completed"),
            runs("skipped"),
            runs("failed")
        ));
        say::talk("");
        if self.ok {
            say::talk(&format!(
                "Every expected record arrived exactly once, in {:.1} s.",
                Duration::from_millis(self.milliseconds).as_secs_f64()
            ));
        } else {
            say::talk("Not everything is as it should be:");
            for line in &self.wrong {
                say::talk(&format!("  {line}"));
            }
            say::talk(&format!("  the store is in {}", stage.folder.join("data").display()));
        }
    }
}
