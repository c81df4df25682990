//! Looks at one account as a doctor does: can it be reached, does it know us, may we do what the project wants?
//!
//! One request that changes nothing, outside of any run; it takes nothing from the limits that `serve` counts.

mod names;

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::drift;
use crate::connector::{Connector, Failure, Operation, Outcome, Page, Request, Response};
use crate::http::{self, Client};
use crate::project::{Connection, Plan};
use crate::store::Store;
use crate::vault::{self, Granted, Holder, SecretSource, Vault};
use crate::workflow::action::{Action, Kind};
use crate::workflow::{Starts, Workflow};

/// A clock that is further away than this makes signed times wrong.
const SKEW_MAX_S: i64 = 60;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Good,
    /// It works, and may not for long, or it cannot be told from here.
    Doubtful,
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sign {
    pub what: &'static str,
    pub health: Health,
    pub told: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Sign {
    pub(super) fn new(what: &'static str, health: Health, told: impl Into<String>) -> Sign {
        Sign { what, health, told: told.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Sign {
        Sign { help: Some(help.into()), ..self }
    }
}

/// What an examination needs.
pub struct Examiner<'e> {
    pub plan: &'e Plan,
    pub client: Client,
    pub secrets: &'e dyn SecretSource,
    pub vault: Option<&'e Vault>,
    /// What `serve` has noted; None: there is no store, or it is not asked.
    pub store: Option<&'e Store>,
}

impl Examiner<'_> {
    /// Everything about one connection, in the order in which one would mend it.
    pub async fn examine(&self, connection: &Connection) -> Vec<Sign> {
        let Some(connector) = self.plan.connector(&connection.connector) else { return Vec::new() };
        let needed = needed(self.plan, connection, connector);
        let mut signs = self.given(connection);
        signs.extend(self.connected(connection, connector));
        if signs.iter().all(|sign| sign.health != Health::Bad) {
            match connection.lends {
                true => {
                    signs.push(Sign::new("answers", Health::Good, "it lends its credential: nothing else was asked"))
                }
                false => {
                    signs.extend(self.answers(connection, connector, &needed).await);
                    if signs.iter().all(|sign| sign.health != Health::Bad) {
                        signs.extend(self.names(connection, connector).await);
                    }
                }
            }
        }
        let granted = self.vault.and_then(|vault| vault.state(&connection.name).ok().flatten()?.scope);
        let can_be_told = connector.renews(connection.auth.as_deref());
        signs.extend(scopes(&needed, can_be_told, granted.as_deref()));
        signs.extend(self.webhooks(connection, connector));
        signs.extend(self.drifted(connection, connector).await);
        signs
    }

    /// Does `serve` hear what is sent to the address that is given to senders? Asked from this computer.
    pub async fn heard_at(&self, public_url: &str) -> Sign {
        let url = format!("{}/healthz", public_url.trim_end_matches('/'));
        let request = Request { method: "GET".into(), url: url.clone(), headers: Vec::new(), body: None };
        let bad = |told: String, help: &str| Sign::new("webhooks", Health::Bad, told).help(help);
        match self.client.send(&request, None).await {
            Ok(response) if response.status == 200 && response.body["status"] == "ok" => Sign::new(
                "webhooks",
                Health::Good,
                format!("`serve` answers at {public_url}, asked from this computer"),
            ),
            Ok(response) => bad(
                format!("something else answers at {url}, with {}", response.status),
                "let the proxy hand everything below this address to `serve`, with the path as it is",
            ),
            Err(http::Error::Refused(why)) => bad(why, "an inside address must be allowed: --allow-net ADDRESS:PORT"),
            Err(error) => bad(
                format!("{url}: {error}"),
                "start `serve`, and look at the name, the proxy and the firewall before it",
            ),
        }
    }

    /// Records that were not as the connector says, by object.
    async fn drifted(&self, connection: &Connection, connector: &Connector) -> Vec<Sign> {
        let Some(store) = self.store else { return Vec::new() };
        let all = match drift::noted(store, connector, &connection.name).await {
            Ok(all) => all,
            Err(error) => return vec![Sign::new("schema", Health::Doubtful, format!("the store cannot say: {error}"))],
        };
        let mut objects: Vec<&str> = all.iter().map(|noted| noted.object.as_str()).collect();
        objects.sort_unstable();
        objects.dedup();
        let sign = |object: &str| {
            let of: Vec<&drift::Noted> = all.iter().filter(|noted| noted.object == object).collect();
            let since = of.iter().map(|noted| noted.first_ms).min().and_then(DateTime::from_timestamp_millis);
            let since = since.map(|since| format!(", since {}", since.format("%Y-%m-%d"))).unwrap_or_default();
            let differs = drift::told(of.iter().map(|noted| &noted.drift));
            let known = connector.object(object).map(|object| object.name.as_str());
            Sign::new("schema", Health::Doubtful, format!("records of {object}: {differs}{since}"))
                .help(drift::next_step(&connection.name, known))
        };
        objects.into_iter().map(sign).collect()
    }

    /// The secrets that a person gives.
    fn given(&self, connection: &Connection) -> Vec<Sign> {
        let missing = connection.secrets.values().filter(|secret| self.secrets.secret(secret).is_none());
        let told = |secret: &String| {
            let name = &connection.name;
            let sign = Sign::new("secret", Health::Bad, vault::missing(secret, name));
            sign.help(format!("or give it with --secrets, or run `dovetail connect {name}`"))
        };
        missing.map(told).collect()
    }

    /// Has somebody agreed, here or at the account that lends its credential?
    fn connected(&self, connection: &Connection, connector: &Connector) -> Option<Sign> {
        if let Some(lender) = connection.via.as_deref().and_then(|via| self.plan.connection(via)) {
            let through = format!("its token comes from `{}`", lender.name);
            let trouble = self.given(lender).into_iter().chain(self.connected(lender, connector));
            let trouble = trouble.into_iter().find(|sign| sign.health == Health::Bad);
            return Some(match trouble {
                Some(sign) => Sign { what: "connected", told: format!("{through}: {}", sign.told), ..sign },
                None => Sign::new("connected", Health::Good, format!("{through}, and is renewed by itself")),
            });
        }
        let oauth2 = connector.oauth2_of(connection.auth.as_deref())?;
        let name = &connection.name;
        let bad =
            |told: String| Sign::new("connected", Health::Bad, told).help(format!("run `dovetail connect {name}`"));
        Some(match self.vault.map(|vault| vault.state(name)) {
            None | Some(Ok(None)) if oauth2.authorize_url.is_none() => {
                Sign::new("connected", Health::Good, "it needs nobody to agree")
            }
            None | Some(Ok(None)) => bad("nobody has connected it yet".into()),
            Some(Err(error)) => bad(error.to_string()),
            Some(Ok(Some(Granted { refused: Some(why), .. }))) => {
                bad(format!("the vendor does not renew its token any more: {why}"))
            }
            Some(Ok(Some(_))) => Sign::new("connected", Health::Good, "a token is kept, and renewed by itself"),
        })
    }

    /// Asks the vendor something that changes nothing.
    async fn answers(&self, connection: &Connection, connector: &Connector, needed: &[(String, String)]) -> Vec<Sign> {
        let Some(operation) = harmless(connector, needed) else {
            return vec![Sign::new(
                "answers",
                Health::Doubtful,
                "no operation reads without an input: nothing was asked",
            )];
        };
        let asked = format!("{} ({} {})", operation.name, operation.method, operation.path);
        let started = Instant::now();
        let response = match self.ask(connection, connector, operation).await {
            Ok(response) => response,
            Err(failure) => return vec![told(&asked, &failure, connection, operation)],
        };
        let milliseconds = started.elapsed().as_millis();
        let input = Value::Object(Map::new());
        let outcome = connector.outcome(operation, &input, &connection.settings, &Page::default(), response.clone());
        let mut signs = vec![match outcome {
            Outcome::Done { .. } => Sign::new("answers", Health::Good, format!("{asked} in {milliseconds} ms")),
            Outcome::Failed(failure) => told(&asked, &failure, connection, operation),
        }];
        signs.extend(clock(&response));
        signs.extend(limits(connector, &response));
        signs
    }

    async fn ask(
        &self,
        connection: &Connection,
        connector: &Connector,
        operation: &Operation,
    ) -> Result<Response, Failure> {
        let input = Value::Object(Map::new());
        self.ask_for(connection, connector, operation, &input, &Page::default()).await
    }

    /// Sends one request that reads, outside of any run.
    pub(super) async fn ask_for(
        &self,
        connection: &Connection,
        connector: &Connector,
        operation: &Operation,
        input: &Value,
        page: &Page,
    ) -> Result<Response, Failure> {
        let request = operation.request(connector, &connection.settings, input, page)?;
        let origin = super::perform::origin(&request.url)
            .ok_or_else(|| Failure::new("invalid", "the base URL of the connection is no URL"))?;
        let failed = |why: String| Failure::new("auth", why);
        let holder = Holder::of(self.plan, connection, self.secrets).map_err(failed)?;
        let mut renewed = false;
        let mut token = match &holder {
            Some(holder) => Some(self.kept()?.token(holder).await.map_err(|error| failed(error.to_string()))?),
            None => None,
        };
        loop {
            let credential = vault::credential(connector, connection, &origin, self.secrets, token.as_ref())?;
            let response = self.client.send(&request, credential.as_ref()).await.map_err(|error| match error {
                // The name says it already.
                http::Error::Refused(why) => Failure::new("refused", why),
                http::Error::Unreachable(why) => Failure::new("unreachable", why),
                error => Failure::new("unreachable", error.to_string()),
            })?;
            let is_refused = connector.refusal(&response).is_some_and(|failure| failure.name == "auth");
            // A token that is refused is renewed once, as in a run.
            let (Some(holder), Some(refused), true) = (&holder, &token, is_refused && !renewed) else {
                return Ok(response);
            };
            let next = self.kept()?.refused(holder, refused.version).await;
            token = Some(next.map_err(|error| failed(error.to_string()))?);
            renewed = true;
        }
    }

    fn kept(&self) -> Result<&Vault, Failure> {
        self.vault.ok_or_else(|| Failure::new("auth", "there is no key for credentials"))
    }

    /// Can deliveries of the vendor be proved?
    fn webhooks(&self, connection: &Connection, connector: &Connector) -> Option<Sign> {
        let webhooks = connector.webhooks.as_ref()?;
        if !self.plan.hearing().any(|workflow| hears(workflow, connection)) {
            return None;
        }
        let path = format!("/hooks/{}", connector.name);
        let missing: Vec<&String> =
            connection.webhook_secrets.values().filter(|secret| self.secrets.secret(secret).is_none()).collect();
        Some(match missing.as_slice() {
            _ if webhooks.verify.is_empty() => {
                Sign::new("webhooks", Health::Good, "its URL itself is the secret: `dovetail hooks` says it")
            }
            [] => Sign::new("webhooks", Health::Good, format!("deliveries to {path} are proved")),
            [first, ..] => Sign::new("webhooks", Health::Bad, format!("every delivery to {path} is refused"))
                .help(vault::missing(first, &connection.name)),
        })
    }
}

/// A failure in words, with the next step.
pub(super) fn told(asked: &str, failure: &Failure, connection: &Connection, operation: &Operation) -> Sign {
    let name = connection.via.as_ref().unwrap_or(&connection.name);
    let sign = Sign::new("answers", Health::Bad, format!("{asked}: {failure}"));
    match failure.name.as_str() {
        "auth" => sign.help(format!("the token is wrong or has ended: give another one, or run `dovetail connect {name}`")),
        "scope" => match &operation.scope {
            Some(scope) => sign.help(format!("the token lacks the scope `{scope}`, or is of another kind of account")),
            None => sign.help("the token lacks a scope, or is of another kind of account"),
        },
        "forbidden" => sign.help("the account exists, and may not do this: look at its rights and its settings"),
        "not_found" => sign.help("there is no such address: look at the connection's `base_url`, its settings, and the path in the connector"),
        "invalid" => sign.help("the vendor does not take the request: look at the connection's settings, and at the operation in the connector"),
        "refused" => sign.help("an inside address must be allowed: --allow-net ADDRESS:PORT"),
        "rate_limited" => Sign { health: Health::Doubtful, ..sign }.help("the limit is used up just now: try again later"),
        "transient" => Sign { health: Health::Doubtful, ..sign }.help("the vendor has trouble of its own: try again later"),
        _ => sign.help("look at the connection's `base_url`, and whether this computer reaches it"),
    }
}

/// The `Date` of the answer against our own clock.
fn clock(response: &Response) -> Option<Sign> {
    let date = DateTime::parse_from_rfc2822(response.header("date")?).ok()?;
    let skew = (Utc::now() - date.to_utc()).num_seconds();
    (skew.abs() > SKEW_MAX_S).then(|| {
        let way = if skew > 0 { "before" } else { "behind" };
        Sign::new("clock", Health::Doubtful, format!("this computer is {} s {way} the vendor", skew.abs()))
            .help("set the clock by the network: signed times are refused when they are too far away")
    })
}

fn limits(connector: &Connector, response: &Response) -> Vec<Sign> {
    let left = |limit: &crate::connector::Limit| {
        let left: u64 = response.header(limit.remaining_header.as_deref()?)?.trim().parse().ok()?;
        let health = if left * 10 >= limit.requests { Health::Good } else { Health::Doubtful };
        let per = crate::expr::duration_text(limit.per);
        Some(Sign::new("limit", health, format!("{left} of {} requests left in {per}", limit.requests)))
    };
    connector.limits.iter().filter_map(left).collect()
}

/// Needed by the project, against granted by the vendor.
fn scopes(needed: &[(String, String)], can_be_told: bool, granted: Option<&str>) -> Option<Sign> {
    let needed: BTreeSet<&str> = needed.iter().flat_map(|(_, scope)| scope.split_whitespace()).collect();
    if needed.is_empty() {
        return None;
    }
    let list = |scopes: &BTreeSet<&str>| scopes.iter().copied().collect::<Vec<_>>().join(", ");
    let Some(granted) = granted.filter(|_| can_be_told) else {
        return Some(Sign::new("scopes", Health::Good, format!("the project needs {}", list(&needed))));
    };
    let granted: BTreeSet<&str> = granted.split([' ', ',']).collect();
    let lacks: BTreeSet<&str> = needed.difference(&granted).copied().collect();
    Some(match lacks.is_empty() {
        true => Sign::new("scopes", Health::Good, format!("granted: {}", list(&needed))),
        false => Sign::new("scopes", Health::Bad, format!("not granted: {}", list(&lacks))).help(
            "let the app ask for them at the vendor, then connect again: `dovetail connect` asks for what is needed",
        ),
    })
}

/// The scopes that the project needs at a connection.
pub(super) fn scopes_needed(plan: &Plan, connection: &Connection, connector: &Connector) -> BTreeSet<String> {
    let scopes = needed(plan, connection, connector).into_iter().map(|(_, scope)| scope);
    scopes.flat_map(|scope| scope.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The operations that the project uses at a connection, each with its scope.
fn needed(plan: &Plan, connection: &Connection, connector: &Connector) -> Vec<(String, String)> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let of = |workflow: &Workflow, alias: &str| stands_for(workflow.connector_of(alias), connection);
    for workflow in plan.hearing() {
        for event in workflow.events().into_iter().filter(|event| of(workflow, &event.alias)) {
            names.extend(event.object.iter().flat_map(|object| [format!("{object}.get"), format!("{object}.list")]));
        }
        if let Starts::Poll { alias, operation, .. } = &workflow.trigger.starts
            && of(workflow, alias)
        {
            names.insert(operation.clone());
        }
        for action in workflow.all_actions() {
            if action.uses().is_some_and(|(alias, _)| of(workflow, alias)) {
                names.extend(operations(action));
            }
        }
    }
    let scope = |name: String| Some((name.clone(), connector.operation(&name)?.scope.clone()?));
    names.into_iter().filter_map(scope).collect()
}

fn operations(action: &Action) -> Vec<String> {
    match (&action.kind, action.uses()) {
        (Kind::Upsert(_), Some((_, object))) => {
            ["find", "get", "create", "update"].map(|standard| format!("{object}.{standard}")).into()
        }
        (_, Some((_, operation))) => vec![operation.to_owned()],
        _ => Vec::new(),
    }
}

fn hears(workflow: &Workflow, connection: &Connection) -> bool {
    workflow.events().iter().any(|event| stands_for(workflow.connector_of(&event.alias), connection))
}

pub(super) fn stands_for(name: Option<&str>, connection: &Connection) -> bool {
    name.is_some_and(|name| connection.stands_for(name))
}

/// An operation that changes nothing and needs no input; one that the project uses, if there is one.
fn harmless<'c>(connector: &'c Connector, needed: &[(String, String)]) -> Option<&'c Operation> {
    let needs_nothing = |operation: &&Operation| {
        let required = operation.input.get("required").and_then(Value::as_array);
        let finds = operation.short_name() == "find";
        operation.reads && !finds && operation.input_holes().next().is_none() && required.is_none_or(Vec::is_empty)
    };
    let all = connector.operations();
    let used = |operation: &&&Operation| needed.iter().any(|(name, _)| *name == operation.name);
    let mut fitting = all.iter().filter(|operation| needs_nothing(operation));
    let first = fitting.clone().find(|operation| operation.lists);
    fitting.clone().find(used).or(first).or_else(|| fitting.next()).copied()
}
