//! Scripts where none may be: in a connector, and anywhere in a project that refuses them.
//!
//! Looked for in what is written, not in what was compiled: one that stands where nothing would run it is told, too.

use serde_json::Value;

use crate::project::document::Scripts;
use crate::source::{Diagnostic, File, Report, go_down};

/// Scripts of one document. `project` is the project's answer; a connector's is always no.
pub(in crate::project) fn check(kind: &str, file: &File, project: Option<Scripts>, report: &mut Report) {
    let (message, help) = match (kind, project) {
        ("connector", _) => {
            ("a connector holds no script", "write a path, a template or an instruction; scripts are for workflows")
        }
        (_, Some(Scripts::Refused)) => (
            "the project refuses scripts",
            "write an instruction or a condition instead, or remove `scripts: refused` from dovetail.yaml",
        ),
        _ => return,
    };
    let mut found = Vec::new();
    find(&file.value, &mut String::new(), &mut found);
    for pointer in found {
        report.push(Diagnostic::error("script-refused", message).at_key(file, &pointer, "").help(help));
    }
}

/// The pointer of every script. What stands under `$literal` is no instruction.
fn find(value: &Value, pointer: &mut String, found: &mut Vec<String>) {
    let length = pointer.len();
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                go_down(pointer, key);
                match key.as_str() {
                    "$script" => found.push(pointer.clone()),
                    "$literal" => {}
                    _ => find(field, pointer, found),
                }
                pointer.truncate(length);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                go_down(pointer, &at.to_string());
                find(item, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}
