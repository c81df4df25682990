//! Who may use what was granted, and who renews it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::consent::Consent;
use super::credential::credential;
use super::grant::{self, Account, Grant, Refusal};
use super::holder::{Borrower, Holder};
use super::seal::{KeyError, Keys};
use super::shared::Shared;
use crate::connector::{Failure, OAuth2, Response};
use crate::http::Client;
use crate::store::{self, Credentials, Sealed};

/// Who renews is trusted to be done in so long; a try to the vendor takes 30 s at most.
const LEASE_MS: i64 = 70_000;
/// How often one asks whether somebody else has renewed.
const ASK_AGAIN: Duration = Duration::from_millis(40);
/// Tries to renew in a row, where the answer to the first was lost.
const TRIES: usize = 2;

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody has connected, or the vendor does not renew it any more: a person must connect.
    #[error("{0}")]
    Disconnected(String),
    /// It could not be renewed just now.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// An access token, and the version of the credential that it is of.
#[derive(Clone, Debug)]
pub struct Token {
    pub secret: SecretString,
    pub version: u64,
}

struct Held {
    version: u64,
    refused: Option<String>,
    grant: Grant,
}

/// The credentials of a data folder, opened with their key.
pub struct Vault {
    pub(super) credentials: Credentials,
    keys: Keys,
    client: Client,
    /// The last seen of each, so that not every request reads the file.
    seen: Mutex<HashMap<String, Arc<Held>>>,
    /// Where other processes find what is renewed here; empty: nowhere.
    pub(super) shared: OnceLock<Arc<dyn Shared>>,
    /// Who renews in this process; the others wait for it.
    renewing: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Vault {
    /// # Errors
    /// The file cannot be used, or holds something that no key opens.
    pub fn open(folder: &Path, keys: Keys, client: Client) -> Result<Vault, Error> {
        let credentials = Credentials::open(folder)?;
        let (seen, renewing) = (Mutex::default(), Mutex::default());
        let vault = Vault { credentials, keys, client, seen, shared: OnceLock::new(), renewing };
        for (name, sealed) in vault.credentials.list()? {
            vault.held(&name, &sealed)?;
        }
        Ok(vault)
    }

    /// A token that is good for a request now; renewed before, if its end is near.
    ///
    /// # Errors
    /// `Disconnected` if only a person can help, `Unavailable` if a later try may.
    pub async fn token(&self, holder: &Holder<'_>) -> Result<Token, Error> {
        let (name, now_ms) = (holder.name(), now_ms());
        let seen = self.seen.lock().get(name).cloned();
        if let Some(held) = seen.filter(|held| held.refused.is_none() && !is_near(&held.grant, holder, now_ms)) {
            return Ok(held.token());
        }
        self.share(name).await?;
        match self.look(name)? {
            None if holder.needs_consent() => Err(not_connected(name)),
            None => self.renew(holder, 0).await,
            Some(held) => match &held.refused {
                Some(why) => Err(Error::Disconnected(disconnected(name, why))),
                None if is_near(&held.grant, holder, now_ms) => {
                    let renewed = self.renew(holder, held.version).await;
                    match renewed {
                        // Its end is near, and not yet there.
                        Err(Error::Unavailable(why))
                            if held.grant.ends_ms.is_some_and(|ends| ends > self::now_ms()) =>
                        {
                            tracing::warn!(connection = name, why, "the token could not be renewed ahead of time");
                            Ok(held.token())
                        }
                        renewed => renewed,
                    }
                }
                None => Ok(held.token()),
            },
        }
    }

    /// The vendor has refused a token of this version: renews it, unless that was done meanwhile.
    ///
    /// # Errors
    /// As [`Vault::token`].
    pub async fn refused(&self, holder: &Holder<'_>, version: u64) -> Result<Token, Error> {
        self.renew(holder, version).await
    }

    /// Turns the code that a person brought back into a grant, and keeps it.
    ///
    /// # Errors
    /// The vendor's refusal, in words.
    pub async fn connect(
        &self,
        account: &Account,
        oauth2: &OAuth2,
        consent: &Consent,
        code: &str,
    ) -> Result<Grant, Error> {
        let asked = self.ask(account, oauth2, &consent.fields(code), None).await;
        let grant = asked.map_err(|refusal| match refusal {
            Refusal::Final(why) | Refusal::Unclear(why) => Error::Disconnected(format!("nothing was granted: {why}")),
            Refusal::Lender(error) => error,
        })?;
        self.keep(&account.name, &grant)?;
        Ok(grant)
    }

    /// Keeps a grant in place of whatever is there.
    ///
    /// # Errors
    /// The store's.
    pub fn keep(&self, name: &str, grant: &Grant) -> Result<(), Error> {
        loop {
            let before = self.credentials.version(name)?;
            if self.put_here(name, before, grant, None)?.is_some() {
                return Ok(());
            }
        }
    }

    /// A secret that a person gave by hand.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        let name = by_hand(name);
        let sealed = self.credentials.get(&name).ok().flatten()?;
        Some(self.held(&name, &sealed).ok()?.grant.access_token.clone())
    }

    /// Keeps a secret that a person gave by hand.
    ///
    /// # Errors
    /// The store's.
    pub fn keep_secret(&self, name: &str, secret: SecretString) -> Result<(), Error> {
        let (granted_ms, saved) = (now_ms(), Map::new());
        let grant = Grant { access_token: secret, refresh_token: None, granted_ms, ends_ms: None, scope: None, saved };
        self.keep(&by_hand(name), &grant)
    }

    /// Erases a secret that a person gave by hand. False if there is none.
    ///
    /// # Errors
    /// The store's.
    pub fn erase_secret(&self, name: &str) -> Result<bool, Error> {
        Ok(self.credentials.erase(&by_hand(name))?)
    }

    /// What is kept for a connection, without its tokens: settings that the vendor filled in, scopes, and its state.
    ///
    /// # Errors
    /// The store's, or a key's.
    pub fn state(&self, name: &str) -> Result<Option<Granted>, Error> {
        let Some(sealed) = self.credentials.get(name)? else { return Ok(None) };
        let held = self.held(name, &sealed)?;
        Ok(Some(Granted {
            saved: held.grant.saved.clone(),
            scope: held.grant.scope.clone(),
            ends_ms: held.grant.ends_ms,
            refused: sealed.refused,
            changed_ms: sealed.changed_ms,
        }))
    }

    /// Gives a connection's tokens up at the vendor, as far as it offers that, and erases them. False if there were none.
    ///
    /// # Errors
    /// The store's. What the vendor says does not keep it from being erased; it is told.
    pub async fn disconnect(&self, account: &Account, oauth2: &OAuth2) -> Result<Disconnected, Error> {
        let held = self.look(&account.name)?;
        let mut revoked = None;
        if let Some(held) = &held {
            let token = held.grant.refresh_token.as_ref().unwrap_or(&held.grant.access_token);
            if let Some((request, credential)) = grant::revocation(account, oauth2, token.expose_secret()) {
                let answer = self.client.send(&request, credential.as_ref()).await;
                revoked = Some(answer.is_ok_and(|response| (200..300).contains(&response.status)));
            }
        }
        let was_there = self.forget(&account.name)?;
        Ok(Disconnected { was_there, revoked })
    }

    /// Erases what a connection was granted. False if there was nothing.
    ///
    /// # Errors
    /// The store's.
    pub fn forget(&self, name: &str) -> Result<bool, Error> {
        let was_there = self.credentials.erase(name)?;
        self.seen.lock().remove(name);
        Ok(was_there)
    }

    /// Seals everything with the present key that was sealed with an older one. Gives how many there were.
    ///
    /// # Errors
    /// The store's, or a key's.
    pub fn seal_anew(&self) -> Result<usize, Error> {
        let mut count = 0;
        for (name, sealed) in self.credentials.list()? {
            if sealed.key_id != self.keys.id() {
                let grant = self.held(&name, &sealed)?.grant.clone();
                let is_kept = self.put_here(&name, sealed.version, &grant, None)?.is_some();
                if let Some(why) = sealed.refused.filter(|_| is_kept) {
                    self.credentials.refuse(&name, sealed.version + 1, &why)?;
                }
                count += usize::from(is_kept);
            }
        }
        Ok(count)
    }

    /// Renews what has this version; if it is another by now, that one is given.
    async fn renew(&self, holder: &Holder<'_>, version: u64) -> Result<Token, Error> {
        let name = holder.name();
        let lock = self.renewing.lock().entry(name.to_owned()).or_default().clone();
        let _alone = lock.lock().await;
        let lease = uuid::Uuid::now_v7().to_string();
        let patience_ms = now_ms() + LEASE_MS;
        loop {
            self.share(name).await?;
            let held = self.look(name)?;
            if held.is_none() && holder.needs_consent() {
                return Err(not_connected(name));
            }
            if let Some(held) = held.as_ref().filter(|held| held.version != version) {
                return match &held.refused {
                    Some(why) => Err(Error::Disconnected(disconnected(name, why))),
                    None => Ok(held.token()),
                };
            }
            if let Some(why) = held.as_ref().and_then(|held| held.refused.as_ref()) {
                return Err(Error::Disconnected(disconnected(name, why)));
            }
            let now_ms = now_ms();
            let known = match &held {
                Some(held) => held.version,
                None => self.credentials.version(name)?,
            };
            if self.lease(name, known, &lease, now_ms, LEASE_MS).await? {
                return match held {
                    Some(held) => self.renew_with(holder, &held, &lease).await,
                    None => self.first(holder, known, &lease).await,
                };
            }
            if now_ms > patience_ms {
                let message = format!("the token of `{name}` is being renewed by another process, for too long");
                return Err(Error::Unavailable(message));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn renew_with(&self, holder: &Holder<'_>, held: &Held, lease: &str) -> Result<Token, Error> {
        let name = holder.name();
        let mut last = String::new();
        for _ in 0..TRIES {
            match self.ask_again(holder, &held.grant).await {
                Ok(grant) => match self.put(name, held.version, &grant, Some(lease)).await? {
                    Some(token) => {
                        tracing::info!(connection = name, "the token was renewed");
                        return Ok(token);
                    }
                    // Fenced off: somebody else has gone on, since we took too long.
                    None => return self.present(name),
                },
                Err(Refusal::Final(why)) if matches!(holder, Holder::Exchange(_)) => {
                    // There is nothing here that a person could connect again; the next who asks may be given one.
                    self.release(name, lease).await?;
                    return Err(Error::Disconnected(format!("`{name}` is given no token: {why}")));
                }
                Err(Refusal::Final(why)) => {
                    if !self.credentials.refuse(name, held.version, &why)? {
                        return self.present(name);
                    }
                    self.seen.lock().remove(name);
                    self.share(name).await?;
                    tracing::error!(connection = name, why, "the vendor renews the token no more: connect again");
                    return Err(Error::Disconnected(disconnected(name, &why)));
                }
                Err(Refusal::Lender(error)) => {
                    self.release(name, lease).await?;
                    return Err(error);
                }
                Err(Refusal::Unclear(why)) => last = why,
            }
        }
        self.release(name, lease).await?;
        Err(Error::Unavailable(format!("the token of `{name}` could not be renewed: {last}")))
    }

    /// What needs nobody to agree: the first token is got like any other.
    async fn first(&self, holder: &Holder<'_>, before: u64, lease: &str) -> Result<Token, Error> {
        let name = holder.name();
        let granted = match holder {
            Holder::OAuth2 { account, oauth2 } => self.ask(account, oauth2, &client_credentials(), None).await,
            Holder::Exchange(borrower) => self.exchange(borrower, None).await,
        };
        match granted {
            Ok(grant) => match self.put(name, before, &grant, self.shared.get().map(|_| lease)).await? {
                Some(token) => Ok(token),
                None => self.present(name),
            },
            Err(refusal) => {
                self.release(name, lease).await?;
                Err(match refusal {
                    Refusal::Final(why) => Error::Disconnected(format!("`{name}` is given no token: {why}")),
                    Refusal::Unclear(why) => Error::Unavailable(format!("no token for `{name}`: {why}")),
                    Refusal::Lender(error) => error,
                })
            }
        }
    }

    /// What is kept now, whoever put it there.
    fn present(&self, name: &str) -> Result<Token, Error> {
        let held = self.look(name)?;
        let held = held.ok_or_else(|| Error::Disconnected(format!("`{name}` was disconnected")))?;
        match &held.refused {
            Some(why) => Err(Error::Disconnected(disconnected(name, why))),
            None => Ok(held.token()),
        }
    }

    /// Asks for the next token.
    async fn ask_again(&self, holder: &Holder<'_>, before: &Grant) -> Result<Grant, Refusal> {
        let (account, oauth2) = match holder {
            Holder::OAuth2 { account, oauth2 } => (account, oauth2),
            Holder::Exchange(borrower) => return self.exchange(borrower, Some(before)).await,
        };
        let refresh_token = before.refresh_token.as_ref().map(|token| token.expose_secret().to_owned());
        let fields = match &refresh_token {
            Some(token) => vec![("grant_type", "refresh_token"), ("refresh_token", token.as_str())],
            None if account.authorize_url.is_none() => client_credentials(),
            None => return Err(Refusal::Final("the vendor gave nothing to renew it with".into())),
        };
        self.ask(account, oauth2, &fields, Some(before)).await
    }

    async fn ask(
        &self,
        account: &Account,
        oauth2: &OAuth2,
        fields: &[(&str, &str)],
        before: Option<&Grant>,
    ) -> Result<Grant, Refusal> {
        let (request, credential) = grant::request(account, oauth2, fields);
        let response = self.client.send(&request, credential.as_ref()).await;
        let mut response = response.map_err(|error| Refusal::Unclear(error.to_string()))?;
        grant::read(oauth2, &response, before, now_ms()).or_else(|_| {
            // What it says is told: without what the form held, should it repeat that.
            grant::secrets_of(&request).hide(&mut response.body);
            grant::read(oauth2, &response, before, now_ms())
        })
    }

    /// Exchanges the lender's credential for a token, at its own origin. A token of the lender that is refused is renewed once.
    async fn exchange(&self, borrower: &Borrower<'_>, before: Option<&Grant>) -> Result<Grant, Refusal> {
        let mut token = self.lent(borrower, None).await?;
        let mut renewed = false;
        loop {
            let response = self.exchanged(borrower, token.as_ref()).await?;
            let Some(failure) = borrower.connector.refusal(&response) else {
                return grant::read_exchanged(borrower.exchange, &response, before, now_ms());
            };
            let told = grant::readable(&failure.to_string());
            match (failure.name.as_str(), &token) {
                ("auth", Some(refused)) if !renewed => {
                    token = self.lent(borrower, Some(refused.version)).await?;
                    renewed = true;
                }
                ("auth", _) => {
                    let why = borrower.blame(&disconnected(&borrower.lender.name, &told));
                    return Err(Refusal::Lender(Error::Disconnected(why)));
                }
                ("transient" | "timeout" | "unreachable" | "rate_limited" | "unknown", _) => {
                    return Err(Refusal::Unclear(told));
                }
                _ => return Err(Refusal::Final(told)),
            }
        }
    }

    async fn exchanged(&self, borrower: &Borrower<'_>, token: Option<&Token>) -> Result<Response, Refusal> {
        let lender = borrower.lender;
        let known = self.state(&lender.name).map_err(Refusal::Lender)?;
        let saved = known.map(|known| known.saved).unwrap_or_default();
        let cannot = |failure: Failure| Refusal::Final(failure.message);
        let request = borrower.request(saved).map_err(cannot)?;
        let origin = url::Url::parse(&request.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let credential = credential(borrower.connector, lender, &origin, borrower.source, token);
        let credential =
            credential.map_err(|failure| Refusal::Lender(Error::Disconnected(borrower.blame(&failure.message))))?;
        let response = self.client.send(&request, credential.as_ref()).await;
        response.map_err(|error| Refusal::Unclear(error.to_string()))
    }

    /// The lender's own token, if it has one that ends; `refused`: the vendor has refused the one of this version.
    fn lent<'a>(
        &'a self,
        borrower: &'a Borrower<'_>,
        refused: Option<u64>,
    ) -> BoxFuture<'a, Result<Option<Token>, Refusal>> {
        Box::pin(async move {
            let Some(holder) = &borrower.lent else { return Ok(None) };
            let token = match refused {
                None => self.token(holder).await,
                Some(version) => self.refused(holder, version).await,
            };
            token.map(Some).map_err(|error| {
                Refusal::Lender(match error {
                    Error::Disconnected(why) => Error::Disconnected(borrower.blame(&why)),
                    Error::Unavailable(why) => Error::Unavailable(borrower.blame(&why)),
                    error => error,
                })
            })
        })
    }

    /// Durable when it returns: only then may the new token be used. None: another version is there.
    async fn put(&self, name: &str, before: u64, grant: &Grant, lease: Option<&str>) -> Result<Option<Token>, Error> {
        if let Some(shared) = self.shared.get() {
            let sealed = self.seal(name, before + 1, grant)?;
            // Where others look first: here it is a copy.
            return match shared.put(name, &sealed, lease).await? {
                true => {
                    self.credentials.copy(name, &sealed)?;
                    Ok(Some(self.keeps(name, &sealed, grant)))
                }
                false => {
                    self.share(name).await?;
                    Ok(None)
                }
            };
        }
        self.put_here(name, before, grant, lease)
    }

    fn seal(&self, name: &str, version: u64, grant: &Grant) -> Result<Sealed, Error> {
        let no_random = |error: getrandom::Error| Error::Unavailable(error.to_string());
        let bytes = self.keys.seal(name, version, &grant.to_bytes()).map_err(no_random)?;
        let key_id = self.keys.id().to_owned();
        let (ends_ms, changed_ms) = (grant.ends_ms, now_ms());
        Ok(Sealed { version, key_id, bytes, ends_ms, refused: None, changed_ms })
    }

    fn put_here(&self, name: &str, before: u64, grant: &Grant, lease: Option<&str>) -> Result<Option<Token>, Error> {
        let sealed = self.seal(name, before + 1, grant)?;
        let is_kept = self.credentials.put(name, before, &sealed, lease)?;
        Ok(is_kept.then(|| self.keeps(name, &sealed, grant)))
    }

    fn keeps(&self, name: &str, sealed: &Sealed, grant: &Grant) -> Token {
        let held = Arc::new(Held { version: sealed.version, refused: None, grant: grant.clone() });
        let token = held.token();
        self.seen.lock().insert(name.to_owned(), held);
        token
    }

    /// From now on other processes find elsewhere what is renewed here.
    pub fn share_by(&self, shared: Arc<dyn Shared>) {
        // Once is enough.
        let _ = self.shared.set(shared);
    }

    fn look(&self, name: &str) -> Result<Option<Arc<Held>>, Error> {
        let Some(sealed) = self.credentials.get(name)? else {
            self.seen.lock().remove(name);
            return Ok(None);
        };
        Ok(Some(self.held(name, &sealed)?))
    }

    fn held(&self, name: &str, sealed: &Sealed) -> Result<Arc<Held>, Error> {
        let seen = self.seen.lock().get(name).cloned();
        if let Some(seen) = seen.filter(|seen| seen.version == sealed.version && seen.refused == sealed.refused) {
            return Ok(seen);
        }
        let bytes = self.keys.open(name, sealed)?;
        let grant = Grant::of_bytes(&bytes).ok_or_else(|| KeyError::Damaged(name.to_owned()))?;
        let held = Arc::new(Held { version: sealed.version, refused: sealed.refused.clone(), grant });
        self.seen.lock().insert(name.to_owned(), held.clone());
        Ok(held)
    }
}

impl Held {
    fn token(&self) -> Token {
        Token { secret: self.grant.access_token.clone(), version: self.version }
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What is known of a grant, without its tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    pub saved: Map<String, Value>,
    pub scope: Option<String>,
    pub ends_ms: Option<i64>,
    /// Why a person must connect again.
    pub refused: Option<String>,
    pub changed_ms: i64,
}

/// What came of disconnecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected {
    pub was_there: bool,
    /// Whether the vendor took it back; None: it offers no way.
    pub revoked: Option<bool>,
}

/// The name of a secret; a connection's has no `:`.
fn by_hand(name: &str) -> String {
    format!("secret:{name}")
}

fn client_credentials() -> Vec<(&'static str, &'static str)> {
    vec![("grant_type", "client_credentials")]
}

fn not_connected(name: &str) -> Error {
    Error::Disconnected(format!("`{name}` is not connected: run `dovetail connect {name}`"))
}

fn disconnected(name: &str, why: &str) -> String {
    format!("`{name}` must be connected again: run `dovetail connect {name}` ({why})")
}

/// Is its end so near that it is to be renewed first? Each connection at another moment, so that not all renew at once.
fn is_near(grant: &Grant, holder: &Holder<'_>, now_ms: i64) -> bool {
    let Some(ends_ms) = grant.ends_ms else { return false };
    let before_ms = i64::try_from(holder.before().as_millis()).unwrap_or(i64::MAX);
    let spread = i64::from(Sha256::digest(holder.name().as_bytes())[0]) * (before_ms / 4) / 255;
    // A token that lives shorter than that is renewed in the middle of its life.
    let before_ms = before_ms.saturating_add(spread).min(ends_ms.saturating_sub(grant.granted_ms) / 2);
    ends_ms.saturating_sub(now_ms) <= before_ms
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
