//! What is wrong with a script, in the words of this language, and where.

use std::ops::Range;

use rhai::{EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use super::engine::{FIELDS_MAX, ITEMS_MAX, TEXT_MAX};
use crate::expr::Problem;

/// What is wrong with a script as written.
pub(super) fn problem(error: &ParseError, text: &str) -> Problem {
    let part = word(text, offset(text, error.position()));
    let found = &text[part.clone()];
    let (message, help) = match error.err_type() {
        ParseErrorType::BadInput(LexError::MalformedChar(letters)) => (
            format!("`'{letters}'` is no single letter"),
            format!("text stands between double quotes: `\"{letters}\"`"),
        ),
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) if is_word(symbol) => (
            format!("a script has no `{symbol}`"),
            "a script reads the context and gives a value, nothing else".to_owned(),
        ),
        ParseErrorType::Reserved(symbol) if symbol == "$" => (
            "a script names the context without `$`".to_owned(),
            "write `contact.email`, not `$.contact.email`".to_owned(),
        ),
        ParseErrorType::Reserved(symbol) => {
            (format!("`{symbol}` cannot stand in a script"), "Rhai keeps this word for itself".to_owned())
        }
        ParseErrorType::MissingToken(_, _) if found == "and" || found == "or" => {
            let sign = if found == "and" { "&&" } else { "||" };
            (format!("`{found}` joins nothing in a script"), format!("write `{sign}`"))
        }
        ParseErrorType::ExprTooDeep => {
            ("the script is nested too deep".to_owned(), "give a part of it a name: `let part = …;`".to_owned())
        }
        ParseErrorType::UnexpectedEOF => (
            "the script ends too early".to_owned(),
            "close every quote and bracket that is open, and end with a value".to_owned(),
        ),
        ParseErrorType::MissingToken(token, _) => {
            let help = match token.as_str() {
                ";" => "end the statement before it with `;`".to_owned(),
                token => format!("write `{token}` here"),
            };
            (format!("the script cannot be read: {}", small(&error.err_type().to_string())), help)
        }
        other => {
            let help = "scripts are written in Rhai: `dovetail explain bad-script` shows one that can be read";
            (format!("the script cannot be read: {}", small(&other.to_string())), help.to_owned())
        }
    };
    Problem::new("bad-script", message).of_part(part).help(help)
}

/// Why a script gave nothing, and where in it.
pub(super) fn fault(error: &EvalAltResult) -> (Position, String) {
    let mut inner = error;
    while let EvalAltResult::ErrorInFunctionCall(_, _, cause, _) = inner {
        inner = cause;
    }
    (inner.position().or_else(error.position()), reason(inner))
}

fn reason(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorTerminated(..) | EvalAltResult::ErrorTooManyOperations(_) => {
            "the script is stopped: it does too much, or reads too much data again and again".to_owned()
        }
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other too deep".to_owned(),
        EvalAltResult::ErrorTooManyVariables(_) => "the script has too many variables".to_owned(),
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            let limit = match what.as_str() {
                "Length of string" => format!("a text grows beyond {TEXT_MAX} bytes"),
                "Size of object map" => format!("a map grows beyond {FIELDS_MAX} fields"),
                _ => format!("a list grows beyond {ITEMS_MAX} items"),
            };
            format!("the script is stopped: {limit}")
        }
        EvalAltResult::ErrorDotExpr(what, _) => match what.split('\'').nth(1) {
            Some(field) if what.ends_with("'()'") => {
                format!("`{field}` is read of something that is not there; write `?.{field}` where it may be absent")
            }
            Some(field) => format!("there is no `{field}` to read"),
            None => small(what),
        },
        EvalAltResult::ErrorFunctionNotFound(signature, _) => no_function(signature),
        EvalAltResult::ErrorAssignmentToConstant(..) | EvalAltResult::ErrorNonPureMethodCallOnConstant(..) => {
            "the context cannot be changed; copy it first: `let copy = …;`".to_owned()
        }
        EvalAltResult::ErrorMismatchDataType(wanted, found, _) if !wanted.is_empty() => {
            format!("{} is wanted, not {}", kind_of(wanted), kind_of(found))
        }
        EvalAltResult::ErrorFor(_) => "`for` takes a list".to_owned(),
        EvalAltResult::ErrorIndexingType(kind, _) => format!("{} has no items", kind_of(kind)),
        EvalAltResult::ErrorRuntime(given, _) => given.to_string(),
        other => {
            let mut told = other.to_string();
            // The place is told apart.
            told.truncate(told.rfind(" (line ").unwrap_or(told.len()));
            small(&told)
        }
    }
}

/// What is asked of which values: Rhai names them by their types in Rust.
fn no_function(signature: &str) -> String {
    let (name, kinds) = signature.split_once(" (").unwrap_or((signature, ""));
    let kinds: Vec<&str> =
        kinds.strip_suffix(')').unwrap_or(kinds).split(", ").filter(|kind| !kind.is_empty()).map(kind_of).collect();
    let of = match &kinds[..] {
        [] => return format!("there is no `{name}()`"),
        [only] => (*only).to_owned(),
        [first, rest @ ..] => format!("{first} with {}", rest.join(" and ")),
    };
    let absent =
        if kinds.contains(&"nothing") { "; write `??` and what to take where a value may be absent" } else { "" };
    format!("there is no `{name}` for {of}{absent}")
}

/// A type of Rhai in the words of the language.
pub(super) fn kind_of(kind: &str) -> &str {
    match kind {
        "()" | "" => "nothing",
        "i64" | "u64" => "an integer",
        "f64" => "a number",
        "bool" => "true or false",
        "char" => "a letter",
        "array" => "a list",
        "map" => "a map",
        "Fn" => "a function",
        kind if kind.contains("tring") => "a text",
        kind if kind.contains("ange") => "a range",
        kind => kind,
    }
}

/// The byte of a script at a place; its end if there is none.
pub(super) fn offset(text: &str, place: Position) -> usize {
    let (Some(line), column) = (place.line(), place.position().unwrap_or(1)) else { return text.len() };
    let start = text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
    let rest = text.get(start..).unwrap_or_default();
    start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at)
}

/// The word, or else the one letter, that begins at a byte of a script.
pub(super) fn word(text: &str, start: usize) -> Range<usize> {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    let letter = rest.chars().next().map_or(0, char::len_utf8);
    start..start + length.max(letter)
}

fn is_word(symbol: &str) -> bool {
    symbol.chars().all(char::is_alphanumeric)
}

/// Sentences begin small here.
fn small(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
