//! Schemas that know one project, so that an editor completes its names and marks those that are none.
//!
//! ```text
//!  (path, text)* ─ Known::read ─▶ connectors, connections, aliases, names ─ schemas ─▶ JSON Schema of each kind
//! ```
//! They say what `check` says, as far as JSON Schema can: names of operations, objects, events, fields and documents.
//! Where they cannot know, they let pass: what `$.contact.email` reads, or an alias that no document used so far.
//!
//! Their size is bounded by what the connectors offer: a name and a line for each operation under each of at most eight
//! aliases, and each operation's fields once, four levels deep.

mod fields;
mod known;
mod others;
mod sync;
#[cfg(test)]
mod tests;
mod words;
mod workflow;

use serde_json::Value;

pub use known::Known;

/// Stands in every schema that knows a project; a file without it is not ours to overwrite.
pub const MARK: &str =
    "Written by `dovetail schema`, which writes it anew after a change of connectors, connections or aliases.";

/// The schema of each kind of document, as this project's documents are written.
pub fn schemas(known: &Known) -> [(&'static str, Value); 5] {
    let all = [
        ("workflow", workflow::schema(known)),
        ("project", others::project(known)),
        ("connector", crate::connector::schema()),
        ("sync", sync::schema(known)),
        ("test", others::test(known)),
    ];
    all.map(|(kind, mut schema)| {
        schema["$comment"] = MARK.into();
        leave_out_no_rules(&mut schema);
        (kind, schema)
    })
}

/// A project without objects has no rules about them, and JSON Schema takes no empty list of rules.
fn leave_out_no_rules(schema: &mut Value) {
    match schema {
        Value::Object(words) => {
            words.retain(|word, rules| word != "allOf" || rules.as_array().is_none_or(|rules| !rules.is_empty()));
            words.values_mut().for_each(leave_out_no_rules);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_no_rules),
        _ => {}
    }
}
