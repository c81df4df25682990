//! The story of one run: its journal in the order of time, in plain words.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{count, difference, shown};
use crate::connector::Failure;
use crate::project::Plan;
use crate::run::{Answer, Ending, Entry, Fact, Purpose, Sent};
use crate::source::Place;
use crate::store::{self, Run, Status, Store};
use crate::sync::Compared;
use crate::workflow::action::{Action, Kind};
use crate::workflow::{Outcome, Workflow};

/// A run with all that was written down about it.
pub struct Story {
    pub run: Run,
    journal: Vec<Entry>,
    /// None: this program can no longer read it, which costs the actions' names, not the story.
    plan: Option<Arc<Plan>>,
    /// Why the steps are left out.
    pub unreadable: Option<String>,
}

/// A line of a story.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// None: at the same time as the one before.
    pub at_ms: Option<i64>,
    /// 0: of the run, or the name of an action; 1: what became of the action; 2: a value, or a part of it.
    pub depth: u8,
    pub text: String,
    /// It may be cut where there is no room.
    pub is_value: bool,
    /// What was sent, where a line tells of that.
    pub request: Option<Asked>,
}

/// A request as the documents of then say it: without its credential, which is attached last, and without other secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub method: String,
    pub url: String,
    pub body: Option<Value>,
}

impl Story {
    /// `plan`: the one that it began with, if that can be read.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(store: &Store, run: Run, plan: Option<Arc<Plan>>) -> Result<Story, store::Error> {
        let (journal, unreadable) = match store.journal(&run.start.id).await {
            Err(error @ store::Error::Unreadable(_)) => (Vec::new(), Some(error.to_string())),
            journal => (journal?, None),
        };
        Ok(Story { run, journal, plan, unreadable })
    }

    /// What is known before it begins, each with its name.
    pub fn head(&self) -> Vec<(&'static str, String)> {
        let start = &self.run.start;
        let mut head = vec![("id", start.id.clone())];
        if let Some((_, workflow)) = self.known().0 {
            head.push(("file", workflow.place.path.to_string()));
        }
        if let Some(tenant) = &start.tenant {
            head.push(("tenant", tenant.clone()));
        }
        head.push(("about", shown::about(start)));
        let event = &start.event;
        if !["manual", "schedule"].contains(&event.source.as_str()) {
            head.push(("event", format!("{} from {}, id {}", event.kind, event.source, event.id)));
        }
        if let Some(id) = &event.replay_of {
            head.push(("replay of", id.clone()));
        }
        for (what, value) in [("record", &event.record), ("body", &event.body), ("inputs", &start.inputs)] {
            if !value.is_null() {
                head.push((what, shown::line(value)));
            }
        }
        let sent = self.journal.iter().filter(|entry| matches!(entry.fact, Fact::Sent(_))).count();
        let ended_ms = self.run.ended_ms;
        let took = ended_ms.map_or_else(String::new, |ended| format!(" in {}", shown::span(ended - start.created_ms)));
        head.push(("work", format!("{}{took}", count(sent, "request"))));
        head
    }

    /// Its steps, oldest first. `now_ms`: for what is still to come.
    pub fn lines(&self, now_ms: i64) -> Vec<Line> {
        let mut teller = Teller { known: self.known(), at: String::new(), shown: Value::Null, lines: Vec::new() };
        teller.line(self.run.start.created_ms, 0, "accepted");
        for entry in &self.journal {
            teller.entry(entry);
        }
        if self.run.status == Status::Pending {
            teller.pending(&self.run, now_ms);
        }
        teller.lines
    }

    fn known(&self) -> Known<'_> {
        Known::of(self.plan.as_deref(), &self.run.start.workflow)
    }

    /// The same as JSON, with nothing shortened.
    pub fn as_value(&self) -> Value {
        let run = &self.run;
        let mut told = shown::run(run);
        told.insert("connections".into(), json!(run.start.connections));
        told.insert("plan".into(), json!(run.start.plan));
        told.insert("inputs".into(), shown::concealed(&run.start.inputs));
        told.insert("event".into(), shown::concealed(&json!(run.start.event)));
        told.insert("journal".into(), self.entries(0, usize::MAX).into());
        Value::Object(told)
    }

    /// How many entries its journal has.
    pub fn length(&self) -> usize {
        self.journal.len()
    }

    /// Some entries of its journal as JSON, with nothing shortened.
    pub fn entries(&self, from: usize, limit: usize) -> Vec<Value> {
        let known = self.known();
        let entry = |entry: &Entry| {
            let mut told = Map::new();
            told.insert("at".into(), json!(shown::instant(entry.at_ms)));
            if let Value::Object(fact) = shown::concealed(&json!(entry.fact)) {
                let address = fact.values().next().and_then(|fact| fact.get("address")).and_then(Value::as_str);
                let action = address.and_then(|address| known.action(address));
                told.insert("action".into(), json!(action.map(name)));
                let value = entry.fact.failure().and_then(|(address, failure)| known.place(address, failure));
                let place = value.or_else(|| action.map(|action| action.place.clone()));
                told.insert("place".into(), json!(place.map(|place| place.to_string())));
                if let Fact::Sent(sent) = &entry.fact
                    && let Some(Asked { method, url, body }) = known.asked(sent)
                {
                    told.insert("request".into(), json!({ "method": method, "url": url, "body": body }));
                }
                told.extend(fact);
            }
            Value::Object(told)
        };
        self.journal.iter().skip(from).take(limit).map(entry).collect()
    }
}

/// The workflow of the run, in the version that it runs on, if that can be read.
#[derive(Clone, Copy)]
struct Known<'a>(Option<(&'a Plan, &'a Workflow)>);

impl<'a> Known<'a> {
    fn of(plan: Option<&'a Plan>, workflow: &str) -> Self {
        Self(plan.and_then(|plan| Some((plan, plan.workflow(workflow)?))))
    }

    fn action(&self, address: &str) -> Option<&'a Action> {
        let (plan, workflow) = self.0?;
        plan.action_at(workflow, address)
    }

    fn asked(&self, sent: &Sent) -> Option<Asked> {
        let (plan, _) = self.0?;
        let connection = plan.connection(&sent.connection)?;
        let connector = plan.connector(&connection.connector)?;
        let operation = connector.operation(&sent.operation)?;
        let request = operation.request(connector, &connection.settings, &sent.input, &sent.page).ok()?;
        let body = request.body.as_ref().map(|body| shown::concealed(&body.told()));
        Some(Asked { method: request.method, url: shown::uncovered(&request.url), body })
    }

    /// Where a value stands that could not be made.
    fn place(&self, address: &str, failure: &Failure) -> Option<Place> {
        let (plan, workflow) = self.0?;
        failure.at.as_deref().map(|at| plan.place_of(workflow, address, Some(at)))
    }
}

/// Tells entries one by one, and remembers what has been said.
struct Teller<'a> {
    known: Known<'a>,
    /// The address that the last lines were about.
    at: String,
    /// The value that was shown last.
    shown: Value,
    lines: Vec<Line>,
}

impl Teller<'_> {
    fn entry(&mut self, entry: &Entry) {
        let ms = entry.at_ms;
        match &entry.fact {
            Fact::Started {} => self.line(ms, 0, "begun"),
            Fact::Retried { by } => self.line(ms, 0, &format!("tried again by {by}")),
            Fact::Ended { ending } => self.ended(ms, ending),
            Fact::Compared(compared) => {
                let told = match (&compared.nothing, compared.changed.is_empty()) {
                    (Some(why), _) => why.clone(),
                    (None, true) => format!("the record was {}", compared.kind),
                    (None, false) => format!("the record was {}: {}", compared.kind, compared.changed.join(", ")),
                };
                self.line(ms, 0, &told);
            }
            Fact::Chose { address, branch } => self.under(ms, address, &format!("goes on with `{branch}`")),
            Fact::Entered { address, inputs } => {
                self.under(ms, address, "begins");
                self.value("with ", inputs);
            }
            Fact::Listed { address, items } => self.under(ms, address, &count(items.len(), "item")),
            Fact::Sent(sent) => {
                let attempt = if sent.attempt > 1 { format!(", attempt {}", sent.attempt) } else { String::new() };
                let page = if sent.page.next.is_some() { ", next page" } else { "" };
                let what = purpose(&sent.purpose);
                self.under(
                    ms,
                    &sent.address,
                    &format!("{what}{} at {}{page}{attempt}", sent.operation, sent.connection),
                );
                if let Some(line) = self.lines.last_mut() {
                    line.request = self.known.asked(sent);
                }
                self.value("with ", &sent.input);
            }
            Fact::Answered { address, answer, status, .. } => match answer {
                Answer::Done { value, next } => {
                    let more = if next.is_some() { ", and there is more" } else { "" };
                    let status = status.map_or_else(String::new, |status| format!(" {status}"));
                    self.under(ms, address, &format!("answered{status}: {}{more}", gist(value)));
                    if !value.is_array() {
                        self.value("", value);
                    }
                }
                Answer::Failed(why) => self.under(ms, address, &format!("answered: {}", self.failure(address, why))),
            },
            Fact::Forgot { address } => self.under(ms, address, "taken up again: searches anew"),
            Fact::Looked { address, looked } => {
                let found = &looked.found;
                let told =
                    found.as_ref().map_or("no pair is known yet".into(), |id| format!("its pair is known: {id}"));
                self.under(ms, address, &told);
            }
            Fact::Paused { address, until_ms, why } => {
                let why = shown::uncovered(why);
                let told = format!("waits {}, until {}: {why}", shown::span(until_ms - ms), shown::clock(*until_ms));
                self.under(ms, address, &told);
            }
            Fact::Resumed { address } => self.under(ms, address, "goes on"),
            Fact::Waits { address, until_ms } => {
                let told = format!("waits {}, until {}", shown::span(until_ms - ms), shown::minute(*until_ms));
                self.under(ms, address, &told);
            }
            Fact::Subscribed { address, until_ms, .. } => {
                let told = format!("waits {} at most, until {}", shown::span(until_ms - ms), shown::minute(*until_ms));
                self.under(ms, address, &told);
            }
            Fact::Received { address, .. } => self.under(ms, address, "what it waits for has come"),
            Fact::Rescued { address, action, failure: why } if address == "workflow" => {
                let why = self.failure(action, why);
                let told = format!("{} has failed: {why}; `on_error` is done", self.short(action));
                self.line(ms, 0, &told);
            }
            Fact::Rescued { address, action, failure: why } => {
                let why = self.failure(action, why);
                self.under(ms, address, &format!("has failed: {why}; `on_error` stands in for it"));
            }
            // A turn of a loop is over: its actions have said so.
            Fact::Finished { address, .. } if address.ends_with(']') => {}
            Fact::Finished { address, outcome, result, failure: why, warnings } => {
                let why = why.as_ref().map_or_else(String::new, |why| format!(": {}", self.failure(address, why)));
                let is_sync = self.known.action(address).is_some_and(|one| matches!(one.kind, Kind::Reconcile(_)));
                // A sync says itself why nothing is done.
                let told = result.get("why").and_then(Value::as_str).filter(|_| is_sync);
                let told = told.map_or_else(String::new, |told| format!(": {told}"));
                self.under(ms, address, &format!("{}{why}{told}", outcome.word()));
                if is_sync {
                    self.compared(result, *outcome == Outcome::Created);
                } else if !result.is_null() && !result.is_array() {
                    self.value("gives ", result);
                }
                for warning in warnings {
                    self.below(1, format!("warning: {warning}"));
                }
            }
        }
    }

    /// What a sync has found in two records, field by field.
    fn compared(&mut self, result: &Value, is_create: bool) {
        let fields: Vec<Compared> = serde_json::from_value(result["fields"].clone()).unwrap_or_default();
        for told in fields.iter().filter_map(|field| difference(field, is_create)) {
            self.below(2, told);
        }
    }

    fn ended(&mut self, ms: i64, ending: &Ending) {
        if let Ending::Failed { address, .. } = ending {
            let action = self.short(address);
            self.line(ms, 0, &format!("{} ({action})", shown::ending(ending)));
        } else {
            self.line(ms, 0, &shown::ending(ending));
        }
    }

    fn pending(&mut self, run: &Run, now_ms: i64) {
        let told = if run.due_ms > now_ms {
            format!("not over: goes on in {}, at {}", shown::span(run.due_ms - now_ms), shown::minute(run.due_ms))
        } else {
            "not over: goes on as soon as `dovetail serve` runs and its turn comes".into()
        };
        self.below(0, told);
    }

    /// A line below the name of its action, which is said when it changes.
    fn under(&mut self, ms: i64, address: &str, text: &str) {
        // What a workflow that is run begins with is told of the action that runs it.
        let address = address.strip_suffix("/run").unwrap_or(address);
        if self.at != address {
            let title = self.title(address);
            self.line(ms, 0, &title);
            self.at = address.to_string();
        }
        self.line(ms, 1, text);
    }

    fn line(&mut self, ms: i64, depth: u8, text: &str) {
        if depth == 0 {
            self.at.clear();
        }
        self.lines.push(Line { at_ms: Some(ms), depth, text: text.to_owned(), is_value: false, request: None });
    }

    fn below(&mut self, depth: u8, text: String) {
        self.lines.push(Line { at_ms: None, depth, text, is_value: false, request: None });
    }

    fn value(&mut self, what: &str, value: &Value) {
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if !empty && self.shown != *value {
            self.shown = value.clone();
            let text = format!("{what}{}", shown::line(value));
            self.lines.push(Line { at_ms: None, depth: 2, text, is_value: true, request: None });
        }
    }

    /// An action with its verb and its line; what is read before the first one in words.
    fn title(&self, address: &str) -> String {
        let turn = turn(address);
        if let Some(action) = self.known.action(address) {
            return format!("{}{turn} ({})", name(action), action.place);
        }
        match address.split('/').collect::<Vec<_>>().as_slice() {
            ["event"] => "the record that the event is about".into(),
            ["include", name @ ..] => format!("include {}", name.join("/")),
            [.., "names", alias, object, list] => format!("names of `{list}` of {alias}.{object}"),
            _ => address.into(),
        }
    }

    fn failure(&self, address: &str, failure: &Failure) -> String {
        let status = failure.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
        let place = self.known.place(address, failure).map_or_else(String::new, |place| format!(" ({place})"));
        shown::uncovered(&format!("{failure}{status}")) + &place
    }

    fn short(&self, address: &str) -> String {
        let action = self.known.action(address);
        action.map_or_else(|| self.title(address), |action| format!("{}{}", name(action), turn(address)))
    }
}

/// `person: upsert os.contact`
fn name(action: &Action) -> String {
    let title = action.title();
    action.id.as_ref().map_or(title.clone(), |id| format!("{id}: {title}"))
}

/// The turns of the loops that an address stands in: ` for item 4`.
fn turn(address: &str) -> String {
    let turns = address.split('[').skip(1).filter_map(|part| part.split_once(']')?.0.parse::<usize>().ok());
    let turns: Vec<String> = turns.map(|index| (index + 1).to_string()).collect();
    if turns.is_empty() { String::new() } else { format!(", item {}", turns.join(" of item ")) }
}

fn purpose(purpose: &Purpose) -> String {
    match purpose {
        Purpose::Call => String::new(),
        Purpose::Read | Purpose::Get => "reads: ".into(),
        Purpose::Find { field } => format!("looks for it by {field}: "),
        Purpose::Create => "creates: ".into(),
        Purpose::Update => "changes: ".into(),
        Purpose::LookUp { .. } => "looks whether it was carried out after all: ".into(),
        Purpose::Names { list, .. } => format!("reads the names of `{list}`: "),
        Purpose::Confirm => "reads back what was written: ".into(),
    }
}

fn gist(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Array(items) => count(items.len(), "record"),
        _ => "done".into(),
    }
}
