//! Carries webhooks to their address, again and again until a 2xx.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use super::clock::written;
use super::document::Retry;
use super::hook::Hook;
use super::sign::Letter;
use super::vendor::Inner;
use crate::connector::{Body, Request};
use crate::expr::parse_duration;
use crate::http::Client;

const DELIVERIES_MAX: usize = 10_000;
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A held webhook goes after the next one, or after this long.
const HELD_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    pub number: u64,
    pub event: String,
    pub time: String,
    pub url: Option<String>,
    pub body: Value,
    pub attempts: Vec<Attempt>,
    /// `waiting`, `delivered`, `failed`, `lost`, `no url`.
    pub state: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    pub time: String,
    pub status: Option<u16>,
    pub error: Option<String>,
}

/// The last 10,000 deliveries.
#[derive(Debug, Default)]
pub struct Deliveries {
    all: VecDeque<Delivery>,
    count: u64,
}

impl Deliveries {
    pub fn lost(&mut self, hook: &Hook, time: String) {
        self.add(hook, time, None, "lost");
    }

    fn add(&mut self, hook: &Hook, time: String, url: Option<String>, state: &'static str) -> u64 {
        self.count += 1;
        if self.all.len() >= DELIVERIES_MAX {
            self.all.pop_front();
        }
        let body =
            serde_json::from_slice(&hook.body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&hook.body)));
        let (number, event) = (self.count, hook.event.clone());
        self.all.push_back(Delivery { number, event, time, url, body, attempts: Vec::new(), state });
        number
    }

    fn tell(&mut self, number: u64, attempt: Attempt, state: &'static str) {
        if let Some(delivery) = self.all.iter_mut().find(|delivery| delivery.number == number) {
            delivery.attempts.push(attempt);
            delivery.state = state;
        }
    }

    /// Empty, but numbered on: late attempts of old deliveries must find nothing.
    pub fn emptied(&self) -> Deliveries {
        Deliveries { all: VecDeque::new(), count: self.count }
    }

    pub fn all(&self) -> impl Iterator<Item = &Delivery> {
        self.all.iter()
    }
}

/// Runs until the vendor stops.
pub async fn run(inner: Arc<Inner>, mut queue: UnboundedReceiver<Hook>) {
    let mut held: Option<Hook> = None;
    loop {
        let next = if held.is_some() {
            tokio::time::timeout(HELD_MAX, queue.recv()).await.ok()
        } else {
            Some(queue.recv().await)
        };
        match next {
            Some(None) => return,
            Some(Some(hook)) if hook.late && held.is_none() => held = Some(hook),
            Some(Some(hook)) => {
                begin(&inner, hook).await;
                if let Some(hook) = held.take() {
                    begin(&inner, hook).await;
                }
            }
            None => {
                if let Some(hook) = held.take() {
                    begin(&inner, hook).await;
                }
            }
        }
    }
}

/// The first try; what fails is tried again by a task of its own.
async fn begin(inner: &Arc<Inner>, hook: Hook) {
    let url = inner.webhook_url();
    let number = {
        let mut state = inner.state.lock();
        let time = written(state.clock.now());
        let known = if url.is_some() { "waiting" } else { "no url" };
        state.deliveries.add(&hook, time, url.clone(), known)
    };
    let Some(url) = url else { return inner.is_done() };
    if attempt(inner, number, &url, &hook, inner.rules.document.webhooks.retry.times == 0).await {
        return inner.is_done();
    }
    let inner = Arc::clone(inner);
    tokio::spawn(async move {
        let retry = &inner.rules.document.webhooks.retry;
        for again in 0..retry.times {
            tokio::time::sleep(inner.wait(retry, again)).await;
            if inner.stopped() || attempt(&inner, number, &url, &hook, again + 1 == retry.times).await {
                break;
            }
        }
        inner.is_done();
    });
}

/// One try; true if it is done with.
async fn attempt(inner: &Inner, number: u64, url: &str, hook: &Hook, last: bool) -> bool {
    let time = inner.state.lock().clock.now();
    let letter = Letter { body: &hook.body, url, time };
    let signatures = inner.signer.headers(&inner.rules.document.webhooks.sign, letter);
    let request = Request {
        method: "POST".into(),
        url: url.into(),
        headers: signatures.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        // A body is made as JSON and sent as JSON: the bytes are those that were signed.
        body: serde_json::from_slice(&hook.body).ok().map(Body::Json),
    };
    let (status, error) = match tokio::time::timeout(ANSWER_MAX, inner.post.send(request)).await {
        Ok(Ok(status)) => (Some(status), None),
        Ok(Err(error)) => (None, Some(error)),
        Err(_) => (None, Some("no answer in time".to_string())),
    };
    let done = status.is_some_and(|status| (200..300).contains(&status));
    let known = if done {
        "delivered"
    } else if last {
        "failed"
    } else {
        "waiting"
    };
    let mut state = inner.state.lock();
    let time = written(state.clock.now());
    state.deliveries.tell(number, Attempt { time, status, error }, known);
    done
}

/// Who carries a webhook.
pub enum Post {
    Network(Client),
    /// To somebody in the same process.
    Hand(Arc<dyn Receiver>),
}

/// Who takes webhooks in the same process.
pub trait Receiver: Send + Sync {
    /// The status that is answered.
    fn receive(&self, request: Request) -> Receiving;
}

pub type Receiving = Pin<Box<dyn Future<Output = u16> + Send>>;

impl Post {
    async fn send(&self, request: Request) -> Result<u16, String> {
        match self {
            Post::Network(client) => {
                client.send(&request, None).await.map(|answer| answer.status).map_err(|error| error.to_string())
            }
            Post::Hand(receiver) => Ok(receiver.receive(request).await),
        }
    }
}

impl Inner {
    /// A webhook is delivered, or given up.
    fn is_done(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Exponential, with random jitter.
    fn wait(&self, retry: &Retry, again: u32) -> Duration {
        let longest = parse_duration(&retry.longest).unwrap_or(Duration::from_secs(600));
        let wait = self.retry_base.saturating_mul(2_u32.saturating_pow(again)).min(longest);
        let share = self.state.lock().random.share();
        wait.mul_f64((1.0 - retry.jitter / 2.0 + retry.jitter * share).max(0.0))
    }
}
