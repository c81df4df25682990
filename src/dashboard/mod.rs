//! The window on it all: pages for people and an API for programs, each route with the right that it needs.
//!
//! ```text
//!  request ─▶ gate: is it for us? who asks? may they? is it well formed? ─▶ route ─▶ store readers, engine ─▶ answer
//! ```
//! - `routes.rs` the one table: what is not in it does not exist
//! - `gate.rs` what every request passes; `ask.rs` what is left of it for a route; `problem.rs` what is said when it does not pass
//! - `sessions.rs` people who have signed in; `tries.rs` those who tried in vain; `consents.rs` accounts that
//!   somebody is about to connect
//! - `documents.rs` the project's folder, which whoever opens the dashboard has; `drafts.rs` recipes as they are being written;
//!   `switch.rs` which of them are active
//! - `plans.rs` what syncs would do about all records, until it is done
//! - `api/`, `pages/` the answers; `openapi.rs` the API's description, made of the table
//! - `assets/` one file of style, one of script
//!
//! Reading goes past the one writer. What changes something is written down first, with who asked.

mod api;
mod ask;
mod consents;
mod documents;
mod drafts;
mod gate;
mod openapi;
mod pages;
mod plans;
mod problem;
pub mod routes;
mod sessions;
mod switch;
mod tries;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::routing::{MethodFilter, MethodRouter, on};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::clock;
use crate::engine::{Engine, kept_plan};
use crate::project::Plan;
use crate::project::catalogue::Item;
use crate::server::invitations::Invitations;
use crate::source::Report;
use crate::store::{self, Counts, Store};

pub use documents::Documents;

/// What is counted over all runs is counted again after so many times as long as that took, and after this in any case, however
/// often it is looked.
const FRESH_TIMES: u32 = 20;
const FRESH: Duration = Duration::from_secs(3);

/// Who follows what happens at the same time; others have room beside them.
const LISTENERS_MAX: usize = 48;

/// So many runs, or pairs of records, are looked at for one page: what is rare is found page by page.
const LOOKED_AT_MAX: usize = 30_000;

/// Versions of the project that are read to tell of runs, and kept: the latest.
const VERSIONS: usize = 4;

/// Drafts that are checked or tried at the same time; others wait.
const BENCHES: usize = 2;

/// What a dashboard is made with.
pub struct Settings {
    pub engine: Engine,
    pub documents: Arc<dyn Documents>,
    /// Where it listens.
    pub bound: SocketAddr,
    /// How people reach it, if not at that address.
    pub url: Option<Url>,
}

/// What all routes share.
pub(in crate::dashboard) struct Window {
    engine: Engine,
    /// For looking only, beside the engine's own readers: whoever looks for long holds up no run.
    store: Store,
    bound: SocketAddr,
    /// The name under which it is reached besides its addresses.
    host: Option<String>,
    /// The port at which people reach it.
    port: u16,
    /// People reach it by HTTPS.
    is_secure: bool,
    invitations: Invitations,
    learned: sessions::Learned,
    tries: tries::Tries,
    consents: consents::Consents,
    plans: plans::Plans,
    listeners: Arc<Semaphore>,
    documents: Arc<dyn Documents>,
    benches: Arc<Semaphore>,
    /// A document is compared with what was seen, and written, by one at a time.
    saving: tokio::sync::Mutex<()>,
    /// What there is to say of the folder's documents, by the hash of these.
    findings: Mutex<(String, Arc<Report>)>,
    /// Versions of the project, by their hash, those that were asked for last at the front. None: it cannot be read any more.
    versions: Mutex<VecDeque<(String, Option<Arc<Plan>>)>>,
    /// What workflows of a version of the project can use.
    catalogue: Mutex<(String, Vec<Arc<Item>>)>,
    /// Until when it is fresh.
    counted: tokio::sync::Mutex<Option<(Instant, Counts)>>,
}

impl Window {
    /// Runs by how they stand.
    async fn counts(&self) -> Result<Counts, store::Error> {
        let mut counted = self.counted.lock().await;
        match &*counted {
            Some((until, counts)) if Instant::now() < *until => Ok(counts.clone()),
            _ => {
                let begun = Instant::now();
                let counts = self.store.counts().await?;
                let until = Instant::now() + (begun.elapsed() * FRESH_TIMES).min(FRESH);
                *counted = Some((until, counts.clone()));
                Ok(counts)
            }
        }
    }

    /// A version of the project, to tell of what began with it. None: it cannot be read any more.
    async fn version(&self, hash: &str) -> Result<Option<Arc<Plan>>, store::Error> {
        let present = self.engine.plan();
        if present.hash == hash {
            return Ok(Some(present));
        }
        let known = {
            let mut versions = self.versions.lock();
            let place = versions.iter().position(|(known, _)| known == hash);
            place.and_then(|place| versions.remove(place))
        };
        let version = match known {
            Some(version) => version,
            None => (hash.to_owned(), kept_plan(&self.store, hash).await?.map(Arc::new)),
        };
        let plan = version.1.clone();
        let mut versions = self.versions.lock();
        versions.retain(|(known, _)| known != hash);
        versions.push_front(version);
        versions.truncate(VERSIONS);
        Ok(plan)
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        if name.eq_ignore_ascii_case("localhost")
            || self.host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
        {
            return true;
        }
        let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        address.is_ok_and(|address| address.is_loopback() || address == self.bound.ip())
    }
}

/// All routes, and the invitations that they redeem.
///
/// # Errors
/// The store's.
pub fn open(settings: Settings) -> Result<(Router, Invitations), store::Error> {
    let Settings { engine, documents, bound, url } = settings;
    let reached = url.as_ref().map_or_else(|| format!("http://{bound}"), |url| url.as_str().to_owned());
    let invitations = Invitations::new(reached.trim_end_matches('/').to_owned());
    let host = url.as_ref().and_then(Url::host).map(|host| match host {
        Host::Ipv6(address) => format!("[{address}]"),
        host => host.to_string(),
    });
    let window = Arc::new(Window {
        store: engine.store().for_looking()?,
        engine,
        port: url.as_ref().and_then(Url::port_or_known_default).unwrap_or(bound.port()),
        bound,
        host,
        is_secure: url.as_ref().is_some_and(|url| url.scheme() == "https"),
        invitations: invitations.clone(),
        learned: sessions::Learned::default(),
        tries: tries::Tries::default(),
        consents: consents::Consents::default(),
        plans: plans::Plans::default(),
        versions: Mutex::default(),
        catalogue: Mutex::default(),
        findings: Mutex::default(),
        listeners: Arc::new(Semaphore::new(LISTENERS_MAX)),
        documents,
        benches: Arc::new(Semaphore::new(BENCHES)),
        saving: tokio::sync::Mutex::default(),
        counted: tokio::sync::Mutex::default(),
    });
    Ok((router(&window), invitations))
}

fn router(window: &Arc<Window>) -> Router {
    let mut router = Router::new();
    for route in routes::TABLE {
        let window = window.clone();
        let method = match route.method {
            routes::Method::Get => MethodFilter::GET,
            routes::Method::Post => MethodFilter::POST,
        };
        let answer: MethodRouter = on(method, move |request: Request| gate::answer(window.clone(), route, request));
        router = router.route(route.path, answer);
    }
    let (nowhere, otherwise) = (window.clone(), window.clone());
    router
        .fallback(move |request: Request| gate::unknown(nowhere.clone(), false, request))
        .method_not_allowed_fallback(move |request: Request| gate::unknown(otherwise.clone(), true, request))
}

/// Now, in milliseconds.
fn now_ms() -> i64 {
    clock::now_ms()
}
