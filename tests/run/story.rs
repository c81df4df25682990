//! What came of a case, as `expect` tells it.

use std::fmt::Write;

use dovetail::connector::Page;
use dovetail::run::{Ending, Link, RecordRef, Send, Sent};
use dovetail::trigger::Event;
use serde_json::Value;

use crate::run::world::Records;

/// Marks a request that was sent while another one was on its way.
const BESIDE: &str = "& ";
const WARNING: &str = "  ! ";
const ENDING: &str = "-- ";

/// How a life went.
#[derive(Clone, Default)]
pub struct Story {
    requests: Vec<String>,
    ending: Option<String>,
    /// Events of the project.
    emitted: Vec<String>,
    /// What the vendor holds.
    records: Records,
    pub links: Vec<Link>,
}

impl Story {
    pub fn new(links: Vec<Link>) -> Story {
        Story { links, ..Story::default() }
    }

    /// With what the vendor holds by now.
    pub fn with(self, records: &Records) -> Story {
        Story { records: records.clone(), ..self }
    }

    /// With the fields of each record in the order of their names.
    pub fn in_order_of_names(mut self) -> Story {
        self.records.values_mut().flatten().for_each(Value::sort_all_objects);
        self
    }

    pub fn send(&mut self, send: &Send, is_beside: bool) {
        let beside = if is_beside { BESIDE } else { "" };
        let look = if send.look { "look: " } else { "" };
        self.requests.push(format!("{beside}{look}{}", line(&send.operation, &send.input, &send.page)));
    }

    /// A request that was not sent after so many others: what is answered was known already.
    pub fn know(&mut self, after: usize, sent: &Sent) {
        let at = self.behind(after);
        self.requests.insert(at, line(&sent.operation, &sent.input, &sent.page));
    }

    /// An action had something to say after so many requests; None: after all so far.
    pub fn warn(&mut self, after: Option<usize>, warnings: &[String]) {
        let at = after.map_or(self.requests.len(), |after| self.behind(after));
        self.requests.splice(at..at, warnings.iter().map(|warning| format!("{WARNING}{warning}")));
    }

    /// The place behind so many requests, and what was said there before.
    fn behind(&self, requests: usize) -> usize {
        let is_request = |line: &str| !line.starts_with(WARNING) && !line.starts_with(ENDING);
        let places = self.requests.iter().enumerate().filter(|(_, line)| is_request(line));
        let at = places.take(requests).last().map_or(0, |(at, _)| at + 1);
        at + self.requests[at..].iter().take_while(|line| line.starts_with(WARNING)).count()
    }

    pub fn end(&mut self, ending: &Ending) {
        self.ending = Some(told(ending));
    }

    /// A person has it tried again.
    pub fn retry(&mut self) {
        self.requests.extend(self.ending.take());
    }

    pub fn emit(&mut self, event: &Event) {
        self.emitted.push(format!("emitted {} {}", event.kind, event.body));
    }

    /// All of it.
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
        let mut told = self.ending.iter().map(|ending| format!("{ending}\n")).collect::<String>();
        for event in &self.emitted {
            let _ = writeln!(told, "{event}");
        }
        for (object, records) in &self.records {
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

fn line(operation: &str, input: &Value, page: &Page) -> String {
    let page = page.next.as_ref().map(|page| format!(" page {page}")).unwrap_or_default();
    format!("{operation} {input}{page}")
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

fn told(ending: &Ending) -> String {
    match ending {
        Ending::Completed { value: Value::Null } => "-- completed".into(),
        Ending::Completed { value } => format!("-- completed: {value}"),
        Ending::Skipped { why } => format!("-- skipped: {why}"),
        Ending::Failed { address, failure, .. } => format!("-- failed at {address}: {failure}"),
        Ending::Dropped { .. } => "-- dropped".into(),
    }
}
