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
use sha2::{Digest, Sha256};

use super::read::{Reader, under};
use super::written::Named;
use super::{Page, Paging, Response};
use crate::expr::Path;

/// How to get the next page. Exactly one of the kinds is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`pages`")]
pub(super) struct PagesWritten {
    /// Path in the answer to what the next request says as `$.page.next`; or several by name, which it says as
    /// `$.page.next.NAME`.
    pub cursor: Option<CursorWritten>,
    /// The answer's header that holds what the next request says as `$.page.next`.
    pub header: Option<String>,
    /// How many records a page holds; the request says `$.page.offset` (and `$.page.size`).
    pub offset: Option<OffsetWritten>,
    /// The request says `$.page.number`, from 1 unless `first` says otherwise.
    pub page: Option<NumberWritten>,
    /// The next page's address: `next` for the answer's `Link` header, or a path in the body.
    pub link: Option<String>,
    /// Path in the answer to what says whether there is more; `false` or nothing ends the list.
    pub more: Option<String>,
}

/// Where the answer says how to go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum CursorWritten {
    /// One path.
    One(String),
    /// Several paths by name, e.g. `{ after: $.meta.startAfter, id: $.meta.startAfterId }`.
    Several(Named<String>),
}

/// How many records a page holds, and from where they are counted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OffsetWritten {
    /// How many records a page holds; the first one is 0.
    Size(u64),
    /// With the number of the first record.
    From(OffsetFrom),
}

/// Pages by the number of their first record.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`offset`")]
pub(super) struct OffsetFrom {
    /// How many records a page holds.
    pub size: u64,
    /// The number of the first record; 0 unless said otherwise.
    #[serde(default)]
    pub first: u64,
}

/// Pages by number.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`page`")]
pub(super) struct NumberWritten {
    /// The first page's number; 1 unless said otherwise.
    pub first: Option<u64>,
    /// Path in the answer to the last page's number; without it an empty page ends the list.
    pub last: Option<String>,
    /// Path in the answer to how many pages there are.
    pub count: Option<String>,
    /// How many records a page holds; the request says `$.page.size`.
    pub size: Option<u64>,
}

/// How a list goes on, compiled.
#[derive(Debug)]
pub(super) struct Pages {
    kind: Kind,
    /// What must say that there is more.
    more: Option<Path>,
}

#[derive(Debug)]
enum Kind {
    Cursor(cursor::From),
    Offset { size: u64, first: u64 },
    Number(number::Numbers),
    LinkHeader { rel: String },
    LinkBody(Path),
}

const KINDS: [&str; 5] = ["cursor", "header", "offset", "page", "link"];

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &PagesWritten) -> Option<Pages> {
    let map = reader.raw(pointer).and_then(Value::as_object);
    let said: Vec<(&str, &Value)> =
        map.map(|map| KINDS.iter().filter_map(|kind| Some((*kind, map.get(*kind)?))).collect()).unwrap_or_default();
    // An override cannot take a kind away; it empties it beside the one that it gives.
    let given: Vec<&str> =
        said.iter().filter(|(_, value)| said.len() == 1 || !value.is_null()).map(|(kind, _)| *kind).collect();
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
    let more = written.more.as_ref().and_then(|path| reader.path(&under(pointer, "more"), path));
    let kind = match *kind {
        "cursor" => Kind::Cursor(cursor::read(reader, &at, written.cursor.as_ref()?)?),
        "header" => Kind::Cursor(cursor::From::Header(written.header.clone()?)),
        "offset" => {
            let (size, first) = match written.offset.as_ref()? {
                OffsetWritten::Size(size) => (*size, 0),
                OffsetWritten::From(from) => (from.size, from.first),
            };
            if size == 0 {
                let help = "how many records does a page hold?";
                reader.error("wrong-value", &at, "a page of no records has no next one", help);
            }
            Kind::Offset { size, first }
        }
        "link" => match written.link.as_deref()? {
            text if text.starts_with('$') => Kind::LinkBody(reader.path(&at, text)?),
            rel => Kind::LinkHeader { rel: rel.to_ascii_lowercase() },
        },
        _ => Kind::Number(number::read(reader, &at, written.page.as_ref())),
    };
    Some(Pages { kind, more })
}

impl Pages {
    /// What the request must read, lest every page be the first; None for links, which are followed as they are.
    pub fn must_read(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Cursor(_) => Some("next"),
            Kind::Offset { .. } => Some("offset"),
            Kind::Number(_) => Some("number"),
            Kind::LinkHeader { .. } | Kind::LinkBody(_) => None,
        }
    }

    pub fn told(&self) -> Paging {
        match self.kind {
            Kind::Cursor(_) => Paging::Cursor,
            Kind::Offset { size, .. } => Paging::Offset { size },
            Kind::Number(_) => Paging::Number,
            Kind::LinkHeader { .. } | Kind::LinkBody(_) => Paging::Link,
        }
    }

    /// The root `page` of a request.
    pub fn root(&self, page: &Page) -> Value {
        let mut root = Map::new();
        match &self.kind {
            Kind::Cursor(_) => cursor::root(&mut root, page),
            Kind::Offset { size, first } => offset::root(&mut root, page, *size, *first),
            Kind::Number(numbers) => numbers.root(&mut root, page),
            Kind::LinkHeader { .. } | Kind::LinkBody(_) => {}
        }
        Value::Object(root)
    }

    /// Which kind it is, as it is written.
    pub fn word(&self) -> &'static str {
        match &self.kind {
            Kind::Cursor(cursor::From::Header(_)) => "header",
            Kind::Cursor(_) => "cursor",
            Kind::Offset { .. } => "offset",
            Kind::Number(_) => "page",
            Kind::LinkHeader { .. } | Kind::LinkBody(_) => "link",
        }
    }

    /// The paths at which an answer says how to go on.
    pub fn paths(&self) -> Vec<&Path> {
        let of_kind = match &self.kind {
            Kind::Cursor(from) => from.paths(),
            Kind::Number(numbers) => numbers.paths(),
            Kind::LinkBody(path) => vec![path],
            Kind::LinkHeader { .. } | Kind::Offset { .. } => Vec::new(),
        };
        of_kind.into_iter().chain(&self.more).collect()
    }

    /// True if a page is asked for by its address.
    pub fn is_link(&self) -> bool {
        matches!(self.kind, Kind::LinkHeader { .. } | Kind::LinkBody(_))
    }

    /// The next page after an answer with these records, asked for as `page` at `url`.
    ///
    /// # Errors
    /// One sentence: the list gives the same page again, or leads elsewhere.
    pub fn next(&self, page: &Page, url: &str, response: &Response, items: &[Value]) -> Result<Option<Page>, String> {
        let more = |path: &Path| !cursor::ends(path.get_in(&response.body).as_ref());
        if items.is_empty() || !self.more.as_ref().is_none_or(more) {
            return Ok(None);
        }
        let next = match &self.kind {
            Kind::Cursor(from) => return cursor::next(from, page, response),
            Kind::LinkHeader { rel } => return link::next(link::in_headers(response, rel), url),
            Kind::LinkBody(path) => {
                let found = path.get_in(&response.body);
                return link::next(found.as_ref().and_then(Value::as_str).map(str::to_owned), url);
            }
            Kind::Offset { first, .. } => Some(offset::next(page, items.len(), *first)),
            Kind::Number(numbers) => numbers.next(page, response),
        };
        // What is counted by us alone goes on for ever where the API does not listen. Once it may be that new records have moved
        // the others by a whole page.
        let seen = match (mark(items), page.seen.as_deref()) {
            (mark, Some(seen)) if seen == format!("{mark}{AGAIN}") => {
                let why = "the list gives the same page again: it does not listen to what the request says of pages";
                return Err(why.into());
            }
            (mark, Some(seen)) if seen == mark => mark + AGAIN,
            (mark, _) => mark,
        };
        Ok(next.map(|next| Page { next: Some(next), seen: Some(seen) }))
    }
}

/// The next page's address, as the header `Link` says it.
pub(super) fn next_link(response: &Response) -> Option<String> {
    link::in_headers(response, "next")
}

/// Behind the mark of a page that came twice.
const AGAIN: &str = " again";

/// Tells one page from another, by its ends.
fn mark(items: &[Value]) -> String {
    let mut hash = Sha256::new();
    for item in [items.first(), items.last()].into_iter().flatten() {
        hash.update(item.to_string());
    }
    format!("{}:{}", items.len(), hex::encode(&hash.finalize()[..8]))
}

/// The address of a linked page with what the first request had and the link forgot.
///
/// # Errors
/// One sentence: the link leads to another origin.
pub(super) fn linked_url(base: &str, link: &str) -> Result<String, String> {
    link::resolve(base, link).map(String::from)
}
