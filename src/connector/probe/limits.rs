//! Headers that speak of limits, against `limits:`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Note, Override, listed};
use crate::connector::{Connector, Response};
use crate::expr::duration_text;

const WHAT: &str = "limits";

/// Compares the headers of all answers of one account, and adds to the override what would fit.
pub fn limits(connector: &Connector, responses: &[&Response], written: &Value, over: &mut Override) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in responses.iter().flat_map(|response| &response.headers) {
        seen.insert(name.to_ascii_lowercase(), value);
    }
    let remaining: Vec<&str> = seen.keys().map(String::as_str).filter(|name| is_remaining(name)).collect();
    let declared = |name: &str| {
        let mut limits = connector.limits.iter().enumerate();
        limits
            .find(|(_, limit)| limit.remaining_header.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name)))
    };
    let missed: Vec<&str> = connector
        .limits
        .iter()
        .flat_map(|limit| {
            limit.remaining_header.as_deref().into_iter().chain(limit.reset_header.as_ref().map(|h| &*h.0))
        })
        .filter(|name| !seen.contains_key(&name.to_ascii_lowercase()))
        .collect();
    if !missed.is_empty() && !responses.is_empty() {
        let told = format!("{} came with no answer: the limit is counted here alone", listed(missed));
        notes.push(Note::look(WHAT, told));
    }
    let mut written: Vec<Value> = written.get("limits").and_then(Value::as_array).cloned().unwrap_or_default();
    let before = written.clone();
    let mut remarks = Vec::new();
    for name in remaining {
        let group = Group::of(name, &seen);
        let Some((place, limit)) = declared(name) else {
            notes.push(Note::look(WHAT, format!("`{name}` came, and no limit reads it")));
            if let Some((limit, remark)) = group.suggested(name) {
                written.push(limit);
                remarks.extend(remark);
            }
            continue;
        };
        match group.requests.filter(|requests| *requests != limit.requests) {
            Some(requests) => {
                let says = limit.requests;
                let told = format!("the limit of `{name}` is {requests} requests, where the connector says {says}");
                notes.push(Note::look(WHAT, told));
                if let Some(limit) = written.get_mut(place) {
                    limit["requests"] = requests.into();
                }
            }
            None => {
                let per = duration_text(limit.per);
                notes.push(Note::good(WHAT, format!("`{name}` came, for {} requests per {per}", limit.requests)));
            }
        }
    }
    if written != before {
        over.top("limits", written.into(), &remarks.join("\n"));
    }
    if notes.is_empty() {
        notes.push(Note::good(WHAT, "no header speaks of limits"));
    }
    for name in ["deprecation", "sunset"].into_iter().filter(|name| seen.contains_key(*name)) {
        notes.push(Note::look(WHAT, format!("`{name}` came: the vendor means to end what was asked for")));
    }
    notes
}

/// `X-RateLimit-Remaining`, `x-hubspot-ratelimit-daily-remaining`, `RateLimit-Remaining`.
fn is_remaining(name: &str) -> bool {
    let squeezed = name.replace('-', "");
    squeezed.contains("ratelimit") && squeezed.ends_with("remaining")
}

/// The headers beside one that says how much is left.
struct Group {
    requests: Option<u64>,
    /// Milliseconds, if a header says it.
    per_ms: Option<u64>,
    reset: Option<(String, &'static str)>,
    is_daily: bool,
}

impl Group {
    fn of(remaining: &str, seen: &BTreeMap<String, &str>) -> Group {
        let stem = remaining.trim_end_matches("remaining");
        let number = |name: &str| seen.get(name).and_then(|value| value.trim().parse::<u64>().ok());
        let named = |ends: &[&str]| ends.iter().find_map(|end| number(&format!("{stem}{end}")));
        let daily = stem.contains("daily");
        let bare = stem.trim_end_matches('-');
        let requests =
            named(&["limit", "max", "total"]).or_else(|| number(&format!("limit-{bare}"))).or_else(|| number(bare));
        let per_ms = named(&["interval-milliseconds", "interval-ms", "window-ms"])
            .or_else(|| named(&["interval", "window", "period"]).map(|seconds| seconds.saturating_mul(1_000)))
            .or_else(|| window(seen.get("ratelimit-policy")?));
        let reset = ["reset", "reset-after"].iter().map(|end| format!("{stem}{end}")).find_map(|name| {
            let count = number(&name)?;
            // An instant instead of a time is nothing that a limit can read.
            let unit = if per_ms.is_some_and(|per| count > per / 1_000) || count > 86_400 { "ms" } else { "s" };
            (count < 1_000_000_000).then_some((name, unit))
        });
        Group { requests, per_ms, reset, is_daily: daily }
    }

    /// An entry of `limits:`, with what is guessed of it. Nothing without a number of requests.
    fn suggested(&self, remaining: &str) -> Option<(Value, Option<String>)> {
        let requests = self.requests.filter(|requests| *requests > 0)?;
        let told = self.per_ms.filter(|per| *per > 0).map(std::time::Duration::from_millis);
        let (per, remark) = match (told, self.is_daily) {
            (Some(per), _) => (duration_text(per), None),
            (None, true) => ("1d".into(), None),
            (None, false) => {
                let remark =
                    format!("Guessed: that `{remaining}` is about one minute; the vendor's documentation says it.");
                ("1m".into(), Some(remark))
            }
        };
        let mut limit = json!({ "requests": requests, "per": per, "remaining_header": remaining });
        if let Some((name, unit)) = &self.reset {
            limit["reset_header"] = json!({ "name": name, "unit": unit });
        }
        Some((limit, remark))
    }
}

/// `100;w=60`, of the draft for `RateLimit` headers.
fn window(policy: &str) -> Option<u64> {
    let seconds = policy.split(';').find_map(|part| part.trim().strip_prefix("w="))?;
    seconds.split(',').next()?.trim().parse::<u64>().ok()?.checked_mul(1_000)
}
