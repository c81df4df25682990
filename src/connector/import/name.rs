//! Names as the language wants them: `contact.add_tags` from paths and operation ids.

use std::collections::{BTreeMap, BTreeSet};

use super::call::Call;

const LONGEST: usize = 48;

/// Words in small letters: `getAllURLs-v2` is `get all urls v2`.
pub(super) fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut word = String::new();
    for (at, letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            words.push(std::mem::take(&mut word));
            continue;
        }
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        let begins = letter.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit())
                || (before.is_some_and(|before| before.is_ascii_uppercase())
                    && after.is_some_and(char::is_ascii_lowercase)
                    // `URLs`: the plural of what is written large.
                    && !(after == Some(&'s') && letters.get(at + 2).is_none_or(|third| !third.is_ascii_lowercase()))));
        if begins {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter.to_ascii_lowercase());
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Words as one name; none if nothing is left of them.
pub(super) fn snake(words: &[String]) -> Option<String> {
    let mut name = String::new();
    for word in words {
        // A word alone may be longer than all that fits.
        let room = LONGEST.saturating_sub(name.len() + 1);
        if word.len() > room && !name.is_empty() {
            break;
        }
        if !name.is_empty() {
            name.push('_');
        }
        name.push_str(&word[..word.len().min(room)]);
    }
    let begin = if name.starts_with(|letter: char| letter.is_ascii_digit()) { "n" } else { "" };
    Some(format!("{begin}{name}")).filter(|_| !name.is_empty())
}

pub(super) fn kebab(text: &str) -> Option<String> {
    let mut name = words(text).join("-");
    name.truncate(40);
    Some(name.trim_matches('-').to_owned()).filter(|name| !name.is_empty())
}

pub(super) fn singular(word: &str) -> String {
    match word {
        "people" => return "person".into(),
        "children" => return "child".into(),
        "series" | "news" | "status" | "address" | "sms" | "dns" | "aws" | "ios" | "os" | "https" => {
            return word.into();
        }
        _ => {}
    }
    let ends = |end: &str| word.len() > end.len() + 1 && word.ends_with(end);
    let cut = |by: usize| word[..word.len() - by].to_owned();
    match () {
        () if ends("ies") => format!("{}y", cut(3)),
        () if ["sses", "shes", "ches", "xes", "zzes", "tuses", "buses"].iter().any(|end| ends(end)) => cut(2),
        () if ends("s") && !["ss", "us", "is"].iter().any(|end| ends(end)) => cut(1),
        () => word.into(),
    }
}

fn is_plural(word: &str) -> bool {
    words(word).last().is_some_and(|last| singular(last) != *last)
}

/// What a path goes through: words, and holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Word(String),
    Hole(String),
}

/// The parts of a path that name something: not `api`, not `v2`.
pub(super) fn parts(path: &str) -> Vec<Part> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut parts = Vec::new();
    for text in path.split('/').filter(|text| !text.is_empty()) {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(hole) if !hole.contains(['{', '}']) => parts.push(Part::Hole(hole.to_owned())),
            _ => parts.push(Part::Word(text.to_owned())),
        }
    }
    let is_version = |word: &str| {
        let rest = word.strip_prefix('v').unwrap_or(word);
        !rest.is_empty() && rest.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
    };
    while let [Part::Word(first), _, ..] = parts.as_slice() {
        if !(is_version(first) || matches!(first.as_str(), "api" | "rest" | "public" | "services")) {
            break;
        }
        parts.remove(0);
    }
    parts
}

/// What an operation is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub object: Option<String>,
    pub verb: String,
    /// The hole that holds the object's own id.
    pub own_hole: Option<String>,
    /// The object under whose records it lives, and the hole for that record's id.
    pub parent: Option<(String, String)>,
}

/// Where a path has collections: words that are followed by a hole, or whose `GET` answers with a list.
struct Collections {
    /// Words on the way to the collection → the object's name.
    names: BTreeMap<Vec<String>, String>,
    /// Those whose records need two holes in a row: `/repos/{owner}/{repo}`.
    pairs: BTreeSet<Vec<String>>,
}

impl Collections {
    /// How many holes behind a collection's word lead to one of its records; 0 if there are too few.
    fn holes(&self, key: &[String], behind: &[Part]) -> usize {
        let needed = 1 + usize::from(self.pairs.contains(key));
        let there = behind.iter().take(needed).filter(|part| matches!(part, Part::Hole(_))).count();
        if there == needed { needed } else { 0 }
    }
}

/// Words that say what is done, and name no records.
const VERBS: [&str; 36] = [
    "get", "list", "search", "find", "create", "add", "update", "upsert", "set", "delete", "remove", "bulk", "enable",
    "disable", "pause", "resume", "start", "stop", "cancel", "send", "upload", "download", "import", "export",
    "validate", "verify", "check", "generate", "sync", "move", "copy", "by", "id", "filter", "lookup", "query",
];

fn is_verb(word: &str) -> bool {
    words(word).first().is_some_and(|first| VERBS.contains(&first.as_str()))
}

impl Collections {
    fn of(calls: &[(&str, Vec<Part>, bool)]) -> Collections {
        // Way → whether it is read: its records listed, or one of them got.
        let mut found: BTreeMap<(usize, Vec<String>), bool> = BTreeMap::new();
        for (method, parts, lists) in calls {
            for at in 0..parts.len() {
                let item = matches!(parts.get(at + 1), Some(Part::Hole(_)));
                let whole = at + 1 == parts.len();
                let Part::Word(word) = &parts[at] else { continue };
                if !is_verb(word) && (item || (*lists && whole)) {
                    let key = key(&parts[..=at]);
                    let read = *method == "GET" && (whole || (item && at + 2 == parts.len()));
                    *found.entry((key.len(), key)).or_default() |= read;
                }
            }
        }
        let known: BTreeSet<Vec<String>> = found.keys().map(|(_, key)| key.clone()).collect();
        let mut refused = BTreeSet::new();
        for (_, parts, _) in calls {
            for at in 0..parts.len() {
                let own = key(&parts[..=at]);
                let Part::Word(word) = &parts[at] else { continue };
                let Some(read) = found.get(&(own.len(), own.clone())) else { continue };
                // Since the last hole, and before it.
                let near =
                    parts[..at].iter().rposition(|part| matches!(part, Part::Hole(_))).map_or(0, |hole| hole + 1);
                let beside = (near..at).any(|other| known.contains(&key(&parts[..=other])));
                let below = (0..near).any(|other| known.contains(&key(&parts[..=other])));
                // `/contacts/business/{id}` asks for contacts; what is in `/contacts/{id}/campaigns/{id}` and never
                // read is no record of its own.
                if (beside && !is_plural(word)) || (below && !read) {
                    refused.insert(own);
                }
            }
        }
        let mut pairs = BTreeSet::new();
        for (_, parts, _) in calls {
            for at in 0..parts.len() {
                if let [Part::Word(_), Part::Hole(_), Part::Hole(_), ..] = &parts[at..] {
                    pairs.insert(key(&parts[..=at]));
                }
            }
        }
        let keys: Vec<(usize, Vec<String>)> = found.into_keys().filter(|(_, key)| !refused.contains(key)).collect();
        let mut rivals: BTreeMap<(usize, String), usize> = BTreeMap::new();
        for (length, key) in &keys {
            *rivals.entry((*length, object_name(key, 1))).or_default() += 1;
        }
        // The shortest way keeps the short name; the others say more of where they are.
        let (mut names, mut taken) = (BTreeMap::new(), BTreeSet::new());
        for (length, key) in keys {
            let short = object_name(&key, 1);
            let alone = rivals[&(length, short.clone())] == 1 && !taken.contains(&short);
            let longer = (2..=length).map(|count| object_name(&key, count)).find(|name| !taken.contains(name));
            let chosen = Some(short).filter(|_| alone).or(longer);
            let chosen = chosen.or_else(|| free(&object_name(&key, length), |name| taken.contains(name)));
            let chosen = chosen.unwrap_or_else(|| "record".into());
            taken.insert(chosen.clone());
            names.insert(key, chosen);
        }
        Collections { names, pairs }
    }
}

/// What the records of a collection are called, by the last words on the way to it.
fn object_name(key: &[String], count: usize) -> String {
    let mut all: Vec<String> = Vec::new();
    for word in &key[key.len().saturating_sub(count)..] {
        let mut inside = words(word);
        if let Some(last) = inside.last_mut() {
            *last = singular(last);
        }
        all.extend(inside);
    }
    snake(&all).unwrap_or_else(|| "record".into())
}

/// The words of a way, without its holes.
fn key(parts: &[Part]) -> Vec<String> {
    let words = parts.iter().filter_map(|part| match part {
        Part::Word(word) => Some(word.clone()),
        Part::Hole(_) => None,
    });
    words.collect()
}

/// The name itself, or with the first number that makes it one of its own.
pub(super) fn free(name: &str, taken: impl Fn(&str) -> bool) -> Option<String> {
    let numbered = (2..100_000).map(|number| format!("{name}_{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken(name))
}

/// Names for all operations; `lists` says which answer with a list.
pub(super) fn name_all<'c>(calls: &'c [Call<'_>], lists: &[bool]) -> Vec<Named> {
    let way = |(call, lists): (&'c Call<'_>, &bool)| (call.method.as_str(), call.parts.clone(), *lists);
    let ways: Vec<(&str, Vec<Part>, bool)> = calls.iter().zip(lists).map(way).collect();
    let collections = Collections::of(&ways);
    let methods: BTreeMap<String, Vec<&str>> = calls.iter().fold(BTreeMap::new(), |mut all, call| {
        all.entry(call.path.trim_end_matches('/').to_owned()).or_default().push(call.method.as_str());
        all
    });
    let mut named: Vec<Named> = Vec::new();
    let mut taken = BTreeSet::new();
    for (call, (_, parts, _)) in calls.iter().zip(&ways) {
        let beside = &methods[call.path.trim_end_matches('/')];
        let mut one = name_one(call, parts, &collections, beside);
        let full = |verb: &str| (one.object.clone(), verb.to_owned());
        if taken.contains(&full(&one.verb)) {
            let by = parts.iter().rev().find_map(|part| match part {
                Part::Hole(hole) => snake(&words(hole)),
                Part::Word(_) => None,
            });
            // Its hole says what is looked by, and stays.
            if by.is_some() {
                one.own_hole = None;
            }
            let longer = by.map(|by| format!("{}_by_{by}", one.verb)).filter(|longer| !taken.contains(&full(longer)));
            let next = longer.or_else(|| free(&one.verb, |verb| taken.contains(&full(verb))));
            one.verb = next.unwrap_or_else(|| one.verb.clone());
        }
        taken.insert((one.object.clone(), one.verb.clone()));
        named.push(one);
    }
    named
}

fn name_one(call: &Call<'_>, parts: &[Part], collections: &Collections, beside: &[&str]) -> Named {
    let found = (0..parts.len()).rev().find_map(|at| {
        matches!(parts[at], Part::Word(_)).then_some(())?;
        Some((at, collections.names.get(&key(&parts[..=at]))?.clone()))
    });
    let Some((at, object)) = found else {
        let verb = id_words(call, None)
            .or_else(|| path_words(call, parts))
            .unwrap_or_else(|| format!("{}_root", call.method.to_ascii_lowercase()));
        return Named { object: None, verb, own_hole: None, parent: None };
    };
    let holes = collections.holes(&key(&parts[..=at]), &parts[at + 1..]);
    let own_hole = match parts.get(at + holes) {
        Some(Part::Hole(hole)) if holes > 0 => Some(hole.clone()),
        _ => None,
    };
    let tail = &parts[at + 1 + holes..];
    // One hole of two says whose records are meant.
    let is_all = tail.iter().all(|part| matches!(part, Part::Hole(_)));
    let parent = parent(&parts[..at], collections, &object);
    let verb = match (is_all, own_hole.is_some()) {
        (true, false) => match call.method.as_str() {
            "GET" => "list".into(),
            "POST" => "create".into(),
            "PUT" => "replace_all".into(),
            "PATCH" => "update_all".into(),
            "DELETE" => "delete_all".into(),
            _ => "head_all".into(),
        },
        (true, true) => match call.method.as_str() {
            "GET" => "get".into(),
            "PATCH" => "update".into(),
            "PUT" if beside.contains(&"PATCH") => "replace".into(),
            "PUT" => "update".into(),
            "POST" if beside.contains(&"GET") && !beside.iter().any(|method| matches!(*method, "PUT" | "PATCH")) => {
                "update".into()
            }
            "POST" => id_words(call, Some(&object)).unwrap_or_else(|| "post".into()),
            "DELETE" => "delete".into(),
            _ => "head".into(),
        },
        (false, _) => id_words(call, Some(&object))
            .or_else(|| path_words(call, tail))
            .unwrap_or_else(|| call.method.to_ascii_lowercase()),
    };
    Named { object: Some(object), verb, own_hole, parent }
}

fn parent(before: &[Part], collections: &Collections, own: &str) -> Option<(String, String)> {
    let (at, hole) = before.iter().enumerate().rev().find_map(|(at, part)| match part {
        Part::Hole(hole) => Some((at, hole.clone())),
        Part::Word(_) => None,
    })?;
    let object = collections.names.get(&key(&before[..at]))?;
    matches!(before.get(at.checked_sub(1)?), Some(Part::Word(_))).then_some(())?;
    (object != own).then(|| (object.clone(), hole))
}

/// Verbs that mean something to the engine, and so are given by method and path alone.
const STANDARD: [&str; 6] = ["get", "list", "find", "create", "update", "delete"];

/// The operation's id, without what its object says already; none if it says too little or too much.
fn id_words(call: &Call<'_>, object: Option<&str>) -> Option<String> {
    let id = call.id?;
    // `ContactsController_findOne`, `contacts/find-one`, `createUsingPOST_1`.
    let id = id.rsplit_once("Controller").map_or(id, |(_, rest)| rest);
    let id = id.rsplit(['/', '.']).next().unwrap_or(id);
    let id = id
        .find("Using")
        .filter(|at| id[at + 5..].starts_with(|letter: char| letter.is_ascii_uppercase()))
        .map_or(id, |at| &id[..at]);
    let mut words = words(id);
    // `PostChargesChargeCapture`, as made from methods and paths.
    let made = ["Post", "Put", "Patch"].iter().any(|method| id.starts_with(method));
    if made && words.len() > 1 && words[0].eq_ignore_ascii_case(&call.method) {
        words.remove(0);
    }
    if let Some(object) = object {
        let own: Vec<String> = object.split('_').map(singular).collect();
        let kept: Vec<String> = words.iter().filter(|word| !own.contains(&singular(word))).cloned().collect();
        let small = ["by", "of", "in", "to", "for", "from", "a", "an", "the", "all", "and", "with"];
        let bare = kept.iter().all(|word| small.contains(&word.as_str()));
        let standard = kept.len() == 1 && STANDARD.contains(&kept[0].as_str());
        if !bare && !standard && !small.contains(&kept[0].as_str()) {
            words = kept;
        }
    }
    while words
        .last()
        .is_some_and(|word| ["to", "for", "from", "of", "in", "a", "an", "the", "by"].contains(&word.as_str()))
    {
        words.pop();
    }
    if words.len() > 8 || words.iter().all(|word| word.chars().all(|letter| letter.is_ascii_digit())) {
        return None;
    }
    snake(&words).filter(|name| object.is_none() || !STANDARD.contains(&name.as_str()))
}

/// A name from the method and the words of a path.
fn path_words(call: &Call<'_>, parts: &[Part]) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    for word in key(parts) {
        all.extend(words(&word));
    }
    let many = all.last().is_some_and(|last| singular(last) != *last);
    let verb = match call.method.as_str() {
        "GET" if many => Some("list"),
        "GET" => Some("get"),
        "POST" if many => Some("add"),
        "POST" => None,
        "PUT" | "PATCH" => Some("set"),
        "DELETE" => Some("remove"),
        _ => Some("head"),
    };
    all.splice(0..0, verb.map(str::to_owned));
    snake(&all).filter(|name| !STANDARD.contains(&name.as_str()))
}
