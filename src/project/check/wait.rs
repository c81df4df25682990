//! `wait`: is there such an event, and can its record hold what is compared?

use serde_json::Value;

use super::fields::Taker;
use super::names::Names;
use super::walk::Walker;
use crate::connector::Object;
use crate::expr::{Expr, FieldType};
use crate::source::{Diagnostic, under};
use crate::workflow::action::{Action, Awaited, PROJECT, Wait};

impl Walker<'_> {
    /// Checks a `wait`; gives what its result looks like.
    pub(super) fn wait(&mut self, action: &Action, wait: &Wait, names: &Names) -> Value {
        let at = |key: &str| format!("{}/wait/{key}", action.pointer);
        match wait {
            Wait::For(span) => self.span(span, ("for", &at("for")), names),
            Wait::Until(instant) => self.typed(instant, ("until", &FieldType::DateTime), &at("until"), names),
            Wait::Event(awaited) => {
                self.span(&awaited.timeout, ("timeout", &at("timeout")), names);
                return self.awaited(awaited, &at("match"), names);
            }
        }
        Value::Null
    }

    /// A duration, which is text with a unit.
    fn span(&mut self, span: &Expr, (key, pointer): (&str, &str), names: &Names) {
        self.value(span, pointer, names);
        let kind = span.gives(&|path| names.type_of(path));
        if span.constant().is_none() && !matches!(kind, FieldType::Any | FieldType::Text | FieldType::OneOf(_)) {
            let found = Diagnostic::error("wrong-type", format!("`{key}` takes a duration, not {}", kind.describe()));
            let help = match kind {
                FieldType::Integer | FieldType::Number => "write the unit as well, in a template: `\"{{vars.days}}d\"`",
                _ => "write `90s`, `15m`, `2h` or `3d`, or a path to such a text",
            };
            self.push(found.at(self.file, pointer, "").help(help));
        }
    }

    fn awaited(&mut self, awaited: &Awaited, pointer: &str, names: &Names) -> Value {
        let event = &awaited.event;
        self.heard(event);
        let connector = self.connector(&event.alias).filter(|_| event.alias != PROJECT);
        let object = connector.and_then(|connector| connector.object(event.object.as_deref()?));
        let Some(object) = object else {
            if let Some(matches) = &awaited.matches {
                self.value(matches, pointer, names);
            }
            let name = event.kinds.first().filter(|_| event.alias == PROJECT);
            return name.map_or(Value::Null, |name| self.others.body(name));
        };
        let keyed = object.keyed_lists.iter().map(|list| list.name.as_str());
        let taker = Taker {
            name: &object.name,
            what: "field",
            takes: FieldType::of_schema(&object.schema),
            required: Vec::new(),
            free: keyed.collect(),
            holes: Vec::new(),
            object: Some(object),
            upserts: true,
        };
        self.given(awaited.matches.as_ref(), &taker, (pointer, &event.pointer), names);
        for (field, _) in awaited.matches.as_ref().and_then(Expr::fields).unwrap_or_default() {
            self.inner(object, field, &under(pointer, field));
        }
        object.schema.clone()
    }

    /// A dotted field: the names after the first, as far as the schema knows them.
    fn inner(&mut self, object: &Object, field: &str, pointer: &str) {
        let mut here = &object.schema;
        let mut path: Vec<&str> = Vec::new();
        for name in field.split('.') {
            let Some(known) = here.get("properties").and_then(Value::as_object) else { return };
            let Some(next) = known.get(name) else {
                // The first is told with the other fields.
                if !path.is_empty() && here.get("additionalProperties").is_none_or(|more| more == &Value::Bool(false)) {
                    let message = format!("`{}` of `{}` has no field `{name}`", path.join("."), object.name);
                    let found = Diagnostic::error("unknown-field", message).at_key(self.file, pointer, "");
                    self.push(found.nearest(name, known.keys().map(String::as_str)));
                }
                return;
            };
            path.push(name);
            here = next;
        }
    }
}
