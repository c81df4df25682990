//! `docs/reference/` is written from the program, so that it cannot say anything else than the program does.
//!
//! `DOVETAIL_ACCEPT=1 cargo test docs::reference` writes the pages anew. A word of the language without a
//! description fails here.

mod actions;
mod commands;
mod conditions;
mod context;
mod helpers;
mod keys;
mod values;

use std::fmt::Write;

use dovetail::expr::{Expr, Locale, Scope};
use serde_json::{Value, json};

use crate::cases::project_files::root;

/// A page of the reference.
pub struct Page {
    name: &'static str,
    title: &'static str,
    /// What the index says of it.
    about: &'static str,
    text: String,
}

pub fn pages_are_fresh() {
    let pages = [
        actions::page(),
        actions::triggers(),
        conditions::page(),
        values::page(),
        helpers::page(),
        context::page(),
        commands::page(),
    ];
    let accept = std::env::var_os("DOVETAIL_ACCEPT").is_some_and(|accept| accept == "1");
    let folder = root().join("docs/reference");
    let mut fresh: Vec<(String, String)> =
        pages.iter().map(|page| (format!("{}.md", page.name), titled(page.title, &page.text))).collect();
    fresh.push(("README.md".into(), index(&pages)));
    if accept {
        std::fs::create_dir_all(&folder).expect("the folder can be made");
    }
    let mut stale = Vec::new();
    for (name, text) in &fresh {
        let path = folder.join(name);
        if accept {
            std::fs::write(path, text).expect("a page can be written");
        } else if std::fs::read_to_string(path).ok().as_ref() != Some(text) {
            stale.push(name.as_str());
        }
    }
    let known = std::fs::read_dir(&folder).expect("the folder is there");
    let known = known.map(|entry| entry.expect("a page").file_name().to_string_lossy().into_owned());
    let stray: Vec<String> = known.filter(|name| !fresh.iter().any(|(page, _)| page == name)).collect();
    assert!(stray.is_empty(), "docs/reference/ holds what nothing writes: {stray:?}");
    assert!(stale.is_empty(), "DOVETAIL_ACCEPT=1 cargo test docs::reference   writes anew: {stale:?}");
}

fn index(pages: &[Page]) -> String {
    let mut text = String::from(
        "Everything that can be written in a workflow, word by word. To learn it, begin with the guides:\n\
         [your first recipe](../guides/first-recipe.md), [from one record to another](../guides/mapping.md),\n\
         [conditions](../guides/conditions.md).\n\n",
    );
    for Page { name, title, about, .. } in pages {
        line(&mut text, &format!("- [{title}]({name}.md): {about}"));
    }
    text.push_str(
        "\nWhat the connectors of your project offer, field by field, says `dovetail catalog`. What `dovetail check` can say\n\
         is in [docs/errors](../errors/README.md).\n",
    );
    titled("Reference", &text)
}

fn titled(title: &str, text: &str) -> String {
    let how = "<!-- Made from the program. `DOVETAIL_ACCEPT=1 cargo test docs::reference` writes it anew. -->";
    format!("# {title}\n\n{how}\n\n{}\n", text.trim_end())
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A description; a word without one fails.
fn described<'t>(name: &str, what: Option<&'t str>) -> &'t str {
    match what.map(str::trim) {
        Some(what) if !what.is_empty() => what,
        _ => panic!("`{name}` has no description: write one beside the code"),
    }
}

/// A table: the names of its columns, and its rows.
fn table(text: &mut String, columns: &[&str], rows: &[Vec<String>]) {
    let row = |cells: &mut dyn Iterator<Item = String>| format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
    line(text, &row(&mut columns.iter().map(|cell| (*cell).to_owned())));
    line(text, &format!("|{}", "---|".repeat(columns.len())));
    for cells in rows {
        line(text, &row(&mut cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " "))));
    }
    line(text, "");
}

/// A checked example, see `guides.rs`.
fn example(text: &mut String, part: &str, yaml: &str) {
    writeln!(text, "<!-- in: {part} -->\n```yaml\n{}\n```\n", yaml.trim_end()).expect("text takes text");
}

/// Code in a line, also if it holds a back quote.
fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// What the examples of values and helpers read.
fn sample() -> Value {
    json!({
        "contact": {
            "firstName": " Ada ", "email": "Ada@Example.com", "phone": "020 7946 0018", "country": "GB",
            "city": "London", "source": "Fair", "type": "lead", "tags": ["vip", "press"],
            "dateAdded": "2026-07-20T10:00:00.000Z",
        },
        "order": { "net": 100, "tax": 20, "lines": [{ "name": "Cup", "count": 2 }, { "name": "Tea", "count": 1 }] },
        "note": { "body": "She asks for an offer. The old one was for ten seats, and now there are fourteen of them." },
        "vars": { "owners": { "Fair": "Grace", "Quiz": "Alan" } },
    })
}

fn shown_sample(text: &mut String) {
    let mut fields = String::new();
    for (root, of_root) in sample().as_object().expect("a map") {
        line(&mut fields, &format!("{root}:"));
        for (name, value) in of_root.as_object().expect("a map") {
            line(&mut fields, &format!("  {name}: {value}"));
        }
    }
    writeln!(text, "<!-- not checked: data -->\n```yaml\n{fields}```\n").expect("text takes text");
}

fn locale() -> Locale {
    Locale { timezone: chrono_tz::Tz::Europe__London, country: Some("GB".into()) }
}

/// What a value as written gives with the sample.
fn made(written: &Value) -> String {
    let expr = Expr::compile(written).unwrap_or_else(|problems| panic!("{written}: {problems:?}"));
    match expr.eval(&Scope::new(&sample(), &locale())) {
        Ok(Some(value)) => code(&value.to_string()),
        Ok(None) => "nothing".into(),
        Err(fault) => panic!("{written}: {fault:?}"),
    }
}
