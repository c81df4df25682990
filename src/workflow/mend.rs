//! What is left of a document whose shape has mistakes: enough to look for further ones.

use serde_json::{Value, json};

use crate::source::{FINDINGS_MAX, File, Report, Span, under};

/// Keys that hold lists of actions, at any depth.
const LISTS: [&str; 7] = ["actions", "on_error", "then", "else", "default", "parallel", "cases"];

/// The document without the parts in which the findings are: an action becomes an empty map, so that the others keep their
/// places; a trigger becomes one by hand. None if nothing sensible is left.
pub(super) fn mended(file: &File, found: &Report) -> Option<Value> {
    // Further ones would not be shown.
    if found.diagnostics.len() >= FINDINGS_MAX {
        return None;
    }
    let mut value = file.value.clone();
    for span in found.diagnostics.iter().filter_map(|one| one.primary.as_ref()).map(|place| place.span) {
        let keys: Vec<String> = file.value.as_object()?.keys().cloned().collect();
        let key = keys.into_iter().find(|key| {
            let pointer = under("", key);
            holds(file.span(&pointer), span) || holds(file.key_span(&pointer), span)
        })?;
        let pointer = under("", &key);
        match key.as_str() {
            "workflow" if file.value[&key].is_string() => {}
            "workflow" | "uses" => return None,
            "trigger" => value[&key] = json!({ "manual": null }),
            "actions" | "on_error" => {
                let broken = deepest_action(file, &file.value[&key], &pointer, span);
                match broken.and_then(|at| value.pointer_mut(&at)) {
                    Some(action) => *action = json!({}),
                    // Inside of what is gone already, or no list at all.
                    None if file.value[&key].is_array() => {}
                    None => value[&key] = json!([]),
                }
            }
            _ => {
                value.as_object_mut()?.remove(&key);
            }
        }
    }
    let map = value.as_object_mut()?;
    map.entry("trigger").or_insert_with(|| json!({ "manual": null }));
    map.entry("actions").or_insert_with(|| json!([]));
    Some(value)
}

/// The pointer of the innermost action around a span.
fn deepest_action(file: &File, list: &Value, pointer: &str, span: Span) -> Option<String> {
    let children: Vec<(String, &Value)> = match list {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        // The cases of a `switch`.
        Value::Object(cases) => cases.iter().map(|(name, list)| (name.clone(), list)).collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        let at = under(pointer, &step);
        if !holds(file.span(&at), span) {
            continue;
        }
        if child.is_array() {
            return deepest_action(file, child, &at, span);
        }
        if list.is_object() {
            return None;
        }
        let below = LISTS.iter().filter_map(|key| Some((under(&at, key), child.get(key)?)));
        let mut deeper = below.filter_map(|(at, list)| deepest_action(file, list, &at, span));
        return deeper.next().or(Some(at));
    }
    None
}

fn holds(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
