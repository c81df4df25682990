//! The engine under load, beside a bare loop that does the same job by hand: `cargo bench --bench load`.
//!
//! Both are processes of their own on one core, with the same vendor and senders on another, by turns. What counts is the
//! ratio: it says more than numbers of one computer. `-- --long` measures with a million runs of history too; `-- counted` counts
//! instructions, which differ by less than a hundredth from run to run, and needs valgrind.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

mod bare;
mod counted;
#[cfg(feature = "restate")]
mod durable;
mod job;
mod past;
mod peer;
mod program;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

use peer::Vendor;
use program::{Program, Under};

/// Events of one round.
const EVENTS: usize = 3_000;
const ROUNDS: usize = 5;
const DRIP: Duration = Duration::from_secs(4);

/// A folder that goes away again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn verdict(holds: bool) -> &'static str {
    if holds { "" } else { ", missed" }
}

/// A side of the comparison: events per second, and for each microseconds of a processor and bytes on the disk, by rounds.
#[derive(Default)]
struct Side {
    pace: Vec<f64>,
    work: Vec<f64>,
    written: Vec<f64>,
}

impl Side {
    async fn round(&mut self, program: &Program, vendor: &Vendor, round: &str) {
        let (before, written) = (program.worked(), program.written());
        let took = peer::flood(vendor, program.port, round, EVENTS, 1).await;
        self.pace.push(EVENTS as f64 / took.as_secs_f64());
        self.work.push((program.worked() - before) * 1e6 / EVENTS as f64);
        self.written.push((program.written() - written) / EVENTS as f64);
    }
}

/// The 99th of a hundred, in milliseconds.
fn late(took: &[Duration]) -> f64 {
    took.get(took.len() * 99 / 100).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
}

/// How late 99 of 100 events are at a rate, at each of two ports, by turns; and the ratio.
async fn lates(vendor: &Vendor, name: &str, [ours, by_hand]: [(u16, f64); 2]) -> [f64; 3] {
    let mut lates = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..3 {
        let by_hand = late(&peer::drip(vendor, by_hand.0, &format!("{name}h{round}"), by_hand.1, DRIP).await);
        let ours = late(&peer::drip(vendor, ours.0, &format!("{name}o{round}"), ours.1, DRIP).await);
        [ours, by_hand, ours / by_hand].into_iter().zip(&mut lates).for_each(|(late, all)| all.push(late));
    }
    lates.map(median)
}

async fn compare(vendor: &Vendor) {
    let (folder, place) = (Folder::new(), vendor.address.to_string());
    job::write(&folder.0, &place, 1, 1);
    let bare = Program::bare(Under::Core, &folder.0, &place).await;
    let serve = Program::serve(&folder.0, std::slice::from_ref(&place)).await;
    let started = serve.started.as_secs_f64() * 1e3;
    println!("from start to accepting: {started:.0} ms (goal 100{})", verdict(started < 100.0));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle = serve.memory("VmRSS");
    println!("memory, idle: {idle:.1} MiB (goal 30{})", verdict(idle < 30.0));

    let (mut by_hand, mut ours) = (Side::default(), Side::default());
    for round in 0..=ROUNDS {
        by_hand.round(&bare, vendor, &format!("a{round}")).await;
        ours.round(&serve, vendor, &format!("b{round}")).await;
        if round == 0 {
            // To get warm.
            (by_hand, ours) = (Side::default(), Side::default());
        }
    }
    let ratio = median(ours.pace.iter().zip(&by_hand.pace).map(|(ours, by_hand)| ours / by_hand).collect());
    let (pace, pace_by_hand) = (median(ours.pace), median(by_hand.pace));
    println!("events: {pace:.0}/s, {pace_by_hand:.0}/s by hand, ratio {ratio:.2} (goal 0.60{})", verdict(ratio >= 0.6));
    let (work, work_by_hand) = (median(ours.work), median(by_hand.work));
    println!("work: {work:.0} µs/event, {work_by_hand:.0} µs/event by hand, ratio {:.2}", work_by_hand / work);
    // The less the more share a commit.
    let [written, by_hand] = [ours.written, by_hand.written].map(|written| median(written) / 1e3);
    println!("on the disk: {written:.1} KB/event, {by_hand:.1} KB/event by hand");

    let (rate, own) = (pace_by_hand * 0.2, pace * 0.2);
    let [ours, by_hand, ratio] = lates(vendor, "c", [(serve.port, rate), (bare.port, rate)]).await;
    println!(
        "99 of 100 events at {rate:.0}/s within: {ours:.1} ms, {by_hand:.1} ms by hand, ratio {ratio:.2} (goal 2.00{})",
        verdict(ratio <= 2.0)
    );
    let [ours, by_hand, ratio] = lates(vendor, "d", [(serve.port, own), (bare.port, rate)]).await;
    println!("each at a fifth of its own pace: {ours:.1} ms at {own:.0}/s, {by_hand:.1} ms by hand, ratio {ratio:.2}");
    let most = serve.memory("VmHWM");
    println!("memory, under load: {most:.1} MiB (goal 120{})", verdict(most < 120.0));
}

/// The engine on Restate, beside a handler that was written by hand for it, and beside the engine by itself.
#[cfg(feature = "restate")]
async fn cluster(vendor: &Vendor) {
    let (folder, place) = (Folder::new(), vendor.address.to_string());
    job::write(&folder.0, &place, 1, 1);
    let Some(server) = durable::Server::start(&folder.0).await else {
        return println!("on Restate: DOVETAIL_RESTATE does not say where its server is");
    };
    let handler = server.handler(&place).await;
    let serve = server.serve(&folder.0, &place).await;
    let (mut by_hand, mut ours) = (Side::default(), Side::default());
    let (mut in_server, mut in_server_by_hand) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let before = server.worked();
        by_hand.round(&handler, vendor, &format!("r{round}")).await;
        let between = server.worked();
        ours.round(&serve, vendor, &format!("s{round}")).await;
        let each = 1e6 / EVENTS as f64;
        in_server_by_hand.push((between - before) * each);
        in_server.push((server.worked() - between) * each);
        if round == 0 {
            // To get warm.
            (by_hand, ours) = (Side::default(), Side::default());
            (in_server, in_server_by_hand) = (Vec::new(), Vec::new());
        }
    }
    let ratio = median(ours.pace.iter().zip(&by_hand.pace).map(|(ours, by_hand)| ours / by_hand).collect());
    let (pace, pace_by_hand) = (median(ours.pace), median(by_hand.pace));
    println!(
        "on Restate: {pace:.0} events/s, {pace_by_hand:.0}/s with a handler by hand, ratio {ratio:.2} (goal 0.70{})",
        verdict(ratio >= 0.7)
    );
    let (work, work_by_hand) = (median(ours.work), median(by_hand.work));
    println!("on Restate: work {work:.0} µs/event in our process, {work_by_hand:.0} µs/event by hand");
    let (work, work_by_hand) = (median(in_server), median(in_server_by_hand));
    println!("on Restate: work {work:.0} µs/event in Restate's server, {work_by_hand:.0} µs/event by hand");
    let rate = pace_by_hand * 0.2;
    let by_hand = late(&peer::drip(vendor, handler.port, "t", rate, DRIP).await);
    let ours = late(&peer::drip(vendor, serve.port, "u", rate, DRIP).await);
    println!("on Restate: 99 of 100 events at {rate:.0}/s within {ours:.0} ms, {by_hand:.0} ms by hand");
}

/// Events per second of a project.
async fn pace(vendor: &Vendor, workflows: usize, actions: usize, past: usize) -> f64 {
    let (folder, place) = (Folder::new(), vendor.address.to_string());
    job::write(&folder.0, &place, workflows, actions);
    if past > 0 {
        // The first start makes the tables.
        drop(Program::serve(&folder.0, std::slice::from_ref(&place)).await);
        past::write(&folder.0.join("data"), past);
    }
    let serve = Program::serve(&folder.0, std::slice::from_ref(&place)).await;
    let events = EVENTS / 2 / actions;
    let mut paces = Vec::new();
    for round in 0..4 {
        let took = peer::flood(vendor, serve.port, &format!("e{round}"), events, actions).await;
        paces.push(events as f64 / took.as_secs_f64());
    }
    let started = serve.started.as_secs_f64() * 1e3;
    let (memory, pace) = (serve.memory("VmRSS"), median(paces.split_off(1)));
    println!(
        "{workflows} workflows, {actions} actions, {past} runs before: {pace:.0} events/s, {:.0} actions/s; started in \
         {started:.0} ms, {memory:.0} MiB",
        pace * actions as f64
    );
    pace
}

async fn lines(vendor: &Vendor, long: bool) {
    let ten = pace(vendor, 10, 1, 0).await;
    // A project holds 10,000 documents.
    for workflows in [1_000, 9_990] {
        println!("  ratio to 10 workflows: {:.2}", pace(vendor, workflows, 1, 0).await / ten);
    }
    println!("  ratio of actions to 1 action: {:.2}", pace(vendor, 10, 20, 0).await * 20.0 / ten);
    if long {
        println!("  ratio to an empty store: {:.2}", pace(vendor, 10, 1, 1_000_000).await / ten);
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, folder, vendor, port] = words.as_slice()
        && role == "bare"
    {
        return bare::main(Path::new(folder), vendor, port.parse().expect("a port"));
    }
    #[cfg(feature = "restate")]
    if let [role, port, vendor, objects, ingress] = words.as_slice()
        && role == "durable"
    {
        return durable::main(port.parse().expect("a port"), vendor, objects.parse().expect("a port"), ingress);
    }
    if std::env::var_os("LOAD_IS_PINNED").is_none() {
        let own = std::env::current_exe().expect("this program");
        let mut command = program::pinned(program::OTHER_CORE, &own);
        let status = command.args(&words).env("LOAD_IS_PINNED", "1").status().expect("it runs");
        std::process::exit(status.code().unwrap_or(1));
    }
    let known = ["compare", "lines", "cluster", "counted"];
    if let Some(unknown) = words.iter().find(|word| !word.starts_with('-') && !known.contains(&word.as_str())) {
        println!("there is no part `{unknown}`: the parts are {}", known.join(", "));
        std::process::exit(2);
    }
    let is_wanted = |part: &str| {
        let mut parts = words.iter().filter(|word| !word.starts_with('-')).peekable();
        parts.peek().is_none() || parts.any(|word| word == part)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let vendor = Vendor::start().await;
        if is_wanted("compare") {
            compare(&vendor).await;
        }
        #[cfg(feature = "restate")]
        if is_wanted("cluster") {
            cluster(&vendor).await;
        }
        if words.iter().any(|word| word == "counted") {
            counted::compare(&vendor).await;
        }
        if is_wanted("lines") {
            lines(&vendor, words.iter().any(|word| word == "--long")).await;
        }
    });
}
