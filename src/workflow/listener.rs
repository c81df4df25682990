//! Listeners: who hears the events that a workflow's actions wait for.
//!
//! ```text
//!  wait: { event, match } ─▶ a listener of that event ─ its run reads the record ─▶ a message ─▶ the runs that wait for it
//! ```
//! A listener is a workflow that nobody wrote: it is triggered by the event as any other, so that its record is read, what
//! was told already is passed by, and a failure is tried again, all in the same way. What it does is to leave a message.

use serde_json::Value;

use super::action::{Action, Awaited, Hear, Kind, OnError, PROJECT};
use super::{Starts, Trigger, Uses, Workflow};

/// What a listener calls the record of its event.
pub const HEARD: &str = "record";

/// The listeners of a workflow: one for each event that it waits for, and the fields that it compares.
pub fn listeners(workflow: &Workflow) -> Vec<Workflow> {
    let mut listeners: Vec<Workflow> = Vec::new();
    for action in workflow.all_actions() {
        let Kind::Wait(wait) = &action.kind else { continue };
        let Some(awaited) = wait.awaited() else { continue };
        let name = listener(&workflow.name, awaited);
        if listeners.iter().all(|known| known.name != name) {
            listeners.push(listening(workflow, action, awaited, name));
        }
    }
    listeners
}

/// The listener's name: `follow-up/crm.contact.changed/email`. A workflow's own name has no `/`.
pub fn listener(workflow: &str, awaited: &Awaited) -> String {
    let mut name = format!("{workflow}/{}", awaited.event.text);
    for field in awaited.fields() {
        name.push('/');
        name.push_str(field);
    }
    name
}

fn listening(workflow: &Workflow, action: &Action, awaited: &Awaited, name: String) -> Workflow {
    let alias = &awaited.event.alias;
    let uses = workflow.uses.iter().filter(|uses| uses.alias == *alias && alias != PROJECT);
    let fields = awaited.fields().into_iter().map(String::from).collect();
    let hear = Action {
        id: None,
        only_if: None,
        retry: None,
        timeout: None,
        on_error: OnError::Fail,
        kind: Kind::Hear(Hear { fields }),
        place: action.place.clone(),
        pointer: "/actions/0".into(),
    };
    let trigger = Trigger {
        starts: Starts::Event(vec![awaited.event.clone()]),
        only_if: None,
        in_order_by: None,
        name: Some(HEARD.into()),
        include: Vec::new(),
        place: action.place.clone(),
    };
    Workflow {
        name,
        description: None,
        uses: uses.map(|uses| Uses { alias: uses.alias.clone(), name: uses.name.clone() }).collect(),
        trigger,
        vars: Value::Object(Default::default()),
        actions: vec![hear],
        retry: None,
        timeout: None,
        on_error: OnError::Fail,
        alert_if_silent: None,
        place: action.place.clone(),
    }
}
