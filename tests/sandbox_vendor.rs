//! An independent client walks through the pretend vendors, one file of `tests/cases/sandbox/` after the other.
//!
//! Only `Vendor::start` is ours: the client is plain HTTP over loopback and knows what `README.md` there says about the
//! form of a case. Nothing sleeps; whoever waits for webhooks is woken by them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dovetail::sandbox::{Settings, Vendor};
use ed25519_dalek::pkcs8::DecodePublicKey as _;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

type Failed = Result<(), String>;
/// Path and text of a file.
type Text = (String, String);

/// For what comes in the end.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sandbox");
    let only = std::env::var("CASE").ok();
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut failures = Vec::new();
    let mut count = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "yaml")) {
        let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let text = std::fs::read_to_string(file).expect("a case can be read");
        let case: Value = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        count += case["steps"].as_array().map_or(0, Vec::len);
        if let Err(failure) = walk(&case).await {
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n\n"));
    assert!(count > 0, "no case was walked");
}

#[tokio::test]
async fn a_wrong_file_is_told_with_its_place() {
    let connector = ("shop.yaml".to_owned(), "connector: shop\nobjects: { order: {} }\n".to_owned());
    let start = async |sandbox: &str, settings: Settings| {
        let sandbox = ("shop.sandbox.yaml".to_owned(), sandbox.to_owned());
        Vendor::start(std::slice::from_ref(&connector), Some(sandbox), settings)
            .await
            .err()
            .map(|error| error.to_string())
    };
    let wrong = [
        ("sandbox: shop\nroutes:\n  GET /a: { lists: order }\n", "shop.sandbox.yaml:3:20: unknown field `lists`"),
        ("sandbox: shop\nroutes: { GET /a: { list: deal } }\n", "there is no object `deal`"),
        ("sandbox: shop\nroutes: { /a: { action: true } }\n", "is no request line"),
        ("sandbox: shop\nroutes: { GET /a: { list: order, action: true } }\n", "exactly one behaviour"),
        ("sandbox: shop\nchecks: [{ refuse_if: { a: 1 } }]\n", "shop.sandbox.yaml:2:"),
        ("sandbox: shop\nobjects: { order: { ids: short } }\n", "is no form of ids"),
        ("sandbox: shop\nobjects: { order: { fields: { a: colour } } }\n", "is no kind of field"),
        ("sandbox: stop\n", "must say `shop`"),
        ("sandbox: shop\nsandbox: shop\n", "shop.sandbox.yaml:2:1"),
    ];
    for (text, expected) in wrong {
        let told = start(text, Settings::new("shop")).await.unwrap_or_else(|| panic!("nothing is wrong with {text}"));
        assert!(told.contains(expected), "{text}told: {told}");
    }
    let other = start("sandbox: shop\n", Settings::new("stall")).await.expect("there is no such connector");
    assert!(other.contains("`stall`"), "{other}");
    let mut abroad = Settings::new("shop");
    abroad.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let told = start("sandbox: shop\n", abroad).await.expect("only this computer is listened to");
    assert!(told.contains("no loopback address"), "{told}");
    let mut abroad = Settings::new("shop");
    abroad.webhook_url = Some("http://192.0.2.1/".to_owned());
    assert!(start("sandbox: shop\n", abroad).await.is_some());
    assert_eq!(start("sandbox: shop\n", Settings::new("shop")).await, None);
}

#[tokio::test]
async fn a_report_can_be_made_of_a_vendor() {
    let text = "connector: shop\nobjects: { person: { schema: { properties: { email: { type: string } } }, \
                identity: [email], \
                operations: { create: { request: POST /people } } } }\n";
    let sandbox = "sandbox: shop\nsettings: { allow: true }\n\
                   objects: { person: { duplicates_allowed: { $.settings.allow: true } } }\n";
    let start = async |seed: u64| {
        let mut settings = Settings::new("shop");
        (settings.seed, settings.key_seed) = (seed, seed);
        settings.data = Some(json!({ "person": [{ "email": "a@b.c" }] }));
        let files = [("shop.yaml".to_owned(), text.to_owned())];
        Vendor::start(&files, Some(("shop.sandbox.yaml".to_owned(), sandbox.to_owned())), settings).await
    };
    let vendor = start(1).await.expect("it starts");
    let (again, other) = (start(1).await.expect("it starts"), start(2).await.expect("it starts"));
    assert_eq!(vendor.records("person"), again.records("person"), "the seed decides the ids");
    assert_ne!(vendor.records("person"), other.records("person"));
    assert_eq!(vendor.public_key(), again.public_key());
    assert_ne!(vendor.public_key(), other.public_key());
    assert_eq!((vendor.writes(), vendor.duplicates("person")), (0, Vec::new()));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request =
        reqwest::Client::new().post(format!("http://{}/people", vendor.address())).bearer_auth("token-sandbox");
    let answer = request.json(&json!({ "email": "A@B.C" })).send().await.expect("it answers");
    assert_eq!(answer.status(), 201);
    assert_eq!((vendor.writes(), vendor.duplicates("person")), (1, vec![("email".to_owned(), "a@b.c".to_owned())]));
    let address = vendor.address();
    vendor.stop().await;
    let gone = reqwest::Client::new().get(format!("http://{address}/people")).send().await;
    assert!(gone.is_err(), "a stopped vendor answers nobody");
}

/// A client at work.
struct Walk {
    client: reqwest::Client,
    base: String,
    token: Value,
    headers: Value,
    kept: Map<String, Value>,
    inbox: Arc<Inbox>,
    public_key: String,
}

/// Where webhooks arrive.
#[derive(Default)]
struct Inbox {
    /// Headers and body.
    arrived: Mutex<Vec<(Value, Vec<u8>)>>,
    seen: Mutex<usize>,
    /// Statuses for the next deliveries; 200 when there is none.
    answers: Mutex<Vec<u16>>,
    bell: Notify,
}

async fn walk(case: &Value) -> Failed {
    let inbox = Arc::new(Inbox::default());
    let hooks = listen(Arc::clone(&inbox)).await;
    let connector = case["sandbox"].as_str().ok_or("`sandbox` names no connector")?;
    let mut settings = Settings::new(connector);
    settings.retry_base = Duration::from_millis(1);
    settings.webhook_url = Some(format!("http://{hooks}/hooks"));
    settings.webhook_secret = Some("a-secret-of-the-test".to_owned());
    settings.data = case.get("data").cloned();
    let (files, sandbox) = documents(case, connector)?;
    let vendor = Vendor::start(&files, sandbox, settings).await.map_err(|error| error.to_string())?;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let mut walk = Walk {
        client: client.map_err(|error| error.to_string())?,
        base: format!("http://{}", vendor.address()),
        token: case["token"].clone(),
        headers: case["headers"].clone(),
        kept: Map::new(),
        inbox,
        public_key: vendor.public_key(),
    };
    for (place, step) in case["steps"].as_array().ok_or("there are no `steps`")?.iter().enumerate() {
        let name = step["name"].as_str().or_else(|| step["send"].as_str()).unwrap_or("?");
        walk.step(step).await.map_err(|failure| format!("step {} ({name}): {failure}", place + 1))?;
    }
    vendor.stop().await;
    Ok(())
}

/// The shipped files, or those that the case holds itself.
fn documents(case: &Value, connector: &str) -> Result<(Vec<Text>, Option<Text>), String> {
    if let Some(own) = case.get("connector_file") {
        let sandbox = case.get("sandbox_file").map(|own| ("case.sandbox.yaml".to_owned(), own.to_string()));
        return Ok((vec![("case.yaml".to_owned(), own.to_string())], sandbox));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let read = |name: String| std::fs::read_to_string(folder.join(&name)).map(|text| (name, text));
    let described = read(format!("{connector}.yaml")).map_err(|error| error.to_string())?;
    Ok((vec![described], read(format!("{connector}.sandbox.yaml")).ok()))
}

impl Walk {
    async fn step(&mut self, step: &Value) -> Failed {
        let written = step;
        let step = self.filled(step);
        if let Some(answers) = step["hook_answers"].as_array() {
            *self.inbox.answers.lock() = answers.iter().filter_map(Value::as_u64).map(|status| status as u16).collect();
        }
        if step.get("send").is_some() {
            for _ in 0..step["times"].as_u64().unwrap_or(1).saturating_sub(1) {
                self.send(&step).await?;
            }
            let end = Instant::now() + PATIENCE;
            loop {
                let answered = self.send(&step).await?;
                match self.judge(&step, answered) {
                    Err(_) if step.get("in_the_end").is_some() && Instant::now() < end => {}
                    judged => break judged?,
                }
            }
        }
        if let Some(expected) = written["webhooks"].as_array() {
            for expected in expected {
                self.hear(&self.filled(expected)).await?;
            }
        }
        if step.get("no_webhook").is_some() && self.inbox.arrived.lock().len() > *self.inbox.seen.lock() {
            return Err("a webhook arrived that nobody expected".to_owned());
        }
        Ok(())
    }

    /// Status, headers and body; None if the connection broke.
    async fn send(&self, step: &Value) -> Result<Option<(u16, Value, Value)>, String> {
        let (method, path) =
            step["send"].as_str().and_then(|line| line.split_once(' ')).ok_or("`send` is no request line")?;
        let method = method.parse::<reqwest::Method>().map_err(|error| error.to_string())?;
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        let token = step.get("token").unwrap_or(&self.token);
        if let (Some(token), false) = (token.as_str(), path.starts_with("/_sandbox")) {
            request = match token.strip_prefix("basic:") {
                Some(user) => request.basic_auth(user, Some("")),
                None => request.bearer_auth(token),
            };
        }
        let headers = [&self.headers, &step["headers"]];
        let mut all: Map<String, Value> = Map::new();
        for headers in headers.into_iter().filter_map(Value::as_object) {
            all.extend(headers.clone());
        }
        for (name, value) in all.iter().filter(|(_, value)| !value.is_null()) {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        if let Some(text) = step["raw_body"].as_str() {
            if !all.contains_key("content-type") {
                request = request.header("content-type", "application/json");
            }
            request = request.body(text.to_owned());
        } else if step.get("body").is_some() {
            request = request.json(&step["body"]);
        } else if step.get("form").is_some() {
            request = request.form(&step["form"]);
        }
        let Ok(answer) = request.send().await else { return Ok(None) };
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or_default())));
        let headers = Value::Object(headers.collect());
        let Ok(text) = answer.text().await else { return Ok(None) };
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Some((status, headers, body)))
    }

    fn judge(&mut self, step: &Value, answered: Option<(u16, Value, Value)>) -> Failed {
        let Some((status, headers, body)) = answered else {
            return if step["broken"] == true { Ok(()) } else { Err("the connection broke".to_owned()) };
        };
        let told = || format!("\n    answered {status} {body}");
        if step["broken"] == true {
            return Err(format!("the connection did not break{}", told()));
        }
        if step["status"].as_u64() != Some(u64::from(status)) {
            return Err(format!("expected status {}{}", step["status"], told()));
        }
        compare(&step["expect"], &body, "$").map_err(|failure| failure + &told())?;
        compare(&step["expect_headers"], &headers, "headers")?;
        for (name, path) in step["keep"].as_object().into_iter().flatten() {
            let path = path.as_str().unwrap_or_default();
            let value =
                if let Some(header) = path.strip_prefix("header:") { headers.get(header) } else { body.pointer(path) };
            let value = value.ok_or_else(|| format!("nothing to keep at {path}{}", told()))?;
            self.kept.insert(name.clone(), value.clone());
        }
        Ok(())
    }

    /// The next webhook that arrives; anything before it counts.
    async fn hear(&self, expected: &Value) -> Failed {
        let next = async {
            loop {
                let bell = self.inbox.bell.notified();
                let seen = *self.inbox.seen.lock();
                if let Some(arrived) = self.inbox.arrived.lock().get(seen).cloned() {
                    *self.inbox.seen.lock() += 1;
                    return arrived;
                }
                bell.await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, next).await;
        let (headers, bytes) = arrived.map_err(|_| format!("no webhook arrived; expected {expected}"))?;
        let body: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        compare(&expected["body"], &body, "webhook").map_err(|failure| format!("{failure}\n    arrived {body}"))?;
        match expected["signed"].as_str() {
            Some("ed25519") => self.verify_ed25519(&headers, expected, &bytes),
            Some("hmac") => verify_hmac(&headers, expected, &bytes),
            _ => Ok(()),
        }
    }

    fn verify_ed25519(&self, headers: &Value, expected: &Value, body: &[u8]) -> Failed {
        let header = expected["header"].as_str().unwrap_or_default().to_lowercase();
        let der = STANDARD.decode(&self.public_key).map_err(|error| error.to_string())?;
        let key = VerifyingKey::from_public_key_der(&der).map_err(|error| error.to_string())?;
        let signature =
            STANDARD.decode(headers[&header].as_str().unwrap_or_default()).map_err(|error| error.to_string())?;
        let signature = Signature::from_slice(&signature).map_err(|error| error.to_string())?;
        key.verify(body, &signature).map_err(|error| error.to_string())
    }

    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                if let Some(whole) = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"))
                    && let Some(value) = self.kept.get(whole)
                {
                    return value.clone();
                }
                let filled = self.kept.iter().fold(text.clone(), |text, (name, value)| {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    text.replace(&format!("{{{{{name}}}}}"), &value)
                });
                Value::String(filled)
            }
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), self.filled(value))).collect(),
            other => other.clone(),
        }
    }
}

fn verify_hmac(headers: &Value, expected: &Value, body: &[u8]) -> Failed {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let header = expected["header"].as_str().unwrap_or_default().to_lowercase();
    let given = headers[&header].as_str().unwrap_or_default().strip_prefix("sha256=").unwrap_or_default();
    let given = hex::decode(given).map_err(|error| error.to_string())?;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"a-secret-of-the-test").map_err(|error| error.to_string())?;
    mac.update(body);
    mac.verify_slice(&given).map_err(|error| error.to_string())
}

/// A map: at least these fields. A list: these items. `~any`: something is there. `~none`: nothing is, not even null.
/// `~uuid`, `~time`, `~id20`: the form. `~has TEXT`: a text that holds it.
fn compare(expected: &Value, found: &Value, place: &str) -> Failed {
    let wrong = || Err(format!("{place}: expected {expected}, found {found}"));
    match (expected, found) {
        (Value::Null, _) if place == "$" || place == "headers" || place == "webhook" => Ok(()),
        (Value::Object(fields), _) => {
            for (name, expected) in fields {
                let inside = format!("{place}.{name}");
                match (expected.as_str(), found.get(name)) {
                    (Some("~none"), None) => {}
                    (Some("~none"), Some(found)) => return Err(format!("{inside}: expected nothing, found {found}")),
                    (_, None) => return Err(format!("{inside}: expected {expected}, found nothing")),
                    (_, Some(found)) => compare(expected, found, &inside)?,
                }
            }
            if found.is_object() { Ok(()) } else { wrong() }
        }
        (Value::Array(items), Value::Array(others)) => {
            if items.len() != others.len() {
                return Err(format!("{place}: expected {} items, found {}", items.len(), others.len()));
            }
            items
                .iter()
                .zip(others)
                .enumerate()
                .try_for_each(|(at, (one, two))| compare(one, two, &format!("{place}[{at}]")))
        }
        (Value::String(form), found) if form.starts_with('~') => {
            let text = found.as_str().unwrap_or_default();
            let fits = match form.as_str() {
                "~any" => !found.is_null(),
                "~uuid" => uuid::Uuid::parse_str(text).is_ok(),
                "~time" => {
                    text.len() == 24 && text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
                }
                "~id20" => text.len() == 20 && text.chars().all(|letter| letter.is_ascii_alphanumeric()),
                other => other.strip_prefix("~has ").is_some_and(|part| found.to_string().contains(part)),
            };
            if fits { Ok(()) } else { wrong() }
        }
        (expected, found) if expected == found => Ok(()),
        _ => wrong(),
    }
}

/// A listener for webhooks.
async fn listen(inbox: Arc<Inbox>) -> SocketAddr {
    let take = move |headers: axum::http::HeaderMap, body: axum::body::Bytes| {
        let inbox = Arc::clone(&inbox);
        async move {
            let named =
                headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or_default())));
            inbox.arrived.lock().push((Value::Object(named.collect()), body.to_vec()));
            inbox.bell.notify_one();
            let mut answers = inbox.answers.lock();
            let status = if answers.is_empty() { 200 } else { answers.remove(0) };
            axum::http::StatusCode::from_u16(status).expect("a case gives real statuses")
        }
    };
    let router = axum::Router::new().route("/hooks", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
