//! One case lived through: decide, commit, send; with a crash where it is wanted, and answers in the order that is wanted.

use std::collections::BTreeMap;
use std::fmt::Write;

use dovetail::project::{Plan, Text, read};
use dovetail::run::{
    Answer, Decision, Ending, Entry, Fact, Kept, Known, Link, Next, RecordRef, Send, Start, State, decide,
};
use dovetail::trigger::Event;
use dovetail::workflow::Looked;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::heard::{Heard, Messages};
use crate::random::Random;
use crate::world::{Happens, Records, World};

/// More steps than any case has: a run that goes on beyond would never end.
const STEPS_MAX: usize = 300;
/// Marks a request that was sent while another one was on its way.
const BESIDE: &str = "& ";
const BEGIN_MS: i64 = 1_800_000_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case is about, in a sentence.
    pub why: String,
    /// The workflow; its aliases stand for the connections of `project/`.
    workflow: Value,
    /// Further workflows of the project, which the first one runs.
    #[serde(default)]
    others: Vec<Value>,
    /// Laid over an event about a created contact. Without it the run is by hand.
    event: Option<Value>,
    #[serde(default)]
    inputs: Value,
    /// What the vendor holds before.
    #[serde(default)]
    records: Records,
    /// Operation → what happens to its requests instead of what should.
    #[serde(default)]
    script: BTreeMap<String, Vec<Happens>>,
    /// Pairs known before: `[contact, c1, contact, c2]`, the first at `shop`, the second at `desk`.
    #[serde(default)]
    links: Vec<[String; 4]>,
    /// Copies that the workflow was told before, as `contact.get` gave them.
    #[serde(default)]
    known: Vec<Value>,
    /// What the listeners of the case hear, in the order of time.
    #[serde(default)]
    heard: Vec<Heard>,
    /// A person retries the dead letter, once per entry, after changing these records at the vendor.
    #[serde(default)]
    retries: Vec<Records>,
    /// False: a crash does make a difference, as `why` says.
    #[serde(default = "yes")]
    pub crashes: bool,
    /// False: it does make a difference which of several requests is answered first, as `why` says.
    #[serde(default = "yes")]
    pub any_order: bool,
    /// Requests, how it ended, and what the vendor holds then.
    pub expect: String,
}

fn yes() -> bool {
    true
}

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

/// How a life went.
pub struct Life {
    pub steps: usize,
    requests: Vec<String>,
    endings: Vec<String>,
    /// Events of the project.
    emitted: Vec<String>,
    world: World,
    /// Carried out, and not answered yet.
    on_their_way: Vec<(Box<Send>, Answer)>,
    /// Actions at an upsert, with its identities.
    held: Vec<(String, Vec<String>)>,
    random: Random,
    links: Vec<Link>,
    /// By record: what the workflow was told.
    known: BTreeMap<String, Known>,
}

impl Life {
    /// The whole story.
    pub fn told(&self) -> String {
        let requests: String = self.requests.iter().map(|request| format!("{request}\n")).collect();
        requests + &self.outcome()
    }

    /// Were several requests on their way at the same time?
    pub fn is_crowded(&self) -> bool {
        self.requests.iter().any(|request| request.starts_with(BESIDE))
    }

    /// What must be the same whatever happened on the way; where several requests were on their way, apart from the order
    /// of records and the ids that it gave them.
    pub fn compared(&self, crowded: bool) -> String {
        if !crowded {
            return self.outcome();
        }
        let mut lines: Vec<String> = self.outcome().lines().map(without_made_id).collect();
        lines.sort();
        lines.join("\n") + "\n"
    }

    fn outcome(&self) -> String {
        let mut told = self.endings.last().map(|ending| format!("{ending}\n")).unwrap_or_default();
        for event in &self.emitted {
            let _ = writeln!(told, "{event}");
        }
        for (object, records) in &self.world.records {
            for record in records {
                let _ = writeln!(told, "{object} {record}");
            }
        }
        for link in &self.links {
            let name = |of: &RecordRef| format!("{}.{} {}", of.connection, of.object, of.id);
            let _ = writeln!(told, "{} = {}", name(&link.left), name(&link.right));
        }
        told
    }
}

pub fn live(case: &Case, plan: &Plan, crash: Option<Crash>, order: Order) -> Life {
    let start = start(case, plan);
    let mut life = Life::begin(case, order);
    let messages = Messages::of(&case.heard, plan, BEGIN_MS);
    let mut retries = case.retries.iter();
    let mut journal: Vec<Entry> = Vec::new();
    let mut learnt: Vec<Entry> = Vec::new();
    let mut state = State::fold(&journal);
    let mut now_ms = BEGIN_MS;
    loop {
        assert!(life.steps < STEPS_MAX, "{}: it never ends\n{}", case.why, life.told());
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
                    life.endings.push(told(&ending));
                    let Some(records) = retries.next().filter(|_| matches!(ending, Ending::Failed { .. })) else {
                        return life;
                    };
                    life.requests.push(life.endings.last().cloned().unwrap_or_default());
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
                    let found = partner(&life.links, &asking.of, &asking.connection, &asking.object);
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
                    now_ms = wait_ms.unwrap_or_else(|| panic!("{}: nothing is left to do\n{}", case.why, life.told()));
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
        let link = |[left, one, right, two]: &[String; 4]| {
            let of = |connection: &str, object: &String, id: &String| RecordRef {
                connection: connection.into(),
                object: object.clone(),
                id: id.clone(),
            };
            Link { tenant: None, left: of("shop", left, one), right: of("desk", right, two) }
        };
        Life {
            steps: 0,
            requests: Vec::new(),
            endings: Vec::new(),
            emitted: Vec::new(),
            world: World::new(case.records.clone(), case.script.clone()),
            on_their_way: Vec::new(),
            held: Vec::new(),
            random: Random::of(if let Order::Any(seed) = order { seed } else { 0 }),
            links: case.links.iter().map(link).collect(),
            known: case.known.iter().map(known).collect(),
        }
    }

    fn warn(&mut self, entries: &[Entry]) {
        for entry in entries {
            if let Fact::Finished { warnings, .. } = &entry.fact {
                self.requests.extend(warnings.iter().map(|warning| format!("  ! {warning}")));
            }
        }
    }

    fn keep(&mut self, kept: Kept) {
        self.links.retain(|link| !kept.unlink.contains(link));
        self.links.extend(kept.link.into_iter().map(|(_, link)| link));
        self.emitted.extend(kept.emitted.iter().map(|event| format!("emitted {} {}", event.kind, event.body)));
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
        let beside = if self.on_their_way.is_empty() { "" } else { BESIDE };
        self.requests.push(format!("{beside}{}", line(&send)));
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

/// `note {"id":"note-1",…}` without the id that the vendor made.
fn without_made_id(line: &str) -> String {
    let read = line.split_once(' ').and_then(|(object, record)| {
        let mut record: Value = serde_json::from_str(record).ok()?;
        let made = record["id"].as_str()?.starts_with(&format!("{object}-"));
        record.as_object_mut()?.retain(|name, _| name != "id" || !made);
        Some(format!("{object} {record}"))
    });
    read.unwrap_or_else(|| line.to_owned())
}

fn known(record: &Value) -> (String, Known) {
    let read_with = Some("contact.get".into());
    let known = Known { record: record.clone(), read_with, gone: false, version: 1 };
    (record["id"].as_str().unwrap_or_default().into(), known)
}

fn line(send: &Send) -> String {
    let look = if send.look { "look: " } else { "" };
    let page = send.page.next.as_ref().map(|page| format!(" page {page}")).unwrap_or_default();
    format!("{look}{} {}{page}", send.operation, send.input)
}

fn told(ending: &Ending) -> String {
    match ending {
        Ending::Completed { value: Value::Null } => "-- completed".into(),
        Ending::Completed { value } => format!("-- completed: {value}"),
        Ending::Skipped { why } => format!("-- skipped: {why}"),
        Ending::Failed { address, failure, .. } => format!("-- failed at {address}: {failure}"),
        Ending::Dropped { .. } => "-- dropped".into(),
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

pub fn plan(case: &Case) -> Plan {
    let shared = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
    let mut texts = vec![
        shared("dovetail.yaml", include_str!("../cases/run/project/dovetail.yaml")),
        shared("connectors/crm.yaml", include_str!("../cases/run/project/crm.yaml")),
        Text { path: "workflows/case.yaml".into(), text: serde_yaml::to_string(&case.workflow).unwrap() },
    ];
    texts.extend(case.others.iter().enumerate().map(|(index, other)| Text {
        path: format!("workflows/other-{index}.yaml"),
        text: serde_yaml::to_string(other).unwrap(),
    }));
    let loaded = read(&texts, &[], None);
    let files: Vec<_> = loaded.files.iter().collect();
    loaded.plan.unwrap_or_else(|| {
        let report = dovetail::source::render_text(&loaded.report, &files, false);
        panic!("{}\n{report}", case.why)
    })
}

fn start(case: &Case, plan: &Plan) -> Start {
    let mut event = json!({ "id": "1", "source": "case", "type": "created", "time_ms": BEGIN_MS });
    if let Some(written) = &case.event {
        event["connection"] = json!("shop");
        event["object"] = json!("contact");
        event["record_id"] = written["record"]["id"].clone();
        event.as_object_mut().unwrap().extend(written.as_object().unwrap().clone());
    }
    let event: Event = serde_json::from_value(event).unwrap();
    // Of a sync the half that hears of the shop's contacts.
    let workflow = plan.workflow("case").or_else(|| plan.workflow("case/shop.contact")).unwrap();
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
