//! Requests that are signed, against a pretend vendor that proves them by the same connector file.

use std::path::PathBuf;

use dovetail::sandbox::{Settings, Vendor};
use serde_json::Value;

use crate::stage;

const CONNECTOR: &str = r#"
connector: desk
base_url: https://api.desk.example
connection: { account: { type: string } }
auth:
  key:
    hmac:
      secret: $.secrets.secret
      algorithm: sha512
      over: "{{timestamp}}{{nonce}}{{method}}{{target}}{{body}}"
      encoding: base64
      headers:
        Authorization: "Desk {{secrets.key}}:{{signature}}"
        X-Nonce: $.nonce
      query: { timestamp: $.timestamp }
objects:
  order:
    schema: { type: object, properties: { id: { type: string }, total: { type: number } } }
    id: id
    operations:
      create: { request: POST /orders, returns: $, if_unsure: send_again }
      list: { request: GET /orders, query: { state: "a b" }, items: $ }
"#;

const WORKFLOW: &str = "\
workflow: makes
uses: { desk: desk }
trigger: { manual: }
actions:
  - { id: order, call: desk.order.create, with: { total: 12.5 }, retry: { wait: 10ms..10ms } }
  - { id: all, call: desk.order.list }
  - stop: \"{{length all}} made\"
";

struct Desk {
    folder: PathBuf,
    vendor: Vendor,
}

impl Desk {
    async fn set() -> Desk {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = std::env::temp_dir().join(format!("dovetail-signed-{}", uuid::Uuid::now_v7()));
        let files = [("connectors/desk.yaml".to_owned(), CONNECTOR.to_owned())];
        let vendor = Vendor::start(&files, None, Settings::new("desk")).await.expect("the vendor");
        let desk = Desk { folder, vendor };
        desk.write("connectors/desk.yaml", CONNECTOR);
        desk.write("workflows/makes.yaml", WORKFLOW);
        let connection = "connector: desk, account: acme, key: $.secrets.desk_key, secret: $.secrets.desk_secret";
        let url = format!("http://{}", desk.vendor.address());
        desk.write(
            "dovetail.yaml",
            &format!("project: signed\nconnections: {{ desk: {{ {connection}, base_url: {url} }} }}\n"),
        );
        desk
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(path, text).expect("a file");
    }

    fn dovetail(&self, words: &[&str], secret: &str) -> (Option<i32>, String) {
        let mut command = stage::command();
        command.args(words).arg("--project").arg(&self.folder).arg("--data").arg(self.folder.join("data"));
        command.args(["--allow-net", &self.vendor.address().to_string()]);
        command.env("DOVETAIL_SECRET_DESK_KEY", "key-sandbox").env("DOVETAIL_SECRET_DESK_SECRET", secret);
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://{}/_sandbox{path}", self.vendor.address());
        let request = client.request(method.parse().expect("a method"), url).json(&body);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendor_takes_what_is_signed_with_its_secret_and_each_attempt_is_signed_anew() {
    let desk = Desk::set().await;
    desk.control("POST", "/faults", serde_json::json!({ "at": "order.create", "status": 503, "times": 1 })).await;
    let (code, said) = desk.dovetail(&["run", "makes"], "secret-sandbox");
    assert!(code == Some(0) && said.contains("1 made"), "{code:?}: {said}");
    let asked = desk.control("GET", "/requests?operation=order.create", Value::Null).await;
    let nonces: Vec<&Value> =
        asked["requests"].as_array().expect("a list").iter().map(|one| &one["headers"]["x-nonce"]).collect();
    assert!(nonces.len() == 2 && nonces[0] != nonces[1] && nonces[0].is_string(), "{nonces:?}");
    assert_eq!(desk.vendor.records("order").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_secret_is_a_refusal_of_the_account() {
    let desk = Desk::set().await;
    let (code, said) = desk.dovetail(&["doctor"], "another-secret");
    assert!(code == Some(1) && said.contains("BAD   answers: order.list (GET /orders): auth"), "{code:?}: {said}");
    assert!(!said.contains("another-secret"), "{said}");
    let (code, said) = desk.dovetail(&["doctor"], "secret-sandbox");
    assert!(code == Some(0), "{code:?}: {said}");
}
