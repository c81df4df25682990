//! How secrets and tokens become what a request proves itself by.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::grant::missing;
use super::{SecretSource, Token};
use crate::connector::{Auth, Connector, Failure, Hmac, Signer};
use crate::expr::{Expr, Locale, Scope};
use crate::http::Credential;
use crate::project::Connection;

/// What proves to the remote side who the connection is; `token` is what the vault has for it. None: it wants no proof.
///
/// # Errors
/// `auth`: a secret is missing, or not written as it should be.
pub fn credential(
    connector: &Connector,
    connection: &Connection,
    origin: &str,
    source: &dyn SecretSource,
    token: Option<&Token>,
) -> Result<Option<Credential>, Failure> {
    let auth = connection.auth.as_ref().and_then(|name| connector.auth.iter().find(|(known, _)| known == name));
    let Some((_, auth)) = auth else { return Ok(None) };
    let make = |expr: &Expr| value(expr, connection, source);
    let secret = |text: String| SecretString::from(text);
    let (headers, query) = (Vec::new(), Vec::new());
    let mut credential = Credential { origin: origin.to_string(), headers, query, signer: None };
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
        Auth::OAuth2(_) | Auth::Exchange(_) => {
            let token = token.map(|token| token.secret.expose_secret()).unwrap_or_default();
            credential.headers.push(("authorization".into(), secret(format!("Bearer {token}"))));
        }
        Auth::Hmac(hmac) => credential.signer = Some(Box::new(signer(hmac, connection, source)?)),
    }
    Ok(Some(credential))
}

fn signer(hmac: &Arc<Hmac>, connection: &Connection, source: &dyn SecretSource) -> Result<Signer, Failure> {
    let given = given(&hmac.exprs(), connection, source)?;
    let cannot =
        |why| Failure::new("auth", format!("the requests of connection `{}` cannot be signed: {why}", connection.name));
    Signer::new(hmac.clone(), given).map_err(cannot)
}

/// What expressions of `auth:` read: `secrets` and `connection`.
fn given(exprs: &[&Expr], connection: &Connection, source: &dyn SecretSource) -> Result<Value, Failure> {
    let mut secrets = Map::new();
    for read in exprs.iter().flat_map(|expr| expr.reads()) {
        let [root, name] = read.names.as_slice() else { continue };
        if root != "secrets" {
            continue;
        }
        secrets.insert(name.clone(), Value::String(secret(name, connection, source)?));
    }
    Ok(serde_json::json!({ "secrets": secrets, "connection": connection.settings }))
}

fn secret(name: &str, connection: &Connection, source: &dyn SecretSource) -> Result<String, Failure> {
    let project = connection.secrets.get(name).map_or(name, String::as_str);
    match source.secret(project) {
        Some(secret) => Ok(secret.expose_secret().to_string()),
        None => Err(Failure::new("auth", missing(project, &connection.name))),
    }
}

fn value(expr: &Expr, connection: &Connection, source: &dyn SecretSource) -> Result<String, Failure> {
    // Most are a secret as it is.
    if let Some(name) = expr.as_path().and_then(|path| path.below("secrets")) {
        return secret(name, connection, source);
    }
    let root = given(&[expr], connection, source)?;
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
