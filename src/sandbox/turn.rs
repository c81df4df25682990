//! One request, from its line to its answer, against the rules of the played vendor.
//!
//! ```text
//! route ─▶ fault? ─▶ checks ─▶ token, access ─▶ limits ─▶ behaviour (behaviour/) ─▶ answer
//!   404                 └───────────┴──────────────┴────────────┴─▶ refusal
//! ```
//! Expressions of the sandbox file see these roots: `method raw_path path query headers body` of the request, `route`
//! (`name scope class`), `token token_sent`, `let vars settings`, `now`, `new` (`uuid`), and what the behaviour found:
//! `record records total page matched created existing named added removed list previous_list item results errors
//! minted redirect`; in refusals also `object id field operator problems wait_s`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::clock::written;
use super::document::{Check, Route};
use super::limit::Verdict;
use super::made::{Made, Test};
use super::record::Change;
use super::refusal::No;
use super::rules::{Played, Rules};
use super::state::State;
use crate::connector::Letter;
use crate::expr::parse_duration;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub method: String,
    /// As sent, still percent-encoded.
    pub path: String,
    pub query: Value,
    /// Names in lower case.
    pub headers: Value,
    /// JSON or form; Null if there is none.
    pub body: Value,
    /// Query and body as sent: what a signature is over.
    pub raw_query: String,
    pub raw_body: String,
    /// The body could not be read.
    pub bad_body: bool,
}

impl Call {
    /// What a signature may be over.
    pub fn letter(&self) -> Letter {
        let headers = self.headers.as_object().into_iter().flatten();
        Letter {
            method: self.method.clone(),
            host: self.headers.get("host").map(plain).unwrap_or_default(),
            path: self.path.clone(),
            query: self.raw_query.clone(),
            headers: headers.map(|(name, value)| (name.clone(), plain(value))).collect(),
            body: self.raw_body.clone(),
        }
    }
}

/// What is answered, and what happened.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content: Content,
    pub changes: Vec<Change>,
    /// The records of those: object and id.
    pub changed: Vec<(String, String)>,
    pub delay: Duration,
    /// The connection breaks instead.
    pub broken: bool,
    /// Full name of the operation.
    pub name: String,
}

#[derive(Clone, Debug, Default)]
pub enum Content {
    #[default]
    Empty,
    Json(Value),
    Text(String),
    Html(String),
}

/// The work on one request.
pub struct Turn<'a> {
    pub rules: &'a Rules,
    pub state: &'a mut State,
    pub roots: Value,
    pub changes: Vec<Change>,
    pub now: DateTime<Utc>,
}

/// Answers one request.
pub fn answer(rules: &Rules, state: &mut State, call: &Call) -> Reply {
    let now = state.clock.now();
    let found = rules.find(&call.method, &call.path);
    let mut turn = Turn { rules, state, roots: Value::Null, changes: Vec::new(), now };
    turn.begin(call, found.as_ref().map(|(played, holes)| (*played, holes)));
    let Some((played, _)) = found else {
        let mut reply = Reply { name: String::new(), ..Reply::default() };
        turn.refuse(No::Named("no_route".to_owned()), &mut reply);
        turn.finish(&mut reply);
        return reply;
    };

    let fault = turn.state.faults.of_request(&played.name, &played.text);
    let mut reply = Reply { name: played.name.clone(), ..Reply::default() };
    reply.delay = fault.as_ref().and_then(|fault| fault.delay()).unwrap_or_default();
    if fault.as_ref().is_some_and(|fault| fault.drop_before) {
        reply.broken = true;
        return reply;
    }
    let instead = fault.as_ref().filter(|fault| fault.status.is_some());
    if instead.is_none_or(|fault| fault.after_write)
        && let Err(no) = turn.proceed(played, call, &mut reply)
    {
        turn.refuse(no, &mut reply);
    }
    if let Some(fault) = instead {
        turn.fail(fault, &mut reply);
    }
    reply.broken = fault.as_ref().is_some_and(|fault| fault.drop_after_write);
    turn.finish(&mut reply);
    reply.changes = std::mem::take(&mut turn.changes);
    reply
}

impl Turn<'_> {
    fn begin(&mut self, call: &Call, found: Option<(&Played, &Map<String, Value>)>) {
        let holes = found.map(|(_, holes)| holes.clone()).unwrap_or_default();
        let route = found.map(
            |(played, _)| json!({ "name": played.name, "scope": played.route.scope, "class": played.route.class }),
        );
        self.roots = json!({
            "method": call.method, "raw_path": call.path, "path": holes, "query": call.query, "headers": call.headers,
            "body": call.body, "route": route, "vars": self.rules.document.vars, "settings": self.state.settings,
            "now": written(self.now), "token": null,
        });
    }

    fn proceed(&mut self, played: &Played, call: &Call, reply: &mut Reply) -> Result<(), No> {
        let route = &played.route;
        let document = &self.rules.document;
        let token = self.state.assumed.clone().or_else(|| self.rules.token_of(call));
        let known = token.as_deref().map_or(Value::Null, |token| self.state.keys.look(token, self.now));
        self.set("token_sent", token.map_or(Value::Null, Value::from));
        self.set("token", known);
        let mut values = Map::new();
        for (name, made) in document.r#let.iter() {
            if let Some(value) = self.made(made)? {
                values.insert(name.to_owned(), value);
            }
        }
        self.set("let", Value::Object(values));
        let checked = self
            .check(&document.checks)
            .and_then(|()| if route.open { Ok(()) } else { self.check(&document.tokens.access) });
        let verdict = self.limit()?;
        reply.headers.extend(verdict.headers);
        checked?;
        if verdict.refused {
            self.set("wait_s", Value::from((verdict.wait_ms + 999) / 1000));
            return Err(No::Named("limited".to_owned()));
        }
        if call.bad_body {
            return Err(No::Named("bad_body".to_owned()));
        }
        if let Some(delay) = &route.delay {
            let delay = self.made(delay)?;
            reply.delay += delay.as_ref().and_then(Value::as_str).and_then(parse_duration).unwrap_or_default();
        }
        let again = self.idempotency_key(played, call);
        if let Some((status, body)) = again.as_ref().and_then(|key| self.state.answered.get(key)) {
            reply.status = *status;
            reply.content = Content::Json(body.clone());
            return Ok(());
        }
        let (status, body) = self.perform(route)?;
        reply.status = status;
        if let Some(answer) = &route.answer {
            for (name, made) in answer.headers.iter() {
                let value = self.made(made)?;
                reply.headers.extend(value.map(|value| (name.to_owned(), plain(&value))));
            }
        }
        if let (Some(key), Some(body)) = (again, &body) {
            self.state.remember_answer(key, status, body.clone());
        }
        reply.content = body.map_or(Content::Empty, Content::Json);
        Ok(())
    }

    /// Does what the route says and makes the answer's status and body.
    pub fn perform(&mut self, route: &Route) -> Result<(u16, Option<Value>), No> {
        let plain = self.behave(route)?;
        let answer = route.answer.as_ref();
        let status = answer.and_then(|answer| answer.status).unwrap_or(200);
        match answer.and_then(|answer| answer.body.as_ref()) {
            Some(made) => Ok((status, self.made(made)?)),
            None => Ok((status, plain)),
        }
    }

    fn idempotency_key(&self, played: &Played, call: &Call) -> Option<String> {
        let header = played.route.idempotency.as_ref()?;
        let key = call.headers.get(header.to_lowercase())?.as_str()?;
        Some(format!("{} {} {key}", played.text, self.roots["token_sent"]))
    }

    fn limit(&mut self) -> Result<Verdict, No> {
        let limits = &self.rules.document.limits;
        let bucket = match &limits.by {
            Some(made) => self.made(made)?.map(|value| plain(&value)).unwrap_or_default(),
            None => String::new(),
        };
        let windows = match self.state.settings.get("limits").and_then(Value::as_str) {
            Some(profile) => limits.profiles.get(profile).map(Vec::as_slice).unwrap_or_default(),
            None => limits.profiles.0.first().map(|(_, windows)| windows.as_slice()).unwrap_or_default(),
        };
        Ok(self.state.limiter.take(&bucket, windows, self.now))
    }

    /// # Errors
    /// The refusal of the first check that fails.
    pub fn check(&mut self, checks: &[Check]) -> Result<(), No> {
        for check in checks {
            if self.holds(&check.refuse_if)? {
                return Err(match &check.with {
                    Some(name) => No::Named(name.clone()),
                    None => No::Written { status: check.status, body: check.body.clone() },
                });
            }
        }
        Ok(())
    }

    pub fn set(&mut self, root: &str, value: Value) {
        self.roots[root] = value;
    }

    /// # Errors
    /// The sandbox file is wrong there.
    pub fn made(&mut self, made: &Made) -> Result<Option<Value>, No> {
        self.roots["new"] = json!({ "uuid": self.state.random.uuid() });
        Ok(made.eval(&self.roots)?)
    }

    /// # Errors
    /// As [`Turn::made`].
    pub fn holds(&mut self, test: &Test) -> Result<bool, No> {
        Ok(test.holds(&self.roots)?)
    }

    fn fail(&mut self, fault: &super::fault::Fault, reply: &mut Reply) {
        reply.status = fault.status.unwrap_or(500);
        reply.headers.extend(fault.retry_after.map(|wait| ("retry-after".to_owned(), wait.to_string())));
        reply.content = match (&fault.html, &fault.body) {
            (Some(html), _) => Content::Html(html.clone()),
            (None, Some(body)) => Content::Json(body.clone()),
            (None, None) => Content::Json(json!({ "statusCode": reply.status, "message": "a fault that was ordered" })),
        };
    }

    fn finish(&mut self, reply: &mut Reply) {
        let every = &self.rules.document.every_answer;
        for (name, made) in every.headers.iter() {
            let value = self.made(made).ok().flatten();
            reply.headers.extend(value.map(|value| (name.to_owned(), plain(&value))));
        }
        if let Content::Json(Value::Object(body)) = &mut reply.content {
            for (name, made) in every.add.iter() {
                if let (false, Ok(Some(value))) = (body.contains_key(name), self.made(made)) {
                    body.insert(name.to_owned(), value);
                }
            }
        }
    }
}

/// A value as text: a text itself, anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
