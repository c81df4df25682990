//! What is said to a token endpoint, and what it answers (RFC 6749, sections 4.1.3, 4.4.2, 5 and 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::SecretSource;
use crate::connector::{Body, CLIENT_ID, CLIENT_SECRET, ClientProof, Exchange, OAuth2, Request, Response};
use crate::expr::{Path, as_text};
use crate::http::{Credential, Hidden};
use crate::project::Connection;

/// Words of a vendor that are passed on.
const WORDS_MAX: usize = 200;
/// Refusals that another try does not change (RFC 6749, 5.2).
const FINAL: [&str; 4] = ["invalid_grant", "invalid_client", "unauthorized_client", "access_denied"];

/// Who asks: a connection, as the client of its vendor.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub client_id: String,
    /// None for a client that has no secret.
    pub client_secret: Option<SecretString>,
    pub authorize_url: Option<String>,
    pub token_url: String,
    pub revoke_url: Option<String>,
}

impl Account {
    /// # Errors
    /// What is missing, in words.
    pub fn of(connection: &Connection, oauth2: &OAuth2, source: &dyn SecretSource) -> Result<Account, String> {
        let setting = |name: &str| connection.settings.get(name).and_then(as_text);
        let name = connection.name.clone();
        let client_id = setting(CLIENT_ID).ok_or_else(|| format!("connection `{name}` lacks `{CLIENT_ID}`"))?;
        let client_secret = match oauth2.client {
            ClientProof::Public => None,
            ClientProof::Form | ClientProof::Basic => {
                let project = connection.secrets.get(CLIENT_SECRET).map_or(CLIENT_SECRET, String::as_str);
                Some(source.secret(project).ok_or_else(|| missing(project, &name))?)
            }
        };
        Ok(Account {
            client_id,
            client_secret,
            authorize_url: setting("authorize_url").or_else(|| oauth2.authorize_url.clone()),
            token_url: setting("token_url").unwrap_or_else(|| oauth2.token_url.clone()),
            revoke_url: setting("revoke_url").or_else(|| oauth2.revoke_url.clone()),
            name,
        })
    }
}

/// How to say that a secret is missing.
pub fn missing(secret: &str, connection: &str) -> String {
    let variable = format!("DOVETAIL_SECRET_{}", secret.to_uppercase());
    format!("the secret `{secret}` of connection `{connection}` is not set: set {variable}")
}

/// What was granted.
#[derive(Clone, Debug)]
pub struct Grant {
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    pub granted_ms: i64,
    /// When the access token ends (milliseconds); None: the vendor does not say.
    pub ends_ms: Option<i64>,
    /// Separated by spaces; None: as asked for.
    pub scope: Option<String>,
    /// Settings that the answer has filled in.
    pub saved: Map<String, Value>,
}

/// A grant as it is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    access_token: String,
    refresh_token: Option<String>,
    granted_ms: i64,
    ends_ms: Option<i64>,
    scope: Option<String>,
    #[serde(default)]
    saved: Map<String, Value>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.access_token.zeroize();
        self.refresh_token.zeroize();
    }
}

impl Grant {
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let kept = Kept {
            access_token: self.access_token.expose_secret().to_owned(),
            refresh_token: self.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
            granted_ms: self.granted_ms,
            ends_ms: self.ends_ms,
            scope: self.scope.clone(),
            saved: self.saved.clone(),
        };
        Zeroizing::new(serde_json::to_vec(&kept).unwrap_or_default())
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Grant> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        Some(Grant {
            access_token: kept.access_token.clone().into(),
            refresh_token: kept.refresh_token.clone().map(Into::into),
            granted_ms: kept.granted_ms,
            ends_ms: kept.ends_ms,
            scope: kept.scope.clone(),
            saved: kept.saved.clone(),
        })
    }
}

/// Why nothing was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another try does not change it.
    Final(String),
    /// Not said clearly: the vendor may be busy, or something lies between.
    Unclear(String),
    /// It is about the account whose credential was to be exchanged.
    Lender(super::Error),
}

/// What the form of a request holds that nobody may see.
pub(super) fn secrets_of(request: &Request) -> Hidden {
    let public = ["grant_type", "scope", "redirect_uri", CLIENT_ID];
    let Some(Body::Form(fields)) = &request.body else { return Hidden::default() };
    let secret = fields.iter().filter(|(name, _)| !public.contains(&name.as_str()));
    Hidden::new(secret.map(|(_, value)| value.as_str()))
}

/// A request to the token endpoint, and what proves the client apart from the form.
pub(super) fn request(account: &Account, oauth2: &OAuth2, fields: &[(&str, &str)]) -> (Request, Option<Credential>) {
    let mut form: Vec<(String, String)> = oauth2.form.clone();
    form.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let credential = prove(account, oauth2, &account.token_url, &mut form);
    (posted(&account.token_url, form), credential)
}

/// A request that gives a token up.
pub(super) fn revocation(account: &Account, oauth2: &OAuth2, token: &str) -> Option<(Request, Option<Credential>)> {
    let url = account.revoke_url.as_ref()?;
    let mut form = vec![("token".to_owned(), token.to_owned())];
    let credential = prove(account, oauth2, url, &mut form);
    Some((posted(url, form), credential))
}

/// The client's id and secret, in the form or beside it.
fn prove(account: &Account, oauth2: &OAuth2, url: &str, form: &mut Vec<(String, String)>) -> Option<Credential> {
    let secret = account.client_secret.as_ref().map(ExposeSecret::expose_secret);
    match (oauth2.client, secret) {
        (ClientProof::Basic, Some(secret)) => {
            let origin = url::Url::parse(url).ok()?.origin().ascii_serialization();
            // RFC 6749, 2.3.1: each is encoded as a form's value before the colon is put between.
            let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encoded(&account.client_id), encoded(secret)));
            let header = format!("Basic {}", STANDARD.encode(pair.as_bytes()));
            let headers = vec![("authorization".to_owned(), SecretString::from(header))];
            Some(Credential { origin, headers, query: Vec::new(), signer: None })
        }
        (_, secret) => {
            form.push(("client_id".into(), account.client_id.clone()));
            form.extend(secret.map(|secret| ("client_secret".into(), secret.to_owned())));
            None
        }
    }
}

fn posted(url: &str, form: Vec<(String, String)>) -> Request {
    let headers = vec![("accept".into(), "application/json".into())];
    Request { method: "POST".into(), url: url.to_owned(), headers, body: Some(Body::Form(form)) }
}

/// Reads an answer. What it does not say again is as `before`.
pub(super) fn read(
    oauth2: &OAuth2,
    response: &Response,
    before: Option<&Grant>,
    now_ms: i64,
) -> Result<Grant, Refusal> {
    let at = match &oauth2.answer {
        Some(path) => path.get_in(&response.body).unwrap_or_default(),
        None => response.body.clone(),
    };
    let text = |name: &str| at.get(name).and_then(as_text).filter(|text| !text.is_empty());
    let Some(access_token) = text("access_token").filter(|_| (200..300).contains(&response.status)) else {
        return Err(refusal(response));
    };
    Ok(Grant {
        access_token: access_token.into(),
        refresh_token: text("refresh_token").map(Into::into).or_else(|| before?.refresh_token.clone()),
        granted_ms: now_ms,
        ends_ms: text("expires_in").and_then(|text| ends_ms(&text, now_ms)),
        scope: text("scope").or_else(|| before?.scope.clone()),
        saved: saved(&oauth2.save, response, before),
    })
}

/// Reads what a credential was exchanged for.
pub(super) fn read_exchanged(
    exchange: &Exchange,
    response: &Response,
    before: Option<&Grant>,
    now_ms: i64,
) -> Result<Grant, Refusal> {
    let text = |path: &Path| path.get_in(&response.body).as_ref().and_then(as_text);
    let token = text(&exchange.token).ok_or_else(|| {
        Refusal::Unclear(format!("it answered {} without a token at `{}`", response.status, exchange.token.text()))
    })?;
    let instant = |text: String| Some(DateTime::parse_from_rfc3339(text.trim()).ok()?.timestamp_millis());
    let ends = exchange.expires_at.as_ref().and_then(text).and_then(instant);
    Ok(Grant {
        access_token: token.into(),
        refresh_token: None,
        granted_ms: now_ms,
        ends_ms: ends.or_else(|| ends_ms(&text(&exchange.expires_in)?, now_ms)),
        scope: response.body.get("scope").and_then(as_text),
        saved: saved(&exchange.save, response, before),
    })
}

/// When a token ends that lives for so many seconds.
fn ends_ms(seconds: &str, now_ms: i64) -> Option<i64> {
    let seconds = seconds.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
    // Longer than a hundred years is as good as for ever.
    Some(now_ms.saturating_add((seconds.min(3.2e9) * 1_000.0) as i64))
}

/// Settings that an answer fills in.
fn saved(save: &[(String, Path)], response: &Response, before: Option<&Grant>) -> Map<String, Value> {
    let mut saved = before.map(|before| before.saved.clone()).unwrap_or_default();
    for (setting, path) in save {
        if let Some(value) = path.get_in(&response.body).filter(|value| !value.is_null()) {
            saved.insert(setting.clone(), value);
        }
    }
    saved
}

fn refusal(response: &Response) -> Refusal {
    let text = |name: &str| response.body.get(name).and_then(as_text);
    let error = text("error");
    let words: Vec<String> =
        [error.clone(), text("error_description").or_else(|| text("message"))].into_iter().flatten().collect();
    let words = match words.as_slice() {
        [] => format!("it answered {}", response.status),
        words => readable(&words.join(": ")),
    };
    let is_final = error.is_some_and(|error| FINAL.contains(&error.as_str())) && response.status < 500;
    if is_final { Refusal::Final(words) } else { Refusal::Unclear(words) }
}

/// Foreign words on one line.
pub(super) fn readable(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect()
}
