//! `serve`: runs a project until it is told to stop.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use url::{Host, Url};

use super::on::On;
use super::reloading::Reloading;
use super::{Operator, Project, check, documents, exit, folder, past, say, secrets, shipped, traces, vault};
use crate::connector::VerifyRule;
use crate::dashboard;
use crate::engine::{Engine, Keeping, Settings};
use crate::http::Guard;
use crate::project::editor::Known;
use crate::project::{Loaded, Plan};
use crate::server::control::{Door, Reloads};
use crate::server::invitations::Invitations;
use crate::server::{self};
use crate::store::Store;
use crate::trigger::is_public_key;
use crate::vault::{Granted, Vault};

#[derive(Debug, clap::Args)]
pub struct Serve {
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    on: On,
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4000", value_parser = super::address)]
    listen: SocketAddr,
    /// Runs at work at the same time.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = super::number::<usize>(1..))]
    at_once: usize,
    /// Tell what is measured (`/metrics`) at this address, to everyone who reaches it. Default: at --listen, to programs on this
    /// computer only.
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    metrics: Option<SocketAddr>,
    /// Where the dashboard and its API listen; `off`: nowhere.
    #[arg(long, value_name = "ADDR|off", env = "DOVETAIL_DASHBOARD", default_value = "127.0.0.1:4002", value_parser = dashboard_address)]
    dashboard: DashboardAddress,
    /// How people reach the dashboard, if not at its address: `https://dovetail.example.com`, a proxy that speaks HTTPS.
    #[arg(long, value_name = "URL", env = "DOVETAIL_DASHBOARD_URL", value_parser = dashboard_url)]
    dashboard_url: Option<Url>,
    /// Let admins change recipes at the dashboard: they are written into the folder workflows/ of the project, and served.
    #[arg(long)]
    allow_edits: bool,
    /// Send traces of runs to this OpenTelemetry collector, e.g. `http://127.0.0.1:4318`. Default: OTEL_EXPORTER_OTLP_ENDPOINT.
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
    /// Take up changed documents only when `dovetail reload` or the signal HUP says so.
    #[arg(long)]
    no_watch: bool,
}

impl Serve {
    pub async fn run(self) -> Result<u8> {
        let collector = traces::collector(self.traces.as_deref())?;
        let Some(plan) = self.project.plan()? else { return Ok(exit::FINDINGS) };
        let keeping = self.on.keeping()?;
        let listener = listen(self.listen, "--listen").await?;
        let metrics = match self.metrics {
            Some(address) => Some(listen(address, "--metrics").await?),
            None => None,
        };
        let dashboard = self.dashboard_listener().await?;
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            say::warning(&format!(
                "{address} can be reached from other computers, without TLS: put a proxy that speaks HTTPS before it"
            ));
        }
        if let Some(dashboard) = &dashboard {
            self.refuse_open_dashboard(dashboard).await?;
        }
        let (engine, secrets) = self.operator.engine(&self.project, plan, self.at_once, true, keeping).await?;
        if let Some(collector) = collector {
            engine.trace(collector);
        }
        say::talk(&format!("dovetail serves {} on http://{address}", engine.plan().name));
        let mut reloading =
            Reloading::new(engine.clone(), secrets, self.project.clone(), self.operator.clone(), address)?;
        reloading.new_hooks().await.iter().for_each(|hook| say::talk(hook));
        for (sync, tenant) in engine.not_begun().await? {
            let tenant = tenant.map_or_else(String::new, |tenant| format!(" --tenant {tenant}"));
            let there = self.operator.whereabouts(&self.project);
            say::talk(&format!(
                "the sync {sync} writes nothing until its first run is applied: `dovetail plan {sync}{tenant}{there}`"
            ));
        }
        let (reloads, asked) = mpsc::channel(1);
        let dashboard = dashboard
            .map(|listener| self.open_dashboard(listener, &engine, &reloads, reloading.refused()))
            .transpose()?;
        let (dashboard, invitations) = dashboard.unzip();
        let reloading = tokio::spawn(reloading.for_ever(asked, !self.no_watch));
        let door = Door { engine: engine.clone(), reloads, invitations };
        let control = match server::control::open(door, &self.operator.data_folder(&self.project)).await {
            Ok(control) => Some(tokio::spawn(control)),
            Err(error) => {
                say::warning(&format!("`dovetail run`, `reload` and `dead retry` cannot be used meanwhile: {error}"));
                None
            }
        };
        if let Some(address) = metrics.as_ref().and_then(|listener| listener.local_addr().ok()) {
            say::talk(&format!("tells what it measures on http://{address}/metrics"));
        }
        let metrics = metrics.map(|listener| {
            tokio::spawn(server::serve(listener, server::metrics(engine.clone()), std::future::pending()))
        });
        let (tell, told) = oneshot::channel();
        let ended = async {
            let stop = async {
                // Nobody can tell any more: that is a stop as well.
                let _ = told.await;
            };
            server::serve(listener, server::routes(engine.clone()), stop).await;
            reloading.abort();
            control.into_iter().chain(metrics).chain(dashboard).for_each(|door| door.abort());
            engine.stop().await;
            engine.store().clone().close().await;
        };
        tokio::select! {
            () = ended => Ok(exit::OK),
            () = patience(&engine, tell) => Ok(exit::FAILED),
        }
    }
}

/// What `--dashboard` says.
#[derive(Clone, Copy, Debug)]
enum DashboardAddress {
    Off,
    At(SocketAddr),
}

/// Where the dashboard listens if nobody says.
const DASHBOARD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4002);

fn dashboard_address(text: &str) -> Result<DashboardAddress, String> {
    match text {
        "off" => Ok(DashboardAddress::Off),
        text => text
            .parse()
            .map(DashboardAddress::At)
            .map_err(|_| "write an address and a port, such as `127.0.0.1:4002`, or `off`".into()),
    }
}

fn dashboard_url(text: &str) -> Result<Url, String> {
    let good = |url: &Url| {
        matches!(url.scheme(), "https" | "http") && url.has_host() && url.path() == "/" && url.query().is_none()
    };
    let url = Url::parse(text).ok().filter(good);
    url.ok_or_else(|| "write it with `https://` and without a path: `https://dovetail.example.com`".into())
}

impl Serve {
    /// Where the usual address is taken, most likely by another project's dashboard, this one goes without.
    async fn dashboard_listener(&self) -> Result<Option<TcpListener>> {
        match self.dashboard {
            DashboardAddress::Off => Ok(None),
            DashboardAddress::At(DASHBOARD) => match TcpListener::bind(DASHBOARD).await {
                Ok(listener) => Ok(Some(listener)),
                Err(error) => {
                    say::warning(&format!(
                        "there is no dashboard, since {DASHBOARD} cannot be listened on ({error}): choose another address with \
                         --dashboard, or say `--dashboard off`"
                    ));
                    Ok(None)
                }
            },
            DashboardAddress::At(address) => listen(address, "--dashboard").await.map(Some),
        }
    }

    /// What other computers reach needs somebody who may come in, and nobody else.
    async fn refuse_open_dashboard(&self, listener: &TcpListener) -> Result<()> {
        let address = listener.local_addr()?;
        if address.ip().is_loopback() {
            return Ok(());
        }
        let tokens = match Store::open_read_only(&self.operator.data_folder(&self.project)) {
            Ok(store) => {
                let tokens = store.tokens().await;
                store.close().await;
                tokens?
            }
            // There is no store yet, or one of another version: no token is known.
            Err(_) => Vec::new(),
        };
        if !tokens.iter().any(|token| token.is_in_force(past::now_ms())) {
            return Err(exit::usage(format!(
                "--dashboard {address} can be reached from other computers, and there is no token to sign in with: make one \
                 first with `dovetail token create --role operate{}`",
                self.operator.whereabouts(&self.project)
            )));
        }
        if self.dashboard_url.as_ref().is_none_or(|url| url.scheme() != "https") {
            say::warning(&format!(
                "the dashboard at {address} can be reached from other computers, without TLS: put a proxy that speaks HTTPS \
                 before it, and name that with --dashboard-url"
            ));
        }
        Ok(())
    }

    /// Opens it, and gives the invitations that it redeems.
    fn open_dashboard(
        &self,
        listener: TcpListener,
        engine: &Engine,
        reloads: &Reloads,
        refused: watch::Receiver<Option<String>>,
    ) -> Result<(JoinHandle<()>, Invitations)> {
        let (engine, bound, url) = (engine.clone(), listener.local_addr()?, self.dashboard_url.clone());
        let (path, environment) = (self.project.project.clone(), self.project.env.clone());
        let reloads = self.allow_edits.then(|| reloads.clone());
        let documents = Arc::new(documents::Folder { path, environment, reloads, refused });
        let (routes, invitations) = dashboard::open(dashboard::Settings { engine, documents, bound, url })?;
        let there = self.operator.whereabouts(&self.project);
        say::talk(&format!("its dashboard is at {}: `dovetail dashboard{there}` leads in", invitations.url));
        Ok((tokio::spawn(server::serve(listener, routes, std::future::pending())), invitations))
    }
}

async fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another program at this address? choose one with {flag}")
    })
}

/// Tells of the first signal, which stops; says at the second what is waited for; ends at the third. To end at once harms
/// nothing, since all that is sent was written down: it only makes more to look up at the next start.
async fn patience(engine: &Engine, tell: oneshot::Sender<()>) {
    let mut signals = StopSignals::new();
    signals.next().await;
    say::talk("stops: requests that are under way end first");
    let _ = tell.send(());
    signals.next().await;
    let waits = match engine.under_way() {
        0 => "connections that are open".to_string(),
        number => super::count(number, "request") + " without an answer",
    };
    say::talk(&format!(
        "still stops: waits for {waits}, up to a minute; once more ends it at once, and runs go on after the next start"
    ));
    signals.next().await;
    say::talk("ends at once");
}

impl Project {
    /// The checked plan; None after the findings were told.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let loaded = folder::load(&self.project, self.env.as_deref())?;
        Ok(self.told(&loaded).is_some().then_some(loaded.plan).flatten())
    }

    /// The same of what is read already.
    pub fn told<'l>(&self, loaded: &'l Loaded) -> Option<&'l Plan> {
        if loaded.plan.is_none() {
            check::tell(loaded);
            if let Some(above) = folder::project_above(&self.project) {
                say::talk(&format!("the project in {} is meant? add `--project {0}`", above.display()));
            }
        }
        loaded.plan.as_ref()
    }
}

impl Operator {
    pub fn data_folder(&self, project: &Project) -> PathBuf {
        self.data.clone().unwrap_or_else(|| project.project.join(".dovetail"))
    }

    /// The flags that lead another command to the same store.
    pub fn whereabouts(&self, project: &Project) -> String {
        match &self.data {
            Some(data) => format!(" --data {}", data.display()),
            None if project.project.as_os_str() == "." => String::new(),
            None => format!(" --project {}", project.project.display()),
        }
    }

    pub fn guard(&self) -> Result<Guard> {
        Guard::new(&self.allow_net).map_err(|message| exit::usage(format!("--allow-net: {message}")))
    }

    /// Opens the store and starts the engine; gives also where it finds secrets.
    pub async fn engine(
        &self,
        project: &Project,
        plan: Plan,
        at_once: usize,
        listens: bool,
        hands: Keeping,
    ) -> Result<(Engine, Arc<secrets::Source>)> {
        let guard = self.guard()?;
        let mut webhook_keys = HashMap::new();
        for pair in &self.webhook_key {
            let Some((connector, key)) = pair.split_once('=') else {
                return Err(exit::usage(format!("--webhook-key: `{pair}` is not CONNECTOR=KEY")));
            };
            // One that comes with the program may be in use tomorrow.
            let shipped = shipped::connector_file(connector).filter(|_| plan.connector(connector).is_none());
            let shipped = shipped.and_then(|text| Known::read(&[], &[text]));
            let known = plan.connector(connector).or_else(|| shipped.as_ref()?.connectors.first());
            let Some(known) = known else {
                return Err(exit::usage(format!("--webhook-key: no connector is called `{connector}`")));
            };
            let Some(webhooks) = &known.webhooks else {
                return Err(exit::usage(format!("--webhook-key: `{connector}` has no webhooks")));
            };
            if !webhooks.verify.iter().any(VerifyRule::is_public) {
                let why = "is verified with no public key: give its secret instead";
                return Err(exit::usage(format!("--webhook-key: `{connector}` {why}")));
            }
            if !is_public_key(&webhooks.verify, key) {
                let why = "is no public key: give it as Base64, as `dovetail sandbox` prints it";
                return Err(exit::usage(format!("--webhook-key: `{key}` for `{connector}` {why}")));
            }
            webhook_keys.insert(connector.to_string(), key.to_string());
        }
        let data = self.data_folder(project);
        let store = hands.open(&data).map_err(past::refusal)?;
        let vault = self.vault(&plan, &data, &guard)?.map(Arc::new);
        let secrets = Arc::new(secrets::Source::new(self.secrets.as_deref(), vault.clone())?);
        if listens {
            self.warnings(&plan, &secrets)?.iter().for_each(|warning| say::warning(warning));
        }
        let settings = Settings {
            plan,
            store,
            guard,
            secrets: secrets.clone(),
            vault,
            webhook_keys,
            at_once: at_once.max(1),
            listens,
            hands,
        };
        Ok((Engine::start(settings).await.map_err(past::refusal)?, secrets))
    }

    /// What of a project will not work as things are.
    pub fn warnings(&self, plan: &Plan, secrets: &secrets::Source) -> Result<Vec<String>> {
        let mut warnings = inside(plan, &self.guard()?);
        warnings.extend(secrets::missing(plan, secrets));
        warnings.extend(disconnected(plan, secrets.vault())?);
        Ok(warnings)
    }
}

/// Connections that a person must connect first.
fn disconnected(plan: &Plan, vault: Option<&Vault>) -> Result<Vec<String>> {
    let mut told = Vec::new();
    let Some(vault) = vault else { return Ok(told) };
    // What is lent is got when it is needed.
    for connection in vault::are_granted(plan).filter(|connection| connection.via.is_none()) {
        let name = &connection.name;
        match vault.state(name)? {
            None => told.push(format!("`{name}` is not connected yet: run `dovetail connect {name}`")),
            Some(Granted { refused: Some(why), .. }) => {
                told.push(format!("`{name}` must be connected again: run `dovetail connect {name}` ({why})"));
            }
            Some(_) => {}
        }
    }
    Ok(told)
}

/// Connections at inside addresses that nobody allowed: whatever is sent there is refused.
fn inside(plan: &Plan, guard: &Guard) -> Vec<String> {
    let refused = |connection: &crate::project::Connection| {
        let url = Url::parse(connection.settings.get("base_url")?.as_str()?).ok()?;
        let ip = match url.host()? {
            Host::Ipv4(ip) => IpAddr::from(ip),
            Host::Ipv6(ip) => IpAddr::from(ip),
            Host::Domain("localhost") => IpAddr::from([127, 0, 0, 1]),
            Host::Domain(_) => return None,
        };
        let address = SocketAddr::new(ip, url.port_or_known_default()?);
        let allowed = guard.allows(ip, address.port());
        (!allowed).then(|| {
            format!(
                "connection `{}` is at the inside address {address}, to which requests are refused: add \
                 --allow-net {address}",
                connection.name
            )
        })
    };
    plan.connections.iter().filter_map(refused).collect()
}

/// Ends at Ctrl-C or SIGTERM.
pub async fn stop_signal() {
    StopSignals::new().next().await;
}

/// Ctrl-C and SIGTERM, one after the other.
struct StopSignals {
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
}

impl StopSignals {
    /// Without a handler we run until we are killed, which is safe.
    fn new() -> StopSignals {
        StopSignals {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(terminate) = &mut self.terminate {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
