//! `catalog`: every action and trigger that a workflow can use, each with an example to copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{count, exit, folder, say, schema, shipped};
use crate::connector::Connector;
use crate::project::catalogue::{self, Item, Kind, alias};
use crate::source::nearest;

#[derive(Debug, clap::Args)]
pub struct Catalog {
    /// Only what holds all these words: in its name, description, path or scope.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only this connector's.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// The project's folder. In a folder without a project: what every project may use.
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Catalog {
    pub fn run(self) -> Result<u8> {
        if !self.project.is_dir() {
            return Err(exit::usage(format!("there is no folder {}", self.project.display())));
        }
        let source = Source::read(&self.project)?;
        let mut connectors = source.connectors;
        if let Some(name) = &self.connector {
            let names: Vec<&str> = connectors.iter().map(|connector| connector.name.as_str()).collect();
            if !names.contains(&name.as_str()) {
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", names.join(", ")),
                };
                return Err(exit::usage(format!("no connector is called `{name}`; {help}")));
            }
            connectors.retain(|connector| connector.name == *name);
        }
        let mut items = catalogue::offered(&connectors, &source.aliases);
        if self.connector.is_none() {
            items.extend(catalogue::builtin());
        }
        let words: Vec<String> =
            self.search.iter().flat_map(|text| text.split_whitespace()).map(str::to_lowercase).collect();
        items.retain(|item| item.holds(&words));
        if self.json {
            say::data(&serde_json::to_string_pretty(&items)?);
        } else {
            tell(&items, &connectors, &source.aliases);
        }
        let number = |kind: Kind| items.iter().filter(|item| item.kind == kind).count();
        say::talk(&format!(
            "{} and {} ({})",
            count(number(Kind::Action), "action"),
            count(number(Kind::Trigger), "trigger"),
            count(connectors.len(), "connector")
        ));
        if !folder::is_project(&self.project) {
            let here = self.project.as_os_str() == ".";
            let place = if here { "here".into() } else { format!("in {}", self.project.display()) };
            say::talk(&format!("there is no project {place}: this is what every project may use"));
            if let Some(above) = folder::project_above(&self.project) {
                say::talk(&format!("the project in {} is meant? add `--project {0}`", above.display()));
            }
        }
        Ok(exit::OK)
    }
}

/// What the catalog is made from.
struct Source {
    connectors: Vec<Connector>,
    /// Connector → the short name that recipes use for it.
    aliases: BTreeMap<String, String>,
}

impl Source {
    /// The connectors of a project, those that it uses; without a project, those that are shipped. Mistakes in workflows
    /// do not matter here.
    fn read(folder: &Path) -> Result<Source> {
        let texts = if folder::is_project(folder) { folder::texts(folder)? } else { shipped::workflows() };
        let known = schema::known(&texts)?;
        let mut aliases = BTreeMap::new();
        for (alias, name) in &known.uses {
            aliases.entry(name.clone()).or_insert_with(|| alias.clone());
        }
        Ok(Source { connectors: known.into_used(), aliases })
    }
}

fn tell(items: &[Item], connectors: &[Connector], aliases: &BTreeMap<String, String>) {
    let width = say::width().unwrap_or(100).min(100);
    let mut before = None;
    for item in items {
        let group = (item.kind, item.connector.as_deref());
        if before != Some(group) {
            before = Some(group);
            for line in title(item, connectors, aliases).lines() {
                paragraph("", line, width);
            }
            say::data("");
        }
        let request =
            [item.method.as_deref(), item.path.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let gap = if request.is_empty() { "" } else { "   " };
        say::data(&format!("{}{gap}{request}", item.name));
        let scope = item.scope.as_ref().map(|scope| format!("scope {scope}"));
        for text in [item.description.clone(), item.noticed.clone(), scope].into_iter().flatten() {
            paragraph("  ", &text, width);
        }
        if !item.inputs.is_empty() {
            let star = |required: bool| if required { "*" } else { "" };
            let inputs: Vec<String> = item
                .inputs
                .iter()
                .map(|input| format!("{}{} ({})", input.name, star(input.required), input.takes))
                .collect();
            paragraph("  takes ", &inputs.join(", "), width);
        }
        for line in item.example.lines() {
            say::data(format!("    {line}").trim_end());
        }
        say::data("");
    }
}

fn title(item: &Item, connectors: &[Connector], aliases: &BTreeMap<String, String>) -> String {
    let kind = if item.kind == Kind::Action { "Actions" } else { "Triggers" };
    let Some(name) = &item.connector else { return format!("== {kind} that need no connector") };
    let connector = connectors.iter().find(|connector| connector.name == *name);
    let about = connector.and_then(|connector| connector.description.as_deref()).unwrap_or_default();
    let star = if item.kind == Kind::Action { "; * is required" } else { "" };
    format!("== {kind} of {name}: {about}\nuses: {{ {}: {name} }}{star}", alias(aliases, name))
}

fn paragraph(indent: &str, text: &str, width: usize) {
    for (number, line) in say::wrap(text, width.saturating_sub(indent.len() + 2)).iter().enumerate() {
        let margin = if number == 0 { indent.to_string() } else { " ".repeat(indent.len().min(4)) };
        say::data(&format!("{margin}{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{self, Text};
    use crate::source::{File, render_text};

    /// Each example, put into a workflow of a new project, is without errors.
    #[test]
    fn every_example_can_be_copied() {
        let source = Source::read(Path::new("tests")).expect("the shipped connectors");
        let mut project = include_str!("init/dovetail.yaml").replace("{{name}}", "copied");
        for name in source.connectors.iter().map(|connector| &connector.name) {
            if !project.contains(&format!("connector: {name}\n")) {
                let one = format!(
                    "connections:\n  of-{name}: {{ connector: {name}, auth: token, token: $.secrets.token }}\n"
                );
                project = project.replace("connections:\n", &one);
            }
        }
        let mut texts = vec![Text { path: "dovetail.yaml".into(), text: project }];
        texts.push(Text { path: "workflows/hello.yaml".into(), text: include_str!("init/hello.yaml").into() });
        let mut items = catalogue::builtin();
        items.extend(catalogue::offered(&source.connectors, &source.aliases));
        assert!(items.len() > 100, "{}", items.len());
        let uses: Vec<String> = source
            .connectors
            .iter()
            .map(|connector| format!("{}: {}", alias(&source.aliases, &connector.name), connector.name))
            .collect();
        for (number, item) in items.iter().enumerate() {
            let (trigger, actions) = match item.kind {
                Kind::Action => {
                    ("trigger: { manual: }\n".to_string(), format!("actions:\n{}", indented(&item.example)))
                }
                Kind::Trigger => (item.example.clone(), "actions:\n  - stop: done\n".into()),
            };
            let text = format!("workflow: copied-{number}\nuses: {{ {} }}\n{trigger}\n{actions}", uses.join(", "));
            texts.push(Text { path: format!("workflows/{number}.yaml"), text });
        }
        let loaded = project::read(&texts, &shipped::connectors(), None);
        let files: Vec<&File> = loaded.files.iter().collect();
        assert!(!loaded.report.has_errors(), "{}", render_text(&loaded.report, &files, false));
    }

    fn indented(example: &str) -> String {
        example.lines().map(|line| format!("  {line}\n")).collect()
    }
}
