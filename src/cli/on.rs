//! `serve --on`: who keeps the runs.

use std::net::SocketAddr;

use anyhow::Result;
use url::Url;

#[cfg(not(feature = "restate"))]
use super::exit;
#[cfg(feature = "restate")]
use super::say;
use crate::engine::Keeping;

#[derive(Debug, clap::Args)]
pub struct On {
    /// Who keeps runs: `own`, this process in its data folder; `restate`, a cluster of Restate, for any number of processes like
    /// this one side by side.
    #[arg(long, value_enum, default_value_t = Where::Own, value_name = "WHERE")]
    on: Where,
    /// Where Restate takes messages; of several nodes with commas between them, of which one that answers is asked. With `--on
    /// restate`.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:8080")]
    ingress: Vec<Url>,
    /// Where Restate is told who serves its objects, of one node or several. With `--on restate`.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:9070")]
    admin: Vec<Url>,
    /// Where Restate calls this process. With `--on restate`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9080", value_parser = super::address)]
    objects: SocketAddr,
    /// How Restate reaches that, where it is another address: of what stands before several processes. With `--on restate`.
    #[arg(long, value_name = "URL")]
    objects_url: Option<Url>,
    /// Public keys of Restate (`publickeyv1_…`), with commas between them: whoever calls this process without a signature of one of
    /// them is refused. With `--on restate`.
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    restate_key: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Where {
    Own,
    Restate,
}

impl On {
    /// Who keeps the runs.
    pub fn keeping(&self) -> Result<Keeping> {
        match self.on {
            Where::Own => Ok(Keeping::Own),
            Where::Restate => self.cluster(),
        }
    }

    #[cfg(not(feature = "restate"))]
    fn cluster(&self) -> Result<Keeping> {
        Err(exit::usage(
            "--on restate: this program was built without it; build it with `cargo build --release --features restate`",
        ))
    }

    #[cfg(feature = "restate")]
    fn cluster(&self) -> Result<Keeping> {
        use crate::engine::restate::Cluster;

        let listener = together(self.objects)?;
        let deployment = match &self.objects_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{}", listener.local_addr()?))?,
        };
        if self.restate_key.is_empty() && !self.objects.ip().is_loopback() {
            say::warning(&format!(
                "whoever reaches {} can call the objects of the cluster: say --restate-key, or let only Restate reach it",
                self.objects
            ));
        }
        let (ingress, admin, keys) = (self.ingress.clone(), self.admin.clone(), self.restate_key.clone());
        Ok(Keeping::Restate(Box::new(Cluster { ingress, admin, listener, deployment, keys })))
    }
}

/// Several processes on one machine may listen at one address: the kernel gives each of them a share of the connections, and
/// those of one that ends to the others.
#[cfg(feature = "restate")]
fn together(address: SocketAddr) -> Result<tokio::net::TcpListener> {
    use anyhow::Context as _;
    use tokio::net::TcpSocket;

    let listening = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(target_os = "linux")]
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        socket.listen(WAITING_MAX)
    };
    listening().with_context(|| {
        format!("cannot listen on {address}: is another program at this address? choose one with --objects")
    })
}

/// Connections that wait to be accepted, at most.
#[cfg(feature = "restate")]
const WAITING_MAX: u32 = 1_024;
