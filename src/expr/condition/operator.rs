//! The operators of conditions: what each takes, and when it holds.

use regex::{Regex, RegexBuilder};
use serde_json::Value;

use super::compare::{equal, order, time_of, told};
use crate::expr::{Locale, Problem, Word, is_blank, kind_of, shown};

/// What a compiled regular expression may take, in bytes.
const REGEX_SIZE_MAX: usize = 256 * 1024;
/// The longest regular expression.
const PATTERN_MAX: usize = 4 * 1024;

const ORDERED: &str = "write a number, a date such as `2026-07-20`, or a path to one";
const REGEX: &str =
    "write a `\\` before a bracket, `*`, `+`, `?` or `.` that stands for itself; for a plain text use `contains`";

/// The kinds that `type` tells apart.
pub(super) const TYPES: &[&str] = &["text", "number", "boolean", "list", "map", "time", "null"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    NotIn,
    Contains,
    ContainsAny,
    ContainsAll,
    StartsWith,
    EndsWith,
    Matches,
    Blank,
    Exists,
    Changed,
    Type,
}

/// Each by its name, with what the reference tells of it.
const WORDS: &[(Operator, Word)] = &[
    word("eq", Operator::Eq, "Equal. The same as the value without an operator.", "$.contact.country: { eq: GB }"),
    word("ne", Operator::Ne, "Not equal; also when the value is absent.", "$.contact.country: { ne: GB }"),
    word("gt", Operator::Gt, "Greater, or later.", "$.contact.dateAdded: { gt: 2026-07-20 }"),
    word("gte", Operator::Gte, "Greater or equal; later or the same time.", "$.run.attempt: { gte: 2 }"),
    word("lt", Operator::Lt, "Less, or earlier.", "$.run.attempt: { lt: 3 }"),
    word(
        "lte",
        Operator::Lte,
        "Less or equal; earlier or the same time.",
        "$.contact.dateAdded: { lte: \"2026-07-20T10:00:00Z\" }",
    ),
    word(
        "in",
        Operator::In,
        "One of a list. The same as the list without an operator.",
        "$.contact.country: { in: [GB, IE] }",
    ),
    word(
        "not_in",
        Operator::NotIn,
        "None of a list; also when the value is absent.",
        "$.contact.country: { not_in: [GB, IE] }",
    ),
    word(
        "contains",
        Operator::Contains,
        "A text has this part, or a list has this item.",
        "$.contact.tags: { contains: vip }",
    ),
    word(
        "contains_any",
        Operator::ContainsAny,
        "At least one of these is in it.",
        "$.contact.tags: { contains_any: [vip, press] }",
    ),
    word(
        "contains_all",
        Operator::ContainsAll,
        "All of these are in it.",
        "$.contact.tags: { contains_all: [vip, press] }",
    ),
    word("starts_with", Operator::StartsWith, "A text begins so.", "$.contact.phone: { starts_with: \"+44\" }"),
    word("ends_with", Operator::EndsWith, "A text ends so.", "$.contact.email: { ends_with: \"@example.com\" }"),
    word(
        "matches",
        Operator::Matches,
        "A text has a part that this regular expression describes; `^` and `$` stand for its begin and end.",
        "$.contact.phone: { matches: \"^[+]44 ?7\" }",
    ),
    word(
        "blank",
        Operator::Blank,
        "`true`: absent, empty, or only spaces. `false`: something is there.",
        "$.contact.email: { blank: false }",
    ),
    word(
        "exists",
        Operator::Exists,
        "`true`: it is there, even if empty. `false`: it is absent.",
        "$.contact.phone: { exists: true }",
    ),
    word(
        "changed",
        Operator::Changed,
        "`true`: it is different from what this workflow was last told of the record; of a new record, everything that is there.",
        "$.contact.source: { changed: true }",
    ),
    word(
        "type",
        Operator::Type,
        "What kind of value it is: `text`, `number`, `boolean`, `list`, `map`, `time` or `null`.",
        "$.contact.tags: { type: list }",
    ),
];

const fn word(name: &'static str, operator: Operator, what: &'static str, example: &'static str) -> (Operator, Word) {
    (operator, Word { name, what, example })
}

impl Operator {
    pub(super) fn named(name: &str) -> Option<Operator> {
        WORDS.iter().find(|(_, word)| word.name == name).map(|(operator, _)| *operator)
    }

    pub(super) fn words() -> impl Iterator<Item = Word> {
        WORDS.iter().map(|(_, word)| *word)
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        Operator::words().map(|word| word.name)
    }

    pub(super) fn name(self) -> &'static str {
        WORDS.iter().find(|(operator, _)| *operator == self).map_or("", |(_, word)| word.name)
    }

    /// May be asked of a list that a path gathers.
    pub(super) fn takes_plural(self) -> bool {
        matches!(
            self,
            Operator::Contains
                | Operator::ContainsAny
                | Operator::ContainsAll
                | Operator::Blank
                | Operator::Exists
                | Operator::Eq
        )
    }

    /// Looks at the left side's being there, not at its value; the right side is true or false.
    pub(super) fn asks_presence(self) -> bool {
        matches!(self, Operator::Blank | Operator::Exists | Operator::Changed)
    }

    /// What is wrong with a right side that is known.
    pub(super) fn check_right(self, right: &Value) -> Option<Problem> {
        let bad = |message: String| Some(Problem::new("bad-test", message));
        let name = self.name();
        match (self, right) {
            (Operator::Type, Value::Null) => None,
            (Operator::Type, Value::String(kind)) if TYPES.contains(&kind.as_str()) => None,
            (Operator::Type, other) => {
                let problem = Problem::new("bad-test", format!("{} is no type", shown(other)));
                let known = format!("there are {}", TYPES.join(", "));
                Some(problem.nearest(other.as_str().unwrap_or_default(), TYPES.iter().copied(), known))
            }
            (_, Value::Null) => Some(
                Problem::new("compare-null", format!("`{name}` compares with nothing"))
                    .help("to ask whether something is there, write `exists: false` or `blank: true`"),
            ),
            (Operator::Blank | Operator::Exists | Operator::Changed, other) if !other.is_boolean() => {
                let message = format!("`{name}` takes true or false, not {}", told(other));
                let help = match other.as_str().map(str::to_lowercase).as_deref() {
                    Some("yes" | "true" | "on") => "write `true`",
                    Some("no" | "false" | "off") => "write `false`",
                    _ => "write `true` or `false`",
                };
                Some(Problem::new("bad-test", message).help(help))
            }
            (Operator::In | Operator::NotIn | Operator::ContainsAny | Operator::ContainsAll, other)
                if !other.is_array() =>
            {
                let message = format!("`{name}` takes a list, not {}", told(other));
                Some(Problem::new("bad-test", message).help(format!("write `{name}: [ … ]`")))
            }
            (Operator::In | Operator::NotIn | Operator::ContainsAny | Operator::ContainsAll, Value::Array(items))
                if items.is_empty() =>
            {
                let never = matches!(self, Operator::In | Operator::ContainsAny);
                let message = format!("`{name}` with an empty list {} holds", if never { "never" } else { "always" });
                Some(Problem::new("bad-test", message).help("write the values in the list, or leave the line out"))
            }
            (Operator::Contains, Value::Array(_)) => Some(
                Problem::new("bad-test", "`contains` takes one value").help("write `contains_any` or `contains_all`"),
            ),
            (Operator::StartsWith | Operator::EndsWith, other) if !other.is_string() => {
                let message = format!("`{name}` takes text, not {}", told(other));
                Some(Problem::new("bad-test", message).help("put it in quotes"))
            }
            (
                Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte,
                Value::Bool(_) | Value::Array(_) | Value::Object(_),
            ) => bad(format!("`{name}` takes a number or a time, not {}", told(right)))
                .map(|problem| problem.help(ORDERED)),
            (Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte, Value::String(text))
                if time_of(right, &Locale::default()).is_none() =>
            {
                bad(format!("`{name}` takes a number or a time, and `{text}` is neither"))
                    .map(|problem| problem.help(ORDERED))
            }
            // `regex` tells what is wrong with a pattern.
            (Operator::Matches, Value::String(_)) => None,
            (Operator::Matches, other) => bad(format!("`matches` takes text, not {}", told(other)))
                .map(|problem| problem.help("put it in quotes")),
            _ => None,
        }
    }

    /// The answer when a side is absent.
    pub(super) fn of_absent(self) -> bool {
        matches!(self, Operator::Ne | Operator::NotIn)
    }

    /// Does the test hold? Both sides are there.
    ///
    /// # Errors
    /// The sentence on sides that cannot be compared.
    pub(super) fn holds(self, left: &Value, right: &Value, locale: &Locale) -> Result<bool, String> {
        match self {
            Operator::Eq => equal(left, right, locale),
            Operator::Ne => equal(left, right, locale).map(|same| !same),
            Operator::Gt => order(left, right, locale).map(|order| order.is_gt()),
            Operator::Gte => order(left, right, locale).map(|order| order.is_ge()),
            Operator::Lt => order(left, right, locale).map(|order| order.is_lt()),
            Operator::Lte => order(left, right, locale).map(|order| order.is_le()),
            Operator::In => is_among(left, list(right)?, locale),
            Operator::NotIn => is_among(left, list(right)?, locale).map(|among| !among),
            Operator::Contains => contains(left, right, locale),
            Operator::ContainsAny => any(list(right)?, |one| contains(left, one, locale)),
            Operator::ContainsAll => {
                any(list(right)?, |one| contains(left, one, locale).map(|held| !held)).map(|lacks| !lacks)
            }
            Operator::StartsWith => Ok(text(left)?.starts_with(text(right)?)),
            Operator::EndsWith => Ok(text(left)?.ends_with(text(right)?)),
            Operator::Matches => Ok(compile_regex(text(right)?)?.is_match(text(left)?)),
            Operator::Type => Ok(is_type(Some(left), right, locale)),
            Operator::Blank => Ok(right == &Value::Bool(is_blank(Some(left)))),
            Operator::Exists => Ok(right == &Value::Bool(true)),
            // Asked of the event, not of the value.
            Operator::Changed => Ok(false),
        }
    }
}

pub(super) fn is_type(left: Option<&Value>, kind: &Value, locale: &Locale) -> bool {
    let Some(left) = left else { return kind.is_null() || kind == "null" };
    match kind.as_str() {
        Some("time") => time_of(left, locale).is_some(),
        Some(kind) => kind_of(left) == kind,
        None => false,
    }
}

/// A constant pattern, compiled; or what is wrong with it.
pub(super) fn regex(pattern: &str) -> Result<Regex, Problem> {
    compile_regex(pattern).map_err(|message| Problem::new("bad-regex", message).help(REGEX))
}

fn compile_regex(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_MAX {
        return Err(format!("a regular expression of {} bytes is too long, {PATTERN_MAX} are allowed", pattern.len()));
    }
    RegexBuilder::new(pattern).size_limit(REGEX_SIZE_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("the regular expression {} is too big", shown(&pattern.into())),
        _ => format!("{} is no regular expression", shown(&pattern.into())),
    })
}

/// True if any holds; else the first refusal; else false. So one of another type refuses only where nothing else answers.
fn any(items: &[Value], test: impl Fn(&Value) -> Result<bool, String>) -> Result<bool, String> {
    let mut refusal = None;
    for item in items {
        match test(item) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(message) => refusal = refusal.or(Some(message)),
        }
    }
    refusal.map_or(Ok(false), Err)
}

fn is_among(left: &Value, right: &[Value], locale: &Locale) -> Result<bool, String> {
    any(right, |one| if one.is_null() { Ok(false) } else { equal(left, one, locale) })
}

fn contains(left: &Value, part: &Value, locale: &Locale) -> Result<bool, String> {
    match (left, part) {
        (Value::String(text), Value::String(part)) => Ok(text.contains(part)),
        (Value::Array(items), part) => is_among(part, items, locale)
            .map_err(|_| format!("a list is asked for {}, but holds other types", told(part))),
        _ => Err(format!("{} cannot contain {}", told(left), told(part))),
    }
}

fn list(right: &Value) -> Result<&[Value], String> {
    right.as_array().map(Vec::as_slice).ok_or_else(|| format!("the test takes a list, not {}", told(right)))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{} is not text", told(value)))
}
