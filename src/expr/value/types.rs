//! What type a value has before it is made, and where it can never become what its destination takes.

use serde_json::Value;

use super::instruction::{ITEM, Instruction, Source};
use super::{Expr, Node, escaped};
use crate::expr::convert::may_become;
use crate::expr::{Conversion, FieldType, Locale, Path, Problem, Template, convert};

/// The type of what a path finds; `Any` where nothing is known.
pub type Types<'t> = dyn Fn(&Path) -> FieldType + 't;

impl Expr {
    /// The type of what it makes, as far as the types of what it reads say.
    pub fn gives(&self, types: &Types<'_>) -> FieldType {
        match &self.node {
            Node::Literal(value) => of_value(value),
            Node::Path(path) => types(path),
            Node::Template(_) => FieldType::Text,
            Node::List(items) => list_of(items.iter().map(|item| item.gives(types))),
            Node::Map(fields) => FieldType::Map {
                fields: fields.iter().map(|(key, field)| (key.clone(), field.gives(types))).collect(),
                open: false,
            },
            Node::Instruction(instruction) => instruction.gives(types),
            Node::Unread => FieldType::Any,
        }
    }

    /// What can never be made of it, wherever it goes.
    pub fn faults(&self, types: &Types<'_>) -> Vec<Problem> {
        let below = |expr: &Expr, key: &str| -> Vec<Problem> {
            expr.faults(types).into_iter().map(|problem| problem.under(key)).collect()
        };
        match &self.node {
            Node::Literal(_) | Node::Unread => Vec::new(),
            Node::Path(path) => path.misses(types).into_iter().collect(),
            Node::Template(template) => {
                let missed = |path: &Path| path.misses(types).map(|problem| at_read(template, path, problem));
                let missed = template.paths().iter().filter_map(missed);
                missed.chain(template.shown().iter().filter_map(|path| no_text(template, path, types))).collect()
            }
            Node::List(items) => items.iter().enumerate().flat_map(|(at, item)| below(item, &at.to_string())).collect(),
            Node::Map(fields) => fields.iter().flat_map(|(key, field)| below(field, &escaped(key))).collect(),
            Node::Instruction(instruction) => instruction.faults(types),
        }
    }

    /// What of it can never become what a field takes. `name` is the field's, for the messages.
    pub fn misfits(&self, name: &str, to: &FieldType, (types, locale): (&Types<'_>, &Locale)) -> Vec<Problem> {
        match (&self.node, to) {
            (_, FieldType::Any) => Vec::new(),
            (Node::Map(fields), FieldType::Map { fields: known, open }) => fields
                .iter()
                .flat_map(|(key, field)| {
                    let found = match known.iter().find(|(known, _)| known == key) {
                        Some((_, to)) => field.misfits(&format!("{name}.{key}"), to, (types, locale)),
                        None if *open || key.contains(['.', '[']) => Vec::new(),
                        None => return vec![no_field(name, key, known)],
                    };
                    found.into_iter().map(|problem| problem.under(&escaped(key))).collect()
                })
                .collect(),
            (Node::List(items), FieldType::List(to)) => items
                .iter()
                .enumerate()
                .flat_map(|(at, item)| {
                    let found = item.misfits(&format!("{name}[{at}]"), to, (types, locale));
                    found.into_iter().map(move |problem| problem.under(&at.to_string()))
                })
                .collect(),
            (Node::Instruction(instruction), _) if instruction.depends() => {
                let begins = instruction.map.is_none().then(|| instruction.begins(types));
                let never = begins.and_then(|begins| never(name, self, &begins, to));
                never.into_iter().chain(instruction.misfits(name, to, (types, locale))).collect()
            }
            _ => self.misfit(name, to, (types, locale)).into_iter().collect(),
        }
    }

    /// The whole of it.
    fn misfit(&self, name: &str, to: &FieldType, (types, locale): (&Types<'_>, &Locale)) -> Option<Problem> {
        match self.constant() {
            Some(constant) => convert(&constant, to, locale).err().map(|message| wrong(name, message, to)),
            None => never(name, self, &self.gives(types), to),
        }
    }
}

impl Instruction {
    fn gives(&self, types: &Types<'_>) -> FieldType {
        let otherwise = self.otherwise.iter().map(|otherwise| otherwise.gives(types));
        match &self.map {
            Some(map) => union(map.iter().map(|(_, to)| to.gives(types)).chain(otherwise)),
            None => union(std::iter::once(self.begins(types)).chain(otherwise)),
        }
    }

    /// What there is before `$map` and `$otherwise`.
    fn begins(&self, types: &Types<'_>) -> FieldType {
        let source = self.source.gives(types);
        let converted = self.conversion.as_ref().map_or(source.clone(), |conversion| converted(conversion, source));
        // A duration moves a time, a number a number.
        if self.add.is_none() || matches!(converted, FieldType::Integer | FieldType::Number) {
            return converted;
        }
        FieldType::Any
    }

    fn faults(&self, types: &Types<'_>) -> Vec<Problem> {
        let below = |expr: &Expr, key: &str| -> Vec<Problem> {
            expr.faults(types).into_iter().map(|problem| problem.under(key)).collect()
        };
        let mut found = match &self.source {
            Source::From(from) => below(from, "$from"),
            Source::FirstOf(items) => items
                .iter()
                .enumerate()
                .flat_map(|(at, item)| below(item, &at.to_string()))
                .map(|problem| problem.under("$first"))
                .collect(),
            Source::FirstIn(list) => below(list, "$first").into_iter().chain(no_list("$first", list, types)).collect(),
            Source::Each { list, to } => {
                let item = item_of(list, types);
                let inner = |path: &Path| path.type_below(ITEM, &item).unwrap_or_else(|| types(path));
                let of_to = to.faults(&inner).into_iter().map(|problem| problem.under("$to"));
                below(list, "$each").into_iter().chain(no_list("$each", list, types)).chain(of_to).collect()
            }
            Source::Script(_) | Source::Literal(_) => Vec::new(),
        };
        for (key, to) in self.map.iter().flatten() {
            found.extend(below(to, key).into_iter().map(|problem| problem.under("$map")));
        }
        found.extend(self.add.iter().flat_map(|add| below(add, "$add")));
        found.extend(self.otherwise.iter().flat_map(|otherwise| below(otherwise, "$otherwise")));
        found.extend(self.step(types));
        found
    }

    /// The first step that cannot be done with what there is.
    fn step(&self, types: &Types<'_>) -> Option<Problem> {
        let source = self.source.gives(types);
        if let Some(conversion) = &self.conversion {
            let takes = match conversion {
                Conversion::Number => FieldType::Number,
                Conversion::Boolean | Conversion::Not => FieldType::Boolean,
                _ => FieldType::Any,
            };
            if !may_become(&source, &takes) {
                let message = format!("{} does not become {}", source.describe(), takes.describe());
                return Some(
                    Problem::new("wrong-type", message).help("take another value, or leave `$as` out").under("$as"),
                );
            }
        }
        let begins = self.begins(types);
        let several = matches!(begins, FieldType::List(_) | FieldType::Map { .. });
        if self.map.is_some() && several {
            let message = format!("`$map` takes one value, and this is {}", begins.describe());
            let help = "to do it for each item of a list, write `$each` with `$to: { $from: $.item, $map: … }`";
            return Some(Problem::new("wrong-type", message).help(help).of_key("$map"));
        }
        None
    }

    /// What may stand in the place of the value.
    fn misfits(&self, name: &str, to: &FieldType, known: (&Types<'_>, &Locale)) -> Vec<Problem> {
        let mut found: Vec<Problem> = Vec::new();
        for (key, value) in self.map.iter().flatten() {
            let below = value.misfits(name, to, known).into_iter();
            found.extend(below.map(|problem| problem.under(key).under("$map")));
        }
        if let Some(otherwise) = &self.otherwise {
            let below = otherwise.misfits(name, to, known).into_iter();
            found.extend(below.map(|problem| problem.under("$otherwise")));
        }
        found
    }
}

impl Source {
    fn gives(&self, types: &Types<'_>) -> FieldType {
        match self {
            Source::From(from) => from.gives(types),
            Source::FirstOf(items) => union(items.iter().map(|item| item.gives(types))),
            Source::FirstIn(list) => item_of(list, types),
            Source::Each { list, to } => {
                let item = item_of(list, types);
                let inner = |path: &Path| path.type_below(ITEM, &item).unwrap_or_else(|| types(path));
                FieldType::List(Box::new(to.gives(&inner)))
            }
            Source::Script(_) => FieldType::Any,
            Source::Literal(value) => of_value(value),
        }
    }
}

fn item_of(list: &Expr, types: &Types<'_>) -> FieldType {
    match list.gives(types) {
        FieldType::List(items) => *items,
        _ => FieldType::Any,
    }
}

fn converted(conversion: &Conversion, from: FieldType) -> FieldType {
    match (conversion, from) {
        (Conversion::EpochMs, _) => FieldType::Integer,
        (Conversion::Number, _) => FieldType::Number,
        (Conversion::Boolean | Conversion::Not, _) => FieldType::Boolean,
        (Conversion::Date, FieldType::DateTime) => FieldType::Date,
        (Conversion::Csv, FieldType::List(_)) => FieldType::Text,
        (Conversion::Set, list @ FieldType::List(_)) => list,
        (Conversion::Lowercase | Conversion::Trim | Conversion::E164, text @ FieldType::Text) => text,
        (Conversion::Text, FieldType::Text | FieldType::Integer | FieldType::Number | FieldType::Boolean) => {
            FieldType::Text
        }
        _ => FieldType::Any,
    }
}

fn of_value(value: &Value) -> FieldType {
    match value {
        Value::Null => FieldType::OneOf(Vec::new()),
        Value::Array(items) => list_of(items.iter().map(of_value)),
        Value::Object(fields) => FieldType::Map {
            fields: fields.iter().map(|(key, field)| (key.clone(), of_value(field))).collect(),
            open: false,
        },
        one => FieldType::OneOf(vec![one.clone()]),
    }
}

fn list_of(items: impl Iterator<Item = FieldType>) -> FieldType {
    FieldType::List(Box::new(union(items)))
}

/// The type of all of them; `Any` if they differ. No value at all is none of them.
fn union(types: impl Iterator<Item = FieldType>) -> FieldType {
    let both = |one: FieldType, other: FieldType| match (one, other) {
        (FieldType::OneOf(none), kind) | (kind, FieldType::OneOf(none)) if none.is_empty() => kind,
        (FieldType::OneOf(mut values), FieldType::OneOf(more)) => {
            values.extend(more);
            FieldType::OneOf(values)
        }
        (one, other) if one == other => one,
        _ => FieldType::Any,
    };
    match types.reduce(both) {
        Some(FieldType::OneOf(none)) if none.is_empty() => FieldType::Any,
        kind => kind.unwrap_or(FieldType::Any),
    }
}

fn no_list(key: &str, list: &Expr, types: &Types<'_>) -> Option<Problem> {
    let given = list.gives(types);
    if list.constant().is_some() || may_become(&given, &FieldType::List(Box::new(FieldType::Any))) {
        return None;
    }
    let message = format!("`{key}` takes a list, and this is {}", given.describe());
    Some(Problem::new("not-a-list", message).help("name a list, or a path that ends in `[*]`").under(key))
}

/// A list or a map in a template, which shows one value.
fn no_text(template: &Template, path: &Path, types: &Types<'_>) -> Option<Problem> {
    let given = types(path);
    let several = matches!(given, FieldType::List(_) | FieldType::Map { .. });
    several.then(|| {
        let text = path.text();
        let problem = Problem::new("wrong-type", format!("`{text}` is {}, not text", given.describe()));
        let problem = problem.help(match given {
            FieldType::List(_) => format!("use `{{{{join {text} \", \"}}}}` or `{{{{json {text}}}}}`"),
            _ => format!("name a field of it, `{{{{{text}.…}}}}`, or use `{{{{json {text}}}}}`"),
        });
        at_read(template, path, problem)
    })
}

fn at_read(template: &Template, path: &Path, problem: Problem) -> Problem {
    match template.part(path.text()) {
        Some(part) => problem.of_part(part),
        None => problem,
    }
}

fn never(name: &str, value: &Expr, from: &FieldType, to: &FieldType) -> Option<Problem> {
    if may_become(from, to) {
        return None;
    }
    let path = value.as_path().map(Path::text);
    let told = match (path, &value.node) {
        (Some(path), _) => format!("`{path}`"),
        (None, Node::Template(_)) => "a template".to_owned(),
        _ => "what this gives".to_owned(),
    };
    let problem = wrong(name, format!("{told} ({}) does not become {}", from.describe(), to.describe()), to);
    Some(match (from, to, path.filter(|path| !path.contains(['[', '*']))) {
        (FieldType::List(_), FieldType::List(_) | FieldType::Map { .. }, _) => problem,
        (FieldType::List(_), FieldType::Text, Some(path)) => {
            problem.help(format!("take one, `{path}[0]`, or make text of them: `\"{{{{join {}}}}}\"`", &path[2..]))
        }
        (FieldType::List(_), _, Some(path)) => problem.help(format!("take one of them: `{path}[0]`")),
        (from, FieldType::List(_), _) if !matches!(from, FieldType::Map { .. }) => {
            problem.help(format!("`{name}` takes {}: write it in `[ ]` if it is the only item", to.describe()))
        }
        _ => problem,
    })
}

fn wrong(name: &str, message: String, to: &FieldType) -> Problem {
    Problem::new("wrong-type", format!("`{name}`: {message}")).help(format!("`{name}` takes {}", to.describe()))
}

fn no_field(name: &str, key: &str, known: &[(String, FieldType)]) -> Problem {
    let names: Vec<&str> = known.iter().map(|(known, _)| known.as_str()).collect();
    let otherwise = format!("there are {}", names.join(", "));
    Problem::new("unknown-field", format!("`{name}` has no field `{key}`"))
        .nearest(key, names.iter().copied(), otherwise)
        .of_key(&escaped(key))
}
