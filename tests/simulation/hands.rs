//! The hands of a simulated day: they hold runs in their order, make decisions durable in a real store, and send requests over
//! a network that loses what the seed wants lost. They can die after each commit and between any two steps, and start again.

use std::collections::{BTreeMap, VecDeque};

use dovetail::connector::Failure;
use dovetail::project::Plan;
use dovetail::run::{Answer, Decision, Entry, Fact, Kept, Next, Send, Start, State, decide};
use dovetail::store::{Accepted, Commit, Intake, Store};
use dovetail::trigger::Event;
use dovetail::workflow::Starts;

use crate::run::world::{Happens, World};
use crate::stage::random::Random;

/// What goes wrong on a day.
#[derive(Clone, Copy, Default)]
pub struct Trouble {
    /// Of a thousand requests, so many go wrong.
    pub faults: u64,
    /// Of a thousand creates, so many are carried out and their answers are lost.
    pub lost_creates: u64,
    /// Of a thousand commits, so many are the last thing that the program does; of other steps, a fifth of that.
    pub deaths: u64,
}

type Key = (String, String);

/// What is going to happen next.
enum Step {
    Decide(String),
    /// The vendor carries out a request.
    Arrive(String, usize),
    Answer(String, usize),
    Die,
}

/// The program died.
pub struct Dead;

/// A run in memory.
struct Life {
    start: Start,
    state: State,
    fresh: Vec<Entry>,
    kept: Kept,
    is_stale: bool,
    wanted: Vec<Next>,
    on_its_way: Vec<Away>,
    /// By address: not before. Counts once it is durable.
    refused: Vec<(String, i64)>,
}

struct Away {
    send: Box<Send>,
    /// What the vendor has answered, once it has carried it out.
    answer: Option<Answer>,
}

pub struct Hands {
    pub plan: Plan,
    pub store: Store,
    pub now_ms: i64,
    pub random: Random,
    pub worlds: BTreeMap<String, World>,
    pub trouble: Trouble,
    /// What happened, line by line.
    pub told: Vec<String>,
    pub deaths: usize,
    lives: BTreeMap<String, Life>,
    queues: BTreeMap<Key, VecDeque<Start>>,
    /// Upserts at work: run, address, identities.
    held: Vec<(String, String, Vec<String>)>,
    /// By run and address: not before.
    refused: BTreeMap<(String, String), i64>,
    made: u64,
}

impl Hands {
    pub fn new(plan: Plan, store: Store, random: Random, now_ms: i64) -> Hands {
        let worlds = ["shop", "desk"].map(|name| (name.to_owned(), World::new(BTreeMap::new(), BTreeMap::new())));
        Hands {
            plan,
            store,
            now_ms,
            random,
            worlds: worlds.into(),
            trouble: Trouble::default(),
            told: Vec::new(),
            deaths: 0,
            lives: BTreeMap::new(),
            queues: BTreeMap::new(),
            held: Vec::new(),
            refused: BTreeMap::new(),
            made: 0,
        }
    }

    /// Takes a delivery in; acknowledged when this returns.
    pub async fn accept(&mut self, event: Event) -> bool {
        let intake = self.intake(event);
        let runs = intake.runs.clone();
        let accepted = self.store.accept(vec![intake], Vec::new()).await.unwrap();
        if accepted == [Accepted::New] {
            runs.into_iter().for_each(|run| self.enqueue(run));
        }
        accepted == [Accepted::New]
    }

    fn intake(&mut self, event: Event) -> Intake {
        let mut runs = Vec::new();
        let names: Vec<String> = self.plan.hearing().map(|workflow| workflow.name.clone()).collect();
        for name in names {
            let workflow = self.plan.workflow(&name).unwrap();
            let Starts::Event(heard) = &workflow.trigger.starts else { continue };
            let is_of = |alias: &str| {
                let connection = event.connection.as_ref().and_then(|name| self.plan.connection(name));
                let name = workflow.connector_of(alias);
                connection.is_none_or(|connection| name.is_some_and(|name| connection.stands_for(name)))
            };
            if heard
                .iter()
                .any(|heard| heard.object == event.object && heard.kinds.contains(&event.kind) && is_of(&heard.alias))
            {
                self.made += 1;
                let connections = self.plan.bind(workflow, None, None).unwrap();
                runs.push(Start {
                    id: format!("{:06}-{name}", self.made),
                    workflow: name.clone(),
                    tenant: None,
                    order_key: event.record_id.clone().unwrap_or_else(|| event.id.clone()),
                    plan: self.plan.hash.clone(),
                    connections,
                    event: event.clone(),
                    inputs: serde_json::Value::Null,
                    created_ms: self.now_ms,
                });
            }
        }
        Intake { event, runs }
    }

    /// Stands in line; true if it was not there already.
    fn enqueue(&mut self, start: Start) {
        let queue = self.queues.entry((start.workflow.clone(), start.order_key.clone())).or_default();
        if !queue.iter().any(|other| other.id == start.id) {
            queue.push_back(start);
        }
    }

    /// Does one thing that can be done now, as chance has it. False: there is nothing.
    pub async fn step(&mut self) -> Result<bool, Dead> {
        self.call_who_is_due().await;
        self.take_up().await;
        let mut steps = Vec::new();
        for (run, life) in &mut self.lives {
            let is_over = |next: &Next| matches!(next, Next::Wait { until_ms, .. } if *until_ms <= self.now_ms);
            life.is_stale |= life.wanted.iter().any(is_over);
            steps.extend(life.is_stale.then(|| Step::Decide(run.clone())));
            for (at, away) in life.on_its_way.iter().enumerate() {
                steps.push(match away.answer {
                    None => Step::Arrive(run.clone(), at),
                    Some(_) => Step::Answer(run.clone(), at),
                });
            }
        }
        if steps.is_empty() {
            return Ok(false);
        }
        if self.random.below(1_000) < self.trouble.deaths / 5 {
            steps = vec![Step::Die];
        }
        let at = usize::try_from(self.random.below(steps.len() as u64)).unwrap();
        match steps.swap_remove(at) {
            Step::Decide(run) => self.decide(&run).await?,
            Step::Arrive(run, at) => self.arrive(&run, at),
            Step::Answer(run, at) => self.answer(&run, at),
            Step::Die => return Err(Dead),
        }
        Ok(true)
    }

    /// The next instant at which something is due by itself.
    pub async fn next_ms(&self) -> Option<i64> {
        let waits = self.lives.values().flat_map(|life| &life.wanted).filter_map(|next| match next {
            Next::Wait { until_ms, .. } => Some(*until_ms),
            _ => None,
        });
        let parked = self.store.waiting((i64::MIN, 0), 1).await.unwrap();
        waits.chain(parked.first().map(|run| run.due_ms)).min()
    }

    /// What was in memory is gone. Requests on their way arrive at the vendor, or do not.
    pub async fn start_again(&mut self) {
        self.deaths += 1;
        let ways: Vec<(String, usize)> =
            self.lives.iter().flat_map(|(run, life)| (0..life.on_its_way.len()).map(|at| (run.clone(), at))).collect();
        for (run, at) in ways {
            if self.lives[&run].on_its_way[at].answer.is_none() && self.random.below(2) == 0 {
                self.arrive(&run, at);
            }
        }
        self.told.push(format!("{} died, and starts again", self.now_ms));
        (self.lives, self.queues, self.held) = Default::default();
        let mut pending = self.store.pending().await.unwrap();
        let mut at_work = Vec::new();
        for run in &pending {
            let state = State::fold(&self.store.journal(&run.id).await.unwrap());
            if run.has_begun && !state.retried {
                at_work.push(run.seq);
                let turns = state.open_turns();
                self.held.extend(turns.map(|(at, turns)| (run.id.clone(), at.to_owned(), turns.to_vec())));
            }
        }
        pending.sort_by_key(|run| !at_work.contains(&run.seq));
        for run in pending {
            let run = self.store.run(&run.id).await.unwrap().expect("it is pending");
            self.enqueue(run.start);
        }
    }

    /// A person has a dead letter tried again.
    pub async fn retry(&mut self, run: &Start) {
        assert!(self.store.retry(&run.id, "a person", self.now_ms).await.unwrap());
        self.enqueue(run.clone());
    }

    async fn call_who_is_due(&mut self) {
        let mut after = (i64::MIN, 0);
        while let Some(run) = self.store.waiting(after, 1).await.unwrap().pop().filter(|run| run.due_ms <= self.now_ms)
        {
            after = (run.due_ms, run.seq);
            self.enqueue(run.start);
        }
    }

    /// The first of each line is brought into memory.
    async fn take_up(&mut self) {
        let first: Vec<Start> = self.queues.values().filter_map(|queue| queue.front().cloned()).collect();
        for start in first.into_iter().filter(|start| !self.lives.contains_key(&start.id)).collect::<Vec<_>>() {
            let state = State::fold(&self.store.journal(&start.id).await.unwrap());
            let mut life = Life {
                state,
                fresh: Vec::new(),
                kept: Kept::default(),
                is_stale: true,
                wanted: Vec::new(),
                on_its_way: Vec::new(),
                refused: Vec::new(),
                start,
            };
            for fact in life.state.taken_up() {
                life.learn(fact, self.now_ms);
            }
            self.lives.insert(life.start.id.clone(), life);
        }
    }

    async fn decide(&mut self, run: &str) -> Result<(), Dead> {
        let mut life = self.lives.remove(run).unwrap();
        life.is_stale = false;
        loop {
            let Decision { entries, kept, next } = decide(&self.plan, &life.start, &mut life.state, self.now_ms);
            life.fresh.extend(entries);
            life.kept.append(kept);
            if !next.iter().any(Next::is_question) {
                life.state.ask_again();
                life.wanted = next;
                break;
            }
            for question in next {
                match question {
                    Next::Recall { of } => {
                        life.state.recall(self.store.known(&life.start.workflow, &of).await.unwrap());
                    }
                    Next::Receive { address, subscription } => {
                        life.state.receive(address, self.store.message(run, &subscription).await.unwrap());
                    }
                    _ => {}
                }
            }
        }
        let granted = self.grant(&mut life);
        for next in &granted {
            if let Next::Send(send) = next {
                life.fresh.push(life.state.send(send, self.now_ms));
            }
        }
        let parks = match life.wanted.as_slice() {
            [Next::Wait { until_ms, lets_go: true }] => Some(*until_ms),
            _ => None,
        };
        let has_told = !life.kept.messages.is_empty();
        let further = self.commit(&mut life, parks).await;
        if self.random.below(1_000) < self.trouble.deaths {
            self.lives.insert(run.to_owned(), life);
            return Err(Dead);
        }
        further.into_iter().for_each(|run| self.enqueue(run));
        if has_told {
            self.lives.values_mut().for_each(|life| life.is_stale |= life.state.is_subscribed());
        }
        if life.wanted == [Next::Over] || parks.is_some() {
            self.held.retain(|(of, ..)| of != run);
            self.lives.values_mut().for_each(Life::asks_for_turns);
            let key = (life.start.workflow.clone(), life.start.order_key.clone());
            let first = self.queues.get_mut(&key).and_then(VecDeque::pop_front);
            assert!(first.is_some_and(|first| first.id == run), "{run} is at work, and not the first of its line");
            return Ok(());
        }
        for next in granted {
            match next {
                Next::Look(asking) => {
                    let looked = self.store.look(None, &asking).await.unwrap();
                    life.learn(Fact::Looked { address: asking.address, looked }, self.now_ms);
                }
                Next::Send(send) => {
                    self.told.push(format!("{} {run} sends {} {}", self.now_ms, send.operation, send.input));
                    let key = (run.to_owned(), send.address.clone());
                    let until_ms = self.refused.remove(&key).unwrap_or(i64::MIN);
                    assert!(self.now_ms >= until_ms, "{key:?} is sent {} ms too early", until_ms - self.now_ms);
                    life.on_its_way.push(Away { send, answer: None });
                }
                _ => {}
            }
        }
        self.lives.insert(run.to_owned(), life);
        Ok(())
    }

    /// Takes what may be done now from what is wanted: upserts of one identity go one after the other.
    fn grant(&mut self, life: &mut Life) -> Vec<Next> {
        let run = life.start.id.clone();
        let before = self.held.len();
        self.held.retain(|(of, address, turns)| {
            *of != run
                || life.state.holds_turns(address)
                || life.wanted.iter().any(|next| next.turns() == Some((address, turns)))
        });
        if self.held.len() < before {
            self.lives.values_mut().for_each(Life::asks_for_turns);
        }
        let (mut granted, mut later) = (Vec::new(), Vec::new());
        for next in std::mem::take(&mut life.wanted) {
            let has_turn = match next.turns() {
                None => true,
                Some((address, turns)) => {
                    let has_all = |held: &[String]| turns.iter().all(|turn| held.contains(turn));
                    let is_mine = self.held.iter().any(|(of, at, held)| *of == run && at == address && has_all(held));
                    if !is_mine {
                        self.held.retain(|(of, at, _)| *of != run || at != address);
                    }
                    let is_free =
                        |(.., held): &(String, String, Vec<String>)| held.iter().all(|one| !turns.contains(one));
                    if !is_mine && self.held.iter().all(is_free) {
                        self.held.push((run.clone(), address.to_owned(), turns.to_vec()));
                        true
                    } else {
                        is_mine
                    }
                }
            };
            match next {
                Next::Send(_) | Next::Look(_) if has_turn => granted.push(next),
                next => later.push(next),
            }
        }
        life.wanted = later;
        granted
    }

    /// Makes what is fresh durable; gives the runs that it starts.
    async fn commit(&mut self, life: &mut Life, parks: Option<i64>) -> Vec<Start> {
        let mut kept = std::mem::take(&mut life.kept);
        let entries = std::mem::take(&mut life.fresh);
        let emitted = std::mem::take(&mut kept.emitted);
        let intakes: Vec<Intake> = emitted.into_iter().map(|event| self.intake(event)).collect();
        let further = intakes.iter().flat_map(|intake| intake.runs.clone()).collect();
        if entries.is_empty() && parks.is_none() {
            return further;
        }
        let due_ms = match life.wanted.as_slice() {
            [Next::Wait { until_ms, .. }] if !life.state.is_on_its_way() => *until_ms,
            _ => 0,
        };
        let commit = Commit {
            run: life.start.id.clone(),
            length: life.state.length - entries.len(),
            entries,
            due_ms,
            parked: parks.is_some(),
            subscriptions: if parks.is_some() { life.state.subscriptions() } else { Vec::new() },
            ending: life.state.ending.clone(),
            kept,
            intakes,
        };
        self.store.commit(commit).await.unwrap();
        let run = &life.start.id;
        self.refused.extend(life.refused.drain(..).map(|(address, until_ms)| ((run.clone(), address), until_ms)));
        further
    }

    fn arrive(&mut self, run: &str, at: usize) {
        let send = self.lives[run].on_its_way[at].send.clone();
        let is_create = send.operation.ends_with(".create");
        let happens = match self.random.below(1_000) {
            chance if is_create && chance < self.trouble.lost_creates => Happens::TimeoutAfterWrite,
            chance if chance >= self.trouble.faults => Happens::Ok,
            _ => match self.random.below(5) {
                0 => Happens::Timeout,
                1 => Happens::TimeoutAfterWrite,
                2 => refusal(500, Vec::new()),
                3 => refusal(429, vec![("retry-after".to_owned(), (1 + self.random.below(90)).to_string())]),
                _ => refusal(503, Vec::new()),
            },
        };
        let world = self.worlds.get_mut(&send.connection).unwrap();
        world.next(&send.operation, happens.clone());
        let answer = world.send(&self.plan, &send);
        self.told.push(format!("{} {run} {}: {happens:?}", self.now_ms, send.operation));
        self.lives.get_mut(run).unwrap().on_its_way[at].answer = Some(answer);
    }

    fn answer(&mut self, run: &str, at: usize) {
        let life = self.lives.get_mut(run).unwrap();
        let Away { send, answer } = life.on_its_way.remove(at);
        let answer = answer.unwrap();
        if let Answer::Failed(Failure { retry_after_ms: Some(pause), .. }) = &answer {
            let until_ms = self.now_ms + i64::try_from(*pause).unwrap();
            life.refused.push((send.address.clone(), until_ms));
        }
        life.learn(send.answered(answer, None), self.now_ms);
    }
}

impl Life {
    fn learn(&mut self, fact: Fact, now_ms: i64) {
        let entry = Entry { at_ms: now_ms, fact };
        self.state.apply(&entry);
        self.fresh.push(entry);
        self.is_stale = true;
    }

    /// A turn has become free, which it may want.
    fn asks_for_turns(&mut self) {
        self.is_stale |= self.wanted.iter().any(|next| next.turns().is_some());
    }
}

fn refusal(status: u16, headers: Vec<(String, String)>) -> Happens {
    Happens::Answer { status, body: serde_json::json!({ "message": "not now" }), headers }
}
