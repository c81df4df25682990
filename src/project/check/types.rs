//! Types: can values be made and compared, and are all ways of a choice possible?

use serde_json::json;

use super::names::Names;
use super::walk::Walker;
use crate::expr::{Condition, Expr, FieldType, Path, Problem, Read, convert, text_of};
use crate::source::{Diagnostic, Severity, under};
use crate::workflow::action::{Action, Kind, OnError, Switch};
use crate::workflow::inputs::Inputs;

impl Walker<'_> {
    /// Does everything exist that a value reads, and can it be made?
    pub fn value(&mut self, value: &Expr, pointer: &str, names: &Names) {
        self.reads(&value.reads(), pointer, names);
        self.problems(value.faults(&|path| names.type_of(path)), pointer);
    }

    /// As [`Walker::value`], where a value of a certain type is needed. `key` is what takes it.
    pub fn typed(&mut self, value: &Expr, (key, kind): (&str, &FieldType), pointer: &str, names: &Names) {
        self.value(value, pointer, names);
        let types = |path: &Path| names.type_of(path);
        self.problems(value.misfits(key, kind, (&types, &self.plan.locale)), pointer);
    }

    /// Does everything exist that a condition reads, and can it be compared?
    pub fn condition(&mut self, condition: &Condition, pointer: &str, names: &Names) {
        self.reads(&condition.reads(), pointer, names);
        self.problems(condition.misfits(&|path| names.type_of(path)), pointer);
        for read in condition.changed() {
            self.changes(&read, &format!("{pointer}{}", read.pointer), names);
        }
    }

    /// Only the event's record is compared with what it was before.
    fn changes(&mut self, read: &Read, pointer: &str, names: &Names) {
        let root = read.names.first().map_or("$", String::as_str);
        let (message, help) = match self.about.as_deref() {
            Some(record) if record == root => return,
            Some(record) => (
                format!("`changed` is asked of `{root}`, and only what changed of `{record}` is known"),
                format!("write `$.{record}.…`, a field of the record that the event is about"),
            ),
            None if names.unsure => return,
            None => (
                "`changed` is asked, and the trigger brings no record that could have changed".to_owned(),
                "leave it out, or begin with a record: `event: alias.object.changed`".to_owned(),
            ),
        };
        self.push(Diagnostic::error("no-effect", message).at_key(self.file, pointer, "").help(help));
    }

    fn problems(&mut self, problems: Vec<Problem>, pointer: &str) {
        for problem in problems {
            let mut found = problem.told(self.file, pointer);
            // The schema may not name every value.
            if found.code == "unreachable-case" {
                found.severity = Severity::Warning;
            }
            self.push(found);
        }
    }

    /// One value, and no case that none chooses, as far as the schema says what there is.
    pub fn switch(&mut self, switch: &Switch, pointer: &str, names: &Names) {
        let Some(path) = switch.value.as_path() else { return };
        let values = match names.type_of(path) {
            FieldType::OneOf(values) => values,
            FieldType::Boolean => vec![true.into(), false.into()],
            kind @ (FieldType::List(_) | FieldType::Map { .. }) => {
                let message = format!("`switch` takes one value, and `{}` is {}", path.text(), kind.describe());
                let found = Diagnostic::error("wrong-type", message).at(self.file, &under(pointer, "switch"), "");
                return self.push(found.help("name one value; of what a list holds, ask with `if` and `contains`"));
            }
            _ => return,
        };
        let known: Vec<String> = values.iter().map(text_of).collect();
        for case in switch.cases.iter().filter(|case| !known.contains(&case.key)) {
            let message = format!("`{}` is never `{}`", path.text(), case.key);
            let place = under(&under(pointer, "cases"), &case.key);
            let found = Diagnostic::warning("unreachable-case", message).at_key(self.file, &place, "");
            self.push(found.nearest(&case.key, known.iter().map(String::as_str)));
        }
    }

    /// A path to one value, of which it is known that it is no list.
    pub fn must_be_list(&mut self, list: &Expr, pointer: &str, names: &Names) {
        let Some(path) = list.as_path() else { return };
        let kind = names.type_of(path);
        if !matches!(kind, FieldType::Any | FieldType::List(_)) {
            let message = format!("`{}` is no list, but {}", path.text(), kind.describe());
            let found = Diagnostic::error("not-a-list", message).at(self.file, pointer, "");
            self.push(found.help("name a list, or a path that ends in `[*]`"));
        }
    }

    /// Is what an input has by itself what it takes?
    pub fn defaults(&mut self, inputs: &Inputs) {
        for (name, input) in inputs {
            let kind = FieldType::of_schema(&json!(input));
            let Some(Err(message)) = input.default.as_ref().map(|default| convert(default, &kind, &self.plan.locale))
            else {
                continue;
            };
            let found = Diagnostic::error("wrong-type", format!("the default of `{name}`: {message}"));
            let place = format!("{}/default", under("/trigger/manual/inputs", name));
            self.push(found.at(self.file, &place, "").help(format!("`{name}` takes {}", kind.describe())));
        }
    }

    /// What looks as if it read something, where nothing is read.
    pub fn vars(&mut self) {
        for (name, value) in self.workflow.vars.as_object().into_iter().flatten() {
            if Expr::compile(value).is_ok_and(|expr| expr.constant().as_ref() == Some(value)) {
                continue;
            }
            let message = format!("`{name}` reads nothing: `vars` are constants, and stand as they are written");
            let found = Diagnostic::warning("constant-var", message).at(self.file, &under("/vars", name), "");
            self.push(found.help("write it where it is needed, or let an action `set` name it"));
        }
    }

    /// Actions behind the end of the run.
    pub fn follows(&mut self, actions: &[Action]) {
        let ends = |action: &Action| {
            matches!(action.kind, Kind::Stop(_) | Kind::Fail(_))
                && action.only_if.is_none()
                && matches!(action.on_error, OnError::Fail)
        };
        let Some(next) = actions.iter().position(ends).and_then(|at| actions.get(at + 1)) else { return };
        let found = Diagnostic::warning("never-done", "nothing is done after `stop` or `fail` has ended the run");
        let found = found.at(self.file, &next.pointer, "this and all that follows in the list");
        self.push(found.help("move it before that action, or put that one below an `if`"));
    }
}
