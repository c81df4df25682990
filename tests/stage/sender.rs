//! A sender that gives up nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Stage, is_long};

/// 200 events per second; 500 in the long form.
fn pace() -> Duration {
    Duration::from_millis(if is_long() { 2 } else { 5 })
}

/// Sends as the vendor would: at a steady pace, and again, with the same id, whatever was not acknowledged.
pub struct Sender {
    acknowledged: Arc<Mutex<HashSet<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sender {
    pub fn start(stage: &Stage, events: &[(&'static str, Value)]) -> Sender {
        let acknowledged = Arc::new(Mutex::new(HashSet::new()));
        let kept = Arc::clone(&acknowledged);
        let letters: Vec<_> = events
            .iter()
            .map(|(name, record)| stage.event(name, record))
            .map(|body| (body["webhookId"].as_str().expect("an id").to_owned(), stage.letter(&body)))
            .collect();
        let (client, url) = (stage.client.clone(), stage.url());
        let task = tokio::spawn(async move {
            let open = Arc::new(Semaphore::new(64));
            let mut pace = tokio::time::interval(pace());
            for (id, (body, signature)) in letters {
                pace.tick().await;
                let permit = Arc::clone(&open).acquire_owned().await.expect("it is never closed");
                let request = client.post(&url).header("content-type", "application/json");
                let request = request.header("x-ghl-signature", signature).body(body);
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    send(request).await;
                    kept.lock().insert(id);
                    drop(permit);
                });
            }
            // All permits are back when all are acknowledged.
            let _ = open.acquire_many(64).await;
        });
        Sender { acknowledged, task }
    }

    /// The ids that were acknowledged so far.
    pub fn so_far(&self) -> HashSet<String> {
        self.acknowledged.lock().clone()
    }

    pub async fn finish(self) -> HashSet<String> {
        self.task.await.expect("the sender ends");
        std::mem::take(&mut self.acknowledged.lock())
    }
}

async fn send(request: reqwest::RequestBuilder) {
    loop {
        let again = request.try_clone().expect("the body is at hand");
        if again.send().await.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
