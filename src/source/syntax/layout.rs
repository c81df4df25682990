//! Lines and brackets that do not fit together.

use serde_saphyr::granit_parser::ErrorKind;

use super::{bad, in_quotes, one, rest_of_line};
use crate::source::read::Reached;
use crate::source::{Diagnostic, File, Span};

pub(super) fn bracket(file: &File, kind: &ErrorKind, at: usize, reached: &Reached) -> Option<Diagnostic> {
    let open = match kind {
        ErrorKind::UnclosedFlowCollection { .. } | ErrorKind::MismatchedFlowCollectionEnd { .. } => at,
        _ => reached.bracket?,
    };
    let (bracket, close) = if file.text[open..].starts_with('[') { ('[', ']') } else { ('{', '}') };
    if file.line_span(open) != file.line_span(at)
        || matches!(kind, ErrorKind::UnclosedFlowCollection { .. })
        || open == at
    {
        return Some(
            bad(file, &format!("`{bracket}` is opened and not closed"), one(file, open), "opened here")
                .help(format!("write `{close}` at its end, and `,` between the parts; quote it if it is a text")),
        );
    }
    let rest = Span { start: at, end: at + rest_of_line(file, at).len() };
    Some(bad(file, &format!("this does not fit between `{bracket}` and `{close}`"), rest, "reading stops here").help(
        format!(
            "put `,` between the parts, `{close}` at the end, and quotes around a value with `: ` or brackets in it"
        ),
    ))
}

/// `key:{ … }`: a key is a key only with a space after its colon.
pub(super) fn no_space(file: &File, at: usize) -> Option<Diagnostic> {
    let line = file.line_span(at);
    let text = file.written(line);
    let start = text.len() - text.trim_start_matches([' ', '-']).len();
    let length = text[start..].find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    let key = &text[start..start + length];
    let rest = &text[start + length..];
    if key.is_empty() || !(rest.starts_with(":{") || rest.starts_with(":[")) {
        return None;
    }
    let place = Span { start: line.start + start, end: line.start + start + length + 1 };
    let found = bad(file, "a key needs a space after its `:`", place, "no space follows");
    Some(found.help(format!("write `{key}: `")))
}

/// A value with `: ` inside, or a line that the value above has swallowed.
pub(super) fn colon(file: &File, kind: &ErrorKind, at: usize, reached: &Reached) -> Option<Diagnostic> {
    if !matches!(kind, ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement) {
        return None;
    }
    let line = file.line_span(at);
    let before = &file.text[line.start..at.max(line.start)];
    if let Some(first) = before.find(": ") {
        let start = line.start + first + 2;
        let start = start + (before[first + 2..].len() - before[first + 2..].trim_start().len());
        let written = rest_of_line(file, start);
        return Some(
            bad(
                file,
                "a value with `: ` inside needs quotes",
                Span { start, end: start + written.len() },
                "needs quotes",
            )
            .help(format!("write {}", in_quotes(written))),
        );
    }
    let text = reached.text.filter(|text| text.start < line.start)?;
    let key = before.trim_start();
    let key = Span { start: at - key.len(), end: at };
    let swallowing = file.label(Span { end: file.line_span(text.start).end.max(text.start), ..text }, "goes on here");
    let mut found = bad(file, "this line is read as more of the text above", key, "not read as a key")
        .help("give the keys of one map the same indentation, and each key a `:`");
    found.related.push(swallowing);
    Some(found)
}

/// Lines that do not line up.
pub(super) fn layout(file: &File, kind: &ErrorKind, at: usize, reached: &Reached) -> Option<Diagnostic> {
    let line = file.line_span(at);
    let text = file.written(line);
    let start = line.start + (text.len() - text.trim_start().len());
    let rest = Span { start: start.max(at), end: line.end.max(at) };
    match kind {
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => Some(
            bad(file, "a line is no `key: value`", Span { start, end: line.end.max(start) }, "no `: ` in it")
                .help("write `key: value`, with a space after the colon"),
        ),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry
            if start < at && reached.end > line.start =>
        {
            Some(
                bad(file, "text follows a value that is complete", rest, "does not belong to it")
                    .help("put the whole value in quotes"),
            )
        }
        ErrorKind::ExpectedBlockMappingKey if file.text[start..].starts_with('-') => Some(
            bad(file, "a list item stands among the keys of a map", Span { start, end: line.end }, "a list item")
                .help("give all items of one list the same indentation, below the key that they belong to"),
        ),
        ErrorKind::ExpectedBlockSequenceEntry => Some(
            bad(file, "a key stands among the items of a list", Span { start, end: line.end }, "no `- ` before it")
                .help("begin each item with `- `, and indent the keys of an item as far as its first key"),
        ),
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidBlockScalarIndent
        | ErrorKind::InvalidFlowScalarIndent => Some(
            bad(
                file,
                "the indentation fits no line above",
                Span { start, end: line.end.max(start) },
                "indented otherwise",
            )
            .help("give the keys of one map the same indentation, two spaces more than the key above them"),
        ),
        _ => None,
    }
}
