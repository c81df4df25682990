//! Whose token it is, and where the next one comes from: a token endpoint, or another account's credential.

use std::time::Duration;

use serde_json::{Map, Value};

use super::SecretSource;
use super::grant::Account;
use crate::connector::{Connector, Exchange, Failure, OAuth2, Request};
use crate::project::{Connection, Plan};

/// A connection whose token ends.
pub enum Holder<'p> {
    OAuth2 { account: Account, oauth2: &'p OAuth2 },
    Exchange(Box<Borrower<'p>>),
}

/// A connection that another one lends its credential.
pub struct Borrower<'p> {
    pub name: &'p str,
    pub lender: &'p Connection,
    pub(super) connector: &'p Connector,
    pub(super) exchange: &'p Exchange,
    pub(super) source: &'p dyn SecretSource,
    settings: &'p Value,
    /// The lender's own token, if it has one that ends.
    pub(super) lent: Option<Holder<'p>>,
}

impl<'p> Holder<'p> {
    /// None: what proves the connection does not end.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn of(
        plan: &'p Plan,
        connection: &'p Connection,
        source: &'p dyn SecretSource,
    ) -> Result<Option<Holder<'p>>, String> {
        let Some(connector) = plan.connector(&connection.connector) else { return Ok(None) };
        let auth = connection.auth.as_deref();
        if let Some(oauth2) = connector.oauth2_of(auth) {
            return Ok(Some(Holder::OAuth2 { account: Account::of(connection, oauth2, source)?, oauth2 }));
        }
        let Some(exchange) = connector.exchange_of(auth) else { return Ok(None) };
        let (name, settings) = (connection.name.as_str(), &connection.settings);
        let lender = connection.via.as_deref().and_then(|via| plan.connection(via));
        let lender = lender.ok_or_else(|| format!("connection `{name}` does not say whose credential is exchanged"))?;
        let lent = match connector.oauth2_of(lender.auth.as_deref()) {
            Some(oauth2) => Some(Holder::OAuth2 { account: Account::of(lender, oauth2, source)?, oauth2 }),
            None => None,
        };
        let borrower = Borrower { name, lender, connector, exchange, source, settings, lent };
        Ok(Some(Holder::Exchange(Box::new(borrower))))
    }

    pub fn name(&self) -> &str {
        match self {
            Holder::OAuth2 { account, .. } => &account.name,
            Holder::Exchange(borrower) => borrower.name,
        }
    }

    /// How long before its end a token is renewed.
    pub(super) fn before(&self) -> Duration {
        match self {
            Holder::OAuth2 { oauth2, .. } => oauth2.refresh.before,
            Holder::Exchange(borrower) => borrower.exchange.before,
        }
    }

    /// Must a person agree before there is a first token?
    pub(super) fn needs_consent(&self) -> bool {
        matches!(self, Holder::OAuth2 { account, .. } if account.authorize_url.is_some())
    }
}

impl Borrower<'_> {
    /// What asks for a token; `saved`: what is known of the lender since it was connected.
    pub(super) fn request(&self, saved: Map<String, Value>) -> Result<Request, Failure> {
        let mut via = self.lender.settings.clone();
        for (name, value) in saved {
            via.as_object_mut().map(|settings| settings.entry(name).or_insert(value));
        }
        self.exchange.request(self.connector, self.settings, &via)
    }

    /// How to say that it is the lender who is in trouble.
    pub(super) fn blame(&self, why: &str) -> String {
        format!("`{}` gets its token from `{}`: {why}", self.name, self.lender.name)
    }
}
