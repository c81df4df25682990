//! How a list goes on: does the next page differ, is there what the connector reads, and what else is there?

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{Heard, Note, Override, count, listed, plain};
use crate::connector::drift::is_word;
use crate::connector::field::under;
use crate::connector::page::next_link;
use crate::connector::{Object, Operation, Response};
use crate::source::under as pointer_under;

const WHAT: &str = "paging";
/// How deep signs of pages are looked for.
const DEPTH_MAX: usize = 3;
const CURSORS: [&str; 13] = [
    "nextcursor",
    "nextpagetoken",
    "nexttoken",
    "nextpagecursor",
    "endcursor",
    "continuationtoken",
    "scrollid",
    "cursor",
    "next",
    "nextpage",
    "after",
    "pagetoken",
    "startafter",
];
const LASTS: [&str; 8] =
    ["totalpages", "lastpage", "pagecount", "pagestotal", "numpages", "totalpage", "pages", "maxpage"];
const TOTALS: [&str; 7] = ["total", "totalcount", "totalresults", "totalrecords", "totalitems", "recordcount", "count"];
const MORES: [&str; 6] = ["hasmore", "more", "hasnext", "hasnextpage", "hasmoreitems", "ismore"];

/// What an answer shows of how the list goes on.
struct Sign {
    /// The kind of `pages:`.
    kind: &'static str,
    /// Where it is, for people.
    at: String,
    pages: Value,
    /// What the request must say, and a name for it.
    says: Option<(&'static str, String)>,
}

/// `items`: the records of each page.
pub(super) fn compare(
    object: &Object,
    heard: &Heard<'_>,
    items: &[Vec<Value>],
    written: &Value,
    notes: &mut Vec<Note>,
    over: &mut Override,
) {
    let operation = heard.operation;
    let (Some((_, response)), Some(first)) = (heard.pages.first(), items.first()) else { return };
    let name = &operation.name;
    let signs = signs(response, first.len());
    let seen = || listed(signs.iter().map(|sign| sign.at.as_str()));
    let Some(pages) = &operation.pages else {
        match signs.first() {
            None => notes.push(Note::good(WHAT, format!("`{name}` shows no further page"))),
            Some(sign) => {
                notes.push(Note::look(WHAT, format!("`{name}` says no `pages`, and there is more: {}", seen())));
                suggest(operation, sign, written, over);
            }
        }
        return;
    };
    if first.is_empty() {
        notes.push(Note::good(WHAT, format!("`{name}` is empty: nothing can be said of its pages")));
        return;
    }
    if let Some(why) = &heard.ended {
        notes.push(Note::look(WHAT, format!("`{name}`: {why}")));
    }
    let word = pages.word();
    let absent: Vec<&str> = pages
        .paths()
        .into_iter()
        .filter(|path| path.get_in(&response.body).is_none_or(|found| found.as_array().is_some_and(Vec::is_empty)))
        .map(|path| path.text())
        .collect();
    match items.get(1) {
        Some(second) => {
            let known = |record: &Value| {
                crate::connector::value_of(record, &object.id).map_or_else(|| record.to_string(), Value::to_string)
            };
            let before: HashSet<String> = first.iter().map(known).collect();
            let again = second.iter().filter(|record| before.contains(&known(record))).count();
            match again {
                0 => {
                    let told = format!("`{name}` goes on by `{word}`: the second page holds other records");
                    notes.push(Note::good(WHAT, told));
                    if absent.is_empty() {
                        return;
                    }
                }
                all if all == second.len() => {
                    notes.push(Note::look(WHAT, format!("`{name}` gives the first page again as the second")));
                }
                some => {
                    let told =
                        format!("{some} of {} of the second page were on the first", count(second.len(), "record"));
                    notes.push(Note::look(WHAT, format!("`{name}`: {told}")));
                }
            }
        }
        None if absent.is_empty() && signs.is_empty() => {
            notes.push(Note::good(WHAT, format!("`{name}` has one page")));
            return;
        }
        None => {}
    }
    if !absent.is_empty() {
        let absent = listed(absent.iter().copied());
        let other = signs.iter().filter(|sign| sign.kind != "offset").count() > 0;
        let told = match (signs.is_empty(), other || items.get(1).is_none()) {
            (true, _) => format!("the answer of `{name}` has no {absent}, as a last page may"),
            (false, _) => format!("the answer of `{name}` has no {absent}; it has {}", seen()),
        };
        notes.push(match signs.is_empty() {
            true => Note::good(WHAT, told),
            false => Note::look(WHAT, told),
        });
    }
    // What works is left alone.
    let works = items.get(1).is_some_and(|second| !second.is_empty() && *second != *first);
    let fitting = signs.iter().find(|sign| sign.kind == word).or(signs.first());
    if let Some(sign) = fitting.filter(|sign| !works || (sign.kind == word && !absent.is_empty())) {
        suggest(operation, sign, written, over);
    }
}

/// Puts the paging that a sign shows into the override.
fn suggest(operation: &Operation, sign: &Sign, written: &Value, over: &mut Override) {
    let before = operation.pages.as_ref().map(|pages| pages.word()).filter(|word| *word != sign.kind);
    let mut pages = Map::new();
    // The one kind must go before the other can come.
    pages.extend(before.map(|before| (before.to_owned(), Value::Null)));
    pages.extend(sign.pages.as_object().cloned().unwrap_or_default());
    over.set(operation, "pages", pages.into());
    let Some((read, name)) = &sign.says else { return };
    let object = operation.object.as_deref().unwrap_or_default();
    let at = format!("{}/operations/{}", pointer_under("/objects", object), operation.short_name());
    let part = |key: &str| written.pointer(&format!("{at}/{key}")).and_then(Value::as_object);
    let reads = |key: &str| part(key).into_iter().flatten().any(|(_, value)| value.as_str() == Some(*read));
    if ["query", "body", "add"].into_iter().any(reads) {
        return;
    }
    let key = if operation.method == "GET" || part("body").is_none() { "query" } else { "body" };
    over.remark(operation, key, &format!("Guessed: that the request says it as `{name}`."));
    over.set(operation, key, json!({ name.as_str(): read }));
}

/// What says that there is more, the surest first.
fn signs(response: &Response, held: usize) -> Vec<Sign> {
    let mut signs = Vec::new();
    if next_link(response).is_some() {
        let at = "Link".to_owned();
        signs.push(Sign { kind: "link", at, pages: json!({ "link": "next" }), says: None });
    }
    let mut found = Vec::new();
    walk(&response.body, "$", 0, &mut found);
    let more = found.iter().find(|(name, _, value)| MORES.contains(&name.as_str()) && value.is_boolean());
    let ends = more.is_some_and(|(_, _, value)| **value == Value::Bool(false));
    let named = |names: &'static [&'static str]| found.iter().filter(|(name, _, _)| names.contains(&name.as_str()));
    for (name, path, value) in &found {
        if name.contains("next") && value.as_str().is_some_and(is_link) {
            signs.push(Sign { kind: "link", at: path.clone(), pages: json!({ "link": path }), says: None });
        }
    }
    let is_cursor = |value: &Value| match value {
        Value::String(text) => !text.trim().is_empty() && !is_link(text),
        value => value.is_number(),
    };
    for (name, path, _) in named(&CURSORS).filter(|(_, _, value)| is_cursor(value) && !ends) {
        let mut pages = json!({ "cursor": path });
        if let Some((_, more, _)) = more {
            pages["more"] = more.as_str().into();
        }
        let says = Some(("$.page.next", parameter(name, path)));
        signs.push(Sign { kind: "cursor", at: path.clone(), pages, says });
    }
    for (_, path, _) in named(&LASTS).filter(|(_, _, value)| value.as_u64().is_some_and(|pages| pages > 1)) {
        let says = Some(("$.page.number", "page".to_owned()));
        signs.push(Sign { kind: "page", at: path.clone(), pages: json!({ "page": { "last": path } }), says });
    }
    let is_more = |value: &Value| value.as_u64().is_some_and(|total| held > 0 && total > held as u64);
    for (_, path, _) in named(&TOTALS).filter(|(_, _, value)| is_more(value)) {
        let says = Some(("$.page.offset", "offset".to_owned()));
        signs.push(Sign { kind: "offset", at: path.clone(), pages: json!({ "offset": held }), says });
    }
    signs
}

/// The name under which a cursor is likely given back: `nextPageToken` as `pageToken`, `next_cursor` as `cursor`.
fn parameter(name: &str, path: &str) -> String {
    if matches!(name, "next" | "endcursor") {
        return "cursor".into();
    }
    let last = path.rsplit(['.', '\'']).find(|part| is_word(part)).unwrap_or("cursor");
    let rest = last.strip_prefix("next").unwrap_or(last).trim_start_matches('_');
    let mut letters = rest.chars();
    letters.next().map_or_else(|| "cursor".into(), |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}

fn is_link(text: &str) -> bool {
    text.starts_with("http") || text.starts_with('/') || text.starts_with('?')
}

/// Plain values beside the records, each with its plain name and its path.
fn walk<'v>(value: &'v Value, path: &str, depth: usize, found: &mut Vec<(String, String, &'v Value)>) {
    for (name, inside) in value.as_object().into_iter().flatten().filter(|(name, _)| is_word(name)) {
        let path = under(path, name);
        match inside {
            Value::Object(_) if depth < DEPTH_MAX => walk(inside, &path, depth + 1, found),
            Value::Object(_) | Value::Array(_) | Value::Null => {}
            _ => found.push((plain(name), path, inside)),
        }
    }
}
