//! Faults on demand: what goes wrong, where, how often.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One order of the control door. Exactly what it names goes wrong, `times` times (0: until it is withdrawn).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// An operation (`contact.create`), an object's (`contact.*`), a request line (`GET /items`), or `*`.
    pub at: String,
    pub times: u32,
    /// Answered instead of the vendor's answer; after the write with `after_write`.
    pub status: Option<u16>,
    pub body: Option<Value>,
    pub html: Option<String>,
    /// A `retry-after` header, in seconds.
    pub retry_after: Option<u64>,
    pub after_write: bool,
    pub delay_ms: Option<u64>,
    /// The connection breaks before anything is done, or after all is done.
    pub drop_before: bool,
    pub drop_after_write: bool,
    /// Webhooks: not sent, sent twice, the next two swapped.
    pub lose_webhooks: bool,
    pub duplicate_webhooks: bool,
    pub reorder_webhooks: bool,
    /// How often it has happened.
    #[serde(skip_deserializing)]
    pub happened: u32,
}

impl Fault {
    fn of_webhooks(&self) -> bool {
        self.lose_webhooks || self.duplicate_webhooks || self.reorder_webhooks
    }

    fn of_requests(&self) -> bool {
        self.status.is_some() || self.delay_ms.is_some() || self.drop_before || self.drop_after_write
    }

    fn is_at(&self, name: &str, line: &str) -> bool {
        self.at == "*"
            || self.at == name
            || self.at == line
            || self.at.strip_suffix(".*").is_some_and(|object| name.split('.').next() == Some(object))
    }

    fn take(&mut self) -> Option<Fault> {
        let left = self.times == 0 || self.happened < self.times;
        self.happened += u32::from(left);
        left.then(|| self.clone())
    }

    pub fn delay(&self) -> Option<Duration> {
        self.delay_ms.map(|delay| Duration::from_millis(delay.min(600_000)))
    }
}

#[derive(Debug, Default)]
pub struct Faults {
    pub ordered: Vec<Fault>,
}

impl Faults {
    /// # Errors
    /// One sentence: what the order lacks.
    pub fn order(&mut self, mut fault: Fault) -> Result<(), String> {
        if fault.at.is_empty() {
            fault.at = "*".to_owned();
        }
        if !fault.of_webhooks() && !fault.of_requests() {
            return Err(
                "a fault needs one of `status`, `delay_ms`, `drop_before`, `drop_after_write`, `lose_webhooks`, \
                        `duplicate_webhooks`, `reorder_webhooks`"
                    .to_owned(),
            );
        }
        if fault.status.is_some_and(|status| !(200..600).contains(&status)) {
            return Err("`status` is a number from 200 to 599".to_owned());
        }
        if self.ordered.len() >= 1000 {
            return Err("1,000 faults are ordered already; withdraw them first".to_owned());
        }
        self.ordered.push(fault);
        Ok(())
    }

    /// The fault that this request meets, if any; counted.
    pub fn of_request(&mut self, name: &str, line: &str) -> Option<Fault> {
        let mut fitting = self.ordered.iter_mut().filter(|fault| fault.of_requests() && fault.is_at(name, line));
        fitting.find_map(Fault::take)
    }

    /// The fault that this webhook meets, by the event's name; counted.
    pub fn of_webhook(&mut self, event: &str) -> Option<Fault> {
        let mut fitting = self.ordered.iter_mut().filter(|fault| fault.of_webhooks() && fault.is_at(event, event));
        fitting.find_map(Fault::take)
    }
}
