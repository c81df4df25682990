//! Changes that no request of a client makes: what is there at the start, and what the vendor's own people do.

use serde_json::{Map, Value, json};

use super::clock::written;
use super::document::Route;
use super::record::Change;
use super::refusal::No;
use super::rules::Rules;
use super::state::State;
use super::turn::Turn;
use super::vendor::judge_url;
use super::view::Shown;
use crate::expr::parse_duration;

impl State {
    /// The records of the sandbox file, or those given instead, without webhooks.
    ///
    /// # Errors
    /// One sentence.
    pub fn fill(&mut self, rules: &Rules, data: Option<&Value>) -> Result<(), String> {
        let given = data.and_then(Value::as_object);
        for (object, records) in rules.document.records.iter() {
            if given.is_none_or(|given| !given.contains_key(object)) {
                for record in records {
                    self.insert(rules, object, record)?;
                }
            }
        }
        for (object, records) in given.into_iter().flatten() {
            for record in records.as_array().ok_or_else(|| format!("the records of `{object}` are no list"))? {
                self.insert(rules, object, record)?;
            }
        }
        self.records.writes = 0;
        Ok(())
    }

    /// # Errors
    /// One sentence: no such object, no map, an id that is taken.
    pub fn insert(&mut self, rules: &Rules, object: &str, record: &Value) -> Result<Change, String> {
        if rules.document.objects.get(object).is_none() {
            let known: Vec<&str> = rules.document.objects.iter().map(|(name, _)| name).collect();
            return Err(format!("there is no object `{object}`; there are {}", known.join(", ")));
        }
        let fields = record.as_object().ok_or("a record is a map of fields")?.clone();
        let now = self.clock.now();
        let record = self.turn(rules).fresh(object, fields).map_err(told)?;
        let id = rules.id_of(object, &record);
        let change = self.records.insert(object, &id, record, now);
        change.ok_or_else(|| format!("there is a `{object}` with the id `{id}` already, or no room for more"))
    }

    /// Lays fields over a record; null clears.
    ///
    /// # Errors
    /// One sentence: no such record.
    pub fn change(&mut self, rules: &Rules, object: &str, id: &str, fields: &Value) -> Result<Change, String> {
        let record = self.records.get(object, id).cloned();
        let record = record.ok_or_else(|| format!("there is no `{object}` with the id `{id}`"))?;
        let fields = fields.as_object().ok_or("a change is a map of fields")?.clone();
        let mut turn = self.turn(rules);
        turn.overwrite(object, &Route::default(), &record, fields, true).map_err(told)?;
        turn.changes.pop().ok_or_else(|| "nothing was changed".to_owned())
    }

    /// The record, and with it, silently, all that lives under it.
    pub fn remove(&mut self, rules: &Rules, object: &str, id: &str) -> Option<Change> {
        let now = self.clock.now();
        let change = self.records.remove(object, id, now)?;
        for (child, described) in rules.document.objects.iter() {
            let Some(parent) = described.parent.as_ref().filter(|parent| parent.object == object) else { continue };
            let below = self.records.all(child).filter(|record| record[&parent.field].as_str() == Some(id));
            let below: Vec<String> = below.map(|record| rules.id_of(child, record)).collect();
            for id in below {
                self.remove(rules, child, &id);
            }
        }
        Some(change)
    }

    /// # Errors
    /// One sentence: an unknown setting, or a value that it cannot have.
    pub fn set(&mut self, rules: &Rules, given: &Map<String, Value>) -> Result<(), String> {
        let profiles: Vec<&str> = rules.document.limits.profiles.iter().map(|(name, _)| name).collect();
        for (name, value) in given {
            let text = value.as_str().unwrap_or_default();
            match name.as_str() {
                "limits" if text != "none" && !profiles.contains(&text) => {
                    return Err(format!("`limits` is one of {}, none", profiles.join(", ")));
                }
                "index_lag" if parse_duration(text).is_none() => {
                    return Err("`index_lag` is a duration such as `5s`".to_owned());
                }
                "webhook_url" if !value.is_null() => judge_url(text)?,
                "limits" | "index_lag" | "webhook_url" => {}
                other if rules.document.settings.contains_key(other) => {}
                other => {
                    let mut known: Vec<&str> = rules.document.settings.keys().map(String::as_str).collect();
                    known.extend(["limits", "webhook_url"]);
                    return Err(format!("there is no setting `{other}`; there are {}", known.join(", ")));
                }
            }
        }
        if given.contains_key("limits") {
            self.limiter.clear();
        }
        self.shown = Shown::default();
        self.settings.extend(given.clone());
        Ok(())
    }

    /// # Errors
    /// One sentence: it is not on this computer.
    pub fn set_webhook_url(&mut self, url: &str) -> Result<(), String> {
        judge_url(url)?;
        self.settings.insert("webhook_url".to_owned(), Value::from(url));
        Ok(())
    }

    fn turn<'a>(&'a mut self, rules: &'a Rules) -> Turn<'a> {
        let now = self.clock.now();
        let roots = json!({
            "vars": rules.document.vars, "settings": self.settings, "now": written(now), "token": null, "body": {},
            "query": {},
            "path": {}, "headers": {}, "let": {},
        });
        Turn { rules, state: self, roots, changes: Vec::new(), now }
    }
}

fn told(no: No) -> String {
    match no {
        No::Named(name) => format!("the vendor refuses it as `{name}`"),
        No::Written { status, .. } => format!("the vendor refuses it with {status}"),
        No::Wrong(wrong) => wrong,
    }
}
