//! Which account a name stands for: no run ever reaches another tenant.

use std::collections::BTreeMap;

use super::Plan;
use crate::workflow::{Uses, Workflow};

/// Alias of `uses` → connection.
pub type Bindings = BTreeMap<String, String>;

/// Why an alias stands for no single connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unbound {
    None { connector: String },
    Several { names: Vec<String> },
}

impl Plan {
    /// The connections of a run: the trigger's alias stands for the connection that the event came from, any other for its
    /// connector's connection in the same tenant, else the shared one. None if an alias stands for no single connection.
    pub fn bind(&self, workflow: &Workflow, tenant: Option<&str>, from: Option<(&str, &str)>) -> Option<Bindings> {
        let mut bindings = Bindings::new();
        for uses in &workflow.uses {
            let connection = match from {
                Some((alias, connection)) if alias == uses.alias => connection.to_string(),
                _ => self.account(&uses.name, tenant).ok()?,
            };
            bindings.insert(uses.alias.clone(), connection);
        }
        Some(bindings)
    }

    /// The connections of a workflow that another one runs. `known`: what names of `uses` stand for in that one.
    pub fn bind_within(&self, workflow: &Workflow, tenant: Option<&str>, known: &Bindings) -> Option<Bindings> {
        let of = |uses: &Uses| {
            let connection = known.get(&uses.name).cloned();
            Some((uses.alias.clone(), connection.or_else(|| self.account(&uses.name, tenant).ok())?))
        };
        workflow.uses.iter().map(of).collect()
    }

    /// The tenants in which a workflow can run: each that has all it uses; None stands for a project without tenants.
    pub fn tenants_of(&self, workflow: &Workflow) -> Vec<Option<&str>> {
        let mut tenants: Vec<Option<&str>> = self.tenants.iter().map(|tenant| Some(tenant.name.as_str())).collect();
        if tenants.is_empty() {
            tenants.push(None);
        }
        tenants.retain(|tenant| workflow.uses.iter().all(|uses| self.stands_for(workflow, uses, *tenant).is_ok()));
        tenants
    }

    /// As [`Plan::account`], but that the trigger's alias may stand for several, of which one starts each run.
    pub(super) fn stands_for(&self, workflow: &Workflow, uses: &Uses, tenant: Option<&str>) -> Result<(), Unbound> {
        // Nothing starts what tells of silence.
        let any = workflow.trigger.comes_from(&uses.alias) && workflow.alert_if_silent.is_none();
        match self.account(&uses.name, tenant) {
            Err(Unbound::Several { .. }) if any => Ok(()),
            account => account.map(drop),
        }
    }

    /// The connection that a name of `uses` stands for within a tenant.
    pub(super) fn account(&self, name: &str, tenant: Option<&str>) -> Result<String, Unbound> {
        let reachable =
            |connection: &&super::Connection| connection.tenant.is_none() || connection.tenant.as_deref() == tenant;
        if let Some(connection) = self.connection(name).filter(reachable) {
            return Ok(connection.name.clone());
        }
        let all: Vec<&super::Connection> =
            self.connections.iter().filter(reachable).filter(|connection| connection.stands_for(name)).collect();
        let own: Vec<&&super::Connection> = all.iter().filter(|connection| connection.tenant.is_some()).collect();
        let names = |connections: &[&super::Connection]| connections.iter().map(|one| one.name.clone()).collect();
        match (own.as_slice(), all.as_slice()) {
            ([one], _) => Ok(one.name.clone()),
            ([], [one]) => Ok(one.name.clone()),
            ([], []) => Err(Unbound::None { connector: name.into() }),
            _ => Err(Unbound::Several { names: names(&all) }),
        }
    }
}
