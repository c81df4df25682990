//! The rules of the house: imports follow the order of ARCHITECTURE.md, headers exist, names of vendors stay in data,
//! schemas are fresh. A rule is said once, here, so that no reviewer has to.
//!
//! `DOVETAIL_ACCEPT=1 cargo test tidy::` writes the schemas anew.

mod code;
mod codes;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use code::{Source, sources, walk};

/// No file in `src/` is longer.
const LINES_MAX: usize = 600;

/// The rooms in the order of ARCHITECTURE.md, each with its charter.
fn rooms() -> Vec<(String, String)> {
    let text = read("ARCHITECTURE.md");
    let row = Regex::new(r"(?m)^\| `([a-z]+)/` \| ([^|]+) \|").expect("a good pattern");
    let rooms: Vec<(String, String)> =
        row.captures_iter(&text).map(|row| (row[1].to_string(), row[2].trim().to_string())).collect();
    assert!(rooms.len() > 10, "the table of rooms in ARCHITECTURE.md cannot be read");
    rooms
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below a folder of the repository, as paths relative to it.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.iter().map(|path| relative(path)).collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/")
}

/// Fails with all violations at once.
fn none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}\n  {}\n", violations.join("\n  "));
}

/// `path:line: what`
fn at(source: &Source, byte: usize, what: &str) -> String {
    let line = source.text[..byte].matches('\n').count() + 1;
    format!("{}:{line}: {what}", source.path)
}

#[test]
fn a_room_imports_only_rooms_listed_before_it() {
    let order: Vec<String> = rooms().into_iter().map(|(name, _)| name).collect();
    let place = |room: &str| order.iter().position(|name| name == room);
    let path = Regex::new(r"\bcrate::(?:\{([^;]*?)\}|(\w+))").expect("a good pattern");
    let up = Regex::new(r"\b(?:super::)+").expect("a good pattern");
    let mut violations = Vec::new();
    for source in sources(root()) {
        let Some(own) = source.room() else { continue };
        let Some(own_place) = place(own) else {
            violations.push(format!("src/{own}/: not in the table"));
            continue;
        };
        for found in path.captures_iter(&source.bare_with_tests) {
            let whole = found.get(0).expect("it matched");
            let names: Vec<&str> = match (found.get(1), found.get(2)) {
                (Some(group), _) => group.as_str().split(',').map(|part| first_word(part.trim())).collect(),
                (None, Some(name)) => vec![name.as_str()],
                (None, None) => Vec::new(),
            };
            for name in names.into_iter().filter(|name| !name.is_empty()) {
                if place(name).is_none_or(|other| other > own_place) {
                    violations.push(at(&source, whole.start(), &format!("`{own}` imports `{name}`")));
                }
            }
        }
        // A way around `crate::`: more `super` than there are folders.
        let depth = source.path.matches('/').count() - usize::from(source.path.ends_with("/mod.rs"));
        for found in up.find_iter(&source.bare) {
            if found.as_str().matches("super").count() > depth {
                violations.push(at(&source, found.start(), "`super` leads out of the room: write `crate::…`"));
            }
        }
    }
    none("a room imports only rooms listed before it in ARCHITECTURE.md:", &violations);
}

fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

#[test]
fn the_table_of_rooms_is_true() {
    let table: BTreeSet<String> = rooms().into_iter().map(|(name, _)| name).collect();
    let folders: BTreeSet<String> =
        sources(root()).iter().filter_map(|source| source.room().map(String::from)).collect();
    let mut violations: Vec<String> =
        table.symmetric_difference(&folders).map(|room| format!("`{room}` is only in one of table and src/")).collect();
    for (room, charter) in rooms().iter().filter(|(room, _)| folders.contains(room)) {
        let text = read(&format!("src/{room}/mod.rs"));
        let first = text.lines().next().unwrap_or_default().trim_start_matches("//! ");
        if first != charter {
            violations.push(format!("src/{room}/mod.rs begins with `{first}`, the table says `{charter}`"));
        }
    }
    none("ARCHITECTURE.md lists every room, with the first line of its mod.rs:", &violations);
}

#[test]
fn every_file_says_what_it_is() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(|folder| files(folder, "rs"));
    let bare: Vec<String> = all.filter(|path| !read(path).starts_with("//!")).collect();
    none("a file opens with `//!` and what it is:", &bare);
}

#[test]
fn files_stay_readable() {
    let sources = sources(root());
    let count = |source: &Source| source.text.lines().count();
    let long: Vec<String> = sources
        .iter()
        .filter(|source| count(source) > LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, count(source)))
        .collect();
    none("past 600 lines, look for the second noun:", &long);
}

/// Vendors are data. Doc comments and tests may name them as examples; code may not, except where shipped files are
/// listed and in the demo.
#[test]
fn code_names_no_vendor() {
    let vendors = "gohighlevel|highlevel|ghl|leadconnector|opinion[-_ ]?stage|opinionstage|hubspot|slack|salesforce|\
                   pipedrive|mailchimp|activecampaign|typeform|stripe|twilio|zapier|shopify|intercom|zendesk";
    let vendor = Regex::new(&format!("(?i)(?:^|[^a-z])({vendors})(?:[^a-z]|$)")).expect("a good pattern");
    let mut violations = Vec::new();
    for source in sources(root()) {
        if source.path == "src/cli/shipped.rs" || source.path.starts_with("src/cli/demo") {
            continue;
        }
        for found in vendor.captures_iter(&source.code) {
            let name = found.get(1).expect("it matched");
            violations.push(at(&source, name.start(), &format!("`{}`", name.as_str())));
        }
    }
    none("a vendor is a file in connectors/, never a word in code:", &violations);
}

#[test]
fn the_mind_is_pure() {
    let order: Vec<String> = rooms().into_iter().map(|(name, _)| name).collect();
    let last = order.iter().position(|room| room == "run").expect("`run` is a room");
    let impure = r"\bstd::(?:fs|net|env|process|thread)\b|\bstd::\{[^;]*\b(?:fs|net|env|process|thread)\b|\btokio\b|\
                   \breqwest\b|\brusqlite\b|\bSystemTime::now\b|\bInstant::now\b|\b(?:Utc|Local)::now\b|\brand::|\
                   \bgetrandom\b|\bnow_v7\b|\bnew_v4\b|\basync fn\b";
    let impure = Regex::new(impure).expect("a good pattern");
    let mut violations = Vec::new();
    for source in sources(root()) {
        if source.room().is_some_and(|room| order[..=last].iter().any(|name| name == room)) {
            for found in impure.find_iter(&source.bare) {
                violations.push(at(&source, found.start(), &format!("`{}`", found.as_str())));
            }
        }
    }
    none("up to `run`, a room knows no files, sockets, clock, randomness or async:", &violations);
}

#[test]
fn one_room_speaks_sql_and_one_sends() {
    let mut violations = Vec::new();
    for source in sources(root()) {
        for (word, room) in [("rusqlite", "store"), ("reqwest", "http")] {
            if source.room() == Some(room) {
                continue;
            }
            for (byte, _) in source.bare.match_indices(word) {
                violations.push(at(&source, byte, &format!("`{word}` outside of `{room}`")));
            }
        }
    }
    none("only `store` speaks SQL, only `http` sends:", &violations);
}

/// A file that nobody names is built into nothing, and its tests never run.
#[test]
fn every_file_of_tests_is_a_part_of_the_program() {
    let is_there = |path: &String| root().join(path).exists();
    let left_out = files("tests", "rs").into_iter().filter(|path| path != "tests/all.rs").filter(|path| {
        let part = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
        let (folder, name) = part.rsplit_once('/').expect("below tests/");
        let parents = match folder {
            "tests" => vec!["tests/all.rs".to_owned()],
            _ => vec![format!("{folder}.rs"), format!("{folder}/mod.rs")],
        };
        let declared = format!("mod {name};");
        !parents.iter().filter(|parent| is_there(parent)).any(|parent| read(parent).contains(&declared))
    });
    none("a file of tests/ is a module of tests/all.rs:", &left_out.collect::<Vec<_>>());
}

#[test]
fn every_connector_is_shipped() {
    let shipped = read("src/cli/shipped.rs");
    let missing: Vec<String> =
        files("connectors", "yaml").into_iter().filter(|path| !shipped.contains(&format!("\"{path}\""))).collect();
    none("a connector is listed in src/cli/shipped.rs:", &missing);
}

#[test]
fn every_document_is_bound_to_its_schema() {
    let documents = files("connectors", "yaml").into_iter().chain(files("workflows", "yaml"));
    let kind = Regex::new(r"(?m)^([a-z]+):").expect("a good pattern");
    let mut violations = Vec::new();
    for path in documents.chain(["dovetail.yaml".to_string()]) {
        let text = read(&path);
        let Some(kind) = kind.captures(&text).map(|found| found[1].to_string()) else { continue };
        let up = "../".repeat(path.matches('/').count());
        let wanted = format!("# yaml-language-server: $schema={up}schemas/{kind}.schema.json");
        let bound = text.lines().next() == Some(&wanted);
        // Data beside the documents, such as fixtures and pretend vendors, has a kind of its own or none.
        let known = ["connector", "workflow", "sync", "test", "project"].contains(&kind.as_str());
        if known && !bound {
            violations.push(format!("{path}: {wanted}"));
        }
    }
    none("the first line binds the editor to the schema:", &violations);
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let raised = codes::raised(&sources(root()));
    let names =
        files("docs/errors", "md").into_iter().map(|path| path["docs/errors/".len()..path.len() - 3].to_string());
    let pages: BTreeSet<String> = names.filter(|name| name != "README").collect();
    let without_page = raised.iter().filter(|(code, _)| !pages.contains(*code));
    let mut violations: Vec<String> =
        without_page.map(|(code, path)| format!("`{code}` ({path}) has no page")).collect();
    let without_code = pages.iter().filter(|page| !raised.contains_key(*page));
    violations.extend(without_code.map(|page| format!("docs/errors/{page}.md: nothing raises it")));
    none("a code has a page docs/errors/CODE.md, and the other way round:", &violations);
}

#[test]
fn codes_are_found() {
    let raised = codes::raised(&sources(root()));
    for code in ["unknown-operation", "no-verb", "bad-template", "bad-yaml", "unknown-object", "missing-key", "too-big"]
    {
        assert!(raised.contains_key(code), "`{code}` is raised, and was not found: {:?}", raised.keys());
    }
}

/// The repository tells nothing about the machines and tools that it was written with.
#[test]
fn nothing_of_our_machines_is_told() {
    let paths = ["/ho|me/", "/Us|ers/", "/ro|ot/", "/wo|rk/"];
    let words = ["gener|ated by", "gener|ated with", "co-auth|ored-by"];
    let tools = ["cla|ude", "anth|ropic", "chat|gpt", "open|ai", "cop|ilot", "co|dex", "gem|ini"];
    let whole = |words: &[&str]| words.iter().map(|word| word.replace('|', "")).collect::<Vec<_>>();
    let (paths, words) = (whole(&paths), whole(&[&words[..], &tools[..]].concat()));
    let mut violations = Vec::new();
    for path in tracked() {
        if path.ends_with("Cargo.lock") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for (index, line) in text.lines().enumerate() {
            let small = line.to_lowercase();
            let found = paths.iter().filter(|path| line.contains(*path));
            for needle in found.chain(words.iter().filter(|word| small.contains(*word))) {
                violations.push(format!("{}:{}: `{needle}`", relative(&path), index + 1));
            }
        }
    }
    none("a file holds no path of a machine and no name of a tool:", &violations);
}

/// The files of the repository: those that git knows, else all but what is built.
fn tracked() -> Vec<PathBuf> {
    let listed = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    if let Ok(listed) = listed
        && listed.status.success()
    {
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        return names.split('\0').filter(|name| !name.is_empty()).map(|name| root().join(name)).collect();
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root()).expect("the root is readable") {
        let path = entry.expect("the root is readable").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() {
            found.push(path);
        } else if !["target", ".git", ".dovetail"].contains(&name.as_str()) {
            walk(&path, &mut found);
        }
    }
    found
}

#[test]
fn schemas_are_fresh() {
    let schemas: [(&str, Value); 5] = [
        ("connector", dovetail::connector::schema()),
        ("workflow", dovetail::workflow::schema()),
        ("sync", dovetail::sync::schema()),
        ("test", dovetail::project::test_schema()),
        ("project", dovetail::project::schema()),
    ];
    let accept = std::env::var_os("DOVETAIL_ACCEPT").is_some_and(|accept| accept == "1");
    let mut stale = Vec::new();
    for (kind, schema) in schemas {
        let path = format!("schemas/{kind}.schema.json");
        let fresh = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        if accept {
            std::fs::create_dir_all(root().join("schemas")).expect("the folder can be made");
            std::fs::write(root().join(&path), fresh).expect("the schema can be written");
        } else if std::fs::read_to_string(root().join(&path)).ok() != Some(fresh) {
            stale.push(path);
        }
    }
    none("the schemas follow the types; `just schemas` writes them anew:", &stale);
}
