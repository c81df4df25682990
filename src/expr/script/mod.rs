//! `$script`: a few lines of [Rhai](https://rhai.rs), where no instruction is enough.
//!
//! Compiled when the document is read. What it reads of the context is handed to it as constants; it gives a value and
//! changes nothing. There is no file, network, clock, randomness, module, `eval` or output to reach. Work, depth and
//! sizes are bounded: by steps and by the data that is looked at, never by time, so that it ends alike everywhere.

mod calls;
mod data;
mod engine;
mod reads;
mod told;

use std::sync::{Arc, LazyLock};

use rhai::{AST, Position};
use serde_json::Value;

use super::needs::Needs;
use super::{Fault, Problem, Read, Scope, shown};
use crate::source::{File, Written};
use engine::Budget;

/// The longest script in bytes.
const TEXT_MAX: usize = 4 * 1024;

/// A compiled script.
#[derive(Clone)]
pub(super) struct Script {
    compiled: Arc<Compiled>,
    /// How it is written in its document, once that is known.
    written: Option<Arc<Written>>,
}

struct Compiled {
    text: String,
    ast: AST,
    /// What is read of the context; the pointer is that of the script itself.
    reads: Vec<Read>,
    needs: Needs,
}

impl Script {
    /// All that is wrong with the text, each with its place in it; and the script, if it can be read at all.
    pub(super) fn compile(written: &Value) -> (Option<Script>, Vec<Problem>) {
        static ENGINE: LazyLock<rhai::Engine> = LazyLock::new(engine::bounded);
        let text = match text_of(written) {
            Ok(text) => text,
            Err(problem) => return (None, vec![problem]),
        };
        let ast = match ENGINE.compile(text) {
            Ok(ast) => ast,
            Err(error) => return (None, vec![told::problem(&error, text)]),
        };
        let (reads, hidden) = reads::reads(&ast, text);
        let problems = calls::calls(&ast, text).into_iter().chain(hidden).collect();
        let needs = Needs::of_reads(reads.iter().map(|read| read.names.as_slice()));
        let compiled = Compiled { text: text.to_owned(), ast, reads, needs };
        (Some(Script { compiled: Arc::new(compiled), written: None }), problems)
    }

    /// Says where it stands, so that what goes wrong in it is told with its line there.
    pub(super) fn place(&mut self, file: &File, pointer: &str) {
        self.written = Some(Arc::new(file.written_at(pointer)));
    }

    /// What the script gives, None for nothing; and the work that was done, which is never more than `most`.
    pub(super) fn run(&self, scope: &Scope<'_>, most: u64) -> (Result<Option<Value>, Fault>, u64) {
        let budget = Budget::new(most);
        let made = self.made(scope, &budget);
        (made, budget.spent())
    }

    /// What the script gives, with all that one script may do.
    pub(super) fn eval(&self, scope: &Scope<'_>) -> Result<Option<Value>, Fault> {
        self.run(scope, u64::MAX).0
    }

    /// The answer of a script that is a condition.
    pub(super) fn holds(&self, scope: &Scope<'_>) -> Result<bool, Fault> {
        match self.eval(scope)? {
            Some(Value::Bool(held)) => Ok(held),
            given => {
                let given = given.as_ref().map_or_else(|| "nothing".to_owned(), shown);
                let message = format!("a script that is a condition gives true or false, not {given}");
                Err(self.fault(Position::NONE, &message))
            }
        }
    }

    fn made(&self, scope: &Scope<'_>, budget: &Budget) -> Result<Option<Value>, Fault> {
        let Compiled { ast, needs, .. } = &*self.compiled;
        let given = engine::run(ast, data::read_of(needs, scope), budget).map_err(|error| {
            let (at, message) = told::fault(&error);
            self.fault(at, &message)
        })?;
        data::out_of_script(&given).map_err(|message| self.fault(Position::NONE, &message))
    }

    /// What went wrong, with its place in the document; with its line in the script if it stands in none.
    fn fault(&self, at: Position, message: &str) -> Fault {
        let text = &self.compiled.text;
        let start = if at.is_none() { 0 } else { told::offset(text, at) };
        Fault::new(match (&self.written, at.line()) {
            (Some(written), _) => format!("{}: {message}", written.place(text, start)),
            (None, Some(line)) if text.trim_end().contains('\n') => format!("line {line} of the script: {message}"),
            _ => message.to_owned(),
        })
    }

    pub(super) fn reads(&self) -> Vec<Read> {
        self.compiled.reads.clone()
    }
}

fn text_of(written: &Value) -> Result<&str, Problem> {
    let Value::String(text) = written else {
        let message = format!("a script is a text, not {}", shown(written));
        return Err(Problem::new("bad-script", message).help("write it in quotes, or below `$script: |`"));
    };
    if text.len() > TEXT_MAX {
        let message = format!("a script of {} bytes is too long, {TEXT_MAX} are allowed", text.len());
        return Err(Problem::new("bad-script", message).help("split it: `set` keeps what a script gives"));
    }
    if text.trim().is_empty() {
        let help = "write what it gives, such as `contact.tags.len()`";
        return Err(Problem::new("bad-script", "a script says nothing").help(help));
    }
    Ok(text)
}

impl std::fmt::Debug for Script {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Script").field(&self.compiled.text).finish()
    }
}

#[cfg(test)]
mod tests;
