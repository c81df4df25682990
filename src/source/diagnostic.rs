//! What is wrong with a document, told to its author: what, where, what now.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use serde_json::Value;

use super::within::within;
use super::{FINDINGS_MAX, File, Span};

/// How bad it is: errors refuse the document, warnings do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// A place in a file with a few words beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The file's path as the author knows it, relative to the project.
    pub path: String,
    pub span: Span,
    /// 1-based, in characters.
    pub line: u32,
    pub column: u32,
    /// Shown beside the caret; may be empty.
    pub text: String,
    /// What stands there is a secret, and shown as stars.
    #[serde(skip)]
    pub hidden: bool,
}

/// One finding. `code` is a stable kebab-case word with a page in `docs/errors/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    /// Lower case, present tense, names in backticks: what is wrong.
    pub message: String,
    /// None only for findings about the project as a whole.
    pub primary: Option<Label>,
    pub related: Vec<Label>,
    /// What to do now.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: None,
            related: Vec::new(),
            help: None,
        }
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// What should be a duration is none.
    pub fn no_duration(text: &str) -> Self {
        let found = Self::error("bad-duration", format!("`{text}` is no duration"));
        match text.trim().parse::<u64>() {
            Ok(number) => {
                found.help(format!("write the unit as well: `{number}s`, `{number}m`, `{number}h` or `{number}d`"))
            }
            Err(_) => found.help("write a number with a unit, such as `90s`, `15m`, `2h` or `3d`"),
        }
    }

    /// Points at the value under a JSON pointer (`""` is the whole document).
    pub fn at(self, file: &File, pointer: &str, label: impl Into<String>) -> Self {
        self.at_span(file, file.span(pointer), label)
    }

    /// Points at the key under a JSON pointer.
    pub fn at_key(self, file: &File, pointer: &str, label: impl Into<String>) -> Self {
        self.at_span(file, file.key_span(pointer), label)
    }

    pub fn at_span(mut self, file: &File, span: Span, label: impl Into<String>) -> Self {
        self.primary = Some(file.label(span, label));
        self
    }

    /// Adds a second place, e.g. where the other use of a name is.
    pub fn also(mut self, file: &File, pointer: &str, label: impl Into<String>) -> Self {
        self.related.push(file.label(file.span(pointer), label));
        self
    }

    /// The same at the key.
    pub fn also_key(mut self, file: &File, pointer: &str, label: impl Into<String>) -> Self {
        self.related.push(file.label(file.key_span(pointer), label));
        self
    }

    /// What stands at the place is shown as stars: it is a secret.
    pub fn hidden(mut self) -> Self {
        if let Some(place) = &mut self.primary {
            place.hidden = true;
        }
        self
    }

    /// Points at a part of the scalar under a JSON pointer; at all of it if the part is not written there as it is.
    pub fn at_part(self, file: &File, pointer: &str, part: &str) -> Self {
        let whole = file.span(pointer);
        let span = match file.written(whole).find(part) {
            Some(at) => Span { start: whole.start + at, end: whole.start + at + part.len() },
            None => whole,
        };
        self.at_span(file, span, "")
    }

    /// Points at some bytes of the text that is the value under a JSON pointer; at all of it where they cannot be found
    /// in what is written.
    pub fn at_within(self, file: &File, pointer: &str, part: Range<usize>) -> Self {
        let whole = file.span(pointer);
        let text = file.value.pointer(pointer).and_then(Value::as_str);
        let found = text.and_then(|text| within(file.written(whole), text, part));
        let span = found.map(|found| Span { start: whole.start + found.start, end: whole.start + found.end });
        self.at_span(file, span.unwrap_or(whole), "")
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds ``did you mean `x`?`` when a candidate is near; else, unless there is help already, the candidates.
    pub fn nearest<'a>(self, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        match super::nearest(word, candidates.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if self.help.is_none() => self.one_of(&candidates),
            None => self,
        }
    }

    /// Adds the names of which one is to be written, if there are any.
    pub fn one_of(self, candidates: &[&str]) -> Self {
        const SHOWN: usize = 20;
        let mut shown: Vec<&str> = Vec::new();
        for candidate in candidates {
            if !shown.contains(candidate) {
                shown.push(candidate);
            }
        }
        let more = shown.len().saturating_sub(SHOWN);
        shown.truncate(SHOWN);
        let list = shown.join("`, `");
        match (shown.len(), more) {
            (0, _) => self,
            (1, _) => self.help(format!("write `{list}`")),
            (_, 0) => self.help(format!("write one of `{list}`")),
            (_, more) => self.help(format!("write one of `{list}`, or one of {more} more")),
        }
    }
}

/// All that was found, in the order of finding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub diagnostics: Vec<Diagnostic>,
    /// By file: how many more there are, beyond what anyone reads; 0 if nobody looked for them.
    pub left_out: BTreeMap<String, usize>,
}

impl Report {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub fn extend(&mut self, other: Report) {
        self.diagnostics.extend(other.diagnostics);
        for (path, more) in other.left_out {
            self.leave_out(&path, more);
        }
    }

    /// There are more findings in a file, which are not told.
    pub fn leave_out(&mut self, path: &str, more: usize) {
        *self.left_out.entry(path.to_owned()).or_default() += more;
    }

    /// What is not told, in a sentence for each file.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|(path, more)| match more {
            0 => format!("{path} may have more findings: after {FINDINGS_MAX} of one file no others are looked for"),
            1 => format!("{path} has 1 more finding, which is not shown"),
            more => format!("{path} has {more} more findings, which are not shown"),
        })
    }

    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|found| found.severity == severity).count()
    }
}
