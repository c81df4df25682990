//! A list of `{key, value}` that recipes see as a map (`custom.quiz_score`), both ways.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{address::scalar, field};
use crate::expr::{Condition, Locale, Path, Scope};
use crate::source::nearest;

/// A list of `{key, value}` that recipes see as a map (`custom.quiz_score`).
#[derive(Debug)]
pub struct KeyedList {
    /// The map's name in recipes.
    pub name: String,
    /// The list's field at the vendor.
    pub at: String,
    /// Full name of the list operation that gives the names of keys, if they must be asked for.
    pub names_from: Option<String>,
    /// A connection setting that maps the vendor's keys to names.
    pub names_setting: Option<String>,
    pub(super) key: Path,
    pub(super) value: Path,
    /// Plain names of key and value in a write; None: the list is for reading only.
    pub(super) write: Option<(String, String)>,
    pub(super) only_if: Option<Condition>,
    /// In a record that names a key: the name, and what it begins with and recipes leave out.
    pub(super) name_path: Option<Path>,
    pub(super) strip: Option<String>,
}

impl KeyedList {
    /// Adds the map to a record, if it has the list. A list that holds other things too (`only_if`) stays beside it.
    pub(super) fn lift(&self, record: &mut Map<String, Value>, names: Option<&BTreeMap<String, String>>) {
        let items = match field::take(record, &self.at) {
            Some(Value::Array(items)) => items,
            Some(other) => {
                put_back(record, &self.at, other);
                return;
            }
            None => return,
        };
        let mut map = Map::new();
        for item in items.iter().filter(|item| self.takes(item)) {
            let Some(key) = self.key.get_in(item).as_ref().and_then(scalar) else { continue };
            let name = names.and_then(|names| names.get(&key)).cloned().unwrap_or(key);
            let value = self.value.get_in(item).unwrap_or(Value::Null);
            let known = map.entry(name).or_insert(Value::Null);
            if known.is_null() {
                *known = value;
            }
        }
        if self.only_if.is_some() || self.at == self.name {
            put_back(record, &self.at, Value::Array(items));
        }
        record.insert(self.name.clone(), Value::Object(map));
    }

    fn takes(&self, item: &Value) -> bool {
        let locale = Locale::default();
        let scope = Scope::new(item, &locale);
        self.only_if.as_ref().is_none_or(|condition| condition.holds(&scope).unwrap_or(false))
    }

    /// The map as items of the list.
    ///
    /// # Errors
    /// A name that no key has; a list that is for reading only.
    pub(super) fn lower(&self, map: &Value, names: Option<&BTreeMap<String, String>>) -> Result<Vec<Value>, String> {
        let Value::Object(map) = map else { return Err(format!("`{}` must be a map of names and values", self.name)) };
        let Some((key_field, value_field)) = &self.write else {
            return Err(format!("`{}` can only be read", self.name));
        };
        let mut items = Vec::new();
        for (name, value) in map {
            let key = match names {
                None => name.clone(),
                Some(names) => match names.iter().find(|(_, known)| *known == name) {
                    Some((key, _)) => key.clone(),
                    None if names.contains_key(name) => name.clone(),
                    None => return Err(self.unknown(name, names)),
                },
            };
            items.push(json!({ key_field: key, value_field: value }));
        }
        Ok(items)
    }

    fn unknown(&self, name: &str, names: &BTreeMap<String, String>) -> String {
        let near = nearest(name, names.values().map(String::as_str));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{}.{near}`?", self.name));
        format!("`{}.{name}` is not known to this account{hint}", self.name)
    }

    /// Does the list read what a reference such as `answers.asked` puts into its items?
    pub fn needs(&self, reference: &str) -> bool {
        let Some(name) = reference.strip_prefix(&self.at).and_then(|rest| rest.strip_prefix('.')) else { return false };
        let reads = [&self.key, &self.value].into_iter().map(Path::read);
        let reads = reads.chain(self.only_if.iter().flat_map(Condition::reads));
        reads.into_iter().any(|read| read.names.first().is_some_and(|first| first == name))
    }

    /// Key → name, from an account's own settings; None if they do not say it.
    pub fn names_in(&self, settings: &Value) -> Option<BTreeMap<String, String>> {
        let known = settings.get(self.names_setting.as_ref()?)?.as_object()?;
        Some(known.iter().filter_map(|(key, name)| Some((key.clone(), name.as_str()?.to_owned()))).collect())
    }

    /// Key → name, from the records of `names_from`. Of two keys with one name the first has it.
    pub fn names_of(&self, records: &[Value]) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        let Some(path) = &self.name_path else { return names };
        for record in records {
            let key = self.key.get_in(record).as_ref().and_then(scalar);
            let name = path.get_in(record).as_ref().and_then(scalar);
            if let (Some(key), Some(name)) = (key, name) {
                let prefix = self.strip.as_deref().unwrap_or_default();
                let name = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(&name).to_owned();
                if !names.values().any(|known| *known == name) {
                    names.insert(key, name);
                }
            }
        }
        names
    }
}

fn put_back(record: &mut Map<String, Value>, at: &str, value: Value) {
    // It was there a moment ago, so that nothing is in its way.
    let _ = field::put(record, &field::names(at), value);
}
