//! `sandbox`: the pretend vendors, on this computer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::{exit, say, serve, shipped};
use crate::sandbox::{Settings, Vendor};

/// The first of the standard ports; each further vendor has the next.
const PORT: u16 = 4010;

#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(flatten)]
    vendors: Vendors,
    /// Makes the same ids each time. Without it they differ, so that a program that remembers takes nothing for a repeat.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A JSON file with records: `{ "CONNECTOR": { "OBJECT": [ … ] } }`.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Where webhooks go: the address of `dovetail serve`, e.g. `http://127.0.0.1:4000`.
    #[arg(long, value_name = "URL")]
    webhooks: Option<String>,
    /// The secret of vendors that sign with a shared one.
    #[arg(long, value_name = "TEXT", default_value = "sandbox-webhook-secret")]
    webhook_secret: String,
    /// The wait before the first retry of a webhook; it doubles from there.
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    retry_base: String,
    /// What was started, as JSON on stdout, one line when all are ready.
    #[arg(long)]
    json: bool,
}

/// `--NAME ADDR` for each vendor that can be played.
#[derive(Clone, Debug)]
struct Vendors {
    chosen: Vec<(&'static str, SocketAddr)>,
}

impl clap::FromArgMatches for Vendors {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let address = |name: &&'static str| matches.get_one::<SocketAddr>(name).map(|address| (*name, *address));
        Ok(Self { chosen: shipped::vendors().iter().filter_map(address).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Vendors {
    fn augment_args(command: Command) -> Command {
        shipped::vendors().into_iter().fold(command, |command, name| {
            let help = format!("Play {name} at this address. Without any such flag: all, from port {PORT} on");
            let argument = Arg::new(name).long(name).value_name("ADDR").value_parser(value_parser!(SocketAddr));
            command.arg(argument.help(help))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Sandbox {
    pub async fn run(self) -> Result<u8> {
        let chosen = if self.vendors.chosen.is_empty() {
            let ports = (PORT..).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            shipped::vendors().into_iter().zip(ports).collect()
        } else {
            self.vendors.chosen.clone()
        };
        let Some(retry_base) = crate::expr::parse_duration(&self.retry_base) else {
            bail!("--retry-base: `{}` is no duration such as `1s`", self.retry_base);
        };
        let data = self.data()?;
        let seed = self.seed.unwrap_or_else(|| uuid::Uuid::now_v7().as_u64_pair().1);
        let mut vendors = Vec::new();
        for (name, listen) in chosen {
            let settings = Settings {
                listen,
                seed,
                data: data.as_ref().and_then(|all| all.get(name)).cloned(),
                webhook_url: self.webhooks.as_ref().map(|base| format!("{}/hooks/{name}", base.trim_end_matches('/'))),
                webhook_secret: Some(self.webhook_secret.clone()),
                retry_base,
                ..Settings::new(name)
            };
            vendors.push((name, start(name, settings).await?));
        }
        self.tell(&vendors)?;
        serve::stop_signal().await;
        for (_, vendor) in vendors {
            vendor.stop().await;
        }
        Ok(exit::OK)
    }

    fn data(&self) -> Result<Option<Value>> {
        let Some(path) = &self.data else { return Ok(None) };
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let data: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let known = shipped::vendors();
        if let Some(name) =
            data.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()))
        {
            bail!("{}: no vendor is called `{name}`; there are {}", path.display(), known.join(", "));
        }
        Ok(Some(data))
    }

    fn tell(&self, vendors: &[(&str, Vendor)]) -> Result<()> {
        if self.json {
            let all = vendors.iter().map(|(name, vendor)| {
                let tokens: serde_json::Map<String, Value> = vendor.tokens().into_iter().collect();
                serde_json::json!({
                    "connector": name, "url": format!("http://{}", vendor.address()),
                    "public_key": vendor.public_key(), "tokens": tokens,
                })
            });
            say::data(&serde_json::to_string(&all.collect::<Vec<_>>())?);
            return Ok(());
        }
        for (name, vendor) in vendors {
            let address = vendor.address();
            say::talk(&format!("{name} is played on http://{address}; look inside at http://{address}/_sandbox/"));
            if let Some(about) = vendor.about() {
                say::talk(&format!("  {about}"));
            }
            say::talk(&format!("  signs webhooks with the key {}", vendor.public_key()));
        }
        say::talk("Ctrl-C ends it.");
        Ok(())
    }
}

/// Starts one vendor from the files that come with the program.
pub async fn start(name: &str, settings: Settings) -> Result<Vendor> {
    let file = shipped::sandbox_file(name);
    let connector = shipped::connector_file(name).with_context(|| format!("no connector is called `{name}`"))?;
    let pair = |text: crate::project::Text| (text.path, text.text);
    Ok(Vendor::start(&[pair(connector)], file.map(pair), settings).await?)
}

/// A wait that makes tests and the demo quick.
pub const QUICK: Duration = Duration::from_millis(50);
