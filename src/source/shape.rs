//! Shape: does a document have the form that its kind's JSON Schema says?
//!
//! A small validator of our own, since each finding must be told to the author in his own words and at the right
//! place: unknown keys with the nearest name, missing keys, wrong types, all of them at once.
//!
//! ```text
//!   schema ──▶ kinds: may such a value stand here at all?
//!          ──▶ outline: `$ref`, `allOf`, the chosen alternative, the verb's schema, all laid together
//!          ──▶ map · list · text · number: checked against all layers at once
//! ```

mod kinds;
mod map;
mod outline;
#[cfg(test)]
mod tests;
mod words;

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

use self::outline::Outline;
use super::file::go_down;
use super::refusal::FINDINGS_MAX;
use super::{Diagnostic, File, Report};

/// Compares the value under `pointer` with a JSON Schema (2020-12, the subset that schemars writes).
///
/// A union is decided before it is checked, so that findings land on the leaf: by the JSON type of the value; for maps
/// by `x-verbs`, a map from a key that must be present to the schema that then holds. Beside the standard keywords,
/// `title` names the thing in messages, `x-name` says in plain words what a `pattern` wants, and `x-one` says what to do
/// instead of a second verb. `x-takes: a duration` says what the text is.
pub fn check_shape(file: &File, pointer: &str, schema: &Value, report: &mut Report) {
    let Some(value) = file.value.pointer(pointer) else { return };
    let check = Check { file, root: schema, counts: RefCell::default(), patterns: RefCell::default() };
    let mut findings = Findings { report: Some(report), count: 0 };
    check.value(&mut pointer.to_owned(), value, schema, &mut findings);
    let more = findings.count.saturating_sub(FINDINGS_MAX);
    if more > 0 {
        report.leave_out(&file.path, more);
    }
}

struct Check<'s> {
    file: &'s File,
    /// Where `$ref` looks.
    root: &'s Value,
    /// How many findings a value has under a schema, by their addresses. Without it, unions within unions would be
    /// tried again and again, and a document could make that exponential.
    counts: RefCell<HashMap<(*const Value, *const Value), usize>>,
    patterns: RefCell<HashMap<&'s str, Option<Regex>>>,
}

/// Findings told, or only counted while alternatives are compared.
struct Findings<'r> {
    report: Option<&'r mut Report>,
    count: usize,
}

impl Findings<'_> {
    fn add(&mut self, tell: impl FnOnce() -> Diagnostic) {
        self.count += 1;
        // More would not be read, and a hostile document could make a report without bound.
        if let Some(report) = self.report.as_mut().filter(|_| self.count <= FINDINGS_MAX) {
            report.push(tell());
        }
    }
}

impl<'s> Check<'s> {
    fn value(&self, pointer: &mut String, value: &Value, schema: &'s Value, findings: &mut Findings<'_>) {
        if findings.report.is_some() {
            self.judge(pointer, value, schema, findings);
        } else {
            findings.count += self.count(value, schema);
        }
    }

    fn judge(&self, pointer: &mut String, value: &Value, schema: &'s Value, findings: &mut Findings<'_>) {
        if let Some(choices) = self.choices(schema) {
            return self.choice(pointer, value, &choices, findings);
        }
        let kinds = self.kinds(schema);
        if !kinds.allow(value) {
            return findings.add(|| self.wrong_type(pointer, value, schema, kinds));
        }
        let outline = self.outline(value, schema);
        self.outlined(pointer, value, &outline, findings);
    }

    fn outlined(&self, pointer: &mut String, value: &Value, outline: &Outline<'s>, findings: &mut Findings<'_>) {
        if let Some(choices) = &outline.choices {
            self.choice(pointer, value, choices, findings);
        }
        for layer in &outline.layers {
            if let Some(choices) = own_choices(layer) {
                self.choice(pointer, value, &choices, findings);
            }
        }
        match value {
            Value::Object(entries) => self.map(pointer, entries, outline, findings),
            Value::Array(items) => self.list(pointer, items, outline, findings),
            Value::String(text) => self.text(pointer, text, outline, findings),
            Value::Number(number) => self.number(pointer, number, outline, findings),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// How many findings a value has under a schema, by itself.
    fn count(&self, value: &Value, schema: &'s Value) -> usize {
        let key = (std::ptr::from_ref(value), std::ptr::from_ref(schema));
        if let Some(count) = self.counts.borrow().get(&key) {
            return *count;
        }
        // A schema that refers to itself without going deeper asks again before this is answered.
        self.counts.borrow_mut().insert(key, 0);
        let mut findings = Findings { report: None, count: 0 };
        self.judge(&mut String::new(), value, schema, &mut findings);
        self.counts.borrow_mut().insert(key, findings.count);
        findings.count
    }

    fn wrong_type(&self, pointer: &str, value: &Value, schema: &'s Value, kinds: kinds::Kinds) -> Diagnostic {
        let takes = schema.get("x-takes").and_then(Value::as_str).unwrap_or_default();
        if value.is_number() && takes.starts_with("a duration") {
            return Diagnostic::no_duration(&value.to_string()).at(self.file, pointer, "");
        }
        let message = format!("expected {}, found {}", kinds.words(), words::kind(value));
        let found = Diagnostic::error("wrong-type", message).at(self.file, pointer, "");
        let key = if kinds.has(kinds::Kinds::MAP) { self.key_for(value, schema) } else { None };
        if let (Some(text), Some(whose)) = (value.as_str(), pointer.rsplit('/').next())
            && kinds.has(kinds::Kinds::MAP)
            && self.is_key(text, schema)
        {
            return found.help(format!("`{text}` is a key there: write `{whose}: {{ {text}: … }}`"));
        }
        match words::type_help(self.file, pointer, value, kinds, key) {
            Some(help) => found.help(help),
            None => found,
        }
    }

    /// The first key of the map that a schema wants, under which the value itself could stand.
    fn key_for(&self, value: &Value, schema: &'s Value) -> Option<&'s str> {
        let outline = self.outline(&Value::Object(Map::new()), schema);
        let verb = outline.verbs.as_ref().and_then(|verbs| verbs.all.first());
        let layers = outline.layers.into_iter();
        let mut keys = layers.filter_map(|layer| layer.get("properties")?.as_object()).flatten();
        match verb {
            Some((verb, schema)) => {
                let takes =
                    self.outline(value, schema).layers.into_iter().find_map(|layer| layer.get("properties")?.get(verb));
                takes.filter(|takes| self.kinds(takes).allow(value)).map(|_| *verb)
            }
            None => keys.find(|(_, takes)| self.kinds(takes).allow(value)).map(|(key, _)| key.as_str()),
        }
    }

    /// Is the text a key of the map that is wanted?
    fn is_key(&self, text: &str, schema: &'s Value) -> bool {
        let outline = self.outline(&Value::Object(Map::new()), schema);
        let verbs = outline.verbs.iter().flat_map(|verbs| &verbs.all).any(|(verb, _)| *verb == text);
        verbs || outline.layers.iter().any(|layer| layer.get("properties").is_some_and(|keys| keys.get(text).is_some()))
    }

    fn choice(&self, pointer: &str, value: &Value, choices: &[&'s Value], findings: &mut Findings<'_>) {
        if choices.contains(&value) {
            return;
        }
        findings.add(|| {
            let kinds = choices.iter().fold(kinds::Kinds::NONE, |kinds, choice| kinds.or(kinds::Kinds::of(choice)));
            let code = if kinds.allow(value) { "bad-value" } else { "wrong-type" };
            let message = format!("expected {}, found {}", words::one_of(choices), words::value(value));
            let found = Diagnostic::error(code, message).at(self.file, pointer, "");
            match value {
                Value::String(text) => found.nearest(text, choices.iter().filter_map(|choice| choice.as_str())),
                _ => found,
            }
        });
    }

    fn list(&self, pointer: &mut String, items: &[Value], outline: &Outline<'s>, findings: &mut Findings<'_>) {
        for layer in &outline.layers {
            let tuple = layer.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let rest = layer.get("items");
            for (index, item) in items.iter().enumerate() {
                if let Some(schema) = tuple.get(index).or(rest).filter(|schema| **schema != Value::Bool(false)) {
                    self.step(pointer, &index.to_string(), |pointer| self.value(pointer, item, schema, findings));
                }
            }
            let closed = rest == Some(&Value::Bool(false));
            let most = limit(layer, "maxItems").or(closed.then_some(tuple.len()));
            self.size(pointer, items.len(), ("item", limit(layer, "minItems"), most), findings);
            if layer.get("uniqueItems") == Some(&Value::Bool(true)) {
                self.unique(pointer, items, findings);
            }
        }
    }

    fn unique(&self, pointer: &mut String, items: &[Value], findings: &mut Findings<'_>) {
        let mut seen = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(first) = seen.insert(item.to_string(), index) else { continue };
            findings.add(|| {
                Diagnostic::error("bad-value", format!("{} is listed twice", words::value(item)))
                    .at(self.file, &format!("{pointer}/{index}"), "again here")
                    .also(self.file, &format!("{pointer}/{first}"), "first here")
                    .help("keep one of the two")
            });
        }
    }

    fn size(
        &self,
        pointer: &str,
        size: usize,
        (what, least, most): (&str, Option<usize>, Option<usize>),
        findings: &mut Findings<'_>,
    ) {
        if let Some(least) = least.filter(|least| size < *least) {
            findings.add(|| {
                let message = format!("expected at least {}, found {size}", words::count(least, what));
                let help = if what == "item" { ", each beginning with `- `" } else { "" };
                let help = format!("add what is missing{help}");
                Diagnostic::error("too-few", message).at(self.file, pointer, "").help(help)
            });
        }
        if let Some(most) = most.filter(|most| size > *most) {
            findings.add(|| {
                let message = format!("expected at most {}, found {size}", words::count(most, what));
                Diagnostic::error("too-many", message).at(self.file, pointer, "")
            });
        }
    }

    fn text(&self, pointer: &str, text: &str, outline: &Outline<'s>, findings: &mut Findings<'_>) {
        for layer in &outline.layers {
            let length = text.chars().count();
            let least = limit(layer, "minLength").unwrap_or(0);
            let most = limit(layer, "maxLength").unwrap_or(usize::MAX);
            if length < least || length > most {
                findings.add(|| {
                    let message = if length == 0 {
                        "the text is empty".to_owned()
                    } else if length < least {
                        format!("expected at least {}, found {length}", words::count(least, "character"))
                    } else {
                        format!("expected at most {}, found {length}", words::count(most, "character"))
                    };
                    Diagnostic::error("bad-value", message).at(self.file, pointer, "")
                });
            } else if let Some(pattern) = self.broken_pattern(layer, text) {
                findings.add(|| words::bad_name(layer, text, pattern, "bad-value").at(self.file, pointer, ""));
            }
        }
    }

    fn number(&self, pointer: &str, number: &serde_json::Number, outline: &Outline<'s>, findings: &mut Findings<'_>) {
        let found = number.as_f64().unwrap_or(f64::NAN);
        for layer in &outline.layers {
            let bound = |keyword: &str| layer.get(keyword).filter(|bound| bound.is_number());
            let beyond = |keyword: &str, says: fn(f64, f64) -> bool| {
                bound(keyword).filter(|bound| bound.as_f64().is_some_and(|bound| !says(found, bound)))
            };
            let rules: [(Option<&Value>, &str); 5] = [
                (beyond("minimum", |found, bound| found >= bound), "at least"),
                (beyond("maximum", |found, bound| found <= bound), "at most"),
                (beyond("exclusiveMinimum", |found, bound| found > bound), "more than"),
                (beyond("exclusiveMaximum", |found, bound| found < bound), "less than"),
                (beyond("multipleOf", |found, bound| (found / bound).fract() == 0.0), "a multiple of"),
            ];
            let others = ["exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
            let help = match (layer.get("minimum"), layer.get("maximum")) {
                _ if others.iter().any(|keyword| layer.contains_key(*keyword)) => None,
                (Some(least), Some(most)) => Some(format!("write a number from {least} to {most}")),
                (Some(least), None) => Some(format!("write {least} or more")),
                (None, Some(most)) => Some(format!("write {most} or less")),
                (None, None) => None,
            };
            for (bound, says) in rules {
                if let Some(bound) = bound {
                    findings.add(|| {
                        let message = format!("expected {says} {bound}, found {number}");
                        let found = Diagnostic::error("bad-value", message).at(self.file, pointer, "");
                        Diagnostic { help: help.clone(), ..found }
                    });
                }
            }
        }
    }

    /// The layer's pattern, if the text does not match it.
    fn broken_pattern(&self, layer: &'s Map<String, Value>, text: &str) -> Option<&'s str> {
        let pattern = layer.get("pattern")?.as_str()?;
        (!self.matches(pattern, text)).then_some(pattern)
    }

    fn matches(&self, pattern: &'s str, text: &str) -> bool {
        let mut patterns = self.patterns.borrow_mut();
        let pattern = patterns.entry(pattern).or_insert_with(|| {
            let compiled = Regex::new(pattern);
            debug_assert!(compiled.is_ok(), "the schema has a pattern that is none: {pattern}");
            compiled.ok()
        });
        pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }

    /// Goes one step down, and back.
    fn step<T>(&self, pointer: &mut String, step: &str, visit: impl FnOnce(&mut String) -> T) -> T {
        let length = pointer.len();
        go_down(pointer, step);
        let result = visit(pointer);
        pointer.truncate(length);
        result
    }
}

/// The values that one schema object allows by `const` or `enum`.
fn own_choices(layer: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (layer.get("const"), layer.get("enum")) {
        (Some(only), _) => Some(vec![only]),
        (None, Some(Value::Array(choices))) => Some(choices.iter().collect()),
        _ => None,
    }
}

fn limit(layer: &Map<String, Value>, keyword: &str) -> Option<usize> {
    layer.get(keyword)?.as_u64().and_then(|limit| usize::try_from(limit).ok())
}
