//! From the record as kept to the record as shown.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::document::{ObjectRules, View};
use super::key::Key;
use super::record::RECORDS_MAX;
use super::rules::Rules;
use super::shelf::Kept;

/// Lists that are remembered, each in an order of its own.
const LISTS_MAX: usize = 32;

/// A record as a list shows it.
#[derive(Debug)]
pub struct Row {
    /// By which it is sorted: its cursor, too.
    pub keys: Vec<Key>,
    pub value: Value,
}

/// Records as they were shown last, so that a list need not make each of them anew. Settings may show in them: a change
/// of settings empties it.
#[derive(Debug, Default)]
pub struct Shown(HashMap<String, HashMap<u64, (u64, Arc<Row>)>>);

impl Shown {
    /// Each record as shown, from memory if it has not changed since. `order`: (field, descending) by weight.
    ///
    /// # Errors
    /// As [`shown`].
    pub fn all<'a>(
        &mut self,
        rules: &Rules,
        settings: &Map<String, Value>,
        object: &str,
        records: impl Iterator<Item = &'a Kept>,
        view: Option<&str>,
        order: &[(String, bool)],
    ) -> Result<Vec<Arc<Row>>, String> {
        if self.0.len() > LISTS_MAX {
            self.0.clear();
        }
        let known = self.0.entry(format!("{object} {} {order:?}", view.unwrap_or_default())).or_default();
        if known.len() > 2 * RECORDS_MAX {
            known.clear();
        }
        let mut all = Vec::new();
        for kept in records {
            match known.get(&kept.sequence) {
                Some((version, row)) if *version == kept.version => all.push(Arc::clone(row)),
                _ => {
                    let value = shown(rules, settings, object, &kept.value, view)?;
                    let row = Arc::new(Row { keys: keys(rules, object, order, &value), value });
                    known.insert(kept.sequence, (kept.version, Arc::clone(&row)));
                    all.push(row);
                }
            }
        }
        Ok(all)
    }
}

/// The id decides between those that weigh the same.
fn keys(rules: &Rules, object: &str, order: &[(String, bool)], record: &Value) -> Vec<Key> {
    let described = rules.object(object);
    let mut keys: Vec<Key> = order.iter().map(|(field, _)| Key::of(at(record, field, described))).collect();
    keys.push(Key::Text(rules.id_of(object, record)));
    keys
}

/// # Errors
/// The sandbox file's expressions are wrong.
pub fn shown(
    rules: &Rules,
    settings: &Map<String, Value>,
    object: &str,
    record: &Value,
    view: Option<&str>,
) -> Result<Value, String> {
    let described = rules.object(object);
    let view = match view {
        Some(name) => {
            let found = described.views.get(name);
            Some(found.ok_or_else(|| format!("object `{object}` has no view `{name}`"))?)
        }
        None => described.views.get("default"),
    };
    let mut fields = record.as_object().cloned().unwrap_or_default();
    if described.computed.0.is_empty() && view.is_none() {
        return Ok(Value::Object(fields));
    }
    let mut roots = json!({ "record": record, "vars": rules.document.vars, "settings": settings });
    for (name, made) in described.computed.iter() {
        if let Some(value) = made.eval(&roots)? {
            fields.insert(name.to_owned(), value.clone());
            roots["record"][name] = value;
        }
    }
    if let Some(view) = view {
        through(view, &mut fields, &roots)?;
    }
    Ok(Value::Object(fields))
}

fn through(view: &View, fields: &mut Map<String, Value>, roots: &Value) -> Result<(), String> {
    for (from, to) in view.rename.iter() {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.clone(), value);
        }
    }
    for name in &view.without {
        fields.remove(name);
    }
    if let Some(only) = &view.only {
        fields.retain(|name, _| only.contains(name));
    }
    for name in &view.nulls {
        fields.entry(name.clone()).or_insert(Value::Null);
    }
    for (name, made) in view.add.iter() {
        if let Some(value) = made.eval(roots)? {
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

/// The value at a dotted name; a keyed list is looked up by key: `customFields.ID`.
pub fn at<'a>(record: &'a Value, name: &str, described: &ObjectRules) -> Option<&'a Value> {
    if let Some(value) = record.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    let value = record.get(first)?;
    let Some(list) = described.keyed_lists.get(first) else {
        return at(value, rest, described);
    };
    let (key, below) = rest.split_once('.').map_or((rest, None), |(key, below)| (key, Some(below)));
    let item = value.as_array()?.iter().find(|item| item[&list.key].as_str() == Some(key))?;
    let value = item.get(&list.value)?;
    below.map_or(Some(value), |below| value.get(below))
}
