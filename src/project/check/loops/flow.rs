//! Fields on their way: which value, carried from record to record, comes back to the field that it was read from.

use std::collections::{BTreeSet, HashMap};

use super::Link;
use super::graph::{Graph, PLAIN};
use super::scene::{Live, Scene};
use super::write::Step;

/// A graph of fields: of a node's record, and of an event's.
pub(super) struct Flow<'a> {
    graph: Graph,
    knots: Vec<usize>,
    /// By vertex of the scene and field.
    numbers: HashMap<(usize, &'a str), usize>,
    /// The vertex of the scene and the field that each stands for.
    stands_for: Vec<(usize, &'a str)>,
    /// The writes that are taken into account.
    taken: Vec<bool>,
}

impl<'a> Flow<'a> {
    /// Of the writes that are taken into account.
    pub fn of(scene: &Scene<'a>, takes: impl Fn(&Live<'_>) -> bool) -> Self {
        let taken: Vec<bool> = scene.lives.iter().map(takes).collect();
        let (graph, numbers) = (Graph::default(), HashMap::new());
        let mut flow = Flow { graph, knots: Vec::new(), numbers, stands_for: Vec::new(), taken };
        let mut arrived: BTreeSet<(usize, &'a str)> = BTreeSet::new();
        for (number, live) in scene.lives.iter().enumerate().filter(|(number, _)| flow.taken[*number]) {
            for event in &live.makes {
                for step in live.write.steps_to(scene.events[*event].2) {
                    let from =
                        number_of(&mut flow.graph, &mut flow.numbers, &mut flow.stands_for, live.node, &step.from);
                    let vertex = scene.vertex(*event);
                    let to = number_of(&mut flow.graph, &mut flow.numbers, &mut flow.stands_for, vertex, &step.to);
                    flow.graph.add(from, to, number);
                    arrived.insert((*event, &step.to));
                }
            }
        }
        let mut hearers: Vec<Vec<usize>> = vec![Vec::new(); scene.events.len()];
        for (number, node) in scene.nodes.iter().enumerate() {
            node.hears.iter().for_each(|(event, _)| hearers[*event].push(number));
        }
        for (event, field) in arrived {
            let Some(from) = flow.numbers.get(&(scene.vertex(event), field)).copied() else { continue };
            for node in &hearers[event] {
                // What nobody reads goes nowhere.
                if let Some(to) = flow.numbers.get(&(*node, field)) {
                    flow.graph.add(from, *to, PLAIN);
                }
            }
        }
        flow.knots = flow.graph.knots();
        flow
    }

    /// The steps whose value comes back to where it was read.
    pub fn round(&self, scene: &Scene<'a>, wanted: impl Fn(&Step) -> bool) -> Vec<(Link, &'a Step)> {
        let mut found = Vec::new();
        for (number, live) in scene.lives.iter().enumerate().filter(|(number, _)| self.taken[*number]) {
            for event in &live.makes {
                for step in live.write.steps_to(scene.events[*event].2).filter(|step| wanted(step)) {
                    let from = self.knot(live.node, &step.from);
                    if from.is_some() && from == self.knot(scene.vertex(*event), &step.to) {
                        found.push((Link { live: number, event: *event }, step));
                    }
                }
            }
        }
        found
    }

    pub fn knot(&self, vertex: usize, field: &str) -> Option<usize> {
        self.numbers.get(&(vertex, field)).map(|number| self.knots[*number])
    }

    /// The shortest chain that begins with a link, by which the field `written` gets to the field `read` where the link
    /// begins; each link with the field that it writes.
    pub fn chain(&self, scene: &Scene<'_>, first: Link, written: &'a str, read: &str) -> Option<Vec<(Link, &'a str)>> {
        let from = *self.numbers.get(&(scene.vertex(first.event), written))?;
        let to = *self.numbers.get(&(scene.lives[first.live].node, read))?;
        let way = self.graph.shortest(from, to)?;
        let on = way.iter().filter(|(_, mark)| *mark != PLAIN).map(|(number, mark)| {
            let (vertex, field) = self.stands_for[*number];
            (Link { live: *mark, event: vertex - scene.nodes.len() }, field)
        });
        Some(std::iter::once((first, written)).chain(on).collect())
    }
}

fn number_of<'a>(
    graph: &mut Graph,
    numbers: &mut HashMap<(usize, &'a str), usize>,
    stands_for: &mut Vec<(usize, &'a str)>,
    vertex: usize,
    field: &'a str,
) -> usize {
    *numbers.entry((vertex, field)).or_insert_with(|| {
        stands_for.push((vertex, field));
        graph.vertex()
    })
}

/// Do two fields take each other's value on a way round, and neither keep its own?
pub(super) fn trades(scene: &Scene<'_>, chain: &[Link], one: &str, other: &str) -> bool {
    const ROUNDS_MAX: usize = 8;
    let first = carried(scene, chain, one);
    if first.contains(one) || !first.contains(other) {
        return false;
    }
    let mut fields: BTreeSet<&str> = BTreeSet::from([other]);
    for _ in 0..ROUNDS_MAX {
        fields = fields.iter().flat_map(|field| carried(scene, chain, field)).collect();
        if fields.contains(one) {
            return true;
        }
    }
    false
}

/// The fields in which the value of a field arrives after one way round.
fn carried<'s>(scene: &'s Scene<'_>, chain: &[Link], field: &'s str) -> BTreeSet<&'s str> {
    let mut fields = BTreeSet::from([field]);
    for link in chain {
        let steps = scene.lives[link.live].write.steps_to(scene.events[link.event].2);
        fields = steps.filter(|step| fields.contains(step.from.as_str())).map(|step| step.to.as_str()).collect();
    }
    fields
}
