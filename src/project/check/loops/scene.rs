//! All workflows of one tenant: which action's write starts which workflow, at which connection.
//!
//! ```text
//!  node (workflow, connection heard) ── write ──▶ event (connection, object, change) ── heard ──▶ node
//!                                    ── emit ───▶ event (the project, its name) ─────── heard ──▶ node
//!                                    ── run ────▶ event (the workflow, its accounts) ── entered ▶ node
//! ```
//! No run reaches another tenant's connections, and what happens at a shared connection starts runs that reach shared
//! ones only: so each tenant, and what is shared, is a scene of its own.

use std::collections::{HashMap, HashSet, VecDeque};

use super::graph::{Graph, PLAIN};
use super::part::{Begins, Hears, Part};
use super::write::{Change, Target, Write};
use crate::connector::Object;
use crate::project::{Bindings, Plan};
use crate::workflow::action::PROJECT;

/// What happens to records: the connection, the object, the change. Of an event of the project and of a `run` the
/// object is its name.
pub(super) type Event<'a> = (&'a str, &'a str, Change);

/// A workflow that something at a connection starts, an event of the project, or one that runs it.
pub(super) struct Node<'a> {
    pub part: &'a Part<'a>,
    /// Empty where it is started by no record.
    connection: &'a str,
    /// The numbers of the events that start it, each with what hears it.
    pub hears: Vec<(usize, &'a Hears<'a>)>,
}

/// An action of a node, and where it writes.
pub(super) struct Live<'a> {
    pub node: usize,
    pub write: &'a Write<'a>,
    /// Empty where it starts another workflow.
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
    pub fn of(plan: &'a Plan, parts: &'a [Part<'a>], tenant: Option<&'a str>) -> Self {
        let own: HashMap<&str, (&'a str, &'a str)> = plan
            .connections
            .iter()
            .filter(|connection| connection.tenant.as_deref() == tenant)
            .map(|connection| (connection.name.as_str(), (connection.name.as_str(), connection.connector.as_str())))
            .collect();
        let mut order: Vec<(&'a str, &'a str)> = own.values().copied().collect();
        order.sort_unstable();
        let run = parts.iter().filter(|part| matches!(part.begins, Begins::Inputs));
        let mut builder = Builder {
            plan,
            tenant,
            own,
            run: run.map(|part| (part.workflow.name.as_str(), part)).collect(),
            numbers: HashMap::new(),
            entered: HashMap::new(),
            waiting: VecDeque::new(),
            scene: Scene { nodes: Vec::new(), lives: Vec::new(), events: Vec::new() },
        };
        for part in parts {
            match part.begins {
                Begins::Record(_) => order.iter().for_each(|at| builder.heard_at(part, *at)),
                Begins::Event => builder.heard_of_project(part),
                Begins::Inputs => {}
            }
        }
        while let Some((part, event, bound)) = builder.waiting.pop_front() {
            builder.node(part, "", part.hears.iter().map(|heard| (event, heard)).collect(), &bound);
        }
        let mut scene = builder.scene;
        scene.leave_out_what_conditions_end();
        scene
    }

    /// A condition that asks for a change of a field which no action of any of these workflows writes does not hold for
    /// what they write.
    fn leave_out_what_conditions_end(&mut self) {
        let mut changed: HashMap<(&str, &str), Option<HashSet<&str>>> = HashMap::new();
        for live in self.lives.iter().filter(|live| live.write.changes.contains(&Change::Updated)) {
            let Some(object) = live.write.object() else { continue };
            let names = changed.entry((live.connection, &object.name)).or_insert_with(|| Some(HashSet::new()));
            match (&live.write.fields, names.as_mut()) {
                (Some(fields), Some(names)) => names.extend(fields.iter().map(|field| head(&field.name))),
                _ => *names = None,
            }
        }
        let written = self.lives.iter().filter_map(|live| Some((live.connection, live.write.object()?)));
        let objects: HashMap<(&str, &str), &Object> =
            written.map(|(connection, object)| ((connection, object.name.as_str()), object)).collect();
        let is_never = |connection: &str, name: &str, need: &Vec<String>| {
            let Some(Some(names)) = changed.get(&(connection, name)) else { return false };
            let Some(object) = objects.get(&(connection, name)) else { return false };
            // What the vendor sets by itself may change with anything.
            let is_derived = |field: &str| {
                let own = |name: &String| head(name) == field;
                object.read_only.iter().any(own) || object.changed_at.as_ref().is_some_and(own)
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

/// A scene as it is made. Linear: a workflow that is run is there once for all that run it with the same accounts.
struct Builder<'a> {
    plan: &'a Plan,
    tenant: Option<&'a str>,
    /// The scene's connections by name, each with its connector.
    own: HashMap<&'a str, (&'a str, &'a str)>,
    /// Workflows that others run.
    run: HashMap<&'a str, &'a Part<'a>>,
    numbers: HashMap<Event<'a>, usize>,
    /// By workflow and accounts: the number of the event by which it is entered.
    entered: HashMap<(&'a str, Bindings), usize>,
    /// Those that are entered, and not yet in the scene.
    waiting: VecDeque<(&'a Part<'a>, usize, Bindings)>,
    scene: Scene<'a>,
}

impl<'a> Builder<'a> {
    /// What records of a connection start.
    fn heard_at(&mut self, part: &'a Part<'a>, (connection, connector): (&'a str, &'a str)) {
        let from = |hears: &&Hears<'_>| {
            part.workflow.connector_of(hears.alias).is_some_and(|name| name == connection || name == connector)
        };
        let heard: Vec<&Hears<'a>> = part.hears.iter().filter(from).collect();
        let Some(first) = heard.first() else { return };
        let Some(bound) = self.plan.bind(part.workflow, self.tenant, Some((first.alias, connection))) else { return };
        let hears = self.hears(connection, &heard);
        self.node(part, connection, hears, &bound);
    }

    fn heard_of_project(&mut self, part: &'a Part<'a>) {
        let Some(bound) = self.plan.bind(part.workflow, self.tenant, None) else { return };
        let hears = self.hears(PROJECT, &part.hears.iter().collect::<Vec<_>>());
        self.node(part, "", hears, &bound);
    }

    fn hears(&mut self, connection: &'a str, heard: &[&'a Hears<'a>]) -> Vec<(usize, &'a Hears<'a>)> {
        let mut hears = Vec::new();
        for heard in heard {
            for change in &heard.changes {
                hears.push((self.number((connection, heard.object, *change)), *heard));
            }
        }
        hears
    }

    fn node(&mut self, part: &'a Part<'a>, connection: &'a str, hears: Vec<(usize, &'a Hears<'a>)>, bound: &Bindings) {
        let node = self.scene.nodes.len();
        self.scene.nodes.push(Node { part, connection, hears });
        for write in &part.writes {
            let (connection, makes) = match write.target {
                Target::Record { alias, object } => {
                    let written = bound.get(alias).and_then(|name| self.own.get(name.as_str()));
                    let Some((connection, _)) = written.copied() else { continue };
                    let event = |change: &Change| (connection, object.name.as_str(), *change);
                    (connection, write.changes.iter().map(|change| self.number(event(change))).collect())
                }
                Target::Event(name) => ("", vec![self.number((PROJECT, name, Change::Started))]),
                Target::Workflow(name) => {
                    let Some(event) = self.enter(part, name, bound) else { continue };
                    ("", vec![event])
                }
            };
            self.scene.lives.push(Live { node, write, connection, makes });
        }
    }

    /// The event by which a workflow enters another one, whose names stand for what they stand for in the outer one.
    fn enter(&mut self, outer: &Part<'_>, name: &'a str, bound: &Bindings) -> Option<usize> {
        let part = *self.run.get(name)?;
        let known = part.workflow.uses.iter().filter_map(|uses| {
            let same = outer.workflow.uses.iter().find(|outer| outer.name == uses.name)?;
            Some((uses.name.clone(), bound.get(&same.alias)?.clone()))
        });
        let bound = self.plan.bind_within(part.workflow, self.tenant, &known.collect())?;
        let key = (name, bound);
        if let Some(event) = self.entered.get(&key) {
            return Some(*event);
        }
        // Not by its name: it may be entered with other accounts too.
        let event = self.scene.events.len();
        self.scene.events.push(("", name, Change::Started));
        self.waiting.push_back((part, event, key.1.clone()));
        self.entered.insert(key, event);
        Some(event)
    }

    fn number(&mut self, event: Event<'a>) -> usize {
        *self.numbers.entry(event).or_insert_with(|| {
            self.scene.events.push(event);
            self.scene.events.len() - 1
        })
    }
}

/// The field that a dotted name begins with.
pub(super) fn head(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}
