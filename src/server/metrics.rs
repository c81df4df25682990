//! `/metrics`: what an operator watches, in the text that Prometheus reads.
//!
//! Told to programs on this computer only: to whoever connects from it, calls it by its own name, and forwards nothing for
//! others. At an address of its own (`--metrics`) it is told to everyone who reaches that.

use std::fmt::{Display, Write as _};
use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::answer;
use super::listener::Peer;
use crate::engine::{Engine, Measures};

/// Prometheus' text, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Whoever sends one of these asks for somebody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

pub(super) async fn tell_neighbours(State(engine): State<Engine>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>();
    if peer.is_some_and(|Peer(address)| is_neighbour(*address, request.headers())) {
        return tell(&engine).await;
    }
    answer(StatusCode::NOT_FOUND, "not_found")
}

pub(super) async fn tell_all(State(engine): State<Engine>) -> Response {
    tell(&engine).await
}

fn is_neighbour(peer: SocketAddr, headers: &HeaderMap) -> bool {
    let called = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = called.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(called, |(name, _)| name);
    let of_ours = name == "localhost"
        || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    peer.ip().to_canonical().is_loopback() && of_ours && FORWARDED.iter().all(|name| !headers.contains_key(*name))
}

async fn tell(engine: &Engine) -> Response {
    match engine.measures().await {
        Ok(measures) => ([(header::CONTENT_TYPE, TEXT)], written(&measures)).into_response(),
        Err(error) => {
            tracing::warn!(%error, "what is measured cannot be told");
            answer(StatusCode::SERVICE_UNAVAILABLE, "not_ready")
        }
    }
}

fn written(measures: &Measures) -> String {
    let mut text = Text::default();
    let store = &measures.store;
    text.gauge("dovetail_build_info", "The version of the program that runs.");
    text.line("dovetail_build_info", &[("version", &env!("CARGO_PKG_VERSION"))], 1);
    text.gauge("dovetail_ready", "1 if a webhook can be acknowledged now.");
    text.line("dovetail_ready", &[], u8::from(measures.is_ready));

    text.gauge(
        "dovetail_runs_pending",
        "Runs that are not over: due or at work, or waiting for an instant or an event.",
    );
    text.line("dovetail_runs_pending", &[("state", &"due")], store.due);
    text.line("dovetail_runs_pending", &[("state", &"waiting")], store.waiting);
    text.gauge("dovetail_oldest_due_run_age_seconds", "How long the oldest run that is due has been; 0 if none is.");
    text.line("dovetail_oldest_due_run_age_seconds", &[], measures.lag.as_secs_f64());
    text.gauge("dovetail_runs_at_work", "Runs that hold one of the places of --at-once.");
    text.line("dovetail_runs_at_work", &[], measures.at_work);
    text.gauge("dovetail_runs_at_work_max", "The places of --at-once.");
    text.line("dovetail_runs_at_work_max", &[], measures.at_once);
    text.gauge("dovetail_dead_letters", "Runs that failed for good and wait for a person.");
    text.line("dovetail_dead_letters", &[], store.dead);
    text.counter("dovetail_runs_ended_total", "Runs that have ended since the start, by workflow and how they ended.");
    for (workflow, status, number) in &measures.ended {
        text.line("dovetail_runs_ended_total", &[("workflow", workflow), ("status", &status.word())], number);
    }

    text.counter("dovetail_events_total", "Events since the start: new ones, and copies that started nothing.");
    text.line("dovetail_events_total", &[("outcome", &"accepted")], measures.accepted);
    text.line("dovetail_events_total", &[("outcome", &"duplicate")], measures.duplicates);
    text.counter(
        "dovetail_deliveries_total",
        "Webhooks that were answered since the start, by the word of the answer.",
    );
    for (outcome, number) in &measures.deliveries {
        text.line("dovetail_deliveries_total", &[("outcome", outcome)], number);
    }

    text.counter("dovetail_requests_total", "Requests to vendors since the start, by what came of them.");
    for (connection, outcome, number) in &measures.requests {
        text.line("dovetail_requests_total", &[("connection", connection), ("outcome", outcome)], number);
    }
    text.gauge("dovetail_limit_requests_left", "Requests that a limit of a connector still allows in its span.");
    for left in &measures.limits {
        let labels: [(&str, &dyn Display); 4] = [
            ("connection", &left.connection),
            ("limit", &(left.limit + 1)),
            ("requests", &left.requests),
            ("per_seconds", &left.per.as_secs_f64()),
        ];
        text.line("dovetail_limit_requests_left", &labels, left.left);
    }
    text.gauge("dovetail_circuit_open", "1 if the connection counts as down.");
    for (connection, (open, _)) in &measures.connections {
        text.line("dovetail_circuit_open", &[("connection", connection)], u8::from(*open));
    }
    text.gauge("dovetail_account_refused", "1 if the vendor refuses the connection's account.");
    for (connection, (_, refused)) in &measures.connections {
        text.line("dovetail_account_refused", &[("connection", connection)], u8::from(*refused));
    }

    let name = "dovetail_store_commit_duration_seconds";
    text.head(name, "histogram", "How long it took until a batch of writes was durable.");
    for (end, number) in &measures.commits.within {
        text.line(&format!("{name}_bucket"), &[("le", &end.as_secs_f64())], number);
    }
    text.line(&format!("{name}_bucket"), &[("le", &"+Inf")], measures.commits.count);
    text.line(&format!("{name}_sum"), &[], measures.commits.sum.as_secs_f64());
    text.line(&format!("{name}_count"), &[], measures.commits.count);
    text.gauge("dovetail_store_queue_ratio", "How full the queue of writes is; at 1, webhooks are refused as busy.");
    text.line("dovetail_store_queue_ratio", &[], measures.load);
    text.gauge("dovetail_store_database_bytes", "The size of the database file.");
    text.line("dovetail_store_database_bytes", &[], store.database_bytes);
    text.gauge("dovetail_store_database_bytes_max", "How large the project lets the database become (`keep.size`).");
    text.line("dovetail_store_database_bytes_max", &[], measures.bytes_max);
    text.gauge("dovetail_store_free_bytes", "Of the database file: what is free to be written again.");
    text.line("dovetail_store_free_bytes", &[], store.free_bytes);
    text.gauge("dovetail_store_log_bytes", "The size of the write-ahead log.");
    text.line("dovetail_store_log_bytes", &[], store.log_bytes);
    text.0
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge(&mut self, name: &str, help: &str) {
        self.head(name, "gauge", help);
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.head(name, "counter", help);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &dyn Display)], value: impl Display) {
        let labels = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(&value.to_string())));
        let labels = labels.collect::<Vec<_>>().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_line() {
        let mut text = Text::default();
        text.line("x", &[("workflow", &"a\"} 1\n\\n"), ("n", &1)], 2);
        assert_eq!(text.0, "x{workflow=\"a\\\"} 1\\n\\\\n\",n=\"1\"} 2\n");
    }

    #[test]
    fn only_a_program_on_this_computer_that_asks_for_itself_is_a_neighbour() {
        let asked = |peer: &str, headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_neighbour(peer.parse().unwrap(), &headers.collect())
        };
        for host in ["127.0.0.1:4000", "localhost", "localhost:4000", "[::1]:4000", "127.0.0.1"] {
            assert!(asked("127.0.0.1:9", &[("host", host)]), "{host}");
        }
        assert!(asked("[::ffff:127.0.0.1]:9", &[("host", "localhost")]));
        for host in ["hooks.example.com", "127.0.0.1.example.com", "10.0.0.1:4000", "", "localhost.evil:1"] {
            assert!(!asked("127.0.0.1:9", &[("host", host)]), "{host}");
        }
        assert!(!asked("10.0.0.2:9", &[("host", "127.0.0.1")]));
        assert!(!asked("127.0.0.1:9", &[]));
        for name in FORWARDED {
            assert!(!asked("127.0.0.1:9", &[("host", "localhost"), (name, "1.2.3.4")]), "{name}");
        }
    }
}
