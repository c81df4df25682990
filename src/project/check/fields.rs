//! `with`: does each field exist at the destination, and can it take its value?

use serde_json::Value;

use super::names::Names;
use super::walk::Walker;
use crate::connector::{Connector, Object, Operation};
use crate::expr::{Expr, FieldType, Path};
use crate::source::{Diagnostic, nearest, under};

/// What takes the fields of a `with`.
pub(super) struct Taker<'a> {
    /// An operation's name, or a workflow's.
    pub name: &'a str,
    /// What it calls a field: `field`, `input`.
    pub what: &'a str,
    pub takes: FieldType,
    pub required: Vec<&'a str>,
    /// Fields whose values are not judged here.
    pub free: Vec<&'a str>,
    /// Fields that stand in the address: one value each.
    pub holes: Vec<&'a str>,
    /// Whose records the fields belong to.
    pub object: Option<&'a Object>,
    /// What has no such field is then the object, not the operation.
    pub upserts: bool,
}

impl<'a> Taker<'a> {
    fn operation(connector: &'a Connector, operation: &'a Operation, upserted: Option<&'a Object>) -> Self {
        let object = operation.object.as_deref().and_then(|name| connector.object(name));
        let holes: Vec<&str> = operation.input_holes().collect();
        let required = operation.input.get("required").and_then(Value::as_array).into_iter().flatten();
        let keyed = object.into_iter().flat_map(|object| &object.keyed_lists).map(|list| list.name.as_str());
        Taker {
            name: &operation.name,
            what: "field",
            takes: operation.takes().clone(),
            required: required.filter_map(Value::as_str).chain(holes.iter().copied()).collect(),
            free: keyed.collect(),
            holes,
            object: upserted.or(object),
            upserts: upserted.is_some(),
        }
    }
}

impl Walker<'_> {
    /// Checks what is sent to an operation. `site` is the pointer of the part that sends, and its verb.
    pub fn with(
        &mut self,
        with: Option<&Expr>,
        connector: &Connector,
        operation: &Operation,
        upserted: Option<&Object>,
        site: (&str, &str),
        names: &Names,
    ) {
        let site = (format!("{}/with", site.0), format!("{}/{}", site.0, site.1));
        self.unchecked(with, connector, operation, &site.0);
        self.given(with, &Taker::operation(connector, operation, upserted), (&site.0, &site.1), names);
    }

    /// Checks what is given to whatever takes it. `site` is the pointer of the map, and of what takes it.
    pub fn given(&mut self, with: Option<&Expr>, taker: &Taker<'_>, (pointer, verb): (&str, &str), names: &Names) {
        let key = pointer.rsplit('/').next().unwrap_or_default();
        if let Some(with) = with {
            self.value(with, pointer, names);
        }
        let fields = match with.map(|with| (with, with.fields())) {
            // It is there, and cannot be read.
            None if self.file.value.pointer(pointer).is_some() => return,
            None => Vec::new(),
            Some((_, Some(fields))) => fields,
            Some((with, None)) => {
                if with.constant().is_some_and(|constant| !constant.is_object()) {
                    let found = Diagnostic::error("wrong-type", format!("`{key}` is a map of fields"))
                        .at(self.file, pointer, "");
                    self.push(found.help(format!("write one `field: value` per line below `{key}:`")));
                }
                return;
            }
        };
        let FieldType::Map { fields: known, open } = &taker.takes else { return };
        // A required field that is only mistyped is told once, as what it is.
        let mut meant: Vec<&str> = Vec::new();
        for (field, value) in &fields {
            let place = under(pointer, field);
            let head = field.split(['.', '[']).next().unwrap_or(field);
            if taker.free.contains(&head) {
                continue;
            }
            if taker.holes.contains(field) {
                self.fits(field, (value, &FieldType::Text), &place, names);
                continue;
            }
            if let Some((_, kind)) = known.iter().find(|(name, _)| name == head || name == field) {
                self.fits(field, (value, kind), &place, names);
                continue;
            }
            let read_only = taker.object.filter(|object| object.read_only.iter().any(|name| name == head));
            if let Some(object) = read_only {
                let message = format!("`{field}` of `{}` can only be read", object.name);
                self.push(Diagnostic::error("read-only", message).at_key(self.file, &place, "").help("leave it out"));
            } else if !open {
                let candidates: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
                meant.extend(nearest(field, candidates.iter().copied()));
                let message = match taker.object.filter(|_| taker.upserts) {
                    Some(object) => format!("`{}` has no field `{field}`", object.name),
                    None => format!("`{}` takes no {} `{field}`", taker.name, taker.what),
                };
                let found = Diagnostic::error("unknown-field", message).at_key(self.file, &place, "");
                self.push(found.nearest(field, candidates));
            }
        }
        let mut seen: Vec<&str> = Vec::new();
        for name in taker.required.iter().copied() {
            let given = fields.iter().any(|(field, _)| *field == name || field.split('.').next() == Some(name));
            if !given && !seen.contains(&name) && !meant.contains(&name) {
                let found = Diagnostic::error("missing-field", format!("`{}` needs `{name}`", taker.name));
                self.push(match with {
                    Some(_) => found.at_key(self.file, pointer, "").help(format!("add `{name}:` under `with`")),
                    None => found.at(self.file, verb, "").help(format!("add `with: {{ {name}: … }}`")),
                });
            }
            seen.push(name);
        }
    }

    /// Can the value become what the field takes? The rest of a dotted name leads into the field.
    /// Nothing is known of the fields that are given; [`super::check`] tells it once.
    fn unchecked(&mut self, with: Option<&Expr>, connector: &Connector, operation: &Operation, pointer: &str) {
        let is_hole = |name: &str| operation.input_holes().any(|hole| hole == name);
        let is_told = match operation.takes() {
            FieldType::Map { fields, open } => !open || fields.iter().any(|(name, _)| !is_hole(name)),
            _ => false,
        };
        let fields = with.and_then(Expr::fields).into_iter().flatten();
        let Some((field, _)) = fields.into_iter().find(|(name, _)| !is_told && !is_hole(name)) else { return };
        let (operation, connector) = (&operation.name, &connector.name);
        let message =
            format!("what `{operation}` is sent cannot be checked: connector `{connector}` describes no fields");
        let found = Diagnostic::warning("unchecked-input", message).at_key(self.file, &under(pointer, field), "");
        self.push(found.help("describe them: `input:` of the operation, or the `schema:` of its object"));
    }

    fn fits(&mut self, field: &str, (value, kind): (&Expr, &FieldType), pointer: &str, names: &Names) {
        if field.contains('[') {
            return;
        }
        let mut kind = kind;
        let mut owner = field.split('.').next().unwrap_or(field).to_owned();
        for name in field.split('.').skip(1) {
            // Else a name with a dot of its own.
            let FieldType::Map { fields, open } = kind else { return };
            let Some((_, next)) = fields.iter().find(|(known, _)| known == name) else {
                if !open {
                    let message = format!("`{owner}` has no field `{name}`");
                    let found = Diagnostic::error("unknown-field", message).at_key(self.file, pointer, "");
                    self.push(found.nearest(name, fields.iter().map(|(known, _)| known.as_str())));
                }
                return;
            };
            kind = next;
            owner = format!("{owner}.{name}");
        }
        let types = |path: &Path| names.type_of(path);
        for problem in value.misfits(field, kind, (&types, &self.plan.locale)) {
            self.push(problem.told(self.file, pointer));
        }
    }
}

/// Has the object such a field, dotted? An object without a schema may have any.
pub(super) fn has_field(object: &Object, field: &str) -> bool {
    if object.keyed_lists.iter().any(|list| field.starts_with(&format!("{}.", list.name))) {
        return true;
    }
    let mut here = &object.schema;
    for name in field.split('.') {
        // What is not described may hold anything.
        let Some(known) = here.get("properties") else { return true };
        match known.get(name) {
            Some(next) => here = next,
            None => return here.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false)),
        }
    }
    true
}

pub(super) fn field_names(object: &Object) -> Vec<&str> {
    let properties = object.schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}
