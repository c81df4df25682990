//! The override that would fit what was seen.

use serde_json::{Map, Value};

use crate::connector::yaml::{LINES, comment, is_data, write};
use crate::connector::{Object, Operation};

const HEAD: &str = "\
# yaml-language-server: $schema=../schemas/connector.schema.json
#
# Suggested by `dovetail connector probe` from what the account answered. Read it before you rely on it: lines that begin
# with \"Guessed\" say what the answers do not. Probe again once it is in place: that shows whether a guess is right.

";

/// Lines to lay over a connector.
#[derive(Clone, Debug, Default)]
pub struct Override {
    document: Map<String, Value>,
}

impl Override {
    pub fn is_empty(&self) -> bool {
        self.document.keys().all(|key| !is_data(key))
    }

    /// The document's text.
    pub fn text(&self, connector: &str) -> String {
        let mut document = Map::from_iter([("connector".to_owned(), Value::from(connector))]);
        document.extend(self.document.clone());
        format!("{HEAD}{}", write(&document))
    }

    /// A key of the connector itself, with a remark if there is one.
    pub(super) fn top(&mut self, key: &str, value: Value, remark: &str) {
        if !remark.is_empty() {
            comment(&mut self.document, key, remark);
        }
        self.document.insert(key.into(), value);
    }

    /// A key of an operation.
    pub(super) fn set(&mut self, operation: &Operation, key: &str, value: Value) {
        if let Some(map) = self.operation(operation) {
            lay(map, key, value);
        }
    }

    /// A remark above a key of an operation.
    pub(super) fn remark(&mut self, operation: &Operation, key: &str, text: &str) {
        if let Some(map) = self.operation(operation) {
            comment(map, key, text);
        }
    }

    fn operation(&mut self, operation: &Operation) -> Option<&mut Map<String, Value>> {
        let object = operation.object.as_deref()?;
        self.map(&["objects", object, "operations", operation.short_name()])
    }

    /// A key below an object.
    pub(super) fn put(&mut self, object: &Object, steps: &[String], value: Value) {
        let Some((key, way)) = steps.split_last() else { return };
        let way: Vec<&str> = ["objects", &object.name].into_iter().chain(way.iter().map(String::as_str)).collect();
        if let Some(map) = self.map(&way) {
            lay(map, key, value);
        }
    }

    fn map(&mut self, way: &[&str]) -> Option<&mut Map<String, Value>> {
        let mut here = &mut self.document;
        for (depth, name) in way.iter().enumerate() {
            let next = here.entry(*name).or_insert_with(|| {
                // Objects and their operations stand in lines of their own.
                let lines = if depth < 2 { vec![(LINES.to_owned(), Value::Bool(true))] } else { Vec::new() };
                Value::Object(lines.into_iter().collect())
            });
            here = next.as_object_mut()?;
        }
        Some(here)
    }
}

/// Maps come together, anything else is put in place.
fn lay(map: &mut Map<String, Value>, key: &str, value: Value) {
    match (map.get_mut(key), value) {
        (Some(Value::Object(below)), Value::Object(over)) => {
            over.into_iter().for_each(|(key, value)| lay(below, &key, value));
        }
        (_, value) => drop(map.insert(key.to_owned(), value)),
    }
}
