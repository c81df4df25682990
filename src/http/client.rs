//! Sends one request, once, and reads the answer within bounds.
//!
//! Three things are told apart, because a write must not be sent twice by mistake: it was certainly not sent
//! ([`Error::Refused`], [`Error::Unreachable`]), or it may have been carried out ([`Error::NoAnswer`], [`Error::TooBig`]).
//! No text that leaves here holds a query, a header or a body, and no answer the credential of its request.

use std::collections::HashMap;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use secrecy::SecretString;

use super::answer::{self, Received};
use super::prepare::{Prepared, prepare};
use super::resolve::{Forbidden, GuardedResolver, Names};
use super::{Guard, Hidden};
use crate::connector::{Request, Response, Signer};

/// Attached after templating, and only for its origin.
#[derive(Clone, Debug)]
pub struct Credential {
    /// `https://host[:port]`, as of the connection's base URL.
    pub origin: String,
    pub headers: Vec<(String, SecretString)>,
    pub query: Vec<(String, SecretString)>,
    /// Signs the request when all else is attached.
    pub signer: Option<Box<Signer>>,
}

/// Why there is no answer. Says whether the request may have been carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Never sent, and never will be: a forbidden address, another origin, a bad header.
    #[error("refused: {0}")]
    Refused(String),
    /// Not sent: no connection.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Perhaps carried out: no complete answer in time, or the connection broke.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// Carried out, perhaps; the answer is above a limit and was not kept.
    #[error("the answer is too big: {0}")]
    TooBig(String),
}

/// How long and how much (threat model, 3.2).
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub connect: Duration,
    pub total: Duration,
    /// Bytes of the body, unpacked.
    pub body_max: usize,
    /// Bytes of all header names and values.
    pub headers_max: usize,
    /// Unpacked bytes per received byte; small bodies are not judged by it.
    pub ratio_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(30),
            body_max: 10 * 1024 * 1024,
            headers_max: 64 * 1024,
            ratio_max: 100,
        }
    }
}

/// Connections idle for longer are not used again: a peer that closes them meanwhile would leave it open whether a
/// request was carried out.
const POOL_IDLE: Duration = Duration::from_secs(4);
const POOL_IDLE_PER_HOST_MAX: usize = 64;
/// Ports with a pool of their own. More than a project ever has; above it all pools start anew.
const POOLS_MAX: usize = 64;

/// The outgoing client.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    guard: Arc<Guard>,
    bounds: Bounds,
    names: Names,
    /// One pool per port and scheme: a name look-up is not told the port, and the guard judges by it.
    pools: Mutex<HashMap<(u16, bool), reqwest::Client>>,
}

impl Client {
    pub fn new(guard: Guard) -> Client {
        Client::bounded(guard, Bounds::default())
    }

    /// One for what the operator names and no document does: a collector, a cluster. It may lie inside.
    pub fn anywhere() -> Client {
        let anywhere = ["0.0.0.0/0", "::/0"].map(String::from);
        Client::new(Guard::new(&anywhere).unwrap_or_default())
    }

    pub(super) fn bounded(guard: Guard, bounds: Bounds) -> Client {
        Client::with(guard, bounds, Names::default())
    }

    pub(super) fn with(guard: Guard, bounds: Bounds, names: Names) -> Client {
        Client { shared: Arc::new(Shared { guard: Arc::new(guard), bounds, names, pools: Mutex::default() }) }
    }

    /// Sends once. No redirects, no retries, no proxy. 5 s to connect, 30 s in all, 10 MiB, 64 KiB of headers.
    ///
    /// # Errors
    /// See [`Error`]: each kind says whether the request may have been carried out.
    pub async fn send(&self, request: &Request, credential: Option<&Credential>) -> Result<Response, Error> {
        let prepared = prepare(request, credential)?;
        let hidden = credential.map(Hidden::of).unwrap_or_default();
        let (method, url) = (request.method.clone(), prepared.shown.clone());
        let started = Instant::now();
        let result = self.exchange(prepared, &hidden).await;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(response) => tracing::debug!(%method, %url, status = response.status, milliseconds, "answer"),
            Err(error) => tracing::debug!(%method, %url, %error, milliseconds, "no answer"),
        }
        result
    }

    /// Sends it; the answer as it came, whatever it is.
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn fetch(&self, request: &Request) -> Result<Received, Error> {
        let prepared = prepare(request, None)?;
        let shown = prepared.shown.clone();
        answer::receive(self.execute(prepared).await?, &self.shared.bounds, &shown).await
    }

    async fn exchange(&self, prepared: Prepared, hidden: &Hidden) -> Result<Response, Error> {
        let shown = prepared.shown.clone();
        answer::read(self.execute(prepared).await?, &self.shared.bounds, hidden, &shown).await
    }

    async fn execute(&self, Prepared { request, shown }: Prepared) -> Result<reqwest::Response, Error> {
        self.pool(request.url())?.execute(request).await.map_err(|error| classify(&error, &shown))
    }

    fn pool(&self, url: &url::Url) -> Result<reqwest::Client, Error> {
        let port = url.port_or_known_default().unwrap_or_default();
        let plain = url.scheme() != "https";
        let resolver =
            GuardedResolver { guard: self.shared.guard.clone(), port, plain, names: self.shared.names.clone() };
        resolver.check_literal(url).map_err(|forbidden| Error::Refused(forbidden.to_string()))?;

        let mut pools = self.shared.pools.lock();
        if let Some(pool) = pools.get(&(port, plain)) {
            return Ok(pool.clone());
        }
        let pool = build(resolver, &self.shared.bounds)
            .map_err(|error| Error::Unreachable(format!("the client cannot be set up: {}", root_cause(&error))))?;
        if pools.len() >= POOLS_MAX {
            pools.clear();
        }
        pools.insert((port, plain), pool.clone());
        Ok(pool)
    }
}

fn build(resolver: GuardedResolver, bounds: &Bounds) -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // An error says that the program has installed one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let client = match resolver.plain {
        // It never comes to TLS, as no redirect is followed: the certificates of this machine are not read.
        true => reqwest::Client::builder().tls_certs_only([]),
        false => reqwest::Client::builder(),
    };
    client
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(bounds.connect)
        .timeout(bounds.total)
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST_MAX)
        .http2_max_header_list_size(u32::try_from(bounds.headers_max).unwrap_or(u32::MAX))
        .user_agent(concat!("dovetail/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// What an error of the transport means for the request: certainly not sent, or perhaps carried out.
pub(super) fn classify(error: &reqwest::Error, shown: &str) -> Error {
    if let Some(forbidden) = cause::<Forbidden>(error) {
        return Error::Refused(format!("{shown}: {forbidden}"));
    }
    let told = format!("{shown}: {}", if error.is_timeout() { "too slow".to_owned() } else { root_cause(error) });
    if error.is_connect() {
        Error::Unreachable(told)
    } else if error.is_builder() {
        Error::Refused(told)
    } else if cause::<hyper::Error>(error).is_some_and(hyper::Error::is_parse_too_large) {
        Error::TooBig(format!("{shown}: headers"))
    } else {
        Error::NoAnswer(told)
    }
}

fn causes<'error>(
    error: &'error (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'error (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn cause<Wanted: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&Wanted> {
    causes(error).find_map(|error| error.downcast_ref::<Wanted>())
}

/// The innermost cause: it never names the URL, which may hold a credential.
fn root_cause(error: &reqwest::Error) -> String {
    let text = match causes(error).last() {
        Some(last) if !last.is::<reqwest::Error>() => last.to_string(),
        _ => "the request failed".to_owned(),
    };
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
