//! What an operator watches, as of now: what is counted here, what the store holds, what is left of limits.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::counters::{DONE, ENDINGS};
use super::{Engine, now_ms};
use crate::connector::FAILURE_NAMES;
use crate::http;
use crate::store::{self, Measured, Observed, Status};

/// The store is asked again after this, however often it is looked.
const FRESH: Duration = Duration::from_secs(1);

/// What the store said last, and when.
pub(super) type Kept = tokio::sync::Mutex<Option<(Instant, Measured)>>;

/// Everything that is measured. Names of workflows and connections are in it, data of records and secrets are not.
#[derive(Clone, Debug)]
pub struct Measures {
    pub is_ready: bool,
    pub store: Measured,
    /// How long the oldest run that is due has been.
    pub lag: Duration,
    /// How full the queue of writes is, from 0 to 1.
    pub load: f64,
    pub commits: Observed,
    pub at_work: usize,
    pub at_once: usize,
    /// Events that were new, and that were there already.
    pub accepted: u64,
    pub duplicates: u64,
    /// What senders of webhooks were answered.
    pub deliveries: Vec<(String, u64)>,
    /// By workflow, and how they ended.
    pub ended: Vec<(String, Status, u64)>,
    /// By connection, and what came of them.
    pub requests: Vec<(String, &'static str, u64)>,
    /// By connection of the project: is it down, is the account refused?
    pub connections: BTreeMap<String, (bool, bool)>,
    pub limits: Vec<http::Left>,
    /// What the project allows the store to take.
    pub bytes_max: u64,
}

impl Engine {
    /// # Errors
    /// The store's.
    pub async fn measures(&self) -> Result<Measures, store::Error> {
        let inner = &self.inner;
        let store = self.measured().await?;
        let counters = &inner.counters;
        let since = |since_ms: i64| Duration::from_millis(u64::try_from(now_ms() - since_ms).unwrap_or_default());
        let (open, refused) = (inner.circuits.open(), inner.accounts.names());
        let plan = self.plan();
        let connections = plan.connections.iter().map(|connection| connection.name.clone());
        let mut limits = inner.budgets.left(Instant::now());
        limits.sort();
        Ok(Measures {
            is_ready: self.is_ready(),
            lag: store.oldest_due_ms.map(since).unwrap_or_default(),
            store,
            load: inner.store.load(),
            commits: inner.store.commits(),
            at_work: self.at_work(),
            at_once: inner.at_once,
            accepted: counters.accepted.load(Ordering::Relaxed),
            duplicates: counters.duplicates.load(Ordering::Relaxed),
            deliveries: counters.deliveries.read().into_iter().map(|(word, [number])| (word, number)).collect(),
            ended: spread(counters.ended.read(), ENDINGS.to_vec()),
            requests: spread(counters.answered.read(), FAILURE_NAMES.into_iter().chain([DONE]).collect()),
            connections: connections
                .map(|name| (name.clone(), (open.contains(&name), refused.contains(&name))))
                .collect(),
            limits,
            bytes_max: plan.keep.bytes,
        })
    }

    async fn measured(&self) -> Result<Measured, store::Error> {
        let mut kept = self.inner.measured.lock().await;
        match &*kept {
            Some((at, measured)) if at.elapsed() < FRESH => Ok(measured.clone()),
            _ => {
                let measured = self.inner.store.measure().await?;
                *kept = Some((Instant::now(), measured.clone()));
                Ok(measured)
            }
        }
    }
}

/// One line for each that was counted at all.
fn spread<T: Copy, const N: usize>(read: Vec<(String, [u64; N])>, of: Vec<T>) -> Vec<(String, T, u64)> {
    let lines = read.into_iter().flat_map(|(name, numbers)| {
        of.clone().into_iter().zip(numbers).map(move |(of, number)| (name.clone(), of, number))
    });
    lines.filter(|(_, _, number)| *number > 0).collect()
}
