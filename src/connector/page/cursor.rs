//! `cursor: PATH`: the answer names a value, the next request gives it back as `$.page.next`, with its type.

use serde_json::{Map, Value};

use crate::connector::{Page, Response};
use crate::expr::{Path, is_blank};

pub(super) fn root(root: &mut Map<String, Value>, page: &Page) {
    if let Some(next) = &page.next {
        root.insert("next".into(), next.clone());
    }
}

pub(super) fn next(path: &Path, page: &Page, response: &Response) -> Result<Option<Page>, String> {
    let next = path.get_in(&response.body);
    if ends(next.as_ref()) {
        return Ok(None);
    }
    if next == page.next {
        return Err("the list names the page that was asked for as its next one: it would never end".into());
    }
    Ok(Some(Page { next }))
}

/// A blank, `false`, or a list of nothing but such.
fn ends(cursor: Option<&Value>) -> bool {
    match cursor {
        Some(Value::Bool(more)) => !more,
        Some(Value::Array(parts)) => parts.iter().all(|part| ends(Some(part))),
        cursor => is_blank(cursor),
    }
}
