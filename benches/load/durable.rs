//! The job as a handler written by hand with Restate's SDK, and a door that gives it events; beside it `serve --on restate` does
//! the same. One server of Restate keeps both, on this computer.
//!
//! The handler runs as a process of its own: `load durable PORT VENDOR OBJECTS INGRESS`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use restate_sdk::endpoint::Endpoint;
use restate_sdk::http_server::HttpServer;
use restate_sdk::prelude::*;

use super::bare::{Event, Sale};
use super::job::SECRET;
use super::program::{Program, Under, pinned, worked};

/// The server of Restate, for as long as it lives.
pub struct Server {
    child: Child,
    pub ingress: String,
    pub admin: String,
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

impl Server {
    /// None: nothing says where the program is.
    pub async fn start(folder: &Path) -> Option<Server> {
        let program = PathBuf::from(std::env::var_os("DOVETAIL_RESTATE")?);
        let (ingress, admin, fabric) = (port(), port(), port());
        // On all cores: it is what both stand on.
        let mut command = pinned("0-1", &program);
        command.args(["--no-logo", "--node-name", "node", "--base-dir"]).arg(folder.join("restate"));
        command.envs([("RESTATE_BIND_IP", "127.0.0.1"), ("RESTATE_LISTEN_MODE", "tcp")]);
        command.env("RESTATE_DISABLE_TELEMETRY", "true");
        command.env("RESTATE_BIND_PORT", fabric.to_string());
        command.env("RESTATE_ADMIN__BIND_PORT", admin.to_string());
        command.env("RESTATE_INGRESS__BIND_PORT", ingress.to_string());
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let server = Server { child, ingress: url(ingress), admin: url(admin) };
        let client = client();
        let end = Instant::now() + Duration::from_secs(60);
        for door in [format!("{}/health", server.admin), format!("{}/restate/health", server.ingress)] {
            while !client.get(&door).send().await.is_ok_and(|answer| answer.status() == 200) {
                assert!(Instant::now() < end, "Restate is not ready");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Some(server)
    }

    /// The time of a processor that it has used, in seconds.
    pub fn worked(&self) -> f64 {
        worked(&self.child)
    }

    /// The handler that was written by hand.
    pub async fn handler(&self, vendor: &str) -> Program {
        let (own, objects) = (std::env::current_exe().expect("this program"), port());
        let program = Program::start(Under::Core.command(&own), |command: &mut Command, port| {
            command.args(["durable", &port.to_string(), vendor, &objects.to_string(), &self.ingress]);
        })
        .await;
        let asked = serde_json::json!({ "uri": format!("http://127.0.0.1:{objects}") });
        let answer = client().post(format!("{}/deployments", self.admin)).json(&asked).send().await;
        assert!(answer.expect("an answer").status().is_success());
        program
    }

    /// The engine on the same server.
    pub async fn serve(&self, folder: &Path, vendor: &str) -> Program {
        let objects = format!("127.0.0.1:{}", port());
        let on = ["--on", "restate", "--ingress", &self.ingress, "--admin", &self.admin, "--objects", &objects];
        Program::serve_with(Under::Core, folder, &[vendor.to_owned()], &on).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

struct Sell {
    client: reqwest::Client,
    vendor: String,
}

#[object(name = "Sell")]
impl Sell {
    #[handler]
    async fn sell(&self, ctx: ObjectContext<'_>, event: Json<Event>) -> HandlerResult<()> {
        let event = event.into_inner();
        if event.order.total > 100.0 {
            let sale = serde_json::to_value(Sale::of(&event))?;
            let request = self.client.post(format!("http://{}/sales", self.vendor)).bearer_auth("a-token").json(&sale);
            ctx.run(|| async move { Ok(request.send().await?.text().await?) }).name("post").await?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Door {
    client: reqwest::Client,
    ingress: String,
}

async fn take(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if headers.get("x-hook").is_none_or(|value| value.as_bytes() != SECRET.as_bytes()) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(event) = serde_json::from_slice::<Event>(&body) else { return StatusCode::BAD_REQUEST };
    let url = format!("{}/Sell/{}/sell/send", door.ingress, event.id);
    let sent = door.client.post(url).header("idempotency-key", &event.id).json(&event).send().await;
    match sent {
        Ok(answer) if answer.status().is_success() => StatusCode::ACCEPTED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

pub fn main(port: u16, vendor: &str, objects: u16, ingress: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let sell = Sell { client: client(), vendor: vendor.to_owned() };
        let server = HttpServer::new(Endpoint::builder().bind(sell).build());
        tokio::spawn(server.listen_and_serve(([127, 0, 0, 1], objects).into()));
        let routes = axum::Router::new()
            .route("/hooks/orders", post(take))
            .route("/readyz", get(|| async { "ready" }))
            .with_state(Door { client: client(), ingress: ingress.to_owned() });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        axum::serve(listener, routes).await.expect("it serves");
    });
}
