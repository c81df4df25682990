//! What one connection was granted: an object, sealed as in the data folders, so that one process renews it for all.

use serde::{Deserialize, Serialize};

use super::steps::{Looks, Steps, Stopped};
use crate::engine::now_ms;
use crate::store::Sealed;

/// As it is kept here; the bytes in hex.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u64,
    key_id: String,
    bytes: String,
    ends_ms: Option<i64>,
    refused: Option<String>,
    changed_ms: i64,
}

impl From<&Sealed> for Kept {
    fn from(sealed: &Sealed) -> Kept {
        let Sealed { version, key_id, bytes, ends_ms, refused, changed_ms } = sealed.clone();
        Kept { version, key_id, bytes: hex::encode(bytes), ends_ms, refused, changed_ms }
    }
}

impl From<Kept> for Sealed {
    fn from(kept: Kept) -> Sealed {
        let Kept { version, key_id, bytes, ends_ms, refused, changed_ms } = kept;
        // What is damaged cannot be opened, and says so.
        Sealed { version, key_id, bytes: hex::decode(bytes).unwrap_or_default(), ends_ms, refused, changed_ms }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Putting {
    pub next: Kept,
    pub lease: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Leasing {
    /// 0: there is none yet.
    pub version: u64,
    pub lease: String,
    pub for_ms: i64,
}

#[derive(Serialize, Deserialize)]
struct Lease {
    lease: String,
    until_ms: i64,
}

pub(super) const KEPT: &str = "kept";
const LEASE: &str = "lease";

pub(super) async fn get<S: Looks>(steps: &S) -> Result<Option<Kept>, Stopped> {
    steps.get(KEPT).await
}

/// False: it is not later than what is here, or somebody else has the lease since.
pub(super) async fn put<S: Steps>(steps: &S, Putting { next, lease }: Putting) -> Result<bool, Stopped> {
    let rank = |kept: &Kept| (kept.version, kept.refused.is_some());
    let known = get(steps).await?;
    let holder = steps.get::<Lease>(LEASE).await?;
    let is_fenced = lease.is_some() && holder.map(|holder| holder.lease) != lease;
    if is_fenced || known.is_some_and(|known| rank(&known) >= rank(&next)) {
        return Ok(false);
    }
    steps.set(KEPT, next);
    steps.clear(LEASE);
    Ok(true)
}

pub(super) async fn lease<S: Steps>(steps: &S, Leasing { version, lease, for_ms }: Leasing) -> Result<bool, Stopped> {
    let now_ms = steps.step("now", async { now_ms() }).await?;
    let known = get(steps).await?;
    let is_it = known.as_ref().map_or(0, |known| known.version) == version;
    let is_free = steps.get::<Lease>(LEASE).await?.is_none_or(|other| other.until_ms <= now_ms || other.lease == lease);
    let has_it = is_it && is_free && known.is_none_or(|known| known.refused.is_none());
    if has_it {
        steps.set(LEASE, Lease { lease, until_ms: now_ms + for_ms });
    }
    Ok(has_it)
}

pub(super) async fn release<S: Steps>(steps: &S, lease: String) -> Result<(), Stopped> {
    if steps.get::<Lease>(LEASE).await?.is_some_and(|known| known.lease == lease) {
        steps.clear(LEASE);
    }
    Ok(())
}
