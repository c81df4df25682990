//! What listeners hear in a case, and the messages that their runs leave.

use dovetail::project::Plan;
use dovetail::run::{Correlation, Decision, Message, Next, Received, Start, State, Subscription, decide};
use dovetail::trigger::Event;
use serde::Deserialize;
use serde_json::{Value, json};

/// An event of `shop` that a listener hears, or one of the project.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// Minutes after the begin.
    pub minute: i64,
    /// `contact.updated`, `project.paid`.
    event: String,
    /// The record, or what the event of the project tells.
    record: Value,
}

impl Heard {
    /// The event, with an id of its own.
    pub fn event(&self, number: usize, at_ms: i64) -> Event {
        let (object, kind) = self.event.split_once('.').unwrap();
        let event = match object {
            "project" => {
                json!({ "id": number.to_string(), "source": "project", "type": kind, "time_ms": at_ms, "body": self.record })
            }
            object => {
                json!({ "id": number.to_string(), "source": "heard", "type": kind, "time_ms": at_ms, "connection": "shop",
                "object": object, "record_id": self.record["id"], "record": self.record })
            }
        };
        serde_json::from_value(event).unwrap()
    }
}

/// Messages in the order in which they are left: when, and what.
#[derive(Default)]
pub struct Messages(Vec<(i64, Message)>);

impl Messages {
    /// Lives through the runs of the listeners.
    pub fn of(heard: &[Heard], plan: &Plan, begin_ms: i64) -> Messages {
        let mut all = Vec::new();
        for (number, heard) in heard.iter().enumerate() {
            let at_ms = begin_ms + heard.minute * 60_000;
            for listener in &plan.listeners {
                let wanted = listener.events().into_iter().find(|event| {
                    heard.event == event.text
                        || (heard.event.split_once('.')).is_some_and(|(object, kind)| {
                            event.object.as_deref() == Some(object) && event.kinds.iter().any(|known| known == kind)
                        })
                });
                if wanted.is_none() {
                    continue;
                }
                let event = heard.event(number, at_ms);
                all.extend(live(plan, &listener.name, event, at_ms).into_iter().map(|message| (at_ms, message)));
            }
        }
        Messages(all)
    }

    /// The first message that a wait may receive by now.
    pub fn first(&self, wait: &Subscription, now_ms: i64) -> Option<Received> {
        let numbered = (1..).zip(&self.0);
        let mut fitting = numbered.filter(|(number, (at_ms, message))| {
            *at_ms <= now_ms && *number > wait.after && message.correlation == wait.correlation
        });
        fitting.next().map(|(number, (_, message))| Received { number, record: message.record.clone() })
    }

    /// When somebody who waits until an instant is called before.
    pub fn next_ms(&self, waits: &[Subscription], now_ms: i64) -> Option<i64> {
        let of = |correlation: &Correlation| waits.iter().any(|wait| wait.correlation == *correlation);
        let later = self.0.iter().filter(|(at_ms, message)| *at_ms > now_ms && of(&message.correlation));
        later.map(|(at_ms, _)| *at_ms).min()
    }
}

fn live(plan: &Plan, listener: &str, event: Event, now_ms: i64) -> Vec<Message> {
    let workflow = plan.workflow(listener).unwrap();
    let start = Start {
        id: "heard".into(),
        workflow: listener.into(),
        tenant: None,
        order_key: "1".into(),
        plan: plan.hash.clone(),
        connections: plan.bind(workflow, None, None).unwrap(),
        event,
        inputs: Value::Null,
        created_ms: now_ms,
    };
    let mut state = State::fold(&[]);
    let mut messages = Vec::new();
    loop {
        let Decision { kept, next, .. } = decide(plan, &start, &mut state, now_ms);
        messages.extend(kept.messages);
        match next.as_slice() {
            [Next::Over] => return messages,
            [Next::Recall { .. }] => state.recall(None),
            other => panic!("a listener of a case asks nobody: {other:?}"),
        }
    }
}
