//! Credentials that processes with data folders of their own share: the latest is kept elsewhere, sealed as it is here, and one
//! of them renews it.

use std::pin::Pin;

use super::{Error, Vault};
use crate::store::{self, Sealed};

/// What is said elsewhere, when it is.
pub type Said<'s, T> = Pin<Box<dyn Future<Output = Result<T, store::Error>> + Send + 's>>;

/// Where the latest is.
pub trait Shared: Send + Sync {
    fn get<'s>(&'s self, name: &'s str) -> Said<'s, Option<Sealed>>;

    /// Keeps it if it is later than what is there. False: it is not, or somebody else has the lease since.
    fn put<'s>(&'s self, name: &'s str, next: &'s Sealed, lease: Option<&'s str>) -> Said<'s, bool>;

    /// Takes the lease to renew this version (0: there is none yet) for a time. False if somebody else has it, or it is not the
    /// version any more.
    fn lease<'s>(&'s self, name: &'s str, version: u64, lease: &'s str, for_ms: i64) -> Said<'s, bool>;

    /// Gives a lease back.
    fn release<'s>(&'s self, name: &'s str, lease: &'s str) -> Said<'s, ()>;
}

impl Vault {
    /// Brings all that is here to those who share it.
    ///
    /// # Errors
    /// The store's, here or elsewhere.
    pub async fn share_all(&self) -> Result<(), Error> {
        for (name, _) in self.credentials.lasts()? {
            self.share(&name).await?;
        }
        Ok(())
    }

    /// Brings what is here and what is elsewhere to the later of the two; what was erased is later than what was there.
    pub(super) async fn share(&self, name: &str) -> Result<(), Error> {
        let Some(shared) = self.shared.get() else { return Ok(()) };
        let (here, there) = (self.credentials.last(name)?, shared.get(name).await?);
        let version =
            |sealed: &Option<Sealed>| sealed.as_ref().map_or((0, false), |one| (one.version, one.refused.is_some()));
        match (&here, &there) {
            (_, Some(there_is)) if version(&there) > version(&here) => {
                self.credentials.copy(name, there_is)?;
            }
            (Some(here_is), _) if version(&here) > version(&there) => {
                shared.put(name, here_is, None).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes the lease to renew a version, here and elsewhere.
    pub(super) async fn lease(
        &self,
        name: &str,
        version: u64,
        lease: &str,
        now_ms: i64,
        for_ms: i64,
    ) -> Result<bool, Error> {
        if version > 0 && !self.credentials.lease(name, version, lease, now_ms, now_ms + for_ms)? {
            return Ok(false);
        }
        let Some(shared) = self.shared.get() else { return Ok(true) };
        if shared.lease(name, version, lease, for_ms).await? {
            return Ok(true);
        }
        self.credentials.release(name, lease)?;
        Ok(false)
    }

    pub(super) async fn release(&self, name: &str, lease: &str) -> Result<(), Error> {
        self.credentials.release(name, lease)?;
        if let Some(shared) = self.shared.get() {
            shared.release(name, lease).await?;
        }
        Ok(())
    }
}
