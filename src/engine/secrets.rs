//! Where secrets come from, and how they become a credential.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::connector::{Auth, Connector, Failure};
use crate::expr::{Expr, Locale, Scope};
use crate::http::Credential;
use crate::project::Connection;
use crate::trigger;

/// Finds a secret by the project's name of it.
pub trait SecretSource: Send + Sync {
    fn secret(&self, name: &str) -> Option<SecretString>;
}

/// A connection's secrets under the connector's own names.
pub struct Secrets<'a> {
    pub source: &'a dyn SecretSource,
    pub names: &'a BTreeMap<String, String>,
}

impl trigger::Secrets for Secrets<'_> {
    fn secret(&self, name: &str) -> Option<String> {
        let secret = self.source.secret(self.names.get(name)?)?;
        Some(secret.expose_secret().to_string())
    }
}

/// A source under the project's own names.
pub struct Plain<'a>(pub &'a dyn SecretSource);

impl trigger::Secrets for Plain<'_> {
    fn secret(&self, name: &str) -> Option<String> {
        Some(self.0.secret(name)?.expose_secret().to_string())
    }
}

/// What proves to the remote side who the connection is. None: it wants no proof.
pub(super) fn credential(
    connector: &Connector,
    connection: &Connection,
    origin: &str,
    source: &dyn SecretSource,
) -> Result<Option<Credential>, Failure> {
    let auth = connection.auth.as_ref().and_then(|name| connector.auth.iter().find(|(known, _)| known == name));
    let Some((_, auth)) = auth else { return Ok(None) };
    let make = |expr: &Expr| value(expr, connection, source);
    let secret = |text: String| SecretString::from(text);
    let mut credential = Credential { origin: origin.to_string(), headers: Vec::new(), query: Vec::new() };
    match auth {
        Auth::None => return Ok(None),
        Auth::Bearer { token } => {
            credential.headers.push(("authorization".into(), secret(format!("Bearer {}", make(token)?))));
        }
        Auth::Basic { user, password } => {
            use base64::Engine as _;
            let pair = format!("{}:{}", make(user)?, make(password)?);
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            credential.headers.push(("authorization".into(), secret(format!("Basic {encoded}"))));
        }
        Auth::ApiKey { header, query, value } => {
            let value = make(value)?;
            if let Some(header) = header {
                credential.headers.push((header.clone(), secret(value.clone())));
            }
            if let Some(query) = query {
                credential.query.push((query.clone(), secret(value)));
            }
        }
        Auth::OAuth2 { .. } => {
            let message =
                format!("connection `{}` uses OAuth, which this version cannot refresh: use a token", connection.name);
            return Err(Failure::new("auth", message));
        }
    }
    Ok(Some(credential))
}

/// Evaluates an expression of `auth:`, which reads `secrets` and `connection`.
fn value(expr: &Expr, connection: &Connection, source: &dyn SecretSource) -> Result<String, Failure> {
    let mut secrets = Map::new();
    for read in expr.reads() {
        let [root, name] = read.names.as_slice() else { continue };
        if root != "secrets" {
            continue;
        }
        let project = connection.secrets.get(name).unwrap_or(name);
        let Some(secret) = source.secret(project) else {
            let variable = format!("DOVETAIL_SECRET_{}", project.to_uppercase());
            let message =
                format!("the secret `{project}` of connection `{}` is not set: set {variable}", connection.name);
            return Err(Failure::new("auth", message));
        };
        secrets.insert(name.clone(), Value::String(secret.expose_secret().to_string()));
    }
    let root = serde_json::json!({ "secrets": secrets, "connection": connection.settings });
    let locale = Locale::default();
    match expr.eval(&Scope::new(&root, &locale)) {
        Ok(Some(Value::String(text))) => Ok(text),
        Ok(Some(value)) => Ok(value.to_string()),
        Ok(None) => Ok(String::new()),
        // The fault's words could hold a secret.
        Err(_) => {
            Err(Failure::new("auth", format!("the credential of connection `{}` cannot be made", connection.name)))
        }
    }
}
