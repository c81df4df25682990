//! What records show beside what their object promises: a promised field that is absent, a new one, another type.
//!
//! Only names of fields and kinds of values leave here, and of names only those that are words: what a record holds is
//! nobody's business, and a map whose keys are data (an e-mail address, an id) is not told.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Connector, Object, Operation, field};
use crate::expr::FieldType;

/// How deep records are looked at.
pub(super) const DEPTH_MAX: usize = 4;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 100;
/// Differences of one answer that are told.
const DRIFTS_MAX: usize = 50;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Drift {
    /// As the vendor names it, dotted; `answers[].id` in the items of a list.
    pub field: String,
    pub differs: Differs,
}

/// In what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Differs {
    /// `required`, and not there.
    Absent,
    /// The schema does not know it.
    New(Seen),
    /// Another kind of value than the schema says.
    Is(Seen),
}

/// A kind of value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    Nothing,
    Text,
    Integer,
    Number,
    Boolean,
    List,
    Map,
}

impl Seen {
    pub fn of(value: &Value) -> Seen {
        match value {
            Value::Null => Seen::Nothing,
            Value::String(_) => Seen::Text,
            Value::Bool(_) => Seen::Boolean,
            Value::Array(_) => Seen::List,
            Value::Object(_) => Seen::Map,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => Seen::Integer,
            Value::Number(_) => Seen::Number,
        }
    }

    /// As told to people.
    pub fn word(self) -> &'static str {
        match self {
            Seen::Nothing => "nothing",
            Seen::Text => "text",
            Seen::Integer => "an integer",
            Seen::Number => "a number",
            Seen::Boolean => "true or false",
            Seen::List => "a list",
            Seen::Map => "a map",
        }
    }
}

impl Drift {
    /// As told to people: `` `email` is absent ``.
    pub fn told(&self) -> String {
        match self.differs {
            Differs::Absent => format!("`{}` is absent", self.field),
            Differs::New(seen) => format!("`{}` is new ({})", self.field, seen.word()),
            Differs::Is(seen) => format!("`{}` is {}", self.field, seen.word()),
        }
    }
}

/// What a value is expected to be.
#[derive(Debug)]
pub(super) struct Expected {
    pub takes: FieldType,
    pub fields: HashMap<String, Expected>,
    pub required: Vec<String>,
    /// Others than `fields` are expected too.
    pub open: bool,
    /// Of a list.
    pub items: Option<Box<Expected>>,
}

impl Expected {
    pub fn of_schema(schema: &Value) -> Expected {
        Expected::of(FieldType::of_schema(schema), Some(schema), 0)
    }

    fn of(takes: FieldType, schema: Option<&Value>, depth: usize) -> Expected {
        let mut expected =
            Expected { takes: FieldType::Any, fields: HashMap::new(), required: Vec::new(), open: true, items: None };
        match takes {
            FieldType::Map { fields, open } if depth < DEPTH_MAX => {
                let properties = schema.and_then(|schema| schema.get("properties"));
                let inside = |name: &str| properties.and_then(|properties| properties.get(name));
                let required = schema.and_then(|schema| schema.get("required")?.as_array());
                expected.required =
                    required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
                expected.takes = FieldType::Map { fields: Vec::new(), open };
                expected.open = open;
                expected.fields = fields
                    .into_iter()
                    .map(|(name, kind)| {
                        let field = Expected::of(kind, inside(&name), depth + 1);
                        (name, field)
                    })
                    .collect();
            }
            FieldType::List(items) if depth < DEPTH_MAX => {
                let inside = schema.and_then(|schema| schema.get("items"));
                expected.takes = FieldType::List(Box::new(FieldType::Any));
                expected.items = Some(Box::new(Expected::of(*items, inside, depth + 1)));
            }
            other => expected.takes = other,
        }
        expected
    }

    fn any() -> Expected {
        Expected::of(FieldType::Any, None, 0)
    }

    /// Is this what may be expected here?
    pub fn fits(&self, seen: Seen) -> bool {
        match &self.takes {
            _ if seen == Seen::Nothing => true,
            FieldType::Any => true,
            FieldType::Text | FieldType::DateTime | FieldType::Date => seen == Seen::Text,
            FieldType::Integer => seen == Seen::Integer,
            FieldType::Number => matches!(seen, Seen::Integer | Seen::Number),
            FieldType::Boolean => seen == Seen::Boolean,
            FieldType::OneOf(values) => values.is_empty() || values.iter().any(|value| Seen::of(value) == seen),
            FieldType::List(_) => seen == Seen::List,
            FieldType::Map { .. } => seen == Seen::Map,
        }
    }

    fn look(&self, value: &Value, path: &mut String, depth: usize, found: &mut Vec<Drift>) {
        let seen = Seen::of(value);
        if !self.fits(seen) {
            add(found, path, Differs::Is(seen));
            return;
        }
        let length = path.len();
        match value {
            Value::Object(map) if depth < DEPTH_MAX => {
                for name in self.required.iter().filter(|name| !map.contains_key(*name)) {
                    extend(path, name);
                    add(found, path, Differs::Absent);
                    path.truncate(length);
                }
                for (name, value) in map {
                    match self.fields.get(name) {
                        Some(expected) => {
                            // Most fields are plain values that fit: nothing is written for these.
                            if value.is_object() || value.is_array() || !expected.fits(Seen::of(value)) {
                                extend(path, name);
                                expected.look(value, path, depth + 1, found);
                                path.truncate(length);
                            }
                        }
                        None if self.open || !is_word(name) => {}
                        None => {
                            extend(path, name);
                            add(found, path, Differs::New(Seen::of(value)));
                            path.truncate(length);
                        }
                    }
                }
            }
            // The first one stands for all.
            Value::Array(items) if depth < DEPTH_MAX => {
                if let (Some(expected), Some(first)) = (&self.items, items.first()) {
                    path.push_str("[]");
                    expected.look(first, path, depth + 1, found);
                    path.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// What is expected of a field of [`Drift`].
    fn at(&self, field: &str) -> Option<&Expected> {
        let mut here = self;
        for name in field.split('.') {
            let (name, lists) = (name.trim_end_matches("[]"), name.matches("[]").count());
            here = here.fields.get(name)?;
            for _ in 0..lists {
                here = here.items.as_deref()?;
            }
        }
        Some(here)
    }
}

fn add(found: &mut Vec<Drift>, path: &str, differs: Differs) {
    let is_known = found.iter().any(|known| known.differs == differs && known.field == path);
    if !is_known && found.len() < DRIFTS_MAX {
        found.push(Drift { field: path.to_owned(), differs });
    }
}

fn extend(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// Letters to be told: a name as programs give it. Anything else may be data.
pub(super) fn is_word(name: &str) -> bool {
    let digits = name.chars().filter(char::is_ascii_digit).count();
    name.len() <= 60
        && digits <= 3
        && name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
}

impl Connector {
    /// How the records of an answer differ from what is promised of them: `value` is what [`super::Outcome`] gives. Of many
    /// records some are looked at.
    pub fn drifts(&self, operation: &Operation, value: &Value) -> Vec<Drift> {
        let mut found = Vec::new();
        let Some(expected) = expected(self, operation) else { return found };
        let records = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let mut path = String::new();
        for record in records.iter().filter(|record| record.is_object()).take(RECORDS_MAX) {
            let (fields, outside) = parts(self, operation, record);
            expected.look(fields, &mut path, 0, &mut found);
            // Names that stand beside the fields are there all the same.
            found.retain(|drift| {
                drift.differs != Differs::Absent || outside.is_none_or(|outside| outside.get(&drift.field).is_none())
            });
        }
        found
    }

    /// Is a difference that was seen once one still, after the connector was mended?
    pub fn differs_still(&self, operation: &Operation, drift: &Drift) -> bool {
        let Some(expected) = expected(self, operation) else { return false };
        match (drift.differs, expected.at(&drift.field)) {
            (Differs::Absent, _) => match drift.field.rsplit_once('.') {
                Some((inside, name)) => {
                    expected.at(inside).is_some_and(|inside| inside.required.iter().any(|known| known == name))
                }
                None => expected.required.contains(&drift.field),
            },
            (Differs::New(_), Some(_)) => false,
            (Differs::New(_), None) => match drift.field.rsplit_once('.') {
                Some((inside, _)) => expected.at(inside).is_some_and(|inside| !inside.open),
                None => !expected.open,
            },
            (Differs::Is(seen), known) => known.is_some_and(|known| !known.fits(seen)),
        }
    }
}

fn expected<'c>(connector: &'c Connector, operation: &'c Operation) -> Option<&'c Expected> {
    operation.expected.get_or_init(|| Expected::of_operation(connector, operation)).as_ref()
}

/// Where a record has its fields, and the record around them where they are one level down.
pub(super) fn parts<'r>(
    connector: &Connector,
    operation: &Operation,
    record: &'r Value,
) -> (&'r Value, Option<&'r Value>) {
    let object = operation.object.as_deref().and_then(|name| connector.object(name));
    let at = object.filter(|_| operation.output.is_null()).and_then(|object| object.fields_at.as_deref());
    match at.and_then(|at| field::get(record, at)).filter(|fields| fields.is_object()) {
        Some(fields) => (fields, Some(record)),
        None => (record, None),
    }
}

impl Expected {
    /// In the vendor's form; None: nothing is promised.
    pub fn of_operation(connector: &Connector, operation: &Operation) -> Option<Expected> {
        if !operation.output.is_null() {
            return Some(Expected::of_schema(&operation.output)).filter(|expected| !expected.fields.is_empty());
        }
        let object = connector.object(operation.object.as_deref()?)?;
        let mut expected = Expected::of_schema(&object.schema);
        if expected.fields.is_empty() {
            return None;
        }
        expected.take_vendors_form(object, operation);
        Some(expected)
    }

    fn take_vendors_form(&mut self, object: &Object, operation: &Operation) {
        for (theirs, ours) in &operation.rename {
            // The answer may say either.
            let known = self.fields.get(ours).map_or(FieldType::Any, |known| known.takes.clone());
            self.fields.insert(theirs.clone(), Expected { takes: known, ..Expected::any() });
            self.required.retain(|name| name != ours);
        }
        for list in &object.keyed_lists {
            if list.at != list.name {
                self.fields.remove(&list.name);
            }
            self.required.retain(|name| *name != list.name);
            self.know(&list.at);
        }
        for reference in object.references.iter().chain(&object.parent) {
            self.know(&reference.id);
        }
        // The parent's id is put in by whoever lists.
        self.required.retain(|name| object.parent.as_ref().is_none_or(|parent| parent.id != *name));
        self.know(&object.id);
        // Where a list goes on may be said by its records.
        for path in operation.pages.iter().flat_map(|pages| pages.paths()) {
            if let Some((_, inside)) = path.text().split_once("[-1].") {
                self.know(inside);
            }
        }
    }

    /// A name that stands elsewhere than in the schema is known, too.
    fn know(&mut self, name: &str) {
        if let Some(first) = field::names(name).into_iter().next() {
            self.fields.entry(first).or_insert_with(Expected::any);
        }
    }
}
