//! `get`, `delete`, `find`: one record.

use serde_json::Value;

use crate::sandbox::document::Route;
use crate::sandbox::field::{comparable, same};
use crate::sandbox::refusal::No;
use crate::sandbox::turn::{Turn, plain};
use crate::sandbox::view::shown;

impl Turn<'_> {
    pub fn get(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        let record = self.target(object, route)?;
        self.check(&route.checks)?;
        Ok(Some(self.show(object, &record, route)?))
    }

    pub fn delete(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        let record = self.target(object, route)?;
        self.check(&route.checks)?;
        self.show(object, &record, route)?;
        let id = self.rules.id_of(object, &record);
        let changes = self.state.remove(self.rules, object, &id);
        self.changes.extend(changes);
        Ok(None)
    }

    /// By each field in order: the first record that has the value.
    pub fn find(&mut self, object: &str, route: &Route) -> Result<Option<Value>, No> {
        self.check(&route.checks)?;
        for (field, made) in route.by.iter() {
            let Some(value) = comparable(self.made(made)?.as_ref()) else { continue };
            let wheres = self.wheres(route)?;
            let wanted = [(field.to_owned(), vec![value.clone()])];
            let found = self.state.records.like(object, &wanted, false).map(|kept| &kept.value).find(|record| {
                comparable(record.get(field)).as_ref() == Some(&value)
                    && wheres.iter().all(|(field, value)| same(record.get(field), value))
            });
            if let Some(record) = found.cloned() {
                self.set("matched", Value::from(field));
                return Ok(Some(self.show(object, &record, route)?));
            }
        }
        Ok(None)
    }

    /// The record that the route's id names, with the route's `where`; it becomes `$.record`.
    pub fn target(&mut self, object: &str, route: &Route) -> Result<Value, No> {
        let id = match &route.id {
            Some(made) => self.made(made)?.map(|id| plain(&id)).unwrap_or_default(),
            None => self.roots["path"]
                .as_object()
                .and_then(|holes| holes.values().next_back())
                .map(plain)
                .unwrap_or_default(),
        };
        let wheres = self.wheres(route)?;
        let record = self.existing(object, &id)?;
        if wheres.iter().any(|(field, value)| !same(record.get(field), value)) {
            return Err(No::Named("not_found".to_owned()));
        }
        self.set("record", record.clone());
        Ok(record)
    }

    pub fn existing(&mut self, object: &str, id: &str) -> Result<Value, No> {
        self.set("object", Value::from(object));
        self.set("id", Value::from(id));
        let record = self.state.records.get(object, id).cloned();
        let record = record.ok_or_else(|| No::Named("not_found".to_owned()))?;
        self.set("named", record.clone());
        self.check(&self.rules.object(object).checks)?;
        Ok(record)
    }

    pub fn wheres(&mut self, route: &Route) -> Result<Vec<(String, Value)>, No> {
        let mut wheres = Vec::new();
        for (field, made) in route.r#where.iter() {
            wheres.extend(self.made(made)?.map(|value| (field.to_owned(), value)));
        }
        Ok(wheres)
    }

    /// The record as the route shows it, as `$.record`.
    pub fn show(&mut self, object: &str, record: &Value, route: &Route) -> Result<Value, No> {
        let shown = shown(self.rules, &self.state.settings, object, record, route.show.as_deref())?;
        self.set("record", shown.clone());
        Ok(shown)
    }
}
