//! The pretend vendors as processes of their own, `dovetail sandbox`: a client that knows nothing of Dovetail reads and
//! writes one of them, and then all of them play together with `dovetail serve`, webhooks and all.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use dovetail::store::Status;
use serde_json::{Value, json};

use crate::stage::{self, GHL, PEOPLE, Serve, Stage, until};

/// `dovetail sandbox`, and what it says about itself; killed when dropped.
struct Sandbox(Child, Vec<Value>);

impl Sandbox {
    fn start(words: &[&str]) -> Sandbox {
        let mut command = stage::command();
        command.arg("sandbox").arg("--json").args(words).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its stdout");
        BufReader::new(stdout).read_line(&mut line).expect("one line when all are ready");
        let vendors = serde_json::from_str(&line).expect("that line is JSON");
        Sandbox(child, vendors)
    }

    fn of(&self, name: &str) -> &Value {
        self.1.iter().find(|vendor| vendor["connector"] == name).expect("the vendor is played")
    }

    fn url(&self, name: &str) -> String {
        self.of(name)["url"].as_str().expect("its address").to_owned()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client() -> reqwest::Client {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// As the vendor's documentation says it, and with nothing but HTTP.
#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_reads_and_writes_the_sandbox() {
    let sandbox = Sandbox::start(&["--gohighlevel", "127.0.0.1:0"]);
    assert_eq!(sandbox.1.len(), 1, "only what was asked for is played");
    let (client, base) = (client(), sandbox.url(GHL));
    let call = async |method: &str, path: &str, body: Value| {
        let method = method.parse::<reqwest::Method>().expect("a method");
        let request = client.request(method, format!("{base}{path}")).bearer_auth("pit-sandbox-location");
        let request = request.header("Version", "2021-07-28").header("Accept", "application/json");
        let answer = if body.is_null() { request } else { request.json(&body) }.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let location = "Lo3CaT6iOn9Id2XyZ5wV";
    let ada = json!({ "locationId": location, "email": "ada@example.com", "firstName": "Ada" });
    let (status, said) = call("POST", "/contacts/", ada.clone()).await;
    assert_eq!(status, 201);
    let id = said["contact"]["id"].as_str().expect("an id").to_owned();
    let (status, said) = call("POST", "/contacts/", ada).await;
    assert_eq!((status, &said["meta"]["contactId"]), (400, &json!(id)), "no contact twice");
    let (status, said) = call("PUT", &format!("/contacts/{id}"), json!({ "lastName": "Byron" })).await;
    assert_eq!((status, &said["contact"]["lastName"]), (200, &json!("Byron")));
    let task = json!({ "title": "Call", "dueDate": "2027-01-01T10:00:00Z", "completed": false });
    assert_eq!(call("POST", &format!("/contacts/{id}/tasks"), task).await.0, 201);
    assert_eq!(call("POST", &format!("/contacts/{id}/notes"), json!({ "body": "hello" })).await.0, 201);
    let (_, said) = call("GET", &format!("/contacts/{id}/notes"), Value::Null).await;
    assert_eq!(said["notes"][0]["body"], "hello");
    let found = format!("/contacts/search/duplicate?locationId={location}&email=ADA@example.com");
    assert_eq!(call("GET", &found, Value::Null).await.1["contact"]["id"], json!(id));
    assert_eq!(call("POST", "/contacts/", json!({ "locationId": location, "emial": "x" })).await.0, 422);
    assert_eq!(call("GET", "/contacts/unknown", Value::Null).await.0, 400, "not 404: so is the vendor");
    assert_eq!(call("DELETE", &format!("/contacts/{id}"), Value::Null).await.0, 200);
    let bare = client.get(format!("{base}/contacts/{id}")).header("Version", "2021-07-28").send().await;
    assert_eq!(bare.expect("an answer").status(), 401, "without a token");
}

/// Two processes: the vendors, which send their webhooks, and `serve`, which verifies them with their key.
#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_and_serve_play_together_as_processes() {
    let all = ["--gohighlevel", "--opinion-stage", "--opinion-stage-contacts"];
    let words: Vec<&str> = all.iter().flat_map(|name| [*name, "127.0.0.1:0"]).collect();
    let sandbox = Sandbox::start(&[words.as_slice(), &["--retry-base", "50ms"]].concat());
    let stage = Stage::set().await;
    let place = |port, name| (port, sandbox.url(name).trim_start_matches("http://").to_string());
    let places = [place(4010, GHL), place(4011, "opinion-stage"), place(4012, PEOPLE)];
    stage.write("dovetail.yaml", &stage::at_ports(&stage::repository("dovetail.yaml"), &places));
    stage.activate(&stage::ONE_WAY);
    let mut command = stage::command();
    command.arg("serve").arg("--project").arg(stage.project()).arg("--data").arg(stage.data());
    command.arg("--secrets").arg(stage.folder.join("secrets.yaml")).args(["--listen", "127.0.0.1:0"]);
    let key = format!("{GHL}={}", sandbox.of(GHL)["public_key"].as_str().expect("its key"));
    command.args(["--webhook-key", &key, "--allow-net", "127.0.0.1"]);
    let client = client();
    let serve = Serve::start(command, &client).await;
    let door = async |method: &str, vendor: &str, path: &str, body: Value| {
        let url = format!("{}/_sandbox{path}", sandbox.url(vendor));
        let request = client.request(method.parse().expect("a method"), url);
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send().await.expect("an answer").json::<Value>().await.expect("JSON")
    };
    let hooks = format!("http://127.0.0.1:{}/hooks/{GHL}", serve.port);
    door("POST", GHL, "/settings", json!({ "webhook_url": hooks })).await;
    // The first of the three is delivered twice, and the second comes before it.
    door("POST", GHL, "/faults", json!({ "at": "ContactCreate", "duplicate_webhooks": true, "times": 1 })).await;
    door("POST", GHL, "/faults", json!({ "at": "ContactCreate", "reorder_webhooks": true, "times": 1 })).await;
    let people =
        ["ada", "bob", "cleo"].map(|name| json!({ "firstName": name, "email": format!("{name}@example.com") }));
    door("POST", GHL, "/records/contact", json!(people)).await;
    let runs = until("three runs are over", async || {
        let runs = stage.runs().await;
        (runs.len() == 3 && runs.iter().all(|run| run.status != Status::Pending)).then_some(runs)
    })
    .await;
    assert!(runs.iter().all(|run| run.status == Status::Completed));
    let said = door("GET", PEOPLE, "/records/contact", Value::Null).await;
    let mut emails: Vec<&str> =
        said["records"].as_array().expect("a list").iter().filter_map(|record| record["email"].as_str()).collect();
    emails.sort_unstable();
    assert_eq!(emails, ["ada@example.com", "bob@example.com", "cleo@example.com"]);
    let webhooks = door("GET", GHL, "/webhooks", Value::Null).await;
    let webhooks = webhooks["webhooks"].as_array().expect("a list");
    assert!(webhooks.iter().all(|webhook| webhook["state"] == "delivered"), "{webhooks:#?}");
    assert_eq!(serve.term().await.0.code(), Some(0));
}

#[test]
fn a_real_port_that_begins_like_a_standard_one_stays_as_it_is() {
    let places = [(4010, "127.0.0.1:40125".to_string()), (4012, "127.0.0.1:41325".to_string())];
    let project = "a: http://127.0.0.1:4010\nb: http://127.0.0.1:4012/x\nc: 127.0.0.1:40109\n";
    let expected = "a: http://127.0.0.1:40125\nb: http://127.0.0.1:41325/x\nc: 127.0.0.1:40109\n";
    assert_eq!(stage::at_ports(project, &places), expected);
}
