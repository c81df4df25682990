//! What a test expects, against what is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::company::{Change, Company};
use super::records::at;
use super::scene::is_of;
use super::{converged, story};
use crate::expr::{Condition, Expr, Locale, Scope};
use crate::project::{RunEnding, Then};
use crate::run::Ending;
use crate::store::{Run, Status};

/// An expectation that is not met.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Unmet {
    /// The key of `then`, or what went wrong before.
    pub what: String,
    pub expected: Value,
    pub found: Value,
    /// The same in words, field by field where records differ.
    pub told: Vec<String>,
}

impl Unmet {
    pub fn said(what: &str, told: impl Into<String>) -> Unmet {
        Unmet { what: what.into(), expected: Value::Null, found: Value::Null, told: vec![told.into()] }
    }

    fn other(what: String, expected: Value, found: Value) -> Unmet {
        let told = vec![format!("expected {expected}, found {found}")];
        Unmet { what, expected, found, told }
    }
}

/// All that is not as it was expected.
pub fn judge(then: &Then, subject: &str, company: &Company, runs: &[Run]) -> Vec<Unmet> {
    let root = company.records();
    let mut unmet = Vec::new();
    for (key, expected) in &then.records {
        match sought(&root, key) {
            None => unmet.push(Unmet::said(key, format!("there is no object `{key}`"))),
            Some(found) => unmet.extend(differ(key, expected.as_array().map_or(&[], Vec::as_slice), found, &root)),
        }
    }
    for (key, expected) in &then.count {
        match sought(&root, key) {
            None => unmet.push(Unmet::said(key, format!("there is no object `{key}`"))),
            Some(found) if found.len() == *expected as usize => {}
            Some(found) => {
                let mut other = Unmet::other(format!("count of {key}"), json!(expected), json!(found.len()));
                other.told.extend(found.iter().take(TOLD_MAX).map(|record| format!("  {record}")));
                unmet.push(other);
            }
        }
    }
    for (alias, expected) in &then.writes {
        let connection = company.scene.aliases.get(alias);
        let writes = company.seen.told.lock().writes.clone();
        let found = writes.iter().filter(|write| Some(&write.connection) == connection).count();
        if found != *expected as usize {
            unmet.push(Unmet::other(format!("writes to {alias}"), json!(expected), json!(found)));
        }
    }
    unmet.extend(then.quiet_after.and_then(|rounds| noise(rounds, company, runs)));
    unmet.extend(ending(then, subject, runs));
    unmet.extend(then.holds.as_ref().and_then(|condition| holds(condition, &root)));
    if then.converged == Some(true) {
        unmet.extend(converged::judge(subject, company, &root));
    }
    unmet
}

/// Records that are told where there are too many.
const TOLD_MAX: usize = 5;

fn sought<'r>(root: &'r Value, key: &str) -> Option<&'r Vec<Value>> {
    let (alias, object) = key.split_once('.')?;
    root.get(alias)?.get(object)?.as_array()
}

fn holds(condition: &Value, root: &Value) -> Option<Unmet> {
    let locale = Locale::default();
    match Condition::compile(condition).ok()?.holds(&Scope::new(root, &locale)) {
        Ok(true) => None,
        Ok(false) => {
            let mut unmet = Unmet::said("holds", format!("{condition} does not hold"));
            let lines = condition.as_object().into_iter().flatten().map(|(path, _)| path);
            let values = lines.filter(|path| path.starts_with('$')).filter_map(|path| {
                let value = Expr::compile(&json!(path)).ok()?.eval(&Scope::new(root, &locale)).ok()?;
                Some(format!("  {path} is {}", value.unwrap_or_default()))
            });
            unmet.told.extend(values);
            unmet.expected = condition.clone();
            Some(unmet)
        }
        Err(fault) => Some(Unmet::said("holds", format!("it cannot be judged: {fault}"))),
    }
}

/// How the last run ended that brought anything new; and no run fails unexpected.
fn ending(then: &Then, subject: &str, runs: &[Run]) -> Option<Unmet> {
    let (expected, error, value) = (then.run, then.error.as_ref(), then.value.as_ref());
    let is_news = |run: &&Run| run.ending.as_ref().is_none_or(|ending| !ending.is_old_news());
    let last = runs.iter().rfind(|run| is_of(&run.start.workflow, subject) && is_news(run));
    let told = |run: &Run| {
        let ending = run.ending.as_ref().map_or_else(|| "it is not over".to_owned(), story::ended);
        format!("run {} {ending}", run.seq)
    };
    let Some(expected) = expected.or(error.map(|_| RunEnding::Failed)).or(value.map(|_| RunEnding::Completed)) else {
        let failed = runs.iter().find(|run| run.status == Status::Failed)?;
        let mut unmet = Unmet::said("run", told(failed));
        unmet.told.push("write `run: failed` under `then` if that is meant".into());
        return Some(unmet);
    };
    let wanted = match expected {
        RunEnding::Completed => Status::Completed,
        RunEnding::Skipped => Status::Skipped,
        RunEnding::Failed => Status::Failed,
    };
    let Some(last) = last else {
        return Some(Unmet { expected: json!(wanted), ..Unmet::said("run", "nothing started a run") });
    };
    if last.status != wanted {
        return Some(Unmet {
            what: "run".into(),
            expected: json!(wanted),
            found: json!(last.status),
            told: vec![format!("expected {}, found {}", wanted.word(), last.status.word()), told(last)],
        });
    }
    match (&last.ending, error, value) {
        (Some(Ending::Failed { failure, .. }), Some(name), _) if failure.name != *name => {
            let other = Unmet::other("error".into(), json!(name), json!(failure.name));
            Some(Unmet { told: [other.told, vec![told(last)]].concat(), ..other })
        }
        (Some(Ending::Completed { value: found }), _, Some(value)) if !is_met(value, Some(found)) => {
            Some(Unmet::other("value".into(), value.clone(), found.clone()))
        }
        _ => None,
    }
}

/// A write after so many rounds: what a step causes is the first, what tells of those writes causes the second, and so on.
fn noise(rounds: u32, company: &Company, runs: &[Run]) -> Option<Unmet> {
    let told = company.seen.told.lock();
    let mut known = BTreeMap::new();
    let late = told.writes.iter().filter_map(|write| {
        let run = runs.iter().find(|run| run.start.id == write.run)?;
        let round = round(run, runs, &told.changes, &mut known, &mut BTreeSet::new());
        (round > rounds).then_some((round, run))
    });
    let late: Vec<(u32, &Run)> = late.collect();
    let (last, run) = late.iter().max_by_key(|(round, _)| round)?;
    let told = format!("{} after round {rounds}, the last in round {last}, by run {}", late.len(), run.seq);
    Some(Unmet {
        expected: json!(rounds),
        found: json!(last),
        ..Unmet::said("quiet_after", format!("writes follow: {told}"))
    })
}

fn round<'r>(
    run: &'r Run,
    runs: &'r [Run],
    changes: &[Change],
    known: &mut BTreeMap<&'r str, u32>,
    open: &mut BTreeSet<&'r str>,
) -> u32 {
    let id = run.start.id.as_str();
    if let Some(round) = known.get(id) {
        return *round;
    }
    if !open.insert(id) {
        return 1;
    }
    let event = &run.start.event;
    let of_record = |change: &&Change| {
        change.at_ms <= run.start.created_ms
            && Some(&change.connection) == event.connection.as_ref()
            && Some(&change.object) == event.object.as_ref()
            && Some(&change.id) == event.record_id.as_ref()
    };
    let cause = changes.iter().rev().find(of_record).and_then(|change| change.by.as_ref());
    let cause = cause.and_then(|by| runs.iter().find(|run| run.start.id == *by));
    let found = cause.map_or(1, |cause| 1 + round(cause, runs, changes, known, open));
    known.insert(id, found);
    found
}

/// Exactly these records, in any order, each with at least these fields.
fn differ(key: &str, expected: &[Value], found: &[Value], root: &Value) -> Option<Unmet> {
    let wanted: Vec<Map<String, Value>> = expected.iter().map(|record| filled(record, root)).collect();
    let mut free: Vec<&Value> = found.iter().collect();
    let mut missing: Vec<&Map<String, Value>> = Vec::new();
    // Whoever asks for most takes its record first.
    let mut ordered: Vec<&Map<String, Value>> = wanted.iter().collect();
    ordered.sort_by_key(|record| std::cmp::Reverse(record.len()));
    for record in ordered {
        match free.iter().position(|other| gaps(record, other).is_empty()) {
            Some(at) => drop(free.remove(at)),
            None => missing.push(record),
        }
    }
    if missing.is_empty() && free.is_empty() {
        return None;
    }
    let mut told = vec![format!("expected {}, found {}", count(wanted.len()), count(found.len()))];
    for record in missing {
        let nearest = (0..free.len()).min_by_key(|at| gaps(record, free[*at]).len());
        let nearest = nearest.filter(|at| gaps(record, free[*at]).len() < record.len());
        told.push(format!("- {}", Value::Object(record.clone())));
        match nearest.map(|at| free.remove(at)) {
            None => told.push("  there is none like it".into()),
            Some(other) => {
                let id = other.get("id").map_or_else(String::new, |id| format!(" {id}"));
                told.push(format!("  the nearest is{id}:"));
                told.extend(gaps(record, other).into_iter().map(|(field, expected, found)| {
                    let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
                    format!("    {field}: expected {expected}, found {found}")
                }));
            }
        }
    }
    told.extend(free.iter().take(TOLD_MAX).map(|record| format!("+ {record}")));
    if free.len() > TOLD_MAX {
        told.push(format!("+ and {} more", free.len() - TOLD_MAX));
    }
    let expected = Value::Array(wanted.into_iter().map(Value::Object).collect());
    Some(Unmet { what: key.into(), expected, found: json!(found), told })
}

pub fn count(records: usize) -> String {
    if records == 1 { "1 record".into() } else { format!("{records} records") }
}

/// An expected record whose paths and templates are filled in.
fn filled(record: &Value, root: &Value) -> Map<String, Value> {
    let locale = Locale::default();
    let fill = |(name, value): (&String, &Value)| {
        let made = Expr::compile(value).ok().and_then(|expr| expr.eval(&Scope::new(root, &locale)).ok());
        (name.clone(), made.map_or_else(|| value.clone(), Option::unwrap_or_default))
    };
    record.as_object().into_iter().flatten().map(fill).collect()
}

type Gap<'v> = (&'v String, &'v Value, Option<&'v Value>);

/// Fields of the expected record that the other has not, or otherwise.
fn gaps<'v>(expected: &'v Map<String, Value>, found: &'v Value) -> Vec<Gap<'v>> {
    let fields = expected.iter().map(|(name, value)| (name, value, at(found, name)));
    fields.filter(|(_, value, found)| !is_met(value, *found)).collect()
}

fn is_met(expected: &Value, found: Option<&Value>) -> bool {
    match (expected, found) {
        (Value::Null, found) => found.is_none_or(Value::is_null),
        (_, None) => false,
        (Value::Object(map), Some(found)) => map.iter().all(|(name, value)| is_met(value, at(found, name))),
        (Value::Array(items), Some(Value::Array(found))) => {
            items.len() == found.len() && items.iter().zip(found).all(|(item, found)| is_met(item, Some(found)))
        }
        (Value::Number(one), Some(Value::Number(other))) => one.as_f64() == other.as_f64(),
        (Value::String(one), Some(Value::String(other))) => one == other || is_same_instant(one, other),
        (one, Some(other)) => one == other,
    }
}

/// Equal instants are equal however they are written.
fn is_same_instant(one: &str, other: &str) -> bool {
    let read = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    read(one).zip(read(other)).is_some_and(|(one, other)| one == other)
}
