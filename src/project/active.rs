//! The list of what is active, changed in the project's own document as a person would change it: all else stays as it is written.

use serde_json::{Value, json};

use crate::source::File;

/// The document with exactly these active, in the order in which they stand there; None: that cannot be written, since the document
/// cannot be read, or writes its list in a way that only a person understands.
pub fn with_active(path: &str, text: &str, names: &[String]) -> Option<String> {
    let file = File::read(path, text).ok()?;
    let changed = match file.value.get("active").and_then(Value::as_array) {
        None if file.value.get("active").is_some() => return None,
        None => {
            let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
            format!("{text}{end}active: {}\n", flow(names))
        }
        Some(known) => {
            let span = file.span("/active");
            match text.get(span.start..)?.starts_with('[') || names.is_empty() {
                true => replaced(text, (span.start, span.end), &flow(names), !text.get(span.start..)?.starts_with('[')),
                false => by_lines(&file, known, names)?,
            }
        }
    };
    let mut expected = file.value.clone();
    expected["active"] = json!(names);
    let read = File::read(path, &changed).ok()?;
    (sorted(&read.value) == sorted(&expected)).then_some(changed)
}

/// `[a, b]`
fn flow(names: &[String]) -> String {
    format!("[{}]", names.join(", "))
}

/// In place of a list. One that was written line by line goes behind its key.
fn replaced(text: &str, (start, end): (usize, usize), list: &str, was_lines: bool) -> String {
    let before = if was_lines { text[..start].trim_end_matches([' ', '\n', '\r', '-']) } else { &text[..start] };
    let space = if was_lines { " " } else { "" };
    format!("{before}{space}{list}{}", &text[end..])
}

/// Takes away the lines of those that are active no more, and adds lines for the others below the last.
fn by_lines(file: &File, known: &[Value], names: &[String]) -> Option<String> {
    let text = &*file.text;
    let line_of = |index: usize| {
        let at = file.span(&format!("/active/{index}")).start;
        let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        (start, end)
    };
    let is_wanted = |name: &Value| name.as_str().is_some_and(|name| names.iter().any(|wanted| wanted == name));
    let (last_start, last_end) = line_of(known.len().checked_sub(1)?);
    let indent: String = text[last_start..].chars().take_while(|letter| *letter == ' ').collect();
    let added = names.iter().filter(|name| !known.iter().any(|known| known == *name));
    let added: String = added.map(|name| format!("{indent}- {name}\n")).collect();
    let mut changed = String::new();
    let mut from = 0;
    for (index, name) in known.iter().enumerate() {
        let (start, end) = line_of(index);
        if !is_wanted(name) {
            changed.push_str(text.get(from..start)?);
            from = end;
        }
    }
    changed.push_str(text.get(from..last_end).unwrap_or_default());
    if !added.is_empty() && !changed.ends_with('\n') {
        changed.push('\n');
    }
    changed.push_str(&added);
    changed.push_str(text.get(last_end.max(from)..)?);
    Some(changed)
}

/// The order of the list says nothing.
fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(active) = value.get_mut("active").and_then(Value::as_array_mut) {
        active.sort_by_key(|name| name.to_string());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, names: &[&str]) -> Option<String> {
        with_active("dovetail.yaml", text, &names.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_list_is_changed_as_it_is_written_and_all_else_stays() {
        let lines =
            "project: p\nactive:\n  - one    # first\n  - two\n  # the last\n  - three\n\nkeep: { events: 30d }\n";
        let told = with(lines, &["one", "three", "four"]).unwrap();
        assert_eq!(
            told,
            "project: p\nactive:\n  - one    # first\n  # the last\n  - three\n  - four\n\nkeep: { events: 30d }\n"
        );
        assert_eq!(with(lines, &["one", "two"]).unwrap(), lines.replace("  - three\n", ""));
        assert_eq!(with(lines, &[]).unwrap(), "project: p\nactive: []\n\nkeep: { events: 30d }\n");
        assert_eq!(
            with(&told.replace("four", "five"), &["one", "three", "five"]).unwrap(),
            told.replace("four", "five")
        );
        let flow = "project: p # it\nactive: [one, two]   # two\n";
        assert_eq!(with(flow, &["two", "three"]).unwrap(), "project: p # it\nactive: [two, three]   # two\n");
        assert_eq!(with("project: p", &["one"]).unwrap(), "project: p\nactive: [one]\n");
        assert_eq!(with("project: p\nactive:\n- one", &["one", "two"]).unwrap(), "project: p\nactive:\n- one\n- two\n");
        assert_eq!(with("project: p\nactive: [one]\n", &[]).unwrap(), "project: p\nactive: []\n");
    }

    #[test]
    fn what_only_a_person_understands_is_left() {
        assert_eq!(with("project: [", &["one"]), None);
        assert_eq!(with("project: p\nactive: all\n", &["one"]), None);
        assert_eq!(with("project: p\nactive: { one: true }\n", &["one"]), None);
        // A name that YAML would read as something else.
        assert_eq!(with("project: p\n", &["yes: no"]), None);
    }
}
