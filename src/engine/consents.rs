//! Accounts that a person connects while we serve: agreed to at the vendor, sealed, and used at once.

use super::Engine;
use super::examine::scopes_needed;
use crate::connector::{Connector, OAuth2};
use crate::project::{Connection, Plan};
use crate::vault::{Consent, Granted, Holder};

/// What an account is granted.
#[derive(Clone, Debug)]
pub struct Grants {
    /// None: nobody has connected it yet.
    pub granted: Option<Granted>,
    /// Scopes that the project needs and that were not granted, where the vendor tells which were.
    pub lacks: Vec<String>,
}

/// The OAuth of a connection, asking for what the connector says, and for what else the project's operations need.
pub fn asked_of(plan: &Plan, connection: &Connection, connector: &Connector) -> Option<OAuth2> {
    let mut asked = connector.oauth2_of(connection.auth.as_deref())?.clone();
    if !asked.scopes.is_empty() {
        let mut needed = scopes_needed(plan, connection, connector);
        needed.extend(plan.borrowers(&connection.name).flat_map(|borrower| scopes_needed(plan, borrower, connector)));
        needed.retain(|scope| !asked.scopes.contains(scope));
        asked.scopes.extend(needed);
    }
    Some(asked)
}

/// Scopes that were asked for, and that a grant does not say.
pub fn lacking(asked: &OAuth2, granted: &Granted) -> Vec<String> {
    let Some(scope) = &granted.scope else { return Vec::new() };
    let has: Vec<&str> = scope.split([' ', ',']).filter(|scope| !scope.is_empty()).collect();
    asked.scopes.iter().filter(|scope| !has.contains(&scope.as_str())).cloned().collect()
}

impl Engine {
    /// What an account is granted; None: it is none that a person connects over a browser.
    pub fn grants(&self, name: &str) -> Option<Grants> {
        let plan = self.plan();
        let connection = plan.connection(name)?;
        let asked = asked_of(&plan, connection, plan.connector(&connection.connector)?)?;
        asked.authorize_url.as_ref()?;
        let granted = self.inner.vault.as_ref().and_then(|vault| vault.state(name).ok().flatten());
        let lacks = granted.as_ref().map(|granted| lacking(&asked, granted)).unwrap_or_default();
        Some(Grants { granted, lacks })
    }

    /// Begins to connect an account: gives the link that a person follows, who comes back to `redirect_uri`.
    ///
    /// # Errors
    /// Why it cannot be connected so, in words.
    pub fn ask_for_consent(&self, name: &str, redirect_uri: &str) -> Result<Consent, String> {
        let plan = self.plan();
        let (connection, connector) = found(&plan, name)?;
        if self.inner.vault.is_none() {
            return Err("what is granted is sealed, and there is no key: start `serve` with `--key-file`".into());
        }
        let asked = asked_of(&plan, connection, connector);
        match (Holder::of(&plan, connection, &*self.inner.secrets)?, asked) {
            (Some(Holder::OAuth2 { account, .. }), Some(asked)) => Consent::begin(&account, &asked, redirect_uri),
            _ => Err(format!("`{name}` is not connected over a browser: `dovetail connect {name}` does it")),
        }
    }

    /// Turns what a person brought back into a grant, and goes on with what has waited for it.
    ///
    /// # Errors
    /// Why nothing was granted, in words.
    pub async fn take_consent(&self, name: &str, consent: &Consent, code: &str) -> Result<Grants, String> {
        let plan = self.plan();
        let (connection, connector) = found(&plan, name)?;
        let asked = asked_of(&plan, connection, connector);
        let (Some(vault), Some(asked)) = (self.inner.vault.clone(), asked) else {
            return Err(format!("`{name}` is not connected over a browser any more"));
        };
        match Holder::of(&plan, connection, &*self.inner.secrets)? {
            Some(Holder::OAuth2 { account, .. }) => {
                vault.connect(&account, &asked, consent, code).await.map_err(|error| error.to_string())?
            }
            _ => return Err(format!("`{name}` is not connected over a browser any more")),
        };
        self.connected(name).await.map_err(|error| error.to_string())?;
        self.grants(name).ok_or_else(|| format!("`{name}` is not connected over a browser any more"))
    }
}

fn found<'p>(plan: &'p Plan, name: &str) -> Result<(&'p Connection, &'p Connector), String> {
    let connection = plan.connection(name).ok_or_else(|| format!("no connection is called `{name}`"))?;
    let connector = plan.connector(&connection.connector).ok_or("its connector is missing")?;
    Ok((connection, connector))
}
