//! One workflow being walked: which, where in the run, and with which connections.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::state::WORKFLOW;
use crate::connector::{Connector, Names};
use crate::expr::Root;
use crate::project::Plan;
use crate::workflow::{Accounts, Workflow};

/// The run's own workflow, or one that it runs as a part of itself.
pub(super) struct Frame<'a> {
    pub plan: &'a Plan,
    pub workflow: &'a Workflow,
    /// What its addresses begin with: nothing, or `actions/3/run/`.
    pub prefix: String,
    /// Alias of `uses` → connection.
    pub connections: Cow<'a, BTreeMap<String, String>>,
    pub inputs: Cow<'a, Value>,
    /// Names of keyed lists, by (alias, object).
    pub names: BTreeMap<(String, String), Names>,
}

/// Those of the connection that stands for an alias.
fn settings<'p>(plan: &'p Plan, connections: &BTreeMap<String, String>, alias: &str) -> &'p Value {
    let connection = connections.get(alias).and_then(|name| plan.connection(name));
    connection.map_or(&Value::Null, |connection| &connection.settings)
}

impl<'a> Frame<'a> {
    /// `$.inputs`, `$.vars` and `$.connection`.
    pub fn roots(&self, tenant: Option<&'a str>) -> [(&'static str, Root<'a>); 3] {
        let (plan, workflow, connections) = (self.plan, self.workflow, self.connections.clone());
        let inputs = match &self.inputs {
            Cow::Borrowed(inputs) => Root::Borrowed(inputs),
            Cow::Owned(inputs) => Root::Shared(Arc::new(inputs.clone())),
        };
        let connection = move || {
            let settings = |alias: &String| (alias.clone(), settings(plan, &connections, alias).clone());
            Value::Object(workflow.uses.iter().map(|uses| settings(&uses.alias)).collect())
        };
        [
            ("inputs", inputs),
            ("vars", Root::made(move || plan.vars(workflow, tenant))),
            ("connection", Root::made(connection)),
        ]
    }

    /// Is it the run's own workflow, which is about the run's event?
    pub fn is_outermost(&self) -> bool {
        self.prefix.is_empty()
    }

    /// Where the workflow as a whole stands.
    pub fn address(&self) -> &str {
        self.prefix.strip_suffix('/').unwrap_or(WORKFLOW)
    }

    /// What people call the action at an address: its id, else the address itself.
    pub fn called(&self, address: &str) -> String {
        let inside = address.strip_prefix(&self.prefix).unwrap_or(address);
        let action = self.plan.action_at(self.workflow, inside);
        action.and_then(|action| action.id.clone()).unwrap_or_else(|| address.to_owned())
    }

    pub fn at(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }
}

impl Accounts for Frame<'_> {
    fn connector(&self, alias: &str) -> Option<&Connector> {
        self.plan.connector_of(self.connection(alias)?)
    }

    fn connection(&self, alias: &str) -> Option<&str> {
        self.connections.get(alias).map(String::as_str)
    }

    fn settings(&self, alias: &str) -> &Value {
        settings(self.plan, &self.connections, alias)
    }

    fn names(&self, alias: &str, object: &str) -> Names {
        self.names.get(&(alias.to_string(), object.to_string())).cloned().unwrap_or_default()
    }
}
