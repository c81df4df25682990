//! `oauth2`: OAuth 2.0 as data (RFC 6749); whoever connects and refreshes acts on it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Auth;
use crate::connector::read::{Reader, under};
use crate::connector::written::Named;

/// OAuth 2.0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "`oauth2`")]
pub(in crate::connector) struct OAuth2Written {
    /// Where a person agrees; without it the client's own credentials are used.
    pub authorize_url: Option<String>,
    /// Where tokens are got and refreshed.
    pub token_url: String,
    /// Further fields of every request to `token_url`.
    #[serde(default)]
    pub form: Named<Value>,
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
    pub before: Option<String>,
    /// True: each refresh token works once, and the answer brings the next.
    #[serde(default)]
    pub rotates: bool,
}

/// How tokens are renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh {
    pub before: Duration,
    pub rotates: bool,
}

pub(super) fn read(reader: &mut Reader<'_>, pointer: &str, written: &OAuth2Written) -> Option<Auth> {
    for (key, url) in [("authorize_url", written.authorize_url.as_ref()), ("token_url", Some(&written.token_url))] {
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
    let mut form = Vec::new();
    for (name, value) in written.form.iter() {
        match value {
            Value::String(text) => form.push((name.to_owned(), text.clone())),
            Value::Number(_) | Value::Bool(_) => form.push((name.to_owned(), value.to_string())),
            _ => reader.error(
                "wrong-type",
                &under(&under(pointer, "form"), name),
                "a form's field is a text",
                "write one text, number, `true` or `false`",
            ),
        }
    }
    let mut save = Vec::new();
    for (setting, path) in written.save.iter() {
        if let Some(path) = reader.path(&under(&under(pointer, "save"), setting), path) {
            save.push((setting.to_owned(), path));
        }
    }
    let refresh = written.refresh.as_ref();
    let before = match refresh.and_then(|refresh| refresh.before.as_deref()) {
        Some(text) => reader.duration(&under(&under(pointer, "refresh"), "before"), text),
        None => Duration::from_secs(60),
    };
    Some(Auth::OAuth2 {
        authorize_url: written.authorize_url.clone(),
        token_url: written.token_url.clone(),
        form,
        scopes: written.scopes.clone(),
        refresh: Refresh { before, rotates: refresh.is_some_and(|refresh| refresh.rotates) },
        save,
    })
}
