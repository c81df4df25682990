//! What a response meant.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Operation, Page, Response};
use crate::expr::{Condition, Locale, Path, Scope};

/// The meaning of one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked. `value`: what `returns` gives (the vendor's form), the items of a list, or null. `next`: there is more.
    Done {
        value: Value,
        next: Option<Page>,
    },
    Failed(Failure),
}

/// Why something did not work, in the few names that recipes speak in. Recorded in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{name}: {message}")]
pub struct Failure {
    /// `auth scope forbidden not_found transient timeout unreachable conflict rate_limited invalid duplicate not_accepted
    /// failed unknown …`
    pub name: String,
    /// For people: the vendor's words, shortened, without secrets.
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_id: Option<String>,
    /// `Retry-After`, clamped to 24 h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Which value could not be made: a JSON pointer below the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Failure {
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        let (name, message) = (name.into(), message.into());
        Self { name, message, existing_id: None, retry_after_ms: None, status: None, at: None }
    }
    /// Does it say that nobody is there, or nobody who is well?
    pub fn is_of_trouble(&self) -> bool {
        matches!(self.name.as_str(), "transient" | "timeout" | "unreachable")
    }
    /// Says which value could not be made.
    pub fn at(self, pointer: String) -> Self {
        Self { at: Some(pointer), ..self }
    }
}

/// The names that recipes speak in.
pub const FAILURE_NAMES: [&str; 15] = [
    "auth",
    "scope",
    "forbidden",
    "not_found",
    "transient",
    "timeout",
    "unreachable",
    "conflict",
    "rate_limited",
    "invalid",
    "duplicate",
    "not_accepted",
    "failed",
    "silent",
    "unknown",
];

/// An entry of `errors:`.
#[derive(Debug)]
pub(super) struct ErrorRule {
    /// Empty: any status.
    pub statuses: Vec<RangeInclusive<u16>>,
    pub only_if: Option<Condition>,
    pub is: String,
    pub existing_id: Option<Path>,
}

impl ErrorRule {
    fn fits(&self, response: &Response, scope: &Scope<'_>) -> bool {
        let status = self.statuses.is_empty() || self.statuses.iter().any(|range| range.contains(&response.status));
        // An answer of another form than the condition expects (a list where a text was) is one that it does not fit.
        status && self.only_if.as_ref().is_none_or(|condition| condition.holds(scope).unwrap_or(false))
    }
}

/// `asked` makes the address that was asked for, where a link to the next page needs it.
pub(super) fn outcome(
    rules: &[ErrorRule],
    operation: &Operation,
    page: &Page,
    response: Response,
    asked: impl Fn() -> Result<String, Failure>,
) -> Outcome {
    let locale = Locale::default();
    let scope = Scope::new(&response.body, &locale);
    if let Some(rule) = rules.iter().find(|rule| rule.fits(&response, &scope)) {
        if rule.is == "not_found" && operation.short_name() == "find" {
            // The file says it in so many words: a `find` that finds nothing has worked. A bare 404 says no such thing,
            // it may as well be a wrong address.
            let value = if operation.lists { Value::Array(Vec::new()) } else { Value::Null };
            return Outcome::Done { value, next: None };
        }
        let existing_id = rule.existing_id.as_ref().and_then(|path| path.get_in(&response.body));
        let existing_id = existing_id.as_ref().and_then(super::address::scalar);
        return Outcome::Failed(Failure { existing_id, ..failure(&rule.is, said(&response), &response) });
    }
    if let Some(failure) = refused(&response) {
        return Outcome::Failed(failure);
    }
    match done(operation, page, response, asked) {
        Ok((value, next)) => Outcome::Done { value, next },
        Err(failure) => Outcome::Failed(failure),
    }
}

/// Why an answer to no operation is a refusal; None: it is none.
pub(super) fn refusal(rules: &[ErrorRule], response: &Response) -> Option<Failure> {
    let locale = Locale::default();
    let scope = Scope::new(&response.body, &locale);
    let rule = rules.iter().find(|rule| rule.fits(response, &scope));
    rule.map(|rule| failure(&rule.is, said(response), response)).or_else(|| refused(response))
}

fn refused(response: &Response) -> Option<Failure> {
    let name = built_in(response.status)?;
    let said = match response.status {
        300..400 => format!("answered {}: redirects are not followed", response.status),
        _ => said(response),
    };
    Some(failure(name, said, response))
}

/// What a status means where no rule says otherwise; None: it worked.
fn built_in(status: u16) -> Option<&'static str> {
    match status {
        200..300 => None,
        401 => Some("auth"),
        403 => Some("forbidden"),
        404 | 410 => Some("not_found"),
        408 | 500..600 => Some("transient"),
        409 => Some("conflict"),
        429 => Some("rate_limited"),
        300..500 => Some("invalid"),
        _ => Some("unknown"),
    }
}

fn done(
    operation: &Operation,
    page: &Page,
    response: Response,
    asked: impl Fn() -> Result<String, Failure>,
) -> Result<(Value, Option<Page>), Failure> {
    if let Some(path) = &operation.items {
        let locale = Locale::default();
        let scope = Scope::new(&response.body, &locale);
        let found = path.find_one(&scope).map(Cow::Borrowed).or_else(|| path.get_in(&response.body).map(Cow::Owned));
        let Some(Value::Array(items)) = found.as_deref() else {
            return Err(lacking(operation, path, "a list", &response));
        };
        let next = match &operation.pages {
            Some(pages) => {
                let url = if pages.is_link() { asked()? } else { String::new() };
                pages.next(page, &url, &response, items).map_err(|why| failure("invalid", why, &response))?
            }
            None => None,
        };
        return Ok((path.take_from(response.body).unwrap_or_default(), next));
    }
    let Some(path) = &operation.returns else { return Ok((Value::Null, None)) };
    if response.not_kept.is_some() {
        return Err(lacking(operation, path, "a value", &response));
    }
    match path.get_in(&response.body) {
        // A text where a document was promised is a page for people, or a proxy's.
        Some(Value::String(_)) if response.body.is_string() => Err(lacking(operation, path, "JSON", &response)),
        Some(value) => Ok((value, None)),
        None if operation.short_name() == "find" && (response.body.is_object() || response.body.is_null()) => {
            Ok((Value::Null, None))
        }
        None => Err(lacking(operation, path, "a value", &response)),
    }
}

/// The answer says that it worked, and lacks what the file promises. A read is repeated; a write may have been carried
/// out, so that its answer must not look like a plain failure.
fn lacking(operation: &Operation, path: &Path, what: &str, response: &Response) -> Failure {
    let status = response.status;
    if let Some(came) = &response.not_kept {
        // The next answer would be the same.
        let name = if operation.reads { "invalid" } else { "not_accepted" };
        let message = format!(
            "answered {status} with {came}, where {what} at `{}` was expected: files are not kept; where the call alone \
             is enough, leave `returns` and `items` out",
            path.text()
        );
        return failure(name, message, response);
    }
    let name = if operation.reads { "transient" } else { "not_accepted" };
    let message = match &response.body {
        Value::Null => format!("answered {status} without a body, where {what} at `{}` was expected", path.text()),
        Value::String(_) => format!("answered {status} with something that is no JSON"),
        _ => format!("answered {status} without {what} at `{}`", path.text()),
    };
    failure(name, message, response)
}

fn failure(name: &str, message: String, response: &Response) -> Failure {
    Failure { retry_after_ms: retry_after_ms(response), status: Some(response.status), ..Failure::new(name, message) }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// `Retry-After` in seconds, or as a date compared with the answer's own `Date` (RFC 9110 10.2.3); at most a day.
fn retry_after_ms(response: &Response) -> Option<u64> {
    let text = response.header("retry-after")?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => {
            let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            let sent = chrono::DateTime::parse_from_rfc2822(response.header("date")?.trim()).ok()?;
            u64::try_from((until - sent).num_milliseconds()).unwrap_or(0)
        }
    };
    Some(wait.min(DAY_MS))
}

/// The vendor's words, from the places where they usually stand.
fn said(response: &Response) -> String {
    let body = &response.body;
    let found = match body {
        Value::String(text) => Some(readable(text)),
        _ => words(body, "/message")
            .or_else(|| words(body, "/error_description"))
            .or_else(|| words(body, "/error/message"))
            .or_else(|| words(body, "/errors/0/detail"))
            .or_else(|| words(body, "/errors/0/title"))
            .or_else(|| words(body, "/errors/0/message"))
            .or_else(|| words(body, "/errors/0"))
            .or_else(|| words(body, "/detail"))
            .or_else(|| words(body, "/title"))
            .or_else(|| words(body, "/error")),
    };
    let found = found.map(|text| shortened(&text)).filter(|text| !text.is_empty());
    found.unwrap_or_else(|| format!("answered {}", response.status))
}

/// A text, or the texts of a list.
fn words(body: &Value, pointer: &str) -> Option<String> {
    let text = match body.pointer(pointer)? {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "),
        _ => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Of an HTML page its title; any other text as it is.
fn readable(text: &str) -> String {
    let start = text.trim_start().get(..200).unwrap_or(text.trim_start()).to_ascii_lowercase();
    if !start.starts_with('<') && !start.contains("<html") {
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|open| {
        let from = open + lower[open..].find('>')? + 1;
        let to = from + lower[from..].find('<')?;
        text.get(from..to)
    });
    match title {
        Some(title) if !title.trim().is_empty() => format!("a web page: {}", title.trim()),
        _ => "a web page".to_owned(),
    }
}

/// One line of at most 300 characters.
fn shortened(text: &str) -> String {
    const MAX: usize = 300;
    let clean: String =
        text.chars().take(20 * MAX).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX) {
        Some(_) => format!("{}…", line.chars().take(MAX - 1).collect::<String>()),
        None => line,
    }
}
