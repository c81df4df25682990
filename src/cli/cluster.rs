//! `cluster up`: the nodes of a cluster of Restate on this machine, to try out what `serve --on restate` does.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::{Child, Command};

use super::exit::{self, usage};
use super::say;
use super::serve::stop_signal;

#[derive(Debug, clap::Subcommand)]
pub enum Cluster {
    /// Start the nodes of a cluster on this machine, until Ctrl-C. What it keeps is there again the next time.
    Up(Up),
}

#[derive(Debug, clap::Args)]
pub struct Up {
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = super::number::<u16>(1..=9))]
    nodes: u16,
    /// The program of Restate's server. Default: `restate-server` of the npm package `@restatedev/restate-server` in this folder, or on
    /// the PATH.
    #[arg(long, value_name = "FILE", env = "DOVETAIL_RESTATE")]
    server: Option<PathBuf>,
    /// Where the nodes keep what they know.
    #[arg(long, value_name = "DIR", default_value = ".dovetail/cluster")]
    data: PathBuf,
}

/// Ports of the first node: for messages, for what is set up, and for the other nodes. Each further node has the next ones.
const INGRESS: u16 = 8080;
const ADMIN: u16 = 9070;
const FABRIC: u16 = 5122;

/// Before a node that has ended is started again.
const AGAIN: Duration = Duration::from_secs(1);
/// Nodes that may end within so long, and are started again.
const ENDS_MAX: usize = 5;
const LATELY: Duration = Duration::from_secs(30);

impl Cluster {
    pub async fn run(self) -> Result<u8> {
        let Cluster::Up(up) = self;
        up.run().await
    }
}

impl Up {
    async fn run(self) -> Result<u8> {
        let server = self.server()?;
        for port in (0..self.nodes).flat_map(|node| [INGRESS + node, ADMIN + node, FABRIC + node]) {
            if TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err() {
                return Err(usage(format!("port {port} of this machine is in use: is a cluster up already?")));
            }
        }
        std::fs::create_dir_all(&self.data).with_context(|| format!("{} cannot be made", self.data.display()))?;
        let mut nodes = Vec::new();
        for node in 0..self.nodes {
            nodes.push(self.start(&server, node)?);
        }
        let urls = |first: u16| {
            let urls: Vec<String> = (0..self.nodes).map(|node| format!("http://127.0.0.1:{}", first + node)).collect();
            urls.join(",")
        };
        let count = if self.nodes == 1 { "a node".to_owned() } else { format!("{} nodes", self.nodes) };
        say::talk(&format!("{count} of Restate on this machine, kept in {}; Ctrl-C ends it", self.data.display()));
        say::talk("serve with as many processes as you like, each with a data folder and addresses of its own:");
        say::talk(&format!(
            "  dovetail serve --on restate --ingress {} --admin {} --data data-1 --listen 127.0.0.1:4000",
            urls(INGRESS),
            urls(ADMIN)
        ));
        let mut stop = std::pin::pin!(stop_signal());
        // Those that end, lately.
        let mut ends: Vec<Instant> = Vec::new();
        loop {
            tokio::select! {
                ended = ended(&mut nodes) => {
                    let (node, how) = ended;
                    let number = u16::try_from(node).unwrap_or_default();
                    let log = self.log(number);
                    ends.retain(|end| end.elapsed() < LATELY);
                    ends.push(Instant::now());
                    if ends.len() > ENDS_MAX {
                        bail!("node {} ends again and again ({how}): {} says why", node + 1, log.display());
                    }
                    say::warning(&format!(
                        "node {} has ended ({how}), and is started again; {} may say why",
                        node + 1,
                        log.display()
                    ));
                    tokio::time::sleep(AGAIN).await;
                    nodes[node] = self.start(&server, number)?;
                }
                () = &mut stop => return Ok(exit::OK),
            }
        }
    }

    /// What a node said since it was started.
    fn log(&self, node: u16) -> PathBuf {
        self.data.join(format!("node-{}.log", node + 1))
    }

    fn start(&self, server: &Path, node: u16) -> Result<Child> {
        let mut command = Command::new(server);
        command.args(["--no-logo", "--cluster-name", "dovetail", "--node-name", &format!("node-{}", node + 1)]);
        command.arg("--base-dir").arg(&self.data);
        // It listens on this machine only, and sends no telemetry. That it asks GitHub for newer versions cannot be switched off.
        command.envs([("RESTATE_BIND_IP", "127.0.0.1"), ("RESTATE_LISTEN_MODE", "tcp")]);
        command.env("RESTATE_DISABLE_TELEMETRY", "true");
        command.env("RESTATE_INGRESS__BIND_PORT", (INGRESS + node).to_string());
        command.env("RESTATE_ADMIN__BIND_PORT", (ADMIN + node).to_string());
        command.env("RESTATE_BIND_PORT", (FABRIC + node).to_string());
        let address = |node: u16| format!("http://127.0.0.1:{}", FABRIC + node);
        command.env("RESTATE_ADVERTISED_ADDRESS", address(node));
        if self.nodes > 1 {
            let all: Vec<String> = (0..self.nodes).map(|node| format!("\"{}\"", address(node))).collect();
            command.env("RESTATE_METADATA_CLIENT__ADDRESSES", format!("[{}]", all.join(",")));
            // What is durable is at more than half of them.
            command.env("RESTATE_DEFAULT_REPLICATION", (self.nodes / 2 + 1).to_string());
            command.env("RESTATE_AUTO_PROVISION", (node == 0).to_string());
        }
        command.env("RESTATE_LOG_FILTER", "warn");
        let log = self.log(node);
        let log = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        command.spawn().with_context(|| format!("{} cannot be started", server.display()))
    }

    /// The server's program.
    fn server(&self) -> Result<PathBuf> {
        if let Some(server) = &self.server {
            return match server.is_file() {
                true => Ok(server.clone()),
                false => Err(usage(format!("--server: there is no file {}", server.display()))),
            };
        }
        let packages = std::fs::read_dir("node_modules/@restatedev").into_iter().flatten().flatten();
        let installed = packages.map(|package| package.path().join("bin/restate-server"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let on_the_path = std::env::split_paths(&path).map(|folder| folder.join("restate-server"));
        installed.chain(on_the_path).find(|file| file.is_file()).ok_or_else(|| {
            usage(
                "Restate's server is neither in this folder nor on the PATH: `npm install --ignore-scripts @restatedev/restate-server` brings it here, \
                 or say `--server FILE`",
            )
        })
    }
}

/// The node that ends next, and how.
async fn ended(nodes: &mut [Child]) -> (usize, String) {
    let waiting = nodes.iter_mut().enumerate().map(|(node, child)| {
        Box::pin(async move {
            let how = child.wait().await;
            (node, how.map_or_else(|error| error.to_string(), |status| status.to_string()))
        })
    });
    futures_util::future::select_all(waiting).await.0
}
