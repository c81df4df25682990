//! `grant`, `authorize`, `mint`: how a client comes by a token.

use serde_json::{Map, Value};

use crate::sandbox::document::Route;
use crate::sandbox::made::{Made, Table};
use crate::sandbox::refusal::No;
use crate::sandbox::turn::Turn;

impl Turn<'_> {
    /// Tells `$.minted`: what the token holds, with `access_token`, `refresh_token`, `expires_in`.
    pub fn grant(&mut self) -> Result<Option<Value>, No> {
        let form = self.roots["body"].clone();
        let tokens = &self.rules.document.tokens;
        let minted = self.state.keys.grant(tokens, &form, &mut self.state.random, self.now);
        let minted = minted.map_err(|name| No::Named(name.to_owned()))?;
        self.set("minted", minted.clone());
        Ok(Some(minted))
    }

    pub fn mint(&mut self, values: &Table<Made>, route: &Route) -> Result<Option<Value>, No> {
        self.input(None, route)?;
        self.check(&route.checks)?;
        let values = self.values(values)?;
        let minted = self.state.keys.mint(&self.rules.document.tokens, None, values, &mut self.state.random, self.now);
        self.set("minted", minted.clone());
        Ok(Some(minted))
    }

    /// Agrees at once: tells `$.redirect`, the address to go back to, with `code` and `state`.
    pub fn authorize(&mut self, values: &Table<Made>) -> Result<Option<Value>, No> {
        let query = &self.roots["query"];
        let asked = query["redirect_uri"].as_str().unwrap_or_default();
        let known = query["client_id"].as_str().is_some_and(|id| self.rules.document.tokens.clients.get(id).is_some());
        let address = url::Url::parse(asked).ok().filter(|address| matches!(address.scheme(), "http" | "https"));
        let (Some(mut address), true) = (address, known) else {
            return Err(No::Named("bad_authorize".to_owned()));
        };
        let state = query["state"].as_str().map(str::to_owned);
        let values = self.values(values)?;
        let code = self.state.keys.add_code(values, &mut self.state.random);
        address.query_pairs_mut().append_pair("code", &code);
        if let Some(state) = state {
            address.query_pairs_mut().append_pair("state", &state);
        }
        self.set("redirect", Value::from(address.to_string()));
        Ok(None)
    }

    fn values(&mut self, values: &Table<Made>) -> Result<Map<String, Value>, No> {
        let mut made = Map::new();
        for (name, value) in values.iter() {
            made.extend(self.made(value)?.map(|value| (name.to_owned(), value)));
        }
        Ok(made)
    }
}
