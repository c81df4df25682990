//! Meaning, across documents: does everything that a workflow names exist, and can every value be what it must?
//!
//! Every active workflow is walked once, in the order in which it would run, with the names that are known at each
//! place. All findings are collected; a workflow with findings of its own is left out of the plan.

mod fields;
mod hooks;
mod loops;
mod names;
mod never;
mod others;
pub(super) mod scripts;
mod sync;
mod twice;
mod types;
mod wait;
mod walk;

pub use names::{Root, roots};

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use self::others::Others;
use super::Plan;
use super::accounts::Unbound;
use super::plan::Index;
use super::refused::Refused;
use crate::source::{Diagnostic, File, Report};
use crate::sync::Sync;
use crate::workflow::action::PROJECT;
use crate::workflow::syncing::syncing;
use crate::workflow::{Workflow, listeners};

/// Active documents of one kind, each with the path of its file.
pub(super) type Active<T> = Vec<(T, Arc<str>)>;

/// Checks workflows and syncs and moves them into the plan. What is left of workflows with mistakes is only looked at.
pub(super) fn check(
    plan: &mut Plan,
    (workflows, parts, syncs): (Active<Workflow>, Active<Workflow>, Active<Sync>),
    files: &[File],
    refused: &Refused,
    report: &mut Report,
) {
    let workflows_read = with_files(&workflows, files);
    let others = Others::new(&workflows_read, files, refused);
    let parts = with_files(&parts, files);
    let is_whole = workflows_read.iter().map(|one| (one, true)).chain(parts.iter().map(|one| (one, false)));
    let all: Vec<_> = is_whole.collect();
    let found = all.par_iter().map(|((workflow, file), is_whole)| {
        let mut report = Report::default();
        check_uses(plan, workflow, file, refused, &mut report);
        walk::walk(plan, (workflow, file), *is_whole, &others, &mut report);
        report
    });
    // In the order of the documents, whichever core was quicker.
    let mut unchecked = HashSet::new();
    for mut found in found.collect::<Vec<_>>() {
        found.diagnostics.retain(|one| one.code != "unchecked-input" || unchecked.insert(one.message.clone()));
        report.extend(found);
    }
    others::check_depth(&others, report);
    hooks::check(plan, &workflows_read, files, report);
    never::check(plan, &workflows_read, report);
    loops::check(plan, &workflows_read, report);
    twice::check(plan, &workflows_read, report);
    let syncs: Active<Arc<Sync>> = syncs.into_iter().map(|(sync, path)| (Arc::new(sync), path)).collect();
    let syncs_read = with_files(&syncs, files);
    for (sync, file) in &syncs_read {
        let is_known = sync::check(plan, sync, file, refused, report);
        hooks::check_sync(plan, sync, file, files, report);
        for workflow in syncing(sync).iter().take(usize::from(is_known)) {
            check_uses(plan, workflow, file, refused, report);
        }
    }
    sync::served_once(plan, &workflows_read, &syncs_read, report);
    plan.workflows = workflows.into_iter().map(|(workflow, _)| workflow).collect();
    plan.listeners = plan.workflows.iter().flat_map(listeners).collect();
    plan.syncs = syncs.into_iter().map(|(sync, _)| sync).collect();
    plan.syncing = plan.syncs.iter().flat_map(syncing).collect();
    plan.index = Index::new(plan);
}

fn with_files<'a, T>(documents: &'a Active<T>, files: &'a [File]) -> Vec<(&'a T, &'a File)> {
    let files: HashMap<&str, &File> = files.iter().map(|file| (&*file.path, file)).collect();
    documents.iter().filter_map(|(document, path)| Some((document, *files.get(&**path)?))).collect()
}

/// Every alias names a connector, and some tenant has all accounts.
fn check_uses(plan: &Plan, workflow: &Workflow, file: &File, refused: &Refused, report: &mut Report) {
    let mut known = true;
    for uses in &workflow.uses {
        if uses.alias == PROJECT {
            let message = format!("the alias `{PROJECT}` has a meaning of its own: events of the project");
            let found = Diagnostic::error("name-clash", message).at_key(file, &format!("/uses/{PROJECT}"), "");
            report.push(found.help("choose another alias"));
        }
        if plan.connector(&uses.name).is_some() || plan.connection(&uses.name).is_some() {
            continue;
        }
        known = false;
        unknown_connector(plan, &uses.name, (file, &format!("/uses/{}", uses.alias)), refused, report);
    }
    if !known || !plan.tenants_of(workflow).is_empty() {
        return;
    }
    let lacks = |tenant: &Option<&str>| {
        workflow.uses.iter().filter(|uses| plan.stands_for(workflow, uses, *tenant).is_err()).count()
    };
    let tenants = plan.tenants.iter().map(|tenant| Some(tenant.name.as_str()));
    let tenant = tenants.min_by_key(lacks).flatten();
    for uses in &workflow.uses {
        let of_tenant = tenant.map_or(String::new(), |tenant| format!(" of tenant `{tenant}`"));
        let found = match plan.stands_for(workflow, uses, tenant) {
            Ok(()) => continue,
            Err(Unbound::None { connector }) if refused.has("account", &connector) => continue,
            Err(Unbound::None { connector }) => {
                let message = format!("no connection{of_tenant} uses connector `{connector}`");
                let example = format!("my-account: {{ connector: {connector}, … }}");
                Diagnostic::error("missing-connection", message)
                    .help(format!("add one under `connections:` in dovetail.yaml: `{example}`"))
            }
            Err(Unbound::Several { names }) => {
                let message = format!("several connections{of_tenant} use connector `{}`", uses.name);
                let list = names.join("`, `");
                Diagnostic::error("ambiguous-connection", message)
                    .help(format!("name the one that is meant instead of the connector: `{list}`"))
            }
        };
        report.push(found.at(file, &format!("/uses/{}", uses.alias), ""));
    }
}

/// A finding about a name of `uses` that is none, unless the connector or connection has findings of its own.
fn unknown_connector(plan: &Plan, name: &str, site: (&File, &str), refused: &Refused, report: &mut Report) {
    if refused.has("connector", name) || refused.has("connection", name) {
        return;
    }
    let names = plan.connectors.iter().map(|connector| connector.name.as_str());
    let names = names.chain(plan.connections.iter().map(|connection| connection.name.as_str()));
    let found = Diagnostic::error("unknown-connector", format!("no connector or connection is called `{name}`"));
    report.push(found.at(site.0, site.1, "").nearest(name, names));
}
