//! `cursor:` and `header:`: the answer names a value, the next request gives it back as `$.page.next`, with its type.

use serde_json::{Map, Value};

use super::CursorWritten;
use crate::connector::read::{Reader, under};
use crate::connector::{Page, Response};
use crate::expr::{Path, is_blank};

/// Where an answer says it.
#[derive(Debug)]
pub(super) enum From {
    One(Path),
    Several(Vec<(String, Path)>),
    Header(String),
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &CursorWritten) -> Option<From> {
    match written {
        CursorWritten::One(path) => reader.path(pointer, path).map(From::One),
        CursorWritten::Several(named) => {
            let parts: Vec<(String, Path)> = named
                .iter()
                .filter_map(|(name, path)| Some((name.to_owned(), reader.path(&under(pointer, name), path)?)))
                .collect();
            if parts.is_empty() {
                let help = "name what the next request says: `{ after: $.meta.startAfter }`";
                reader.error("missing-value", pointer, "`cursor` names no value", help);
            }
            Some(From::Several(parts))
        }
    }
}

impl From {
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            From::One(path) => vec![path],
            From::Several(parts) => parts.iter().map(|(_, path)| path).collect(),
            From::Header(_) => Vec::new(),
        }
    }

    fn find(&self, response: &Response) -> Option<Value> {
        match self {
            From::One(path) => path.get_in(&response.body),
            From::Several(parts) => {
                let parts = parts.iter().filter_map(|(name, path)| Some((name.clone(), path.get_in(&response.body)?)));
                Some(Value::Object(parts.collect()))
            }
            From::Header(name) => response.header(name).map(Value::from),
        }
    }
}

pub(super) fn root(root: &mut Map<String, Value>, page: &Page) {
    if let Some(next) = &page.next {
        root.insert("next".into(), next.clone());
    }
}

pub(super) fn next(from: &From, page: &Page, response: &Response) -> Result<Option<Page>, String> {
    let next = from.find(response);
    if ends(next.as_ref()) {
        return Ok(None);
    }
    if next == page.next {
        return Err("the list names the page that was asked for as its next one: it would never end".into());
    }
    Ok(Some(Page { next, seen: None }))
}

/// A blank, `false`, or nothing but such in a list or a map.
pub(super) fn ends(cursor: Option<&Value>) -> bool {
    match cursor {
        Some(Value::Bool(more)) => !more,
        Some(Value::Array(parts)) => parts.iter().all(|part| ends(Some(part))),
        Some(Value::Object(parts)) => parts.values().all(|part| ends(Some(part))),
        cursor => is_blank(cursor),
    }
}
