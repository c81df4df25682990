//! Handlebars templates: always text, strict, without HTML escaping.
//!
//! Three steps, each in its file: [`scan`] refuses what could cost the parser too much, [`prepare`] turns the parsed
//! template into one that can only do what it may, and [`render`] runs that within a budget. What is [`plain`] needs no
//! engine.

mod plain;
mod prepare;
mod render;
mod scan;

use std::ops::Range;
use std::sync::Arc;

use handlebars::template::Template as Parsed;
use handlebars::{TemplateError, TemplateErrorReason};
use serde_json::Value;

use super::helper::Helper;
use super::needs::Needs;
use super::{Fault, Path, Problem, Read, Scope};
use plain::Plain;
use prepare::Prepared;

/// The longest template in bytes.
const SOURCE_MAX: usize = 64 * 1024;

const EXAMPLE: &str = "a template looks like `{{contact.firstName}}` or `{{default contact.firstName \"-\"}}`";

/// A compiled template, as in `"{{contact.firstName}} {{contact.lastName}}"`.
#[derive(Clone)]
pub struct Template {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    parsed: Parsed,
    plain: Option<Plain>,
    reads: Vec<Read>,
    paths: Vec<Path>,
    shown: Vec<Path>,
    needs: Needs,
    helpers: Vec<&'static Helper>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Template").field(&self.inner.source).finish()
    }
}

impl Template {
    /// # Errors
    /// Syntax, an unknown helper, a text above 64 KiB or nested deeper than 32.
    pub fn compile(text: &str) -> Result<Template, Problem> {
        if text.len() > SOURCE_MAX {
            let message = format!("a template of {} bytes is too long, {SOURCE_MAX} are allowed", text.len());
            return Err(Problem::new("bad-template", message));
        }
        scan::scan(text)?;
        let mut parsed = Parsed::compile(text).map_err(|error| told(&error))?;
        let written = parsed.clone();
        let mut prepared = prepare::prepare(&mut parsed, text)?;
        for read in &mut prepared.reads {
            read.part = word(text, &read.text);
        }
        let needs = Needs::of_reads(prepared.reads.iter().map(|read| read.names.as_slice()));
        let Prepared { reads, paths, shown, helpers } = prepared;
        let plain = Plain::of(&written, &shown);
        let inner = Inner { source: text.to_owned(), parsed, plain, reads, paths, shown, needs, helpers };
        Ok(Template { inner: Arc::new(inner) })
    }

    /// # Errors
    /// A missing field without `{{default x "-"}}`, a helper's refusal, an output above 1 MiB.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, Fault> {
        let inner = &*self.inner;
        if let Some(text) = inner.plain.as_ref().and_then(|plain| plain.fill(scope)) {
            return Ok(text);
        }
        let data = Value::Object(inner.needs.of_scope(scope));
        render::render(&inner.parsed, &inner.helpers, data, scope.locale())
    }

    /// The paths it reads, as far as they can be known from its text.
    pub fn reads(&self) -> Vec<Read> {
        self.inner.reads.clone()
    }

    /// All that it reads, also of the items inside a block.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.inner.paths
    }

    /// What it shows as it is.
    pub(crate) fn shown(&self) -> &[Path] {
        &self.inner.shown
    }

    /// The bytes of its text at which a value is read.
    pub(crate) fn part(&self, read: &str) -> Option<Range<usize>> {
        word(&self.inner.source, read)
    }

    /// The text depends on the project's zone or country too.
    pub(crate) fn reads_locale(&self) -> bool {
        self.inner.helpers.iter().any(|helper| helper.reads_locale)
    }
}

/// Where a name stands as a whole, not as a part of a longer one.
fn word(source: &str, name: &str) -> Option<Range<usize>> {
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-' | '@' | '[');
    let open = source.find("{{")?;
    source[open..]
        .match_indices(name)
        .map(|(at, _)| open + at..open + at + name.len())
        .find(|part| !source[..part.start].ends_with(is_part) && !source[part.end..].starts_with(is_part))
}

/// The parser's complaint in plain words.
fn told(error: &TemplateError) -> Problem {
    let place = match error.pos() {
        Some((1, column)) => format!(" from character {column} on"),
        Some((line, column)) => format!(" from line {line}, character {column} on"),
        None => String::new(),
    };
    match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(open, closed) => {
            Problem::new("bad-template", format!("`{{{{#{open}}}}}` is closed by `{{{{/{closed}}}}}`"))
                .help(format!("close it by `{{{{/{open}}}}}`"))
        }
        _ => Problem::new("bad-template", format!("the template cannot be read{place}")).help(EXAMPLE),
    }
}

#[cfg(test)]
mod tests;
