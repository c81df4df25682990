//! `page: { last: PATH }`: pages are numbered from 1; the request says `$.page.number`.

use serde_json::{Map, Value};

use crate::connector::{Page, Response};
use crate::expr::Path;

pub(super) fn root(root: &mut Map<String, Value>, page: &Page, size: Option<u64>) {
    root.insert("number".into(), Value::from(number(page)));
    if let Some(size) = size {
        root.insert("size".into(), Value::from(size));
    }
}

pub(super) fn next(last: Option<&Path>, page: &Page, response: &Response) -> Option<Page> {
    let number = number(page);
    let last = last.and_then(|path| path.get_in(&response.body)).and_then(|last| whole(&last));
    if last.is_some_and(|last| number >= last) {
        return None;
    }
    Some(Page { next: Some(Value::from(number.saturating_add(1))) })
}

fn number(page: &Page) -> u64 {
    page.next.as_ref().and_then(Value::as_u64).unwrap_or(1)
}

/// Some APIs count in texts.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}
