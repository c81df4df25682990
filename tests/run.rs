//! Runs without an engine: `tests/cases/run/*.yaml` are lived through with `run::decide` and a tiny pretend vendor, once in
//! peace, and then with a crash at every commit and after every request, and with answers in other orders. The form is told
//! in the folder's README.
//!
//! `DOVETAIL_ACCEPT=1 cargo test run::` writes what came out into the cases; the reviewer reads the difference.

#![expect(clippy::unwrap_used, reason = "a test may")]

pub mod case;
pub mod heard;
mod life;
pub mod story;
pub mod world;

use case::Case;
use life::{Crash, Order, live};

#[test]
fn every_case_holds_and_no_crash_makes_a_difference() {
    let accept = std::env::var_os("DOVETAIL_ACCEPT").is_some();
    let mut wrong = Vec::new();
    for path in case::files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let case = match Case::read(&text) {
            Ok(case) => case,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let plan = case.plan();
        let life = live(&case, &plan, None, Order::First).story;
        let told = life.told();
        if told != case.expect && accept {
            std::fs::write(&path, accepted(&text, &told)).unwrap();
        } else if told != case.expect {
            wrong.push(format!("{name}: {}\n--- expected\n{}--- found\n{told}", case.why, case.expect));
        }
        let crowded = life.is_crowded();
        let mut orders = vec![Order::First];
        if case.any_order && crowded {
            orders.extend([Order::Last, Order::Any(1), Order::Any(2), Order::Any(3)]);
        }
        for order in orders {
            let peace = live(&case, &plan, None, order);
            let steps = peace.steps;
            let mut others = vec![(None, peace.story)];
            for step in (0..steps).filter(|_| case.crashes) {
                for crash in [Crash::Committed(step), Crash::Sent(step)] {
                    let other = live(&case, &plan, Some(crash), order).story;
                    others.push((Some(crash), other));
                }
            }
            for (crash, other) in others {
                let (before, after) = (life.compared(crowded), other.compared(crowded));
                if before != after {
                    let told = other.told();
                    wrong.push(format!(
                        "{name}: {crash:?} and answers in the order {order:?} make a difference\n--- in peace\n{before}--- after\n{told}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n\n{} differences", wrong.join("\n\n"), wrong.len());
}

/// The case with another story at its end.
fn accepted(text: &str, told: &str) -> String {
    let start = text.rfind("\nexpect:").map_or(text.len(), |at| at + 1);
    let lines: String = told.lines().map(|line| format!("  {line}\n")).collect();
    format!("{}\nexpect: |\n{lines}", text[..start].trim_end())
}
