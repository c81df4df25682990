//! What one document may hold of that which costs much more to check than to write.
//!
//! Counted in what is written, before anything is compiled: a document beyond a bound is refused unread, so that a
//! hostile one costs no more than its text.

use serde_json::Value;

use crate::source::{Diagnostic, File, Report, under};
use crate::workflow::action::VERBS;

/// Each is compared with the names of all before it.
const ACTIONS_MAX: usize = 1_000;
/// Each becomes some kilobytes: how it is asked, answered, repeated.
const OPERATIONS_MAX: usize = 2_000;
/// Each may take 256 KiB.
const PATTERNS_MAX: usize = 100;
/// Holes of templates, `{{…}}`: each becomes some hundred bytes and more.
const HOLES_MAX: usize = 10_000;
/// `@` of filters in paths, `[?@.a]`: so does each of these.
const FILTERS_MAX: usize = 10_000;

#[derive(Default)]
struct Counts {
    actions: usize,
    operations: usize,
    patterns: usize,
    holes: usize,
    filters: usize,
}

/// Is the document within all bounds? If not, a finding tells where it leaves them.
pub(super) fn check(kind: &str, file: &File, report: &mut Report) -> bool {
    let Some((pointer, what)) = Counts::default().add(&file.value, kind) else { return true };
    let found = Diagnostic::error("too-big", format!("the file holds more than {what}"));
    report.push(found.at(file, &pointer, "one too many").help("split it into several files"));
    false
}

impl Counts {
    /// Adds a value of a document of this kind; gives where a bound is passed, and which.
    fn add(&mut self, value: &Value, kind: &str) -> Option<(String, String)> {
        match value {
            Value::Object(fields) => {
                let acts = || fields.keys().any(|key| VERBS.contains(&key.as_str()));
                self.actions += usize::from(kind == "workflow" && acts());
                for key in fields.keys() {
                    self.operations += usize::from(kind == "connector" && key == "request");
                    self.patterns += usize::from(key == "matches");
                    // The left side of a condition.
                    self.path(key);
                }
            }
            Value::String(text) => {
                self.holes += if text.contains('{') { text.matches("{{").count() } else { 0 };
                self.path(text);
            }
            Value::Array(_) => {}
            _ => return None,
        }
        if let Some(passed) = self.passed() {
            return Some((String::new(), passed));
        }
        // Where it was passed is told on the way back.
        let within = |step: &str, (pointer, what): (String, String)| (under("", step) + &pointer, what);
        match value {
            Value::Object(fields) => fields.iter().find_map(|(key, part)| Some(within(key, self.add(part, kind)?))),
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(at, item)| Some(within(&at.to_string(), self.add(item, kind)?)))
            }
            _ => None,
        }
    }

    /// What stands in a text, if it is a path.
    fn path(&mut self, text: &str) {
        if text.starts_with('$') {
            self.filters += text.matches('@').count();
            self.patterns += text.matches("match(").count() + text.matches("search(").count();
        }
    }

    fn passed(&self) -> Option<String> {
        let counts = [
            (self.actions, ACTIONS_MAX, "actions"),
            (self.operations, OPERATIONS_MAX, "operations"),
            (self.patterns, PATTERNS_MAX, "regular expressions"),
            (self.holes, HOLES_MAX, "`{{` of templates"),
            (self.filters, FILTERS_MAX, "`@` of filters"),
        ];
        let passed = counts.into_iter().find(|(count, most, _)| count > most);
        passed.map(|(_, most, what)| format!("{most} {what}"))
    }
}
