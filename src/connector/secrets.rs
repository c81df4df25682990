//! Which secrets a connector asks a connection for.

use super::{Auth, CLIENT_SECRET, ClientProof, Connector, Hmac, OAuth2, Scheme, VerifyRule};
use crate::expr::Expr;

impl Connector {
    /// The secrets that a way of auth reads, by the connector's own names, each once.
    pub fn secrets_of(&self, auth: &str) -> Vec<String> {
        let found = self.auth.iter().find(|(name, _)| name == auth);
        let exprs: Vec<&Expr> = match found {
            Some((_, Auth::Bearer { token })) => vec![token],
            Some((_, Auth::Basic { user, password })) => vec![user, password],
            Some((_, Auth::ApiKey { value, .. })) => vec![value],
            Some((_, Auth::Hmac(hmac))) => hmac.exprs(),
            Some((_, Auth::OAuth2(oauth2))) if oauth2.client != ClientProof::Public => {
                return vec![CLIENT_SECRET.to_owned()];
            }
            Some((_, Auth::OAuth2(_) | Auth::None)) | None => Vec::new(),
        };
        names(exprs)
    }

    /// OAuth, if that is a connection's way of auth.
    pub fn oauth2_of(&self, auth: Option<&str>) -> Option<&OAuth2> {
        match self.auth.iter().find(|(name, _)| Some(name.as_str()) == auth) {
            Some((_, Auth::OAuth2(oauth2))) => Some(oauth2),
            _ => None,
        }
    }

    /// The secrets that prove its webhooks; a connection without webhooks needs none of them.
    pub fn webhook_secrets(&self) -> Vec<String> {
        let rules = self.webhooks.iter().flat_map(|webhooks| &webhooks.verify);
        names(rules.flat_map(VerifyRule::exprs))
    }
}

impl VerifyRule {
    /// The secrets that it reads.
    pub fn secrets(&self) -> Vec<String> {
        names(self.exprs())
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
        names(self.exprs())
    }
}

fn names<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for read in exprs.into_iter().flat_map(Expr::reads) {
        if let [root, name] = read.names.as_slice()
            && root == "secrets"
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}
