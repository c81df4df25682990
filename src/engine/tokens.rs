//! Who may come in from outside, and who has: kept here, and known to all processes that serve the same runs.

use std::time::Duration;

use super::Engine;
use crate::store::{Deed, Error, NewToken, Session, about_token};

/// Pages wait so long for other processes.
const SOON: Duration = Duration::from_secs(2);

impl Engine {
    /// Keeps a token, and gives its number. Other processes that cannot be told now are told when this one starts again, or there is
    /// another new one.
    ///
    /// # Errors
    /// The store's; `Refused` when there are too many.
    pub async fn keep_token(&self, token: NewToken, deed: Deed) -> Result<i64, Error> {
        let (name, done) = (token.name.clone(), deed.clone());
        let number = self.inner.store.keep_token(token, deed).await?;
        self.tell_deed(Deed { about: about_token(number, &name), ..done });
        if let Err(error) = self.inner.hands.share_access(self).await {
            tracing::warn!(%error, number, "other processes do not know yet of a token that was made here");
        }
        Ok(number)
    }

    /// False if there is no token of this number in force.
    ///
    /// # Errors
    /// The store's. `Away`: it is revoked, and other processes could not be told.
    pub async fn revoke_token(&self, number: i64, deed: Deed) -> Result<bool, Error> {
        let done = Deed { about: about_token(number, ""), ..deed.clone() };
        let is_done = self.inner.store.revoke_token(number, deed).await?;
        if is_done {
            self.tell_deed(done);
        }
        // Also when it is done already: they may not have been told.
        let told = self.inner.hands.share_access(self).await;
        told.map_err(|error| {
            Error::Away(format!(
                "token {number} is revoked here, and other processes are not told; say it again: {error}"
            ))
        })?;
        Ok(is_done)
    }

    /// Writes down what somebody is about to do from outside: here first, then at other processes.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_deed(&self, deed: Deed) -> Result<(), Error> {
        self.inner.store.note(deed.clone()).await?;
        self.tell_deed(deed);
        Ok(())
    }

    /// Nobody waits for that: it is written down here.
    fn tell_deed(&self, deed: Deed) {
        let engine = self.clone();
        self.spawn(async move {
            if let Err(error) = engine.inner.hands.tell_deed(&engine, deed).await {
                tracing::warn!(%error, "other processes are not told what somebody does here");
            }
        });
    }

    /// Keeps a session, or what is new of it.
    ///
    /// # Errors
    /// The store's. What other processes could not be told soon they learn when they next ask.
    pub async fn keep_session(&self, session: Session) -> Result<(), Error> {
        self.inner.store.know_sessions(vec![session]).await?;
        self.learn_access().await;
        Ok(())
    }

    /// Learns what other processes know of those who may come in, and have, and tells them: if they can be reached soon. A page does not
    /// wait for a cluster that is away.
    pub async fn learn_access(&self) {
        let why = match tokio::time::timeout(SOON, self.inner.hands.share_access(self)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "nobody answers".to_owned(),
        };
        tracing::warn!(why, "who signs in or out is not told to other processes, nor known from them");
    }
}
