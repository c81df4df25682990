//! `offset: SIZE`: the next request says how many records to leave out, as `$.page.offset`.
//!
//! The offset grows by what the answer held, not by what was asked for: a server may hand out less than it is asked for.

use serde_json::{Map, Value};

use crate::connector::Page;

pub(super) fn root(root: &mut Map<String, Value>, page: &Page, size: u64, first: u64) {
    root.insert("offset".into(), Value::from(offset(page, first)));
    root.insert("size".into(), Value::from(size));
}

pub(super) fn next(page: &Page, count: usize, first: u64) -> Value {
    Value::from(offset(page, first).saturating_add(u64::try_from(count).unwrap_or(u64::MAX)))
}

fn offset(page: &Page, first: u64) -> u64 {
    page.next.as_ref().and_then(Value::as_u64).unwrap_or(first)
}
