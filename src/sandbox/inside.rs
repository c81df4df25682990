//! A vendor that is played in the same process: asked by a call, without a socket.
//!
//! What a role is must be read once only; it can be played any number of times.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

use super::deliver::{self, Post, Receiver};
use super::hook::of_changes;
use super::read;
use super::record::Change;
use super::rules::Rules;
use super::serve::{pairs, play, read_body};
use super::sign::{Letter, Signer};
use super::state::State;
use super::turn::{Call, Content, Reply};
use super::vendor::{Error, Inner};
use super::view::shown;
use crate::connector::{Request, Response};
use crate::sandbox::fault::Fault;
use crate::source::File;

/// What a connector's file and its sandbox file say.
#[derive(Clone)]
pub struct Role {
    rules: Arc<Rules>,
}

impl Role {
    /// Settings of the account that the vendor's own records are of, as its sandbox file (path and text) says them.
    pub fn account(sandbox_file: Option<(&str, &str)>) -> Map<String, Value> {
        let written = sandbox_file.and_then(|(path, text)| File::read(path, text).ok());
        written.and_then(|file| file.value["vars"].as_object().cloned()).unwrap_or_default()
    }

    /// `settings`: those of the account. Where the sandbox file names another account of its own, this one takes its place.
    ///
    /// # Errors
    /// A file that is wrong.
    pub fn read(
        connector: &str,
        connector_files: &[(String, String)],
        sandbox_file: Option<(String, String)>,
        settings: &Map<String, Value>,
    ) -> Result<Role, Error> {
        let account = Role::account(sandbox_file.as_ref().map(|(path, text)| (path.as_str(), text.as_str())));
        let sandbox_file = sandbox_file.map(|file| of_account(file, &account, settings));
        let mut rules = read::rules(connector, connector_files, sandbox_file)?;
        let unsaid = settings.iter().filter(|(name, _)| !account.contains_key(*name));
        rules.document.vars.extend(unsaid.map(|(name, value)| (name.clone(), value.clone())));
        Ok(Role { rules: Arc::new(rules) })
    }

    pub fn has_object(&self, object: &str) -> bool {
        self.rules.document.objects.get(object).is_some()
    }
}

/// A sandbox file in which the account's own settings stand wherever those of the file's account stood.
fn of_account(
    (path, text): (String, String),
    account: &Map<String, Value>,
    settings: &Map<String, Value>,
) -> (String, String) {
    let other = |(name, said): (&String, &Value)| {
        let own = settings.get(name).filter(|own| *own != said && said.is_string())?;
        Some((said.clone(), own.clone()))
    };
    let others: Vec<(Value, Value)> = account.iter().filter_map(other).collect();
    match File::read(&path, &text) {
        Ok(file) if !others.is_empty() => {
            let mut document = file.value;
            put_in_place(&mut document, &others);
            (path, document.to_string())
        }
        _ => (path, text),
    }
}

fn put_in_place(value: &mut Value, others: &[(Value, Value)]) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| put_in_place(value, others)),
        Value::Array(items) => items.iter_mut().for_each(|value| put_in_place(value, others)),
        value => {
            if let Some((_, own)) = others.iter().find(|(said, _)| said == value) {
                *value = own.clone();
            }
        }
    }
}

/// A played vendor.
pub struct Inside {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

/// What came of a request.
#[derive(Debug)]
pub struct Asked {
    /// None: the connection broke.
    pub response: Option<Response>,
    pub delay: Duration,
    /// The records that it changed: object and id.
    pub changed: Vec<(String, String)>,
}

/// Where webhooks go: nobody calls it.
const HERE: &str = "http://localhost/hooks";
const KEY_SEED: u64 = 1;

impl Inside {
    /// Fills in the records, and sends webhooks from now on. Within a runtime. Accounts of one vendor sign with one key, or
    /// each with its own secret.
    ///
    /// # Errors
    /// Records that are wrong.
    pub fn play(
        role: &Role,
        seed: u64,
        secret: String,
        data: Option<&Value>,
        receiver: Arc<dyn Receiver>,
    ) -> Result<Inside, Error> {
        let rules = Arc::clone(&role.rules);
        let mut state = State::new(&rules, seed);
        let known = || rules.document.tokens.known.iter().map(|(token, _)| token);
        // The last resort is what every vendor knows.
        state.assumed = known().find(|token| *token != "token-sandbox").or_else(|| known().next()).map(str::to_owned);
        state.fill(&rules, data).map_err(Error::Settings)?;
        // Searches find what was there before.
        let now = state.clock.now();
        rules.document.objects.iter().for_each(|(object, _)| state.records.catch_up(object, now));
        state.set_webhook_url(HERE).map_err(Error::Settings)?;
        let (queue, waiting) = unbounded_channel();
        let inner = Arc::new(Inner {
            rules,
            state: Mutex::new(state),
            signer: Signer::new(KEY_SEED, Some(secret)),
            seed,
            data: None,
            retry_base: Duration::from_secs(1),
            post: Post::Hand(receiver),
            queue,
            under_way: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let task = tokio::spawn(deliver::run(Arc::clone(&inner), waiting));
        Ok(Inside { inner, task })
    }

    /// Carries a request out.
    pub fn ask(&self, request: &Request) -> Asked {
        let url = url::Url::parse(&request.url).ok();
        let (kind, body) = request.body.as_ref().map(crate::connector::Body::encoded).unzip();
        let body = body.unwrap_or_default();
        let mut headers: Map<String, Value> =
            request.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str().into())).collect();
        if let Some(kind) = kind {
            headers.entry("content-type").or_insert(kind.into());
        }
        let query = url.as_ref().and_then(url::Url::query).unwrap_or_default().to_owned();
        let mut call = Call {
            method: request.method.clone(),
            path: url.map(|url| url.path().to_owned()).unwrap_or_default(),
            query: pairs(query.as_bytes()),
            headers: Value::Object(headers),
            raw_query: query,
            raw_body: String::from_utf8_lossy(&body).into_owned(),
            ..Call::default()
        };
        read_body(&mut call, &body);
        let mut reply = play(&self.inner, call);
        let (delay, changed) = (reply.delay, std::mem::take(&mut reply.changed));
        Asked { response: (!reply.broken).then(|| response(reply)), delay, changed }
    }

    /// What one of the vendor's own people does: makes a record (no id), or lays fields over one. `tells`: by webhooks too.
    /// Gives the record's id, and whether a webhook tells it.
    ///
    /// # Errors
    /// One sentence.
    pub fn edit(&self, object: &str, id: Option<&str>, fields: &Value, tells: bool) -> Result<(String, bool), String> {
        self.make(tells, |state, rules| match id {
            None => state.insert(rules, object, fields),
            Some(id) => state.change(rules, object, id, fields),
        })
    }

    /// # Errors
    /// One sentence: there is no such record.
    pub fn delete(&self, object: &str, id: &str, tells: bool) -> Result<(String, bool), String> {
        let none = || format!("there is no `{object}` with the id `{id}`");
        self.make(tells, |state, rules| state.remove(rules, object, id).ok_or_else(none))
    }

    fn make(
        &self,
        tells: bool,
        change: impl FnOnce(&mut State, &Rules) -> Result<Change, String>,
    ) -> Result<(String, bool), String> {
        let inner = &self.inner;
        let mut state = inner.state.lock();
        let change = change(&mut state, &inner.rules)?;
        let id = inner.rules.id_of(&change.object, &change.after);
        if !tells {
            return Ok((id, false));
        }
        let hooks = of_changes(&inner.rules, &mut state, std::slice::from_ref(&change))?;
        let told = !hooks.is_empty();
        hooks.into_iter().for_each(|hook| inner.send(hook));
        Ok((id, told))
    }

    /// # Errors
    /// One sentence: what the order lacks.
    pub fn order(&self, fault: &Value) -> Result<(), String> {
        let fault: Fault = serde_json::from_value(fault.clone()).map_err(|error| error.to_string())?;
        self.inner.state.lock().faults.order(fault)
    }

    /// Searches find what is written only after so long.
    ///
    /// # Errors
    /// One sentence: it is no duration.
    pub fn lag(&self, lag: &str) -> Result<(), String> {
        let set = Map::from_iter([("index_lag".to_owned(), Value::from(lag))]);
        self.inner.state.lock().set(&self.inner.rules, &set)
    }

    /// Oldest first, as the vendor shows them, over what it keeps.
    pub fn records(&self, object: &str) -> Vec<Value> {
        let state = self.inner.state.lock();
        let shown = |record: &Value| {
            let mut whole = record.clone();
            let shown = shown(&self.inner.rules, &state.settings, object, record, None).unwrap_or_default();
            if let (Some(whole), Value::Object(shown)) = (whole.as_object_mut(), shown) {
                whole.extend(shown);
            }
            whole
        };
        state.records.all(object).map(shown).collect()
    }

    /// The names of its objects.
    pub fn objects(&self) -> Vec<String> {
        self.inner.rules.document.objects.iter().map(|(name, _)| name.to_owned()).collect()
    }

    pub fn has(&self, object: &str, id: &str) -> bool {
        self.inner.state.lock().records.get(object, id).is_some()
    }

    /// The headers that prove a webhook.
    pub fn signed(&self, body: &[u8], url: &str) -> Vec<(String, String)> {
        let time = self.inner.state.lock().clock.now();
        let letter = Letter { body, url, time };
        self.inner.signer.headers(&self.inner.rules.document.webhooks.sign, letter)
    }

    pub fn public_key(&self) -> String {
        self.inner.signer.public_key()
    }

    /// The secret of webhooks that are signed by one.
    pub fn secret(&self) -> String {
        self.inner.signer.secret(&self.inner.rules.document.webhooks.sign)
    }

    /// Are webhooks on their way?
    pub fn is_delivering(&self) -> bool {
        self.inner.under_way.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

fn response(reply: Reply) -> Response {
    let headers = reply.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let body = match reply.content {
        Content::Empty => Value::Null,
        Content::Json(value) => value,
        Content::Text(text) | Content::Html(text) => Value::String(text),
    };
    Response { status: reply.status, headers, body, not_kept: None }
}
