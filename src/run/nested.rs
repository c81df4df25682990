//! Actions that hold others: one way of several, every item of a list, several at once.

use std::sync::Arc;

use serde_json::Value;

use super::decide::{Deciding, OUTCOME};
use super::entry::Fact;
use super::walk::{Flow, Spot, name_result};
use crate::connector::Failure;
use crate::expr::{Roots, Scope};
use crate::workflow::action::{Action, Call, ForEach, Kind, Over, Parallel, call, for_each, undecided};
use crate::workflow::{Advance, Context, Finish, Outcome};

/// Chooses a branch, and gives its actions.
type Choice<'c> = (&'c dyn Fn(&Scope<'_>) -> Result<String, Failure>, &'c dyn for<'b> Fn(&'b str) -> &'c [Action]);

impl<'a> Deciding<'a> {
    pub(super) fn choice(&mut self, action: &Action, spot: &mut Spot<'_, 'a>, (choose, actions): Choice<'_>) -> Flow {
        let address = spot.address;
        let chosen = self.state.progress.get(address).and_then(|progress| progress.branch.clone());
        let branch = match chosen {
            Some(branch) => branch,
            None => match choose(&spot.scope(self)) {
                Ok(branch) => {
                    self.record(Fact::Chose { address: address.into(), branch: branch.clone() });
                    branch
                }
                Err(failure) => return spot.fail(failure),
            },
        };
        match self.list(actions(&branch), &mut spot.at(&format!("{address}/{branch}"))) {
            Flow::Done(value) => self.finish(action, spot, Outcome::Done, value, None),
            other => other,
        }
    }

    pub(super) fn parallel(&mut self, action: &Action, parallel: &Parallel, spot: &mut Spot<'_, 'a>) -> Flow {
        let (address, frame, over) = (spot.address, spot.frame, spot.over);
        let mut branches = vec![spot.roots.clone(); parallel.branches.len()];
        let at = |index: usize| format!("{address}/parallel/{index}");
        let results = self.together(parallel.branches.len(), parallel.branches.len().max(2), &at, |run, index| {
            let branch = &parallel.branches[index];
            let mut spot = Spot { address: &at(index), frame, roots: &mut branches[index], over };
            match branch.actions.as_slice() {
                [one] if !branch.is_list => run.action(one, &mut spot),
                actions => run.list(actions, &mut spot),
            }
        });
        match results {
            Ok(results) => {
                branches.into_iter().for_each(|branch| name_results(spot.roots, branch));
                self.finish(action, spot, Outcome::Done, array(results), None)
            }
            Err(flow) => flow,
        }
    }

    /// Names what the actions inside one that is over have made. Those of a loop name nothing beyond it.
    pub(super) fn name_inner(&self, action: &Action, address: &str, roots: &mut Roots<'_>) {
        let progress = self.state.progress.get(address);
        let branch = progress.and_then(|progress| progress.branch.as_deref()).unwrap_or_default();
        match &action.kind {
            Kind::If(choice) => self.name_all(choice.actions(branch), &format!("{address}/{branch}"), roots),
            Kind::Switch(switch) => self.name_all(switch.actions(branch), &format!("{address}/{branch}"), roots),
            Kind::Parallel(parallel) => {
                for (index, branch) in parallel.branches.iter().enumerate() {
                    let at = format!("{address}/parallel/{index}");
                    match branch.actions.as_slice() {
                        [one] if !branch.is_list => self.name(one, &at, roots),
                        actions => self.name_all(actions, &at, roots),
                    }
                }
            }
            _ => {}
        }
        self.name_all(action.on_error.actions(), &format!("{address}/on_error"), roots);
    }

    fn name_all(&self, actions: &[Action], address: &str, roots: &mut Roots<'_>) {
        for (index, action) in actions.iter().enumerate() {
            self.name(action, &format!("{address}/{index}"), roots);
        }
    }

    fn name(&self, action: &Action, address: &str, roots: &mut Roots<'_>) {
        let finished = self.state.progress.get(address).and_then(|progress| progress.finished.as_ref());
        let Some(finished) = finished else { return };
        self.name_inner(action, address, roots);
        name_result(action, roots, finished.outcome, &finished.result);
    }

    /// Lives through several things at once, at most so many; `walk` takes one as far as it goes.
    ///
    /// What one wants or waits for holds up no other. When one has failed, the others go on to their end; items that have
    /// not begun do not begin.
    fn together(
        &mut self,
        count: usize,
        at_once: usize,
        at: &dyn Fn(usize) -> String,
        mut walk: impl FnMut(&mut Self, usize) -> Flow,
    ) -> Result<Vec<Arc<Value>>, Flow> {
        let mut results = Vec::with_capacity(count);
        let (mut open, mut failed) = (0, None);
        for index in 0..count {
            if failed.is_some() && at_once < count && !self.has_begun(&at(index)) {
                continue;
            }
            match walk(self, index) {
                Flow::Done(value) => results.push(value),
                Flow::Blocked => open += 1,
                Flow::Failed { address, failure } => {
                    if at_once > 1 && !self.state.is_finished(&address) {
                        // It must not look like one that is still at work, while others are.
                        let (address, outcome) = (address.clone(), Outcome::Failed);
                        let failure = Some(failure.clone());
                        let warnings = Vec::new();
                        self.record(Fact::Finished { address, outcome, result: Arc::default(), failure, warnings });
                    }
                    failed.get_or_insert(Flow::Failed { address, failure });
                }
                other => return Err(other),
            }
            if open == at_once {
                break;
            }
        }
        match (open, failed) {
            (0, None) => Ok(results),
            (0, Some(failed)) => Err(failed),
            _ => Err(Flow::Blocked),
        }
    }

    fn has_begun(&self, address: &str) -> bool {
        self.state
            .progress
            .keys()
            .any(|known| known.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    pub(super) fn for_each(&mut self, action: &Action, each: &ForEach, spot: &mut Spot<'_, 'a>) -> Flow {
        let address = spot.address;
        if self.state.progress.get(address).and_then(|progress| progress.items.as_ref()).is_none() {
            let items = match &each.over {
                Over::List(list) => match list.eval(&spot.scope(self)) {
                    Ok(None) => Vec::new(),
                    Ok(Some(Value::Array(items))) => items,
                    Ok(Some(_)) => return spot.fail(Failure::new("invalid", "`for_each`: the value is no list")),
                    Err(fault) => return spot.fail(undecided(&fault, "for_each")),
                },
                Over::Operation { alias, operation, with } => {
                    let list = Call { alias: alias.clone(), operation: operation.clone(), with: None };
                    let step = |context: &Context<'_>| match call::advance(
                        &list.alias,
                        &list.operation,
                        with.as_ref(),
                        context,
                    ) {
                        Ok(call::Step::Send(sending)) => Advance::Send(sending),
                        Ok(call::Step::Done(result)) => {
                            Advance::Finish(Box::new(Finish { result, ..Finish::default() }))
                        }
                        Err(failure) => Advance::Fail(failure),
                    };
                    match self.exchanges(action, spot, step) {
                        Ok(finish) => finish.result.as_array().cloned().unwrap_or_default(),
                        Err(flow) => return flow,
                    }
                }
            };
            if items.len() > for_each::ITEMS_MAX {
                let message = format!("`for_each`: {} items are more than {}", items.len(), for_each::ITEMS_MAX);
                return spot.fail(Failure::new("invalid", message));
            }
            self.record(Fact::Listed { address: address.into(), items });
        }
        let items = self.state.progress.get(address).and_then(|progress| progress.items.clone()).unwrap_or_default();
        let at = |index: usize| format!("{address}[{index}]");
        let results = self.together(items.len(), each.at_once, &at, |run, index| {
            let at = at(index);
            if let Some(done) = run.state.progress.get(&at).and_then(|progress| progress.finished.as_ref()) {
                return Flow::Done(done.result.clone());
            }
            let mut over = spot.over.to_vec();
            over.push((&each.name, &items[index]));
            let roots = &mut spot.roots.clone();
            let mut spot = Spot { address: &format!("{at}/actions"), frame: spot.frame, roots, over: &over };
            let flow = run.list(&each.actions, &mut spot);
            if let Flow::Done(result) = &flow {
                let (result, outcome, warnings) = (result.clone(), Outcome::Done, Vec::new());
                run.record(Fact::Finished { address: at, outcome, result, failure: None, warnings });
            }
            flow
        });
        match results {
            Ok(results) => self.finish(action, spot, Outcome::Done, array(results), None),
            Err(flow) => flow,
        }
    }
}

/// What a branch has named is there for all that follows.
fn name_results<'a>(roots: &mut Roots<'a>, branch: Roots<'a>) {
    if let Some(Value::Object(more)) = branch.get(OUTCOME) {
        roots.change(OUTCOME, |outcomes| {
            outcomes.as_object_mut().into_iter().for_each(|known| known.extend(more.clone()))
        });
    }
    roots.add_new(branch);
}

fn array(results: Vec<Arc<Value>>) -> Value {
    results.into_iter().map(Arc::unwrap_or_clone).collect()
}
