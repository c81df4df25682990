//! The other side: a vendor that keeps records, and does now and then what a case's script says instead.

use std::collections::BTreeMap;

use dovetail::connector::{Failure, Outcome, Response};
use dovetail::project::Plan;
use dovetail::run::{Answer, Send};
use serde::Deserialize;
use serde_json::{Value, json};

/// What happens to one request of an operation, in the order in which they arrive; after the last, `ok`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happens {
    Ok,
    /// Nothing is done, and nothing is answered.
    Timeout,
    /// It is done, and nothing is answered.
    TimeoutAfterWrite,
    /// It is done without these fields, and the answer shows them all the same.
    Drops(Vec<String>),
    /// This is answered, and nothing is done.
    Answer {
        status: u16,
        #[serde(default)]
        body: Value,
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
}

/// `contact` → its records.
pub type Records = BTreeMap<String, Vec<Value>>;

pub struct World {
    pub records: Records,
    script: BTreeMap<String, Vec<Happens>>,
    /// Answers by idempotency key: the same one again is carried out once.
    known: BTreeMap<String, Value>,
    /// How many records of each kind were made: an id is not used again.
    made: BTreeMap<String, usize>,
    /// Of two records with the same value in this field the second is refused.
    pub unique: Option<&'static str>,
}

impl World {
    pub fn new(records: Records, script: BTreeMap<String, Vec<Happens>>) -> World {
        World { records, script, known: BTreeMap::new(), made: BTreeMap::new(), unique: None }
    }

    /// What happens to the next request of an operation.
    pub fn next(&mut self, operation: &str, happens: Happens) {
        self.script.entry(operation.to_owned()).or_default().push(happens);
    }

    pub fn send(&mut self, plan: &Plan, send: &Send) -> Answer {
        let connector = plan.connector_of(&send.connection).unwrap();
        let operation = connector.operation(&send.operation).unwrap();
        if let Err(failure) = operation.request(connector, &Value::Null, &send.input, &send.page) {
            return Answer::Failed(failure);
        }
        let Some(response) = self.answer(plan, send) else {
            return Answer::Failed(Failure::new("timeout", "no answer"));
        };
        match connector.outcome(operation, &send.input, &Value::Null, &send.page, response) {
            Outcome::Done { value, next } => Answer::Done { value, next },
            Outcome::Failed(failure) => Answer::Failed(failure),
        }
    }

    /// What is answered to a request; None: nothing.
    pub fn answer(&mut self, plan: &Plan, send: &Send) -> Option<Response> {
        let operation = plan.connector_of(&send.connection)?.operation(&send.operation)?;
        let script = self.script.entry(send.operation.clone()).or_default();
        let happens = if script.is_empty() { Happens::Ok } else { script.remove(0) };
        let (status, body, headers) = match happens {
            Happens::Timeout => return None,
            Happens::Answer { status, body, headers } => (status, body, headers),
            Happens::Ok | Happens::TimeoutAfterWrite | Happens::Drops(_) => {
                let key = operation.idempotency_header().map(|_| send.idempotency_key.clone());
                let done = match key.as_ref().and_then(|key| self.known.get(key)) {
                    Some(body) => (200, body.clone()),
                    None => self.act(send),
                };
                self.known.extend(key.map(|key| (key, done.1.clone())));
                if matches!(happens, Happens::TimeoutAfterWrite) {
                    return None;
                }
                if let Happens::Drops(fields) = &happens {
                    self.forget(&send.operation, &done.1["id"], fields);
                }
                (done.0, done.1, Vec::new())
            }
        };
        Some(Response { status, headers, body, not_kept: None })
    }

    /// A record that is new.
    pub fn make(&mut self, object: &str, mut record: Value) -> Value {
        let records = self.records.entry(object.to_owned()).or_default();
        let made = self.made.entry(object.to_owned()).or_default();
        *made = records.len().max(*made) + 1;
        record["id"] = json!(format!("{object}-{made}"));
        records.push(record.clone());
        record
    }

    fn forget(&mut self, operation: &str, id: &Value, fields: &[String]) {
        let (object, _) = operation.split_once('.').unwrap();
        let records = self.records.get_mut(object).unwrap();
        let record = records.iter_mut().find(|record| record["id"] == *id).and_then(Value::as_object_mut).unwrap();
        record.retain(|name, _| !fields.contains(name));
    }

    fn act(&mut self, send: &Send) -> (u16, Value) {
        let (object, verb) = send.operation.split_once('.').unwrap();
        let records = self.records.entry(object.to_owned()).or_default();
        let named = |record: &Value| record["id"] == send.input["id"];
        match verb {
            "get" => match records.iter().find(|record| named(record)) {
                Some(record) => (200, record.clone()),
                None => (404, json!({ "message": "there is no such record" })),
            },
            "find" => {
                let wanted = send.input.as_object().unwrap();
                let hit = records.iter().find(|record| wanted.iter().all(|(name, value)| same(&record[name], value)));
                (200, hit.cloned().unwrap_or_default())
            }
            "update" => match records.iter_mut().find(|record| named(record)) {
                Some(record) => {
                    for (name, value) in send.input.as_object().unwrap() {
                        record[name] = value.clone();
                    }
                    (200, record.clone())
                }
                None => (404, json!({ "message": "there is no such record" })),
            },
            "delete" => match records.iter().position(named) {
                Some(at) => (200, records.remove(at)),
                None => (404, json!({ "message": "there is no such record" })),
            },
            // Two records on a page.
            "list" => {
                let number = send.page.next.as_ref().and_then(Value::as_u64).unwrap_or(1);
                let from = usize::try_from(number - 1).unwrap() * 2;
                let items: Vec<&Value> = records.iter().skip(from).take(2).collect();
                (200, json!({ "items": items, "pages": records.len().div_ceil(2) }))
            }
            _ => match self.unique.and_then(|field| records.iter().find(|one| same(&one[field], &send.input[field]))) {
                Some(known) => (409, json!({ "existing_id": known["id"] })),
                None => (201, self.make(object, Value::clone(&send.input))),
            },
        }
    }
}

/// As vendors compare: texts without regard to case.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_str(), other.as_str()) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}
