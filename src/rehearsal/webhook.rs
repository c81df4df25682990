//! The step `webhook`: what a vendor tells has happened there, is signed as it signs, and marked with an id and the time of now.

use serde_json::{Value, json};

use super::company::{deliver, token};
use super::stage::Stage;
use crate::clock;
use crate::connector::{Connector, Webhooks};
use crate::expr::Path;
use crate::sandbox::Inside;
use crate::trigger::{Arrival, Event, read_delivery};

/// Sends one to a workflow's own path.
///
/// # Errors
/// It was not taken, in words.
pub async fn own(stage: &Stage, path: &str, body: &Value) -> Result<(), String> {
    let seen = &stage.company.seen;
    let engine = seen.engine().ok_or("the program is dead")?;
    let Some(token) = token(&engine, &format!("/hooks{path}")).await else {
        let paths = engine.hooks().await.into_iter().filter(|hook| hook.source.starts_with("workflow "));
        let paths: Vec<String> =
            paths.filter_map(|hook| Some(hook.path.rsplit_once('/')?.0["/hooks".len()..].to_owned())).collect();
        let known = if paths.is_empty() { "it has none".to_owned() } else { format!("it has {}", paths.join(", ")) };
        return Err(format!("the tested workflow has no webhook `{path}`; {known}"));
    };
    let header = |name: &str| name.eq_ignore_ascii_case("content-type").then(|| "application/json".to_owned());
    let whole = format!("/hooks{path}/{token}");
    let bytes = body.to_string().into_bytes();
    let arrival = Arrival { header: &header, body: &bytes, path: &whole };
    let taken = engine.own_webhook(path, Some(&token), arrival).await;
    seen.tell(None, format!("webhook {path} → {} {}", taken.status, taken.word));
    refused(taken.status, taken.word)
}

/// Sends one of a vendor's, which has happened there before.
///
/// # Errors
/// It was not taken, in words.
pub async fn of_vendor(stage: &Stage, connection: &str, body: &Value) -> Result<(), String> {
    let company = &stage.company;
    let connector = company.scene.connector(connection).ok_or("its connector is missing")?;
    let webhooks = connector.webhooks.as_ref().ok_or_else(|| format!("`{}` sends no webhooks", connector.name))?;
    let vendor = company.vendors.get(connection).ok_or("nobody plays it")?;
    let name = webhooks.event_name.as_ref().and_then(|path| path.get_in(body));
    let name = name.as_ref().and_then(Value::as_str).unwrap_or("without a name").to_owned();
    let delivery = read_delivery(connector, body, clock::now_ms());
    let delivery = delivery.map_err(|refusal| format!("the webhook {name} is not understood: {}", refusal.word))?;
    if delivery.events.is_empty() {
        let known: Vec<&str> = webhooks.events.iter().map(|event| event.name.as_str()).collect();
        let near = crate::source::nearest(&name, known.iter().copied());
        let help =
            near.map_or_else(|| format!("it knows {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        return Err(format!("`{}` knows no webhook `{name}`; {help}", connector.name));
    }
    for event in &delivery.events {
        happen(vendor, event)?;
    }
    let bytes = body.to_string().into_bytes();
    let headers = vendor.signed(&bytes, &format!("http://localhost/hooks/{}", connector.name));
    let engine = company.seen.engine().ok_or("the program is dead")?;
    let status = deliver(&company.seen, &engine, &connector.name, &name, (&headers, &bytes)).await;
    refused(status, &format!("the webhook {name} was refused"))
}

fn refused(status: u16, why: &str) -> Result<(), String> {
    if (200..300).contains(&status) { Ok(()) } else { Err(format!("{why} ({status})")) }
}

/// What is told has happened: the record is there, or gone.
fn happen(vendor: &Inside, event: &Event) -> Result<(), String> {
    let (Some(object), Some(id)) = (&event.object, &event.record_id) else { return Ok(()) };
    match (event.kind.as_str(), vendor.has(object, id)) {
        ("deleted", true) => vendor.delete(object, id, false).map(drop),
        ("created", false) => vendor.edit(object, None, &event.record, false).map(drop),
        _ => Ok(()),
    }
}

/// A body as the vendor would send it now: to this account, with an id of its own where the test gives none.
pub fn marked(connector: &Connector, settings: &Value, number: u64, body: &Value) -> Value {
    let mut body = body.clone();
    let Some(webhooks) = &connector.webhooks else { return body };
    mark(webhooks, settings, number, &mut body);
    body
}

fn mark(webhooks: &Webhooks, settings: &Value, number: u64, body: &mut Value) {
    if let Some(path) = webhooks.id.as_ref().filter(|path| path.get_in(body).is_none()) {
        put(body, path, json!(format!("webhook-{number}")));
    }
    if let Some(path) = &webhooks.time {
        let now = chrono::DateTime::from_timestamp_millis(clock::now_ms()).unwrap_or_default();
        let now = match path.get_in(body).and_then(|time| time.as_i64()) {
            Some(MILLISECONDS_MIN..) => json!(now.timestamp_millis()),
            Some(_) => json!(now.timestamp()),
            None => json!(now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
        };
        put(body, path, now);
    }
    let name = webhooks.event_name.as_ref().and_then(|path| path.get_in(body));
    let declared = webhooks.events.iter().find(|event| name.as_ref().is_some_and(|name| *name == event.name.as_str()));
    for sign in declared.map_or(webhooks.connection.as_slice(), |event| webhooks.connection_of(event)) {
        let there = sign.paths.iter().find(|path| path.get_in(body).is_some());
        if let (Some(path), Some(value)) = (there.or_else(|| sign.paths.first()), settings.get(&sign.setting)) {
            put(body, path, value.clone());
        }
    }
}

/// Greater numbers are no seconds.
const MILLISECONDS_MIN: i64 = 100_000_000_000;

/// Lays a value over a body, at a path of plain names.
fn put(body: &mut Value, path: &Path, value: Value) {
    let names = path.read().names;
    let mut at = body;
    for name in names {
        if !at.is_object() {
            return;
        }
        at = &mut at[name];
    }
    *at = value;
}
