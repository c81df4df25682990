//! From a verified body to named events.
//!
//! Where a connector says `each`, one body holds a list of events. Its paths for id, time and connection are looked for
//! in the body first and then in the event; the event's name and record stand in the event.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Event, json, record};
use crate::connector::{Connector, WebhookEvent, Webhooks};
use crate::expr::Path;

/// A body that was understood: its events, and the settings that tell which connection it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Events without connection and tenant: the caller finds those by `settings`.
    pub events: Vec<Event>,
    pub settings: Vec<(String, String)>,
}

/// Why a delivery is not taken: the HTTP status and a fixed word, nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub word: &'static str,
}

const STALE: Refusal = Refusal { status: 401, word: "stale" };
const NO_ID: Refusal = Refusal { status: 401, word: "no_id" };
const MALFORMED: Refusal = Refusal { status: 400, word: "malformed" };

/// Vendors send at most some hundreds of events at once.
const EVENTS_MAX: usize = 1_000;

/// Parses strictly: depth ≤ 64, ≤ 100,000 values, no duplicate keys, valid UTF-8.
///
/// # Errors
/// 400.
pub fn read_json(body: &[u8]) -> Result<Value, Refusal> {
    json::read(body).map_err(|_| MALFORMED)
}

/// Checks the replay window, names the events, finds record and parent ids.
///
/// A name that the connector does not declare gives no events (the caller answers 2xx and counts it).
///
/// # Errors
/// 401 outside the window or without id or time where the connector asks for them; 400 when the shape is wrong.
pub fn read_delivery(connector: &Connector, body: &Value, now_ms: i64) -> Result<Delivery, Refusal> {
    let webhooks = connector.webhooks.as_ref().ok_or(MALFORMED)?;
    let items = items(webhooks, body)?;
    let mut delivery = Delivery { events: Vec::new(), settings: Vec::new() };
    if items.is_empty() {
        // There is nothing to replay, but a stale or unmarked body is refused all the same.
        Letter { webhooks, body, item: body, number: 0 }.mark(now_ms)?;
    }
    for (index, item) in items.iter().enumerate() {
        let letter = Letter { webhooks, body, item, number: index + 1 };
        let (id, time_ms) = letter.mark(now_ms)?;
        let declared = letter.declared()?;
        let settings = letter.settings(declared)?;
        if index > 0 && settings != delivery.settings {
            // Its events would need different connections: nothing of it can be taken.
            return Err(MALFORMED);
        }
        delivery.settings = settings;
        if let Some(declared) = declared {
            delivery.events.push(letter.event(connector, declared, id, time_ms)?);
        }
    }
    Ok(delivery)
}

fn items(webhooks: &Webhooks, body: &Value) -> Result<Vec<Value>, Refusal> {
    let Some(each) = &webhooks.each else { return Ok(vec![body.clone()]) };
    match each.get_in(body) {
        Some(Value::Array(items)) if items.len() <= EVENTS_MAX => Ok(items),
        _ => Err(MALFORMED),
    }
}

/// One event of a body, not yet understood.
struct Letter<'body> {
    webhooks: &'body Webhooks,
    body: &'body Value,
    item: &'body Value,
    /// From 1.
    number: usize,
}

impl Letter<'_> {
    /// Id and time, within the replay window.
    fn mark(&self, now_ms: i64) -> Result<(String, i64), Refusal> {
        let time_ms = match &self.webhooks.time {
            None => now_ms,
            Some(path) => {
                let time_ms = self.look(path).and_then(|(value, _)| record::time_ms(&value)).ok_or(STALE)?;
                if u128::from(time_ms.abs_diff(now_ms)) > self.webhooks.within.as_millis() {
                    return Err(STALE);
                }
                time_ms
            }
        };
        let (id, shared) = match &self.webhooks.id {
            Some(path) => {
                let (value, shared) = self.look(path).ok_or(NO_ID)?;
                (record::id_text(&value).ok_or(MALFORMED)?, shared)
            }
            // The same content again is the same delivery.
            None => (format!("body:{}", hex::encode(Sha256::digest(self.body.to_string()))), true),
        };
        let id = if shared && self.number > 1 { format!("{id}#{}", self.number) } else { id };
        Ok((id, time_ms))
    }

    /// What a path finds in the body, else in the event; true if all events of the body share it.
    fn look(&self, path: &Path) -> Option<(Value, bool)> {
        path.get_in(self.body).map(|value| (value, true)).or_else(|| {
            self.webhooks.each.as_ref()?;
            path.get_in(self.item).map(|value| (value, false))
        })
    }

    /// The event that the connector declares under this name.
    fn declared(&self) -> Result<Option<&WebhookEvent>, Refusal> {
        let events = &self.webhooks.events;
        let Some(path) = &self.webhooks.event_name else {
            return if let [only] = events.as_slice() { Ok(Some(only)) } else { Err(MALFORMED) };
        };
        let name = match path.get_in(self.item).or_else(|| path.get_in(self.body)) {
            Some(Value::String(name)) => name,
            Some(Value::Number(name)) => name.to_string(),
            _ => return Err(MALFORMED),
        };
        let by_name = events.iter().find(|event| event.name == name);
        Ok(by_name.or_else(|| events.iter().find(|event| event.named.contains(&name))))
    }

    /// The settings that name the connection; of a declared event all of them, since less could match another account.
    fn settings(&self, declared: Option<&WebhookEvent>) -> Result<Vec<(String, String)>, Refusal> {
        let mut settings = Vec::new();
        for sign in declared.map_or(&*self.webhooks.connection, |event| self.webhooks.connection_of(event)) {
            match sign.paths.iter().find_map(|path| record::id_text(&self.look(path)?.0)) {
                Some(text) => settings.push((sign.setting.clone(), text)),
                None if declared.is_some() => return Err(MALFORMED),
                None => {}
            }
        }
        Ok(settings)
    }

    fn event(
        &self,
        connector: &Connector,
        declared: &WebhookEvent,
        id: String,
        time_ms: i64,
    ) -> Result<Event, Refusal> {
        let mut event = Event {
            id,
            source: connector.name.clone(),
            kind: declared.name.clone(),
            time_ms,
            body: self.item.clone().into(),
            ..Event::default()
        };
        let Some(object_name) = &declared.object else { return Ok(event) };
        let object = connector.object(object_name).ok_or(MALFORMED)?;
        let record = match declared.record.as_ref().or(self.webhooks.record.as_ref()) {
            Some(path) => path.get_in(self.item).ok_or(MALFORMED)?,
            None => self.item.clone(),
        };
        let record_id = record::field(object, &record, &object.id).and_then(record::id_text).ok_or(MALFORMED)?;
        event.parent_id = record::parent_id(object, &record).map_err(|()| MALFORMED)?;
        event.record_id = Some(record_id);
        event.object = Some(object_name.clone());
        event.kind = declared.change.clone().unwrap_or_else(|| declared.name.clone());
        event.record = record;
        let is_complete = declared.whole || event.kind == "deleted";
        if !is_complete {
            event.read_with = Some(declared.read_with.clone().unwrap_or_else(|| format!("{object_name}.get")));
        }
        Ok(event)
    }
}
