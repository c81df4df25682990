//! Webhooks: from a change to signed bodies, and their delivery with retries.
//!
//! ```text
//! change ─▶ events whose condition holds ─▶ Hook ─▶ queue ─▶ first try, in order ─▶ later tries, each alone
//! ```
//! A body is made once and signed once; a retry repeats both. Only this computer is ever called.

use serde_json::{Value, json};

use super::clock::written;
use super::record::Change;
use super::rules::Rules;
use super::state::State;
use super::view::shown;

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
        let events = &rules.document.webhooks.events;
        for event in events.iter().filter(|event| event.object == change.object && event.change == change.kind.name()) {
            let shown = shown(rules, state, &change.object, &change.after, event.show.as_deref())?;
            let mut roots = json!({
                "event": event.name, "record": change.after, "shown": shown, "previous": change.before,
                "changed": change.changed, "vars": rules.document.vars, "settings": state.settings, "now": written(state.clock.now()),
                "new": { "uuid": state.random.uuid() },
            });
            if let Some(test) = &event.only_if
                && !test.holds(&roots)?
            {
                continue;
            }
            let mut body = match &event.body {
                Some(made) => made.eval(&roots)?.unwrap_or(Value::Null),
                None => shown,
            };
            roots["new"] = json!({ "uuid": state.random.uuid() });
            for (name, made) in rules.document.webhooks.envelope.iter() {
                if let Some(value) = made.eval(&roots)? {
                    body[name] = value;
                }
            }
            hooks.extend(meeting_faults(state, &event.name, body.to_string().into_bytes()));
        }
    }
    Ok(hooks)
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
