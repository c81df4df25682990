//! A stage for the real program: pretend vendors, a copy of the example project, secrets, and `dovetail serve`.
//!
//! The vendors live in the test's process and survive whatever is done to `serve`. Their webhooks stay off: a test posts
//! what the vendor would send, signed with a key of its own, so that it knows what was answered. Whoever waits looks
//! again every 20 ms, and gives up after a minute.

pub mod browser;
pub mod cluster;
mod process;
pub mod random;
pub mod sender;
mod until;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dovetail::run::Entry;
use dovetail::sandbox::{Settings, Vendor};
use dovetail::store::{Counts, Filter, Run, Status, Store};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Map, Value, json};

pub use process::{Serve, command, command_of};
pub use until::until;

pub const GHL: &str = "gohighlevel";
pub const QUIZ: &str = "opinion-stage";
pub const PEOPLE: &str = "opinion-stage-contacts";
/// The location in the vendor's documented examples, which the pretend one and the project take over.
pub const LOCATION: &str = "ve9EPM428h8vShlRW1KT";
const SHIPPED_LOCATION: &str = "Lo3CaT6iOn9Id2XyZ5wV";
/// What runs unless a test says otherwise: the shipped workflows, which go one way.
pub const ONE_WAY: [&str; 7] = [
    "contact-to-opinion-stage",
    "task-to-opinion-stage",
    "note-to-opinion-stage",
    "quiz-response-to-gohighlevel",
    "contact-deleted",
    "overdue-tasks",
    "add-tag-by-hand",
];
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Stage {
    pub folder: PathBuf,
    pub vendors: BTreeMap<&'static str, Vendor>,
    pub client: reqwest::Client,
    key: SigningKey,
    /// Further flags of `serve`.
    pub flags: Vec<String>,
    /// What serves, if it is not the program under test.
    pub program: Option<PathBuf>,
    /// What the environment tells `serve`.
    pub variables: Vec<(&'static str, String)>,
    /// Where `serve` listens; 0 before it has.
    port: u16,
    /// Who keeps the runs; None: `serve` itself.
    pub cluster: Option<cluster::Cluster>,
}

/// What `serve` said to a delivery.
pub type Said = (u16, Value);

impl Stage {
    /// Everything but `serve`. The project has no limits of requests and short waits, unless its files are written anew.
    pub async fn set() -> Stage {
        Stage::set_with(&[]).await
    }

    /// With further files of the flagship's connector.
    pub async fn set_with(files: &[(&str, &str)]) -> Stage {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = std::env::temp_dir().join(format!("dovetail-stage-{}", uuid::Uuid::now_v7()));
        let mut vendors = BTreeMap::new();
        for name in [GHL, QUIZ, PEOPLE] {
            vendors.insert(name, play(name, 0, if name == GHL { files } else { &[] }).await);
        }
        let client = reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(1)).build();
        let client = client.expect("a client");
        let mut stage = Stage {
            folder,
            vendors,
            client,
            key: SigningKey::from_bytes(&[7; 32]),
            flags: Vec::new(),
            program: None,
            variables: Vec::new(),
            port: 0,
            cluster: None,
        };
        stage.fill_project();
        if let Some(nodes) = cluster::nodes_asked_for() {
            stage.join(nodes).await;
        }
        for name in [GHL, PEOPLE] {
            stage.control("POST", name, "/settings", json!({ "limits": "none", "index_lag": "0s" })).await;
        }
        stage
    }

    /// Has the runs kept by a cluster of so many nodes.
    pub async fn join(&mut self, nodes: usize) {
        // One that is there keeps its folder to itself; what it leaves knows the addresses of its own nodes.
        self.cluster = None;
        let _ = std::fs::remove_dir_all(self.folder.join("restate"));
        self.cluster = Some(cluster::Cluster::start(&self.folder, nodes, &self.client).await);
    }

    fn fill_project(&self) {
        let project = repository("dovetail.yaml").replace(SHIPPED_LOCATION, LOCATION);
        let places = [(4010, self.address(GHL)), (4011, self.address(QUIZ)), (4012, self.address(PEOPLE))];
        let project = at_ports(&project, &places);
        self.write("dovetail.yaml", &project);
        let shipped = std::fs::read_dir(root().join("workflows")).expect("the shipped workflows");
        for entry in shipped.flatten() {
            let name = format!("workflows/{}", entry.file_name().to_string_lossy());
            self.write(&name, &repository(&name));
        }
        self.activate(&ONE_WAY);
        let quick = "{ after: [timeout, transient, invalid], look_with: find, wait: 100ms }";
        let objects = format!(
            "objects:\n  contact: {{ operations: {{ create: {{ if_unsure: {quick} }} }} }}\n  \
             task: {{ operations: {{ create: {{ if_unsure: {{ wait: 100ms }} }} }} }}\n  \
             note: {{ operations: {{ create: {{ if_unsure: {{ wait: 100ms }} }} }} }}\n"
        );
        self.write("connectors/gohighlevel.override.yaml", &format!("connector: {GHL}\nlimits: []\n{objects}"));
        self.write("connectors/opinion-stage-contacts.override.yaml", &format!("connector: {PEOPLE}\nlimits: []\n"));
        self.secrets("pit-sandbox-location", "token-sandbox");
    }

    pub fn project(&self) -> PathBuf {
        self.folder.join("project")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the project's folder");
        std::fs::write(path, text).expect("a file of the project");
    }

    /// Edits a file of the project by hand; what is replaced must be there.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let file = self.project().join(path);
        let text = std::fs::read_to_string(&file).expect("a file of the project");
        assert!(text.contains(from), "{path} does not hold `{from}`");
        std::fs::write(file, text.replace(from, to)).expect("a file of the project");
    }

    /// Only these workflows are active.
    pub fn activate(&self, names: &[&str]) {
        let text = std::fs::read_to_string(self.project().join("dovetail.yaml")).expect("the project");
        let (before, rest) = text.split_once("active:\n").expect("a list of active workflows");
        let rest: Vec<&str> = rest.lines().skip_while(|line| line.starts_with("  - ")).collect();
        let active: String = names.iter().map(|name| format!("  - {name}\n")).collect();
        self.write("dovetail.yaml", &format!("{before}active:\n{active}{}\n", rest.join("\n")));
    }

    /// The secrets file, readable by its owner only.
    pub fn secrets(&self, ghl: &str, people: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join("secrets.yaml");
        let text =
            format!("ghl_token: {ghl}\nos_key: key-sandbox\nosc_token: {people}\nosc_webhook_secret: a-secret\n");
        std::fs::write(&path, text).expect("the secrets file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    /// Runs another command of the program on the project and its store; gives its exit code and what it said.
    pub fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(words).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The same for a command that needs no secrets.
    pub fn ask(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = command();
        command.args(words).arg("--project").arg(self.project()).arg("--data").arg(self.data());
        let output = command.output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// The same as [`Stage::run`], while the test goes on; it speaks to nobody.
    pub fn begin(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    /// A command of the program on the project and its store, with the key if there is one.
    pub fn command(&self, words: &[&str]) -> std::process::Command {
        self.command_with(words, &self.data())
    }

    fn command_with(&self, words: &[&str], data: &Path) -> std::process::Command {
        let mut command = match (&self.program, words) {
            (Some(program), ["serve", ..]) => command_of(program),
            _ => command(),
        };
        command.args(words).arg("--project").arg(self.project()).arg("--data").arg(data);
        command.arg("--secrets").arg(self.folder.join("secrets.yaml"));
        if self.key_file().exists() {
            command.arg("--key-file").arg(self.key_file());
        }
        for name in self.vendors.keys() {
            command.args(["--allow-net", &self.address(name)]);
        }
        command
    }

    pub fn key_file(&self) -> PathBuf {
        self.folder.join("dovetail.key")
    }

    /// Starts the real program, at the same address each time, and waits until it is ready.
    pub async fn serve(&mut self) -> Serve {
        let key = STANDARD.encode(self.key.verifying_key().as_bytes());
        self.serve_with(&key).await
    }

    /// Starts the real program, to which the flagship itself sends its webhooks.
    pub async fn serve_hearing(&mut self, vendor: &'static str) -> Serve {
        let key = self.vendors[vendor].public_key();
        let serve = self.serve_with(&key).await;
        self.control("POST", vendor, "/settings", json!({ "webhook_url": self.url() })).await;
        serve
    }

    /// The same with both sides of the shipped sync.
    pub async fn serve_hearing_both(&mut self) -> Serve {
        let key = self.control("GET", PEOPLE, "/key", Value::Null).await;
        let secret = key["secret"].as_str().expect("the secret of the pretend vendor");
        let file = self.folder.join("secrets.yaml");
        let secrets = std::fs::read_to_string(&file).expect("secrets");
        std::fs::write(file, secrets.replace("a-secret", secret)).expect("written");
        let serve = self.serve_hearing(GHL).await;
        let url = self.url().replace(GHL, PEOPLE);
        self.control("POST", PEOPLE, "/settings", json!({ "webhook_url": url })).await;
        serve
    }

    /// The same on a disk of its own of that many MiB; the folder in which only the program itself sees its data is seen
    /// by its number ([`Stage::data_of`]).
    pub async fn serve_on_small_disk(&mut self, mib: u32) -> Serve {
        std::fs::create_dir_all(self.data()).expect("a folder for the disk");
        let inner = self.serving(&STANDARD.encode(self.key.verifying_key().as_bytes()));
        let mut command = std::process::Command::new("unshare");
        let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
        command.args(["--map-root-user", "--mount", "sh", "-c", &mount]).arg(self.data());
        command.arg(inner.get_program()).args(inner.get_args());
        self.served(command).await
    }

    pub fn data_of(&self, serve: &Serve) -> PathBuf {
        let data = self.data();
        Path::new("/proc").join(serve.id().to_string()).join("root").join(data.strip_prefix("/").expect("a whole path"))
    }

    /// Starts another process beside the first, at this port (0: any), with a data folder of its own.
    pub async fn serve_beside(&self, port: u16) -> Serve {
        self.serve_in(&self.folder.join("beside"), port).await
    }

    /// Starts one with this data folder.
    pub async fn serve_in(&self, data: &Path, port: u16) -> Serve {
        let key = STANDARD.encode(self.key.verifying_key().as_bytes());
        Serve::start(self.serving_with(&key, data, port), &self.client).await
    }

    async fn serve_with(&mut self, key: &str) -> Serve {
        let command = self.serving(key);
        self.served(command).await
    }

    fn serving(&self, key: &str) -> std::process::Command {
        self.serving_with(key, &self.data(), self.port)
    }

    fn serving_with(&self, key: &str, data: &Path, port: u16) -> std::process::Command {
        let mut command = self.command_with(&["serve"], data);
        let key = format!("{GHL}={key}");
        command.args(["--webhook-key", &key]).args(&self.flags);
        command.args(self.cluster.iter().flat_map(cluster::Cluster::flags));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.args(["--listen", &format!("127.0.0.1:{port}")]);
        command
    }

    async fn served(&mut self, command: std::process::Command) -> Serve {
        let mut serve = Serve::start(command, &self.client).await;
        self.port = serve.port;
        if self.cluster.is_some() && cluster::nodes_asked_for().is_some_and(|nodes| nodes > 1) {
            serve.companion = Some(Box::new(self.serve_in(&self.folder.join("companion"), 0).await));
        }
        serve
    }

    pub fn address(&self, vendor: &str) -> String {
        self.vendors[vendor].address().to_string()
    }

    /// A vendor goes away; gives its port.
    pub async fn stop(&mut self, name: &'static str) -> u16 {
        let vendor = self.vendors.remove(name).expect("a vendor");
        let port = vendor.address().port();
        vendor.stop().await;
        port
    }

    /// A vendor comes back, without its records.
    pub async fn start(&mut self, name: &'static str, port: u16) {
        self.vendors.insert(name, play(name, port, &[]).await);
    }

    /// A vendor offers more, as a further connector file of the project says.
    pub async fn extend(&mut self, name: &'static str, path: &str, text: &str) {
        self.write(path, text);
        let port = self.stop(name).await;
        self.vendors.insert(name, play(name, port, &[(path, text)]).await);
    }

    /// Asks a vendor's control door.
    pub async fn control(&self, method: &str, vendor: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/_sandbox{path}", self.address(vendor));
        let method = method.parse::<reqwest::Method>().expect("a method");
        let request = self.client.request(method, url);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.expect("the control door answers");
        let status = answer.status();
        let said: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{vendor} {path}: {status} {said}");
        said
    }

    /// Makes a record in the vendor's own app, without a webhook.
    pub async fn make(&self, vendor: &str, object: &str, record: Value) -> Value {
        let said = self.control("POST", vendor, &format!("/records/{object}?quiet=true"), record).await;
        said["records"][0].clone()
    }

    pub async fn change(&self, vendor: &str, object: &str, id: &str, fields: Value) -> Value {
        let said = self.control("PATCH", vendor, &format!("/records/{object}/{id}?quiet=true"), fields).await;
        said["records"][0].clone()
    }

    pub async fn fault(&self, vendor: &str, fault: Value) {
        self.control("POST", vendor, "/faults", fault).await;
    }

    /// The requests that a vendor has got for an operation.
    pub async fn requests(&self, vendor: &str, operation: &str) -> Vec<Value> {
        let said = self.control("GET", vendor, &format!("/requests?operation={operation}"), Value::Null).await;
        said["requests"].as_array().cloned().expect("a list")
    }

    /// The body of a webhook about a record, as the vendor makes it.
    pub fn event(&self, name: &str, record: &Value) -> Value {
        let mut body: Map<String, Value> = record.as_object().cloned().unwrap_or_default();
        body.insert("type".into(), json!(name));
        body.insert("locationId".into(), json!(LOCATION));
        body.insert("webhookId".into(), json!(uuid::Uuid::now_v7().to_string()));
        body.insert("timestamp".into(), json!(now()));
        Value::Object(body)
    }

    pub fn signature(&self, body: &[u8]) -> String {
        STANDARD.encode(self.key.sign(body).to_bytes())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/{GHL}", self.port)
    }

    /// Posts a webhook that must be taken as new.
    pub async fn tell(&self, name: &str, record: &Value) {
        let said = self.post(&self.event(name, record)).await;
        assert_eq!(said, (200, json!({ "status": "accepted" })), "{name} {record}");
    }

    /// Posts a signed webhook.
    pub async fn post(&self, body: &Value) -> Said {
        let (body, signature) = self.letter(body);
        self.post_raw(body, &[("content-type", "application/json"), ("x-ghl-signature", &signature)]).await
    }

    /// The bytes of a body, and their signature.
    pub fn letter(&self, body: &Value) -> (Vec<u8>, String) {
        let bytes = body.to_string().into_bytes();
        let signature = self.signature(&bytes);
        (bytes, signature)
    }

    pub async fn post_raw(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> Said {
        let request =
            headers.iter().fold(self.client.post(self.url()), |request, (name, value)| request.header(*name, *value));
        let answer = request.body(body).send().await.expect("serve answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Waits until `serve` has read the list of contacts: what comes later is told by webhooks only.
    pub async fn list_is_read(&self) {
        let read = async || (!self.requests(GHL, "contact.list").await.is_empty()).then_some(());
        until("the list is read", read).await;
    }

    /// All runs, in the order of acceptance.
    pub async fn runs(&self) -> Vec<Run> {
        let store = Store::open_read_only(&self.data()).expect("the store");
        let mut runs = store.runs(Filter { limit: usize::MAX, ..Filter::default() }).await.expect("the runs");
        store.close().await;
        runs.reverse();
        runs
    }

    pub async fn counts(&self) -> Counts {
        let store = Store::open_read_only(&self.data()).expect("the store");
        let counts = store.counts().await.expect("the counts");
        store.close().await;
        counts
    }

    /// How far something was read, by whoever keeps that.
    pub async fn cursor(&self, key: &str) -> Option<Value> {
        if let Some(cluster) = &self.cluster {
            let sql = format!(
                "SELECT value_utf8 AS place FROM state WHERE service_name = 'DovetailPlace' AND key = 'place' AND service_key = '{key}'"
            );
            let rows = cluster.query(&self.client, &sql).await;
            return serde_json::from_str(rows.first()?["place"].as_str()?).ok();
        }
        let store = Store::open_read_only(&self.data()).expect("the store");
        let kept = store.cursor(key).await.expect("the cursor");
        store.close().await;
        kept
    }

    /// Waits until what a cluster has been given so far is in the copy that is looked at.
    async fn told(&self, end: Instant) {
        let Some(cluster) = &self.cluster else { return };
        let arriving = "SELECT count(*) AS number FROM sys_invocation WHERE target_service_name = 'DovetailLine' \
                        AND target_handler_name IN ('accept', 'begin', 'take_over') AND status <> 'completed'";
        let head = "SELECT value_utf8 AS head FROM state WHERE service_name = 'DovetailFeed' AND key = 'head'";
        // To look again and again would slow down what is waited for.
        while cluster.query(&self.client, arriving).await[0]["number"].as_u64() != Some(0) {
            assert!(Instant::now() < end, "waited in vain until all has arrived");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let rows = cluster.query(&self.client, head).await;
        let Some(head) = rows.first().and_then(|row| row["head"].as_str()) else { return };
        let head: Value = serde_json::from_str(head).expect("the feed's head");
        until("it is read", async || {
            let store = Store::open_read_only(&self.data()).expect("the store");
            let read = store.cursor("feed:0").await.expect("the cursor");
            store.close().await;
            (read.and_then(|read| read.as_u64()) >= head["next"].as_u64()).then_some(())
        })
        .await;
    }

    /// Waits until no run is pending; gives all of them, as of one look.
    pub async fn over(&self) -> Vec<Run> {
        // A limit holds over all processes of a cluster, also over one that was killed.
        let times = if is_long() { 10 } else { 1 } * if self.cluster.is_some() { 4 } else { 1 };
        let end = Instant::now() + times * PATIENCE;
        self.told(end).await;
        loop {
            // To read all of them again and again would slow down what is waited for.
            while self.counts().await.pending > 1_000 && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let runs = self.runs().await;
            let Some(stuck) = runs.iter().find(|run| run.status == Status::Pending) else { return runs };
            if Instant::now() > end {
                panic!("waited in vain for {}: {:#?}", stuck.start.workflow, self.journal(&stuck.start.id).await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn journal(&self, run: &str) -> Vec<Entry> {
        let store = Store::open_read_only(&self.data()).expect("the store");
        let journal = store.journal(run).await.expect("the journal");
        store.close().await;
        journal
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What is left lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Plays a shipped vendor, at the documented location.
async fn play(name: &'static str, port: u16, further: &[(&str, &str)]) -> Vendor {
    let file = |path: String| (path.clone(), repository(&path).replace(SHIPPED_LOCATION, LOCATION));
    let settings = Settings { listen: ([127, 0, 0, 1], port).into(), ..Settings::new(name) };
    let sandbox = file(format!("connectors/{name}.sandbox.yaml"));
    let mut files = vec![file(format!("connectors/{name}.yaml"))];
    files.extend(further.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    let vendor = Vendor::start(&files, Some(sandbox), settings).await;
    vendor.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `LONG=1` asks for the long form of a test: more rounds, more of everything.
pub fn is_long() -> bool {
    std::env::var_os("LONG").is_some()
}

pub fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A project whose standard ports are real addresses. A real port may begin like a standard one: what was put in is not
/// looked at again.
pub fn at_ports(project: &str, places: &[(u16, String)]) -> String {
    let mut parts = project.split("127.0.0.1:");
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let place = places.iter().find_map(|(port, address)| {
            let rest = part
                .strip_prefix(&port.to_string())
                .filter(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))?;
            Some(format!("{address}{rest}"))
        });
        text.push_str(&place.unwrap_or_else(|| format!("127.0.0.1:{part}")));
    }
    text
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub fn repository(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
