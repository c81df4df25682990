//! JSONPath (RFC 9535), compiled once. A singular path gives a value, any other a list: decided by grammar.

mod filter;
mod plural;
mod types;

use jsonpath_rust::parser::model::{Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use serde_json::Value;

use super::{Fault, Problem, Read, Scope};
use plural::Plural;

/// The longest path in bytes.
const LENGTH_MAX: usize = 4 * 1024;
/// The deepest nesting of brackets: the parser tries some of them three ways, so each level costs three times the last.
const NESTING_MAX: usize = 8;

/// A compiled path, as in `$.contact.email`.
#[derive(Clone, Debug)]
pub struct Path {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Names and indices only: walked by itself, without the crate's bookkeeping.
    Singular(Vec<Step>),
    Plural(Plural),
}

#[derive(Clone, Debug)]
pub(in crate::expr) enum Step {
    Name(String),
    Index(i64),
    /// The item of a template's block. Its type is known; the value is found by the template.
    Each,
}

impl Path {
    /// # Errors
    /// What is wrong with the text, with its character offset in the message.
    pub fn compile(text: &str) -> Result<Path, Problem> {
        let bad = |message: String| {
            if !text.starts_with('$') && parse_json_path(&format!("$.{text}")).is_ok() {
                return Problem::new("bad-path", message).help(format!("write `$.{text}`"));
            }
            let literal = if text.chars().count() > 40 { "…".to_owned() } else { format!("\"{text}\"") };
            Problem::new("bad-path", message).help(format!(
                "a path looks like `$.contact.email`, `$.tags[0]` or `$['a b']`; text that only begins like one is \
                 written `{{ $literal: {literal} }}`"
            ))
        };
        if text.len() > LENGTH_MAX {
            return Err(bad(format!("a path of {} bytes is too long, {LENGTH_MAX} are allowed", text.len())));
        }
        if let Some(steps) = plain(text) {
            return Ok(Path { text: text.to_owned(), kind: Kind::Singular(steps) });
        }
        if let Some(offset) = too_deep(text) {
            return Err(bad(format!("the brackets at character {offset} are nested more than {NESTING_MAX} deep")));
        }
        let query = parse_json_path(text).map_err(|error| bad(told(text, &error.to_string())))?;
        let steps: Option<Vec<Step>> = query.segments.iter().map(Step::read).collect();
        let kind = match steps {
            Some(steps) => Kind::Singular(steps),
            None => Kind::Plural(Plural::new(query.segments).map_err(bad)?),
        };
        Ok(Path { text: text.to_owned(), kind })
    }

    /// The path of these steps, as a template has it; `text` is what messages call it.
    pub(in crate::expr) fn of_steps(text: &str, steps: Vec<Step>) -> Path {
        Path { text: text.to_owned(), kind: Kind::Singular(steps) }
    }

    /// The steps of a singular path.
    pub(in crate::expr) fn steps(&self) -> &[Step] {
        match &self.kind {
            Kind::Singular(steps) => steps,
            Kind::Plural(_) => &[],
        }
    }

    /// The value at a singular path, the list of a plural one (never `None`); null counts as absent.
    /// A plural path that finds too much gives an empty list; [`Path::find`] tells it.
    pub fn get(&self, scope: &Scope<'_>) -> Option<Value> {
        self.find(scope).unwrap_or_else(|_| Some(Value::Array(Vec::new())))
    }

    /// The same on a bare value, where the path's `$` is that value.
    pub fn get_in(&self, root: &Value) -> Option<Value> {
        self.get(&Scope::new(root, &super::Locale::default()))
    }

    /// The same, taken out of a value that nobody needs any more: a long list is not copied.
    pub fn take_from(&self, mut root: Value) -> Option<Value> {
        let Kind::Singular(steps) = &self.kind else { return self.get_in(&root) };
        let found = steps.iter().try_fold(&mut root, |value, step| step.walk_mut(value))?;
        Some(found.take()).filter(|value| !value.is_null())
    }

    /// The value, as [`Path::get`].
    ///
    /// # Errors
    /// A plural path that finds more than it may, or looks at more than it may.
    pub fn find(&self, scope: &Scope<'_>) -> Result<Option<Value>, Fault> {
        match &self.kind {
            Kind::Singular(_) => Ok(self.find_one(scope).cloned()),
            Kind::Plural(plural) => match plural.find(scope) {
                Ok(found) => Ok(Some(Value::Array(found))),
                Err(limit) => Err(Fault::new(format!("`{}` {limit}", self.text))),
            },
        }
    }

    /// The value at a singular path, not copied. None for a plural path too.
    pub(crate) fn find_one<'a>(&self, scope: &Scope<'a>) -> Option<&'a Value> {
        let Kind::Singular(steps) = &self.kind else { return None };
        let (start, rest) = match steps.as_slice() {
            [Step::Name(root), Step::Name(name), rest @ ..] => (scope.field(root, name)?, rest),
            [Step::Name(root), rest @ ..] => (scope.root(root)?, rest),
            steps => (scope.whole(), steps),
        };
        rest.iter().try_fold(start, |value, step| step.walk(value)).filter(|value| !value.is_null())
    }

    pub fn is_singular(&self) -> bool {
        matches!(self.kind, Kind::Singular(_))
    }

    /// The name, if it is `$.root.name`.
    pub(crate) fn below(&self, root: &str) -> Option<&str> {
        match &self.kind {
            Kind::Singular(steps) => match steps.as_slice() {
                [Step::Name(first), Step::Name(name)] if first == root => Some(name),
                _ => None,
            },
            Kind::Plural(_) => None,
        }
    }

    pub fn read(&self) -> Read {
        let names = match &self.kind {
            Kind::Singular(steps) => steps.iter().map_while(Step::name).map(str::to_owned).collect(),
            Kind::Plural(plural) => plural.names(),
        };
        Read { pointer: String::new(), names, plural: !self.is_singular(), text: self.text.clone(), part: None }
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Step {
    /// None if the segment can lead to more than one value.
    fn read(segment: &Segment) -> Option<Step> {
        match segment {
            Segment::Selector(Selector::Name(name)) => Some(Step::Name(name.clone())),
            Segment::Selector(Selector::Index(index)) => Some(Step::Index(*index)),
            _ => None,
        }
    }

    fn walk<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Step::Name(name) => value.get(name.as_str()),
            Step::Index(index) => value.as_array().and_then(|items| item_at(items, *index)),
            Step::Each => None,
        }
    }

    fn walk_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        match self {
            Step::Name(name) => value.get_mut(name.as_str()),
            Step::Index(index) => {
                let items = value.as_array_mut()?;
                let at = place_of(items.len(), *index)?;
                items.get_mut(at)
            }
            Step::Each => None,
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Step::Name(name) => Some(name),
            Step::Index(_) | Step::Each => None,
        }
    }
}

/// The item at an index; negative ones count from the end.
fn item_at(items: &[Value], index: i64) -> Option<&Value> {
    items.get(place_of(items.len(), index)?)
}

fn place_of(length: usize, index: i64) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

/// The steps of `$.name.name`, which most paths are: the parser takes thirty times as long, and a project has thousands.
fn plain(text: &str) -> Option<Vec<Step>> {
    let is_name = |name: &str| {
        let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        name.starts_with(letter) && name.chars().all(|character| letter(character) || character.is_ascii_digit())
    };
    let names = text.strip_prefix("$.")?.split('.');
    names.map(|name| is_name(name).then(|| Step::Name(name.to_owned()))).collect()
}

/// The character at which brackets become too deep, if any. Brackets in quotes are text.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (offset, character) in text.chars().enumerate() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        if depth > NESTING_MAX {
            return Some(offset + 1);
        }
    }
    None
}

/// The parser's complaint in plain words: where it stopped (`--> 1:6`), and what people most often mean there.
fn told(text: &str, complaint: &str) -> String {
    let column = complaint
        .split_once("--> ")
        .and_then(|(_, rest)| rest.split_once(':'))
        .and_then(|(_, rest)| rest.split(|character: char| !character.is_ascii_digit()).next())
        .and_then(|digits| digits.parse::<usize>().ok());
    match column {
        Some(column) => format!("`{text}` is no path: it cannot be read from character {column} on"),
        None => format!("`{text}` is no path"),
    }
}

#[cfg(test)]
mod tests;
