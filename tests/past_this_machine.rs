//! The simulation of `cargo bench --bench scale` does what it says: queues as the formula has it, nothing lost, no window exceeded,
//! limits as the program keeps them, and as many requests for a change as the real program makes.

#![allow(dead_code, reason = "what only the tables need is not used here")]

#[path = "../benches/scale/agenda.rs"]
mod agenda;
#[path = "../benches/scale/load.rs"]
mod load;
#[path = "../benches/scale/parameters.rs"]
mod parameters;
#[path = "../benches/scale/random.rs"]
mod random;
#[path = "../benches/scale/simulation.rs"]
mod simulation;
#[path = "../benches/scale/stations.rs"]
mod stations;
#[path = "../benches/scale/story.rs"]
mod story;
#[path = "../benches/scale/vendors.rs"]
mod vendors;
#[path = "../benches/scale/windows.rs"]
mod windows;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use dovetail::http::{Budgets, Lease, Take, Urgency};
use load::KINDS;
use parameters::Parameters;
use random::Random;
use serde_json::{Value, json};
use simulation::Simulation;
use stations::{Station, Times};
use windows::{Room, Share, Window};

use crate::stage::{GHL, PEOPLE, Stage, until};

/// One that is quick to simulate: few accounts, and each with much to do.
fn few(accounts: f64, changes: f64) -> Parameters {
    Parameters { accounts, changes, hours: 0.05, ..Parameters::default() }
}

#[test]
fn a_station_waits_as_the_formula_says() {
    // Poisson arrivals and equal work (M/D/1): a wait of half of load / (1 - load) times the work, on average.
    for load in [0.5, 0.8] {
        let (mut station, mut waits, mut random) = (Station::new(1), Times::default(), Random::new(7));
        let (work, mut now) = (1_000, 0.0);
        for _ in 0..400_000 {
            now += random.pause() * work as f64 / load;
            waits.add(station.serve(now as u64, work) - now as u64 - work);
        }
        let expected = load / (1.0 - load) / 2.0 * work as f64;
        assert!((waits.mean() / expected - 1.0).abs() < 0.04, "load {load}: {} for {expected}", waits.mean());
        assert!((station.load(now as u64) / load - 1.0).abs() < 0.01, "load {load}: {}", station.load(now as u64));
    }
}

#[test]
fn quantiles_are_right_within_two_percent() {
    let mut times = Times::default();
    (1..=100_000).for_each(|time| times.add(time));
    for share in [0.01, 0.5, 0.99, 1.0] {
        let told = times.quantile(share) as f64;
        assert!((told / (share * 100_000.0) - 1.0).abs() < 0.02, "{share}: {told}");
    }
}

#[test]
fn what_came_is_done_or_left_and_a_seed_gives_the_same_again() {
    let (parameters, spans) = (few(300.0, 1_000.0), vendors::spans());
    let outcome = Simulation::new(&parameters, &spans, 3, 1).run();
    assert!(outcome.changes > 3_000 && outcome.over > outcome.changes, "{outcome:?}");
    assert_eq!(outcome.changes + outcome.echoes, outcome.over + outcome.left);
    assert_eq!(outcome.told + outcome.untold, outcome.over + outcome.pauses, "each turn is told once");
    // Every change is written once, and each write is told, if there is time for it.
    assert!(outcome.free.count + outcome.held.count >= outcome.echoes, "{outcome:?}");
    let again = Simulation::new(&parameters, &spans, 3, 1).run();
    assert_eq!(format!("{outcome:?}"), format!("{again:?}"));
    assert_ne!(format!("{outcome:?}"), format!("{:?}", Simulation::new(&parameters, &spans, 3, 2).run()));
}

#[test]
fn no_window_of_a_vendor_is_exceeded_and_little_of_one_is_wasted() {
    // Five times what an account may: the limits decide.
    let (parameters, spans) = (few(3.0, 50_000.0), vendors::spans());
    let mut simulation = Simulation::new(&parameters, &spans, 4, 1);
    simulation.sent = Some(Vec::new());
    let outcome = simulation.run();
    let sent = simulation.sent.take().expect("it was asked for");
    assert_eq!(sent.len() as u64, outcome.requests.iter().sum::<u64>());
    for (side, connector) in vendors::CONNECTORS.iter().enumerate() {
        for limit in vendors::limits(connector) {
            let per = limit.per.as_micros() as u64;
            // As the vendor counts: a window is opened by the first request that arrives.
            let mut windows: HashMap<u32, (u64, u64)> = HashMap::new();
            for (at, account, _) in sent.iter().filter(|(.., of)| *of == side) {
                let window = windows.entry(*account).or_default();
                if window.0 <= *at {
                    *window = (at + per, 0);
                }
                window.1 += 1;
                assert!(window.1 <= limit.requests, "{connector}: {window:?} of {limit:?}");
            }
        }
    }
    let room = outcome.end / spans[1][0].per * spans[1][0].most * 3;
    assert!(outcome.requests[1] * 100 > room * 80, "{} of {room}", outcome.requests[1]);
}

#[test]
fn limits_are_kept_as_by_the_program() {
    for (connector, spans) in vendors::CONNECTORS.iter().zip(vendors::spans()) {
        let (limits, begun) = (vendors::limits(connector), Instant::now());
        let processes: Vec<Budgets> = (0..3).map(|_| Budgets::of_several_processes()).collect();
        let mut shares = vec![vec![Share::default(); spans.len()]; processes.len()];
        let (mut windows, mut theirs) = (vec![Window::default(); spans.len()], HashMap::<String, Window>::new());
        let (mut random, mut now, mut refused) = (Random::new(3), 0u64, 0);
        for _ in 0..20_000 {
            // Now crowded, now quiet.
            now += random.below(if now / 30_000_000 % 2 == 0 { 60_000 } else { 900_000 }) as u64;
            let process = random.below(processes.len());
            let (budgets, shares) = (&processes[process], &mut shares[process]);
            let instant = begun + Duration::from_micros(now);
            let asked = |budgets: &Budgets| {
                budgets.wishes("account", &limits, "contact.get", &Value::Null, Urgency::Live, instant)
            };
            for wish in asked(budgets) {
                let window = theirs.entry(wish.name()).or_default();
                let per = wish.per.as_micros() as u64;
                let span = windows::Span { most: wish.most, per, part: wish.wanted };
                let granted = window.lease(&span, now).into();
                let ends_in = Duration::from_micros(window.ends - now);
                let lease = Lease { number: window.number.into(), granted, total: window.total.into(), ends_in };
                budgets.lease(&wish, &lease, instant);
            }
            for ((share, span), window) in shares.iter_mut().zip(&spans).zip(&mut windows) {
                if share.room(span, now) == Room::Ask {
                    let granted = window.lease(span, now);
                    share.got(granted, window);
                }
            }
            let rooms = shares.iter().zip(&spans).map(|(share, span)| match share.room(span, now) {
                Room::Until(until) => until - now,
                Room::Go => 0,
                Room::Ask => panic!("it has asked"),
            });
            let wait = rooms.max().unwrap_or(0);
            let took = budgets.take("account", &limits, "contact.get", &Value::Null, Urgency::Live, instant);
            match wait {
                0 => shares.iter_mut().for_each(Share::take),
                _ => refused += 1,
            }
            let expected = if wait == 0 { Take::Go } else { Take::Wait(Duration::from_micros(wait)) };
            assert_eq!(took, expected, "{connector} at {now}");
        }
        assert!(refused > 1_000, "{connector}: the limits were never reached");
    }
}

/// Requests that each side has got, all operations together.
async fn requests(stage: &Stage) -> [usize; 2] {
    let mut counts = [0; 2];
    for (count, vendor) in counts.iter_mut().zip([GHL, PEOPLE]) {
        let said = stage.control("GET", vendor, "/requests", Value::Null).await;
        *count = said["requests"].as_array().expect("a list").len();
    }
    counts
}

/// Waits until a change and its echo are over; gives the requests of both.
async fn cost(stage: &Stage, before: &mut [usize; 2], runs: usize) -> [usize; 2] {
    until("the change, and its echo", async || {
        let all = stage.runs().await;
        (all.len() >= runs).then_some(())
    })
    .await;
    stage.over().await;
    let after = requests(stage).await;
    let cost = [after[0] - before[0], after[1] - before[1]];
    *before = after;
    cost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_takes_the_requests_that_the_simulation_has() {
    let mut stage = Stage::set().await;
    stage.activate(&["contacts"]);
    let serve = stage.serve_hearing_both().await;
    let (code, said) = stage.run(&["apply", "contacts", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let mut before = requests(&stage).await;
    let simulated = |kind: usize| {
        let echo = usize::from(load::echo_at(KINDS[kind].echo.expect("it writes")));
        [0, 1].map(|side| KINDS[kind].asks.iter().chain(KINDS[echo].asks).filter(|ask| ask.side == side).count())
    };

    let ada = json!({ "firstName": "Ada", "email": "ada@example.com", "phone": "+15550100001" });
    let made = stage.control("POST", GHL, "/records/contact", ada).await;
    let here = made["records"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(cost(&stage, &mut before, 2).await, simulated(2), "made at the first");

    stage.control("PATCH", GHL, &format!("/records/contact/{here}"), json!({ "city": "London" })).await;
    assert_eq!(cost(&stage, &mut before, 4).await, simulated(0), "changed at the first");

    let records = stage.control("GET", PEOPLE, "/records/contact", Value::Null).await;
    let records = records["records"].as_array().expect("a list");
    let there = records.iter().find(|record| record["email"] == "ada@example.com").expect("she was carried over");
    let there = there["id"].as_str().expect("an id");
    stage.control("PATCH", PEOPLE, &format!("/records/contact/{there}"), json!({ "city": "Paris" })).await;
    assert_eq!(cost(&stage, &mut before, 6).await, simulated(1), "changed at the second");
    serve.term().await;
}
