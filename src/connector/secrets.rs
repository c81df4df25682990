//! Which secrets a connector asks a connection for.

use super::{Auth, CLIENT_SECRET, ClientProof, Connector, Exchange, Hmac, OAuth2, Scheme, VerifyRule, address};
use crate::expr::Expr;

impl Connector {
    /// The secrets that a way of auth reads, by the connector's own names, each once.
    pub fn secrets_of(&self, auth: &str) -> Vec<String> {
        match self.auth.iter().find(|(name, _)| name == auth) {
            Some((_, Auth::OAuth2(oauth2))) if oauth2.client != ClientProof::Public => vec![CLIENT_SECRET.to_owned()],
            Some((_, auth)) => names("secrets", auth.exprs()),
            None => Vec::new(),
        }
    }

    /// OAuth, if that is a connection's way of auth.
    pub fn oauth2_of(&self, auth: Option<&str>) -> Option<&OAuth2> {
        match self.auth.iter().find(|(name, _)| Some(name.as_str()) == auth) {
            Some((_, Auth::OAuth2(oauth2))) => Some(oauth2),
            _ => None,
        }
    }

    /// An exchange, if that is a connection's way of auth.
    pub fn exchange_of(&self, auth: Option<&str>) -> Option<&Exchange> {
        match self.auth.iter().find(|(name, _)| Some(name.as_str()) == auth) {
            Some((_, Auth::Exchange(exchange))) => Some(exchange),
            _ => None,
        }
    }

    /// Is there an exchange of what this way of auth gives?
    pub fn is_lent(&self, auth: Option<&str>) -> bool {
        let mut ways = self.auth.iter().map(|(_, auth)| auth);
        ways.any(|way| matches!(way, Auth::Exchange(exchange) if Some(exchange.of.as_str()) == auth))
    }

    /// Is the token of this way of auth one that is renewed when it is refused?
    pub fn renews(&self, auth: Option<&str>) -> bool {
        self.oauth2_of(auth).is_some() || self.exchange_of(auth).is_some()
    }

    /// The settings that a way of auth reads of its connection.
    pub fn settings_of(&self, auth: Option<&str>) -> Vec<String> {
        match self.auth.iter().find(|(name, _)| Some(name.as_str()) == auth) {
            Some((_, Auth::Exchange(exchange))) => exchange.reads(),
            Some((_, auth)) => {
                let pieces = address::pieces(&self.base_url).unwrap_or_default();
                let of_url = address::holes(&pieces).map(str::to_owned);
                names("connection", auth.exprs()).into_iter().chain(of_url).collect()
            }
            None => Vec::new(),
        }
    }

    /// The settings that the vendor's answer fills in.
    pub fn saved_by(&self, auth: Option<&str>) -> Vec<&str> {
        let save = match (self.oauth2_of(auth), self.exchange_of(auth)) {
            (Some(oauth2), _) => &oauth2.save,
            (_, Some(exchange)) => &exchange.save,
            _ => return Vec::new(),
        };
        save.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The secrets that prove its webhooks; a connection without webhooks needs none of them.
    pub fn webhook_secrets(&self) -> Vec<String> {
        let rules = self.webhooks.iter().flat_map(|webhooks| &webhooks.verify);
        names("secrets", rules.flat_map(VerifyRule::exprs))
    }
}

impl VerifyRule {
    /// The secrets that it reads.
    pub fn secrets(&self) -> Vec<String> {
        names("secrets", self.exprs())
    }

    fn exprs(&self) -> Vec<&Expr> {
        match &self.scheme {
            Scheme::Signature(signature) => signature.keys.iter().collect(),
            Scheme::StandardWebhooks { keys } | Scheme::Token { values: keys } => keys.iter().collect(),
            Scheme::Basic { user, password } => vec![user, password],
        }
    }
}

impl Hmac {
    /// The secrets that it reads.
    pub fn secrets(&self) -> Vec<String> {
        names("secrets", self.exprs())
    }
}

impl Auth {
    /// What is evaluated when a request is sent.
    fn exprs(&self) -> Vec<&Expr> {
        match self {
            Auth::Bearer { token } => vec![token],
            Auth::Basic { user, password } => vec![user, password],
            Auth::ApiKey { value, .. } => vec![value],
            Auth::Hmac(hmac) => hmac.exprs(),
            Auth::OAuth2(_) | Auth::Exchange(_) | Auth::None => Vec::new(),
        }
    }
}

/// The names below a root that are read, each once.
fn names<'e>(root: &str, exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for read in exprs.into_iter().flat_map(Expr::reads) {
        if let [known, name] = read.names.as_slice()
            && known == root
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}
