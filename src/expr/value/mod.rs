//! The one value rule: a path, a template, an instruction, or itself.

mod add;
mod instruction;
mod types;

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{Fault, Locale, Path, Problem, Read, Scope, Template};
use crate::source::{File, under};
use instruction::Instruction;
pub(in crate::expr) use instruction::instructions;
pub use types::Types;

/// How deep a value is nested.
const DEPTH_MAX: usize = 64;
/// How much one evaluation may do: about one for each byte made.
const WORK_MAX: u64 = 64 * 1024 * 1024;
/// What making a part costs besides, and what filling in a template does.
const STEP: u64 = 32;
const TEMPLATE: u64 = 256;

/// A compiled value of language.md section 2.
#[derive(Clone, Debug)]
pub struct Expr {
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Literal(Value),
    Path(Path),
    Template(Template),
    List(Vec<Expr>),
    Map(Vec<(String, Expr)>),
    Instruction(Box<Instruction>),
    /// It could not be compiled, which was told.
    Unread,
}

impl Expr {
    /// Compiles a value as written; collects all that is wrong in it.
    ///
    /// # Errors
    /// Every problem, each with the pointer of its place inside `value`.
    pub fn compile(value: &Value) -> Result<Expr, Vec<Problem>> {
        let (expr, problems) = Expr::read(value);
        if problems.is_empty() { Ok(expr) } else { Err(problems) }
    }

    /// As [`Expr::compile`], with what could be compiled beside every problem, so that the rest can be checked too.
    pub fn read(value: &Value) -> (Expr, Vec<Problem>) {
        let mut problems = Vec::new();
        let expr = Expr::compile_at(value, 0, &mut problems);
        (expr, problems)
    }

    /// What could not be compiled; nothing is known of it.
    pub(in crate::expr) fn unread() -> Expr {
        Expr { node: Node::Unread }
    }

    /// Compiles a part; what is wrong in it is added to `problems`.
    fn compile_at(value: &Value, depth: usize, problems: &mut Vec<Problem>) -> Expr {
        let node = match value {
            Value::Array(_) | Value::Object(_) if depth > DEPTH_MAX => {
                problems.push(Problem::new("too-deep", format!("a value is nested more than {DEPTH_MAX} deep")));
                Node::Unread
            }
            Value::String(text) => Node::of_text(text).unwrap_or_else(|problem| {
                problems.push(problem);
                Node::Unread
            }),
            Value::Array(items) => {
                let items = items.iter().enumerate();
                Node::List(
                    items.map(|(at, item)| Expr::compile_under(item, &at.to_string(), depth, problems)).collect(),
                )
            }
            Value::Object(fields) if fields.keys().any(|key| is_instruction_key(key)) => {
                Node::Instruction(Box::new(Instruction::compile(fields, depth, problems)))
            }
            Value::Object(fields) => Node::Map(
                fields
                    .iter()
                    .map(|(key, field)| (unescaped(key).to_owned(), Expr::compile_under(field, key, depth, problems)))
                    .collect(),
            ),
            other => Node::Literal(other.clone()),
        };
        Expr { node }
    }

    /// Compiles the part under a key.
    fn compile_under(value: &Value, key: &str, depth: usize, problems: &mut Vec<Problem>) -> Expr {
        let mut found = Vec::new();
        let expr = Expr::compile_at(value, depth + 1, &mut found);
        problems.extend(found.into_iter().map(|problem| problem.under(key)));
        expr
    }

    /// Says where the value stands, so that what goes wrong in its scripts is told with its line there.
    pub fn placed(mut self, file: &File, pointer: &str) -> Expr {
        self.place(file, pointer);
        self
    }

    pub(in crate::expr) fn place(&mut self, file: &File, pointer: &str) {
        match &mut self.node {
            Node::Literal(_) | Node::Path(_) | Node::Template(_) | Node::Unread => {}
            Node::List(items) => place_all(items, file, pointer),
            Node::Map(fields) => {
                fields.iter_mut().for_each(|(key, field)| field.place(file, &under(pointer, &escaped(key))));
            }
            Node::Instruction(instruction) => instruction.place(file, pointer),
        }
    }

    /// Makes the value. `Ok(None)`: nothing is there (an absent source). `Ok(Some(Null))`: the author wrote `null`.
    /// In a map, a field that gives nothing is left out; in a list, it is left out too.
    ///
    /// # Errors
    /// The first thing that could not be made, with its place inside the value.
    pub fn eval(&self, scope: &Scope<'_>) -> Result<Option<Value>, Fault> {
        self.make(scope, &Work { left: Cell::new(WORK_MAX) })
    }

    fn make(&self, scope: &Scope<'_>, work: &Work) -> Result<Option<Value>, Fault> {
        match &self.node {
            Node::Literal(value) => work.made(Some(value.clone())),
            Node::Path(path) => {
                let mut found = path.find(scope)?;
                if scope.is_without_null() {
                    found.iter_mut().for_each(leave_out_null);
                }
                work.made(found)
            }
            Node::Template(template) => {
                work.spend(TEMPLATE)?;
                work.made(Some(Value::String(template.render(scope)?)))
            }
            Node::List(items) => {
                work.spend(STEP)?;
                let mut made = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    made.extend(item.make(scope, work).map_err(|fault| fault.under(&at.to_string()))?);
                }
                Ok(Some(Value::Array(made)))
            }
            Node::Map(fields) => {
                work.spend(STEP)?;
                let mut made = Map::with_capacity(fields.len());
                for (key, field) in fields {
                    if let Some(value) = field.make(scope, work).map_err(|fault| fault.under(&escaped(key)))? {
                        made.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(made)))
            }
            Node::Instruction(instruction) => instruction.make(scope, work),
            Node::Unread => Err(Fault::new("this could not be read")),
        }
    }

    /// Every path that is read, templates' included. What an `$each` reads of its own `$.item` is not among them.
    pub fn reads(&self) -> Vec<Read> {
        match &self.node {
            Node::Literal(_) | Node::Unread => Vec::new(),
            Node::Path(path) => vec![path.read()],
            Node::Template(template) => template.reads(),
            Node::List(items) => {
                items.iter().enumerate().flat_map(|(at, item)| item.reads_under(&at.to_string())).collect()
            }
            Node::Map(fields) => fields.iter().flat_map(|(key, field)| field.reads_under(&escaped(key))).collect(),
            Node::Instruction(instruction) => instruction.reads(),
        }
    }

    fn reads_under<'e>(&'e self, key: &'e str) -> Vec<Read> {
        self.reads().into_iter().map(|read| read.under(key)).collect()
    }

    /// The value if it reads nothing: known before any event.
    pub fn constant(&self) -> Option<Value> {
        if self.depends() {
            return None;
        }
        self.eval(&Scope::new(&Value::Null, &Locale::default())).ok().flatten()
    }

    /// The value differs from event to event, or from project to project.
    fn depends(&self) -> bool {
        match &self.node {
            Node::Literal(_) => false,
            Node::Path(_) | Node::Unread => true,
            Node::Template(template) => template.reads_locale() || !template.reads().is_empty(),
            Node::List(items) => items.iter().any(Expr::depends),
            Node::Map(fields) => fields.iter().any(|(_, field)| field.depends()),
            Node::Instruction(instruction) => instruction.depends(),
        }
    }

    /// Laid out for maps: the expression of each field, so that a checker can look at them one by one; None if the value
    /// is not a plain map.
    pub fn fields(&self) -> Option<Vec<(&str, &Expr)>> {
        match &self.node {
            Node::Map(fields) => Some(fields.iter().map(|(key, field)| (key.as_str(), field)).collect()),
            _ => None,
        }
    }

    /// The items, if the value is a list that is written out.
    pub(in crate::expr) fn items(&self) -> Option<&[Expr]> {
        match &self.node {
            Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The path, if the value is one.
    pub fn as_path(&self) -> Option<&Path> {
        match &self.node {
            Node::Path(path) => Some(path),
            _ => None,
        }
    }
}

/// As [`Expr::place`], for the items of a list.
fn place_all(items: &mut [Expr], file: &File, pointer: &str) {
    items.iter_mut().enumerate().for_each(|(at, item)| item.place(file, &format!("{pointer}/{at}")));
}

impl Node {
    fn of_text(text: &str) -> Result<Node, Problem> {
        if is_path(text) {
            return Path::compile(text).map(Node::Path);
        }
        if text.contains("{{") {
            return Template::compile(text).map(Node::Template);
        }
        Ok(Node::Literal(Value::from(text)))
    }
}

/// What is left of an evaluation's budget.
struct Work {
    left: Cell<u64>,
}

impl Work {
    fn spend(&self, cost: u64) -> Result<(), Fault> {
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or_else(|| Fault::new("the value is too large to make"))
    }

    fn made(&self, value: Option<Value>) -> Result<Option<Value>, Fault> {
        self.spend(STEP + value.as_ref().map_or(0, super::helper::weight))?;
        Ok(value)
    }
}

/// The text is read as a path.
pub(super) fn is_path(text: &str) -> bool {
    text == "$" || text.starts_with("$.") || text.starts_with("$[")
}

/// A key that makes its map an instruction: it begins with one `$`.
pub(super) fn is_instruction_key(key: &str) -> bool {
    key.len() > 1 && key.starts_with('$') && !key.starts_with("$$")
}

/// `$$set` is written for a key `$set`.
fn unescaped(key: &str) -> &str {
    if key.starts_with("$$") { &key[1..] } else { key }
}

fn escaped(key: &str) -> String {
    if key.len() > 1 && key.starts_with('$') { format!("${key}") } else { key.to_owned() }
}

/// Leaves out the nulls in a list or map, however deep.
fn leave_out_null(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(leave_out_null);
        }
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(leave_out_null);
        }
        _ => {}
    }
}

/// A text or a number as a text, such as an id; None for anything else and for what is blank.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Absent, null, empty, or only spaces; an empty list or map.
pub fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
