//! Who may come in from outside: kept here, and known to all processes that serve the same runs.

use super::Engine;
use crate::store::{Deed, Error, NewToken};

impl Engine {
    /// Keeps a token, and gives its number. Other processes that cannot be told now are told when this one starts again, or there is
    /// another new one.
    ///
    /// # Errors
    /// The store's; `Refused` when there are too many.
    pub async fn keep_token(&self, token: NewToken, deed: Deed) -> Result<i64, Error> {
        let number = self.inner.store.keep_token(token, deed).await?;
        if let Err(error) = self.inner.hands.share_tokens(self).await {
            tracing::warn!(%error, number, "other processes do not know yet of a token that was made here");
        }
        Ok(number)
    }

    /// False if there is no token of this number in force.
    ///
    /// # Errors
    /// The store's. `Away`: it is revoked, and other processes could not be told.
    pub async fn revoke_token(&self, number: i64, deed: Deed) -> Result<bool, Error> {
        let is_done = self.inner.store.revoke_token(number, deed).await?;
        // Also when it is done already: they may not have been told.
        let told = self.inner.hands.share_tokens(self).await;
        told.map_err(|error| {
            Error::Away(format!(
                "token {number} is revoked here, and other processes are not told; say it again: {error}"
            ))
        })?;
        Ok(is_done)
    }
}
