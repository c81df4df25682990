//! What we build on: allowed licences, no git sources, no banned crates, and the crates of the card.
//!
//! Asks `cargo metadata` about the lock file, offline, for each platform that we build for; dev-dependencies count too.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// (crate, licence): allowed for this one alone, and why is told in `docs/decisions/scripts.md`.
const EXCEPTIONS: [(&str, &str); 1] = [("smartstring", "MPL-2.0+")];

/// SPDX identifiers that anything we build on may have.
const ALLOWED: [&str; 10] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
];

/// A second TLS or crypto library, an abandoned parser, a second SQLite, and timing attacks on RSA.
const BANNED: [&str; 6] = ["openssl-sys", "aws-lc-sys", "native-tls", "serde_yml", "sqlx", "rsa"];

/// What the program is made of, by its name in Cargo.toml.
const CARD: [&str; 8] = ["serde", "serde_yaml", "tokio", "reqwest", "handlebars", "jsonpath-rust", "cron", "tracing"];

/// What the program is built for. Crates that only other platforms need are never part of it.
const PLATFORMS: [&str; 7] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn metadata() -> Value {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let ask = |offline: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(["metadata", "--format-version", "1", "--locked", "--manifest-path"]).arg(&manifest);
        for platform in PLATFORMS {
            command.args(["--filter-platform", platform]);
        }
        command.args(offline).output().expect("cargo can be run")
    };
    // A build downloads only what its own target needs; the rest is asked for when it is not there.
    let mut answer = ask(&["--offline"]);
    if !answer.status.success() {
        answer = ask(&[]);
    }
    assert!(answer.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&answer.stderr));
    serde_json::from_slice(&answer.stdout).expect("metadata is JSON")
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    packages.iter().filter(|package| package["name"] != "dovetail")
}

fn is_exception(package: &Value) -> bool {
    EXCEPTIONS.contains(&(text(package, "name"), text(package, "license")))
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

#[test]
fn everything_that_we_build_on_is_allowed() {
    let metadata = metadata();
    let mut violations = Vec::new();
    for package in packages(&metadata) {
        let name = format!("{} {}", text(package, "name"), text(package, "version"));
        match Licence::parse(text(package, "license")) {
            None => violations.push(format!("{name}: no licence that can be read: {}", package["license"])),
            Some(licence) if !licence.is_allowed() && !is_exception(package) => {
                violations.push(format!("{name}: {}", text(package, "license")));
            }
            Some(_) => {}
        }
        if text(package, "source") != REGISTRY {
            violations.push(format!("{name}: not from crates.io but {}", package["source"]));
        }
        if BANNED.contains(&text(package, "name")) {
            violations.push(format!("{name}: banned"));
        }
    }
    assert!(violations.is_empty(), "not allowed:\n  {}\n", violations.join("\n  "));
}

#[test]
fn the_crates_of_the_card_are_direct_dependencies() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    let own = packages.iter().find(|package| package["name"] == "dovetail").expect("metadata knows this package");
    let dependencies = own["dependencies"].as_array().expect("a package lists its dependencies");
    let named = |dependency: &Value| dependency["rename"].as_str().unwrap_or(text(dependency, "name")).to_string();
    let direct: BTreeSet<String> =
        dependencies.iter().filter(|dependency| dependency["kind"].is_null()).map(named).collect();
    let missing: Vec<&str> = CARD.into_iter().filter(|name| !direct.contains(*name)).collect();
    assert!(missing.is_empty(), "no direct dependencies: {missing:?}");
}

/// An SPDX expression: `MIT OR (Apache-2.0 WITH LLVM-exception AND ISC)`. Older crates write `MIT/Apache-2.0`.
#[derive(Debug, PartialEq)]
enum Licence {
    /// With an exception it permits more, never less.
    Id(String),
    /// We take the one that we may.
    Or(Box<Licence>, Box<Licence>),
    /// All hold.
    And(Box<Licence>, Box<Licence>),
}

impl Licence {
    fn parse(text: &str) -> Option<Licence> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
        let licence = Licence::any(&mut words)?;
        words.is_empty().then_some(licence)
    }

    /// `OR` binds loosest. `words` are in reverse, so that the next one is the last.
    fn any(words: &mut Vec<&str>) -> Option<Licence> {
        let mut licence = Licence::all(words)?;
        while words.last() == Some(&"OR") {
            words.pop();
            licence = Licence::Or(Box::new(licence), Box::new(Licence::all(words)?));
        }
        Some(licence)
    }

    fn all(words: &mut Vec<&str>) -> Option<Licence> {
        let mut licence = Licence::one(words)?;
        while words.last() == Some(&"AND") {
            words.pop();
            licence = Licence::And(Box::new(licence), Box::new(Licence::one(words)?));
        }
        Some(licence)
    }

    fn one(words: &mut Vec<&str>) -> Option<Licence> {
        match words.pop()? {
            "(" => {
                let licence = Licence::any(words)?;
                (words.pop()? == ")").then_some(licence)
            }
            ")" | "OR" | "AND" | "WITH" => None,
            id => {
                if words.last() == Some(&"WITH") {
                    words.pop();
                    words.pop()?;
                }
                Some(Licence::Id(id.to_string()))
            }
        }
    }

    fn is_allowed(&self) -> bool {
        match self {
            Licence::Id(id) => ALLOWED.contains(&id.as_str()),
            Licence::Or(one, other) => one.is_allowed() || other.is_allowed(),
            Licence::And(one, other) => one.is_allowed() && other.is_allowed(),
        }
    }
}

#[test]
fn expressions_are_read_as_spdx_says() {
    let allowed = |text: &str| Licence::parse(text).map(|licence| licence.is_allowed());
    assert_eq!(allowed("MIT"), Some(true));
    assert_eq!(allowed("GPL-3.0-only"), Some(false));
    assert_eq!(allowed("MIT/GPL-3.0-only"), Some(true));
    assert_eq!(allowed("MIT OR GPL-3.0-only AND ISC"), Some(true), "AND binds closer");
    assert_eq!(allowed("(MIT OR GPL-3.0-only) AND MPL-2.0"), Some(false));
    assert_eq!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"), Some(true));
    assert_eq!(allowed("Apache-2.0 WITH LLVM-exception"), Some(true));
    assert_eq!(allowed("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only"), Some(true));
    for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT ISC", "WITH MIT"] {
        assert_eq!(allowed(broken), None, "`{broken}`");
    }
}
