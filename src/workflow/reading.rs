//! Reading one document: where we are, and what was found so far.

use serde_json::Value;

use crate::expr::{Condition, Expr, Problem};
use crate::source::{Diagnostic, File, Place, Report, under};

/// A place in a document under which a part is read, and the report that findings go to.
pub struct Reading<'a> {
    pub file: &'a File,
    /// JSON pointer of the part.
    pub pointer: String,
    pub report: &'a mut Report,
}

impl<'a> Reading<'a> {
    pub fn new(file: &'a File, pointer: impl Into<String>, report: &'a mut Report) -> Self {
        Self { file, pointer: pointer.into(), report }
    }

    /// One step down. `/` and `~` in the step are escaped.
    pub fn child(&mut self, step: &str) -> Reading<'_> {
        let pointer = under(&self.pointer, step);
        Reading { file: self.file, pointer, report: self.report }
    }

    /// The same place, borrowed anew.
    pub fn same(&mut self) -> Reading<'_> {
        Reading { file: self.file, pointer: self.pointer.clone(), report: self.report }
    }

    pub fn place(&self) -> Place {
        self.file.place(&self.pointer)
    }

    pub fn error(&mut self, code: &'static str, message: impl Into<String>, label: &str) -> &mut Diagnostic {
        let found = Diagnostic::error(code, message).at(self.file, &self.pointer, label);
        self.push(found)
    }

    pub fn push(&mut self, found: Diagnostic) -> &mut Diagnostic {
        self.report.push(found);
        self.report.diagnostics.last_mut().expect("just pushed")
    }

    /// Compiles a value that follows the value rule; its problems become findings.
    pub fn expr(&mut self, value: &Value) -> Option<Expr> {
        match Expr::compile(value) {
            Ok(expr) => Some(expr.placed(self.file, &self.pointer)),
            Err(problems) => {
                self.problems(problems);
                None
            }
        }
    }

    pub fn condition(&mut self, value: &Value) -> Option<Condition> {
        match Condition::compile(value) {
            Ok(condition) => Some(condition.placed(self.file, &self.pointer)),
            Err(problems) => {
                self.problems(problems);
                None
            }
        }
    }

    /// A duration such as `2s`; `field` is the key that holds it.
    pub fn duration(&mut self, text: &str) -> Option<std::time::Duration> {
        let duration = crate::expr::parse_duration(text);
        if duration.is_none() {
            let found = Diagnostic::no_duration(text).at(self.file, &self.pointer, "");
            self.push(found);
        }
        duration
    }

    /// Reads a part whose shape was checked before.
    pub fn parse<T: serde::de::DeserializeOwned>(&mut self, value: &Value) -> Option<T> {
        match serde_path_to_error::deserialize(value) {
            Ok(part) => Some(part),
            Err(error) => {
                self.error("bad-value", error.inner().to_string(), "");
                None
            }
        }
    }

    fn problems(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            self.report.push(problem.told(self.file, &self.pointer));
        }
    }
}
