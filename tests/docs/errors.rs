//! `docs/errors/CODE.md`: a title, what it means, an example after `<!-- wrong -->`, one after `<!-- right -->`.
//!
//! Before the examples a comment says what they are: `<!-- file: PATH -->`, a whole file; `<!-- in: PART -->`, a part of
//! one, see [`crate::around`]; `<!-- env: NAME -->`, what `--env` says. An example of several files begins each with
//! `# file: PATH`. What an example does not give comes from the standard project.

use std::collections::BTreeMap;

use dovetail::project::{self, Loaded, Text};
use dovetail::source::{File, Severity, render_text};

use crate::cases::project_files::{root, shipped, standard};
use crate::docs::around::around;

/// These cannot be shown by one project: the page says why they hardly ever come.
const WITHOUT_EXAMPLE: [&str; 2] = ["bad-shape", "other-connector"];

pub fn every_wrong_example_gives_its_code() {
    let shipped = shipped();
    let mut wrong = Vec::new();
    for (code, page) in pages() {
        match example(&page, "wrong") {
            Some(text) => {
                let loaded = load(&page, &text, &shipped);
                if !loaded.report.diagnostics.iter().any(|found| found.code == code) {
                    wrong.push(format!("{code}: the wrong example gives\n{}", told(&loaded)));
                }
            }
            None if WITHOUT_EXAMPLE.contains(&code.as_str()) => {}
            None => wrong.push(format!("{code}: there is no wrong example")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

pub fn every_right_example_has_no_error() {
    let shipped = shipped();
    let mut wrong = Vec::new();
    for (code, page) in pages() {
        if example(&page, "wrong").is_some() && example(&page, "right").is_none() {
            wrong.push(format!("{code}: there is no right example"));
        }
    }
    for Right { code, texts, environment } in right_examples() {
        let loaded = project::read(&texts, &shipped, environment.as_deref());
        let bad = loaded.report.diagnostics.iter().any(|found| found.code == code);
        if bad || loaded.report.count(Severity::Error) > 0 {
            wrong.push(format!("{code}: the right example gives\n{}", told(&loaded)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

pub fn the_index_names_every_page() {
    let index = std::fs::read_to_string(root().join("docs/errors/README.md")).expect("the index can be read");
    for (code, page) in pages() {
        let title = page.lines().next().expect("a page has a title").strip_prefix(&format!("# `{code}`: "));
        let title = title.unwrap_or_else(|| panic!("{code}.md begins with `# `{code}`: what it is`"));
        let line = format!("- [`{code}`]({code}.md): {title}");
        assert!(index.lines().any(|known| known == line), "docs/errors/README.md lacks the line\n{line}");
    }
}

pub fn every_page_is_in_the_program() {
    let list = std::fs::read_to_string(root().join("src/cli/explain/pages.rs")).expect("the list can be read");
    let listed: Vec<&str> = list.lines().filter_map(|line| line.trim().strip_prefix('"')?.split('"').next()).collect();
    let pages: Vec<String> = pages().into_keys().collect();
    assert_eq!(listed, pages, "src/cli/explain/pages.rs lists every page of docs/errors/, in order");
}

/// Code → text.
fn pages() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(root().join("docs/errors"))
        .expect("the pages are there")
        .map(|entry| entry.expect("a page").path());
    let pages = entries.filter_map(|path| {
        let code = path.file_name()?.to_str()?.strip_suffix(".md")?.to_owned();
        (code != "README").then(|| (code, std::fs::read_to_string(&path).expect("a page can be read")))
    });
    pages.collect()
}

/// The block after `<!-- KIND -->`.
fn example(page: &str, kind: &str) -> Option<String> {
    let rest = page.split_once(&format!("<!-- {kind} -->"))?.1;
    let block = rest.split_once("```yaml\n")?.1.split_once("\n```")?.0;
    Some(format!("{block}\n"))
}

/// What a comment before the examples says.
fn front<'p>(page: &'p str, key: &str) -> Option<&'p str> {
    Some(page.split_once(&format!("<!-- {key}: "))?.1.split_once(" -->")?.0)
}

/// A page's right example, as the documents of a project.
pub struct Right {
    pub code: String,
    pub texts: Vec<Text>,
    pub environment: Option<String>,
}

pub fn right_examples() -> Vec<Right> {
    let right = |(code, page): (String, String)| {
        let texts = texts(&page, &example(&page, "right")?);
        Some(Right { code, texts, environment: front(&page, "env").map(String::from) })
    };
    pages().into_iter().filter_map(right).collect()
}

fn load(page: &str, example: &str, shipped: &[Text]) -> Loaded {
    project::read(&texts(page, example), shipped, front(page, "env"))
}

fn texts(page: &str, example: &str) -> Vec<Text> {
    let given: Vec<Text> = if example.starts_with("# file: ") {
        example.split("# file: ").skip(1).filter_map(|part| part.split_once('\n')).map(text).collect()
    } else if let Some(part) = front(page, "in") {
        vec![around(part, "a", example)]
    } else {
        vec![text((front(page, "file").expect("the page says where its examples stand"), example))]
    };
    let mut texts = standard();
    texts.retain(|standard| !given.iter().any(|text| text.path == standard.path));
    texts.extend(given);
    texts
}

fn text((path, text): (&str, &str)) -> Text {
    Text { path: path.into(), text: text.into() }
}

pub fn told(loaded: &Loaded) -> String {
    render_text(&loaded.report, &loaded.files.iter().collect::<Vec<&File>>(), false)
}
