//! `link: next`: the answer gives the next page's address, in its `Link` header (RFC 8288) or in its body.
//!
//! A link is data from outside: it is followed only within the origin that was asked. Parameters of the first request
//! that the link leaves out are kept.

use serde_json::Value;
use url::Url;

use crate::connector::{Page, Response};

pub(super) fn next(link: Option<String>, url: &str) -> Result<Option<Page>, String> {
    let Some(link) = link.filter(|link| !link.trim().is_empty()) else { return Ok(None) };
    let resolved = resolve(url, &link)?;
    if resolved.as_str() == url {
        return Err("the list names the page that was asked for as its next one: it would never end".into());
    }
    Ok(Some(Page { next: Some(Value::String(resolved.into())), seen: None }))
}

pub(super) fn resolve(base: &str, link: &str) -> Result<Url, String> {
    let base = Url::parse(base).map_err(|_| "the address of the list cannot be read".to_owned())?;
    let mut resolved = base.join(link.trim()).map_err(|_| "the link to the next page cannot be read".to_owned())?;
    if resolved.origin() != base.origin() || !resolved.username().is_empty() || resolved.password().is_some() {
        return Err("the link to the next page leads to another origin".into());
    }
    resolved.set_fragment(None);
    let given: Vec<String> = resolved.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let forgotten: Vec<(String, String)> =
        base.query_pairs().filter(|(name, _)| !given.iter().any(|known| known == name)).map(owned).collect();
    if !forgotten.is_empty() {
        resolved.query_pairs_mut().extend_pairs(forgotten);
    }
    Ok(resolved)
}

fn owned(pair: (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (pair.0.into_owned(), pair.1.into_owned())
}

/// The target of the first link with a relation, over all `Link` headers.
pub(super) fn in_headers(response: &Response, rel: &str) -> Option<String> {
    let headers = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link"));
    headers
        .flat_map(|(_, value)| links(value))
        .find(|(_, rels)| rels.iter().any(|known| known == rel))
        .map(|(to, _)| to)
}

/// `<target>; rel="a b"; title="…, …", <target>; rel=c` as targets with their relations, in small letters.
fn links(header: &str) -> Vec<(String, Vec<String>)> {
    let mut links = Vec::new();
    let mut rest = header;
    while let Some(start) = rest.find('<') {
        let Some(length) = rest[start + 1..].find('>') else { break };
        let target = &rest[start + 1..start + 1 + length];
        rest = &rest[start + length + 2..];
        let parameters = &rest[..end_of_link(rest)];
        rest = &rest[parameters.len()..];
        let rels = split_outside_quotes(parameters, ';')
            .into_iter()
            .filter_map(|parameter| parameter.split_once('='))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"))
            .flat_map(|(_, value)| {
                value.trim().trim_matches('"').split_whitespace().map(str::to_ascii_lowercase).collect::<Vec<_>>()
            })
            .collect();
        links.push((target.to_owned(), rels));
    }
    links
}

fn end_of_link(parameters: &str) -> usize {
    split_outside_quotes(parameters, ',').first().map_or(parameters.len(), |first| first.len())
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut quoted, mut from) = (false, 0);
    for (at, letter) in text.char_indices() {
        if letter == '"' {
            quoted = !quoted;
        } else if letter == separator && !quoted {
            parts.push(&text[from..at]);
            from = at + letter.len_utf8();
        }
    }
    parts.push(&text[from..]);
    parts
}
