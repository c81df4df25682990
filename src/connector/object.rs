//! A kind of record that an API keeps, and its two forms: the vendor's, and the one that recipes see.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use super::{KeyedList, address::scalar, field};
use crate::expr::{Fault, FieldType, Locale, convert, converted, e164, is_blank, read_time};
use crate::source::nearest;

/// An entry of `objects:`.
#[derive(Debug)]
pub struct Object {
    pub name: String,
    /// JSON Schema of the record as recipes see it; Null if the file gives none.
    pub schema: Value,
    pub fields: FieldType,
    /// Name of the field that holds the record's id.
    pub id: String,
    pub created_at: Option<String>,
    pub changed_at: Option<String>,
    pub identity: Vec<String>,
    /// Field → `lowercase` or `e164`: how values are compared and looked up.
    pub normalize: Vec<(String, String)>,
    pub read_only: Vec<String>,
    pub create_only: Vec<String>,
    pub whole_lists: Vec<String>,
    pub confirm_writes: bool,
    /// The parent object's name, if a record lives under another.
    pub parent: Option<Reference>,
    pub references: Vec<Reference>,
    pub keyed_lists: Vec<KeyedList>,
    pub fields_at: Option<String>,
    /// Full names of its operations by standard name: `get` → `contact.get`.
    pub operations: Vec<String>,
    pub changes: Change,
    pub description: Option<String>,
}

/// Another record whose id a field holds. `name` is what `include:` says.
#[derive(Clone, Debug)]
pub struct Reference {
    pub name: String,
    pub object: String,
    /// Where the id stands, dotted; for `answers.asked` the reference is made in each item of the list `answers`.
    pub id: String,
    /// The field of the other record that holds its id.
    pub found_by: String,
}

/// How changes of an object are noticed.
#[derive(Debug, Default)]
pub struct Change {
    /// Names of webhook events.
    pub webhook: Vec<String>,
    pub poll: Option<Feed>,
    /// Compares the whole list by content.
    pub scan: Option<Feed>,
}

impl Change {
    /// The lists that are looked at.
    pub fn feeds(&self) -> impl Iterator<Item = &Feed> {
        self.poll.iter().chain(&self.scan)
    }
}

/// `poll:` of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// Full name of the list operation.
    pub operation: String,
    /// Field that orders the records, dotted; None: whole lists are compared by content.
    pub by: Option<String>,
    pub newest_first: bool,
    /// It is the `full_scan` beside another feed.
    pub full: bool,
    pub every: Duration,
    pub overlap: Duration,
}

/// Per keyed list: the vendor's key → the name in recipes (and back).
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Names {
    pub lists: std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>,
}

impl Object {
    /// The vendor's record as recipes see it: `fields_at` lifted, keyed lists made maps. (An operation's `rename` comes
    /// before: [`super::Operation::shape`].)
    ///
    /// `names` holds, per keyed list, the map from the vendor's key to the name. A record that has this form already keeps
    /// it, so that it may be shaped again after [`join`].
    pub fn shape(&self, record: &Value, names: &Names) -> Value {
        let Value::Object(record) = record else { return record.clone() };
        let mut record = record.clone();
        if let Some(at) = &self.fields_at {
            match field::take(&mut record, at) {
                Some(Value::Object(fields)) => {
                    for (name, value) in fields {
                        if !(self.stays_on_top(&name) && record.contains_key(&name)) {
                            record.insert(name, value);
                        }
                    }
                }
                Some(other) => {
                    record.insert(at.clone(), other);
                }
                None => {}
            }
        }
        for list in &self.keyed_lists {
            list.lift(&mut record, names.lists.get(&list.name));
        }
        Value::Object(record)
    }

    /// The input of a write as the vendor wants it: `custom.x` becomes an item of the keyed list, values are converted to
    /// the field's type (or else to what `own`, the operation, says of the field), read-only fields and (for updates)
    /// create-only fields are refused. In an update the id is no field but names the record. Times without a zone belong to
    /// the locale.
    ///
    /// # Errors
    /// One sentence with the field's name.
    pub(super) fn unshape(
        &self,
        input: Map<String, Value>,
        own: &[(String, FieldType)],
        names: &Names,
        update: bool,
        locale: &Locale,
    ) -> Result<Map<String, Value>, Fault> {
        let is_name = |name: &str| field::is_plain(name) || self.type_of_name(name).is_some();
        // What was written in parts: the first name of each, and how it was written.
        let mut parts: Vec<(String, String)> = Vec::new();
        let mut fields = Map::new();
        if input.keys().all(|name| is_name(name)) {
            fields = input;
        } else {
            for (name, value) in input {
                let way = if is_name(&name) { vec![name.clone()] } else { field::names(&name) };
                field::put(&mut fields, &way, value)
                    .map_err(|()| Fault::new(format!("`{name}` is given twice")).under(&name))?;
                parts.extend(way.into_iter().next().map(|first| (first, name)));
            }
        }
        let written_as = |name: &str| -> String {
            let written = parts.iter().find(|(first, _)| first == name).map(|(_, written)| written.as_str());
            written.unwrap_or(name).to_owned()
        };
        let (mut top, mut sent) = (Map::new(), Map::with_capacity(fields.len()));
        for (name, value) in fields {
            if name == self.id && update {
                top.insert(name, value);
                continue;
            }
            let wrong = |why: String| Fault::new(why).under(&written_as(&name));
            self.refuse(&name, &value, update).map_err(wrong)?;
            if let Some(list) = self.keyed_lists.iter().find(|list| list.name == name) {
                let items = list.lower(&value, names.lists.get(&list.name)).map_err(wrong)?;
                let way = field::names(&list.at);
                if field::put(&mut sent, &way, Value::Array(items)).is_err() {
                    return Err(wrong(format!("give either `{}` or `{}`", list.name, list.at)));
                }
                continue;
            }
            let value = match self.type_of_name(&name) {
                Some(kind) => {
                    let made = match own.iter().find(|(known, _)| *known == name) {
                        None => converted(value, kind, locale),
                        Some((_, own)) => convert(&value, kind, locale).or_else(|_| converted(value, own, locale)),
                    };
                    made.map_err(|why| wrong(format!("`{name}`: {why}")))?
                }
                None if self.knows(&name) == Some(false) && !self.stays_on_top(&name) => {
                    return Err(wrong(self.unknown_field(&name)));
                }
                None => value,
            };
            let taken = if self.stays_on_top(&name) { &mut top } else { &mut sent };
            if let Err(name) = field::put_at(taken, name, value) {
                let written = written_as(&name);
                return Err(Fault::new(format!("`{name}` is given twice")).under(&written));
            }
        }
        if let Some(at) = &self.fields_at {
            let inside = std::mem::take(&mut sent);
            if !inside.is_empty() {
                field::put(&mut sent, &field::names(at), Value::Object(inside))
                    .map_err(|()| Fault::new(format!("`{at}` is given twice")))?;
            }
        }
        if top.is_empty() {
            return Ok(sent);
        }
        top.extend(sent);
        Ok(top)
    }

    fn refuse(&self, name: &str, value: &Value, update: bool) -> Result<(), String> {
        let given = |field: &&String| {
            let way = field::names(field);
            way.first().is_some_and(|first| first == name)
                && way[1..].iter().try_fold(value, |value, name| value.get(name)).is_some()
        };
        if let Some(hit) = self.read_only.iter().find(given) {
            return Err(format!("`{hit}` is set by the API alone and cannot be written"));
        }
        if let Some(hit) = self.create_only.iter().find(given).filter(|_| update) {
            return Err(format!("`{hit}` can only be given when the {} is created", self.name.replace('_', " ")));
        }
        Ok(())
    }

    /// A field's value in the form in which two values are compared: normalised, times as instants, blank as None, whole
    /// lists as sets.
    pub fn comparable(&self, field: &str, value: Option<&Value>, locale: &Locale) -> Option<Value> {
        let value = value.filter(|value| !is_blank(Some(value)))?;
        if let (Some((_, rule)), Value::String(text)) = (self.normalize.iter().find(|(name, _)| name == field), value) {
            return Some(Value::String(match rule.as_str() {
                "lowercase" => text.to_lowercase(),
                // What cannot be read stays as it is.
                _ => e164(text, locale.country.as_deref()).unwrap_or_else(|| text.clone()),
            }));
        }
        if let (true, Value::Array(items)) = (self.whole_lists.iter().any(|list| list == field), value) {
            let mut set: Vec<(String, Value)> = items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| (canonical(item).to_string(), canonical(item)))
                .collect();
            set.sort_by(|left, right| left.0.cmp(&right.0));
            set.dedup_by(|left, right| left.0 == right.0);
            return Some(Value::Array(set.into_iter().map(|(_, item)| item).collect()));
        }
        if let Value::String(text) = value {
            let instant = match self.field_type(field) {
                Some(FieldType::DateTime | FieldType::Date) => read_time(text, locale),
                Some(FieldType::Any) | None => whole_time(text),
                Some(_) => None,
            };
            if let Some(instant) = instant {
                return Some(Value::String(instant.to_rfc3339_opts(SecondsFormat::Millis, true)));
            }
        }
        Some(canonical(value))
    }

    /// The type of a field, dotted; None if the schema does not say.
    pub fn field_type(&self, field: &str) -> Option<&FieldType> {
        if let Some(kind) = self.type_of_name(field) {
            return Some(kind);
        }
        let mut here = &self.fields;
        for name in field::names(field) {
            let FieldType::Map { fields, .. } = here else { return None };
            here = fields.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)?;
        }
        Some(here)
    }

    fn type_of_name(&self, name: &str) -> Option<&FieldType> {
        match &self.fields {
            FieldType::Map { fields, .. } => fields.iter().find(|(known, _)| known == name).map(|(_, kind)| kind),
            _ => None,
        }
    }

    /// Whether the schema has a field of this name on its first level; None if it does not say.
    pub(super) fn knows(&self, name: &str) -> Option<bool> {
        match &self.fields {
            FieldType::Map { fields, open } => match fields.iter().any(|(known, _)| known == name) {
                true => Some(true),
                false => (!open).then_some(false),
            },
            _ => None,
        }
    }

    fn unknown_field(&self, name: &str) -> String {
        let near = match &self.fields {
            FieldType::Map { fields, .. } => nearest(name, fields.iter().map(|(known, _)| known.as_str())),
            _ => None,
        };
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("`{}` has no field `{name}`{hint}", self.name)
    }

    /// Id fields stand beside the vendor's map of fields, not in it.
    fn stays_on_top(&self, name: &str) -> bool {
        name == self.id || self.references.iter().chain(&self.parent).any(|reference| reference.id == name)
    }

    /// May an update write this field? Read-only and create-only fields it may not.
    pub fn writable_on_update(&self, field: &str) -> bool {
        !self.read_only.iter().chain(&self.create_only).any(|name| name == field)
    }

    /// Full name of an operation by its standard name, if the object has it.
    pub fn operation(&self, short: &str) -> Option<&str> {
        self.operations
            .iter()
            .map(String::as_str)
            .find(|full| full.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('.')) == Some(short))
    }

    /// Gives a record the id of the parent under which it was listed, if it does not say it itself.
    pub fn put_parent(&self, record: &mut Value, parent_id: &str) {
        if let (Some(parent), Value::Object(record)) = (&self.parent, record) {
            let known = record.entry(parent.id.clone()).or_insert(Value::Null);
            if known.is_null() {
                *known = Value::String(parent_id.to_owned());
            }
        }
    }
}

/// Puts the records that a reference names in place: under the reference's name, or for `answers.asked` as `asked` in each
/// item of the list `answers`. `found` has the form that recipes see. Afterwards shape the record again: keyed lists may
/// read what was joined.
pub fn join(record: &mut Value, reference: &Reference, found: &[Value]) {
    let by_id = |id: &Value| {
        let id = scalar(id)?;
        found.iter().find(|other| other.get(&reference.found_by).and_then(scalar).as_ref() == Some(&id)).cloned()
    };
    match reference.name.rsplit_once('.') {
        None => {
            let other = field::get(record, &reference.id).and_then(by_id);
            if let (Some(other), Value::Object(record)) = (other, record) {
                record.insert(reference.name.clone(), other);
            }
        }
        Some((list, name)) => {
            let mut here = Some(record);
            for part in field::names(list) {
                here = here.and_then(|value| value.get_mut(&part));
            }
            for item in here.and_then(Value::as_array_mut).into_iter().flatten() {
                let other = field::get(item, &reference.id).and_then(by_id);
                if let (Some(other), Value::Object(item)) = (other, item) {
                    item.insert(name.to_owned(), other);
                }
            }
        }
    }
}

/// A text that says an instant in full, with its zone.
fn whole_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// Equal values in one form: whole numbers without a point, no nulls in maps, names in order.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "within the bounds in which both are exact")]
            Some(float) if !number.is_i64() && !number.is_u64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                Value::from(float as i64)
            }
            _ => value.clone(),
        },
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_by_key(|(name, _)| *name);
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), canonical(value))).collect())
        }
        value => value.clone(),
    }
}
