//! A report as people and programs read it.
//!
//! Names and texts in a report come from documents and remote APIs: nothing in them may move the cursor, change colour
//! or turn the reading direction, so every such character is shown instead of obeyed.

use std::borrow::Cow;
use std::collections::HashMap;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use anstyle::{AnsiColor, Style};

use super::file::BYTE_ORDER_MARK;
use super::{Diagnostic, File, Label, Report, Severity, Span};

/// A longer line is not shown, only its place is told: nobody reads it, and laying it out is slow.
const LINE_BYTES_MAX: usize = 4096;

/// The report with source lines and carets, in the form of rustc's. `files` are those that labels name.
pub fn render_text(report: &Report, files: &[&File], colour: bool) -> String {
    let mut sources =
        Sources { files: files.iter().map(|file| (file.path.as_ref(), *file)).collect(), shown: HashMap::new() };
    let all = || report.diagnostics.iter().flat_map(labels);
    for label in all() {
        let secrets = all().filter(|secret| secret.hidden && secret.path == label.path).map(|secret| secret.span);
        sources.show(&label.path, secrets);
    }
    let told: Vec<String> = report.diagnostics.iter().map(|found| told(found, &sources, colour)).collect();
    let mut told = told.join("\n");
    for sentence in report.left_out() {
        told.push_str(&format!("\nnote: {}\n", visible(&sentence)));
    }
    told
}

/// The report as one JSON object: `{"errors": n, "warnings": n, "diagnostics": [...], "left_out": {path: n}}`.
pub fn render_json(report: &Report) -> String {
    serde_json::json!({
        "errors": report.count(Severity::Error),
        "warnings": report.count(Severity::Warning),
        "diagnostics": report.diagnostics,
        "left_out": report.left_out,
    })
    .to_string()
}

fn labels(found: &Diagnostic) -> impl Iterator<Item = &Label> {
    found.primary.iter().chain(&found.related)
}

/// One finding, with a line break at its end.
fn told(found: &Diagnostic, sources: &Sources<'_>, colour: bool) -> String {
    let level = match found.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(visible(&found.message)).id(found.code));
    let mut paths: Vec<&str> = Vec::new();
    let (mut line_last, mut note) = (0, None);
    for label in labels(found) {
        if paths.contains(&label.path.as_str()) {
            continue;
        }
        paths.push(&label.path);
        if let Some((snippet, line)) =
            sources.shown.get(&label.path).and_then(|shown| shown.snippet(found, &label.path))
        {
            group = group.element(snippet);
            line_last = line_last.max(line);
        } else {
            let origin = Origin::path(visible(&label.path)).line(label.line as usize);
            group = group.element(origin.char_column(label.column as usize));
            note = note.or(Some(&label.text).filter(|text| !text.is_empty()));
        }
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut told = renderer.render(&[group]);
    told.push('\n');
    let number_width = if line_last == 0 { 0 } else { line_last.to_string().len() };
    if let Some(note) = note {
        push_footer(&mut told, "note", note, number_width, colour);
    }
    if let Some(help) = &found.help {
        push_footer(&mut told, "help", help, number_width, colour);
    }
    told
}

/// `   = help: …`, with its `=` below the bars that separate line numbers from lines.
fn push_footer(told: &mut String, kind: &str, text: &str, number_width: usize, colour: bool) {
    let (bar, bold) = if colour {
        (AnsiColor::BrightBlue.on_default().bold(), Style::new().bold())
    } else {
        (Style::new(), Style::new())
    };
    let indent = " ".repeat(number_width + 1);
    for (number, line) in text.lines().enumerate() {
        let line = visible(line);
        if number == 0 {
            told.push_str(&format!("{indent}{bar}={bar:#} {bold}{kind}{bold:#}: {line}\n"));
        } else {
            told.push_str(&format!("{indent}        {line}\n"));
        }
    }
}

struct Sources<'a> {
    files: HashMap<&'a str, &'a File>,
    shown: HashMap<String, Shown>,
}

impl Sources<'_> {
    fn show(&mut self, path: &str, secrets: impl Iterator<Item = Span>) {
        if let (Some(file), false) = (self.files.get(path), self.shown.contains_key(path)) {
            self.shown.insert(path.to_owned(), Shown::new(&file.text, &secrets.collect::<Vec<_>>()));
        }
    }
}

/// A file's text as it may be printed: as many characters in each line, none of them obeyed by a terminal.
struct Shown {
    text: String,
    /// From this byte of the file on, where this byte is shown.
    moved: Vec<(usize, usize)>,
}

impl Shown {
    fn new(text: &str, secrets: &[Span]) -> Self {
        let mut shown = Self { text: String::with_capacity(text.len()), moved: vec![(0, 0)] };
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            match letter {
                BYTE_ORDER_MARK if at == 0 => {}
                '\r' if next == Some('\n') => {}
                '\n' | '\t' => shown.text.push(letter),
                _ if secrets.iter().any(|secret| (secret.start..secret.end).contains(&at)) => shown.text.push('*'),
                _ => shown.text.push(if is_obeyed(letter) { stand_in(letter) } else { letter }),
            }
            let end = at + letter.len_utf8();
            if shown.at(end) != shown.text.len() {
                shown.moved.push((end, shown.text.len()));
            }
        }
        shown
    }

    fn at(&self, byte: usize) -> usize {
        let index = self.moved.partition_point(|(from, _)| *from <= byte).saturating_sub(1);
        let (from, to) = self.moved[index];
        to + (byte - from)
    }

    /// All labels of a finding in this file, on the lines from the first to the last, and the number of the last; none
    /// if a line is too long to be shown.
    fn snippet<'a>(&'a self, found: &'a Diagnostic, path: &'a str) -> Option<(Snippet<'a, Annotation<'a>>, usize)> {
        let primary = found.primary.iter().map(|label| (AnnotationKind::Primary, label));
        let related = found.related.iter().map(|label| (AnnotationKind::Context, label));
        let here = primary.chain(related).filter(|(_, label)| label.path == path);
        let here: Vec<_> = here.map(|(kind, label)| (kind, label, self.first_line(label.span))).collect();
        let mut window = self.text.len()..0;
        for (_, _, place) in &here {
            let line_start = self.text[..place.start].rfind('\n').map_or(0, |line_break| line_break + 1);
            let line_end = self.text[place.start..].find('\n').map_or(self.text.len(), |length| place.start + length);
            if line_end - line_start > LINE_BYTES_MAX {
                return None;
            }
            window = window.start.min(line_start)..window.end.max(line_end);
        }
        let text = &self.text[window.clone()];
        let line_first = self.text[..window.start].matches('\n').count() + 1;
        let annotations = here.into_iter().map(|(kind, label, place)| {
            let annotation = kind.span(place.start - window.start..place.end - window.start);
            if label.text.is_empty() { annotation } else { annotation.label(visible(&label.text)) }
        });
        let snippet = Snippet::source(text).line_start(line_first).path(visible(path)).annotations(annotations);
        Some((snippet, line_first + text.matches('\n').count()))
    }

    /// Where a span is shown, cut to its first line.
    fn first_line(&self, span: Span) -> std::ops::Range<usize> {
        // Behind the last line break there is no line to show.
        let last = self.text.strip_suffix('\n').unwrap_or(&self.text).len();
        let start = self.text.floor_char_boundary(self.at(span.start).min(last));
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |length| start + length);
        let end = self.text.floor_char_boundary(self.at(span.end.max(span.start)).clamp(start, line_end));
        start..end.max(start)
    }
}

/// Text with each character that a terminal would obey written as an escape.
fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_obeyed(letter) { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    Cow::Owned(shown)
}

/// Controls, line and paragraph separators, marks that turn the reading direction, and marks without width.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A visible character in place of one that is obeyed.
fn stand_in(letter: char) -> char {
    match u32::from(letter) {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f => '\u{2421}',
        _ => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests;
