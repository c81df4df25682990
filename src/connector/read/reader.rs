//! What every part of the document is read with: the report, the places, and the checks that all parts share.

use serde_json::Value;

use super::merge::Merged;
use crate::expr::{Condition, Expr, Path, Problem, Read, parse_duration};
use crate::source::{Diagnostic, File, Report};

pub(in crate::connector) use crate::source::under;

/// Which roots an expression may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connector) enum Side {
    /// `input`, `connection`, `page`.
    Request,
    /// `secrets`, `connection`: `auth`.
    Secret,
    /// What a signature is over: the request, too.
    Signing,
    /// What is sent beside a request that is signed: the signature, too.
    Signed,
    /// `connection`, `via`: how a credential is exchanged.
    Exchange,
    /// `secrets`: `verify`, which says whose a delivery may be.
    Proof,
    /// `connection`: headers of every request.
    Connection,
}

impl Side {
    fn roots(self) -> &'static [&'static str] {
        match self {
            Side::Request => &["input", "connection", "page"],
            Side::Secret => &["secrets", "connection"],
            Side::Signing => &[
                "method",
                "host",
                "path",
                "query",
                "target",
                "headers",
                "body",
                "body_hash",
                "timestamp",
                "nonce",
                "secrets",
                "connection",
            ],
            Side::Signed => &["signature", "timestamp", "nonce", "body_hash", "secrets", "connection"],
            Side::Exchange => &["connection", "via"],
            Side::Proof => &["secrets"],
            Side::Connection => &["connection"],
        }
    }
}

/// The merged document with its report.
pub(in crate::connector) struct Reader<'a> {
    pub(super) merged: &'a Merged<'a>,
    pub report: &'a mut Report,
    /// Names of the connection's settings.
    pub settings: Vec<String>,
    /// Bytes and values of the schema files that are named so far.
    pub attached: (usize, usize),
}

impl<'a> Reader<'a> {
    pub fn file(&self, pointer: &str) -> &'a File {
        self.merged.file(pointer)
    }

    pub fn raw(&self, pointer: &str) -> Option<&'a Value> {
        self.merged.value.pointer(pointer)
    }

    /// An error about the value under a pointer; `help` says what to do now, and may be empty.
    pub fn error(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
        let found = Diagnostic::error(code, message).at(self.file(pointer), pointer, "");
        self.report.push(helped(found, help));
    }

    /// A secret that stands in the file; it is said aloud, and never shown.
    pub fn open_secret(&mut self, pointer: &str) {
        let found = Diagnostic::warning("secret-in-the-open", "a secret stands in the file for all to read")
            .at(self.file(pointer), pointer, "")
            .hidden();
        self.report.push(found.help("write `$.secrets.NAME`, and keep the value out of the project's files"));
    }

    /// An error about the key under a pointer.
    pub fn key_error(
        &mut self,
        code: &'static str,
        pointer: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let found = Diagnostic::error(code, message).at_key(self.file(pointer), pointer, "");
        self.report.push(helped(found, help));
    }

    /// An error about a name that is none of the candidates.
    pub fn unknown<'n>(
        &mut self,
        code: &'static str,
        pointer: &str,
        message: impl Into<String>,
        word: &str,
        candidates: impl IntoIterator<Item = &'n str>,
    ) {
        let found = Diagnostic::error(code, message).at(self.file(pointer), pointer, "").nearest(word, candidates);
        self.report.push(found);
    }

    pub fn expr(&mut self, pointer: &str, value: &Value, side: Side) -> Option<Expr> {
        let (expr, problems) = Expr::read(value);
        let is_whole = problems.is_empty();
        self.problems(pointer, problems);
        for read in expr.reads() {
            self.check_read(pointer, &read, side);
        }
        is_whole.then_some(expr)
    }

    pub fn check_read(&mut self, pointer: &str, read: &Read, side: Side) {
        let at = format!("{pointer}{}", read.pointer);
        let roots = side.roots();
        let Some(root) = read.names.first().map(String::as_str) else {
            let message = format!("`{}` reads everything at once", read.text);
            self.error("unknown-root", &at, message, format!("begin with {}", listed(roots)));
            return;
        };
        if root == "secrets" && matches!(side, Side::Request | Side::Connection | Side::Exchange) {
            let found = Diagnostic::error("secret-out-of-place", "a secret may stand only in `auth` and `verify`")
                .at(self.file(&at), &at, "would be sent as ordinary data")
                .help("name it in `auth`; the credential is attached after the request is made");
            self.report.push(found);
        } else if !roots.contains(&root) {
            let found = Diagnostic::error("unknown-root", format!("nothing is called `{root}` here"))
                .at(self.file(&at), &at, format!("known here: {}", listed(roots)))
                .nearest(root, roots.iter().copied());
            self.report.push(found);
        } else if matches!(root, "connection" | "via")
            && let Some(setting) = read.names.get(1)
        {
            self.check_setting(&at, setting);
        } else if root == "page" {
            const PARTS: [&str; 4] = ["next", "offset", "number", "size"];
            match read.names.get(1) {
                Some(part) if PARTS.contains(&part.as_str()) => {}
                part => {
                    let part = part.map_or("", String::as_str);
                    self.unknown("unknown-path", &at, format!("a page has no `{part}`"), part, PARTS);
                }
            }
        }
    }

    /// A setting must be one of `connection:` (or what an OAuth answer saves).
    pub fn check_setting(&mut self, pointer: &str, setting: &str) {
        if self.settings.iter().any(|known| known == setting) {
            return;
        }
        let known: Vec<String> = self.settings.clone();
        let message = format!("the connection has no setting `{setting}`");
        let mut found = Diagnostic::error("unknown-setting", message).at(self.file(pointer), pointer, "");
        found = match known.is_empty() {
            true => found.help(format!("declare it: `connection: {{ {setting}: {{ type: string }} }}`")),
            false => found.nearest(setting, known.iter().map(String::as_str)),
        };
        self.report.push(found);
    }

    /// A path into an answer, whose `$` is the body.
    pub fn path(&mut self, pointer: &str, text: &str) -> Option<Path> {
        match Path::compile(text) {
            Ok(path) => Some(path),
            Err(problem) => {
                self.problems(pointer, vec![problem]);
                None
            }
        }
    }

    pub fn condition(&mut self, pointer: &str, value: &Value) -> Option<Condition> {
        match Condition::compile(value) {
            Ok(condition) => Some(condition),
            Err(problems) => {
                self.problems(pointer, problems);
                None
            }
        }
    }

    pub fn duration(&mut self, pointer: &str, text: &str) -> std::time::Duration {
        parse_duration(text).unwrap_or_else(|| {
            let found = Diagnostic::no_duration(text).at(self.file(pointer), pointer, "");
            self.report.push(found);
            std::time::Duration::ZERO
        })
    }

    pub fn problems(&mut self, pointer: &str, problems: Vec<Problem>) {
        for problem in problems {
            let at = format!("{pointer}{}", problem.pointer);
            let file = self.file(&at);
            let mut found = Diagnostic::error(problem.code, problem.message);
            found = match problem.key {
                true => found.at_key(file, &at, ""),
                false => found.at(file, &at, ""),
            };
            if let Some(help) = problem.help {
                found = found.help(help);
            }
            self.report.push(found);
        }
    }

    /// Names that paths can say: `snake_case`.
    pub fn check_name(&mut self, pointer: &str, what: &str, name: &str) {
        let good = name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        if !good {
            let message = format!("`{name}` cannot be the name of {what}");
            self.key_error("bad-name", pointer, message, "use small letters, digits and `_`, beginning with a letter");
        }
    }
}

fn helped(found: Diagnostic, help: impl Into<String>) -> Diagnostic {
    let help: String = help.into();
    if help.is_empty() { found } else { found.help(help) }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`$.{name}`")).collect::<Vec<_>>().join(", ")
}
