//! All workflows of one tenant: which action's write starts which workflow, at which connection.
//!
//! ```text
//!  node (workflow, connection heard) ── write ──▶ event (connection, object, change) ── heard ──▶ node
//! ```
//! No run reaches another tenant's connections, and what happens at a shared connection starts runs that reach shared
//! ones only: so each tenant, and what is shared, is a scene of its own.

use std::collections::{HashMap, HashSet};

use super::graph::{Graph, PLAIN};
use super::write::{Change, Hears, Part, Write};
use crate::project::Plan;

/// What happens to records: the connection, the object, the change.
pub(super) type Event<'a> = (&'a str, &'a str, Change);

/// A workflow that something at a connection starts.
pub(super) struct Node<'a> {
    pub part: &'a Part<'a>,
    connection: &'a str,
    /// The numbers of the events that start it, each with what hears it.
    pub hears: Vec<(usize, &'a Hears<'a>)>,
}

/// An action of a node, and where it writes.
pub(super) struct Live<'a> {
    pub node: usize,
    pub write: &'a Write<'a>,
    pub connection: &'a str,
    /// The numbers of the events that it makes.
    pub makes: Vec<usize>,
}

pub(super) struct Scene<'a> {
    pub nodes: Vec<Node<'a>>,
    pub lives: Vec<Live<'a>>,
    pub events: Vec<Event<'a>>,
}

impl<'a> Scene<'a> {
    /// `tenant` None: what is shared, or a project without tenants.
    pub fn of(plan: &'a Plan, parts: &'a [Part<'a>], tenant: Option<&str>) -> Self {
        let mut scene = Scene { nodes: Vec::new(), lives: Vec::new(), events: Vec::new() };
        let mut numbers: HashMap<Event<'a>, usize> = HashMap::new();
        let own: HashMap<&str, (&'a str, &'a str)> = plan
            .connections
            .iter()
            .filter(|connection| connection.tenant.as_deref() == tenant)
            .map(|connection| (connection.name.as_str(), (connection.name.as_str(), connection.connector.as_str())))
            .collect();
        let mut order: Vec<(&'a str, &'a str)> = own.values().copied().collect();
        order.sort_unstable();
        for part in parts {
            for (connection, connector) in &order {
                let from = |hears: &&Hears<'_>| {
                    part.workflow
                        .connector_of(hears.alias)
                        .is_some_and(|name| name == *connection || name == *connector)
                };
                let heard: Vec<&Hears<'a>> = part.hears.iter().filter(from).collect();
                let Some(first) = heard.first() else { continue };
                let Some(bound) = plan.bind(part.workflow, tenant, Some((first.alias, connection))) else { continue };
                let node = scene.nodes.len();
                let mut hears = Vec::new();
                for heard in heard {
                    for change in &heard.changes {
                        hears.push((scene.number((*connection, heard.object, *change), &mut numbers), heard));
                    }
                }
                scene.nodes.push(Node { part, connection, hears });
                for write in &part.writes {
                    let written = bound.get(write.alias).and_then(|name| own.get(name.as_str()));
                    let Some((connection, _)) = written else { continue };
                    let event = |change: &Change| (*connection, write.object.name.as_str(), *change);
                    let makes = write.changes.iter().map(|change| scene.number(event(change), &mut numbers)).collect();
                    scene.lives.push(Live { node, write, connection, makes });
                }
            }
        }
        scene.leave_out_what_conditions_end();
        scene
    }

    fn number(&mut self, event: Event<'a>, numbers: &mut HashMap<Event<'a>, usize>) -> usize {
        *numbers.entry(event).or_insert_with(|| {
            self.events.push(event);
            self.events.len() - 1
        })
    }

    /// A condition that asks for a change of a field which no action of any of these workflows writes does not hold for
    /// what they write.
    fn leave_out_what_conditions_end(&mut self) {
        let mut changed: HashMap<(&str, &str), Option<HashSet<&str>>> = HashMap::new();
        for live in self.lives.iter().filter(|live| live.write.changes.contains(&Change::Updated)) {
            let names =
                changed.entry((live.connection, &live.write.object.name)).or_insert_with(|| Some(HashSet::new()));
            match (&live.write.fields, names.as_mut()) {
                (Some(fields), Some(names)) => names.extend(fields.iter().map(|field| head(&field.name))),
                _ => *names = None,
            }
        }
        let objects: HashMap<(&str, &str), &Write<'_>> =
            self.lives.iter().map(|live| ((live.connection, live.write.object.name.as_str()), live.write)).collect();
        let is_never = |connection: &str, object: &str, need: &Vec<String>| {
            let Some(Some(names)) = changed.get(&(connection, object)) else { return false };
            let Some(write) = objects.get(&(connection, object)) else { return false };
            // What the vendor sets by itself may change with anything.
            let is_derived = |field: &str| {
                let own = |name: &String| head(name) == field;
                write.object.read_only.iter().any(own) || write.object.changed_at.as_ref().is_some_and(own)
            };
            need.iter().map(|field| head(field)).all(|field| !names.contains(field) && !is_derived(field))
        };
        let mut silent: HashSet<usize> = HashSet::new();
        let events = &self.events;
        let creates = |event: &&usize, live: &Live<'_>| {
            events[**event].2 == Change::Created && live.write.repeats(Change::Created)
        };
        let created: HashSet<usize> = self
            .lives
            .iter()
            .flat_map(|live| live.makes.iter().filter(|event| creates(event, live)))
            .copied()
            .collect();
        for node in &mut self.nodes {
            node.hears.retain(|(event, heard)| {
                let is_update = events[*event].2 == Change::Updated;
                !(is_update && node.part.needs.iter().any(|need| is_never(node.connection, heard.object, need)))
            });
        }
        for (index, live) in self.lives.iter().enumerate() {
            let node = &self.nodes[live.node];
            // What starts it by being created counts where such records are created again and again.
            let only_updates = node.hears.iter().all(|(event, _)| !created.contains(event));
            let never =
                |need: &Vec<String>| node.hears.iter().all(|(_, heard)| is_never(node.connection, heard.object, need));
            if only_updates && live.write.needs.iter().any(never) {
                silent.insert(index);
            }
        }
        let mut index = 0;
        self.lives.retain(|_| {
            index += 1;
            !silent.contains(&(index - 1))
        });
    }

    /// The vertex of an event in a graph of this scene; nodes come first.
    pub fn vertex(&self, event: usize) -> usize {
        self.nodes.len() + event
    }

    /// What starts what, by the writes that are taken into account. An edge of a write has its number as mark.
    pub fn graph(&self, takes: impl Fn(&Live<'_>, Change) -> bool) -> Graph {
        let mut graph = Graph::new(self.nodes.len() + self.events.len());
        for (number, live) in self.lives.iter().enumerate() {
            for event in live.makes.iter().filter(|event| takes(live, self.events[**event].2)) {
                graph.add(live.node, self.vertex(*event), number);
            }
        }
        for (number, node) in self.nodes.iter().enumerate() {
            node.hears.iter().for_each(|(event, _)| graph.add(self.vertex(*event), number, PLAIN));
        }
        graph
    }
}

/// The field that a dotted name begins with.
pub(super) fn head(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}
