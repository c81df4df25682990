//! `hooks`: the URLs to give to those who send webhooks.

use anyhow::Result;

use super::{Operator, Project, exit, say};
use crate::engine::Keeping;
use crate::server::control::{self, Order, Reply};

#[derive(Debug, clap::Args)]
pub struct Hooks {
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    /// How this machine is reached from outside, e.g. `https://hooks.example.com`.
    #[arg(long, value_name = "URL", default_value = "https://YOUR-HOST", value_parser = url)]
    public_url: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Hooks {
    pub async fn run(self) -> Result<u8> {
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        let hooks = match self.operator.engine(&self.project, plan, 1, false, Keeping::Own).await {
            Ok((engine, _)) => {
                let hooks = engine.hooks().await;
                engine.stop().await;
                engine.store().clone().close().await;
                hooks
            }
            Err(error) if exit::is_in_use(&error) => {
                let data = self.operator.data_folder(&self.project);
                match control::ask(&data, &Order::Hooks {}).await? {
                    Some(Reply::Hooks { hooks }) => hooks,
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        let base = self.public_url.trim_end_matches('/');
        if self.json {
            say::data(&serde_json::to_string_pretty(&hooks)?);
        } else if hooks.is_empty() {
            say::talk("nothing in this project listens to webhooks");
        } else {
            for hook in hooks {
                say::data(&format!("{base}{}  {} ({})", hook.path, hook.source, hook.proof));
            }
        }
        Ok(exit::OK)
    }
}

/// The address of a server, as an argument.
pub(super) fn url(text: &str) -> Result<String, String> {
    let good = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    if good { Ok(text.into()) } else { Err("write it with `https://`: `https://hooks.example.com`".into()) }
}
