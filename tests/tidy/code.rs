//! Rust source as the checks see it: without comments, with or without its texts, without its tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One file under `src/`.
pub struct Source {
    /// Relative to the repository, `/` between folders.
    pub path: String,
    pub text: String,
    /// Comments blanked, tests left out.
    pub code: String,
    /// Comments and the content of texts blanked, tests left out.
    pub bare: String,
    /// Like `bare`, with tests.
    pub bare_with_tests: String,
    pub is_test: bool,
}

impl Source {
    /// The room: `src/run/walk.rs` → `run`; none for `src/lib.rs` and `src/main.rs`.
    pub fn room(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(room, _)| room)
    }
}

/// Every file under `src/`, in order.
pub fn sources(root: &Path) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root.join("src"), &mut paths);
    let mut sources: Vec<Source> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| read(root, path))
        .collect();
    let tests: BTreeSet<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        source.is_test = tests.iter().any(|test| stem == test || stem.starts_with(&format!("{test}/")));
        if source.is_test {
            source.code.clear();
            source.bare.clear();
        }
    }
    sources
}

/// All files below a folder, sorted.
pub fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder is readable").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn read(root: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(path).expect("a source is text");
    let path = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
    let (with_texts, mut bare) = blank(&text);
    let bare_with_tests = bare.clone();
    let mut code = with_texts;
    for (start, end) in inline_tests(&bare) {
        let spaces = " ".repeat(end - start);
        code.replace_range(start..end, &spaces);
        bare.replace_range(start..end, &spaces);
    }
    Source { path, text, code, bare, bare_with_tests, is_test: false }
}

/// `#[cfg(test)] mod name;` in `src/a/mod.rs` → `src/a/name`.
fn test_modules(source: &Source) -> Vec<String> {
    let own = source.path.trim_end_matches(".rs");
    let folder = match own.strip_suffix("/mod").or_else(|| own.strip_suffix("/lib")) {
        Some(folder) => folder,
        None => own,
    };
    let mut found = Vec::new();
    for (at, _) in source.bare_with_tests.match_indices("#[cfg(test)]") {
        let rest = source.bare_with_tests[at + "#[cfg(test)]".len()..].trim_start();
        if let Some((name, _)) = rest.strip_prefix("mod ").and_then(|rest| rest.split_once(';'))
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
        {
            found.push(format!("{folder}/{name}"));
        }
    }
    found
}

/// The ranges of `#[cfg(test)] … { … }`.
fn inline_tests(bare: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in bare.match_indices("#[cfg(test)]") {
        let Some(open) = bare[at..].find(['{', ';']).map(|open| at + open) else { continue };
        if bare.as_bytes()[open] == b';' {
            continue;
        }
        let mut depth = 0;
        for (index, byte) in bare.bytes().enumerate().skip(open) {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            if depth == 0 {
                found.push((at, index + 1));
                break;
            }
        }
    }
    found
}

/// The text with comments blanked, and that with the contents of texts blanked too. Byte for byte as long as the text.
fn blank(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut bare) = (bytes.to_vec(), bytes.to_vec());
    let hide = |buffer: &mut Vec<u8>, from: usize, to: usize| {
        for byte in &mut buffer[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
        let in_word = before.is_ascii_alphanumeric() || before == b'_';
        if rest.starts_with("//") {
            let end = at + rest.find('\n').unwrap_or(rest.len());
            hide(&mut code, at, end);
            hide(&mut bare, at, end);
            at = end;
        } else if rest.starts_with("/*") {
            let end = at + rest.find("*/").map_or(rest.len(), |end| end + 2);
            hide(&mut code, at, end);
            hide(&mut bare, at, end);
            at = end;
        } else if let Some(hashes) = raw_text(rest).filter(|_| !in_word || before == b'b') {
            let start = at + rest.find('"').expect("a raw text has one") + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            let end = start + text[start..].find(&close).expect("a raw text ends");
            hide(&mut bare, start, end);
            at = end + close.len();
        } else if rest.starts_with('"') {
            let start = at + 1;
            let mut end = start;
            while bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            hide(&mut bare, start, end);
            at = end + 1;
        } else if let Some(length) = character(rest) {
            hide(&mut code, at, at + length);
            hide(&mut bare, at, at + length);
            at += length;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    let text = |buffer| String::from_utf8(buffer).expect("only whole characters were blanked");
    (text(code), text(bare))
}

/// How many `#` a raw text begins with, if one begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let rest = rest.strip_prefix('r')?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal; None for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        let first = escaped.chars().next()?.len_utf8();
        return escaped[first..].find('\'').map(|end| 2 + first + end + 1);
    }
    let first = inner.chars().next()?.len_utf8();
    inner[first..].starts_with('\'').then_some(1 + first + 1)
}
