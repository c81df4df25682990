//! Records of played vendors, as tests speak of them.

use serde_json::Value;

use crate::connector::{Connector, Names};
use crate::sandbox::Inside;

/// The records of an object as workflows see them, over what the vendor keeps.
pub fn shaped(connector: Option<&Connector>, vendor: &Inside, object: &str) -> Vec<Value> {
    let described = connector.and_then(|connector| connector.object(object));
    let names = connector.map(|connector| names(connector, vendor, object)).unwrap_or_default();
    let shape = |mut record: Value| {
        let Some(described) = described else { return record };
        let shaped = described.shape(&record, &names);
        if let (Value::Object(whole), Value::Object(shaped)) = (&mut record, shaped) {
            whole.extend(shaped);
        }
        record
    };
    vendor.records(object).into_iter().map(shape).collect()
}

/// The names of its keyed lists, from the records that hold them.
fn names(connector: &Connector, vendor: &Inside, object: &str) -> Names {
    let mut names = Names::default();
    let lists = connector.object(object).into_iter().flat_map(|object| &object.keyed_lists);
    for list in lists {
        let Some((of, _)) = list.names_from.as_ref().and_then(|from| from.split_once('.')) else { continue };
        names.lists.insert(list.name.clone(), list.names_of(&vendor.records(of)));
    }
    names
}

/// The value at a dotted name.
pub fn at<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(name) {
        return Some(found).filter(|found| !found.is_null());
    }
    let (first, rest) = name.split_once('.')?;
    at(value.get(first)?, rest)
}

/// Takes the value at a dotted name out.
pub fn take(value: &mut Value, name: &str) {
    let Some(map) = value.as_object_mut() else { return };
    if map.remove(name).is_none()
        && let Some((first, rest)) = name.split_once('.')
        && let Some(below) = map.get_mut(first)
    {
        take(below, rest);
    }
}
