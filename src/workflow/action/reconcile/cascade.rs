//! What lives under two records that have become a pair is looked at, on both sides.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::connector::{Failure, Page};
use crate::expr::as_text;
use crate::sync::{Sync, Which};
use crate::trigger::Event;
use crate::workflow::{Advance, Answer, Context, Exchange, Finish, Outcome, Purpose, Sending, syncing};

/// Lists the children of a new pair, and has each of them reconciled.
#[derive(Debug)]
pub struct Cascade {
    pub sync: Arc<Sync>,
}

/// Pages of one list, at most.
const PAGES_MAX: usize = 100;

impl Cascade {
    pub fn advance(&self, context: &Context<'_>) -> Advance {
        match self.find(context) {
            Ok(advance) => advance,
            Err(failure) => Advance::Fail(failure),
        }
    }

    fn find(&self, context: &Context<'_>) -> Result<Advance, Failure> {
        let pair = context.scope.root(syncing::PAIR).cloned().unwrap_or_default();
        // Also under what was made just now: before the two were known as a pair, what was put there was passed by.
        let id = |side: Which| pair["pair"].get(side.index()).and_then(as_text);
        let mut found = Vec::new();
        let mut warnings = Vec::new();
        for (child, number) in self.sync.children.iter().zip(1..) {
            for side in Which::BOTH {
                let (alias, object) = (&child.sides[side.index()].alias, &child.sides[side.index()].object);
                let Some(parent_id) = id(side) else { continue };
                let (connector, known) = context.object(alias, object)?;
                let Some(parent) = &known.parent else { continue };
                let name = format!("{object}.list");
                if connector.operation(&name).is_none() {
                    continue;
                }
                let connection = context.accounts.connection(alias).unwrap_or_default();
                let is_it = |exchange: &&Exchange| exchange.connection == connection && exchange.operation == name;
                let pages: Vec<&Exchange> = context.exchanges.iter().filter(is_it).collect();
                let next = match pages.last().map(|last| &last.answer) {
                    None => Some(Page::default()),
                    Some(Some(Answer::Done { next, .. })) => next.clone(),
                    Some(Some(Answer::Failed(failure))) => return Err(failure.clone()),
                    Some(None) => return Err(Failure::new("unknown", "the last answer is missing")),
                };
                if let Some(page) = next {
                    if pages.len() < PAGES_MAX {
                        let input = Value::Object(Map::from_iter([(parent.id.clone(), Value::String(parent_id))]));
                        let (purpose, alias) = (Purpose::Call, alias.clone());
                        return Ok(Advance::Send(Sending {
                            purpose,
                            alias,
                            operation: name,
                            input: input.into(),
                            page,
                            turns: Vec::new(),
                        }));
                    }
                    warnings.push(format!("`{name}` has more than {PAGES_MAX} pages: the rest is not looked at"));
                }
                let items = pages.iter().filter_map(|exchange| exchange.value()?.as_array()).flatten();
                let ids = items.filter_map(|item| item.get(&known.id).and_then(as_text));
                found.extend(ids.map(|id| {
                    let event = Event {
                        id: format!("{}/{connection}/{object}/{id}", context.event.id),
                        source: self.sync.name.clone(),
                        kind: "created".into(),
                        time_ms: context.event.time_ms,
                        connection: Some(connection.to_owned()),
                        tenant: context.event.tenant.clone(),
                        object: Some(object.clone()),
                        record_id: Some(id),
                        parent_id: Some(parent_id.clone()),
                        past: context.event.past,
                        ..Event::default()
                    };
                    (syncing::name(&self.sync, number, side), event)
                }));
            }
        }
        let result = Value::from(found.len());
        Ok(Advance::Finish(Box::new(Finish {
            outcome: Some(Outcome::Done),
            result,
            warnings,
            found,
            ..Finish::default()
        })))
    }
}
