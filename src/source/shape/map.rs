//! Maps: keys that must, may and may not be there, and the one verb among them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::outline::{Outline, Verbs};
use super::{Check, Findings, limit, words};
use crate::source::refusal::short;
use crate::source::{Diagnostic, nearest};

impl<'s> Check<'s> {
    pub(super) fn map(
        &self,
        pointer: &mut String,
        entries: &Map<String, Value>,
        outline: &Outline<'s>,
        findings: &mut Findings<'_>,
    ) {
        let known = Known::new(self, entries, outline);
        let mistyped = self.verbs(pointer, entries, outline, &known, findings);
        let mut meant = Vec::new();
        for (key, value) in entries {
            let mut is_known = known.keys.contains_key(key.as_str());
            let named = outline.layers.iter().filter_map(|layer| layer.get("properties")?.get(key));
            let patterns = outline.layers.iter().filter_map(|layer| layer.get("patternProperties")?.as_object());
            let matched =
                patterns.flatten().filter(|(pattern, _)| self.matches(pattern, key)).map(|(_, schema)| schema);
            let mut schemas: Vec<&'s Value> = named.chain(matched).collect();
            is_known |= !schemas.is_empty();
            if !is_known {
                schemas.extend(outline.layers.iter().filter_map(|layer| layer.get("additionalProperties")));
                schemas.retain(|schema| schema.is_object());
                is_known = !schemas.is_empty() || !known.closed;
            }
            if !is_known {
                if mistyped != Some(key.as_str()) {
                    meant.extend(known.nearest(key));
                    findings.add(|| self.unknown_key(pointer, key, outline, &known));
                }
                continue;
            }
            self.key_name(pointer, key, outline, findings);
            self.step(pointer, key, |pointer| {
                for schema in schemas {
                    self.value(pointer, value, schema, findings);
                }
            });
        }
        self.required(pointer, entries, outline, &meant, findings);
        for layer in &outline.layers {
            let sizes = ("key", limit(layer, "minProperties"), limit(layer, "maxProperties"));
            self.size(pointer, entries.len(), sizes, findings);
        }
    }

    /// Tells of no verb, or of several. Returns the key that was most likely meant as the verb.
    fn verbs<'e>(
        &self,
        pointer: &str,
        entries: &'e Map<String, Value>,
        outline: &Outline<'s>,
        known: &Known<'s, '_>,
        findings: &mut Findings<'_>,
    ) -> Option<&'e str> {
        let Verbs { all, present } = outline.verbs.as_ref()?;
        let noun = outline.noun.as_deref();
        match present.as_slice() {
            [] => {
                let mut unknown = entries.keys().map(String::as_str).filter(|key| !known.keys.contains_key(key));
                let verbs = || all.iter().map(|(verb, _)| *verb);
                let near = unknown.clone().find_map(|key| Some((key, Some(nearest(key, verbs())?))));
                let mistyped = near.or_else(|| Some((unknown.next()?, None)));
                findings.add(|| {
                    let row = words::row(verbs());
                    let message = match noun {
                        Some(noun) => format!("{} needs one of {row}", words::with_article(noun)),
                        None => format!("expected one of the keys {row}"),
                    };
                    let found = Diagnostic::error("no-verb", message);
                    let help = || {
                        let example = all.first().map_or("", |(verb, _)| *verb);
                        format!("say with one of these keys what it does, such as `{example}: …`")
                    };
                    match mistyped {
                        Some((key, near)) => {
                            let found = self.step(&mut pointer.to_owned(), key, |pointer| {
                                found.at_key(self.file, pointer, "none of these")
                            });
                            found.help(near.map_or_else(help, |verb| format!("did you mean `{verb}`?")))
                        }
                        None => self.at_first_key(found, pointer, entries, "none of these is here").help(help()),
                    }
                });
                mistyped.map(|(key, _)| key)
            }
            [_] => None,
            [first, others @ ..] => {
                for other in others {
                    findings.add(|| {
                        let noun = noun.unwrap_or("map");
                        let message = format!("`{first}` and `{other}` stand in one {noun}");
                        let mut found = Diagnostic::error("two-verbs", message);
                        found.related.push(self.step(&mut pointer.to_owned(), first, |pointer| {
                            self.file.label(self.file.key_span(pointer), "the first")
                        }));
                        self.step(&mut pointer.to_owned(), other, |pointer| {
                            found.at_key(self.file, pointer, "the second")
                        })
                        .help(
                            match outline.layers.iter().find_map(|layer| layer.get("x-one")?.as_str()) {
                                Some(help) => format!("keep one of the two; {help}"),
                                None => format!("keep one of the two, or make two {noun}s of it"),
                            },
                        )
                    });
                }
                None
            }
        }
    }

    fn unknown_key(&self, pointer: &str, key: &str, outline: &Outline<'s>, known: &Known<'s, '_>) -> Diagnostic {
        let at = |found: Diagnostic, label: String| {
            self.step(&mut pointer.to_owned(), key, |pointer| found.at_key(self.file, pointer, label))
        };
        let verb = outline.verbs.as_ref().and_then(|verbs| verbs.present.first());
        if let (Some(verbs), Some(verb)) = (&outline.verbs, verb) {
            let others = verbs.all.iter().filter(|(_, schema)| self.keys(schema).0.contains(&key));
            let others: Vec<&str> = others.map(|(other, _)| *other).collect();
            if !others.is_empty() {
                let message = format!("`{}` belongs to {}", short(key), words::list(others.iter().copied(), "and"));
                let help = format!("remove it, or use `{}` instead of `{verb}`", others[0]);
                return at(Diagnostic::error("unknown-key", message), format!("not a key of `{verb}`")).help(help);
            }
        }
        let label = match (verb, outline.noun.as_deref()) {
            (Some(verb), _) => format!("not a key of `{verb}`"),
            (None, Some(noun)) => format!("not a key of {}", words::with_article(noun)),
            (None, None) => "not a key here".to_owned(),
        };
        let found = at(Diagnostic::error("unknown-key", format!("unknown key `{}`", short(key))), label);
        match known.nearest(key) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => known.help(found),
        }
    }

    fn required(
        &self,
        pointer: &str,
        entries: &Map<String, Value>,
        outline: &Outline<'s>,
        meant: &[&str],
        findings: &mut Findings<'_>,
    ) {
        let required = outline.layers.iter().filter_map(|layer| layer.get("required")?.as_array()).flatten();
        let mut told: Vec<&str> = Vec::new();
        for key in required.filter_map(Value::as_str) {
            // A mistyped key is told once, as what it is.
            if entries.contains_key(key) || meant.contains(&key) || told.contains(&key) {
                continue;
            }
            told.push(key);
            findings.add(|| {
                let label = outline.noun.as_deref().map_or(String::new(), |noun| format!("this {noun} has none"));
                let found = Diagnostic::error("missing-key", format!("missing key `{key}`"));
                let found = self.at_first_key(found, pointer, entries, &label);
                let about = outline.layers.iter().find_map(|layer| layer.get("properties")?.get(key));
                match about.and_then(|schema| schema.get("description")?.as_str()).map(words::first_sentence) {
                    Some(about) => found.help(format!("add `{key}`: {about}")),
                    None => found.help(format!("add `{key}: …`")),
                }
            });
        }
    }

    fn key_name(&self, pointer: &mut String, key: &str, outline: &Outline<'s>, findings: &mut Findings<'_>) {
        for layer in &outline.layers {
            let Some(names) = layer.get("propertyNames") else { continue };
            if let Some(choices) = self.choices(names) {
                let choices: Vec<&str> = choices.iter().filter_map(|choice| choice.as_str()).collect();
                if !choices.contains(&key) {
                    findings.add(|| {
                        let choices = choices.iter().copied();
                        let message =
                            format!("expected {} as key, found `{}`", words::list(choices.clone(), "or"), short(key));
                        let found = Diagnostic::error("unknown-key", message).nearest(key, choices);
                        self.step(pointer, key, |pointer| found.at_key(self.file, pointer, "not one of these"))
                    });
                }
            }
            for names in &self.outline(&Value::Null, names).layers {
                if let Some(pattern) = self.broken_pattern(names, key) {
                    let named = if names.contains_key("x-name") { *names } else { *layer };
                    findings.add(|| {
                        let found = words::bad_name(named, key, pattern, "bad-name");
                        self.step(pointer, key, |pointer| found.at_key(self.file, pointer, ""))
                    });
                }
            }
        }
    }

    /// Findings about what is absent point at the map's first key, since the map itself is many lines.
    fn at_first_key(&self, found: Diagnostic, pointer: &str, entries: &Map<String, Value>, label: &str) -> Diagnostic {
        match entries.keys().next() {
            Some(first) => self.step(&mut pointer.to_owned(), first, |pointer| found.at_key(self.file, pointer, label)),
            None => found.at(self.file, pointer, label),
        }
    }
}

/// The keys that a map may have.
struct Known<'s, 'e> {
    /// In the order of the schema.
    keys: HashMap<&'s str, usize>,
    closed: bool,
    entries: &'e Map<String, Value>,
}

impl<'s, 'e> Known<'s, 'e> {
    fn new(check: &Check<'s>, entries: &'e Map<String, Value>, outline: &Outline<'s>) -> Self {
        let mut known = Self { keys: HashMap::new(), closed: outline.is_closed(), entries };
        known.add(outline.keys());
        if let Some(verbs) = &outline.verbs {
            // Without a verb any of them may be meant; with two, the keys of both are the smaller mistake.
            for (verb, schema) in &verbs.all {
                if verbs.present.is_empty() || verbs.present.contains(verb) {
                    let (keys, closed) = check.keys(schema);
                    known.add(std::iter::once(*verb));
                    known.add(keys.into_iter());
                    known.closed |= closed;
                }
            }
        }
        known
    }

    fn add(&mut self, keys: impl Iterator<Item = &'s str>) {
        for key in keys {
            let place = self.keys.len();
            self.keys.entry(key).or_insert(place);
        }
    }

    fn in_order(&self) -> Vec<&'s str> {
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_by_key(|(_, place)| **place);
        keys.into_iter().map(|(key, _)| *key).collect()
    }

    /// The key that was meant: rather one that is not there yet.
    fn nearest(&self, key: &str) -> Option<&'s str> {
        let keys = self.in_order();
        let absent = keys.iter().copied().filter(|key| !self.entries.contains_key(*key));
        nearest(key, absent).or_else(|| nearest(key, keys.iter().copied()))
    }

    fn help(&self, found: Diagnostic) -> Diagnostic {
        const LISTED: usize = 24;
        match self.in_order().as_slice() {
            [] => found.help("remove it"),
            keys if keys.len() <= LISTED => {
                let keys = words::list(keys.iter().copied(), "or");
                found.help(format!("remove it, or use {keys}"))
            }
            _ => found,
        }
    }
}
