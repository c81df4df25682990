//! The fields that an object names: its id, its times, and what tells two records apart.

use serde_json::{Value, json};

use super::fields::has;
use super::observed::Observed;
use super::{Note, Override, count, plain};
use crate::connector::{Connector, Object, Operation};
use crate::source::under;

const IDS: [&str; 5] = ["id", "uuid", "guid", "key", "identifier"];
const CHANGES: [&str; 9] = [
    "updatedat",
    "dateupdated",
    "modifiedat",
    "lastmodified",
    "lastmodifiedat",
    "updated",
    "modified",
    "lastupdated",
    "changedat",
];
const CREATIONS: [&str; 6] = ["createdat", "dateadded", "datecreated", "created", "createdtime", "addedat"];

pub(super) fn compare(
    connector: &Connector,
    object: &Object,
    records: &[(&Operation, Vec<Value>)],
    written: &Value,
    notes: &mut Vec<Note>,
    over: &mut Override,
) {
    let shaped: Vec<Value> = records
        .iter()
        .filter(|(operation, _)| operation.output.is_null())
        .flat_map(|(operation, records)| {
            records.iter().map(|record| operation.shape(connector, record, &Default::default()))
        })
        .collect();
    if shaped.is_empty() {
        return;
    }
    let all = count(shaped.len(), "record");
    // A field that only the schema's file could bring cannot be named in an override.
    let in_file = written.pointer(&format!("{}/schema", under("/objects", &object.name))).is_some_and(Value::is_string);
    let mut put = |key: &str, field: &str| {
        if !in_file || object.field_type(field).is_some() {
            over.put(object, &[key.to_owned()], json!(field));
        }
    };
    let mut observed = Observed::default();
    shaped.iter().filter_map(Value::as_object).for_each(|map| observed.see(map, 0));
    let holds = |name: &str| shaped.iter().filter(|record| has(record, name)).count();
    let one = |names: &[&str], fits: &dyn Fn(&super::observed::Field) -> bool| {
        let mut found = observed.fields.iter().filter(|(name, field)| names.contains(&&*plain(name)) && fits(field));
        found.next().filter(|_| found.next().is_none()).map(|(name, _)| name.clone())
    };
    let is_in_all = |field: &super::observed::Field| field.present == shaped.len();
    let mut good = Vec::new();
    let own = [plain(&object.name) + "id"];
    let ids: Vec<&str> = IDS.iter().copied().chain(own.iter().map(String::as_str)).collect();
    let mut named = vec![("id", Some(&object.id), one(&ids, &is_in_all))];
    named.push(("changed_at", object.changed_at.as_ref(), one(&CHANGES, &|field| field.is_time())));
    named.push(("created_at", object.created_at.as_ref(), one(&CREATIONS, &|field| field.is_time())));
    for (key, field, other) in named {
        let Some(field) = field else {
            if let (Some(other), "changed_at") = (other, key) {
                notes
                    .push(Note::look("identity", format!("`{other}` may say when a record was last changed: `{key}`")));
                put(key, &other);
            }
            continue;
        };
        let there = holds(field);
        if there == shaped.len() {
            good.push(format!("`{field}` ({key})"));
            continue;
        }
        let found = other.filter(|other| other != field && there == 0);
        let hint = found.as_ref().map_or_else(String::new, |other| format!("; `{other}` may be meant"));
        notes.push(Note::look("identity", format!("`{field}` ({key}) is in {there} of {all}{hint}")));
        if let Some(other) = found {
            put(key, &other);
        }
    }
    for field in &object.identity {
        match holds(field) {
            0 => notes.push(Note::look("identity", format!("`{field}` (identity) is in none of {all}"))),
            there if there == shaped.len() => good.push(format!("`{field}` (identity)")),
            there => good.push(format!("`{field}` (identity, in {there} of {all})")),
        }
    }
    if !good.is_empty() {
        notes.push(Note::good("identity", format!("there: {}", good.join(", "))));
    }
}
