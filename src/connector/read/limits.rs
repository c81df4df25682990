//! `limits:` and `errors:`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::reader::{Reader, Side, under};
use crate::connector::outcome::{ErrorRule, FAILURE_NAMES};
use crate::connector::written::{ErrorRuleWritten, LimitWritten, ResetUnit, StatusWritten};
use crate::connector::{Connector, Limit};
use crate::expr::Template;

const STATUS: &str = "write a number from 100 to 599, a class such as `5xx`, or a range such as `500-504`";

pub(super) fn limits(reader: &mut Reader<'_>, written: &[LimitWritten], connector: &Connector) -> Vec<Limit> {
    let mut limits = Vec::new();
    for (index, limit) in written.iter().enumerate() {
        let pointer = format!("/limits/{index}");
        if limit.requests == 0 {
            reader.error(
                "wrong-value",
                &under(&pointer, "requests"),
                "a window of no requests lets nothing through",
                "how many requests may be sent in this time?",
            );
        }
        let per = reader.duration(&under(&pointer, "per"), &limit.per);
        for (place, name) in limit.r#for.iter().enumerate() {
            if connector.operation(name).is_none() {
                let at = format!("{pointer}/for/{place}");
                let names = connector.operations.iter().map(|operation| operation.name.as_str());
                reader.unknown("unknown-operation", &at, format!("there is no operation `{name}`"), name, names);
            }
        }
        let kept = limit.keep_for_live_events.as_deref().map_or(0.0, |text| {
            share(text).unwrap_or_else(|| {
                let at = under(&pointer, "keep_for_live_events");
                reader.error("wrong-value", &at, format!("`{text}` is no share"), "write e.g. `30%`");
                0.0
            })
        });
        let each = limit.each.as_deref().and_then(|text| each(reader, &under(&pointer, "each"), text));
        limits.push(Limit {
            requests: limit.requests,
            per,
            remaining_header: limit.remaining_header.clone(),
            reset_header: limit.reset_header.as_ref().map(|header| (header.name.clone(), unit(header.unit))),
            keep_for_live_events: kept,
            only_for: limit.r#for.clone(),
            each,
        });
    }
    limits
}

fn unit(unit: ResetUnit) -> Duration {
    match unit {
        ResetUnit::Seconds => Duration::from_secs(1),
        ResetUnit::Milliseconds => Duration::from_millis(1),
    }
}

fn share(text: &str) -> Option<f64> {
    let percent: f64 = text.trim().strip_suffix('%')?.trim().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// A path is written like any other value; as the name of a window it is a text, and so becomes a template.
fn each(reader: &mut Reader<'_>, pointer: &str, text: &str) -> Option<Template> {
    let template = match text.strip_prefix("$.") {
        Some(path) => format!("{{{{{path}}}}}"),
        None if text.contains("{{") => text.to_owned(),
        None => {
            reader.error(
                "wrong-value",
                pointer,
                format!("`{text}` is the same for every input"),
                "e.g. `$.input.channel`",
            );
            return None;
        }
    };
    match Template::compile(&template) {
        Ok(template) => {
            for read in template.reads() {
                reader.check_read(pointer, &crate::expr::Read { pointer: String::new(), ..read }, Side::Request);
            }
            Some(template)
        }
        Err(problem) => {
            reader.problems(pointer, vec![problem]);
            None
        }
    }
}

pub(super) fn errors(reader: &mut Reader<'_>, written: &[ErrorRuleWritten]) -> Vec<ErrorRule> {
    let mut rules = Vec::new();
    for (index, rule) in written.iter().enumerate() {
        let pointer = format!("/errors/{index}");
        if !FAILURE_NAMES.contains(&rule.is.as_str()) {
            let message = format!("`{}` is no error's name", rule.is);
            reader.unknown("unknown-error", &under(&pointer, "is"), message, &rule.is, FAILURE_NAMES);
        }
        if rule.status.is_none() && rule.only_if.is_none() {
            let message = "the rule fits every answer";
            reader.error("wrong-value", &pointer, message, "give a `status` or an `only_if`");
        }
        let statuses = rule.status.as_ref().map_or_else(Vec::new, |status| {
            let at = under(&pointer, "status");
            match status {
                StatusWritten::One(status) => item_range(reader, &at, &Value::from(*status)).into_iter().collect(),
                StatusWritten::Range(text) => range(reader, &at, text).into_iter().collect(),
                StatusWritten::Many(list) => list
                    .iter()
                    .enumerate()
                    .filter_map(|(place, item)| item_range(reader, &under(&at, &place.to_string()), item))
                    .collect(),
            }
        });
        let only_if = rule.only_if.as_ref().and_then(|value| reader.condition(&under(&pointer, "only_if"), value));
        let existing_id = rule.existing_id.as_ref().and_then(|path| reader.path(&under(&pointer, "existing_id"), path));
        rules.push(ErrorRule { statuses, only_if, is: rule.is.clone(), existing_id });
    }
    rules
}

fn item_range(reader: &mut Reader<'_>, pointer: &str, item: &Value) -> Option<RangeInclusive<u16>> {
    match item {
        Value::String(text) => range(reader, pointer, text),
        item => match item.as_u64().and_then(|status| u16::try_from(status).ok()) {
            Some(status) if (100..600).contains(&status) => Some(status..=status),
            _ => {
                reader.error("wrong-value", pointer, format!("`{item}` is no status"), STATUS);
                None
            }
        },
    }
}

/// `5xx`, `500-504`, or a number written as a text.
fn range(reader: &mut Reader<'_>, pointer: &str, text: &str) -> Option<RangeInclusive<u16>> {
    let found = match text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        Some(class) => class
            .parse::<u16>()
            .ok()
            .filter(|class| (1..=5).contains(class))
            .map(|class| (class * 100, class * 100 + 99)),
        None => match text.split_once('-') {
            Some((from, to)) => from.trim().parse().ok().zip(to.trim().parse().ok()),
            None => text.trim().parse().ok().map(|status| (status, status)),
        },
    };
    let found = found.filter(|(from, to)| from <= to && (100..600).contains(from) && (100..600).contains(to));
    if found.is_none() {
        reader.error("wrong-value", pointer, format!("`{text}` is no status"), STATUS);
    }
    found.map(|(from, to)| from..=to)
}
