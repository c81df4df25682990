//! Where a test plays: a plan of the tested workflow alone, with accounts that stand in for those of the project.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::connector::Connector;
use crate::project::{Loaded, Plan, Text, read};
use crate::sandbox::Role;
use crate::source::File;
use crate::vault::SecretSource;
use crate::workflow::Starts;

/// What a scene is made of beside the project.
pub struct Files<'f> {
    pub own: &'f [Text],
    /// The connectors that come with the program.
    pub shipped: &'f [Text],
    /// What a vendor does beyond what its connector says, by the connector's name.
    pub sandbox: &'f (dyn Fn(&str) -> Option<Text> + Sync),
}

pub struct Scene {
    pub plan: Arc<Plan>,
    /// The workflow that is tested.
    pub subject: String,
    /// Alias of the tested document → connection.
    pub aliases: BTreeMap<String, String>,
    /// By connection.
    pub roles: BTreeMap<String, Role>,
}

/// Begins the names of secrets that webhooks are signed with; the connection's name follows.
const HOOK: &str = "hook_";
/// What stands in for a setting or a secret that nobody looks at.
const STAND_IN: &str = "stand-in";

impl Scene {
    /// # Errors
    /// Why it cannot be tested, in words.
    pub fn new(subject: &str, loaded: &Loaded, files: &Files<'_>) -> Result<Scene, String> {
        let plan = loaded.plan.as_ref().or(loaded.unconnected.as_ref()).ok_or("the project has errors")?;
        let documents = cast(subject, &loaded.files);
        let tested = documents.first().ok_or_else(|| format!("no workflow or sync is called `{subject}`"))?;
        let aliases = uses(tested);
        let names: BTreeSet<String> = documents.iter().flat_map(|file| uses(file).into_values()).collect();
        let mut accounts = Vec::new();
        for name in &names {
            let known = plan.connection(name);
            let connector = plan.connector(known.map_or(name.as_str(), |known| known.connector.as_str()));
            let connector = connector.ok_or_else(|| format!("no connector is called `{name}`"))?;
            let alike = known.or_else(|| plan.connections.iter().find(|one| one.connector == connector.name));
            let settings = alike.and_then(|one| one.settings.as_object()).cloned().unwrap_or_default();
            let sandbox = (files.sandbox)(&connector.name);
            let vars = Role::account(sandbox.as_ref().map(|text| (text.path.as_str(), text.text.as_str())));
            let vars = told_apart(name, connector, (vars, &settings), &accounts);
            let (written, settings) = stand_in(name, connector, settings, &vars);
            accounts.push(Account { name, connector, sandbox, written, settings });
        }
        let active = documents.iter().filter_map(|file| file.value.get(file.first_key()?)).collect::<Vec<_>>();
        let connections = accounts.iter().map(|one| (one.name.clone(), one.written.clone())).collect();
        let project = project(&loaded.files, json!(active), connections);
        let used = accounts.iter().map(|one| one.connector.name.clone()).collect();
        let plan = Arc::new(stand_in_plan(&documents, project, &used, files)?);
        if !plan.hearing().any(|workflow| is_of(&workflow.name, subject)) {
            return Err(format!("nothing starts `{subject}`"));
        }
        let roles = accounts.into_iter().map(|account| Ok((account.name.clone(), account.role(&plan)?)));
        let roles = roles.collect::<Result<_, String>>()?;
        Ok(Scene { plan, subject: subject.to_owned(), aliases, roles })
    }

    /// The connection and the object that `alias.object` names.
    pub fn object<'t>(&self, text: &'t str) -> Option<(&str, &'t str)> {
        let (alias, object) = text.split_once('.')?;
        Some((self.aliases.get(alias)?, object))
    }

    /// What the test calls a connection.
    pub fn alias<'s>(&'s self, connection: &'s str) -> &'s str {
        let known = self.aliases.iter().find(|(_, known)| *known == connection);
        known.map_or(connection, |(alias, _)| alias.as_str())
    }

    pub fn connector(&self, connection: &str) -> Option<&Connector> {
        self.plan.connector_of(connection)
    }
}

/// Is it the tested workflow, or one of those that a tested sync becomes?
pub fn is_of(workflow: &str, subject: &str) -> bool {
    workflow.strip_prefix(subject).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The tested document, and the workflows that it runs.
fn cast<'f>(subject: &str, files: &'f [File]) -> Vec<&'f File> {
    let find = |name: &str| files.iter().find(|file| file.value["workflow"] == name);
    let sync = || files.iter().find(|file| file.value["sync"] == subject);
    let mut cast: Vec<&File> = find(subject).or_else(sync).into_iter().collect();
    let mut at = 0;
    while let Some(file) = cast.get(at) {
        let mut names = Vec::new();
        runs(&file.value["actions"], &mut names);
        runs(&file.value["on_error"], &mut names);
        for file in names.iter().filter_map(|name| find(name)) {
            if !cast.iter().any(|known| known.path == file.path) {
                cast.push(file);
            }
        }
        at += 1;
    }
    cast
}

/// The names behind `run:`, however deep.
fn runs(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            names.extend(map.get("run").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| runs(value, names));
        }
        Value::Array(items) => items.iter().for_each(|value| runs(value, names)),
        _ => {}
    }
}

fn uses(file: &File) -> BTreeMap<String, String> {
    let uses = file.value["uses"].as_object().into_iter().flatten();
    uses.filter_map(|(alias, name)| Some((alias.clone(), name.as_str()?.to_owned()))).collect()
}

/// The files of the connectors in use. Whole connectors of the project are treated as if they came with the program, since they
/// were checked with it: of one in many files only those are read that are needed.
fn needed<'f>(used: &BTreeSet<String>, files: &Files<'f>) -> (Vec<&'f Text>, Vec<&'f Text>) {
    let is_used = |text: &&Text| text.connector().is_none_or(|name| used.contains(name));
    let is_document = |text: &&Text| {
        let first = |kind: &str| text.text.lines().any(|line| line.starts_with(kind));
        !["workflow:", "sync:", "test:", "project:"].iter().any(|kind| first(kind))
    };
    let own: Vec<&Text> = files.own.iter().filter(is_document).filter(is_used).collect();
    let is_whole =
        |text: &&&Text| text.text.lines().any(|line| line.starts_with("base_url:") || line.starts_with("import:"));
    let whole: BTreeSet<&str> = own.iter().filter(is_whole).filter_map(|text| text.connector()).collect();
    let is_own = |text: &&Text| text.connector().is_some_and(|name| whole.contains(name));
    let (like_shipped, rest): (Vec<&Text>, Vec<&Text>) =
        own.into_iter().partition(|text| is_own(text) && !text.path.contains(".override."));
    let shipped = files.shipped.iter().filter(|text| is_used(text) && !is_own(text));
    (rest, shipped.chain(like_shipped).collect())
}

/// An account of the project, as it is stood in for.
struct Account<'a> {
    name: &'a String,
    connector: &'a Connector,
    /// What its vendor does beyond what the connector says.
    sandbox: Option<Text>,
    written: Value,
    settings: Map<String, Value>,
}

impl Account<'_> {
    fn role(self, plan: &Plan) -> Result<Role, String> {
        let name = &self.connector.name;
        let is_its = |text: &&Text| text.connector().is_none_or(|known| known == name);
        let pair = |text: &Text| (text.path.clone(), text.text.clone());
        let known: Vec<(String, String)> = plan.documents.iter().filter(is_its).map(pair).collect();
        let role = Role::read(name, &known, self.sandbox.as_ref().map(pair), &self.settings);
        role.map_err(|error| error.to_string())
    }
}

/// The settings of the account that the vendor plays, except that accounts of one vendor are told apart by what its webhooks
/// say of them: by the project's own settings, or else by the connection's name.
fn told_apart(
    name: &str,
    connector: &Connector,
    (mut vars, own): (Map<String, Value>, &Map<String, Value>),
    others: &[Account<'_>],
) -> Map<String, Value> {
    let others: Vec<&Account<'_>> = others.iter().filter(|other| other.connector.name == connector.name).collect();
    let ways = connector.webhooks.as_ref().map(|webhooks| webhooks.ways()).unwrap_or_default();
    for key in ways.into_iter().flatten() {
        let is_free = |value: &Value| others.iter().all(|other| other.settings.get(key) != Some(value));
        let said = vars.get(key).or_else(|| own.get(key)).cloned().unwrap_or_else(|| json!(STAND_IN));
        let known = [Some(&said), own.get(key)].into_iter().flatten().find(|value| is_free(value)).cloned();
        vars.insert(key.to_owned(), known.unwrap_or_else(|| json!(name)));
    }
    vars
}

/// A connection as it is written in the stand-in project, and its settings.
fn stand_in(
    name: &str,
    connector: &Connector,
    mut settings: Map<String, Value>,
    vars: &Map<String, Value>,
) -> (Value, Map<String, Value>) {
    let properties = connector.settings["properties"].as_object().cloned().unwrap_or_default();
    for (key, value) in vars.iter().filter(|(key, _)| properties.contains_key(*key)) {
        settings.insert(key.clone(), value.clone());
    }
    let required = connector.settings["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for key in required {
        settings.entry(key).or_insert_with(|| example(&properties[key]));
    }
    // Nobody is asked there: it only says which vendor is meant.
    settings.insert("base_url".into(), format!("https://{name}.example").into());
    let mut written = settings.clone();
    written.insert("connector".into(), connector.name.clone().into());
    let is_plain = |way: &str| connector.oauth2_of(Some(way)).is_none() && connector.exchange_of(Some(way)).is_none();
    let ways = || connector.auth.iter().map(|(way, _)| way.as_str());
    if let Some(way) = ways().find(|way| is_plain(way)).or_else(|| ways().next()) {
        written.insert("auth".into(), way.into());
        for key in connector.secrets_of(way) {
            written.insert(key, format!("$.secrets.{}", STAND_IN.replace('-', "_")).into());
        }
        if connector.oauth2_of(Some(way)).is_some() {
            written.insert("client_id".into(), STAND_IN.into());
        }
    }
    for key in connector.webhook_secrets() {
        written.insert(key, format!("$.secrets.{HOOK}{}", name.replace('-', "_")).into());
    }
    (Value::Object(written), settings)
}

/// A value that a setting may have.
fn example(schema: &Value) -> Value {
    let given = ["default", "const", "example"].iter().find_map(|key| schema.get(*key));
    let listed = || schema["enum"].get(0).or_else(|| schema["examples"].get(0));
    given.or_else(listed).cloned().unwrap_or_else(|| match schema["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!(STAND_IN),
    })
}

/// The project with other accounts, without tenants: a test is about one customer.
fn project(files: &[File], active: Value, connections: Map<String, Value>) -> Text {
    let file = files.iter().find(|file| file.first_key() == Some("project"));
    let written = file.and_then(|file| file.value.as_object()).cloned().unwrap_or_default();
    let mut project = Map::from_iter([("project".to_owned(), json!("test"))]);
    let kept = ["project", "timezone", "country", "scripts"];
    project.extend(written.into_iter().filter(|(key, _)| kept.contains(&key.as_str())));
    project.insert("connections".into(), Value::Object(connections));
    project.insert("active".into(), active);
    Text { path: "dovetail.yaml".into(), text: Value::Object(project).to_string() }
}

fn stand_in_plan(
    documents: &[&File],
    project: Text,
    used: &BTreeSet<String>,
    files: &Files<'_>,
) -> Result<Plan, String> {
    let (own, shipped) = needed(used, files);
    let mut own: Vec<Text> = own.into_iter().cloned().collect();
    own.extend(documents.iter().map(|file| Text { path: file.path.to_string(), text: file.text.to_string() }));
    own.push(project);
    let shipped: Vec<Text> = shipped.into_iter().cloned().collect();
    let loaded = read(&own, &shipped, None);
    let Some(mut plan) = loaded.plan else {
        let first =
            loaded.report.diagnostics.into_iter().find(|found| found.severity == crate::source::Severity::Error);
        let why = first.map_or_else(String::new, |found| found.message);
        return Err(format!("no accounts can stand in for those of the project: {why}"));
    };
    // Played vendors know who asks.
    for connection in &mut plan.connections {
        (connection.auth, connection.via, connection.lends) = (None, None, false);
    }
    // What a workflow's own sender would sign nobody can say.
    for workflow in &mut plan.workflows {
        if let Starts::Webhook { verify, .. } = &mut workflow.trigger.starts {
            verify.clear();
        }
    }
    Ok(plan)
}

/// Secrets of stand-in accounts.
pub struct StandIn {
    /// By connection.
    pub hooks: BTreeMap<String, String>,
}

impl SecretSource for StandIn {
    fn secret(&self, name: &str) -> Option<SecretString> {
        let of_hook = name.strip_prefix(HOOK).and_then(|connection| {
            self.hooks.iter().find(|(known, _)| known.replace('-', "_") == connection).map(|(_, secret)| secret)
        });
        Some(of_hook.map_or(STAND_IN, String::as_str).into())
    }
}
