//! Traces of runs, as a collector gets them: each test is one, and reads them with the protocol's own messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::stage::{self, GHL, PEOPLE, Stage};

/// A collector, and all that it was sent.
#[derive(Clone, Default)]
struct Collector {
    letters: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
}

impl Collector {
    /// Gives also its address.
    async fn start() -> (Collector, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let collector = Collector::default();
        let kept = collector.clone();
        let take = move |uri: Uri, headers: HeaderMap, body: Bytes| async move {
            kept.letters.lock().push((uri.path().to_owned(), headers, body));
            StatusCode::OK
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
        (collector, url)
    }

    fn messages(&self) -> Vec<ExportTraceServiceRequest> {
        let letters = self.letters.lock();
        let read = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).expect("the protocol's message");
        letters.iter().map(|(_, _, body)| read(body)).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.messages().into_iter().flat_map(|message| message.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The spans of a run, once it was told how it ended.
    async fn trace(&self, run: &str) -> Vec<Span> {
        let id = Uuid::parse_str(run).expect("a run's id");
        stage::until("the run is traced", async || {
            let spans: Vec<Span> = self.spans().into_iter().filter(|span| span.trace_id == id.as_bytes()).collect();
            (!spans.is_empty()).then_some(spans)
        })
        .await
    }

    /// Everything that it was sent, as one text.
    fn text(&self) -> String {
        let letters = self.letters.lock();
        let told =
            letters.iter().map(|(path, headers, body)| format!("{path} {headers:?} {}", String::from_utf8_lossy(body)));
        told.collect()
    }
}

fn words(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let word = |attribute: &KeyValue| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        let value = match value.expect("a value") {
            any_value::Value::StringValue(text) => text.clone(),
            any_value::Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        (attribute.key.clone(), value)
    };
    attributes.iter().map(word).collect()
}

/// A trace as a person would draw it: each span below the one that it is in.
fn drawn(spans: &[Span]) -> String {
    fn below(spans: &[Span], parent: &[u8], depth: usize, text: &mut String) {
        for span in spans.iter().filter(|span| span.parent_span_id == parent) {
            let words = words(&span.attributes);
            let told = [
                "http.response.status_code",
                "http.request.resend_count",
                "error.type",
                "dovetail.outcome",
                "dovetail.status",
            ];
            let told: Vec<&str> = told.into_iter().filter_map(|name| words.get(name).map(String::as_str)).collect();
            let verdict = match span.status.as_ref().map_or(0, |status| status.code) {
                0 => "",
                1 => " ok",
                _ => " !",
            };
            let line = [&[span.name.as_str()], told.as_slice()].concat().join(" ");
            text.push_str(&format!("{}{line}{verdict}\n", "  ".repeat(depth)));
            below(spans, &span.span_id, depth + 1, text);
        }
    }
    let mut text = String::new();
    let is_outside = |parent: &[u8]| spans.iter().all(|span| span.span_id != parent);
    let outside: BTreeSet<&[u8]> =
        spans.iter().map(|span| span.parent_span_id.as_slice()).filter(|parent| is_outside(parent)).collect();
    outside.into_iter().for_each(|parent| below(spans, parent, 0, &mut text));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_one_trace_without_data_of_records() {
    let (collector, url) = Collector::start().await;
    let mut stage = Stage::set().await;
    stage.variables = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=a%20key".into()),
        ("OTEL_SERVICE_NAME", "our-shop".into()),
    ];
    stage.activate(&["contact-to-opinion-stage"]);
    let serve = stage.serve().await;
    stage.list_is_read().await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 503, "times": 1 })).await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    stage.over().await;
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.tell("ContactCreate", &bob).await;
    let runs = stage.over().await;
    let run = |record: &serde_json::Value| {
        let id = record["id"].as_str();
        runs.iter().find(|run| run.start.event.record_id.as_deref() == id).expect("its run").start.id.clone()
    };
    let (ada_run, bob_run) = (run(&ada), run(&bob));
    let (good, bad) = (collector.trace(&ada_run).await, collector.trace(&bob_run).await);
    let drawn_good = "\
contact-to-opinion-stage completed ok
  event
    GET contact.get
  upsert os.contact created
    GET contact.find
    POST contact.create 503 transient !
    pause
    POST contact.create 1
";
    let drawn_bad = "\
contact-to-opinion-stage invalid failed !
  event
    GET contact.get
  upsert os.contact invalid !
    GET contact.find
    POST contact.create 422 invalid !
";
    assert_eq!(drawn(&good), drawn_good);
    assert_eq!(drawn(&bad), drawn_bad);
    let request = good.iter().find(|span| span.name == "POST contact.create").expect("a request");
    let of_vendor = stage.address(PEOPLE);
    let (host, port) = of_vendor.split_once(':').expect("an address");
    let wanted = [
        ("dovetail.run", ada_run.as_str()),
        ("dovetail.workflow", "contact-to-opinion-stage"),
        ("dovetail.action", "person"),
        ("dovetail.connection", "example-people"),
        ("dovetail.operation", "contact.create"),
        ("error.type", "transient"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "503"),
        ("server.address", host),
        ("server.port", port),
    ];
    let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(words(&request.attributes), BTreeMap::from(wanted));
    let ids: BTreeSet<&Vec<u8>> = good.iter().chain(&bad).map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), good.len() + bad.len(), "no id is used twice");
    let ordered = |span: &Span| span.start_time_unix_nano <= span.end_time_unix_nano;
    assert!(good.iter().chain(&bad).all(ordered));

    // After another start a person has the dead letter tried again: the same trace goes on.
    let (status, said) = serve.term().await;
    assert!(status.success(), "{said}");
    let serve = stage.serve().await;
    let retry = stage::command()
        .args(["dead", "retry", "--all", "--yes", "--data"])
        .arg(stage.data())
        .output()
        .expect("it runs");
    assert!(retry.status.success(), "{}", String::from_utf8_lossy(&retry.stderr));
    stage.over().await;
    // What has ended is told before the program ends.
    let (status, said) = serve.term().await;
    assert!(status.success(), "{said}");
    let later: Vec<Span> = collector.trace(&bob_run).await.split_off(bad.len());
    let [root, ..] = later.as_slice() else { panic!("nothing more of the run") };
    assert_eq!(root.parent_span_id, bad[0].span_id);
    assert_eq!(words(&root.attributes)["dovetail.status"], "completed");

    let letters = collector.letters.lock().clone();
    for (path, headers, _) in &letters {
        assert_eq!(path, "/v1/traces");
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(headers["x-collector-key"], "a key");
    }
    let resource = collector.messages()[0].resource_spans[0].resource.clone().expect("a resource");
    assert_eq!(words(&resource.attributes)["service.name"], "our-shop");
    let text = collector.text();
    assert!(text.contains("upsert os.contact"), "{text}");
    let ada_id = ada["id"].as_str().expect("an id");
    for secret in ["ada@", "bob@", "example.com", "Ada", "Bob", ada_id, "pit-sandbox-location", "token-sandbox"] {
        assert!(!text.contains(secret), "`{secret}` is told");
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Tells of a contact, as a sender that stands in a trace; gives the contact's run.
async fn told_with(stage: &Stage, name: &str, traceparent: &str) -> dovetail::run::Start {
    let person = stage.make(GHL, "contact", json!({ "firstName": name, "email": format!("{name}@example.com") })).await;
    let (body, signature) = stage.letter(&stage.event("ContactCreate", &person));
    let headers =
        [("content-type", "application/json"), ("x-ghl-signature", &*signature), ("traceparent", traceparent)];
    assert_eq!(stage.post_raw(body, &headers).await.0, 200);
    let id = person["id"].as_str();
    let mut runs = stage.over().await.into_iter().map(|run| run.start);
    runs.find(|start| start.event.record_id.as_deref() == id).expect("its run")
}

/// What the requests of a vendor said of a trace.
async fn carried(stage: &Stage, vendor: &str) -> Vec<Option<String>> {
    let said = stage.control("GET", vendor, "/requests", serde_json::Value::Null).await;
    let requests = said["requests"].as_array().expect("a list");
    requests.iter().map(|request| request["headers"]["traceparent"].as_str().map(str::to_owned)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_in_the_trace_of_who_told_of_it_and_only_vendors_that_are_named_are_told() {
    let (collector, url) = Collector::start().await;
    let mut stage = Stage::set().await;
    stage.flags = vec!["--traces".into(), url];
    stage.activate(&["contact-to-opinion-stage"]);
    stage.edit("dovetail.yaml", "    account: example\n", "    account: example\n    traced: true\n");
    let limits = format!("connector: {PEOPLE}\nlimits: [{{ requests: 1, per: 1s }}]\n");
    stage.write("connectors/opinion-stage-contacts.override.yaml", &limits);
    let _serve = stage.serve().await;
    stage.list_is_read().await;
    let ada = told_with(&stage, "Ada", &format!("00-{TRACE}-{SPAN}-00")).await;
    let spans = stage::until("the run is traced", async || {
        let spans: Vec<Span> = collector.spans().into_iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
        (!spans.is_empty()).then_some(spans)
    })
    .await;
    let wanted = "\
contact-to-opinion-stage completed ok
  event
    GET contact.get
  upsert os.contact created
    GET contact.find
    held back
    POST contact.create
";
    assert_eq!(drawn(&spans), wanted);
    assert_eq!((hex(&spans[0].parent_span_id).as_str(), &words(&spans[0].attributes)["dovetail.run"]), (SPAN, &ada.id));
    let held = spans.iter().find(|span| span.name == "held back").expect("it waited for the limit");
    let waited = held.end_time_unix_nano - held.start_time_unix_nano;
    assert!((100_000_000..5_000_000_000).contains(&waited), "{waited} ns");
    let of = |name: &str| {
        let span = spans.iter().find(|span| span.name == name).expect("a request");
        Some(format!("00-{TRACE}-{}-01", hex(&span.span_id)))
    };
    assert_eq!(carried(&stage, PEOPLE).await, [of("GET contact.find"), of("POST contact.create")]);
    assert!(carried(&stage, GHL).await.iter().all(Option::is_none), "nobody else is told");

    // What is not valid counts as absent: the trace is the run's own.
    let bob = told_with(&stage, "Bob", &format!("00-{}-{SPAN}-01", "0".repeat(32))).await;
    let spans = collector.trace(&bob.id).await;
    assert!(spans[0].parent_span_id.is_empty());
    let told = carried(&stage, PEOPLE).await;
    assert!(told[2..].iter().flatten().all(|told| told[3..35] == bob.id.replace('-', "")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_of_an_event_may_say_whether_its_trace_is_told() {
    let (collector, url) = Collector::start().await;
    let mut stage = Stage::set().await;
    stage.variables =
        vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_TRACES_SAMPLER", "parentbased_always_on".into())];
    stage.activate(&["contact-to-opinion-stage"]);
    let serve = stage.serve().await;
    stage.list_is_read().await;
    let unsampled = TRACE.replace("4bf9", "4bfa");
    told_with(&stage, "Ada", &format!("00-{unsampled}-{SPAN}-00")).await;
    told_with(&stage, "Bob", &format!("00-{TRACE}-{SPAN}-01")).await;
    let (status, said) = serve.term().await;
    assert!(status.success(), "{said}");
    let traces: BTreeSet<String> = collector.spans().iter().map(|span| hex(&span.trace_id)).collect();
    assert_eq!(traces, BTreeSet::from([TRACE.to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_collects_traces_what_the_sender_said_is_passed_on() {
    let mut stage = Stage::set().await;
    stage.activate(&["contact-to-opinion-stage"]);
    stage.edit("dovetail.yaml", "    account: example\n", "    account: example\n    traced: true\n");
    let _serve = stage.serve().await;
    stage.list_is_read().await;
    let caller = format!("00-{TRACE}-{SPAN}-00");
    told_with(&stage, "Ada", &caller).await;
    assert_eq!(carried(&stage, PEOPLE).await, [Some(caller.clone()), Some(caller)]);
    told_with(&stage, "Bob", "").await;
    assert!(carried(&stage, PEOPLE).await[2..].iter().all(Option::is_none));
}

/// One run, then the end of the program; gives what it said, and how long the end took.
async fn one_run(variables: &[(&'static str, String)], flags: &[String]) -> (String, Duration) {
    let mut stage = Stage::set().await;
    (stage.variables, stage.flags) = (variables.to_vec(), flags.to_vec());
    stage.activate(&["contact-to-opinion-stage"]);
    let serve = stage.serve().await;
    stage.list_is_read().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    let runs = stage.over().await;
    assert!(runs.iter().all(|run| run.status == dovetail::store::Status::Completed), "{runs:#?}");
    let begun = Instant::now();
    let (status, said) = serve.term().await;
    assert!(status.success(), "{said}");
    (said, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_told_before_the_program_ends() {
    let (collector, url) = Collector::start().await;
    one_run(&[], &["--traces".into(), url]).await;
    assert!(
        drawn(&collector.spans()).starts_with("contact-to-opinion-stage completed ok\n"),
        "{:?}",
        collector.spans()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_told_where_that_is_not_wanted() {
    let (collector, url) = Collector::start().await;
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off")] {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", url.clone()), (off.0, off.1.to_owned())];
        let (said, _) = one_run(&variables, &[]).await;
        assert!(!said.contains("trace"), "{said}");
    }
    assert!(collector.letters.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_collector_harms_nobody() {
    // It takes connections, and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", deaf.local_addr().expect("an address"));
    let (said, took) = one_run(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)], &[]).await;
    assert!(said.contains("the collector of traces does not answer: the last ones are lost"), "{said}");
    assert!(took < Duration::from_secs(8), "{took:?}");

    drop(deaf);
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let (said, _) = one_run(&[], &["--traces".into(), format!("http://{nobody}")]).await;
    assert_eq!(said.matches("traces are lost: the collector does not take them").count(), 1, "{said}");
}
