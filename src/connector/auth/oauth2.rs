//! `oauth2`: OAuth 2.0 as data (RFC 6749); whoever connects and refreshes acts on it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Auth, refresh_before};
use crate::connector::read::{Reader, under};
use crate::connector::written::Named;
use crate::expr::Path;

/// OAuth 2.0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`oauth2`")]
pub(in crate::connector) struct OAuth2Written {
    /// Where a person agrees; without it the client's own credentials are used.
    pub authorize_url: Option<String>,
    /// Where tokens are got and refreshed.
    pub token_url: String,
    /// Where tokens are given up (RFC 7009).
    pub revoke_url: Option<String>,
    /// Further parameters of `authorize_url`.
    #[serde(default)]
    pub query: Named<Value>,
    /// Further fields of every request to `token_url`.
    #[serde(default)]
    pub form: Named<Value>,
    /// How the client proves itself at `token_url`: `form` (its id and secret as fields), `basic`, or `public` (it has no
    /// secret).
    #[serde(default)]
    pub client: ClientProof,
    /// Proof that who asks for the token is who sent the person there (PKCE, RFC 7636, S256).
    #[serde(default)]
    pub pkce: bool,
    /// Where in the answer the token and its companions stand, if not at the top: `$.authed_user`.
    pub answer: Option<String>,
    /// The scopes to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// How tokens are renewed.
    pub refresh: Option<RefreshWritten>,
    /// Setting → path in the token's answer: what the answer says about the account.
    #[serde(default)]
    pub save: Named<String>,
}

/// How tokens are renewed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`refresh`")]
pub(in crate::connector) struct RefreshWritten {
    /// How long before the token's end, e.g. `10m`.
    #[schemars(extend("x-takes" = "a duration"))]
    pub before: Option<String>,
    /// True: each refresh token works once, and the answer brings the next.
    #[serde(default)]
    pub rotates: bool,
}

/// How a client proves itself at the token endpoint (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientProof {
    #[default]
    Form,
    Basic,
    Public,
}

/// OAuth 2.0, read.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// None: the client's own credentials are used.
    pub authorize_url: Option<String>,
    pub token_url: String,
    pub revoke_url: Option<String>,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
    pub client: ClientProof,
    pub pkce: bool,
    pub scopes: Vec<String>,
    pub answer: Option<Path>,
    pub refresh: Refresh,
    /// Setting → path in the token's answer.
    pub save: Vec<(String, Path)>,
}

/// Settings of a connection that uses OAuth, beside those that its connector asks for.
pub const CLIENT_ID: &str = "client_id";
pub const CLIENT_SECRET: &str = "client_secret";
/// A connection may have its own: a vendor's second domain, or a pretend vendor.
pub const URLS: [&str; 3] = ["authorize_url", "token_url", "revoke_url"];

/// How tokens are renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub before: Duration,
    pub rotates: bool,
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &OAuth2Written) -> Option<Auth> {
    let urls = [written.authorize_url.as_ref(), Some(&written.token_url), written.revoke_url.as_ref()];
    for (key, url) in URLS.into_iter().zip(urls) {
        if let Some(text) = url
            && !url::Url::parse(text).is_ok_and(|url| {
                matches!(url.scheme(), "https" | "http") && url.has_host() && url.username().is_empty()
            })
        {
            reader.error(
                "bad-url",
                &under(pointer, key),
                format!("`{text}` is no web address"),
                "begin with `https://`",
            );
        }
    }
    let form = texts(reader, &under(pointer, "form"), &written.form);
    let query = texts(reader, &under(pointer, "query"), &written.query);
    let answer = written.answer.as_ref().and_then(|path| reader.path(&under(pointer, "answer"), path));
    let mut save = Vec::new();
    for (setting, path) in written.save.iter() {
        if let Some(path) = reader.path(&under(&under(pointer, "save"), setting), path) {
            save.push((setting.to_owned(), path));
        }
    }
    let refresh = written.refresh.as_ref();
    let at = under(&under(pointer, "refresh"), "before");
    let before = refresh_before(reader, &at, refresh.and_then(|refresh| refresh.before.as_deref()));
    Some(Auth::OAuth2(Box::new(OAuth2 {
        authorize_url: written.authorize_url.clone(),
        token_url: written.token_url.clone(),
        revoke_url: written.revoke_url.clone(),
        query,
        form,
        client: written.client,
        pkce: written.pkce,
        answer,
        scopes: written.scopes.clone(),
        refresh: Refresh { before, rotates: refresh.is_some_and(|refresh| refresh.rotates) },
        save,
    })))
}

/// Texts by name.
fn texts(reader: &mut Reader<'_>, pointer: &str, written: &Named<Value>) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (name, value) in written.iter() {
        match value {
            Value::String(text) => texts.push((name.to_owned(), text.clone())),
            Value::Number(_) | Value::Bool(_) => texts.push((name.to_owned(), value.to_string())),
            _ => reader.error(
                "wrong-type",
                &under(pointer, name),
                "it must be a text",
                "write one text, number, `true` or `false`",
            ),
        }
    }
    texts
}
