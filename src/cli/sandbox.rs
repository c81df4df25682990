//! `sandbox`: the pretend vendors, on this computer.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Arg, ArgMatches, Command};
use serde_json::Value;

use super::{exit, say, serve, shipped};
use crate::connector::{imported_file, schema_files};
use crate::project::Text;
use crate::sandbox::{Error, Proof, Settings, Vendor};
use crate::source::File;

/// The first of the standard ports; each further vendor has the next.
const PORT: u16 = 4010;

#[derive(Debug, clap::Args)]
pub struct Sandbox {
    #[command(flatten)]
    vendors: Vendors,
    /// Play this connector file too, on the next port. Over a shipped connector, as an override: what it adds. A file
    /// `NAME.sandbox.yaml` beside it counts. May be given several times.
    #[arg(long, value_name = "FILE")]
    connector: Vec<PathBuf>,
    /// Makes the same ids each time. Without it they differ, so that a program that remembers takes nothing for a repeat.
    #[arg(long, value_name = "N", value_parser = super::number::<u64>(0..))]
    seed: Option<u64>,
    /// A JSON file with records: `{ "CONNECTOR": { "OBJECT": [ … ] } }`.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Where webhooks go: the address of `dovetail serve`, e.g. `http://127.0.0.1:4000`.
    #[arg(long, value_name = "URL", value_parser = super::hooks::url)]
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
            let argument = Arg::new(name).long(name).value_name("ADDR").value_parser(super::address);
            command.arg(argument.help(help))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A vendor to play: its connector's name, where, and its files.
struct Part {
    name: String,
    listen: SocketAddr,
    connector: Vec<Text>,
    sandbox: Option<Text>,
}

impl Sandbox {
    pub async fn run(self) -> Result<u8> {
        let parts = self.parts()?;
        let Some(retry_base) = crate::expr::parse_duration(&self.retry_base) else {
            return Err(exit::usage(format!("--retry-base: `{}` is no duration such as `1s`", self.retry_base)));
        };
        let data = self.data(&parts)?;
        let seed = self.seed.unwrap_or_else(|| uuid::Uuid::now_v7().as_u64_pair().1);
        let mut vendors = Vec::new();
        for part in parts {
            let Part { name, listen, connector, sandbox } = part;
            let settings = Settings {
                listen,
                seed,
                data: data.as_ref().and_then(|all| all.get(&name)).cloned(),
                webhook_url: self.webhooks.as_ref().map(|base| format!("{}/hooks/{name}", base.trim_end_matches('/'))),
                webhook_secret: Some(self.webhook_secret.clone()),
                retry_base,
                ..Settings::new(&name)
            };
            let vendor = play(connector, sandbox, settings).await.map_err(|error| refusal(&error, &name))?;
            vendors.push((name, vendor));
        }
        self.tell(&vendors)?;
        serve::stop_signal().await;
        for (_, vendor) in vendors {
            vendor.stop().await;
        }
        Ok(exit::OK)
    }

    /// The shipped vendors, all or those that were chosen, then those of files.
    fn parts(&self) -> Result<Vec<Part>> {
        let taken: Vec<u16> = self.vendors.chosen.iter().map(|(_, address)| address.port()).collect();
        let all = (PORT..).filter(move |port| !taken.contains(port));
        let ports = |from: usize| all.clone().skip(from).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let known = shipped::vendors();
        let chosen: Vec<(&str, SocketAddr)> = if self.vendors.chosen.is_empty() {
            known.iter().copied().zip(ports(0)).collect()
        } else {
            self.vendors.chosen.clone()
        };
        let mut parts = Vec::new();
        for (name, listen) in chosen {
            let connector = shipped::connector_files(name);
            parts.push(Part { name: name.into(), listen, connector, sandbox: shipped::sandbox_file(name) });
        }
        let mut free = ports(known.len());
        for path in &self.connector {
            let (name, files) = connector(path)?;
            let beside = path.with_file_name(format!("{name}.sandbox.yaml"));
            let beside = if beside.is_file() { Some(text(&beside)?) } else { None };
            if let Some(part) = parts.iter_mut().find(|part| part.name == name) {
                part.connector.extend(files);
                part.sandbox = beside.or(part.sandbox.take());
            } else if known.contains(&name.as_str()) {
                let (path, flag) = (path.display(), format!("--{name} ADDR"));
                return Err(exit::usage(format!("{path} adds to `{name}`, which is not played: add {flag}")));
            } else if let Some(listen) = free.next() {
                parts.push(Part { name, listen, connector: files, sandbox: beside });
            }
        }
        Ok(parts)
    }

    fn data(&self, parts: &[Part]) -> Result<Option<Value>> {
        let Some(path) = &self.data else { return Ok(None) };
        let text = text(path)?.text;
        let wrong = |error| exit::usage(format!("{} is no JSON: {error}", path.display()));
        let data: Value = serde_json::from_str(&text).map_err(wrong)?;
        let known: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        if let Some(name) =
            data.as_object().into_iter().flatten().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()))
        {
            let (path, known) = (path.display(), known.join(", "));
            return Err(exit::usage(format!("{path}: no vendor that is played is called `{name}`; there are {known}")));
        }
        Ok(Some(data))
    }

    fn tell(&self, vendors: &[(String, Vendor)]) -> Result<()> {
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
            say::talk(&format!("{name} is played on http://{address}"));
            say::talk(&format!("  look inside at http://{address}/_sandbox/"));
            let tokens: Vec<String> = vendor.tokens().into_iter().map(|(token, _)| token).collect();
            match vendor.about() {
                Some(about) => say::talk_in("  ", about),
                None if !tokens.is_empty() => say::talk(&format!("  Token or key: {}.", tokens.join(", "))),
                None => {}
            }
            match vendor.proof() {
                Some(Proof::Key(key)) => {
                    say::talk("  signs webhooks with a key of its own; tell `dovetail serve`");
                    say::talk(&format!("    --webhook-key {name}={key}"));
                }
                Some(Proof::Secret(secret)) => say::talk(&format!("  signs webhooks with the secret {secret}")),
                None => {}
            }
        }
        say::talk("Ctrl-C ends it.");
        Ok(())
    }
}

/// The name of a connector, its file and the files that this names.
fn connector(path: &Path) -> Result<(String, Vec<Text>)> {
    let file = text(path)?;
    let read = File::read(&file.path, &file.text).ok();
    let named = read.and_then(|file| {
        Some((
            file.value.get("connector")?.as_str()?.to_owned(),
            schema_files(&file).into_iter().chain(imported_file(&file)).collect::<Vec<_>>(),
        ))
    });
    match named {
        Some((name, schemas)) => {
            let there = schemas.iter().map(Path::new).filter(|schema| schema.is_file());
            let schemas = there.map(text).collect::<Result<Vec<_>>>()?;
            Ok((name, std::iter::once(file).chain(schemas).collect()))
        }
        None => Err(exit::usage(format!(
            "{} is no connector that can be read; `dovetail check` tells what is wrong in a project's files",
            path.display()
        ))),
    }
}

fn text(path: &Path) -> Result<Text> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Text { path: path.display().to_string(), text }),
        Err(error) => Err(exit::usage(format!("{} cannot be read: {error}", path.display()))),
    }
}

fn refusal(error: &Error, name: &str) -> anyhow::Error {
    match error {
        Error::Listen { .. } if shipped::vendors().contains(&name) => {
            anyhow!("{error}; is a sandbox running already? choose another address with `--{name} ADDRESS:PORT`")
        }
        Error::Listen { .. } => anyhow!("{error}; is a sandbox running already?"),
        Error::Settings(_) => exit::usage(error.to_string()),
        Error::File { .. } => anyhow!("{error}"),
    }
}

/// Starts one vendor from the files that come with the program.
pub async fn start(name: &str, settings: Settings) -> Result<Vendor> {
    let connector = shipped::connector_file(name).with_context(|| format!("no connector is called `{name}`"))?;
    Ok(play(vec![connector], shipped::sandbox_file(name), settings).await?)
}

async fn play(connector: Vec<Text>, sandbox: Option<Text>, settings: Settings) -> Result<Vendor, Error> {
    let pair = |text: Text| (text.path, text.text);
    let connector: Vec<_> = connector.into_iter().map(pair).collect();
    Vendor::start(&connector, sandbox.map(pair), settings).await
}

/// A wait that makes tests and the demo quick.
pub const QUICK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    /// The vendors that these files make, each with the names of its files; or why not.
    fn played(files: &[(&str, &str)], chosen: Vec<(&'static str, SocketAddr)>) -> Result<Vec<String>> {
        let folder = std::env::temp_dir().join(format!("dovetail-sandbox-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder)?;
        let mut connector = Vec::new();
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text)?;
            if !name.contains(".sandbox.") && name.ends_with(".yaml") {
                connector.push(path);
            }
        }
        let sandbox = Sandbox {
            vendors: Vendors { chosen },
            connector,
            seed: None,
            data: None,
            webhooks: None,
            webhook_secret: String::new(),
            retry_base: "1s".into(),
            json: false,
        };
        let told = |part: Part| {
            let files = part
                .connector
                .iter()
                .chain(&part.sandbox)
                // The files of one folder are played together.
                .filter(|file| !file.path.starts_with("connectors/gohighlevel/"))
                .map(|file| Path::new(&file.path).file_name().unwrap_or_default().to_string_lossy().to_string());
            format!("{} {}: {}", part.name, part.listen.port(), files.collect::<Vec<_>>().join(" "))
        };
        let parts = sandbox.parts();
        std::fs::remove_dir_all(folder)?;
        Ok(parts?.into_iter().map(told).collect())
    }

    #[test]
    fn files_are_played_beside_the_shipped_vendors_or_over_them() {
        let files = [
            (
                "crm.yaml",
                "connector: crm\nobjects: { contact: { schema: ./contact.json }, note: { schema: ./note.json } }\n",
            ),
            ("contact.json", "{}"),
            ("crm.sandbox.yaml", "sandbox: crm\n"),
            ("gohighlevel.override.yaml", "connector: gohighlevel\n"),
        ];
        let expected = [
            "gohighlevel 4010: gohighlevel.yaml gohighlevel.override.yaml gohighlevel.sandbox.yaml",
            "opinion-stage 4011: opinion-stage.yaml opinion-stage.sandbox.yaml",
            "opinion-stage-contacts 4012: opinion-stage-contacts.yaml opinion-stage-contacts.sandbox.yaml",
            "crm 4013: crm.yaml contact.json crm.sandbox.yaml",
        ];
        assert_eq!(played(&files, Vec::new()).expect("they can be played"), expected);
    }

    #[test]
    fn what_adds_to_a_vendor_that_is_not_played_is_refused() {
        let here = SocketAddr::from(([127, 0, 0, 1], 5000));
        let files = [("gohighlevel.override.yaml", "connector: gohighlevel\n")];
        let refused = played(&files, vec![("opinion-stage", here)]).expect_err("nobody plays it").to_string();
        assert!(refused.ends_with("adds to `gohighlevel`, which is not played: add --gohighlevel ADDR"), "{refused}");
    }
}
