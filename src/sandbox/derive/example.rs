//! A value as a schema describes it.

use serde_json::{Map, Value, json};

const DEPTH_MAX: usize = 8;

pub fn example(schema: &Value) -> Value {
    at_depth(schema, 0)
}

fn at_depth(schema: &Value, depth: usize) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "date-time" => "2026-01-02T03:04:05Z".into(),
        Some("string") if schema["format"] == "date" => "2026-01-02".into(),
        Some("string") if schema["format"] == "email" => "ada@example.com".into(),
        Some("string") if schema["format"] == "uri" => "https://example.com/".into(),
        Some("string") => "text".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        _ if depth == DEPTH_MAX => json!({}),
        _ => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(name, field)| (name.clone(), at_depth(field, depth + 1))).collect::<Map<_, _>>().into()
        }
    }
}
