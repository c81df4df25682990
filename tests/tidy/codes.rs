//! Which diagnostic codes the source raises.
//!
//! A code is a text in kebab-case that stands where a code is wanted: as the argument of a function whose parameter is
//! `code: &'static str`, in a field `code:`, or in a `let code = …`. Where an expression stands there (`if … { "a" }
//! else { "b" }`), all texts in it count.

use std::collections::BTreeMap;

use regex::Regex;

use crate::tidy::code::Source;

/// Code → the file that raises it first.
pub fn raised(sources: &[Source]) -> BTreeMap<String, String> {
    let takers = takers(sources);
    let fields = Regex::new(r"\bcode:\s*").expect("a good pattern");
    let variables = Regex::new(r"\blet code = ").expect("a good pattern");
    let mut found = BTreeMap::new();
    for source in sources {
        let mut add = |expression: &str| {
            for code in codes_in(expression) {
                found.entry(code).or_insert_with(|| source.path.clone());
            }
        };
        for taker in &takers {
            for call in taker.call.find_iter(&source.code) {
                add(arguments(&source.code[call.end()..]).get(taker.place).copied().unwrap_or_default());
            }
        }
        for field in fields.find_iter(&source.code) {
            add(arguments(&source.code[field.end()..]).first().copied().unwrap_or_default());
        }
        for variable in variables.find_iter(&source.code) {
            let rest = &source.code[variable.end()..];
            add(&rest[..rest.find(';').unwrap_or(0)]);
        }
    }
    found
}

/// A function with a parameter `code: &'static str`.
struct Taker {
    /// Its calls, up to the bracket.
    call: Regex,
    /// The parameter's place, `self` apart.
    place: usize,
}

fn takers(sources: &[Source]) -> Vec<Taker> {
    let function = Regex::new(r"\bfn (\w+)(?:<[^(]*>)?\(").expect("a good pattern");
    let owner = Regex::new(r"(?m)^impl(?:<[^{]*?>)? (?:[^{]* for )?(\w+)").expect("a good pattern");
    let mut found: Vec<Taker> = Vec::new();
    for source in sources {
        for head in function.captures_iter(&source.code) {
            let start = head.get(0).expect("it matched");
            let parameters = arguments(&source.code[start.end()..]);
            let is_method = parameters.first().is_some_and(|first| first.trim_end().ends_with("self"));
            let own = &parameters[usize::from(is_method)..];
            let Some(place) = own.iter().position(|one| one.trim().starts_with("code: &'static str")) else { continue };
            let (name, before) = (&head[1], &source.code[..start.start()]);
            let owner = owner.captures_iter(before).last().map(|owner| owner[1].to_string());
            let indented = before.lines().last().is_some_and(|line| line.starts_with(' '));
            let call = match (is_method, owner) {
                (true, _) => format!(r"\.{name}\("),
                (false, Some(owner)) if indented => format!(r"\b(?:{owner}|Self)::{name}\("),
                _ => format!(r"(?:^|[^.\w])(?:\w+::)?{name}\("),
            };
            if !found.iter().any(|taker| taker.call.as_str() == call && taker.place == place) {
                found.push(Taker { call: Regex::new(&call).expect("names are words"), place });
            }
        }
    }
    found
}

/// Splits at the commas of the outermost level, up to the bracket that closes it.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut in_text) = (0, 0, false);
    let mut found = Vec::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if in_text => {
                letters.next();
            }
            '"' => in_text = !in_text,
            _ if in_text => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => {
                found.push(&text[start..at]);
                return found;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn codes_in(expression: &str) -> Vec<String> {
    let code = Regex::new(r#""([a-z]+(?:-[a-z0-9]+)*)""#).expect("a good pattern");
    let calls = Regex::new(r#"\w\([^()]*\)|==\s*"[^"]*""#).expect("a good pattern");
    // What is compared with, or asked with, is no code.
    let expression = calls.replace_all(expression, "");
    code.captures_iter(&expression).map(|found| found[1].to_string()).collect()
}
