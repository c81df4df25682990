//! Instructions: one source, and then the steps `$as`, `$map`, `$add`, `$otherwise`, in this order.

use serde_json::{Map, Value};

use super::{Expr, STEP, Work, add, is_instruction_key, place_all};
use crate::expr::convert::text_of;
use crate::expr::script::Script;
use crate::expr::{Conversion, Fault, Locale, Problem, Read, Scope, Word, shown};
use crate::source::{File, under};

/// With what the reference tells of each, as [`STEPS`].
const SOURCES: &[Word] = &[
    Word {
        name: "$from",
        what: "A value to begin with; the steps below say what becomes of it.",
        example: "{ $from: $.contact.country, $otherwise: GB }",
    },
    Word {
        name: "$first",
        what: "The first of these that is there.",
        example: "{ $first: [$.contact.phone, $.contact.email] }",
    },
    Word {
        name: "$each",
        what: "For each item of a list, what `$to` makes of it; there the item is `$.item`.",
        example: "{ $each: $.contact.tags, $to: { name: $.item } }",
    },
    Word { name: "$script", what: "What a small script gives.", example: "{ $script: \"contact.tags.len() > 1\" }" },
    Word {
        name: "$literal",
        what: "Exactly what is written here, also if it looks like a path or a template.",
        example: "{ $literal: \"$.50\" }",
    },
];
const STEPS: &[Word] = &[
    Word {
        name: "$to",
        what: "Belongs to `$each`: what is made of one item.",
        example: "{ $each: $.order.lines, $to: \"{{item.count}} x {{item.name}}\" }",
    },
    Word { name: "$as", what: "Converts the value, see below.", example: "{ $from: $.contact.email, $as: lowercase }" },
    Word {
        name: "$map",
        what: "Puts another value in its place, by its text. A value that is not named here is an error, unless there is `$otherwise`.",
        example: "{ $from: $.contact.type, $map: { lead: 1, customer: 2 } }",
    },
    Word {
        name: "$add",
        what: "Adds a number to a number, or a duration such as `2d` or `-30m` to a time.",
        example: "{ $from: $.contact.dateAdded, $add: 2d }",
    },
    Word {
        name: "$otherwise",
        what: "What is taken where there is no value; `null` clears a field.",
        example: "{ $from: $.contact.middleName, $otherwise: null }",
    },
];
/// The name under which `$to` sees the item.
pub(super) const ITEM: &str = "item";

#[derive(Clone, Debug)]
pub(super) struct Instruction {
    pub source: Source,
    pub conversion: Option<Conversion>,
    /// By text: `true` and `1` are found too.
    pub map: Option<Vec<(String, Expr)>>,
    pub add: Option<Expr>,
    pub otherwise: Option<Expr>,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    From(Expr),
    /// The first present of values written one by one.
    FirstOf(Vec<Expr>),
    /// The first present of a list that is read.
    FirstIn(Expr),
    Each {
        list: Expr,
        to: Expr,
    },
    Script(Script),
    Literal(Value),
}

pub(in crate::expr) fn instructions() -> impl Iterator<Item = Word> {
    SOURCES.iter().chain(STEPS).copied()
}

impl Instruction {
    /// Reads a map with a key that begins with `$`.
    pub(super) fn compile(fields: &Map<String, Value>, depth: usize, problems: &mut Vec<Problem>) -> Instruction {
        check_keys(fields, problems);
        let mut part = |key: &str| fields.get(key).map(|value| Expr::compile_under(value, key, depth, problems));
        let (from, each, to) = (part("$from"), part("$each"), part("$to"));
        let (more, otherwise) = (part("$add"), part("$otherwise"));
        let first = fields.get("$first").map(|value| first(value, depth, problems));
        let script = fields.get("$script").map(|written| {
            let (script, found) = Script::compile(written);
            problems.extend(found.into_iter().map(|problem| problem.under("$script")));
            script.map_or_else(|| Source::From(Expr::unread()), Source::Script)
        });
        let source = match (from, first, each, to, script) {
            (Some(from), ..) => Source::From(from),
            (_, Some(first), ..) => first,
            (_, _, Some(list), Some(to), _) => Source::Each { list, to },
            (.., Some(script)) => script,
            _ => fields
                .get("$literal")
                .map_or_else(|| Source::From(Expr::unread()), |value| Source::Literal(value.clone())),
        };
        problems.extend(more.as_ref().and_then(add::check).map(|problem| problem.under("$add")));
        let conversion = fields.get("$as").and_then(|written| {
            Conversion::compile(written).map_err(|problem| problems.push(problem.under("$as"))).ok()
        });
        let map = fields.get("$map").and_then(|written| map(written, depth, problems));
        let mut instruction = Instruction { source, conversion, map, add: more, otherwise };
        if problems.is_empty()
            && let Some(problem) = instruction.fails_always()
        {
            problems.push(problem);
            instruction.source = Source::From(Expr::unread());
        }
        instruction
    }

    /// What reads nothing and cannot be made, whatever comes. Scripts are left out: they take time.
    fn fails_always(&self) -> Option<Problem> {
        if self.depends() || matches!(self.source, Source::Script(_)) {
            return None;
        }
        let work = Work { left: std::cell::Cell::new(super::WORK_MAX) };
        let fault = self.make(&Scope::new(&Value::Null, &Locale::default()), &work).err()?;
        let help = "nothing is read here: write the value that is meant";
        Some(Problem { pointer: fault.pointer, ..Problem::new("bad-value", fault.message).help(help) })
    }

    pub(super) fn make(&self, scope: &Scope<'_>, work: &Work) -> Result<Option<Value>, Fault> {
        let value = self.source.make(scope, work)?;
        let value = self.converted(value, scope)?;
        let value = match (value, &self.map) {
            (Some(value), Some(map)) if !value.is_null() => self.mapped(&value, map, scope, work)?,
            (value, _) => value,
        };
        let value = match (value, &self.add) {
            (Some(value), Some(more)) if !value.is_null() => {
                let more = more.make(scope, work).map_err(|fault| fault.under("$add"))?;
                let sum = add::add(&value, more.as_ref(), scope.locale());
                Some(sum.map_err(|message| Fault::new(message).under("$add"))?)
            }
            (value, _) => value,
        };
        match (value, &self.otherwise) {
            (None, Some(otherwise)) => otherwise.make(scope, work).map_err(|fault| fault.under("$otherwise")),
            (value, _) => Ok(value),
        }
    }

    pub(super) fn place(&mut self, file: &File, pointer: &str) {
        let below = |key: &str| under(pointer, key);
        match &mut self.source {
            Source::From(from) => from.place(file, &below("$from")),
            Source::FirstOf(items) => place_all(items, file, &below("$first")),
            Source::FirstIn(list) => list.place(file, &below("$first")),
            Source::Each { list, to } => {
                list.place(file, &below("$each"));
                to.place(file, &below("$to"));
            }
            Source::Script(script) => script.place(file, &below("$script")),
            Source::Literal(_) => {}
        }
        for (key, to) in self.map.iter_mut().flatten() {
            to.place(file, &under(&below("$map"), key));
        }
        self.add.iter_mut().for_each(|add| add.place(file, &below("$add")));
        self.otherwise.iter_mut().for_each(|otherwise| otherwise.place(file, &below("$otherwise")));
    }

    fn converted(&self, value: Option<Value>, scope: &Scope<'_>) -> Result<Option<Value>, Fault> {
        let (Some(value), Some(conversion)) = (&value, &self.conversion) else { return Ok(value) };
        let converted = conversion.apply(value, scope.locale());
        converted.map(Some).map_err(|message| Fault::new(message).under("$as"))
    }

    fn mapped(
        &self,
        value: &Value,
        map: &[(String, Expr)],
        scope: &Scope<'_>,
        work: &Work,
    ) -> Result<Option<Value>, Fault> {
        let place = |fault: Fault| fault.under("$map");
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(place(Fault::new(format!("`$map` takes one value, not {}", shown(value)))));
        }
        let text = text_of(value);
        match map.iter().find(|(key, _)| *key == text) {
            Some((key, to)) => to.make(scope, work).map_err(|fault| place(fault.under(key))),
            None if self.otherwise.is_some() => Ok(None),
            None => Err(place(Fault::new(format!("`$map` has no key {}, and there is no `$otherwise`", shown(value))))),
        }
    }

    pub(super) fn reads(&self) -> Vec<Read> {
        let mut reads = match &self.source {
            Source::From(from) => from.reads_under("$from"),
            Source::FirstOf(items) => items
                .iter()
                .enumerate()
                .flat_map(|(at, item)| item.reads_under(&at.to_string()))
                .map(|read| read.under("$first"))
                .collect(),
            Source::FirstIn(list) => list.reads_under("$first"),
            Source::Each { list, to } => {
                let own = |read: &Read| read.names.first().is_some_and(|name| name == ITEM);
                let of_to = to.reads_under("$to").into_iter().filter(|read| !own(read));
                list.reads_under("$each").into_iter().chain(of_to).collect()
            }
            Source::Script(script) => script.reads().into_iter().map(|read| read.under("$script")).collect(),
            Source::Literal(_) => Vec::new(),
        };
        for (key, to) in self.map.iter().flatten() {
            reads.extend(to.reads_under(key).into_iter().map(|read| read.under("$map")));
        }
        reads.extend(self.add.iter().flat_map(|add| add.reads_under("$add")));
        reads.extend(self.otherwise.iter().flat_map(|otherwise| otherwise.reads_under("$otherwise")));
        reads
    }

    pub(super) fn depends(&self) -> bool {
        let source = match &self.source {
            Source::From(from) => from.depends(),
            Source::FirstOf(items) => items.iter().any(Expr::depends),
            Source::FirstIn(list) => list.depends(),
            Source::Each { list, to } => list.depends() || to.depends(),
            Source::Script(script) => !script.reads().is_empty(),
            Source::Literal(_) => false,
        };
        source
            || self.conversion.as_ref().is_some_and(Conversion::reads_locale)
            || self.map.iter().flatten().any(|(_, to)| to.depends())
            || self.add.is_some()
            || self.otherwise.as_ref().is_some_and(Expr::depends)
    }
}

impl Source {
    fn make(&self, scope: &Scope<'_>, work: &Work) -> Result<Option<Value>, Fault> {
        match self {
            Source::From(from) => from.make(scope, work).map_err(|fault| fault.under("$from")),
            Source::Literal(value) => work.made(Some(value.clone())),
            Source::Script(script) => {
                let (made, done) = script.run(scope, work.left.get() / STEP);
                work.spend(done * STEP)?;
                work.made(made.map_err(|fault| fault.under("$script"))?)
            }
            Source::FirstOf(items) => {
                for (at, item) in items.iter().enumerate() {
                    let made = item.make(scope, work).map_err(|fault| fault.under(&at.to_string()).under("$first"))?;
                    if made.as_ref().is_some_and(|value| !value.is_null()) {
                        return Ok(made);
                    }
                }
                Ok(None)
            }
            Source::FirstIn(list) => {
                let items = items(list, "$first", scope, work)?;
                Ok(items.into_iter().flatten().find(|item| !item.is_null()))
            }
            Source::Each { list, to } => {
                let Some(items) = items(list, "$each", scope, work)? else { return Ok(None) };
                let mut made = Vec::with_capacity(items.len());
                for item in &items {
                    made.extend(to.make(&scope.with(ITEM, item), work).map_err(|fault| fault.under("$to"))?);
                }
                Ok(Some(Value::Array(made)))
            }
        }
    }
}

/// The items of the list that a source reads; None if there is no list.
fn items(list: &Expr, key: &str, scope: &Scope<'_>, work: &Work) -> Result<Option<Vec<Value>>, Fault> {
    match list.make(scope, work).map_err(|fault| fault.under(key))? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(Fault::new(format!("`{key}` takes a list, not {}", shown(&other))).under(key)),
    }
}

/// Every key is one that there is, one is a source, and those that belong together are together.
fn check_keys(fields: &Map<String, Value>, problems: &mut Vec<Problem>) {
    for key in fields.keys() {
        if !is_instruction_key(key) {
            let message = format!("`{key}` stands beside an instruction, which gives one value");
            problems.push(
                Problem::new("mixed-instruction", message)
                    .of_key(key)
                    .help("move the instruction below a key; a key that begins with `$` is written `$$`"),
            );
        } else if instructions().all(|known| known.name != key) {
            let names = instructions().map(|known| known.name);
            let near =
                crate::source::nearest(key, names).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
            problems.push(
                Problem::new("unknown-instruction", format!("there is no instruction `{key}`"))
                    .of_key(key)
                    .help(format!("{near}a key that is sent as `{key}` is written `${key}`")),
            );
        }
    }
    let sources: Vec<&String> = fields.keys().filter(|key| SOURCES.iter().any(|known| known.name == *key)).collect();
    match sources[..] {
        [] if problems.is_empty() => problems.push(
            Problem::new("no-source", "an instruction has no value to begin with")
                .help("give one of `$from`, `$first`, `$each`, `$script`, `$literal`"),
        ),
        [] | [_] => {}
        [first, ref others @ ..] => problems.extend(others.iter().map(|other| {
            Problem::new("two-sources", format!("`{other}` stands beside `{first}`; an instruction has one source"))
                .of_key(other)
                .help("keep one of the two; for the first that is there, write `$first: [ … ]`")
        })),
    }
    match (fields.contains_key("$each"), fields.contains_key("$to")) {
        (true, false) => problems.push(
            Problem::new("missing-to", "`$each` needs `$to`, the value made for each `$.item`")
                .of_key("$each")
                .help("add `$to`, such as `$to: { name: $.item }`"),
        ),
        (false, true) => problems.push(
            Problem::new("stray-to", "`$to` belongs to `$each`")
                .of_key("$to")
                .help("remove it, or write `$each` instead of the other source"),
        ),
        _ => {}
    }
}

fn first(written: &Value, depth: usize, problems: &mut Vec<Problem>) -> Source {
    match written {
        Value::Array(items) => {
            let mut found = Vec::new();
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| Expr::compile_under(item, &at.to_string(), depth, &mut found)).collect();
            problems.extend(found.into_iter().map(|problem| problem.under("$first")));
            Source::FirstOf(items)
        }
        other => {
            let list = Expr::compile_under(other, "$first", depth, problems);
            if list.constant().is_some() {
                let message = format!("`$first` takes a list or a path to one, not {}", shown(other));
                problems.push(Problem::new("bad-first", message).help("write `$first: [ … ]`").under("$first"));
            }
            Source::FirstIn(list)
        }
    }
}

fn map(written: &Value, depth: usize, problems: &mut Vec<Problem>) -> Option<Vec<(String, Expr)>> {
    let Value::Object(fields) = written else {
        problems.push(
            Problem::new("bad-map", "`$map` takes a map from what comes to what goes")
                .help("write `$map: { Ready now: hot, Soon: warm }`")
                .under("$map"),
        );
        return None;
    };
    let mut found = Vec::new();
    let pairs = fields.iter().map(|(key, to)| (key.clone(), Expr::compile_under(to, key, depth, &mut found))).collect();
    problems.extend(found.into_iter().map(|problem| problem.under("$map")));
    Some(pairs)
}
