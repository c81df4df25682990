//! What may be done now of what a run wants: it has its turns, its limits have room, and its vendor is there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::{Life, Queued, REQUESTS_MAX, Turns, turns_of};
use crate::clock;
use crate::connector::Failure;
use crate::engine::circuit::Pass;
use crate::engine::now_ms;
use crate::engine::perform::Ready;
use crate::engine::turns::Held;
use crate::http::Take;
use crate::run::{Answer, Asking, Fact, Next, Send};

/// What may be done now.
pub(super) enum Granted {
    Send {
        send: Box<Send>,
        /// Or why it cannot even be made.
        ready: Result<Ready, Failure>,
        pass: Option<Pass>,
        further: Option<OwnedSemaphorePermit>,
    },
    /// A request whose answer is known without sending it.
    Known {
        send: Box<Send>,
        answer: Answer,
    },
    Look(Box<Asking>),
}

impl Life<'_> {
    /// Lets go of turns that no action needs any more: of those that were wanted, and those at work. Also of an action that
    /// failed: what stands in for it takes turns of its own.
    pub(super) fn let_go(&mut self, wanted: &[Turns]) {
        let state = &self.state;
        let is_wanted =
            |held: &Held| wanted.iter().any(|(address, turns)| *address == held.address && *turns == held.identities);
        self.held.retain(|held| state.holds_turns(&held.address) || is_wanted(held));
    }

    /// What is not wanted any more is not waited for.
    pub(super) fn forget_queued(&mut self) {
        let wanted = &self.wanted;
        self.queued.retain(|queued| {
            wanted.iter().any(|next| next.turns() == Some((queued.address.as_str(), queued.turns.as_slice())))
        });
    }

    /// Takes what may be done now from what is wanted; its entries are to be made durable.
    pub(super) async fn grant(&mut self) -> Vec<Granted> {
        (self.room_ms, self.down, self.is_called) = (i64::MAX, None, false);
        let needs = self.wanted.iter().filter_map(turns_of).map(|(address, _)| address);
        self.ledger.needs_turns(needs.chain(self.addresses.iter().cloned()).collect());
        if self.engine.is_stopping() {
            return Vec::new();
        }
        let mut granted = Vec::new();
        for next in std::mem::take(&mut self.wanted) {
            match self.may(next, self.on_their_way.len() + granted.len()).await {
                Ok(now) => granted.push(now),
                Err(later) => self.wanted.push(later),
            }
        }
        let wanted = &self.wanted;
        let is_wanted =
            |address: &str| wanted.iter().any(|next| matches!(next, Next::Send(send) if send.address == address));
        self.held_back.retain(|address, _| is_wanted(address));
        granted
    }

    /// May this be done now, beside so many others? Else it stays wanted.
    async fn may(&mut self, next: Next, others: usize) -> Result<Granted, Next> {
        if others >= REQUESTS_MAX {
            return Err(next);
        }
        if let Some((address, turns)) = turns_of(&next)
            && !self.has_turns(&address, &turns).await
        {
            return Err(next);
        }
        match next {
            Next::Look(asking) => Ok(Granted::Look(asking)),
            Next::Send(send) => {
                let inner = &self.engine.inner;
                let retried_ms = self.state.retried_ms;
                let since = retried_ms
                    .map(|retried_ms| Duration::from_millis(u64::try_from(now_ms() - retried_ms).unwrap_or_default()));
                if let Some(answer) = inner.names.known(&self.plan.hash, &send, since, clock::instant()) {
                    self.fresh.push(self.state.send(&send, now_ms()));
                    return Ok(Granted::Known { send, answer });
                }
                let further = match others {
                    0 => None,
                    _ => match Arc::clone(&inner.further).try_acquire_owned() {
                        Ok(permit) => Some(permit),
                        Err(_) => return Err(Next::Send(send)),
                    },
                };
                let urgency = self.urgency();
                self.engine.lease(&self.plan, &send, urgency).await;
                // Many may wait for one window: who does makes no request yet.
                if let Take::Wait(pause) = self.engine.look(&self.plan, &send, urgency) {
                    return Err(self.hold_back(send, pause));
                }
                let mut ready = self.engine.ready(&self.plan, &send).await;
                // The limit is asked before the entry is made durable: what is recorded as sent is sent at once.
                let mut pass = None;
                if let Ok(ready) = &ready {
                    match self.engine.may_go(&self.plan, &send, ready, urgency) {
                        Ok(granted) => pass = Some(granted),
                        Err(pause) => return Err(self.hold_back(send, pause)),
                    }
                }
                let mut entry = self.state.send(&send, now_ms());
                if let (Fact::Sent(sent), Some(since_ms)) = (&mut entry.fact, self.held_back.remove(&send.address)) {
                    sent.held_ms = u64::try_from(entry.at_ms - since_ms).unwrap_or_default();
                }
                self.fresh.push(entry);
                if let Ok(ready) = &mut ready {
                    let place = self.state.length - 1;
                    ready.carry(self.engine.traceparent(&self.plan, self.start, &send.connection, place));
                }
                Ok(Granted::Send { send, ready, pass, further })
            }
            other => Err(other),
        }
    }

    /// It stays wanted, and is asked for again after a pause.
    fn hold_back(&mut self, send: Box<Send>, pause: Duration) -> Next {
        if !self.engine.is_there(&send.connection) {
            self.down = Some(send.connection.clone());
        }
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).clamp(1, 60_000);
        let now_ms = now_ms();
        self.room_ms = self.room_ms.min(now_ms.saturating_add(pause));
        self.held_back.entry(send.address.clone()).or_insert(now_ms);
        Next::Send(send)
    }

    /// Has the action its turns? Else they are waited for.
    async fn has_turns(&mut self, address: &str, turns: &[String]) -> bool {
        let has_all = |held: &Held| turns.iter().all(|turn| held.identities.contains(turn));
        if self.held.iter().any(|held| held.address == address && has_all(held)) {
            return true;
        }
        // Others are let go before further ones are waited for.
        self.held.retain(|held| held.address != address);
        if let Some(taking) = self.ledger.take_turns(address, turns) {
            let has_all = taking.await.unwrap_or(false);
            self.is_called |= !has_all;
            self.held.extend(has_all.then(|| Held::elsewhere(address, turns)));
            return has_all;
        }
        if self.queued.iter().any(|queued| queued.address == address) {
            return false;
        }
        let engine = self.engine;
        if let Some(held) = engine.inner.turns.try_take(address, turns) {
            self.held.push(held);
            return true;
        }
        let (address, turns) = (address.to_string(), turns.to_vec());
        let (of, identities) = (address.clone(), turns.clone());
        let turn = Box::pin(async move { engine.inner.turns.take(&of, &identities).await });
        self.queued.push(Queued { address, turns, turn });
        false
    }
}
