//! Conditions: structured, typed, never quietly false when types differ.

mod changed;
mod compare;
mod misfit;
mod operator;

use regex::Regex;
use serde_json::Value;

use super::script::Script;
use super::value::{is_instruction_key, is_path};
use super::{Expr, Fault, Path, Problem, Read, Scope, Types, Word, is_blank, shown};
use crate::source::{File, under};
use operator::Operator;

/// How deep conditions are nested.
const DEPTH_MAX: usize = 32;
const COMBINING: &[&str] = &["any", "all", "not"];

/// A compiled condition of language.md section 4.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Each with its pointer from this condition.
    parts: Vec<(Vec<String>, Part)>,
}

#[derive(Clone, Debug)]
enum Part {
    Any(Vec<Condition>),
    All(Condition),
    Not(Condition),
    Script(Script),
    Test(Box<Test>),
}

/// One operator asked of one path.
#[derive(Clone, Debug)]
struct Test {
    /// The line's key, and where the path's own read stands.
    key: String,
    path: Path,
    operator: Operator,
    right: Expr,
    /// The right side of `matches`, if it is constant.
    regex: Option<Regex>,
}

pub(super) fn operators() -> impl Iterator<Item = Word> {
    Operator::words()
}

impl Condition {
    /// # Errors
    /// Every problem: unknown operators with the nearest one, bad paths, a regular expression that does not compile, …
    pub fn compile(value: &Value) -> Result<Condition, Vec<Problem>> {
        let (condition, problems) = Condition::read(value);
        if problems.is_empty() { Ok(condition) } else { Err(problems) }
    }

    /// As [`Condition::compile`], with what could be compiled beside every problem, so that the rest can be checked too.
    pub fn read(value: &Value) -> (Condition, Vec<Problem>) {
        let mut problems = Vec::new();
        let condition = Condition::compile_at(value, 0, &mut problems);
        (condition, problems)
    }

    fn compile_at(value: &Value, depth: usize, problems: &mut Vec<Problem>) -> Condition {
        let mut parts = Vec::new();
        match value {
            _ if depth > DEPTH_MAX => {
                problems.push(Problem::new("too-deep", format!("conditions are nested more than {DEPTH_MAX} deep")));
            }
            Value::Array(items) if items.is_empty() => problems.push(empty()),
            Value::Object(lines) if lines.is_empty() => problems.push(empty()),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let at = at.to_string();
                    let part = Part::All(Condition::compile_under(item, &at, depth, problems));
                    parts.push((vec![at], part));
                }
            }
            Value::Object(lines) => {
                for (key, written) in lines {
                    let mut found = Vec::new();
                    line(key, written, depth, &mut parts, &mut found);
                    problems.extend(found);
                }
            }
            other => problems.push(Problem::new("bad-condition", format!("{} is no condition", shown(other))).help(
                match other.as_str() {
                    Some(path) if is_path(path) => format!("write what it must be, such as `{path}: true`"),
                    _ => "a condition is a map of lines such as `$.contact.tags: { contains: vip }`".to_owned(),
                },
            )),
        }
        Condition { parts }
    }

    fn compile_under(value: &Value, key: &str, depth: usize, problems: &mut Vec<Problem>) -> Condition {
        let mut found = Vec::new();
        let condition = Condition::compile_at(value, depth + 1, &mut found);
        problems.extend(found.into_iter().map(|problem| problem.under(key)));
        condition
    }

    /// Says where the condition stands, so that what goes wrong in its scripts is told with its line there.
    pub fn placed(mut self, file: &File, pointer: &str) -> Condition {
        self.place(file, pointer);
        self
    }

    fn place(&mut self, file: &File, pointer: &str) {
        for (place, part) in &mut self.parts {
            let pointer = place.iter().fold(pointer.to_owned(), |pointer, key| under(&pointer, key));
            match part {
                Part::All(condition) | Part::Not(condition) => condition.place(file, &pointer),
                Part::Any(any) => {
                    any.iter_mut().enumerate().for_each(|(at, one)| one.place(file, &format!("{pointer}/{at}")));
                }
                Part::Script(script) => script.place(file, &pointer),
                Part::Test(test) => test.right.place(file, &pointer),
            }
        }
    }

    /// # Errors
    /// A comparison of different types, a value on the right that cannot be made.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        for (place, part) in &self.parts {
            if !part.holds(scope).map_err(|fault| under_all(place, fault, Fault::under))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tests that can only fail, by the types of the values on the left; `Any` where nothing is known.
    pub fn misfits(&self, types: &Types<'_>) -> Vec<Problem> {
        let mut found: Vec<Problem> = Vec::new();
        for (place, part) in &self.parts {
            if let Part::Test(test) = part {
                let missed = test.path.misses(types).map(|problem| problem.of_key(&test.key));
                // Several operators of one line ask of one path.
                found.extend(missed.filter(|problem| !found.contains(problem)));
            }
            let of_part: Vec<Problem> = match part {
                Part::Any(any) => any
                    .iter()
                    .enumerate()
                    .flat_map(|(at, one)| {
                        one.misfits(types).into_iter().map(move |problem| problem.under(&at.to_string()))
                    })
                    .collect(),
                Part::All(one) | Part::Not(one) => one.misfits(types),
                Part::Script(_) => Vec::new(),
                Part::Test(test) => test.misfits(types),
            };
            found.extend(of_part.into_iter().map(|problem| under_all(place, problem, Problem::under)));
        }
        found
    }

    /// The paths of which it asks whether they have changed, each with the pointer of its line.
    pub fn changed(&self) -> Vec<Read> {
        let mut reads: Vec<Read> = Vec::new();
        for (place, part) in &self.parts {
            let of_part: Vec<Read> = match part {
                Part::Any(any) => any
                    .iter()
                    .enumerate()
                    .flat_map(|(at, one)| one.changed().into_iter().map(move |read| read.under(&at.to_string())))
                    .collect(),
                Part::All(one) | Part::Not(one) => one.changed(),
                Part::Test(test) if test.operator == Operator::Changed => vec![test.path.read()],
                Part::Script(_) | Part::Test(_) => Vec::new(),
            };
            reads.extend(of_part.into_iter().map(|read| under_all(place, read, Read::under)));
        }
        reads
    }

    /// Every path that is read, on the left and on the right; a left one has the pointer of its line.
    pub fn reads(&self) -> Vec<Read> {
        let mut reads: Vec<Read> = Vec::new();
        for (place, part) in &self.parts {
            let of_part = match part {
                Part::Any(any) => any
                    .iter()
                    .enumerate()
                    .flat_map(|(at, one)| one.reads().into_iter().map(move |read| read.under(&at.to_string())))
                    .collect(),
                Part::All(one) | Part::Not(one) => one.reads(),
                Part::Script(script) => script.reads(),
                Part::Test(test) => test.right.reads(),
            };
            if let Part::Test(test) = part {
                let left = test.path.read().under(&test.key);
                // Several operators of one line read its path once.
                if !reads.iter().any(|read| read.pointer == left.pointer) {
                    reads.push(left);
                }
            }
            reads.extend(of_part.into_iter().map(|read| under_all(place, read, Read::under)));
        }
        reads
    }
}

fn empty() -> Problem {
    let problem = Problem::new("bad-condition", "an empty condition asks nothing, and always holds");
    problem.help("write what must hold, such as `$.contact.email: { blank: false }`, or leave the key out")
}

fn under_all<T>(place: &[String], found: T, under: impl Fn(T, &str) -> T) -> T {
    place.iter().rev().fold(found, |found, key| under(found, key))
}

/// One line of a condition.
fn line(key: &str, written: &Value, depth: usize, parts: &mut Vec<(Vec<String>, Part)>, problems: &mut Vec<Problem>) {
    let place = vec![key.to_owned()];
    match (key, written) {
        ("any", Value::Array(items)) if !items.is_empty() => {
            let mut found = Vec::new();
            let items = items.iter().enumerate();
            let any =
                items.map(|(at, item)| Condition::compile_under(item, &at.to_string(), depth, &mut found)).collect();
            problems.extend(found.into_iter().map(|problem| problem.under(key)));
            parts.push((place, Part::Any(any)));
        }
        ("any", _) => problems.push(
            Problem::new("bad-condition", "`any` takes a list of conditions, of which one must hold")
                .help("begin each condition below `any:` with `- `")
                .under(key),
        ),
        ("all", _) => parts.push((place, Part::All(Condition::compile_under(written, key, depth, problems)))),
        ("not", _) => parts.push((place, Part::Not(Condition::compile_under(written, key, depth, problems)))),
        ("$script", _) => {
            let (script, found) = Script::compile(written);
            parts.extend(script.map(|script| (place, Part::Script(script))));
            problems.extend(found.into_iter().map(|problem| problem.under(key)));
        }
        _ if is_path(key) => match Path::compile(key) {
            Ok(path) => test_line(key, &path, written, parts, problems),
            Err(problem) => problems.push(problem.of_key(key)),
        },
        _ => {
            let message = format!("`{key}` is neither a path nor `any`, `all` or `not`");
            problems.push(
                Problem::new("unknown-test", message)
                    .nearest(key, COMBINING.iter().copied(), format!("a path begins with `$`: `$.{key}`"))
                    .of_key(key),
            );
        }
    }
}

/// A line `path: test`: a value, a list of values, or operators.
fn test_line(
    key: &str,
    path: &Path,
    written: &Value,
    parts: &mut Vec<(Vec<String>, Part)>,
    problems: &mut Vec<Problem>,
) {
    let mut add = |operator, inner: Option<&String>, written: &Value| {
        let place: Vec<String> = std::iter::once(key.to_owned()).chain(inner.cloned()).collect();
        let (test, found) = Test::compile(key, path, operator, written);
        problems.extend(found.into_iter().map(|problem| under_all(&place, problem, Problem::under)));
        parts.push((place, Part::Test(Box::new(test))));
    };
    match written {
        Value::Array(_) => add(Operator::In, None, written),
        Value::Object(operators) if operators.keys().any(|name| is_instruction_key(name)) => {
            add(Operator::Eq, None, written);
        }
        Value::Object(operators) => {
            let mut unknown = Vec::new();
            for (name, right) in operators {
                match Operator::named(name) {
                    Some(operator) => add(operator, Some(name), right),
                    None => unknown.push(unknown_operator(name)),
                }
            }
            if operators.is_empty() {
                unknown.push(Problem::new("bad-test", "a test without operators").help("write `exists: true`"));
            }
            problems.extend(unknown.into_iter().map(|problem| problem.under(key)));
        }
        other => add(Operator::Eq, None, other),
    }
}

fn unknown_operator(name: &str) -> Problem {
    let known = format!("there are {}", Operator::names().collect::<Vec<_>>().join(", "));
    Problem::new("unknown-operator", format!("there is no operator `{name}`"))
        .nearest(name, Operator::names(), known)
        .of_key(name)
}

impl Part {
    fn holds(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        match self {
            Part::All(condition) => condition.holds(scope),
            Part::Not(condition) => condition.holds(scope).map(|held| !held),
            Part::Script(script) => script.holds(scope),
            Part::Test(test) => test.holds(scope),
            Part::Any(any) => {
                for (at, one) in any.iter().enumerate() {
                    if one.holds(scope).map_err(|fault| fault.under(&at.to_string()))? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

impl Test {
    fn compile(key: &str, path: &Path, operator: Operator, written: &Value) -> (Test, Vec<Problem>) {
        let (mut right, mut problems) = Expr::read(written);
        if !path.is_singular() && !operator.takes_plural() {
            let message = format!("`{}` gathers a list, and `{}` takes one value", path.text(), operator.name());
            let help = "a list takes contains, contains_any, contains_all, blank, exists and eq";
            problems.push(Problem::new("plural-path", message).help(help));
        }
        let constant = right.constant();
        let pattern = constant.as_ref().and_then(Value::as_str).filter(|_| operator == Operator::Matches);
        let regex = pattern.and_then(|pattern| match operator::regex(pattern) {
            Ok(regex) => Some(regex),
            Err(problem) => {
                problems.push(problem);
                None
            }
        });
        match &constant {
            Some(known) => problems.extend(operator.check_right(known)),
            None if matches!(operator, Operator::Type | Operator::Changed) => {
                let message = format!("`{}` takes a constant", operator.name());
                problems.push(Problem::new("bad-test", message));
            }
            None => {}
        }
        if let (Some(known), Operator::Eq, false) = (&constant, operator, path.is_singular() || is_list(&constant)) {
            let message = format!("`{}` gathers a list, which is compared with {}", path.text(), shown(known));
            problems.push(
                Problem::new("plural-path", message)
                    .help(format!("write `{{ contains: {} }}`", shown(known).trim_matches('`'))),
            );
        }
        if !problems.is_empty() {
            right = Expr::unread();
        }
        (Test { key: key.to_owned(), path: path.clone(), operator, right, regex }, problems)
    }

    fn holds(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        let gathered = if self.path.is_singular() { None } else { self.path.find(scope)? };
        let left = self.path.find_one(scope).or(gathered.as_ref());
        let right = self.right.eval(scope)?;
        let told = |message: String| Fault::new(format!("`{}`, {}: {message}", self.path.text(), self.operator.name()));
        let wanted = match &right {
            Some(Value::Bool(wanted)) => *wanted,
            _ if self.operator.asks_presence() => {
                return Err(told("the right side is neither true nor false".to_owned()));
            }
            _ => true,
        };
        match self.operator {
            Operator::Blank => return Ok(is_blank(left) == wanted),
            Operator::Exists => return Ok(exists(left, self.path.is_singular()) == wanted),
            Operator::Changed => return Ok(changed::is_changed(&self.path, left, scope) == wanted),
            Operator::Type => {
                return Ok(operator::is_type(left, right.as_ref().unwrap_or(&Value::Null), scope.locale()));
            }
            _ => {}
        }
        // Nothing equals nothing: an absent right side answers as an absent left one does.
        let (Some(left), Some(right)) = (left, right.filter(|right| !right.is_null())) else {
            return Ok(self.operator.of_absent());
        };
        if let (Some(regex), Value::String(text)) = (&self.regex, left) {
            return Ok(regex.is_match(text));
        }
        self.operator.holds(left, &right, scope.locale()).map_err(told)
    }
}

fn is_list(known: &Option<Value>) -> bool {
    matches!(known, Some(Value::Array(_)))
}

/// A list that a path gathers is there if it holds anything.
fn exists(left: Option<&Value>, singular: bool) -> bool {
    match left {
        Some(Value::Array(gathered)) if !singular => !gathered.is_empty(),
        other => other.is_some(),
    }
}

#[cfg(test)]
mod tests;
