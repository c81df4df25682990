//! Where an answer has its records: where the connector says, or elsewhere.

use serde_json::Value;

use super::{Heard, Note, Override, count, listed};
use crate::connector::drift::is_word;
use crate::connector::field::under;
use crate::connector::{Object, Operation, Response};
use crate::expr::Path;

/// How deep a list or a record is looked for.
const DEPTH_MAX: usize = 3;

/// The records of each page.
pub(super) fn records(
    object: &Object,
    heard: &Heard<'_>,
    notes: &mut Vec<Note>,
    over: &mut Override,
) -> Vec<Vec<Value>> {
    let operation = heard.operation;
    let Some((key, path)) = declared(operation) else {
        notes.push(Note::look("answer", format!("`{}` says neither `items` nor `returns`", operation.name)));
        return Vec::new();
    };
    let Some((_, first)) = heard.pages.first() else { return Vec::new() };
    if held(operation, path, &first.body).is_some() {
        let what = if operation.lists { "the list" } else { "the record" };
        let pages: Vec<_> = heard.pages.iter().filter_map(|(_, page)| held(operation, path, &page.body)).collect();
        let many = pages.iter().map(Vec::len).sum();
        let amount = match operation.lists {
            true => format!(": {} on {}", count(many, "record"), count(pages.len(), "page")),
            false => String::new(),
        };
        notes.push(Note::good("answer", format!("`{}` has {what} at `{path}`{amount}", operation.name)));
        return pages;
    }
    let lacks = format!("`{}` has nothing that fits at `{path}`", operation.name);
    let found = match operation.lists {
        true => lists(&first.body),
        false => maps(&first.body, &object.id),
    };
    match found.as_slice() {
        [only] => {
            notes.push(Note::look("answer", format!("{lacks}; it is at `{only}`")));
            over.set(operation, key, Value::from(only.as_str()));
            heard.pages.iter().filter_map(|(_, page)| held(operation, only, &page.body)).collect()
        }
        [] => {
            let names = names(first);
            let seen = if names.is_empty() { String::new() } else { format!("; the answer has {names}") };
            notes.push(Note::look("answer", format!("{lacks}, nor elsewhere{seen}")));
            Vec::new()
        }
        several => {
            let several = listed(several.iter().map(String::as_str));
            notes.push(Note::look("answer", format!("{lacks}; it may be one of {several}: say which in `{key}`")));
            Vec::new()
        }
    }
}

fn declared(operation: &Operation) -> Option<(&'static str, &str)> {
    match (&operation.items, &operation.returns) {
        (Some(path), _) => Some(("items", path.text())),
        (None, Some(path)) => Some(("returns", path.text())),
        (None, None) => None,
    }
}

/// What a path finds, if it is a list or a record, as is wanted.
fn held(operation: &Operation, path: &str, body: &Value) -> Option<Vec<Value>> {
    match (operation.lists, Path::compile(path).ok()?.get_in(body)?) {
        (true, Value::Array(items)) => Some(items),
        (false, record @ Value::Object(_)) => Some(vec![record]),
        _ => None,
    }
}

/// Where the answer has lists of records.
fn lists(body: &Value) -> Vec<String> {
    if body.is_array() {
        return vec!["$".into()];
    }
    let mut found = Vec::new();
    walk(body, "$", 0, &mut |path, value| {
        let is_list = value.as_array().is_some_and(|items| items.first().is_some_and(Value::is_object));
        if is_list {
            found.push(path.to_owned());
        }
        is_list
    });
    found
}

/// Where the answer has a map with an id.
fn maps(body: &Value, id: &str) -> Vec<String> {
    let has_id = |value: &Value| value.get(id).is_some();
    if has_id(body) {
        return vec!["$".into()];
    }
    let mut found = Vec::new();
    walk(body, "$", 0, &mut |path, value| {
        if has_id(value) {
            found.push(path.to_owned());
        }
        has_id(value)
    });
    found
}

/// Everything below a map whose names are words; `look` says that it need not be looked into.
fn walk(value: &Value, path: &str, depth: usize, look: &mut impl FnMut(&str, &Value) -> bool) {
    for (name, inside) in value.as_object().into_iter().flatten().filter(|(name, _)| is_word(name)) {
        let path = under(path, name);
        if !look(&path, inside) && depth < DEPTH_MAX {
            walk(inside, &path, depth + 1, look);
        }
    }
}

fn names(response: &Response) -> String {
    match &response.body {
        Value::Object(map) => listed(map.keys().map(String::as_str).filter(|name| is_word(name))),
        _ => String::new(),
    }
}
