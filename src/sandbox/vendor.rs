//! A running pretend vendor: what is outside of the requests.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::deliver::Post;
use super::field::comparable;
use super::hook::{Hook, of_changes};
use super::record::Change;
use super::rules::Rules;
use super::sign::Signer;
use super::state::State;
use super::{deliver, read, serve};
use crate::http::{Client, Guard};

/// How to play.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The connector's name.
    pub connector: String,
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Ids and jitter come from it.
    pub seed: u64,
    /// The key that webhooks are signed with comes from this one, so that it stays the same when ids differ.
    pub key_seed: u64,
    /// Records by object, instead of the sandbox file's.
    pub data: Option<Value>,
    /// On this computer. Without it webhooks are only listed.
    pub webhook_url: Option<String>,
    /// For vendors that sign with a shared secret.
    pub webhook_secret: Option<String>,
    /// The wait before the first retry of a webhook; it doubles from there.
    pub retry_base: Duration,
}

impl Settings {
    /// Any free port of this computer, one second before the first retry.
    pub fn new(connector: &str) -> Settings {
        Settings {
            connector: connector.to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            key_seed: 1,
            data: None,
            webhook_url: None,
            webhook_secret: None,
            retry_base: Duration::from_secs(1),
        }
    }
}

/// Why a vendor cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is no YAML, or not of its kind.
    #[error("{path}: {message}")]
    File { path: String, message: String },
    #[error("{0}")]
    Settings(String),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: SocketAddr, error: std::io::Error },
}

/// How a receiver knows that a webhook is genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a public key: Base64 of the SubjectPublicKeyInfo.
    Key(String),
    /// By a secret that both sides know.
    Secret(String),
}

/// One pretend vendor, listening.
pub struct Vendor {
    inner: Arc<Inner>,
    address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

pub struct Inner {
    pub rules: Arc<Rules>,
    pub state: Mutex<State>,
    pub signer: Signer,
    pub seed: u64,
    pub data: Option<Value>,
    pub retry_base: Duration,
    pub post: Post,
    pub queue: UnboundedSender<Hook>,
    /// Webhooks that are neither delivered nor given up.
    pub under_way: AtomicUsize,
    pub stopped: AtomicBool,
}

impl Vendor {
    /// Reads the files, fills in the records, listens.
    ///
    /// # Errors
    /// A file that is wrong, an address that is not of this computer or is taken.
    pub async fn start(
        connector_files: &[(String, String)],
        sandbox_file: Option<(String, String)>,
        settings: Settings,
    ) -> Result<Vendor, Error> {
        if !settings.listen.ip().is_loopback() {
            return Err(Error::Settings(format!("{} is no loopback address", settings.listen)));
        }
        let rules = read::rules(&settings.connector, connector_files, sandbox_file)?;
        let here = ["127.0.0.0/8".to_string(), "[::1]".to_string()];
        let client = Client::new(Guard::new(&here).map_err(Error::Settings)?);
        let mut state = State::new(&rules, settings.seed);
        state.fill(&rules, settings.data.as_ref()).map_err(Error::Settings)?;
        if let Some(url) = &settings.webhook_url {
            state.set_webhook_url(url).map_err(Error::Settings)?;
        }
        let listener = TcpListener::bind(settings.listen).await;
        let address = settings.listen;
        let listener = listener.map_err(|error| Error::Listen { address, error })?;
        let address = listener.local_addr().map_err(|error| Error::Listen { address, error })?;
        let (queue, waiting) = unbounded_channel();
        let inner = Arc::new(Inner {
            rules: Arc::new(rules),
            state: Mutex::new(state),
            signer: Signer::new(settings.key_seed, settings.webhook_secret),
            seed: settings.seed,
            data: settings.data,
            retry_base: settings.retry_base,
            post: Post::Network(client),
            queue,
            under_way: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let tasks = vec![
            tokio::spawn(deliver::run(Arc::clone(&inner), waiting)),
            tokio::spawn(serve::run(Arc::clone(&inner), listener)),
        ];
        Ok(Vendor { inner, address, tasks })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base64 of the SubjectPublicKeyInfo that webhooks are signed with.
    pub fn public_key(&self) -> String {
        self.inner.signer.public_key()
    }

    /// What a receiver needs to know its webhooks by; None if it sends none, or unsigned ones.
    pub fn proof(&self) -> Option<Proof> {
        let rules = &self.inner.rules.document.webhooks.sign;
        if rules.iter().any(|rule| rule.ed25519) {
            return Some(Proof::Key(self.public_key()));
        }
        rules.first().map(|_| Proof::Secret(self.inner.signer.secret(rules)))
    }

    /// Oldest first, as kept.
    pub fn records(&self, object: &str) -> Vec<Value> {
        self.inner.state.lock().records.all(object).cloned().collect()
    }

    /// How often a record was created, changed or deleted.
    pub fn writes(&self) -> u64 {
        self.inner.state.lock().records.writes
    }

    /// Values of identity fields that two records of an object share: `(field, value)`.
    pub fn duplicates(&self, object: &str) -> Vec<(String, String)> {
        self.inner.duplicates(object)
    }

    /// Tokens that the vendor takes, and what each is.
    pub fn tokens(&self) -> Vec<(String, Value)> {
        let known = &self.inner.rules.document.tokens.known;
        known.iter().map(|(token, values)| (token.to_owned(), Value::Object(values.clone()))).collect()
    }

    pub fn about(&self) -> Option<&str> {
        self.inner.rules.document.about.as_deref()
    }

    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Inner {
    /// Sends the webhooks of changes that were made.
    pub fn tell(&self, state: &mut State, changes: &[Change]) -> Result<(), String> {
        for hook in of_changes(&self.rules, state, changes)? {
            self.send(hook);
        }
        Ok(())
    }

    pub fn send(&self, hook: Hook) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        // Nobody listens any more: the vendor stops.
        let _ = self.queue.send(hook);
    }

    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub fn webhook_url(&self) -> Option<String> {
        self.state.lock().settings.get("webhook_url").and_then(Value::as_str).map(str::to_owned)
    }

    pub fn duplicates(&self, object: &str) -> Vec<(String, String)> {
        let fields = self.rules.identity.iter().find(|(name, _)| name == object).map(|(_, fields)| fields.clone());
        let state = self.state.lock();
        let mut shared = Vec::new();
        for field in fields.unwrap_or_default() {
            let mut seen = std::collections::BTreeMap::new();
            for value in state.records.all(object).filter_map(|record| comparable(record.get(&field))) {
                *seen.entry(value).or_insert(0) += 1;
            }
            shared.extend(seen.into_iter().filter(|(_, times)| *times > 1).map(|(value, _)| (field.clone(), value)));
        }
        shared
    }
}

/// # Errors
/// One sentence: webhooks only go to this computer.
pub fn judge_url(url: &str) -> Result<(), String> {
    let parsed = url::Url::parse(url).map_err(|error| format!("`{url}` is no address: {error}"))?;
    let local = match parsed.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    if matches!(parsed.scheme(), "http" | "https") && local {
        Ok(())
    } else {
        Err(format!("`{url}` is not on this computer; webhooks of a pretend vendor stay here"))
    }
}
