//! `call`: one operation, sent exactly as written. Of a list operation, all pages.

use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{invalid, split_alias, undecided};
use crate::connector::{Connector, Failure, Operation, Page};
use crate::expr::Expr;
use crate::workflow::{Advance, Answer, Context, Exchange, Finish, Outcome, Purpose, Reading, Sending};

/// Calls one operation, exactly as written.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Document {
    /// `alias.object.operation`, such as `ghl.note.create`.
    call: String,
    /// What is sent, field by field.
    #[schemars(extend("x-takes" = "a map"))]
    with: Option<Value>,
}

#[derive(Debug)]
pub struct Call {
    pub alias: String,
    pub operation: String,
    pub with: Option<Expr>,
}

/// The most records that a list operation gives.
pub const RECORDS_MAX: usize = 1_000;

impl Call {
    pub(super) fn read(document: Document, reading: &mut Reading<'_>) -> Option<Self> {
        let with = document.with.as_ref().map(|value| reading.child("with").expr(value));
        let split = split_alias(&document.call, "operation", "crm.note.create", &mut reading.child("call"));
        let (alias, operation) = split?;
        Some(Self { alias, operation, with })
    }

    pub fn advance(&self, context: &Context<'_>) -> Advance {
        match advance(&self.alias, &self.operation, self.with.as_ref(), context) {
            Ok(Step::Send(sending)) => Advance::Send(sending),
            Ok(Step::Done(result)) => {
                let finish = Finish { outcome: Some(Outcome::Done), result, ..Finish::default() };
                Advance::Finish(Box::new(finish))
            }
            Err(failure) => Advance::Fail(failure),
        }
    }
}

/// What a call does next; `for_each` over an operation uses the same.
pub enum Step {
    Send(Sending),
    Done(Value),
}

/// Sends the operation, then its further pages; gives what recipes see.
pub fn advance(alias: &str, name: &str, with: Option<&Expr>, context: &Context<'_>) -> Result<Step, Failure> {
    let (connector, operation) = context.operation(alias, name)?;
    let send = |input: Arc<Value>, page: Page| {
        let sending = Sending {
            purpose: Purpose::Call,
            alias: alias.into(),
            operation: name.into(),
            input,
            page,
            turns: Vec::new(),
        };
        Ok(Step::Send(sending))
    };
    let Some(last) = context.exchanges.iter().rev().find(|exchange| exchange.purpose == Purpose::Call) else {
        return send(input(alias, connector, operation, with, context)?.into(), Page::default());
    };
    let next = match &last.answer {
        Some(Answer::Failed(failure)) => return Err(failure.clone()),
        Some(Answer::Done { next, .. }) => next.clone(),
        None => return Err(Failure::new("unknown", "the last answer is missing")),
    };
    let pages: Vec<&Exchange> = context.exchanges.iter().filter(|exchange| exchange.purpose == Purpose::Call).collect();
    if !operation.lists {
        let names = names(alias, operation, context);
        return Ok(Step::Done(last.value().map_or(Value::Null, |value| shape(connector, operation, value, &names))));
    }
    let count = |exchange: &&Exchange| exchange.value().and_then(Value::as_array).map_or(0, Vec::len);
    let records: usize = pages.iter().map(count).sum();
    if let Some(next) = next
        && records < RECORDS_MAX
    {
        return send(last.input.clone(), next);
    }
    let names = names(alias, operation, context);
    let items = pages.iter().filter_map(|exchange| exchange.value()?.as_array());
    let items = items.flatten().take(RECORDS_MAX).map(|item| shape(connector, operation, item, &names)).collect();
    Ok(Step::Done(Value::Array(items)))
}

/// A record as recipes see it.
pub fn shape(connector: &Connector, operation: &Operation, value: &Value, names: &crate::connector::Names) -> Value {
    if value.is_object() && operation.object.is_some() {
        operation.shape(connector, value, names)
    } else {
        value.clone()
    }
}

fn names(alias: &str, operation: &Operation, context: &Context<'_>) -> crate::connector::Names {
    operation.object.as_deref().map(|object| context.accounts.names(alias, object)).unwrap_or_default()
}

/// The input as written, in the types that the operation takes.
fn input(
    alias: &str,
    connector: &Connector,
    operation: &Operation,
    with: Option<&Expr>,
    context: &Context<'_>,
) -> Result<Value, Failure> {
    let Some(with) = with else { return Ok(Value::Object(Map::new())) };
    let value = with.eval(&context.scope).map_err(|fault| invalid(&fault, "with"))?;
    let value = value.unwrap_or_else(|| Value::Object(Map::new()));
    let names = names(alias, operation, context);
    operation.given(value.as_object().unwrap_or(&Map::new())).map_err(|fault| undecided(&fault, "with"))?;
    operation.unshape(connector, value, &names, context.locale).map_err(|fault| undecided(&fault, "with"))
}
