//! Documents that were damaged: whatever is read, nothing panics, it ends, and each finding stands in its file.
//!
//! The documents of the repository are damaged by numbers from a seed. `SEED=N cargo test mutations::` begins with
//! another one, and `RUNS=N` says how many follow; a failure names its own.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use dovetail::connector::import::{Options, import};
use dovetail::project::{Loaded, Text, read};
use dovetail::source::{File, render_text};
use serde_json::Value;

use crate::cases::import;
use crate::cases::project_files;
use crate::stage::random::{self, Random};

const SEED: u64 = 20_261_124;
const RUNS: u64 = 1_000;
/// Unoptimised; the worst that is known takes a tenth of it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// What turns a document into another one that still looks like one.
const TOKENS: &[&str] = &[
    "\n",
    "\n  ",
    "\n- ",
    "\t",
    " ",
    ": ",
    ":",
    "- ",
    "? ",
    "#",
    " #",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "!t ",
    "<<: ",
    "---\n",
    "...\n",
    "%",
    "@",
    "`",
    "\"",
    "'",
    "\\",
    "[",
    "]",
    "{",
    "}",
    "{{",
    "}}",
    "{{#if ",
    "{{/if}}",
    "{{else}}",
    "{{#each ",
    "(",
    ")",
    ",",
    "$",
    "$.",
    "$..",
    "$[",
    "[?",
    "@.",
    "[*]",
    "[-1]",
    "[0:1]",
    "..*",
    "&&",
    "||",
    "==",
    "match(",
    "$script: ",
    "$literal: ",
    "$each: ",
    "$to: ",
    "$from: ",
    "$first: ",
    "$map: ",
    "$add: ",
    "$as: ",
    "if: ",
    "then: ",
    "else: ",
    "for_each: ",
    "parallel: ",
    "switch: ",
    "cases: ",
    "default: ",
    "wait: ",
    "until: ",
    "on_error: ",
    "only_if: ",
    "with: ",
    "upsert: ",
    "call: ",
    "set: ",
    "id: ",
    "uses: ",
    "secrets",
    "null",
    "~",
    "true",
    "yes",
    "0",
    "-1",
    "1e400",
    ".inf",
    "99999999999999999999",
    "9999999999d",
    "0 0 31 2 *",
    "*/0",
    "Europe/London",
    "\u{feff}",
    "\u{0}",
    "\u{2028}",
    "\u{202e}",
    "é",
    "名",
    "😀",
    "\r",
    "\r\n",
    "..",
    "/",
    "/{id}",
    "GET /",
    "POST",
    "https://",
    "$ref: ",
    "\"#/\"",
    "type: object",
    "type: 5",
];

/// A project, of which one document is damaged.
struct Subject {
    texts: Vec<Text>,
    shipped: Vec<Text>,
    /// Which of `texts`.
    damaged: usize,
}

fn subjects() -> Vec<Subject> {
    let file = |path: String| {
        let text = std::fs::read_to_string(project_files::root().join(&path)).unwrap();
        Text { path, text }
    };
    let names = |folder: &str| {
        let paths = project_files::yaml_files(folder).into_iter();
        let names = paths.map(|path| format!("{folder}/{}", path.file_name().unwrap().to_string_lossy()));
        names.filter(|name| !name.ends_with(".sandbox.yaml")).collect::<Vec<_>>()
    };
    let mut projects: Vec<Vec<Text>> = Vec::new();
    for name in names("workflows") {
        projects.push(vec![file(name), file("dovetail.yaml".into())]);
    }
    for name in names("connectors") {
        projects.push([vec![file(name)], project_files::standard()].concat());
    }
    for path in project_files::yaml_files("tests/cases/check") {
        let case: Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut texts = Vec::new();
        for (path, text) in case["files"].as_object().unwrap() {
            texts.extend(text.as_str().map(|text| Text { path: path.clone(), text: text.to_owned() }));
        }
        if !texts.iter().any(|text| text.path == "dovetail.yaml") {
            texts.extend(project_files::standard());
        }
        projects.push(texts);
    }
    let shipped = project_files::shipped();
    let with = |texts: Vec<Text>| {
        // Large connectors take most of the time: only those that are used.
        let used = |connector: &&Text| {
            let name = connector.path.rsplit('/').next().unwrap().trim_end_matches(".yaml");
            texts.iter().any(|text| text.path.starts_with("workflows") && text.text.contains(&format!(": {name}")))
        };
        let shipped: Vec<Text> = shipped.iter().filter(used).cloned().collect();
        (0..texts.len()).map(move |damaged| Subject { texts: texts.clone(), shipped: shipped.clone(), damaged })
    };
    projects.into_iter().flat_map(with).collect()
}

/// One to four injuries.
fn damage(text: &str, random: &mut Random) -> String {
    let mut text = text.to_owned();
    for _ in 0..=random.below(4) {
        text = match random.below(4) {
            0 => bytes(&text, random),
            1 => lines(&text, random),
            _ => token(&text, random),
        };
    }
    text
}

fn place(text: &str, random: &mut Random) -> usize {
    text.floor_char_boundary(random.below(text.len() as u64 + 1) as usize)
}

/// Bits of a byte are turned; what is no UTF-8 then would be all that is told, so it becomes a mark of another kind.
fn bytes(text: &str, random: &mut Random) -> String {
    let mut bytes = text.as_bytes().to_vec();
    if !bytes.is_empty() {
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
    }
    String::from_utf8_lossy(&bytes).replace(char::REPLACEMENT_CHARACTER, "?")
}

/// A line goes, comes twice, changes places with another, or is indented otherwise.
fn lines(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if lines.is_empty() {
        return String::new();
    }
    let [at, other] = [0; 2].map(|_| random.below(lines.len() as u64) as usize);
    match random.below(5) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines.swap(at, other),
        3 => lines[at].insert_str(0, &" ".repeat(1 + random.below(4) as usize)),
        _ => lines[at] = lines[at].replacen(' ', "", 1 + random.below(4) as usize),
    }
    lines.concat()
}

/// A token is put in, in the place of some bytes or between them, once or over and over; or a piece of the text itself is.
fn token(text: &str, random: &mut Random) -> String {
    let start = place(text, random);
    let end = text.floor_char_boundary(start + random.below(8) as usize).max(start);
    let times = if random.below(20) == 0 { 200 } else { 1 };
    let token = match random.below(4) {
        0 => {
            let from = place(text, random);
            &text[from..text.floor_char_boundary(from + random.below(60) as usize).max(from)]
        }
        _ => TOKENS[random.below(TOKENS.len() as u64) as usize],
    };
    format!("{}{}{}", &text[..start], token.repeat(times), &text[end..])
}

/// What is wrong with how a project is read.
fn wrong(texts: &[Text], shipped: &[Text]) -> Option<String> {
    let start = Instant::now();
    let Ok(Loaded { files, report, plan, .. }) = catch_unwind(|| read(texts, shipped, None)) else {
        return Some("it panics".into());
    };
    if start.elapsed() > TIME_MAX {
        return Some(format!("it takes {:?}", start.elapsed()));
    }
    if plan.is_some() == report.has_errors() {
        return Some(format!("an error and a plan, or none: {report:?}"));
    }
    for found in &report.diagnostics {
        for label in found.primary.iter().chain(&found.related) {
            let file = files.iter().find(|file| *file.path == label.path);
            if file.is_none_or(|file| file.text.get(label.span.start..label.span.end).is_none()) {
                return Some(format!("a finding stands nowhere: {found:?}"));
            }
        }
    }
    let files: Vec<&File> = files.iter().collect();
    catch_unwind(|| render_text(&report, &files, true)).is_err().then(|| format!("it cannot be told: {report:?}"))
}

/// What is wrong with how an OpenAPI document is imported.
fn wrong_import(text: &str) -> Option<String> {
    let start = Instant::now();
    let options = Options { source: "damaged.yaml".into(), ..Options::default() };
    let Ok(result) = catch_unwind(|| import(text, &options)) else { return Some("it panics".into()) };
    if start.elapsed() > TIME_MAX {
        return Some(format!("it takes {:?}", start.elapsed()));
    }
    let imported = result.ok()?;
    let findings = import::findings(&imported.name, &imported.text, None);
    (!findings.is_empty()).then(|| format!("its connector has findings:\n{findings}"))
}

#[test]
fn damaged_openapi_documents_are_imported_or_refused() {
    let folder = project_files::root().join("tests/cases/import");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let documents = ["document.yaml", "document.json"];
    let files = paths.iter().flat_map(|path| documents.map(|name| path.join(name))).filter(|path| path.is_file());
    let texts: Vec<String> = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() > 5, "documents are gone: there are {}", texts.len());
    let runs = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let first = random::given().unwrap_or(SEED);
    let run = |seed: u64| {
        let mut random = Random::of(seed);
        let text = damage(&texts[random.below(texts.len() as u64) as usize], &mut random);
        wrong_import(&text).map(|wrong| format!("SEED={seed} RUNS=1: {wrong}\n{text:?}"))
    };
    let wrong: Vec<String> = (first..first + runs).filter_map(run).take(5).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn damaged_documents_are_read_or_refused() {
    let subjects = subjects();
    assert!(subjects.len() > 100, "documents are gone: there are {}", subjects.len());
    let runs = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    let first = random::given().unwrap_or(SEED);
    let run = |seed: u64| {
        let mut random = Random::of(seed);
        let subject = &subjects[random.below(subjects.len() as u64) as usize];
        let mut texts = subject.texts.clone();
        let text = &mut texts[subject.damaged];
        text.text = damage(&text.text, &mut random);
        let wrong = wrong(&texts, &subject.shipped);
        let Text { path, text } = &texts[subject.damaged];
        wrong.map(|wrong| format!("SEED={seed} RUNS=1: {wrong}\n{path}: {text:?}"))
    };
    // Two halves side by side.
    let half = |seeds: std::ops::Range<u64>| seeds.filter_map(run).take(5).collect::<Vec<_>>();
    let middle = first + runs.div_ceil(2);
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(middle..first + runs));
        let mut wrong = half(first..middle);
        wrong.extend(other.join().unwrap());
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
