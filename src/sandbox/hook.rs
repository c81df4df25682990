//! Webhooks: from a change to signed bodies, and their delivery with retries.
//!
//! ```text
//! change ─▶ events whose condition holds ─▶ Hook ─▶ queue ─▶ first try, in order ─▶ later tries, each alone
//! ```
//! A body is made once and signed once; a retry repeats both. Only this computer is ever called.

use serde_json::{Value, json};

use super::clock::written;
use super::document::HookEvent;
use super::record::{Change, Kind};
use super::rules::Rules;
use super::state::State;
use super::view::shown;
use crate::source::{lay_over, nearest};

/// One body to deliver.
#[derive(Clone, Debug)]
pub struct Hook {
    pub event: String,
    pub body: Vec<u8>,
    /// Held until the next one has gone.
    pub late: bool,
}

/// The hooks of some changes, faults applied: lost ones are only told in the list of deliveries.
///
/// # Errors
/// The sandbox file's expressions are wrong.
pub fn of_changes(rules: &Rules, state: &mut State, changes: &[Change]) -> Result<Vec<Hook>, String> {
    let mut hooks = Vec::new();
    for change in changes {
        let is_of = |event: &&HookEvent| {
            let kind = event.change.as_deref() == Some(change.kind.name());
            kind && event.object.as_ref() == Some(&change.object) && !event.by_hand
        };
        for event in rules.document.webhooks.events.iter().filter(is_of) {
            if let Some(body) = body(rules, state, event, change)? {
                hooks.extend(meeting_faults(state, &event.name, body.to_string().into_bytes()));
            }
        }
    }
    Ok(hooks)
}

/// An event without its change: about the youngest record of its object, or an example where it is about none.
///
/// # Errors
/// There is no such event, or no record.
pub fn by_hand(rules: &Rules, state: &mut State, name: &str) -> Result<Hook, String> {
    let events = &rules.document.webhooks.events;
    let event = events.iter().find(|event| event.name == name).ok_or_else(|| {
        let near = nearest(name, events.iter().map(|event| event.name.as_str()));
        format!(
            "no event is called `{name}`{}",
            near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
        )
    })?;
    let object = event.object.clone().unwrap_or_default();
    let after = match &event.object {
        Some(object) => {
            state.records.all(object).next_back().cloned().ok_or_else(|| format!("there is no {object} yet"))?
        }
        None => Value::Null,
    };
    let change = Change { object, kind: Kind::Updated, before: Value::Null, after, changed: Vec::new() };
    let event = HookEvent { only_if: None, ..event.clone() };
    let body = body(rules, state, &event, &change)?.unwrap_or_default();
    Ok(Hook { event: name.to_owned(), body: body.to_string().into_bytes(), late: false })
}

/// What is sent; none if the event's condition does not hold.
fn body(rules: &Rules, state: &mut State, event: &HookEvent, change: &Change) -> Result<Option<Value>, String> {
    let shown = match &event.object {
        Some(object) => shown(rules, &state.settings, object, &change.after, event.show.as_deref())?,
        None => json!({}),
    };
    let mut roots = json!({
        "event": event.called.as_ref().unwrap_or(&event.name), "record": change.after, "shown": shown, "previous": change.before,
        "changed": change.changed, "vars": rules.document.vars, "settings": state.settings,
        "now": written(state.clock.now()), "new": { "uuid": state.random.uuid() },
    });
    if let Some(test) = &event.only_if
        && !test.holds(&roots)?
    {
        return Ok(None);
    }
    let mut body = match &event.body {
        Some(made) => made.eval(&roots)?.unwrap_or(Value::Null),
        None => shown,
    };
    if let Some(over) = &event.over {
        lay_over(&mut body, &over.eval(&roots)?.unwrap_or_default());
    }
    roots["new"] = json!({ "uuid": state.random.uuid() });
    for (name, made) in rules.document.webhooks.envelope.iter() {
        if let Some(value) = made.eval(&roots)? {
            body[name] = value;
        }
    }
    Ok(Some(body))
}

fn meeting_faults(state: &mut State, event: &str, body: Vec<u8>) -> Vec<Hook> {
    let hook = Hook { event: event.to_owned(), body, late: false };
    match state.faults.of_webhook(event) {
        Some(fault) if fault.lose_webhooks => {
            state.deliveries.lost(&hook, written(state.clock.now()));
            Vec::new()
        }
        Some(fault) if fault.duplicate_webhooks => vec![hook.clone(), hook],
        Some(fault) if fault.reorder_webhooks => vec![Hook { late: true, ..hook }],
        _ => vec![hook],
    }
}
