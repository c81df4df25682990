//! What came of it, in tables.

use super::load::{IMPORTED, IMPORTERS, requests_of_a_change};
use super::parameters::Parameters;
use super::simulation::{BUSY, Outcome};

const SECOND: f64 = 1e6;
const HOUR: f64 = 3_600e6;
const DAY_S: f64 = 86_400.0;
const GB: f64 = 1e9;
const MONTH_DAYS: f64 = 30.0;

/// What can be too little, by name, with how much of it is used.
pub fn stations(outcome: &Outcome) -> [(&'static str, f64); 4] {
    [("cores", outcome.cores), ("partition", outcome.partition), ("feed", outcome.feed), ("reading", outcome.reader)]
}

pub fn bottleneck(outcome: &Outcome) -> (&'static str, f64) {
    stations(outcome).into_iter().max_by(|one, other| one.1.total_cmp(&other.1)).expect("there are some")
}

/// Does something come faster than it is done?
fn falls_behind(outcome: &Outcome, parameters: &Parameters) -> bool {
    !outcome.is_whole(parameters) || bottleneck(outcome).1 >= 1.0
}

/// Is it quick enough, with room for more?
pub fn holds(outcome: &Outcome, parameters: &Parameters) -> bool {
    let late = outcome.free.quantile(0.99) as f64 / SECOND;
    let fits = |(_, load): (&str, f64)| load < parameters.goal_load;
    outcome.is_whole(parameters) && late < parameters.goal_s && stations(outcome).into_iter().all(fits)
}

fn percent(share: f64) -> String {
    if share > 9.99 { format!("{share:.0}x") } else { format!("{:.0}%", share * 100.0) }
}

/// A large number, short.
pub fn short(number: f64) -> String {
    match number {
        0.0..1_000.0 => format!("{number:.0}"),
        1_000.0..1e6 => format!("{:.1}k", number / 1e3),
        1e6..1e9 => format!("{:.1}M", number / 1e6),
        _ => format!("{:.1}G", number / 1e9),
    }
}

fn seconds(time: u64) -> String {
    format!("{:.1}", time as f64 / SECOND)
}

/// An amount of data, given in GB.
fn size(gb: f64) -> String {
    if gb < 1_000.0 { format!("{gb:.1} GB") } else { format!("{:.1} TB", gb / 1e3) }
}

pub const HEAD: &str = "\
machines   done/s   cores (door log turns limits copies)  partition  feed  reading   p50   p99    max s   runs left  \
notes left  notes lost  bottleneck";

/// One number of machines. Where it falls behind, what is left is told as it would be after an hour at this pace, with a `~`.
pub fn row(machines: usize, outcome: &Outcome, parameters: &Parameters) -> String {
    let done = outcome.over as f64 / 2.0 / (outcome.end as f64 / SECOND);
    let busy = outcome.busy.map(|busy| format!("{:.0}", busy * 100.0)).join(" ");
    let is_late =
        !outcome.is_whole(parameters) || [outcome.cores, outcome.partition].into_iter().any(|load| load >= 1.0);
    let after = |time: u64| if is_late { "grows".to_owned() } else { seconds(time) };
    let [p50, p99] = [0.5, 0.99].map(|share| after(outcome.free.quantile(share)));
    let falls_behind = falls_behind(outcome, parameters);
    let left = |left: u64| match falls_behind && left > 0 {
        true => format!("~{}", short(left as f64 * HOUR / outcome.end.max(1) as f64)),
        false => short(left as f64),
    };
    let (name, load) = bottleneck(outcome);
    let holds = if holds(outcome, parameters) { "" } else { ", too little" };
    format!(
        "{machines:>8} {done:>8.0} {:>7} {:<30} {:>9} {:>5} {:>8} {p50:>5} {p99:>5} {:>8} {:>11} {:>11} {:>11}  {name} {}{holds}",
        percent(outcome.cores),
        format!("({busy})"),
        percent(outcome.partition),
        percent(outcome.feed),
        percent(outcome.reader),
        after(outcome.free.max),
        left(outcome.left),
        left(outcome.untold + outcome.uncopied),
        left(outcome.lost),
        percent(load),
    )
}

/// What the sides' limits leave room for.
pub fn limits(parameters: &Parameters, names: [&str; 2], limits: [&[(u64, f64)]; 2]) -> String {
    let mut text = String::new();
    for side in 0..2 {
        let requests = requests_of_a_change(side);
        for (most, per_s) in limits[side] {
            let wanted = parameters.changes / 3_600.0 * requests * per_s;
            let changes = *most as f64 / per_s * 3_600.0 / requests;
            text += &format!(
                "{:<24} {most:>7} in {per_s:>6.0} s: {requests:.2} requests a change, {wanted:>7.1} wanted, {:>4} of it; room for \
                 {} changes an hour of one account, {} an hour of all\n",
                names[side],
                percent(wanted / *most as f64),
                short(changes),
                short(changes * parameters.accounts),
            );
        }
    }
    text
}

/// What a day and a month take, with so many machines.
pub fn costs(machines: usize, outcome: &Outcome, parameters: &Parameters) -> String {
    let seconds = outcome.end as f64 / SECOND;
    let a_day = |count: u64| count as f64 / seconds * DAY_S;
    let runs = a_day(outcome.over);
    let requests = a_day(outcome.requests.iter().sum());
    let copy = runs * parameters.copy_bytes / GB;
    let log = a_day(outcome.records) * parameters.record_bytes / GB;
    let copies = parameters.copies_of_log.min(machines as f64);
    let readers = parameters.readers_of(machines) as f64;
    let kept_copies = copy * parameters.keep_days * readers;
    let kept_log = log / 24.0 * parameters.trim_hours * copies;
    let outside = requests * parameters.bytes_a_request / GB;
    // A record goes to its other copies and to whoever works with it, a note to each reader: seldom on the same machine.
    let elsewhere = 1.0 - 1.0 / machines as f64;
    let inside = log * (copies - 1.0) + (log + copy * readers) * elsewhere;
    let prices = [
        machines as f64 * parameters.machine_price,
        (kept_copies + kept_log) * parameters.disk_price,
        inside * MONTH_DAYS * parameters.traffic_price,
    ];
    let a_change = prices.iter().sum::<f64>() / (a_day(outcome.changes) * MONTH_DAYS) * 1e6;
    format!(
        "a day: {} runs, {} requests; each copy grows by {}, and there are {readers:.0}; the log by {}, {copies:.0} times;\n\
         \x20      between machines {} ({:.1} Gbit/s), with vendors {}\n\
         kept: copies of {} day(s) {} in all; log of {} h {} in all\n\
         a month: machines {machines} x {} = {}, disk {}, traffic {}: {} in all, {a_change:.2} for a million changes\n",
        short(runs),
        short(requests),
        size(copy),
        size(log),
        size(inside),
        inside * 8.0 / DAY_S,
        size(outside),
        parameters.keep_days,
        size(kept_copies),
        parameters.trim_hours,
        size(kept_log),
        parameters.machine_price,
        short(prices[0]),
        short(prices[1]),
        short(prices[2]),
        short(prices.iter().sum()),
    )
}

/// What the limits did.
pub fn held(outcome: &Outcome, spans: [u64; 2]) -> String {
    let all = (outcome.free.count + outcome.held.count).max(1);
    let hours = outcome.end as f64 / HOUR;
    format!(
        "what no limit held back took {:.2} s on average\n\
         a limit held back {} of {} changes ({:.2}%): p50 {} s, p99 {} s, max {} s; imports of {IMPORTED} in {}% of the accounts an hour\n\
         parts of windows asked for: {} ({:.2} a request); pauses: {} ({:.1} for each that was held)\n\
         the fullest shortest window gave {} of {} and {} of {}; the busiest account made {} and {} requests, {} and {} a day at that pace\n",
        outcome.free.mean() / SECOND,
        short(outcome.held.count as f64),
        short(all as f64),
        outcome.held.count as f64 / all as f64 * 100.0,
        seconds(outcome.held.quantile(0.5)),
        seconds(outcome.held.quantile(0.99)),
        seconds(outcome.held.max),
        IMPORTERS * 100.0,
        short(outcome.leases as f64),
        outcome.leases as f64 / outcome.requests.iter().sum::<u64>().max(1) as f64,
        short(outcome.pauses as f64),
        outcome.pauses as f64 / outcome.held.count.max(1) as f64,
        outcome.most_of_a_window[0],
        spans[0],
        outcome.most_of_a_window[1],
        spans[1],
        outcome.most_of_an_account[0],
        outcome.most_of_an_account[1],
        short(outcome.most_of_an_account[0] as f64 / hours * 24.0),
        short(outcome.most_of_an_account[1] as f64 / hours * 24.0),
    )
}

/// Who works, by share of all that is worked at.
pub fn shares(outcome: &Outcome) -> String {
    let all: f64 = outcome.busy.iter().sum();
    let each = BUSY.iter().zip(outcome.busy).map(|(name, busy)| format!("{name} {}", percent(busy / all)));
    each.collect::<Vec<_>>().join(", ")
}
