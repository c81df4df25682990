//! The way to the objects from outside: Restate's ingress, and its admin API for what is set up once.
//!
//! The paths are those of docs.restate.dev: "Invoke over HTTP" (ingress), "Admin API" (deployments).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use super::played::Played;
use super::rest::{self, Work};
use crate::connector::{Body, Request};
use crate::http::{Client, Received};
use crate::store::Error;

/// What is put into a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One object, by its service and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object {
    pub service: &'static str,
    pub key: String,
}

pub(super) enum Ingress {
    Network {
        client: Client,
        ingress: Nodes,
        admin: Nodes,
        /// This process has stopped serving the objects.
        is_shut: watch::Sender<bool>,
    },
    Played(Arc<Played>),
}

/// Which door is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Ingress,
    Admin,
}

/// One door of several nodes: the one that has answered last is asked first.
pub(super) struct Nodes {
    urls: Vec<Url>,
    at: AtomicUsize,
}

impl Nodes {
    fn new(urls: Vec<Url>) -> Nodes {
        Nodes { urls, at: AtomicUsize::new(0) }
    }
}

/// What the ingress says of a message.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    status: String,
    invocation_id: Option<String>,
}

#[derive(serde::Deserialize)]
struct Registered {
    id: String,
}

impl Ingress {
    pub fn new(ingress: Vec<Url>, admin: Vec<Url>) -> Ingress {
        let (ingress, admin) = (Nodes::new(ingress), Nodes::new(admin));
        Ingress::Network { client: Client::anywhere(), ingress, admin, is_shut: watch::channel(false).0 }
    }

    /// Gives a message to an object; false if one with this key was given before. Durable when it returns.
    pub async fn send<T: Serialize>(
        &self,
        to: &Object,
        handler: &str,
        message: &T,
        idempotency_key: &str,
    ) -> Result<bool, Error> {
        let headers = vec![("idempotency-key".to_owned(), idempotency_key.to_owned())];
        let path = [to.service, &to.key, handler, "send"];
        let sent: Sent = read(&self.ask(Door::Ingress, &path, headers, serde_json::to_vec(message)?).await?)?;
        let is_new = sent.status != "PreviouslyAccepted";
        if let Some(call) = sent.invocation_id.filter(|_| is_new) {
            rest::is_accepted(call);
        }
        Ok(is_new)
    }

    /// Gives a message to an object, as JSON, and waits until it has taken it; if it does not return, it may be given twice.
    pub async fn tell(&self, to: &Object, handler: &str, message: Vec<u8>) -> Result<(), Error> {
        self.ask(Door::Ingress, &[to.service, &to.key, handler], Vec::new(), message).await.map(drop)
    }

    /// Asks an object, and waits for its answer.
    pub async fn call<T: Serialize, A: DeserializeOwned>(
        &self,
        to: &Object,
        handler: &str,
        message: &T,
    ) -> Result<A, Error> {
        let path = [to.service, &to.key, handler];
        read(&self.ask(Door::Ingress, &path, Vec::new(), serde_json::to_vec(message)?).await?)
    }

    /// Tells Restate where our objects are served; gives what it calls that. One that is known there already is asked anew what it
    /// serves.
    pub async fn register(&self, deployment: &Url) -> Result<String, Error> {
        let asked = json!({ "uri": deployment.as_str(), "force": true });
        let answer = self.ask(Door::Admin, &["deployments"], Vec::new(), serde_json::to_vec(&asked)?).await?;
        read::<Registered>(&answer).map(|registered| registered.id)
    }

    /// Nothing is asked any more, and nobody waits for an answer: who could give it may be nobody.
    pub fn shut(&self) {
        if let Ingress::Network { is_shut, .. } = self {
            is_shut.send_replace(true);
        }
    }

    /// Returns when there may be something new to look at.
    pub async fn news(&self, pause: Duration) {
        match self {
            Ingress::Network { .. } => tokio::time::sleep(pause).await,
            Ingress::Played(played) => played.told.notified().await,
        }
    }

    /// Asks one node after the other. Whoever does not answer may have taken it: all that we ask for may be asked for twice.
    pub async fn ask(
        &self,
        door: Door,
        path: &[&str],
        headers: Vec<(String, String)>,
        message: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let (client, nodes, is_shut) = match (self, door) {
            (Ingress::Network { client, ingress, is_shut, .. }, Door::Ingress) => (client, ingress, is_shut),
            (Ingress::Network { client, admin, is_shut, .. }, Door::Admin) => (client, admin, is_shut),
            (Ingress::Played(played), Door::Ingress) => return played.ask(path, &headers, message).await,
            (Ingress::Played(_), Door::Admin) => return Err(Error::Away("nobody administers what is played".into())),
        };
        let _under_way = rest::begins(Work::Ask);
        let mut is_shut = is_shut.subscribe();
        // A handler that takes nothing refuses a body.
        let body = Some(message).filter(|message| message != b"null");
        let body = body.map(|content| Body::Bytes { kind: "application/json".into(), content });
        let mut request = Request { method: "POST".into(), url: String::new(), headers, body };
        let mut failed = Error::Away("no address of Restate is known".into());
        let first = nodes.at.load(Ordering::Relaxed);
        for at in first..first + nodes.urls.len() {
            let at = at % nodes.urls.len();
            request.url = join(&nodes.urls[at], path);
            let sent = tokio::select! {
                sent = client.fetch(&request) => sent,
                _ = is_shut.wait_for(|is_shut| *is_shut) => return Err(Error::Away("this process stops".into())),
            };
            match sent {
                // A node that is about to end, or has lost the others, says so.
                Ok(received) if received.status < 500 => {
                    nodes.at.store(at, Ordering::Relaxed);
                    return judged(received);
                }
                Ok(received) => failed = judged(received).err().unwrap_or(failed),
                Err(error) => failed = Error::Away(format!("Restate does not answer: {error}")),
            }
        }
        Err(failed)
    }
}

fn judged(received: Received) -> Result<Vec<u8>, Error> {
    match received.status {
        200..300 => Ok(received.bytes),
        status => {
            let said: Value = serde_json::from_slice(&received.bytes).unwrap_or_default();
            let why = said.get("message").and_then(Value::as_str).unwrap_or_default();
            let why: String = why.chars().take(300).collect();
            Err(Error::Away(format!("Restate answered {status} {why}").trim_end().to_owned()))
        }
    }
}

/// So long it is waited before Restate is asked again for what it must do for us at the start.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// An answer; nothing is `null`.
fn read<A: DeserializeOwned>(answer: &[u8]) -> Result<A, Error> {
    Ok(serde_json::from_slice(if answer.is_empty() { b"null" } else { answer })?)
}

fn join(base: &Url, path: &[&str]) -> String {
    let mut url = base.as_str().trim_end_matches('/').to_owned();
    for part in path {
        url.push('/');
        url.extend(utf8_percent_encode(part, PLAIN));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_part_of_the_path() {
        let base = Url::parse("http://127.0.0.1:8080/").expect("a URL");
        let url = join(&base, &["shop.line", "greet/ü 1?", "accept"]);
        assert_eq!(url, "http://127.0.0.1:8080/shop.line/greet%2F%C3%BC%201%3F/accept");
    }
}
