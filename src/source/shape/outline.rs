//! All that holds for one value: references followed, alternatives chosen, verbs found, laid together.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::kinds::{HOPS_MAX, parts};
use super::{Check, words};

#[derive(Default)]
pub(super) struct Outline<'s> {
    /// Schema objects that hold together.
    pub layers: Vec<&'s Map<String, Value>>,
    /// What such a thing is called, e.g. `operation`.
    pub noun: Option<String>,
    /// If alternatives for this kind of value are nothing but a choice.
    pub choices: Option<Vec<&'s Value>>,
    pub verbs: Option<Verbs<'s>>,
    unions: Vec<&'s [Value]>,
}

/// Keys of which exactly one must be present, each with the schema that then holds.
pub(super) struct Verbs<'s> {
    pub all: Vec<(&'s str, &'s Value)>,
    /// In the order in which they are written.
    pub present: Vec<&'s str>,
}

impl<'s> Check<'s> {
    pub(super) fn outline(&self, value: &Value, schema: &'s Value) -> Outline<'s> {
        let mut outline = Outline::default();
        self.lay(schema, &mut outline, HOPS_MAX);
        let mut hops = HOPS_MAX;
        while let (Some(union), true) = (outline.unions.pop(), hops > 0) {
            hops -= 1;
            self.decide(value, union, &mut outline);
            self.find_verb(value, &mut outline);
        }
        self.find_verb(value, &mut outline);
        outline
    }

    fn lay(&self, schema: &'s Value, outline: &mut Outline<'s>, hops: usize) {
        let (Value::Object(layer), Some(hops)) = (schema, hops.checked_sub(1)) else { return };
        if outline.noun.is_none() {
            outline.noun = words::noun(layer);
        }
        outline.layers.push(layer);
        if let Some(target) = self.target(layer) {
            self.lay(target, outline, hops);
        }
        for part in parts(layer, "allOf") {
            self.lay(part, outline, hops);
        }
        // Verbs are a union too, said a second time for other readers of the schema.
        for union in ["anyOf", "oneOf"].into_iter().filter(|_| !layer.contains_key("x-verbs")) {
            if layer.contains_key(union) {
                outline.unions.push(parts(layer, union));
            }
        }
    }

    /// Chooses the alternative that the author most likely meant.
    fn decide(&self, value: &Value, union: &'s [Value], outline: &mut Outline<'s>) {
        let fitting: Vec<&Value> = union.iter().filter(|part| self.kinds(part).allow(value)).collect();
        let chosen = match fitting.as_slice() {
            [] => return,
            [only] => *only,
            several => {
                let choices: Option<Vec<_>> = several.iter().map(|part| self.choices(part)).collect();
                if let Some(choices) = choices {
                    outline.choices = Some(choices.concat());
                    return;
                }
                if let (Value::Object(entries), Some(all)) = (value, self.tagged(several)) {
                    self.set_verbs(entries, all, outline);
                    return;
                }
                let Some(best) = several.iter().max_by_key(|part| {
                    let findings = self.count(value, part);
                    // The first of equals: `max_by_key` would take the last.
                    let place = several.iter().position(|other| std::ptr::eq(*other, **part)).unwrap_or(0);
                    let known = value.as_object().map_or(0, |entries| self.known(entries, part));
                    (findings == 0, known, std::cmp::Reverse(findings), std::cmp::Reverse(place))
                }) else {
                    return;
                };
                *best
            }
        };
        self.lay(chosen, outline, HOPS_MAX);
    }

    /// Map alternatives as serde writes an enum, each with one key of its own: its tag is then the verb.
    fn tagged(&self, alternatives: &[&'s Value]) -> Option<Vec<(&'s str, &'s Value)>> {
        let mut tags = HashSet::new();
        let tag = |part: &&'s Value| {
            let properties = part.get("properties")?.as_object()?;
            let required = part.get("required")?.as_array()?;
            match (properties.keys().next(), required.as_slice(), properties.len()) {
                (Some(key), [required], 1) if required == key => Some((key.as_str(), *part)),
                _ => None,
            }
        };
        let all: Vec<_> = alternatives.iter().map(tag).collect::<Option<_>>()?;
        all.iter().all(|(tag, _)| tags.insert(*tag)).then_some(all)
    }

    /// How many of the keys an alternative knows, those that it requires twice.
    fn known(&self, entries: &Map<String, Value>, alternative: &'s Value) -> usize {
        let mut outline = Outline::default();
        self.lay(alternative, &mut outline, HOPS_MAX);
        let known = outline.layers.iter().flat_map(|layer| layer.get("properties")).filter_map(Value::as_object);
        let known = known.flat_map(Map::keys).filter(|key| entries.contains_key(*key)).count();
        let required = outline.layers.iter().flat_map(|layer| parts(layer, "required")).filter_map(Value::as_str);
        known + required.filter(|key| entries.contains_key(*key)).count()
    }

    fn find_verb(&self, value: &Value, outline: &mut Outline<'s>) {
        let Value::Object(entries) = value else { return };
        if outline.verbs.is_some() {
            return;
        }
        let Some(all) = outline.layers.iter().find_map(|layer| layer.get("x-verbs")?.as_object()) else { return };
        let all = all.iter().map(|(verb, schema)| (verb.as_str(), schema)).collect();
        self.set_verbs(entries, all, outline);
    }

    fn set_verbs(&self, entries: &Map<String, Value>, all: Vec<(&'s str, &'s Value)>, outline: &mut Outline<'s>) {
        let schemas: HashMap<&str, (&'s str, &'s Value)> = all.iter().map(|verb| (verb.0, *verb)).collect();
        let present: Vec<_> = entries.keys().filter_map(|key| schemas.get(key.as_str())).copied().collect();
        if let Some((_, schema)) = present.first() {
            self.lay(schema, outline, HOPS_MAX);
        }
        outline.verbs = Some(Verbs { all, present: present.iter().map(|(verb, _)| *verb).collect() });
    }

    /// The keys that a schema for maps names, and whether it allows no others.
    pub(super) fn keys(&self, schema: &'s Value) -> (Vec<&'s str>, bool) {
        let mut outline = Outline::default();
        self.lay(schema, &mut outline, HOPS_MAX);
        (outline.keys().collect(), outline.is_closed())
    }
}

impl<'s> Outline<'s> {
    /// The keys that the layers name.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'s str> {
        let properties = self.layers.iter().filter_map(|layer| layer.get("properties")?.as_object());
        properties.flat_map(|properties| properties.keys().map(String::as_str))
    }

    pub(super) fn is_closed(&self) -> bool {
        let closes = |keyword: &str| self.layers.iter().any(|layer| layer.get(keyword) == Some(&Value::Bool(false)));
        closes("additionalProperties") || closes("unevaluatedProperties")
    }
}
