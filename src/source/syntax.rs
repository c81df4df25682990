//! What is wrong with a text as YAML, said to someone who does not know YAML's grammar.
//!
//! The parser says where it stopped; an author wants to know what he forgot. So the usual mistakes are looked for
//! around that place: a tab, a template or a `: ` without quotes, a quote or bracket that is never closed.

mod layout;

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use super::read::Reached;
use super::refusal::{short, too_deep};
use super::{Diagnostic, File, Span, nearest};

/// What ends a value between brackets.
const IN_BRACKETS: [char; 5] = [',', '[', ']', '{', '}'];

/// Says why the parser stopped, given what was read before.
pub(super) fn explain(file: &File, error: &ScanError, reached: &Reached) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(0).min(file.text.len());
    if let ErrorKind::RecursionLimitExceeded = error.kind() {
        return too_deep(file, one(file, at));
    }
    tab(file, error.kind(), at)
        .or_else(|| layout::no_space(file, at))
        .or_else(|| template(file, at))
        .or_else(|| first_character(file, error.kind(), at, reached))
        .or_else(|| quote(file, error.kind(), at, reached))
        .or_else(|| layout::bracket(file, error.kind(), at, reached))
        .or_else(|| layout::colon(file, error.kind(), at, reached))
        .or_else(|| layout::layout(file, error.kind(), at, reached))
        .unwrap_or_else(|| {
            bad(file, &format!("this is not YAML: {}", error.kind()), one(file, at), "reading stops here")
        })
}

/// A map or list where a key belongs; mostly a template without quotes, since `{{x}}` is YAML for a map in a map.
pub(super) fn collection_as_key(file: &File, place: Span) -> Diagnostic {
    template(file, place.start).unwrap_or_else(|| {
        Diagnostic::error("bad-key", "a map or list stands where a key is expected")
            .at_span(file, place, "not a name")
            .help("a key is a text; put it in quotes if it begins with `{` or `[`")
    })
}

fn bad(file: &File, message: &str, place: Span, label: &str) -> Diagnostic {
    Diagnostic::error("bad-yaml", message).at_span(file, place, label)
}

fn tab(file: &File, kind: &ErrorKind, at: usize) -> Option<Diagnostic> {
    let named = matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    );
    // Where the parser stops may be the line before the tab, or the tab's own line.
    let line = file.line_span(at);
    let next = file.line_span((line.end + 2).min(file.text.len()));
    let indented = [line, next].into_iter().take(if named { 2 } else { 1 }).find_map(|line| {
        let text = file.written(line);
        let blank = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
        blank.find('\t').map(|tab| line.start + tab)
    });
    let tab = indented.or_else(|| {
        let near = at.saturating_sub(1).max(line.start);
        named.then(|| file.text.get(near..)?.find('\t').map(|tab| near + tab)).flatten()
    })?;
    Some(
        bad(file, "a tab is used where YAML wants spaces", Span { start: tab, end: tab + 1 }, "a tab")
            .help("indent with spaces, two for each level"),
    )
}

/// A value that begins with `{{` and has no quotes around it.
fn template(file: &File, at: usize) -> Option<Diagnostic> {
    let line = file.line_span(at);
    let text = file.written(line);
    let begins_value = |open: usize| {
        let before = text[..open].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with([':', ',', '[', '{', '-'])
    };
    let mut opens = text.match_indices("{{").map(|(open, _)| open).filter(|open| begins_value(*open));
    let first = opens.next()?;
    let open = opens.take_while(|open| line.start + open <= at).last().unwrap_or(first);
    let value = text[open..].split(" #").next().unwrap_or_default().trim_end();
    let inside_brackets = text[..open].contains(['[', '{']);
    // Inside brackets the value ends with its template, as far as one can know.
    let value = match value.find("}}") {
        Some(close) if inside_brackets => &value[..close + 2],
        _ => value,
    };
    let place = Span { start: line.start + open, end: line.start + open + value.len() };
    let help = if value.contains('"') {
        "put the whole value in single quotes".to_owned()
    } else {
        format!("put the whole value in quotes: `\"{}\"`", short(value))
    };
    Some(
        Diagnostic::error("unquoted-template", "a value that begins with `{{` needs quotes")
            .at_span(file, place, "YAML reads this as a map")
            .help(help),
    )
}

/// The path around a wildcard in brackets, such as `$.order.lines[*].name`.
fn path_around(file: &File, at: usize) -> Option<Span> {
    let line = file.line_span(at);
    let before = file.text.get(line.start..at)?.strip_suffix('[')?;
    let start = before.rfind([' ', ',', '{', '[']).map_or(0, |found| found + 1);
    before[start..].starts_with("$.").then_some(())?;
    let rest = file.text.get(at..line.end)?;
    let length = rest.find([':', ' ', ',', '}']).unwrap_or(rest.len());
    Some(Span { start: line.start + start, end: at + length })
}

/// A character that means something to YAML at the beginning of a value.
fn first_character(file: &File, kind: &ErrorKind, at: usize, reached: &Reached) -> Option<Diagnostic> {
    let written = match kind {
        // The rest of the line is the comment itself.
        ErrorKind::CommentInterceptedScalar => file.text.get(at..file.line_span(at).end).unwrap_or_default(),
        _ => rest_of_line(file, at),
    };
    let written = match kind {
        ErrorKind::UnexpectedCharacter { .. } | ErrorKind::MissingAnchorOrAliasName | ErrorKind::UnknownAnchor
            if reached.bracket.is_some() =>
        {
            written[..written.find(IN_BRACKETS).unwrap_or(written.len())].trim_end()
        }
        _ => written,
    };
    let place = Span { start: at, end: at + written.len() };
    let quoted = format!("put the value in quotes: {}", in_quotes(written));
    match kind {
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => Some(
            bad(
                file,
                &format!("the invisible character {} stands in the text", character.escape_unicode()),
                one(file, at),
                "here",
            )
            .help("remove it, or write it as an escape between double quotes"),
        ),
        ErrorKind::UnexpectedCharacter { character } => {
            let character = if *character == '`' { "a backtick".to_owned() } else { format!("`{character}`") };
            let message = format!("a value cannot begin with {character}");
            Some(bad(file, &message, place, "needs quotes").help(quoted))
        }
        _ if written.starts_with(',') && reached.bracket.is_none() => {
            Some(bad(file, "a value cannot begin with `,`", place, "needs quotes").help(quoted))
        }
        ErrorKind::CommentInterceptedScalar => Some(
            bad(file, "a text goes on after a comment", place, "the comment ends the text")
                .help("give the next line the indentation of a key, or move the comment above the text"),
        ),
        ErrorKind::MissingAnchorOrAliasName => {
            let first = written.chars().next().unwrap_or('*');
            if let Some(path) = path_around(file, at) {
                let help = format!("put the whole path in quotes: {}", in_quotes(file.written(path)));
                return Some(bad(file, "a path with brackets needs quotes inside `{ }`", path, "").help(help));
            }
            let message = format!("a value cannot begin with `{first}`");
            Some(bad(file, &message, place, "YAML reads this as a reference").help(quoted))
        }
        ErrorKind::UnknownAnchor => {
            let message = format!("`{}` refers to a value that has no such name", short(written));
            let found = bad(file, &message, place, "YAML reads this as a reference");
            let name = written.trim_start_matches('*');
            if name.contains(|letter: char| letter.is_whitespace() || letter == '*') {
                return Some(found.help(quoted));
            }
            let names = file.text.split('&').skip(1).filter_map(|rest| rest.split(char::is_whitespace).next());
            Some(match nearest(name, names) {
                Some(near) => found.help(format!("did you mean `*{}`?", short(near))),
                None => found.help(format!(
                    "write `&{}` before the value that is meant; if this is a text, {quoted}",
                    short(name)
                )),
            })
        }
        ErrorKind::ExpectedTagBang
        | ErrorKind::UndeclaredTagHandle
        | ErrorKind::InvalidGlobalTagCharacter
        | ErrorKind::InvalidTagTerminator
        | ErrorKind::MissingTagUri
        | ErrorKind::UnclosedVerbatimTag
        | ErrorKind::InvalidTagEscape
        | ErrorKind::InvalidTagUtf8LeadingByte
        | ErrorKind::InvalidTagUtf8TrailingByte
        | ErrorKind::InvalidTagUtf8 => Some(
            Diagnostic::error("custom-tag", "a value that begins with `!` is a YAML tag, which means nothing here")
                .at_span(file, place, "YAML reads this as a tag")
                .help("put the whole value in quotes if the `!` belongs to it"),
        ),
        ErrorKind::InvalidBlockScalarHeader | ErrorKind::ZeroBlockScalarIndent => Some(
            bad(file, "a text of many lines begins on the line after `|` or `>`", place, "nothing may follow here")
                .help(format!("put the text on the next line, indented, or in quotes: {}", in_quotes(written))),
        ),
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => Some(
            bad(file, "a list item cannot stand here", place, "`- ` begins a list item")
                .help("begin the list on its own line, or write it in brackets: `[a, b]`"),
        ),
        ErrorKind::MisplacedFlowCollectionEnd => {
            let bracket = written.chars().next().unwrap_or(']');
            Some(
                bad(file, &format!("`{bracket}` closes nothing"), one(file, at), "no bracket is open")
                    .help("remove it, or put the value in quotes"),
            )
        }
        _ => directive(file, kind, at),
    }
}

fn directive(file: &File, kind: &ErrorKind, at: usize) -> Option<Diagnostic> {
    // The parser may miss the document only on a line further down.
    let text = &file.text[..file.line_span(at).end];
    let start = text.rfind("\n%").map(|at| at + 1).or_else(|| text.starts_with('%').then_some(0));
    let line = file.line_span(start.unwrap_or(at));
    let directive =
        file.written(file.line_span(at)).starts_with('%') || matches!(kind, ErrorKind::ExpectedDocumentStart);
    directive.then(|| {
        bad(file, "the document does not begin with a key", line, "expected `key: value`")
            .help("remove this line, or put it in quotes if it is a text")
    })
}

fn quote(file: &File, kind: &ErrorKind, at: usize, reached: &Reached) -> Option<Diagnostic> {
    let open = || {
        let from = reached.end.min(at);
        file.text.get(from..at)?.find(['"', '\'']).map(|open| from + open)
    };
    match kind {
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => Some(unclosed_quote(file, at)),
        ErrorKind::InvalidQuotedScalarIndent => Some(unclosed_quote(file, open().unwrap_or(at))),
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            let start = open().unwrap_or(at);
            if file.line_span(start) != file.line_span(at) {
                return Some(unclosed_quote(file, start));
            }
            let rest = Span { start: at, end: at + rest_of_line(file, at).len() };
            Some(bad(file, "text follows the closing quote", rest, "not in the quotes").help(
                "put the whole value in quotes; inside, write `\\\"` between double quotes or `''` between single ones",
            ))
        }
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::InvalidUnicodeEscape => {
            let place = bad_escape(file, at).unwrap_or_else(|| one(file, at));
            let message = format!("`{}` means nothing between double quotes", file.written(place));
            Some(
                bad(file, &message, place, "unknown escape")
                    .help("write `\\\\` for a backslash, or use single quotes, where a backslash is only itself"),
            )
        }
        _ => None,
    }
}

fn unclosed_quote(file: &File, open: usize) -> Diagnostic {
    bad(file, "a quote is opened and not closed", one(file, open), "opened here")
        .help("close it at the end of the value; a `'` inside single quotes is written `''`")
}

/// The first escape from `at` on that YAML does not know (YAML 1.2.2 section 5.7).
fn bad_escape(file: &File, at: usize) -> Option<Span> {
    let mut letters = file.text.get(at..)?.char_indices();
    while let Some((offset, letter)) = letters.next() {
        if letter != '\\' {
            continue;
        }
        let (_, escaped) = letters.next()?;
        if !"0abt\tnvfre \"/\\N_LP\r\n".contains(escaped) {
            let start = at + offset;
            return Some(Span { start, end: start + 1 + escaped.len_utf8() });
        }
    }
    None
}

/// One character, for places that are a point.
fn one(file: &File, at: usize) -> Span {
    let length = file.text[at..].chars().next().filter(|letter| *letter != '\n').map_or(0, char::len_utf8);
    Span { start: at, end: at + length }
}

/// What is written from a place to the end of its line, without a comment.
fn rest_of_line(file: &File, at: usize) -> &str {
    let line = file.line_span(at);
    let rest = file.text.get(at..line.end.max(at)).unwrap_or_default();
    rest.split(" #").next().unwrap_or_default().trim_end()
}

fn in_quotes(text: &str) -> String {
    let text = short(text);
    if text.contains(['"', '\\']) { format!("`'{}'`", text.replace('\'', "''")) } else { format!("`\"{text}\"`") }
}
