//! The control door `/_sandbox/`: what the vendor's own people, a test, or a demo may see and do.
//!
//! Only for programs on this computer: a page in a browser is turned away by its `Origin`, a rebound name by its
//! `Host`.

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::hook::{self, Hook};
use super::random::Random;
use super::state::State;
use super::turn::Call;
use super::vendor::Inner;
use crate::expr::parse_duration;

const INDEX: [(&str, &str); 17] = [
    ("GET /_sandbox/", "this index, and how much there is of everything"),
    ("GET /_sandbox/records/{object}", "all records as they are kept"),
    (
        "POST /_sandbox/records/{object}",
        "one record or a list, as made in the vendor's own app; ?quiet=true sends no webhook",
    ),
    ("PATCH /_sandbox/records/{object}/{id}", "fields laid over a record; null clears; ?quiet=true"),
    ("DELETE /_sandbox/records/{object}/{id}", "deletes a record; ?quiet=true"),
    ("GET /_sandbox/requests", "the last 10,000 requests; ?method=&path=&operation=&after=NUMBER"),
    ("GET /_sandbox/webhooks", "the last 10,000 deliveries with their attempts; ?event="),
    ("POST /_sandbox/webhooks/send", "sends the given body, signed; without a body an example of ?event=NAME"),
    ("GET /_sandbox/faults", "what is ordered, and how often it happened"),
    (
        "POST /_sandbox/faults",
        "{ at, times } and one of status (with body, html, retry_after, after_write), delay_ms, drop_before, \
         drop_after_write, lose_webhooks, duplicate_webhooks, reorder_webhooks",
    ),
    ("DELETE /_sandbox/faults", "withdraws all faults"),
    ("GET /_sandbox/settings", "the settings as they are"),
    ("POST /_sandbox/settings", "changes some of them"),
    ("POST /_sandbox/clock", "{ advance: 25h } sets the vendor's clock forward"),
    ("DELETE /_sandbox/tokens/{token}", "a token that nobody knows any more"),
    ("GET /_sandbox/key", "the public key that webhooks are signed with, and the shared secret"),
    ("POST /_sandbox/reset", "as at the start, with new ids"),
];

/// (status, body).
type Said = (u16, Value);

pub fn answer(inner: &Inner, call: &Call) -> Said {
    let header = |name: &str| call.headers.get(name).and_then(Value::as_str);
    let host = header("host").map(|host| format!("http://{host}"));
    let origins = [host.as_deref(), header("origin")];
    if origins.into_iter().flatten().any(|origin| !is_local(origin)) {
        return wrong(403, "the control door is only for programs on this computer");
    }
    if call.bad_body {
        return wrong(400, "the body is no JSON");
    }
    let path = call.path.split('/').skip(2).filter(|segment| !segment.is_empty());
    let path: Vec<String> = path.map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let mut state = inner.state.lock();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", []) => (200, index(inner, &state)),
        ("GET", ["records", object]) => {
            if inner.rules.document.objects.get(object).is_none() {
                return wrong(404, &format!("there is no object `{object}`"));
            }
            let records: Vec<Value> = state.records.all(object).cloned().collect();
            (200, json!({ "object": object, "count": records.len(), "records": records }))
        }
        ("POST", ["records", object]) => made(inner, &mut state, call, |state| {
            let records = call.body.as_array().cloned().unwrap_or_else(|| vec![call.body.clone()]);
            records.iter().map(|record| state.insert(&inner.rules, object, record)).collect()
        }),
        ("PATCH", ["records", object, id]) => {
            made(inner, &mut state, call, |state| Ok(vec![state.change(&inner.rules, object, id, &call.body)?]))
        }
        ("DELETE", ["records", object, id]) => made(inner, &mut state, call, |state| {
            let change = state.remove(&inner.rules, object, id);
            Ok(vec![change.ok_or_else(|| format!("there is no `{object}` with the id `{id}`"))?])
        }),
        ("GET", ["requests"]) => (200, json!({ "requests": requests(&state, call) })),
        ("GET", ["webhooks"]) => {
            let event = call.query["event"].as_str();
            let all = state.deliveries.all().filter(|delivery| event.is_none_or(|event| delivery.event == event));
            (200, json!({ "webhooks": all.map(plain).collect::<Vec<Value>>() }))
        }
        ("POST", ["webhooks", "send"]) => {
            let event = call.query["event"].as_str();
            let hook = match (event, &call.body) {
                (Some(event), Value::Null) => hook::by_hand(&inner.rules, &mut state, event),
                (event, body) => {
                    let event = event.unwrap_or("sent by hand").to_owned();
                    Ok(Hook { event, body: body.to_string().into_bytes(), late: false })
                }
            };
            match hook {
                Ok(hook) => {
                    inner.send(hook);
                    (202, json!({ "sent": true }))
                }
                Err(message) => wrong(404, &message),
            }
        }
        ("GET", ["faults"]) => (200, json!({ "faults": state.faults.ordered })),
        ("POST", ["faults"]) => ordered(&mut state, &call.body),
        ("DELETE", ["faults"]) => {
            state.faults.ordered.clear();
            (200, json!({ "faults": [] }))
        }
        ("GET", ["settings"]) => (200, json!({ "settings": state.settings })),
        ("POST", ["settings"]) => {
            let none = Map::new();
            match state.set(&inner.rules, call.body.as_object().unwrap_or(&none)) {
                Ok(()) => (200, json!({ "settings": state.settings })),
                Err(message) => wrong(400, &message),
            }
        }
        ("POST", ["clock"]) => match call.body["advance"].as_str().and_then(parse_duration) {
            Some(by) => {
                state.clock.advance(by);
                (200, json!({ "now": super::clock::written(state.clock.now()) }))
            }
            None => wrong(400, "`advance` is a duration such as `25h`"),
        },
        ("DELETE", ["tokens", token]) if state.keys.revoke(token) => (200, json!({ "revoked": true })),
        ("GET", ["key"]) => {
            let secret = inner.signer.secret(&inner.rules.document.webhooks.sign);
            (200, json!({ "ed25519": inner.signer.public_key(), "secret": secret }))
        }
        ("POST", ["reset"]) => {
            let url = state.settings.get("webhook_url").cloned();
            let deliveries = state.deliveries.emptied();
            // The stream of ids goes on: a client that remembers old ones must not meet them again.
            let random = std::mem::replace(&mut state.random, Random::new(inner.seed));
            let assumed = state.assumed.take();
            *state = State { deliveries, random, assumed, ..State::new(&inner.rules, inner.seed) };
            state.settings.extend(url.map(|url| ("webhook_url".to_owned(), url)));
            match state.fill(&inner.rules, inner.data.as_ref()) {
                Ok(()) => (200, json!({ "reset": true })),
                Err(message) => wrong(500, &message),
            }
        }
        (method, _) => wrong(404, &format!("there is no {method} {}; GET /_sandbox/ says what there is", call.path)),
    }
}

fn wrong(status: u16, message: &str) -> Said {
    (status, json!({ "error": message }))
}

fn is_local(origin: &str) -> bool {
    url::Url::parse(origin).is_ok_and(|origin| match origin.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

fn index(inner: &Inner, state: &State) -> Value {
    let document = &inner.rules.document;
    let doors: Map<String, Value> = INDEX.iter().map(|(line, what)| ((*line).to_owned(), Value::from(*what))).collect();
    let known: Map<String, Value> =
        document.tokens.known.iter().map(|(token, values)| (token.to_owned(), Value::Object(values.clone()))).collect();
    let routes: Map<String, Value> =
        inner.rules.routes().iter().map(|played| (played.text.clone(), Value::from(played.name.clone()))).collect();
    let counts: Map<String, Value> =
        state.records.counts().into_iter().map(|(object, count)| (object, count.into())).collect();
    json!({
        "sandbox": document.sandbox, "about": document.about, "doors": doors, "tokens": known,
        "settings": state.settings,
        "records": counts, "writes": state.records.writes, "requests": state.log.all().count(), "routes": routes,
    })
}

/// Tells the changes to the webhooks and answers with the records.
fn made(
    inner: &Inner,
    state: &mut State,
    call: &Call,
    change: impl FnOnce(&mut State) -> Result<Vec<super::record::Change>, String>,
) -> Said {
    let changes = match change(state) {
        Ok(changes) => changes,
        Err(message) => return wrong(400, &message),
    };
    if call.query["quiet"].as_str() != Some("true")
        && let Err(message) = inner.tell(state, &changes)
    {
        return wrong(500, &message);
    }
    let records: Vec<&Value> = changes.iter().map(|change| &change.after).collect();
    (200, json!({ "records": records }))
}

fn ordered(state: &mut State, body: &Value) -> Said {
    let fault = match serde_json::from_value::<Fault>(body.clone()) {
        Ok(fault) => fault,
        Err(error) => return wrong(400, &error.to_string()),
    };
    match state.faults.order(fault) {
        Ok(()) => (201, json!({ "faults": state.faults.ordered })),
        Err(message) => wrong(400, &message),
    }
}

fn requests(state: &State, call: &Call) -> Vec<Value> {
    let asked = |name: &str| call.query.get(name).and_then(Value::as_str);
    let after = asked("after").and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    let fitting = state.log.all().filter(|entry| {
        entry.number > after
            && asked("method").is_none_or(|method| entry.method.eq_ignore_ascii_case(method))
            && asked("path").is_none_or(|path| entry.path == path)
            && asked("operation").is_none_or(|operation| entry.operation == operation)
    });
    fitting.map(plain).collect()
}

fn plain(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
