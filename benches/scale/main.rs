//! Past this machine: an hour of 10,000 accounts with 1,000 changes each, simulated: `cargo bench --bench scale`.
//!
//! Says where it becomes too little, how many machines it takes, and what that costs. Nothing is measured here: what each piece
//! of work takes stands in `parameters.rs` with its source, and may be given anew: `-- --accounts 1000 --hours 2 --feeds 64`, or
//! `SCALE_FEEDS=64`. `SEED=7` is another hour. docs/decisions/past-this-machine.md tells what came of it.

#![expect(clippy::print_stdout, reason = "it is what a measurement is for")]

mod agenda;
mod load;
mod parameters;
mod random;
mod report;
mod simulation;
mod stations;
mod story;
mod vendors;
mod windows;

use parameters::Parameters;
use simulation::{Outcome, Simulation};
use windows::Span;

const SEED: u64 = 20_261_129;
/// Of one machine each step of the table is twice the one before.
const MACHINES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// More than these are not looked at.
const MOST: usize = 128;
/// A row of the table is of so much of the time at most: what falls behind does so in minutes. Hours.
const ROW_HOURS: f64 = 0.1;
/// To look for a number of machines, so much is enough.
const LOOKS_HOURS: f64 = 1.0 / 60.0;

/// What would have to be otherwise, beside more machines: see docs/decisions/past-this-machine.md.
const CHANGED: [(&str, f64); 2] = [("partitions", 192.0), ("readers", 2.0)];

/// What that number of machines hangs on: each by itself, beside the changes.
const VARIED: [(&str, f64); 6] = [
    ("changes", 500.0),
    ("readers", 0.0),
    ("partitions", 24.0),
    ("crossing_us", 50.0),
    ("record_us", 50.0),
    ("record_us", 390.0),
];

type Spans = [Vec<Span>; 2];

fn simulate(parameters: &Parameters, spans: &Spans, machines: usize, seed: u64) -> Outcome {
    Simulation::new(parameters, spans, machines, seed).run()
}

fn within(parameters: &Parameters, hours: f64) -> Parameters {
    Parameters { hours: parameters.hours.min(hours), ..parameters.clone() }
}

/// Rows of the table, at the same time, and what is said of each.
fn rows(rows: Vec<(Parameters, usize, String)>, spans: &Spans, seed: u64) {
    std::thread::scope(|scope| {
        let row = |(parameters, machines, said): (Parameters, usize, String)| {
            let told =
                move || report::row(machines, &simulate(&parameters, spans, machines, seed), &parameters) + &said;
            scope.spawn(told)
        };
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        rows.into_iter().for_each(|row| println!("{}", row.join().expect("it does not panic")));
    });
}

fn table(parameters: &Parameters, spans: &Spans, seed: u64) {
    println!("{}", report::HEAD);
    let parameters = within(parameters, ROW_HOURS);
    for pair in MACHINES.chunks(2) {
        rows(pair.iter().map(|machines| (parameters.clone(), *machines, String::new())).collect(), spans, seed);
    }
}

/// The smallest number of machines that is enough.
fn smallest(parameters: &Parameters, spans: &Spans, seed: u64) -> Option<usize> {
    let short = within(parameters, LOOKS_HOURS);
    let is_enough = |machines: usize| report::holds(&simulate(&short, spans, machines, seed), &short);
    let (mut least, mut most) = (0, MOST);
    if !is_enough(most) {
        return None;
    }
    while most - least > 1 {
        let middle = least.midpoint(most);
        match is_enough(middle) {
            true => most = middle,
            false => least = middle,
        }
    }
    Some(most)
}

/// The table, and all about the smallest number that is enough, if there is one.
fn whole(parameters: &Parameters, spans: &Spans, seed: u64) -> Option<usize> {
    table(parameters, spans, seed);
    let Some(machines) = smallest(parameters, spans, seed) else {
        println!("no number of machines up to {MOST} is enough\n");
        return None;
    };
    let outcome = simulate(parameters, spans, machines, seed);
    println!("the smallest number that is enough: {machines}");
    println!("{}", report::row(machines, &outcome, parameters));
    println!("what is worked at: {}", report::shares(&outcome));
    print!("{}", report::held(&outcome, [spans[0][0].most, spans[1][0].most]));
    println!("{}", report::costs(machines, &outcome, parameters));
    Some(machines)
}

/// The parameters, and the seed, as the words and the environment have them.
fn given() -> (Parameters, u64) {
    let mut parameters = Parameters::default();
    let number =
        |name: &str, text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{name}: `{text}` is no number"));
    for (name, ..) in Parameters::default().rows() {
        if let Ok(text) = std::env::var(format!("SCALE_{}", name.to_uppercase())) {
            parameters.set(name, number(name, &text));
        }
    }
    // Cargo says `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    for pair in words.chunks(2) {
        let name = pair[0].trim_start_matches("--").replace('-', "_");
        let value = pair.get(1).map(|text| number(&name, text));
        let is_known = value.is_some_and(|value| parameters.set(&name, value));
        assert!(is_known, "`{}` is no parameter, or has no value; the table tells them all", pair[0]);
    }
    let seed = std::env::var("SEED").map_or(SEED, |text| text.parse().expect("SEED is a number"));
    (parameters, seed)
}

fn main() {
    let (parameters, seed) = given();
    println!("SEED={seed}");
    for (name, value, unit, source) in parameters.rows() {
        println!("  {name:<14} {value:>10} {unit:<32} {source}");
    }
    let spans = vendors::spans();
    println!("\nlimits of one account, as the connectors say them");
    let said = vendors::CONNECTORS.map(|name| {
        vendors::limits(name).iter().map(|limit| (limit.requests, limit.per.as_secs_f64())).collect::<Vec<_>>()
    });
    println!("{}", report::limits(&parameters, vendors::CONNECTORS, [&said[0], &said[1]]));
    let all = parameters.accounts * parameters.changes / 3_600.0;
    println!("{all:.0} changes a second, {:.0} runs a second with their echoes", 2.0 * all);
    println!("\nas it is (~: after an hour, by how fast it falls behind)");
    whole(&parameters, &spans, seed);
    let mut changed = parameters.clone();
    let names = CHANGED.map(|(name, value)| {
        changed.set(name, value);
        format!("{name} {value}")
    });
    println!("with {}", names.join(", "));
    let Some(machines) = whole(&changed, &spans, seed) else { return };
    println!("so many, with one thing otherwise\n{}", report::HEAD);
    let pairs = VARIED.chunks(2).map(|pair| {
        let varied = pair.iter().map(|(name, value)| {
            let mut varied = within(&changed, LOOKS_HOURS);
            varied.set(name, *value);
            (varied, machines, format!("  {name} {value}"))
        });
        varied.collect()
    });
    pairs.for_each(|pair| rows(pair, &spans, seed));
}
