//! `demo`: the main job, end to end, on this computer: pretend vendors, the engine, a short story, and its end.

mod play;
mod report;
mod second;
mod story;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::documents::Folder;
use super::on::{self, On};
use super::{check, exit, past, sandbox, say, serve, shipped};
use crate::dashboard;
use crate::engine::{Engine, Keeping, Progress, Settings};
use crate::http::Guard;
use crate::project::{Text, read};
use crate::sandbox::Vendor;
use crate::server::control::{self, Door};
use crate::server::invitations::{Invitation, Invitations};
use crate::server::{self, secret};
use crate::store::Role;
use crate::vault::SecretSource;
use second::Second;
use story::Story;

/// The story must have come to its end after this long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Demo {
    /// End by itself; the exit code is 0 only if every expected record arrived exactly once.
    #[arg(long)]
    once: bool,
    /// The report as JSON on stdout.
    #[arg(long)]
    json: bool,
    /// Where the demo's project and store are kept. Default: a new temporary folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    on: On,
}

/// Everything that runs during a demo.
struct Stage {
    folder: PathBuf,
    address: std::net::SocketAddr,
    vendors: BTreeMap<String, Vendor>,
    engine: Engine,
    /// Beside which another process serves, where a cluster keeps the runs.
    second: Option<Second>,
    server: JoinHandle<()>,
    invitations: Invitations,
    /// The dashboard, and the socket at which commands ask.
    beside: Vec<JoinHandle<()>>,
    stop: tokio::sync::watch::Sender<bool>,
}

impl Demo {
    pub async fn run(self) -> Result<u8> {
        let began = Instant::now();
        let story = Story::read()?;
        let stage = Stage::set(&story, self.data.as_deref(), self.on.keeping()?).await?;
        stage.introduce();
        stage.first_run().await?;
        let made = play::play(&story, &stage).await?;
        let mut report = report::wait(&story, &stage, made, PATIENCE).await?;
        report.milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.json {
            say::data(&serde_json::to_string_pretty(&report)?);
        }
        report.tell(&stage);
        let code = if report.ok { exit::OK } else { exit::FAILED };
        if !self.once {
            stage.what_next()?;
            serve::stop_signal().await;
        }
        let temporary = self.data.is_none();
        stage.end(temporary && self.once && report.ok).await;
        Ok(code)
    }
}

impl Stage {
    async fn set(story: &Story, data: Option<&Path>, hands: Keeping) -> Result<Stage> {
        let folder = match data {
            Some(folder) => folder.to_path_buf(),
            None => std::env::temp_dir().join(format!("dovetail-demo-{}", uuid::Uuid::now_v7())),
        };
        if folder.join("data").exists() {
            let why = "holds an earlier demo: give another folder, or remove this one";
            return Err(exit::usage(format!("{} {why}", folder.display())));
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port of this computer is free")?;
        let address = listener.local_addr()?;
        let webhook_secret = uuid::Uuid::now_v7().to_string();
        let mut vendors = BTreeMap::new();
        for name in shipped::vendors() {
            let settings = crate::sandbox::Settings {
                webhook_url: Some(format!("http://{address}/hooks/{name}")),
                webhook_secret: Some(webhook_secret.clone()),
                retry_base: sandbox::QUICK,
                data: Some(serde_json::json!({})),
                ..crate::sandbox::Settings::new(name)
            };
            vendors.insert(name.to_string(), sandbox::start(name, settings).await?);
        }
        let urls =
            vendors.iter().map(|(name, vendor)| (name.clone(), format!("http://{}", vendor.address()))).collect();
        let texts = story.documents(&urls)?;
        write(&folder, &texts)?;
        let loaded = read(&texts, &shipped::connectors(), None);
        let Some(plan) = loaded.plan else {
            check::tell(&loaded);
            anyhow::bail!("the demo's own project has errors");
        };
        let allow: Vec<String> = vendors.values().map(|vendor| vendor.address().to_string()).collect();
        let webhook_keys = vendors.iter().map(|(name, vendor)| (name.clone(), vendor.public_key())).collect();
        let mut secrets = story.secrets.clone();
        secrets.insert("webhook".into(), webhook_secret);
        play::before(story, &vendors).await?;
        let flags = on::beside(&hands)?;
        let settings = Settings {
            plan,
            store: hands.open(&folder.join("data"))?,
            guard: Guard::new(&allow).map_err(anyhow::Error::msg)?,
            secrets: Arc::new(Known(secrets.clone())),
            vault: None,
            webhook_keys,
            at_once: 64,
            listens: true,
            hands,
        };
        let engine = Engine::start(settings).await?;
        let patience = Instant::now() + PATIENCE;
        while !engine.watches().await? && Instant::now() < patience {
            engine.progress().await;
        }
        let second = match flags {
            Some(flags) => Some(Second::start(&folder, &flags, &vendors, &secrets).await?),
            None => None,
        };
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let routes = server::routes(engine.clone());
        let server = tokio::spawn(server::serve(listener, routes, async move {
            // The sender's end is a stop as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        let (invitations, beside) = beside(&engine, &folder).await?;
        Ok(Stage { folder, address, vendors, engine, second, server, invitations, beside, stop })
    }

    fn introduce(&self) {
        say::talk("Dovetail demo: three pretend vendors and the engine, all on this computer.");
        for (name, vendor) in &self.vendors {
            say::talk(&format!("  {name:<24} http://{}", vendor.address()));
        }
        say::talk(&format!("  {:<24} http://{}   (webhooks come in here)", "dovetail", self.address));
        if let Some(second) = &self.second {
            say::talk(&format!("  {:<24} {}   (a second process that shares the runs)", "dovetail", second.url));
        }
        say::talk("");
    }

    /// The syncs begin: what was there before is brought into line.
    async fn first_run(&self) -> Result<()> {
        for sync in &self.engine.plan().syncs {
            let (surveyed, runs) = self.engine.apply(&sync.name, None, false, None, &Progress::default()).await?;
            let [first, second] = &surveyed.pairs[0].objects;
            say::talk(&format!(
                "The first run of the sync `{}`: {first} and {second}, {runs} to bring into line",
                sync.name
            ));
        }
        Ok(())
    }

    fn what_next(&self) -> Result<()> {
        let folder = self.folder.display();
        let code = secret::secret()?;
        let invitation = Invitation { hash: secret::hash(&code), role: Role::Admin, name: past::user() };
        self.invitations.add(invitation, past::now_ms());
        say::talk("");
        say::talk("It goes on running. Have a look, in a browser (the link lets in once, within five minutes):");
        say::talk(&format!("  {}/sign-in?code={}", self.invitations.url, *code));
        say::talk(&format!("  dovetail dashboard --data {folder}/data   another such link"));
        say::talk("and in another terminal:");
        for (name, vendor) in &self.vendors {
            say::talk(&format!("  curl http://{}/_sandbox/            {name} from the inside", vendor.address()));
        }
        say::talk(&format!("  dovetail runs list --data {folder}/data   every run, and what became of it"));
        say::talk(&format!("  {folder}/workflows   the recipes that did it: change a copy and `dovetail check` it"));
        if let Some(id) = self.second.as_ref().and_then(Second::id) {
            say::talk(&format!(
                "  kill -9 {id}   ends the second process at once: change something then, nothing is lost"
            ));
            say::talk(&format!("  {folder}/second.log   what it says"));
        }
        say::talk("Ctrl-C ends it.");
        Ok(())
    }

    async fn end(self, tidy: bool) {
        self.stop.send_replace(true);
        self.beside.iter().for_each(JoinHandle::abort);
        if let Some(second) = self.second {
            second.end().await;
        }
        for (_, vendor) in self.vendors {
            vendor.stop().await;
        }
        self.engine.stop().await;
        // A server that has panicked has nothing left to end.
        let _ = self.server.await;
        self.engine.store().clone().close().await;
        if tidy {
            // What cannot be removed is in a temporary folder anyway.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The dashboard, and the socket at which commands ask; nothing is read anew in a demo.
async fn beside(engine: &Engine, folder: &Path) -> Result<(Invitations, Vec<JoinHandle<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port of this computer is free")?;
    let (engine, bound) = (engine.clone(), listener.local_addr()?);
    let documents = Arc::new(Folder {
        path: folder.to_path_buf(),
        environment: None,
        reloads: None,
        refused: watch::Sender::default().subscribe(),
    });
    let (pages, invitations) =
        dashboard::open(dashboard::Settings { engine: engine.clone(), documents, bound, url: None })?;
    let mut beside = vec![tokio::spawn(server::serve(listener, pages, std::future::pending()))];
    let door = Door { engine, reloads: mpsc::channel(1).0, invitations: Some(invitations.clone()) };
    // A folder whose name is too long for a socket has none; the demo needs none.
    beside.extend(control::open(door, &folder.join("data")).await.ok().map(tokio::spawn));
    Ok((invitations, beside))
}

/// The demo's secrets; none of them is one.
struct Known(BTreeMap<String, String>);

impl SecretSource for Known {
    fn secret(&self, name: &str) -> Option<SecretString> {
        self.0.get(name).map(|value| SecretString::from(value.clone()))
    }
}

fn write(folder: &Path, texts: &[Text]) -> Result<()> {
    for text in texts {
        let path = folder.join(&text.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, &text.text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}
