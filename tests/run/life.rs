//! One case lived through: decide, commit, send; with a crash where it is wanted, and answers in the order that is wanted.

use std::collections::BTreeMap;

use dovetail::project::Plan;
use dovetail::run::{
    Answer, Decision, Ending, Entry, Fact, Kept, Known, Link, Next, RecordRef, Send, Start, State, decide,
};
use dovetail::trigger::Event;
use dovetail::workflow::Looked;
use serde_json::json;

use crate::run::case::{BEGIN_MS, Case};
use crate::run::heard::Messages;
use crate::run::story::Story;
use crate::run::world::World;
use crate::stage::random::Random;

/// More steps than any case has: a run that goes on beyond would never end.
const STEPS_MAX: usize = 300;

/// The program ends at a step, and starts again from what is durable.
#[derive(Clone, Copy, Debug)]
pub enum Crash {
    /// The decision was made durable; nothing was done about it.
    Committed(usize),
    /// It was done; what came of it was not learnt.
    Sent(usize),
}

/// Which of the requests that are on their way is answered next. The vendor has carried out all of them.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    First,
    Last,
    /// By numbers from a seed; now and then a wait ends before any answer comes.
    Any(u64),
}

/// One that was lived.
pub struct Lived {
    pub steps: usize,
    pub story: Story,
}

struct Life {
    steps: usize,
    story: Story,
    world: World,
    /// Carried out, and not answered yet.
    on_their_way: Vec<(Box<Send>, Answer)>,
    /// Actions at an upsert, with its identities.
    held: Vec<(String, Vec<String>)>,
    random: Random,
    /// By record: what the workflow was told.
    known: BTreeMap<String, Known>,
}

pub fn live(case: &Case, plan: &Plan, crash: Option<Crash>, order: Order) -> Lived {
    let start = start(case, plan);
    let mut life = Life::begin(case, order);
    let messages = Messages::of(&case.heard, plan, BEGIN_MS);
    let mut retries = case.retries.iter();
    let mut journal: Vec<Entry> = Vec::new();
    let mut learnt: Vec<Entry> = Vec::new();
    let mut state = State::fold(&journal);
    let mut now_ms = BEGIN_MS;
    loop {
        assert!(life.steps < STEPS_MAX, "{}: it never ends\n{}", case.why, life.so_far().told());
        now_ms += 1_000;
        let Decision { entries, kept, next } = decide(plan, &start, &mut state, now_ms);
        journal.append(&mut learnt);
        life.warn(&entries);
        journal.extend(entries);
        if !next.iter().any(Next::is_question) {
            state.ask_again();
        }
        let next = life.granted(&state, next);
        for next in &next {
            if let Next::Send(send) = next {
                journal.push(state.send(send, now_ms));
            }
        }
        assert_eq!(State::fold(&journal).length, state.length, "{}: the fold lags behind", case.why);
        life.keep(kept);
        let step = life.steps;
        life.steps += 1;
        if matches!(crash, Some(Crash::Committed(at)) if at == step) {
            state = life.taken_up(&journal, &mut learnt, now_ms);
            continue;
        }
        let mut facts = Vec::new();
        let mut wait_ms = None;
        for next in next {
            match next {
                Next::Over => {
                    let ending = state.ending.clone().unwrap();
                    life.story.end(&ending);
                    let Some(records) = retries.next().filter(|_| matches!(ending, Ending::Failed { .. })) else {
                        return Lived { steps: life.steps, story: life.so_far() };
                    };
                    life.story.retry();
                    life.world.records.extend(records.clone());
                    facts.push(Fact::Retried { by: "a person".into() });
                }
                Next::Wait { until_ms, lets_go } => {
                    assert!(until_ms > now_ms, "{}: it waits for the past", case.why);
                    let is_alone = life.on_their_way.is_empty();
                    assert!(is_alone || !lets_go, "{}: it is forgotten on the way", case.why);
                    let called_ms = messages.next_ms(&state.subscriptions(), now_ms);
                    wait_ms = Some(called_ms.map_or(until_ms, |called_ms| called_ms.min(until_ms)));
                }
                Next::Recall { of } => {
                    state.recall(life.known.get(&of.id).cloned());
                    wait_ms = Some(now_ms);
                }
                Next::Receive { address, subscription } => {
                    state.receive(address, messages.first(&subscription, now_ms));
                    wait_ms = Some(now_ms);
                }
                Next::Look(asking) => {
                    let found = partner(&life.story.links, &asking.of, &asking.connection, &asking.object);
                    let looked = Looked { of: Some(asking.of), found, turns: asking.turns, ..Looked::default() };
                    facts.push(Fact::Looked { address: asking.address, looked });
                }
                Next::Send(send) => life.send(plan, send),
            }
        }
        if facts.is_empty() {
            match life.answer(order, wait_ms.is_some()) {
                Some(answered) => facts.push(answered),
                None => {
                    now_ms = wait_ms
                        .unwrap_or_else(|| panic!("{}: nothing is left to do\n{}", case.why, life.so_far().told()));
                    continue;
                }
            }
        }
        let retried = facts.iter().any(|fact| matches!(fact, Fact::Retried { .. }));
        if matches!(crash, Some(Crash::Sent(at)) if at == step) && !retried {
            state = life.taken_up(&journal, &mut learnt, now_ms);
            continue;
        }
        for fact in facts {
            let entry = Entry { at_ms: now_ms, fact };
            state.apply(&entry);
            learnt.push(entry);
        }
    }
}

impl Life {
    fn begin(case: &Case, order: Order) -> Life {
        Life {
            steps: 0,
            story: Story::new(case.links()),
            world: case.world(),
            on_their_way: Vec::new(),
            held: Vec::new(),
            random: Random::of(if let Order::Any(seed) = order { seed } else { 0 }),
            known: case.known().into_iter().map(|(of, known)| (of.id, known)).collect(),
        }
    }

    fn so_far(&self) -> Story {
        self.story.clone().with(&self.world.records)
    }

    fn warn(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Fact::Finished { warnings, .. } = &entry.fact {
                self.story.warn(None, warnings);
            }
        }
    }

    fn keep(&mut self, kept: Kept) {
        let links = &mut self.story.links;
        links.retain(|link| !kept.unlink.contains(link));
        links.extend(kept.link.into_iter().map(|(_, link)| link));
        kept.emitted.iter().for_each(|event| self.story.emit(event));
        self.known.extend(kept.told.map(|told| (told.of.id, told.known)));
    }

    /// What has its turn: upserts of one identity go one after the other.
    fn granted(&mut self, state: &State, next: Vec<Next>) -> Vec<Next> {
        self.held.retain(|(address, turns)| {
            state.holds_turns(address) || next.iter().any(|next| next.turns() == Some((address, turns)))
        });
        let may = |next: &Next| {
            let Some((address, turns)) = next.turns() else { return true };
            if self.held.iter().any(|(at, _)| at == address) {
                return true;
            }
            let is_free = self.held.iter().all(|(_, held)| held.iter().all(|turn| !turns.contains(turn)));
            self.held.extend(is_free.then(|| (address.to_string(), turns.to_vec())));
            is_free
        };
        next.into_iter().filter(may).collect()
    }

    fn send(&mut self, plan: &Plan, send: Box<Send>) {
        self.story.send(&send, !self.on_their_way.is_empty());
        let answer = self.world.send(plan, &send);
        self.on_their_way.push((send, answer));
    }

    /// The next answer; None: a wait ends first.
    fn answer(&mut self, order: Order, waits: bool) -> Option<Fact> {
        let count = self.on_their_way.len();
        if count == 0 {
            return None;
        }
        let at = match order {
            Order::First => 0,
            Order::Last => count - 1,
            Order::Any(_) => usize::try_from(self.random.below(count as u64 + u64::from(waits))).unwrap(),
        };
        let (send, answer) = (at < count).then(|| self.on_their_way.remove(at))?;
        Some(send.answered(answer, None))
    }

    /// The state after a crash, with what is recorded when a run is taken up again.
    fn taken_up(&mut self, journal: &[Entry], learnt: &mut Vec<Entry>, now_ms: i64) -> State {
        self.on_their_way.clear();
        learnt.clear();
        let mut state = State::fold(journal);
        self.held = state.open_turns().map(|(address, turns)| (address.to_string(), turns.to_vec())).collect();
        for fact in state.taken_up() {
            let entry = Entry { at_ms: now_ms, fact };
            state.apply(&entry);
            learnt.push(entry);
        }
        state
    }
}

fn partner(links: &[Link], of: &RecordRef, connection: &str, object: &str) -> Option<String> {
    let there = |other: &&RecordRef| other.connection == connection && other.object == object;
    let other = links.iter().filter_map(|link| match (&link.left, &link.right) {
        (left, right) if left == of => Some(right),
        (left, right) if right == of => Some(left),
        _ => None,
    });
    other.filter(there).map(|other| other.id.clone()).next()
}

fn start(case: &Case, plan: &Plan) -> Start {
    let by_hand = || json!({ "id": "1", "source": "case", "type": "manual", "time_ms": BEGIN_MS });
    let event: Event = case.event().unwrap_or_else(|| serde_json::from_value(by_hand()).unwrap());
    let workflow = case.workflow(plan);
    Start {
        id: "run".into(),
        workflow: workflow.name.clone(),
        tenant: None,
        order_key: "1".into(),
        plan: plan.hash.clone(),
        connections: plan.bind(workflow, None, None).unwrap(),
        event,
        inputs: case.inputs.clone(),
        created_ms: BEGIN_MS,
    }
}
