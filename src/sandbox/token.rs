//! Tokens: known ones, minted ones, codes, refresh tokens that work once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::document::Tokens;
use super::random::{IdForm, Random};
use crate::expr::parse_duration;

/// Memory of codes and refresh tokens is bounded by starting over.
const KEPT_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub struct Keys {
    tokens: HashMap<String, Token>,
    codes: HashMap<String, Map<String, Value>>,
    refresh: HashMap<String, Refresh>,
}

#[derive(Debug)]
struct Token {
    values: Map<String, Value>,
    ends: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Refresh {
    client: String,
    values: Map<String, Value>,
    /// When it was used, and what it gave.
    used: Option<(DateTime<Utc>, Value)>,
}

impl Keys {
    pub fn new(document: &Tokens, now: DateTime<Utc>) -> Keys {
        let mut keys = Keys::default();
        for (token, values) in document.known.iter() {
            let life = values.get("life").and_then(Value::as_str).and_then(parse_duration);
            let ends = life.and_then(|life| chrono::Duration::from_std(life).ok()).map(|life| now + life);
            keys.tokens.insert(token.to_owned(), Token { values: values.clone(), ends });
        }
        for (code, values) in document.codes.iter() {
            keys.codes.insert(code.to_owned(), values.clone());
        }
        keys
    }

    /// What a token is, with `expired`; Null if nobody knows it.
    pub fn look(&self, token: &str, now: DateTime<Utc>) -> Value {
        let Some(Token { values, ends }) = self.tokens.get(token) else { return Value::Null };
        let mut values = values.clone();
        values.insert("token".into(), token.into());
        values.insert("expired".into(), ends.is_some_and(|ends| ends <= now).into());
        Value::Object(values)
    }

    pub fn add_code(&mut self, values: Map<String, Value>, random: &mut Random) -> String {
        if self.codes.len() >= KEPT_MAX {
            self.codes.clear();
        }
        let code = random.id(IdForm::Hex(40));
        self.codes.insert(code.clone(), values);
        code
    }

    /// A new access token, and a refresh token if it belongs to a client: `$.minted`.
    pub fn mint(
        &mut self,
        document: &Tokens,
        client: Option<&str>,
        mut values: Map<String, Value>,
        random: &mut Random,
        now: DateTime<Utc>,
    ) -> Value {
        if self.tokens.len() >= KEPT_MAX + document.known.0.len() {
            *self = Keys { refresh: std::mem::take(&mut self.refresh), ..Keys::new(document, now) };
        }
        if self.refresh.len() >= KEPT_MAX {
            self.refresh.clear();
        }
        let life = document.life.as_deref().and_then(parse_duration).unwrap_or(std::time::Duration::from_secs(86_400));
        let ends = chrono::Duration::from_std(life).ok().map(|life| now + life);
        let access = random.id(IdForm::Alphanumeric(48));
        values.remove("life");
        self.tokens.insert(access.clone(), Token { values: values.clone(), ends });
        let mut minted = values.clone();
        minted.insert("access_token".into(), access.into());
        minted.insert("expires_in".into(), life.as_secs().into());
        if let Some(client) = client {
            let refresh = random.id(IdForm::Alphanumeric(48));
            minted.insert("refresh_token".into(), refresh.clone().into());
            self.refresh.insert(refresh, Refresh { client: client.to_owned(), values, used: None });
        }
        Value::Object(minted)
    }

    /// The token endpoint.
    ///
    /// # Errors
    /// The refusal's name: `bad_grant`, `bad_code`, `bad_client` or `bad_refresh`. The code is looked up before the
    /// client.
    pub fn grant(
        &mut self,
        document: &Tokens,
        form: &Value,
        random: &mut Random,
        now: DateTime<Utc>,
    ) -> Result<Value, &'static str> {
        let field = |name: &str| form.get(name).and_then(Value::as_str).unwrap_or_default();
        let client = field("client_id");
        let known = document.clients.get(client).filter(|known| {
            known.get("secret").and_then(Value::as_str).is_some_and(|secret| secret == field("client_secret"))
        });
        let of_client = |known: &Map<String, Value>| {
            let mut values = known.clone();
            values.remove("secret");
            values.insert("client".into(), client.into());
            values
        };
        match field("grant_type") {
            "authorization_code" => {
                let values = self.codes.get(field("code")).cloned().ok_or("bad_code")?;
                let mut all = of_client(known.ok_or("bad_client")?);
                all.extend(values);
                self.codes.remove(field("code"));
                Ok(self.mint(document, Some(client), all, random, now))
            }
            "client_credentials" => {
                let all = of_client(known.ok_or("bad_client")?);
                Ok(self.mint(document, None, all, random, now))
            }
            "refresh_token" => {
                known.ok_or("bad_client")?;
                let refresh = self.refresh.get(field("refresh_token")).ok_or("bad_refresh")?;
                if refresh.client != client {
                    return Err("bad_refresh");
                }
                if let Some((used, gave)) = &refresh.used {
                    let grace = document.refresh_grace.as_deref().and_then(parse_duration).unwrap_or_default();
                    let within = (now - *used).to_std().is_ok_and(|passed| passed <= grace);
                    return if within { Ok(gave.clone()) } else { Err("bad_refresh") };
                }
                let gave = self.mint(document, Some(client), refresh.values.clone(), random, now);
                if let Some(refresh) = self.refresh.get_mut(field("refresh_token")) {
                    refresh.used = Some((now, gave.clone()));
                }
                Ok(gave)
            }
            _ => Err("bad_grant"),
        }
    }

    /// A revoked token is one that nobody knows.
    pub fn revoke(&mut self, token: &str) -> bool {
        self.tokens.remove(token).is_some()
    }
}
