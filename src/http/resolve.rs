//! Name look-up that hands out only addresses that the guard allows.
//!
//! The connection is made to exactly the addresses given here, so no second look-up can slip another one in. Addresses
//! written in a URL never come here: [`check_literal`] judges them.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::Guard;

/// The name leads only to addresses that are not to be talked to. Nothing was connected.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Forbidden(String);

/// Where a connection may go: the guard's judgement needs the port, and plain HTTP is for exempted addresses only.
#[derive(Clone, Debug)]
pub(super) struct GuardedResolver {
    pub guard: Arc<Guard>,
    pub port: u16,
    pub plain: bool,
    pub names: Names,
}

/// Who knows which addresses a name has.
#[derive(Clone, Debug, Default)]
pub(super) enum Names {
    #[default]
    System,
    /// What a test says; any other name is this computer's.
    #[cfg(test)]
    Told(Arc<std::collections::HashMap<String, Vec<std::net::IpAddr>>>),
}

impl Names {
    async fn look_up(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            Names::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Names::Told(told) => {
                let here = || vec![std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
                let known = told.get(name.trim_end_matches('.')).cloned().unwrap_or_else(here);
                Ok(known.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
            }
        }
    }
}

impl GuardedResolver {
    fn may_connect(&self, address: std::net::IpAddr) -> bool {
        if self.plain { self.guard.exempts(address, self.port) } else { self.guard.allows(address, self.port) }
    }

    fn forbidden(&self) -> Forbidden {
        Forbidden(if self.plain {
            "plain http is only for addresses that the operator allows with `--allow-net`".to_owned()
        } else {
            "the address lies inside a network that is not to be called; the operator can allow it with `--allow-net`"
                .to_owned()
        })
    }

    /// Judges a host that is written as an address.
    pub fn check_literal(&self, url: &Url) -> Result<(), Forbidden> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.may_connect(address) { Ok(()) } else { Err(self.forbidden()) }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.names.look_up(name.as_str()).await?;
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| resolver.may_connect(address.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(resolver.forbidden().into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
