//! `create`, `update`, `upsert`: what was sent becomes a record.

use serde_json::{Map, Value, json};

use crate::sandbox::document::{KeyedListRule, Route};
use crate::sandbox::field::{comparable, keep};
use crate::sandbox::refusal::No;
use crate::sandbox::turn::Turn;

impl Turn<'_> {
    pub fn create(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        let sent = self.input(Some(object), route)?;
        self.check(&route.checks)?;
        self.insert(object, route, sent)
    }

    pub fn update(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        let record = self.target(object, route)?;
        let sent = self.input(Some(object), route)?;
        self.check(&route.checks)?;
        self.overwrite(object, route, &record, sent, false)
    }

    pub fn upsert(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        let mut sent = self.input(Some(object), route)?;
        self.check(&route.checks)?;
        let always = route.always_create_if.as_ref().map(|test| self.holds(test)).transpose()?.unwrap_or(false);
        let found = if always { None } else { self.same_as(object, &sent, None)? };
        let Some((field, record)) = found else {
            self.set("created", Value::from(true));
            return self.insert(object, route, sent);
        };
        self.set("created", Value::from(false));
        self.set("matched", Value::from(field));
        sent.retain(|name, _| !route.create_only.contains(name));
        self.overwrite(object, route, &record, sent, true)
    }

    /// What the request writes, judged by the route's `takes` and `requires`, each value as it is kept.
    pub fn input(&mut self, object: Option<&str>, route: &Route) -> Result<Map<String, Value>, No> {
        let takes = route.takes.clone().unwrap_or_default();
        let body = match (&route.with, &self.roots["body"]) {
            (_, Value::Object(body)) => body.clone(),
            (None, _) if object.is_some() => return Err(No::Named("bad_body".to_owned())),
            _ => Map::new(),
        };
        let judged = object.is_some() && route.with.is_none() || route.takes.is_some();
        let none = super::super::document::ObjectRules::default();
        let described = object.map_or(&none, |object| self.rules.object(object));
        let country = body.get("country").and_then(Value::as_str).map(str::to_owned);
        let mut sent = Map::new();
        let mut found = Vec::new();
        for (name, value) in body.iter().filter(|_| judged) {
            let allowed = takes.only.as_ref().is_none_or(|only| only.contains(name)) && !takes.without.contains(name);
            let kind = described.fields.get(name).filter(|_| allowed);
            if let Some(kind) = takes.also.get(name) {
                if keep(kind, value, None).is_none() {
                    found.push(json!({ "problem": "wrong_kind", "field": name, "kind": kind }));
                }
            } else if let Some(kind) = kind {
                match keep(kind, value, country.as_deref()) {
                    Some(kept) => drop(sent.insert(name.clone(), kept)),
                    None => found.push(json!({ "problem": "wrong_kind", "field": name, "kind": kind })),
                }
            } else if takes.anything || described.fields.0.is_empty() && route.takes.is_none() {
                sent.insert(name.clone(), value.clone());
            } else {
                found.push(json!({ "problem": "unknown", "field": name }));
            }
        }
        for name in route.requires.iter().filter(|name| body.get(*name).is_none_or(Value::is_null)) {
            let kind = described.fields.get(name).or_else(|| takes.also.get(name));
            found.push(json!({ "problem": "missing", "field": name, "kind": kind }));
        }
        if !found.is_empty() {
            self.set("found", Value::from(found));
            return Err(No::Named("invalid".to_owned()));
        }
        if let Some(with) = &route.with {
            sent = self.made(with)?.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        }
        for (name, made) in route.set.iter() {
            if let Some(value) = self.made(made)? {
                sent.insert(name.to_owned(), value);
            }
        }
        Ok(sent)
    }

    fn insert(&mut self, object: &str, route: &Route, sent: Map<String, Value>) -> Result<Option<Value>, No> {
        self.refuse_duplicate(object, &sent, None)?;
        let record = self.fresh(object, sent)?;
        let id = self.rules.id_of(object, &record);
        let change = self.state.records.insert(object, &id, record.clone(), self.now);
        self.changes.push(change.ok_or_else(|| No::Named("full".to_owned()))?);
        Ok(Some(self.show(object, &record, route)?))
    }

    /// A whole record of what was given: id, what is new, what every write sets.
    pub fn fresh(&mut self, object: &str, mut sent: Map<String, Value>) -> Result<Value, No> {
        let described = self.rules.object(object);
        self.merge_keyed(object, &Map::new(), &mut sent);
        let mut record = Map::new();
        let id_field = self.rules.id_field(object);
        let id = sent.remove(id_field).filter(|id| !id.is_null());
        let id = id.unwrap_or_else(|| Value::from(self.state.random.id(self.rules.id_form(object))));
        record.insert(id_field.to_owned(), id);
        record.extend(sent.into_iter().filter(|(_, value)| !value.is_null()));
        for (name, made) in described.new.iter() {
            self.set("record", Value::Object(record.clone()));
            if let (false, Some(value)) = (record.contains_key(name), self.made(made)?) {
                record.insert(name.to_owned(), value);
            }
        }
        for (name, made) in described.touch.iter() {
            if let (false, Some(value)) = (record.contains_key(name), self.made(made)?) {
                record.insert(name.to_owned(), value);
            }
        }
        Ok(Value::Object(record))
    }

    /// The record with what was sent laid over it; null clears.
    pub fn overwrite(
        &mut self,
        object: &str,
        route: &Route,
        record: &Value,
        mut sent: Map<String, Value>,
        yielding: bool,
    ) -> Result<Option<Value>, No> {
        let id = self.rules.id_of(object, record);
        if yielding {
            while let Some((field, _)) = self.same_as(object, &sent, Some(&id))? {
                sent.remove(&field);
            }
        } else {
            self.refuse_duplicate(object, &sent, Some(&id))?;
        }
        let mut fields = record.as_object().cloned().unwrap_or_default();
        self.merge_keyed(object, &fields, &mut sent);
        for (name, value) in sent {
            if value.is_null() {
                fields.remove(&name);
            } else {
                fields.insert(name, value);
            }
        }
        for (name, made) in self.rules.object(object).touch.iter() {
            if let Some(value) = self.made(made)? {
                fields.insert(name.to_owned(), value);
            }
        }
        let record = Value::Object(fields);
        self.changes.extend(self.state.records.replace(object, &id, record.clone(), self.now));
        Ok(Some(self.show(object, &record, route)?))
    }

    fn refuse_duplicate(&mut self, object: &str, sent: &Map<String, Value>, but: Option<&str>) -> Result<(), No> {
        if let Some(test) = &self.rules.object(object).duplicates_allowed
            && self.holds(test)?
        {
            return Ok(());
        }
        let Some((field, existing)) = self.same_as(object, sent, but)? else { return Ok(()) };
        self.set("matched", Value::from(field));
        self.set("existing", existing);
        Err(No::Named("duplicate".to_owned()))
    }

    /// The first unique field whose value another record has, and that record.
    fn same_as(
        &mut self,
        object: &str,
        sent: &Map<String, Value>,
        but: Option<&str>,
    ) -> Result<Option<(String, Value)>, No> {
        let described = self.rules.object(object);
        let Some(unique) = &described.unique else { return Ok(None) };
        let unique = self.made(unique)?;
        for field in unique.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let Some(value) = comparable(sent.get(field)) else { continue };
            let wanted = [(field.to_owned(), vec![value.clone()])];
            let found = self.state.records.like(object, &wanted, false).map(|kept| &kept.value).find(|record| {
                comparable(record.get(field)).as_ref() == Some(&value)
                    && but != Some(self.rules.id_of(object, record).as_str())
                    && described.unique_within.iter().all(|field| match sent.get(field) {
                        Some(value) => record.get(field) == Some(value),
                        None => true,
                    })
            });
            if let Some(record) = found {
                return Ok(Some((field.to_owned(), record.clone())));
            }
        }
        Ok(None)
    }

    /// Keyed lists are written item by item: what was not sent stays.
    fn merge_keyed(&self, object: &str, kept: &Map<String, Value>, sent: &mut Map<String, Value>) {
        for (name, list) in self.rules.object(object).keyed_lists.iter() {
            let Some(Value::Array(items)) = sent.get(name) else { continue };
            let mut all = kept.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            for item in items {
                let Some(key) = self.key_of(list, item) else { continue };
                let value = list.written_as.iter().find_map(|name| item.get(name)).or_else(|| item.get(&list.value));
                let value = value.cloned().unwrap_or(Value::Null);
                all.retain(|other| other[&list.key] != key);
                if !value.is_null() {
                    all.push(json!({ list.key.clone(): key, list.value.clone(): value }));
                }
            }
            sent.insert(name.to_owned(), Value::from(all));
        }
    }

    fn key_of(&self, list: &KeyedListRule, item: &Value) -> Option<Value> {
        if let Some(key) = item.get(&list.key) {
            return Some(key.clone());
        }
        let named = list.named.as_ref()?;
        let given = item.get(&named.by)?.as_str()?;
        let short = |text: &str| text.strip_prefix(&named.strip).unwrap_or(text).to_owned();
        let mut all = self.state.records.all(&named.object);
        let found = all.find(|record| record[&named.field].as_str().map(short) == Some(short(given)))?;
        Some(Value::from(self.rules.id_of(&named.object, found)))
    }
}
