//! A cluster of Restate on this machine, for a stage whose runs it keeps.
//!
//! `DOVETAIL_RESTATE` says where the server's program is; where nothing says so, there is none, and tests that need it are
//! left out. Every stage of a test has its runs kept there if `DOVETAIL_TESTED_ON` says `restate`: one node, and one process of ours;
//! or `cluster`: three nodes, and two processes side by side.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};

use super::until;

/// The server's nodes.
pub struct Cluster {
    folder: PathBuf,
    nodes: Vec<Node>,
    /// Where it calls our processes.
    objects: u16,
}

struct Node {
    /// None: it was killed.
    child: Option<Child>,
    ingress: u16,
    admin: u16,
    fabric: u16,
}

/// Where the server's program is.
pub fn server() -> Option<PathBuf> {
    std::env::var_os("DOVETAIL_RESTATE").map(PathBuf::from).filter(|_| cfg!(feature = "restate"))
}

/// By a cluster of how many nodes are all tests to have their runs kept?
pub fn nodes_asked_for() -> Option<usize> {
    match std::env::var("DOVETAIL_TESTED_ON").ok()?.as_str() {
        "restate" => Some(1),
        "cluster" => Some(3),
        other => panic!("DOVETAIL_TESTED_ON is `restate` or `cluster`, not `{other}`"),
    }
}

/// The public part of the key with which the cluster signs.
pub const IDENTITY: &str = "publickeyv1_7WJgrz4PQWRAFZys11MwYmZ94wyvLCF7XRPTXbtpc9iV";

fn identity() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/restate/identity.pem")
}

/// One that nobody listens at, and that the system gives to nobody who asks for any: it may be listened at later, and again.
pub fn port() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let begin =
        || AtomicU16::new(PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS_OF_US)).unwrap_or(0));
    let next = NEXT.get_or_init(begin);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let some = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take(1_000);
    some.into_iter().find(|port| PORTS.contains(port) && is_free(port)).expect("a port")
}

/// Below those that Linux gives to connections.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Where a process begins, at most so far from the first.
const PORTS_OF_US: u16 = 10_000;

impl Cluster {
    /// Starts one of so many nodes.
    pub async fn start(folder: &Path, nodes: usize, client: &reqwest::Client) -> Cluster {
        let nodes = (0..nodes).map(|_| Node { child: None, ingress: port(), admin: port(), fabric: port() }).collect();
        let mut cluster = Cluster { folder: folder.join("restate"), nodes, objects: port() };
        (0..cluster.nodes.len()).for_each(|number| cluster.begin(number));
        cluster.is_ready(client).await;
        cluster
    }

    /// Starts a node, or starts it again with what it has kept.
    pub fn begin(&mut self, number: usize) {
        let node = &self.nodes[number];
        let mut command = Command::new(server().expect("the server of Restate"));
        command.args(["--no-logo", "--cluster-name", "stage", "--node-name", &format!("node-{number}")]);
        command.arg("--base-dir").arg(&self.folder);
        // It listens on this machine only, and sends no telemetry.
        command.envs([("RESTATE_BIND_IP", "127.0.0.1"), ("RESTATE_LISTEN_MODE", "tcp")]);
        command.envs([("RESTATE_DISABLE_TELEMETRY", "true"), ("RESTATE_ADMIN__DISABLE_WEB_UI", "true")]);
        command.env("RESTATE_DEFAULT_NUM_PARTITIONS", "4");
        command.env("RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE", identity());
        command.env("RESTATE_BIND_PORT", node.fabric.to_string());
        command.env("RESTATE_ADMIN__BIND_PORT", node.admin.to_string());
        command.env("RESTATE_INGRESS__BIND_PORT", node.ingress.to_string());
        command.env("RESTATE_ADVERTISED_ADDRESS", format!("http://127.0.0.1:{}", node.fabric));
        if self.nodes.len() > 1 {
            let addresses: Vec<String> =
                self.nodes.iter().map(|node| format!("\"http://127.0.0.1:{}\"", node.fabric)).collect();
            command.env("RESTATE_METADATA_CLIENT__ADDRESSES", format!("[{}]", addresses.join(",")));
            command.env("RESTATE_DEFAULT_REPLICATION", "2");
            command.env("RESTATE_AUTO_PROVISION", (number == 0).to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.nodes[number].child = Some(command.spawn().expect("the server of Restate starts"));
    }

    /// `kill -9` of a node.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.nodes[number].child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    pub async fn is_ready(&self, client: &reqwest::Client) {
        for node in &self.nodes {
            let doors = [format!("{}/health", node.admin), format!("{}/restate/health", node.ingress)];
            for url in doors.map(|door| format!("http://127.0.0.1:{door}")) {
                let is_well = async || client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200);
                until("Restate is ready", async || is_well().await.then_some(())).await;
            }
        }
        // It answers only when each partition is led by some node.
        self.query(client, "SELECT count(*) AS number FROM sys_invocation").await;
    }

    /// Processes that are started from now on are called at another address, as those of another release; gives the one before.
    pub fn move_objects(&mut self, to: u16) -> u16 {
        std::mem::replace(&mut self.objects, to)
    }

    /// What it says of itself.
    pub async fn query(&self, client: &reqwest::Client, sql: &str) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/query", self.nodes[0].admin);
        let rows = async || {
            let request = client.post(&url).header("accept", "application/json").json(&json!({ "query": sql }));
            let mut answer: Value = request.send().await.ok()?.json().await.ok()?;
            // At first nobody leads a partition.
            serde_json::from_value(answer["rows"].take()).ok()
        };
        until("Restate says what it knows", rows).await
    }

    /// Tells an object something.
    pub async fn tell(&self, client: &reqwest::Client, path: &str, message: &Value) {
        let url = format!("http://127.0.0.1:{}/{path}", self.nodes[0].ingress);
        let answer = client.post(url).json(message).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Where it calls our processes.
    pub fn objects(&self) -> String {
        format!("127.0.0.1:{}", self.objects)
    }

    /// What tells `serve` of it.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = ["--on", "restate"].map(str::to_owned).to_vec();
        flags.extend(self.reach());
        flags
    }

    /// The addresses of its ingress, and of its admin API.
    pub fn doors(&self) -> [Vec<String>; 2] {
        let ports: [fn(&Node) -> u16; 2] = [|node| node.ingress, |node| node.admin];
        ports.map(|port| self.nodes.iter().map(|node| format!("http://127.0.0.1:{}", port(node))).collect())
    }

    /// How it is reached.
    pub fn reach(&self) -> Vec<String> {
        let ([ingress, admin], objects) = (self.doors().map(|urls| urls.join(",")), self.objects());
        ["--ingress", &ingress, "--admin", &admin, "--objects", &objects, "--restate-key", IDENTITY]
            .map(str::to_owned)
            .to_vec()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().filter_map(|node| node.child.as_mut()) {
            // It may have ended before.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
