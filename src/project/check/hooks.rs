//! Webhooks against accounts: can it be told for whom a delivery is?

use crate::connector::Connector;
use crate::project::{Connection, Plan};
use crate::source::{Diagnostic, File, Report};
use crate::sync::{Side, Sync};
use crate::workflow::Workflow;

/// Checks every connector whose webhooks an active workflow hears.
pub(super) fn check(plan: &Plan, workflows: &[(&Workflow, &File)], files: &[File], report: &mut Report) {
    for connector in plan.connectors.iter().filter(|connector| is_heard(plan, connector, workflows)) {
        let Some(webhooks) = &connector.webhooks else { continue };
        // Accounts with secrets of their own are told apart by the signature.
        if !connector.webhook_secrets().is_empty() {
            continue;
        }
        let own: Vec<&Connection> =
            plan.connections.iter().filter(|connection| connection.stands_for(&connector.name)).collect();
        let ways = webhooks.ways();
        for (index, connection) in own.iter().enumerate() {
            let mut others = own[..index].iter().filter(|other| other.tenant != connection.tenant);
            let alike =
                others.find_map(|other| Some((other, ways.iter().find(|way| is_same(way, other, connection))?)));
            if let Some((other, way)) = alike {
                report.extend(found(connector, way, (connection, other), files));
            }
        }
    }
}

fn is_heard(plan: &Plan, connector: &Connector, workflows: &[(&Workflow, &File)]) -> bool {
    let stands_for = |name: &str| {
        let of_connection = plan.connection(name).map(|connection| connection.connector.as_str());
        name == connector.name || of_connection == Some(connector.name.as_str())
    };
    let hears = |workflow: &Workflow| {
        workflow.events().iter().any(|event| workflow.connector_of(&event.alias).is_some_and(stands_for))
    };
    workflows.iter().any(|(workflow, _)| hears(workflow))
}

/// A sync between two accounts of one connector: a webhook must say which of the two it is for.
pub(super) fn check_sync(plan: &Plan, sync: &Sync, file: &File, files: &[File], report: &mut Report) {
    let [first, second] = &sync.pair.sides;
    let named = |side: &Side| sync.uses.get(&side.alias).and_then(|name| plan.connection(name));
    let (Some(one), Some(other)) = (named(first), named(second)) else { return };
    if one.name == other.name && first.object == second.object {
        let message = format!("both sides are the `{}` of one account, `{}`", first.object, one.name);
        let found = Diagnostic::error("cannot-sync", message).at(file, "/between", "");
        report.push(found.help("name another connection under `uses` for one of the two"));
        return;
    }
    let connector = plan.connector(&one.connector).filter(|connector| connector.name == other.connector);
    let Some((connector, webhooks)) = connector.and_then(|known| Some((known, known.webhooks.as_ref()?))) else {
        return;
    };
    let has_own_secret = !one.webhook_secrets.is_empty() && one.webhook_secrets != other.webhook_secrets;
    if one.name == other.name || has_own_secret {
        return;
    }
    if let Some(way) = webhooks.ways().iter().find(|way| is_same(way, one, other)) {
        report.extend(found(connector, way, (other, one), files));
    }
}

/// Would a delivery that says these settings be for both?
fn is_same(way: &[&str], one: &Connection, other: &Connection) -> bool {
    way.iter().all(|setting| {
        let said = one.settings.get(*setting);
        said.is_some() && said == other.settings.get(*setting)
    })
}

fn found(connector: &Connector, way: &[&str], pair: (&Connection, &Connection), files: &[File]) -> Report {
    let (one, other) = pair;
    let message = format!("a webhook of `{}` could be for `{}` or for `{}`", connector.name, other.name, one.name);
    let help = match way {
        [] => format!(
            "say in connector `{}` how a delivery names its account: `webhooks: {{ connection: … }}`",
            connector.name
        ),
        settings => format!("give the two different values of `{}`", settings.join("` and `")),
    };
    let mut report = Report::default();
    let Some(file) = files.iter().find(|file| file.path == one.place.path) else { return report };
    let found = Diagnostic::error("ambiguous-account", message).at_key(file, &one.pointer(), "");
    report.push(found.also(file, &other.pointer(), "the same account").help(help));
    report
}
