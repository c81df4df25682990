//! The connector as a whole: its head, its objects, its operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::base::Base;
use super::call::{Call, calls};
use super::document::{Document, sentence, short};
use super::filled::Filled;
use super::name::{Named, Part, kebab, name_all};
use super::note::{Note, Notes};
use super::object::{self, Gathered, Headers, put_headers};
use super::operation::{self, literal, place};
use super::schema::Schemas;
use super::yaml::{LINES, comment, comment_lines, count, is_data};
use super::{Refused, answer, auth, read, server};
use crate::source::nearest;

/// How many levels of fields are written, at most; fewer where the file would be too big.
const DEPTHS: [usize; 6] = [6, 5, 4, 3, 2, 1];
/// What one file may hold, with some room: see `source`.
const VALUES_MAX: usize = 19_000;
const BYTES_MAX: usize = 1_000_000;
const OPERATIONS_MAX: usize = 2_000;
const SHOWN_MAX: usize = 100;

/// What is wanted of a document.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The connector's name; the document's title if it says nothing.
    pub name: Option<String>,
    /// Tags, or beginnings of paths; everything if there is none.
    pub only: Vec<String>,
    /// What is filled without asking.
    pub filled: Vec<Filled>,
    /// Objects (`agent`) and operations (`agent.run`, `run`) as they are found, and as they shall be called.
    pub renamed: Vec<(String, String)>,
    /// The connector that this becomes a part of.
    pub part_of: Option<Base>,
    /// What the document says of fields is left out.
    pub terse: bool,
    /// Levels of fields that are written, at most.
    pub levels: Option<usize>,
    /// How many folders below the project the file will lie; 1 if it says nothing.
    pub folders: Option<usize>,
    /// Values that the document may hold, at most.
    pub values_max: Option<usize>,
    /// The document's name, for the first lines and where there is no title.
    pub source: String,
}

/// A connector's text, and what its author has to know.
#[derive(Debug)]
pub struct Imported {
    pub name: String,
    pub text: String,
    /// `"Petstore" 1.0.0, OpenAPI 3.0.3`
    pub of: String,
    pub objects: usize,
    pub operations: usize,
    pub notes: Vec<Note>,
}

/// Writes a connector of a document.
///
/// # Errors
/// What cannot be read, is no OpenAPI document, or holds nothing of what is wanted.
pub fn import(text: &str, options: &Options) -> Result<Imported, Refused> {
    let value = read::read(text, options.values_max.unwrap_or(read::VALUES_MAX))?;
    let document = Document::of(&value)?;
    let mut notes = Notes::default();
    let all = calls(&document, &options.filled, &mut notes);
    if all.is_empty() {
        return Err(Refused::new(
            "the document describes no operations",
            "they stand under `paths`, as `/contacts: { get: … }`",
        ));
    }
    let lists: Vec<bool> = {
        let mut schemas = Schemas::new(&document, 1, false, usize::MAX);
        all.iter().map(|call| lists(&mut schemas, call)).collect()
    };
    let mut named = name_all(&all, &lists);
    rename(&mut named, &all, &options.renamed)?;
    let mut chosen: Vec<(&Call<'_>, &Named)> =
        all.iter().zip(&named).filter(|(call, _)| is_wanted(call, &options.only)).collect();
    known(&all, &options.only)?;
    if let Some(base) = &options.part_of {
        chosen = missing(chosen, base, &mut notes)?;
    }
    if chosen.len() > OPERATIONS_MAX {
        let message = format!("these are {} operations, and a connector holds {OPERATIONS_MAX}", chosen.len());
        return Err(Refused::asked(message, "take a part of them with `--only TAG` or `--only /path`"));
    }
    let name = name_of(&document, options)?;
    let depths = DEPTHS.into_iter().filter(|depth| options.levels.is_none_or(|levels| *depth <= levels));
    let attempts = depths.map(|depth| (depth, !options.terse)).chain([(1, false), (0, false)]);
    for (depth, descriptions) in attempts {
        let schemas = Schemas::new(&document, depth, descriptions, VALUES_MAX * 2);
        let whole = Whole { schemas, document: &document, options, name: &name, depth };
        if let Some(done) = whole.write(&chosen) {
            let mut imported = done;
            let mut told = notes;
            imported.notes.drain(..).for_each(|note| told.extend(note));
            imported.notes = told.told();
            return Ok(imported);
        }
    }
    let message = format!("these {} operations do not fit into one file", chosen.len());
    Err(Refused::asked(message, "take a part of them with `--only TAG` or `--only /path`"))
}

/// Calls operations and objects as they shall be called; the first go by their names as they are found.
fn rename(named: &mut [Named], all: &[Call<'_>], renamed: &[(String, String)]) -> Result<(), Refused> {
    let places: Vec<String> = named.iter().map(place).collect();
    for (found, wanted) in renamed {
        let is_object = |one: &Named| one.object.as_ref() == Some(found) && !wanted.contains('.');
        let mut any = false;
        if let Some(at) = places.iter().position(|place| place == found) {
            let (object, verb) =
                wanted.split_once('.').map_or((None, &**wanted), |(object, verb)| (Some(object), verb));
            named[at].object = object.map(str::to_owned);
            let holes = all[at].parts.iter().filter_map(|part| match part {
                Part::Hole(hole) => Some(hole),
                Part::Word(_) => None,
            });
            if let (Some(_), [only]) = (object, holes.collect::<Vec<_>>().as_slice()) {
                named[at].own_hole = Some((*only).clone());
            }
            verb.clone_into(&mut named[at].verb);
            any = true;
        } else {
            for one in named.iter_mut() {
                any |= is_object(one);
                let parent = one.parent.as_mut().map(|(parent, _)| parent);
                let names = one.object.iter_mut().chain(parent).filter(|name| *name == found && !wanted.contains('.'));
                names.for_each(|name| name.clone_from(wanted));
            }
        }
        if !any {
            let objects: BTreeSet<&str> = named.iter().filter_map(|one| one.object.as_deref()).collect();
            let known: Vec<&str> = match found.contains('.') || objects.is_empty() {
                true => places.iter().map(String::as_str).collect(),
                false => objects.into_iter().collect(),
            };
            let help = match nearest(found, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.into_iter().take(20).collect::<Vec<_>>().join(", ")),
            };
            return Err(Refused::asked(format!("nothing is called `{}`", short(found)), help));
        }
    }
    let mut once = BTreeSet::new();
    match named.iter().map(place).find(|place| !once.insert(place.clone())) {
        Some(twice) => {
            let message = format!("two operations would be called `{twice}`");
            Err(Refused::asked(message, "call one of them otherwise"))
        }
        None => Ok(()),
    }
}

/// What a connector does not have yet.
fn missing<'c, 'd>(
    chosen: Vec<(&'c Call<'d>, &'c Named)>,
    base: &Base,
    notes: &mut Notes,
) -> Result<Vec<(&'c Call<'d>, &'c Named)>, Refused> {
    let count = chosen.len();
    let (there, missing): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(call, _)| base.has(call));
    there.iter().for_each(|(call, _)| notes.add("left out: operations that are there already", call.line()));
    match missing.is_empty() {
        true => Err(Refused::asked(
            format!("`{}` has all {count} operations already", base.name),
            "there is nothing to add",
        )),
        false => Ok(missing),
    }
}

fn lists(schemas: &mut Schemas<'_>, call: &Call<'_>) -> bool {
    let last = call.parts.iter().rev().find_map(|part| match part {
        Part::Word(word) => Some(super::name::words(word).join("_")),
        Part::Hole(_) => None,
    });
    let Some(answer) = call.answer.as_ref().and_then(|answer| answer.schema).filter(|_| call.method == "GET") else {
        return false;
    };
    // One thing that holds a list is no collection: its last word says what it is a collection of.
    let many = last.as_deref().is_some_and(|last| super::name::singular(last) != last);
    many && answer::list(schemas, answer, &last.unwrap_or_default()).is_some()
}

fn is_wanted(call: &Call<'_>, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|wanted| fits(call, wanted))
}

fn fits(call: &Call<'_>, wanted: &str) -> bool {
    if wanted.starts_with('/') {
        let wanted = wanted.trim_end_matches('/');
        return call.path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    }
    call.tags.iter().any(|tag| tag.trim().eq_ignore_ascii_case(wanted.trim()))
}

/// Each tag and path that is wanted must be there.
fn known(all: &[Call<'_>], only: &[String]) -> Result<(), Refused> {
    for wanted in only {
        if all.iter().any(|call| fits(call, wanted)) {
            continue;
        }
        let (what, mut names): (&str, Vec<&str>) = match wanted.starts_with('/') {
            true => ("no path begins with", all.iter().map(|call| call.path).collect()),
            false => ("no operation has the tag", all.iter().flat_map(|call| call.tags.clone()).collect()),
        };
        names.sort_unstable();
        names.dedup();
        let help = match nearest(wanted, names.iter().copied()) {
            Some(near) => format!("did you mean `{}`?", short(near)),
            None if names.is_empty() => {
                "the document has no tags: give the beginning of a path, such as `/contacts`".into()
            }
            None => {
                let shown: Vec<String> = names.iter().take(20).map(|name| short(name)).collect();
                let more = if names.len() > 20 { " …" } else { "" };
                format!("there are {}{more}", shown.join(", "))
            }
        };
        return Err(Refused::asked(format!("{what} `{}`", short(wanted)), help));
    }
    Ok(())
}

fn name_of(document: &Document<'_>, options: &Options) -> Result<String, Refused> {
    if let Some(base) = &options.part_of {
        return Ok(base.name.clone());
    }
    if let Some(name) = &options.name {
        let good = |part: &str| {
            !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit())
        };
        return match name.split('-').all(good) {
            true => Ok(name.clone()),
            false => {
                Err(Refused::asked(format!("`{}` cannot be a connector's name", short(name)), "write it like `my-crm`"))
            }
        };
    }
    let file = options.source.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
    let title = document.info("title").and_then(kebab);
    Ok(title.or_else(|| kebab(stem)).unwrap_or_else(|| "imported".into()))
}

struct Whole<'d> {
    schemas: Schemas<'d>,
    document: &'d Document<'d>,
    options: &'d Options,
    name: &'d str,
    depth: usize,
}

impl Whole<'_> {
    /// The text; none if it would be too big.
    fn write(mut self, chosen: &[(&Call<'_>, &Named)]) -> Option<Imported> {
        let mut objects: Vec<(String, Gathered)> = Vec::new();
        let mut operations = Map::from_iter([(LINES.to_owned(), Value::Null)]);
        let mut left_out = Vec::new();
        let mut written = 0;
        let mut headers: Vec<(String, Vec<(String, String)>)> = Vec::new();
        let mut scopes: Vec<String> = Vec::new();
        for (call, named) in chosen {
            let made = match operation::write(&mut self.schemas, call, named) {
                Ok(made) => made,
                Err(why) => {
                    self.schemas
                        .notes
                        .add("left out: operations that the language cannot say", format!("{}: {why}", call.line()));
                    left_out.push(format!("{}: {why}", call.line()));
                    continue;
                }
            };
            if self.schemas.is_over() {
                return None;
            }
            written += 1;
            for scope in &call.scopes {
                if !scopes.iter().any(|known| known == scope) {
                    scopes.push((*scope).to_owned());
                }
            }
            headers.push((place(named), made.headers));
            let Some(object) = &named.object else {
                if let Some(said) = made.comment {
                    comment(&mut operations, &named.verb, said);
                }
                operations.insert(named.verb.clone(), made.map.into());
                continue;
            };
            let at = objects.iter().position(|(known, _)| known == object).unwrap_or_else(|| {
                objects.push((object.clone(), Gathered::default()));
                objects.len() - 1
            });
            let gathered = &mut objects[at].1;
            gathered.records.extend(made.record.map(|record| (named.verb.clone(), record)));
            if named.verb == "list" || gathered.parent.is_none() {
                gathered.parent = named.parent.clone().or(gathered.parent.take());
            }
            gathered.own_hole = gathered.own_hole.take().or(named.own_hole.clone());
            gathered.operations.push((named.verb.clone(), made.map, made.comment));
        }
        let base = self.options.part_of.as_ref();
        let (common, own) = match base {
            Some(base) => own_headers(&headers, literals(&base.headers)),
            None => common_headers(&headers),
        };
        let mut document = match base {
            Some(base) => Map::from_iter([("connector".to_owned(), base.name.as_str().into())]),
            None => self.head(&common, &scopes, !objects.is_empty()),
        };
        let is_there = |name: &str| base.is_some_and(|base| base.objects.contains(name));
        let count_of_objects = objects.len();
        let names: Vec<String> = objects.iter().map(|(name, _)| name.clone()).collect();
        let mut all = Map::from_iter([(LINES.to_owned(), Value::Null)]);
        for (name, gathered) in objects {
            let object = match is_there(&name) {
                true => object::addition(&name, gathered, &own),
                false => object::object(&mut self.schemas, &name, gathered, &names, &own),
            };
            all.insert(name, object.into());
            if self.schemas.is_over() {
                return None;
            }
        }
        if count_of_objects > 0 {
            document.insert("objects".into(), all.into());
        }
        for (verb, map) in operations.iter_mut() {
            if let Some(map) = map.as_object_mut() {
                put_headers(map, own.get(verb));
            }
        }
        if operations.keys().any(|key| is_data(key)) {
            document.insert("operations".into(), operations.into());
        }
        self.finish(document, written, count_of_objects, &left_out)
    }

    fn finish(
        self,
        document: Map<String, Value>,
        written: usize,
        objects: usize,
        left_out: &[String],
    ) -> Option<Imported> {
        let value = Value::Object(document);
        if count(&value) > VALUES_MAX {
            return None;
        }
        let Value::Object(document) = value else { return None };
        let mut text = self.first_lines();
        text.push_str(&super::yaml::write(&document));
        if !left_out.is_empty() {
            text.push_str("\n# Left out, since the language cannot say it:\n");
            for line in left_out.iter().take(SHOWN_MAX) {
                comment_lines(&format!("- {line}"), 0, &mut text);
            }
            if left_out.len() > SHOWN_MAX {
                text.push_str(&format!("# and {} more\n", left_out.len() - SHOWN_MAX));
            }
        }
        if text.len() > BYTES_MAX {
            return None;
        }
        Some(Imported {
            name: self.name.to_owned(),
            text,
            of: self.of(),
            objects,
            operations: written,
            notes: self.schemas.notes.told(),
        })
    }

    fn of(&self) -> String {
        let title = self
            .document
            .info("title")
            .map_or_else(|| short(&self.options.source), |title| format!("\"{}\"", short(title)));
        let version = self.document.version().map(|version| format!(" {version}")).unwrap_or_default();
        format!("{title}{version}, {}", self.document.form)
    }

    fn first_lines(&self) -> String {
        let up = "../".repeat(self.options.folders.unwrap_or(1));
        let mut text = format!("# yaml-language-server: $schema={up}schemas/connector.schema.json\n#\n");
        let deep = match self.depth {
            0 => "No fields of schemas are written, since the file would be too big: say what you need by hand, or take a part \
                  of the document with `--only`."
                .to_owned(),
            1 if self.options.levels != Some(1) => {
                "Fields are written one level deep, since the file would be too big; what lies deeper takes any value."
                    .to_owned()
            }
            1 => "Fields are written one level deep; what lies deeper takes any value.".to_owned(),
            depth => format!("Fields are written {depth} levels deep; what lies deeper takes any value."),
        };
        let said = format!(
            "Made by `dovetail connector import` from {}.\nLines that begin with \"Guessed\", \"Not known\" and \"Left out\" \
             say what the document does not: read them before you rely on it. {deep}",
            self.of()
        );
        comment_lines(&said, 0, &mut text);
        text.push('\n');
        text
    }

    /// Everything above the objects.
    fn head(&mut self, common: &Map<String, Value>, scopes: &[String], objects: bool) -> Map<String, Value> {
        let mut head = Map::new();
        head.insert("connector".into(), self.name.into());
        head.insert("version".into(), self.document.version().unwrap_or_else(|| "1.0.0".into()).into());
        let told =
            self.document.info("description").and_then(sentence).or_else(|| self.document.info("title").map(short));
        if let Some(told) = told.filter(|told| !told.is_empty()) {
            head.insert("description".into(), told.into());
        }
        let server = server::server(self.document, &mut self.schemas.notes);
        if let Some(said) = server.comment {
            comment(&mut head, "base_url", said);
        }
        head.insert("base_url".into(), server.base_url.into());
        if !common.is_empty() {
            head.insert("headers".into(), common.clone().into());
        }
        let mut settings = server.settings;
        for name in self.options.filled.iter().filter_map(|filled| filled.with.setting()) {
            settings.entry(name.to_owned()).or_insert_with(|| json!({ "type": "string" }));
        }
        if !settings.is_empty() {
            head.insert("connection".into(), settings.into());
        }
        let (mut ways, said) = auth::auth(self.document, scopes, &mut self.schemas.notes);
        if let Some(said) = said {
            comment(&mut head, "auth", said);
        }
        ways.insert(LINES.into(), Value::Null);
        head.insert("auth".into(), ways.into());
        let mut said =
            "Not known: how many requests the API takes (`limits`), what its errors mean beyond their status \
                        (`errors`), and what it sends by itself (`webhooks`)."
                .to_owned();
        let webhooks = self.document.root.get("webhooks").and_then(Value::as_object);
        let webhooks: Vec<String> =
            webhooks.into_iter().flatten().take(SHOWN_MAX).map(|(name, _)| short(name)).collect();
        if !webhooks.is_empty() {
            said.push_str(&format!(" The document names {}.", webhooks.join(", ")));
            webhooks.into_iter().for_each(|name| self.schemas.notes.add("left out: webhooks", name));
        }
        if objects {
            said.push_str(
                "\nNo object says how its changes are noticed; e.g. `changes: { poll: { with: list, every: 10m } }`.",
            );
        }
        comment(&mut head, if objects { "objects" } else { "operations" }, said);
        head
    }
}

fn literals(headers: &[(String, String)]) -> Map<String, Value> {
    headers.iter().map(|(name, value)| (name.clone(), literal(value))).collect()
}

/// Headers that more than half of the operations say alike stand once, at the top; the others where they are said.
fn common_headers(all: &[(String, Vec<(String, String)>)]) -> (Map<String, Value>, Headers) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (name, value) in all.iter().flat_map(|(_, headers)| headers) {
        *counts.entry((name, value)).or_default() += 1;
    }
    let mut common = Map::new();
    for ((name, value), count) in counts {
        let known = common.keys().any(|known: &String| known.eq_ignore_ascii_case(name));
        if count * 2 > all.len() && !known {
            common.insert(name.to_owned(), literal(value));
        }
    }
    own_headers(all, common)
}

/// The common headers, and of each operation those that differ.
fn own_headers(all: &[(String, Vec<(String, String)>)], common: Map<String, Value>) -> (Map<String, Value>, Headers) {
    let mut own = BTreeMap::new();
    for (place, headers) in all {
        let differs = |(name, value): &&(String, String)| {
            common.iter().all(|(known, common)| !known.eq_ignore_ascii_case(name) || *common != literal(value))
        };
        let headers: Vec<(String, String)> = headers.iter().filter(differs).cloned().collect();
        if !headers.is_empty() {
            own.insert(place.clone(), headers);
        }
    }
    (common, own)
}
