//! What is measured, compared with what has happened.

use std::collections::BTreeMap;

use dovetail::store::Status;
use serde_json::json;

use crate::operations::text::Series;
use crate::stage::{self, GHL, PEOPLE, Stage};

async fn metrics(stage: &Stage, headers: &[(&str, &str)]) -> (u16, String) {
    let url = stage.url().replace(&format!("/hooks/{GHL}"), "/metrics");
    let request = headers.iter().fold(stage.client.get(url), |request, (name, value)| request.header(*name, *value));
    let answer = request.send().await.expect("serve answers");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// Looks until the store was asked anew and says what is expected.
async fn until(stage: &Stage, what: &str, is: impl Fn(&Series) -> bool) -> Series {
    stage::until(what, async || {
        let (status, text) = metrics(stage, &[]).await;
        assert_eq!(status, 200, "{text}");
        Some(Series::read(&text)).filter(|series| is(series))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_happened_is_measured() {
    let mut stage = Stage::set().await;
    stage.write(
        "connectors/gohighlevel.override.yaml",
        "connector: gohighlevel\nlimits: [{ requests: 1000, per: 1h }]\n",
    );
    let _serve = stage.serve().await;
    stage.list_is_read().await;
    let ada = stage.make(GHL, "contact", json!({ "firstName": "Ada", "email": "ada@example.com" })).await;
    stage.tell("ContactCreate", &ada).await;
    let body = stage.event("ContactCreate", &ada);
    assert_eq!(stage.post(&body).await.1, json!({ "status": "accepted" }));
    assert_eq!(stage.post(&body).await.1, json!({ "status": "duplicate" }));
    assert_eq!(stage.post_raw(b"{}".to_vec(), &[("content-type", "application/json")]).await.0, 401);
    stage.over().await;
    // A vendor that does not accept what it is sent: one dead letter.
    stage.fault(PEOPLE, json!({ "at": "contact.create", "status": 422, "times": 1 })).await;
    let bob = stage.make(GHL, "contact", json!({ "firstName": "Bob", "email": "bob@example.com" })).await;
    stage.tell("ContactCreate", &bob).await;
    let runs = stage.over().await;
    let dead = runs.iter().filter(|run| run.status == Status::Failed).count();
    assert_eq!(dead, 1, "{runs:#?}");

    let series =
        until(&stage, "the dead letter is counted", |series| series.value("dovetail_dead_letters") > 0.0).await;
    assert_eq!(series.value("dovetail_dead_letters"), 1.0);
    assert_eq!(series.value("dovetail_ready"), 1.0);
    assert_eq!(series.value("dovetail_runs_pending state=due"), 0.0);
    assert_eq!(series.value("dovetail_oldest_due_run_age_seconds"), 0.0);
    assert_eq!(series.value("dovetail_events_total outcome=accepted"), 3.0);
    assert_eq!(series.value("dovetail_events_total outcome=duplicate"), 1.0);
    let deliveries = [("accepted", 3.0), ("duplicate", 1.0), ("unauthorized", 1.0)];
    let deliveries = deliveries.map(|(word, number)| (format!("dovetail_deliveries_total outcome={word}"), number));
    let told: Vec<(String, f64)> =
        series.family("dovetail_deliveries_total").into_iter().map(|(key, number)| (key.to_owned(), number)).collect();
    assert_eq!(told, deliveries);

    let mut ended = BTreeMap::new();
    for run in &runs {
        let key = format!("dovetail_runs_ended_total workflow={},status={}", run.start.workflow, run.status.word());
        *ended.entry(key).or_insert(0.0) += 1.0;
    }
    let told: BTreeMap<String, f64> =
        series.family("dovetail_runs_ended_total").into_iter().map(|(key, number)| (key.to_owned(), number)).collect();
    assert_eq!(told, ended);

    let of_people: f64 = (series.family("dovetail_requests_total").into_iter())
        .filter_map(|(key, number)| key.contains("connection=example-people").then_some(number))
        .sum();
    let got = stage.control("GET", PEOPLE, "/requests", json!(null)).await;
    assert_eq!(of_people, got["requests"].as_array().expect("a list").len() as f64);
    assert_eq!(series.value("dovetail_requests_total connection=example-people,outcome=invalid"), 1.0);
    let asked: f64 = (series.family("dovetail_requests_total").into_iter())
        .filter_map(|(key, number)| key.contains("connection=example-ghl").then_some(number))
        .sum();
    let left = "dovetail_limit_requests_left connection=example-ghl,limit=1,requests=1000,per_seconds=3600";
    assert_eq!(series.value(left), 1_000.0 - asked);

    assert!(series.value("dovetail_store_commit_duration_seconds_count") >= 4.0);
    let bytes = ["database", "log"].map(|what| series.value(&format!("dovetail_store_{what}_bytes")));
    assert!(bytes.iter().sum::<f64>() > 100_000.0, "{bytes:?}");
    // No data of records, no secrets.
    let (_, text) = metrics(&stage, &[]).await;
    for hidden in ["ada", "bob", "example.com", "sandbox", ada["id"].as_str().expect("an id")] {
        assert!(!text.contains(hidden), "`{hidden}` in {text}");
    }
    // Whatever is told is explained.
    let guide = stage::repository("docs/guides/operations.md");
    for name in series.names() {
        assert!(guide.contains(&format!("`{name}`")), "{name} is not in the guide");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_piles_up_while_a_vendor_is_down_shows() {
    let mut stage = Stage::set().await;
    let _serve = stage.serve().await;
    stage.stop(PEOPLE).await;
    for number in 0..8 {
        let email = format!("p{number}@example.com");
        let contact = stage.make(GHL, "contact", json!({ "firstName": "P", "email": email })).await;
        stage.tell("ContactCreate", &contact).await;
    }
    let series = until(&stage, "the circuit is open", |series| {
        series.value("dovetail_circuit_open connection=example-people") > 0.0
            && series.value("dovetail_runs_pending state=due") + series.value("dovetail_runs_pending state=waiting")
                > 7.0
    })
    .await;
    assert_eq!(series.value("dovetail_circuit_open connection=example-ghl"), 0.0);
    assert_eq!(series.value("dovetail_account_refused connection=example-people"), 0.0);
    assert!(series.value("dovetail_requests_total connection=example-people,outcome=unreachable") >= 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_others_is_told_nothing() {
    let mut stage = Stage::set().await;
    stage.flags = vec!["--metrics".into(), "127.0.0.1:0".into()];
    let serve = stage.serve().await;
    let said = serve.said();
    let own = said.lines().find_map(|line| line.strip_prefix("tells what it measures on ")).expect("an address");
    let answer = stage.client.get(own).header("host", "metrics.example.com").send().await.expect("serve answers");
    assert_eq!(answer.status(), 200);
    assert!(Series::read(&answer.text().await.expect("a text")).value("dovetail_ready") > 0.0);
    let hooks = own.replace("/metrics", "/hooks/gohighlevel");
    assert_eq!(stage.client.post(hooks).send().await.expect("serve answers").status(), 404);
    assert_eq!(metrics(&stage, &[]).await.0, 200);
    for headers in [("host", "hooks.example.com"), ("x-forwarded-for", "203.0.113.7")] {
        let (status, text) = metrics(&stage, &[headers]).await;
        assert_eq!((status, text.as_str()), (404, r#"{"status":"not_found"}"#), "{headers:?}");
    }
}
