//! The vendor of a case behind the engine's door: it answers one request after the other, and knows when the program dies.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dovetail::connector::{Request, Response};
use dovetail::engine::{Answering, Door, Engine};
use dovetail::http::Error;
use dovetail::project::Plan;
use dovetail::run::Send;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::run::case::Case;
use crate::run::story::Story;
use crate::run::world::World;

/// From one answer to the next.
const PACE: Duration = Duration::from_secs(1);

/// When the program dies, once.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    /// So many commits were made before; this one is durable, and nothing was done about it.
    Committed(usize),
    /// So many requests were sent before; this one was carried out, and what came of it was not learnt.
    Sent(usize),
}

impl Death {
    /// The same, or another one of its kind, in a life that comes to so many commits and requests.
    pub fn within(self, commits: usize, requests: usize) -> Death {
        match self {
            Death::Committed(at) => Death::Committed(at % commits.max(1)),
            Death::Sent(at) => Death::Sent(at % requests.max(1)),
        }
    }
}

#[derive(Clone)]
pub struct Vendor(Arc<Inner>);

struct Inner {
    plan: Arc<Plan>,
    death: Option<Death>,
    dies: Notify,
    seen: Mutex<Seen>,
}

pub struct Seen {
    pub world: World,
    pub story: Story,
    /// None: it is dead, or has not begun.
    pub engine: Option<Engine>,
    /// The program has died, and was not started again.
    pub is_dead: bool,
    commits: usize,
    requests: usize,
    /// Requests that are not answered yet.
    under_way: BTreeSet<usize>,
    /// When the last of them is.
    busy_until: Instant,
}

impl Vendor {
    pub fn new(case: &Case, plan: &Arc<Plan>, death: Option<Death>) -> Vendor {
        let seen = Seen {
            world: case.world(),
            story: Story::default(),
            engine: None,
            is_dead: false,
            commits: 0,
            requests: 0,
            under_way: BTreeSet::new(),
            busy_until: Instant::now(),
        };
        Vendor(Arc::new(Inner { plan: Arc::clone(plan), death, dies: Notify::new(), seen: Mutex::new(seen) }))
    }

    /// Returns when the program dies.
    pub async fn dies(&self) {
        self.0.dies.notified().await;
    }

    pub fn seen(&self) -> parking_lot::MutexGuard<'_, Seen> {
        self.0.seen.lock()
    }

    /// Commits, and requests.
    pub fn so_far(&self) -> (usize, usize) {
        let seen = self.seen();
        (seen.commits, seen.requests)
    }

    pub fn story(&self) -> Story {
        let seen = self.seen();
        seen.story.clone().with(&seen.world.records)
    }

    /// The program is started again.
    pub fn is_born(&self) {
        let seen = &mut *self.seen();
        seen.is_dead = false;
        seen.under_way.clear();
    }

    /// Carries a request out; gives its number, the answer if there is one, and when that is known. None: the program has died.
    fn take(&self, send: &Send) -> Option<(usize, Option<Response>, Instant)> {
        let seen = &mut *self.seen();
        if seen.is_dead {
            return None;
        }
        seen.story.send(send, !seen.under_way.is_empty());
        let answer = seen.world.answer(&self.0.plan, send);
        let number = seen.requests;
        seen.requests += 1;
        if matches!(self.0.death, Some(Death::Sent(at)) if at == number) {
            self.die(seen);
            return None;
        }
        seen.under_way.insert(number);
        seen.busy_until = seen.busy_until.max(Instant::now()) + PACE;
        Some((number, answer, seen.busy_until))
    }

    fn die(&self, seen: &mut Seen) {
        seen.is_dead = true;
        seen.engine.take().iter().for_each(Engine::die);
        self.0.dies.notify_one();
    }
}

impl Door for Vendor {
    fn answer(&self, send: &Send, _: Request) -> Answering {
        let (vendor, send) = (self.clone(), send.clone());
        Box::pin(async move {
            if send.idempotency_key.is_empty() {
                // Lists that are read for what is new show nothing: what is heard is the case's to say.
                let body = json!({ "items": [], "pages": 0 });
                return Ok(Response { status: 200, headers: Vec::new(), body, not_kept: None });
            }
            let Some((number, answer, at)) = vendor.take(&send) else { return std::future::pending().await };
            tokio::time::sleep_until(at).await;
            vendor.seen().under_way.remove(&number);
            answer.ok_or_else(|| Error::NoAnswer(String::new()))
        })
    }

    fn goes_on(&self) -> bool {
        let seen = &mut *self.seen();
        if seen.is_dead {
            return false;
        }
        let number = seen.commits;
        seen.commits += 1;
        if matches!(self.0.death, Some(Death::Committed(at)) if at == number) {
            self.die(seen);
            return false;
        }
        true
    }
}
