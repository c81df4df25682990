//! What a sync does, as workflows that nobody wrote: one for each pair of objects and side.
//!
//! ```text
//!  sync: contacts ─▶ contacts/crm.contact   event: crm.contact.created|updated|deleted ─▶ reconcile, cascade
//!                    contacts/shop.customer event: shop.customer.created|…             ─▶ reconcile, cascade
//!                    contacts/crm.note      event: crm.note.created|…                  ─▶ reconcile
//! ```
//! So a sync's changes come in, wait, are tried again, are seen and are kept as those of any workflow.

use std::sync::Arc;

use serde_json::{Value, json};

use super::action::{Action, Cascade, Kind, OnError, Reconcile};
use super::{Heard, Starts, Trigger, Uses, Workflow};
use crate::expr::Condition;
use crate::sync::{Pair, Sync, Which};

/// The name under which a reconciled pair is known to what comes after it.
pub const PAIR: &str = "pair";

/// The workflows of a sync.
pub fn syncing(sync: &Arc<Sync>) -> Vec<Workflow> {
    let pairs = sync.pairs().enumerate();
    pairs.flat_map(|(number, pair)| Which::BOTH.map(|side| of_side(sync, number, pair, side))).collect()
}

/// The name of the workflow for one side of a pair. A workflow's own name has no `/`.
pub fn name(sync: &Sync, number: usize, side: Which) -> String {
    let side = &sync.numbered(number).sides[side.index()];
    format!("{}/{}.{}", sync.name, side.alias, side.object)
}

fn of_side(sync: &Arc<Sync>, number: usize, pair: &Pair, side: Which) -> Workflow {
    let of = &pair.sides[side.index()];
    let kinds = ["created", "updated", "deleted"].map(String::from);
    let heard = Heard {
        text: format!("{}.{}", of.alias, of.object),
        alias: of.alias.clone(),
        object: Some(of.object.clone()),
        kinds: kinds.into(),
        place: sync.place.clone(),
        pointer: format!("{}/between", pair.pointer),
    };
    let action = |id: Option<&str>, only_if: Option<Condition>, kind: Kind, index: usize| Action {
        id: id.map(String::from),
        only_if,
        retry: None,
        timeout: None,
        on_error: OnError::Fail,
        kind,
        place: sync.place.clone(),
        pointer: format!("/actions/{index}"),
    };
    let mut actions =
        vec![action(Some(PAIR), None, Kind::Reconcile(Reconcile { sync: Arc::clone(sync), number, side }), 0)];
    if number == 0 && !sync.children.is_empty() {
        let (is_new, _) = Condition::read(&json!({ "$.pair.is_new": { "eq": true } }));
        actions.push(action(None, Some(is_new), Kind::Cascade(Cascade { sync: Arc::clone(sync) }), 1));
    }
    Workflow {
        name: name(sync, number, side),
        description: None,
        uses: sync.uses.iter().map(|(alias, name)| Uses { alias: alias.clone(), name: name.clone() }).collect(),
        trigger: Trigger {
            starts: Starts::Event(vec![heard]),
            only_if: None,
            in_order_by: None,
            name: None,
            include: Vec::new(),
            place: sync.place.clone(),
        },
        vars: Value::Object(Default::default()),
        actions,
        retry: None,
        timeout: None,
        on_error: OnError::Fail,
        alert_if_silent: None,
        place: sync.place.clone(),
    }
}
