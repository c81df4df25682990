//! `test --record`: records of the real accounts as files that tests begin with, without secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::count;
use super::{Operator, Project, connect, exit, say, secrets, shown};
use crate::connector::{Connector, Object};
use crate::engine::{Examiner, Prober};
use crate::http::{Budgets, Client, Hidden};
use crate::project::{Connection, Loaded, Plan, Tested};
use crate::vault::SecretSource;
use crate::workflow::{Starts, Workflow};

#[derive(Debug, clap::Args)]
pub struct Recording {
    /// Records of each object that are written at most.
    #[arg(long, value_name = "N", requires = "record", default_value_t = 20,
          value_parser = super::number::<u16>(1..=1_000))]
    limit: u16,
    /// Write files anew that are there already.
    #[arg(long, requires = "record")]
    force: bool,
    /// The tenant whose accounts are read, when there are several.
    #[arg(long, value_name = "NAME", requires = "record")]
    tenant: Option<String>,
    #[command(flatten)]
    operator: Operator,
}

/// A file to write, and what of.
struct Fixture {
    connection: String,
    object: String,
}

impl Recording {
    /// `meant`: places of test documents.
    pub async fn record(&self, project: &Project, loaded: Loaded, meant: BTreeSet<usize>) -> Result<u8> {
        let Some(plan) = project.told(&loaded) else { return Ok(exit::FINDINGS) };
        let tested: Vec<&Tested> = meant.iter().filter_map(|at| loaded.tests.get(*at)).collect();
        let fixtures = self.fixtures(plan, &tested)?;
        if fixtures.is_empty() {
            return Err(exit::usage("no test document that is meant is about records of an account"));
        }
        let there = fixtures.keys().find(|path| !self.force && project.project.join(path).exists());
        if let Some(path) = there {
            return Err(exit::usage(format!("{} is there already: --force writes it anew", path.display())));
        }
        let data = self.operator.data_folder(project);
        let guard = self.operator.guard()?;
        let vault = self.operator.vault(plan, &data, &guard)?.map(Arc::new);
        let secrets = secrets::Source::new(self.operator.secrets.as_deref(), vault.clone())?;
        let Some(plan) = loaded.plan else { return Ok(exit::FINDINGS) };
        let plan = crate::engine::filled(plan, vault.as_deref());
        let secret = Secret::of(&plan, &secrets);
        let mut failed = false;
        for (path, Fixture { connection, object }) in &fixtures {
            let (connection, connector) = connect::find(&plan, connection)?;
            let Some(object) = connector.object(object) else { continue };
            let client = Client::new(guard.clone());
            let examiner = Examiner { plan: &plan, client, secrets: &secrets, vault: vault.as_deref(), store: None };
            let prober =
                Prober { examiner, connection, connector, written: Value::Null, budgets: Budgets::of_vendors() };
            match prober.records(object, self.limit.into()).await {
                Err(why) => {
                    failed = true;
                    say::error(&format!("{} of `{}`: {why}", object.name, connection.name));
                }
                Ok(mut records) => {
                    records.iter_mut().for_each(|record| {
                        leave_account_out(connector, connection, record);
                        secret.take_out(object, record);
                    });
                    write(&project.project.join(path), &records)?;
                    say::talk(&format!("wrote {}: {}", path.display(), count(records.len(), "record")));
                }
            }
        }
        Ok(if failed { exit::FAILED } else { exit::OK })
    }

    /// By path: what the documents that are tested read and write.
    fn fixtures(&self, plan: &Plan, tested: &[&Tested]) -> Result<BTreeMap<PathBuf, Fixture>> {
        let mut fixtures: BTreeMap<PathBuf, Fixture> = BTreeMap::new();
        for tested in tested {
            let name = &tested.document.test;
            let is_its = |workflow: &&Workflow| {
                workflow.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let workflows: Vec<&Workflow> = plan.hearing().filter(is_its).collect();
            if workflows.is_empty() {
                return Err(exit::usage(format!("`{name}` is not active: put it under `active:` in dovetail.yaml")));
            }
            let folder = Path::new(tested.path()).parent().unwrap_or(Path::new("")).join("fixtures");
            for workflow in workflows {
                let accounts = self.accounts(plan, workflow)?;
                for (alias, object) in objects(workflow) {
                    let Some(connection) = accounts.get(&alias) else { continue };
                    let is_known = plan.connector_of(connection).is_some_and(|one| one.object(&object).is_some());
                    let path = folder.join(format!("{alias}.{object}.json"));
                    let fixture = Fixture { connection: connection.clone(), object };
                    let other = fixtures.get(&path).filter(|other| other.connection != fixture.connection);
                    if let Some(other) = other {
                        let (one, other) = (&fixture.connection, &other.connection);
                        return Err(exit::usage(format!(
                            "{} would hold records of `{other}` and of `{one}`: name one document after the other",
                            path.display()
                        )));
                    }
                    if is_known {
                        fixtures.insert(path, fixture);
                    }
                }
            }
        }
        Ok(fixtures)
    }

    /// Alias → connection.
    fn accounts(&self, plan: &Plan, workflow: &Workflow) -> Result<BTreeMap<String, String>> {
        let tenants = plan.tenants_of(workflow);
        let known: Vec<&str> = tenants.iter().copied().flatten().collect();
        let name = &workflow.name;
        let tenant = match &self.tenant {
            Some(tenant) if known.contains(&tenant.as_str()) => Some(tenant.as_str()),
            Some(tenant) => return Err(exit::usage(format!("`{name}` runs for no tenant `{tenant}`"))),
            None if tenants.len() > 1 => {
                let known = known.join(", ");
                return Err(exit::usage(format!(
                    "say whose accounts are read with --tenant: `{name}` runs for {known}"
                )));
            }
            None => tenants.first().copied().flatten(),
        };
        plan.bind(workflow, tenant, None).ok_or_else(|| {
            exit::usage(format!("an alias of `{name}` stands for several accounts: name one of them under its `uses`"))
        })
    }
}

/// The objects that a workflow is about: alias and name.
fn objects(workflow: &Workflow) -> Vec<(String, String)> {
    let mut objects: Vec<(String, String)> = Vec::new();
    let object_of = |operation: &str| operation.split('.').next().unwrap_or(operation).to_owned();
    if let Starts::Event(heard) = &workflow.trigger.starts {
        objects.extend(heard.iter().filter_map(|heard| Some((heard.alias.clone(), heard.object.clone()?))));
    }
    if let Starts::Poll { alias, operation, .. } = &workflow.trigger.starts {
        objects.push((alias.clone(), object_of(operation)));
    }
    let used = workflow.all_actions().into_iter().filter_map(|action| action.uses());
    objects.extend(used.map(|(alias, operation)| (alias.to_owned(), object_of(operation))));
    objects
}

/// Fields that name the account: the one that stands in for it has another name.
fn leave_account_out(connector: &Connector, connection: &Connection, record: &mut Value) {
    let ways = connector.webhooks.as_ref().map(|webhooks| webhooks.ways()).unwrap_or_default();
    let names: Vec<&Value> = ways.iter().flatten().filter_map(|name| connection.settings.get(*name)).collect();
    if let Some(fields) = record.as_object_mut() {
        fields.retain(|_, value| !names.contains(&&*value));
    }
}

/// What must not reach a file.
struct Secret {
    hidden: Hidden,
    /// Those that are too short to be looked for within other texts.
    whole: Vec<String>,
}

impl Secret {
    fn of(plan: &Plan, source: &dyn SecretSource) -> Secret {
        let names = plan.connections.iter().flat_map(|one| one.secrets.values().chain(one.webhook_secrets.values()));
        let values: Vec<String> =
            names.filter_map(|name| Some(source.secret(name)?.expose_secret().to_owned())).collect();
        Secret { hidden: Hidden::new(values.iter().map(String::as_str)), whole: values }
    }

    fn take_out(&self, object: &Object, record: &mut Value) {
        let is_marked = |name: &str| {
            let schema = &object.schema["properties"][name];
            schema["writeOnly"] == true || schema["format"] == "password"
        };
        if let Some(fields) = record.as_object_mut() {
            fields.retain(|name, _| !is_marked(name));
        }
        self.hidden.hide(record);
        self.empty(record);
        *record = shown::concealed(record);
    }

    fn empty(&self, value: &mut Value) {
        match value {
            Value::String(text) if self.whole.contains(text) => "[redacted]".clone_into(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.empty(item)),
            Value::Object(map) => map.values_mut().for_each(|value| self.empty(value)),
            _ => {}
        }
    }
}

fn write(path: &Path, records: &[Value]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    let text = format!("{}\n", serde_json::to_string_pretty(records)?);
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
