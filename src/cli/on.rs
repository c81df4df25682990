//! `serve --on`: who keeps the runs; and how a cluster is reached.

use std::net::SocketAddr;

use anyhow::Result;
use url::Url;

use super::exit;
#[cfg(feature = "restate")]
use super::say;
use crate::engine::Keeping;
#[cfg(feature = "restate")]
use crate::engine::restate::Cluster;

#[derive(Debug, clap::Args)]
pub struct On {
    /// Who keeps runs: `own`, this process in its data folder; `restate`, a cluster of Restate, for any number of processes like
    /// this one side by side.
    #[arg(long, value_enum, default_value_t = Where::Own, value_name = "WHERE")]
    on: Where,
    #[command(flatten)]
    reach: Reach,
}

/// A cluster of Restate, and how it reaches this process.
#[derive(Debug, clap::Args)]
pub struct Reach {
    /// A cluster: where Restate takes messages; of several nodes with commas between them, of which one that answers is asked.
    /// Default: http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    ingress: Vec<Url>,
    /// A cluster: where Restate is told who serves its objects, of one node or several. Default: http://127.0.0.1:9070.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    admin: Vec<Url>,
    /// A cluster: where Restate calls this process. Default: 127.0.0.1:9080.
    #[arg(long, value_name = "ADDR", value_parser = super::address)]
    objects: Option<SocketAddr>,
    /// A cluster: how Restate reaches that, where it is another address: of what stands before several processes.
    #[arg(long, value_name = "URL")]
    objects_url: Option<Url>,
    /// A cluster: its public keys (`publickeyv1_…`), with commas between them; whoever calls this process without a signature of one
    /// of them is refused.
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    restate_key: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Where {
    Own,
    Restate,
}

impl Where {
    /// # Errors
    /// The program cannot.
    pub fn is_built_in(self) -> Result<()> {
        match self {
            #[cfg(not(feature = "restate"))]
            Where::Restate => Err(exit::usage(format!("--on restate: {WITHOUT}"))),
            _ => Ok(()),
        }
    }
}

impl On {
    /// Who keeps the runs.
    pub fn keeping(&self) -> Result<Keeping> {
        match self.on {
            Where::Own => match self.reach.given() {
                Some(flag) => {
                    Err(exit::usage(format!("{flag} says how a cluster is reached: say `--on restate` as well")))
                }
                None => Ok(Keeping::Own),
            },
            Where::Restate => self.reach.keeping(),
        }
    }
}

/// With which flags another process serves beside this one; None: where none can.
///
/// # Errors
/// This process listens nowhere.
pub fn beside(keeping: &Keeping) -> Result<Option<Vec<String>>> {
    match keeping {
        #[cfg(all(feature = "restate", target_os = "linux"))]
        Keeping::Restate(cluster) => {
            let all = |urls: &[Url]| urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",");
            let mut flags = vec!["--on".to_owned(), "restate".to_owned()];
            let mut say = |flag: &str, value: String| flags.extend([flag.to_owned(), value]);
            say("--ingress", all(&cluster.ingress));
            say("--admin", all(&cluster.admin));
            say("--objects", cluster.listener.local_addr()?.to_string());
            say("--objects-url", cluster.deployment.to_string());
            if !cluster.keys.is_empty() {
                say("--restate-key", cluster.keys.join(","));
            }
            Ok(Some(flags))
        }
        _ => Ok(None),
    }
}

impl Reach {
    /// One of these flags that was given.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--ingress", !self.ingress.is_empty()),
            ("--admin", !self.admin.is_empty()),
            ("--objects", self.objects.is_some()),
            ("--objects-url", self.objects_url.is_some()),
            ("--restate-key", !self.restate_key.is_empty()),
        ];
        flags.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// What a program without the feature says.
#[cfg(not(feature = "restate"))]
pub const WITHOUT: &str =
    "this program was built without Restate; build it with `cargo build --release --features restate`";

#[cfg(not(feature = "restate"))]
impl Reach {
    fn keeping(&self) -> Result<Keeping> {
        Where::Restate.is_built_in().map(|()| Keeping::Own)
    }
}

#[cfg(feature = "restate")]
impl Reach {
    fn keeping(&self) -> Result<Keeping> {
        Ok(Keeping::Restate(Box::new(self.cluster(true)?)))
    }

    /// For a process beside which no other one serves at this address.
    pub fn cluster_alone(&self) -> Result<Cluster> {
        self.cluster(false)
    }

    fn cluster(&self, is_shared: bool) -> Result<Cluster> {
        let objects = self.objects.unwrap_or(OBJECTS);
        let listener = listen(objects, is_shared)?;
        let deployment = match &self.objects_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{}", listener.local_addr()?))?,
        };
        if self.restate_key.is_empty() && !objects.ip().is_loopback() {
            say::warning(&format!(
                "whoever reaches {objects} can call the objects of the cluster: say --restate-key, or let only Restate reach it"
            ));
        }
        let nodes = |given: &[Url], default: &str| match given {
            [] => Url::parse(default).map(|url| vec![url]),
            given => Ok(given.to_vec()),
        };
        let (ingress, admin) = (nodes(&self.ingress, INGRESS)?, nodes(&self.admin, ADMIN)?);
        let keys = self.restate_key.clone();
        Ok(Cluster { ingress, admin, listener, deployment, keys })
    }
}

/// Where a node of this machine is.
#[cfg(feature = "restate")]
const INGRESS: &str = "http://127.0.0.1:8080";
#[cfg(feature = "restate")]
const ADMIN: &str = "http://127.0.0.1:9070";
#[cfg(feature = "restate")]
const OBJECTS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9_080);

/// Several processes on one machine may listen at one address: the kernel gives each of them a share of the connections, and
/// those of one that ends to the others.
#[cfg(feature = "restate")]
fn listen(address: SocketAddr, is_shared: bool) -> Result<tokio::net::TcpListener> {
    use anyhow::Context as _;
    use tokio::net::TcpSocket;

    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Else for a while after another one has ended it could not be had.
        socket.set_reuseaddr(true)?;
        #[cfg(target_os = "linux")]
        if is_shared {
            socket.set_reuseport(true)?;
        }
        socket.bind(address)?;
        socket.listen(WAITING_MAX)
    };
    listening().with_context(|| {
        let why =
            if is_shared { "choose one with --objects" } else { "stop every `dovetail serve --on restate` first" };
        format!("cannot listen on {address}: is another program at this address? {why}")
    })
}

/// Connections that wait to be accepted, at most.
#[cfg(feature = "restate")]
const WAITING_MAX: u32 = 1_024;
