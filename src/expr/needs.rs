//! What an expression reads, as a tree: only this is copied for an engine that must have values of its own, so that whoever
//! reads one field of a large record pays for one field.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Scope;

#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    below: BTreeMap<String, Needs>,
    /// The value itself is read, not only a part of it.
    whole: bool,
}

impl Needs {
    /// Of each read the names that lead to it, a root's first.
    pub fn of_reads<'n>(reads: impl IntoIterator<Item = &'n [String]>) -> Needs {
        let mut needs = Needs::default();
        reads.into_iter().for_each(|names| needs.add(names));
        needs
    }

    pub fn add(&mut self, names: &[String]) {
        match names.split_first() {
            Some((first, rest)) => self.below.entry(first.clone()).or_default().add(rest),
            None => self.whole = true,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.below.is_empty()
    }

    /// The names of the roots that are read.
    pub fn roots(&self) -> impl Iterator<Item = &str> {
        self.below.keys().map(String::as_str)
    }

    /// As far as it is there.
    pub fn of_scope(&self, scope: &Scope<'_>) -> Map<String, Value> {
        self.fields(|name, needs| match !needs.whole && scope.is_in_parts(name) {
            true => Some(Value::Object(needs.fields(|field, needs| Some(needs.of(scope.field(name, field)?))))),
            false => Some(needs.of(scope.root(name)?)),
        })
    }

    fn of(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) if !self.whole => {
                Value::Object(self.fields(|name, needs| Some(needs.of(fields.get(name)?))))
            }
            other => other.clone(),
        }
    }

    fn fields(&self, read: impl Fn(&str, &Needs) -> Option<Value>) -> Map<String, Value> {
        self.below.iter().filter_map(|(name, needs)| Some((name.clone(), read(name, needs)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expr::Locale;

    #[test]
    fn only_what_is_read_is_copied() {
        let names = |text: &str| text.split('.').map(String::from).collect::<Vec<_>>();
        let reads = ["contact.name", "vars.list", "gone.x", "event", "event.id"].map(names);
        let data = json!({
            "contact": { "name": "Ada", "notes": ["long"] }, "vars": { "list": [1, 2], "x": 1 },
            "event": { "id": 1, "kind": "paid" }, "inputs": 1,
        });
        let copied = Needs::of_reads(reads.iter().map(Vec::as_slice)).of_scope(&Scope::new(&data, &Locale::default()));
        let expected = json!({
            "contact": { "name": "Ada" }, "vars": { "list": [1, 2] }, "event": { "id": 1, "kind": "paid" },
        });
        assert_eq!(Value::Object(copied), expected);
    }
}
