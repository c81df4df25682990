//! Console transcripts: what commands say, on both voices, and their exit codes.
//!
//! A case is a Markdown file in `tests/cases/cli`, carried out from top to bottom in a folder of its own. A block
//! ` ```yaml PATH ` (any language) writes a file; in a block ` ```console `, `$ dovetail …` is a command, what follows is
//! its stdout, lines after `! ` are its stderr, and `? N` is an exit code that is not 0. Ids, times and paths are masked.
//! `DOVETAIL_ACCEPT=1 cargo test cli::` rewrites the expectations.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use rayon::prelude::*;
use regex::Regex;

#[test]
fn transcripts() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cli");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(cases).expect("the cases").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let wrong = paths.into_par_iter().filter_map(|path| {
        let expected = std::fs::read_to_string(&path).expect("a case");
        let actual = carry_out(&expected, &path);
        if std::env::var_os("DOVETAIL_ACCEPT").is_some() {
            std::fs::write(&path, actual).expect("rewritten");
            return None;
        }
        (expected != actual).then(|| format!("{}:\n{}", path.display(), difference(&expected, &actual)))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}\nDOVETAIL_ACCEPT=1 rewrites the expectations", wrong.join("\n"));
}

/// While another process has the store, looking is allowed and changing is refused, with what to do.
#[test]
fn a_store_in_use() {
    let folder = fresh("in-use");
    std::fs::write(folder.join("dovetail.yaml"), PROJECT).expect("written");
    std::fs::create_dir(folder.join("workflows")).expect("made");
    let fails = "workflow: fails\ntrigger: { manual: }\nactions: [{ fail: no }]\n";
    std::fs::write(folder.join("workflows/fails.yaml"), fails).expect("written");
    let said = |command: &str| transcript(&run(command, &folder), &folder);
    assert!(said("dovetail run fails").ends_with("? 1\n"));
    let held = dovetail::store::Store::open(&folder.join(".dovetail")).expect("the store");
    assert!(said("dovetail runs list").contains("in all: 1 failed"));
    let refused = "! error: the data folder ./.dovetail is in use by another process, most likely a `dovetail serve` of this \
                   project: stop it first, or say `--data DIR` for another folder\n? 4\n";
    assert_eq!(said("dovetail dead retry 1"), refused);
    assert_eq!(said("dovetail runs retry 1"), refused);
    let serve = said("DOVETAIL_SECRET_SET=1 dovetail serve --listen 0.0.0.0:0");
    let warned = "! warning: 0.0.0.0:[PORT] can be reached from other computers, without TLS: put a proxy that speaks HTTPS \
                  before it\n";
    assert_eq!(serve, format!("{warned}{refused}"));
    drop(held);
    std::fs::remove_dir_all(folder).expect("removed");
}

/// Without a project, `schema` prints what the repository keeps in `schemas/`.
#[test]
fn plain_schemas_are_printed() {
    let folder = fresh("schema");
    for kind in ["workflow", "connector", "sync", "test", "project"] {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{kind}.schema.json"));
        let printed = run(&format!("dovetail schema {kind}"), &folder).stdout;
        assert!(printed == std::fs::read(&kept).expect("a schema"), "{kind} is not {}", kept.display());
    }
    assert_eq!(run("dovetail schema", &folder).stdout, run("dovetail schema workflow", &folder).stdout);
    std::fs::remove_dir_all(folder).expect("removed");
}

const PROJECT: &str = "\
project: shop
connections:
  ghl: { connector: gohighlevel, auth: token, location_id: abc, token: $.secrets.set }
  people:
    connector: opinion-stage-contacts
    base_url: https://example.com
    account: example
    token: $.secrets.people_token
    webhook_secret: $.secrets.people_hook
";

/// Where another program listens, `serve` says so.
#[test]
fn an_address_in_use() {
    let folder = fresh("address");
    std::fs::write(folder.join("dovetail.yaml"), "project: shop\n").expect("written");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let said = transcript(&run(&format!("dovetail serve --listen {address}"), &folder), &folder);
    assert!(
        said.starts_with(&format!("! error: cannot listen on {address}: is another program at this address?")),
        "{said}"
    );
    assert!(said.ends_with("? 1\n"), "{said}");
    let said = transcript(&run("dovetail serve --listen here", &folder), &folder);
    assert!(said.contains("invalid value 'here' for '--listen <ADDR>'") && said.ends_with("? 2\n"), "{said}");
    std::fs::remove_dir_all(folder).expect("removed");
}

/// The document with what its commands say now.
fn carry_out(document: &str, path: &Path) -> String {
    let folder = fresh(&path.file_stem().expect("a name").to_string_lossy());
    let mut told = String::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        told.push_str(&format!("{line}\n"));
        let Some(block) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match block.split_once(' ') {
            Some((_, file)) => {
                let file = folder.join(file);
                std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
                std::fs::write(file, format!("{}\n", body.join("\n"))).expect("written");
                told.extend(body.iter().map(|line| format!("{line}\n")));
            }
            None => {
                for command in body.iter().filter_map(|line| line.strip_prefix("$ ")) {
                    told.push_str(&format!("$ {command}\n{}", transcript(&run(command, &folder), &folder)));
                }
            }
        }
        told.push_str("```\n");
    }
    std::fs::remove_dir_all(folder).expect("removed");
    told
}

fn transcript(output: &Output, folder: &Path) -> String {
    let mut told = masked(&String::from_utf8_lossy(&output.stdout), folder);
    for line in masked(&String::from_utf8_lossy(&output.stderr), folder).lines() {
        told.push_str(&format!("! {line}\n").replace("! \n", "!\n"));
    }
    match output.status.code() {
        Some(0) => {}
        code => told.push_str(&format!("? {}\n", code.map_or("killed".into(), |code| code.to_string()))),
    }
    told
}

/// `NAME=value dovetail words 'a word'`
fn run(command: &str, folder: &Path) -> Output {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"'([^']*)'|(\S+)"#).expect("a pattern"));
    let words =
        WORDS.captures_iter(command).map(|found| found.iter().skip(1).flatten().next().expect("a word").as_str());
    let (mut command, mut named) = (Command::new(env!("CARGO_BIN_EXE_dovetail")), false);
    command.current_dir(folder).env_clear().env("USER", "ada").env("NO_COLOR", "1");
    // Several run at once, and would all listen at one address.
    command.env("DOVETAIL_DASHBOARD", "off");
    for word in words {
        match word.split_once('=') {
            Some((name, value)) if !named => drop(command.env(name, value)),
            _ if !named => named = word == "dovetail",
            _ => drop(command.arg(word)),
        }
    }
    assert!(named, "no `dovetail` in the command");
    command.output().expect("the program starts")
}

/// What differs each time, and what is written in its place.
static MASKS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let masks = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[ID]"),
        (r"\b[0-9a-f]{64}\b", "[HASH]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?", "[TIME]"),
        (r"\d{4}-\d\d-\d\d \(UTC\)", "[DAY]"),
        (r"\d\d:\d\d:\d\d\.\d{3}", "[CLOCK]"),
        (r#""time_ms": \d+"#, r#""time_ms": [MS]"#),
        (r"in \d+(\.\d)? s\b", "in [SPAN]"),
        (r#""bytes": \d+"#, r#""bytes": [SIZE]"#),
        (r"dovetail_(\d+)_[A-Za-z0-9_-]{43}", "dovetail_${1}_[SECRET]"),
        (r"0\.0\.0\.0:\d+", "0.0.0.0:[PORT]"),
    ];
    masks.map(|(pattern, mask)| (Regex::new(pattern).expect("a pattern"), mask)).into()
});

fn masked(text: &str, folder: &Path) -> String {
    let text = text.replace(&*folder.to_string_lossy(), "[DIR]");
    MASKS.iter().fold(text, |text, (pattern, mask)| pattern.replace_all(&text, *mask).into_owned())
}

fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let same = expected.iter().zip(&actual).take_while(|(one, other)| one == other).count();
    let shown = |lines: &[&str], mark: &str| {
        lines.iter().skip(same).take(12).map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    format!("  from line {}\n{}{}", same + 1, shown(&expected, "-"), shown(&actual, "+"))
}

fn fresh(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("dovetail-cli-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    folder.canonicalize().expect("there")
}
