//! A workflow as a picture: what starts it, its actions one below the other, and how often each was done lately.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{cut, said};
use crate::dashboard::ask::Ask;
use crate::dashboard::problem::Problem;
use crate::project::Plan;
use crate::run::{Ending, Fact};
use crate::store::{Run, Status};
use crate::story::count;
use crate::sync::{Conflict, Field, Pair, Sync, Which};
use crate::workflow::action::{Action, Kind, OnError};
use crate::workflow::{Outcome, Workflow};

/// Runs whose steps are counted.
const RUNS_MAX: usize = 50;
/// Lines of their journals that are read.
const ENTRIES_MAX: usize = 5_000;
/// Actions that are drawn.
const ACTIONS_MAX: usize = 150;
const TITLE_MAX: usize = 120;
/// Fields of a pair that are told.
const FIELDS_MAX: usize = 200;

/// How often something was done.
#[derive(Clone, Copy, Default)]
struct Counts {
    done: u32,
    skipped: u32,
    failed: u32,
}

/// Of the latest runs of this version of the project.
#[derive(Default)]
struct Counted {
    runs: usize,
    failed: usize,
    /// By where the action stands.
    actions: BTreeMap<String, Counts>,
}

/// The picture, as the latest runs have gone through it.
pub async fn of(ask: &Ask, plan: &Plan, workflow: &Workflow, start: &str) -> Result<Markup, Problem> {
    let runs = ask.latest_of(&workflow.name, RUNS_MAX).await?;
    let (mut counted, mut entries) = (Counted::default(), 0);
    for run in runs.iter().filter(|run| run.start.plan == plan.hash) {
        entries += run.length;
        if entries > ENTRIES_MAX {
            break;
        }
        counted.add(ask, plan, workflow, run).await?;
    }
    let mut left = ACTIONS_MAX;
    let actions = list(&workflow.actions, &counted, &mut left);
    Ok(html! {
        section.card {
            h2 { "What it does" }
            div.flow {
                div.step.start { strong { (said(&cut(start, TITLE_MAX))) } (times(counted.runs, counted.failed)) }
                (actions)
                @if !workflow.on_error.actions().is_empty() {
                    div.way.fails { p { "if it fails" } (list(workflow.on_error.actions(), &counted, &mut left)) }
                }
            }
            @if left == 0 { p.quiet { "More is not drawn." } }
        }
    })
}

/// What a sync keeps alike: field by field, in which direction, and who wins.
pub fn of_sync(sync: &Sync) -> Markup {
    let pairs = [&sync.pair].into_iter().chain(&sync.children);
    html! {
        @for pair in pairs {
            @let [first, second] = pair.sides.each_ref().map(|side| format!("{}.{}", side.alias, side.object));
            section.card {
                h2 { (said(&first)) " " span aria-hidden="true" { "⇄" } span.unseen { "and" } " " (said(&second)) }
                table.rows.plain {
                    thead { tr { @for name in [&*first, "", &*second, "Where both have changed it"] { th scope="col" { (said(name)) } } } }
                    tbody { @for (at, field) in pair.fields.iter().take(FIELDS_MAX).enumerate() { (kept(pair, field, pair.match_by.contains(&at))) } }
                }
                @if pair.fields.len() > FIELDS_MAX { p.quiet { "and " (count(pair.fields.len() - FIELDS_MAX, "more field")) } }
            }
        }
    }
}

fn kept(pair: &Pair, field: &Field, finds: bool) -> Markup {
    let [first, second] = &field.names;
    let (sign, words) = match field.owner {
        None => ("⇄", "both ways"),
        Some(Which::First) => ("→", "to the second side only"),
        Some(Which::Second) => ("←", "to the first side only"),
    };
    let wins = match field.conflict {
        _ if field.owner.is_some() => String::new(),
        _ if field.union => "both are kept".to_owned(),
        Conflict::Ask => "a person decides".to_owned(),
        Conflict::Newest => "the later change".to_owned(),
        Conflict::Side(which) => pair.sides[usize::from(which == Which::Second)].alias.clone(),
    };
    html! {
        tr {
            td { (said(first)) @if finds { " " small.quiet { "finds the other half" } } }
            td { span title=(words) aria-hidden="true" { (sign) } span.unseen { (words) } }
            td { (said(second)) }
            td.last { (said(&wins)) }
        }
    }
}

impl Counted {
    async fn add(&mut self, ask: &Ask, plan: &Plan, workflow: &Workflow, run: &Run) -> Result<(), Problem> {
        self.runs += 1;
        self.failed += usize::from(run.status == Status::Failed);
        // What cannot be read is told at the run itself.
        let mut failed = None;
        for entry in ask.store().journal(&run.start.id).await.unwrap_or_default() {
            let (address, outcome) = match &entry.fact {
                // The turn of a loop is none of its actions.
                Fact::Finished { address, outcome, .. } if !address.ends_with(']') => (address, *outcome),
                // An action that ends the run is not finished before.
                Fact::Ended { ending: Ending::Failed { address, .. } } if failed.as_ref() != Some(address) => {
                    (address, Outcome::Failed)
                }
                _ => continue,
            };
            let Some(action) = plan.action_at(workflow, address) else { continue };
            let counts = self.actions.entry(place(action)).or_default();
            match outcome {
                Outcome::Skipped => counts.skipped += 1,
                Outcome::Failed => {
                    counts.failed += 1;
                    failed = Some(address.clone());
                }
                _ => counts.done += 1,
            }
        }
        Ok(())
    }
}

fn place(action: &Action) -> String {
    format!("{}#{}", action.place.path, action.pointer)
}

fn times(runs: usize, failed: usize) -> Markup {
    html! {
        @if runs > 0 {
            span.counts {
                (runs) @if runs == RUNS_MAX { " latest" } @if runs == 1 { " run" } @else { " runs" }
                @if failed > 0 { ", " span.bad { (failed) " failed" } }
            }
        }
    }
}

fn list(actions: &[Action], counted: &Counted, left: &mut usize) -> Markup {
    html! {
        @if !actions.is_empty() {
            ol.steps { @for action in actions { @if *left > 0 { (step(action, counted, left)) } } }
        }
    }
}

fn step(action: &Action, counted: &Counted, left: &mut usize) -> Markup {
    *left -= 1;
    let counts = counted.actions.get(&place(action)).copied().unwrap_or_default();
    let ways = ways(action);
    html! {
        li {
            div.step {
                strong { (said(&cut(&action.title(), TITLE_MAX))) }
                @if let Some(id) = &action.id { " " code { (said(id)) } }
                @if action.only_if.is_some() { " " small { "only if" } }
                @if matches!(action.on_error, OnError::Continue) { " " small { "goes on when it fails" } }
                (did(counts))
            }
            @if !ways.is_empty() {
                div.ways {
                    @for (name, actions, fails) in &ways {
                        div class=(if *fails { "way fails" } else { "way" }) { p { (said(&cut(name, TITLE_MAX))) } (list(actions, counted, left)) }
                    }
                }
            }
        }
    }
}

fn did(counts: Counts) -> Markup {
    let told = [(counts.done, "done", ""), (counts.skipped, "skipped", ""), (counts.failed, "failed", "bad")];
    html! {
        @if told.iter().any(|(count, ..)| *count > 0) {
            span.counts {
                @for (at, (count, word, class)) in told.iter().filter(|(count, ..)| *count > 0).enumerate() {
                    @if at > 0 { ", " } span class=(class) { (count) " " (word) }
                }
            }
        }
    }
}

/// The ways that go on from an action: what each is called, and whether it is for failures.
fn ways(action: &Action) -> Vec<(String, &[Action], bool)> {
    let mut ways: Vec<(String, &[Action], bool)> = match &action.kind {
        Kind::If(choice) => vec![("then".into(), &choice.then, false), ("else".into(), &choice.otherwise, false)],
        Kind::Switch(switch) => {
            let cases = switch.cases.iter().map(|case| (case.key.clone(), case.actions.as_slice(), false));
            cases.chain([("else".into(), switch.default.as_slice(), false)]).collect()
        }
        Kind::ForEach(each) => vec![(format!("for each {}", each.name), &each.actions, false)],
        Kind::Parallel(parallel) => parallel
            .branches
            .iter()
            .map(|branch| ("at the same time".into(), branch.actions.as_slice(), false))
            .collect(),
        _ => Vec::new(),
    };
    ways.push(("if it fails".into(), action.on_error.actions(), true));
    ways.retain(|(_, actions, _)| !actions.is_empty());
    ways
}
