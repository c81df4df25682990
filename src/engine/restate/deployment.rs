//! Where Restate calls our processes: it is told at the start, and left when nobody is called there any more.
//!
//! What was begun at one address is called again there until it ends. So a new release is started at another address: from then
//! on all that is new is called there, and the old one stops when what it began has ended. One that is started once more after
//! that does not take its place again.

use std::time::Duration;

use parking_lot::Mutex;
use url::Url;

use super::ingress::Ingress;
use super::objects::LINE;
use crate::clock;
use crate::store::Error;

pub(super) struct Deployment {
    url: Url,
    /// As Restate calls it; None: it was not told yet.
    id: Mutex<Option<String>>,
}

/// Who is called for what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Whoever is at this address.
    Current,
    /// Whoever is at another one.
    Superseded,
}

/// So long a process waits, at most, for what was begun at its address: longer than a turn may take.
const LEAVES: Duration = Duration::from_secs(600);
/// How often it asks whether there is more of that.
const ASKS: Duration = Duration::from_millis(250);

impl Deployment {
    pub fn new(url: Url) -> Deployment {
        Deployment { url, id: Mutex::default() }
    }

    /// Tells Restate of it, unless another address has taken its place before.
    pub async fn register(&self, ingress: &Ingress) -> Result<Standing, Error> {
        let known = ingress.deployment(self.url.as_str()).await?;
        let (id, standing) = match (known, ingress.current(LINE).await?) {
            (Some(known), Some(current)) if known != current => (known, Standing::Superseded),
            _ => (ingress.register(&self.url).await?, Standing::Current),
        };
        *self.id.lock() = Some(id);
        Ok(standing)
    }

    /// Returns when this process may end: it is still called for what is new, and comes again, or nothing that was begun here is
    /// left.
    pub async fn leave(&self, ingress: &Ingress) {
        let Some(id) = self.id.lock().clone() else { return };
        let end = clock::instant() + LEAVES;
        loop {
            match left(ingress, &id).await {
                Ok(0) => return,
                Ok(count) if clock::instant() >= end => {
                    let url = &self.url;
                    tracing::error!(%url, count, "what was begun here has not ended: serve it there once more, with this release");
                    return;
                }
                Ok(_) => tokio::time::sleep(ASKS).await,
                Err(error) => {
                    tracing::warn!(%error, "it is not known whether anything is left of what was begun here");
                    return;
                }
            }
        }
    }
}

/// What was begun at an address, and is still called there though another one has taken its place.
async fn left(ingress: &Ingress, id: &str) -> Result<u64, Error> {
    if ingress.current(LINE).await?.is_none_or(|current| current == id) {
        return Ok(0);
    }
    ingress.pinned(id).await
}
