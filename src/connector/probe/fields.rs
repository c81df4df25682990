//! The records' fields against the object's schema.

use serde::Serialize;
use serde_json::{Value, json};

use super::observed::{Field, Observed};
use super::{Compared, Note, Override, count, listed};
use crate::connector::drift::{Expected, parts};
use crate::connector::{Connector, Object, Operation, field};
use crate::source::under;

/// A field that is declared, and in no record.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Absent {
    pub field: String,
    /// The schema promises it.
    pub required: bool,
}

/// A field that the schema does not know.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct New {
    pub field: String,
    pub is: String,
}

/// A field of another type.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    pub field: String,
    pub says: String,
    pub is: String,
}

/// All records of an object, however they were read.
pub(super) fn compare(
    connector: &Connector,
    object: &Object,
    records: &[(&Operation, Vec<Value>)],
    written: &Value,
    compared: &mut Compared,
    over: &mut Override,
) {
    let many: usize = records.iter().map(|(_, records)| records.len()).sum();
    if many == 0 {
        compared.notes.push(Note::look("fields", "no record was seen: nothing can be said of its fields"));
        return;
    }
    let schema = written.pointer(&format!("{}/schema", under("/objects", &object.name)));
    let mut walk = Walk { compared, over, object, in_file: schema.and_then(Value::as_str), odd: false };
    let mut promised: Vec<(&str, usize)> = Vec::new();
    let mut observed_of: Vec<(Option<Expected>, Observed)> = Vec::new();
    for (operation, records) in records.iter().filter(|(operation, _)| operation.output.is_null()) {
        let mut observed = Observed::default();
        for record in records {
            let (fields, outside) = parts(connector, operation, record);
            if let Some(map) = fields.as_object() {
                observed.see(map, 0);
            }
            for name in required(&object.schema) {
                let is_there = [Some(fields), outside].into_iter().flatten().any(|map| map.get(name).is_some())
                    || !counts(object, operation, name);
                match promised.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, absent)) => *absent += usize::from(!is_there),
                    None => promised.push((name, usize::from(!is_there))),
                }
            }
        }
        observed_of.push((Expected::of_operation(connector, operation), observed));
    }
    for (expected, observed) in &observed_of {
        walk.map(expected.as_ref(), observed, &[]);
    }
    walk.absent(&observed_of, &promised);
    let odd = walk.odd;
    tell(object, many, (&promised, schema.and_then(Value::as_str), odd), compared);
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Can the field be missed in answers of this operation? Others have it under another name, or get it from us.
fn counts(object: &Object, operation: &Operation, name: &str) -> bool {
    !operation.rename.iter().any(|(_, ours)| ours == name)
        && !object.keyed_lists.iter().any(|list| list.name == name)
        && object.parent.as_ref().is_none_or(|parent| parent.id != name)
}

/// A name on the way to a field, and whether it is a list of which the items are meant.
type Step = (String, bool);

struct Walk<'w> {
    compared: &'w mut Compared,
    over: &'w mut Override,
    object: &'w Object,
    /// The file that holds the schema: an override would replace it as a whole.
    in_file: Option<&'w str>,
    odd: bool,
}

impl Walk<'_> {
    /// The fields of maps against what is expected of them.
    fn map(&mut self, expected: Option<&Expected>, observed: &Observed, way: &[Step]) {
        let is_open = expected.is_some_and(|expected| expected.open);
        self.odd |= observed.odd && !is_open;
        for (name, field) in &observed.fields {
            let way = [way, &[(name.clone(), false)]].concat();
            match expected.map(|expected| expected.fields.get(name)) {
                Some(Some(expected)) => self.field(expected, field, way),
                Some(None) if is_open => {}
                // With no schema at all the fields that are there make one.
                Some(None) | None => self.new_field(field, &way),
            }
        }
    }

    fn field(&mut self, expected: &Expected, field: &Field, mut way: Vec<Step>) {
        if field.seen.iter().any(|seen| !expected.fits(*seen)) {
            self.other(expected, field, &way);
        } else if let (Some(expected), Some(items)) = (&expected.items, &field.items) {
            if let Some(last) = way.last_mut() {
                last.1 = true;
            }
            self.field(expected, items, way);
        } else if !expected.fields.is_empty() {
            self.map(Some(expected), &field.inside, &way);
        }
    }

    fn new_field(&mut self, field: &Field, way: &[Step]) {
        let name = told(way);
        if self.compared.new.iter().any(|known| known.field == name) {
            return;
        }
        self.compared.new.push(New { field: name, is: field.told() });
        self.suggest(way, field.schema());
    }

    fn other(&mut self, expected: &Expected, field: &Field, way: &[Step]) {
        let name = told(way);
        if self.compared.other.iter().any(|known| known.field == name) {
            return;
        }
        let is_chosen = matches!(expected.takes, crate::expr::FieldType::OneOf(_));
        self.compared.other.push(Other { field: name, says: expected.takes.describe(), is: field.told() });
        // A choice of values would stay beside another type.
        if !is_chosen {
            self.suggest(way, field.schema());
        }
    }

    fn suggest(&mut self, way: &[Step], schema: Value) {
        if self.in_file.is_none() {
            let name_of = |name: &str| name.to_owned();
            let mut steps = vec!["schema".to_owned()];
            for (name, items) in way {
                steps.extend(["properties".to_owned(), name_of(name)]);
                steps.extend(items.then(|| "items".to_owned()));
            }
            if self.object.schema.is_null() {
                self.over.put(self.object, &["schema".to_owned(), "type".to_owned()], json!("object"));
            }
            self.over.put(self.object, &steps, schema);
        }
    }

    /// Fields of the first level that no record has, whichever way it was read.
    fn absent(&mut self, all: &[(Option<Expected>, Observed)], promised: &[(&str, usize)]) {
        let properties = self.object.schema.get("properties").and_then(Value::as_object);
        for (name, _) in properties.into_iter().flatten() {
            let is_there = |(expected, observed): &(Option<Expected>, Observed)| {
                observed.field(name).is_some() || expected.as_ref().is_none_or(|known| !known.fields.contains_key(name))
            };
            let is_renamed = self.object.keyed_lists.iter().any(|list| list.name == *name)
                || self.object.parent.as_ref().is_some_and(|parent| parent.id == *name)
                || *name == self.object.id;
            if !is_renamed && !all.iter().any(is_there) {
                let required = promised.iter().any(|(known, _)| known == name);
                self.compared.absent.push(Absent { field: name.clone(), required });
            }
        }
        let kept: Vec<&str> = promised.iter().filter(|(_, absent)| *absent == 0).map(|(name, _)| *name).collect();
        if kept.len() < promised.len() && self.in_file.is_none() {
            self.over.put(self.object, &["schema".to_owned(), "required".to_owned()], json!(kept));
        }
    }
}

fn told(way: &[Step]) -> String {
    let steps = way.iter().map(|(name, items)| format!("{name}{}", if *items { "[]" } else { "" }));
    steps.collect::<Vec<_>>().join(".")
}

fn tell(
    object: &Object,
    many: usize,
    (promised, in_file, odd): (&[(&str, usize)], Option<&str>, bool),
    compared: &mut Compared,
) {
    let Compared { notes, absent, new, other } = compared;
    let before = notes.len();
    let records = count(many, "record");
    for (name, lacks) in promised.iter().filter(|(_, lacks)| *lacks > 0) {
        let told = format!("`{name}` is promised (`required`), and absent from {lacks} of {records}");
        notes.push(Note::look("fields", told));
    }
    let optional: Vec<&str> = absent.iter().filter(|field| !field.required).map(|field| &*field.field).collect();
    if !optional.is_empty() {
        let told = format!("in none of {records}: {}; they may be empty, or called otherwise", listed(optional));
        notes.push(Note::look("fields", told));
    }
    for field in other.iter() {
        let told = format!("`{}` is {}, where the schema says {}", field.field, field.is, field.says);
        notes.push(Note::look("fields", told));
    }
    if !new.is_empty() {
        let shown: Vec<String> = new.iter().map(|field| format!("`{}` ({})", field.field, field.is)).collect();
        let what = if object.schema.is_null() { "there is no schema yet; the records have" } else { "new" };
        notes.push(Note::look("fields", format!("{what}: {}", shown.join(", "))));
    }
    if odd {
        notes
            .push(Note::look("fields", "there are names that are no plain words; they may be data, and are not shown"));
    }
    if notes.len() == before {
        notes.push(Note::good("fields", format!("{records} are as the schema says")));
    } else if let Some(file) = in_file {
        let told = format!("the schema is in `{file}`: put the difference there, since an override would replace it");
        notes.push(Note::look("fields", told));
    }
}

/// Is a field there, in the form that recipes see?
pub(super) fn has(record: &Value, name: &str) -> bool {
    field::get(record, name).is_some_and(|value| !value.is_null())
}
