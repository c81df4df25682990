//! What the vendor documents as its webhooks, and what nobody should send, at the door of the real program.
//!
//! `tests/cases/webhooks/` holds the documented example of every event. The envelope (`webhookId`, `timestamp`) is added
//! here, since it is new with each delivery.

mod spellings;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dovetail::run::Ending;
use dovetail::store::{Counts, Status};
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Stage};

/// The events, in an order in which they could happen, and the workflow that listens.
const EVENTS: [(&str, &str); 11] = [
    ("ContactCreate", "contact-to-opinion-stage"),
    ("ContactUpdate", "contact-to-opinion-stage"),
    ("ContactTagUpdate", "contact-to-opinion-stage"),
    ("ContactDndUpdate", "contact-to-opinion-stage"),
    ("NoteCreate", "note-to-opinion-stage"),
    ("NoteUpdate", "note-to-opinion-stage"),
    ("NoteDelete", "note-gone"),
    ("TaskCreate", "task-to-opinion-stage"),
    ("TaskComplete", "task-to-opinion-stage"),
    ("TaskDelete", "task-gone"),
    ("ContactDelete", "contact-deleted"),
];

fn example(name: &str) -> Value {
    serde_json::from_str(&stage::repository(&format!("tests/cases/webhooks/{name}.json"))).expect("an example is JSON")
}

/// What the vendor keeps of an example.
fn record(name: &str) -> Value {
    let mut record = example(name);
    let fields = record.as_object_mut().expect("a map");
    fields.retain(|field, _| !matches!(field.as_str(), "type" | "locationId" | "attachments"));
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_event_starts_the_workflow_that_listens_once() {
    let mut stage = Stage::set().await;
    let contacts = json!([
        { "id": "CWBf1PR9LvvBkcYqiXlc", "email": "notes@example.com" },
        { "id": "WFwVrSSjZ2CNHbZThQX2", "email": "tasks@example.com" }
    ]);
    stage.make(GHL, "contact", contacts).await;
    stage.make(GHL, "contact", record("ContactCreate")).await;
    stage.make(GHL, "note", record("NoteCreate")).await;
    stage.make(GHL, "task", record("TaskCreate")).await;
    stage.make(GHL, "task", record("TaskComplete")).await;
    // No shipped recipe hears these.
    for object in ["note", "task"] {
        let trigger = format!("trigger: {{ event: ghl.{object}.deleted }}");
        let text = format!(
            "workflow: {object}-gone\nuses: {{ ghl: gohighlevel }}\n{trigger}\nactions: [{{ stop: $.{object}.id }}]\n"
        );
        stage.write(&format!("workflows/{object}-gone.yaml"), &text);
        stage.edit("dovetail.yaml", "active:\n", &format!("active:\n  - {object}-gone\n"));
    }
    let _serve = stage.serve().await;
    for (name, workflow) in EVENTS {
        let before = stage.runs().await.len();
        if name.starts_with("Contact") && !["ContactCreate", "ContactDelete"].contains(&name) {
            let id = example(name)["id"].as_str().expect("an id").to_owned();
            stage.change(GHL, "contact", &id, json!({ "source": name })).await;
        }
        let body = stage.event(name, &example(name));
        assert_eq!(stage.post(&body).await, (200, json!({ "status": "accepted" })), "{name}");
        assert_eq!(stage.post(&body).await, (200, json!({ "status": "duplicate" })), "{name}, again");
        let runs = stage.over().await;
        let started: Vec<&str> = runs[before..].iter().map(|run| run.start.workflow.as_str()).collect();
        assert_eq!(started, [workflow], "{name}");
        for run in &runs[before..] {
            assert_eq!(run.start.event.id, body["webhookId"], "{name}");
            // The example of `NoteUpdate` tells of the very note that `NoteCreate` told of.
            let news = name != "NoteUpdate";
            assert_eq!(matches!(run.ending, Some(Ending::Completed { .. })), news, "{name}: {:?}", run.ending);
        }
    }
    let people = stage.vendors[PEOPLE].records("contact");
    let emails: Vec<&str> = people.iter().filter_map(|person| person["email"].as_str()).collect();
    assert_eq!(emails, ["JohnDeo@gmail.comm", "notes@example.com", "tasks@example.com"]);
    assert_eq!(people[0]["status"], "archived");
    assert_eq!(people[0]["phone"], "+919509597501");
    assert_eq!(stage.vendors[PEOPLE].records("note").len(), 1);
    assert_eq!(stage.vendors[PEOPLE].records("task").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_copies_of_each_delivery_at_once_start_one_run() {
    let (deliveries, copies) = if stage::is_long() { (1_000, 100) } else { (30, 100) };
    let mut stage = Stage::set().await;
    let text = "workflow: task-gone\nuses: { ghl: gohighlevel }\ntrigger: { event: ghl.task.deleted }\nactions: [{ stop: $.task.id }]\n";
    stage.write("workflows/task-gone.yaml", text);
    stage.activate(&["task-gone"]);
    let _serve = stage.serve().await;
    let letters: Vec<_> = (0..deliveries)
        .map(|number| {
            stage.letter(&stage.event("TaskDelete", &json!({ "id": format!("task{number}"), "contactId": "c" })))
        })
        .collect();
    let post = async |(body, signature): &(Vec<u8>, String)| {
        let headers = [("content-type", "application/json"), ("x-ghl-signature", signature)];
        stage.post_raw(body.clone(), &headers).await
    };
    let all = letters.iter().flat_map(|letter| std::iter::repeat_n(letter, copies)).map(post);
    let said: Vec<_> = futures_util::stream::iter(all).buffer_unordered(100).collect().await;
    let count = |word: &str| said.iter().filter(|said| **said == (200, json!({ "status": word }))).count();
    assert_eq!((count("accepted"), count("duplicate")), (deliveries, deliveries * (copies - 1)));
    let runs = stage.over().await;
    let events: std::collections::HashSet<&str> = runs.iter().map(|run| run.start.event.id.as_str()).collect();
    assert_eq!((runs.len(), events.len()), (deliveries, deliveries));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_vendor_is_refused_and_leaves_no_trace() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    let body = stage.event("ContactCreate", &example("ContactCreate")).to_string().into_bytes();
    let good = stage.signature(&body);
    let stranger = STANDARD.encode(SigningKey::from_bytes(&[8; 32]).sign(&body).to_bytes());
    let of_other = stage.signature(b"{}");
    let signatures =
        ["", " ", "N/A", "n/a", &good[..good.len() - 4], &good[..20], "AAAA", "no base64!", &stranger, &of_other];
    for signature in signatures {
        let headers = [("content-type", "application/json"), ("x-ghl-signature", signature)];
        assert_eq!(stage.post_raw(body.clone(), &headers).await.0, 401, "signature `{signature}`");
    }
    let json = ("content-type", "application/json");
    assert_eq!(stage.post_raw(body.clone(), &[json]).await.0, 401, "no signature");
    assert_eq!(stage.post_raw(body.clone(), &[json, ("x-wh-signature", &good)]).await.0, 401, "under the ended header");
    let twice = [json, ("x-ghl-signature", stranger.as_str()), ("x-ghl-signature", good.as_str())];
    assert_eq!(stage.post_raw(body.clone(), &twice).await.0, 401, "two headers");
    let mut changed = body.clone();
    changed.push(b' ');
    assert_eq!(stage.post_raw(changed, &[json, ("x-ghl-signature", &good)]).await.0, 401, "a changed body");
    // A wrong form says so only to those who can sign.
    assert_eq!(stage.post_raw(b"{".to_vec(), &[json]).await.0, 401, "malformed and not signed");
    assert_eq!(stage.post_raw(body.clone(), &[("content-type", "text/xml")]).await.0, 401, "XML and not signed");
    assert_eq!(stage.counts().await, Counts::default());
    assert_eq!(stage.post_raw(body, &[json, ("x-ghl-signature", &good)]).await.0, 200, "and the good one is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_taken_within_two_hours_of_its_time_only() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    let at = |minutes: i64| (chrono::Utc::now() + chrono::Duration::minutes(minutes)).to_rfc3339();
    for (time, status) in [
        (json!(at(-121)), 401),
        (json!(at(121)), 401),
        (json!("yesterday"), 401),
        (Value::Null, 401),
        (json!(at(-119)), 200),
        (json!(at(4)), 200),
    ] {
        let mut body = stage.event("ContactCreate", &example("ContactCreate"));
        body["timestamp"] = time.clone();
        assert_eq!(stage.post(&body).await.0, status, "{time}");
    }
    let mut body = stage.event("ContactCreate", &example("ContactCreate"));
    body.as_object_mut().expect("a map").remove("webhookId");
    assert_eq!(stage.post(&body).await.0, 401, "without an id, nothing keeps it from counting twice");
    assert_eq!(stage.counts().await.events, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_a_wrong_form_are_refused_each_with_its_status() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    let good = stage.event("ContactCreate", &example("ContactCreate")).to_string();
    let again = good.replacen('{', "{\"type\":\"ContactCreate\",", 1);
    let deep = |levels: usize| good.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(levels), "]".repeat(levels)), 1);
    let many = good.replacen('{', &format!("{{\"x\":[0{}],", ",0".repeat(100_000)), 1);
    for (what, body, status) in [
        ("malformed", &good.as_bytes()[..good.len() - 1], 400),
        ("no map, so without an id and a time", b"[]", 401),
        ("empty", b"", 400),
        ("two documents", format!("{good}{good}").as_bytes(), 400),
        ("duplicate key", again.as_bytes(), 400),
        ("65 levels", deep(64).as_bytes(), 400),
        ("too many values", many.as_bytes(), 400),
        ("no UTF-8", &[&good.as_bytes()[..good.len() - 1], b",\"x\":\"\xff\"}"].concat(), 400),
        ("64 levels", deep(63).as_bytes(), 200),
    ] {
        let signature = stage.signature(body);
        let headers = [("content-type", "application/json"), ("x-ghl-signature", signature.as_str())];
        let (answered, said) = stage.post_raw(body.to_vec(), &headers).await;
        assert_eq!(answered, status, "{what}");
        assert!(said.to_string().len() < 60, "{what}: the answer is small and fixed: {said}");
    }
    let signature = stage.signature(good.as_bytes());
    for kind in
        ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
    {
        let headers = [("content-type", kind), ("x-ghl-signature", signature.as_str())];
        assert_eq!(stage.post_raw(good.clone().into_bytes(), &headers).await.0, 415, "{kind}");
    }
    assert_eq!(stage.post_raw(good.into_bytes(), &[("x-ghl-signature", &signature)]).await.0, 415, "no type");
    assert_eq!(stage.counts().await.events, 1, "the one of 64 levels");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_others_are_acknowledged_and_dropped() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    let mut body = stage.event("ContactCreate", &example("ContactCreate"));
    body["locationId"] = json!("an0therL0cat10n");
    assert_eq!(stage.post(&body).await.0, 200, "an account that we do not know");
    let body = stage.event("InvoiceCreate", &json!({ "_id": "1" }));
    assert_eq!(stage.post(&body).await.0, 200, "an event that the connector does not declare");
    assert_eq!(stage.counts().await, Counts::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_big_or_elsewhere_is_refused_before_anything_is_read() {
    let mut stage = Stage::set().await;
    let serve = stage.serve().await;
    let line = "POST /hooks/gohighlevel HTTP/1.1\r\nhost: x\r\n";
    let big = format!("{line}content-length: {}\r\n\r\n", 1024 * 1024 + 1);
    assert_eq!(raw(serve.port, big.as_bytes()), "413", "one byte more than a mebibyte, as announced");
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    let chunked = format!("{line}transfer-encoding: chunked\r\n\r\n{}", chunk.repeat(17));
    assert_eq!(raw(serve.port, chunked.as_bytes()), "413", "more than that, not announced");
    let headers = format!("{line}x-long: {}\r\n\r\n", "x".repeat(17 * 1024));
    assert_eq!(raw(serve.port, headers.as_bytes()), "431", "headers of 17 KiB");
    let headers = format!("{line}{}\r\n", "x-many: 12345678\r\n".repeat(1000));
    assert_eq!(raw(serve.port, headers.as_bytes()), "431", "a thousand headers");
    for (request, status) in [
        ("GET /hooks/gohighlevel", "405"),
        ("PUT /hooks/gohighlevel", "405"),
        ("POST /hooks/nobody", "404"),
        ("POST /hooks/opinion-stage", "404"),
        ("POST /hooks/gohighlevel/more", "404"),
        ("POST /hooks/..%2f..%2fetc%2fpasswd", "404"),
        ("POST /hooks/", "404"),
        ("GET /", "404"),
        ("GET /admin", "404"),
    ] {
        let request = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(raw(serve.port, request.as_bytes()), status, "{request}");
    }
    assert_eq!(stage.counts().await, Counts::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_hangs_up_early_loses_nothing_that_was_stored() {
    let mut stage = Stage::set().await;
    let contact = stage.make(GHL, "contact", record("ContactCreate")).await;
    let serve = stage.serve().await;
    let mut sent = 0;
    // Where nothing was read before the sender was gone, nothing is stored, and that is right: until one was.
    while sent < 50 || stage.counts().await.events == 0 {
        assert!(sent < 5_000, "no delivery came as far as the store");
        sent += 1;
        let body = stage.event("ContactUpdate", &contact).to_string();
        let signature = stage.signature(body.as_bytes());
        let head = format!(
            "POST /hooks/{GHL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-ghl-signature: {signature}\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", serve.port)).expect("a connection");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("it is sent");
        drop(stream);
    }
    stage.tell("ContactUpdate", &contact).await;
    // What was stored although nobody waited for the answer runs as well, now and not after a restart.
    let runs = stage::until("every stored event has a run that is over", async || {
        let (counts, runs) = (stage.counts().await, stage.runs().await);
        let over = runs.iter().all(|run| run.status != Status::Pending);
        (counts.events == runs.len() as u64 && counts.events > 1 && over).then_some(runs)
    });
    // All tell of the same state: one has something to do.
    let runs = runs.await;
    assert_eq!(runs.iter().filter(|run| run.status == Status::Completed).count(), 1);
    assert!(runs.iter().all(|run| matches!(run.status, Status::Completed | Status::Skipped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_coming_is_refused_after_ten_seconds() {
    let mut stage = Stage::set().await;
    let serve = stage.serve().await;
    let head = "POST /hooks/gohighlevel HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let mut stream = TcpStream::connect(("127.0.0.1", serve.port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
    let begun = Instant::now();
    stream.write_all(head.as_bytes()).expect("it is sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer[9..], b"408");
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(stage.counts().await, Counts::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_has_no_room_for_is_refused_for_a_while_and_nothing_accepted_is_lost() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    // Somebody else holds the database, so that nothing can be made durable; few events fill what may wait.
    let holder = rusqlite::Connection::open(stage.data().join("dovetail.sqlite3")).expect("the store");
    holder.execute_batch("BEGIN IMMEDIATE").expect("it is held");
    let long = json!({ "id": "task", "title": "x".repeat(900_000) });
    let letters: Vec<_> = (0..170).map(|_| stage.letter(&stage.event("TaskDelete", &long))).collect();
    let post = async |(body, signature): &(Vec<u8>, String)| {
        let request = stage.client.post(stage.url()).header("content-type", "application/json");
        let answer = request.header("x-ghl-signature", signature).body(body.clone()).send().await.expect("an answer");
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
        (answer.status().as_u16(), wait)
    };
    let refused = tokio::sync::Notify::new();
    let posts = letters.iter().map(async |letter| {
        let said = post(letter).await;
        // A body that is too slow says nothing of the store.
        if said.0 == 429 {
            refused.notify_one();
        }
        said
    });
    let release = async {
        refused.notified().await;
        holder.execute_batch("ROLLBACK").expect("it is let go");
    };
    let (said, ()) = tokio::join!(futures_util::future::join_all(posts), release);
    let taken = said.iter().filter(|(status, _)| *status == 200).count();
    // The status that this source tries again; it documents one.
    let others: Vec<_> = said.iter().filter(|(status, _)| *status != 200).collect();
    // On a slow machine a body may take too long to come.
    assert!(others.iter().all(|said| **said == (429, Some(30)) || **said == (408, None)), "{others:?}");
    let busy = others.iter().filter(|said| said.0 == 429).count();
    assert!(taken > 0 && busy > 0, "{taken} and {busy} of {}", said.len());
    assert_eq!(stage.counts().await.events, taken as u64);
    // What was refused is taken later, what was taken is known. Not all at once: that could be too much again.
    let again = letters.iter().zip(&said).filter(|(_, said)| said.0 != 200).map(|(letter, _)| post(letter));
    let again: Vec<_> = futures_util::stream::iter(again).buffer_unordered(4).collect().await;
    assert!(again.iter().all(|said| said.0 == 200), "{again:?}");
    let known = said.iter().position(|said| said.0 == 200).expect("one was taken");
    assert_eq!(post(&letters[known]).await.0, 200);
    let counts = stage.counts().await;
    assert_eq!((counts.events, counts.duplicates), (170, 1));
}

/// The status of the answer to these bytes.
fn raw(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(8))).expect("a limit");
    // Who is refused early need not be able to send the rest.
    let _ = stream.write_all(request);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

/// The URL under which a source without signature is reached, as `serve` tells it.
fn secret_url(said: &str, path: &str) -> String {
    let line = said.lines().find(|line| line.contains(path)).expect("serve tells the URL");
    line.split_whitespace().find(|word| word.starts_with("http")).expect("a URL").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_signature_the_url_is_the_secret() {
    let mut stage = Stage::set().await;
    let connector = "connector: plain\nversion: 1.0.0\nbase_url: https://plain.example.com\n\
                     connection: { account: { type: string } }\n\
                     auth: { token: { bearer: $.secrets.token } }\n\
                     objects: { order: { id: id, changes: { webhook: [order] } } }\n\
                     webhooks:\n  verify: none\n  replay: { id: $.delivery }\n  \
                     connection: { account: $.account }\n  name: $.type\n  \
                     events: { order: { object: order, change: created, whole: true } }\n";
    stage.write("connectors/plain.yaml", connector);
    let connection = "  plain: { connector: plain, account: a-1, token: $.secrets.ghl_token }\n";
    stage.edit("dovetail.yaml", "connections:\n", &format!("connections:\n{connection}"));
    stage.edit("dovetail.yaml", "active:\n", "active:\n  - of-a-connector\n  - of-its-own\n");
    let of_a_connector = "workflow: of-a-connector\nuses: { shop: plain }\n\
                          trigger: { event: shop.order.created }\nactions: [{ stop: done }]\n";
    stage.write("workflows/of-a-connector.yaml", of_a_connector);
    let of_its_own = "workflow: of-its-own\ntrigger: { webhook: /order, verify: none, replay: { id: $.id } }\n\
                      actions: [{ stop: done }]\n";
    stage.write("workflows/of-its-own.yaml", of_its_own);
    let serve = stage.serve().await;
    let said = serve.said();
    let client = reqwest::Client::new();
    let post = async |url: String, body: Value| {
        let answer = client.post(url).json(&body).send().await.expect("it answers");
        answer.status().as_u16()
    };
    let (order, plain) = (secret_url(&said, "/hooks/order/"), secret_url(&said, "/hooks/plain/"));
    let delivery = json!({ "type": "order", "delivery": "d-1", "account": "a-1", "id": "o-1" });
    for _ in 0..2 {
        assert_eq!(post(plain.clone(), delivery.clone()).await, 200);
        assert_eq!(post(order.clone(), json!({ "id": "o-1" })).await, 200);
    }
    for url in [format!("{plain}0"), format!("{order}0"), plain.rsplit_once('/').expect("a path").0.to_string()] {
        assert_eq!(post(url, delivery.clone()).await, 404, "a URL that is not the secret one does not exist");
    }
    assert_eq!(post(order, json!({})).await, 400, "a delivery without its id");
    let mut runs: Vec<String> = stage.over().await.into_iter().map(|run| run.start.workflow).collect();
    runs.sort();
    assert_eq!(runs, ["of-a-connector", "of-its-own"], "once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_could_be_for_two_tenants_is_for_none() {
    let mut stage = Stage::set().await;
    let connector = "connector: plain\nversion: 1.0.0\nbase_url: https://plain.example.com\n\
                     connection: { account: { type: string } }\n\
                     auth: { token: { bearer: $.secrets.token } }\n\
                     objects: { order: { id: id, changes: { webhook: [order] } } }\n\
                     webhooks:\n  verify: [{ header: X-Token, token: $.secrets.hook }]\n  \
                     replay: { id: $.delivery }\n  connection: { account: $.account }\n  name: $.type\n  \
                     events: { order: { object: order, change: created, whole: true } }\n";
    stage.write("connectors/plain.yaml", connector);
    let account = |name: &str, account: &str| {
        let secrets = "token: $.secrets.ghl_token, hook: $.secrets.ghl_token";
        format!(
            "  {name}: {{ connections: {{ {name}-shop: {{ connector: plain, account: {account}, {secrets} }} }} }}\n"
        )
    };
    let tenants = [account("one", "shared"), account("two", "shared"), account("three", "own")].concat();
    let project = format!("project: shops\ntenants:\n{tenants}active: [orders]\n");
    stage.write("dovetail.yaml", &project);
    let workflow = "workflow: orders\nuses: { shop: plain }\ntrigger: { event: shop.order.created }\n\
                    actions: [{ stop: done }]\n";
    stage.write("workflows/orders.yaml", workflow);
    let _serve = stage.serve().await;
    let url = stage.url().replace(&format!("/hooks/{GHL}"), "/hooks/plain");
    let token = "pit-sandbox-location";
    let client = reqwest::Client::new();
    let post = async |account: &str| {
        let body = json!({ "type": "order", "delivery": account, "account": account, "id": "o-1" });
        let answer = client.post(&url).header("x-token", token).json(&body).send().await.expect("it answers");
        answer.status().as_u16()
    };
    assert_eq!(post("shared").await, 503, "the source keeps it and sends it again");
    assert_eq!(post("own").await, 200);
    let runs = stage.over().await;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].start.tenant.as_deref(), Some("three"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_webhook_and_a_poll_both_notice_is_done_once() {
    let mut stage = Stage::set().await;
    let workflow = "workflow: welcome\nuses: { ghl: gohighlevel }\ntrigger: { event: ghl.contact.created }\n\
                    actions: [{ call: ghl.note.create, with: { contactId: $.contact.id, body: Welcome } }]\n";
    stage.write("workflows/welcome.yaml", workflow);
    let project = std::fs::read_to_string(stage.project().join("dovetail.yaml")).expect("the project");
    let active = project.find("active:").expect("a list of what runs");
    stage.write("dovetail.yaml", &format!("{}active: [welcome]\n", &project[..active]));
    let over = "  contact: { operations:";
    stage.edit(
        "connectors/gohighlevel.override.yaml",
        over,
        "  contact: { changes: { poll: { every: 1s } }, operations:",
    );
    let _serve = stage.serve().await;
    let passes = async |stage: &Stage, more: usize| {
        let before = stage.requests(GHL, "contact.list").await.len();
        let what = format!("the list was read {more} times more");
        stage::until(&what, async || (stage.requests(GHL, "contact.list").await.len() >= before + more).then_some(()))
            .await;
        stage.over().await
    };
    passes(&stage, 2).await;
    // First by webhook, then the poll finds it.
    let ada = stage.make(GHL, "contact", json!({ "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    stage::until("the poll finds it, too", async || (stage.runs().await.len() == 2).then_some(())).await;
    // First by poll, then the webhook comes late.
    let bob = stage.make(GHL, "contact", json!({ "email": "bob@example.com" })).await;
    stage::until("the poll finds the other", async || (stage.runs().await.len() == 3).then_some(())).await;
    stage.tell("ContactCreate", &bob).await;
    let runs = passes(&stage, 2).await;
    let done = runs.iter().filter(|run| run.status == Status::Completed).count();
    assert_eq!((runs.len(), done), (4, 2), "{runs:#?}");
    assert_eq!(stage.vendors[GHL].records("note").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_lets_others_of_its_key_go_first_and_survives_a_restart() {
    let mut stage = Stage::set().await;
    let workflow = "workflow: later\nuses: { ghl: gohighlevel }\ntrigger: { event: ghl.contact.changed }\nactions:\n\
                    - if: { $.event.type: created }\n  then: [{ wait: { for: 3s } }]\n\
                    - call: ghl.note.create\n  with: { contactId: $.contact.id, body: $.event.type }\n";
    stage.write("workflows/later.yaml", workflow);
    let project = std::fs::read_to_string(stage.project().join("dovetail.yaml")).expect("the project");
    let active = project.find("active:").expect("a list of what runs");
    stage.write("dovetail.yaml", &format!("{}active: [later]\n", &project[..active]));
    let serve = stage.serve().await;
    let notes = |stage: &Stage| -> Vec<Value> {
        stage.vendors[GHL].records("note").iter().map(|note| note["body"].clone()).collect()
    };
    let ada = stage.make(GHL, "contact", json!({ "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    stage::until("it waits", async || stage.runs().await.iter().any(|run| run.due_ms > 0).then_some(())).await;
    let ada = stage.change(GHL, "contact", ada["id"].as_str().expect("an id"), json!({ "source": "a fair" })).await;
    stage.tell("ContactUpdate", &ada).await;
    stage::until("the later one is done first", async || (notes(&stage) == ["updated"]).then_some(())).await;
    serve.kill();
    let _serve = stage.serve().await;
    let runs = stage.over().await;
    // The poll notices both changes as well, and has nothing to tell.
    assert!(runs.iter().all(|run| matches!(run.status, Status::Completed | Status::Skipped)), "{runs:#?}");
    assert_eq!(notes(&stage), ["updated", "created"]);
}
