//! How lists and maps are written in a query or a form, where a name has but one text.
//!
//! APIs differ, and none of the ways is right for all: what a file does not say is not guessed, but for lists that repeat
//! their name.

use percent_encoding::utf8_percent_encode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Failure;
use super::address::{RESERVED, kind, scalar};

/// How a list or a map is written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Spelling {
    /// `a=1&a=2`; a map cannot be written.
    #[default]
    Repeat,
    /// `a=1,2`, and a map as `a=key,value`.
    Commas,
    /// `a=1%202`
    Spaces,
    /// `a=1|2`
    Pipes,
    /// `a[]=1&a[]=2`, and a map as `a[key]=value`.
    Brackets,
    /// `a[0]=1&a[1]=2`, and a map as `a[key]=value`; lists of maps can be written.
    Numbers,
    /// `a=1&a=2`, and a map as `a.key=value`.
    Dots,
    /// `a={"key":"value"}`, as JSON.
    Json,
}

impl Spelling {
    /// What stands between the values of a list under one name.
    fn between(self) -> Option<char> {
        match self {
            Spelling::Commas => Some(','),
            Spelling::Spaces => Some(' '),
            Spelling::Pipes => Some('|'),
            _ => None,
        }
    }
}

/// One name, with its value or the values of a list that stand together.
#[derive(Debug)]
pub(super) struct Pair {
    name: String,
    values: Vec<String>,
    between: char,
}

impl Pair {
    pub fn one(name: &str, text: String) -> Pair {
        Pair { name: name.to_owned(), values: vec![text], between: ',' }
    }

    /// As a form holds it, before it is encoded.
    pub fn plain(self) -> (String, String) {
        let between = self.between.to_string();
        (self.name, self.values.join(&between))
    }
}

/// A query of pairs, encoded. What stands between values tells them apart, and is a comma as it is.
pub(super) fn query(pairs: &[Pair]) -> String {
    let encoded = pairs.iter().map(|pair| {
        let between = match pair.between {
            ' ' => "%20",
            '|' => "%7C",
            _ => ",",
        };
        let values: Vec<String> =
            pair.values.iter().map(|value| utf8_percent_encode(value, RESERVED).to_string()).collect();
        format!("{}={}", utf8_percent_encode(&pair.name, RESERVED), values.join(between))
    });
    encoded.collect::<Vec<_>>().join("&")
}

/// A value as pairs; what is null is left out.
///
/// # Errors
/// `invalid`: the spelling cannot say it.
pub(super) fn spell(name: &str, value: &Value, spelling: Spelling, pairs: &mut Vec<Pair>) -> Result<(), Failure> {
    match value {
        Value::Null => {}
        Value::Array(_) | Value::Object(_) if spelling == Spelling::Json => {
            pairs.push(Pair::one(name, value.to_string()));
        }
        Value::Array(items) => list(name, items, spelling, pairs)?,
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            if let Some(between) = spelling.between() {
                let mut values = Vec::new();
                for (key, value) in fields {
                    values.extend([key.clone(), single(name, value)?]);
                }
                together(name, values, between, pairs);
                return Ok(());
            }
            for (key, value) in fields {
                let inner = match spelling {
                    Spelling::Dots => format!("{name}.{key}"),
                    Spelling::Brackets | Spelling::Numbers => format!("{name}[{key}]"),
                    _ => return Err(unsaid(name)),
                };
                spell(&inner, value, spelling, pairs)?;
            }
        }
        value => pairs.push(Pair::one(name, single(name, value)?)),
    }
    Ok(())
}

fn list(name: &str, items: &[Value], spelling: Spelling, pairs: &mut Vec<Pair>) -> Result<(), Failure> {
    let items = items.iter().filter(|item| !item.is_null());
    if let Some(between) = spelling.between() {
        let values = items.map(|item| single(name, item)).collect::<Result<Vec<_>, _>>()?;
        together(name, values, between, pairs);
        return Ok(());
    }
    for (index, item) in items.enumerate() {
        match spelling {
            Spelling::Numbers => spell(&format!("{name}[{index}]"), item, spelling, pairs)?,
            Spelling::Brackets => pairs.push(Pair::one(&format!("{name}[]"), single(name, item)?)),
            _ => pairs.push(Pair::one(name, single(name, item)?)),
        }
    }
    Ok(())
}

fn together(name: &str, values: Vec<String>, between: char, pairs: &mut Vec<Pair>) {
    if !values.is_empty() {
        pairs.push(Pair { name: name.to_owned(), values, between });
    }
}

fn single(name: &str, value: &Value) -> Result<String, Failure> {
    scalar(value).ok_or_else(|| {
        let hint = "`spelling: numbers` or `json` can say it, if the API takes that";
        Failure::new("invalid", format!("`{name}` may not hold {}: {hint}", kind(value)))
    })
}

fn unsaid(name: &str) -> Failure {
    let hint = format!("say how the API wants it, e.g. `spelling: {{ {name}: brackets }}`");
    Failure::new("invalid", format!("`{name}` may not be a map: {hint}"))
}
