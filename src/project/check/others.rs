//! What a workflow says to the project's other workflows: `run`, `emit`, and events of the project that it hears.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::fields::Taker;
use super::names::Names;
use super::walk::Walker;
use crate::expr::{Expr, FieldType};
use crate::project::refused::Refused;
use crate::source::{Diagnostic, File, Report};
use crate::workflow::action::{Action, DEPTH_MAX, Emit, Kind, PROJECT, Run};
use crate::workflow::{Heard, Starts, Workflow, inputs};

/// The active workflows, and what is known of the rest.
pub(super) struct Others<'a> {
    active: &'a [(&'a Workflow, &'a File)],
    files: &'a [File],
    refused: &'a Refused,
    /// Indices of the active ones.
    by_name: HashMap<&'a str, usize>,
    /// Events of the project by name: those that make them, and those that are waited for.
    emitted: HashMap<&'a str, Vec<&'a Emit>>,
    heard: HashSet<&'a str>,
}

impl<'a> Others<'a> {
    pub fn new(active: &'a [(&'a Workflow, &'a File)], files: &'a [File], refused: &'a Refused) -> Self {
        let mut others =
            Self { active, files, refused, by_name: HashMap::new(), emitted: HashMap::new(), heard: HashSet::new() };
        for (index, (workflow, _)) in active.iter().enumerate() {
            others.by_name.insert(&workflow.name, index);
            for action in workflow.all_actions() {
                if let Kind::Emit(emit) = &action.kind {
                    others.emitted.entry(&emit.name).or_default().push(emit);
                }
            }
            let own = workflow.events().into_iter().filter(|heard| heard.alias == PROJECT);
            others.heard.extend(own.flat_map(|heard| &heard.kinds).map(String::as_str));
        }
        others
    }

    fn named(&self, name: &str) -> Option<&'a Workflow> {
        self.by_name.get(name).map(|index| self.active[*index].0)
    }

    /// What the body of an event holds, as far as all who emit it say.
    pub fn body(&self, name: &str) -> Value {
        let Some(emits) = self.emitted.get(name) else { return Value::Null };
        let mut properties = Map::new();
        for emit in emits {
            let Some(fields) = emit.with.as_ref().map_or(Some(Vec::new()), Expr::fields) else { return Value::Null };
            properties.extend(fields.into_iter().map(|(field, _)| (field.to_string(), Value::Null)));
        }
        json!({ "properties": properties })
    }
}

impl Walker<'_> {
    /// Checks a `run`; gives nothing about its result, which any `stop` may make.
    pub(super) fn run(&mut self, action: &Action, run: &Run, names: &Names) {
        let at = format!("{}/run", action.pointer);
        let Some(other) = self.others.named(&run.workflow) else {
            if let Some(with) = &run.with {
                self.value(with, &format!("{}/with", action.pointer), names);
            }
            self.unknown(&run.workflow, &at);
            return;
        };
        match &other.trigger.starts {
            Starts::Manual { inputs } => {
                let schema = inputs::schema(inputs);
                let required = inputs.iter().filter(|(_, input)| input.default.is_none());
                let taker = Taker {
                    name: &run.workflow,
                    what: "input",
                    takes: FieldType::of_schema(&schema),
                    required: required.map(|(name, _)| name.as_str()).collect(),
                    free: Vec::new(),
                    holes: Vec::new(),
                    object: None,
                    upserts: false,
                };
                self.given(run.with.as_ref(), &taker, (&format!("{}/with", action.pointer), &at), names);
            }
            _ => {
                let message = format!("`{}` does not begin with `manual`, so that no other can run it", run.workflow);
                let found = Diagnostic::error("not-manual", message).at(self.file, &at, "");
                self.push(found.help(format!(
                    "move what both need to a workflow with `trigger: {{ manual: }}`, and run that one; or give `{}` that trigger",
                    run.workflow
                )));
            }
        }
        self.accounts(run, other, &at);
    }

    fn unknown(&mut self, name: &str, at: &str) {
        if self.others.refused.has("workflow", name) {
            return;
        }
        let found = Diagnostic::error("unknown-document", format!("no active workflow is called `{name}`"));
        let found = found.at(self.file, at, "");
        let is_there = |file: &File| file.value.get("workflow").and_then(Value::as_str) == Some(name);
        self.push(match self.others.files.iter().any(is_there) {
            true => {
                found.help(format!("there is `{name}`, but it is not active: add it under `active:` in dovetail.yaml"))
            }
            false => found.nearest(name, self.others.active.iter().map(|(workflow, _)| workflow.name.as_str())),
        });
    }

    /// Has everyone for whom this workflow runs what the other one uses?
    fn accounts(&mut self, run: &Run, other: &Workflow, at: &str) {
        let shared = |name: &str| self.workflow.uses.iter().any(|own| own.name == name);
        let lacks = self.plan.tenants_of(self.workflow).into_iter().find_map(|tenant| {
            let mut names = other.uses.iter().map(|uses| uses.name.as_str()).filter(|name| !shared(name));
            names.find(|name| self.plan.account(name, tenant).is_err()).map(|name| (tenant, name.to_string()))
        });
        // Without tenants the other workflow's own finding is enough.
        let Some((Some(tenant), name)) = lacks else { return };
        let message = format!("`{}` uses `{name}`, of which tenant `{tenant}` has no single account", run.workflow);
        let found = Diagnostic::error("missing-connection", message).at(self.file, at, "");
        self.push(found.help(format!("give `{tenant}` a connection for it, under `tenants:` in dovetail.yaml")));
    }

    pub(super) fn emit(&mut self, action: &Action, emit: &Emit, names: &Names) {
        if let Some(with) = &emit.with {
            self.value(with, &format!("{}/with", action.pointer), names);
        }
        if !self.others.heard.contains(emit.name.as_str()) && !self.others.refused.any("workflow") {
            let message = format!("no active workflow hears `{}`", emit.name);
            let found = Diagnostic::warning("unheard", message).at(self.file, &format!("{}/emit", action.pointer), "");
            self.push(
                found.help(format!("one that does has the trigger `event: {PROJECT}.{}`, or waits for it", emit.name)),
            );
        }
    }

    /// An event of the project: does anyone emit it?
    pub(super) fn heard_of_project(&mut self, event: &Heard) {
        let name = event.text.strip_prefix(PROJECT).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
        let known = &self.others.emitted;
        // One that cannot be read may emit it.
        if known.contains_key(name) || self.others.refused.any("workflow") {
            return;
        }
        let found = Diagnostic::error("unknown-event", format!("no active workflow emits `{name}`"));
        let found = found.at(self.file, &event.pointer, "");
        self.push(match known.is_empty() {
            true => found.help(format!("one that does has the action `emit: {name}`")),
            false => found.nearest(name, known.keys().copied()),
        });
    }

    /// What recipes see of events of the project.
    pub(super) fn body_of_project(&self, heard: &[Heard], names: &mut Names) {
        if let [Heard { alias, kinds, .. }] = heard
            && alias == PROJECT
        {
            let body = kinds.first().map_or(Value::Null, |name| self.others.body(name));
            names.extend_field("event", "body", body);
        }
    }
}

/// Workflows that run themselves in the end, or that go too deep.
pub(super) fn check_depth(others: &Others<'_>, report: &mut Report) {
    let runs = Runs::of(others);
    let ranks = runs.ranks();
    for circle in runs.circles(&ranks) {
        let [(first, _), ..] = circle.as_slice() else { continue };
        let message = format!("`{}` runs itself", others.active[*first].0.name);
        report.push(runs.told(message, "runs-itself", &circle));
    }
    for (index, rank) in ranks.iter().enumerate() {
        // Told of the first that is too deep, not of all those that run it.
        if *rank == Some(DEPTH_MAX + 1) {
            let message = format!("`{}` runs others more than {DEPTH_MAX} deep", others.active[index].0.name);
            report.push(runs.told(message, "too-deep", &runs.deepest(index, &ranks)));
        }
    }
}

/// The pointer of a `run`, by the index of the workflow that it stands in.
type Link = (usize, String);

/// Which workflow runs which.
struct Runs<'a> {
    others: &'a Others<'a>,
    /// By workflow: those that it runs, each once, with the pointer of the first action that does.
    links: Vec<Vec<(usize, String)>>,
}

impl<'a> Runs<'a> {
    fn of(others: &'a Others<'a>) -> Self {
        let links = others.active.iter().map(|(workflow, _)| {
            let mut links: Vec<(usize, String)> = Vec::new();
            for action in workflow.all_actions() {
                if let Kind::Run(run) = &action.kind
                    && let Some(index) = others.by_name.get(run.workflow.as_str())
                    && !links.iter().any(|(known, _)| known == index)
                {
                    links.push((*index, format!("{}/run", action.pointer)));
                }
            }
            links
        });
        Self { others, links: links.collect() }
    }

    /// How deep each goes; None: it runs itself, or one that does.
    fn ranks(&self) -> Vec<Option<usize>> {
        let mut run_by: Vec<Vec<usize>> = vec![Vec::new(); self.links.len()];
        for (index, links) in self.links.iter().enumerate() {
            links.iter().for_each(|(other, _)| run_by[*other].push(index));
        }
        let mut open: Vec<usize> = self.links.iter().map(Vec::len).collect();
        let mut ranks: Vec<Option<usize>> = vec![None; self.links.len()];
        let mut ready: Vec<usize> = (0..open.len()).filter(|index| open[*index] == 0).collect();
        while let Some(index) = ready.pop() {
            let below = self.links[index].iter().filter_map(|(other, _)| ranks[*other]).max();
            ranks[index] = Some(below.map_or(0, |below| below + 1));
            for outer in &run_by[index] {
                open[*outer] -= 1;
                if open[*outer] == 0 {
                    ready.push(*outer);
                }
            }
        }
        ranks
    }

    /// Circles, one for each set of workflows that run each other.
    fn circles(&self, ranks: &[Option<usize>]) -> Vec<Vec<Link>> {
        let mut seen = vec![false; ranks.len()];
        let mut circles = Vec::new();
        for start in 0..ranks.len() {
            let mut path: Vec<Link> = Vec::new();
            let mut at = start;
            while ranks[at].is_none() && !seen[at] {
                seen[at] = true;
                let Some((next, pointer)) = self.links[at].iter().find(|(other, _)| ranks[*other].is_none()) else {
                    break;
                };
                path.push((at, pointer.clone()));
                if let Some(begin) = path.iter().position(|(index, _)| index == next) {
                    circles.push(path.split_off(begin));
                    break;
                }
                at = *next;
            }
        }
        circles
    }

    fn deepest(&self, from: usize, ranks: &[Option<usize>]) -> Vec<Link> {
        let mut path = Vec::new();
        let mut at = from;
        while let Some((next, pointer)) = self.links[at].iter().max_by_key(|(other, _)| ranks[*other]) {
            path.push((at, pointer.clone()));
            at = *next;
        }
        path
    }

    fn told(&self, message: String, code: &'static str, path: &[Link]) -> Diagnostic {
        let mut found = Diagnostic::error(code, message);
        for (step, (index, pointer)) in path.iter().enumerate() {
            let (_, file) = self.others.active[*index];
            let name = file.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let text = format!("runs `{name}`");
            found = if step == 0 { found.at(file, pointer, text) } else { found.also(file, pointer, text) };
        }
        found.help("take one of these actions out, or move what is repeated into a `for_each`")
    }
}
