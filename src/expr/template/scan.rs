//! A first look at a template's text, before the parser sees it.
//!
//! The parser calls itself for each nested block and bracket, and its time grows with the square of the nesting. Here
//! the tags are read flat, by the same rules but fewer of them, so what passes is cheap to parse.

use super::EXAMPLE;
use crate::expr::Problem;

/// How deep blocks, and brackets in a tag, are nested.
const NESTING_MAX: usize = 32;
/// How many `{{else if …}}` a template has: each is nested in the one before.
const ELSE_MAX: usize = 100;

pub(super) fn scan(text: &str) -> Result<(), Problem> {
    let mut scan = Scan { text, at: 0, blocks: 0, elses: 0, open: Vec::new() };
    while let Some(offset) = text[scan.at..].find("{{") {
        scan.at += offset;
        scan.tag()?;
    }
    if let Some(name) = scan.open.last() {
        let problem = Problem::new("bad-template", format!("`{{{{#{name}}}}}` is opened and not closed"));
        return Err(problem.help(format!("close it by `{{{{/{name}}}}}`")));
    }
    Ok(())
}

struct Scan<'t> {
    text: &'t str,
    /// A byte offset, always between characters.
    at: usize,
    blocks: usize,
    elses: usize,
    /// Names of the blocks that are open.
    open: Vec<String>,
}

impl Scan<'_> {
    /// Reads one tag; `at` is at its `{{` and then behind its `}}`.
    fn tag(&mut self) -> Result<(), Problem> {
        if self.text[..self.at].ends_with('\\') {
            return Err(self.bad("a backslash before `{{`").help("text that holds `{{` is written `{ $literal: … }`"));
        }
        let rest = &self.text[self.at..];
        if rest.starts_with("{{{{") {
            return Err(self.bad("raw blocks, `{{{{ … }}}}`, are not part of templates"));
        }
        if rest.starts_with("{{!") {
            return self.comment();
        }
        self.at += if rest.starts_with("{{{") { 3 } else { 2 };
        self.skip(|byte| byte.is_ascii_whitespace() || byte == b'~');
        self.opening()?;
        self.inside()
    }

    fn comment(&mut self) -> Result<(), Problem> {
        let rest = &self.text[self.at..];
        let long = rest.starts_with("{{!--").then(|| rest[5..].find("--}}").map(|end| 5 + end + 4)).flatten();
        match long.or_else(|| rest.find("}}").map(|end| end + 2)) {
            Some(length) => self.at += length,
            None => return Err(self.never_closed()),
        }
        Ok(())
    }

    /// What the tag is, by its first character.
    fn opening(&mut self) -> Result<(), Problem> {
        match self.byte() {
            Some(b'#') => {
                self.at += 1;
                self.skip(|byte| byte.is_ascii_whitespace());
                if matches!(self.byte(), Some(b'>' | b'*')) {
                    return Err(self.bad("templates inside templates are not part of templates"));
                }
                self.blocks += 1;
                self.open.push(self.name());
                if self.blocks > NESTING_MAX {
                    return Err(self.bad(format!("blocks are nested more than {NESTING_MAX} deep")));
                }
            }
            Some(b'/') => {
                self.blocks = self.blocks.saturating_sub(1);
                // Another name than that of the block is told by the parser.
                self.open.pop();
            }
            Some(b'>' | b'*') => return Err(self.bad("templates inside templates are not part of templates")),
            _ => {}
        }
        if self.text[self.at..].starts_with("else") || self.byte() == Some(b'^') {
            self.elses += 1;
            if self.elses > ELSE_MAX {
                return Err(self.bad(format!("a template has more than {ELSE_MAX} `{{{{else}}}}`")));
            }
        }
        Ok(())
    }

    /// The rest of the tag.
    fn inside(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let mut depth = 0usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' | b'\'' => self.quoted(byte)?,
                b'[' => self.bracketed()?,
                b'{' => return Err(self.bad("a map inside `{{ }}`; values are built in YAML")),
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                b'}' => return self.closing(),
                _ => {}
            }
            if depth > NESTING_MAX {
                return Err(self.bad(format!("brackets are nested more than {NESTING_MAX} deep")));
            }
            self.forward();
        }
        self.at = start;
        Err(self.never_closed())
    }

    fn closing(&mut self) -> Result<(), Problem> {
        let braces = self.text[self.at..].bytes().take_while(|byte| *byte == b'}').count();
        if braces < 2 {
            return Err(self.bad("a single `}`").help("a tag ends with `}}`"));
        }
        self.at += braces.min(3);
        Ok(())
    }

    /// A text in quotes; `at` is then at the closing quote.
    fn quoted(&mut self, quote: u8) -> Result<(), Problem> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            if byte == quote {
                return Ok(());
            }
            if byte == b'\\' {
                self.at += 1;
                let escape = &self.text.as_bytes()[self.at..];
                let known = match escape.first() {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => true,
                    Some(b'u') => escape.len() > 4 && escape[1..5].iter().all(u8::is_ascii_hexdigit),
                    _ => false,
                };
                if !known {
                    return Err(self.bad("an unknown escape after a backslash").help("write `\\\\` for a backslash"));
                }
            }
            self.forward();
        }
        self.at = start;
        Err(self.bad("a quote is never closed"))
    }

    /// A name in brackets, `[a b]`; `at` is then at the closing one.
    fn bracketed(&mut self) -> Result<(), Problem> {
        let rest = &self.text[self.at + 1..];
        let Some(length) = rest.find(']') else { return Err(self.bad("a bracket is never closed")) };
        let name = &rest[..length];
        let in_quotes =
            name.trim_start().starts_with(['"', '\'']) || (name.contains(',') && name.contains(['"', '\'']));
        if in_quotes {
            return Err(self
                .bad("a list or a quote in brackets")
                .help("a name in brackets needs no quotes: `{{a.[b c]}}`"));
        }
        if name.contains(['[', '{', '}']) {
            return Err(self.bad("a bracket inside brackets"));
        }
        self.at += length + 1;
        Ok(())
    }

    /// The word that stands here.
    fn name(&self) -> String {
        let rest = self.text[self.at..].trim_start();
        rest.chars().take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-')).collect()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// One character on.
    fn forward(&mut self) {
        self.at += self.text[self.at..].chars().next().map_or(0, char::len_utf8);
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.byte().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    fn never_closed(&self) -> Problem {
        self.bad("`{{` is never closed by `}}`").help(EXAMPLE)
    }

    fn bad(&self, message: impl std::fmt::Display) -> Problem {
        let character = self.text[..self.at].chars().count() + 1;
        Problem::new("bad-template", format!("{message} (character {character})"))
    }
}
