//! The keys of actions and triggers, from the JSON Schema of workflows.

use serde_json::Value;

use super::{code, described};

/// How deep keys are told.
const DEPTH_MAX: usize = 4;

pub struct Schema {
    whole: Value,
}

impl Schema {
    pub fn of_workflows() -> Schema {
        Schema { whole: dovetail::workflow::schema() }
    }

    pub fn definition(&self, name: &str) -> &Value {
        &self.whole["$defs"][name]
    }

    /// Each verb of an action or a trigger, with the schema of its keys.
    pub fn verbs(&self, definition: &str) -> Vec<(&str, &Value)> {
        let verbs = self.definition(definition)["x-verbs"].as_object().expect("the verbs are listed");
        verbs.iter().map(|(verb, schema)| (verb.as_str(), self.resolved(schema))).collect()
    }

    /// The keys that stand beside any verb.
    pub fn common(&self, definition: &str) -> &Value {
        self.resolved(&self.definition(definition)["allOf"][0])
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match reference(schema) {
            Some(name) => self.definition(name),
            None => match schema["anyOf"]
                .as_array()
                .map(|all| all.iter().filter(|one| one["type"] != "null").collect::<Vec<_>>())
            {
                Some(some) if some.len() == 1 => self.resolved(some[0]),
                _ => schema,
            },
        }
    }

    /// Rows: key, what it takes, whether it is needed, what it is.
    pub fn rows(&self, schema: &Value, verb: Option<&str>) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        self.add_rows(schema, "", verb, DEPTH_MAX, &mut rows);
        rows
    }

    fn add_rows(&self, schema: &Value, before: &str, verb: Option<&str>, depth: usize, rows: &mut Vec<Vec<String>>) {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let required: Vec<&str> = required.chain(verb).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        for (name, property) in properties {
            let key = format!("{before}{name}");
            let what = property["description"].as_str().or_else(|| self.resolved(property)["description"].as_str());
            let needed = if required.contains(&name.as_str()) { "yes" } else { "" };
            rows.push(vec![code(&key), self.takes(property), needed.into(), described(&key, what).into()]);
            let inner = self.resolved(property);
            if depth == 0 || is_action(property) {
                continue;
            }
            if inner["properties"].is_object() {
                self.add_rows(inner, &format!("{key}."), None, depth - 1, rows);
            } else if let Some(each) = inner.get("additionalProperties").map(|each| self.resolved(each))
                && each["properties"].is_object()
            {
                self.add_rows(each, &format!("{key}.NAME."), None, depth - 1, rows);
            }
        }
    }

    /// What a key takes, in words.
    fn takes(&self, schema: &Value) -> String {
        if let Some(said) = schema["x-takes"].as_str() {
            return said.into();
        }
        if is_action(schema) {
            return "an action".into();
        }
        let schema = self.resolved(schema);
        let words = |values: Vec<&Value>| {
            values.iter().map(|value| code(value.as_str().unwrap_or_default())).collect::<Vec<_>>()
        };
        if let Some(values) = schema["enum"].as_array() {
            return one_of(&words(values.iter().collect()));
        }
        if let Some(all) = schema["oneOf"].as_array().filter(|all| all.iter().all(|one| one["const"].is_string())) {
            return one_of(&words(all.iter().map(|one| &one["const"]).collect()));
        }
        if let Some(all) = schema["anyOf"].as_array() {
            return one_of(
                &all.iter().filter(|one| one["type"] != "null").map(|one| self.takes(one)).collect::<Vec<_>>(),
            );
        }
        match kind(schema) {
            Some("string") => "text".into(),
            Some("integer") => "a whole number".into(),
            Some("number") => "a number".into(),
            Some("boolean") => "true or false".into(),
            Some("array") => format!("a list{}", self.of(&schema["items"])),
            Some("object") => format!("a map{}", self.of(&schema["additionalProperties"])),
            _ => "any value".into(),
        }
    }

    /// ` of texts`; nothing if it may be of anything.
    fn of(&self, schema: &Value) -> String {
        if is_action(schema) {
            return " of actions".into();
        }
        let schema = self.resolved(schema);
        match kind(schema) {
            Some("string") => " of texts".into(),
            Some("array") => format!(" of lists{}", self.of(&schema["items"])),
            _ => match schema["anyOf"].as_array() {
                Some(all) => format!(
                    " of {}",
                    all.iter().map(|one| self.of(one).replacen(" of ", "", 1)).rev().collect::<Vec<_>>().join(" or ")
                ),
                None => String::new(),
            },
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

fn is_action(schema: &Value) -> bool {
    reference(schema) == Some("Action")
}

/// The type, beside `null`.
fn kind(schema: &Value) -> Option<&str> {
    match &schema["type"] {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    }
}

fn one_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
