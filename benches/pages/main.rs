//! How long the pages of the dashboard take with a million runs of history, while 500 events come each second:
//! `cargo bench --bench pages`. `-- --runs 10000` takes fewer. Where there is a browser, as for the tests in one, also how soon it
//! paints them.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

#[path = "../../tests/browser/chromium.rs"]
#[expect(dead_code, reason = "what is seen there is for the tests")]
mod chromium;
#[path = "../load/job.rs"]
mod job;
#[path = "../load/peer.rs"]
#[expect(dead_code, reason = "the other benchmark floods as well")]
mod peer;
#[path = "../load/program.rs"]
#[expect(dead_code, reason = "the other benchmark has a bare loop as well")]
mod program;
#[path = "../load/wire.rs"]
mod wire;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chromium::Browser;
use peer::Vendor;
use program::{Program, Under};
use rusqlite::Connection;

const RUNS: usize = 1_000_000;
const EVENTS_PER_SECOND: f64 = 500.0;
const TIME: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
const PAGES: &[&str] = &[
    "/",
    "/runs",
    "/runs?status=failed",
    "/runs?workflow=sale-0",
    "/runs?record=nobody",
    "/runs?cursor=500000",
    "/runs/500000",
    "/workflows",
    "/workflows/sale-0",
    "/questions",
    "/records",
    "/connections",
    "/catalogue",
    "/audit",
];
/// 99 of 100 are to be there within.
const GOAL: Duration = Duration::from_millis(200);
/// And painted by a browser, while nothing else goes on.
const PAINTED_GOAL: Duration = Duration::from_millis(100);
const PAINTINGS: usize = 10;

/// A folder that goes away again.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes the one run that there is so many times more, each with its event and its journal.
fn multiply(data: &Path, runs: usize) {
    let connection = Connection::open(data.join("dovetail.sqlite3")).expect("the store");
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             CREATE TEMP TABLE numbers AS
                 WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {runs})
                 SELECT n, printf('00000000-0000-7000-8000-%012d', n) AS id FROM numbers;
             CREATE TEMP TABLE one AS SELECT * FROM runs JOIN starts ON run = seq LIMIT 1;
             CREATE TEMP TABLE lines AS SELECT journal.* FROM journal, one WHERE journal.run = one.seq;
             INSERT INTO runs (id, workflow, order_key, plan, status, due_ms, created_ms, ended_ms, ending, journal_length)
                 SELECT numbers.id, workflow, numbers.id, plan, status, due_ms, created_ms + n,
                     ended_ms + n, ending, journal_length FROM numbers, one;
             INSERT INTO journal (run, n, at_ms, entry)
                 SELECT runs.seq, lines.n, lines.at_ms, lines.entry FROM runs JOIN numbers ON numbers.id = runs.id, lines;
             INSERT INTO starts (run, start)
                 SELECT runs.seq, replace(one.start, one.id, numbers.id) FROM runs JOIN numbers ON numbers.id = runs.id, one;
             COMMIT;"
        ))
        .expect("the past");
}

/// How to sign in, once.
fn invitation(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dovetail"))
        .args(["dashboard", "--data"])
        .arg(folder.join("data"))
        .output()
        .expect("it runs");
    let link = String::from_utf8(output.stdout).expect("a link");
    link.trim().split_once("code=").expect("a code").1.to_owned()
}

/// Somebody who has signed in.
async fn visitor(folder: &Path, base: &str) -> reqwest::Client {
    let code = invitation(folder);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = client.build().expect("a client");
    let said = client.post(format!("{base}/sign-in")).header("sec-fetch-site", "same-origin").form(&[("code", &code)]);
    let said = said.send().await.expect("it answers");
    let cookie = said.headers()["set-cookie"].to_str().expect("a cookie").split(';').next().expect("it").to_owned();
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("cookie", cookie.parse().expect("a header"));
    reqwest::Client::builder().no_proxy().default_headers(headers).build().expect("a client")
}

/// How soon the first of each page is seen; nothing without a browser.
fn paint(folder: &Path, base: &str) -> Vec<Vec<Duration>> {
    let Some(mut browser) = Browser::start("the pages' first paint", base) else { return Vec::new() };
    browser.go(&format!("/sign-in?code={}", invitation(folder)));
    browser.click("Go in");
    let mut took: Vec<Vec<Duration>> = PAGES.iter().map(|_| Vec::new()).collect();
    for _ in 0..PAINTINGS {
        for (page, took) in PAGES.iter().zip(&mut took) {
            browser.go(page);
            let painted = browser.does("painted", serde_json::json!({}));
            took.push(Duration::from_secs_f64(painted.as_f64().expect("it is painted") / 1e3));
        }
    }
    took
}

fn tell(what: &str, took: &mut [Duration], goal: Duration) {
    took.sort_unstable();
    let of = |part: usize| took.get(took.len() * part / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3);
    let verdict = if of(99) <= goal.as_secs_f64() * 1e3 { "" } else { ", missed" };
    println!("{what}: {:.1} ms, 99 of 100 within {:.1} ms (goal {goal:?}{verdict}), of {}", of(50), of(99), took.len());
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    let runs = words.iter().position(|word| word == "--runs").and_then(|at| words.get(at + 1)?.parse().ok());
    let runs = runs.unwrap_or(RUNS);
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pages-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&place).expect("a folder");
    let folder = Folder(place);
    let vendor = Vendor::start().await;
    let vendors = [vendor.address.to_string()];
    job::write(&folder.0, &vendors[0], 1, 1);
    // One run as the program leaves it behind.
    let serve = Program::serve(&folder.0, &vendors).await;
    peer::drip(&vendor, serve.port, "first", 10.0, Duration::from_millis(100)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(serve);
    multiply(&folder.0.join("data"), runs);

    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let dashboard = format!("127.0.0.1:{port}");
    let serve = Program::serve_with(Under::Core, &folder.0, &vendors, &["--dashboard", &dashboard]).await;
    println!("{runs} runs of history, ready after {:.0} ms", serve.started.as_secs_f64() * 1e3);
    let base = format!("http://{dashboard}");
    let client = visitor(&folder.0, &base).await;
    let load = peer::drip(&vendor, serve.port, "load", EVENTS_PER_SECOND, TIME);
    let visits = async {
        let end = Instant::now() + TIME - Duration::from_secs(1);
        let mut took: Vec<Vec<Duration>> = PAGES.iter().map(|_| Vec::new()).collect();
        while Instant::now() < end {
            for (page, took) in PAGES.iter().zip(&mut took) {
                let begun = Instant::now();
                let said = client.get(format!("{base}{page}")).send().await.expect("it answers");
                assert!(said.status().is_success(), "{page}: {}", said.status());
                let bytes = said.bytes().await.expect("a page").len();
                took.push(begun.elapsed());
                assert!(bytes < 100_000, "{page} has {bytes} bytes");
                tokio::time::sleep(PAUSE).await;
            }
        }
        took
    };
    let (mut late, mut took) = tokio::join!(load, visits);
    for (page, took) in PAGES.iter().zip(&mut took) {
        tell(page, took, GOAL);
    }
    let mut all: Vec<Duration> = took.into_iter().flatten().collect();
    tell("all pages", &mut all, GOAL);
    late.sort_unstable();
    println!(
        "meanwhile {} events, {EVENTS_PER_SECOND} each second: 99 of 100 done within {:.1} ms",
        late.len(),
        late.get(late.len() * 99 / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    );
    for (page, took) in PAGES.iter().zip(&mut paint(&folder.0, &base)) {
        tell(&format!("{page} is painted"), took, PAINTED_GOAL);
    }
}
