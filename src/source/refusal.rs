//! What a well-formed YAML text may not say here, and why it is refused.

use super::{Diagnostic, File, Span};

/// The longest text of a file.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
pub(super) const DEPTH_MAX: usize = 64;
/// More of one file would not be read.
pub const FINDINGS_MAX: usize = 100;
/// All values of a file.
pub const VALUES_MAX: usize = 20_000;
pub(super) const ALIASES_MAX: usize = 200;
/// Text in values and keys, with all that aliases repeat.
pub(super) const READ_BYTES_MAX: usize = 8 * TEXT_BYTES_MAX;

pub(super) fn tag_refused(file: &File, tag: &str, place: Span) -> Diagnostic {
    Diagnostic::error("custom-tag", format!("the tag `{}` means nothing here", short(tag)))
        .at_span(file, place, "a YAML tag")
        .help("put the whole text in quotes if the `!` belongs to it, or leave the tag out")
}

pub(super) fn bad_number(file: &File, text: &str, place: Span) -> Diagnostic {
    Diagnostic::error("bad-number", format!("`{}` is no number that can be kept", short(text)))
        .at_span(file, place, "endless, undefined or too large")
        .help("put it in quotes if it is meant as text")
}

pub(super) fn several_documents(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("several-documents", "a second document begins in the file")
        .at_span(file, place, "second document")
        .help("one file holds one document: move it to its own file, or remove the `---`")
}

pub(super) fn too_deep(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("too-deep", format!("maps and lists are nested deeper than {DEPTH_MAX} levels"))
        .at_span(file, place, "too deep here")
        .help("flatten the document, or move a part of it to its own file")
}

/// A piece of the author's text that fits into a message.
pub(super) fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN { text.to_owned() } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

pub(super) fn no_utf8(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("bad-yaml", "the file is no UTF-8 text, or a character of it was lost before")
        .at_span(file, place, "no character")
        .help("write the character anew, and save the file as UTF-8")
}

pub(super) fn too_large(file: &File) -> Diagnostic {
    Diagnostic::error("too-big", "the file is larger than 1 MiB")
        .at_span(file, Span::default(), "")
        .help("split it into several files")
}

pub(super) fn too_many_values(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("too-big", format!("the file says more than {VALUES_MAX} values or 8 MiB"))
        .at_span(file, place, "too much from here on")
        .help("split it into several files, and repeat less by aliases")
}

pub(super) fn too_many_aliases(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("too-big", format!("aliases are used more than {ALIASES_MAX} times"))
        .at_span(file, place, "one too many")
        .help("write the values out")
}

pub(super) fn endless(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("bad-yaml", "a value repeats itself without end")
        .at_span(file, place, "inside the value that it names")
        .help("write the inner value out")
}

pub(super) fn empty(file: &File) -> Diagnostic {
    Diagnostic::error("empty-document", "the file says nothing")
        .at_span(file, Span::default(), "no key in it")
        .help("begin with a key such as `workflow: my-name`")
}

pub(super) fn merge_key(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("merge-key", "`<<` does not merge maps here")
        .at_span(file, place, "a merge key")
        .help("write the keys out, so that each can be read where it holds")
}

pub(super) fn no_key(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("bad-key", "a key is missing before `:`")
        .at_span(file, place, "expected a name")
        .help("write `name: value`")
}

pub(super) fn alias_as_key(file: &File, place: Span) -> Diagnostic {
    Diagnostic::error("bad-key", "an alias stands where a key is expected")
        .at_span(file, place, "not a name")
        .help("write the key itself; quote it if it begins with `*`")
}

pub(super) fn duplicate_key(file: &File, key: &str, first: Span, again: Span) -> Diagnostic {
    let mut found = Diagnostic::error("duplicate-key", format!("the key `{}` is written twice", short(key)))
        .at_span(file, again, "again here")
        .help("keep one of the two");
    found.related.push(file.label(first, "first here"));
    found
}
