//! Traces for a collector: when a run has ended, its journal is read and told as spans (OTLP over HTTP).
//!
//! ```text
//!  a run has ended ─▶ a line, bounded ─▶ its journal ─▶ spans ─▶ a batch ─▶ the collector
//! ```
//! Nobody waits for a collector: what it does not take is lost, counted and told of in the log.

mod protobuf;
mod spans;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Engine;
use crate::connector::{Body, Request};
use crate::http::{Client, Credential};
use crate::project::Plan;
use crate::run::Start;
use crate::store::Store;
use crate::trigger::Traceparent;

/// Runs that have ended and are not told yet.
const BEHIND_MAX: usize = 1_024;
/// Spans from which on a batch is sent at once.
const BATCH: usize = 512;
/// How long spans wait for others.
const GATHERS: Duration = Duration::from_secs(1);
/// How long a collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of the program waits for it.
const AT_THE_END: Duration = Duration::from_secs(2);
/// What is lost is told of once in this time.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The whole address: `http://127.0.0.1:4318/v1/traces`.
    pub url: String,
    /// What it wants to see, such as a key.
    pub credential: Option<Credential>,
    /// What every span is of: `service.name` and the like.
    pub resource: Vec<(String, String)>,
    /// The share of the runs that is traced, from 0 to 1.
    pub share: f64,
    /// Where the sender of an event says whether its trace is told, that holds for the event's runs as well.
    pub follows: bool,
}

/// What tells a collector of runs.
pub(super) struct Traces {
    share: f64,
    follows: bool,
    lost: Arc<AtomicU64>,
    /// None: the program ends.
    line: Mutex<Option<mpsc::Sender<Ended>>>,
    teller: Mutex<Option<JoinHandle<()>>>,
}

/// A run that has ended.
struct Ended {
    run: String,
    workflow: String,
    accepted_ms: i64,
    parent: Option<Traceparent>,
    plan: Option<Arc<Plan>>,
}

impl Engine {
    /// Tells a collector of all runs that end from now on.
    pub fn trace(&self, collector: Collector) {
        let traces = Traces::begin(collector, self.inner.store.clone());
        // Who traces already goes on.
        let _ = self.inner.traces.set(traces);
    }

    /// A run has ended.
    pub(super) fn traced(&self, start: &Start, plan: Option<&Arc<Plan>>) {
        if let Some(traces) = self.inner.traces.get() {
            let plan = plan.cloned().or_else(|| Some(self.plan()).filter(|plan| plan.hash == start.plan));
            traces.tell(start, plan);
        }
    }

    /// Where the request that the entry at this place of the journal tells of stands in a trace. Only vendors that the project
    /// names are told, and where nobody collects traces here, what the sender of the event said is passed on.
    pub(super) fn traceparent(
        &self,
        plan: &Plan,
        start: &Start,
        connection: &str,
        place: usize,
    ) -> Option<Traceparent> {
        plan.connection(connection).filter(|connection| connection.traced)?;
        let parent = start.event.traceparent;
        let Some(traces) = self.inner.traces.get() else { return parent };
        let trace = spans::trace(&start.id, parent);
        // The second flag says how the id was made: it is passed on with the id.
        let flags = parent.map_or(0, |parent| parent.flags & 2) | u8::from(traces.is_told(trace, parent));
        Some(Traceparent { trace, span: spans::of_request(&start.id, place), flags })
    }

    /// Tells what is left to tell, for a moment.
    pub(super) async fn end_traces(&self) {
        if let Some(traces) = self.inner.traces.get() {
            traces.end().await;
        }
    }
}

impl Traces {
    fn begin(collector: Collector, store: Store) -> Traces {
        let (line, ended) = mpsc::channel(BEHIND_MAX);
        let (share, follows, lost) = (collector.share, collector.follows, Arc::default());
        let teller = Teller { collector, store, client: Client::anywhere(), lost: Arc::clone(&lost), told: None };
        let teller = tokio::spawn(teller.tell_for_ever(ended));
        Traces { share, follows, lost, line: Mutex::new(Some(line)), teller: Mutex::new(Some(teller)) }
    }

    fn is_told(&self, trace: [u8; 16], parent: Option<Traceparent>) -> bool {
        match parent {
            Some(parent) if self.follows => parent.is_sampled(),
            _ => is_in_share(trace, self.share),
        }
    }

    fn tell(&self, start: &Start, plan: Option<Arc<Plan>>) {
        let parent = start.event.traceparent;
        if !self.is_told(spans::trace(&start.id, parent), parent) {
            return;
        }
        let (run, workflow, accepted_ms) = (start.id.clone(), start.workflow.clone(), start.created_ms);
        let ended = Ended { run, workflow, accepted_ms, parent, plan };
        let is_in_line = self.line.lock().as_ref().is_some_and(|line| line.try_send(ended).is_ok());
        if !is_in_line {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn end(&self) {
        drop(self.line.lock().take());
        let Some(mut teller) = self.teller.lock().take() else { return };
        if tokio::time::timeout(AT_THE_END, &mut teller).await.is_err() {
            teller.abort();
            tracing::warn!("the collector of traces does not answer: the last ones are lost");
        }
    }
}

/// As OpenTelemetry's `traceidratio`: what others trace of the same trace is traced here too.
fn is_in_share(trace: [u8; 16], share: f64) -> bool {
    let [.., a, b, c, d, e, f, g, h] = trace;
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
    // A float of this size is exact enough for a share.
    share >= 1.0 || (number as f64) < share * (1_u64 << 63) as f64
}

/// Tells the collector, in the background.
struct Teller {
    collector: Collector,
    store: Store,
    client: Client,
    lost: Arc<AtomicU64>,
    /// When it was told last that something was lost.
    told: Option<Instant>,
}

impl Teller {
    async fn tell_for_ever(mut self, mut ended: mpsc::Receiver<Ended>) {
        while let Some(first) = ended.recv().await {
            let (mut spans, mut runs) = (self.spans(&first).await, 1);
            let gathered = tokio::time::sleep(GATHERS);
            tokio::pin!(gathered);
            while spans.len() < BATCH {
                tokio::select! {
                    next = ended.recv() => match next {
                        Some(next) => {
                            spans.extend(self.spans(&next).await);
                            runs += 1;
                        }
                        None => break,
                    },
                    () = &mut gathered => break,
                }
            }
            let sent = self.send(&spans).await;
            if sent.is_err() {
                self.lost.fetch_add(runs, Ordering::Relaxed);
            }
            self.tell_of_loss(&sent.err().unwrap_or_else(|| "it is too slow for so many runs".into()));
        }
    }

    async fn spans(&self, ended: &Ended) -> Vec<spans::Span> {
        let Ok(journal) = self.store.journal(&ended.run).await else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        };
        let Ended { run, workflow, accepted_ms, parent, plan } = ended;
        let about = spans::About { run, workflow, accepted_ms: *accepted_ms, parent: *parent, plan: plan.as_deref() };
        spans::spans(about, &journal)
    }

    async fn send(&self, spans: &[spans::Span]) -> Result<(), String> {
        let content = protobuf::request(&self.collector.resource, spans);
        let request = Request {
            method: "POST".into(),
            url: self.collector.url.clone(),
            headers: Vec::new(),
            body: Some(Body::Bytes { kind: "application/x-protobuf".into(), content }),
        };
        let sending = self.client.send(&request, self.collector.credential.as_ref());
        let answer = tokio::time::timeout(PATIENCE, sending).await.map_err(|_| "too slow".to_owned())?;
        match answer.map_err(|error| error.to_string())?.status {
            200..300 => Ok(()),
            status => Err(format!("it answered {status}")),
        }
    }

    fn tell_of_loss(&mut self, why: &str) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_AGAIN) {
            return;
        }
        let runs = self.lost.swap(0, Ordering::Relaxed);
        if runs > 0 {
            self.told = Some(Instant::now());
            tracing::warn!(runs, why, "traces are lost: the collector does not take them");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_runs_is_traced() {
        let ids: Vec<[u8; 16]> = (0..1_000_u32).map(|n| spans::trace(&format!("run {n}"), None)).collect();
        let traced = |share: f64| ids.iter().filter(|id| is_in_share(**id, share)).count();
        assert_eq!((traced(0.0), traced(1.0)), (0, 1_000));
        assert!((200..300).contains(&traced(0.25)), "{}", traced(0.25));
    }
}
