//! What listeners tell those that wait, by what is meant: an object for each correlation.
//!
//! A message counts for a run that was accepted before the run that left it; ids of runs are in that order.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::erasing::Erasing;
use super::ingress::Object;
use super::line::GoOn;
use super::objects::LINE;
use super::steps::{Looks, Steps, Stopped};
use crate::run::Received;

/// Messages that are kept, at most; older ones are read by nobody any more.
const KEPT: usize = 1_000;

/// What a run leaves.
#[derive(Serialize, Deserialize)]
pub(super) struct Leaving {
    pub run: String,
    /// Which of its messages: one that it leaves once more is the same.
    pub place: usize,
    pub record: Value,
}

/// A run that waits.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiter {
    pub run: String,
    /// The key of its line, where it is called.
    pub line: String,
    /// Only messages with a higher number count.
    pub after: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Message {
    pub number: i64,
    #[serde(flatten)]
    pub left: Leaving,
}

/// What was kept elsewhere so far.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Taking {
    pub messages: Vec<Message>,
    /// Numbers up to this one were given.
    pub floor: i64,
}

pub(super) const MESSAGES: &str = "messages";
const WAITING: &str = "waiting";
/// Numbers up to this one were given elsewhere.
pub(super) const FLOOR: &str = "floor";

/// Leaves a message, and calls those that wait for it.
pub(super) async fn leave<S: Steps>(steps: &S, left: Leaving) -> Result<(), Stopped> {
    let mut messages: Vec<Message> = steps.get(MESSAGES).await?.unwrap_or_default();
    let is_known = |one: &Message| one.left.run == left.run && one.left.place == left.place;
    if messages.iter().any(is_known) {
        return Ok(());
    }
    let floor = steps.get::<i64>(FLOOR).await?.unwrap_or_default();
    let number = messages.last().map_or(0, |last| last.number).max(floor) + 1;
    let run = left.run.clone();
    messages.push(Message { number, left });
    let first = messages.len().saturating_sub(KEPT);
    steps.set(MESSAGES, messages.split_off(first));
    let waiting: Vec<Waiter> = steps.get(WAITING).await?.unwrap_or_default();
    let (called, waiting): (Vec<Waiter>, Vec<Waiter>) = waiting.into_iter().partition(|one| one.run < run);
    for one in called {
        let line = Object { service: LINE, key: one.line };
        steps.send(&line, "go_on", GoOn::now(&one.run), 0);
    }
    match waiting.is_empty() {
        true => steps.clear(WAITING),
        false => steps.set(WAITING, waiting),
    }
    Ok(())
}

/// Keeps what was kept elsewhere, beside what of it is here already.
pub(super) async fn take_over<S: Steps>(steps: &S, taking: Taking) -> Result<(), Stopped> {
    let mut messages: Vec<Message> = steps.get(MESSAGES).await?.unwrap_or_default();
    let known: HashSet<i64> = messages.iter().map(|one| one.number).collect();
    messages.extend(taking.messages.into_iter().filter(|one| !known.contains(&one.number)));
    messages.sort_by_key(|one| one.number);
    let floor = steps.get::<i64>(FLOOR).await?.unwrap_or_default().max(taking.floor);
    let first = messages.len().saturating_sub(KEPT);
    steps.set(MESSAGES, messages.split_off(first));
    steps.set(FLOOR, floor);
    Ok(())
}

/// Without these messages. What is meant may be a person's address: of an object that keeps nothing else nothing is left.
pub(super) async fn erase<S: Steps>(steps: &S, Erasing { of, .. }: Erasing) -> Result<(), Stopped> {
    let mut messages: Vec<Message> = steps.get(MESSAGES).await?.unwrap_or_default();
    let floor = steps.get::<i64>(FLOOR).await?.unwrap_or_default();
    let floor = messages.last().map_or(floor, |last| last.number.max(floor));
    messages.retain(|message| !of.contains(&message.number.to_string()));
    let waiting: Vec<Waiter> = steps.get(WAITING).await?.unwrap_or_default();
    if messages.is_empty() && waiting.is_empty() {
        [MESSAGES, FLOOR, WAITING].iter().for_each(|name| steps.clear(name));
        return Ok(());
    }
    // Whoever waits has asked for those after one: their numbers are not given again.
    steps.set(FLOOR, floor);
    steps.set(MESSAGES, messages);
    Ok(())
}

/// The first message that a run may receive.
pub(super) async fn first<S: Looks>(steps: &S, waiter: &Waiter) -> Result<Option<Received>, Stopped> {
    let messages: Vec<Message> = steps.get(MESSAGES).await?.unwrap_or_default();
    let found = messages.into_iter().find(|one| one.number > waiter.after && one.left.run > waiter.run);
    Ok(found.map(|Message { number, left }| Received { number, record: left.record }))
}

/// A run is called when there is a message. True: there is one already.
pub(super) async fn wait<S: Steps>(steps: &S, waiter: Waiter) -> Result<bool, Stopped> {
    if first(steps, &waiter).await?.is_some() {
        return Ok(true);
    }
    let mut waiting: Vec<Waiter> = steps.get(WAITING).await?.unwrap_or_default();
    waiting.retain(|one| one.run != waiter.run);
    waiting.push(waiter);
    steps.set(WAITING, waiting);
    Ok(false)
}
