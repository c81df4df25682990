//! How a list goes on; one kind, one file.
//!
//! Each kind answers two questions: what a request sees as `$.page`, and what an answer says about the next page. The end
//! of a list is an empty page or a blank cursor; the same page twice is an error, since it would never end.

mod cursor;
mod link;
mod number;
mod offset;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read::{Reader, under};
use super::{Page, Response};
use crate::expr::Path;

/// How to get the next page. Exactly one of the kinds is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`pages`")]
pub(super) struct PagesWritten {
    /// Path in the answer to what the next request says as `$.page.next`.
    pub cursor: Option<String>,
    /// How many records a page holds; the request says `$.page.offset` (and `$.page.size`).
    pub offset: Option<u64>,
    /// The request says `$.page.number`, from 1.
    pub page: Option<NumberWritten>,
    /// The next page's address: `next` for the answer's `Link` header, or a path in the body.
    pub link: Option<String>,
}

/// Pages by number.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`page`")]
pub(super) struct NumberWritten {
    /// Path in the answer to the last page's number; without it an empty page ends the list.
    pub last: Option<String>,
    /// How many records a page holds; the request says `$.page.size`.
    pub size: Option<u64>,
}

/// How a list goes on, compiled.
#[derive(Debug)]
pub(super) enum Pages {
    Cursor(Path),
    Offset { size: u64 },
    Number { last: Option<Path>, size: Option<u64> },
    LinkHeader { rel: String },
    LinkBody(Path),
}

const KINDS: [&str; 4] = ["cursor", "offset", "page", "link"];

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &PagesWritten) -> Option<Pages> {
    let given: Vec<&str> = reader
        .raw(pointer)
        .and_then(Value::as_object)
        .map(|map| KINDS.iter().copied().filter(|kind| map.contains_key(*kind)).collect())
        .unwrap_or_default();
    let [kind] = given.as_slice() else {
        let message = match given.is_empty() {
            true => "`pages` says no kind of paging".to_owned(),
            false => format!("`pages` says several kinds of paging: `{}`", given.join("`, `")),
        };
        reader.key_error("one-kind", pointer, message, format!("give exactly one of `{}`", KINDS.join("`, `")));
        return None;
    };
    let at = under(pointer, kind);
    if reader.raw(&at).is_none_or(Value::is_null) && *kind != "page" {
        reader.error("missing-value", &at, format!("`{kind}` is empty"), "write a value after it, or remove `pages`");
        return None;
    }
    match *kind {
        "cursor" => reader.path(&at, written.cursor.as_deref()?).map(Pages::Cursor),
        "offset" => {
            let size = written.offset?;
            if size == 0 {
                reader.error(
                    "wrong-value",
                    &at,
                    "a page of no records has no next one",
                    "how many records does a page hold?",
                );
            }
            Some(Pages::Offset { size })
        }
        "link" => match written.link.as_deref()? {
            text if text.starts_with('$') => reader.path(&at, text).map(Pages::LinkBody),
            rel => Some(Pages::LinkHeader { rel: rel.to_ascii_lowercase() }),
        },
        _ => {
            let number = written.page.as_ref();
            let last = number.and_then(|number| number.last.as_deref());
            let last = last.and_then(|text| reader.path(&under(&at, "last"), text));
            Some(Pages::Number { last, size: number.and_then(|number| number.size) })
        }
    }
}

impl Pages {
    /// What the request must read, lest every page be the first; None for links, which are followed as they are.
    pub fn must_read(&self) -> Option<&'static str> {
        match self {
            Pages::Cursor(_) => Some("next"),
            Pages::Offset { .. } => Some("offset"),
            Pages::Number { .. } => Some("number"),
            Pages::LinkHeader { .. } | Pages::LinkBody(_) => None,
        }
    }

    /// The root `page` of a request.
    pub fn root(&self, page: &Page) -> Value {
        let mut root = Map::new();
        match self {
            Pages::Cursor(_) => cursor::root(&mut root, page),
            Pages::Offset { size } => offset::root(&mut root, page, *size),
            Pages::Number { size, .. } => number::root(&mut root, page, *size),
            Pages::LinkHeader { .. } | Pages::LinkBody(_) => {}
        }
        Value::Object(root)
    }

    /// True if a page is asked for by its address.
    pub fn is_link(&self) -> bool {
        matches!(self, Pages::LinkHeader { .. } | Pages::LinkBody(_))
    }

    /// The next page after an answer with `count` records, asked for as `page` at `url`.
    ///
    /// # Errors
    /// One sentence: the list gives the same page again, or leads elsewhere.
    pub fn next(&self, page: &Page, url: &str, response: &Response, count: usize) -> Result<Option<Page>, String> {
        if count == 0 {
            return Ok(None);
        }
        match self {
            Pages::Cursor(path) => cursor::next(path, page, response),
            Pages::Offset { .. } => Ok(offset::next(page, count)),
            Pages::Number { last, .. } => Ok(number::next(last.as_ref(), page, response)),
            Pages::LinkHeader { rel } => link::next(link::in_headers(response, rel), url),
            Pages::LinkBody(path) => {
                let found = path.get_in(&response.body);
                link::next(found.as_ref().and_then(Value::as_str).map(str::to_owned), url)
            }
        }
    }
}

/// The address of a linked page with what the first request had and the link forgot.
///
/// # Errors
/// One sentence: the link leads to another origin.
pub(super) fn linked_url(base: &str, link: &str) -> Result<String, String> {
    link::resolve(base, link).map(String::from)
}
