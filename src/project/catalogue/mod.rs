//! Every action and trigger that a workflow can use, each with an example to copy.

mod builtin;
mod example;
mod item;

use std::collections::BTreeMap;

use super::Plan;
use crate::connector::Connector;

pub use item::{Input, Item, Kind};

/// What these connectors offer, each under the short name that recipes use for it.
pub fn offered(connectors: &[Connector], aliases: &BTreeMap<String, String>) -> Vec<Item> {
    connectors.iter().flat_map(|connector| item::of(connector, &alias(aliases, &connector.name))).collect()
}

/// What needs no connector.
pub fn builtin() -> Vec<Item> {
    builtin::all()
}

/// All that a plan's workflows can use.
pub fn of(plan: &Plan) -> Vec<Item> {
    let mut aliases = BTreeMap::new();
    for uses in plan.hearing().flat_map(|workflow| &workflow.uses) {
        aliases.entry(uses.name.clone()).or_insert_with(|| uses.alias.clone());
    }
    let mut items = offered(&plan.connectors, &aliases);
    items.extend(builtin());
    items
}

/// The short name of a connector: as the workflows have it, else its own with `_`.
pub fn alias(aliases: &BTreeMap<String, String>, connector: &str) -> String {
    aliases.get(connector).cloned().unwrap_or_else(|| connector.replace('-', "_"))
}
