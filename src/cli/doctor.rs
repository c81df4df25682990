//! `doctor`: does every account work, and if not, what is to be done?

use std::sync::Arc;

use anyhow::Result;

use super::{Operator, Project, exit, say, secrets};
use crate::engine::{Examiner, Health, Sign};
use crate::http::Client;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Only this connection. Default: all of the project.
    connection: Option<String>,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// How senders of webhooks reach `serve`, e.g. `https://hooks.example.com`: whether it answers there.
    #[arg(long, value_name = "URL", value_parser = super::hooks::url)]
    public_url: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Under this name stands what is of no connection.
const FROM_OUTSIDE: &str = "from outside";

impl Doctor {
    pub async fn run(self) -> Result<u8> {
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        if let Some(name) = &self.connection {
            super::connect::find(&plan, name)?;
        }
        let data = self.operator.data_folder(&self.project);
        let guard = self.operator.guard()?;
        let vault = self.operator.vault(&plan, &data, &guard)?.map(Arc::new);
        let plan = crate::engine::filled(plan, vault.as_deref());
        let source = secrets::Source::new(self.operator.secrets.as_deref(), vault.clone())?;
        let client = Client::new(guard);
        // Before the first `serve` there is none; while one runs it may be looked at.
        let store = Store::open_read_only(&data).ok();
        let (secrets, vault) = (&source, vault.as_deref());
        let examiner = Examiner { plan: &plan, client, secrets, vault, store: store.as_ref() };
        let mut all = Vec::new();
        let wanted = |name: &str| self.connection.as_deref().is_none_or(|only| only == name);
        for connection in plan.connections.iter().filter(|connection| wanted(&connection.name)) {
            let signs = examiner.examine(connection).await;
            if !self.json {
                tell(&connection.name, &connection.connector, &signs);
            }
            all.push((connection.name.clone(), signs));
        }
        if let Some(url) = &self.public_url {
            let signs = vec![examiner.heard_at(url).await];
            if !self.json {
                say::data(FROM_OUTSIDE);
                tell_signs(&signs);
            }
            all.push((FROM_OUTSIDE.into(), signs));
        }
        if self.json {
            let all: serde_json::Map<String, serde_json::Value> =
                all.iter().map(|(name, signs)| (name.clone(), serde_json::json!(signs))).collect();
            say::data(&serde_json::to_string_pretty(&all)?);
        }
        let is_ill = all.iter().flat_map(|(_, signs)| signs).any(|sign| sign.health == Health::Bad);
        Ok(if is_ill { exit::FAILED } else { exit::OK })
    }
}

fn tell(name: &str, connector: &str, signs: &[Sign]) {
    say::data(&format!("{name} ({connector})"));
    tell_signs(signs);
}

fn tell_signs(signs: &[Sign]) {
    for sign in signs {
        let word = match sign.health {
            Health::Good => "good",
            Health::Doubtful => "look",
            Health::Bad => "BAD ",
        };
        say::data(&format!("  {word}  {}: {}", sign.what, sign.told));
        if let Some(help) = &sign.help {
            say::data(&format!("        → {help}"));
        }
    }
}
