//! README.md, `docs/guides/` and `docs/reference/`: every example in YAML is checked.
//!
//! The examples of a page stand together in the project that `dovetail init` writes. One whose first key names a kind is
//! a whole document. Before any other a comment says what it is, as in the pages of errors: `<!-- in: PART -->`, a part of
//! a document, see [`crate::around`]. Further comments: `<!-- file: PATH -->`, where the document stands; `<!-- alone -->`,
//! without the page's other examples; `<!-- not checked: REASON -->`.

use std::path::PathBuf;

use dovetail::project::{self, Text};
use dovetail::source::Severity;
use regex::Regex;

use crate::cases::project_files::{root, shipped};
use crate::docs::around::around;
use crate::docs::errors::told;

pub fn every_example_has_no_error() {
    let shipped = shipped();
    let mut wrong = Vec::new();
    for path in pages() {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        let page = std::fs::read_to_string(&path).expect("a page can be read");
        let examples = match examples(&page) {
            Ok(examples) => examples,
            Err(message) => {
                wrong.push(format!("{name}:{message}"));
                continue;
            }
        };
        for together in projects(examples) {
            let loaded = project::read(&together, &shipped, None);
            if loaded.report.count(Severity::Error) > 0 {
                wrong.push(format!("{name}: the examples give\n{}", told(&loaded)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What the rules above make of a page.
pub fn examples_are_found() {
    let page = "<!-- in: actions -->\n\n```yaml\n- stop: done\n```\n\n1. First:\n\n   ```yaml\n   workflow: b\n   ```\n\n\
                <!-- alone -->\n<!-- file: connectors/x.yaml -->\n```yaml\n# first\nconnector: y\n```\n\n\
                <!-- not checked: a part of a line -->\n```yaml\nno: kind\n```\n";
    let found = examples(page).expect("the page is good");
    let paths: Vec<(&str, bool)> = found.iter().map(|one| (one.text.path.as_str(), one.alone)).collect();
    assert_eq!(paths, [("workflows/line-3.yaml", false), ("workflows/b.yaml", false), ("connectors/x.yaml", true)]);
    assert_eq!(found[1].text.text, "workflow: b\n");
    assert_eq!(projects(found).len(), 2);
    for (page, message) in [
        ("```yaml\n- stop: done\n```\n", "1: say before the example what it is, such as `<!-- in: actions -->`"),
        ("<!-- not checked:  -->\n```yaml\na: b\n```\n", "2: say why the example is not checked"),
        ("\n```yaml\nworkflow: a\n", "2: the example has no end"),
        ("<!-- on: actions -->\n```yaml\nworkflow: a\n```\n", "1: what is `<!-- on: actions -->`?"),
        ("```yml\nworkflow: a\n```\n", "1: write ```yaml"),
    ] {
        assert_eq!(examples(page).err().as_deref(), Some(message), "{page}");
    }
}

/// Each link to a file of the repository finds it, and the heading in it.
pub fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s:#]*)(?:#([^)\s]*))?\)").expect("a good pattern");
    let mut wrong = Vec::new();
    for path in pages() {
        let page = std::fs::read_to_string(&path).expect("a page can be read");
        for found in link.captures_iter(&page) {
            let target = match &found[1] {
                "" => path.clone(),
                relative => path.with_file_name("").join(relative),
            };
            let heading = found.get(2).map(|heading| heading.as_str());
            let there = match (target.is_file(), heading) {
                (true, Some(heading)) => {
                    let text = std::fs::read_to_string(&target).expect("a page can be read");
                    text.lines().any(|line| line.starts_with('#') && anchor(line) == heading)
                }
                (true, None) => true,
                (false, _) => target.is_dir(),
            };
            if !there {
                wrong.push(format!("{}: {}", path.display(), &found[0]));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

/// Each row of the table names a file of `tests/` and a test in it.
pub fn every_promise_has_its_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/promises.md")).expect("the page");
    let row = Regex::new(r"^\|.* \| `([a-z_/]+\.rs)` `([a-z0-9_]+)` \|$").expect("a good pattern");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10, "there are {} promises", rows.len());
    for line in rows {
        let found = row.captures(line).unwrap_or_else(|| panic!("no file and test are named: {line}"));
        let text = std::fs::read_to_string(root.join("tests").join(&found[1])).expect("the file of a promise");
        assert!(text.contains(&format!("fn {}()", &found[2])), "{} has no test {}", &found[1], &found[2]);
    }
}

/// The name by which a link finds a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs/guides", "docs/reference"] {
        let entries = std::fs::read_dir(root().join(folder)).into_iter().flatten();
        pages.extend(entries.map(|entry| entry.expect("a page").path()));
    }
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

struct Example {
    text: Text,
    alone: bool,
}

/// The page's examples; else the line, and what is wrong there.
fn examples(page: &str) -> Result<Vec<Example>, String> {
    let mut found = Vec::new();
    let mut comments: Vec<(usize, &str)> = Vec::new();
    let mut lines = page.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((at, line)) = lines.next() {
        let bare = line.trim_start();
        let indent = line.len() - bare.len();
        if let Some(comment) = bare.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            comments.push((at, comment));
        } else if let Some(language) = bare.strip_prefix("```") {
            let mut block = String::new();
            loop {
                let (_, line) = lines.next().ok_or(format!("{at}: the example has no end"))?;
                if line.trim_start() == "```" {
                    break;
                }
                block.push_str(line.get(indent..).unwrap_or_default());
                block.push('\n');
            }
            let said = std::mem::take(&mut comments);
            match language {
                "yaml" => found.extend(example(at, &said, &block)?),
                "yml" | "YAML" => return Err(format!("{at}: write ```yaml")),
                _ => {}
            }
        } else if !bare.is_empty() {
            comments.clear();
        }
    }
    Ok(found)
}

/// One example by its comments; None if it shall not be checked.
fn example(at: usize, comments: &[(usize, &str)], block: &str) -> Result<Option<Example>, String> {
    let (mut part, mut path, mut alone) = (None, None, false);
    for (line, comment) in comments {
        match comment.split_once(": ") {
            Some(("in", said)) => part = Some(said),
            Some(("file", said)) => path = Some(said),
            Some(("not checked", reason)) if !reason.trim().is_empty() => return Ok(None),
            Some(("not checked", _)) => return Err(format!("{at}: say why the example is not checked")),
            None if *comment == "alone" => alone = true,
            _ => return Err(format!("{line}: what is `<!-- {comment} -->`?")),
        }
    }
    let text = match (part, path.or(home(block).as_deref())) {
        (Some(part), _) => around(part, &format!("line-{at}"), block),
        (None, Some(path)) => Text { path: path.into(), text: block.into() },
        (None, None) => {
            return Err(format!("{at}: say before the example what it is, such as `<!-- in: actions -->`"));
        }
    };
    Ok(Some(Example { text, alone }))
}

/// Where a whole document stands, by its first key.
fn home(block: &str) -> Option<String> {
    let first = block.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let (kind, name) = first.split_once(": ")?;
    match kind {
        "workflow" | "sync" => Some(format!("workflows/{name}.yaml")),
        "test" => Some(format!("workflows/{name}.test.yaml")),
        "connector" => Some(format!("connectors/{name}.yaml")),
        "project" => Some("dovetail.yaml".into()),
        _ => None,
    }
}

/// The projects that a page's examples make: one of those that stand together, one for each that stands alone.
fn projects(examples: Vec<Example>) -> Vec<Vec<Text>> {
    let (alone, together): (Vec<Example>, Vec<Example>) = examples.into_iter().partition(|example| example.alone);
    let alone = alone.into_iter().map(|example| vec![example.text]);
    let together = together.into_iter().map(|example| example.text).collect::<Vec<_>>();
    let projects = alone.chain((!together.is_empty()).then_some(together));
    projects.map(|given| within_a_new_one(&given)).collect()
}

/// In the project that `dovetail init` writes.
fn within_a_new_one(given: &[Text]) -> Vec<Text> {
    let read = |name: &str, path: &str| {
        let text = std::fs::read_to_string(root().join("src/cli/init").join(name)).expect("a template can be read");
        Text { path: path.into(), text }
    };
    let mut project = read("dovetail.yaml", "dovetail.yaml");
    project.text = project.text.replace("{{name}}", "my-project");
    let hello = read("hello.yaml", "workflows/hello.yaml");
    // A project of the page's own need not know what `hello` uses.
    let has_project = given.iter().any(|text| text.path == project.path);
    let init = if has_project { Vec::new() } else { vec![project, hello] };
    let kept = init.into_iter().filter(|text| !given.iter().any(|own| own.path == text.path));
    kept.chain(given.iter().cloned()).collect()
}
