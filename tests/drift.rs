//! Records that are not as their connector promises, while `serve` reads them: noted, told once, listed by `doctor`, and
//! never in the way.

use std::path::PathBuf;
use std::process::Command;

use dovetail::sandbox::{Settings, Vendor};
use serde_json::{Value, json};

use crate::stage::{Serve, command, until};

/// What the vendor really is.
const VENDOR: &str = "\
connector: crm
auth: { none: { none: } }
objects:
  contact:
    schema:
      type: object
      properties:
        id: { type: string }
        name: { type: string }
        age: { type: integer }
        nickname: { type: string }
        address: { type: object, properties: { town: { type: string }, zip: { type: string } } }
        by_email: { type: object }
        updated_at: { type: string, format: date-time }
    changed_at: updated_at
    operations:
      get: { request: \"GET /contacts/{id}\", returns: $.contact }
      list: { request: GET /contacts, items: $.contacts }
";

/// What the project believes.
const BELIEVED: &str = "\
connector: crm
version: 1.0.0
base_url: URL
auth: { none: { none: } }
limits: [{ requests: 1000, per: 1s }]
objects:
  contact:
    schema:
      type: object
      required: [id, score]
      properties:
        id: { type: string }
        name: { type: string }
        age: { type: string }
        score: { type: number }
        address: { type: object, properties: { town: { type: string } } }
        updated_at: { type: string, format: date-time }
    changed_at: updated_at
    operations:
      get: { request: \"GET /contacts/{id}\", returns: $.contact }
      list: { request: GET /contacts, items: $.contacts }
    changes: { poll: { with: list, every: 1s } }
";

const HEARS: &str = "\
workflow: hears
uses: { crm: crm }
trigger: { event: crm.contact.changed }
actions: [{ stop: $.contact.name }]
";

struct World {
    folder: PathBuf,
    vendor: Vendor,
    client: reqwest::Client,
}

impl World {
    async fn new() -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings = Settings::new("crm");
        settings.data = Some(json!({ "contact": [
            { "name": "Ada Byron", "age": 36, "nickname": "Lovelace", "address": { "town": "London", "zip": "W1X-1AA" },
              "by_email": { "ada@home.example": 1 } },
            { "name": "Bob Smith", "age": 41 },
        ] }));
        let vendor = Vendor::start(&[("crm.yaml".to_owned(), VENDOR.to_owned())], None, settings).await;
        let vendor = vendor.unwrap_or_else(|error| panic!("{error}"));
        let folder = std::env::temp_dir().join(format!("dovetail-drift-{}", uuid::Uuid::now_v7()));
        let world = World { folder, vendor, client: reqwest::Client::builder().no_proxy().build().expect("a client") };
        let url = format!("http://{}", world.vendor.address());
        world.write("connectors/crm.yaml", &BELIEVED.replace("URL", &url));
        world.write("workflows/hears.yaml", HEARS);
        world.write("dovetail.yaml", "project: shop\nconnections: { crm: { connector: crm } }\n");
        world
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = command();
        command.args(words).arg("--project").arg(&self.folder);
        command.args(["--allow-net", &self.vendor.address().to_string()]);
        command
    }

    async fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command(words);
        let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    async fn serve(&self) -> Serve {
        let mut command = self.command(&["serve"]);
        command.args(["--listen", "127.0.0.1:0"]);
        Serve::start(command, &self.client).await
    }

    /// Waits until the list was asked for so often.
    async fn looks(&self, often: usize) {
        let url = format!("http://{}/_sandbox/requests?operation=contact.list", self.vendor.address());
        until("the list is asked for", async || {
            let said: Value = self.client.get(&url).send().await.ok()?.json().await.ok()?;
            (said["requests"].as_array()?.len() >= often).then_some(())
        })
        .await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What is left lies in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const DIFFERS: [&str; 4] =
    ["`score` is absent", "`age` is an integer", "`nickname` is new (text)", "`address.zip` is new (text)"];
const TELLS: &str = "records are not as the connector says: `dovetail connector probe crm --object contact`";

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_once_and_listed_until_the_connector_is_mended() {
    let world = World::new().await;
    let serve = world.serve().await;
    until("it is told", async || serve.said().contains(TELLS).then_some(())).await;
    world.looks(3).await;
    let (status, said) = serve.term().await;
    assert!(status.success());
    assert_eq!(said.matches(TELLS).count(), 1, "{said}");
    for differs in DIFFERS {
        assert!(said.contains(differs), "{differs}\n{said}");
    }
    for value in ["Ada", "Lovelace", "London", "W1X", "ada@home"] {
        assert!(!said.contains(value), "`{value}` is told\n{said}");
    }
    // Another start has it from the store.
    let serve = world.serve().await;
    world.looks(5).await;
    let (code, doctor) = world.run(&["doctor"]).await;
    assert_eq!(code, Some(0), "{doctor}");
    let begins = "  look  schema: records of contact: `score` is absent, ";
    let next = "→ `dovetail connector probe crm --object contact` says what to lay over it";
    assert!(doctor.contains(begins) && doctor.contains(", since 20") && doctor.contains(next), "{doctor}");
    for differs in DIFFERS {
        assert!(doctor.contains(differs), "{differs}\n{doctor}");
    }
    let (_, doctor) = world.run(&["doctor", "--json"]).await;
    let doctor: Value = serde_json::from_str(&doctor).expect("JSON");
    let schema = doctor["crm"].as_array().expect("signs").iter().find(|sign| sign["what"] == "schema").expect("a sign");
    assert_eq!(schema["health"], "doubtful");
    let (_, said) = serve.term().await;
    assert!(!said.contains(TELLS), "{said}");
    // What the probe suggests mends it.
    let (code, said) = world.run(&["connector", "probe", "crm", "--write"]).await;
    assert_eq!(code, Some(0), "{said}");
    let (_, doctor) = world.run(&["doctor"]).await;
    assert!(!doctor.contains("schema"), "{doctor}");
    let serve = world.serve().await;
    world.looks(8).await;
    assert!(!serve.said().contains(TELLS), "{}", serve.said());
}
