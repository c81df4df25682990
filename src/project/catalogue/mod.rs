//! Every action and trigger that a workflow can use, each with an example to copy.

mod builtin;
mod example;
mod item;

use std::collections::BTreeMap;

use super::editor::Known;
use super::parts::SHIPPED;
use super::{Plan, Text};
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

/// All that workflows of a project can use: of its own connectors, and of those that come with the program.
pub fn of(plan: &Plan, shipped: &[Text]) -> Vec<Item> {
    let mut aliases = BTreeMap::new();
    for uses in plan.hearing().flat_map(|workflow| &workflow.uses) {
        aliases.entry(uses.name.clone()).or_insert_with(|| uses.alias.clone());
    }
    let own: Vec<Text> = plan.documents.iter().filter(|text| !text.path.starts_with(SHIPPED)).cloned().collect();
    let known = Known::read(&own, shipped);
    let mut items = offered(known.as_ref().map_or(&plan.connectors, |known| &known.connectors), &aliases);
    items.extend(builtin());
    items
}

/// The short name of a connector: as the workflows have it, else its own with `_`.
pub fn alias(aliases: &BTreeMap<String, String>, connector: &str) -> String {
    aliases.get(connector).cloned().unwrap_or_else(|| connector.replace('-', "_"))
}
