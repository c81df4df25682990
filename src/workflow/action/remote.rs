//! One object at one account: its records in the form that recipes see, and the requests for them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{call, undecided};
use crate::connector::{Connector, Failure, Names, Object, Operation, Page, value_of};
use crate::expr::{Locale, as_text};
use crate::workflow::{Context, Purpose, Sending};

pub(super) struct Remote<'a> {
    pub alias: &'a str,
    pub connector: &'a Connector,
    pub object: &'a Object,
    names: Names,
    /// The project's; values that are sent are written by it.
    own: &'a Locale,
    /// The account's.
    pub locale: Cow<'a, Locale>,
}

impl<'a> Remote<'a> {
    pub fn new(alias: &'a str, object: &str, context: &'a Context<'_>) -> Result<Self, Failure> {
        let (connector, found) = context.object(alias, object)?;
        let locale = context.locale.of_country(context.accounts.settings(alias).get("country"));
        let names = context.accounts.names(alias, object);
        Ok(Self { alias, connector, object: found, names, own: context.locale, locale })
    }

    pub fn operation(&self, standard: &str) -> Result<&'a Operation, Failure> {
        let name = format!("{}.{standard}", self.object.name);
        self.connector.operation(&name).ok_or_else(|| {
            Failure::new("invalid", format!("connector `{}` has no operation `{name}`", self.connector.name))
        })
    }

    /// What a standard operation has answered, as recipes see it.
    pub fn shape(&self, standard: &str, value: &Value) -> Value {
        match self.operation(standard) {
            Ok(operation) => call::shape(self.connector, operation, value, &self.names),
            Err(_) => self.object.shape(value, &self.names),
        }
    }

    pub fn unshape(&self, operation: &Operation, input: Map<String, Value>) -> Result<Value, Failure> {
        let input = operation.unshape(self.connector, Value::Object(input), &self.names, self.own);
        input.map_err(|fault| undecided(&fault, "with"))
    }

    pub fn id(&self, record: &Value) -> Option<String> {
        record.get(&self.object.id).and_then(as_text)
    }

    /// The form in which a field's value is compared. A record's own country goes before the account's.
    pub fn comparable(&self, field: &str, value: Option<&Value>, record: &Map<String, Value>) -> Option<Value> {
        self.object.comparable(field, value, &self.locale.of_country(record.get("country")))
    }

    /// As [`Remote::comparable`], of a record's own field.
    pub fn comparable_of(&self, field: &str, record: &Value) -> Option<Value> {
        let value = value_of(record, field).filter(|value| !value.is_null());
        self.object.comparable(field, value, &self.locale.of_country(record.get("country")))
    }

    /// The ids of what a find found, as far as they really have that value: an index may be wrong. Of a list, those that
    /// show the value; if none does, the first that may have it. `form` gives a record's own value in the form of `value`.
    pub fn found(&self, value: &Value, found: &Value, form: impl Fn(&Value) -> Option<Value>) -> Vec<String> {
        let items = match found {
            Value::Array(items) => items.as_slice(),
            found => std::slice::from_ref(found),
        };
        let given = |item: &Value| form(&self.shape("find", item));
        let id = |item: &&Value| self.id(&self.shape("find", item));
        let showing = items.iter().filter(|item| given(item).as_ref() == Some(value));
        let showing: Vec<String> = showing.filter_map(|item| id(&item)).collect();
        if !showing.is_empty() {
            return showing;
        }
        // It may show the field in another form or not at all; only a different value rules it out.
        items
            .iter()
            .find(|item| given(item).is_none_or(|given| given == *value))
            .as_ref()
            .and_then(id)
            .into_iter()
            .collect()
    }

    /// Values of what is to be written that an operation needs in its path: the parent's id.
    pub fn holes(&self, standard: &str, input: &Map<String, Value>) -> Map<String, Value> {
        let Ok(operation) = self.operation(standard) else { return Map::new() };
        operation.input_holes().filter_map(|hole| Some((hole.to_string(), input.get(hole)?.clone()))).collect()
    }

    pub fn sending(&self, purpose: Purpose, standard: &str, input: Value, turns: Vec<String>) -> Sending {
        let operation = format!("{}.{standard}", self.object.name);
        Sending { purpose, alias: self.alias.into(), operation, input: input.into(), page: Page::default(), turns }
    }
}
