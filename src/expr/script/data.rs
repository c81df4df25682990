//! Values on their way into a script and out of it.
//!
//! Nothing is nothing here, too: null goes in as `()`. What comes out as `()` is absent; in a map or list it is left
//! out. A whole number stays one, and so does one with a point.

use rhai::{Dynamic, Map};
use serde_json::{Number, Value};

use super::told::kind_of;
use crate::expr::Scope;
use crate::expr::needs::Needs;

/// What a script reads, as far as it is there: each root that it names is there, if only as nothing.
pub(super) fn read_of(needs: &Needs, scope: &Scope<'_>) -> Map {
    let mut found = needs.of_scope(scope);
    needs.roots().map(|root| (root.into(), into_script(found.swap_remove(root).unwrap_or_default()))).collect()
}

fn into_script(value: Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(value) => Dynamic::from_bool(value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Dynamic::from_int(number),
            // Beyond the integers that scripts count with; carried along, it stays what it is.
            (None, Some(number)) => Dynamic::from(number),
            (None, None) => number.as_f64().map_or(Dynamic::UNIT, Dynamic::from_float),
        },
        Value::String(text) => Dynamic::from(text),
        Value::Array(items) => Dynamic::from_array(items.into_iter().map(into_script).collect()),
        Value::Object(fields) => {
            Dynamic::from_map(fields.into_iter().map(|(name, field)| (name.into(), into_script(field))).collect())
        }
    }
}

/// # Errors
/// The sentence on what cannot leave a script.
pub(super) fn out_of_script(given: &Dynamic) -> Result<Option<Value>, String> {
    let kind = kind_of(given.type_name());
    let value = if given.is_unit() {
        return Ok(None);
    } else if let Ok(value) = given.as_bool() {
        Value::from(value)
    } else if let Ok(number) = given.as_int() {
        Value::from(number)
    } else if let Ok(number) = given.as_float() {
        let number =
            Number::from_f64(number).ok_or_else(|| format!("a script gives `{number}`, which is no number"))?;
        Value::Number(number)
    } else if let Ok(letter) = given.as_char() {
        Value::from(letter.to_string())
    } else if let Ok(text) = given.as_immutable_string_ref() {
        Value::from(text.as_str())
    } else if let Some(number) = given.read_lock::<u64>() {
        Value::from(*number)
    } else if let Ok(items) = given.as_array_ref() {
        let mut made = Vec::with_capacity(items.len());
        for item in items.iter() {
            made.extend(out_of_script(item)?);
        }
        Value::Array(made)
    } else if let Ok(fields) = given.as_map_ref() {
        let mut made = serde_json::Map::new();
        for (name, field) in fields.iter() {
            if let Some(field) = out_of_script(field)? {
                made.insert(name.to_string(), field);
            }
        }
        Value::Object(made)
    } else {
        return Err(format!("a script gives {kind}, which is no value"));
    };
    Ok(Some(value))
}
