//! How runs and their values are shown: in a few words, in one line, and as JSON; secrets never.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use super::count;
use crate::run::{Ending, Start};
use crate::store::{Run, Status};
use crate::trigger::BACKFILL;

/// `2026-11-24 12:03:22`, UTC.
pub fn minute(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `12:03:22.120`, UTC.
pub fn clock(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%H:%M:%S%.3f").to_string()
}

/// `2026-11-24T12:03:22.120Z`
pub fn instant(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `0.3 s`, `12 s`, `4 min`, `3 h`, `2 d`
pub fn span(ms: i64) -> String {
    match ms {
        i64::MIN..10_000 => format!("{}.{} s", ms.max(0) / 1000, ms.max(0) % 1000 / 100),
        10_000..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// What a run is about: `contact 4hT of example-ghl, updated`.
pub fn about(start: &Start) -> String {
    let event = &start.event;
    let of = event.connection.as_ref().map_or_else(String::new, |connection| format!(" of {connection}"));
    match (&event.object, &event.record_id) {
        (Some(object), Some(id)) if event.source == BACKFILL => {
            format!("{object} {id}{of}, {}, by backfill", event.kind)
        }
        (Some(object), Some(id)) => format!("{object} {id}{of}, {}", event.kind),
        (Some(object), None) => format!("{object}{of}, {}", event.kind),
        _ if event.source == "manual" => "by hand".into(),
        _ if event.source == "schedule" => format!("the schedule of {}", minute(event.time_ms)),
        _ if event.source.starts_with('/') => format!("webhook {}", event.source),
        _ => format!("{} of {}", event.kind, event.connection.as_deref().unwrap_or(&event.source)),
    }
}

/// A run as JSON, without its story.
pub fn run(run: &Run) -> Map<String, Value> {
    let start = &run.start;
    let event = &start.event;
    let told = json!({
        "no": run.seq,
        "id": start.id,
        "workflow": start.workflow,
        "tenant": start.tenant,
        "status": run.status,
        "event": {
            "id": event.id, "source": event.source, "type": event.kind, "connection": event.connection,
            "object": event.object, "record_id": event.record_id, "replay_of": event.replay_of,
        },
        "accepted_at": instant(start.created_ms),
        "due_at": (run.due_ms > 0 && run.status == Status::Pending).then(|| instant(run.due_ms)),
        "ended_at": run.ended_ms.map(instant),
        "ending": run.ending.as_ref().map(|ending| concealed(&json!(ending))),
    });
    told.as_object().cloned().unwrap_or_default()
}

/// How a run ended: `failed at workflows/hello.yaml:12:5: auth: …`.
pub fn ending(ending: &Ending) -> String {
    match ending {
        Ending::Completed { value } if value.is_null() => "completed".into(),
        Ending::Completed { value } => format!("completed: {}", line(value)),
        Ending::Skipped { why } => format!("skipped: {why}"),
        Ending::Failed { place, failure, beside, .. } => {
            let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
            let more = match beside.len() {
                0 => String::new(),
                others => format!(", and {} beside it", count(others, "other")),
            };
            format!("failed{at}: {}{more}", uncovered(&failure.to_string()))
        }
        Ending::Dropped { by } => format!("dropped by {by}"),
    }
}

/// A value in one line; a text without quotes.
pub fn line(value: &Value) -> String {
    match concealed(value) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A value without what looks like a secret, by its key, or is one, by what the environment holds.
pub fn concealed(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), field(key, value))).collect()),
        Value::Array(items) => Value::Array(items.iter().map(concealed).collect()),
        Value::String(text) => Value::String(uncovered(text)),
        other => other.clone(),
    }
}

/// The value of a field, hidden where its name sounds like a secret.
pub fn field(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) | Value::Number(_) if sounds_secret(name) => Value::String(HIDDEN.into()),
        value => concealed(value),
    }
}

/// Does a letter hide, or turn its surroundings around? Controls but for the end of a line and the tab, what changes the
/// direction of writing, and what takes no room.
pub fn hides(letter: char) -> bool {
    (letter.is_control() && letter != '\n' && letter != '\t')
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

const HIDDEN: &str = "***";

/// A text without the values of this process's secrets.
pub fn uncovered(text: &str) -> String {
    let mut text = text.to_string();
    for (name, secret) in std::env::vars_os() {
        let (Some(name), Some(secret)) = (name.to_str(), secret.to_str()) else { continue };
        // A short one would hide innocent words, and is none.
        if name.starts_with("DOVETAIL_SECRET_") && secret.len() >= 6 && text.contains(secret) {
            text = text.replace(secret, HIDDEN);
        }
    }
    text
}

fn sounds_secret(key: &str) -> bool {
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let words =
        ["password", "passwd", "secret", "authorization", "apikey", "accesstoken", "refreshtoken", "credential"];
    key == "token" || key == "cookie" || words.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sounds_like_a_secret_is_hidden_wherever_it_stands() {
        let value =
            json!({ "a": [{ "access_token": "abc", "X-Api-Key": 7, "token": { "scopes": ["r"] } }], "tokens": "left" });
        let expected = json!({ "a": [{ "access_token": "***", "X-Api-Key": "***", "token": { "scopes": ["r"] } }], "tokens": "left" });
        assert_eq!(concealed(&value), expected);
    }

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        let told: Vec<String> = [40, 1_250, 9_999, 10_000, 120_000, 7_200_000, 172_800_000].map(span).to_vec();
        assert_eq!(told, ["0.0 s", "1.2 s", "9.9 s", "10 s", "2 min", "2 h", "2 d"]);
    }
}
