//! Where a part of a text is written: a text's value is not what stands in the file, and its author knows only that.
//!
//! YAML takes away quotes, escapes, indentation and line breaks. Value and writing are followed side by side, so that
//! one style need not be told from another.

use std::ops::Range;

use super::Place;

/// How a text of a document is written there. It finds the place of each part of the text, also when the document is no
/// longer at hand.
#[derive(Clone, Debug)]
pub struct Written {
    pub(super) start: Place,
    pub(super) text: Box<str>,
}

impl Written {
    /// The place of a byte of the value; of the whole text where it cannot be found.
    pub fn place(&self, value: &str, at: usize) -> Place {
        let Some(found) = within(&self.text, value, at..at + 1) else { return self.start.clone() };
        let before = &self.text[..found.start];
        let columns = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let (line, column) = match before.rsplit_once('\n') {
            Some((lines, indentation)) => {
                let breaks = lines.matches('\n').count() + 1;
                (u32::try_from(breaks).unwrap_or(u32::MAX), 1 + columns(indentation))
            }
            None => (0, self.start.column.saturating_add(columns(before))),
        };
        Place { path: self.start.path.clone(), line: self.start.line.saturating_add(line), column }
    }
}

/// The bytes of `written` that say the bytes `part` of its value; None if the two do not go together.
pub(super) fn within(written: &str, value: &str, part: Range<usize>) -> Option<Range<usize>> {
    let mut reader = Reader::new(written);
    let mut found: Option<Range<usize>> = None;
    // An empty part, as where something is missing at the end, is shown at what stands there or just before.
    let last = value.trim_end().char_indices().next_back().map_or(0, |(at, _)| at);
    let start = part.start.min(last);
    let end = part.end.max(start + 1);
    for (at, letter) in value.char_indices() {
        if at >= end || at > last {
            break;
        }
        let place = reader.take(letter)?;
        if at >= start {
            let start = found.map_or(place.start, |found| found.start);
            found = Some(start..place.end);
        }
    }
    found
}

struct Reader<'t> {
    written: &'t str,
    at: usize,
    quote: Option<char>,
}

impl<'t> Reader<'t> {
    fn new(written: &'t str) -> Self {
        let quote = written.chars().next().filter(|first| matches!(first, '\'' | '"'));
        Self { written, at: usize::from(quote.is_some()), quote }
    }

    /// Where the value's next letter is written.
    fn take(&mut self, letter: char) -> Option<Range<usize>> {
        loop {
            let rest = self.written.get(self.at..)?;
            let next = rest.chars().next()?;
            let length = match (self.quote, next) {
                (Some('"'), '\\') => match escaped(rest)? {
                    (Some(meant), length) if meant == letter => length,
                    (None, length) => {
                        self.at += length;
                        continue;
                    }
                    _ => return None,
                },
                (Some('\''), '\'') => (letter == '\'' && rest.starts_with("''")).then_some(2)?,
                _ if next == letter => next.len_utf8(),
                // A folded line break is a space.
                (_, '\n') if letter == ' ' => 1,
                // Indentation, and what a fold leaves out.
                _ if next.is_whitespace() => {
                    self.at += next.len_utf8();
                    continue;
                }
                _ => return None,
            };
            let place = self.at..self.at + length;
            self.at = place.end;
            return Some(place);
        }
    }
}

/// What an escape at the beginning of a text means (YAML 1.2.2 section 5.7), and its length in bytes. A line break that
/// is escaped means nothing. None: one that is not among the usual ones.
fn escaped(text: &str) -> Option<(Option<char>, usize)> {
    let letter = text.chars().nth(1)?;
    let meant = match letter {
        '\n' => return Some((None, 2)),
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '"' | '\\' | '/' | ' ' => letter,
        _ => return None,
    };
    Some((Some(meant), 2))
}

#[cfg(test)]
mod tests {
    use crate::source::File;

    use super::*;

    /// What is marked in the file when `part` is wrong in the text under `/a`.
    fn marked(yaml: &str, part: &str) -> Option<String> {
        let file = File::read("a.yaml", yaml).expect("the text is fine");
        let value = file.value["a"].as_str().expect("a text");
        let start = value.find(part).expect("it is there");
        let written = file.written(file.span("/a"));
        within(written, value, start..start + part.len()).map(|found| written[found].to_owned())
    }

    #[test]
    fn finds_a_part_in_every_style() {
        for yaml in [
            "a: one + two(x)\n",
            "a: 'it''s one + two(x)'\n",
            "a: \"one \\\"\\\\ + two(x)\"\n",
            "a: |\n  one +\n    two(x)\n",
            "a: |2-\n   one +\n  two(x)\n",
            "a: >\n  one +\n  two(x)\n\n  three\n",
            "a: one +\n  two(x)\n",
            "a: \"one +\n  two(x)\"\n",
            "a: \"one + \\\n  two(x)\"\n",
            "{ a: 'ö + two(x)' }\n",
        ] {
            assert_eq!(marked(yaml, "two(x)").as_deref(), Some("two(x)"), "{yaml}");
            assert_eq!(marked(yaml, "(").as_deref(), Some("("), "{yaml}");
        }
    }

    #[test]
    fn a_place_is_found_without_the_file() {
        for yaml in [
            "a: one + two(x)\n",
            "b: 1\na: 'it''s one + two(x)'\n",
            "\na: |\n  one +\n\n    two(x)\n",
            "a: \"öne + \\\n  two(x)\"\n",
            "{ b: 'ö', a: 'ö + two(x)' }\n",
            "a: |\r\n  öne +\r\n    ö two(x)\r\n",
        ] {
            let file = File::read("a.yaml", yaml).expect("the text is fine");
            let value = file.value["a"].as_str().expect("a text");
            let place = file.written_at("/a").place(value, value.find("two").expect("it is there"));
            let (line, column) = file.line_and_column(yaml.find("two").expect("it is there"));
            assert_eq!(place.to_string(), format!("a.yaml:{line}:{column}"), "{yaml}");
        }
        let file = File::read("a.yaml", "b: &b abc\na: *b\n").expect("the text is fine");
        assert_eq!(file.written_at("/a").place("abc", 1).to_string(), "a.yaml:2:4", "the whole of what is elsewhere");
    }

    #[test]
    fn a_part_over_two_lines_is_marked_with_what_lies_between() {
        assert_eq!(marked("a: |\n  one\n  .two\n", "one\n.two").as_deref(), Some("one\n  .two"));
        assert_eq!(marked("a: 'it''s'\n", "t's").as_deref(), Some("t''s"));
    }

    #[test]
    fn what_is_written_otherwise_is_not_found() {
        assert_eq!(marked("a: \"\\x41bc\"\n", "bc"), None);
        assert_eq!(marked("b: &b abc\na: *b\n", "bc"), None);
    }

    #[test]
    fn an_empty_part_at_the_end_is_the_last_letter() {
        assert_eq!(within("'ab'", "ab", 2..2), Some(2..3));
        assert_eq!(within("ab", "ab\n", 3..3), Some(1..2));
        assert_eq!(within("''", "", 0..0), None);
    }
}
