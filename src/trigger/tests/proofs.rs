//! Plays the case files of `tests/cases/verify`: rules as written, a genuine delivery, and what is changed of it.
//!
//! Signatures were made with other tools (OpenSSL, Python's `hmac`) or are a vendor's published example.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::Value;

use super::super::{Arrival, Secrets, verify};
use crate::connector::{VerifyRule, read_verify};
use crate::source::{File, Report};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    why: String,
    /// Rules as in a connector.
    verify: Value,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    genuine: Sent,
    /// Each laid over the genuine one.
    #[serde(default)]
    accepted: Vec<Change>,
    refused: Vec<Change>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    now: String,
    #[serde(default = "path")]
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

fn path() -> String {
    "/hooks/crm".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    what: String,
    now: Option<String>,
    path: Option<String>,
    /// Null takes one away.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    body: Option<String>,
    secrets: Option<BTreeMap<String, String>>,
}

struct Known<'a>(&'a BTreeMap<String, String>);

impl Secrets for Known<'_> {
    fn secret(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

#[test]
fn cases_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/verify");
    let mut played = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let case: Case = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!case.why.trim().is_empty() && !case.refused.is_empty(), "{name}");
        play(&name, &case);
        played += 1;
    }
    assert!(played >= 12, "{played} cases in {}", folder.display());
}

fn play(name: &str, case: &Case) {
    let text = serde_json::json!({ "verify": case.verify }).to_string();
    let file = File::read("rules.yaml", &text).unwrap_or_else(|report| panic!("{name}: {report:?}"));
    let mut report = Report::default();
    let rules = read_verify(&file, "/verify", &mut report).unwrap_or_else(|| panic!("{name}: {report:?}"));
    assert!(genuine(&rules, &case.secrets, &case.genuine), "{name}: the genuine one");
    for (changes, expected) in [(&case.accepted, true), (&case.refused, false)] {
        for change in changes {
            let secrets = change.secrets.as_ref().unwrap_or(&case.secrets);
            let sent = changed(&case.genuine, change);
            assert_eq!(genuine(&rules, secrets, &sent), expected, "{name}: {}", change.what);
        }
    }
}

fn changed(genuine: &Sent, change: &Change) -> Sent {
    let mut sent = genuine.clone();
    for (name, value) in &change.headers {
        match value {
            Some(value) => sent.headers.insert(name.clone(), value.clone()),
            None => sent.headers.remove(name),
        };
    }
    sent.now = change.now.clone().unwrap_or(sent.now);
    sent.path = change.path.clone().unwrap_or(sent.path);
    sent.body = change.body.clone().unwrap_or(sent.body);
    sent
}

fn genuine(rules: &[VerifyRule], secrets: &BTreeMap<String, String>, sent: &Sent) -> bool {
    let header = |name: &str| {
        let found = sent.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let now_ms = DateTime::parse_from_rfc3339(&sent.now).unwrap().timestamp_millis();
    let arrival = Arrival { header: &header, body: sent.body.as_bytes(), path: &sent.path };
    verify(rules, arrival, &Known(secrets), None, now_ms)
}
