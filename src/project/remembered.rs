//! `dovetail.lock.yaml`: the major version of each shipped connector that a project was checked with.
//!
//! It is written when somebody asks for it, and no document: a plan is the same with and without it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::parts::SHIPPED;
use super::{Plan, Text};
use crate::source::{Diagnostic, File, Report, check_shape, nearest, under};

/// Where it stands in a project.
pub const FILE: &str = "dovetail.lock.yaml";

const HEAD: &str = "\
# The major version of each shipped connector that this project was checked with: `dovetail check` says when another one
# is in use, and `dovetail check --remember` writes this file anew. Keep it with the project.
";

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "a lock file")]
struct Document {
    /// By connector.
    connectors: BTreeMap<String, u64>,
}

/// What a project remembers, or should.
pub type Majors = BTreeMap<String, u64>;

/// What is written, if it can be read.
pub fn written(texts: &[Text]) -> Option<Majors> {
    let text = texts.iter().find(|text| text.path == FILE)?;
    let file = File::read(&text.path, &text.text).ok()?;
    serde_json::from_value::<Document>(file.value).ok().map(|document| document.connectors)
}

/// The shipped connectors that connections use.
pub fn in_use(plan: &Plan) -> Majors {
    let is_used = |name: &str| plan.connections.iter().any(|connection| connection.connector == name);
    let shipped =
        plan.connectors.iter().filter(|connector| is_used(&connector.name) && is_shipped(plan, &connector.name));
    shipped.filter_map(|connector| Some((connector.name.clone(), major(&connector.version)?))).collect()
}

/// The file's text. What an environment does not use is kept.
pub fn text(plan: &Plan, before: Option<Majors>) -> String {
    let mut majors = before.unwrap_or_default();
    majors.retain(|name, _| is_shipped(plan, name));
    majors.extend(in_use(plan));
    let lines: String = majors.iter().map(|(name, major)| format!("\n  {name}: {major}")).collect();
    let connectors = if lines.is_empty() { " {}".to_owned() } else { lines };
    format!("{HEAD}\nconnectors:{connectors}\n")
}

/// Is another major version in use than the one that is remembered? `left`: connectors that no document names.
pub(super) fn check(file: &File, plan: Option<&Plan>, left: &[&str], report: &mut Report) {
    let mut found = Report::default();
    check_shape(file, "", &schemars::schema_for!(Document).to_value(), &mut found);
    let is_broken = found.has_errors();
    report.extend(found);
    let document = serde_json::from_value::<Document>(file.value.clone());
    let (false, Some(plan), Ok(document)) = (is_broken, plan, document) else { return };
    for (name, remembered) in &document.connectors {
        let at = under("/connectors", name);
        if left.contains(&name.as_str()) {
            continue;
        }
        let Some(connector) = plan.connector(name) else {
            let names = plan.connectors.iter().map(|connector| connector.name.as_str()).chain(left.iter().copied());
            let found = Diagnostic::warning("unknown-connector", format!("no connector is called `{name}`"))
                .at_key(file, &at, "");
            report.push(match nearest(name, names.clone()) {
                Some(_) => found.nearest(name, names),
                None => found.help("`dovetail check --remember` writes the file anew"),
            });
            continue;
        };
        let version = &connector.version;
        if is_shipped(plan, name) && major(version).is_some_and(|major| major != *remembered) {
            let message =
                format!("this project was checked with version {remembered} of `{name}`, and {version} is in use");
            let help = "look at the other findings and at what has changed; then `dovetail check --remember` remembers the new one";
            report.push(Diagnostic::warning("other-version", message).at(file, &at, "").help(help));
        }
    }
}

/// Does it come with the program? One of the project's own goes before it.
fn is_shipped(plan: &Plan, name: &str) -> bool {
    let path = format!("{SHIPPED}connectors/{name}.yaml");
    plan.documents.iter().any(|text| text.path == path)
}

/// `1` of `1.4.0`.
fn major(version: &str) -> Option<u64> {
    version.split('.').next()?.parse().ok()
}
