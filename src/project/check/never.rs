//! Workflows that hear shared accounts only, and need a tenant's: no run of them begins, and nothing would say so.

use crate::project::{Connection, Plan};
use crate::source::{Diagnostic, File, Report};
use crate::workflow::action::PROJECT;
use crate::workflow::{Starts, Workflow};

/// Tells each workflow that has its accounts in some tenant, but in none in which something starts it.
pub(super) fn check(plan: &Plan, workflows: &[(&Workflow, &File)], report: &mut Report) {
    for (workflow, file) in workflows {
        // What nobody has an account of is told where it is used.
        if plan.tenants_of(workflow).is_empty() {
            continue;
        }
        report.extend(found(plan, workflow, file));
    }
}

fn found(plan: &Plan, workflow: &Workflow, file: &File) -> Report {
    let mut report = Report::default();
    let heard: Vec<(&str, &str)> = match &workflow.trigger.starts {
        Starts::Event(heard) => heard.iter().map(|event| (event.alias.as_str(), event.pointer.as_str())).collect(),
        Starts::Poll { alias, .. } => vec![(alias, "/trigger/poll")],
        Starts::Webhook { .. } | Starts::Schedule { .. } | Starts::Manual { .. } => Vec::new(),
    };
    let mut shared: Option<(&str, &str, &Connection)> = None;
    for (alias, pointer) in heard {
        // What is emitted is heard in each tenant.
        if alias == PROJECT {
            return report;
        }
        let Some(name) = workflow.connector_of(alias) else { return report };
        for connection in plan.connections.iter().filter(|one| one.stands_for(name)) {
            let (tenant, from) = (connection.tenant.as_deref(), (alias, connection.name.as_str()));
            if plan.bind(workflow, tenant, Some(from)).is_some() {
                return report;
            }
            if tenant.is_none() {
                shared.get_or_insert((alias, pointer, connection));
            }
        }
    }
    let Some((alias, pointer, connection)) = shared else { return report };
    let is_lacking = |name: &str| plan.account(name, None).is_err();
    let lacking = workflow.uses.iter().find(|uses| uses.alias != alias && is_lacking(&uses.name));
    let Some(lacking) = lacking else { return report };
    let message = format!(
        "`{}` never runs: what happens at `{}` is of no tenant, and `{}` stands for no account that all share",
        workflow.name, connection.name, lacking.name
    );
    let help = format!(
        "give each tenant a connection of `{}`, and let `uses` say `{}: {}`; or use a connection in place of `{}` that \
         stands under `connections:` in dovetail.yaml",
        connection.connector, alias, connection.connector, lacking.name
    );
    let found = Diagnostic::warning("never-runs", message).at(file, pointer, "");
    report.push(found.also(file, &format!("/uses/{}", lacking.alias), "of tenants only").help(help));
    report
}
