//! Inputs of a `manual` trigger: given by hand, or by a workflow that runs this one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::InputDocument;
use crate::expr::{FieldType, Locale, convert};
use crate::source::nearest;

pub type Inputs = BTreeMap<String, InputDocument>;

/// Each in its type, defaults filled in, nothing unknown.
///
/// # Errors
/// One sentence: what is wrong.
pub fn take(wanted: &Inputs, given: Value, locale: &Locale) -> Result<Value, String> {
    let given = match given {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        _ => return Err("the inputs must be a JSON object".into()),
    };
    if let Some(unknown) = given.keys().find(|name| !wanted.contains_key(*name)) {
        let near = nearest(unknown, wanted.keys().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(format!("the workflow has no input `{unknown}`{near}"));
    }
    let mut inputs = Map::new();
    for (name, input) in wanted {
        let value = given.get(name).filter(|value| !value.is_null()).or(input.default.as_ref());
        let Some(value) = value else { return Err(format!("the input `{name}` is missing")) };
        let fields = FieldType::of_schema(&json!(input));
        let value = convert(value, &fields, locale).map_err(|message| format!("the input `{name}`: {message}"))?;
        inputs.insert(name.clone(), value);
    }
    Ok(Value::Object(inputs))
}

/// The JSON Schema of all inputs; those without a default are required.
pub fn schema(wanted: &Inputs) -> Value {
    let required: Vec<&String> =
        wanted.iter().filter(|(_, input)| input.default.is_none()).map(|(name, _)| name).collect();
    json!({ "type": "object", "properties": wanted, "required": required, "additionalProperties": false })
}
