//! Reading one document: where we are, and what was found so far.

use std::time::Duration;

use serde_json::Value;

use crate::expr::{Condition, Expr, Problem, duration_text, parse_duration};
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
    pub fn expr(&mut self, value: &Value) -> Expr {
        let (expr, problems) = Expr::read(value);
        self.problems(problems);
        expr.placed(self.file, &self.pointer)
    }

    pub fn condition(&mut self, value: &Value) -> Condition {
        let (condition, problems) = Condition::read(value);
        self.problems(problems);
        condition.placed(self.file, &self.pointer)
    }

    /// `only_if`. Who writes the key alone has not left it out.
    pub fn guard(&mut self, written: Option<&Value>) -> Option<Condition> {
        let mut reading = self.child("only_if");
        let value = written.or_else(|| reading.file.value.pointer(&reading.pointer))?;
        Some(reading.condition(value))
    }

    /// A duration such as `2s`; `field` is the key that holds it.
    pub fn duration(&mut self, text: &str) -> Option<Duration> {
        let duration = parse_duration(text);
        if duration.is_none() {
            let found = Diagnostic::no_duration(text).at(self.file, &self.pointer, "");
            self.push(found);
        }
        duration
    }

    /// A duration that lies between two others.
    pub fn duration_within(&mut self, text: &str, (least, most): (Duration, Duration)) -> Option<Duration> {
        let duration = self.duration(text)?;
        if duration < least || duration > most {
            let side = if duration < least { "short" } else { "long" };
            let help = match most {
                Duration::MAX => format!("write at least `{}`", duration_text(least)),
                most => format!("write at least `{}` and at most `{}`", duration_text(least), duration_text(most)),
            };
            self.error("bad-duration", format!("`{text}` is too {side} here"), "").help = Some(help);
            return None;
        }
        Some(duration)
    }

    /// How long one request may take.
    pub fn timeout(&mut self, text: &str) -> Option<Duration> {
        self.duration_within(text, (Duration::from_millis(1), Duration::from_secs(30)))
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

    /// What is wrong with a part of what stands here.
    pub fn problems(&mut self, problems: Vec<Problem>) {
        for problem in problems {
            self.report.push(problem.told(self.file, &self.pointer));
        }
    }
}
