//! YAML as it is written, line by line, with findings in their places.

use maud::{Markup, html};

use super::{cut, said};
use crate::source::{Diagnostic, Report, Severity};
use crate::story::count;

/// A document that is longer is shown up to here, in characters.
const YAML_MAX: usize = 40_000;
/// Findings that are told.
const FINDINGS_MAX: usize = 100;
const MESSAGE_MAX: usize = 600;

/// A document with the findings about it, each below its line.
pub fn written(text: &str, path: &str, report: Option<&Report>) -> Markup {
    let shown = cut(text, YAML_MAX);
    let lines: Vec<&str> = shown.lines().collect();
    let mut here: Vec<(usize, &Diagnostic)> = about(report, path).take(FINDINGS_MAX).collect();
    here.sort_by_key(|(line, _)| *line);
    let mut parts = Vec::new();
    let mut from = 0;
    for group in here.chunk_by(|(one, _), (other, _)| one == other) {
        let end = group[0].0.min(lines.len());
        parts.push((&lines[from.min(end)..end], group));
        from = end;
    }
    html! {
        div.written {
            @for (lines, group) in &parts {
                (numbered(lines, true))
                @for (_, found) in *group { (finding(found, path)) }
            }
            (numbered(&lines[from..], false))
        }
    }
}

fn numbered(lines: &[&str], is_marked: bool) -> Markup {
    html! {
        @if !lines.is_empty() {
            pre.yaml {
                @for (number, line) in lines.iter().enumerate() {
                    span.marked[is_marked && number + 1 == lines.len()] { (said(line)) "\n" }
                }
            }
        }
    }
}

/// Findings about this document that have a line.
fn about<'r>(report: Option<&'r Report>, path: &str) -> impl Iterator<Item = (usize, &'r Diagnostic)> {
    let all = report.into_iter().flat_map(|report| &report.diagnostics);
    all.filter_map(move |found| {
        let place = found.primary.as_ref().filter(|place| place.path == path)?;
        Some((place.line as usize, found))
    })
}

/// How many findings there are, and those that are not about the document.
pub fn findings(report: &Report, path: &str) -> Markup {
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    let elsewhere: Vec<&Diagnostic> = report
        .diagnostics
        .iter()
        .filter(|found| found.primary.as_ref().is_none_or(|place| place.path != path))
        .collect();
    let mood = match (errors, warnings) {
        (0, 0) => "notice good",
        (0, _) => "notice wait",
        _ => "notice bad",
    };
    html! {
        p class=(mood) {
            @if errors + warnings == 0 { "Nothing is wrong with it." }
            @else { (count(errors, "error")) ", " (count(warnings, "warning")) "." }
        }
        @if !elsewhere.is_empty() {
            h3 { "Elsewhere in the project" }
            @for found in elsewhere.iter().take(FINDINGS_MAX) { (finding(found, path)) }
        }
        @for sentence in report.left_out() { p.quiet { (said(&sentence)) } }
    }
}

fn finding(found: &Diagnostic, path: &str) -> Markup {
    let (class, word) = match found.severity {
        Severity::Error => ("finding error", "error"),
        Severity::Warning => ("finding warning", "warning"),
    };
    let place = found.primary.as_ref().map(|place| match place.path == path {
        true => format!("line {}, column {}", place.line, place.column),
        false => format!("{}:{}:{}", place.path, place.line, place.column),
    });
    html! {
        div class=(class) {
            p {
                strong { (word) } " " (said(&cut(&found.message, MESSAGE_MAX)))
                @if let Some(place) = place { " " span.quiet { (said(&place)) } }
            }
            @if let Some(help) = &found.help { p.help { (said(&cut(help, MESSAGE_MAX))) } }
            @for other in &found.related {
                p.quiet { (said(&format!("{}:{}:{} {}", other.path, other.line, other.column, cut(&other.text, MESSAGE_MAX)))) }
            }
        }
    }
}
