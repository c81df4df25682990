//! Names of fields: dotted (`custom.quiz_score`), with brackets where a name is no word (`custom['U.S. state']`).

use serde_json::map::Entry;
use serde_json::{Map, Value};

/// A field's name as the names on the way to it; a text that cannot be read is one name.
pub(super) fn names(field: &str) -> Vec<String> {
    read(field).unwrap_or_else(|| vec![field.to_owned()])
}

/// Is it one name, which stands for itself?
pub(super) fn is_plain(field: &str) -> bool {
    !field.contains(['.', '['])
}

fn read(field: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let quote = inside.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
            let length = inside[1..].find(quote)?;
            names.push(inside[1..=length].to_owned());
            rest = inside[length + 2..].strip_prefix(']')?;
            rest = match rest.strip_prefix('.') {
                Some("") => return None,
                Some(more) => more,
                None if rest.is_empty() || rest.starts_with('[') => rest,
                None => return None,
            };
        } else {
            let length = rest.find(['.', '[']).unwrap_or(rest.len());
            if length == 0 {
                return None;
            }
            names.push(rest[..length].to_owned());
            rest = match rest[length..].strip_prefix('.') {
                Some("") => return None,
                Some(more) => more,
                None => &rest[length..],
            };
        }
    }
    Some(names).filter(|names| !names.is_empty())
}

/// The value under a field's name; the whole name as it stands goes first.
pub fn get<'v>(record: &'v Value, field: &str) -> Option<&'v Value> {
    if let Some(value) = record.get(field) {
        return Some(value);
    }
    let mut here = record;
    for name in names(field) {
        here = here.get(&name)?;
    }
    Some(here)
}

/// Puts a value under a field's name, making the maps on the way.
///
/// # Errors
/// Something else than a map is in the way, or a value is there already.
pub(super) fn put(record: &mut Map<String, Value>, names: &[String], value: Value) -> Result<(), ()> {
    let Some((first, rest)) = names.split_first() else { return Err(()) };
    if rest.is_empty() {
        return put_at(record, first.clone(), value).map_err(drop);
    }
    match record.entry(first.clone()).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(inside) => put(inside, rest, value),
        _ => Err(()),
    }
}

/// The same under one name as it stands, which is given back if a value is there already.
pub(super) fn put_at(record: &mut Map<String, Value>, name: String, value: Value) -> Result<(), String> {
    let mut place = match record.entry(name) {
        Entry::Occupied(place) => place,
        Entry::Vacant(place) => {
            place.insert(value);
            return Ok(());
        }
    };
    let is_put = match (place.get_mut(), value) {
        (Value::Object(known), Value::Object(more)) => {
            more.into_iter().try_for_each(|(name, value)| put_at(known, name, value)).is_ok()
        }
        _ => false,
    };
    if is_put { Ok(()) } else { Err(place.key().clone()) }
}

/// Takes a value out.
pub(super) fn take(record: &mut Map<String, Value>, field: &str) -> Option<Value> {
    if record.contains_key(field) {
        return record.shift_remove(field);
    }
    let names = names(field);
    let (last, way) = names.split_last()?;
    let mut here = record;
    for name in way {
        here = here.get_mut(name)?.as_object_mut()?;
    }
    here.shift_remove(last)
}

/// A path one name longer: `$.meta` and `next` give `$.meta.next`.
pub(super) fn under(path: &str, name: &str) -> String {
    let word = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match word {
        true => format!("{path}.{name}"),
        false => format!("{path}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}
