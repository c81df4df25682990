//! Names of keyed lists, such as custom fields: asked once per account, and kept for some minutes.
//!
//! A run still records what it was answered, so that it goes on with the same names. Where a name is not among those kept,
//! the run asks for fresh ones.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::run::{Answer, Purpose, Send};

/// So long names are believed.
const KEPT: Duration = Duration::from_secs(600);
/// And so long, where one of them was missing: a name that is misspelt must not ask with each run.
const FRESH: Duration = Duration::from_secs(60);
/// Answers, and bytes of all of them, at most; beyond it all are forgotten.
const ANSWERS_MAX: usize = 2_000;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// What lists of names have answered.
#[derive(Default)]
pub(super) struct NamesKept {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Key, (Instant, Answer)>,
    bytes: usize,
}

/// A page of a list, of one account and one version of the project.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    plan: String,
    connection: String,
    operation: String,
    input: String,
    page: String,
}

impl NamesKept {
    /// What is known already of a request for names, not longer than since a person has done something about what was missing.
    pub fn known(&self, plan: &str, send: &Send, since: Option<Duration>, now: Instant) -> Option<Answer> {
        let Purpose::Names { fresh, .. } = &send.purpose else { return None };
        let age_max = if *fresh { FRESH } else { KEPT };
        let age_max = since.map_or(age_max, |since| since.min(age_max));
        let kept = self.kept.lock();
        let (at, answer) = kept.answers.get(&key(plan, send))?;
        (now.duration_since(*at) < age_max).then(|| answer.clone())
    }

    /// Keeps what was answered.
    pub fn keep(&self, plan: &str, send: &Send, answer: &Answer, now: Instant) {
        let (Purpose::Names { .. }, Answer::Done { value, .. }) = (&send.purpose, answer) else { return };
        let bytes = value.to_string().len();
        let mut kept = self.kept.lock();
        if kept.answers.len() >= ANSWERS_MAX || kept.bytes.saturating_add(bytes) > BYTES_MAX {
            *kept = Kept::default();
        }
        if bytes <= BYTES_MAX {
            kept.bytes += bytes;
            kept.answers.insert(key(plan, send), (now, answer.clone()));
        }
    }
}

fn key(plan: &str, send: &Send) -> Key {
    Key {
        plan: plan.to_owned(),
        connection: send.connection.clone(),
        operation: send.operation.clone(),
        input: send.input.to_string(),
        page: send.page.next.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::connector::{Failure, Page};

    fn send(connection: &str, fresh: bool) -> Send {
        Send {
            address: "names".into(),
            exchange: 0,
            attempt: 1,
            tries: 0,
            look: false,
            purpose: Purpose::Names { list: "custom".into(), fresh },
            connection: connection.into(),
            operation: "field.list".into(),
            input: Value::Null.into(),
            page: Page::default(),
            timeout: None,
            turns: Vec::new(),
            idempotency_key: String::new(),
        }
    }

    fn done(value: Value) -> Answer {
        Answer::Done { value, next: None }
    }

    #[test]
    fn names_are_kept_per_account_for_some_minutes() {
        let (names, now) = (NamesKept::default(), Instant::now());
        names.keep("p", &send("one", false), &done(json!([1])), now);
        let known = |connection, fresh, seconds| {
            names.known("p", &send(connection, fresh), None, now + Duration::from_secs(seconds)).is_some()
        };
        assert!(known("one", false, 599));
        assert!(!known("one", false, 600), "they are old");
        assert!(known("one", true, 59), "nobody could have said more since");
        assert!(!known("one", true, 60), "a name is missing");
        assert!(!known("other", false, 0), "another account has other names");
        let since = |seconds| {
            let (since, now) = (Duration::from_secs(seconds), now + Duration::from_secs(9));
            names.known("p", &send("one", false), Some(since), now).is_some()
        };
        assert!(since(10) && !since(9), "a person wants it tried again");
        assert!(names.known("q", &send("one", false), None, now).is_none(), "the project was changed");
        let further = Send { page: Page { next: Some(json!(2)), seen: None }, ..send("one", false) };
        assert!(names.known("p", &further, None, now).is_none(), "another page");
    }

    #[test]
    fn only_names_that_were_answered_are_kept() {
        let (names, now) = (NamesKept::default(), Instant::now());
        let call = Send { purpose: Purpose::Read, ..send("one", false) };
        names.keep("p", &call, &done(json!([1])), now);
        names.keep("p", &send("one", false), &Answer::Failed(Failure::new("transient", "")), now);
        assert!(names.known("p", &call, None, now).is_none());
        assert!(names.known("p", &send("one", false), None, now).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (names, now) = (NamesKept::default(), Instant::now());
        for index in 0..=ANSWERS_MAX {
            names.keep("p", &send(&index.to_string(), false), &done(json!([1])), now);
        }
        assert_eq!(names.kept.lock().answers.len(), 1);
        names.keep("p", &send("big", false), &done("x".repeat(BYTES_MAX).into()), now);
        assert!(names.kept.lock().answers.is_empty());
    }
}
