//! `connector probe`: a connector compared with a live account, and an override that would fit.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use super::connector::write_new;
use super::{Operator, Project, connect, exit, folder, say, secrets, shipped};
use crate::connector::probe::Note;
use crate::engine::{Examiner, Left, Probed, Prober};
use crate::http::{Budgets, Client};
use crate::project::{self, Text, expand};
use crate::source::{File, nearest, render_text};

#[derive(Debug, clap::Args)]
pub struct Probe {
    /// The connection whose account is asked. Nothing is written there: only lists and single records are read.
    connection: String,
    /// Only this object.
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
    /// Write the override that is suggested into connectors/. One that is there is kept.
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// As JSON: what was asked, what was found, and the override's text.
    #[arg(long)]
    json: bool,
}

/// Names that are shown of operations that were not asked.
const SHOWN: usize = 6;

impl Probe {
    pub async fn run(self) -> Result<u8> {
        let texts = folder::texts(&self.project.project)?;
        let loaded = project::read(&texts, &shipped::connectors(), self.project.env.as_deref());
        let Some(plan) = self.project.told(&loaded) else { return Ok(exit::FINDINGS) };
        let (connection, connector) = connect::find(plan, &self.connection)?;
        let (name, of) = (connection.name.clone(), connector.name.clone());
        if connection.lends {
            return Err(exit::usage(format!(
                "`{name}` lends its credential, and is no account: name one that it lends to"
            )));
        }
        if let Some(object) = self.object.as_deref().filter(|object| connector.object(object).is_none()) {
            let names = connector.objects.iter().map(|object| object.name.as_str());
            let near = nearest(object, names.clone()).map(|near| format!("did you mean `{near}`?"));
            let help = near.unwrap_or_else(|| format!("there are {}", names.collect::<Vec<_>>().join(", ")));
            return Err(exit::usage(format!("connector `{of}` has no object `{object}`; {help}")));
        }
        let path = format!("connectors/{of}.override.yaml");
        let file = self.project.project.join(&path);
        if self.write && file.exists() {
            return Err(exit::usage(format!(
                "{} is there already, perhaps with your changes: leave out --write, and lay what is suggested into it",
                file.display()
            )));
        }
        let written = expand::written(&loaded, plan, &of).unwrap_or_default();
        let data = self.operator.data_folder(&self.project);
        let guard = self.operator.guard()?;
        let vault = self.operator.vault(plan, &data, &guard)?.map(Arc::new);
        let secrets = secrets::Source::new(self.operator.secrets.as_deref(), vault.clone())?;
        let Some(plan) = loaded.plan else { return Ok(exit::FINDINGS) };
        let plan = crate::engine::filled(plan, vault.as_deref());
        let (connection, connector) = connect::find(&plan, &name)?;
        let examiner = Examiner {
            plan: &plan,
            client: Client::new(guard),
            secrets: &secrets,
            vault: vault.as_deref(),
            store: None,
        };
        let prober = Prober { examiner, connection, connector, written, budgets: Budgets::of_vendors() };
        let probed = prober.probe(self.object.as_deref()).await;
        let text = if probed.over.is_empty() { None } else { Some(probed.over.text(&of)) };
        if self.json {
            let mut told = json!(probed);
            told["connection"] = json!(name);
            told["connector"] = json!(of);
            told["override"] = json!(text);
            say::data(&serde_json::to_string_pretty(&told)?);
        } else {
            say::data(&format!("{name} ({of} {})", connector.version));
            tell(&probed);
        }
        let is_answered =
            probed.objects.iter().any(|found| found.compared.notes.iter().any(|note| note.what != "answer"));
        match text {
            None if self.json || !is_answered => {}
            None if probed.is_as_said() => {
                say::data("\nThe account answers as the connector says: there is nothing to override.");
            }
            None => say::data("\nThere is nothing that an override could mend."),
            Some(text) => self.offer(&path, &text, &texts)?,
        }
        Ok(if is_answered { exit::OK } else { exit::FAILED })
    }

    /// Shows the override, or writes it.
    fn offer(&self, path: &str, text: &str, texts: &[Text]) -> Result<()> {
        // One that is there already is laid over first.
        let own = match texts.iter().any(|text| text.path == path) {
            true => path.replace(".override.", ".probed.override."),
            false => path.to_owned(),
        };
        let own = Text { path: own, text: text.to_owned() };
        let all: Vec<Text> = texts.iter().cloned().chain([own]).collect();
        let loaded = project::read(&all, &shipped::connectors(), self.project.env.as_deref());
        if loaded.report.has_errors() {
            let files: Vec<&File> = loaded.files.iter().collect();
            say::warning("with the override as it is suggested, `dovetail check` tells this:");
            say::talk(render_text(&loaded.report, &files, say::colour()).trim_end());
        }
        let file = self.project.project.join(path);
        if self.write {
            write_new(&file, text)?;
            say::talk(&format!("wrote {}", file.display()));
        } else if !self.json {
            let there = if file.exists() { "lay it into that file by hand" } else { "--write puts it there" };
            say::data(&format!("\nWhat would fit, as {path} ({there}):\n"));
            say::data(text.trim_end());
        }
        Ok(())
    }
}

fn tell(probed: &Probed) {
    if probed.objects.is_empty() {
        say::data("\nNothing was asked: no list can be read without an input.");
    }
    for found in &probed.objects {
        let asked =
            found.asked.iter().map(|asked| format!("{}, {}", asked.operation, super::count(asked.requests, "request")));
        say::data(&format!("\n{}", found.object));
        say::data(&format!("  asked {}", asked.collect::<Vec<_>>().join("; ")));
        found.compared.notes.iter().for_each(note);
    }
    if !probed.notes.is_empty() {
        say::data("\nthe account");
        probed.notes.iter().for_each(note);
    }
    if !probed.left_out.is_empty() {
        say::data("\nnot asked");
        for Left { why, operations } in &probed.left_out {
            let shown = operations.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
            let more = operations.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            say::data(&format!("  {why}: {shown}{more}"));
        }
    }
}

fn note(note: &Note) {
    let word = if note.good { "good" } else { "look" };
    say::data(&format!("  {word}  {}: {}", note.what, note.told));
}
