//! What a run does beyond itself: another workflow as a part of it, and events for the project's others.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::decide::Deciding;
use super::entry::Fact;
use super::frame::Frame;
use super::walk::{Flow, Spot};
use crate::connector::Failure;
use crate::expr::Scope;
use crate::trigger::{EVENT_BYTES_MAX, Event, HOPS_MAX};
use crate::workflow::action::{Action, Emit, PROJECT, Run};
use crate::workflow::{Outcome, Starts, inputs};

impl<'a> Deciding<'a> {
    /// Walks another workflow below `<address>/run`: with its own names, and the accounts of the one that runs it.
    pub(super) fn run(&mut self, action: &Action, run: &Run, spot: &mut Spot<'_, 'a>) -> Flow {
        let mut inner = match self.inner(run, spot.address, spot.frame) {
            Ok(inner) => inner,
            Err(failure) => return spot.fail(failure),
        };
        if let Err(flow) = self.names(&mut inner) {
            return flow;
        }
        let begun = self.state.progress.get(inner.address()).and_then(|progress| progress.inputs.clone());
        let begins = begun.is_none();
        inner.inputs = match begun.map_or_else(|| self.inputs(run, &inner, &spot.scope(self)), Ok) {
            Ok(inputs) => Cow::Owned(inputs),
            Err(failure) => return spot.fail(failure),
        };
        let mut roots = self.roots(&inner, None);
        if begins {
            if let Some(condition) = &inner.workflow.trigger.only_if {
                match condition.holds(&Scope::of(&roots, &self.plan.locale)) {
                    Ok(true) => {}
                    Ok(false) => return self.finish(action, spot, Outcome::Skipped, Value::Null, None),
                    Err(fault) => {
                        let message = format!("`only_if` of `{}`: {}", run.workflow, fault.message);
                        return spot.fail(Failure::new("invalid", message));
                    }
                }
            }
            self.record(Fact::Entered { address: inner.address().into(), inputs: inner.inputs.clone().into_owned() });
        }
        let wanted = self.next.len();
        match self.workflow(&inner, &mut roots, None) {
            Flow::Done(_) => self.finish(action, spot, Outcome::Done, Value::Null, None),
            Flow::Stopped(value) => {
                // What its other branches want is not done any more.
                self.next.truncate(wanted);
                self.finish(action, spot, Outcome::Done, value, None)
            }
            other => other,
        }
    }

    /// The frame of a workflow that is run: an alias stands for the connection that the outer one has for the same name,
    /// else for the tenant's.
    fn inner(&self, run: &Run, address: &str, frame: &Frame<'a>) -> Result<Frame<'a>, Failure> {
        let plan = frame.plan;
        let workflow = plan
            .workflow(&run.workflow)
            .ok_or_else(|| Failure::new("invalid", format!("no active workflow is called `{}`", run.workflow)))?;
        let outer = |name: &str| {
            let uses = frame.workflow.uses.iter().find(|uses| uses.name == name)?;
            Some((name.to_string(), frame.connections.get(&uses.alias)?.clone()))
        };
        let known = workflow.uses.iter().filter_map(|uses| outer(&uses.name)).collect();
        let connections = plan
            .bind_within(workflow, self.start.tenant.as_deref(), &known)
            .ok_or_else(|| Failure::new("invalid", format!("`{}` uses an account that there is not", run.workflow)))?;
        let prefix = format!("{address}/run/");
        let (connections, inputs) = (Cow::Owned(connections), Cow::default());
        Ok(Frame { plan, workflow, prefix, connections, inputs, names: Default::default() })
    }

    fn inputs(&self, run: &Run, inner: &Frame<'_>, scope: &Scope<'_>) -> Result<Value, Failure> {
        let given = match &run.with {
            Some(with) => with.eval(scope).map_err(|fault| crate::workflow::action::invalid(&fault, "with"))?,
            None => None,
        };
        let Starts::Manual { inputs: wanted } = &inner.workflow.trigger.starts else {
            return Err(Failure::new("invalid", format!("`{}` has no `manual` trigger", run.workflow)));
        };
        inputs::take(wanted, given.unwrap_or(Value::Null), &self.plan.locale)
            .map_err(|message| Failure::new("invalid", format!("`with`: {message}")).at("/with".into()))
    }

    /// Makes an event of the project; it is stored in the commit that finishes the action.
    pub(super) fn emit(&mut self, action: &Action, emit: &Emit, spot: &mut Spot<'_, 'a>) -> Flow {
        let told = match &emit.with {
            Some(with) => match with.eval(&spot.scope(self)) {
                Ok(told) => told,
                Err(fault) => return spot.fail(crate::workflow::action::invalid(&fault, "with")),
            },
            None => None,
        };
        let body = told.unwrap_or_else(|| Value::Object(Map::new()));
        let hops = self.start.event.hops + 1;
        if hops > HOPS_MAX {
            let message =
                format!("more than {HOPS_MAX} events of the project, each of which led to the next: is it a loop?");
            return spot.fail(Failure::new("invalid", message));
        }
        let bytes = body.to_string().len();
        if bytes > EVENT_BYTES_MAX {
            let message = format!("`with`: {bytes} bytes are more than {EVENT_BYTES_MAX}");
            return spot.fail(Failure::new("invalid", message));
        }
        self.kept.emitted.push(Event {
            id: format!("{}/{}", self.start.id, spot.address),
            source: PROJECT.into(),
            kind: emit.name.clone(),
            time_ms: self.now_ms,
            tenant: self.start.tenant.clone(),
            body: body.clone().into(),
            hops,
            past: self.start.event.past,
            ..Event::default()
        });
        self.finish(action, spot, Outcome::Done, body, None)
    }
}
