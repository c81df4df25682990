//! Loops between workflows: does what one writes start it again, and does that ever end?
//!
//! ```text
//!  workflow a ─ writes ghl.contact ─▶ heard by workflow b ─ writes os.contact ─▶ heard by workflow a
//! ```
//! A `call` writes each time. An `upsert` writes only what differs, so that a chain with one in it settles, unless a value
//! becomes another on each way round. A condition may end a chain; that cannot be proven, except where it asks for a
//! change that nothing makes. What surely goes on is an error, what may is a warning, what settles is nothing.
//!
//! Linear in actions and triggers: the graphs hold an edge for each, and chains are followed only inside knots.

mod carry;
mod flow;
mod graph;
mod needs;
mod part;
mod reader;
mod scene;
mod told;
mod turn;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::project::Plan;
use crate::source::{File, Report};
use crate::workflow::Workflow;
use carry::Carry;
use flow::Flow;
use part::{Part, Runs};
use scene::{Live, Scene};
use write::{Change, Effect, Field, Target};

/// More loops are not told, and more chains not followed: a project that has so many is told enough.
const LOOPS_MAX: usize = 100;
const CHAINS_MAX: usize = 2_000;

/// An action that writes, and the event by which the next workflow hears of it: numbers in the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    live: usize,
    event: usize,
}

/// Why a chain goes on.
enum Cause {
    /// Actions that write whatever is there.
    Repeats,
    /// A value that is more on each way round.
    Grows { field: String },
    /// A value that is another in each run, handed on to a workflow that is started.
    Renews { field: String },
    /// Two fields that take each other's value.
    Trades { one: String, other: String },
    /// A value that perhaps does not come back as it went out.
    Turns { field: String },
    /// Two upserts that give one field two values.
    Disagrees { field: String },
}

/// Tells each loop between active workflows once.
pub(super) fn check(plan: &Plan, workflows: &[(&Workflow, &File)], report: &mut Report) {
    let runs = Runs::of(workflows);
    let parts: Vec<Part<'_>> =
        workflows.iter().filter_map(|(workflow, file)| Part::of(plan, workflow, file, &runs)).collect();
    if parts.iter().all(|part| part.writes.is_empty()) {
        return;
    }
    let mut told = BTreeSet::new();
    for tenant in tenants(plan, workflows) {
        let scene = Scene::of(plan, &parts, tenant);
        let mut search = Search { scene: &scene, told: &mut told, chains: 0, report: &mut *report };
        search.run();
    }
}

/// None, and each tenant that is not like one before it: with connections of the same connectors, none of which a
/// workflow names, the same happens.
fn tenants<'p>(plan: &'p Plan, workflows: &[(&Workflow, &File)]) -> Vec<Option<&'p str>> {
    let named: HashSet<&str> =
        workflows.iter().flat_map(|(workflow, _)| &workflow.uses).map(|uses| uses.name.as_str()).collect();
    let mut own: HashMap<&str, Vec<&str>> = HashMap::new();
    for connection in &plan.connections {
        let Some(tenant) = connection.tenant.as_deref() else { continue };
        let name = if named.contains(connection.name.as_str()) { &connection.name } else { &connection.connector };
        own.entry(tenant).or_default().push(name);
    }
    let mut kinds: HashSet<Vec<&str>> = HashSet::new();
    let mut all = vec![None];
    for tenant in &plan.tenants {
        let Some(mut kind) = own.remove(tenant.name.as_str()) else { continue };
        kind.sort_unstable();
        if kinds.insert(kind) {
            all.push(Some(tenant.name.as_str()));
        }
    }
    all
}

struct Search<'s, 'a> {
    scene: &'s Scene<'a>,
    /// The actions of each loop that was told, by workflow and pointer.
    told: &'s mut BTreeSet<Vec<(String, String)>>,
    chains: usize,
    report: &'s mut Report,
}

impl<'a> Search<'_, 'a> {
    /// What surely goes on is looked for first, so that of several ways round it is the one that is told.
    fn run(&mut self) {
        self.repeating(|live, change| {
            let goes_on = live.write.repeats(change) || change == Change::Deleted || live.write.starts();
            is_certain(live) && goes_on
        });
        self.echoing(is_certain);
        self.renewing(is_certain);
        let certain = Flow::of(self.scene, is_certain);
        self.growing(&certain);
        self.trading(&certain);
        self.repeating(|_, _| true);
        self.echoing(|_| true);
        self.renewing(|_| true);
        let all = Flow::of(self.scene, |_| true);
        self.growing(&all);
        self.trading(&all);
        self.turning(&all);
        self.disagreeing();
    }

    fn is_enough(&self) -> bool {
        self.chains >= CHAINS_MAX || self.told.len() >= LOOPS_MAX
    }

    /// Chains in which an action writes whatever is there.
    fn repeating(&mut self, takes: impl Fn(&Live<'_>, Change) -> bool) {
        let begins = |live: &Live<'_>, change| live.write.repeats(change).then_some(Cause::Repeats);
        self.around(&takes, begins);
    }

    /// Chains of events of the project, in which nothing need be written. Those of `run` alone are told elsewhere.
    fn echoing(&mut self, takes: impl Fn(&Live<'_>) -> bool) {
        let begins = |live: &Live<'_>, _| matches!(live.write.target, Target::Event(_)).then_some(Cause::Repeats);
        self.around(|live, _| live.write.starts() && takes(live), begins);
    }

    /// Chains in which an upsert is handed a value that is another in each run.
    fn renewing(&mut self, takes: impl Fn(&Live<'_>) -> bool) {
        let begins = |live: &Live<'_>, _| match &live.write.effect {
            Effect::Starts { new } => Some(Cause::Renews { field: new.first()?.clone() }),
            _ => None,
        };
        self.around(|live, _| takes(live), begins);
    }

    /// Tells the shortest way round from each write that begins one.
    fn around(
        &mut self,
        takes: impl Fn(&Live<'_>, Change) -> bool,
        begins: impl Fn(&Live<'_>, Change) -> Option<Cause>,
    ) {
        let scene = self.scene;
        let graph = scene.graph(&takes);
        let knots = graph.knots();
        for (number, live) in scene.lives.iter().enumerate() {
            for event in &live.makes {
                let change = scene.events[*event].2;
                let is_knotted = knots[live.node] == knots[scene.vertex(*event)];
                if !is_knotted || !takes(live, change) || self.is_enough() {
                    continue;
                }
                let Some(cause) = begins(live, change) else { continue };
                self.chains += 1;
                let Some(way) = graph.shortest(scene.vertex(*event), live.node) else { continue };
                let first = Link { live: number, event: *event };
                self.tell(std::iter::once(first).chain(links(scene, &way)).collect(), cause);
            }
        }
    }

    fn growing(&mut self, flow: &Flow<'a>) {
        for (link, step) in flow.round(self.scene, |step| step.carry == Carry::Grown) {
            if self.is_enough() {
                return;
            }
            self.chains += 1;
            let chain = flow.chain(self.scene, link, &step.to, &step.from).unwrap_or_default();
            self.tell(chain.into_iter().map(|(link, _)| link).collect(), Cause::Grows { field: step.to.clone() });
        }
    }

    fn turning(&mut self, flow: &Flow<'a>) {
        for (link, step) in flow.round(self.scene, |step| step.carry == Carry::Changed) {
            if self.is_enough() {
                return;
            }
            self.chains += 1;
            let chain = flow.chain(self.scene, link, &step.to, &step.from).unwrap_or_default();
            let written = chain.iter().map(|(link, field)| {
                let mut fields = self.scene.lives[link.live].write.fields.iter().flatten();
                fields.find(|known| known.name == **field).map(|field| field.written)
            });
            let rests = written.collect::<Option<Vec<_>>>().is_some_and(|written| turn::rests(&written));
            if !rests {
                self.tell(chain.into_iter().map(|(link, _)| link).collect(), Cause::Turns { field: step.to.clone() });
            }
        }
    }

    /// `first: $.contact.last` beside `last: $.contact.first`.
    fn trading(&mut self, flow: &Flow<'a>) {
        for (link, step) in flow.round(self.scene, |_| true) {
            let live = &self.scene.lives[link.live];
            let knot = flow.knot(live.node, &step.from);
            let other = live
                .write
                .steps
                .iter()
                .map(|other| other.from.as_str())
                .find(|other| *other != step.from && knot.is_some() && flow.knot(live.node, other) == knot);
            let Some(other) = other else { continue };
            if self.is_enough() {
                return;
            }
            self.chains += 1;
            let Some(chain) = flow.chain(self.scene, link, &step.to, other) else { continue };
            let chain: Vec<Link> = chain.into_iter().map(|(link, _)| link).collect();
            if flow::trades(self.scene, &chain, &step.from, other) {
                self.tell(chain, Cause::Trades { one: step.from.clone(), other: other.to_owned() });
            }
        }
    }

    /// Upserts of one field, each started by what the other writes.
    fn disagreeing(&mut self) {
        let scene = self.scene;
        let starting = scene.graph(|live, _| live.write.starts());
        // By event and node: the way from one to the other on which nothing is written.
        let mut ways: HashMap<(usize, usize), Option<Vec<Link>>> = HashMap::new();
        let mut first: HashMap<(usize, &str), (usize, &Field<'_>)> = HashMap::new();
        for (number, live) in scene.lives.iter().enumerate() {
            let is_upsert = live.write.effect == Effect::Settles && !live.write.is_elsewhere;
            let update = live.makes.iter().find(|event| scene.events[**event].2 == Change::Updated);
            let (Some(update), Some(object)) = (update.filter(|_| is_upsert), live.write.object()) else { continue };
            // What other workflows hand on is known where it is a constant.
            let is_handed = scene.nodes[live.node].part.object().is_none();
            if is_handed && self.is_enough() {
                return;
            }
            let way = ways.entry((*update, live.node)).or_insert_with(|| {
                let is_heard = scene.nodes[live.node].hears.iter().any(|(event, _)| event == update);
                if !is_handed {
                    return is_heard.then(Vec::new);
                }
                self.chains += 1;
                starting.shortest(scene.vertex(*update), live.node).map(|way| links(scene, &way))
            });
            if way.is_none() {
                continue;
            }
            for field in live.write.fields.iter().flatten() {
                // Lists are added to; a field that is written back as it was read is not written.
                let source = live.write.source(&field.name);
                let is_known = !is_handed || field.is_constant;
                if !is_known || object.whole_lists.contains(&field.name) || source == Some(&field.name) {
                    continue;
                }
                let (other, known) = *first.entry((*update, &field.name)).or_insert((number, field));
                let written = scene.lives[other].write;
                let is_same =
                    known.written == field.written || (source.is_some() && source == written.source(&field.name));
                let is_choice = live.write.is_guarded && written.is_guarded;
                if is_same || is_choice || self.is_enough() {
                    continue;
                }
                self.chains += 1;
                let way = |to: usize| ways.get(&(*update, scene.lives[to].node)).cloned().flatten().unwrap_or_default();
                let link = |live| Link { live, event: *update };
                let mut chain = vec![link(other)];
                chain.extend(way(number));
                chain.push(link(number));
                chain.extend(way(other));
                self.tell(chain, Cause::Disagrees { field: field.name.clone() });
            }
        }
    }

    /// Tells a chain, unless it was told or ends by itself.
    fn tell(&mut self, chain: Vec<Link>, cause: Cause) {
        let Some(found) = told::found(self.scene, &chain, &cause) else { return };
        let name = |link: &Link| {
            let live = &self.scene.lives[link.live];
            (self.scene.nodes[live.node].part.workflow.name.clone(), live.write.action.pointer.clone())
        };
        let mut actions: Vec<(String, String)> = chain.iter().map(name).collect();
        actions.sort_unstable();
        actions.dedup();
        if self.told.insert(actions) {
            self.report.push(found);
        }
    }
}

/// The writes on a way through a scene's graph.
fn links(scene: &Scene<'_>, way: &[(usize, usize)]) -> Vec<Link> {
    let on = way.iter().filter(|(_, mark)| *mark != graph::PLAIN);
    on.map(|(vertex, mark)| Link { live: *mark, event: vertex - scene.nodes.len() }).collect()
}

/// Nothing stands before it, and it is about the record that was heard.
fn is_certain(live: &Live<'_>) -> bool {
    !live.write.is_guarded && !live.write.is_elsewhere
}
