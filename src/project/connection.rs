//! A connector with one account's settings and references to secrets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document;
use super::refused::Refused;
use super::resolve::Site;
use crate::connector::{CLIENT_ID, Connector, URLS};
use crate::expr::Expr;
use crate::source::{Diagnostic, Place, Report, nearest};

/// A connection, resolved.
#[derive(Clone, Debug)]
pub struct Connection {
    pub name: String,
    /// None: shared by all tenants.
    pub tenant: Option<String>,
    pub connector: String,
    /// The chosen entry of the connector's `auth:`; None if it has none.
    pub auth: Option<String>,
    /// Never secrets.
    pub settings: Value,
    /// The connector's own name of a secret → the project's name of it.
    pub secrets: BTreeMap<String, String>,
    /// The same for the secrets that prove its webhooks.
    pub webhook_secrets: BTreeMap<String, String>,
    /// The connection whose credential is exchanged for its token.
    pub via: Option<String>,
    /// Others are `via` this one: it stands for its own name only, not for its connector.
    pub lends: bool,
    /// Its requests carry a `traceparent`.
    pub traced: bool,
    pub place: Place,
}

impl Connection {
    /// Does a name of `uses` reach it: its own, or that of its connector?
    pub fn stands_for(&self, name: &str) -> bool {
        self.name == name || (self.connector == name && !self.lends)
    }

    /// Where the project's document has it.
    pub(super) fn pointer(&self) -> String {
        match &self.tenant {
            None => format!("/connections/{}", self.name),
            Some(tenant) => format!("/tenants/{tenant}/connections/{}", self.name),
        }
    }

    /// Reads the connection under `pointer`; `shared` are the settings of `apps:` for its connector;
    /// `lends`: others are `via` it.
    pub(super) fn read(
        (name, tenant): (&str, Option<&str>),
        written: &document::Connection,
        (shared, lends): (Option<&Map<String, Value>>, bool),
        connectors: &[Connector],
        site: (&Site<'_>, &str),
        refused: &mut Refused,
        report: &mut Report,
    ) -> Option<Connection> {
        let (site, pointer) = site;
        let file = site.file;
        let Some(connector) = connectors.iter().find(|connector| connector.name == written.connector) else {
            let names = || connectors.iter().map(|connector| connector.name.as_str());
            let message = format!("no connector is called `{}`", written.connector);
            let at = site.at(&format!("{pointer}/connector"));
            let found = Diagnostic::error("unknown-connector", message).at(file, &at, "");
            if !refused.has("connector", &written.connector) {
                report.push(found.nearest(&written.connector, names()));
            }
            refused.add("connection", name);
            refused.add("account", nearest(&written.connector, names()).unwrap_or(&written.connector));
            return None;
        };
        let Some(auth) = choose_auth(written, connector, site, pointer, report) else {
            refused.add("connection", name);
            refused.add("account", &connector.name);
            return None;
        };
        let wanted = auth.as_deref().map(|auth| connector.secrets_of(auth)).unwrap_or_default();
        let mut settings = Map::new();
        let optional = connector.webhook_secrets();
        let (mut secrets, mut webhook_secrets) = (BTreeMap::new(), BTreeMap::new());
        let properties = connector.settings.get("properties").and_then(Value::as_object);
        let oauth2 = connector.oauth2_of(auth.as_deref());
        let of_oauth2 = |key: &str| key == CLIENT_ID || URLS.contains(&key);
        let known = |key: &str| {
            let own = properties.is_some_and(|all| all.contains_key(key));
            own || key == "base_url" || key == "country" || (oauth2.is_some() && of_oauth2(key))
        };
        // What an app says for another way of auth is nothing to this one; what is for none is told once, elsewhere.
        let is_meant = |key: &str| wanted.iter().chain(&optional).any(|name| name == key) || known(key);
        let entries = shared.into_iter().flatten().filter(|(key, _)| is_meant(key));
        let entries = entries.map(|(key, value)| (key, value, format!("/apps/{}/{key}", written.connector)));
        let entries =
            entries.chain(written.settings.iter().map(|(key, value)| (key, value, format!("{pointer}/{key}"))));
        // What is wrong in another way is not missing as well.
        let mut told: Vec<&str> = Vec::new();
        for (key, value, at) in entries {
            let at = site.at(&at);
            if value.is_null() {
                // An account that is meant to be another one must not be the default one unseen.
                let found = Diagnostic::error("missing-value", format!("`{key}` has no value")).at_key(file, &at, "");
                report.push(found.help(format!("write one behind `{key}:`, or take the line out")));
                told.push(key);
            } else if wanted.contains(key) || optional.contains(key) {
                match secret_name(value) {
                    Some(secret) => {
                        if optional.contains(key) {
                            webhook_secrets.insert(key.clone(), secret.clone());
                        }
                        if wanted.contains(key) {
                            secrets.insert(key.clone(), secret);
                        }
                    }
                    None => {
                        let message = format!("`{key}` is a secret and must not stand in a file");
                        let secret = format!("{}_{key}", name.replace('-', "_"));
                        let found = Diagnostic::error("secret-in-the-open", message).at(file, &at, "").hidden();
                        report.push(found.help(format!(
                            "write `{key}: $.secrets.{secret}`, and give the secret as DOVETAIL_SECRET_{}",
                            secret.to_uppercase()
                        )));
                        told.push(key);
                    }
                }
            } else if known(key) {
                settings.insert(key.clone(), value.clone());
            } else {
                let keys: Vec<&str> = properties.into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                let all = keys.iter().copied().chain(wanted.iter().chain(&optional).map(String::as_str)).chain([
                    "base_url",
                    "connector",
                    "auth",
                ]);
                let message = format!("connector `{}` has no setting `{key}`", connector.name);
                let found = Diagnostic::error("unknown-key", message).at_key(file, &at, "");
                let absent = all.clone().filter(|other| !written.settings.contains_key(*other));
                let near = nearest(key, absent).or_else(|| nearest(key, all.clone()));
                told.extend(near);
                report.push(match near {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => found.one_of(&all.collect::<Vec<_>>()),
                });
            }
        }
        for (key, property) in properties.into_iter().flatten() {
            if let Some(default) = property.get("default")
                && !settings.contains_key(key)
            {
                settings.insert(key.clone(), default.clone());
            }
        }
        let required = connector.settings.get("required").and_then(Value::as_array).into_iter().flatten();
        // What the vendor says when somebody connects need not be written; nor what only operations read, where an
        // account does no more than lend its credential.
        let (saved, read) = (connector.saved_by(auth.as_deref()), connector.settings_of(auth.as_deref()));
        let is_needed = |key: &&str| !saved.contains(key) && (!lends || read.iter().any(|name| name == key));
        let required = required.filter_map(Value::as_str).filter(is_needed).chain(oauth2.map(|_| CLIENT_ID));
        let required = required.filter(|key| !settings.contains_key(*key));
        let missing: Vec<&str> =
            required.chain(wanted.iter().map(String::as_str).filter(|key| !secrets.contains_key(*key))).collect();
        let may_lend = connector.is_lent(auth.as_deref()) && !lends;
        let unless = if may_lend { ", unless it lends its credential: let another connection be `via` it" } else { "" };
        for key in missing.into_iter().filter(|key| !told.contains(key)) {
            let secret = wanted.iter().any(|wanted| wanted == key);
            let example = if secret { format!("$.secrets.{}_{key}", name.replace('-', "_")) } else { "…".into() };
            report.push(
                Diagnostic::error("missing-setting", format!("connection `{name}` lacks `{key}`"))
                    .at_key(file, &site.at(pointer), "")
                    .help(format!("add `{key}: {example}`; connector `{}` asks for it{unless}", connector.name)),
            );
        }
        let place = file.place(&site.at(pointer));
        let settings = Value::Object(settings);
        let connector = connector.name.clone();
        let (name, tenant, via) = (name.into(), tenant.map(Into::into), written.via.clone());
        let traced = written.traced.unwrap_or_default();
        Some(Connection {
            name,
            tenant,
            connector,
            auth,
            settings,
            secrets,
            webhook_secrets,
            via,
            lends,
            traced,
            place,
        })
    }
}

/// Everything that connections of a connector may say, whatever their way of auth; told of what `apps:` says besides.
pub(super) fn check_app(connector: &Connector, app: &Map<String, Value>, site: &Site<'_>, report: &mut Report) {
    let ways = || connector.auth.iter().map(|(name, _)| name.as_str());
    let mut known: Vec<String> = ways().flat_map(|way| connector.secrets_of(way)).collect();
    known.extend(connector.webhook_secrets());
    let settings = connector.settings.get("properties").and_then(Value::as_object);
    known.extend(settings.into_iter().flatten().map(|(name, _)| name.clone()));
    if ways().any(|way| connector.oauth2_of(Some(way)).is_some()) {
        known.extend([CLIENT_ID].into_iter().chain(URLS).map(str::to_owned));
    }
    known.extend(["base_url", "country"].map(str::to_owned));
    for key in app.keys().filter(|key| !known.contains(key)) {
        let message = format!("connector `{}` has no setting `{key}`", connector.name);
        let at = site.at(&format!("/apps/{}/{key}", connector.name));
        let found = Diagnostic::error("unknown-key", message).at_key(site.file, &at, "");
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        report.push(match nearest(key, names.iter().copied()) {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found.one_of(&names),
        });
    }
}

fn choose_auth(
    written: &document::Connection,
    connector: &Connector,
    site: &Site<'_>,
    pointer: &str,
    report: &mut Report,
) -> Option<Option<String>> {
    let file = site.file;
    let names: Vec<&str> = connector.auth.iter().map(|(name, _)| name.as_str()).collect();
    let list = names.join("`, `");
    match (&written.auth, names.as_slice()) {
        (Some(chosen), _) if names.contains(&chosen.as_str()) => Some(Some(chosen.clone())),
        (Some(chosen), _) => {
            let message = format!("connector `{}` has no auth `{chosen}`", connector.name);
            let found = Diagnostic::error("unknown-auth", message).at(file, &site.at(&format!("{pointer}/auth")), "");
            report.push(found.help(format!("it has `{list}`")).nearest(chosen, names));
            None
        }
        (None, []) => Some(None),
        (None, [only]) => Some(Some((*only).to_string())),
        (None, _) => {
            let message = format!("connector `{}` has several kinds of auth", connector.name);
            let found = Diagnostic::error("missing-key", message).at_key(file, &site.at(pointer), "which one?");
            report.push(found.help(format!("add `auth:` with one of `{list}`")));
            None
        }
    }
}

/// `$.secrets.name` → `name`.
fn secret_name(value: &Value) -> Option<String> {
    let expr = Expr::compile(value).ok()?;
    match expr.reads().as_slice() {
        [read] if !read.plural => match read.names.as_slice() {
            [root, name] if root == "secrets" => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}
