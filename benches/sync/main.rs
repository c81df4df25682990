//! Changes through a sync, between two vendors that are played: `cargo bench --bench sync`.
//!
//! Prints how many changes a second come through, how many requests each costs, and what a million pairs cost. The vendors and
//! the webhooks are real HTTP on the other core, and are a part of what is measured.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

#[path = "../load/program.rs"]
#[expect(dead_code, reason = "there is no bare loop")]
mod program;
#[path = "../load/wire.rs"]
mod wire;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dovetail::sandbox::{Settings, Vendor};
use program::Program;
use rusqlite::Connection;
use serde_json::{Value, json};

const SIDES: [&str; 2] = ["left", "right"];
const PEOPLE: usize = 1_000;
const SECRET: &str = "the-secret-of-the-webhook";

fn connector(name: &str) -> String {
    format!(
        "connector: {name}
base_url: https://{name}.example.com
connection: {{ account: {{ type: string }} }}
auth: {{ token: {{ bearer: $.secrets.token }} }}
objects:
  person:
    schema:
      type: object
      properties: {{ id: {{ type: string }}, email: {{ type: string }}, name: {{ type: string }}, city: {{ type: string }} }}
    id: id
    identity: [email]
    read_only: [id]
    operations:
      get: {{ request: \"GET /people/{{id}}\", returns: $ }}
      list: {{ request: GET /people, items: $.items, query: {{ page: $.page.number }}, pages: {{ page: {{ last: $.pages }} }} }}
      find: {{ request: GET /people/find, query: {{ email: $.input.email }}, returns: $ }}
      create: {{ request: POST /people, returns: $, if_unsure: {{ after: [timeout], look_with: find, wait: 1s }} }}
      update: {{ request: \"PUT /people/{{id}}\", returns: $ }}
    changes: {{ webhook: [person.made, person.changed] }}
webhooks:
  verify: [{{ header: X-Signature, hmac_sha256: $.secrets.hook }}]
  replay: {{ id: $.id, time: $.sent_at, within: 1h }}
  connection: {{ account: $.account }}
  name: $.event
  record: $.data
  events: {{ person.made: {{ object: person, change: created }}, person.changed: {{ object: person, change: updated }} }}
"
    )
}

const SYNC: &str = "
sync: people
uses: { left: left, right: right }
between: { left: person, right: person }
match: { by: [email], several_found: ask, none_found: { left: create, right: create } }
fields:
  - { left: email, right: email, as: lowercase }
  - { left: name, right: name }
  - { left: city, right: city }
conflicts: { default: left }
first_run: { mode: apply, on_difference: left }
";

/// A folder that goes away again.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Two vendors, and the project between them.
struct Scene {
    folder: Folder,
    vendors: Vec<Vendor>,
    client: reqwest::Client,
}

impl Scene {
    async fn new() -> Scene {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sync-{}", uuid::Uuid::now_v7()));
        let put = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            std::fs::write(&path, text).expect("a file");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        };
        let (mut vendors, mut connections) = (Vec::new(), String::new());
        for name in SIDES {
            let files = [(format!("connectors/{name}.yaml"), connector(name))];
            put(&format!("project/{}", files[0].0), &files[0].1);
            let settings = Settings { webhook_secret: Some(SECRET.into()), ..Settings::new(name) };
            let vendor = Vendor::start(&files, None, settings).await.expect("it plays");
            connections += &format!(
                "  {name}: {{ connector: {name}, base_url: \"http://{}\", account: sandbox, token: $.secrets.token, \
                 hook: $.secrets.hook }}\n",
                vendor.address()
            );
            vendors.push(vendor);
        }
        put("project/dovetail.yaml", &format!("project: bench\nconnections:\n{connections}"));
        put("project/workflows/people.yaml", SYNC);
        put("secrets.yaml", &format!("hook: {SECRET}\ntoken: token-sandbox\n"));
        Scene { folder: Folder(folder), vendors, client: reqwest::Client::new() }
    }

    async fn serve(&self) -> Program {
        let net = self.vendors.iter().map(|vendor| vendor.address().to_string()).collect::<Vec<_>>();
        let serve = Program::serve(&self.folder.0, &net).await;
        for (name, vendor) in SIDES.iter().zip(&self.vendors) {
            let url = format!("http://127.0.0.1:{}/hooks/{name}", serve.port);
            self.control(vendor, "POST", "/settings", json!({ "webhook_url": url })).await;
        }
        serve
    }

    async fn control(&self, vendor: &Vendor, method: &str, path: &str, body: Value) -> Value {
        let url = format!("http://{}/_sandbox{path}", vendor.address());
        let request = self.client.request(method.parse().expect("a method"), url).json(&body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    fn writes(&self) -> u64 {
        self.vendors.iter().map(Vendor::writes).sum()
    }

    /// Until so many of one side are as that says.
    async fn until(&self, side: usize, what: &str, count: usize, is_so: impl Fn(&Value) -> bool) {
        let end = Instant::now() + Duration::from_secs(300);
        loop {
            let there = self.vendors[side].records("person").iter().filter(|record| is_so(record)).count();
            if there == count {
                return;
            }
            assert!(Instant::now() < end, "{what}: {there} of {count}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// People who are made on one side, and changed on the other.
async fn flow(scene: &Scene, serve: &Program, round: &str) {
    let writes = scene.writes();
    let begun = Instant::now();
    for number in 0..PEOPLE {
        let person = json!({ "email": format!("{round}{number}@example.com"), "name": round });
        scene.control(&scene.vendors[0], "POST", "/records/person", person).await;
    }
    scene.until(1, "created", PEOPLE, |person| person["name"] == round).await;
    let took = begun.elapsed().as_secs_f64();
    println!("  {PEOPLE} created: {:.0}/s", PEOPLE as f64 / took);
    let there = scene.vendors[1].records("person").into_iter().filter(|person| person["name"] == round);
    let ids: Vec<String> = there.filter_map(|person| person["id"].as_str().map(str::to_owned)).collect();
    let begun = Instant::now();
    for id in &ids {
        scene.control(&scene.vendors[1], "PATCH", &format!("/records/person/{id}"), json!({ "city": round })).await;
    }
    scene.until(0, "updated", PEOPLE, |person| person["city"] == round).await;
    let took = begun.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("  {PEOPLE} updated: {:.0}/s", PEOPLE as f64 / took);
    // People have made two changes for each; we as many.
    let ours = scene.writes() - writes - 2 * PEOPLE as u64;
    println!("  writes by the sync: {ours} for {} changes; memory {:.0} MiB", 2 * PEOPLE, serve.memory("VmRSS"));
}

/// Pairs that were agreed on long ago.
fn pairs(data: &Path, number: usize) -> f64 {
    let file = data.join("dovetail.sqlite3");
    let before = std::fs::metadata(&file).map_or(0, |file| file.len());
    let connection = Connection::open(&file).expect("the store");
    let agreed = json!({ "agreed": { "email": ["a@example.com", "a@example.com"], "name": ["Ada", "Ada"],
        "city": ["London", "London"] } });
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             CREATE TEMP TABLE numbers AS
                 WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number}) SELECT n FROM numbers;
             INSERT INTO links (connection, object, id, other_connection, other_object, tenant, other_id, side)
                 SELECT 'left', 'person', printf('l%d', n), 'right', 'person', '', printf('r%d', n), 'left' FROM numbers;
             INSERT INTO links (connection, object, id, other_connection, other_object, tenant, other_id, side)
                 SELECT 'right', 'person', printf('r%d', n), 'left', 'person', '', printf('l%d', n), 'right' FROM numbers;
             INSERT INTO pacts (sync, tenant, connection, object, id, other_connection, other_object, other_id, pact)
                 SELECT 'people', '', 'left', 'person', printf('l%d', n), 'right', 'person', printf('r%d', n), '{agreed}'
                 FROM numbers;
             COMMIT;
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .expect("the pairs");
    drop(connection);
    let after = std::fs::metadata(&file).map_or(0, |file| file.len());
    after.saturating_sub(before) as f64 / number as f64
}

fn main() {
    if std::env::var_os("SYNC_IS_PINNED").is_none() {
        let own = std::env::current_exe().expect("this program");
        let status = program::pinned(program::OTHER_CORE, &own).env("SYNC_IS_PINNED", "1").status().expect("it runs");
        std::process::exit(status.code().unwrap_or(1));
    }
    // Another one is there already at most.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let scene = Scene::new().await;
        let serve = scene.serve().await;
        println!("an empty store:");
        flow(&scene, &serve, "a").await;
        flow(&scene, &serve, "b").await;
        drop(serve);
        let bytes = pairs(&scene.folder.0.join("data"), 1_000_000);
        println!("with 1,000,000 pairs, of {bytes:.0} bytes each on the disk:");
        let serve = scene.serve().await;
        println!("  started in {} ms, memory {:.0} MiB", serve.started.as_millis(), serve.memory("VmRSS"));
        flow(&scene, &serve, "c").await;
    });
}
