//! `changed`: what the event says of a field.

use serde_json::Value;

use crate::expr::{Path, Scope};

/// The event names the field, a part of it, or what it is a part of; of a created record, every field that is there.
/// Without an event nothing has changed.
pub(super) fn is_changed(path: &Path, left: Option<&Value>, scope: &Scope<'_>) -> bool {
    if scope.field("event", "type").and_then(Value::as_str) == Some("created") {
        return left.is_some();
    }
    let names = path.read().names;
    let field = names.get(1..).unwrap_or_default().join(".");
    let changed = scope.field("event", "changed").and_then(Value::as_array);
    changed
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|name| field.is_empty() || name == field || is_part_of(&field, name) || is_part_of(name, &field))
}

fn is_part_of(part: &str, whole: &str) -> bool {
    part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('.'))
}
