//! What a start promises when much is pending: it takes events at once, and the first run goes on soon.
//!
//! What is counted is the time that the program has worked, so that a busy computer is no failure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use crate::stage::{self, Serve, until};

const CONNECTOR: &str = "
connector: shop
base_url: https://shop.example.com
objects:
  sale:
    schema: { type: object, properties: { id: { type: string }, reference: { type: string } } }
    id: id
    operations:
      create: { request: POST /sales, body: $.input, returns: $, if_unsure: send_again }
";

const WORKFLOW: &str = "
workflow: sale
uses: { shop: shop }
trigger:
  webhook: /orders
  verify: [{ header: X-Hook, token: $.secrets.hook }]
  schema: { type: object, properties: { number: { type: string } } }
actions:
  - call: shop.sale.create
    with: { reference: $.event.body.number }
";

/// Runs that meet a vendor that is down.
const RUNS: usize = 6_000;

/// A project whose only vendor takes requests and never answers.
struct House {
    folder: PathBuf,
    vendor: TcpListener,
    client: reqwest::Client,
}

impl House {
    async fn set() -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = std::env::temp_dir().join(format!("dovetail-recovery-{}", uuid::Uuid::now_v7()));
        let vendor = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let house = House { folder, vendor, client };
        let project = format!(
            "project: recovery\nconnections:\n  shop: {{ connector: shop, base_url: \"http://{}\" }}\n",
            house.address()
        );
        house.write("project/dovetail.yaml", &project);
        house.write("project/connectors/shop.yaml", CONNECTOR);
        house.write("project/workflows/sale.yaml", WORKFLOW);
        house.write("secrets.yaml", "hook: the-hook\n");
        house
    }

    fn write(&self, path: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    }

    fn address(&self) -> String {
        self.vendor.local_addr().expect("an address").to_string()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    async fn serve(&self) -> Serve {
        let mut command = stage::command();
        command.args(["serve", "--no-watch", "--listen", "127.0.0.1:0", "--allow-net", &self.address()]);
        command.arg("--project").arg(self.folder.join("project")).arg("--data").arg(self.data());
        command.arg("--secrets").arg(self.folder.join("secrets.yaml"));
        Serve::start(command, &self.client).await
    }

    /// Leaves so many runs behind that have not begun, and one in the middle of its request. `waits`: they wait, the first of
    /// them for an instant that is past, the others for one far away.
    async fn leave(&self, runs: usize, waits: bool) {
        let serve = self.serve().await;
        let request = self.client.post(format!("http://127.0.0.1:{}/hooks/orders", serve.port));
        let answer = request.header("x-hook", "the-hook").json(&json!({ "number": "R-1" })).send().await;
        assert_eq!(answer.expect("it is taken").status(), 200);
        let (_request, _) = self.vendor.accept().await.expect("a request");
        serve.kill();
        multiply(&self.data(), runs, waits);
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Copies of the only run, each with an id and an order key of its own.
fn multiply(data: &Path, count: usize, waits: bool) {
    let connection = rusqlite::Connection::open(data.join("dovetail.sqlite3")).expect("the store");
    let sql =
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(?1 AS INTEGER))
        INSERT INTO runs (id, workflow, order_key, plan, status, created_ms, journal_length, parked, due_ms)
        SELECT substr(id, 1, 24) || printf('%012d', n), workflow, 'k' || n, plan,
            'pending', created_ms, 0, ?2, iif(n = 1, 1, 9000000000000000) FROM runs, numbers";
    assert_eq!(connection.execute(sql, (count.to_string(), waits)).expect("copies"), count);
    let sql = "INSERT INTO starts (run, start)
        SELECT copy.seq, replace(replace(start, one.id, copy.id), one.order_key, copy.order_key)
        FROM runs AS one JOIN starts ON run = one.seq, runs AS copy WHERE copy.seq <> one.seq";
    assert_eq!(connection.execute(sql, []).expect("what they start from"), count);
}

/// Starts with so many pending runs, until it takes events and the first run has sent its next request. Gives how long it
/// has worked by then, and its memory in MiB.
async fn recover(count: usize) -> (Duration, f64) {
    let house = House::set().await;
    house.leave(count, false).await;
    let (serve, request) = tokio::join!(house.serve(), house.vendor.accept());
    let (worked, memory) = (serve.worked(), serve.memory());
    request.expect("a request");
    (worked, memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_pending_runs_go_on_within_a_second_and_a_half() {
    let (worked, memory) = recover(1_000).await;
    assert!(worked < Duration::from_millis(1_500), "{worked:?}");
    assert!(memory < 25.0, "{memory} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_pending_runs_go_on_within_five_seconds_and_stay_on_the_disk() {
    let (worked, memory) = recover(100_000).await;
    assert!(worked < Duration::from_secs(5), "{worked:?}");
    assert!(memory < 70.0, "{memory} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_waits_cost_a_row_each_and_the_one_that_is_due_is_called() {
    let house = House::set().await;
    house.leave(if stage::is_long() { 1_000_000 } else { 100_000 }, true).await;
    let both = async {
        for _ in 0..2 {
            house.vendor.accept().await.expect("a request");
        }
    };
    let (serve, ()) = tokio::join!(house.serve(), both);
    let (worked, memory) = (serve.worked(), serve.memory());
    assert!(worked < Duration::from_millis(1_500), "{worked:?}");
    assert!(memory < 25.0, "{memory} MiB");
}

/// Waits until so many runs have begun, that is: have met the vendor.
async fn have_begun(data: &Path, count: i64) {
    have(data, "journal_length > 0", count).await;
}

/// Waits until so many runs are like that.
async fn have(data: &Path, like: &str, count: i64) {
    let connection =
        parking_lot::Mutex::new(rusqlite::Connection::open(data.join("dovetail.sqlite3")).expect("the store"));
    until(&format!("{count} have {like}"), async || {
        let sql = format!("SELECT count(*) FROM runs WHERE {like}");
        let found: i64 = connection.lock().query_row(&sql, [], |row| row.get(0)).expect("a number");
        (found >= count).then_some(())
    })
    .await;
}

const LIMITED: &str = "limits: [{ requests: 10, per: 1h }]\nobjects:\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_limit_stays_on_the_disk() {
    let house = House::set().await;
    house.write("project/connectors/shop.yaml", &CONNECTOR.replace("objects:\n", LIMITED));
    house.leave(RUNS, false).await;
    let serve = house.serve().await;
    let few = serve.memory();
    have_begun(&house.data(), RUNS as i64).await;
    let many = serve.memory();
    assert!(many < few + 80.0, "{few} MiB, then {many} MiB");
}

/// Each is let go more than once, since a window is longer than a run waits in memory.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_a_limit_is_sent_once_as_soon_as_that_has_room() {
    const ALL: usize = 31;
    let house = House::set().await;
    house.write(
        "project/connectors/shop.yaml",
        &CONNECTOR.replace("objects:\n", "limits: [{ requests: 10, per: 4s }]\nobjects:\n"),
    );
    house.leave(ALL - 1, false).await;
    let serve = house.serve().await;
    let mut sent = Vec::new();
    let answers = async {
        loop {
            let (stream, _) = house.vendor.accept().await.expect("a connection");
            sent.push(std::time::Instant::now());
            answer(stream).await;
        }
    };
    let data = house.data();
    tokio::select! {
        () = answers => {}
        () = have(&data, "status = 'completed'", ALL as i64) => {}
    }
    serve.term().await;
    assert_eq!(sent.len(), ALL);
    let windows: Vec<f64> = sent.iter().step_by(10).map(|at| at.duration_since(sent[0]).as_secs_f64()).collect();
    assert!(windows.windows(2).all(|two| (3.9..6.0).contains(&(two[1] - two[0]))), "{windows:?}");
}

/// Reads a request, and says that it is done.
async fn answer(mut stream: tokio::net::TcpStream) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let _ = stream.read(&mut [0; 4_096]).await;
    let said = "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{\"id\":\"s-1\"}";
    let _ = stream.write_all(said.as_bytes()).await;
}

/// A run that is whole in memory takes more than 20 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_vendor_that_is_down_stays_on_the_disk() {
    let house = House::set().await;
    house.leave(RUNS, false).await;
    let serve = house.serve().await;
    let few = serve.memory();
    let hangs_up = async {
        loop {
            drop(house.vendor.accept().await);
        }
    };
    let data = house.data();
    tokio::select! {
        () = hangs_up => {}
        () = have_begun(&data, RUNS as i64) => {}
    }
    let many = serve.memory();
    assert!(many < few + 80.0, "{few} MiB, then {many} MiB");
}
