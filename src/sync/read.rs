//! From a document to a [`Sync`]: shape, then what can be judged from it alone. All findings at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::{Child, Conflicts, Document, Field as Written, Match, SCHEMA};
use super::{Conflict, Delete, Field, FirstRun, Mode, NoneFound, Pair, SeveralFound, Side, Sync, Which};
use crate::expr::{Condition, Conversion, Expr, Problem, parse_duration};
use crate::source::{Diagnostic, File, Report, Severity, check_shape, under};

/// Keys of a field that are no aliases.
const FIELD_KEYS: [&str; 3] = ["as", "merge", "owner"];

impl Sync {
    /// Reads a document; None if anything is wrong with it.
    pub fn read(file: &File, report: &mut Report) -> Option<Sync> {
        let mut found = Report::default();
        check_shape(file, "", &SCHEMA, &mut found);
        let broken = found.has_errors();
        report.extend(found);
        if broken {
            return None;
        }
        let document: Document = match serde_json::from_value(file.value.clone()) {
            Ok(document) => document,
            Err(error) => {
                report.push(Diagnostic::error("bad-value", error.to_string()).at(file, "", ""));
                return None;
            }
        };
        let before = report.count(Severity::Error);
        let sync = Reader { file, report, sides: Vec::new() }.sync(document);
        if report.count(Severity::Error) > before { None } else { sync }
    }
}

struct Reader<'a> {
    file: &'a File,
    report: &'a mut Report,
    /// The two aliases of `between`.
    sides: Vec<String>,
}

/// What a sync and a child have in common.
struct Parts<'d> {
    pointer: String,
    between: &'d Map<String, Value>,
    only_if: &'d BTreeMap<String, Value>,
    matching: Option<&'d Match>,
    fields: &'d [Written],
    conflicts: Option<&'d Conflicts>,
    on_create: &'d BTreeMap<String, Value>,
    deletes: &'d BTreeMap<String, Delete>,
    /// The sync that a child is in.
    outer: Option<&'d Pair>,
}

impl Reader<'_> {
    fn sync(mut self, document: Document) -> Option<Sync> {
        for alias in document.uses.keys() {
            self.check_alias(alias);
        }
        for (alias, _) in &document.between {
            if document.uses.contains_key(alias) {
                self.sides.push(alias.clone());
            } else {
                let names = document.uses.keys().map(String::as_str);
                let found = Diagnostic::error("unknown-alias", format!("`uses` has no `{alias}`"));
                self.report.push(found.at_key(self.file, &under("/between", alias), "").nearest(alias, names));
            }
        }
        if self.sides.len() < 2 {
            return None;
        }
        let pair = self.pair(&Parts {
            pointer: String::new(),
            between: &document.between,
            only_if: &document.only_if,
            matching: document.r#match.as_ref(),
            fields: &document.fields,
            conflicts: document.conflicts.as_ref(),
            on_create: &document.on_create,
            deletes: &document.deletes,
            outer: None,
        })?;
        let children = document.children.iter().enumerate();
        let children = children.filter_map(|(index, child)| self.child(index, child, &pair)).collect();
        let brake = document.delete_brake.as_ref();
        let percent = brake.and_then(|brake| brake.share.as_ref()?.trim_end_matches('%').parse().ok());
        let first = document.first_run.as_ref();
        let difference = first.and_then(|first| first.on_difference.as_deref());
        Some(Sync {
            delete_brake_records: brake.and_then(|brake| brake.records),
            delete_brake_percent: percent,
            first_run: FirstRun {
                mode: first.and_then(|first| first.mode).unwrap_or(Mode::Plan),
                on_difference: difference.map_or(Conflict::Ask, |word| self.conflict(word, "/first_run/on_difference")),
            },
            check_every: document.check_every.and_then(|text| self.duration(&text, "/check_every")),
            name: document.sync,
            description: document.description,
            uses: document.uses,
            pair,
            children,
            place: self.file.place("/sync"),
        })
    }

    fn child(&mut self, index: usize, child: &Child, outer: &Pair) -> Option<Pair> {
        let pointer = format!("/children/{index}");
        let mut known = true;
        for (alias, _) in &child.between {
            known &= self.side(alias, &under(&format!("{pointer}/between"), alias), true).is_some();
        }
        known.then_some(())?;
        self.pair(&Parts {
            pointer,
            between: &child.between,
            only_if: &child.only_if,
            matching: child.r#match.as_ref(),
            fields: &child.fields,
            conflicts: child.conflicts.as_ref(),
            on_create: &child.on_create,
            deletes: &child.deletes,
            outer: Some(outer),
        })
    }

    fn pair(&mut self, parts: &Parts<'_>) -> Option<Pair> {
        let at = |key: &str| format!("{}/{key}", parts.pointer);
        let conflict = match parts.conflicts.and_then(|conflicts| conflicts.default.as_deref()) {
            Some(word) => self.conflict(word, &at("conflicts/default")),
            None => parts.outer.map_or(Conflict::Ask, |outer| outer.conflict),
        };
        let mut fields: Vec<Field> = Vec::new();
        for (index, written) in parts.fields.iter().enumerate() {
            let pointer = at(&format!("fields/{index}"));
            if let Some(mut field) = self.field(written, &pointer) {
                field.conflict = conflict;
                self.given_twice(&fields, &field);
                fields.push(field);
            }
        }
        for (name, word) in parts.conflicts.into_iter().flat_map(|conflicts| &conflicts.fields) {
            let pointer = under(&at("conflicts/fields"), name);
            let winner = self.conflict(word, &pointer);
            match self.named(&fields, name, &pointer, true) {
                Some(place) => fields[place].conflict = winner,
                None => continue,
            }
        }
        let by = parts.matching.iter().flat_map(|matching| matching.by.iter().enumerate());
        let mut match_by = Vec::new();
        for (index, name) in by {
            match_by.extend(self.named(&fields, name, &at(&format!("match/by/{index}")), false));
        }
        let mut sides = Vec::new();
        for (place, alias) in self.sides.clone().into_iter().enumerate() {
            let object = parts.between.get(&alias)?.as_str()?.to_string();
            let condition = parts.only_if.get(&alias);
            let create = parts.on_create.get(&alias);
            let outer = parts.outer.map_or(Delete::Ask, |outer| outer.sides[place].delete);
            let none_found = parts.matching.and_then(|matching| matching.none_found.get(&alias));
            sides.push(Side {
                object,
                only_if: condition.map(|value| self.condition(value, &under(&at("only_if"), &alias))),
                // Where nothing finds the other half, there is none that was not made here.
                none_found: none_found.copied().unwrap_or(match parts.matching {
                    Some(_) => NoneFound::Ask,
                    None => NoneFound::Create,
                }),
                on_create: create.map(|value| self.expr(value, &under(&at("on_create"), &alias))),
                delete: parts.deletes.get(&alias).copied().unwrap_or(outer),
                alias,
            });
        }
        let matching = parts.matching.into_iter();
        let keyed = [
            ("only_if", parts.only_if.keys().collect::<Vec<_>>()),
            ("on_create", parts.on_create.keys().collect()),
            ("deletes", parts.deletes.keys().collect()),
            ("match/none_found", matching.flat_map(|matching| matching.none_found.keys()).collect()),
        ];
        for (key, aliases) in keyed {
            for alias in aliases {
                self.side(alias, &under(&at(key), alias), true);
            }
        }
        let several_found = parts.matching.and_then(|matching| matching.several_found).unwrap_or(SeveralFound::Ask);
        let sides = sides.try_into().ok()?;
        Some(Pair { sides, fields, match_by, several_found, conflict, pointer: parts.pointer.clone() })
    }

    fn field(&mut self, written: &Written, pointer: &str) -> Option<Field> {
        for alias in written.sides.keys() {
            self.side(alias, &under(pointer, alias), true);
        }
        let mut names = Vec::new();
        for alias in self.sides.clone() {
            match written.sides.get(&alias) {
                Some(name) => names.push(name.clone()),
                None => {
                    let found = Diagnostic::error("missing-key", format!("the field lacks its name in `{alias}`"));
                    let help = format!("add `{alias}: the_field`");
                    self.report.push(found.at(self.file, pointer, "").help(help));
                }
            }
        }
        let owner = written.owner.as_ref().map(|owner| self.side(owner, &format!("{pointer}/owner"), false));
        let conversion = match written.r#as.as_ref().map(Conversion::compile) {
            None => None,
            Some(Ok(conversion)) => Some(conversion),
            Some(Err(problem)) => {
                self.problem(problem, &format!("{pointer}/as"));
                return None;
            }
        };
        if conversion.as_ref().is_some_and(|conversion| !conversion.is_one_to_one()) && owner.is_none() {
            let message = "the conversion has no way back: two values become one, or a part is lost";
            let help = format!("say which side owns the field: `owner: {}`", self.sides[0]);
            let found = Diagnostic::error("one-way", message).at(self.file, &format!("{pointer}/as"), "");
            self.report.push(found.help(help));
        }
        if written.merge.is_some() && conversion != Some(Conversion::Set) {
            let found = Diagnostic::error("no-effect", "`merge` is for lists without order");
            self.report.push(found.at_key(self.file, &format!("{pointer}/merge"), "").help("add `as: set`"));
        }
        Some(Field {
            names: names.try_into().ok()?,
            conversion,
            union: written.merge.is_some(),
            owner: owner.flatten(),
            conflict: Conflict::Ask,
            pointer: pointer.into(),
        })
    }

    /// A field of one side stands in one pair of fields only.
    fn given_twice(&mut self, fields: &[Field], field: &Field) {
        for place in 0..2 {
            let name = &field.names[place];
            if let Some(first) = fields.iter().find(|other| other.names[place] == *name) {
                let alias = &self.sides[place];
                let found = Diagnostic::error("given-twice", format!("`{alias}` has `{name}` in two fields"))
                    .at(self.file, &under(&field.pointer, alias), "again here")
                    .also(self.file, &under(&first.pointer, alias), "first here");
                self.report.push(found.help("keep one of the two"));
            }
        }
    }

    /// The place of a field by the name of either side.
    fn named(&mut self, fields: &[Field], name: &str, pointer: &str, is_key: bool) -> Option<usize> {
        let place = fields.iter().position(|field| field.names.iter().any(|known| known == name));
        if place.is_none() {
            let found = Diagnostic::error("unknown-field", format!("`fields` has no `{name}`"));
            let found = if is_key { found.at_key(self.file, pointer, "") } else { found.at(self.file, pointer, "") };
            let names = fields.iter().flat_map(|field| &field.names).map(String::as_str);
            self.report.push(found.nearest(name, names));
        }
        place
    }

    /// One of the two aliases of `between`.
    fn side(&mut self, alias: &str, pointer: &str, is_key: bool) -> Option<Which> {
        match self.sides.iter().position(|side| side == alias) {
            Some(0) => Some(Which::First),
            Some(_) => Some(Which::Second),
            None => {
                self.unknown_side(alias, pointer, is_key, &[]);
                None
            }
        }
    }

    fn conflict(&mut self, word: &str, pointer: &str) -> Conflict {
        match (word, self.sides.iter().position(|side| side == word)) {
            ("ask", _) => Conflict::Ask,
            ("newest", _) => Conflict::Newest,
            (_, Some(0)) => Conflict::Side(Which::First),
            (_, Some(_)) => Conflict::Side(Which::Second),
            (_, None) => {
                self.unknown_side(word, pointer, false, &["ask", "newest"]);
                Conflict::Ask
            }
        }
    }

    fn unknown_side(&mut self, alias: &str, pointer: &str, is_key: bool, words: &[&str]) {
        let known: Vec<&str> = words.iter().copied().chain(self.sides.iter().map(String::as_str)).collect();
        let found = Diagnostic::error("unknown-alias", format!("`between` has no `{alias}`"));
        let found = if is_key { found.at_key(self.file, pointer, "") } else { found.at(self.file, pointer, "") };
        let help = format!("here it is one of `{}`", known.join("`, `"));
        self.report.push(found.help(help).nearest(alias, known));
    }

    fn check_alias(&mut self, alias: &str) {
        let pointer = under("/uses", alias);
        if FIELD_KEYS.contains(&alias) || ["ask", "newest"].contains(&alias) {
            let found = Diagnostic::error("name-clash", format!("`{alias}` has a meaning of its own in a sync"));
            self.report.push(found.at_key(self.file, &pointer, "").help("choose another alias"));
        } else if !is_snake_case(alias) {
            let found = Diagnostic::error("bad-name", format!("`{alias}` is not snake_case"));
            let help = "use small letters, digits and `_`, beginning with a letter";
            self.report.push(found.at_key(self.file, &pointer, "").help(help));
        }
    }

    fn condition(&mut self, value: &Value, pointer: &str) -> Condition {
        let (condition, problems) = Condition::read(value);
        problems.into_iter().for_each(|problem| self.problem(problem, pointer));
        condition.placed(self.file, pointer)
    }

    fn expr(&mut self, value: &Value, pointer: &str) -> Expr {
        let (expr, problems) = Expr::read(value);
        problems.into_iter().for_each(|problem| self.problem(problem, pointer));
        expr.placed(self.file, pointer)
    }

    fn duration(&mut self, text: &str, pointer: &str) -> Option<std::time::Duration> {
        let duration = parse_duration(text);
        if duration.is_none() {
            self.report.push(Diagnostic::no_duration(text).at(self.file, pointer, ""));
        }
        duration
    }

    fn problem(&mut self, problem: Problem, pointer: &str) {
        self.report.push(problem.told(self.file, pointer));
    }
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}
