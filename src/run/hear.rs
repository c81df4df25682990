//! Waiting for an event, and telling those that wait: a listener's run leaves a message, a waiting run takes it.
//!
//! ```text
//!  wait ─ Receive? ─▶ none: Subscribed, and the run is parked ◀──── woken ──── a message with the same correlation
//!             └─────▶ one: Received, Finished                                   └─ left by the run of a listener
//! ```

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::decide::{Deciding, Next};
use super::entry::{Address, Fact};
use super::state::{Progress, State};
use super::walk::{Flow, Spot};
use crate::connector::{Failure, Object, value_of};
use crate::expr::{Locale, convert};
use crate::workflow::action::{Action, Awaited, Hear, PROJECT, invalid};
use crate::workflow::{Accounts as _, HEARD, Outcome, listener};

/// Which message is meant: the same for the one that waits and the one that tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    /// The listener's name.
    pub listener: String,
    /// The connection whose event it is; `project/<tenant>` for one of the project.
    pub source: String,
    /// SHA-256 of the fields' values, in hex.
    pub key: String,
}

/// A wait that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    #[serde(flatten)]
    pub correlation: Correlation,
    /// Only messages with a higher number count: the run has received this one before.
    #[serde(default)]
    pub after: i64,
}

/// What a listener tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub correlation: Correlation,
    /// The event's record; or what the event holds where it has none.
    pub record: Value,
}

/// A message as the store knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// Messages are numbered in the order in which they were left.
    pub number: i64,
    pub record: Value,
}

impl<'a> Deciding<'a> {
    pub(super) fn awaits(&mut self, action: &Action, awaited: &Awaited, spot: &mut Spot<'_, 'a>) -> Flow {
        let address = spot.address;
        let progress = self.state.progress.get(address);
        let open = progress.and_then(|progress| progress.subscription.clone().zip(progress.waits_until_ms));
        let is_new = open.is_none();
        let begin = || self.subscription(awaited, spot);
        let (subscription, until_ms) = match open.map_or_else(begin, Ok) {
            Ok(open) => open,
            Err(failure) => return spot.fail(failure),
        };
        let Some(received) = self.state.inbox.get(address).cloned() else {
            return self.wants(Next::Receive { address: address.into(), subscription });
        };
        if let Some(Received { number, record }) = received {
            self.record(Fact::Received { address: address.into(), number, correlation: subscription.correlation });
            return self.finish(action, spot, Outcome::Done, record, None);
        }
        if is_new {
            self.record(Fact::Subscribed { address: address.into(), subscription, until_ms });
        }
        if until_ms > self.now_ms {
            return self.wants(Next::Wait { until_ms, lets_go: true });
        }
        self.finish(action, spot, Outcome::TimedOut, Value::Null, None)
    }

    /// What a wait that begins now waits for, and until when.
    fn subscription(&self, awaited: &Awaited, spot: &Spot<'_, 'a>) -> Result<(Subscription, i64), Failure> {
        let (frame, scope) = (spot.frame, spot.scope(self));
        let until_ms = awaited.ends_ms(&scope, self.now_ms)?;
        let event = &awaited.event;
        let source = match frame.connection(&event.alias) {
            _ if event.alias == PROJECT => source_of_project(self.start.tenant.as_deref()),
            Some(connection) => connection.to_string(),
            None => return Err(Failure::new("invalid", format!("no connection stands for `{}`", event.alias))),
        };
        let wanted = match &awaited.matches {
            Some(matches) => matches.eval(&scope).map_err(|fault| invalid(&fault, "wait.match"))?,
            None => None,
        };
        let object = frame.connector(&event.alias).and_then(|connector| connector.object(event.object.as_deref()?));
        let locale = self.plan.locale_of(&source);
        let mut values = Vec::new();
        for name in awaited.fields() {
            let value = wanted.as_ref().and_then(|wanted| wanted.get(name));
            let value = value.map_or(Value::Null, |value| self.comparable(object, name, value, &locale));
            if value.is_null() {
                return Err(Failure::new("invalid", format!("`wait.match`: there is no value for `{name}`")));
            }
            values.push(value);
        }
        let correlation = Correlation { listener: listener(&frame.workflow.name, awaited), source, key: key(&values) };
        let after = self.state.received_before(spot.address, &correlation);
        Ok((Subscription { correlation, after }, until_ms))
    }

    /// What a listener does.
    pub(super) fn hear(&mut self, action: &Action, hear: &Hear, spot: &mut Spot<'_, 'a>) -> Flow {
        let event = &self.start.event;
        let connector = event.connection.as_ref().and_then(|connection| self.plan.connector_of(connection));
        let object = connector.and_then(|connector| connector.object(event.object.as_deref()?));
        let record = match object {
            Some(_) => spot.roots.get(HEARD).cloned().unwrap_or_default(),
            None => Value::clone(&event.body),
        };
        let account = self.plan.locale_of(event.connection.as_deref().unwrap_or_default());
        let locale = account.of_country(record.get("country"));
        let value = |name: &String| {
            value_of(&record, name).map_or(Value::Null, |value| self.comparable(object, name, value, &locale))
        };
        let values: Vec<Value> = hear.fields.iter().map(value).collect();
        let correlation = Correlation {
            listener: spot.frame.workflow.name.clone(),
            source: event.connection.clone().unwrap_or_else(|| source_of_project(self.start.tenant.as_deref())),
            key: key(&values),
        };
        self.kept.messages.push(Message { correlation, record });
        self.finish(action, spot, Outcome::Done, Value::Null, None)
    }

    /// A value in the form in which both sides are compared; converted to the field's type first.
    fn comparable(&self, object: Option<&Object>, name: &str, value: &Value, locale: &Locale) -> Value {
        let Some(object) = object else { return value.clone() };
        // Both sides in one form: the recipe's value and the record's.
        let kind = object.field_type(name);
        let converted = kind.and_then(|kind| convert(value, kind, &self.plan.locale).ok());
        let value = converted.as_ref().unwrap_or(value);
        object.comparable(name, Some(value), locale).unwrap_or_default()
    }
}

impl State {
    /// Does it wait for an event?
    pub fn is_subscribed(&self) -> bool {
        self.open_waits().next().is_some()
    }

    /// The events that it waits for.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.open_waits().cloned().collect()
    }

    fn open_waits<'s>(&'s self) -> impl Iterator<Item = &'s Subscription> {
        let open = |(address, progress): (&'_ Address, &'s Progress)| {
            let wait = progress.subscription.as_ref().filter(|_| progress.finished.is_none())?;
            (!self.is_given_up(address)).then_some(wait)
        };
        self.progress.iter().filter_map(open)
    }

    /// Takes in what the store knows for a wait that [`Next::Receive`] asked about; good for one decision.
    pub fn receive(&mut self, address: Address, received: Option<Received>) {
        self.inbox.insert(address, received);
    }

    /// Forgets what [`State::receive`] took in: more may have come.
    pub fn ask_again(&mut self) {
        self.inbox.clear();
    }

    /// The last message with this correlation that went to an action before this one.
    fn received_before(&self, address: &str, correlation: &Correlation) -> i64 {
        let before = self.progress.iter().filter(|(at, _)| !are_beside(at, address));
        let received = before.filter_map(|(_, progress)| progress.received.as_ref());
        received.filter(|(_, of)| of == correlation).map(|(number, _)| *number).max().unwrap_or(0)
    }
}

/// Do the two stand in different branches of one `parallel`? Then each of them may receive the same message.
fn are_beside(one: &str, other: &str) -> bool {
    let same = one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other);
    same.last().is_some_and(|(last, _)| last == "parallel")
}

fn source_of_project(tenant: Option<&str>) -> String {
    format!("{PROJECT}/{}", tenant.unwrap_or_default())
}

fn key(values: &[Value]) -> String {
    hex::encode(Sha256::digest(json!(values).to_string()))
}
