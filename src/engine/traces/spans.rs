//! The spans of a run, made of its journal: names, ids and instants. No value of a record is ever read.
//!
//! ```text
//!  run ─▶ action ─▶ action inside it ─▶ request, one for each attempt
//!                                    ─▶ wait: what it waited for, and how long
//! ```
//! All ids follow from the journal: whoever makes them anew makes the same ones.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::connector::Failure;
use crate::project::Plan;
use crate::run::{Answer, Ending, Entry, Fact, Outcome, Purpose, Sent, WORKFLOW};
use crate::store::Status;
use crate::trigger::Traceparent;
use crate::workflow::Workflow;

/// Spans of one run; what begins later is left out.
const SPANS_MAX: usize = 1_000;
/// What is told to have happened in one span.
const HAPPENINGS_MAX: usize = 100;

pub(super) type Attribute = (&'static str, Value);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u64),
}

/// How it went, by the protocol's numbers. Only a run is said to be good: of a request the conventions leave that unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Unset = 0,
    Good = 1,
    Failed = 2,
}

/// What a span is, by the protocol's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Action = 1,
    Request = 3,
    Run = 5,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub trace: [u8; 16],
    pub id: [u8; 8],
    pub parent: Option<[u8; 8]>,
    pub name: String,
    pub kind: Kind,
    pub from_ms: i64,
    pub until_ms: i64,
    pub attributes: Vec<Attribute>,
    pub happenings: Vec<Happening>,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    pub at_ms: i64,
    pub name: &'static str,
    pub attributes: Vec<Attribute>,
}

/// The run that a trace is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub run: &'a str,
    pub workflow: &'a str,
    pub accepted_ms: i64,
    /// What its event's sender was doing.
    pub parent: Option<Traceparent>,
    /// The version that it ran on, if that is known.
    pub plan: Option<&'a Plan>,
}

/// The id of a run's trace: that of the event's sender, else the run's own.
pub(super) fn trace(run: &str, parent: Option<Traceparent>) -> [u8; 16] {
    let own = || Uuid::parse_str(run).map_or_else(|_| id(&[run]), Uuid::into_bytes);
    parent.map_or_else(own, |parent| parent.trace)
}

/// The id of the span of a request whose entry stands at this place of the journal.
pub(super) fn of_request(run: &str, place: usize) -> [u8; 8] {
    id(&[run, "request", &place.to_string()])
}

/// The spans since the run ended before, if it did: what was told then is not told again.
pub(super) fn spans(about: About<'_>, journal: &[Entry]) -> Vec<Span> {
    let (past, new) = journal.split_at(begin(journal));
    let times = past.iter().filter(|entry| matches!(entry.fact, Fact::Ended { .. })).count();
    let mut making = Making::new(about, times, new.first());
    for (index, entry) in new.iter().enumerate() {
        making.take(past.len() + index, entry);
    }
    making.made()
}

/// Where the part begins that has not been told.
fn begin(journal: &[Entry]) -> usize {
    let told = journal.split_last().map_or(&[][..], |(_, before)| before);
    told.iter().rposition(|entry| matches!(entry.fact, Fact::Ended { .. })).map_or(0, |index| index + 1)
}

struct Making<'a> {
    about: About<'a>,
    workflow: Option<&'a Workflow>,
    trace: [u8; 16],
    /// How often the run had ended before.
    times: String,
    run: Span,
    /// By address.
    actions: BTreeMap<&'a str, Span>,
    requests: Vec<Requested<'a>>,
    /// By address: what it waits for still.
    open: BTreeMap<&'a str, Span>,
    /// What was waited for, and where.
    waits: Vec<(&'a str, Span)>,
}

/// A request, and which answer is its own.
struct Requested<'a> {
    sent: &'a Sent,
    span: Span,
    is_open: bool,
}

impl<'a> Making<'a> {
    fn new(about: About<'a>, times: usize, first: Option<&Entry>) -> Self {
        let trace = trace(about.run, about.parent);
        let root = |times: usize| id(&[about.run, &times.to_string()]);
        let from_ms = match first {
            Some(first) if times > 0 => first.at_ms,
            _ => about.accepted_ms,
        };
        let run = Span {
            trace,
            id: root(times),
            parent: if times > 0 { Some(root(0)) } else { about.parent.map(|parent| parent.span) },
            name: about.workflow.to_owned(),
            kind: Kind::Run,
            from_ms,
            until_ms: from_ms,
            attributes: whose(about),
            happenings: Vec::new(),
            verdict: Verdict::Unset,
        };
        let workflow = about.plan.and_then(|plan| plan.workflow(about.workflow));
        let (actions, requests, open, waits) = (BTreeMap::new(), Vec::new(), BTreeMap::new(), Vec::new());
        Self { about, workflow, trace, times: times.to_string(), run, actions, requests, open, waits }
    }

    fn take(&mut self, index: usize, entry: &'a Entry) {
        let at_ms = entry.at_ms;
        self.run.until_ms = self.run.until_ms.max(at_ms);
        if let Some(address) = address(&entry.fact) {
            let span = self.at(address, at_ms);
            span.until_ms = span.until_ms.max(at_ms);
            self.goes_on(address, at_ms);
        }
        match &entry.fact {
            Fact::Started {} => happened(&mut self.run, at_ms, "started", Vec::new()),
            Fact::Retried { .. } => happened(&mut self.run, at_ms, "retried", Vec::new()),
            Fact::Paused { address, until_ms, .. } => self.waits(index, address, at_ms, "pause", *until_ms),
            Fact::Waits { address, until_ms } => self.waits(index, address, at_ms, "wait", *until_ms),
            Fact::Subscribed { address, until_ms, .. } => {
                self.waits(index, address, at_ms, "wait for an event", *until_ms);
            }
            Fact::Resumed { address } => happened(self.at(address, at_ms), at_ms, "resumed", Vec::new()),
            Fact::Received { address, .. } => happened(self.at(address, at_ms), at_ms, "received", Vec::new()),
            Fact::Rescued { address, failure, .. } => {
                let why = vec![("error.type", Value::Text(failure.name.clone()))];
                happened(self.at(address, at_ms), at_ms, "on_error", why);
            }
            Fact::Finished { address, outcome, failure, .. } => {
                let span = self.at(address, at_ms);
                span.attributes.push(("dovetail.outcome", Value::Text(word(*outcome))));
                if let Some(failure) = failure {
                    fail(span, failure);
                }
            }
            Fact::Sent(sent) => {
                self.was_held_back(index, sent, at_ms);
                let span = self.request(index, sent, at_ms);
                self.requests.push(Requested { sent, span, is_open: true });
            }
            Fact::Answered { address, exchange, attempt, look, answer, .. } => {
                self.answered((address, *exchange, *attempt, *look), at_ms, answer);
            }
            Fact::Ended { ending } => {
                self.run.attributes.push(("dovetail.status", Value::Text(Status::of(ending).word().to_owned())));
                match ending {
                    Ending::Completed { .. } | Ending::Skipped { .. } => self.run.verdict = Verdict::Good,
                    Ending::Failed { address, failure, .. } => {
                        fail(&mut self.run, failure);
                        fail(self.at(address, at_ms), failure);
                    }
                    // A person has decided that.
                    Ending::Dropped { .. } => {}
                }
            }
            _ => {}
        }
    }

    fn waits(&mut self, index: usize, address: &'a str, at_ms: i64, name: &str, until_ms: i64) {
        let mut span = self.wait(index, name, at_ms);
        let until = chrono::DateTime::from_timestamp_millis(until_ms).map(|until| until.to_rfc3339());
        span.attributes.extend(until.map(|until| ("dovetail.until", Value::Text(until))));
        self.open.insert(address, span);
    }

    /// Something happens at an address: what it waited for is over.
    fn goes_on(&mut self, address: &'a str, at_ms: i64) {
        if let Some(mut span) = self.open.remove(address) {
            span.until_ms = span.until_ms.max(at_ms);
            let action = self.at(address, at_ms);
            action.until_ms = action.until_ms.max(at_ms);
            self.waits.push((address, span));
        }
    }

    /// A limit or a vendor that is down is in no entry of its own: the request says how long it waited.
    fn was_held_back(&mut self, index: usize, sent: &'a Sent, at_ms: i64) {
        if sent.held_ms > 0 {
            let from_ms = at_ms.saturating_sub_unsigned(sent.held_ms);
            let span = Span { until_ms: at_ms, ..self.wait(index, "held back", from_ms) };
            let action = self.at(&sent.address, at_ms);
            action.from_ms = action.from_ms.min(from_ms);
            self.waits.push((&sent.address, span));
        }
    }

    fn wait(&self, index: usize, name: &str, from_ms: i64) -> Span {
        Span {
            trace: self.trace,
            id: id(&[self.about.run, name, &index.to_string()]),
            parent: None,
            name: name.to_owned(),
            kind: Kind::Action,
            from_ms,
            until_ms: from_ms,
            attributes: whose(self.about),
            happenings: Vec::new(),
            verdict: Verdict::Unset,
        }
    }

    /// The span of what stands at an address.
    fn at(&mut self, address: &'a str, at_ms: i64) -> &mut Span {
        if address == WORKFLOW {
            return &mut self.run;
        }
        let (about, trace, times, workflow) = (self.about, self.trace, &self.times, self.workflow);
        self.actions.entry(address).or_insert_with(|| {
            let action = about.plan.zip(workflow).and_then(|(plan, workflow)| plan.action_at(workflow, address));
            let name = match action {
                Some(action) => action.title(),
                // What is read before the first action: `event`, `include`, `names`.
                None => address.split(['/', '[']).next().unwrap_or_default().to_owned(),
            };
            let known = action.and_then(|action| action.id.clone()).unwrap_or_else(|| address.to_owned());
            let mut attributes = whose(about);
            attributes.push(("dovetail.action", Value::Text(known)));
            attributes.push(("dovetail.address", Value::Text(address.to_owned())));
            Span {
                trace,
                id: id(&[about.run, times, address]),
                parent: None,
                name,
                kind: Kind::Action,
                from_ms: at_ms,
                until_ms: at_ms,
                attributes,
                happenings: Vec::new(),
                verdict: Verdict::Unset,
            }
        })
    }

    fn request(&self, index: usize, sent: &Sent, at_ms: i64) -> Span {
        let mut attributes = whose(self.about);
        let mut tell = |name: &'static str, value: &str| attributes.push((name, Value::Text(value.to_owned())));
        tell("dovetail.action", &self.action(&sent.address));
        tell("dovetail.connection", &sent.connection);
        tell("dovetail.operation", &sent.operation);
        let plan = self.about.plan;
        let connection = plan.and_then(|plan| plan.connection(&sent.connection));
        let connector = plan.and_then(|plan| plan.connector_of(&sent.connection));
        let method = connector.and_then(|connector| connector.operation(&sent.operation)).map(|found| &found.method);
        if let Some(method) = method {
            tell("http.request.method", method);
        }
        let url = connector.zip(connection).and_then(|(connector, connection)| connector.url_of(&connection.settings));
        let url = url.and_then(|url| url::Url::parse(&url).ok());
        if let Some(host) = url.as_ref().and_then(url::Url::host_str) {
            tell("server.address", host);
        }
        if let Some(port) = url.as_ref().and_then(url::Url::port_or_known_default) {
            attributes.push(("server.port", Value::Number(port.into())));
        }
        if sent.attempt > 1 {
            attributes.push(("http.request.resend_count", Value::Number((sent.attempt - 1).into())));
        }
        Span {
            trace: self.trace,
            id: of_request(self.about.run, index),
            parent: None,
            name: method.map_or_else(|| sent.operation.clone(), |method| format!("{method} {}", sent.operation)),
            kind: Kind::Request,
            from_ms: at_ms,
            until_ms: at_ms,
            attributes,
            happenings: Vec::new(),
            verdict: Verdict::Unset,
        }
    }

    fn action(&self, address: &str) -> String {
        let found = self.actions.get(address).and_then(|span| attribute(span, "dovetail.action"));
        found.unwrap_or(address).to_owned()
    }

    fn answered(&mut self, of: (&str, u32, u32, bool), at_ms: i64, answer: &Answer) {
        let is_of = |sent: &Sent| {
            let look = matches!(sent.purpose, Purpose::LookUp { .. });
            (sent.address.as_str(), sent.exchange, sent.attempt, look) == of
        };
        let Some(request) = self.requests.iter_mut().rev().find(|one| one.is_open && is_of(one.sent)) else { return };
        request.is_open = false;
        request.span.until_ms = request.span.until_ms.max(at_ms);
        if let Answer::Failed(failure) = answer {
            if let Some(status) = failure.status {
                request.span.attributes.push(("http.response.status_code", Value::Number(status.into())));
            }
            fail(&mut request.span, failure);
        }
    }

    /// Puts each span into the one that it happened in, which lasts at least as long.
    fn made(mut self) -> Vec<Span> {
        let run = self.run.id;
        let unknown = Failure::new("unknown", "");
        let mut requests = Vec::new();
        for address in self.open.keys().copied().collect::<Vec<_>>() {
            self.goes_on(address, self.run.until_ms);
        }
        for (address, mut span) in self.waits {
            span.parent = Some(self.actions.get(address).map_or(run, |action| action.id));
            requests.push(span);
        }
        for Requested { sent, mut span, is_open } in self.requests {
            if is_open {
                fail(&mut span, &unknown);
            }
            span.parent = Some(self.actions.get(sent.address.as_str()).map_or(run, |action| action.id));
            requests.push(span);
        }
        let mut spans = Vec::new();
        // What is inside comes after what it is in.
        let inside_first: Vec<&str> = self.actions.keys().rev().copied().collect();
        for address in inside_first {
            let Some(mut span) = self.actions.remove(address) else { continue };
            let known = above(address).find(|above| self.actions.contains_key(above));
            let parent = known.and_then(|above| self.actions.get_mut(above)).unwrap_or(&mut self.run);
            parent.from_ms = parent.from_ms.min(span.from_ms);
            parent.until_ms = parent.until_ms.max(span.until_ms);
            span.parent = Some(parent.id);
            spans.push(span);
        }
        spans.reverse();
        spans.extend(requests);
        spans.sort_by_key(|span| span.from_ms);
        if spans.len() >= SPANS_MAX {
            let left_out = spans.len() - (SPANS_MAX - 1);
            self.run.attributes.push(("dovetail.spans_left_out", Value::Number(left_out as u64)));
            spans.truncate(SPANS_MAX - 1);
        }
        spans.insert(0, self.run);
        spans
    }
}

/// Where this happens: `actions/2/then/0` is in `actions/2/then`, `actions/2` and `actions`.
fn above(address: &str) -> impl Iterator<Item = &str> {
    address.rmatch_indices(['/', '[']).map(|(at, _)| &address[..at])
}

fn address(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::Sent(sent) => Some(&sent.address),
        Fact::Chose { address, .. }
        | Fact::Listed { address, .. }
        | Fact::Answered { address, .. }
        | Fact::Looked { address, .. }
        | Fact::Forgot { address }
        | Fact::Paused { address, .. }
        | Fact::Resumed { address }
        | Fact::Waits { address, .. }
        | Fact::Subscribed { address, .. }
        | Fact::Received { address, .. }
        | Fact::Entered { address, .. }
        | Fact::Rescued { address, .. }
        | Fact::Finished { address, .. } => Some(address),
        Fact::Started {} | Fact::Compared(_) | Fact::Retried { .. } | Fact::Ended { .. } => None,
    }
}

fn whose(about: About<'_>) -> Vec<Attribute> {
    let text = |text: &str| Value::Text(text.to_owned());
    vec![("dovetail.run", text(about.run)), ("dovetail.workflow", text(about.workflow))]
}

fn attribute<'s>(span: &'s Span, wanted: &str) -> Option<&'s str> {
    span.attributes.iter().find_map(|(name, value)| match value {
        Value::Text(text) if *name == wanted => Some(text.as_str()),
        _ => None,
    })
}

fn happened(span: &mut Span, at_ms: i64, name: &'static str, attributes: Vec<Attribute>) {
    if span.happenings.len() < HAPPENINGS_MAX {
        span.happenings.push(Happening { at_ms, name, attributes });
    }
}

/// Only the name of a failure is told: its message may hold what a vendor said.
fn fail(span: &mut Span, failure: &Failure) {
    if std::mem::replace(&mut span.verdict, Verdict::Failed) != Verdict::Failed {
        span.attributes.push(("error.type", Value::Text(failure.name.clone())));
    }
}

fn word(outcome: Outcome) -> String {
    serde_json::to_value(outcome).ok().and_then(|word| Some(word.as_str()?.to_owned())).unwrap_or_default()
}

/// So many bytes of a hash of these words.
fn id<const N: usize>(words: &[&str]) -> [u8; N] {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    let hash = hash.finalize();
    std::array::from_fn(|index| hash[index])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "01a222e6-3f29-7038-8bc7-1e3a9c5298d9";

    fn made(facts: impl IntoIterator<Item = serde_json::Value>) -> Vec<Span> {
        let entry = |(index, mut fact): (i64, serde_json::Value)| {
            fact["at_ms"] = json!(100 + index);
            serde_json::from_value(fact).unwrap()
        };
        let journal: Vec<Entry> = (0..).zip(facts).map(entry).collect();
        spans(About { run: RUN, workflow: "one", accepted_ms: 50, parent: None, plan: None }, &journal)
    }

    fn sent(address: &str, attempt: u32) -> serde_json::Value {
        json!({ "sent": {
            "address": address, "exchange": 0, "attempt": attempt, "purpose": "call", "connection": "crm",
            "operation": "note.create", "input": { "text": "ada@example.com" },
        } })
    }

    #[test]
    fn what_is_inside_lies_inside_and_ids_stay_the_same() {
        let facts = || {
            [
                json!({ "started": {} }),
                sent("actions/0/branches/a/actions/0", 1),
                json!({ "waits": { "address": "actions/1", "until_ms": 900 } }),
                json!({ "finished": { "address": "actions/0/branches/a/actions/0", "outcome": "done" } }),
                json!({ "finished": { "address": "actions/0", "outcome": "done" } }),
                json!({ "ended": { "ending": { "completed": {} } } }),
            ]
        };
        let spans = made(facts());
        assert_eq!(spans, made(facts()));
        let place = |id: &[u8; 8]| spans.iter().position(|span| span.id == *id).unwrap();
        let seen: Vec<_> = spans
            .iter()
            .map(|span| (span.parent.as_ref().map(place), span.from_ms, span.until_ms, span.verdict))
            .collect();
        // The run, `actions/0`, what is in it, its request without an answer, what waits, and its wait until the run's end.
        let wanted = [
            (None, 50, 105, Verdict::Good),
            (Some(0), 101, 104, Verdict::Unset),
            (Some(1), 101, 103, Verdict::Unset),
            (Some(2), 101, 101, Verdict::Failed),
            (Some(0), 102, 105, Verdict::Unset),
            (Some(4), 102, 105, Verdict::Unset),
        ];
        assert_eq!(seen, wanted);
        assert_eq!(Uuid::from_bytes(spans[0].trace).to_string(), RUN);
        assert!(!format!("{spans:?}").contains("ada@example.com"));
    }

    #[test]
    fn a_run_that_is_tried_again_goes_on_in_its_trace() {
        let failed = json!({ "address": "actions/0", "place": "", "failure": { "name": "invalid", "message": "no" } });
        let first = [sent("actions/0", 1), json!({ "ended": { "ending": { "failed": failed } } })];
        let later = [json!({ "retried": { "by": "me" } }), sent("actions/0", 2)];
        let last = [json!({ "ended": { "ending": { "dropped": { "by": "me" } } } })];
        let before = made(first.clone());
        let after = made(first.into_iter().chain(later).chain(last));
        assert_eq!((before.len(), after.len()), (3, 3));
        assert_eq!(after[0].parent, Some(before[0].id));
        assert_eq!((after[0].trace, after[0].from_ms), (before[0].trace, 102));
        assert!(before.iter().all(|span| after.iter().all(|other| span.id != other.id)));
    }

    #[test]
    fn a_long_run_tells_only_its_first_spans() {
        let spans = made((0..2_000).map(|index| sent(&format!("actions/0[{index}]/actions/0"), 1)));
        assert_eq!(spans.len(), SPANS_MAX);
        assert!(spans[0].attributes.contains(&("dovetail.spans_left_out", Value::Number(3_001))));
        let has_parent = |span: &Span| spans.iter().any(|other| Some(other.id) == span.parent);
        assert!(spans[1..].iter().all(has_parent));
    }
}
