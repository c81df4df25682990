//! The connections of one run, by alias.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entry::Start;
use crate::connector::{Connector, Names};
use crate::project::Plan;
use crate::workflow::Accounts;

/// A run's view of the plan.
pub(super) struct RunAccounts<'a> {
    pub plan: &'a Plan,
    pub start: &'a Start,
    /// Names of keyed lists, by (alias, object).
    pub names: BTreeMap<(String, String), Names>,
}

impl Accounts for RunAccounts<'_> {
    fn connector(&self, alias: &str) -> Option<&Connector> {
        self.plan.connector_of(self.connection(alias)?)
    }

    fn connection(&self, alias: &str) -> Option<&str> {
        self.start.connections.get(alias).map(String::as_str)
    }

    fn settings(&self, alias: &str) -> &Value {
        let connection = self.connection(alias).and_then(|name| self.plan.connection(name));
        connection.map_or(&Value::Null, |connection| &connection.settings)
    }

    fn names(&self, alias: &str, object: &str) -> Names {
        self.names.get(&(alias.to_string(), object.to_string())).cloned().unwrap_or_default()
    }
}
